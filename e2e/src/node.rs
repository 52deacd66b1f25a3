//! What only the node can do: signals to a process. A pod's deletion always asks politely first.

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use tokio::process::Command;

use crate::live::Live;
use crate::scene::Scene;

/// The container that is the one node.
const NODE: &str = "ottla-control-plane";

/// Sends SIGKILL to the process of the first running pod that the selector finds, and answers the pod's name.
pub async fn kill_process(scene: &Scene, selector: &str) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(scene.live.client.clone(), &scene.namespace);
    let found = pods.list(&ListParams::default().labels(selector)).await?;
    let running = found.items.into_iter().find(|pod| container(pod).is_some());
    let pod = running.with_context(|| format!("no running pod with labels {selector}"))?;
    send(&pod, "SIGKILL").await?;
    pod.metadata.name.context("a pod has a name")
}

/// Sends a signal to the process of one running pod.
pub async fn signal(live: &Live, namespace: &str, pod: &str, signal: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(live.client.clone(), namespace);
    send(&pods.get(pod).await?, signal).await
}

/// The id of a pod's running container.
fn container(pod: &Pod) -> Option<&str> {
    let container = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    container.state.as_ref()?.running.as_ref()?;
    let id = container.container_id.as_deref()?;
    Some(id.trim_start_matches("containerd://"))
}

async fn send(pod: &Pod, signal: &str) -> Result<()> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let container = container(pod).with_context(|| format!("pod {name} does not run"))?;
    let arguments = [
        "exec", NODE, "ctr", "-n", "k8s.io", "tasks", "kill", "--signal", signal, container,
    ];
    let output = Command::new("docker")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        bail!(
            "cannot send {signal} to the process of pod {name}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
