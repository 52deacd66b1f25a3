use k8s_openapi::api::core::v1::PodSpec;
use ottla_crds::pod::{LabelValue, PodSettings};

use super::template::SecretKey;
use super::*;

fn workload(role: Role) -> Workload {
    Workload {
        owner: Owner {
            api_version: "ottla.dev/v1alpha1".to_owned(),
            kind: "KafkaProducer".to_owned(),
            namespace: "kafka".to_owned(),
            name: "quickstart".to_owned(),
            uid: "6f1c8f6e-0000-4000-8000-000000000001".to_owned(),
        },
        role,
        replicas: 2,
        suspended: false,
        image: "ottla.dev/workload:test".to_owned(),
        config: r#"{"topic":"my-topic"}"#.to_owned(),
        credentials: Some(Credentials {
            username: Username::Literal("user1".to_owned()),
            password: SecretKey {
                secret: "kafka-user-passwords".to_owned(),
                key: "system-user-password".to_owned(),
            },
        }),
        certificates: None,
        settings: PodSettings::default(),
    }
}

macro_rules! assert_golden {
    ($object:expr) => {
        insta::assert_snapshot!(serde_json::to_string_pretty(&$object).unwrap())
    };
}

/// The rules of the restricted Pod Security profile that apply to what a template can hold.
fn assert_restricted(pod: &PodSpec) {
    assert_ne!(pod.host_network, Some(true));
    assert_ne!(pod.host_pid, Some(true));
    assert_ne!(pod.host_ipc, Some(true));
    let pod_security = pod.security_context.as_ref().unwrap();
    assert_eq!(pod_security.run_as_non_root, Some(true));
    assert_ne!(pod_security.run_as_user, Some(0));
    assert_eq!(
        pod_security.seccomp_profile.as_ref().unwrap().type_,
        "RuntimeDefault"
    );
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.enable_service_links, Some(false));
    assert!(pod.service_account_name.is_none());
    for volume in pod.volumes.iter().flatten() {
        assert!(
            volume.projected.is_some() && volume.host_path.is_none(),
            "{}",
            volume.name
        );
        let sources = volume.projected.as_ref().unwrap().sources.as_ref().unwrap();
        assert!(sources.iter().all(|s| s.service_account_token.is_none()));
    }
    for container in &pod.containers {
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.allow_privilege_escalation, Some(false));
        assert_eq!(security.read_only_root_filesystem, Some(true));
        assert_ne!(security.privileged, Some(true));
        let capabilities = security.capabilities.as_ref().unwrap();
        assert_eq!(capabilities.drop.as_deref(), Some(["ALL".to_owned()].as_slice()));
        assert!(capabilities.add.is_none());
        assert!(container.ports.iter().flatten().all(|p| p.host_port.is_none()));
        assert!(
            container
                .resources
                .as_ref()
                .unwrap()
                .limits
                .as_ref()
                .unwrap()
                .contains_key("memory")
        );
    }
}

#[test]
fn pods_pass_the_restricted_profile() {
    for role in [Role::Producer, Role::Consumer] {
        let workload = workload(role);
        assert_restricted(&job(&workload).spec.unwrap().template.spec.unwrap());
        assert_restricted(&deployment(&workload, 1, "h").spec.template.spec.unwrap());
    }
}

#[test]
fn golden_job() {
    assert_golden!(job(&workload(Role::Producer)));
}

#[test]
fn golden_deployment() {
    let mut workload = workload(Role::Consumer);
    workload.credentials = Some(Credentials {
        username: Username::Secret(SecretKey {
            secret: "mine".to_owned(),
            key: "name".to_owned(),
        }),
        password: SecretKey {
            secret: "mine".to_owned(),
            key: "word".to_owned(),
        },
    });
    workload.certificates = Some(Certificates {
        ca: Some(SecretKey {
            secret: "authority".to_owned(),
            key: "ca.crt".to_owned(),
        }),
        client: Some("mine-tls".to_owned()),
    });
    let hash = workload.template_hash();
    assert_golden!(deployment(&workload, 3, &hash));
}

#[test]
fn golden_config_map() {
    assert_golden!(config_map(&workload(Role::Producer)));
}

#[test]
fn a_bounded_run_has_no_ttl_of_its_own() {
    assert_eq!(
        job(&workload(Role::Producer))
            .spec
            .unwrap()
            .ttl_seconds_after_finished,
        None
    );
}

#[test]
fn suspension_leaves_the_pods_alone() {
    let running = workload(Role::Producer);
    let suspended = Workload {
        suspended: true,
        ..running.clone()
    };
    assert_eq!(running.template_hash(), suspended.template_hash());
    assert_eq!(job(&suspended).spec.unwrap().suspend, Some(true));
    assert_eq!(deployment(&suspended, 1, "h").spec.replicas, Some(0));
}

#[test]
fn what_pods_are_made_of_changes_the_hash() {
    let plain = workload(Role::Producer);
    let mut labelled = plain.clone();
    labelled
        .settings
        .labels
        .insert("team".to_owned(), LabelValue("a".to_owned()));
    let image = Workload {
        image: "ottla.dev/workload:next".to_owned(),
        ..plain.clone()
    };
    let config = Workload {
        config: "{}".to_owned(),
        ..plain.clone()
    };
    let mut renamed = plain.clone();
    renamed.credentials.as_mut().unwrap().username = Username::Literal("user2".to_owned());
    for changed in [labelled, image, config, renamed] {
        assert_ne!(plain.template_hash(), changed.template_hash());
    }
    assert_eq!(
        plain.template_hash(),
        Workload {
            replicas: 7,
            ..plain.clone()
        }
        .template_hash()
    );
}

#[test]
fn a_user_cannot_take_over_the_operators_labels() {
    let mut workload = workload(Role::Producer);
    workload
        .settings
        .labels
        .insert("ottla.dev/name".to_owned(), LabelValue("other".to_owned()));
    workload.settings.labels.insert(
        "app.kubernetes.io/name".to_owned(),
        LabelValue("other".to_owned()),
    );
    let labels = job(&workload)
        .spec
        .unwrap()
        .template
        .metadata
        .unwrap()
        .labels
        .unwrap();
    assert_eq!(labels["ottla.dev/name"], "quickstart");
    assert!(!labels.contains_key("app.kubernetes.io/name"));
}
