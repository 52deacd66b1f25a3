//! What is known of a workload's children: Job, Deployment and pods, reduced to the facts decisions need.
//!
//! Pure: turns API objects into facts. It decides nothing.

use std::net::IpAddr;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStateWaiting, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::manifests::{RUN_ANNOTATION, TEMPLATE_ANNOTATION};
use super::template::CONTAINER;

/// Label the Job controller puts the pod's index in.
const INDEX_LABEL: &str = "batch.kubernetes.io/job-completion-index";

/// Whether a child's name is taken by something of another owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// There is none of that name.
    Absent,
    /// It is ours.
    Ours(T),
    /// It belongs to somebody else and stays untouched.
    Foreign,
}

impl<T> Found<T> {
    /// The child, when it is ours.
    pub fn ours(&self) -> Option<&T> {
        match self {
            Self::Ours(child) => Some(child),
            Self::Absent | Self::Foreign => None,
        }
    }
}

/// How a Job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Pods run or are to run.
    Active,
    /// Every index is done.
    Complete,
    /// Given up, with the Job's own words.
    Failed(String),
}

/// A bounded run's Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFacts {
    /// Uid, which its pods name as their owner.
    pub uid: String,
    /// `spec.suspend`.
    pub suspended: bool,
    /// State by its conditions.
    pub state: JobState,
    /// `spec.ttlSecondsAfterFinished`.
    pub ttl_seconds: Option<i32>,
    /// Number of pods wanted.
    pub replicas: i32,
    /// Number of pods ready.
    pub ready: i32,
    /// The `ConfigMap` of its template.
    pub config_map: Option<String>,
    /// It is being deleted.
    pub deleting: bool,
}

/// An endless workload's Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentFacts {
    /// Uid.
    pub uid: String,
    /// Name, which its replica sets' names begin with.
    pub name: String,
    /// Run number of its template.
    pub run: u32,
    /// Template hash it was applied with.
    pub template_hash: String,
    /// `spec.replicas`.
    pub replicas: i32,
    /// Number of pods ready.
    pub ready: i32,
    /// All pods are of the current template, and none is missing.
    pub settled: bool,
    /// The `ConfigMap` of its template.
    pub config_map: Option<String>,
    /// It is being deleted.
    pub deleting: bool,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Exit code; 137 for a kill.
    pub exit_code: i32,
    /// Kubernetes' reason, such as `OOMKilled`.
    pub reason: String,
    /// What the workload wrote to its termination log.
    pub message: String,
}

/// Where a pod stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodState {
    /// Not started, with what Kubernetes says it waits for.
    Waiting(String),
    /// Its container runs.
    Running,
    /// Its container ended and stays so.
    Ended(Ending),
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// Uid.
    pub uid: String,
    /// Name.
    pub name: String,
    /// Completion index within a Job.
    pub index: Option<u32>,
    /// Address its report is served at.
    pub ip: Option<IpAddr>,
    /// Where it stands.
    pub state: PodState,
    /// How the container before this one ended, where it was restarted in place.
    pub previous: Option<Ending>,
}

/// Tells whether the object with this metadata is a child of the owner with this uid.
#[must_use]
pub fn is_owned(metadata: &ObjectMeta, owner_uid: &str) -> bool {
    metadata
        .owner_references
        .iter()
        .flatten()
        .any(|r| r.uid == owner_uid && r.controller == Some(true))
}

/// Facts of a Job that may carry our name.
#[must_use]
pub fn job(found: Option<&Job>, owner_uid: &str) -> Found<JobFacts> {
    let Some(job) = found else { return Found::Absent };
    if !is_owned(&job.metadata, owner_uid) {
        return Found::Foreign;
    }
    let spec = job.spec.as_ref();
    let status = job.status.as_ref();
    let condition = |type_: &str| {
        status
            .and_then(|s| s.conditions.as_ref())
            .into_iter()
            .flatten()
            .find(|c| c.type_ == type_ && c.status == "True")
    };
    let state = if condition("Complete").is_some() {
        JobState::Complete
    } else if let Some(failed) = condition("Failed") {
        let reason = failed.reason.as_deref().unwrap_or("Failed");
        JobState::Failed(format!(
            "{reason}: {}",
            failed.message.as_deref().unwrap_or_default()
        ))
    } else {
        JobState::Active
    };
    Found::Ours(JobFacts {
        uid: job.metadata.uid.clone().unwrap_or_default(),
        suspended: spec.and_then(|s| s.suspend).unwrap_or_default(),
        state,
        ttl_seconds: spec.and_then(|s| s.ttl_seconds_after_finished),
        replicas: spec.and_then(|s| s.completions).unwrap_or_default(),
        ready: status.and_then(|s| s.ready).unwrap_or_default(),
        config_map: spec.and_then(|s| config_map(&s.template)),
        deleting: job.metadata.deletion_timestamp.is_some(),
    })
}

/// Facts of a Deployment that may carry our name.
#[must_use]
pub fn deployment(found: Option<&Deployment>, owner_uid: &str) -> Found<DeploymentFacts> {
    let Some(deployment) = found else {
        return Found::Absent;
    };
    if !is_owned(&deployment.metadata, owner_uid) {
        return Found::Foreign;
    }
    let annotation = |key: &str| deployment.metadata.annotations.as_ref()?.get(key);
    let replicas = deployment.spec.replicas.unwrap_or(1);
    let settled = deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation == deployment.metadata.generation
            && status.updated_replicas.unwrap_or_default() == replicas
            && status.replicas.unwrap_or_default() == replicas
            && status.ready_replicas.unwrap_or_default() == replicas
    });
    Found::Ours(DeploymentFacts {
        uid: deployment.metadata.uid.clone().unwrap_or_default(),
        name: deployment.metadata.name.clone().unwrap_or_default(),
        run: annotation(RUN_ANNOTATION)
            .and_then(|run| run.parse().ok())
            .unwrap_or_default(),
        template_hash: annotation(TEMPLATE_ANNOTATION).cloned().unwrap_or_default(),
        replicas,
        ready: deployment
            .status
            .as_ref()
            .and_then(|s| s.ready_replicas)
            .unwrap_or_default(),
        settled,
        config_map: config_map(&deployment.spec.template),
        deleting: deployment.metadata.deletion_timestamp.is_some(),
    })
}

fn config_map(template: &PodTemplateSpec) -> Option<String> {
    let volumes = template.spec.as_ref()?.volumes.as_ref()?;
    let sources = volumes
        .iter()
        .filter_map(|v| v.projected.as_ref()?.sources.as_ref())
        .flatten();
    sources
        .filter_map(|s| s.config_map.as_ref())
        .map(|c| c.name.clone())
        .next()
}

/// Tells whether a pod belongs to this Job, by uid, or to a replica set of this Deployment, by name. Labels alone
/// would let any pod of the namespace speak in a workload's name.
#[must_use]
pub fn is_pod_of(pod: &Pod, job: Option<&JobFacts>, deployment: Option<&DeploymentFacts>) -> bool {
    let Some(owner) = pod
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|r| r.controller == Some(true))
    else {
        return false;
    };
    let of_job = job.is_some_and(|job| owner.kind == "Job" && owner.uid == job.uid);
    let of_deployment = deployment.is_some_and(|deployment| {
        owner.kind == "ReplicaSet"
            && owner
                .name
                .strip_prefix(&deployment.name)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|hash| !hash.contains('-'))
    });
    of_job || of_deployment
}

/// Facts of one pod.
#[must_use]
pub fn pod(pod: &Pod) -> PodFacts {
    let status = pod.status.as_ref();
    let container = status
        .and_then(|s| s.container_statuses.as_ref())
        .into_iter()
        .flatten()
        .find(|c| c.name == CONTAINER);
    let state = container.and_then(|c| c.state.as_ref());
    let state = if let Some(ended) = state.and_then(|s| s.terminated.as_ref()) {
        PodState::Ended(ending(ended))
    } else if state.is_some_and(|s| s.running.is_some()) {
        PodState::Running
    } else if let Some(waiting) = state.and_then(|s| s.waiting.as_ref()) {
        PodState::Waiting(waits(waiting, container.map_or("", |c| c.image.as_str())))
    } else {
        PodState::Waiting(unscheduled(pod).unwrap_or_else(|| "not started".to_owned()))
    };
    PodFacts {
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        index: pod
            .metadata
            .labels
            .as_ref()
            .and_then(|l| l.get(INDEX_LABEL)?.parse().ok()),
        ip: status.and_then(|s| s.pod_ip.as_ref()?.parse().ok()),
        state,
        previous: container
            .and_then(|c| c.last_state.as_ref()?.terminated.as_ref())
            .map(ending),
    }
}

/// Why a container waits. A pull that fails goes back and forth between two reasons and many texts, the time of the next
/// try among them: it is told in one, so that a status that repeats it stays the same.
fn waits(waiting: &ContainerStateWaiting, image: &str) -> String {
    let reason = waiting.reason.as_deref().unwrap_or("Waiting");
    let message = waiting.message.as_deref().unwrap_or_default();
    match reason {
        "ErrImagePull" | "ImagePullBackOff" => {
            format!("the image {image} cannot be pulled; the pod's events tell why")
        }
        _ if message.is_empty() => reason.to_owned(),
        _ => format!("{reason}: {message}"),
    }
}

fn ending(terminated: &ContainerStateTerminated) -> Ending {
    Ending {
        exit_code: terminated.exit_code,
        reason: terminated.reason.clone().unwrap_or_default(),
        message: terminated.message.clone().unwrap_or_default(),
    }
}

fn unscheduled(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions
        .iter()
        .find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    Some(format!(
        "{}: {}",
        condition.reason.as_deref().unwrap_or("Unschedulable"),
        condition.message.as_deref().unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests;
