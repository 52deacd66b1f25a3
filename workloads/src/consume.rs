//! The consumer: reads its partitions of a group, has each record judged, commits position and state together, and,
//! when it is bounded, leaves once everything expected was read.

mod barrier;
mod completion;
mod membership;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_contract::config::{Connection, ConsumerConfig};
use ottla_contract::report::{ConsumerState, Process, StreamSnapshot};
use ottla_contract::{ConsumerReport, Incarnation};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use tracing::{info, warn};

use crate::board::Board;
use crate::client::ClientError;
use crate::clock::{now_ns, pause};
use crate::credentials::Watch;
use crate::latency::Latencies;
use crate::record::{self, Parsed};
use crate::verifier::{Judged, Partition};
use barrier::Group;
use session::{Ownership, Session, TIMEOUT};

/// Longest wait for a record before looking around.
const POLL: Duration = Duration::from_millis(50);
/// Time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);
/// Time between two looks at the group, and at whether all was read.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two looks at the number of partitions.
const METADATA_INTERVAL: Duration = Duration::from_secs(30);

/// What to read where.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// How to reach Kafka.
    pub connection: Connection,
    /// The topic.
    pub topic: String,
    /// How to read it.
    pub config: ConsumerConfig,
}

/// Reads until all is read, the deadline passes, or it is told to stop. The group is left before this returns.
///
/// # Errors
/// When there can be no client at all.
pub fn run(
    assignment: &Assignment,
    board: &Arc<Board<ConsumerReport>>,
) -> Result<ConsumerReport, ClientError> {
    let mut work = Work::new(assignment, board)?;
    work.run();
    work.publish();
    membership::close(work.consumer);
    Ok(board.report())
}

/// The report of a consumer that has not begun.
#[must_use]
pub fn first_report(pod: String) -> ConsumerReport {
    let process = Process {
        pod,
        start: Incarnation(rand::random()),
    };
    ConsumerReport {
        process,
        ..ConsumerReport::default()
    }
}

/// The state of the working thread.
struct Work<'a> {
    assignment: &'a Assignment,
    board: &'a Board<ConsumerReport>,
    consumer: BaseConsumer<Session>,
    watch: Watch,
    report: ConsumerReport,
    latency: Latencies,
    /// Where partitions ended after everything expected had been closed.
    ends: BTreeMap<i32, i64>,
    started: Instant,
    published: Instant,
    committed: Instant,
    looked: Instant,
    counted: Option<Instant>,
}

impl<'a> Work<'a> {
    fn new(assignment: &'a Assignment, board: &'a Board<ConsumerReport>) -> Result<Self, ClientError> {
        let Assignment { topic, config, .. } = assignment;
        let watch = Watch::new(&assignment.connection.security);
        let consumer = membership::open(assignment, Session::new(topic, config.start, config.members))?;
        consumer.subscribe(&[topic]).map_err(ClientError::Create)?;
        let now = Instant::now();
        Ok(Self {
            report: board.report(),
            assignment,
            board,
            consumer,
            watch,
            latency: Latencies::default(),
            ends: BTreeMap::new(),
            started: now,
            published: now,
            committed: now,
            looked: now,
            counted: None,
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Ownership> {
        self.consumer.context().state()
    }

    fn run(&mut self) {
        let state = loop {
            self.read_one();
            if let Some(state) = self.tick() {
                break state;
            }
        };
        self.commit();
        self.report.state = state;
        self.publish();
        self.leave();
        self.board.set_ready(false);
    }

    fn read_one(&mut self) {
        // The consumer is borrowed by the message; what is counted lies beside it.
        let Self {
            consumer,
            report,
            latency,
            assignment,
            ..
        } = self;
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                let judged = judge(consumer, &assignment.topic, &message);
                let Some((judged, intended_ns)) = judged else {
                    return;
                };
                report.delivered += u64::from(judged != Judged::Closing);
                if judged == Judged::New {
                    report.received += 1;
                    latency.record(intended_ns, now_ns());
                }
                let delay = assignment.config.processing_delay_us;
                if delay > 0 {
                    pause(Duration::from_micros(delay));
                }
            }
            // The log said more of it already.
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) => {}
            Some(Err(error)) => note(&mut consumer.context().state(), &error),
        }
    }

    /// What must happen every now and then; an answer ends the work.
    fn tick(&mut self) -> Option<ConsumerState> {
        if self.published.elapsed() >= REPORT_INTERVAL {
            self.publish();
        }
        if self
            .counted
            .is_none_or(|counted| counted.elapsed() >= METADATA_INTERVAL)
        {
            self.count_partitions();
        }
        if self.board.stopping() {
            return Some(ConsumerState::Interrupted);
        }
        let fatal = self.state().fatal.clone();
        if let Some(fatal) = fatal {
            self.report.last_error = Some(fatal);
            return Some(ConsumerState::Failed);
        }
        if self.watch.changed() {
            self.rejoin();
        }
        if self.committed.elapsed() >= Duration::from_millis(self.assignment.config.commit_interval_ms) {
            self.commit();
        }
        if self.looked.elapsed() < LOOK_INTERVAL {
            return None;
        }
        self.looked = Instant::now();
        if self.state().barrier.holds() {
            self.look_at_group();
        } else if self.assignment.config.complete.is_some() && self.is_complete() {
            return Some(ConsumerState::Complete);
        }
        self.is_late()
    }

    fn is_late(&mut self) -> Option<ConsumerState> {
        let deadline = Duration::from_millis(self.assignment.config.complete?.deadline_ms?);
        if self.started.elapsed() < deadline {
            return None;
        }
        let message = format!("not everything expected was read within {deadline:?}");
        let reason = self
            .report
            .last_error
            .take()
            .map(|error| format!("; the newest error: {error}"));
        self.report.last_error = Some(message + &reason.unwrap_or_default());
        Some(ConsumerState::Failed)
    }

    fn count_partitions(&mut self) {
        let topic = &self.assignment.topic;
        match self.consumer.fetch_metadata(Some(topic), TIMEOUT) {
            Ok(metadata) => {
                let found = metadata.topics().iter().find(|found| found.name() == topic);
                let count = found.map_or(0, |found| found.partitions().len());
                self.report.partition_count = u32::try_from(count).unwrap_or(u32::MAX);
                if count > 0 {
                    self.counted = Some(Instant::now());
                    self.report.last_error = None;
                } else {
                    self.report.last_error = Some(format!("topic {topic} has no partitions"));
                }
            }
            Err(error) => {
                self.report.last_error = Some(format!("cannot ask for topic {topic}: {error}"));
                self.counted = Some(Instant::now());
            }
        }
    }

    /// Lets the group begin once all its members are there.
    fn look_at_group(&mut self) {
        let group = match self
            .consumer
            .fetch_group_list(Some(&self.assignment.config.group_id), TIMEOUT)
        {
            Ok(list) => list.groups().first().map_or(Group::default(), |group| Group {
                members: u32::try_from(group.members().len()).unwrap_or(u32::MAX),
                stable: group.state() == "Stable",
            }),
            Err(error) => {
                warn!(%error, "Could not ask for the group's members");
                Group::default()
            }
        };
        self.report.members = group.members;
        let partitions = self.report.partition_count;
        let lifted = {
            let mut state = self.state();
            let assigned = u32::try_from(state.owned.len()).unwrap_or(u32::MAX);
            state
                .barrier
                .look(group, assigned, partitions, self.started.elapsed())
        };
        if lifted {
            info!(members = group.members, "The group begins to read");
            let resumed = self
                .consumer
                .assignment()
                .and_then(|list| self.consumer.resume(&list));
            if let Err(error) = resumed {
                self.state().fatal = Some(format!("cannot begin to read: {error}"));
            }
        }
    }

    /// Whether everything expected was read, and each partition passed its end since; then that is committed.
    fn is_complete(&mut self) -> bool {
        if self.state().owned.is_empty() {
            return false;
        }
        match self.try_complete() {
            Ok(complete) => complete && self.commit(),
            Err(error) => {
                note(&mut self.state(), &error);
                false
            }
        }
    }

    fn try_complete(&mut self) -> Result<bool, KafkaError> {
        let mut streams = self.others_streams()?;
        let owned: Vec<i32> = {
            let state = self.state();
            streams.extend(state.owned.values().flat_map(|owned| owned.verifier.streams()));
            state.owned.keys().copied().collect()
        };
        if let Some(missing) = completion::missing(&self.assignment.config.expected, &streams) {
            tracing::debug!(?missing, "Not everything expected was read yet");
            self.ends.clear();
            return Ok(false);
        }
        for partition in &owned {
            if !self.ends.contains_key(partition) {
                let (_, end) = self
                    .consumer
                    .fetch_watermarks(&self.assignment.topic, *partition, TIMEOUT)?;
                self.ends.insert(*partition, end);
            }
        }
        let mut complete = true;
        let ends = &self.ends;
        for (partition, owned) in &mut self.consumer.context().state().owned {
            owned.complete = ends
                .get(partition)
                .is_some_and(|end| owned.verifier.position() >= *end);
            complete &= owned.complete;
        }
        Ok(complete)
    }

    /// Streams in partitions that others own, as they last committed them.
    fn others_streams(&self) -> Result<Vec<StreamSnapshot>, KafkaError> {
        let count = i32::try_from(self.report.partition_count).unwrap_or(i32::MAX);
        let others: Vec<i32> = {
            let state = self.state();
            (0..count)
                .filter(|partition| !state.owned.contains_key(partition))
                .collect()
        };
        let committed = self.consumer.context().committed(&self.consumer, others)?;
        let states = committed.into_iter().filter_map(|(partition, commit)| {
            let (offset, text) = commit?;
            Partition::decode(partition, offset, &text)
        });
        Ok(states
            .flat_map(|state| state.streams().collect::<Vec<_>>())
            .collect())
    }

    /// Commits what changed; false when that failed.
    fn commit(&mut self) -> bool {
        self.committed = Instant::now();
        let owned: Vec<i32> = self.state().owned.keys().copied().collect();
        let result = self.consumer.context().commit(&self.consumer, &owned);
        match &result {
            Ok(()) => {}
            // The callback commits what goes, the next commit what stays.
            Err(error) if is_rebalance(error) => tracing::debug!(%error, "A rebalance refused a commit"),
            Err(error) => note(&mut self.state(), error),
        }
        result.is_ok()
    }

    fn publish(&mut self) {
        self.published = Instant::now();
        self.board.beat();
        if let Some(complaint) = self.consumer.context().complaints.take() {
            self.state().last_error = Some(complaint);
        }
        let mut shown = self.report.clone();
        {
            let state = self.consumer.context().state();
            shown.assigned = state.owned.keys().copied().collect();
            shown.partitions = state.given.values().cloned().collect();
            shown.partitions.extend(
                state
                    .owned
                    .values()
                    .map(|owned| owned.verifier.snapshot(owned.complete)),
            );
            shown.partitions.sort_by_key(|snapshot| snapshot.partition);
            shown.segments.clone_from(&state.segments);
            let open = state.owned.values().map(|owned| owned.segment);
            shown
                .segments
                .extend(open.filter(|segment| segment.to > segment.from));
            let errors = [&self.report.last_error, &state.last_error];
            let errors: Vec<&str> = errors.into_iter().filter_map(Option::as_deref).collect();
            shown.last_error = (!errors.is_empty()).then(|| errors.join("; "));
            self.board.set_ready(state.joined);
            if self.report.state == ConsumerState::Joining && state.joined && !state.barrier.holds() {
                self.report.state = ConsumerState::Running;
            }
        }
        shown.state = self.report.state;
        shown.latency = self.latency.summary();
        self.board.publish(shown);
    }
}

/// Has a record judged; `None` when its partition is not ours any more.
fn judge(
    consumer: &BaseConsumer<Session>,
    topic: &str,
    message: &BorrowedMessage<'_>,
) -> Option<(Judged, u64)> {
    let (partition, offset) = (message.partition(), message.offset());
    let value = message.payload().unwrap_or_default();
    let parsed = record::parse(message.key().unwrap_or_default(), value);
    let mut state = consumer.context().state();
    let gap = offset > state.owned.get(&partition)?.verifier.position();
    if gap {
        // Offsets are missing for harmless reasons too; only the log's own beginning tells.
        drop(state);
        let low = consumer
            .fetch_watermarks(topic, partition, TIMEOUT)
            .map_or(offset, |(low, _)| low);
        state = consumer.context().state();
        state.owned.get_mut(&partition)?.verifier.expire(low.min(offset));
    }
    let owned = state.owned.get_mut(&partition)?;
    let judged = owned.verifier.observe(offset, message.key(), &parsed);
    owned.segment.to = owned.segment.to.max(offset + 1);
    owned.segment.records += u64::from(judged != Judged::Closing);
    let intended_ns = match parsed {
        Parsed::Record(prefix) | Parsed::Closing(prefix, _) => prefix.intended_ns,
        Parsed::Foreign | Parsed::Corrupt => 0,
    };
    Some((judged, intended_ns))
}

/// Whether a commit was refused only because the group is being rearranged.
fn is_rebalance(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::RebalanceInProgress | RDKafkaErrorCode::IllegalGeneration)
    )
}

fn note(state: &mut Ownership, error: &KafkaError) {
    let text = error.to_string();
    if state.last_error.as_ref() != Some(&text) {
        warn!(%error, "Met an error");
    }
    state.last_error = Some(text);
}
