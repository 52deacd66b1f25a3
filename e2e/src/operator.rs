//! The operator's own pod: who it is, how often it restarted, what its metrics say.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};

use crate::live::Live;

/// Namespace of the operator that demo and tests share.
pub const NAMESPACE: &str = "ottla-system";
/// Its Deployment.
pub const DEPLOYMENT: &str = "ottla";
/// What selects its pod.
const SELECTOR: &str = "app.kubernetes.io/name=ottla,app.kubernetes.io/instance=ottla";

/// One life of the operator's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The pod's name.
    pub pod: String,
    /// How often its container restarted.
    pub restarts: i32,
}

/// The operator's pod as it is, once it is ready.
pub async fn pod(live: &Live) -> Result<Life> {
    let pods: Api<Pod> = Api::namespaced(live.client.clone(), NAMESPACE);
    crate::wait::until(
        "the operator's pod to be ready",
        std::time::Duration::from_secs(60),
        async || {
            let found = pods.list(&ListParams::default().labels(SELECTOR)).await?;
            let alive = found
                .items
                .into_iter()
                .filter(|pod| pod.metadata.deletion_timestamp.is_none());
            let mut ready = alive.filter_map(|pod| {
                let container = pod.status?.container_statuses?.into_iter().next()?;
                let name = pod.metadata.name?;
                container.ready.then_some(Life {
                    pod: name,
                    restarts: container.restart_count,
                })
            });
            ready.next_back().context("no ready pod")
        },
    )
    .await
}

/// Kills the operator without letting it finish anything, and awaits its successor.
pub async fn kill(live: &Live) -> Result<()> {
    let before = pod(live).await?;
    let pods: Api<Pod> = Api::namespaced(live.client.clone(), NAMESPACE);
    pods.delete(&before.pod, &DeleteParams::default().grace_period(0))
        .await?;
    crate::wait::until(
        "the operator's next pod",
        std::time::Duration::from_secs(90),
        async || {
            let now = pod(live).await?;
            if now.pod == before.pod {
                Err(anyhow::anyhow!("still {}", now.pod))
            } else {
                Ok(())
            }
        },
    )
    .await
}

/// Scales the operator's Deployment, and awaits that its pods follow.
pub async fn scale(live: &Live, replicas: u8) -> Result<()> {
    let count = format!("--replicas={replicas}");
    live.kubectl(&["-n", NAMESPACE, "scale", "deployment", DEPLOYMENT, &count])
        .await?;
    if replicas > 0 {
        return pod(live).await.map(drop);
    }
    let pods: Api<Pod> = Api::namespaced(live.client.clone(), NAMESPACE);
    crate::wait::until(
        "the operator's pods to be gone",
        std::time::Duration::from_secs(60),
        async || {
            let left = pods
                .list(&ListParams::default().labels(SELECTOR))
                .await?
                .items
                .len();
            if left == 0 {
                Ok(())
            } else {
                Err(anyhow::anyhow!("{left} left"))
            }
        },
    )
    .await
}

/// The operator's metrics as Prometheus text, by way of the API server.
pub async fn metrics(live: &Live) -> Result<String> {
    let name = pod(live).await?.pod;
    live.kubectl(&[
        "get",
        "--raw",
        &format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}:8080/proxy/metrics"),
    ])
    .await
}
