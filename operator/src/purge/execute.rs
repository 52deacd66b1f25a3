//! Carries out planned actions. The only place where a purge changes Kafka.
//!
//! *Architecture Invariant:* every offset, time and id comes from the saved plan. Deleting records below a pinned
//! offset, setting a config to a saved value and deleting a topic by its id do nothing the second time.

use std::collections::BTreeSet;

use ottla_kafka::admin::{Admin, Batch, ConfigChange, CreatedTopic, GrowTopic, TopicPartition};
use ottla_kafka::error::{ErrorCode, KafkaError};
use ottla_kafka::types::PartitionId;

use super::plan::Action;

/// What became of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// It was done in full.
    Full,
    /// Records of these partitions stayed.
    Partly(Vec<(PartitionId, KafkaError)>),
    /// The topic was created.
    Created(CreatedTopic),
}

/// Carries out one action.
pub async fn perform(admin: &dyn Admin, action: &Action) -> Result<Done, KafkaError> {
    match action {
        Action::DeleteRecords { topic, before } => {
            let at = |partition: &PartitionId| TopicPartition {
                topic: topic.clone(),
                partition: *partition,
            };
            let before = before.iter().map(|(partition, offset)| (at(partition), *offset));
            let answers = admin.delete_records(before.collect()).await;
            let failed = answers
                .into_iter()
                .filter_map(|(at, answer)| Some((at.partition, answer.err()?)));
            let failed: Vec<_> = failed.collect();
            Ok(if failed.is_empty() {
                Done::Full
            } else {
                Done::Partly(failed)
            })
        }
        Action::Alter { topic, set, unset } => {
            let change = ConfigChange {
                topic: topic.clone(),
                set: set.clone(),
                unset: unset.clone(),
            };
            let answers = admin.alter_configs(vec![change]).await;
            sole(answers, "alter the topic's configuration").map(|()| Done::Full)
        }
        Action::DeleteTopic(id) => {
            match sole(
                admin.delete_topics(BTreeSet::from([*id])).await,
                "delete the topic",
            ) {
                // Gone already: what was asked for holds.
                Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_ID) => Ok(Done::Full),
                answer => answer.map(|()| Done::Full),
            }
        }
        Action::Grow { topic, to } => {
            let growth = GrowTopic {
                topic: topic.clone(),
                partitions: *to,
            };
            sole(admin.create_partitions(vec![growth]).await, "add partitions").map(|()| Done::Full)
        }
        Action::CreateTopic(topic) => {
            let answers = admin.create_topics(vec![topic.clone()]).await;
            sole(answers, "create the topic").map(Done::Created)
        }
    }
}

fn sole<K: Ord, T>(answers: Batch<K, T>, operation: &'static str) -> Result<T, KafkaError> {
    answers.into_values().next().unwrap_or(Err(KafkaError::Refused {
        operation,
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: Some("the answer does not name what was asked for".to_owned()),
    }))
}
