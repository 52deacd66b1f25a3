use std::collections::HashMap;

use serde_json::{Value, from_value, json};

use super::*;

#[derive(Default)]
struct Objects {
    topics: HashMap<(String, String), Arc<KafkaTopic>>,
    clusters: HashMap<(String, String), Arc<KafkaCluster>>,
}

impl Catalog for Objects {
    fn topic(&self, namespace: &str, name: &str) -> Option<Arc<KafkaTopic>> {
        self.topics.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    fn cluster(&self, namespace: &str, name: &str) -> Option<Arc<KafkaCluster>> {
        self.clusters
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    fn may_refer(&self, cluster: &KafkaCluster, from: &str) -> bool {
        let all = cluster.spec.allowed_namespaces.from == ottla_crds::namespaces::NamespacesFrom::All;
        all || cluster.metadata.namespace.as_deref() == Some(from)
    }
}

fn ready(status: &str, generation: i64) -> Value {
    json!([{
        "type": "Ready", "status": status, "observedGeneration": generation, "reason": "R", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"
    }])
}

/// Cluster `kafka/main` open to `from`, and KafkaTopic `kafka/orders` named `Orders` on it.
fn objects(from: &str, cluster_ready: &str, topic_ready: &str) -> Objects {
    let cluster: KafkaCluster = from_value(json!({
        "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaCluster",
        "metadata": {"name": "main", "namespace": "kafka", "generation": 2},
        "spec": {
            "bootstrapServers": ["kafka:9092"],
            "sasl": {"mechanism": "ScramSha512", "username": "user1", "passwordFrom": {"name": "words", "key": "one"}},
            "allowedNamespaces": {"from": from}
        },
        "status": {"clusterId": "C1", "conditions": ready(cluster_ready, 2)}
    }))
    .unwrap();
    let topic: KafkaTopic = from_value(json!({
        "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaTopic",
        "metadata": {"name": "orders", "namespace": "kafka", "generation": 1},
        "spec": {"clusterRef": {"name": "main"}, "topicName": "Orders"},
        "status": {"conditions": ready(topic_ready, 1)}
    }))
    .unwrap();
    Objects {
        topics: HashMap::from([(("kafka".to_owned(), "orders".to_owned()), Arc::new(topic))]),
        clusters: HashMap::from([(("kafka".to_owned(), "main".to_owned()), Arc::new(cluster))]),
    }
}

struct Spec {
    topic_ref: Option<TopicRef>,
    cluster_ref: Option<ClusterRef>,
    topic_name: Option<String>,
    auth: Option<WorkloadAuth>,
}

impl Spec {
    fn by_topic(name: &str) -> Self {
        Self {
            topic_ref: Some(TopicRef {
                name: name.to_owned(),
            }),
            cluster_ref: None,
            topic_name: None,
            auth: None,
        }
    }

    fn by_cluster() -> Self {
        let cluster_ref = ClusterRef {
            name: "main".to_owned(),
            namespace: Some("kafka".to_owned()),
        };
        Self {
            topic_ref: None,
            cluster_ref: Some(cluster_ref),
            topic_name: Some("Orders".to_owned()),
            auth: None,
        }
    }

    fn with_auth(mut self) -> Self {
        self.auth = from_value(json!({"credentialsFrom": {"name": "mine"}})).unwrap();
        self
    }

    fn from<'a>(&'a self, namespace: &'a str) -> Reference<'a> {
        Reference {
            namespace,
            topic_ref: self.topic_ref.as_ref(),
            cluster_ref: self.cluster_ref.as_ref(),
            topic_name: self.topic_name.as_deref(),
            auth: self.auth.as_ref(),
        }
    }
}

#[test]
fn both_ways_lead_to_the_same_topic() {
    let objects = objects("All", "True", "True");
    let here = resolve(Spec::by_topic("orders").from("kafka"), &objects).unwrap();
    let there = resolve(Spec::by_cluster().with_auth().from("shop"), &objects).unwrap();
    assert_eq!(
        here.key,
        TopicKey {
            cluster_id: "C1".to_owned(),
            topic: "Orders".to_owned()
        }
    );
    assert_eq!(here.key, there.key);
    assert_eq!(here.mechanism, Some(SaslMechanism::ScramSha512));
    let words = SecretKey {
        secret: "words".to_owned(),
        key: "one".to_owned(),
    };
    let own = Credentials {
        username: Username::Literal("user1".to_owned()),
        password: words,
    };
    assert_eq!(here.credentials, Some(own));
    let mine = |key: &str| SecretKey {
        secret: "mine".to_owned(),
        key: key.to_owned(),
    };
    let given = Credentials {
        username: Username::Secret(mine("username")),
        password: mine("password"),
    };
    assert_eq!(there.credentials, Some(given));
}

#[rstest::rstest]
#[case::no_such_topic(
    Spec::by_topic("nope"),
    "kafka",
    objects("Same", "True", "True"),
    HoldReason::TopicNotFound
)]
#[case::topic_not_ready(
    Spec::by_topic("orders"),
    "kafka",
    objects("Same", "True", "False"),
    HoldReason::TopicNotReady
)]
#[case::cluster_not_ready(
    Spec::by_cluster(),
    "kafka",
    objects("Same", "False", "True"),
    HoldReason::ClusterNotReady
)]
#[case::elsewhere(
    Spec::by_cluster(),
    "shop",
    objects("All", "True", "True"),
    HoldReason::CredentialsRequired
)]
#[case::neither(Spec { topic_ref: None, ..Spec::by_topic("") }, "kafka", objects("All", "True", "True"), HoldReason::InvalidSpec)]
#[case::both(Spec { topic_ref: Some(TopicRef { name: "orders".to_owned() }), ..Spec::by_cluster() }, "kafka", objects("All", "True", "True"), HoldReason::InvalidSpec)]
fn holds(#[case] spec: Spec, #[case] namespace: &str, #[case] objects: Objects, #[case] reason: HoldReason) {
    assert_eq!(
        resolve(spec.from(namespace), &objects).unwrap_err().reason,
        reason
    );
}

#[test]
fn not_allowed_and_not_found_read_the_same() {
    let spec = Spec::by_cluster().with_auth();
    let not_allowed = resolve(spec.from("shop"), &objects("Same", "True", "True")).unwrap_err();
    let not_found = resolve(spec.from("shop"), &Objects::default()).unwrap_err();
    assert_eq!(not_allowed, not_found);
    assert_eq!(not_allowed.reason, HoldReason::ClusterNotFound);
}

#[test]
fn the_key_survives_a_bad_day() {
    let objects = objects("Same", "False", "False");
    assert!(topic_key(Spec::by_topic("orders").from("kafka"), &objects).is_some());
    assert_eq!(topic_key(Spec::by_cluster().from("shop"), &objects), None);
}

/// The cluster with TLS of its own CA and a client certificate.
fn with_tls(mut objects: Objects) -> Objects {
    for cluster in objects.clusters.values_mut() {
        let tls = json!({"caFrom": {"name": "authority", "key": "ca.crt"}, "clientCertificateFrom": {"name": "operator"}});
        Arc::make_mut(cluster).spec.tls = from_value(tls).unwrap();
    }
    objects
}

#[test]
fn certificates_are_the_clusters_at_home_and_the_workloads_own_elsewhere() {
    let objects = with_tls(objects("All", "True", "True"));
    let here = resolve(Spec::by_topic("orders").from("kafka"), &objects).unwrap();
    let secret = |secret: &str| SecretKey {
        secret: secret.to_owned(),
        key: "ca.crt".to_owned(),
    };
    let at_home = Certificates {
        ca: Some(secret("authority")),
        client: Some("operator".to_owned()),
    };
    assert_eq!(here.certificates, Some(at_home));

    let mut there = Spec::by_cluster().with_auth();
    let hold = resolve(there.from("shop"), &objects).unwrap_err();
    assert_eq!(hold.reason, HoldReason::CredentialsRequired);
    assert!(hold.message.contains("auth.caFrom"), "{}", hold.message);
    let auth = there.auth.as_mut().unwrap();
    auth.ca_from = from_value(json!({"name": "ours", "key": "ca.crt"})).unwrap();
    let hold = resolve(there.from("shop"), &objects).unwrap_err();
    assert!(
        hold.message.contains("auth.clientCertificateFrom"),
        "{}",
        hold.message
    );
    let auth = there.auth.as_mut().unwrap();
    auth.client_certificate_from = from_value(json!({"name": "mine"})).unwrap();
    let own = Certificates {
        ca: Some(secret("ours")),
        client: Some("mine".to_owned()),
    };
    assert_eq!(
        resolve(there.from("shop"), &objects).unwrap().certificates,
        Some(own)
    );
}
