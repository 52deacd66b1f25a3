//! The verifier's core: one partition's records in, counts and evidence out.
//!
//! *Architecture Invariant:* pure. No I/O, no clock, no randomness; the same records give the same state in any process,
//! so the state can travel with the partition from one consumer to the next. Memory is bounded whatever is read.

mod state;
mod stream;

use ottla_contract::report::{EvidenceKind, Gap, MAX_GAPS, PartitionSnapshot};
use ottla_contract::{Counters, Evidence, Incarnation, RunId};

pub use state::MAX_METADATA_BYTES;
use stream::{Arrival, Stream};

use crate::intervals::Intervals;
use crate::partitioner::java_default;
use crate::record::{Closing, Parsed, Prefix};

/// Streams remembered; the oldest closed ones are forgotten beyond it, and the figures then called approximate.
const MAX_STREAMS: usize = 2_000;
/// Intervals of missing sequences remembered in all streams.
const MAX_INTERVALS: usize = 1_000;
/// Pieces of evidence kept of each kind.
const MAX_EVIDENCE_OF_A_KIND: usize = 3;

/// What was made of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The first time this record was seen.
    New,
    /// Seen before, or none of ours.
    Other,
    /// A closing record, which counts in no figure.
    Closing,
}

/// The verification of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    number: i32,
    /// Offset of the next record.
    position: i64,
    /// Offset from which on every record was seen.
    origin: i64,
    counters: Counters,
    /// In the order in which they were met.
    streams: Vec<Stream>,
    evidence: Vec<Evidence>,
    /// What was gone before it could be read, by where the log began then.
    gaps: Vec<Gap>,
    approximate: bool,
    /// Where the last record's stream is in `streams`: the next one is likely of the same.
    last: usize,
}

impl Partition {
    /// A partition that is read from `origin` on.
    #[must_use]
    pub fn new(partition: i32, origin: i64) -> Self {
        Self {
            number: partition,
            position: origin,
            origin,
            counters: Counters::default(),
            streams: Vec::new(),
            evidence: Vec::new(),
            gaps: Vec::new(),
            approximate: false,
            last: 0,
        }
    }

    /// A partition that is read from the log's beginning on: what stood before `low` is gone.
    #[must_use]
    pub fn at_the_beginning(partition: i32, low: i64) -> Self {
        let mut new = Self::new(partition, low);
        if low > 0 {
            new.open_gap(0, low);
        }
        new
    }

    /// Number of the partition.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.number
    }

    /// Offset of the next record.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Judges the record at `offset`.
    pub fn observe(&mut self, offset: i64, key: Option<&[u8]>, parsed: &Parsed) -> Judged {
        if offset < self.position {
            return self.observe_again(parsed);
        }
        self.position = offset + 1;
        match parsed {
            Parsed::Foreign => {
                self.counters.foreign += 1;
                Judged::Other
            }
            Parsed::Corrupt => {
                self.counters.corrupt += 1;
                self.note(EvidenceKind::Corrupt, None, offset, None);
                Judged::Other
            }
            Parsed::Record(prefix) => self.record(offset, key, prefix),
            Parsed::Closing(prefix, closing) => {
                self.close(offset, prefix, closing);
                Judged::Closing
            }
        }
    }

    /// The same offset again: the reader was set back.
    fn observe_again(&mut self, parsed: &Parsed) -> Judged {
        if matches!(parsed, Parsed::Closing(..)) {
            return Judged::Closing;
        }
        self.counters.redelivered += 1;
        Judged::Other
    }

    fn record(&mut self, offset: i64, key: Option<&[u8]>, prefix: &Prefix) -> Judged {
        let stream = self.stream(prefix);
        let arrival = stream.arrive(prefix.sequence);
        let lost = stream.resolve(prefix.resolved_through);
        let first_time = !matches!(arrival, Arrival::Again | Arrival::Unclear);
        self.counters.received += u64::from(first_time);
        match arrival {
            Arrival::New { expired } => self.gone(expired),
            Arrival::Late | Arrival::Unclear => {}
            Arrival::Behind => {
                self.counters.reordered += 1;
                self.note(
                    EvidenceKind::Reordered,
                    Some(prefix.sequence),
                    offset,
                    Some(prefix.incarnation),
                );
            }
            Arrival::Again => {
                self.counters.duplicated += 1;
                self.note(
                    EvidenceKind::Duplicated,
                    Some(prefix.sequence),
                    offset,
                    Some(prefix.incarnation),
                );
            }
        }
        if first_time && key.is_some_and(|key| java_default(key, prefix.partition_count) != self.number) {
            self.counters.misrouted += 1;
            self.note(
                EvidenceKind::Misrouted,
                Some(prefix.sequence),
                offset,
                Some(prefix.incarnation),
            );
        }
        self.lose(&lost, offset, prefix.incarnation);
        self.bound();
        if first_time { Judged::New } else { Judged::Other }
    }

    fn close(&mut self, offset: i64, prefix: &Prefix, closing: &Closing) {
        let origin = self.origin;
        let stream = self.stream(prefix);
        if closing.first_offset.is_some_and(|first| first >= origin) {
            stream.began_in_view();
        }
        let closed = stream.close(prefix.sequence, closing);
        self.gone(closed.expired);
        self.lose(&closed.lost, offset, prefix.incarnation);
        self.bound();
    }

    /// The log now begins at `low`, beyond the next record: what stood between is gone, and nothing that is missing
    /// can be called lost.
    pub fn expire(&mut self, low: i64) {
        if low <= self.position {
            return;
        }
        self.open_gap(self.position, low);
        self.position = low;
        self.origin = low;
        let missing = self
            .streams
            .iter_mut()
            .fold(0_u64, |sum, stream| sum.saturating_add(stream.skip()));
        self.gone(missing);
    }

    /// Begins to count for another stretch that is gone. What turns out later to have gone before it counts for it too.
    fn open_gap(&mut self, from: i64, to: i64) {
        self.gaps.push(Gap { from, to, records: 0 });
        if self.gaps.len() > MAX_GAPS {
            // One without records takes nothing from its successor that could be told apart.
            let older = &self.gaps[..MAX_GAPS];
            let place = older.iter().position(|gap| gap.records == 0).unwrap_or(0);
            let taken = self.gaps.remove(place);
            let next = &mut self.gaps[place];
            next.from = taken.from;
            next.records = next.records.saturating_add(taken.records);
        }
    }

    /// Counts records that were gone.
    fn gone(&mut self, records: u64) {
        self.counters.expired = self.counters.expired.saturating_add(records);
        if let Some(gap) = self.gaps.last_mut() {
            gap.records = gap.records.saturating_add(records);
        }
    }

    /// The stream of a record; a new one when it was not met before.
    fn stream(&mut self, prefix: &Prefix) -> &mut Stream {
        let is_it = |stream: &Stream| stream.id() == (prefix.run, prefix.incarnation);
        let known = self
            .streams
            .get(self.last)
            .is_some_and(is_it)
            .then_some(self.last);
        let place = known
            .or_else(|| self.streams.iter().rposition(is_it))
            .unwrap_or_else(|| {
                let began_in_view = self.origin == 0 || prefix.sequence == 0;
                self.streams.push(Stream::new(prefix, began_in_view));
                self.streams.len() - 1
            });
        self.last = place;
        &mut self.streams[place]
    }

    fn lose(&mut self, lost: &Intervals, offset: i64, incarnation: Incarnation) {
        self.counters.lost = self.counters.lost.saturating_add(lost.len());
        for sequence in lost.sequences().take(MAX_EVIDENCE_OF_A_KIND) {
            self.note(EvidenceKind::Lost, Some(sequence), offset, Some(incarnation));
        }
    }

    fn note(
        &mut self,
        kind: EvidenceKind,
        sequence: Option<u64>,
        offset: i64,
        incarnation: Option<Incarnation>,
    ) {
        if self
            .evidence
            .iter()
            .filter(|evidence| evidence.kind == kind)
            .count()
            < MAX_EVIDENCE_OF_A_KIND
        {
            let partition = self.number;
            self.evidence.push(Evidence {
                kind,
                partition,
                sequence,
                offset,
                incarnation,
            });
        }
    }

    /// Keeps the state within its bounds, at the price of calling it approximate.
    fn bound(&mut self) {
        if self.streams.len() > MAX_STREAMS {
            let oldest_closed = self.streams.iter().position(|stream| stream.closing.is_some());
            self.streams.remove(oldest_closed.unwrap_or(0));
            self.approximate = true;
            self.last = self.streams.len() - 1;
        }
        let intervals: usize = self.streams.get(self.last).map_or(0, Stream::intervals);
        if intervals > MAX_INTERVALS / 4
            && self.streams.iter().map(Stream::intervals).sum::<usize>() > MAX_INTERVALS
        {
            self.streams.iter_mut().for_each(Stream::forget_holes);
            self.approximate = true;
        }
    }

    /// Every stream met, for the decision whether all was read.
    pub fn streams(&self) -> impl Iterator<Item = ottla_contract::report::StreamSnapshot> {
        self.streams.iter().map(Stream::snapshot)
    }

    /// How the verification stands.
    #[must_use]
    pub fn snapshot(&self, complete: bool) -> PartitionSnapshot {
        PartitionSnapshot {
            partition: self.number,
            position: self.position,
            origin: self.origin,
            counters: self.counters,
            streams: self.streams().collect(),
            evidence: self.evidence.clone(),
            gaps: self.gaps.clone(),
            complete,
            approximate: self.approximate,
        }
    }
}

/// Whose stream a record belongs to.
type StreamId = (RunId, Incarnation);

#[cfg(test)]
mod tests;
