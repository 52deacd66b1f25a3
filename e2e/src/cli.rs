//! The operator's binary as a person runs it on this machine.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The longest a command may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// What a command ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to standard output.
    pub output: String,
    /// What it wrote to standard error.
    pub error: String,
}

/// Runs the operator's binary.
pub async fn operator(arguments: &[&str], input: &str) -> Result<Ended> {
    let binaries =
        std::env::var("OTTLA_TEST_BINARIES").context("OTTLA_TEST_BINARIES names the images' binaries")?;
    let binary = binaries.split(':').next().unwrap_or_default();
    let mut child = Command::new(binary)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {binary}"))?;
    let mut stdin = child.stdin.take().context("the child has a standard input")?;
    let input = input.to_owned();
    // A command that reads nothing closes the pipe early, which is its right.
    let writer = tokio::spawn(async move {
        let _ = stdin.write_all(input.as_bytes()).await;
    });
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .with_context(|| format!("{} took longer than {PATIENCE:?}", arguments.join(" ")))??;
    writer.abort();
    Ok(Ended {
        code: ended.status.code().unwrap_or(-1),
        output: String::from_utf8_lossy(&ended.stdout).into_owned(),
        error: String::from_utf8_lossy(&ended.stderr).into_owned(),
    })
}
