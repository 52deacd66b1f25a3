//! The container engine: uses the one that runs, else installs and starts Docker's.
//!
//! A daemon we start is ours to stop: its pid file in our own run directory is the only sign that it is.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{is_root, may_hold_sys_resource, packages, which};
use crate::cache::Recipe;
use crate::cmd::Cmd;
use crate::paths;
use crate::rig::tools;
use crate::ui::{self, Look};

/// How long a daemon may take to answer after its start.
const START: Duration = Duration::from_secs(60);

/// A docker command.
pub fn docker() -> Cmd {
    // The engine may predate BuildKit, and none of our image definitions needs it.
    Cmd::new("docker")
        .env("DOCKER_BUILDKIT", "0")
        .env("DOCKER_CLI_HINTS", "false")
        .deadline(Duration::from_secs(300))
}

/// Whether an engine answers.
pub fn is_running() -> bool {
    let asked = docker()
        .args(["version", "--format", "{{.Server.Version}}"])
        .deadline(Duration::from_secs(15));
    which("docker").is_some() && asked.finish().is_ok_and(|finished| finished.success)
}

/// Makes sure that an engine answers.
pub fn ensure() -> Result<()> {
    if is_running() {
        return Ok(());
    }
    packages::ensure(packages::ENGINE)?;
    if is_running() {
        return Ok(());
    }
    if Path::new("/run/systemd/system").exists() {
        return ui::step("start the container engine (systemctl start docker)", |step| {
            Cmd::new("systemctl").args(["start", "docker"]).run()?;
            await_answer(step, || Ok(()))
        });
    }
    if !is_root() {
        bail!("no container engine answers, and only root can start one; start it and run this again");
    }
    start()
}

/// Starts dockerd detached, with its output in a file and its pid in our run directory.
fn start() -> Result<()> {
    let wrapper = if may_hold_sys_resource() {
        None
    } else {
        Some(runc_wrapper()?)
    };
    ui::step("start the container engine (dockerd, detached)", |step| {
        fs::create_dir_all(paths::logs())?;
        fs::create_dir_all(paths::run())?;
        let log = File::create(log_file()).context("cannot create dockerd's log")?;
        let mut daemon = Command::new("dockerd");
        daemon.arg("--pidfile").arg(pid_file());
        if let Some(wrapper) = wrapper {
            step.say("this host withholds CAP_SYS_RESOURCE; containers are started without asking for it");
            daemon
                .arg("--add-runtime")
                .arg(format!("ottla={}", wrapper.display()));
            daemon.args(["--default-runtime", "ottla"]);
        }
        daemon
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let mut child = daemon.spawn().context("cannot start dockerd")?;
        await_answer(step, || match child.try_wait()? {
            Some(status) => bail!("dockerd ended ({status}); its last words:\n{}", last_words()),
            None => Ok(()),
        })
    })
}

fn await_answer(step: &ui::Step, mut alive: impl FnMut() -> Result<()>) -> Result<()> {
    ui::wait(step, "the container engine to answer", START, || {
        alive()?;
        Ok(if is_running() {
            Look::Ready(())
        } else {
            Look::NotYet(format!("no answer; see {}", log_file().display()))
        })
    })
}

fn runc_wrapper() -> Result<PathBuf> {
    let source = paths::repo().join("rig/runc");
    let recipe = Recipe::new("runc").text(tools::go_version()?).path(&source)?;
    let dir = recipe.ensure("a wrapper of runc", |_, dir| {
        tools::build(&source, &["."], &[], dir, "runc")
    })?;
    Ok(dir.join("runc"))
}

/// The pid of the daemon we started, if it still runs.
pub fn ours() -> Option<Pid> {
    let pid = Pid::from_raw(fs::read_to_string(pid_file()).ok()?.trim().parse().ok()?)?;
    let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).ok()?;
    (name.trim() == "dockerd" && test_kill_process(pid).is_ok()).then_some(pid)
}

/// Stops the daemon if it is one we started, and unmounts what it leaves mounted.
pub fn stop() -> Result<()> {
    let Some(pid) = ours() else { return Ok(()) };
    ui::step("stop the container engine that was started for the rig", |step| {
        kill_process(pid, Signal::TERM).context("cannot signal dockerd")?;
        ui::wait(step, "dockerd to end", START, || {
            let gone = test_kill_process(pid).is_err() || is_zombie(pid);
            Ok(if gone {
                Look::Ready(())
            } else {
                Look::NotYet("it still runs".to_owned())
            })
        })?;
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let left = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for at in left.filter(|at| at.starts_with("/run/docker/") || at.starts_with("/var/lib/docker/")) {
            Cmd::new("umount").args(["--lazy", at]).run()?;
        }
        match fs::remove_file(pid_file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    })
}

/// A daemon whose parent does not collect it is as good as gone.
fn is_zombie(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && line.contains('Z'))
}

fn pid_file() -> PathBuf {
    paths::run().join("dockerd.pid")
}

fn log_file() -> PathBuf {
    paths::logs().join("dockerd.log")
}

fn last_words() -> String {
    let text = fs::read_to_string(log_file()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
