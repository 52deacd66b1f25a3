//! Which passes are worth an event: the plan, the start, each failure once, the end. Pure.

use ottla_crds::KafkaTopicPurgeStatus;

use super::reason::Reason;
use super::status::Outcome;
use crate::runtime::conditions::{Progress, READY, find};
use crate::runtime::events::Note;

/// The note of a move from one reason to another.
pub(super) fn of_transition(previous: &KafkaTopicPurgeStatus, outcome: &Outcome) -> Vec<Note> {
    let before = find(&previous.conditions, READY).map_or("Unknown", |ready| ready.reason.as_str());
    let reason = outcome.reason.as_str();
    if before == reason {
        return vec![];
    }
    let message = outcome.message.clone();
    match outcome.reason {
        // The KafkaCluster and the KafkaTopic tell of themselves.
        Reason::ClusterNotFound | Reason::ClusterNotReady | Reason::TopicNotFound | Reason::TopicNotReady => {
            vec![]
        }
        // Told of when the plan was saved.
        Reason::Planned => vec![],
        _ if outcome.reason.progress() == Progress::Stalled => {
            vec![Note::warning(reason, "Purge", message)]
        }
        Reason::KafkaError => vec![Note::warning(reason, "Purge", message)],
        _ => vec![Note::normal(reason, "Purge", message)],
    }
}

/// The note of a plan just saved.
pub(super) fn of_plan(status: &KafkaTopicPurgeStatus) -> Note {
    Note::normal(
        Reason::Planned.as_str(),
        "Plan",
        format!(
            "{} records of {} partitions of topic {} are to go, at once unless something holds them up",
            status.records.unwrap_or_default(),
            status.partitions.len(),
            status.topic_name.as_deref().unwrap_or_default()
        ),
    )
}

/// The note that a plan which had to wait begins to be carried out. One that has not is no news after its plan.
pub(super) fn of_start(status: &KafkaTopicPurgeStatus) -> Vec<Note> {
    let reason = find(&status.conditions, READY).map_or("Unknown", |ready| ready.reason.as_str());
    let waited = [
        Reason::Suspended,
        Reason::WaitingForConsumers,
        Reason::WaitingForPods,
        Reason::DestructionHold,
    ];
    if !waited.iter().any(|waited| waited.as_str() == reason) {
        return vec![];
    }
    let message = format!(
        "clears {} records of topic {}",
        status.records.unwrap_or_default(),
        status.topic_name.as_deref().unwrap_or_default()
    );
    vec![Note::normal(Reason::Purging.as_str(), "Purge", message)]
}
