//! The producer: sends its share, keeps account of every record, and closes each stream it opened.
//!
//! A failed record is never sent again: its incarnation is closed with the failure named, and a new one sends another
//! record in its place. So a reader is never told anything that might turn out otherwise.

mod closing;
mod drill;
mod keys;
mod ledger;
mod opening;
mod pace;
mod sender;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_contract::config::{Acks, Connection, ProducerConfig};
use ottla_contract::report::ProducerState;
use ottla_contract::{Incarnation, ProducerReport, RunId};
use rand::Rng as _;
use tracing::warn;

use crate::board::Board;
use crate::client::ClientError;
use crate::clock::now_ns;
use crate::latency::Latencies;
use crate::partitioner::java_default;
use crate::record::{self, PREFIX_BYTES, Prefix};
use drill::{Drill, Treatment};
use keys::KeyChooser;
use ledger::Ledger;
use pace::Pace;
use sender::{Outcome, Sender, Tag};

/// Longest wait before looking around.
const TICK: Duration = Duration::from_millis(10);
/// Time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two looks at the number of partitions.
const METADATA_INTERVAL: Duration = Duration::from_secs(60);
/// Time to wait after a failure before going on.
const BACKOFF: Duration = Duration::from_millis(500);
/// Sends between two looks at confirmations.
const SENDS_PER_POLL: u64 = 500;

/// What to send where.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// How to reach Kafka.
    pub connection: Connection,
    /// The topic.
    pub topic: String,
    /// What to send.
    pub config: ProducerConfig,
}

/// Sends until the share is done or it is told to stop. The board's report must name process, run and share.
///
/// # Errors
/// When there can be no client at all.
pub fn run(
    assignment: &Assignment,
    board: &Arc<Board<ProducerReport>>,
) -> Result<ProducerReport, ClientError> {
    let mut work = Work::new(assignment, board)?;
    work.run()?;
    work.publish();
    Ok(board.report())
}

/// The state of the working thread.
struct Work<'a> {
    assignment: &'a Assignment,
    board: &'a Board<ProducerReport>,
    sender: Sender,
    /// Made with newer credentials, to take over once the present incarnation is settled.
    successor: Option<Sender>,
    report: ProducerReport,
    ledger: Ledger,
    /// Handed over, outcome unknown.
    outstanding: u64,
    /// Records tried so far, dropped ones included.
    tried: u64,
    /// Records to be confirmed; `None`: no limit.
    quota: Option<u64>,
    partitions: u32,
    drill: Drill,
    keys: KeyChooser,
    pace: Pace,
    filling: Vec<u8>,
    latency: Latencies,
    started: Instant,
    started_ns: u64,
    published: Instant,
    looked: Instant,
}

impl<'a> Work<'a> {
    fn new(assignment: &'a Assignment, board: &'a Board<ProducerReport>) -> Result<Self, ClientError> {
        let config = &assignment.config;
        let report = board.report();
        let share = report.share;
        let quota = config
            .stop
            .as_ref()
            .and_then(|stop| stop.records)
            .map(|total| share.part_of(total));
        let part = |total: u32| share.part_of(total.into());
        let mut filling = vec![
            0;
            usize::try_from(config.value_bytes)
                .unwrap_or(0)
                .saturating_sub(PREFIX_BYTES)
        ];
        rand::rng().fill(filling.as_mut_slice());
        let now = Instant::now();
        Ok(Self {
            sender: Sender::new(&assignment.connection, &assignment.topic, config)?,
            successor: None,
            ledger: new_ledger(config),
            outstanding: 0,
            tried: 0,
            quota,
            partitions: 0,
            drill: Drill::new(quota, part(config.drill.duplicate), part(config.drill.drop)),
            keys: KeyChooser::new(config.keys),
            pace: Pace::new(config.records_per_second, config.shares),
            filling,
            latency: Latencies::default(),
            started: now,
            started_ns: now_ns(),
            published: now,
            looked: now,
            assignment,
            board,
            report,
        })
    }

    fn run(&mut self) -> Result<(), ClientError> {
        if self.report.share.index >= self.report.share.of && !self.report.share.is_endless() {
            // Fewer records than pods: nothing is left for this one.
            self.report.state = ProducerState::Done;
            return Ok(());
        }
        self.connect()?;
        (self.started, self.started_ns) = (Instant::now(), now_ns());
        self.set_state(ProducerState::Running);
        loop {
            self.send_until_something_happens();
            self.set_state(ProducerState::Closing);
            self.settle();
            let stopping = self.board.stopping();
            let done = self.share_is_done();
            if done {
                self.ledger.finish_share();
            }
            self.close(stopping)?;
            if done || self.board.stopping() {
                let good = done && self.ledger.is_closed();
                self.set_state(if good {
                    ProducerState::Done
                } else {
                    ProducerState::Interrupted
                });
                return Ok(());
            }
            self.begin_anew()?;
        }
    }

    fn look_at_partitions(&mut self) {
        self.looked = Instant::now();
        match self.sender.partitions() {
            Ok(count) if count > 0 => self.partitions = count,
            Ok(_) => self.note(format!("topic {} has no partitions", self.assignment.topic)),
            Err(error) => {
                let why = self
                    .sender
                    .take_complaint()
                    .map(|complaint| format!("; {complaint}"));
                let topic = &self.assignment.topic;
                self.note(format!(
                    "cannot ask for topic {topic}: {error}{}",
                    why.unwrap_or_default()
                ));
            }
        }
    }

    /// Sends until the share is handed over, a record failed, newer credentials are there, or it is told to stop.
    fn send_until_something_happens(&mut self) {
        let going_on = |work: &Self| !work.ledger.is_broken() && work.successor.is_none();
        while !self.board.stopping() && going_on(self) && !self.share_is_done() {
            self.tick();
            if self
                .quota
                .is_some_and(|quota| self.report.acked + self.outstanding >= quota)
            {
                self.poll(TICK);
                continue;
            }
            let due = self.pace.due(self.tried);
            let wait = due.and_then(|due| due.checked_sub(self.started.elapsed()));
            if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
                self.poll(wait.min(TICK));
                continue;
            }
            let late = due.map(|due| u64::try_from(due.as_nanos()).unwrap_or(u64::MAX));
            self.send_one(late.map_or_else(now_ns, |late| self.started_ns.saturating_add(late)));
            if self.tried.is_multiple_of(SENDS_PER_POLL) {
                self.poll(Duration::ZERO);
            }
        }
    }

    fn send_one(&mut self, intended_ns: u64) {
        let treatment = self.drill.treatment(self.tried);
        let mut key = String::new();
        let key_sequence = self.keys.choose(self.tried, rand::random(), &mut key);
        let key = key_sequence.is_some().then_some(key.as_str());
        let turn = || i32::try_from(self.tried % u64::from(self.partitions)).unwrap_or_default();
        let partition = key.map_or_else(turn, |key| java_default(key.as_bytes(), self.partitions));
        let (sequence, resolved_through) = self.ledger.assign(partition);
        self.tried += 1;
        self.report.sent += 1;
        if treatment == Treatment::Drop {
            // The lie a reader must find out.
            self.ledger.acked(partition, sequence, None);
            self.report.acked += 1;
            return;
        }
        let prefix = Prefix {
            key_sequence: key_sequence.unwrap_or_default(),
            intended_ns,
            ..self.prefix(sequence, resolved_through)
        };
        let mut value = Vec::with_capacity(PREFIX_BYTES + self.filling.len());
        record::write(
            &mut value,
            &prefix,
            key.unwrap_or_default().as_bytes(),
            &self.filling,
        );
        if let Err(error) = self.hand_over(partition, key, &value, Tag::Record(sequence)) {
            self.fail(partition, sequence, &error);
        } else if treatment == Treatment::Duplicate
            && let Err(error) = self.hand_over(partition, key, &value, Tag::Copy)
        {
            self.note(format!("cannot send a second copy: {error}"));
        }
    }

    fn prefix(&self, sequence: u64, resolved_through: u64) -> Prefix {
        Prefix {
            run: self.report.run,
            share: self.report.share,
            incarnation: self.ledger.incarnation,
            sequence,
            key_sequence: 0,
            partition_count: self.partitions,
            intended_ns: 0,
            resolved_through,
        }
    }

    /// Hands a record over, waiting for room in the queue.
    fn hand_over(
        &mut self,
        partition: i32,
        key: Option<&str>,
        value: &[u8],
        tag: Tag,
    ) -> Result<(), rdkafka::error::KafkaError> {
        while !self.sender.send(partition, key, value, tag)? {
            self.poll(Duration::from_millis(1));
            self.tick();
        }
        self.outstanding += 1;
        Ok(())
    }

    /// Lets librdkafka work, and enters what became of records.
    fn poll(&mut self, timeout: Duration) {
        for outcome in self.sender.poll(timeout) {
            self.outstanding = self.outstanding.saturating_sub(1);
            self.enter(outcome);
        }
        if let Some(error) = self.sender.take_complaint() {
            self.report.last_error = Some(error);
        }
    }

    fn enter(&mut self, outcome: Outcome) {
        let Outcome {
            partition,
            tag,
            result,
            intended_ns,
        } = outcome;
        match (tag, result) {
            (Tag::Record(sequence), Ok(offset)) => {
                self.report.acked += 1;
                self.ledger.acked(partition, sequence, offset);
                self.latency.record(intended_ns, now_ns());
            }
            (Tag::Record(sequence), Err(error)) => self.fail(partition, sequence, &error),
            (Tag::Closing, Ok(offset)) => self.ledger.closed(partition, offset),
            (Tag::Copy, Ok(_)) => {}
            (Tag::Copy | Tag::Closing, Err(error)) => {
                self.note(format!(
                    "a record for partition {partition} was not confirmed: {error}"
                ));
            }
        }
    }

    fn fail(&mut self, partition: i32, sequence: u64, error: &rdkafka::error::KafkaError) {
        self.report.failed += 1;
        self.ledger.failed(partition, sequence);
        self.note(format!(
            "a record for partition {partition} was not confirmed: {error}"
        ));
    }

    fn share_is_done(&self) -> bool {
        let stop = self.assignment.config.stop.as_ref();
        let duration = stop.and_then(|stop| stop.duration_ms).map(Duration::from_millis);
        self.quota.is_some_and(|quota| self.report.acked >= quota)
            || duration.is_some_and(|duration| self.started.elapsed() >= duration)
    }

    fn note(&mut self, error: String) {
        if self.report.last_error.as_ref() != Some(&error) {
            warn!(error, "Met an error");
        }
        self.report.last_error = Some(error);
    }

    fn set_state(&mut self, state: ProducerState) {
        self.report.state = state;
        self.publish();
    }

    /// What must happen every now and then.
    fn tick(&mut self) {
        if self.published.elapsed() >= REPORT_INTERVAL {
            self.publish();
            self.look_at_credentials();
            if self.report.state == ProducerState::Running && self.looked.elapsed() >= METADATA_INTERVAL {
                self.look_at_partitions();
            }
        }
    }

    fn publish(&mut self) {
        self.published = Instant::now();
        self.board.beat();
        self.report.latency = self.latency.summary();
        let mut shown = self.report.clone();
        if !self.ledger.is_empty() {
            shown.incarnations.push(self.ledger.report());
        }
        self.board.publish(shown);
    }
}

fn new_ledger(config: &ProducerConfig) -> Ledger {
    Ledger::new(Incarnation(rand::random()), config.acks != Acks::None)
}

/// The report of a producer that has not begun.
#[must_use]
pub fn first_report(pod: String, run: RunId, config: &ProducerConfig, index: u32) -> ProducerReport {
    let process = ottla_contract::report::Process {
        pod,
        start: Incarnation(rand::random()),
    };
    ProducerReport {
        process,
        run,
        share: config.share(index),
        ..ProducerReport::default()
    }
}
