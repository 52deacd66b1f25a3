//! kubectl against the `ottla` cluster, whatever the caller's own kubeconfig says.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cmd::Cmd;
use crate::paths;

/// A kubectl command to be completed with arguments.
pub fn kubectl() -> Cmd {
    Cmd::new(paths::tool("kubectl")).env("KUBECONFIG", paths::kubeconfig())
}

/// Applies YAML server-side, taking over fields that someone else set.
pub fn apply(yaml: &str) -> Result<()> {
    let args = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=ottla-xtask",
        "-f",
        "-",
    ];
    kubectl().args(args).stdin(yaml).run()
}

/// `kubectl get ... -o json`, parsed; none when the object (or its type) does not exist.
pub fn get(args: &[&str]) -> Result<Option<Value>> {
    let finished = kubectl()
        .arg("get")
        .args(args)
        .args(["-o", "json", "--ignore-not-found"])
        .finish()?;
    if !finished.success {
        if finished.stderr.contains("NotFound") || finished.stderr.contains("doesn't have a resource type") {
            return Ok(None);
        }
        anyhow::bail!(
            "kubectl get {} failed: {}",
            args.join(" "),
            finished.stderr.trim()
        );
    }
    if finished.stdout.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&finished.stdout)
        .map(Some)
        .with_context(|| format!("kubectl get {} did not answer with JSON", args.join(" ")))
}

/// The value at a JSON pointer as text; empty when absent.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
