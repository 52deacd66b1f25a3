//! Reads one topic from Kafka. Changes nothing, and takes no failure for an absence.

use std::collections::BTreeSet;

use ottla_kafka::admin::{Admin, ConfigKeys, ConfigQuery, Topic};
use ottla_kafka::error::{ErrorCode, KafkaError};
use ottla_kafka::types::TopicName;

use super::desired::Desired;
use super::plan::{Live, Recorded};

/// The configs that matter for this object: those it asks for and those it set before.
#[must_use]
pub fn keys(desired: &Desired, recorded: &Recorded) -> BTreeSet<String> {
    desired
        .config
        .keys()
        .chain(recorded.managed.keys())
        .cloned()
        .collect()
}

/// Reads a topic; `None` is Kafka's own word that it has none.
pub async fn topic(
    admin: &dyn Admin,
    name: &TopicName,
    keys: BTreeSet<String>,
) -> Result<Option<Live>, KafkaError> {
    let mut answers = admin.describe_topics(BTreeSet::from([name.clone()])).await;
    let Some(topic) = answers
        .remove(name)
        .unwrap_or_else(|| Err(unanswered("describe the topic")))?
    else {
        return Ok(None);
    };
    if keys.is_empty() {
        return live(&topic, std::collections::BTreeMap::new()).map(Some);
    }
    let query = ConfigQuery {
        topic: name.clone(),
        keys: ConfigKeys::Named(keys),
    };
    let mut answers = admin.describe_configs(vec![query]).await;
    let config = answers
        .remove(name)
        .unwrap_or_else(|| Err(unanswered("read the topic's configuration")))?;
    live(&topic, config).map(Some)
}

/// Puts two answers together.
pub fn live(
    topic: &Topic,
    config: std::collections::BTreeMap<String, ottla_kafka::admin::ConfigEntry>,
) -> Result<Live, KafkaError> {
    match (topic.partition_count(), topic.replication_factor()) {
        (Some(partitions), Some(replication_factor)) => Ok(Live {
            id: topic.id,
            internal: topic.internal,
            partitions,
            replication_factor,
            config,
        }),
        _ => Err(unanswered("tell the topic's partitions")),
    }
}

fn unanswered(operation: &'static str) -> KafkaError {
    KafkaError::Refused {
        operation,
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: None,
    }
}
