//! The state of a partition's verification as text, small enough to travel in an offset commit.
//!
//! What does not fit is dropped in this order, each step only if the one before was not enough: evidence but for the
//! first of each kind; unconfirmed sequences of closed streams; the oldest closed streams; missing sequences of open
//! streams; the oldest open streams; the rest of the evidence. From the second step on the state is marked approximate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ottla_contract::compact::{Reader, Writer};
use ottla_contract::report::{Closing, EvidenceKind, Gap, MAX_GAPS};
use ottla_contract::{Counters, Evidence, Incarnation, RunId, Share, Uid};

use super::stream::Stream;
use super::{MAX_INTERVALS, MAX_STREAMS, Partition};
use crate::intervals::Intervals;

/// Most bytes of the text; Kafka's default limit is 4,096.
pub const MAX_METADATA_BYTES: usize = 3_500;
const VERSION: u64 = 3;
/// As it was before gaps told where they begin.
const WITHOUT_BEGINNINGS: u64 = 2;
/// As it was before gaps were told.
const WITHOUT_GAPS: u64 = 1;
const KINDS: [EvidenceKind; 5] = [
    EvidenceKind::Lost,
    EvidenceKind::Duplicated,
    EvidenceKind::Reordered,
    EvidenceKind::Misrouted,
    EvidenceKind::Corrupt,
];

const CLOSED: u64 = 1;
const SHARE_DONE: u64 = 2;
const SKIPPED: u64 = 4;
const JOINED_LATE: u64 = 8;
const BLURRED: u64 = 16;

impl Partition {
    /// The state as text of at most [`MAX_METADATA_BYTES`], to be committed together with [`Partition::position`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut state = self.clone();
        let mut text = state.write();
        for shrink in [
            first_evidence,
            forget_unconfirmed,
            drop_closed,
            forget_missing,
            drop_open,
            drop_evidence,
        ] {
            while text.len() > MAX_METADATA_BYTES && shrink(&mut state) {
                text = state.write();
            }
        }
        text
    }

    /// The state committed with `position`; `None` when it is not ours or belongs to another position.
    #[must_use]
    pub fn decode(partition: i32, position: i64, text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        let mut reader = Reader::new(&bytes);
        let state = read(partition, &mut reader)?;
        (reader.is_empty() && state.position == position).then_some(state)
    }

    fn write(&self) -> String {
        let mut out = Writer::default();
        out.number(VERSION)
            .signed(self.position)
            .signed(self.origin)
            .number(self.approximate.into());
        let Counters {
            received,
            lost,
            duplicated,
            redelivered,
            reordered,
            misrouted,
            expired,
            foreign,
            corrupt,
        } = self.counters;
        for figure in [
            received,
            lost,
            duplicated,
            redelivered,
            reordered,
            misrouted,
            expired,
            foreign,
            corrupt,
        ] {
            out.number(figure);
        }
        let mut runs: Vec<RunId> = self.streams.iter().map(|stream| stream.run).collect();
        runs.sort_unstable();
        runs.dedup();
        out.count(runs.len());
        for run in &runs {
            out.bytes(&run.uid.0).number(run.run.into());
        }
        out.count(self.streams.len());
        for stream in &self.streams {
            out.count(runs.binary_search(&stream.run).unwrap_or_default());
            write_stream(&mut out, stream);
        }
        out.count(self.evidence.len());
        for evidence in &self.evidence {
            out.count(
                KINDS
                    .iter()
                    .position(|kind| *kind == evidence.kind)
                    .unwrap_or_default(),
            );
            out.number(evidence.sequence.map_or(0, |sequence| sequence.saturating_add(1)));
            out.signed(evidence.offset)
                .number(u64::from(evidence.incarnation.is_some()));
            if let Some(incarnation) = evidence.incarnation {
                out.bytes(&incarnation.0.to_be_bytes());
            }
        }
        out.count(self.gaps.len());
        for gap in &self.gaps {
            out.signed(gap.from).signed(gap.to).number(gap.records);
        }
        BASE64.encode(out.into_bytes())
    }
}

fn write_stream(out: &mut Writer, stream: &Stream) {
    let Stream {
        run: _,
        incarnation,
        share,
        next,
        holes,
        base,
        skipped,
        joined_late,
        blurred,
        closing,
    } = stream;
    out.bytes(&incarnation.0.to_be_bytes())
        .number(share.index.into())
        .number(share.of.into());
    let flag = |on: bool, bit: u64| if on { bit } else { 0 };
    out.number(
        flag(closing.is_some(), CLOSED)
            | flag(closing.is_some_and(|closing| closing.share_done), SHARE_DONE)
            | flag(*skipped, SKIPPED)
            | flag(*joined_late, JOINED_LATE)
            | flag(*blurred > 0, BLURRED),
    );
    out.number(*next).number(*base);
    if let Some(closing) = closing {
        out.number(closing.streams.into());
    }
    if *blurred > 0 {
        out.number(*blurred);
    }
    out.count(holes.intervals());
    let mut at = 0;
    for (first, end) in holes.iter() {
        out.number(first - at).number(end - first);
        at = end;
    }
}

fn read(partition: i32, reader: &mut Reader<'_>) -> Option<Partition> {
    let version = reader.number()?;
    if ![VERSION, WITHOUT_BEGINNINGS, WITHOUT_GAPS].contains(&version) {
        return None;
    }
    let (position, origin, approximate) = (reader.signed()?, reader.signed()?, reader.number()? != 0);
    let counters = Counters {
        received: reader.number()?,
        lost: reader.number()?,
        duplicated: reader.number()?,
        redelivered: reader.number()?,
        reordered: reader.number()?,
        misrouted: reader.number()?,
        expired: reader.number()?,
        foreign: reader.number()?,
        corrupt: reader.number()?,
    };
    let runs = reader.list(|reader| {
        Some(RunId {
            uid: Uid(reader.bytes()?),
            run: reader.small()?,
        })
    })?;
    let streams = reader.list(|reader| {
        let run = *runs.get(reader.small::<usize>()?)?;
        read_stream(run, reader)
    })?;
    let evidence = reader.list(|reader| {
        let kind = *KINDS.get(reader.small::<usize>()?)?;
        let (sequence, offset) = (reader.number()?.checked_sub(1), reader.signed()?);
        let known = reader.number()? != 0;
        let incarnation = if known {
            Some(Incarnation(u64::from_be_bytes(reader.bytes()?)))
        } else {
            None
        };
        Some(Evidence {
            kind,
            partition,
            sequence,
            offset,
            incarnation,
        })
    })?;
    let gaps = if version == WITHOUT_GAPS {
        vec![]
    } else {
        reader.list(|reader| {
            Some(Gap {
                from: if version == VERSION { reader.signed()? } else { 0 },
                to: reader.signed()?,
                records: reader.number()?,
            })
        })?
    };
    let fits = streams.len() <= MAX_STREAMS
        && gaps.len() <= MAX_GAPS
        && streams.iter().map(Stream::intervals).sum::<usize>() <= MAX_INTERVALS + MAX_METADATA_BYTES;
    fits.then_some(Partition {
        number: partition,
        position,
        origin,
        counters,
        streams,
        evidence,
        gaps,
        approximate,
        last: 0,
    })
}

fn read_stream(run: RunId, reader: &mut Reader<'_>) -> Option<Stream> {
    let incarnation = Incarnation(u64::from_be_bytes(reader.bytes()?));
    let share = Share {
        index: reader.small()?,
        of: reader.small()?,
    };
    let flags = reader.number()?;
    let (next, base) = (reader.number()?, reader.number()?);
    let closing = if flags & CLOSED == 0 {
        None
    } else {
        Some(Closing {
            share_done: flags & SHARE_DONE != 0,
            streams: reader.small()?,
        })
    };
    let blurred = if flags & BLURRED == 0 { 0 } else { reader.number()? };
    let mut holes = Intervals::default();
    let mut at: u64 = 0;
    for _ in 0..reader.count()? {
        let first = at.checked_add(reader.number()?)?;
        at = first.checked_add(reader.number()?)?;
        holes.add(first, at);
    }
    let (skipped, joined_late) = (flags & SKIPPED != 0, flags & JOINED_LATE != 0);
    Some(Stream {
        run,
        incarnation,
        share,
        next,
        holes,
        base,
        joined_late,
        blurred,
        skipped,
        closing,
    })
}

// Each step answers whether it changed anything, so that it may be tried again.

fn first_evidence(state: &mut Partition) -> bool {
    let before = state.evidence.len();
    let mut kinds = Vec::new();
    state.evidence.retain(|evidence| {
        let first = !kinds.contains(&evidence.kind);
        kinds.push(evidence.kind);
        first
    });
    state.evidence.len() < before
}

fn forget_unconfirmed(state: &mut Partition) -> bool {
    let closed = state.streams.iter_mut().filter(|stream| stream.closing.is_some());
    forget(closed, &mut state.approximate)
}

fn forget_missing(state: &mut Partition) -> bool {
    forget(state.streams.iter_mut(), &mut state.approximate)
}

fn forget<'a>(streams: impl Iterator<Item = &'a mut Stream>, approximate: &mut bool) -> bool {
    let mut changed = false;
    for stream in streams.filter(|stream| !stream.holes.is_empty()) {
        stream.forget_holes();
        changed = true;
    }
    *approximate |= changed;
    changed
}

fn drop_closed(state: &mut Partition) -> bool {
    let closed = state
        .streams
        .iter()
        .filter(|stream| stream.closing.is_some())
        .count();
    drop_oldest(state, closed.div_ceil(8), |stream| stream.closing.is_some())
}

fn drop_open(state: &mut Partition) -> bool {
    let some = state.streams.len().div_ceil(8);
    drop_oldest(state, some, |_| true)
}

fn drop_oldest(state: &mut Partition, count: usize, which: impl Fn(&Stream) -> bool) -> bool {
    let mut left = count;
    state.streams.retain(|stream| {
        let dropped = left > 0 && which(stream);
        left -= usize::from(dropped);
        !dropped
    });
    state.approximate |= count > 0;
    count > 0
}

fn drop_evidence(state: &mut Partition) -> bool {
    let some = !state.evidence.is_empty();
    state.evidence.clear();
    some
}
