//! How the judgement is found: pick one snapshot a partition, add up, compare, choose the reason.

use std::collections::{BTreeMap, BTreeSet};

use super::gone::Gone;
use super::{Coverage, Facts, Reason, Verdict};
use crate::ids::{Incarnation, RunId};
use crate::report::{
    Closing, ConsumerReport, Counters, Evidence, EvidenceKind, MAX_EVIDENCE, PartitionSnapshot, Process,
    Segment,
};

/// Judges. Same facts, same verdict, in whatever order they are given.
#[must_use]
pub fn judge(facts: &Facts<'_>) -> Verdict {
    let world = World::of(facts);
    let mut counts = world.counts(facts.consumers);
    let purged = world.purged(facts).min(counts.expired);
    counts.expired -= purged;
    let evidence = world.evidence();
    let coverage = world.coverage();
    let (reason, message) =
        violation(facts, &counts, &evidence).unwrap_or_else(|| world.standing(facts, &counts, purged));
    Verdict {
        reason,
        message,
        counts,
        purged,
        evidence,
        coverage,
    }
}

/// What a share of a run needs: the incarnation that did it, if one did.
type Shares = BTreeMap<(RunId, u32), Option<(Incarnation, Closing)>>;

/// The facts, arranged.
struct World<'a> {
    /// The snapshot that stands for each partition.
    partitions: BTreeMap<i32, &'a PartitionSnapshot>,
    /// Streams known, with the number of records each holds at least.
    expected: BTreeMap<(Incarnation, i32), u64>,
    /// Streams met in the log, and whether their closing record was read.
    met: BTreeMap<(Incarnation, i32), bool>,
    shares: Shares,
    /// Incarnations that ended without closing.
    unclosed: BTreeSet<Incarnation>,
    /// Streams that can be read to their end no longer.
    gone: Gone,
}

impl<'a> World<'a> {
    fn of(facts: &Facts<'a>) -> Self {
        let partitions = best(facts.consumers);
        let mut expected = BTreeMap::new();
        let mut met = BTreeMap::new();
        for (&partition, snapshot) in &partitions {
            for stream in &snapshot.streams {
                met.insert((stream.incarnation, partition), stream.closing.is_some());
                expected.insert((stream.incarnation, partition), stream.next);
            }
        }
        let sent = facts
            .producers
            .iter()
            .flat_map(|producer| &producer.report.incarnations);
        for (id, stream) in sent.flat_map(|sent| sent.streams.iter().map(|stream| (sent.id, stream))) {
            let records = expected.entry((id, stream.partition)).or_default();
            *records = (*records).max(stream.last_sequence.saturating_add(1));
        }
        let shares = shares(facts, &partitions);
        let gone = Gone::of(facts, &partitions);
        let unclosed = unclosed(facts, &partitions, &shares, &gone);
        Self {
            partitions,
            expected,
            met,
            shares,
            unclosed,
            gone,
        }
    }

    fn counts(&self, consumers: &[&ConsumerReport]) -> Counters {
        let add = |sum: Counters, more: Counters| sum.zip(more, u64::saturating_add);
        let known = self
            .partitions
            .values()
            .map(|snapshot| snapshot.counters)
            .fold(Counters::default(), add);
        // Totals may count what a snapshot counts too, so they only raise a figure.
        let totals = consumers.iter().filter_map(|report| report.totals);
        let mut counts = totals.fold(known, |sum, totals| sum.zip(totals, u64::max));
        counts.redelivered = counts.redelivered.saturating_add(overlap(consumers));
        let unread = self.gone.purged.saturating_add(self.gone.expired);
        counts.expired = counts.expired.saturating_add(unread);
        counts
    }

    /// Records that stood below a purge's cut and were gone. A stretch that reaches beyond it may have gone by retention.
    fn purged(&self, facts: &Facts<'_>) -> u64 {
        let below = |snapshot: &PartitionSnapshot| {
            let cut = facts.purges.get(&snapshot.partition).copied().unwrap_or_default();
            let gaps = snapshot.gaps.iter().filter(|gap| gap.to <= cut);
            gaps.fold(0_u64, |sum, gap| sum.saturating_add(gap.records))
        };
        let found = self.partitions.values().fold(self.gone.purged, |sum, snapshot| {
            sum.saturating_add(below(snapshot))
        });
        found.max(facts.purged_before)
    }

    /// The first of each kind, then whatever else fits.
    fn evidence(&self) -> Vec<Evidence> {
        let mut all: Vec<Evidence> = self
            .partitions
            .values()
            .flat_map(|p| p.evidence.iter().copied())
            .collect();
        all.sort_unstable();
        all.dedup();
        let mut kinds = BTreeSet::new();
        let (mut chosen, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|e| kinds.insert(e.kind));
        chosen.extend(rest.into_iter().take(MAX_EVIDENCE.saturating_sub(chosen.len())));
        chosen.sort_unstable();
        chosen
    }

    fn coverage(&self) -> Coverage {
        let expected = self
            .expected
            .keys()
            .filter(|stream| !self.gone.streams.contains(stream));
        Coverage {
            expected_streams: expected.count() as u64,
            closed_streams: self.met.values().filter(|closed| **closed).count() as u64,
            expected_records: self
                .expected
                .values()
                .fold(0, |sum, records| sum.saturating_add(*records)),
        }
    }

    /// The reason when no violation is proven.
    fn standing(&self, facts: &Facts<'_>, counts: &Counters, purged: u64) -> (Reason, String) {
        if self.expected.is_empty() && facts.consumers.iter().all(|report| report.totals.is_none()) {
            return (
                Reason::NoEvidence,
                "no producer is known to have sent anything to the topic".to_owned(),
            );
        }
        if let Some(id) = self.unclosed.first() {
            let more = self.unclosed.len();
            let message = format!(
                "{more} producer process(es) ended without saying what they sent last; the first is incarnation {id}"
            );
            return (Reason::UnclosedIncarnation, message);
        }
        if let Some(message) = self.approximate(facts, counts) {
            return (Reason::Approximate, message);
        }
        if let Some(message) = self.pending(facts, counts) {
            return (Reason::Pending, message);
        }
        let gone = match purged {
            0 => String::new(),
            purged => format!("; {purged} more were purged before they could be read"),
        };
        let message = format!(
            "{} records arrived once, in order, in the right partition{gone}",
            counts.received
        );
        (Reason::Pass, message)
    }

    fn approximate(&self, facts: &Facts<'_>, counts: &Counters) -> Option<String> {
        if counts.expired > 0 {
            return Some(format!(
                "{} records had expired, or were gone for a reason not known, before they could be read",
                counts.expired
            ));
        }
        if facts.consumers.iter().any(|report| report.totals.is_some()) {
            return Some("a pod's last report did not fit; only its totals are known".to_owned());
        }
        let (partition, _) = self
            .partitions
            .iter()
            .find(|(_, snapshot)| snapshot.approximate)?;
        Some(format!(
            "partition {partition} has more open streams than its state can hold"
        ))
    }

    fn pending(&self, facts: &Facts<'_>, counts: &Counters) -> Option<String> {
        let wanted = facts.min_records.max(1);
        if counts.received < wanted {
            return Some(format!(
                "{} of at least {wanted} records received",
                counts.received
            ));
        }
        let unseen = self.expected.keys().find(|stream| match self.met.get(stream) {
            _ if self.gone.streams.contains(stream) => false,
            None => true,
            Some(closed) => facts.bounded && !closed,
        });
        if let Some((id, partition)) = unseen {
            let what = if facts.bounded {
                "not yet read to its end"
            } else {
                "not yet met"
            };
            return Some(format!(
                "the stream of incarnation {id} in partition {partition} is {what}"
            ));
        }
        let open = |snapshot: &&PartitionSnapshot| snapshot.streams.iter().any(|stream| stream.pending > 0);
        if let Some(snapshot) = self.partitions.values().copied().find(open) {
            return Some(format!(
                "records are missing in partition {} whose fate is not known yet",
                snapshot.partition
            ));
        }
        if facts.bounded {
            self.unfinished(facts)
        } else {
            None
        }
    }

    /// What a bounded consumer has still to see.
    fn unfinished(&self, facts: &Facts<'_>) -> Option<String> {
        for ((run, index), done) in &self.shares {
            let Some((id, closing)) = done else {
                return Some(format!(
                    "share {index} of run {} of producer {} is not done",
                    run.run, run.uid
                ));
            };
            let closed = self
                .met
                .iter()
                .filter(|((of, _), closed)| of == id && **closed)
                .count() as u64;
            if closed < u64::from(closing.streams) {
                let of = closing.streams;
                return Some(format!(
                    "{closed} of {of} streams of incarnation {id} were read to their end"
                ));
            }
        }
        let known = facts
            .consumers
            .iter()
            .map(|report| report.partition_count)
            .max()
            .unwrap_or_default();
        let complete = self
            .partitions
            .values()
            .filter(|snapshot| snapshot.complete)
            .count() as u64;
        let wanted = u64::from(known).max(self.partitions.len() as u64);
        (complete < wanted).then(|| format!("{complete} of {wanted} partitions were read to their end"))
    }
}

/// The violation that names the verdict, if more of one kind is proven than is allowed.
fn violation(facts: &Facts<'_>, counts: &Counters, evidence: &[Evidence]) -> Option<(Reason, String)> {
    let require = &facts.require;
    let kinds = [
        (Reason::Lost, EvidenceKind::Lost, counts.lost, require.lost),
        (
            Reason::Duplicated,
            EvidenceKind::Duplicated,
            counts.duplicated,
            require.duplicated,
        ),
        (
            Reason::Reordered,
            EvidenceKind::Reordered,
            counts.reordered,
            require.reordered,
        ),
        (
            Reason::Misrouted,
            EvidenceKind::Misrouted,
            counts.misrouted,
            require.misrouted,
        ),
    ];
    let over: Vec<_> = kinds
        .into_iter()
        .filter(|(_, _, count, allowed)| count > allowed)
        .collect();
    let &(reason, kind, ..) = over.first()?;
    let figures: Vec<String> = over
        .iter()
        .map(|(reason, _, count, _)| format!("{count} {}", reason.as_str().to_lowercase()))
        .collect();
    let first = evidence.iter().find(|evidence| evidence.kind == kind).map(place);
    Some((reason, figures.join(", ") + &first.unwrap_or_default()))
}

/// Where an offending record is, as the end of a sentence.
fn place(evidence: &Evidence) -> String {
    let sequence = evidence
        .sequence
        .map(|sequence| format!(", sequence {sequence}"))
        .unwrap_or_default();
    let sender = evidence
        .incarnation
        .map(|id| format!(" of incarnation {id}"))
        .unwrap_or_default();
    let certain = if evidence.kind == EvidenceKind::Lost {
        "certain at "
    } else {
        ""
    };
    let Evidence {
        partition, offset, ..
    } = evidence;
    format!("; the first: partition {partition}{sequence}{sender}, {certain}offset {offset}")
}

/// For each partition the snapshot with the greatest progress.
fn best<'a>(consumers: &[&'a ConsumerReport]) -> BTreeMap<i32, &'a PartitionSnapshot> {
    let progress = |snapshot: &PartitionSnapshot| {
        let closed = snapshot
            .streams
            .iter()
            .filter(|stream| stream.closing.is_some())
            .count();
        (
            snapshot.position,
            snapshot.complete,
            closed,
            snapshot.counters.received,
        )
    };
    let mut best: BTreeMap<i32, &PartitionSnapshot> = BTreeMap::new();
    for snapshot in consumers.iter().flat_map(|report| &report.partitions) {
        let slot = best.entry(snapshot.partition).or_insert(snapshot);
        if progress(snapshot) > progress(slot) {
            *slot = snapshot;
        }
    }
    best
}

/// Every share of every bounded run known, and who did it.
fn shares(facts: &Facts<'_>, partitions: &BTreeMap<i32, &PartitionSnapshot>) -> Shares {
    let mut shares = Shares::new();
    for run in facts.expected {
        shares.extend((0..run.shares).map(|index| ((run.id, index), None)));
    }
    let streams = || partitions.values().flat_map(|snapshot| &snapshot.streams);
    for stream in streams().filter(|stream| !stream.share.is_endless()) {
        for index in 0..stream.share.of {
            shares.entry((stream.run, index)).or_default();
        }
    }
    for stream in streams() {
        let done = stream.closing.filter(|closing| closing.share_done);
        if let (Some(closing), Some(share)) = (done, shares.get_mut(&(stream.run, stream.share.index))) {
            // The lowest id, where a share was done twice, so that the order of the facts does not matter.
            if share.is_none_or(|(id, _)| stream.incarnation < id) {
                *share = Some((stream.incarnation, closing));
            }
        }
    }
    shares
}

/// Incarnations that ended without closing: their process is gone, or another has done their share since.
fn unclosed(
    facts: &Facts<'_>,
    partitions: &BTreeMap<i32, &PartitionSnapshot>,
    shares: &Shares,
    ended: &Gone,
) -> BTreeSet<Incarnation> {
    let gone = facts.producers.iter().filter(|producer| producer.gone);
    let mut unclosed: BTreeSet<Incarnation> = gone
        .flat_map(|producer| {
            producer
                .report
                .incarnations
                .iter()
                .map(|sent| (sent, producer.report.truncated))
        })
        .filter(|(sent, truncated)| !sent.closed && (*truncated || !sent.streams.is_empty()))
        .map(|(sent, _)| sent.id)
        .collect();
    for snapshot in partitions.values() {
        let closed = |id| {
            snapshot
                .streams
                .iter()
                .any(|s| s.incarnation == id && s.closing.is_some())
        };
        let open = snapshot.streams.iter().filter(|stream| stream.closing.is_none());
        for stream in open.filter(|stream| !ended.streams.contains(&(stream.incarnation, snapshot.partition)))
        {
            // A successor starts after its predecessor's death: what it closed, the other can close no more.
            let done = shares.get(&(stream.run, stream.share.index)).copied().flatten();
            if done.is_some_and(|(id, _)| id != stream.incarnation && (closed(id) || snapshot.complete)) {
                unclosed.insert(stream.incarnation);
            }
        }
    }
    // Its closing records may all have arrived, though it died before it could say so.
    unclosed.retain(|id| {
        let streams = || {
            partitions
                .values()
                .flat_map(|p| &p.streams)
                .filter(|s| s.incarnation == *id)
        };
        let closed = streams().filter(|stream| stream.closing.is_some()).count() as u64;
        !streams()
            .filter_map(|stream| stream.closing)
            .any(|closing| closed >= u64::from(closing.streams))
    });
    unclosed
}

/// Records handed out more than once, at least: overlaps of what processes were handed.
fn overlap(consumers: &[&ConsumerReport]) -> u64 {
    let mut processes: BTreeMap<&Process, &ConsumerReport> = BTreeMap::new();
    for report in consumers {
        let slot = processes.entry(&report.process).or_insert(report);
        if (report.delivered, report.segments.len()) > (slot.delivered, slot.segments.len()) {
            *slot = report;
        }
    }
    let mut segments: Vec<&Segment> = processes.values().flat_map(|report| &report.segments).collect();
    segments.sort_unstable_by_key(|segment| (segment.partition, segment.from, segment.to));
    let length = |from: i64, to: i64| u64::try_from(to.saturating_sub(from)).unwrap_or_default();
    let mut sum: u64 = 0;
    // What segments so far cover: of which partition, up to where, and how many of these offsets hold no record.
    let mut covered: Option<(i32, i64, u64)> = None;
    for segment in segments {
        let (end, holes) = match covered {
            Some((partition, end, holes)) if partition == segment.partition && end > segment.from => {
                (end, holes)
            }
            _ => (segment.from, 0),
        };
        let own_holes = length(segment.from, segment.to).saturating_sub(segment.records);
        let overlap = length(segment.from, end.min(segment.to));
        sum = sum.saturating_add(overlap.saturating_sub(holes.min(own_holes)));
        covered = Some((
            segment.partition,
            end.max(segment.to),
            holes.saturating_add(own_holes),
        ));
    }
    sum
}
