//! What must hold wherever the topic lives. Each scene has a topic of its own with [`PARTITIONS`] partitions.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use ottla_contract::config::{Complete, Drill, ExpectedRun, Keys};
use ottla_contract::report::{ConsumerState, EvidenceKind, ProducerState};
use ottla_contract::verdict::Reason;

use crate::support::{PARTITIONS, Scene, judge_bounded, producer};

/// Everything arrives, from two pods, once.
pub(crate) fn clean(scene: &Scene) {
    let mut config = producer(10_001);
    config.shares = 2;
    let (first, second) = (scene.start_producer(&config, 0), scene.start_producer(&config, 1));
    let producers = [first.end(), second.end()];
    assert_eq!(
        producers.each_ref().map(|p| (p.state, p.acked)),
        [(ProducerState::Done, 5_001), (ProducerState::Done, 5_000)]
    );
    let consumer = scene.consume();
    assert_eq!(consumer.state, ConsumerState::Complete, "{consumer:#?}");
    assert_eq!(
        (consumer.received, consumer.delivered),
        (10_001, 10_001),
        "closing records count in no figure"
    );
    let offsets: i64 = consumer
        .partitions
        .iter()
        .map(|partition| partition.position)
        .sum();
    assert_eq!(offsets, 10_001 + 6, "one closing record a stream");
    let verdict = judge_bounded(&producers, &[consumer]);
    assert_eq!(verdict.reason, Reason::Pass, "{}", verdict.message);
    assert_eq!((verdict.counts.received, verdict.counts.redelivered), (10_001, 0));
    assert_eq!(
        (verdict.coverage.expected_streams, verdict.coverage.closed_streams),
        (6, 6)
    );
}

/// A drill is found, to the record.
pub(crate) fn drill(scene: &Scene, drill: Drill) {
    let mut config = producer(5_000);
    config.drill = drill;
    let sent = scene.produce(&config);
    assert_eq!(
        (sent.state, sent.sent, sent.acked),
        (ProducerState::Done, 5_000, 5_000)
    );
    let consumer = scene.consume();
    let verdict = judge_bounded(&[sent], &[consumer]);
    let (lost, duplicated) = (u64::from(drill.drop), u64::from(drill.duplicate));
    assert_eq!(
        (
            verdict.counts.received,
            verdict.counts.lost,
            verdict.counts.duplicated,
            verdict.counts.reordered
        ),
        (5_000 - lost, lost, duplicated, 0)
    );
    assert_eq!(
        verdict.reason,
        if lost > 0 {
            Reason::Lost
        } else {
            Reason::Duplicated
        }
    );
    for (kind, count) in [(EvidenceKind::Lost, lost), (EvidenceKind::Duplicated, duplicated)] {
        let evidence = verdict.evidence.iter().find(|evidence| evidence.kind == kind);
        assert_eq!(evidence.is_some(), count > 0, "{verdict:#?}");
        assert!(evidence.is_none_or(|evidence| evidence.sequence.is_some()));
    }
}

/// A consumer that starts before any producer, as one of two, waits; both read and end.
pub(crate) fn early_group(scene: &Scene, members: u32) {
    let config = ottla_contract::ConsumerConfig {
        members,
        ..scene.consumer()
    };
    let (first, second) = (
        scene.start_consumer(&config, "one"),
        scene.start_consumer(&config, "two"),
    );
    let verdict = judge_bounded(&[], &[first.board.report(), second.board.report()]);
    assert_eq!(verdict.reason, Reason::NoEvidence);
    let own = |report: &ottla_contract::ConsumerReport| !report.assigned.is_empty();
    first.until("an assignment of the first", own);
    second.until("an assignment of the second", own);
    let sent = scene.produce(&producer(6_000));
    let consumers = [first.end(), second.end()];
    for consumer in &consumers {
        assert_eq!(consumer.state, ConsumerState::Complete, "{consumer:#?}");
        assert!(consumer.received > 0, "{consumer:#?}");
    }
    let verdict = judge_bounded(&[sent], &consumers);
    assert_eq!(verdict.reason, Reason::Pass, "{}", verdict.message);
    assert_eq!((verdict.counts.received, verdict.counts.redelivered), (6_000, 0));
}

/// A producer told to stop closes what it began; another pod does the share anew.
pub(crate) fn interrupted_producer(scene: &Scene) {
    let mut config = producer(4_000);
    config.records_per_second = Some(200);
    let running = scene.start_producer(&config, 0);
    running.until("some records", |report| report.acked > 300);
    let interrupted = running.stop();
    assert_eq!(interrupted.state, ProducerState::Interrupted);
    assert!(interrupted.incarnations[0].closed && !interrupted.incarnations[0].share_done);
    config.records_per_second = None;
    let done = scene.produce(&config);
    let records = interrupted.acked + done.acked;
    let consumer = scene.consume();
    let verdict = judge_bounded(&[interrupted, done], &[consumer]);
    assert_eq!(verdict.reason, Reason::Pass, "{}", verdict.message);
    assert_eq!(verdict.counts.received, records);
}

/// A consumer told to stop commits; the next one goes on where it was, figures and all.
pub(crate) fn interrupted_consumer(scene: &Scene) {
    let mut config = producer(3_000);
    config.drill = Drill {
        duplicate: 4,
        drop: 2,
    };
    config.keys = Keys::None;
    let sent = scene.produce(&config);
    let slow = ottla_contract::ConsumerConfig {
        processing_delay_us: 3_000,
        ..scene.consumer()
    };
    let running = scene.start_consumer(&slow, "one");
    running.until("some records", |report| report.delivered > 300);
    let first = running.stop();
    assert_eq!(first.state, ConsumerState::Interrupted);
    let second = scene.start_consumer(&scene.consumer(), "two").end();
    assert_eq!(second.state, ConsumerState::Complete, "{second:#?}");
    assert_eq!(first.received + second.received, 2_998);
    let verdict = judge_bounded(&[sent], &[first, second]);
    assert_eq!(
        (
            verdict.counts.received,
            verdict.counts.lost,
            verdict.counts.duplicated
        ),
        (2_998, 2, 4)
    );
    assert_eq!((verdict.counts.redelivered, verdict.counts.reordered), (0, 0));
}

/// Where nothing was sent nothing passes, and the deadline ends the wait.
pub(crate) fn empty(scene: &Scene) {
    let mut config = scene.consumer();
    config.complete = Some(Complete {
        deadline_ms: Some(4_000),
    });
    config.expected = vec![ExpectedRun {
        id: scene.run(),
        shares: 1,
    }];
    let consumer = scene.start_consumer(&config, "one").end();
    assert_eq!(consumer.state, ConsumerState::Failed);
    assert!(
        consumer.last_error.as_ref().unwrap().contains("within 4s"),
        "{consumer:#?}"
    );
    let verdict = judge_bounded(&[], &[consumer]);
    assert_eq!(verdict.reason, Reason::NoEvidence);
}

/// Fewer records than pods.
pub(crate) fn few(scene: &Scene) {
    let mut config = producer(1);
    config.shares = 3;
    let producers: Vec<_> = (0..3).map(|index| scene.start_producer(&config, index)).collect();
    let producers: Vec<_> = producers.into_iter().map(crate::support::Running::end).collect();
    assert!(
        producers
            .iter()
            .all(|producer| producer.state == ProducerState::Done),
        "{producers:#?}"
    );
    let consumer = scene.consume();
    let verdict = judge_bounded(&producers, &[consumer]);
    assert_eq!(
        (verdict.reason, verdict.counts.received),
        (Reason::Pass, 1),
        "{}",
        verdict.message
    );
}

/// Files that are replaced lead to new clients on both sides, and no record is lost or counted twice for it.
#[allow(dead_code, reason = "needs a Kafka that asks for credentials")]
pub(crate) fn rotated(scene: &Scene, rotate: impl Fn()) {
    let mut config = producer(30_000);
    config.records_per_second = Some(1_500);
    let consuming = scene.start_consumer(&scene.consumer(), "one");
    let producing = scene.start_producer(&config, 0);
    producing.until("some records", |report| report.acked > 300);
    consuming.until("some records", |report| report.received > 300);
    rotate();
    producing.until("a new incarnation", |report| report.incarnations.len() > 1);
    let sent = producing.end();
    assert_eq!(
        (sent.state, sent.acked, sent.failed),
        (ProducerState::Done, 30_000, 0)
    );
    assert!(
        sent.incarnations.iter().all(|incarnation| incarnation.closed),
        "{sent:#?}"
    );
    let consumer = consuming.end();
    assert_eq!(consumer.state, ConsumerState::Complete, "{consumer:#?}");
    let segments = consumer.segments.len();
    assert!(
        segments > PARTITIONS.unsigned_abs() as usize,
        "it did not join again: {segments} segments"
    );
    let verdict = judge_bounded(&[sent], &[consumer]);
    assert_eq!(verdict.reason, Reason::Pass, "{}", verdict.message);
    assert_eq!((verdict.counts.received, verdict.counts.duplicated), (30_000, 0));
}
