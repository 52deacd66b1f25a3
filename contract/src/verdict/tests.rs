use rstest::rstest;

use super::*;
use crate::ids::{Incarnation, RunId, Share, Uid};
use crate::report::{
    Closing, ConsumerState, EvidenceKind, Gap, PartitionSnapshot, Process, Segment, SentIncarnation,
    SentStream, StreamSnapshot,
};

const RUN: RunId = RunId {
    uid: Uid([7; 16]),
    run: 1,
};
const A: Incarnation = Incarnation(0xa);
const B: Incarnation = Incarnation(0xb);

/// One bounded run of one share, two partitions with ten records each, read by one pod.
struct Scene {
    producers: Vec<(ProducerReport, bool)>,
    consumers: Vec<ConsumerReport>,
    expected: Vec<ExpectedRun>,
    bounded: bool,
    min_records: u64,
    require: Require,
    purges: BTreeMap<i32, i64>,
    purged_before: u64,
}

fn stream(incarnation: Incarnation, closing: Option<Closing>) -> StreamSnapshot {
    let share = Share { index: 0, of: 1 };
    StreamSnapshot {
        run: RUN,
        incarnation,
        share,
        next: 10,
        pending: 0,
        closing,
    }
}

const DONE: Option<Closing> = Some(Closing {
    share_done: true,
    streams: 2,
});

fn snapshot(partition: i32) -> PartitionSnapshot {
    PartitionSnapshot {
        partition,
        position: 11,
        counters: Counters {
            received: 10,
            ..Counters::default()
        },
        streams: vec![stream(A, DONE)],
        complete: true,
        ..PartitionSnapshot::default()
    }
}

fn sent(id: Incarnation, closed: bool) -> SentIncarnation {
    let streams = [0, 1]
        .map(|partition| SentStream {
            partition,
            last_sequence: 9,
            closed_at: closed.then_some(10),
        })
        .to_vec();
    SentIncarnation {
        id,
        closed,
        share_done: closed,
        streams,
    }
}

fn pass() -> Scene {
    let producer = ProducerReport {
        run: RUN,
        incarnations: vec![sent(A, true)],
        ..ProducerReport::default()
    };
    let consumer = ConsumerReport {
        process: Process {
            pod: "one".to_owned(),
            start: Incarnation(1),
        },
        state: ConsumerState::Complete,
        partition_count: 2,
        delivered: 20,
        partitions: vec![snapshot(0), snapshot(1)],
        segments: [0, 1]
            .map(|partition| Segment {
                partition,
                from: 0,
                to: 11,
                records: 10,
            })
            .to_vec(),
        ..ConsumerReport::default()
    };
    Scene {
        producers: vec![(producer, true)],
        consumers: vec![consumer],
        expected: vec![ExpectedRun { id: RUN, shares: 1 }],
        bounded: true,
        min_records: 0,
        require: Require::default(),
        purges: BTreeMap::new(),
        purged_before: 0,
    }
}

impl Scene {
    fn judge(&self) -> Verdict {
        let producers: Vec<_> = self
            .producers
            .iter()
            .map(|(report, gone)| ProducerFacts { report, gone: *gone })
            .collect();
        let consumers: Vec<_> = self.consumers.iter().collect();
        judge(&Facts {
            producers: &producers,
            expected: &self.expected,
            consumers: &consumers,
            bounded: self.bounded,
            min_records: self.min_records,
            require: self.require,
            purges: &self.purges,
            purged_before: self.purged_before,
        })
    }

    fn partition(&mut self, index: usize) -> &mut PartitionSnapshot {
        &mut self.consumers[0].partitions[index]
    }
}

fn gap(from: i64, to: i64, records: u64) -> Gap {
    Gap { from, to, records }
}

/// Ten more records were missing in partition 1 where the log began at 40, and three where it began at 60.
fn with_gaps() -> Scene {
    let mut scene = pass();
    let partition = scene.partition(1);
    partition.counters.expired = 13;
    partition.gaps = vec![gap(5, 40, 10), gap(50, 60, 3)];
    scene
}

#[rstest]
#[case::no_purge(&[], 0, (0, 13), Reason::Approximate)]
#[case::of_another_partition(&[(0, 60)], 0, (0, 13), Reason::Approximate)]
#[case::below_the_first(&[(1, 39)], 0, (0, 13), Reason::Approximate)]
#[case::of_the_first(&[(1, 40)], 0, (10, 3), Reason::Approximate)]
#[case::of_both(&[(1, 60)], 0, (13, 0), Reason::Pass)]
#[case::forgotten_since(&[], 10, (10, 3), Reason::Approximate)]
#[case::never_more_than_is_gone(&[(1, 40)], 99, (13, 0), Reason::Pass)]
fn what_a_purge_removed_is_purged_and_the_rest_expired(
    #[case] cuts: &[(i32, i64)],
    #[case] before: u64,
    #[case] expected: (u64, u64),
    #[case] reason: Reason,
) {
    let mut scene = with_gaps();
    scene.purges = cuts.iter().copied().collect();
    scene.purged_before = before;
    let verdict = scene.judge();
    assert_eq!((verdict.purged, verdict.counts.expired), expected);
    assert_eq!(
        (verdict.reason, verdict.counts.lost),
        (reason, 0),
        "{}",
        verdict.message
    );
    assert!(reason != Reason::Pass || verdict.message.contains("13 more were purged"));
}

/// Another run of two streams, closed at offset 10, of which nothing was met in partition 1 and four records in partition 0.
fn with_one_gone() -> Scene {
    let mut scene = pass();
    scene.bounded = false;
    scene.producers[0].0.incarnations.push(sent(B, true));
    let begun = StreamSnapshot {
        next: 4,
        ..stream(B, None)
    };
    scene.partition(0).streams.push(begun);
    scene.partition(0).gaps = vec![gap(5, 20, 0)];
    scene.partition(1).gaps = vec![gap(0, 20, 0)];
    scene
}

#[rstest]
#[case::purged(&[(0, 20), (1, 20)], 0, (16, 0), Reason::Pass)]
#[case::one_of_them_expired(&[(0, 20)], 0, (6, 10), Reason::Approximate)]
#[case::the_purge_is_forgotten(&[], 16, (16, 0), Reason::Pass)]
fn a_stream_that_is_gone_to_its_end_is_not_waited_for(
    #[case] cuts: &[(i32, i64)],
    #[case] before: u64,
    #[case] expected: (u64, u64),
    #[case] reason: Reason,
) {
    let mut scene = with_one_gone();
    scene.purges = cuts.iter().copied().collect();
    scene.purged_before = before;
    let verdict = scene.judge();
    assert_eq!((verdict.purged, verdict.counts.expired), expected);
    assert_eq!(verdict.reason, reason, "{}", verdict.message);
    assert_eq!(
        (verdict.coverage.expected_streams, verdict.coverage.closed_streams),
        (2, 2)
    );
}

#[rstest]
#[case::the_reader_had_passed_its_end_and_found_none(|scene: &mut Scene| scene.partition(1).gaps[0].from = 11)]
#[case::the_log_begins_where_it_ends(|scene: &mut Scene| scene.partition(1).gaps[0].to = 10)]
#[case::the_reader_chose_to_begin_later(|scene: &mut Scene| {
    scene.partition(1).gaps.clear();
    scene.partition(1).origin = 20;
})]
#[case::its_end_is_not_known(|scene: &mut Scene| scene.producers[0].0.incarnations[1].streams[1].closed_at = None)]
#[case::its_run_is_expected(|scene: &mut Scene| {
    scene.bounded = true;
    scene.expected.push(ExpectedRun { id: RunId { run: 2, ..RUN }, shares: 1 });
})]
fn what_may_still_come_is_waited_for(#[case] change: fn(&mut Scene)) {
    let mut scene = with_one_gone();
    scene.purges = [(0, 20), (1, 20)].into();
    change(&mut scene);
    let verdict = scene.judge();
    assert_eq!(verdict.reason, Reason::Pending, "{}", verdict.message);
}

#[test]
fn a_purge_hides_no_loss() {
    let mut scene = with_gaps();
    scene.purges = [(1, 60)].into();
    scene.partition(1).counters.lost = 1;
    assert_eq!(scene.judge().reason, Reason::Lost);
}

#[test]
fn all_read_once_passes() {
    let verdict = pass().judge();
    assert_eq!(verdict.reason, Reason::Pass, "{}", verdict.message);
    assert_eq!((verdict.counts.received, verdict.counts.redelivered), (20, 0));
    let coverage = Coverage {
        expected_streams: 2,
        closed_streams: 2,
        expected_records: 20,
    };
    assert_eq!(verdict.coverage, coverage);
}

type Change = fn(&mut Scene);

#[rstest]
#[case::lost(Reason::Lost, |s: &mut Scene| s.partition(0).counters.lost = 1)]
#[case::lost_before_duplicated(Reason::Lost, |s: &mut Scene| {
    s.partition(0).counters.duplicated = 3;
    s.partition(1).counters.lost = 1;
})]
#[case::lost_though_unclosed(Reason::Lost, |s: &mut Scene| {
    s.partition(0).counters.lost = 1;
    s.producers[0].0.incarnations[0].closed = false;
    s.partition(0).streams[0].closing = None;
})]
#[case::allowed_loss(Reason::Pass, |s: &mut Scene| {
    s.partition(0).counters.lost = 2;
    s.require.lost = 2;
})]
#[case::duplicated(Reason::Duplicated, |s: &mut Scene| s.partition(1).counters.duplicated = 1)]
#[case::reordered(Reason::Reordered, |s: &mut Scene| s.partition(1).counters.reordered = 1)]
#[case::misrouted(Reason::Misrouted, |s: &mut Scene| s.partition(1).counters.misrouted = 1)]
#[case::redelivered_is_not_judged(Reason::Pass, |s: &mut Scene| s.partition(1).counters.redelivered = 9)]
#[case::foreign_is_not_judged(Reason::Pass, |s: &mut Scene| s.partition(1).counters.foreign = 9)]
#[case::nothing_known(Reason::NoEvidence, |s: &mut Scene| {
    s.producers.clear();
    s.expected.clear();
    for partition in &mut s.consumers[0].partitions {
        *partition = PartitionSnapshot { partition: partition.partition, complete: true, ..Default::default() };
    }
})]
#[case::nothing_reported_at_all(Reason::NoEvidence, |s: &mut Scene| {
    s.producers.clear();
    s.consumers.clear();
})]
#[case::sent_but_nothing_read(Reason::Pending, |s: &mut Scene| s.consumers.clear())]
#[case::never_closed_by_the_dead(Reason::UnclosedIncarnation, |s: &mut Scene| {
    s.producers[0].0.incarnations[0].closed = false;
    s.partition(0).streams[0].closing = None;
    s.partition(1).streams[0].closing = None;
})]
#[case::not_yet_closed_by_the_living(Reason::Pending, |s: &mut Scene| {
    s.producers[0].1 = false;
    s.producers[0].0.incarnations[0].closed = false;
    s.partition(0).streams[0].closing = None;
    s.partition(1).streams[0].closing = None;
})]
#[case::closed_though_it_could_not_say_so(Reason::Pass, |s: &mut Scene| s.producers[0].0.incarnations[0].closed = false)]
#[case::a_successor_did_the_share_of_one_nobody_reported(Reason::UnclosedIncarnation, |s: &mut Scene| {
    s.partition(0).streams.push(stream(B, None));
})]
#[case::a_predecessor_that_closed(Reason::Pass, |s: &mut Scene| {
    s.partition(0).streams.push(stream(B, Some(Closing { share_done: false, streams: 1 })));
})]
#[case::one_closing_not_read(Reason::Pending, |s: &mut Scene| s.partition(1).streams[0].closing = None)]
#[case::a_stream_never_met(Reason::Pending, |s: &mut Scene| s.partition(1).streams.clear())]
#[case::a_stream_nobody_reported_is_missing(Reason::Pending, |s: &mut Scene| {
    s.producers.clear();
    s.partition(1).streams.clear();
})]
#[case::another_share_not_done(Reason::Pending, |s: &mut Scene| s.expected[0].shares = 2)]
#[case::another_run_not_done(Reason::Pending, |s: &mut Scene| {
    s.expected.push(ExpectedRun { id: RunId { run: 2, ..RUN }, shares: 1 });
})]
#[case::end_not_passed(Reason::Pending, |s: &mut Scene| s.partition(1).complete = false)]
#[case::a_partition_nobody_read(Reason::Pending, |s: &mut Scene| s.consumers[0].partition_count = 3)]
#[case::fate_unknown(Reason::Pending, |s: &mut Scene| s.partition(1).streams[0].pending = 1)]
#[case::too_few(Reason::Pending, |s: &mut Scene| s.min_records = 21)]
#[case::forgotten(Reason::Approximate, |s: &mut Scene| s.partition(0).approximate = true)]
#[case::expired(Reason::Approximate, |s: &mut Scene| s.partition(0).counters.expired = 1)]
#[case::only_totals(Reason::Approximate, |s: &mut Scene| {
    s.consumers[0].totals = Some(Counters { received: 20, ..Counters::default() });
    s.consumers[0].partitions.clear();
})]
#[case::endless_needs_no_closing(Reason::Pass, |s: &mut Scene| {
    s.bounded = false;
    s.expected.clear();
    s.producers[0] = (ProducerReport { incarnations: vec![sent(A, false)], ..Default::default() }, false);
    for partition in 0..2 {
        s.partition(partition).streams[0] =
            StreamSnapshot { share: Share::default(), ..stream(A, None) };
        s.partition(partition).complete = false;
    }
})]
#[case::endless_too_few(Reason::Pending, |s: &mut Scene| {
    s.bounded = false;
    s.min_records = 21;
})]
#[case::endless_unread_partition(Reason::Pending, |s: &mut Scene| {
    s.bounded = false;
    s.consumers[0].partitions.pop();
})]
fn the_reason_follows_the_facts(#[case] reason: Reason, #[case] change: Change) {
    let mut scene = pass();
    change(&mut scene);
    let verdict = scene.judge();
    assert_eq!(verdict.reason, reason, "{}", verdict.message);
    scene.producers.reverse();
    scene.consumers.reverse();
    assert_eq!(scene.judge(), verdict);
}

#[test]
fn a_partition_that_moved_is_counted_once() {
    let mut scene = pass();
    // It read on after its last commit and was killed: another pod read the same again and went on.
    let mut killed = snapshot(0);
    (killed.position, killed.counters.received, killed.complete) = (8, 8, false);
    killed.streams[0].closing = None;
    scene.consumers.push(ConsumerReport {
        process: Process {
            pod: "two".to_owned(),
            start: Incarnation(2),
        },
        partitions: vec![killed],
        segments: vec![Segment {
            partition: 0,
            from: 0,
            to: 8,
            records: 8,
        }],
        ..ConsumerReport::default()
    });
    scene.consumers[0].segments[0] = Segment {
        partition: 0,
        from: 5,
        to: 11,
        records: 5,
    };
    let verdict = scene.judge();
    assert_eq!(verdict.reason, Reason::Pass, "{}", verdict.message);
    assert_eq!(verdict.counts.received, 20);
    assert_eq!(verdict.counts.redelivered, 3);
    // Had the killed pod met an offset without a record, that might be one of these.
    scene.consumers[1].segments[0].records = 7;
    assert_eq!(scene.judge().counts.redelivered, 2);
}

#[test]
fn two_reports_of_one_process_redeliver_nothing() {
    let mut scene = pass();
    let older = scene.consumers[0].clone();
    scene.consumers.push(older);
    assert_eq!(scene.judge().counts.redelivered, 0);
}

#[test]
fn the_message_names_the_first_offender() {
    let mut scene = pass();
    let snapshot = scene.partition(1);
    (snapshot.counters.lost, snapshot.counters.duplicated) = (1, 1);
    let evidence = |kind, sequence| Evidence {
        kind,
        partition: 1,
        sequence,
        offset: 11,
        incarnation: Some(A),
    };
    snapshot.evidence = vec![
        evidence(EvidenceKind::Duplicated, Some(3)),
        evidence(EvidenceKind::Lost, Some(4)),
    ];
    let verdict = scene.judge();
    assert_eq!(
        verdict.message,
        "1 lost, 1 duplicated; the first: partition 1, sequence 4 of incarnation 000000000000000a, certain at \
         offset 11"
    );
    assert_eq!(verdict.evidence[0].kind, EvidenceKind::Lost);
    assert_eq!(verdict.evidence.len(), 2);
}
