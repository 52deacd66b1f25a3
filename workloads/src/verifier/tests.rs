//! The verifier against a naive oracle that remembers everything, on logs made up from a seed.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ottla_contract::{Share, Uid};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, SeedableRng};

use super::*;

const RUN: RunId = RunId {
    uid: Uid([1; 16]),
    run: 1,
};

fn prefix(incarnation: u64, sequence: u64, resolved_through: u64) -> Prefix {
    Prefix {
        run: RUN,
        share: Share { index: 0, of: 1 },
        incarnation: Incarnation(incarnation),
        sequence,
        partition_count: 1,
        resolved_through,
        ..Prefix::default()
    }
}

fn record(incarnation: u64, sequence: u64) -> Parsed {
    Parsed::Record(prefix(incarnation, sequence, 0))
}

fn closing(incarnation: u64, end: u64, exceptions: Vec<(u64, u64)>) -> Parsed {
    let closing = Closing {
        share_done: true,
        streams: 1,
        first_offset: Some(0),
        exceptions,
    };
    Parsed::Closing(prefix(incarnation, end, 0), closing)
}

fn read(log: &[Parsed]) -> Partition {
    read_from(0, log)
}

fn read_from(origin: i64, log: &[Parsed]) -> Partition {
    let mut partition = Partition::new(0, origin);
    for (offset, parsed) in (origin..).zip(log) {
        partition.observe(offset, None, parsed);
    }
    partition
}

/// What a made-up stream does wrong.
#[derive(Default)]
struct Faults {
    dropped: BTreeSet<u64>,
    duplicated: BTreeSet<u64>,
    /// Never confirmed; in the log or not.
    failed: BTreeSet<u64>,
}

/// A log of a few streams in one partition, and what is wrong in it.
fn log(rng: &mut StdRng) -> Vec<Parsed> {
    let mut streams: Vec<Vec<Parsed>> = (1..=rng.random_range(1..4))
        .map(|id| stream_log(rng, id))
        .collect();
    let mut log = Vec::new();
    while !streams.is_empty() {
        let which = rng.random_range(0..streams.len());
        let many = rng.random_range(1..8).min(streams[which].len());
        log.extend(streams[which].drain(..many));
        streams.retain(|stream| !stream.is_empty());
    }
    log
}

fn stream_log(rng: &mut StdRng, id: u64) -> Vec<Parsed> {
    let count = rng.random_range(1..40_u64);
    let mut faults = Faults::default();
    let mut order = Vec::new();
    let mut late = Vec::new();
    for sequence in 0..count {
        match rng.random_range(0..20) {
            0 => _ = faults.dropped.insert(sequence),
            1 => _ = faults.failed.insert(sequence),
            2 => {
                faults.failed.insert(sequence);
                if rng.random() { &mut late } else { &mut order }.push(sequence);
            }
            3 => {
                faults.duplicated.insert(sequence);
                order.push(sequence);
            }
            _ => order.push(sequence),
        }
    }
    for at in 1..order.len() {
        if rng.random_range(0..10) == 0 {
            order.swap(at - 1, at);
        }
    }
    for sequence in &faults.duplicated {
        let first = order.iter().position(|s| s == sequence).unwrap_or(0);
        order.insert(rng.random_range(first + 1..=order.len()), *sequence);
    }
    let closed = rng.random_range(0..4) > 0;
    let mut seen = BTreeSet::new();
    let mut log = Vec::new();
    for sequence in order {
        // Confirmed by then: what was dropped lies about it, the rest stands in the log already.
        let settled =
            |s: &u64| !faults.failed.contains(s) && (faults.dropped.contains(s) || seen.contains(s));
        let resolved = (0..sequence).take_while(settled).count() as u64;
        log.push(Parsed::Record(prefix(
            id,
            sequence,
            rng.random_range(0..=resolved),
        )));
        seen.insert(sequence);
    }
    if closed {
        let exceptions = faults.failed.iter().map(|sequence| (*sequence, 1)).collect();
        log.push(closing(id, count, exceptions));
        log.extend(late.into_iter().map(|sequence| record(id, sequence)));
        if rng.random() {
            let known: Vec<u64> = seen.into_iter().collect();
            log.extend(known.choose(rng).map(|sequence| record(id, *sequence)));
        }
    }
    log
}

/// Sequences seen, below which one all were confirmed, and what the closing record excepts.
type Memory = (Vec<u64>, u64, Option<BTreeSet<u64>>);

/// Counts with the whole history in memory.
fn oracle(log: &[Parsed]) -> Counters {
    let mut counters = Counters::default();
    let mut streams: BTreeMap<Incarnation, Memory> = BTreeMap::new();
    let mut lost: BTreeSet<(Incarnation, u64)> = BTreeSet::new();
    for parsed in log {
        match parsed {
            Parsed::Record(prefix) => {
                let (seen, resolved, excepted) = streams.entry(prefix.incarnation).or_default();
                if seen.contains(&prefix.sequence) {
                    counters.duplicated += 1;
                } else {
                    counters.received += 1;
                    let behind = seen.iter().any(|s| *s > prefix.sequence);
                    counters.reordered += u64::from(behind && excepted.is_none());
                }
                seen.push(prefix.sequence);
                *resolved = (*resolved).max(prefix.resolved_through);
                lost.extend(
                    (0..*resolved)
                        .filter(|s| !seen.contains(s))
                        .map(|s| (prefix.incarnation, s)),
                );
            }
            Parsed::Closing(prefix, closing) => {
                let (seen, _, excepted) = streams.entry(prefix.incarnation).or_default();
                let never: BTreeSet<u64> = closing
                    .exceptions
                    .iter()
                    .flat_map(|(first, count)| *first..first + count)
                    .collect();
                let missing = (0..prefix.sequence).filter(|s| !seen.contains(s) && !never.contains(s));
                lost.extend(missing.map(|s| (prefix.incarnation, s)));
                *excepted = Some(never);
            }
            Parsed::Foreign => counters.foreign += 1,
            Parsed::Corrupt => counters.corrupt += 1,
        }
    }
    counters.lost = lost.len() as u64;
    counters
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_counts_as_one_who_remembers_everything(seed: u64) {
        let log = log(&mut StdRng::seed_from_u64(seed));
        prop_assert_eq!(read(&log).counters, oracle(&log), "{:#?}", log);
    }

    #[test]
    fn it_counts_the_same_when_the_partition_moves(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let log = log(&mut rng);
        let mut partition = Partition::new(0, 0);
        let mut committed = (0, partition.encode());
        let mut at = 0;
        while at < log.len() {
            partition.observe(i64::try_from(at).unwrap(), None, &log[at]);
            at += 1;
            match rng.random_range(0..12) {
                0 => committed = (partition.position(), partition.encode()),
                1 => {
                    // The owner dies: the next one starts from what was committed.
                    partition = Partition::decode(0, committed.0, &committed.1).unwrap();
                    at = usize::try_from(committed.0).unwrap();
                }
                _ => {}
            }
        }
        let mut straight = read(&log);
        (straight.last, partition.last) = (0, 0);
        prop_assert_eq!(partition, straight);
    }

    #[test]
    fn garbage_is_no_state(text in "[A-Za-z0-9+/]{0,80}") {
        let _ = Partition::decode(0, 0, &text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_state_always_fits(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut partition = Partition::new(0, 0);
        for offset in 0..4_000 {
            let (id, sequence) = (rng.random_range(0..300), rng.random_range(0..1 << 40));
            let parsed = if rng.random() { record(id, sequence) } else { closing(id, sequence, vec![(3, 9)]) };
            partition.observe(offset, None, &parsed);
        }
        let text = partition.encode();
        prop_assert!(text.len() <= MAX_METADATA_BYTES);
        let again = Partition::decode(0, 4_000, &text).unwrap();
        prop_assert!(again.approximate);
        prop_assert_eq!(again.counters, partition.counters);
        prop_assert!(again.evidence.iter().any(|evidence| evidence.kind == EvidenceKind::Lost));
    }
}

#[test]
fn a_shuffled_log_loses_nothing() {
    let mut log: Vec<Parsed> = (0..500).map(|sequence| record(1, sequence)).collect();
    log.shuffle(&mut StdRng::seed_from_u64(4));
    log.push(closing(1, 500, vec![]));
    let counters = read(&log).counters;
    assert_eq!(
        (counters.received, counters.lost, counters.duplicated),
        (500, 0, 0)
    );
    assert!(counters.reordered > 400);
}

#[test]
fn loss_is_said_only_on_proof() {
    let mut partition = read(&[record(1, 0), record(1, 2)]);
    assert_eq!(
        (
            partition.counters.lost,
            partition.snapshot(false).streams[0].pending
        ),
        (0, 1)
    );
    partition.observe(2, None, &Parsed::Record(prefix(1, 3, 1)));
    assert_eq!(partition.counters.lost, 0, "only what lies below 1 is settled");
    partition.observe(3, None, &Parsed::Record(prefix(1, 4, 2)));
    assert_eq!(
        (
            partition.counters.lost,
            partition.snapshot(false).streams[0].pending
        ),
        (1, 0)
    );
    let evidence = partition.evidence[0];
    assert_eq!(
        (evidence.kind, evidence.sequence, evidence.offset),
        (EvidenceKind::Lost, Some(1), 3)
    );
}

#[test]
fn a_stream_of_which_only_the_closing_record_is_left_is_lost() {
    let mut evidence = read(&[closing(1, 2, vec![])]);
    assert_eq!(evidence.counters.lost, 2);
    // Read from further on, nothing is proven unless the producer says where its stream began.
    let unknown = Closing {
        first_offset: None,
        ..Closing::default()
    };
    evidence = read_from(10, &[Parsed::Closing(prefix(1, 2, 0), unknown)]);
    assert_eq!(evidence.counters.lost, 0);
}

#[test]
fn what_came_before_the_reading_began_is_not_lost() {
    let closed = |first_offset| {
        let closing = Closing {
            first_offset,
            ..Closing::default()
        };
        let log = [
            Parsed::Record(prefix(1, 5, 5)),
            record(1, 7),
            Parsed::Closing(prefix(1, 9, 9), closing),
        ];
        read_from(100, &log).counters.lost
    };
    assert_eq!(closed(Some(95)), 2, "6 and 8");
    assert_eq!(closed(None), 2);
    assert_eq!(
        closed(Some(100)),
        7,
        "the stream began in view, so 0 to 4 are missing too"
    );
}

#[test]
fn the_same_offset_again_is_a_redelivery() {
    let mut partition = read(&[record(1, 0), record(1, 1), closing(1, 2, vec![])]);
    partition.observe(1, None, &record(1, 1));
    partition.observe(2, None, &closing(1, 2, vec![]));
    let expected = Counters {
        received: 2,
        redelivered: 1,
        ..Counters::default()
    };
    assert_eq!(partition.counters, expected);
}

#[test]
fn a_restarted_producer_is_no_duplicate() {
    let partition = read(&[
        record(1, 0),
        record(1, 1),
        record(2, 0),
        record(2, 1),
        closing(2, 2, vec![]),
    ]);
    assert_eq!(
        partition.counters,
        Counters {
            received: 4,
            ..Counters::default()
        }
    );
    let closed: Vec<bool> = partition
        .streams()
        .map(|stream| stream.closing.is_some())
        .collect();
    assert_eq!(closed, [false, true]);
}

#[test]
fn what_was_gone_before_it_could_be_read_is_expired() {
    let mut partition = read(&[record(1, 0), record(1, 2), record(2, 0)]);
    partition.expire(10);
    partition.observe(10, None, &Parsed::Record(prefix(1, 6, 6)));
    assert_eq!(
        (partition.counters.lost, partition.counters.expired),
        (0, 4),
        "1, and 3 to 5"
    );
    partition.observe(11, None, &Parsed::Record(prefix(1, 8, 7)));
    partition.observe(12, None, &closing(1, 9, vec![]));
    assert_eq!(partition.counters.lost, 1, "7 was missed in view");
    partition.observe(13, None, &closing(2, 4, vec![]));
    assert_eq!((partition.counters.lost, partition.counters.expired), (1, 7));
    partition.expire(5);
    assert_eq!(partition.position(), 14, "never backwards");
    assert_eq!(partition.snapshot(false).gaps, [gap(3, 10, 7)]);
}

fn gap(from: i64, to: i64, records: u64) -> Gap {
    Gap { from, to, records }
}

#[test]
fn each_stretch_that_is_gone_is_told_apart_as_far_as_there_is_room() {
    let mut partition = read(&[record(1, 0)]);
    let mut sequence = 0;
    for round in 1..=6 {
        partition.expire(round * 10);
        // Each time as many are missing as the round's number says.
        sequence += round.cast_unsigned() + 1;
        partition.observe(round * 10, None, &record(1, sequence));
    }
    let expected = [
        gap(1, 30, 1 + 2 + 3),
        gap(31, 40, 4),
        gap(41, 50, 5),
        gap(51, 60, 6),
    ];
    assert_eq!(partition.snapshot(false).gaps, expected);
    assert_eq!(partition.counters.expired, 21);
    let again = Partition::decode(0, partition.position(), &partition.encode()).unwrap();
    assert_eq!(again.snapshot(false), partition.snapshot(false));
    // Those that are not known to have held anything take one place together.
    let expected = [gap(1, 40, 1 + 2 + 3 + 4), gap(41, 50, 5), gap(51, 60, 6)];
    for to in [100, 110] {
        partition.expire(to);
        let gaps = partition.snapshot(false).gaps;
        assert_eq!((&gaps[..3], gaps[3]), (&expected[..], gap(61, to, 0)));
    }
}

#[test]
fn a_state_that_does_not_tell_where_a_gap_begins_is_read() {
    let mut partition = read(&[record(1, 0)]);
    partition.expire(20);
    let mut bytes = STANDARD_NO_PAD.decode(partition.encode()).unwrap();
    // The version comes first; at the end stand the place of the one gap, 1 to 20, and its records: each a byte.
    bytes[0] = 2;
    bytes.remove(bytes.len() - 3);
    let state = STANDARD_NO_PAD.encode(bytes);
    let again = Partition::decode(0, 20, &state).unwrap();
    assert_eq!(again.snapshot(false).gaps, [gap(0, 20, 0)]);
    assert_eq!(again.counters, partition.counters);
}

#[test]
fn where_the_log_begins_is_told_by_who_reads_it_from_its_beginning() {
    assert_eq!(Partition::at_the_beginning(0, 0).snapshot(false).gaps, []);
    let mut partition = Partition::at_the_beginning(0, 20);
    partition.observe(20, None, &record(1, 5));
    let snapshot = partition.snapshot(false);
    assert_eq!(
        (snapshot.origin, snapshot.counters.expired),
        (20, 0),
        "who joined late misses nothing"
    );
    assert_eq!(snapshot.gaps, [gap(0, 20, 0)]);
    assert_eq!(
        Partition::new(0, 20).snapshot(false).gaps,
        [],
        "whoever chose to begin there tells of none"
    );
}

#[test]
fn keys_are_held_against_their_partition() {
    let mut partition = Partition::new(0, 0);
    let keyed = |sequence| {
        Parsed::Record(Prefix {
            partition_count: 3,
            ..prefix(1, sequence, 0)
        })
    };
    let at_home = (0..100_u32)
        .map(|n| n.to_string())
        .find(|key| java_default(key.as_bytes(), 3) == 0)
        .unwrap();
    let away = (0..100_u32)
        .map(|n| n.to_string())
        .find(|key| java_default(key.as_bytes(), 3) == 1)
        .unwrap();
    partition.observe(0, Some(at_home.as_bytes()), &keyed(0));
    partition.observe(1, Some(away.as_bytes()), &keyed(1));
    partition.observe(2, None, &keyed(2));
    assert_eq!(
        (partition.counters.received, partition.counters.misrouted),
        (3, 1)
    );
    assert_eq!(partition.evidence[0].sequence, Some(1));
}

#[test]
fn others_records_are_counted_apart() {
    let partition = read(&[Parsed::Foreign, Parsed::Corrupt, Parsed::Foreign]);
    assert_eq!(
        partition.counters,
        Counters {
            foreign: 2,
            corrupt: 1,
            ..Counters::default()
        }
    );
    assert_eq!(partition.position(), 3);
}

#[test]
fn a_state_of_another_position_is_refused() {
    let partition = read(&[record(1, 0)]);
    assert_eq!(
        Partition::decode(0, 1, &partition.encode()),
        Some(partition.clone())
    );
    assert_eq!(Partition::decode(0, 2, &partition.encode()), None);
}
