//! KafkaTopicPurge: clears records of one topic, once.

#![allow(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own, spelled as Kubernetes spells such"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{ClusterRef, TopicRef};
use crate::schema::{DURATION, TOPIC_NAME, conditions, frozen};

/// One clearing of one topic.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "ottla.dev",
    version = "v1alpha1",
    kind = "KafkaTopicPurge",
    namespaced,
    status = "KafkaTopicPurgeStatus",
    shortname = "kpurge",
    category = "ottla",
    derive = "PartialEq",
    doc = "Clears records of a KafkaTopic, once. What is to go is planned first and written into the status, offset by offset; then exactly that goes, whatever crashes in between. Applied again, the same purge does nothing.",
    printcolumn(
        name = "Topic",
        type_ = "string",
        json_path = ".spec.topicRef.name",
        description = "The KafkaTopic."
    ),
    printcolumn(
        name = "Method",
        type_ = "string",
        json_path = ".spec.method",
        description = "How its records are cleared."
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "How far it is, or why not further, in one word."
    ),
    printcolumn(
        name = "Records",
        type_ = "integer",
        json_path = ".status.records",
        description = "Records that go, or went."
    ),
    printcolumn(
        name = "Topic-Id",
        type_ = "string",
        json_path = ".status.topicId",
        priority = 1,
        description = "Kafka's own id of the topic that was planned for."
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1,
        description = "The state in a sentence."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation."
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = frozen(&["topicRef", "method", "partitions", "cut", "guards", "quiesceProducers", "allowPolicyFlip", "dryRun", "confirm", "activeDeadlineSeconds"]))]
#[x_kube(validation = (
    "self.method == 'DeleteRecords' || !has(self.partitions)",
    "partitions can be chosen with method DeleteRecords alone: the other methods clear the whole topic"
))]
#[x_kube(validation = (
    "self.method != 'RetentionFlip' || self.cut.type in ['All', 'OlderThan', 'BeforeTime']",
    "method RetentionFlip takes a cut of type All, OlderThan or BeforeTime: retention knows only age"
))]
#[x_kube(validation = (
    "self.method != 'Recreate' || self.cut.type == 'All'",
    "method Recreate takes a cut of type All"
))]
#[x_kube(validation = (
    "(self.method == 'Recreate') == has(self.confirm)",
    "confirm is required with method Recreate, and stands for nothing without: give the topic's name in Kafka"
))]
#[x_kube(validation = (
    "!self.allowPolicyFlip || self.method == 'DeleteRecords'",
    "allowPolicyFlip works with method DeleteRecords alone"
))]
#[x_kube(validation = (
    "self.cut.type != 'BeforeOffsets' || !has(self.partitions)",
    "a cut of type BeforeOffsets names its partitions itself: leave partitions out"
))]
pub struct KafkaTopicPurgeSpec {
    /// The KafkaTopic, of this namespace, whose records are cleared. Immutable, as all else here but suspend and
    /// ttlSecondsAfterFinished.
    pub topic_ref: TopicRef,
    /// How records are cleared. DeleteRecords (default) is exact: to the offset, at once. RetentionFlip lowers the
    /// topic's retention for a while: by whole segments, at the broker's own pace of minutes, for clusters that refuse
    /// DeleteRecords. Recreate deletes the topic and creates it again in the same shape: its offsets begin at 0, and
    /// its consumer groups lose their place.
    #[serde(default)]
    pub method: PurgeMethod,
    /// Which partitions are cleared. Absent: every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 2000), inner(range(min = 0, max = 1_000_000)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub partitions: Vec<i32>,
    /// Which records go: those below a cut in each partition. It is turned into offsets once, when the purge is
    /// planned; records written later stay.
    pub cut: Cut,
    /// What must hold for any record to go.
    #[serde(default)]
    pub guards: Guards,
    /// Takes the pods of this topic's KafkaProducers away while records are cleared, and brings them back after.
    #[serde(default)]
    pub quiesce_producers: bool,
    /// For a topic that is compacted only, where Kafka refuses to delete records: allows adding "delete" to its
    /// cleanup.policy for the moment, with unlimited retention, so that nothing else goes.
    #[serde(default)]
    pub allow_policy_flip: bool,
    /// Plans, and ends with the plan in the status. Nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
    /// The topic's name in Kafka, for method Recreate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 249), regex(pattern = TOPIC_NAME))]
    pub confirm: Option<String>,
    /// Holds after planning: look at the plan in the status, then set this to false to go on. Once a topic's
    /// configuration was lowered, or the topic deleted, the purge comes to its end first.
    #[serde(default)]
    pub suspend: bool,
    /// Gives up after so many seconds since the purge was first seen. What was lowered is restored before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub active_deadline_seconds: Option<i64>,
    /// Deletes this object so many seconds after it has ended. Absent: it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<i64>,
}

/// How records are cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PurgeMethod {
    /// Kafka deletes the records below an offset of each partition.
    #[default]
    DeleteRecords,
    /// The topic's retention is lowered until the records have gone, then restored.
    RetentionFlip,
    /// The topic is deleted and created again.
    Recreate,
}

impl PurgeMethod {
    /// As the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeleteRecords => "DeleteRecords",
            Self::RetentionFlip => "RetentionFlip",
            Self::Recreate => "Recreate",
        }
    }
}

/// Which records go.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(self.type == 'BeforeOffsets') == has(self.beforeOffsets)", "beforeOffsets is required with type BeforeOffsets, and allowed with no other"))]
#[x_kube(validation = ("(self.type == 'BeforeTime') == has(self.beforeTime)", "beforeTime is required with type BeforeTime, and allowed with no other"))]
#[x_kube(validation = ("(self.type == 'OlderThan') == has(self.olderThan)", "olderThan is required with type OlderThan, and allowed with no other"))]
#[x_kube(validation = ("(self.type == 'KeepLast') == has(self.keepLast)", "keepLast is required with type KeepLast, and allowed with no other"))]
pub struct Cut {
    /// All: every record there is when the purge is planned. BeforeOffsets: those below the offsets given. BeforeTime
    /// and OlderThan: those before the first record of that time; producers set times, and where these are out of
    /// order, older records after that one stay, and younger ones before it go. KeepLast: all but the last of each
    /// partition.
    #[serde(rename = "type")]
    pub type_: CutType,
    /// The first offset to stay, for each partition to clear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 2000),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["partition"])
    )]
    pub before_offsets: Vec<PartitionOffset>,
    /// The time from which on records stay, such as 2026-11-23T08:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub before_time: Option<String>,
    /// The age, at planning, from which on records go, such as 7d.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub older_than: Option<String>,
    /// How much stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<KeepLast>,
}

/// How a cut is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CutType {
    /// Every record.
    All,
    /// Records below offsets.
    BeforeOffsets,
    /// Records before a time.
    BeforeTime,
    /// Records above an age.
    OlderThan,
    /// All but the last.
    KeepLast,
}

/// An offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionOffset {
    /// The partition.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub partition: i32,
    /// The first offset to stay.
    #[schemars(range(min = 0))]
    pub offset: i64,
}

/// How much of each partition stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeepLast {
    /// Offsets kept at each partition's end. Where compaction or aborted transactions left gaps, that many offsets
    /// hold fewer records.
    #[schemars(range(min = 1))]
    pub records: i64,
}

/// What must hold for any record to go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guards {
    /// Kafka's own id of the topic, as the KafkaTopic's status shows it. Another id refuses the purge.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 22, max = 36))]
    pub topic_id: Option<String>,
    /// The most records that may go. More refuse the purge.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_records: Option<i64>,
    /// The time after which the purge may not begin any more, such as 2026-11-23T08:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub not_after: Option<String>,
    /// Which consumer groups hold the purge up. CaughtUp (default): it waits until each group that has committed
    /// offsets on the topic has read what is to go. Inactive: it waits until none of them has members. Ignore: none.
    /// Groups that the cluster's credentials may not see are not waited for.
    #[serde(default)]
    pub consumer_groups: ConsumerGroupsGuard,
}

/// Which consumer groups hold a purge up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConsumerGroupsGuard {
    /// None.
    Ignore,
    /// Those that have not read what is to go.
    #[default]
    CaughtUp,
    /// Those that have members.
    Inactive,
}

/// How far a purge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PurgeStep {
    /// The plan stands; nothing was changed.
    Planned,
    /// Records are being cleared: their deletion, a lowered retention or the topic's deletion may have been ordered.
    Clearing,
    /// The topic that was deleted is being created again.
    Recreating,
    /// What was lowered is being restored.
    Restoring,
}

/// What the purge is at, and what it must know to go on after any crash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaTopicPurgeStatus {
    /// The metadata.generation that this status was computed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The topic's name in Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 249))]
    pub topic_name: Option<String>,
    /// Kafka's own id of the topic that was planned for. No other is touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub topic_id: Option<String>,
    /// Kafka's own id of its cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_id: Option<String>,
    /// The KafkaCluster, kept so that what was lowered can be restored should the KafkaTopic go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_ref: Option<ClusterRef>,
    /// How far it is. Absent: not planned yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<PurgeStep>,
    /// When the purge was planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_time: Option<Time>,
    /// The time before which records go, where the cut is one of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_time: Option<Time>,
    /// Until when a lowered retention may do its work; it is restored then, whatever has gone. With Recreate, until when
    /// brokers are waited for that do not serve the new topic yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clearing_until: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Records between start and cut, over all partitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<i64>,
    /// The plan: of each partition, the records from start up to, not including, cut go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2000), extend("x-kubernetes-list-type" = "atomic"))]
    pub partitions: Vec<PartitionPlan>,
    /// Partitions whose records Kafka did not delete, the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub failures: Vec<PartitionFailure>,
    /// How many partitions are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions_done: Option<i32>,
    /// Consumer groups on the topic that have not read what is to go, or have members, the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub consumer_groups: Vec<GroupImpact>,
    /// What the topic was, saved before anything of it was lowered or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<SavedTopic>,
    /// Kafka's own id of the topic created again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub new_topic_id: Option<String>,
    /// Ready, Reconciling, Stalled, Complete and Failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// What goes of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionPlan {
    /// The partition.
    pub partition: i32,
    /// The log's first offset at planning.
    pub start: i64,
    /// The first offset to stay.
    pub cut: i64,
    /// The offset after the last record at planning.
    pub end: i64,
}

/// Why a partition's records stayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionFailure {
    /// The partition.
    pub partition: i32,
    /// Kafka's own name of the error.
    #[schemars(length(max = 64))]
    pub error: String,
    /// What it means and what to do.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// What the purge means for a consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupImpact {
    /// The group's id.
    #[schemars(length(max = 256))]
    pub group: String,
    /// Records to go that the group has not read.
    pub unread: i64,
    /// Whether it has members.
    pub active: bool,
}

/// What a topic was before it was lowered or deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SavedTopic {
    /// Its partitions; absent where only its configuration is touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// Its replicas; absent where only its configuration is touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<i32>,
    /// The configs that were set on the topic itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub config: BTreeMap<String, String>,
    /// The configs that were not set on the topic, and are not again after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 128)), extend("x-kubernetes-list-type" = "atomic"))]
    pub unset: Vec<String>,
}
