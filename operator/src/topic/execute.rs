//! Carries out planned actions, one after the other. The only place that changes topics.
//!
//! *Architecture Invariant:* an action is tried once. When its outcome is unknown the pass ends, and the next one
//! looks before it does anything.

use std::collections::{BTreeMap, BTreeSet};

use ottla_kafka::admin::{
    Admin, Batch, ConfigChange, CreatedTopic, GrowTopic, Move, OffsetSpec, TopicPartition,
};
use ottla_kafka::error::{Class, ErrorCode, KafkaError};
use ottla_kafka::types::{PartitionCount, PartitionId, TopicName};

use super::plan::Action;
use super::plan::replication::Change;
use super::plan::throttle;

/// What became of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// A topic was created.
    Created(CreatedTopic),
    /// It was done in full.
    Full,
    /// Some configs were refused; the others were set.
    Partly(BTreeMap<String, KafkaError>),
}

/// Carries out one action.
pub async fn perform(admin: &dyn Admin, action: &Action) -> Result<Done, KafkaError> {
    match action {
        Action::Create(topic) => {
            let answers = admin.create_topics(vec![topic.clone()]).await;
            sole(answers, "create the topic").map(Done::Created)
        }
        Action::Alter { topic, set, unset } => alter(admin, topic, set, unset).await,
        Action::Throttle { topic, replicas, .. } => {
            let values = [replicas.leaders.clone(), replicas.followers.clone()];
            let set = throttle::KEYS
                .map(str::to_owned)
                .into_iter()
                .zip(values)
                .collect();
            throttling(admin, topic, set, BTreeSet::new()).await
        }
        Action::Unthrottle { topic, keys } => throttling(admin, topic, BTreeMap::new(), keys.clone()).await,
        Action::Grow { topic, to, .. } => {
            let growth = GrowTopic {
                topic: topic.clone(),
                partitions: *to,
            };
            sole(admin.create_partitions(vec![growth]).await, "add partitions").map(|()| Done::Full)
        }
        Action::Reassign { topic, changes, .. } => {
            let one = |(partition, replicas): &Change| Move {
                partition: TopicPartition {
                    topic: topic.clone(),
                    partition: *partition,
                },
                replicas: replicas.clone(),
            };
            let answers = admin.alter_reassignments(changes.iter().map(one).collect()).await;
            // The others have begun; the next pass looks at all of them.
            answers
                .into_values()
                .collect::<Result<(), _>>()
                .map(|()| Done::Full)
        }
        Action::Delete(id) => match sole(
            admin.delete_topics(BTreeSet::from([*id])).await,
            "delete the topic",
        ) {
            // Gone already, under whatever name: what was asked for holds.
            Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_ID) => Ok(Done::Full),
            answer => answer.map(|()| Done::Full),
        },
    }
}

/// Alters both configs that name throttled replicas, or neither.
async fn throttling(
    admin: &dyn Admin,
    topic: &TopicName,
    set: BTreeMap<String, String>,
    unset: BTreeSet<String>,
) -> Result<Done, KafkaError> {
    let topic = topic.clone();
    let change = ConfigChange { topic, set, unset };
    let answer = sole(
        admin.alter_configs(vec![change]).await,
        "throttle the topic's replicas",
    );
    answer.map(|()| Done::Full)
}

/// Alters configs at once; where Kafka refuses them together, one by one, so that a bad key holds up no other.
async fn alter(
    admin: &dyn Admin,
    topic: &TopicName,
    set: &BTreeMap<String, String>,
    unset: &BTreeSet<String>,
) -> Result<Done, KafkaError> {
    let change = ConfigChange {
        topic: topic.clone(),
        set: set.clone(),
        unset: unset.clone(),
    };
    match sole(
        admin.alter_configs(vec![change]).await,
        "alter the topic's configuration",
    ) {
        Ok(()) => return Ok(Done::Full),
        Err(error) if error.class() != Class::Terminal => return Err(error),
        // One key stands for itself.
        Err(error) if set.len() + unset.len() == 1 => {
            let key = set.keys().chain(unset).next().cloned().unwrap_or_default();
            return Ok(Done::Partly(BTreeMap::from([(key, error)])));
        }
        Err(_) => {}
    }
    let sets = set.iter().map(|(key, value)| (key, Some(value)));
    let unsets = unset.iter().map(|key| (key, None));
    let mut refused = BTreeMap::new();
    for (key, value) in sets.chain(unsets) {
        let change = ConfigChange {
            topic: topic.clone(),
            set: value
                .map(|value| (key.clone(), value.clone()))
                .into_iter()
                .collect(),
            unset: if value.is_none() {
                BTreeSet::from([key.clone()])
            } else {
                BTreeSet::new()
            },
        };
        match sole(
            admin.alter_configs(vec![change]).await,
            "alter the topic's configuration",
        ) {
            Ok(()) => {}
            Err(error) if error.class() == Class::Terminal => {
                refused.insert(key.clone(), error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(if refused.is_empty() {
        Done::Full
    } else {
        Done::Partly(refused)
    })
}

/// Whether any of a topic's partitions holds a record; what cannot be told counts as yes.
pub async fn holds_records(admin: &dyn Admin, topic: &TopicName, partitions: PartitionCount) -> bool {
    let all: BTreeSet<TopicPartition> = (0..partitions.get())
        .map(|index| TopicPartition {
            topic: topic.clone(),
            partition: PartitionId::from(index),
        })
        .collect();
    let (first, last) = tokio::join!(
        admin.list_offsets(all.clone(), OffsetSpec::Earliest),
        admin.list_offsets(all.clone(), OffsetSpec::Latest),
    );
    all.iter()
        .any(|partition| match (first.get(partition), last.get(partition)) {
            (Some(Ok(first)), Some(Ok(last))) => first != last,
            _ => true,
        })
}

fn sole<K: Ord, T>(answers: Batch<K, T>, operation: &'static str) -> Result<T, KafkaError> {
    answers.into_values().next().unwrap_or(Err(KafkaError::Refused {
        operation,
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: Some("the answer does not name what was asked for".to_owned()),
    }))
}
