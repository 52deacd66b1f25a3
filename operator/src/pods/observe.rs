//! Reads the children of one workload object: from the stores, and from the API server where an absence decides.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use ottla_crds::common::SecretKeyRef;

use super::children::{self, DeploymentFacts, Found, JobFacts, JobState, PodFacts};
use super::manifests::Owner;
use super::names::{self, Role};
use super::target::Target;
use super::template::{Certificates, SecretKey, Username};
use crate::connections::secret::{self, SecretProblem};
use crate::runtime::apply::call;
use crate::runtime::store::Entry;
use crate::runtime::{Context, Error, Key};

/// The children of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Children<T> {
    /// The Job or the Deployment.
    pub child: Found<T>,
    /// Its pods, by name.
    pub pods: Vec<PodFacts>,
}

/// The Job of a bounded run and its pods. `recorded` says that the results of its end are stored.
///
/// # Errors
///
/// When the API server does not answer.
pub async fn bounded(
    ctx: &Context,
    role: Role,
    owner: &Owner,
    recorded: bool,
) -> Result<Children<JobFacts>, Error> {
    let key = Key::new(&owner.namespace, names::child_name(role, &owner.name));
    let store = &ctx.stores.jobs;
    let mut job = store.object(&key);
    if job.is_none() {
        // The store knows labelled Jobs only, and may lag: whether a run was started is asked where it is known.
        let api: Api<Job> = Api::namespaced(ctx.client.clone(), &key.namespace);
        job = call("read the Job", api.get_opt(&key.name))
            .await?
            .map(Into::into);
    }
    let child = children::job(job.as_deref(), &owner.uid);
    let known = match child.ours() {
        // Last words are read once: what the store has may be older than the Job's end.
        Some(job) if job.state != JobState::Active && !recorded => live_pods(ctx, role, owner).await?,
        _ => ctx.stores.pods.objects(),
    };
    let pods = pods(&known, role, owner, child.ours(), None);
    Ok(Children { child, pods })
}

/// The Deployment of an endless workload and its pods.
///
/// # Errors
///
/// When the API server does not answer.
pub async fn endless(ctx: &Context, role: Role, owner: &Owner) -> Result<Children<DeploymentFacts>, Error> {
    let key = Key::new(&owner.namespace, names::child_name(role, &owner.name));
    let mut deployment = ctx.stores.deployments.object(&key);
    if deployment.is_none() {
        let api: Api<Deployment> = Api::namespaced(ctx.client.clone(), &key.namespace);
        deployment = call("read the Deployment", api.get_opt(&key.name))
            .await?
            .map(Into::into);
    }
    let child = children::deployment(deployment.as_deref(), &owner.uid);
    let pods = pods(&ctx.stores.pods.objects(), role, owner, None, child.ours());
    Ok(Children { child, pods })
}

async fn live_pods(ctx: &Context, role: Role, owner: &Owner) -> Result<Vec<Arc<Pod>>, Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &owner.namespace);
    let params = ListParams::default().labels(&names::selector(role, &owner.name));
    let listed = call("list pods", api.list(&params)).await?;
    Ok(listed.items.into_iter().map(Arc::new).collect())
}

fn pods(
    known: &[Arc<Pod>],
    role: Role,
    owner: &Owner,
    job: Option<&JobFacts>,
    deployment: Option<&DeploymentFacts>,
) -> Vec<PodFacts> {
    let labels = names::selector_labels(role, &owner.name);
    let mut pods: Vec<PodFacts> = known
        .iter()
        .filter(|pod| pod.metadata.namespace.as_ref() == Some(&owner.namespace))
        .filter(|pod| {
            labels
                .iter()
                .all(|(key, value)| pod.labels().get(key) == Some(value))
        })
        .filter(|pod| children::is_pod_of(pod, job, deployment))
        .map(|pod| children::pod(pod))
        .collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods
}

/// Names of the configurations of an object that exist.
///
/// # Errors
///
/// When the API server does not answer.
pub async fn configs(ctx: &Context, role: Role, owner: &Owner) -> Result<Vec<String>, Error> {
    let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &owner.namespace);
    let params = ListParams::default().labels(&names::selector(role, &owner.name));
    let listed = call("list configurations", api.list_metadata(&params)).await?;
    let ours = listed
        .items
        .iter()
        .filter(|config| children::is_owned(&config.metadata, &owner.uid));
    Ok(ours.map(ResourceExt::name_any).collect())
}

/// What is wrong with the Secrets the pods would mount, if anything: a pod would wait for them without a word.
///
/// # Errors
///
/// When the API server does not answer.
pub async fn missing_credentials(
    ctx: &Context,
    namespace: &str,
    target: &Target,
) -> Result<Option<SecretProblem>, Error> {
    let mut values = Vec::new();
    if let Some(credentials) = &target.credentials {
        if let Username::Secret(key) = &credentials.username {
            values.push(key);
        }
        values.push(&credentials.password);
    }
    for key in values {
        if let Err(problem) = secret::read(ctx, namespace, &reference(key)).await? {
            return Ok(Some(problem));
        }
    }
    for (key, _) in target.certificates.iter().flat_map(Certificates::keys) {
        if let Err(problem) = secret::read_pem(ctx, namespace, &reference(&key)).await? {
            return Ok(Some(problem));
        }
    }
    Ok(None)
}

fn reference(key: &SecretKey) -> SecretKeyRef {
    SecretKeyRef {
        name: key.secret.clone(),
        key: key.key.clone(),
    }
}

/// Key of the workload object that a child or a pod belongs to, as far as the stores tell.
#[must_use]
pub fn owner_of_pod(ctx: &Context, pod: &Pod) -> Option<(Role, Key)> {
    let owner = pod
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|r| r.controller == Some(true))?;
    let namespace = pod.metadata.namespace.clone()?;
    let child = match owner.kind.as_str() {
        "Job" => Entry::meta(&ctx.stores.jobs.get(&Key::new(&namespace, &owner.name))?).clone(),
        "ReplicaSet" => {
            let (deployment, _) = owner.name.rsplit_once('-')?;
            Entry::meta(&ctx.stores.deployments.get(&Key::new(&namespace, deployment))?).clone()
        }
        _ => return None,
    };
    owner_of(&child)
}

/// Key of the workload object that owns a Job or Deployment.
#[must_use]
pub fn owner_of(child: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Option<(Role, Key)> {
    let owner = child
        .owner_references
        .iter()
        .flatten()
        .find(|r| r.controller == Some(true))?;
    let role = match owner.kind.as_str() {
        "KafkaProducer" => Role::Producer,
        "KafkaConsumer" => Role::Consumer,
        _ => return None,
    };
    Some((role, Key::new(child.namespace.clone()?, &owner.name)))
}
