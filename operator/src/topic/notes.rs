//! Which passes are worth an event. Pure. A plain create is not; a steady pass is never.

use ottla_crds::KafkaTopicStatus;

use super::plan::{Action, Claim, Plan, Recorded, Sight};
use super::reason::Reason;
use super::status::Outcome;
use crate::runtime::conditions::{READY, find};
use crate::runtime::events::Note;

/// An action in one word, for logs and events.
pub(super) const fn verb(action: &Action) -> &'static str {
    match action {
        Action::Create(_) => "Create",
        Action::Alter { .. } => "Alter",
        Action::Reassign { .. } => "Reassign",
        Action::Throttle { .. } => "Throttle",
        Action::Unthrottle { .. } => "Unthrottle",
        Action::Grow { .. } => "Grow",
        Action::Delete(_) => "Delete",
    }
}

/// What a plan would do, in words.
pub(super) fn pending(plan: &Plan) -> String {
    let list = |keys: Vec<&String>| {
        keys.into_iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut parts = vec![];
    for action in &plan.actions {
        match action {
            Action::Create(topic) => parts.push(format!("create topic {}", topic.name)),
            Action::Alter { set, unset, .. } => {
                if !set.is_empty() {
                    parts.push(format!("set {}", list(set.keys().collect())));
                }
                if !unset.is_empty() {
                    parts.push(format!("reset {}", list(unset.iter().collect())));
                }
            }
            Action::Grow { from, to, .. } => parts.push(format!("grow from {from} to {to} partitions")),
            Action::Reassign { from, to, .. } => {
                parts.push(format!("move replicas from replication factor {from} to {to}"));
            }
            Action::Throttle { from, to, .. } => parts.push(format!(
                "move replicas from replication factor {from} to {to}, under the KafkaCluster's replicationThrottle"
            )),
            Action::Unthrottle { .. } => parts.push("take the throttle off its replicas".to_owned()),
            Action::Delete(id) => parts.push(format!("delete topic {id}")),
        }
    }
    parts.extend(plan.refusals.iter().map(|refusal| refusal.message.clone()));
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join("; ")
    }
}

/// Failure, refusal and recovery.
pub(super) fn of_transition(previous: &KafkaTopicStatus, outcome: &Outcome) -> Vec<Note> {
    let before = find(&previous.conditions, READY).map_or("Unknown", |ready| ready.reason.as_str());
    let reason = outcome.reason.as_str();
    if before == reason {
        return vec![];
    }
    let waiting = |reason: &str| {
        [
            "Unknown",
            "Creating",
            "ClusterNotFound",
            "ClusterNotReady",
            "Suspended",
            "TopicMissing",
            "Reassigning",
            "DestructionHold",
        ]
        .contains(&reason)
    };
    match outcome.reason {
        Reason::Ready if waiting(before) => vec![],
        Reason::Ready => vec![Note::normal(
            reason,
            "Reconcile",
            "the topic is as declared again",
        )],
        // The KafkaCluster tells of itself.
        _ if waiting(reason) => vec![],
        _ => vec![Note::warning(reason, "Reconcile", outcome.message.clone())],
    }
}

/// Whether an action puts right what somebody else did.
pub(super) fn corrects_drift(plan: &Plan, action: &Action, recorded: &Recorded) -> bool {
    match action {
        Action::Create(_) => plan.claim == Claim::Recreate,
        Action::Alter { .. } => !plan.drifted.is_empty(),
        Action::Reassign { to, .. } => recorded.moving_to.is_none() && recorded.managed_factor == Some(*to),
        _ => false,
    }
}

/// Whether an outcome tells for the first time of what somebody else did.
pub(super) fn reports_drift(previous: &KafkaTopicStatus, outcome: &Outcome) -> bool {
    let before = find(&previous.conditions, READY).map(|ready| ready.reason.as_str());
    matches!(outcome.reason, Reason::Drifted | Reason::TopicGone) && before != Some(outcome.reason.as_str())
}

/// Drift put right, and growth over records.
pub(super) fn of_action(plan: &Plan, action: &Action, over_records: bool) -> Vec<Note> {
    match action {
        Action::Alter { .. } if !plan.drifted.is_empty() => {
            let keys: Vec<&str> = plan.drifted.iter().map(String::as_str).collect();
            vec![Note::normal(
                "DriftCorrected",
                "Alter",
                format!("set back {}", keys.join(", ")),
            )]
        }
        Action::Reassign {
            from, to, changes, ..
        } => vec![Note::normal(
            "ReplicasMoved",
            "Reassign",
            format!(
                "moves replicas of {} partitions, from replication factor {from} to {to}",
                changes.len()
            ),
        )],
        Action::Grow { from, to, .. } if over_records => vec![Note::warning(
            "PartitionsAdded",
            "Grow",
            format!(
                "grew from {from} to {to} partitions with records in them: a key's new records may go to another \
                 partition than its old ones; on a compacted topic the old ones then stay for ever"
            ),
        )],
        _ => vec![],
    }
}

/// Adoption and return.
pub(super) fn of_claim(plan: &Plan, sight: &Sight) -> Vec<Note> {
    match (plan.claim, sight) {
        (Claim::Adopt, Sight::Present(live)) => {
            vec![Note::normal(
                "TopicAdopted",
                "Adopt",
                format!("took over the existing topic {}", live.id),
            )]
        }
        (Claim::Accept, Sight::Present(live)) => {
            vec![Note::normal(
                "TopicAdopted",
                "Adopt",
                format!("took over {} in the place of the former", live.id),
            )]
        }
        (Claim::Recreate, _) => vec![Note::warning(
            "TopicRecreated",
            "Create",
            "the topic was deleted behind our back and was created again; its records are gone",
        )],
        _ => vec![],
    }
}
