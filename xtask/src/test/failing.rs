//! What tests of failures run as processes of this machine: an operator that can be told where to die, and a Kubernetes
//! API of their own, which they may kill.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cmd::Cmd;
use crate::{images, paths, ui};

const NODE: &str = "ottla-control-plane";
/// Copies the program of a running process, which is static, out of the node: the same on every way to a cluster.
const COPY: &str = "docker exec \"$1\" sh -c 'for p in /proc/[0-9]*; do \
    if [ \"$(cat $p/comm 2>/dev/null)\" = \"$0\" ]; then exec cat $p/exe; fi; done; exit 1' \"$2\" >\"$3\" && chmod +x \"$3\"";

/// The programs.
pub(super) struct Failing {
    operator: PathBuf,
    etcd: PathBuf,
    server: PathBuf,
}

impl Failing {
    /// Tells a command where they are.
    pub(super) fn environment(&self, command: Cmd) -> Cmd {
        command
            .env("OTTLA_TEST_FAILPOINT_OPERATOR", &self.operator)
            .env("OTTLA_TEST_ETCD", &self.etcd)
            .env("OTTLA_TEST_KUBE_APISERVER", &self.server)
    }
}

/// Builds the operator, and gets the others from the node.
pub(super) fn ensure() -> Result<Failing> {
    let operator = ui::step("build an operator with failpoints", |_| operator())?;
    let folder = paths::cache().join("control-plane");
    fs::create_dir_all(&folder)?;
    ui::step("get a Kubernetes API for tests to kill", |_| {
        Ok(Failing {
            operator,
            etcd: copy("etcd", &folder)?,
            server: copy("kube-apiserver", &folder)?,
        })
    })
}

/// The operator with failpoints, beside the one without, which other tests run.
fn operator() -> Result<PathBuf> {
    let args = [
        "build",
        "-p",
        "ottla-operator",
        "--bin",
        "ottla-operator",
        "--features",
        "ottla-operator/failpoints",
        "--message-format=json-render-diagnostics",
    ];
    let messages = Cmd::new("cargo")
        .args(args)
        .dir(paths::repo())
        .log("cargo-failpoints")
        .deadline(Duration::from_secs(30 * 60))
        .output()?;
    let built = messages
        .lines()
        .filter_map(images::executable)
        .find(|file| file.ends_with("ottla-operator"))
        .context("cargo built no ottla-operator")?;
    // The next build without the feature would put another in its place.
    let kept = built.with_file_name("ottla-operator-failpoints");
    fs::copy(&built, &kept).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(kept)
}

fn copy(program: &str, folder: &Path) -> Result<PathBuf> {
    let file = folder.join(program);
    Cmd::new("sh")
        .args(["-c", COPY, "sh", NODE, program])
        .arg(&file)
        .run()
        .with_context(|| format!("cannot copy {program} out of the node"))?;
    Ok(file)
}
