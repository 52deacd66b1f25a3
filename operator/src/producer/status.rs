//! Builds a KafkaProducer's status.
//!
//! Pure. The clock is an argument.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ottla_contract::report::ProducerReport;
use ottla_crds::producer::KafkaProducerStatus;

use super::evidence::{self, Known};
use crate::pods::gather::Said;
use crate::pods::pacing;
use crate::pods::standing::Standing;
use crate::runtime::conditions;

/// What a pass found.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// How it stands.
    pub standing: Standing,
    /// Run number; none before the first run.
    pub run: Option<u32>,
    /// Pods that have not ended.
    pub replicas: i32,
    /// Their selector.
    pub selector: String,
    /// What all processes said.
    pub said: &'a [Said<ProducerReport>],
    /// What is known of all incarnations.
    pub known: &'a [Known],
    /// The topic that pods send to now, where that is known.
    pub topic_id: Option<String>,
}

/// The status after a pass.
#[must_use]
pub fn next(
    previous: &KafkaProducerStatus,
    outcome: &Outcome<'_>,
    generation: i64,
    now: Timestamp,
) -> KafkaProducerStatus {
    let Standing { reason, message } = &outcome.standing;
    let facts = conditions::summary(reason.progress(), reason.as_str(), message);
    let over = outcome.standing.is_over();
    let figures = figures(previous, outcome);
    KafkaProducerStatus {
        observed_generation: Some(generation),
        run: outcome.run.map(i64::from).or(previous.run),
        sent: figures.map(|f| f.sent),
        acked: figures.map(|f| f.acked),
        failed: figures.map(|f| f.failed),
        incarnations: evidence::to_status(outcome.known, outcome.topic_id.as_deref()),
        replicas: Some(outcome.replicas),
        selector: Some(outcome.selector.clone()),
        completion_time: previous
            .completion_time
            .clone()
            .or_else(|| over.then_some(Time(now))),
        conditions: conditions::build(&previous.conditions, facts, generation, now),
    }
}

#[derive(Clone, Copy)]
struct Figures {
    sent: i64,
    acked: i64,
    failed: i64,
}

/// Sums over all processes. Those that only the record knows count with what their streams hold; a figure never
/// falls.
fn figures(previous: &KafkaProducerStatus, outcome: &Outcome<'_>) -> Option<Figures> {
    if outcome.said.is_empty() && previous.sent.is_none() {
        return None;
    }
    let reports = || outcome.said.iter().map(|said| &said.report);
    let heard = |known: &&Known| reports().any(|r| r.incarnations.iter().any(|i| i.id == known.sent.id));
    let unheard: u64 = outcome
        .known
        .iter()
        .filter(|known| !heard(known))
        .flat_map(|known| &known.sent.streams)
        .map(|stream| stream.last_sequence.saturating_add(1))
        .sum();
    let sum = |figure: fn(&ProducerReport) -> u64, base: u64, before: Option<i64>| {
        let sum = reports().map(figure).fold(base, u64::saturating_add);
        i64::try_from(sum)
            .unwrap_or(i64::MAX)
            .max(before.unwrap_or_default())
    };
    Some(Figures {
        sent: sum(|r| r.sent, unheard, previous.sent),
        acked: sum(|r| r.acked, unheard, previous.acked),
        failed: sum(|r| r.failed, 0, previous.failed),
    })
}

/// Whether two statuses say the same but for figures: such a change may wait a while.
#[must_use]
pub fn differs_in_figures_only(a: &KafkaProducerStatus, b: &KafkaProducerStatus) -> bool {
    let closed = |s: &KafkaProducerStatus| {
        s.incarnations
            .iter()
            .map(|i| (i.id.clone(), i.closed))
            .collect::<Vec<_>>()
    };
    a.observed_generation == b.observed_generation
        && a.run == b.run
        && a.selector == b.selector
        && a.replicas == b.replicas
        && a.completion_time == b.completion_time
        && closed(a) == closed(b)
        && pacing::same_reasons(&a.conditions, &b.conditions)
}

#[cfg(test)]
mod tests {
    use ottla_contract::ids::Incarnation;
    use ottla_contract::report::{Process, SentIncarnation, SentStream};

    use super::*;
    use crate::pods::reason::Reason;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn said(sent: u64) -> Said<ProducerReport> {
        let process = Process {
            pod: "p".to_owned(),
            start: Incarnation(1),
        };
        let report = ProducerReport {
            process,
            sent,
            acked: sent,
            ..ProducerReport::default()
        };
        Said {
            pod_uid: "u".to_owned(),
            report,
            ended: false,
        }
    }

    fn outcome<'a>(reason: Reason, said: &'a [Said<ProducerReport>], known: &'a [Known]) -> Outcome<'a> {
        let standing = Standing::new(reason, "");
        Outcome {
            standing,
            run: Some(1),
            replicas: 1,
            selector: "a=b".to_owned(),
            said,
            known,
            topic_id: None,
        }
    }

    #[test]
    fn nothing_said_is_no_figure() {
        let status = next(
            &KafkaProducerStatus::default(),
            &outcome(Reason::Pending, &[], &[]),
            1,
            at(1),
        );
        assert_eq!((status.sent, status.completion_time), (None, None));
    }

    #[test]
    fn the_same_outcome_is_the_same_status() {
        let said = [said(5)];
        let first = next(
            &KafkaProducerStatus::default(),
            &outcome(Reason::Running, &said, &[]),
            1,
            at(1),
        );
        let second = next(&first, &outcome(Reason::Running, &said, &[]), 1, at(99));
        assert_eq!(first, second);
    }

    #[test]
    fn completion_is_dated_once() {
        let first = next(
            &KafkaProducerStatus::default(),
            &outcome(Reason::Completed, &[], &[]),
            1,
            at(5),
        );
        let second = next(&first, &outcome(Reason::Completed, &[], &[]), 1, at(9));
        assert_eq!(second.completion_time, Some(Time(at(5))));
    }

    #[test]
    fn figures_never_fall_and_count_who_can_no_longer_be_asked() {
        let streams = vec![SentStream {
            partition: 0,
            last_sequence: 99,
            closed_at: None,
        }];
        let sent = SentIncarnation {
            id: Incarnation(9),
            closed: true,
            share_done: true,
            streams,
        };
        let known = [Known {
            pod: "old".to_owned(),
            topic_id: None,
            sent,
            gone: true,
        }];
        let said = [said(7)];
        let status = next(
            &KafkaProducerStatus::default(),
            &outcome(Reason::Running, &said, &known),
            1,
            at(1),
        );
        assert_eq!(status.sent, Some(107));
        let later = next(&status, &outcome(Reason::Running, &said, &[]), 1, at(2));
        assert_eq!(later.sent, Some(107));
    }

    #[test]
    fn a_closed_incarnation_is_more_than_a_figure() {
        let (few, many) = ([said(1)], [said(2)]);
        let base = next(
            &KafkaProducerStatus::default(),
            &outcome(Reason::Running, &few, &[]),
            1,
            at(1),
        );
        let figures = next(&base, &outcome(Reason::Running, &many, &[]), 1, at(1));
        assert!(base != figures && differs_in_figures_only(&base, &figures));
        let sent = SentIncarnation {
            id: Incarnation(1),
            closed: true,
            ..SentIncarnation::default()
        };
        let known = [Known {
            pod: "p".to_owned(),
            topic_id: None,
            sent,
            gone: true,
        }];
        let closed = next(&base, &outcome(Reason::Running, &few, &known), 1, at(1));
        assert!(!differs_in_figures_only(&base, &closed));
    }
}
