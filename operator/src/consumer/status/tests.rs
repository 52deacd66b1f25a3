use ottla_contract::ids::Incarnation;
use ottla_contract::report::{Counters, EvidenceKind, Process};
use ottla_contract::verdict::{self, Reason as VerdictReason};

use super::*;
use crate::pods::reason::Reason;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn verdict(reason: VerdictReason, counts: Counters) -> Verdict {
    Verdict {
        reason,
        message: "because".to_owned(),
        counts,
        purged: 4,
        evidence: vec![],
        coverage: verdict::Coverage {
            expected_streams: 3,
            closed_streams: 3,
            expected_records: 10,
        },
    }
}

fn said(pod: &str, start: u64, received: u64) -> Said<ConsumerReport> {
    let process = Process {
        pod: pod.to_owned(),
        start: Incarnation(start),
    };
    Said {
        pod_uid: pod.to_owned(),
        report: ConsumerReport {
            process,
            received,
            ..ConsumerReport::default()
        },
        ended: false,
    }
}

fn outcome<'a>(
    reason: Reason,
    verdict: Option<&'a Verdict>,
    said: &'a [Said<ConsumerReport>],
) -> Outcome<'a> {
    Outcome {
        standing: Standing::new(reason, ""),
        verdict,
        replicas: 1,
        selector: String::new(),
        said,
        topic_id: Some("here".to_owned()),
    }
}

#[rstest::rstest]
#[case::the_first_that_is_known(None, Some("new"), false, Some(7))]
#[case::the_same(Some("new"), Some("new"), false, Some(7))]
#[case::not_known_at_present(Some("old"), None, false, Some(7))]
#[case::another(Some("old"), Some("new"), false, None)]
#[case::another_after_the_end(Some("old"), Some("new"), true, Some(7))]
fn figures_are_of_one_topic(
    #[case] before: Option<&str>,
    #[case] now: Option<&str>,
    #[case] over: bool,
    #[case] received: Option<i64>,
) {
    let previous = KafkaConsumerStatus {
        topic_id: before.map(str::to_owned),
        received: Some(7),
        purged: received,
        completion_time: over.then_some(Time(Timestamp::UNIX_EPOCH)),
        ..KafkaConsumerStatus::default()
    };
    let status = of_topic(previous, now);
    assert_eq!((status.received, status.purged), (received, received));
    if received.is_none() {
        assert_eq!(status.topic_id.as_deref(), now);
    }
}

fn condition<'a>(status: &'a KafkaConsumerStatus, type_: &str) -> (&'a str, &'a str) {
    let condition = status.conditions.iter().find(|c| c.type_ == type_).unwrap();
    (condition.status.as_str(), condition.reason.as_str())
}

#[rstest::rstest]
#[case(VerdictReason::Pass, "True")]
#[case(VerdictReason::Lost, "False")]
#[case(VerdictReason::Misrouted, "False")]
#[case(VerdictReason::Pending, "Unknown")]
#[case(VerdictReason::UnclosedIncarnation, "Unknown")]
#[case(VerdictReason::NoEvidence, "Unknown")]
fn ready_and_verified_are_independent(#[case] reason: VerdictReason, #[case] expected: &str) {
    let verdict = verdict(reason, Counters::default());
    let said = [said("a", 1, 0)];
    let status = next(
        &KafkaConsumerStatus::default(),
        &outcome(Reason::Completed, Some(&verdict), &said),
        1,
        at(1),
    );
    assert_eq!(condition(&status, VERIFIED), (expected, reason.as_str()));
    assert_eq!(condition(&status, conditions::READY), ("True", "Completed"));
    assert_eq!(status.verdict.as_deref(), Some(reason.as_str()));
    assert_eq!(status.completion_time, Some(Time(at(1))));
}

#[test]
fn the_same_outcome_is_the_same_status() {
    let verdict = verdict(
        VerdictReason::Pending,
        Counters {
            received: 4,
            ..Counters::default()
        },
    );
    let said = [said("a", 1, 4)];
    let first = next(
        &KafkaConsumerStatus::default(),
        &outcome(Reason::Running, Some(&verdict), &said),
        1,
        at(1),
    );
    assert_eq!(
        next(
            &first,
            &outcome(Reason::Running, Some(&verdict), &said),
            1,
            at(50)
        ),
        first
    );
}

#[test]
fn a_pass_without_reports_keeps_the_figures() {
    let lost = verdict(
        VerdictReason::Lost,
        Counters {
            received: 9,
            lost: 1,
            ..Counters::default()
        },
    );
    let heard = [said("a", 1, 9)];
    let first = next(
        &KafkaConsumerStatus::default(),
        &outcome(Reason::Completed, Some(&lost), &heard),
        1,
        at(1),
    );
    let later = next(&first, &outcome(Reason::Completed, None, &[]), 1, at(9));
    assert_eq!(later, first);
}

#[test]
fn processes_of_one_pod_are_one_member() {
    let said = [said("a", 1, 4), said("a", 2, 5), said("b", 3, 6)];
    let list: Vec<_> = members(&said).into_iter().map(|m| (m.pod, m.received)).collect();
    assert_eq!(list, [("a".to_owned(), 9), ("b".to_owned(), 6)]);
}

#[test]
fn a_lost_record_stands_nowhere() {
    let found = |kind| {
        let incarnation = Some(Incarnation(10));
        evidence(&report::Evidence {
            kind,
            partition: 2,
            sequence: Some(7),
            offset: 99,
            incarnation,
        })
    };
    let lost = found(EvidenceKind::Lost);
    assert_eq!(
        (lost.offset, lost.sequence, lost.incarnation.as_str()),
        (None, Some(7), "000000000000000a")
    );
    assert_eq!(found(EvidenceKind::Duplicated).offset, Some(99));
}

#[test]
fn a_changed_verdict_is_more_than_a_figure() {
    let said = [said("a", 1, 4)];
    let of = |reason, received| {
        let verdict = verdict(
            reason,
            Counters {
                received,
                ..Counters::default()
            },
        );
        next(
            &KafkaConsumerStatus::default(),
            &outcome(Reason::Running, Some(&verdict), &said),
            1,
            at(1),
        )
    };
    assert!(differs_in_figures_only(
        &of(VerdictReason::Pending, 1),
        &of(VerdictReason::Pending, 2)
    ));
    assert!(!differs_in_figures_only(
        &of(VerdictReason::Pending, 1),
        &of(VerdictReason::Lost, 1)
    ));
}
