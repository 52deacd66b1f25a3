//! `cargo xtask dev`: the operator as a local process that sees what a pod sees.
//!
//! From the host, cluster DNS, advertised pod names and pod addresses are out of reach. So the process runs inside the
//! node's network namespace, with CoreDNS as its resolver and the service account of the Deployment, whose own pod
//! is scaled away for as long.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cmd::Cmd;
use crate::demo::{RELEASE, SYSTEM};
use crate::kubectl::{self, kubectl, text};
use crate::{images, paths, ui};

const NODE: &str = "ottla-control-plane";
/// What the process is run by: it gets a resolver of its own, then the node's network, then becomes the operator.
const LAUNCH: &str = "mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";
/// How long one session may last; the service account's token ends with it.
const SESSION: Duration = Duration::from_secs(8 * 3600);

/// Arguments of `cargo xtask dev`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The operator's log filter
    #[arg(long, default_value = "info,ottla=debug")]
    log: String,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<()> {
    let replicas = replicas()?;
    let images = images::ensure()?;
    let binary = ui::step("build the operator", |_| build())?;
    let work = tempfile::tempdir()?;
    let resolver = write_resolver(work.path())?;
    let kubeconfig = write_kubeconfig(work.path())?;
    scale(0)?;
    ui::note("Ctrl-C ends it; `cargo xtask demo` brings the Deployment back");
    let outcome = operator(&node_pid()?, &binary, &resolver, args)
        .env("KUBECONFIG", &kubeconfig)
        .env("OTTLA_WORKLOAD_IMAGE", images.workload.reference())
        .run();
    scale(replicas)?;
    outcome
}

/// The operator's process, seen from inside the node's network.
fn operator(pid: &str, binary: &Path, resolver: &Path, args: &Args) -> Cmd {
    let node = format!("--net=/proc/{pid}/ns/net");
    Cmd::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", LAUNCH, "sh"])
        .arg(resolver)
        .args(["nsenter", &node])
        .arg(binary)
        .args(["run", "--log-format", "text"])
        .env("RUST_LOG", &args.log)
        .inherit()
        .deadline(SESSION)
}

fn build() -> Result<PathBuf> {
    let args = [
        "build",
        "-p",
        "ottla-operator",
        "--bin",
        "ottla-operator",
        "--message-format=json-render-diagnostics",
    ];
    let messages = Cmd::new("cargo")
        .args(args)
        .dir(paths::repo())
        .deadline(Duration::from_secs(30 * 60))
        .output()?;
    let found = messages
        .lines()
        .filter_map(images::executable)
        .find(|file| file.ends_with("ottla-operator"));
    found.context("cargo built no ottla-operator")
}

fn node_pid() -> Result<String> {
    Cmd::new("docker")
        .args(["inspect", "--format", "{{.State.Pid}}", NODE])
        .output()
}

/// The resolver configuration of a pod.
fn write_resolver(folder: &Path) -> Result<PathBuf> {
    let service = kubectl::get(&["-n", "kube-system", "service", "kube-dns"])?
        .context("the cluster has no kube-dns")?;
    let address = text(&service, "/spec/clusterIP");
    let search = format!("{SYSTEM}.svc.cluster.local svc.cluster.local cluster.local");
    let file = folder.join("resolv.conf");
    fs::write(
        &file,
        format!("nameserver {address}\nsearch {search}\noptions ndots:5\n"),
    )?;
    Ok(file)
}

/// A kubeconfig with the rights of the Deployment's service account and no more, for the API server as the node sees it.
fn write_kubeconfig(folder: &Path) -> Result<PathBuf> {
    let nodes = kubectl::get(&["nodes"])?.context("the cluster has no nodes")?;
    let addresses = nodes
        .pointer("/items/0/status/addresses")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let internal = addresses
        .iter()
        .find(|one| text(one, "/type") == "InternalIP")
        .context("the node has no address")?;
    let server = format!("https://{}:6443", text(internal, "/address"));
    let view = [
        "config",
        "view",
        "--raw",
        "--minify",
        "-o",
        "jsonpath={.clusters[0].cluster.certificate-authority-data}",
    ];
    let authority = kubectl().args(view).output()?;
    let account = kubectl::get(&["-n", SYSTEM, "deployment", RELEASE])?.unwrap_or_default();
    let account = text(&account, "/spec/template/spec/serviceAccountName").to_owned();
    let token = kubectl()
        .args(["-n", SYSTEM, "create", "token", &account, "--duration=8h"])
        .output()?;
    if token.is_empty() || authority.is_empty() {
        bail!("cannot make a kubeconfig for the service account {account}");
    }
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "dev",
        "clusters": [{"name": "dev", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": "dev", "user": {"token": token}}],
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "dev", "namespace": SYSTEM}}],
    });
    let file = folder.join("kubeconfig");
    fs::write(&file, serde_json::to_vec(&config)?)?;
    Ok(file)
}

/// How many operators the Deployment asks for; one, where an interrupted session left none.
pub(crate) fn replicas() -> Result<u64> {
    let deployment = kubectl::get(&["-n", SYSTEM, "deployment", RELEASE])?;
    let deployment = deployment.context("the operator is not installed: run `cargo xtask demo` once")?;
    let replicas = deployment.pointer("/spec/replicas").and_then(Value::as_u64);
    Ok(replicas.filter(|replicas| *replicas > 0).unwrap_or(1))
}

/// Scales the Deployment, and waits until its pods follow.
pub(crate) fn scale(replicas: u64) -> Result<()> {
    ui::step(&format!("scale deployment/{RELEASE} to {replicas}"), |step| {
        let count = format!("--replicas={replicas}");
        kubectl()
            .args(["-n", SYSTEM, "scale", &format!("deployment/{RELEASE}"), &count])
            .run()?;
        ui::wait(step, "its pods to follow", Duration::from_secs(60), || {
            let now = kubectl::get(&["-n", SYSTEM, "deployment", RELEASE])?.unwrap_or_default();
            let pods = now
                .pointer("/status/replicas")
                .and_then(Value::as_u64)
                .unwrap_or(0);
            Ok(if pods == replicas {
                ui::Look::Ready(())
            } else {
                ui::Look::NotYet(format!("{pods} pods"))
            })
        })
    })
}
