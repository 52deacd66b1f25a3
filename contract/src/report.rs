//! What a workload pod says about itself at `/report`: the operator's only source of figures.
//!
//! A report is complete in itself: it holds totals, never differences since the last one.

use serde::{Deserialize, Serialize};

use crate::ids::{Incarnation, RunId, Share};

/// Most stretches kept that were gone before they could be read.
pub const MAX_GAPS: usize = 4;
/// Most pieces of evidence kept for a partition, and shown for a whole run.
pub const MAX_EVIDENCE: usize = 10;

/// Which process speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Name of the pod.
    pub pod: String,
    /// Random number drawn at the process' start.
    pub start: Incarnation,
}

/// How a producer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProducerState {
    /// Asking for the topic's partitions.
    #[default]
    Connecting,
    /// Sending.
    Running,
    /// Waiting for confirmations and closing its streams.
    Closing,
    /// The share is done and every stream closed.
    Done,
    /// Told to stop before the share was done, or endless; streams closed where that could be done.
    Interrupted,
    /// Given up; `last_error` says why.
    Failed,
}

/// What a producer pod has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerReport {
    /// The process.
    pub process: Process,
    /// The run it works for.
    pub run: RunId,
    /// Its share of the run.
    pub share: Share,
    /// How it stands.
    pub state: ProducerState,
    /// Records handed to Kafka. Closing records and a drill's second copies do not count.
    pub sent: u64,
    /// Records that Kafka confirmed; a drill's dropped records count as confirmed, which is the lie to be found.
    pub acked: u64,
    /// Records that Kafka refused or whose fate is unknown.
    pub failed: u64,
    /// Incarnations of this process, oldest first.
    pub incarnations: Vec<SentIncarnation>,
    /// Microseconds from the intended send to the confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The newest error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Some of `streams` or `incarnations` were left out for want of room.
    #[serde(default)]
    pub truncated: bool,
}

/// What one incarnation sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentIncarnation {
    /// Its id.
    pub id: Incarnation,
    /// Every stream's closing record was confirmed.
    pub closed: bool,
    /// Its closing records say that the share is done.
    pub share_done: bool,
    /// What it sent to each partition, by partition.
    pub streams: Vec<SentStream>,
}

impl SentIncarnation {
    /// Takes from what was said before what a pod's last words had no room for.
    pub fn complete_from(&mut self, earlier: &Self) {
        if self.streams.is_empty() {
            self.streams.clone_from(&earlier.streams);
        }
        for stream in self
            .streams
            .iter_mut()
            .filter(|stream| stream.closed_at.is_none())
        {
            // Ordered by partition, as a sender tells them.
            let known = earlier
                .streams
                .binary_search_by_key(&stream.partition, |known| known.partition);
            stream.closed_at = known.ok().and_then(|place| earlier.streams[place].closed_at);
        }
    }
}

/// What one incarnation sent to one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentStream {
    /// Partition.
    pub partition: i32,
    /// Sequence of the last record; the first one's is 0.
    pub last_sequence: u64,
    /// Offset of the closing record, once that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<i64>,
}

/// Quantiles, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// Largest.
    pub max: u64,
}

/// How a consumer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConsumerState {
    /// Joining the group, or waiting for its other members.
    #[default]
    Joining,
    /// Reading.
    Running,
    /// Everything expected was read.
    Complete,
    /// Told to stop.
    Interrupted,
    /// The deadline passed first, or reading failed; `last_error` says why.
    Failed,
}

/// What a consumer pod has read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerReport {
    /// The process.
    pub process: Process,
    /// How it stands.
    pub state: ConsumerState,
    /// Members of the group as last seen.
    pub members: u32,
    /// Partitions of the topic as last seen; 0 when not yet known.
    pub partition_count: u32,
    /// Partitions it owns.
    pub assigned: Vec<i32>,
    /// Records this process was handed, repeated ones included, closing records not.
    pub delivered: u64,
    /// Different records this process was the first to judge.
    pub received: u64,
    /// Every partition it has owned: how that stands, or stood when it went.
    pub partitions: Vec<PartitionSnapshot>,
    /// What was handed to this process.
    pub segments: Vec<Segment>,
    /// Microseconds from the intended send to the arrival; the clocks of two nodes may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The newest error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Only totals are left of `partitions`, for want of room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Counters>,
}

/// A stretch of a partition that one process was handed between an assignment and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Partition.
    pub partition: i32,
    /// Offset of the first record.
    pub from: i64,
    /// Offset after the last record.
    pub to: i64,
    /// Records among these offsets, closing records not counted.
    pub records: u64,
}

/// How the verification of one partition stands. Its figures are cumulative over all owners: they travel with the
/// partition. Two snapshots of one partition are never added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionSnapshot {
    /// Partition.
    pub partition: i32,
    /// Offset of the next record to read.
    pub position: i64,
    /// Offset the reading began at.
    pub origin: i64,
    /// What was counted.
    pub counters: Counters,
    /// Streams met.
    pub streams: Vec<StreamSnapshot>,
    /// The first offending records.
    pub evidence: Vec<Evidence>,
    /// Stretches of the log that were gone before they could be read, the newest at the end; at most [`MAX_GAPS`]: what is
    /// beyond is taken together with the next, and what was read between them with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Every expected stream was read to its end, and the end of the log was passed after that.
    pub complete: bool,
    /// Something had to be forgotten, or was gone before it could be read, so the figures are lower bounds.
    pub approximate: bool,
}

/// A stretch of the log that was gone before it could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Offset that was to be read next; 0 where an earlier release did not say.
    #[serde(default)]
    pub from: i64,
    /// Offset at which the log began then.
    pub to: i64,
    /// Records, possibly none, known to have stood there, as far as later ones told.
    pub records: u64,
}

/// What is counted. Closing records are in no figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    /// Different records.
    pub received: u64,
    /// Confirmed records that are not in the log, though the reader has passed their place.
    pub lost: u64,
    /// Records in the log again, at another offset.
    pub duplicated: u64,
    /// Records read again at the same offset.
    pub redelivered: u64,
    /// Records behind a later one of their stream.
    pub reordered: u64,
    /// Records in another partition than their key's.
    pub misrouted: u64,
    /// Records that were gone before they could be read: by retention, or by a purge, which a pod cannot tell apart.
    pub expired: u64,
    /// Records that no `KafkaProducer` wrote.
    pub foreign: u64,
    /// Records whose checksum does not match.
    pub corrupt: u64,
}

impl Counters {
    /// Applies `f` figure by figure.
    #[must_use]
    pub fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            received: f(self.received, other.received),
            lost: f(self.lost, other.lost),
            duplicated: f(self.duplicated, other.duplicated),
            redelivered: f(self.redelivered, other.redelivered),
            reordered: f(self.reordered, other.reordered),
            misrouted: f(self.misrouted, other.misrouted),
            expired: f(self.expired, other.expired),
            foreign: f(self.foreign, other.foreign),
            corrupt: f(self.corrupt, other.corrupt),
        }
    }
}

/// One stream, an incarnation's records in one partition, as the reader knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamSnapshot {
    /// The run it belongs to.
    pub run: RunId,
    /// Who sent it.
    pub incarnation: Incarnation,
    /// The sender's share of the run.
    pub share: Share,
    /// Sequence expected next.
    pub next: u64,
    /// Sequences passed over whose fate is not known yet.
    pub pending: u64,
    /// Set when the closing record was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
}

/// What a closing record says about its incarnation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closing {
    /// The share is done.
    pub share_done: bool,
    /// Streams, hence closing records, that the incarnation has in all partitions together.
    pub streams: u32,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EvidenceKind {
    /// Not in the log.
    Lost,
    /// In the log again.
    Duplicated,
    /// Behind a later one of its stream.
    Reordered,
    /// In another partition than its key's.
    Misrouted,
    /// Its checksum does not match.
    Corrupt,
}

impl EvidenceKind {
    /// The word used in statuses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "Lost",
            Self::Duplicated => "Duplicated",
            Self::Reordered => "Reordered",
            Self::Misrouted => "Misrouted",
            Self::Corrupt => "Corrupt",
        }
    }
}

/// One offending record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// What is wrong with it.
    pub kind: EvidenceKind,
    /// Partition.
    pub partition: i32,
    /// Its sequence, when it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Where it stands; for a lost one, where its loss became certain.
    pub offset: i64,
    /// Who sent it, when that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
}
