//! Offsets, each asked of its partition's leader.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId as WireBrokerId, ListOffsetsRequest};

use super::leaders;
use super::operation::{Answers, Operation, answer, complete};
use super::pool::{Pool, Purpose};
use super::topics::{own_name, wire_name};
use crate::admin::{OffsetSpec, TopicPartition};
use crate::error::KafkaError;
use crate::types::{BrokerId, Offset, TopicName};

/// One partition's offset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OffsetQuery {
    pub(super) partition: TopicPartition,
    pub(super) at: Position,
}

/// What is asked of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Position {
    /// One of its ends.
    Spec(OffsetSpec),
    /// The first record that is at least this young; the answer -1 is that there is none.
    Time(i64),
}

#[derive(Debug)]
pub(super) struct ListOffsets;

impl Operation for ListOffsets {
    type Item = OffsetQuery;
    type Key = TopicPartition;
    type Output = Offset;
    const NAME: &'static str = "list the offsets of partition";
    const LABEL: &'static str = "list_offsets";
    const CHANGES: bool = false;

    fn key(query: &OffsetQuery) -> TopicPartition {
        query.partition.clone()
    }

    fn send<'a>(
        pool: &'a Pool,
        queries: &'a [OffsetQuery],
    ) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let (by_leader, mut answers) =
                leaders::sort::<Self>(pool, queries, |query| &query.partition).await?;
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
                Position::Spec(OffsetSpec::Earliest) => -2,
                Position::Spec(OffsetSpec::Latest) => -1,
                Position::Time(time) => time,
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
