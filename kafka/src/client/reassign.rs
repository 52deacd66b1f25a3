//! Replicas: which partitions are being moved between brokers, starting such moves and taking them back.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::list_partition_reassignments_response::OngoingPartitionReassignment;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId as WireBrokerId, ListPartitionReassignmentsRequest,
};

use super::operation::{Answers, Operation, answer, ask, complete};
use super::pool::{Pool, Purpose};
use super::topics::{own_name, wire_name};
use crate::admin::{Move, Moving, TopicPartition};
use crate::error::KafkaError;
use crate::types::{BrokerId, TopicName};

#[derive(Debug)]
pub(super) struct AlterReassignments;

impl Operation for AlterReassignments {
    type Item = Move;
    type Key = TopicPartition;
    type Output = ();
    const NAME: &'static str = "move the replicas of partition";
    const LABEL: &'static str = "alter_reassignments";
    const CHANGES: bool = true;

    fn key(item: &Move) -> TopicPartition {
        item.partition.clone()
    }

    fn send<'a>(pool: &'a Pool, moves: &'a [Move]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let (reply, address) = ask(pool, Purpose::Change, Self::NAME, |connection| {
                alteration(moves).with_timeout_ms(connection.broker_timeout_ms())
            })
            .await?;
            // An error of the whole request leaves out its items.
            answer(Self::NAME, reply.error_code, reply.error_message.as_deref(), ())?;
            let mut answers = Answers::<Self>::new();
            for topic in &reply.responses {
                let Some(name) = own_name(&topic.name) else {
                    continue;
                };
                for partition in &topic.partitions {
                    let key = at(&name, partition.partition_index);
                    let message = partition.error_message.as_deref();
                    answers.insert(key, answer(Self::NAME, partition.error_code, message, ()));
                }
            }
            Ok(complete::<Self>(moves, answers, &address))
        }
        .boxed()
    }
}

fn at(topic: &TopicName, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.clone(),
        partition: partition.into(),
    }
}

fn alteration(moves: &[Move]) -> AlterPartitionReassignmentsRequest {
    let mut topics: BTreeMap<&TopicName, Vec<ReassignablePartition>> = BTreeMap::new();
    for item in moves {
        let ids = |ids: &Vec<BrokerId>| ids.iter().map(|id| WireBrokerId(id.get())).collect();
        let partition = ReassignablePartition::default()
            .with_partition_index(item.partition.partition.get())
            .with_replicas(item.replicas.as_ref().map(ids));
        topics.entry(&item.partition.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        ReassignableTopic::default()
            .with_name(wire_name(name))
            .with_partitions(partitions)
    });
    AlterPartitionReassignmentsRequest::default().with_topics(topics.collect())
}

#[derive(Debug)]
pub(super) struct ListReassignments;

impl Operation for ListReassignments {
    type Item = TopicPartition;
    type Key = TopicPartition;
    type Output = Option<Moving>;
    const NAME: &'static str = "list the reassignment of partition";
    const LABEL: &'static str = "list_reassignments";
    const CHANGES: bool = false;

    fn key(partition: &TopicPartition) -> TopicPartition {
        partition.clone()
    }

    fn send<'a>(
        pool: &'a Pool,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let (reply, _) = ask(pool, Purpose::Read, Self::NAME, |connection| {
                listing(partitions).with_timeout_ms(connection.broker_timeout_ms())
            })
            .await?;
            answer(Self::NAME, reply.error_code, reply.error_message.as_deref(), ())?;
            // What is not being moved, and what does not exist, is left out of the reply.
            let mut answers: Answers<Self> = partitions
                .iter()
                .map(|partition| (partition.clone(), Ok(None)))
                .collect();
            for topic in &reply.topics {
                let Some(name) = own_name(&topic.name) else {
                    continue;
                };
                for partition in &topic.partitions {
                    if let Some(answer) = answers.get_mut(&at(&name, partition.partition_index)) {
                        *answer = Ok(Some(moving(partition)));
                    }
                }
            }
            Ok(answers)
        }
        .boxed()
    }
}

fn listing(partitions: &[TopicPartition]) -> ListPartitionReassignmentsRequest {
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for one in partitions {
        topics.entry(&one.topic).or_default().push(one.partition.get());
    }
    let topics = topics.into_iter().map(|(name, indexes)| {
        ListPartitionReassignmentsTopics::default()
            .with_name(wire_name(name))
            .with_partition_indexes(indexes)
    });
    ListPartitionReassignmentsRequest::default().with_topics(Some(topics.collect()))
}

fn moving(partition: &OngoingPartitionReassignment) -> Moving {
    let ids = |ids: &[WireBrokerId]| ids.iter().map(|id| BrokerId::from(id.0)).collect();
    Moving {
        replicas: ids(&partition.replicas),
        adding: ids(&partition.adding_replicas),
        removing: ids(&partition.removing_replicas),
    }
}
