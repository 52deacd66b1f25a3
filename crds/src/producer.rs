//! KafkaProducer: pods that send records, each marked so that its fate can be told.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{ClusterRef, Partitioner, TopicRef, WorkloadAuth};
use crate::pod::PodSettings;
use crate::schema::{DURATION, TOPIC_NAME, conditions, frozen_when_bounded};

/// Pods that send records to one topic.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "ottla.dev",
    version = "v1alpha1",
    kind = "KafkaProducer",
    namespaced,
    status = "KafkaProducerStatus",
    shortname = "kproducer",
    category = "ottla",
    derive = "PartialEq",
    doc = "Pods that send marked records to a Kafka topic, so that KafkaConsumers can tell whether each arrived once, in order, in the right partition. With stopAfter it is a job that ends, without it runs until deleted.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether it runs, or has completed."
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why, in one word."
    ),
    printcolumn(
        name = "Sent",
        type_ = "integer",
        json_path = ".status.sent",
        description = "Records handed to Kafka."
    ),
    printcolumn(
        name = "Acked",
        type_ = "integer",
        json_path = ".status.acked",
        description = "Records that Kafka confirmed."
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.failed",
        description = "Records that Kafka refused or never confirmed."
    ),
    printcolumn(
        name = "Replicas",
        type_ = "integer",
        json_path = ".status.replicas",
        priority = 1,
        description = "Pods."
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
#[x_kube(validation = (
    "has(self.topicRef) ? (!has(self.clusterRef) && !has(self.topicName)) : (has(self.clusterRef) && has(self.topicName))",
    "give either topicRef, or clusterRef together with topicName"
))]
#[x_kube(validation = ("has(self.stopAfter) == has(oldSelf.stopAfter)", "stopAfter cannot be added or taken out later"))]
#[x_kube(validation = frozen_when_bounded(&[
    "topicRef", "clusterRef", "topicName", "auth", "replicas", "stopAfter", "load", "records", "partitioner",
    "delivery", "drill", "pod",
]))]
pub struct KafkaProducerSpec {
    /// The KafkaTopic to send to. Either this, or clusterRef and topicName.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_ref: Option<TopicRef>,
    /// The cluster that holds topicName.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_ref: Option<ClusterRef>,
    /// A topic that no KafkaTopic of this namespace stands for. It must exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249), regex(pattern = TOPIC_NAME))]
    #[x_kube(validation = ("self != '.' && self != '..' && !self.startsWith('__')", "'.', '..' and names that begin with '__' are refused"))]
    pub topic_name: Option<String>,
    /// Credentials of the pods. Absent: the KafkaCluster's own, if it lives in this namespace; required otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<WorkloadAuth>,
    /// Number of pods. Absent: 1. Must be set for `kubectl scale` to work.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// When to stop. Present: a job that ends; the spec is then immutable, but for suspend and
    /// ttlSecondsAfterFinished. Absent: runs until deleted. Cannot be added or taken out later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<ProducerStop>,
    /// How fast to send. Absent: as fast as Kafka takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// What to send.
    #[serde(default)]
    pub records: Records,
    /// Which partition a key goes to.
    #[serde(default)]
    pub partitioner: Partitioner,
    /// What must be true before a record counts as delivered.
    #[serde(default)]
    pub delivery: Delivery,
    /// Faults made on purpose, to see that they are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// Stops the pods. The figures stay.
    #[serde(default)]
    pub suspend: bool,
    /// Seconds after which the pods of a finished job are deleted; the figures stay. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i32>,
    /// Settings of the pods.
    #[serde(default)]
    pub pod: PodSettings,
}

/// When a producer has done its work: whatever comes first.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = ("has(self.records) || has(self.duration)", "give records, duration or both"))]
pub struct ProducerStop {
    /// This many records in total, shared out among the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub records: Option<i64>,
    /// This long after a pod's start, such as 10m.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub duration: Option<String>,
}

/// How fast to send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Records a second of all pods together. Absent: as fast as Kafka takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub records_per_second: Option<i32>,
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Records {
    /// Bytes of each record's value, with Ottla's own prefix in it; a value is never shorter than that prefix.
    /// Default 256.
    #[serde(default = "value_bytes")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub value_bytes: i32,
    /// Which keys the records carry.
    #[serde(default)]
    pub keys: Keys,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            value_bytes: value_bytes(),
            keys: Keys::default(),
        }
    }
}

const fn value_bytes() -> i32 {
    256
}

/// Which keys the records carry.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = (
    "(self.type == 'Sequential' || self.type == 'Random') == has(self.cardinality)",
    "cardinality goes with the types Sequential and Random, and only with them"
))]
pub struct Keys {
    /// None (default): no key. Sequential: one key after the other, over and over. Random: any of them. Fixed:
    /// always the same.
    #[serde(default, rename = "type")]
    pub type_: KeyType,
    /// Number of different keys, for Sequential and Random.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub cardinality: Option<i32>,
}

/// How keys are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum KeyType {
    /// No key.
    #[default]
    None,
    /// One after the other, over and over.
    Sequential,
    /// Any of them, evenly.
    Random,
    /// Always the same.
    Fixed,
}

/// What must be true before a record counts as delivered.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = ("!self.idempotence || self.acks == 'All'", "idempotence needs acks All: set idempotence to false"))]
pub struct Delivery {
    /// All (default): every in-sync replica has it. Leader: the leader has it. None: nobody is asked, so nothing is
    /// known of the record's fate.
    #[serde(default)]
    pub acks: Acks,
    /// Kafka discards a record sent twice by a retry, and keeps the order. Default true; needs acks All.
    #[serde(default = "idempotence")]
    pub idempotence: bool,
    /// Compression of batches. Default None.
    #[serde(default)]
    pub compression: Compression,
    /// How long to wait for a batch to fill, such as 5ms. Absent: librdkafka's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub linger: Option<String>,
    /// How long to try to deliver a record, such as 2m. Absent: librdkafka's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub timeout: Option<String>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            acks: Acks::default(),
            idempotence: idempotence(),
            compression: Compression::default(),
            linger: None,
            timeout: None,
        }
    }
}

const fn idempotence() -> bool {
    true
}

/// Whose confirmation is awaited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Acks {
    /// Every in-sync replica's.
    #[default]
    All,
    /// The leader's.
    Leader,
    /// Nobody's.
    None,
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Faults made on purpose. A consumer's verdict must find exactly these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drill {
    /// This many records are sent twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub duplicate: Option<i32>,
    /// This many records are counted as confirmed and never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub drop: Option<i32>,
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaProducerStatus {
    /// The metadata.generation that this status was computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Run number: 1 for a job; one more with each change of an endless producer's pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// Records handed to Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<i64>,
    /// Records that Kafka confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked: Option<i64>,
    /// Records that Kafka refused or never confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<i64>,
    /// The processes that sent, and how far each got: what a consumer must find.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1000),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"])
    )]
    pub incarnations: Vec<Incarnation>,
    /// Number of pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Label selector of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub selector: Option<String>,
    /// When a job finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Ready (reasons Running, Completed, Failed and those of waiting), Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// One process that sent records; a restarted one is another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Incarnation {
    /// Its random id, 16 hexadecimal digits.
    #[schemars(length(max = 32))]
    pub id: String,
    /// Kafka's id of the topic that it sent to. Nobody looks for its records in a topic that was created in the place of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub topic_id: Option<String>,
    /// The pod it ran in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub pod: String,
    /// Whether it ended in order, having closed each of its streams.
    #[serde(default)]
    pub closed: bool,
    /// What it sent to each partition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 10000),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["partition"])
    )]
    pub streams: Vec<Stream>,
}

/// What one process sent to one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    /// Partition.
    pub partition: i32,
    /// Sequence of the last record.
    pub last_sequence: i64,
    /// Offset of the record that closed it. Absent: it is open, or where that record stands is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<i64>,
}
