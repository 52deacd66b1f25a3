//! Offsets, each asked of its partition's leader.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId as WireBrokerId, ListOffsetsRequest};

use super::operation::{Answers, Operation, answer, complete, malformed};
use super::pool::{Pool, Purpose};
use super::topics::{ask_metadata, own_name, wire_name};
use crate::admin::{OffsetSpec, Topic, TopicPartition};
use crate::error::{ErrorCode, KafkaError};
use crate::metadata;
use crate::types::{BrokerId, Offset, TopicName};

/// One partition's offset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OffsetQuery {
    pub(super) partition: TopicPartition,
    pub(super) at: OffsetSpec,
}

#[derive(Debug)]
pub(super) struct ListOffsets;

impl Operation for ListOffsets {
    type Item = OffsetQuery;
    type Key = TopicPartition;
    type Output = Offset;
    const NAME: &'static str = "list the offsets of partition";
    const CHANGES: bool = false;

    fn key(query: &OffsetQuery) -> TopicPartition {
        query.partition.clone()
    }

    fn send<'a>(
        pool: &'a Pool,
        queries: &'a [OffsetQuery],
    ) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let topics = describe(pool, queries).await?;
            let mut answers = Answers::<Self>::new();
            let mut by_leader: BTreeMap<BrokerId, Vec<OffsetQuery>> = BTreeMap::new();
            for query in queries {
                match leader(&topics, &query.partition) {
                    Ok(leader) => by_leader.entry(leader).or_default().push(query.clone()),
                    Err(error) => {
                        answers.insert(query.partition.clone(), Err(error));
                    }
                }
            }
            for mut answered in
                join_all(by_leader.iter().map(|(id, asked)| ask_leader(pool, *id, asked))).await
            {
                answers.append(&mut answered);
            }
            Ok(answers)
        }
        .boxed()
    }
}

type Described = BTreeMap<TopicName, Result<Topic, KafkaError>>;

async fn describe(pool: &Pool, queries: &[OffsetQuery]) -> Result<Described, KafkaError> {
    let mut names: Vec<&TopicName> = queries.iter().map(|query| &query.partition.topic).collect();
    names.sort();
    names.dedup();
    let (reply, address) = ask_metadata(pool, ListOffsets::NAME, Some(names)).await?;
    let topics = reply.topics.iter().filter_map(|topic| {
        let name = own_name(topic.name.as_deref()?)?;
        let described = match metadata::topic(topic) {
            Ok(Ok(topic)) => Ok(topic),
            Ok(Err(code)) => Err(refused(code)),
            Err(what) => Err(malformed(ListOffsets::NAME, &address, &what)),
        };
        Some((name, described))
    });
    Ok(topics.collect())
}

fn leader(topics: &Described, partition: &TopicPartition) -> Result<BrokerId, KafkaError> {
    let topic = match topics.get(&partition.topic) {
        Some(Ok(topic)) => topic,
        Some(Err(error)) => return Err(error.clone()),
        None => return Err(refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
    };
    match topic
        .partitions
        .iter()
        .find(|found| found.id == partition.partition)
    {
        Some(found) => found
            .leader
            .ok_or_else(|| refused(ErrorCode::LEADER_NOT_AVAILABLE)),
        None => Err(refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
    }
}

fn refused(code: ErrorCode) -> KafkaError {
    KafkaError::Refused {
        operation: ListOffsets::NAME,
        code,
        message: None,
    }
}

async fn ask_leader(pool: &Pool, leader: BrokerId, queries: &[OffsetQuery]) -> Answers<ListOffsets> {
    match try_leader(pool, leader, queries).await {
        Ok(answers) => answers,
        Err(error) => queries
            .iter()
            .map(|query| (query.partition.clone(), Err(error.clone())))
            .collect(),
    }
}

async fn try_leader(
    pool: &Pool,
    leader: BrokerId,
    queries: &[OffsetQuery],
) -> Result<Answers<ListOffsets>, KafkaError> {
    let operation = ListOffsets::NAME;
    let connection = pool.broker(leader, Purpose::Read).await;
    let connection = connection.map_err(|failure| KafkaError::Unreachable { operation, failure })?;
    let reply = connection.call(operation, &request(queries)).await?;
    let mut answers = Answers::<ListOffsets>::new();
    for topic in &reply.topics {
        let Some(name) = own_name(&topic.name) else {
            continue;
        };
        for partition in &topic.partitions {
            let key = TopicPartition {
                topic: name.clone(),
                partition: partition.partition_index.into(),
            };
            answers.insert(
                key,
                answer(
                    operation,
                    partition.error_code,
                    None,
                    Offset::from(partition.offset),
                ),
            );
        }
    }
    Ok(complete::<ListOffsets>(queries, answers, connection.address()))
}

fn request(queries: &[OffsetQuery]) -> ListOffsetsRequest {
    let mut topics: BTreeMap<&TopicName, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for query in queries {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(query.partition.partition.get())
            .with_current_leader_epoch(-1)
            .with_timestamp(match query.at {
                OffsetSpec::Earliest => -2,
                OffsetSpec::Latest => -1,
            });
        topics.entry(&query.partition.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        ListOffsetsTopic::default()
            .with_name(wire_name(name))
            .with_partitions(partitions)
    });
    // -1: asked by a client, not by a follower. Isolation 0: up to the high watermark.
    ListOffsetsRequest::default()
        .with_replica_id(WireBrokerId(-1))
        .with_isolation_level(0)
        .with_topics(topics.collect())
}
