//! `cargo xtask test --lifecycle`: `demo` interrupted at several points is repaired by the next, and `down` leaves
//! nothing running.
//!
//! It begins and ends with `down`, so it runs apart from everything that uses the cluster.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::Tally;
use crate::host::engine::{self, docker};
use crate::ui::{self, Look};
use crate::{demo, diagnose, down};

/// Steps of `demo` that are interrupted: while the node starts, while Kafka starts, while Helm waits.
const POINTS: [&str; 3] = [
    "create the kind cluster",
    "deploy Kafka",
    "install the operator with Helm",
];
/// How far into a step the interruption comes.
const INTO: Duration = Duration::from_secs(3);
/// How long an interrupted `demo` may take to end.
const END: Duration = Duration::from_secs(20);
/// What an interrupted command exits with: 128 and the signal's number.
const INTERRUPTED: i32 = 130;
/// Programs that only the cluster and its engine run.
const PROGRAMS: [&str; 12] = [
    "dockerd",
    "containerd",
    "containerd-shim",
    "runc",
    "kubelet",
    "kube-apiserver",
    "kube-controller",
    "kube-scheduler",
    "kube-proxy",
    "etcd",
    "coredns",
    "ottla-operator",
];
/// Where containers and pods are mounted.
const MOUNTS: [&str; 3] = ["/var/lib/docker/", "/run/docker/", "/var/lib/kubelet/"];

/// Runs the whole story.
pub(super) fn run(tally: &mut Tally) -> Result<()> {
    down::run(&down::Args {})?;
    let before = running()?;
    for point in POINTS {
        tally.check(
            &format!("interrupted at: {point}"),
            ui::step(&format!("interrupt demo at: {point}"), |step| {
                interrupted_at(step, point)
            }),
        );
    }
    let repaired = demo::ensure().inspect_err(|_| diagnose::explain()).map(drop);
    tally.check("demo after the interruptions", repaired);
    down::run(&down::Args {})?;
    tally.check("down leaves nothing", nothing_left(&before));
    Ok(())
}

/// Starts `demo`, interrupts it in that step, and expects it to end by itself.
fn interrupted_at(step: &ui::Step, point: &str) -> Result<()> {
    let mut child = Command::new(std::env::current_exe().context("find this program")?)
        .arg("demo")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start demo")?;
    let reached = reach(&mut child, point);
    if reached.is_err() {
        child.kill().context("end a demo that went past")?;
        child.wait()?;
        return reached;
    }
    ui::pause(INTO);
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.context("demo has a pid")?, Signal::INT).context("interrupt demo")?;
    let status = ui::wait(step, "demo to end", END, || {
        Ok(child
            .try_wait()?
            .map_or_else(|| Look::NotYet("it still runs".to_owned()), Look::Ready))
    })?;
    ensure!(
        status.code() == Some(INTERRUPTED),
        "demo ended with {status}, not with {INTERRUPTED}: the step was over before it was interrupted"
    );
    Ok(())
}

/// Reads what `demo` says until it begins the step. A thread keeps reading: a full pipe would stop it.
fn reach(child: &mut Child, point: &str) -> Result<()> {
    let mut lines = BufReader::new(child.stderr.take().context("demo has a stderr")?).lines();
    let begins = format!("… {point}");
    let found = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains(&begins));
    ensure!(found, "demo never came to the step `{point}`");
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Ok(())
}

/// Pids of the cluster's and the engine's programs.
fn running() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").context("list processes")?.flatten() {
        // A process may end while it is looked at.
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        // The kernel keeps 15 characters of a name; one that nobody collected is gone all the same.
        if PROGRAMS
            .iter()
            .any(|program| name.trim() == &program[..program.len().min(15)])
            && !is_zombie(&entry.path())
        {
            found.insert(format!(
                "{} ({})",
                name.trim(),
                entry.file_name().to_string_lossy()
            ));
        }
    }
    Ok(found)
}

fn is_zombie(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && line.contains('Z'))
}

fn nothing_left(before: &BTreeSet<String>) -> Result<()> {
    let left: Vec<String> = running()?.difference(before).cloned().collect();
    ensure!(left.is_empty(), "processes are left: {}", left.join(", "));
    if engine::is_running() {
        let ours = [
            "ps",
            "--all",
            "--quiet",
            "--filter",
            "label=io.x-k8s.kind.cluster=ottla",
        ];
        let containers = docker().args(ours).output()?;
        ensure!(containers.is_empty(), "containers are left: {containers}");
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/mounts").context("list mounts")?;
    let left: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|at| MOUNTS.iter().any(|root| at.starts_with(root)))
        .collect();
    ensure!(left.is_empty(), "mounts are left: {}", left.join(", "));
    Ok(())
}
