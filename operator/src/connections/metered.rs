//! Counts and times every call of the admin port. Changes nothing about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ottla_kafka::admin::{
    Admin, Batch, BrokerConfigChange, BrokerConfigs, Cluster, ConfigChange, ConfigEntry, ConfigQuery,
    ConsumerGroup, CreatedTopic, GrowTopic, LogSizes, Move, Moving, NewTopic, OffsetSpec, Topic,
    TopicPartition,
};
use ottla_kafka::error::{Class, KafkaError};
use ottla_kafka::observe::Observer;
use ottla_kafka::probe::ListenerReport;
use ottla_kafka::types::{BrokerId, Offset, PartitionId, TopicId, TopicName};
use tokio::time::Instant;

use crate::runtime::Key;
use crate::runtime::metrics::Metrics;

/// The figures of one KafkaCluster.
#[derive(Clone, Debug)]
pub struct Figures {
    metrics: Arc<Metrics>,
    cluster: Arc<str>,
}

impl Figures {
    /// What is counted for this KafkaCluster.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, cluster: &Key) -> Self {
        Self {
            metrics,
            cluster: cluster.to_string().into(),
        }
    }
}

impl Observer for Figures {
    fn batch(&self, method: &'static str, waited: &[Duration]) {
        self.metrics.clusters.batch(&self.cluster, method, waited);
    }
}

/// An admin port whose calls are counted.
pub struct Metered<A> {
    inner: A,
    figures: Figures,
}

impl<A> fmt::Debug for Metered<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered").finish_non_exhaustive()
    }
}

impl<A: Admin> Metered<A> {
    /// Counts the calls of `inner`.
    #[must_use]
    pub const fn new(inner: A, figures: Figures) -> Self {
        Self { inner, figures }
    }

    fn called(&self, operation: &'static str, error: Option<&KafkaError>, took: Duration) {
        let Figures { metrics, cluster } = &self.figures;
        metrics
            .clusters
            .admin_called(cluster, operation, outcome(error), took);
    }

    fn single<'a, T: 'a>(
        &'a self,
        operation: &'static str,
        call: BoxFuture<'a, Result<T, KafkaError>>,
    ) -> BoxFuture<'a, Result<T, KafkaError>> {
        Box::pin(async move {
            let started = Instant::now();
            let answer = call.await;
            self.called(operation, answer.as_ref().err(), started.elapsed());
            answer
        })
    }

    fn batch<'a, K: 'a, T: 'a>(
        &'a self,
        operation: &'static str,
        call: BoxFuture<'a, Batch<K, T>>,
    ) -> BoxFuture<'a, Batch<K, T>> {
        Box::pin(async move {
            let started = Instant::now();
            let answers = call.await;
            for answer in answers.values() {
                let Figures { metrics, cluster } = &self.figures;
                let outcome = outcome(answer.as_ref().err());
                metrics.clusters.admin_item(cluster, operation, outcome);
            }
            let lost = answers
                .values()
                .filter_map(|answer| answer.as_ref().err())
                .find(|e| e.is_connection());
            self.called(operation, lost, started.elapsed());
            answers
        })
    }
}

impl<A: Admin> Metered<A> {
    /// The same for what changes Kafka.
    #[cfg(not(feature = "failpoints"))]
    fn change<'a, K: 'a, T: 'a>(
        &'a self,
        operation: &'static str,
        call: BoxFuture<'a, Batch<K, T>>,
    ) -> BoxFuture<'a, Batch<K, T>> {
        self.batch(operation, call)
    }

    /// The same for what changes Kafka, with a point before and one after it.
    #[cfg(feature = "failpoints")]
    fn change<'a, K: Ord + Send + 'a, T: Send + 'a>(
        &'a self,
        operation: &'static str,
        call: BoxFuture<'a, Batch<K, T>>,
    ) -> BoxFuture<'a, Batch<K, T>> {
        use crate::runtime::failpoint::{Fate, after, before};
        let name = format!("kafka.{operation}");
        Box::pin(async move {
            before(&name).await;
            let answers = self.batch(operation, call).await;
            match after(&name).await {
                Fate::Unharmed => answers,
                Fate::Lost => answers
                    .into_keys()
                    .map(|key| (key, Err(KafkaError::Abandoned { operation })))
                    .collect(),
            }
        })
    }
}

fn outcome(error: Option<&KafkaError>) -> &'static str {
    match error {
        None => "ok",
        Some(error) if error.is_connection() => "unreachable",
        Some(error) => match error.class() {
            Class::Retriable => "retriable",
            Class::SlowRetry => "slow_retry",
            Class::Ambiguous => "ambiguous",
            Class::Decide => "decide",
            Class::Terminal => "terminal",
        },
    }
}

impl<A: Admin> Admin for Metered<A> {
    fn describe_cluster(&self) -> BoxFuture<'_, Result<Cluster, KafkaError>> {
        self.single("describe_cluster", self.inner.describe_cluster())
    }

    fn list_topics(&self) -> BoxFuture<'_, Result<Vec<Topic>, KafkaError>> {
        self.single("list_topics", self.inner.list_topics())
    }

    fn describe_topics(&self, names: BTreeSet<TopicName>) -> BoxFuture<'_, Batch<TopicName, Option<Topic>>> {
        self.batch("describe_topics", self.inner.describe_topics(names))
    }

    fn known_topics(&self, names: BTreeSet<TopicName>) -> BoxFuture<'_, Batch<TopicName, bool>> {
        self.batch("known_topics", self.inner.known_topics(names))
    }

    fn create_topics(&self, topics: Vec<NewTopic>) -> BoxFuture<'_, Batch<TopicName, CreatedTopic>> {
        self.change("create_topics", self.inner.create_topics(topics))
    }

    fn describe_configs(
        &self,
        queries: Vec<ConfigQuery>,
    ) -> BoxFuture<'_, Batch<TopicName, BTreeMap<String, ConfigEntry>>> {
        self.batch("describe_configs", self.inner.describe_configs(queries))
    }

    fn describe_broker_configs(
        &self,
        keys: BTreeSet<String>,
    ) -> BoxFuture<'_, Result<BrokerConfigs, KafkaError>> {
        self.single(
            "describe_broker_configs",
            self.inner.describe_broker_configs(keys),
        )
    }

    fn alter_configs(&self, changes: Vec<ConfigChange>) -> BoxFuture<'_, Batch<TopicName, ()>> {
        self.change("alter_configs", self.inner.alter_configs(changes))
    }

    fn alter_broker_configs(&self, changes: Vec<BrokerConfigChange>) -> BoxFuture<'_, Batch<BrokerId, ()>> {
        self.change("alter_broker_configs", self.inner.alter_broker_configs(changes))
    }

    fn log_sizes(&self) -> BoxFuture<'_, Result<LogSizes, KafkaError>> {
        self.single("log_sizes", self.inner.log_sizes())
    }

    fn create_partitions(&self, growth: Vec<GrowTopic>) -> BoxFuture<'_, Batch<TopicName, ()>> {
        self.change("create_partitions", self.inner.create_partitions(growth))
    }

    fn alter_reassignments(&self, moves: Vec<Move>) -> BoxFuture<'_, Batch<TopicPartition, ()>> {
        self.change("alter_reassignments", self.inner.alter_reassignments(moves))
    }

    fn list_reassignments(
        &self,
        partitions: BTreeSet<TopicPartition>,
    ) -> BoxFuture<'_, Batch<TopicPartition, Option<Moving>>> {
        self.batch("list_reassignments", self.inner.list_reassignments(partitions))
    }

    fn delete_topics(&self, ids: BTreeSet<TopicId>) -> BoxFuture<'_, Batch<TopicId, ()>> {
        self.change("delete_topics", self.inner.delete_topics(ids))
    }

    fn list_offsets(
        &self,
        partitions: BTreeSet<TopicPartition>,
        at: OffsetSpec,
    ) -> BoxFuture<'_, Batch<TopicPartition, Offset>> {
        self.batch("list_offsets", self.inner.list_offsets(partitions, at))
    }

    fn offsets_at(
        &self,
        partitions: BTreeSet<TopicPartition>,
        time: i64,
    ) -> BoxFuture<'_, Batch<TopicPartition, Option<Offset>>> {
        self.batch("offsets_at", self.inner.offsets_at(partitions, time))
    }

    fn delete_records(
        &self,
        before: BTreeMap<TopicPartition, Offset>,
    ) -> BoxFuture<'_, Batch<TopicPartition, Offset>> {
        self.change("delete_records", self.inner.delete_records(before))
    }

    fn consumer_groups(
        &self,
        topic: TopicName,
        partitions: BTreeSet<PartitionId>,
    ) -> BoxFuture<'_, Result<Vec<ConsumerGroup>, KafkaError>> {
        self.single("consumer_groups", self.inner.consumer_groups(topic, partitions))
    }

    fn probe_listeners(&self) -> BoxFuture<'_, Result<Vec<ListenerReport>, KafkaError>> {
        self.single("probe_listeners", self.inner.probe_listeners())
    }
}
