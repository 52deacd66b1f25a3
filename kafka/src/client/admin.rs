//! The port's methods, each on its lane.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::KafkaAdmin;
use super::offsets::OffsetQuery;
use crate::admin::{
    Admin, Batch, Cluster, ConfigChange, ConfigEntry, ConfigQuery, CreatedTopic, GrowTopic, NewTopic,
    OffsetSpec, Topic, TopicPartition,
};
use crate::error::KafkaError;
use crate::probe::{self, ListenerReport};
use crate::types::{Offset, TopicId, TopicName};

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

    fn create_topics(&self, topics: Vec<NewTopic>) -> BoxFuture<'_, Batch<TopicName, CreatedTopic>> {
        self.create_topics.submit(topics).boxed()
    }

    fn describe_configs(
        &self,
        queries: Vec<ConfigQuery>,
    ) -> BoxFuture<'_, Batch<TopicName, BTreeMap<String, ConfigEntry>>> {
        self.describe_configs.submit(queries).boxed()
    }

    fn alter_configs(&self, changes: Vec<ConfigChange>) -> BoxFuture<'_, Batch<TopicName, ()>> {
        self.alter_configs.submit(changes).boxed()
    }

    fn create_partitions(&self, growth: Vec<GrowTopic>) -> BoxFuture<'_, Batch<TopicName, ()>> {
        self.create_partitions.submit(growth).boxed()
    }

    fn delete_topics(&self, ids: BTreeSet<TopicId>) -> BoxFuture<'_, Batch<TopicId, ()>> {
        self.delete_topics.submit(ids).boxed()
    }

    fn list_offsets(
        &self,
        partitions: BTreeSet<TopicPartition>,
        at: OffsetSpec,
    ) -> BoxFuture<'_, Batch<TopicPartition, Offset>> {
        let queries = partitions
            .into_iter()
            .map(move |partition| OffsetQuery { partition, at });
        self.list_offsets.submit(queries).boxed()
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
