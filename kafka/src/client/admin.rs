//! The port's methods, each on its lane.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::offsets::{OffsetQuery, Position};
use super::{KafkaAdmin, brokers, configs, groups};
use crate::admin::{
    Admin, Batch, BrokerConfigChange, BrokerConfigs, Cluster, ConfigChange, ConfigEntry, ConfigQuery,
    ConsumerGroup, CreatedTopic, GrowTopic, LogSizes, Move, Moving, NewTopic, OffsetSpec, Topic,
    TopicPartition,
};
use crate::error::KafkaError;
use crate::probe::{self, ListenerReport};
use crate::types::{BrokerId, Offset, PartitionId, TopicId, TopicName};

impl Admin for KafkaAdmin {
    fn describe_cluster(&self) -> BoxFuture<'_, Result<Cluster, KafkaError>> {
        async {
            let found = self.pool.bootstrap().await;
            found.map_err(|failure| KafkaError::Unreachable {
                operation: "describe the cluster",
                failure,
            })
        }
        .boxed()
    }

    fn list_topics(&self) -> BoxFuture<'_, Result<Vec<Topic>, KafkaError>> {
        async { self.list_topics.submit_one(()).await }.boxed()
    }

    fn describe_topics(&self, names: BTreeSet<TopicName>) -> BoxFuture<'_, Batch<TopicName, Option<Topic>>> {
        self.describe_topics.submit(names).boxed()
    }

    fn known_topics(&self, names: BTreeSet<TopicName>) -> BoxFuture<'_, Batch<TopicName, bool>> {
        self.known_topics.submit(names).boxed()
    }

    fn create_topics(&self, topics: Vec<NewTopic>) -> BoxFuture<'_, Batch<TopicName, CreatedTopic>> {
        self.create_topics.submit(topics).boxed()
    }

    fn describe_configs(
        &self,
        queries: Vec<ConfigQuery>,
    ) -> BoxFuture<'_, Batch<TopicName, BTreeMap<String, ConfigEntry>>> {
        self.describe_configs.submit(queries).boxed()
    }

    fn describe_broker_configs(
        &self,
        keys: BTreeSet<String>,
    ) -> BoxFuture<'_, Result<BrokerConfigs, KafkaError>> {
        async move { configs::of_brokers(&self.pool, &keys).await }.boxed()
    }

    fn alter_configs(&self, changes: Vec<ConfigChange>) -> BoxFuture<'_, Batch<TopicName, ()>> {
        self.alter_configs.submit(changes).boxed()
    }

    fn alter_broker_configs(&self, changes: Vec<BrokerConfigChange>) -> BoxFuture<'_, Batch<BrokerId, ()>> {
        async move { brokers::alter(&self.pool, changes).await }.boxed()
    }

    fn log_sizes(&self) -> BoxFuture<'_, Result<LogSizes, KafkaError>> {
        async { brokers::log_sizes(&self.pool).await }.boxed()
    }

    fn create_partitions(&self, growth: Vec<GrowTopic>) -> BoxFuture<'_, Batch<TopicName, ()>> {
        self.create_partitions.submit(growth).boxed()
    }

    fn alter_reassignments(&self, moves: Vec<Move>) -> BoxFuture<'_, Batch<TopicPartition, ()>> {
        self.alter_reassignments.submit(moves).boxed()
    }

    fn list_reassignments(
        &self,
        partitions: BTreeSet<TopicPartition>,
    ) -> BoxFuture<'_, Batch<TopicPartition, Option<Moving>>> {
        self.list_reassignments.submit(partitions).boxed()
    }

    fn delete_topics(&self, ids: BTreeSet<TopicId>) -> BoxFuture<'_, Batch<TopicId, ()>> {
        self.delete_topics.submit(ids).boxed()
    }

    fn list_offsets(
        &self,
        partitions: BTreeSet<TopicPartition>,
        at: OffsetSpec,
    ) -> BoxFuture<'_, Batch<TopicPartition, Offset>> {
        let at = Position::Spec(at);
        let queries = partitions
            .into_iter()
            .map(move |partition| OffsetQuery { partition, at });
        self.list_offsets.submit(queries).boxed()
    }

    fn offsets_at(
        &self,
        partitions: BTreeSet<TopicPartition>,
        time: i64,
    ) -> BoxFuture<'_, Batch<TopicPartition, Option<Offset>>> {
        // Below zero stand the wire's words for the log's ends; no record is older than 0.
        let at = Position::Time(time.max(0));
        let queries = partitions
            .into_iter()
            .map(move |partition| OffsetQuery { partition, at });
        async {
            let answers = self.list_offsets.submit(queries).await.into_iter();
            let found = |offset: Offset| (offset.get() >= 0).then_some(offset);
            answers.map(|(key, answer)| (key, answer.map(found))).collect()
        }
        .boxed()
    }

    fn delete_records(
        &self,
        before: BTreeMap<TopicPartition, Offset>,
    ) -> BoxFuture<'_, Batch<TopicPartition, Offset>> {
        self.records.delete(before).boxed()
    }

    fn consumer_groups(
        &self,
        topic: TopicName,
        partitions: BTreeSet<PartitionId>,
    ) -> BoxFuture<'_, Result<Vec<ConsumerGroup>, KafkaError>> {
        async move { groups::of_topic(&self.pool, &topic, &partitions).await }.boxed()
    }

    fn probe_listeners(&self) -> BoxFuture<'_, Result<Vec<ListenerReport>, KafkaError>> {
        async {
            let found = self.pool.bootstrap().await;
            let cluster = found.map_err(|failure| KafkaError::Unreachable {
                operation: "probe the listeners",
                failure,
            })?;
            Ok(probe::probe(&cluster, self.pool.config()).await)
        }
        .boxed()
    }
}
