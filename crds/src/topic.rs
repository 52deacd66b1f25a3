//! KafkaTopic: one topic with its partitions, replication and config.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::ClusterRef;
use crate::scalar::Scalar;
use crate::schema::{CONFIG_KEY, DURATION_OR_UNLIMITED, SIZE_OR_UNLIMITED, TOPIC_NAME, conditions};

/// One Kafka topic.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "ottla.dev",
    version = "v1alpha1",
    kind = "KafkaTopic",
    namespaced,
    status = "KafkaTopicStatus",
    shortname = "ktopic",
    category = "ottla",
    derive = "PartialEq",
    doc = "A Kafka topic. It exists with the partitions, replication factor and configuration given here; what is not given is left alone. Deleting this object keeps the topic unless deletionPolicy is Delete.",
    validation = (
        "(has(self.spec.topicName) ? self.spec.topicName : self.metadata.name) == (has(oldSelf.spec.topicName) ? oldSelf.spec.topicName : oldSelf.metadata.name)",
        "the topic's name is immutable"
    ),
    validation = (
        "has(self.spec.topicName) || size(self.metadata.name) <= 249",
        "a topic's name has at most 249 characters: set spec.topicName"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#, description = "Whether the topic is as declared."),
    printcolumn(name = "State", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, description = "Why, in one word."),
    printcolumn(name = "Topic", type_ = "string", json_path = ".status.topicName", description = "The topic's name in Kafka."),
    printcolumn(name = "Partitions", type_ = "integer", json_path = ".status.partitions", description = "Live number of partitions."),
    printcolumn(name = "Replication", type_ = "integer", json_path = ".status.replicationFactor", description = "Live replication factor."),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.clusterRef.name", priority = 1, description = "The KafkaCluster."),
    printcolumn(name = "Topic-Id", type_ = "string", json_path = ".status.topicId", priority = 1, description = "Kafka's own id of the topic."),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1, description = "Why, in a sentence."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since creation.")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.clusterRef == oldSelf.clusterRef", "clusterRef is immutable"))]
#[x_kube(validation = (
    "!has(self.config) || !has(self.unmanagedConfig) || self.unmanagedConfig.all(k, !(k in self.config))",
    "a key stands either in config or in unmanagedConfig"
))]
#[x_kube(validation = (
    "!has(self.retention) || !has(self.retention.time) || ((!has(self.config) || !('retention.ms' in self.config)) && (!has(self.unmanagedConfig) || !('retention.ms' in self.unmanagedConfig)))",
    "retention.time is set: leave the key retention.ms out of config and unmanagedConfig"
))]
#[x_kube(validation = (
    "!has(self.retention) || !has(self.retention.bytesPerPartition) || ((!has(self.config) || !('retention.bytes' in self.config)) && (!has(self.unmanagedConfig) || !('retention.bytes' in self.unmanagedConfig)))",
    "retention.bytesPerPartition is set: leave the key retention.bytes out of config and unmanagedConfig"
))]
#[x_kube(validation = (
    "!has(self.cleanupPolicy) || ((!has(self.config) || !('cleanup.policy' in self.config)) && (!has(self.unmanagedConfig) || !('cleanup.policy' in self.unmanagedConfig)))",
    "cleanupPolicy is set: leave the key cleanup.policy out of config and unmanagedConfig"
))]
#[x_kube(validation = (
    "!has(self.config) || (!('leader.replication.throttled.replicas' in self.config) && !('follower.replication.throttled.replicas' in self.config))",
    "replication throttles belong to whoever moves replicas; they cannot be set here"
))]
pub struct KafkaTopicSpec {
    /// The cluster that holds the topic. Immutable.
    pub cluster_ref: ClusterRef,
    /// The topic's name in Kafka. Default: the name of this object. Immutable. Names that begin with two underscores
    /// are Kafka's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249), regex(pattern = TOPIC_NAME))]
    #[x_kube(validation = ("self != '.' && self != '..' && !self.startsWith('__')", "'.', '..' and names that begin with '__' are refused"))]
    pub topic_name: Option<String>,
    /// Number of partitions. It may grow, never shrink: a decrease is refused, and the rest of the spec still
    /// applies. Absent: the KafkaCluster's default at creation, else the broker's; then left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub partitions: Option<i32>,
    /// Number of replicas of each partition. A change moves replicas, with progress in status.reassignment; changing
    /// it back while they move takes the move back. A number above the live brokers or below min.insync.replicas is
    /// refused. Absent: the KafkaCluster's default at creation, else the broker's; then left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32767))]
    pub replication_factor: Option<i32>,
    /// How long and how much is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// What happens to old records: Delete, Compact or both (Kafka's cleanup.policy).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub cleanup_policy: Vec<CleanupPolicy>,
    /// Topic configs by Kafka's own keys. A key given here is enforced; a key taken out again is reset to the
    /// broker's default; any other key is left alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub config: BTreeMap<String, Scalar>,
    /// Keys to keep hands off, even if the KafkaCluster's topicDefaults name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128), regex(pattern = CONFIG_KEY)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub unmanaged_config: Vec<String>,
    /// What happens to the topic when this object is deleted: Retain (default) keeps it, Delete deletes it with all
    /// its records.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// What happens when the topic exists already: IfMatching (default) takes it over when nothing would change,
    /// Always takes it over and changes it, Never refuses.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What happens when somebody else changes the topic while this object stays the same: Correct (default) sets it
    /// back, and creates the topic again if it was deleted; Report leaves it alone and says so. A change of this spec
    /// is carried out either way.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// Stops acting on Kafka; the status says what would be done. An object deleted while suspended leaves the topic
    /// as it is.
    #[serde(default)]
    pub suspend: bool,
}

/// How long and how much is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// How long records are kept, such as 7d, or Unlimited (Kafka's retention.ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_OR_UNLIMITED))]
    pub time: Option<String>,
    /// How much is kept in each partition, such as 10Gi, or Unlimited (Kafka's retention.bytes).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = SIZE_OR_UNLIMITED))]
    pub bytes_per_partition: Option<String>,
}

/// What happens to old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CleanupPolicy {
    /// Old segments are deleted by age or size.
    Delete,
    /// Only the last record of each key is kept.
    Compact,
}

/// What happens to the topic when its object is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The topic stays.
    #[default]
    Retain,
    /// The topic is deleted, by its id.
    Delete,
}

/// What happens when the topic exists before its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// Taken over when nothing would change.
    #[default]
    IfMatching,
    /// Taken over and changed.
    Always,
    /// Refused.
    Never,
}

/// What happens when somebody else changes the topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// It is set back; a deleted topic is created again.
    #[default]
    Correct,
    /// It is left as it is, and status.drift says what differs.
    Report,
}

/// What the topic is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTopicStatus {
    /// The metadata.generation that this status was computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The topic's name in Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 249))]
    pub topic_name: Option<String>,
    /// Kafka's own id of the topic; a topic deleted and created anew has another.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub topic_id: Option<String>,
    /// Kafka's own id of the cluster that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_id: Option<String>,
    /// Live number of partitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// Live replication factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<i32>,
    /// The replication factor that this object asked for and every partition came to have. Another live number is
    /// somebody else's doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_replication_factor: Option<i32>,
    /// How far a change of the replication factor is. Absent: none is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reassignment: Option<Reassignment>,
    /// The configs set on the topic by this object, with the values last set. A key is saved, without a value, before
    /// it is set for the first time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 128))]
    pub managed_config: BTreeMap<String, String>,
    /// The configs set on the topic that are not this object's, as they were when the topic was first met or its plan
    /// last shown (suspend). Long values are cut, and many left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub unmanaged_config: BTreeMap<String, String>,
    /// What differs from the spec and stays so: what driftPolicy Report leaves alone, what was refused, what an
    /// adoption would change, or what is pending while suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"])
    )]
    pub drift: Vec<Difference>,
    /// The last KafkaTopicPurge that was carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_purge: Option<LastPurge>,
    /// Ready, Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// A purge that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastPurge {
    /// Name of the KafkaTopicPurge.
    #[schemars(length(max = 253))]
    pub name: String,
    /// How many records went.
    pub records: i64,
    /// When it was done.
    pub time: Time,
}

/// A change of the replication factor under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reassignment {
    /// The replication factor that it leads to.
    pub replication_factor: i32,
    /// Partitions that have it already.
    pub partitions_done: i32,
    /// All partitions.
    pub partitions_total: i32,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// The replicas that are throttled on the topic meanwhile. Saved before they are set, and kept until they are taken
    /// off again. Absent: none by this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<ThrottledReplicas>,
}

/// Replicas that are throttled, as Kafka spells them: pairs of partition and broker, or `*` for all that are not in
/// sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThrottledReplicas {
    /// Those that send (Kafka's leader.replication.throttled.replicas).
    #[schemars(length(max = 4096))]
    pub leaders: String,
    /// Those that receive (Kafka's follower.replication.throttled.replicas).
    #[schemars(length(max = 4096))]
    pub followers: String,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// `partitions`, `replicationFactor`, or the key of a config.
    #[schemars(length(max = 256))]
    pub key: String,
    /// What the spec asks for.
    #[schemars(length(max = 4096))]
    pub desired: String,
    /// What the topic has. Absent: not set on the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub live: Option<String>,
}
