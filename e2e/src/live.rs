//! The live cluster: a client, and `kubectl` for what a client is awkward at (exec, logs).
//!
//! It never picks a cluster by itself: the environment names it, and it must be the one `cargo xtask` made.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The kubeconfig context of the cluster that demo and tests share.
const CONTEXT: &str = "kind-ottla";

/// A connection to the cluster under test.
#[derive(Clone)]
pub struct Live {
    /// A client with the rights of the cluster's administrator.
    pub client: kube::Client,
}

impl Live {
    /// Connects, or says `SKIPPED` and answers none where no cluster was named.
    pub async fn connect(test: &str) -> Result<Option<Self>> {
        for name in ["KUBECONFIG", "OTTLA_TEST_BOOTSTRAP"] {
            if std::env::var_os(name).is_none_or(|value| value.is_empty()) {
                eprintln!("SKIPPED {test}: {name} is not set; `cargo xtask test` sets it");
                return Ok(None);
            }
        }
        let options = kube::config::KubeConfigOptions::default();
        let file = kube::config::Kubeconfig::read().context("read the kubeconfig")?;
        let context = file.current_context.clone().unwrap_or_default();
        ensure!(
            context == CONTEXT,
            "refusing to test on context {context:?}: only {CONTEXT} is ours"
        );
        let config = kube::Config::from_custom_kubeconfig(file, &options)
            .await
            .context("use the kubeconfig")?;
        let client = kube::Client::try_from(config).context("build a client")?;
        Ok(Some(Self { client }))
    }

    /// Runs kubectl and answers its standard output; fails with its standard error.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, "").await
    }

    /// Runs kubectl with something on its standard input.
    pub async fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        run(&tool("kubectl"), arguments, input).await
    }

    /// Runs helm and answers its standard output.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        run(&tool("helm"), arguments, "").await
    }
}

/// Where a tool is: beside the others that `cargo xtask` prepared, or on the path.
fn tool(name: &str) -> PathBuf {
    let prepared = std::env::var_os("OTTLA_TEST_TOOLS").map(|folder| PathBuf::from(folder).join(name));
    prepared
        .filter(|file| file.exists())
        .unwrap_or_else(|| PathBuf::from(name))
}

/// Runs a program to its end with bounded patience.
async fn run(program: &std::path::Path, arguments: &[&str], input: &str) -> Result<String> {
    let shown = || format!("{} {}", program.display(), arguments.join(" "));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", shown()))?;
    let mut stdin = child.stdin.take().context("the child has a standard input")?;
    let input = input.to_owned();
    // Written beside the reading, so that neither side waits on a full pipe. A child that reads nothing closes the
    // pipe early, which is its right.
    let writer = tokio::spawn(async move {
        let _ = stdin.write_all(input.as_bytes()).await;
    });
    let patience = std::time::Duration::from_secs(300);
    let output = tokio::time::timeout(patience, child.wait_with_output())
        .await
        .with_context(|| format!("{} took longer than {patience:?}", shown()))??;
    writer.abort();
    if !output.status.success() {
        bail!(
            "{} failed: {}",
            shown(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
