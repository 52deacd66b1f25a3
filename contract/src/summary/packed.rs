//! The lists of a report in few bytes. Ids stand in a table once and are referred to by their place in it.

use crate::compact::{Reader, Writer};
use crate::ids::{Incarnation, RunId, Share, Uid};
use crate::report::{
    Closing, ConsumerReport, Counters, Evidence, EvidenceKind, Gap, PartitionSnapshot, ProducerReport,
    Segment, SentIncarnation, SentStream, StreamSnapshot,
};

const KINDS: [EvidenceKind; 5] = [
    EvidenceKind::Lost,
    EvidenceKind::Duplicated,
    EvidenceKind::Reordered,
    EvidenceKind::Misrouted,
    EvidenceKind::Corrupt,
];

type Sender = (RunId, Incarnation, Share);

pub(super) fn producer(report: &ProducerReport) -> Vec<u8> {
    let mut out = Writer::default();
    out.count(report.incarnations.len());
    for incarnation in &report.incarnations {
        out.bytes(&incarnation.id.0.to_be_bytes());
        out.number(u64::from(incarnation.closed) | u64::from(incarnation.share_done) << 1);
        out.count(incarnation.streams.len());
        for stream in &incarnation.streams {
            out.signed(stream.partition.into()).number(stream.last_sequence);
        }
    }
    // At the end and only where there are any, so that words of earlier releases can be read.
    let streams = || {
        report
            .incarnations
            .iter()
            .flat_map(|incarnation| &incarnation.streams)
    };
    if streams().any(|stream| stream.closed_at.is_some()) {
        for stream in streams() {
            // One more than the offset, so that 0 stands for none.
            out.signed(stream.closed_at.map_or(0, |at| at.saturating_add(1)));
        }
    }
    out.into_bytes()
}

pub(super) fn read_producer(bytes: &[u8], report: &mut ProducerReport) -> Option<()> {
    let mut reader = Reader::new(bytes);
    report.incarnations = reader.list(|reader| {
        let id = Incarnation(u64::from_be_bytes(reader.bytes()?));
        let flags = reader.number()?;
        let streams = reader.list(|reader| {
            let partition = partition(reader)?;
            Some(SentStream {
                partition,
                last_sequence: reader.number()?,
                closed_at: None,
            })
        })?;
        Some(SentIncarnation {
            id,
            closed: flags & 1 != 0,
            share_done: flags & 2 != 0,
            streams,
        })
    })?;
    if !reader.is_empty() {
        for stream in report
            .incarnations
            .iter_mut()
            .flat_map(|incarnation| &mut incarnation.streams)
        {
            stream.closed_at = reader.signed()?.checked_sub(1).filter(|at| *at >= 0);
        }
    }
    reader.is_empty().then_some(())
}

pub(super) fn consumer(report: &ConsumerReport) -> Vec<u8> {
    let mut out = Writer::default();
    let senders = senders(report);
    out.count(senders.len());
    for (run, incarnation, share) in &senders {
        out.bytes(&run.uid.0)
            .number(run.run.into())
            .bytes(&incarnation.0.to_be_bytes());
        out.number(share.index.into()).number(share.of.into());
    }
    out.count(report.partitions.len());
    for partition in &report.partitions {
        write_partition(&mut out, partition, &senders);
    }
    out.count(report.segments.len());
    for segment in &report.segments {
        out.signed(segment.partition.into())
            .signed(segment.from)
            .signed(segment.to)
            .number(segment.records);
    }
    // At the end and only where there are any, so that words of earlier releases can be read.
    let gone: Vec<&PartitionSnapshot> = report.partitions.iter().filter(|p| !p.gaps.is_empty()).collect();
    if !gone.is_empty() {
        out.count(gone.len());
        for partition in gone {
            out.signed(partition.partition.into()).count(partition.gaps.len());
            for gap in &partition.gaps {
                out.signed(gap.to).number(gap.records);
            }
        }
        for gap in report.partitions.iter().flat_map(|partition| &partition.gaps) {
            out.signed(gap.from);
        }
    }
    out.into_bytes()
}

fn read_gaps(reader: &mut Reader<'_>, partitions: &mut [PartitionSnapshot]) -> Option<()> {
    for _ in 0..reader.count()? {
        let number = partition(reader)?;
        let gaps = reader.list(|reader| {
            Some(Gap {
                from: 0,
                to: reader.signed()?,
                records: reader.number()?,
            })
        })?;
        partitions
            .iter_mut()
            .find(|known| known.partition == number)?
            .gaps = gaps;
    }
    if !reader.is_empty() {
        for gap in partitions.iter_mut().flat_map(|partition| &mut partition.gaps) {
            gap.from = reader.signed()?;
        }
    }
    Some(())
}

fn senders(report: &ConsumerReport) -> Vec<Sender> {
    let streams = report.partitions.iter().flat_map(|partition| &partition.streams);
    let mut senders: Vec<Sender> = streams.map(|s| (s.run, s.incarnation, s.share)).collect();
    senders.sort_unstable();
    senders.dedup();
    senders
}

fn write_partition(out: &mut Writer, partition: &PartitionSnapshot, senders: &[Sender]) {
    out.signed(partition.partition.into())
        .signed(partition.position)
        .signed(partition.origin);
    out.number(u64::from(partition.complete) | u64::from(partition.approximate) << 1);
    for figure in figures(&partition.counters) {
        out.number(figure);
    }
    out.count(partition.streams.len());
    for stream in &partition.streams {
        let sender = senders
            .binary_search(&(stream.run, stream.incarnation, stream.share))
            .unwrap_or_default();
        let closing = stream.closing;
        let flags = u64::from(closing.is_some()) | u64::from(closing.is_some_and(|c| c.share_done)) << 1;
        out.count(sender)
            .number(stream.next)
            .number(stream.pending)
            .number(flags);
        out.number(closing.map_or(0, |closing| closing.streams.into()));
    }
    out.count(partition.evidence.len());
    for evidence in &partition.evidence {
        out.number(
            KINDS
                .iter()
                .position(|kind| *kind == evidence.kind)
                .unwrap_or_default() as u64,
        );
        // One more than the value, so that 0 stands for none. No stream reaches the last sequence.
        out.number(evidence.sequence.map_or(0, |sequence| sequence.saturating_add(1)))
            .signed(evidence.offset);
        let known = evidence
            .incarnation
            .and_then(|id| senders.iter().position(|sender| sender.1 == id));
        out.number(known.map_or(0, |place| place as u64 + 1));
    }
}

pub(super) fn read_consumer(bytes: &[u8], report: &mut ConsumerReport) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let senders: Vec<Sender> = reader.list(|reader| {
        let run = RunId {
            uid: Uid(reader.bytes()?),
            run: reader.small()?,
        };
        let incarnation = Incarnation(u64::from_be_bytes(reader.bytes()?));
        Some((
            run,
            incarnation,
            Share {
                index: reader.small()?,
                of: reader.small()?,
            },
        ))
    })?;
    report.partitions = reader.list(|reader| read_partition(reader, &senders))?;
    report.segments = reader.list(|reader| {
        let (partition, from, to) = (partition(reader)?, reader.signed()?, reader.signed()?);
        Some(Segment {
            partition,
            from,
            to,
            records: reader.number()?,
        })
    })?;
    if !reader.is_empty() {
        read_gaps(&mut reader, &mut report.partitions)?;
    }
    reader.is_empty().then_some(())
}

fn read_partition(reader: &mut Reader<'_>, senders: &[Sender]) -> Option<PartitionSnapshot> {
    let (partition, position, origin) = (partition(reader)?, reader.signed()?, reader.signed()?);
    let flags = reader.number()?;
    let counters = read_figures(reader)?;
    let streams = reader.list(|reader| {
        let &(run, incarnation, share) = senders.get(reader.small::<usize>()?)?;
        let (next, pending, flags) = (reader.number()?, reader.number()?, reader.number()?);
        let closing = Closing {
            share_done: flags & 2 != 0,
            streams: reader.small()?,
        };
        let closing = (flags & 1 != 0).then_some(closing);
        Some(StreamSnapshot {
            run,
            incarnation,
            share,
            next,
            pending,
            closing,
        })
    })?;
    let evidence = reader.list(|reader| {
        let kind = *KINDS.get(reader.small::<usize>()?)?;
        let (sequence, offset) = (reader.number()?.checked_sub(1), reader.signed()?);
        let incarnation = match reader.small::<usize>()?.checked_sub(1) {
            None => None,
            Some(place) => Some(senders.get(place)?.1),
        };
        Some(Evidence {
            kind,
            partition,
            sequence,
            offset,
            incarnation,
        })
    })?;
    let (complete, approximate) = (flags & 1 != 0, flags & 2 != 0);
    Some(PartitionSnapshot {
        partition,
        position,
        origin,
        counters,
        streams,
        evidence,
        gaps: vec![],
        complete,
        approximate,
    })
}

fn partition(reader: &mut Reader<'_>) -> Option<i32> {
    reader.signed()?.try_into().ok()
}

/// The figures, in the order in which they are packed.
fn figures(counters: &Counters) -> [u64; 9] {
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
    } = *counters;
    [
        received,
        lost,
        duplicated,
        redelivered,
        reordered,
        misrouted,
        expired,
        foreign,
        corrupt,
    ]
}

fn read_figures(reader: &mut Reader<'_>) -> Option<Counters> {
    Some(Counters {
        received: reader.number()?,
        lost: reader.number()?,
        duplicated: reader.number()?,
        redelivered: reader.number()?,
        reordered: reader.number()?,
        misrouted: reader.number()?,
        expired: reader.number()?,
        foreign: reader.number()?,
        corrupt: reader.number()?,
    })
}
