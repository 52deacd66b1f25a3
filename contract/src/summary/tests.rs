use super::*;
use crate::ids::{Incarnation, RunId, Share, Uid};
use crate::report::{
    Closing, Evidence, EvidenceKind, Gap, PartitionSnapshot, Process, Segment, SentIncarnation, SentStream,
    StreamSnapshot,
};

fn process() -> Process {
    Process {
        pod: "my-producer-0-x7k2p".to_owned(),
        start: Incarnation(7),
    }
}

fn producer(partitions: i32) -> TerminationSummary {
    let streams = (0..partitions)
        .map(|partition| SentStream {
            partition,
            last_sequence: 33_332,
            // Where nobody confirms, none is known.
            closed_at: (partition != 1).then_some(33_333),
        })
        .collect();
    let report = ProducerReport {
        process: process(),
        sent: 100_000,
        acked: 100_000,
        incarnations: vec![SentIncarnation {
            id: Incarnation(9),
            closed: true,
            share_done: true,
            streams,
        }],
        ..ProducerReport::default()
    };
    TerminationSummary {
        message: "done".to_owned(),
        report: Report::Producer(report),
    }
}

fn consumer(partitions: i32) -> TerminationSummary {
    let snapshot = |partition| PartitionSnapshot {
        partition,
        position: 33_334,
        counters: Counters {
            received: 33_333,
            lost: 1,
            ..Counters::default()
        },
        streams: vec![StreamSnapshot {
            run: RunId {
                uid: Uid([5; 16]),
                run: 1,
            },
            incarnation: Incarnation(9),
            share: Share { index: 0, of: 1 },
            next: 33_334,
            pending: 0,
            closing: Some(Closing {
                share_done: true,
                streams: 3,
            }),
        }],
        evidence: vec![Evidence {
            kind: EvidenceKind::Lost,
            partition,
            sequence: Some(12),
            offset: 33_333,
            incarnation: Some(Incarnation(9)),
        }],
        gaps: (0..partition % 3)
            .map(|n| Gap {
                from: n.into(),
                to: (n + 1).into(),
                records: 7,
            })
            .collect(),
        complete: true,
        ..PartitionSnapshot::default()
    };
    let report = ConsumerReport {
        process: process(),
        received: 33_333,
        partitions: (0..partitions).map(snapshot).collect(),
        segments: vec![Segment {
            partition: 0,
            from: 0,
            to: 33_334,
            records: 33_333,
        }],
        ..ConsumerReport::default()
    };
    TerminationSummary {
        message: "everything expected was read".to_owned(),
        report: Report::Consumer(report),
    }
}

#[test]
fn small_reports_come_back_whole() {
    for summary in [producer(3), consumer(3), producer(0), consumer(0)] {
        let text = summary.to_message();
        assert!(text.len() <= MAX_BYTES);
        assert_eq!(
            TerminationSummary::from_message(&text).unwrap(),
            summary,
            "{text}"
        );
    }
}

#[test]
fn words_that_do_not_tell_where_a_gap_begins_are_read() {
    let Report::Consumer(mut report) = consumer(2).report else {
        panic!("a consumer speaks")
    };
    let mut bytes = packed::consumer(&report);
    let mut read = ConsumerReport::default();
    packed::read_consumer(&bytes, &mut read).unwrap();
    assert_eq!(read.partitions, report.partitions);
    // The one gap began at 0, which takes one byte.
    bytes.pop();
    report.partitions[1].gaps[0].from = 0;
    packed::read_consumer(&bytes, &mut read).unwrap();
    assert_eq!(read.partitions, report.partitions);
}

#[test]
fn sixty_partitions_still_fit_with_their_streams() {
    let text = consumer(60).to_message();
    let Report::Consumer(report) = TerminationSummary::from_message(&text).unwrap().report else {
        panic!("a consumer spoke")
    };
    assert_eq!(report.partitions.len(), 60);
    assert!(report.totals.is_none());
}

#[test]
fn what_does_not_fit_is_dropped_and_said_so() {
    let text = consumer(5000).to_message();
    assert!(text.len() <= MAX_BYTES, "{}", text.len());
    let Report::Consumer(report) = TerminationSummary::from_message(&text).unwrap().report else {
        panic!("a consumer spoke")
    };
    assert_eq!(report.totals.unwrap().lost, 5000);
    assert!(report.partitions.is_empty());

    let text = producer(400).to_message();
    let Report::Producer(report) = TerminationSummary::from_message(&text).unwrap().report else {
        panic!("a producer spoke")
    };
    let streams = &report.incarnations[0].streams;
    assert!(
        !report.truncated && streams.len() == 400 && streams.iter().all(|stream| stream.closed_at.is_none())
    );

    let text = producer(5000).to_message();
    assert!(text.len() <= MAX_BYTES);
    let Report::Producer(report) = TerminationSummary::from_message(&text).unwrap().report else {
        panic!("a producer spoke")
    };
    assert!(report.truncated && report.incarnations[0].closed && report.incarnations[0].streams.is_empty());
    assert_eq!(report.acked, 100_000);
}

#[test]
fn long_words_are_cut() {
    let mut summary = producer(1);
    summary.message = "x".repeat(100_000);
    assert!(summary.to_message().len() <= MAX_BYTES);
}

#[test]
fn other_peoples_words_are_an_error() {
    assert!(matches!(
        TerminationSummary::from_message("OOMKilled"),
        Err(InvalidSummary::Json(_))
    ));
    let broken = producer(3)
        .to_message()
        .replace("\"packed\":\"A", "\"packed\":\"/");
    assert!(matches!(
        TerminationSummary::from_message(&broken),
        Err(InvalidSummary::Packed)
    ));
}
