//! `ottla-operator release`: makes every object deletable without the operator. Never speaks to Kafka.

use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use ottla_crds::PREFIX;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::runtime::lease::LeaseName;

/// The kinds that may carry one.
const KINDS: [(&str, &str); 5] = [
    ("KafkaTopicPurge", "kafkatopicpurges"),
    ("KafkaTopic", "kafkatopics"),
    ("KafkaCluster", "kafkaclusters"),
    ("KafkaProducer", "kafkaproducers"),
    ("KafkaConsumer", "kafkaconsumers"),
];

/// Options of `ottla-operator release`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Namespaces to release objects in, separated by commas; none means every namespace.
    #[arg(
        long,
        env = "OTTLA_WATCH_NAMESPACES",
        value_delimiter = ',',
        default_value = ""
    )]
    pub watch_namespaces: Vec<String>,

    /// Scale this Deployment, namespace/name, to zero first, and wait until its pods are gone: a running operator
    /// would put its finalizers back.
    #[arg(long)]
    pub scale_down: Option<String>,

    /// Delete this Lease, namespace/name, once the operators have stopped: nobody holds it any more.
    #[arg(long)]
    pub lease: Option<LeaseName>,

    /// Longest wait for the pods to go, in seconds.
    #[arg(long, default_value_t = 120)]
    pub timeout_seconds: u64,
}

/// Takes our finalizers off every object.
///
/// # Errors
/// When an object could not be released, or the operator does not stop.
pub async fn run(client: Client, options: Options) -> anyhow::Result<()> {
    if let Some(deployment) = &options.scale_down {
        let patience = Duration::from_secs(options.timeout_seconds);
        scale_down(&client, deployment, patience).await?;
    }
    if let Some(lease) = &options.lease {
        forget(&client, lease).await;
    }
    let mut namespaces: Vec<&str> = options
        .watch_namespaces
        .iter()
        .map(|name| name.trim())
        .filter(|name| !name.is_empty())
        .collect();
    namespaces.dedup();
    let mut released = 0;
    for (kind, plural) in KINDS {
        let gvk = GroupVersionKind::gvk(ottla_crds::GROUP, ottla_crds::VERSION, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let all = || Api::<DynamicObject>::all_with(client.clone(), &resource);
        if namespaces.is_empty() {
            released += release_kind(&client, &all(), &resource).await?;
        }
        for namespace in &namespaces {
            let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
            released += release_kind(&client, &api, &resource).await?;
        }
    }
    info!(objects = released, "Released objects");
    Ok(())
}

async fn release_kind(
    client: &Client,
    api: &Api<DynamicObject>,
    resource: &ApiResource,
) -> anyhow::Result<usize> {
    let kind = &resource.kind;
    let objects = match api.list_metadata(&ListParams::default()).await {
        Ok(objects) => objects,
        // The definition is gone, and every object with it.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("could not list objects of kind {kind}")),
    };
    let mut released = 0;
    for object in objects.items {
        if !object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer.starts_with(PREFIX))
        {
            continue;
        }
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let own = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, resource);
        strip(&own, &name)
            .await
            .with_context(|| format!("could not release {kind} {namespace}/{name}"))?;
        info!(kind, namespace, name, "Released object");
        released += 1;
    }
    Ok(released)
}

/// Takes our finalizers off one object, beginning anew when somebody else changes it meanwhile.
async fn strip(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    for _ in 0..5 {
        let Some(object) = api.get_metadata_opt(name).await? else {
            return Ok(());
        };
        let kept: Vec<&String> = object
            .finalizers()
            .iter()
            .filter(|f| !f.starts_with(PREFIX))
            .collect();
        let patch = json!({
            "metadata": { "resourceVersion": object.metadata.resource_version, "finalizers": kept }
        });
        match api
            .patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the object changes all the time")
}

/// Deletes the Lease. One that is left does no harm.
async fn forget(client: &Client, lease: &LeaseName) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), &lease.namespace);
    match leases.delete(&lease.name, &DeleteParams::default()).await {
        Ok(_) => info!(%lease, "Deleted Lease"),
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => warn!(%lease, %error, "Could not delete the Lease"),
    }
}

async fn scale_down(client: &Client, deployment: &str, patience: Duration) -> anyhow::Result<()> {
    let (namespace, name) = deployment
        .split_once('/')
        .context("--scale-down takes namespace/name")?;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let patch = json!({ "spec": { "replicas": 0 } });
    let scaled = match deployments
        .patch_scale(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        Ok(_) => deployments.get_opt(name).await?,
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        Err(error) => {
            return Err(error).with_context(|| format!("could not scale Deployment {deployment} to zero"));
        }
    };
    let Some(scaled) = scaled else { return Ok(()) };
    let labels = scaled.spec.selector.match_labels.unwrap_or_default();
    let selector = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",");
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let give_up = Instant::now() + patience;
    loop {
        let left = pods
            .list_metadata(&ListParams::default().labels(&selector))
            .await?
            .items
            .len();
        if left == 0 {
            info!(deployment, "Operator has stopped");
            return Ok(());
        }
        if Instant::now() > give_up {
            bail!("{left} pods of Deployment {deployment} are still there after {patience:?}");
        }
        sleep(Duration::from_millis(500)).await;
    }
}
