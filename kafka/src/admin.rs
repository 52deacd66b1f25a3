//! The admin port: what is asked of a Kafka cluster, in batches, with an answer for every item.
//!
//! Two things answer it: the wire adapter ([`crate::client::KafkaAdmin`]) and the in-memory fake
//! ([`crate::fake::FakeKafka`]); one contract suite holds both. It mirrors what an operator needs, not Kafka's API.

mod groups;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;

pub use groups::ConsumerGroup;
pub use model::{
    Broker, BrokerConfigChange, Cluster, ConfigChange, ConfigEntry, ConfigKeys, ConfigQuery, ConfigSource,
    CreatedTopic, GrowTopic, Move, Moving, NewTopic, OffsetSpec, Partition, Topic, TopicPartition,
};

use crate::error::KafkaError;
use crate::probe::ListenerReport;
use crate::types::{BrokerId, Offset, PartitionId, TopicId, TopicName};

/// An answer for every item asked for; where the whole request failed, each item carries that failure.
pub type Batch<K, T> = BTreeMap<K, Result<T, KafkaError>>;

/// Configuration by broker and key.
pub type BrokerConfigs = BTreeMap<BrokerId, BTreeMap<String, ConfigEntry>>;

/// Bytes on the disks of all brokers by topic, every replica counted.
pub type LogSizes = BTreeMap<TopicName, u64>;

/// What is asked of a Kafka cluster. Cheap to share as `Arc<dyn Admin>`; calls may run at once.
///
/// Calls that arrive while one of the same kind is in flight leave together in the next. No call ever repeats a
/// mutation whose outcome is unknown ([`crate::error::Class::Ambiguous`]): describe, then decide.
pub trait Admin: Send + Sync + 'static {
    /// Tells the cluster's identity and its brokers.
    fn describe_cluster(&self) -> BoxFuture<'_, Result<Cluster, KafkaError>>;

    /// Lists every topic the credentials may see, internal ones included.
    fn list_topics(&self) -> BoxFuture<'_, Result<Vec<Topic>, KafkaError>>;

    /// Describes topics by name. `Ok(None)` is Kafka's answer that it has no such topic (a lagging broker gives
    /// it too); a describe that was denied or not answered is an error. Never creates a topic.
    fn describe_topics(&self, names: BTreeSet<TopicName>) -> BoxFuture<'_, Batch<TopicName, Option<Topic>>>;

    /// Tells which topics Kafka's controller knows by name: a broker that lags shows less than there is. Needs the right to
    /// create the topic, and creates none.
    fn known_topics(&self, names: BTreeSet<TopicName>) -> BoxFuture<'_, Batch<TopicName, bool>>;

    /// Creates topics; the answer carries the new topic's id.
    fn create_topics(&self, topics: Vec<NewTopic>) -> BoxFuture<'_, Batch<TopicName, CreatedTopic>>;

    /// Reads topic configuration, the whole or selected keys. An unknown key is absent from the answer.
    fn describe_configs(
        &self,
        queries: Vec<ConfigQuery>,
    ) -> BoxFuture<'_, Batch<TopicName, BTreeMap<String, ConfigEntry>>>;

    /// Reads selected configuration of every broker, each asked for its own.
    fn describe_broker_configs(
        &self,
        keys: BTreeSet<String>,
    ) -> BoxFuture<'_, Result<BrokerConfigs, KafkaError>>;

    /// Sets and unsets single keys of topic configuration; what is not named stays as it is.
    fn alter_configs(&self, changes: Vec<ConfigChange>) -> BoxFuture<'_, Batch<TopicName, ()>>;

    /// Sets and unsets single keys of brokers' dynamic configuration; what is not named stays as it is. Each broker is
    /// told by itself: one that is away answers alone that it is.
    fn alter_broker_configs(&self, changes: Vec<BrokerConfigChange>) -> BoxFuture<'_, Batch<BrokerId, ()>>;

    /// Tells how much every topic takes on the brokers' disks. A broker that does not answer fails the whole: half a
    /// size is none.
    fn log_sizes(&self) -> BoxFuture<'_, Result<LogSizes, KafkaError>>;

    /// Raises partition counts.
    fn create_partitions(&self, growth: Vec<GrowTopic>) -> BoxFuture<'_, Batch<TopicName, ()>>;

    /// Starts moving partitions to other brokers, or takes a move back. The answer comes when Kafka has taken it in;
    /// the move itself goes on ([`Admin::list_reassignments`]). A move in the place of one under way replaces it.
    fn alter_reassignments(&self, moves: Vec<Move>) -> BoxFuture<'_, Batch<TopicPartition, ()>>;

    /// Tells which of the partitions are being moved. `Ok(None)` is one that is not, or does not exist.
    fn list_reassignments(
        &self,
        partitions: BTreeSet<TopicPartition>,
    ) -> BoxFuture<'_, Batch<TopicPartition, Option<Moving>>>;

    /// Deletes topics by id: a topic created anew under the same name is never hit. A topic that is gone already
    /// answers `UNKNOWN_TOPIC_ID`. What was deleted here is neither described nor listed from then on, though a broker
    /// that lags still shows it.
    fn delete_topics(&self, ids: BTreeSet<TopicId>) -> BoxFuture<'_, Batch<TopicId, ()>>;

    /// Reads the first or the next offset of partitions from their leaders (read-uncommitted).
    fn list_offsets(
        &self,
        partitions: BTreeSet<TopicPartition>,
        at: OffsetSpec,
    ) -> BoxFuture<'_, Batch<TopicPartition, Offset>>;

    /// Reads the first offset of partitions whose record's time, in milliseconds since 1970, is at or after `time`;
    /// `None` where no record is that young.
    fn offsets_at(
        &self,
        partitions: BTreeSet<TopicPartition>,
        time: i64,
    ) -> BoxFuture<'_, Batch<TopicPartition, Option<Offset>>>;

    /// Deletes the records below an offset of each partition, and answers with the log's start afterwards. Records at
    /// and above the offset stay, so that the same call once more does nothing: it may be repeated whatever the
    /// outcome. An offset above the high watermark answers `OFFSET_OUT_OF_RANGE`.
    fn delete_records(
        &self,
        before: BTreeMap<TopicPartition, Offset>,
    ) -> BoxFuture<'_, Batch<TopicPartition, Offset>>;

    /// Lists the consumer groups that the credentials may see and that have committed offsets on these partitions of
    /// a topic, ordered by id.
    fn consumer_groups(
        &self,
        topic: TopicName,
        partitions: BTreeSet<PartitionId>,
    ) -> BoxFuture<'_, Result<Vec<ConsumerGroup>, KafkaError>>;

    /// Resolves, dials, authenticates and asks every advertised address. Fails only when bootstrap does.
    fn probe_listeners(&self) -> BoxFuture<'_, Result<Vec<ListenerReport>, KafkaError>>;
}
