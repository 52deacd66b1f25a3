//! Finds the leaders of partitions: what concerns a partition's log is asked of its leader.

use std::collections::BTreeMap;

use super::operation::{Answers, Operation, malformed};
use super::pool::Pool;
use super::topics::{ask_metadata, own_name};
use crate::admin::{Topic, TopicPartition};
use crate::error::{ErrorCode, KafkaError};
use crate::metadata;
use crate::types::{BrokerId, TopicName};

/// The items by the broker to ask, and an answer for each item that has none to ask.
pub(super) type Sorted<O> = (BTreeMap<BrokerId, Vec<<O as Operation>::Item>>, Answers<O>);

/// Sorts items by the leader of their partition.
pub(super) async fn sort<O: Operation<Key = TopicPartition>>(
    pool: &Pool,
    items: &[O::Item],
    partition: impl Fn(&O::Item) -> &TopicPartition,
) -> Result<Sorted<O>, KafkaError> {
    let mut names: Vec<&TopicName> = items.iter().map(|item| &partition(item).topic).collect();
    names.sort();
    names.dedup();
    let topics = describe(pool, O::NAME, names).await?;
    let mut answers = Answers::<O>::new();
    let mut by_leader: BTreeMap<BrokerId, Vec<O::Item>> = BTreeMap::new();
    for item in items {
        match leader(&topics, partition(item), O::NAME) {
            Ok(leader) => by_leader.entry(leader).or_default().push(item.clone()),
            Err(error) => {
                answers.insert(partition(item).clone(), Err(error));
            }
        }
    }
    Ok((by_leader, answers))
}

type Described = BTreeMap<TopicName, Result<Topic, KafkaError>>;

async fn describe(
    pool: &Pool,
    operation: &'static str,
    names: Vec<&TopicName>,
) -> Result<Described, KafkaError> {
    let (reply, address) = ask_metadata(pool, operation, Some(names)).await?;
    let topics = reply.topics.iter().filter_map(|topic| {
        let name = own_name(topic.name.as_deref()?)?;
        let described = match metadata::topic(topic) {
            Ok(Ok(topic)) => Ok(topic),
            Ok(Err(code)) => Err(refused(operation, code)),
            Err(what) => Err(malformed(operation, &address, &what)),
        };
        Some((name, described))
    });
    Ok(topics.collect())
}

fn leader(
    topics: &Described,
    partition: &TopicPartition,
    operation: &'static str,
) -> Result<BrokerId, KafkaError> {
    let unknown = || refused(operation, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let topic = match topics.get(&partition.topic) {
        Some(Ok(topic)) => topic,
        Some(Err(error)) => return Err(error.clone()),
        None => return Err(unknown()),
    };
    let found = topic
        .partitions
        .iter()
        .find(|found| found.id == partition.partition);
    found
        .ok_or_else(unknown)?
        .leader
        .ok_or_else(|| refused(operation, ErrorCode::LEADER_NOT_AVAILABLE))
}

fn refused(operation: &'static str, code: ErrorCode) -> KafkaError {
    KafkaError::Refused {
        operation,
        code,
        message: None,
    }
}
