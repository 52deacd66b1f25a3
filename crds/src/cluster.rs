//! KafkaCluster: how to reach one Kafka, and what the brokers' advertised addresses turned out to be.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{SaslMechanism, SecretKeyRef, SecretRef};
use crate::namespaces::AllowedNamespaces;
use crate::scalar::Scalar;
use crate::schema::{HOST_PORT, SIZE_ABOVE_ZERO, conditions};

/// How to reach one Kafka, and who may use it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "ottla.dev",
    version = "v1alpha1",
    kind = "KafkaCluster",
    namespaced,
    status = "KafkaClusterStatus",
    shortname = "kcluster",
    category = "ottla",
    derive = "PartialEq",
    doc = "A Kafka cluster that exists already: where it answers, how to authenticate, who may refer to it. Its status tells whether every broker's advertised address works from inside Kubernetes, and if not, why.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether this Kafka can be used."
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why, in one word."
    ),
    printcolumn(
        name = "Listeners",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="ListenersReachable")].status"#,
        description = "Whether every advertised address works."
    ),
    printcolumn(
        name = "Cluster-Id",
        type_ = "string",
        json_path = ".status.clusterId",
        description = "Kafka's own id of the cluster."
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1,
        description = "Why, in a sentence."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterSpec {
    /// Addresses to ask for the brokers, each `host:port`. Used for nothing else: clients then dial what each broker
    /// advertises.
    #[schemars(length(min = 1, max = 32), inner(length(max = 261), regex(pattern = HOST_PORT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub bootstrap_servers: Vec<String>,
    /// How to encrypt, and whom to trust. Absent: not at all. `tls: {}` trusts public CAs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How to authenticate by SASL. Absent: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// The cluster id that must be found there. Set it to accept that another Kafka has taken the place of the one
    /// first seen; until then everything on it holds with ClusterIdChanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub expected_cluster_id: Option<String>,
    /// Which namespaces may refer to this cluster. Default: its own only.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// How the topics of other namespaces must be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_name_policy: Option<TopicNamePolicy>,
    /// What a KafkaTopic gets that does not say it itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_defaults: Option<TopicDefaults>,
    /// How many topics of this cluster may await their deletion at once, by their KafkaTopic or by a purge of method
    /// Recreate, default 10. While more do, none is deleted: the condition DestructionHold says so, and how to release
    /// them.
    #[serde(default = "destruction_limit")]
    #[schemars(range(min = 0, max = 100_000))]
    pub destruction_limit: i32,
    /// How many bytes a second each broker may send, and receive, for replicas that are being moved because a
    /// KafkaTopic's replicationFactor changed, such as 50Mi. Set on the brokers before the first move begins and taken
    /// off after the last (Kafka's leader. and follower.replication.throttled.rate); replicas in sync are never slowed
    /// down. A broker that somebody else throttles keeps that rate. Absent: no limit. Must exceed what is produced to
    /// the topics that are moved, or their moves never end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = SIZE_ABOVE_ZERO))]
    pub replication_throttle: Option<String>,
}

fn destruction_limit() -> i32 {
    10
}

/// How the topics of other namespaces must be called. The KafkaCluster's own namespace is free in this.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicNamePolicy {
    /// What a topic's name must begin with to be created from another namespace. `{namespace}` stands for the object's
    /// namespace, and must be followed by `.` or `_`, which no namespace's name contains. With `{namespace}` in it, the
    /// topics under the prefix belong to that namespace: it may also take over existing ones, and delete them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^([A-Za-z0-9._-]|\{namespace\}[._])+$")
    )]
    pub prefix: Option<String>,
}

/// What a KafkaTopic gets that does not say it itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopicDefaults {
    /// Number of partitions. Used when a topic is created, and never after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub partitions: Option<i32>,
    /// Number of replicas of each partition. Used when a topic is created, and never after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32767))]
    pub replication_factor: Option<i32>,
    /// Topic configs by Kafka's own keys, enforced on every topic whose object names the key neither in its spec nor in
    /// unmanagedConfig. A change reaches the topics that exist a few at a time; status.defaultsPending counts them
    /// first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub config: BTreeMap<String, Scalar>,
}

/// TLS. The brokers' certificates are always verified, host name included. Secrets are read anew at each look, so a
/// rotated certificate takes effect within half a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Secret key that holds the CA certificates, PEM, one or many; nothing else is trusted. Absent: public CAs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_from: Option<SecretKeyRef>,
    /// Secret, such as one of type kubernetes.io/tls, with the client certificate and its chain in tls.crt and its
    /// private key in tls.key (PEM; PKCS#8, PKCS#1 or SEC1, not encrypted). Presented to brokers that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_from: Option<SecretRef>,
}

/// Authentication by SASL.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.username) != has(self.usernameFrom)", "give exactly one of username and usernameFrom"))]
pub struct Sasl {
    /// Mechanism: Plain, ScramSha256 or ScramSha512.
    pub mechanism: SaslMechanism,
    /// User name. Exactly one of username and usernameFrom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\p{Cc}]+$"))]
    pub username: Option<String>,
    /// Secret key that holds the user name. Exactly one of username and usernameFrom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username_from: Option<SecretKeyRef>,
    /// Secret key that holds the password.
    pub password_from: SecretKeyRef,
}

/// What was found there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaClusterStatus {
    /// The metadata.generation that this status was computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Kafka's own id of the cluster, as first seen or as expectedClusterId accepts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_id: Option<String>,
    /// How many topics still differ from topicDefaults.config. They are changed a few at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults_pending: Option<i32>,
    /// The throttle that is set on brokers while replicas are moved. Absent: none of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_throttle: Option<ReplicationThrottle>,
    /// Every broker and how its advertised address answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1000),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"])
    )]
    pub brokers: Vec<BrokerStatus>,
    /// Ready, Reconciling, Stalled; Reachable (a bootstrap address answers as Kafka), Authenticated,
    /// ListenersReachable (each broker's advertised address works); and DestructionHold while too many topics await
    /// their deletion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// The throttle that is set on brokers. Saved before it is set, and kept until it is taken off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicationThrottle {
    /// Bytes a second.
    pub bytes_per_second: i64,
    /// The bytes a second that are being replaced by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<i64>,
    /// The brokers on which it is set; one that somebody else throttles is not among them.
    #[serde(default)]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "set"))]
    pub brokers: Vec<i32>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokerStatus {
    /// Broker id.
    pub id: i32,
    /// The address that the broker tells clients to dial, `host:port`.
    #[schemars(length(max = 512))]
    pub advertised: String,
    /// Rack, if the broker names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub rack: Option<String>,
    /// How the advertised address answered, dialled from the operator's pod.
    pub result: ProbeResult,
    /// The cause and the fix, in a sentence. Empty when reachable.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// How an advertised address answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ProbeResult {
    /// The broker itself answered, authenticated.
    Reachable,
    /// The host name does not resolve.
    DnsFailed,
    /// The host refuses connections on that port.
    Refused,
    /// Nothing answered in time.
    TimedOut,
    /// Something answered that does not speak this listener's protocol.
    WrongProtocol,
    /// TLS fails: the broker's certificate is not trusted, not valid now, or for another host name.
    TlsFailed,
    /// The broker refused the credentials, or the client certificate.
    AuthenticationFailed,
    /// Another broker, or another cluster, answered.
    WrongBroker,
    /// The address is this pod itself, such as localhost.
    SelfAddress,
}
