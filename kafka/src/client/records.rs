//! Deletes records, each partition's by its leader.
//!
//! A broker answers only once every live replica has followed, and works on one request of a connection at a time: so
//! that one lagging follower holds up no other purge, several go at once, each over connections of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::leaders;
use super::operation::{Answers, Operation, answer, complete, settle};
use super::pool::{Pool, Purpose};
use super::topics::{own_name, wire_name};
use crate::admin::TopicPartition;
use crate::error::KafkaError;
use crate::types::{BrokerId, Offset, TopicName};

/// How many calls go at once.
const AT_ONCE: u8 = 4;

/// How many partitions go in one request.
const LARGEST_BATCH: usize = 2_000;

/// One partition's cut.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cut {
    partition: TopicPartition,
    before: Offset,
    /// Over which of the connections it goes.
    door: u8,
}

#[derive(Debug)]
pub(super) struct DeleteRecords;

impl Operation for DeleteRecords {
    type Item = Cut;
    type Key = TopicPartition;
    type Output = Offset;
    const NAME: &'static str = "delete the records of partition";
    const LABEL: &'static str = "delete_records";
    const CHANGES: bool = true;
    // Each partition is answered for itself.
    const REFUSED_WHOLE: bool = false;

    fn key(cut: &Cut) -> TopicPartition {
        cut.partition.clone()
    }

    fn send<'a>(pool: &'a Pool, cuts: &'a [Cut]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let (by_leader, mut answers) = leaders::sort::<Self>(pool, cuts, |cut| &cut.partition).await?;
            for mut answered in join_all(by_leader.iter().map(|(id, cuts)| ask_leader(pool, *id, cuts))).await
            {
                answers.append(&mut answered);
            }
            Ok(answers)
        }
        .boxed()
    }
}

async fn ask_leader(pool: &Pool, leader: BrokerId, cuts: &[Cut]) -> Answers<DeleteRecords> {
    match try_leader(pool, leader, cuts).await {
        Ok(answers) => answers,
        Err(error) => cuts
            .iter()
            .map(|cut| (cut.partition.clone(), Err(error.clone())))
            .collect(),
    }
}

async fn try_leader(
    pool: &Pool,
    leader: BrokerId,
    cuts: &[Cut],
) -> Result<Answers<DeleteRecords>, KafkaError> {
    let operation = DeleteRecords::NAME;
    let door = cuts.first().map_or(0, |cut| cut.door);
    let connection = pool.broker(leader, Purpose::Records(door)).await;
    let connection = connection.map_err(|failure| KafkaError::Unreachable { operation, failure })?;
    let request = request(cuts, connection.broker_timeout_ms());
    let reply = connection.call(operation, &request).await?;
    let mut answers = Answers::<DeleteRecords>::new();
    for topic in &reply.topics {
        let Some(name) = own_name(&topic.name) else {
            continue;
        };
        for partition in &topic.partitions {
            let key = TopicPartition {
                topic: name.clone(),
                partition: partition.partition_index.into(),
            };
            let start = Offset::from(partition.low_watermark);
            answers.insert(key, answer(operation, partition.error_code, None, start));
        }
    }
    Ok(complete::<DeleteRecords>(cuts, answers, connection.address()))
}

fn request(cuts: &[Cut], timeout_ms: i32) -> DeleteRecordsRequest {
    let mut topics: BTreeMap<&TopicName, Vec<DeleteRecordsPartition>> = BTreeMap::new();
    for cut in cuts {
        let partition = DeleteRecordsPartition::default()
            .with_partition_index(cut.partition.partition.get())
            .with_offset(cut.before.get());
        topics.entry(&cut.partition.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        DeleteRecordsTopic::default()
            .with_name(wire_name(name))
            .with_partitions(partitions)
    });
    DeleteRecordsRequest::default()
        .with_topics(topics.collect())
        .with_timeout_ms(timeout_ms)
}

/// The doors through which calls go: as many as there are go at once, the others wait.
#[derive(Debug)]
pub(super) struct Doors {
    pool: Arc<Pool>,
    free: Semaphore,
    numbers: Mutex<Vec<u8>>,
}

impl Doors {
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            free: Semaphore::new(usize::from(AT_ONCE)),
            numbers: Mutex::new((0..AT_ONCE).collect()),
        }
    }

    /// Deletes the records below each partition's offset.
    pub(super) async fn delete(&self, before: BTreeMap<TopicPartition, Offset>) -> Answers<DeleteRecords> {
        let mut answers = Answers::<DeleteRecords>::new();
        // The wire's -1 stands for whatever the high watermark is by then: no caller means that.
        let (cuts, negative): (Vec<_>, Vec<_>) = before.into_iter().partition(|(_, at)| at.get() >= 0);
        for (partition, at) in negative {
            let invalid = KafkaError::Invalid {
                operation: DeleteRecords::NAME,
                reason: format!("offset {at} is no place in a log"),
            };
            answers.insert(partition, Err(invalid));
        }
        let deadline = Instant::now() + self.pool.config().timeouts.operation;
        for chunk in cuts.chunks(LARGEST_BATCH) {
            let Ok(Ok(_turn)) = tokio::time::timeout_at(deadline, self.free.acquire()).await else {
                answers.extend(
                    chunk
                        .iter()
                        .map(|(partition, _)| (partition.clone(), Err(self.gave_up()))),
                );
                continue;
            };
            let door = Door::take(&self.numbers);
            let items = chunk.iter().map(|(partition, before)| Cut {
                partition: partition.clone(),
                before: *before,
                door: door.number,
            });
            answers.append(
                &mut settle::<DeleteRecords>(Arc::clone(&self.pool), items.collect(), deadline).await,
            );
        }
        answers
    }

    fn gave_up(&self) -> KafkaError {
        KafkaError::DeadlinePassed {
            operation: DeleteRecords::NAME,
            after: self.pool.config().timeouts.operation,
        }
    }
}

/// A door in use; dropped, even half-way, it is free again.
struct Door<'a> {
    number: u8,
    numbers: &'a Mutex<Vec<u8>>,
}

impl<'a> Door<'a> {
    fn take(numbers: &'a Mutex<Vec<u8>>) -> Self {
        // Whoever has a turn finds a number; without one the last door is shared, which is slower and nothing worse.
        let number = numbers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self {
            number: number.unwrap_or(AT_ONCE - 1),
            numbers,
        }
    }
}

impl Drop for Door<'_> {
    fn drop(&mut self) {
        self.numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.number);
    }
}
