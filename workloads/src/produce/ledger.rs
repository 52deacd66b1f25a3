//! What one incarnation has sent, and what became of it.
//!
//! Pure. It never forgets a record without knowing its fate, and it says `resolved` only of what Kafka confirmed.

use std::collections::BTreeMap;

use ottla_contract::Incarnation;
use ottla_contract::report::{SentIncarnation, SentStream};

use crate::intervals::Intervals;
use crate::record::Closing;

/// One incarnation's streams.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) incarnation: Incarnation,
    streams: BTreeMap<i32, Stream>,
    /// Confirmations prove that a record is in the log; they do not when nobody is asked for one.
    confirmed: bool,
    /// A record failed: no further one may be sent.
    broken: bool,
    share_done: bool,
}

#[derive(Debug, Default)]
struct Stream {
    next: u64,
    /// Everything below was confirmed.
    resolved: u64,
    /// Confirmed ahead of `resolved`.
    ahead: Intervals,
    failed: Intervals,
    first_offset: Option<i64>,
    closed: bool,
    /// Where the closing record stands.
    closed_at: Option<i64>,
}

impl Ledger {
    pub(super) fn new(incarnation: Incarnation, confirmed: bool) -> Self {
        Self {
            incarnation,
            streams: BTreeMap::new(),
            confirmed,
            broken: false,
            share_done: false,
        }
    }

    /// The next record's sequence in a partition, and below which one everything was confirmed.
    pub(super) fn assign(&mut self, partition: i32) -> (u64, u64) {
        let stream = self.streams.entry(partition).or_default();
        let sequence = stream.next;
        stream.next += 1;
        (sequence, if self.confirmed { stream.resolved } else { 0 })
    }

    /// A record was confirmed.
    pub(super) fn acked(&mut self, partition: i32, sequence: u64, offset: Option<i64>) {
        let Some(stream) = self.streams.get_mut(&partition) else {
            return;
        };
        if let Some(offset) = offset.filter(|offset| *offset >= 0) {
            stream.first_offset = Some(stream.first_offset.map_or(offset, |first| first.min(offset)));
        }
        stream.ahead.add(sequence, sequence + 1);
        if sequence == stream.resolved {
            let first = stream.ahead.iter().next();
            if let Some((_, end)) = first {
                stream.ahead.take(0, end);
                stream.resolved = end;
            }
        }
    }

    /// A record failed, or nobody knows.
    pub(super) fn failed(&mut self, partition: i32, sequence: u64) {
        self.broken = true;
        if let Some(stream) = self.streams.get_mut(&partition) {
            stream.failed.add(sequence, sequence + 1);
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Marks the share as done. The log must say so, hence an incarnation that sent nothing closes a stream of nothing.
    pub(super) fn finish_share(&mut self) {
        self.share_done = true;
        if self.streams.is_empty() {
            self.streams.insert(0, Stream::default());
        }
    }

    /// The closing records still to be confirmed: partition, number of records, content.
    pub(super) fn closings(&self) -> Vec<(i32, u64, Closing)> {
        let streams = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        let open = self.streams.iter().filter(|(_, stream)| !stream.closed);
        open.map(|(partition, stream)| {
            let exceptions = if self.confirmed {
                stream
                    .failed
                    .iter()
                    .map(|(first, end)| (first, end - first))
                    .collect()
            } else {
                vec![(0, stream.next)]
            };
            let first_offset = stream.first_offset;
            (
                *partition,
                stream.next,
                Closing {
                    share_done: self.share_done,
                    streams,
                    first_offset,
                    exceptions,
                },
            )
        })
        .collect()
    }

    /// A closing record was confirmed.
    pub(super) fn closed(&mut self, partition: i32, offset: Option<i64>) {
        if let Some(stream) = self.streams.get_mut(&partition) {
            stream.closed = true;
            stream.closed_at = offset.filter(|offset| *offset >= 0);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.streams.values().all(|stream| stream.closed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    pub(super) fn report(&self) -> SentIncarnation {
        let streams = self.streams.iter().filter(|(_, stream)| stream.next > 0);
        SentIncarnation {
            id: self.incarnation,
            closed: !self.streams.is_empty() && self.is_closed(),
            share_done: self.share_done,
            streams: streams
                .map(|(partition, stream)| SentStream {
                    partition: *partition,
                    last_sequence: stream.next - 1,
                    closed_at: stream.closed_at,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolved_is_what_was_confirmed_without_a_gap() {
        let mut ledger = Ledger::new(Incarnation(1), true);
        for expected in 0..5 {
            assert_eq!(ledger.assign(3), (expected, 0));
        }
        ledger.acked(3, 1, Some(11));
        assert_eq!(ledger.assign(3).1, 0);
        ledger.acked(3, 0, Some(10));
        assert_eq!(ledger.assign(3).1, 2);
        ledger.failed(3, 2);
        ledger.acked(3, 3, Some(12));
        ledger.acked(3, 4, None);
        assert_eq!(ledger.assign(3).1, 2, "2 failed");
        assert!(ledger.is_broken());
        let closing = &ledger.closings()[0];
        assert_eq!((closing.0, closing.1), (3, 8));
        assert_eq!(closing.2.exceptions, [(2, 1)]);
        assert_eq!(
            (closing.2.first_offset, closing.2.streams, closing.2.share_done),
            (Some(10), 1, false)
        );
    }

    #[test]
    fn it_is_closed_when_every_closing_record_was_confirmed() {
        let mut ledger = Ledger::new(Incarnation(1), true);
        ledger.assign(0);
        ledger.assign(2);
        ledger.closed(0, Some(7));
        assert_eq!(ledger.closings().len(), 1);
        assert!(!ledger.report().closed);
        ledger.closed(2, Some(-1));
        let report = ledger.report();
        assert!(report.closed && ledger.closings().is_empty());
        let ends: Vec<_> = report.streams.iter().map(|stream| stream.closed_at).collect();
        assert_eq!(ends, [Some(7), None], "without confirmations no offset is told");
    }

    #[test]
    fn without_confirmations_everything_is_an_exception() {
        let mut ledger = Ledger::new(Incarnation(1), false);
        ledger.assign(0);
        ledger.acked(0, 0, None);
        assert_eq!(ledger.assign(0), (1, 0));
        assert_eq!(ledger.closings()[0].2.exceptions, [(0, 2)]);
    }

    #[test]
    fn a_done_share_without_a_record_is_told_all_the_same() {
        let mut ledger = Ledger::new(Incarnation(1), true);
        ledger.finish_share();
        let (partition, end, closing) = ledger.closings().remove(0);
        assert_eq!(
            (partition, end, closing.share_done, closing.streams),
            (0, 0, true, 1)
        );
        assert!(ledger.report().streams.is_empty());
    }
}
