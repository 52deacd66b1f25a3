//! What goes into the admin port and what comes out. Plain data.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::HostPort;
use crate::types::{BrokerId, ClusterId, PartitionCount, PartitionId, ReplicationFactor, TopicId, TopicName};

/// A cluster's identity and brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's id.
    pub id: ClusterId,
    /// The broker that takes changes, where one is known.
    pub controller: Option<BrokerId>,
    /// Every live broker, ordered by id.
    pub brokers: Vec<Broker>,
}

/// One broker as it advertises itself on the listener that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: BrokerId,
    /// The address clients are told to use.
    pub advertised: HostPort,
    /// `broker.rack`, where set.
    pub rack: Option<String>,
}

/// One topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name.
    pub name: TopicName,
    /// Identity.
    pub id: TopicId,
    /// Whether Kafka keeps it for itself.
    pub internal: bool,
    /// Ordered by id; never empty.
    pub partitions: Vec<Partition>,
}

impl Topic {
    /// How many partitions it has; `None` only for an answer without any.
    #[must_use]
    pub fn partition_count(&self) -> Option<PartitionCount> {
        i64::try_from(self.partitions.len()).ok()?.try_into().ok()
    }

    /// The replication factor of partition 0; during a reassignment Kafka counts old and new replicas together.
    #[must_use]
    pub fn replication_factor(&self) -> Option<ReplicationFactor> {
        i64::try_from(self.partitions.first()?.replicas.len())
            .ok()?
            .try_into()
            .ok()
    }
}

/// One partition as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Index within the topic.
    pub id: PartitionId,
    /// Who leads it; none while no replica may.
    pub leader: Option<BrokerId>,
    /// Replicas, preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// In-sync replicas.
    pub in_sync: Vec<BrokerId>,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: TopicName,
    /// Partitions; absent leaves it to the broker (`num.partitions`).
    pub partitions: Option<PartitionCount>,
    /// Replicas; absent leaves it to the broker (`default.replication.factor`).
    pub replication_factor: Option<ReplicationFactor>,
    /// Configuration set on the topic itself.
    pub config: BTreeMap<String, String>,
}

/// A topic just created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its identity.
    pub id: TopicId,
    /// Its partitions; absent where Kafka does not tell (no right to describe configuration).
    pub partitions: Option<PartitionCount>,
    /// Its replicas; absent where Kafka does not tell.
    pub replication_factor: Option<ReplicationFactor>,
}

/// Which configuration to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigQuery {
    /// Of which topic.
    pub topic: TopicName,
    /// Which keys.
    pub keys: ConfigKeys,
}

/// Which keys of a topic's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigKeys {
    /// Every key the broker knows.
    All,
    /// These.
    Named(BTreeSet<String>),
}

/// One key of a topic's configuration as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Value; absent for a sensitive key and for a null.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether Kafka refuses to change it.
    pub read_only: bool,
    /// Whether Kafka hides its value.
    pub sensitive: bool,
}

/// Where a configuration value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigSource {
    /// Set on the topic itself.
    Topic,
    /// A broker's or the cluster's dynamic configuration.
    DynamicBroker,
    /// The broker's configuration file.
    StaticBroker,
    /// Kafka's default.
    Default,
    /// Any other source, by Kafka's number.
    Other(i8),
}

/// A change of a topic's configuration; a key stands in `set` or in `unset`, not in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// Of which topic.
    pub topic: TopicName,
    /// Keys to set on the topic itself.
    pub set: BTreeMap<String, String>,
    /// Keys to take off the topic, so that the broker's value shows again.
    pub unset: BTreeSet<String>,
}

/// A change of one broker's dynamic configuration; a key stands in `set` or in `unset`, not in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfigChange {
    /// Of which broker.
    pub broker: BrokerId,
    /// Keys to set on that broker.
    pub set: BTreeMap<String, String>,
    /// Keys to take off that broker, so that the cluster's or the file's value shows again.
    pub unset: BTreeSet<String>,
}

/// A change of which brokers hold a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Which partition.
    pub partition: TopicPartition,
    /// Who is to hold it in the end, preferred leader first; none takes back a move that is under way.
    pub replicas: Option<Vec<BrokerId>>,
}

/// A partition whose replicas are being moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    /// Everybody who holds it now or is to: the old replicas and the new ones together.
    pub replicas: Vec<BrokerId>,
    /// Who is to hold it and does not yet.
    pub adding: Vec<BrokerId>,
    /// Who holds it and is to hold it no longer.
    pub removing: Vec<BrokerId>,
}

impl Moving {
    /// Who holds it once the move is done.
    #[must_use]
    pub fn target(&self) -> Vec<BrokerId> {
        let stays = |id: &&BrokerId| !self.removing.contains(id);
        self.replicas.iter().filter(stays).copied().collect()
    }

    /// Who holds it once the move is taken back.
    #[must_use]
    pub fn origin(&self) -> Vec<BrokerId> {
        let was = |id: &&BrokerId| !self.adding.contains(id);
        self.replicas.iter().filter(was).copied().collect()
    }
}

/// A topic to give more partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrowTopic {
    /// Name.
    pub topic: TopicName,
    /// The new total.
    pub partitions: PartitionCount,
}

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Topic.
    pub topic: TopicName,
    /// Partition.
    pub partition: PartitionId,
}

/// Which offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OffsetSpec {
    /// The log's start.
    Earliest,
    /// The high watermark: the offset the next record visible to consumers gets.
    Latest,
}
