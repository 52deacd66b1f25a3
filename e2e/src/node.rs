//! What only the node can do: end a process the hard way. A pod's deletion always asks politely first.

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use tokio::process::Command;

use crate::scene::Scene;

/// The container that is the one node.
const NODE: &str = "ottla-control-plane";

/// Sends SIGKILL to the process of the first running pod that the selector finds, and answers the pod's name.
pub async fn kill_process(scene: &Scene, selector: &str) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(scene.live.client.clone(), &scene.namespace);
    let found = pods.list(&ListParams::default().labels(selector)).await?;
    let running = found.items.into_iter().find_map(|pod| {
        let container = pod.status?.container_statuses?.into_iter().next()?;
        container.state?.running?;
        Some((pod.metadata.name?, container.container_id?))
    });
    let (name, container) = running.with_context(|| format!("no running pod with labels {selector}"))?;
    let container = container.trim_start_matches("containerd://");
    let arguments = [
        "exec", NODE, "ctr", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container,
    ];
    let output = Command::new("docker")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        bail!(
            "cannot kill the process of pod {name}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(name)
}
