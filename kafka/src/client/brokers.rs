//! What each broker is asked or told by itself: changes of its dynamic configuration, and what it keeps on its disks.

use futures::future::{join_all, try_join_all};
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::{DescribeLogDirsRequest, IncrementalAlterConfigsRequest};

use super::configs::{BROKER, alterations};
use super::operation::{answer, malformed};
use super::pool::{Pool, Purpose};
use super::topics::{own_name, text};
use crate::admin::{Batch, BrokerConfigChange, LogSizes};
use crate::error::KafkaError;
use crate::types::BrokerId;

pub(super) const ALTER: &str = "alter the configuration of broker";
pub(super) const SIZES: &str = "read what topics take on the disks of broker";

/// Alters the dynamic configuration of brokers. Kafka takes a broker's own configuration from that broker only.
pub(super) async fn alter(pool: &Pool, changes: Vec<BrokerConfigChange>) -> Batch<BrokerId, ()> {
    let told = changes
        .iter()
        .map(|change| async move { (change.broker, alter_one(pool, change).await) });
    join_all(told).await.into_iter().collect()
}

async fn alter_one(pool: &Pool, change: &BrokerConfigChange) -> Result<(), KafkaError> {
    let connection = pool.broker(change.broker, Purpose::Change).await;
    let connection = connection.map_err(|failure| KafkaError::Unreachable {
        operation: ALTER,
        failure,
    })?;
    let resource = AlterConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(text(&change.broker.to_string()))
        .with_configs(alterations(&change.set, &change.unset));
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let reply = connection.call(ALTER, &request).await?;
    let result = reply.responses.first();
    let result = result.ok_or_else(|| malformed(ALTER, connection.address(), "it leaves the broker out"))?;
    answer(ALTER, result.error_code, result.error_message.as_deref(), ())
}

/// Bytes on all disks by topic.
pub(super) async fn log_sizes(pool: &Pool) -> Result<LogSizes, KafkaError> {
    let unreachable = |failure| KafkaError::Unreachable {
        operation: SIZES,
        failure,
    };
    let cluster = pool.brokers().await.map_err(unreachable)?;
    let asked = cluster.brokers.iter().map(|broker| async move {
        let connection = pool.broker(broker.id, Purpose::Read).await.map_err(unreachable)?;
        let request = DescribeLogDirsRequest::default().with_topics(None);
        let reply = connection.call(SIZES, &request).await?;
        answer(SIZES, reply.error_code, None, ())?;
        let mut sizes = LogSizes::new();
        for folder in &reply.results {
            answer(SIZES, folder.error_code, None, ())?;
            for topic in &folder.topics {
                let Some(name) = own_name(&topic.name) else {
                    continue;
                };
                let bytes = topic
                    .partitions
                    .iter()
                    .filter_map(|one| u64::try_from(one.partition_size).ok());
                *sizes.entry(name).or_default() += bytes.sum::<u64>();
            }
        }
        Ok(sizes)
    });
    let mut all = LogSizes::new();
    for (name, bytes) in try_join_all(asked).await?.into_iter().flatten() {
        *all.entry(name).or_default() += bytes;
    }
    Ok(all)
}
