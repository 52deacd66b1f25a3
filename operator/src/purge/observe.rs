//! Reads from Kafka what a purge needs to know. Changes nothing, and takes no failure for an absence.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ottla_kafka::admin::{
    Admin, Batch, ConfigEntry, ConfigKeys, ConfigQuery, OffsetSpec, Topic, TopicPartition,
};
use ottla_kafka::error::{ErrorCode, KafkaError};
use ottla_kafka::types::{Offset, PartitionId, TopicName};

use super::plan::{Sight, Span};

/// Reads a topic; `None` is Kafka's own word that it has none.
pub async fn topic(admin: &dyn Admin, name: &TopicName) -> Result<Option<Topic>, KafkaError> {
    let mut answers = admin.describe_topics(BTreeSet::from([name.clone()])).await;
    answers
        .remove(name)
        .unwrap_or_else(|| Err(unanswered("describe the topic")))
}

/// Reads a topic's whole configuration.
pub async fn config(
    admin: &dyn Admin,
    name: &TopicName,
) -> Result<BTreeMap<String, ConfigEntry>, KafkaError> {
    let query = ConfigQuery {
        topic: name.clone(),
        keys: ConfigKeys::All,
    };
    let mut answers = admin.describe_configs(vec![query]).await;
    answers
        .remove(name)
        .unwrap_or_else(|| Err(unanswered("read the topic's configuration")))
}

/// Reads what a plan is made from.
pub async fn sight(
    admin: &dyn Admin,
    topic: Topic,
    scope: &BTreeSet<PartitionId>,
    cut_time: Option<Timestamp>,
) -> Result<Sight, KafkaError> {
    let name = topic.name.clone();
    let (spans, config) = tokio::try_join!(spans(admin, &name, scope), config(admin, &name))?;
    // After the ends: a record written in between is beyond its partition's end, and stays.
    let first_to_stay = match cut_time {
        Some(time) => {
            let time = time.as_millisecond();
            by_partition(admin.offsets_at(all(&name, scope), time).await)?
        }
        None => BTreeMap::new(),
    };
    Ok(Sight {
        topic,
        spans,
        first_to_stay,
        config,
    })
}

/// Reads the offsets of partitions: the starts first, so that no start lies beyond its end.
pub async fn spans(
    admin: &dyn Admin,
    name: &TopicName,
    scope: &BTreeSet<PartitionId>,
) -> Result<BTreeMap<PartitionId, Span>, KafkaError> {
    let starts = starts(admin, name, scope).await?;
    let ends = by_partition(admin.list_offsets(all(name, scope), OffsetSpec::Latest).await)?;
    let span = |(id, start): (PartitionId, Offset)| {
        Some((
            id,
            Span {
                start,
                end: *ends.get(&id)?,
            },
        ))
    };
    Ok(starts.into_iter().filter_map(span).collect())
}

/// Reads the first offsets of partitions.
pub async fn starts(
    admin: &dyn Admin,
    name: &TopicName,
    scope: &BTreeSet<PartitionId>,
) -> Result<BTreeMap<PartitionId, Offset>, KafkaError> {
    by_partition(admin.list_offsets(all(name, scope), OffsetSpec::Earliest).await)
}

fn all(name: &TopicName, scope: &BTreeSet<PartitionId>) -> BTreeSet<TopicPartition> {
    let at = |partition: &PartitionId| TopicPartition {
        topic: name.clone(),
        partition: *partition,
    };
    scope.iter().map(at).collect()
}

/// All answers, or the first failure: a plan over some partitions only is none.
fn by_partition<T>(answers: Batch<TopicPartition, T>) -> Result<BTreeMap<PartitionId, T>, KafkaError> {
    let answers = answers.into_iter();
    answers.map(|(at, answer)| Ok((at.partition, answer?))).collect()
}

fn unanswered(operation: &'static str) -> KafkaError {
    KafkaError::Refused {
        operation,
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: None,
    }
}
