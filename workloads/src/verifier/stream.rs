//! One stream: the records of one incarnation in one partition, in the order in which they stand in the log.

use ottla_contract::report::{self, StreamSnapshot};
use ottla_contract::{Incarnation, RunId, Share};

use super::StreamId;
use crate::intervals::Intervals;
use crate::record::{Closing, Prefix};

/// What a record is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// In order, after `expired` records that were gone before they could be read.
    New {
        /// How many.
        expired: u64,
    },
    /// Behind a later one.
    Behind,
    /// Behind the closing record, of which its sender did not know whether it would arrive.
    Late,
    /// New or there before: that had to be forgotten.
    Unclear,
    /// It was there before.
    Again,
}

/// What a closing record settles.
#[derive(Debug, Default)]
pub(super) struct Closed {
    pub(super) lost: Intervals,
    pub(super) expired: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) run: RunId,
    pub(super) incarnation: Incarnation,
    pub(super) share: Share,
    /// One more than the highest sequence seen.
    pub(super) next: u64,
    /// Sequences below `next` not seen. In a closed stream: those its sender never saw confirmed.
    pub(super) holes: Intervals,
    /// What is missing below this one may stand where nobody looked, so it is never called lost.
    pub(super) base: u64,
    /// `base` stands for what may have come before the reading began, which a closing record can rule out.
    pub(super) joined_late: bool,
    /// Which sequences below this one were seen is no longer known.
    pub(super) blurred: u64,
    /// A part of the log was gone before it could be read, and no record was read since.
    pub(super) skipped: bool,
    pub(super) closing: Option<report::Closing>,
}

impl Stream {
    pub(super) fn new(prefix: &Prefix, began_in_view: bool) -> Self {
        Self {
            run: prefix.run,
            incarnation: prefix.incarnation,
            share: prefix.share,
            next: 0,
            holes: Intervals::default(),
            base: if began_in_view { 0 } else { prefix.sequence },
            joined_late: !began_in_view,
            blurred: 0,
            skipped: false,
            closing: None,
        }
    }

    pub(super) fn id(&self) -> StreamId {
        (self.run, self.incarnation)
    }

    /// The stream's first record stands at or behind the place where the reading began.
    pub(super) fn began_in_view(&mut self) {
        if self.joined_late {
            (self.base, self.joined_late) = (0, false);
        }
    }

    pub(super) fn arrive(&mut self, sequence: u64) -> Arrival {
        if sequence >= self.next {
            let expired = if self.skipped { sequence - self.next } else { 0 };
            if !self.skipped {
                self.holes.add(self.next, sequence);
            }
            self.skipped = false;
            self.next = sequence.saturating_add(1);
            return Arrival::New { expired };
        }
        match (self.holes.fill(sequence), self.closing) {
            (true, None) => Arrival::Behind,
            (true, Some(_)) => Arrival::Late,
            (false, _) if sequence < self.blurred => Arrival::Unclear,
            (false, _) => Arrival::Again,
        }
    }

    /// Every sequence below `through` was confirmed before the record that says so was sent, so each stands before it
    /// in the log: what is missing of them is lost.
    pub(super) fn resolve(&mut self, through: u64) -> Intervals {
        if self.closing.is_some() || self.holes.is_empty() {
            return Intervals::default();
        }
        self.holes.take(self.base, through)
    }

    pub(super) fn close(&mut self, end: u64, closing: &Closing) -> Closed {
        if self.closing.is_some() {
            return Closed::default();
        }
        self.closing = Some(report::Closing {
            share_done: closing.share_done,
            streams: closing.streams,
        });
        let mut missing = self.holes.take(self.base, self.next);
        let mut closed = Closed::default();
        let mut tail = Intervals::default();
        tail.add(self.next, end);
        let mut never_confirmed = Intervals::default();
        for &(first, count) in &closing.exceptions {
            let last = first.saturating_add(count);
            for (first, end) in missing
                .take(first, last)
                .iter()
                .chain(tail.take(first, last).iter())
            {
                never_confirmed.add(first, end);
            }
        }
        if self.skipped {
            closed.expired = tail.len();
        } else if self.next > 0 || !self.joined_late {
            for (first, end) in tail.iter() {
                missing.add(first, end);
            }
        }
        self.next = self.next.max(end);
        self.holes = never_confirmed;
        self.skipped = false;
        closed.lost = missing;
        closed
    }

    /// A part of the log is gone; what is missing now may have stood there. Answers how many are given up.
    pub(super) fn skip(&mut self) -> u64 {
        if self.closing.is_some() {
            return 0;
        }
        let given_up = self.holes.len_from(self.base);
        (self.skipped, self.base, self.joined_late) = (true, self.next, false);
        given_up
    }

    /// Gives up knowing which sequences are missing.
    pub(super) fn forget_holes(&mut self) {
        if !self.holes.is_empty() {
            self.holes = Intervals::default();
            (self.base, self.blurred, self.joined_late) = (self.next, self.next, false);
        }
    }

    pub(super) fn intervals(&self) -> usize {
        self.holes.intervals()
    }

    pub(super) fn snapshot(&self) -> StreamSnapshot {
        let open = self.closing.is_none();
        StreamSnapshot {
            run: self.run,
            incarnation: self.incarnation,
            share: self.share,
            next: self.next,
            pending: if open { self.holes.len_from(self.base) } else { 0 },
            closing: self.closing,
        }
    }
}
