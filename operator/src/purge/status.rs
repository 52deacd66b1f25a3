//! Writes down what became of a pass, and what the next one must know. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ottla_crds::KafkaTopicPurgeStatus;
use ottla_crds::common::ClusterRef;
use ottla_crds::purge::{GroupImpact, PartitionFailure, PurgeStep};
use ottla_kafka::error::{Class, ErrorCode, KafkaError};
use ottla_kafka::types::{ClusterId, PartitionId, TopicName};

use super::plan::{Pinned, Refusal};
use super::reason::Reason;
use crate::pods::pacing;
use crate::runtime::Action;
use crate::runtime::backoff::Pace;
use crate::runtime::conditions::{self, Fact, Progress, Truth};

/// `Complete`: it was carried out.
pub const COMPLETE: &str = "Complete";
/// `Failed`: it ended otherwise.
pub const FAILED: &str = "Failed";

/// How many groups and failures stand in the status.
const SHOWN: usize = 32;

/// What became of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why the purge is where it is.
    pub reason: Reason,
    /// The same in a sentence.
    pub message: String,
    /// When to look again.
    pub again: Action,
    /// What it means for consumer groups, where that was looked at.
    pub groups: Option<Vec<GroupImpact>>,
    /// Partitions that Kafka refused.
    pub failures: Vec<PartitionFailure>,
    /// How many partitions are done, where any was tried.
    pub done: Option<i32>,
    /// How many records went, at the end.
    pub removed: Option<i64>,
}

impl Outcome {
    /// An outcome in a reason and its sentence.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>, again: Action) -> Self {
        Self {
            reason,
            message: message.into(),
            again,
            groups: None,
            failures: vec![],
            done: None,
            removed: None,
        }
    }

    /// The outcome of a call that failed.
    #[must_use]
    pub fn failed(error: &KafkaError) -> Self {
        let pace = match error.class() {
            Class::Retriable | Class::Ambiguous | Class::Decide => Pace::FAST,
            Class::SlowRetry | Class::Terminal => Pace::SLOW,
        };
        let message = match remedy(error) {
            Some(remedy) => format!("{error}: {remedy}"),
            None => error.to_string(),
        };
        Self::new(reason_of(error), message, Action::Retry(pace))
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.reason, refusal.message, Action::AwaitChange)
    }
}

fn reason_of(error: &KafkaError) -> Reason {
    match error.code() {
        Some(
            ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ) => Reason::NotAuthorized,
        Some(ErrorCode::POLICY_VIOLATION | ErrorCode::TOPIC_DELETION_DISABLED) => Reason::PolicyViolation,
        Some(ErrorCode::OFFSET_OUT_OF_RANGE) => Reason::OffsetOutOfRange,
        _ => Reason::KafkaError,
    }
}

/// What a person can do about Kafka's answer.
fn remedy(error: &KafkaError) -> Option<String> {
    if let Some(acl) = error.missing_acl() {
        let besides = match error.code() {
            Some(ErrorCode::GROUP_AUTHORIZATION_FAILED) => ", or set guards.consumerGroups to Ignore",
            _ => "",
        };
        return Some(format!("grant the KafkaCluster's user the ACL {acl}{besides}"));
    }
    let text = match error.code()? {
        ErrorCode::POLICY_VIOLATION => {
            "the topic's cleanup.policy lacks delete, or a policy of the cluster forbids it; ask who runs Kafka"
        }
        ErrorCode::TOPIC_DELETION_DISABLED => {
            "the brokers have delete.topic.enable=false; use another method"
        }
        ErrorCode::OFFSET_OUT_OF_RANGE => {
            "the log ends below the cut: it was cut short since planning, or is another; make a new purge"
        }
        ErrorCode::REQUEST_TIMED_OUT => {
            "the leader may have done it, and a replica lags behind; the same cut is asked for again"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// Why a partition's records stayed, for the status.
#[must_use]
pub fn failure(partition: PartitionId, error: &KafkaError) -> PartitionFailure {
    let code = error.code();
    let message = remedy(error).unwrap_or_else(|| error.to_string());
    PartitionFailure {
        partition: partition.get(),
        error: code.map_or_else(|| "NO_REPLY".to_owned(), |code| code.to_string()),
        message: message.chars().take(500).collect(),
    }
}

/// What became of partitions of which the leader's records are gone, though a replica has not followed yet.
const LAGGING: &str = "applied, replicas lagging: the leader's log begins at the cut, and the same cut is asked for again \
                       until each live replica has followed";

/// The outcome of clearing partitions of which some failed. Of those in `applied` the leader's records are gone.
#[must_use]
pub fn partial(
    total: usize,
    failed: &[(PartitionId, KafkaError)],
    applied: &BTreeSet<PartitionId>,
) -> Outcome {
    let done = total.saturating_sub(failed.len());
    // What heals by itself is waited for first; what only a person heals next; what never heals ends it.
    let rank = |error: &KafkaError| match (error.class(), error.code()) {
        (_, Some(ErrorCode::OFFSET_OUT_OF_RANGE)) => 2,
        (Class::SlowRetry | Class::Terminal, _) => 1,
        _ => 0,
    };
    let Some((partition, error)) = failed.iter().min_by_key(|(_, error)| rank(error)) else {
        return Outcome::new(Reason::Purging, "every partition is done", Action::AwaitChange);
    };
    let mut outcome = Outcome::failed(error);
    if done > 0 && outcome.reason != Reason::OffsetOutOfRange {
        outcome.reason = match outcome.reason {
            Reason::KafkaError => Reason::Purging,
            _ => Reason::PartlyDone,
        };
    }
    outcome.message = format!(
        "{done} of {total} partitions are done; partition {partition}: {}",
        outcome.message
    );
    if failed.iter().all(|(partition, _)| applied.contains(partition)) {
        outcome.reason = Reason::Purging;
        outcome.message =
            format!("{done} of {total} partitions are done; partition {partition} and maybe more: {LAGGING}");
    }
    let told = |(partition, error): &(PartitionId, KafkaError)| {
        let mut failure = failure(*partition, error);
        if applied.contains(partition) {
            LAGGING.clone_into(&mut failure.message);
        }
        failure
    };
    outcome.failures = failed.iter().map(told).collect();
    outcome.done = i32::try_from(done).ok();
    outcome
}

/// Where a plan belongs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The topic's name.
    pub topic: TopicName,
    /// The cluster's id.
    pub cluster: ClusterId,
    /// The KafkaCluster.
    pub cluster_ref: ClusterRef,
}

/// The status with the plan in it, to be saved before anything else is done.
#[must_use]
pub fn planned(
    previous: &KafkaTopicPurgeStatus,
    place: &Place,
    pinned: Pinned,
    generation: i64,
    now: Timestamp,
) -> KafkaTopicPurgeStatus {
    let message = format!(
        "{} records of {} partitions are to go",
        pinned.records,
        pinned.partitions.len()
    );
    let outcome = Outcome::new(Reason::Planned, message, Action::AwaitChange);
    let status = KafkaTopicPurgeStatus {
        topic_name: Some(place.topic.as_str().to_owned()),
        topic_id: Some(pinned.topic_id.to_string()),
        cluster_id: Some(place.cluster.as_str().to_owned()),
        cluster_ref: Some(place.cluster_ref.clone()),
        step: Some(PurgeStep::Planned),
        plan_time: Some(Time(now)),
        cut_time: pinned.cut_time.map(Time),
        records: Some(pinned.records),
        partitions: pinned.partitions,
        saved: pinned.saved,
        ..previous.clone()
    };
    written(status, previous, &outcome, generation, now)
}

/// The status after a pass, or none if it says what the previous one said.
#[must_use]
pub fn next(
    previous: &KafkaTopicPurgeStatus,
    outcome: &Outcome,
    generation: i64,
    now: Timestamp,
) -> Option<KafkaTopicPurgeStatus> {
    let status = written(previous.clone(), previous, outcome, generation, now);
    (status != *previous).then_some(status)
}

/// Whether two statuses say the same but for figures, in messages and of consumer groups: such a change may wait a while.
#[must_use]
pub fn differs_in_figures_only(a: &KafkaTopicPurgeStatus, b: &KafkaTopicPurgeStatus) -> bool {
    let core = |status: &KafkaTopicPurgeStatus| KafkaTopicPurgeStatus {
        consumer_groups: vec![],
        conditions: vec![],
        ..status.clone()
    };
    pacing::same_reasons(&a.conditions, &b.conditions) && core(a) == core(b)
}

/// A status with an outcome in it.
#[must_use]
pub fn written(
    mut status: KafkaTopicPurgeStatus,
    previous: &KafkaTopicPurgeStatus,
    outcome: &Outcome,
    generation: i64,
    now: Timestamp,
) -> KafkaTopicPurgeStatus {
    let reason = outcome.reason;
    status.observed_generation = Some(generation);
    if let Some(groups) = &outcome.groups {
        status.consumer_groups = groups.iter().take(SHOWN).cloned().collect();
    }
    status.failures = outcome.failures.iter().take(SHOWN).cloned().collect();
    status.partitions_done = outcome.done.or(status.partitions_done);
    if reason.ends() && status.completion_time.is_none() {
        status.completion_time = Some(Time(now));
    }
    let progress = reason.progress();
    let mut facts = conditions::summary(progress, reason.as_str(), &outcome.message);
    let done = progress == Progress::Done;
    facts.push(Fact::new(COMPLETE, Truth::from(done), reason.as_str(), ""));
    facts.push(Fact::new(
        FAILED,
        Truth::from(reason.ends() && !done),
        reason.as_str(),
        "",
    ));
    status.conditions = conditions::build(&previous.conditions, facts, generation, now);
    status
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn refused(partition: i32, code: ErrorCode) -> (PartitionId, KafkaError) {
        let error = KafkaError::Refused {
            operation: "delete the records of partition",
            code,
            message: None,
        };
        (partition.into(), error)
    }

    #[rstest]
    #[case::forbidden_in_part(&[(1, ErrorCode::TOPIC_AUTHORIZATION_FAILED)], Reason::PartlyDone, 2)]
    #[case::forbidden_at_all(
        &[(0, ErrorCode::POLICY_VIOLATION), (1, ErrorCode::POLICY_VIOLATION), (2, ErrorCode::POLICY_VIOLATION)],
        Reason::PolicyViolation,
        0
    )]
    #[case::without_a_leader(&[(1, ErrorCode::LEADER_NOT_AVAILABLE)], Reason::Purging, 2)]
    #[case::cut_short(&[(2, ErrorCode::OFFSET_OUT_OF_RANGE)], Reason::OffsetOutOfRange, 2)]
    #[case::what_heals_by_itself_is_waited_for_first(
        &[(0, ErrorCode::OFFSET_OUT_OF_RANGE), (1, ErrorCode::LEADER_NOT_AVAILABLE)],
        Reason::Purging,
        1
    )]
    fn what_was_done_of_it_is_told_with_kafkas_own_names(
        #[case] failed: &[(i32, ErrorCode)],
        #[case] reason: Reason,
        #[case] done: i32,
    ) {
        let failed: Vec<_> = failed.iter().map(|(id, code)| refused(*id, *code)).collect();
        let outcome = partial(3, &failed, &BTreeSet::new());
        assert_eq!(
            (outcome.reason, outcome.done),
            (reason, Some(done)),
            "{}",
            outcome.message
        );
        assert!(
            outcome
                .message
                .starts_with(&format!("{done} of 3 partitions are done"))
        );
        let names: Vec<String> = failed
            .iter()
            .map(|(_, error)| error.code().unwrap().to_string())
            .collect();
        let told: Vec<&str> = outcome
            .failures
            .iter()
            .map(|failure| failure.error.as_str())
            .collect();
        assert_eq!(told, names);
    }
}
