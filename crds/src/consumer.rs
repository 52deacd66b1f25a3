//! KafkaConsumer: a consumer group that tells whether every record arrived once, in order, in the right partition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{ClusterRef, Partitioner, TopicRef, WorkloadAuth};
use crate::pod::PodSettings;
use crate::schema::{DNS_SUBDOMAIN, DURATION, TOPIC_NAME, conditions, frozen_when_bounded};

/// A consumer group that reads one topic and verifies it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "ottla.dev",
    version = "v1alpha1",
    kind = "KafkaConsumer",
    namespaced,
    status = "KafkaConsumerStatus",
    shortname = "kconsumer",
    category = "ottla",
    derive = "PartialEq",
    doc = "A consumer group that reads a Kafka topic and compares it with what KafkaProducers sent: which records were lost, duplicated, reordered or in the wrong partition. Wait for the verdict with kubectl wait --for=condition=Verified.",
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
        name = "Received",
        type_ = "integer",
        json_path = ".status.received",
        description = "Different records read."
    ),
    printcolumn(
        name = "Lost",
        type_ = "integer",
        json_path = ".status.lost",
        description = "Confirmed records that are not in the log."
    ),
    printcolumn(
        name = "Duplicated",
        type_ = "integer",
        json_path = ".status.duplicated",
        description = "Records that stand in the log again at another offset."
    ),
    printcolumn(
        name = "Redelivered",
        type_ = "integer",
        json_path = ".status.redelivered",
        description = "Records read again at the same offset; at least this many."
    ),
    printcolumn(
        name = "Reordered",
        type_ = "integer",
        json_path = ".status.reordered",
        description = "Records behind a later one of their producer."
    ),
    printcolumn(
        name = "Misrouted",
        type_ = "integer",
        json_path = ".status.misrouted",
        description = "Records in another partition than their key's."
    ),
    printcolumn(
        name = "Purged",
        type_ = "integer",
        json_path = ".status.purged",
        description = "Records that a KafkaTopicPurge removed before they could be read."
    ),
    printcolumn(
        name = "Verdict",
        type_ = "string",
        json_path = ".status.verdict",
        description = "The judgement, in one word."
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
        json_path = r#".status.conditions[?(@.type=="Verified")].message"#,
        priority = 1,
        description = "The judgement, in a sentence."
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
    "topicRef", "clusterRef", "topicName", "auth", "replicas", "groupId", "start", "commit", "processing",
    "stopAfter", "verify", "pod",
]))]
pub struct KafkaConsumerSpec {
    /// The KafkaTopic to read. Either this, or clusterRef and topicName.
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
    /// Name of the consumer group. No two KafkaConsumers may share one.
    #[schemars(length(min = 1, max = 249), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub group_id: String,
    /// Number of pods. Absent: 1. Must be set for `kubectl scale` to work.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// Where a partition without a committed offset is read from.
    #[serde(default)]
    pub start: Start,
    /// When offsets are committed.
    #[serde(default)]
    pub commit: Commit,
    /// What is done with each record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing: Option<Processing>,
    /// When to stop. Present: a job that ends; the spec is then immutable, but for suspend and
    /// ttlSecondsAfterFinished. Absent: runs until deleted. Cannot be added or taken out later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<ConsumerStop>,
    /// What the records are compared with.
    #[serde(default)]
    pub verify: Verify,
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

/// Where a partition without a committed offset is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// Earliest (default): its first record. Latest: what comes from now on.
    #[serde(default)]
    pub from: StartFrom,
}

/// Where to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum StartFrom {
    /// The first record.
    #[default]
    Earliest,
    /// What comes from now on.
    Latest,
}

/// When offsets are committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    /// How often, such as 5s. Default 5s. Offsets are also committed when partitions move and at the end.
    #[serde(default = "commit_interval")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub interval: String,
}

impl Default for Commit {
    fn default() -> Self {
        Self {
            interval: commit_interval(),
        }
    }
}

fn commit_interval() -> String {
    "5s".to_owned()
}

/// What is done with each record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Processing {
    /// How long each record takes, such as 1ms. Absent: no longer than reading it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub delay: Option<String>,
}

/// When a consumer has done its work.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerStop {
    /// Always true: when every expected stream of records was read to its closing record.
    #[x_kube(validation = ("self", "complete can only be true"))]
    pub complete: bool,
    /// Give up this long after a pod's start, such as 10m. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub deadline: Option<String>,
}

/// What the records are compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// Names of KafkaProducers, of this namespace, whose records must arrive. Absent: every KafkaProducer of the
    /// topic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub producers: Vec<String>,
    /// The partitioner that the producers are expected to use. A keyed record elsewhere is misrouted.
    #[serde(default)]
    pub partitioner: Partitioner,
    /// Records that must have been received before the verdict can be Pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub min_records: Option<i64>,
    /// What is still allowed.
    #[serde(default)]
    pub require: Require,
}

/// The highest count of each that is still allowed. Default 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Require {
    /// Lost records.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub lost: i64,
    /// Records that stand in the log twice.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub duplicates: i64,
    /// Records behind a later one of their producer.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub reordered: i64,
    /// Records in another partition than their key's.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub misrouted: i64,
}

/// What arrived, and the judgement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaConsumerStatus {
    /// The metadata.generation that this status was computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Kafka's id of the topic that all figures are of, where topicRef names it. A topic that is created in its place is
    /// counted anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub topic_id: Option<String>,
    /// Different records read. Closing records count in no figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<i64>,
    /// Confirmed records that are not in the log, though the reader has passed their place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<i64>,
    /// Records that stand in the log again at another offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicated: Option<i64>,
    /// Records read again at the same offset, by the same pod or another; at least this many. Not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redelivered: Option<i64>,
    /// Records behind a later one of their producer, by partition or by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reordered: Option<i64>,
    /// Records in another partition than their key's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub misrouted: Option<i64>,
    /// Records that a KafkaTopicPurge removed before they could be read. They are not lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purged: Option<i64>,
    /// Records that retention removed before they could be read, or that were gone for a reason not known. They are not
    /// called lost, and the verdict is Approximate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired: Option<i64>,
    /// Records that no KafkaProducer wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign: Option<i64>,
    /// Records whose checksum does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<i64>,
    /// The judgement: Pass, Lost, Duplicated, Reordered, Misrouted, Pending, NoEvidence, UnclosedIncarnation or
    /// Approximate. It is the reason of the condition Verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub verdict: Option<String>,
    /// The first offending records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub evidence: Vec<Evidence>,
    /// How much of what was expected has been seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// The pods of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1000),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["pod"])
    )]
    pub members: Vec<Member>,
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
    /// Ready (reasons Running, Completed, Failed and those of waiting), Verified (the verdict), Reconciling and
    /// Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// One offending record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Lost, Duplicated, Reordered, Misrouted or Corrupt.
    #[schemars(length(max = 64))]
    pub kind: String,
    /// Partition.
    pub partition: i32,
    /// The record's sequence within its incarnation and partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// Where it stands. Absent for a lost record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The producer's process that sent it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32))]
    pub incarnation: String,
}

/// How much of what was expected has been seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Streams, one for each process that sent and each partition it sent to, that must be read to their end.
    pub expected_streams: i64,
    /// Of these, the ones whose closing record was read.
    pub closed_streams: i64,
    /// Records that the expected streams hold, as far as their producers told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_records: Option<i64>,
}

/// One pod of the group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Name of the pod.
    #[schemars(length(max = 253))]
    pub pod: String,
    /// Different records it read.
    pub received: i64,
}
