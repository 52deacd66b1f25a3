//! The pod of a workload: one container, everything it may not do spelled out.
//!
//! Pure. The pod passes the restricted Pod Security profile; it has no service account token, no host access and
//! no volume but the one that projects its configuration and credentials.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapProjection, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    KeyToPath, LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec, PodTemplateSpec,
    Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecretProjection, SecurityContext,
    Toleration, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ottla_contract::config::{POD_NAME_VARIABLE, TERMINATION_FILE};
use ottla_crds::pod::{PodSettings, Quantities, Resources, TolerationOperator};

use super::manifests::Workload;
use super::names;
use crate::connections::secret::{CERTIFICATE, PRIVATE_KEY};

/// The only container's name; the pod failure policy of a Job refers to it.
pub const CONTAINER: &str = "workload";
/// Port of `/report`, `/metrics`, `/healthz` and `/readyz`.
pub const HTTP_PORT: u16 = 8080;
/// Folder the configuration and credentials are projected into.
const CONFIG_DIR: &str = "/etc/ottla";
/// Configuration file within [`CONFIG_DIR`], and its key in the `ConfigMap`.
pub const CONFIG_FILE: &str = "config.json";
/// Key of the `ConfigMap` that holds a literal user name.
pub const USERNAME_KEY: &str = "username";
/// The numeric user the image runs as.
const USER: i64 = 65532;
/// Time a pod has to flush and commit after SIGTERM.
const GRACE_SECONDS: i64 = 45;

/// One key of one Secret in the workload's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// Name of the Secret.
    pub secret: String,
    /// Key within it.
    pub key: String,
}

/// Where the SASL user name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Username {
    /// Written in the spec; travels in the `ConfigMap`.
    Literal(String),
    /// Read from a Secret.
    Secret(SecretKey),
}

/// The files a pod authenticates with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User name file.
    pub username: Username,
    /// Password file.
    pub password: SecretKey,
}

/// The files a pod encrypts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// CA file; absent means public CAs.
    pub ca: Option<SecretKey>,
    /// Name of the Secret with the client certificate and its private key.
    pub client: Option<String>,
}

impl Certificates {
    /// Every key of every Secret, with the file it becomes under the folder of certificates.
    #[must_use]
    pub fn keys(&self) -> Vec<(SecretKey, &'static str)> {
        let of_client = |key: &str| {
            self.client.as_ref().map(|secret| SecretKey {
                secret: secret.clone(),
                key: key.to_owned(),
            })
        };
        let keys = [
            (self.ca.clone(), "ca.crt"),
            (of_client(CERTIFICATE), "tls.crt"),
            (of_client(PRIVATE_KEY), "tls.key"),
        ];
        keys.into_iter()
            .filter_map(|(key, file)| Some((key?, file)))
            .collect()
    }
}

/// The pod template of a workload whose configuration is in `config_map`.
#[must_use]
pub fn pod_template(workload: &Workload, config_map: &str, restart_policy: &str) -> PodTemplateSpec {
    let settings = &workload.settings;
    let mut labels = user_pairs(settings.labels.iter().map(|(key, value)| (key, &value.0)));
    labels.extend(names::selector_labels(workload.role, &workload.owner.name));
    let annotations = user_pairs(settings.annotations.iter().map(|(key, value)| (key, &value.0)));
    let node_selector: BTreeMap<_, _> = settings
        .node_selector
        .iter()
        .map(|(key, value)| (key.clone(), value.0.clone()))
        .collect();
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            restart_policy: Some(restart_policy.to_owned()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            security_context: Some(pod_security()),
            containers: vec![container(workload)],
            volumes: Some(vec![volume(workload, config_map)]),
            node_selector: (!node_selector.is_empty()).then_some(node_selector),
            tolerations: tolerations(settings),
            image_pull_secrets: pull_secrets(settings),
            ..PodSpec::default()
        }),
    }
}

/// A user's labels or annotations, without the keys that are the operator's.
fn user_pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> BTreeMap<String, String> {
    pairs
        .filter(|(key, _)| !key.starts_with("ottla.dev/") && !key.starts_with("app.kubernetes.io/"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn container(workload: &Workload) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(workload.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(vec![
            workload.role.subcommand().to_owned(),
            "--config".to_owned(),
            format!("{CONFIG_DIR}/{CONFIG_FILE}"),
        ]),
        env: Some(vec![EnvVar {
            name: POD_NAME_VARIABLE.to_owned(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: "metadata.name".to_owned(),
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ports: Some(vec![ContainerPort {
            name: Some("http".to_owned()),
            container_port: i32::from(HTTP_PORT),
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        resources: Some(
            workload
                .settings
                .resources
                .as_ref()
                .map_or_else(default_resources, resources),
        ),
        readiness_probe: Some(probe("/readyz", 5, 3)),
        liveness_probe: Some(probe("/healthz", 10, 6)),
        security_context: Some(container_security()),
        termination_message_path: Some(TERMINATION_FILE.to_owned()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(vec![VolumeMount {
            name: "config".to_owned(),
            mount_path: CONFIG_DIR.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("http".to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// One projected volume holds all files, so configuration and credentials of one generation appear together, and a
/// rotated Secret replaces them in place.
fn volume(workload: &Workload, config_map: &str) -> Volume {
    let mut items = vec![item(CONFIG_FILE, CONFIG_FILE)];
    let mut sources = Vec::new();
    if let Some(credentials) = &workload.credentials {
        match &credentials.username {
            Username::Literal(_) => items.push(item(USERNAME_KEY, "credentials/username")),
            Username::Secret(key) => sources.push(secret(key, "credentials/username")),
        }
        sources.push(secret(&credentials.password, "credentials/password"));
    }
    if let Some(certificates) = &workload.certificates {
        let files = certificates.keys().into_iter();
        sources.extend(files.map(|(key, file)| secret(&key, &format!("certificates/{file}"))));
    }
    let config = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: config_map.to_owned(),
            items: Some(items),
            ..ConfigMapProjection::default()
        }),
        ..VolumeProjection::default()
    };
    sources.insert(0, config);
    Volume {
        name: "config".to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(0o440),
            sources: Some(sources),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn secret(key: &SecretKey, path: &str) -> VolumeProjection {
    VolumeProjection {
        secret: Some(SecretProjection {
            name: key.secret.clone(),
            items: Some(vec![item(&key.key, path)]),
            ..SecretProjection::default()
        }),
        ..VolumeProjection::default()
    }
}

fn item(key: &str, path: &str) -> KeyToPath {
    KeyToPath {
        key: key.to_owned(),
        path: path.to_owned(),
        ..KeyToPath::default()
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

fn default_resources() -> ResourceRequirements {
    let quantities = |pairs: &[(&str, &str)]| {
        Some(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Quantity((*value).to_owned())))
                .collect(),
        )
    };
    ResourceRequirements {
        requests: quantities(&[("cpu", "50m"), ("memory", "64Mi")]),
        limits: quantities(&[("memory", "512Mi")]),
        claims: None,
    }
}

fn resources(given: &Resources) -> ResourceRequirements {
    ResourceRequirements {
        requests: given.requests.as_ref().map(quantities),
        limits: given.limits.as_ref().map(quantities),
        claims: None,
    }
}

fn quantities(given: &Quantities) -> BTreeMap<String, Quantity> {
    [
        ("cpu", &given.cpu),
        ("memory", &given.memory),
        ("ephemeral-storage", &given.ephemeral_storage),
    ]
    .into_iter()
    .filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount.as_ref()?.to_string()))))
    .collect()
}

fn tolerations(settings: &PodSettings) -> Option<Vec<Toleration>> {
    let convert = |given: &ottla_crds::pod::Toleration| Toleration {
        key: given.key.clone(),
        operator: Some(match given.operator {
            TolerationOperator::Equal => "Equal".to_owned(),
            TolerationOperator::Exists => "Exists".to_owned(),
        }),
        value: given.value.clone(),
        effect: given.effect.clone(),
        toleration_seconds: given.toleration_seconds,
    };
    (!settings.tolerations.is_empty()).then(|| settings.tolerations.iter().map(convert).collect())
}

fn pull_secrets(settings: &PodSettings) -> Option<Vec<LocalObjectReference>> {
    let convert = |secret: &ottla_crds::pod::ImagePullSecret| LocalObjectReference {
        name: secret.name.clone(),
    };
    (!settings.image_pull_secrets.is_empty())
        .then(|| settings.image_pull_secrets.iter().map(convert).collect())
}
