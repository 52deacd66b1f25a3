//! The operator's own pod: who it is, how often it restarted, what its metrics say.

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::live::Live;

/// Namespace of the operator that demo and tests share.
pub const NAMESPACE: &str = "ottla-system";
/// Its Deployment.
pub const DEPLOYMENT: &str = "ottla";
/// What selects its pod.
const SELECTOR: &str = "app.kubernetes.io/name=ottla,app.kubernetes.io/instance=ottla";

/// Who relies on the shared operator, among the tests that do something to it.
static USERS: RwLock<()> = RwLock::const_new(());

/// For as long as it lives the operator may be killed, and nothing else is done to it.
pub async fn mortal() -> RwLockReadGuard<'static, ()> {
    USERS.read().await
}

/// For as long as it lives nobody else does anything to the operator, or relies on it.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    USERS.write().await
}

/// One life of the operator's container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The pod's name.
    pub pod: String,
    /// How often its container restarted.
    pub restarts: i32,
}

/// Every operator's pod that is ready.
pub async fn pods(live: &Live) -> Result<Vec<Life>> {
    let pods: Api<Pod> = Api::namespaced(live.client.clone(), NAMESPACE);
    let found = pods.list(&ListParams::default().labels(SELECTOR)).await?;
    let alive = found
        .items
        .into_iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let ready = alive.filter_map(|pod| {
        let container = pod.status?.container_statuses?.into_iter().next()?;
        let name = pod.metadata.name?;
        container.ready.then_some(Life {
            pod: name,
            restarts: container.restart_count,
        })
    });
    Ok(ready.collect())
}

/// The pod of the operator that acts, once there is one and it is ready: the Lease names it.
pub async fn pod(live: &Live) -> Result<Life> {
    let leases: Api<Lease> = Api::namespaced(live.client.clone(), NAMESPACE);
    crate::wait::until(
        "an operator to lead and to be ready",
        std::time::Duration::from_secs(60),
        async || {
            let spec = leases.get(DEPLOYMENT).await?.spec;
            let holder = spec.and_then(|spec| spec.holder_identity);
            let holder = holder.context("nobody holds the Lease")?;
            let ready = pods(live).await?;
            let leader = ready.into_iter().find(|life| life.pod == holder);
            leader.with_context(|| format!("{holder} is not ready"))
        },
    )
    .await
}

/// How many operators the Deployment asks for.
pub async fn replicas(live: &Live) -> Result<u8> {
    let deployments: Api<Deployment> = Api::namespaced(live.client.clone(), NAMESPACE);
    let spec = deployments.get(DEPLOYMENT).await?.spec;
    let replicas = spec.replicas.unwrap_or(1);
    u8::try_from(replicas).context("a number of replicas")
}

/// Kills the operator that acts without letting it finish anything, and awaits its successor.
pub async fn kill(live: &Live) -> Result<()> {
    let before = pod(live).await?;
    let pods: Api<Pod> = Api::namespaced(live.client.clone(), NAMESPACE);
    let killed = pods
        .delete(&before.pod, &DeleteParams::default().grace_period(0))
        .await;
    match killed {
        // Another test was quicker.
        Err(kube::Error::Api(error)) if error.code == 404 => {}
        other => drop(other?),
    }
    crate::wait::until(
        "another operator to lead",
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

/// The metrics of the operator that acts, as Prometheus text, by way of the API server.
pub async fn metrics(live: &Live) -> Result<String> {
    metrics_of(live, &pod(live).await?.pod).await
}

/// The metrics of one operator's pod, as Prometheus text.
pub async fn metrics_of(live: &Live, pod: &str) -> Result<String> {
    live.kubectl(&[
        "get",
        "--raw",
        &format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics"),
    ])
    .await
}
