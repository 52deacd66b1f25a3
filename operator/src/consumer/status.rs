//! Builds a KafkaConsumer's status.
//!
//! Pure. The clock is an argument, and the verdict is `ottla_contract`'s.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ottla_contract::report::{self, ConsumerReport};
use ottla_contract::verdict::{Verdict, Verified};
use ottla_crds::consumer::{Coverage, Evidence, KafkaConsumerStatus, Member};

use crate::pods::gather::Said;
use crate::pods::pacing;
use crate::pods::standing::Standing;
use crate::runtime::conditions::{self, Fact, Truth};

/// Whether every record arrived once, in order, in the right partition.
pub const VERIFIED: &str = "Verified";
/// Members a status lists at most.
const MAX_MEMBERS: usize = 1_000;

/// What a pass found.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// How it stands.
    pub standing: Standing,
    /// The judgement; none keeps the one that status has.
    pub verdict: Option<&'a Verdict>,
    /// Pods that have not ended.
    pub replicas: i32,
    /// Their selector.
    pub selector: String,
    /// What all processes said.
    pub said: &'a [Said<ConsumerReport>],
    /// The topic that pods read now, where that is known.
    pub topic_id: Option<String>,
}

/// What is left of a status when another topic stands in the place of the one it is of: its figures are not of that one.
#[must_use]
pub fn of_topic(previous: KafkaConsumerStatus, topic_id: Option<&str>) -> KafkaConsumerStatus {
    let same = previous.topic_id.is_none() || topic_id.is_none() || previous.topic_id.as_deref() == topic_id;
    if same || previous.completion_time.is_some() {
        return previous;
    }
    KafkaConsumerStatus {
        topic_id: topic_id.map(str::to_owned),
        observed_generation: previous.observed_generation,
        replicas: previous.replicas,
        selector: previous.selector,
        conditions: previous.conditions,
        ..KafkaConsumerStatus::default()
    }
}

/// The status after a pass.
#[must_use]
pub fn next(
    previous: &KafkaConsumerStatus,
    outcome: &Outcome<'_>,
    generation: i64,
    now: Timestamp,
) -> KafkaConsumerStatus {
    let Standing { reason, message } = &outcome.standing;
    let mut facts = conditions::summary(reason.progress(), reason.as_str(), message);
    let kept = previous
        .conditions
        .iter()
        .find(|condition| condition.type_ == VERIFIED);
    if let Some(verdict) = outcome.verdict {
        facts.push(verified(verdict));
    }
    let mut conditions = conditions::build(&previous.conditions, facts, generation, now);
    if outcome.verdict.is_none() {
        conditions.extend(kept.cloned());
    }
    let mut status = KafkaConsumerStatus {
        observed_generation: Some(generation),
        topic_id: outcome.topic_id.clone().or_else(|| previous.topic_id.clone()),
        replicas: Some(outcome.replicas),
        selector: Some(outcome.selector.clone()),
        completion_time: previous
            .completion_time
            .clone()
            .or_else(|| outcome.standing.is_over().then_some(Time(now))),
        conditions,
        ..previous.clone()
    };
    if let Some(verdict) = outcome.verdict {
        judged(&mut status, verdict, outcome.said);
    }
    status
}

fn verified(verdict: &Verdict) -> Fact {
    let truth = match verdict.reason.verified() {
        Verified::True => Truth::True,
        Verified::False => Truth::False,
        Verified::Unknown => Truth::Unknown,
    };
    Fact::new(VERIFIED, truth, verdict.reason.as_str(), verdict.message.clone())
}

fn judged(status: &mut KafkaConsumerStatus, verdict: &Verdict, said: &[Said<ConsumerReport>]) {
    let figure = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let counts = &verdict.counts;
    status.verdict = Some(verdict.reason.as_str().to_owned());
    status.evidence = verdict.evidence.iter().map(evidence).collect();
    status.coverage = Some(Coverage {
        expected_streams: figure(verdict.coverage.expected_streams),
        closed_streams: figure(verdict.coverage.closed_streams),
        expected_records: Some(figure(verdict.coverage.expected_records)),
    });
    if said.is_empty() {
        return;
    }
    status.received = Some(figure(counts.received));
    status.lost = Some(figure(counts.lost));
    status.duplicated = Some(figure(counts.duplicated));
    status.redelivered = Some(figure(counts.redelivered));
    status.reordered = Some(figure(counts.reordered));
    status.misrouted = Some(figure(counts.misrouted));
    status.purged = Some(figure(verdict.purged));
    status.expired = Some(figure(counts.expired));
    status.foreign = Some(figure(counts.foreign));
    status.corrupt = Some(figure(counts.corrupt));
    status.members = members(said);
}

fn members(said: &[Said<ConsumerReport>]) -> Vec<Member> {
    let mut pods: BTreeMap<&str, u64> = BTreeMap::new();
    for said in said {
        *pods.entry(&said.report.process.pod).or_default() += said.report.received;
    }
    let member = |(pod, received): (&str, u64)| Member {
        pod: pod.to_owned(),
        received: i64::try_from(received).unwrap_or(i64::MAX),
    };
    pods.into_iter().map(member).take(MAX_MEMBERS).collect()
}

fn evidence(evidence: &report::Evidence) -> Evidence {
    Evidence {
        kind: evidence.kind.as_str().to_owned(),
        partition: evidence.partition,
        sequence: evidence
            .sequence
            .map(|sequence| i64::try_from(sequence).unwrap_or(i64::MAX)),
        offset: (evidence.kind != report::EvidenceKind::Lost).then_some(evidence.offset),
        incarnation: evidence
            .incarnation
            .map(|incarnation| incarnation.to_string())
            .unwrap_or_default(),
    }
}

/// Whether two statuses say the same but for figures: such a change may wait a while.
#[must_use]
pub fn differs_in_figures_only(a: &KafkaConsumerStatus, b: &KafkaConsumerStatus) -> bool {
    a.observed_generation == b.observed_generation
        && a.topic_id == b.topic_id
        && a.verdict == b.verdict
        && a.selector == b.selector
        && a.replicas == b.replicas
        && a.completion_time == b.completion_time
        && pacing::same_reasons(&a.conditions, &b.conditions)
}

#[cfg(test)]
mod tests;
