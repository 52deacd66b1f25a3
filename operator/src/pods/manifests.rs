//! The Kubernetes children of a workload object: a `ConfigMap` and a Job (bounded) or a Deployment (endless).
//!
//! Pure. Same input, same bytes: the names carry content hashes, so a difference in a manifest is a difference in
//! what the user declared or in the operator's own version.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ottla_crds::pod::PodSettings;

use super::names::{self, Role};
use super::template::{self, CONFIG_FILE, CONTAINER, Certificates, Credentials, USERNAME_KEY, Username};

/// Annotation of a Deployment: number of the run its template stands for.
pub const RUN_ANNOTATION: &str = "ottla.dev/run";
/// Annotation of a Deployment: hash of everything but the run number that its pods are made of.
pub const TEMPLATE_ANNOTATION: &str = "ottla.dev/template";
/// Exit code of a workload that was told to stop before its share was done; no fault of the pod.
pub const INTERRUPTED: i32 = 143;
/// How many failures of its pods end a bounded run, beyond one of each pod. Not a limit per index: see `docs/adr/0002`.
const RETRIES: i32 = 5;

/// The object children belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `apiVersion` of the object.
    pub api_version: String,
    /// Kind of the object.
    pub kind: String,
    /// Namespace the object and its children live in.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Uid of the object: a child of a deleted namesake is not ours.
    pub uid: String,
}

/// Everything the children of one object are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The object.
    pub owner: Owner,
    /// Produces or consumes.
    pub role: Role,
    /// Number of pods.
    pub replicas: i32,
    /// No pods for now.
    pub suspended: bool,
    /// Image of the workload.
    pub image: String,
    /// The configuration file, as the pods read it.
    pub config: String,
    /// Files to authenticate with; none for a listener without authentication.
    pub credentials: Option<Credentials>,
    /// Files to encrypt with; none for a listener without TLS.
    pub certificates: Option<Certificates>,
    /// The user's settings for the pods.
    pub settings: PodSettings,
}

impl Workload {
    /// Name of the Job or Deployment.
    #[must_use]
    pub fn child(&self) -> String {
        names::child_name(self.role, &self.owner.name)
    }

    /// Hash of all that pods are made of; a change of it makes a new run of an endless workload.
    #[must_use]
    pub fn template_hash(&self) -> String {
        let template = template::pod_template(self, "", "");
        let parts = serde_json::json!([template, self.config, literal_username(self)]);
        names::short_hash(parts.to_string().as_bytes(), 16)
    }
}

/// The `ConfigMap` with the configuration file and a literal user name, named by its content.
#[must_use]
pub fn config_map(workload: &Workload) -> ConfigMap {
    let mut data = BTreeMap::from([(CONFIG_FILE.to_owned(), workload.config.clone())]);
    if let Some(username) = literal_username(workload) {
        data.insert(USERNAME_KEY.to_owned(), username.to_owned());
    }
    ConfigMap {
        metadata: metadata(workload, config_map_name(workload), BTreeMap::new()),
        data: Some(data),
        immutable: Some(true),
        ..ConfigMap::default()
    }
}

/// Name of [`config_map`] for this workload.
#[must_use]
pub fn config_map_name(workload: &Workload) -> String {
    let content = [
        workload.config.as_str(),
        literal_username(workload).unwrap_or_default(),
    ]
    .join("\0");
    names::config_name(&workload.child(), content.as_bytes())
}

fn literal_username(workload: &Workload) -> Option<&str> {
    match &workload.credentials.as_ref()?.username {
        Username::Literal(name) => Some(name),
        Username::Secret(_) => None,
    }
}

/// The Indexed Job of a bounded run. It has no ttl: the operator sets one when it has stored the results.
#[must_use]
pub fn job(workload: &Workload) -> Job {
    Job {
        metadata: metadata(workload, workload.child(), BTreeMap::new()),
        spec: Some(JobSpec {
            completion_mode: Some("Indexed".to_owned()),
            completions: Some(workload.replicas),
            parallelism: Some(workload.replicas),
            suspend: Some(workload.suspended),
            backoff_limit: Some(workload.replicas.saturating_add(RETRIES)),
            pod_replacement_policy: Some("Failed".to_owned()),
            pod_failure_policy: Some(PodFailurePolicy {
                rules: failure_rules(),
            }),
            template: template::pod_template(workload, &config_map_name(workload), "Never"),
            ..JobSpec::default()
        }),
        status: None,
    }
}

fn failure_rules() -> Vec<PodFailurePolicyRule> {
    let ignore = |codes, conditions| PodFailurePolicyRule {
        action: "Ignore".to_owned(),
        on_exit_codes: codes,
        on_pod_conditions: conditions,
    };
    vec![
        ignore(
            None,
            Some(vec![PodFailurePolicyOnPodConditionsPattern {
                type_: "DisruptionTarget".to_owned(),
                status: Some("True".to_owned()),
            }]),
        ),
        ignore(
            Some(PodFailurePolicyOnExitCodesRequirement {
                container_name: Some(CONTAINER.to_owned()),
                operator: "In".to_owned(),
                values: vec![INTERRUPTED],
            }),
            None,
        ),
    ]
}

/// The Deployment of an endless workload, for the run with this number.
#[must_use]
pub fn deployment(workload: &Workload, run: u32, template_hash: &str) -> Deployment {
    let annotations = BTreeMap::from([
        (RUN_ANNOTATION.to_owned(), run.to_string()),
        (TEMPLATE_ANNOTATION.to_owned(), template_hash.to_owned()),
    ]);
    Deployment {
        metadata: metadata(workload, workload.child(), annotations),
        spec: DeploymentSpec {
            replicas: Some(if workload.suspended { 0 } else { workload.replicas }),
            revision_history_limit: Some(1),
            selector: LabelSelector {
                match_labels: Some(names::selector_labels(workload.role, &workload.owner.name)),
                match_expressions: None,
            },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(1)),
                }),
            }),
            template: template::pod_template(workload, &config_map_name(workload), "Always"),
            ..DeploymentSpec::default()
        },
        status: None,
    }
}

fn metadata(workload: &Workload, name: String, annotations: BTreeMap<String, String>) -> ObjectMeta {
    let owner = &workload.owner;
    ObjectMeta {
        name: Some(name),
        namespace: Some(owner.namespace.clone()),
        labels: Some(names::selector_labels(workload.role, &owner.name)),
        annotations: (!annotations.is_empty()).then_some(annotations),
        owner_references: Some(vec![OwnerReference {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(false),
        }]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
