//! The partitions a consumer owns: taken over with the state that was committed with their offset, given away with a
//! commit of both. Works inside librdkafka's rebalance callback, which runs on the polling thread.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_contract::config::Start;
use ottla_contract::report::{PartitionSnapshot, Segment};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{info, warn};

use super::barrier::Barrier;
use crate::client::Complaints;
use crate::verifier::Partition;

/// How long one question to Kafka may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a new partition's state is asked for before the process gives up.
const TAKEOVER_TIME: Duration = Duration::from_secs(60);
/// Segments of one process that are remembered; the oldest go first.
const MAX_SEGMENTS: usize = 512;

/// A partition that is ours.
#[derive(Debug)]
pub(super) struct Owned {
    pub(super) verifier: Partition,
    /// Position of the last commit; `None` before the first.
    pub(super) committed: Option<i64>,
    pub(super) segment: Segment,
    pub(super) complete: bool,
}

/// An offset, and the state that was committed with it.
pub(super) type Commit = (i64, String);

/// Everything about partitions that the callback and the loop share.
#[derive(Debug)]
pub(super) struct Ownership {
    pub(super) owned: BTreeMap<i32, Owned>,
    /// How partitions stood when they were given away.
    pub(super) given: BTreeMap<i32, PartitionSnapshot>,
    /// What was read of partitions given away.
    pub(super) segments: Vec<Segment>,
    pub(super) barrier: Barrier,
    /// A partition was assigned at least once.
    pub(super) joined: bool,
    pub(super) last_error: Option<String>,
    /// Going on would risk wrong figures.
    pub(super) fatal: Option<String>,
}

impl Ownership {
    /// Keeps of partitions that are not ours any more what the report needs.
    fn shelve(&mut self, partitions: &[i32]) {
        for partition in partitions {
            if let Some(owned) = self.owned.remove(partition) {
                self.given
                    .insert(*partition, owned.verifier.snapshot(owned.complete));
                if owned.segment.to > owned.segment.from {
                    self.segments.push(owned.segment);
                }
            }
        }
        let surplus = self.segments.len().saturating_sub(MAX_SEGMENTS);
        self.segments.drain(..surplus);
    }
}

/// librdkafka's view of the consumer.
#[derive(Debug)]
pub(super) struct Session {
    topic: String,
    start: Start,
    state: Mutex<Ownership>,
    pub(super) complaints: Complaints,
}

impl Session {
    pub(super) fn new(topic: &str, start: Start, members: u32) -> Self {
        let state = Ownership {
            owned: BTreeMap::new(),
            given: BTreeMap::new(),
            segments: Vec::new(),
            barrier: Barrier::new(members),
            joined: false,
            last_error: None,
            fatal: None,
        };
        Self {
            topic: topic.to_owned(),
            start,
            state: Mutex::new(state),
            complaints: Complaints::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Ownership> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the session of the client before this one knew; that one owns nothing any more.
    pub(super) fn inherit(&self, before: &Self) {
        let mut before = before.state();
        let owned: Vec<i32> = before.owned.keys().copied().collect();
        before.shelve(&owned);
        let mut state = self.state();
        std::mem::swap(&mut *state, &mut *before);
    }

    fn ours(&self, partitions: &TopicPartitionList) -> Vec<i32> {
        let ours = partitions.elements_for_topic(&self.topic);
        ours.iter()
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
            .collect()
    }

    /// Offsets and states of partitions as last committed by the group.
    pub(super) fn committed(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: impl IntoIterator<Item = i32>,
    ) -> KafkaResult<Vec<(i32, Option<Commit>)>> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, partition);
        }
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let list = consumer.committed_offsets(list, TIMEOUT)?;
        list.elements()
            .into_iter()
            .map(|element| {
                element.error()?;
                let commit = match element.offset() {
                    Offset::Offset(offset) => Some((offset, element.metadata().to_owned())),
                    _ => None,
                };
                Ok((element.partition(), commit))
            })
            .collect()
    }

    /// Commits position and state of these partitions, if anything changed.
    pub(super) fn commit(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        let mut positions = Vec::new();
        {
            let state = self.state();
            for (partition, owned) in partitions.iter().filter_map(|p| Some((*p, state.owned.get(p)?))) {
                let position = owned.verifier.position();
                if owned.committed == Some(position) {
                    continue;
                }
                list.add_partition_offset(&self.topic, partition, Offset::Offset(position))?;
                if let Some(mut element) = list.find_partition(&self.topic, partition) {
                    element.set_metadata(owned.verifier.encode());
                }
                positions.push((partition, position));
            }
        }
        if positions.is_empty() {
            return Ok(());
        }
        consumer.commit(&list, CommitMode::Sync)?;
        let mut state = self.state();
        for (partition, position) in positions {
            if let Some(owned) = state.owned.get_mut(&partition) {
                owned.committed = Some(position);
            }
        }
        Ok(())
    }

    /// Takes partitions over: each resumes exactly where the last owner committed, with the state committed there.
    fn take_over(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = self.ours(list);
        if partitions.is_empty() {
            self.state().joined = true;
            return;
        }
        let since = Instant::now();
        let taken = loop {
            match self.read_states(consumer, &partitions) {
                Ok(taken) => break taken,
                Err(error) if since.elapsed() < TAKEOVER_TIME => {
                    warn!(%error, "Could not read the state of new partitions, trying again");
                }
                Err(error) => {
                    let message = format!("cannot read the state of partitions {partitions:?}: {error}");
                    self.state().fatal = Some(message);
                    return;
                }
            }
        };
        let mut state = self.state();
        state.joined = true;
        if taken.iter().any(|(_, committed)| *committed) {
            state.barrier.lift();
        }
        for (verifier, committed) in taken {
            let partition = verifier.number();
            let position = verifier.position();
            if let Some(mut element) = list.find_partition(&self.topic, partition)
                && let Err(error) = element.set_offset(Offset::Offset(position))
            {
                state.fatal = Some(format!(
                    "cannot start partition {partition} at {position}: {error}"
                ));
            }
            let segment = Segment {
                partition,
                from: position,
                to: position,
                records: 0,
            };
            let committed = committed.then_some(position);
            state.given.remove(&partition);
            state.owned.insert(
                partition,
                Owned {
                    verifier,
                    committed,
                    segment,
                    complete: false,
                },
            );
        }
        info!(?partitions, "Took partitions over");
    }

    /// The state of each partition, and whether it comes from a commit.
    fn read_states(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[i32],
    ) -> KafkaResult<Vec<(Partition, bool)>> {
        let committed = self.committed(consumer, partitions.iter().copied())?;
        committed
            .into_iter()
            .map(|(partition, commit)| {
                let (low, high) = consumer.fetch_watermarks(&self.topic, partition, TIMEOUT)?;
                // A commit beyond the end belongs to a log that is gone: the topic was made anew.
                let Some((offset, text)) = commit.filter(|(offset, _)| *offset <= high) else {
                    let new = match self.start {
                        Start::Earliest => Partition::at_the_beginning(partition, low),
                        Start::Latest => Partition::new(partition, high),
                    };
                    return Ok((new, false));
                };
                let known = Partition::decode(partition, offset, &text);
                if known.is_none() {
                    warn!(
                        partition,
                        offset, "A commit without our state: what came before is not verified"
                    );
                }
                let mut verifier = known.unwrap_or_else(|| Partition::new(partition, offset));
                verifier.expire(low);
                Ok((verifier, true))
            })
            .collect()
    }

    /// Gives partitions away, with a commit unless they were taken from us already.
    fn give_away(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) {
        if consumer.assignment_lost() {
            warn!(
                ?partitions,
                "Lost partitions without notice: what was read since the last commit is read again"
            );
        } else if let Err(error) = self.commit(consumer, partitions) {
            warn!(%error, ?partitions, "Could not commit partitions given away");
            self.state().last_error = Some(format!("cannot commit partitions {partitions:?}: {error}"));
        }
        self.state().shelve(partitions);
        info!(?partitions, "Gave partitions away");
    }
}

impl ClientContext for Session {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.complaints.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(&error, reason);
    }
}

impl ConsumerContext for Session {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.take_over(consumer, list),
            Rebalance::Revoke(list) => self.give_away(consumer, &self.ours(list)),
            Rebalance::Error(error) => self.state().last_error = Some(format!("rebalance failed: {error}")),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance
            && self.state().barrier.holds()
            && let Err(error) = consumer.pause(list)
        {
            warn!(%error, "Could not hold new partitions until the group is complete");
        }
    }

    fn main_queue_min_poll_interval(&self) -> rdkafka::util::Timeout {
        rdkafka::util::Timeout::After(Duration::from_millis(100))
    }
}
