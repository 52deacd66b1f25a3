//! Decides what to do about one topic. Pure and total: the same facts give the same plan, and a plan that was carried
//! out gives an empty one.
//!
//! *Architecture Invariant:* no plan here removes data. Partitions are never fewer afterwards, no topic is deleted,
//! and a key that this object neither names nor set before is in no action.

mod keys;
pub mod replication;
pub mod throttle;

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::topic::{AdoptionPolicy, Difference, DriftPolicy, ThrottledReplicas};
use ottla_kafka::admin::{ConfigEntry, ConfigSource, NewTopic};
use ottla_kafka::types::{PartitionCount, ReplicationFactor, TopicId, TopicName};

use self::keys::Changes;
pub use self::keys::{managed, unmanaged};
use self::replication::{Change, Progress, Replicas};
use super::desired::Desired;
use super::reason::Reason;
use crate::cluster::tenancy::Tenure;

/// A topic as it is, as far as this object cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its identity.
    pub id: TopicId,
    /// Whether Kafka keeps it for itself.
    pub internal: bool,
    /// Its partitions.
    pub partitions: PartitionCount,
    /// How many replicas every partition has; where they were looked at closely, without those being added.
    pub replication_factor: ReplicationFactor,
    /// Who holds the partitions.
    pub replicas: Replicas,
    /// The configs asked for; one the broker does not know is absent.
    pub config: BTreeMap<String, ConfigEntry>,
}

/// What Kafka says of the topic's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The topic is there.
    Present(Live),
    /// Kafka has no such topic, and that is beyond doubt.
    Absent,
    /// Kafka says it has no such topic, for the first time.
    OutOfSight,
}

/// What was written down at earlier passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The id of our topic on this very cluster.
    pub id: Option<TopicId>,
    /// A create was announced before it was begun.
    pub announced: bool,
    /// The configs we set.
    pub managed: BTreeMap<String, String>,
    /// The partitions last seen.
    pub partitions: Option<PartitionCount>,
    /// The replicas last seen.
    pub replication_factor: Option<ReplicationFactor>,
    /// The replicas that the topic had as asked for.
    pub managed_factor: Option<ReplicationFactor>,
    /// The replication factor that moves of ours lead to.
    pub moving_to: Option<ReplicationFactor>,
    /// The replicas that we throttle, or are about to.
    pub throttle: Option<ThrottledReplicas>,
}

/// What else decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What the object may do with topics of this name.
    pub tenure: Tenure,
    /// The replacement that a person accepted.
    pub accepted: Option<TopicId>,
    /// Who else owns the topic, in words fit for this object's readers.
    pub other_owner: Option<String>,
}

/// A change to Kafka. There is no other way to change a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Creates the topic.
    Create(NewTopic),
    /// Sets and unsets configs of the topic.
    Alter {
        /// Its name.
        topic: TopicName,
        /// Configs to set.
        set: BTreeMap<String, String>,
        /// Configs to reset.
        unset: BTreeSet<String>,
    },
    /// Moves replicas, so that partitions have another number of them.
    Reassign {
        /// Its name.
        topic: TopicName,
        /// How many replicas every partition has.
        from: ReplicationFactor,
        /// How many it is to have.
        to: ReplicationFactor,
        /// The partitions that change.
        changes: Vec<Change>,
    },
    /// Has replicas of the topic throttled while they are moved.
    Throttle {
        /// Its name.
        topic: TopicName,
        /// How many replicas every partition has.
        from: ReplicationFactor,
        /// How many it is to have.
        to: ReplicationFactor,
        /// Which are throttled.
        replicas: ThrottledReplicas,
    },
    /// Ends that.
    Unthrottle {
        /// Its name.
        topic: TopicName,
        /// The configs to take off.
        keys: BTreeSet<String>,
    },
    /// Adds partitions to the topic.
    Grow {
        /// Its name.
        topic: TopicName,
        /// How many it has.
        from: PartitionCount,
        /// How many it is to have.
        to: PartitionCount,
    },
    /// Deletes the topic of that id and no other. Planned only by the deletion of its object.
    Delete(TopicId),
}

/// What is asked for and not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence, with what to do.
    pub message: String,
}

/// How the object stands to the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours already.
    Ours,
    /// It becomes ours: it was there before us.
    Adopt,
    /// It becomes ours: a person accepted it in the place of the former.
    Accept,
    /// It becomes ours by being created.
    Create,
    /// It becomes ours by being created again: ours is gone.
    Recreate,
    /// It is not ours.
    HandsOff,
    /// It is ours, as far as can be told, and out of sight.
    Wait,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How the object stands to the topic.
    pub claim: Claim,
    /// What must be written down before the first action.
    pub save: Option<Save>,
    /// What to do, in this order.
    pub actions: Vec<Action>,
    /// What is not done.
    pub refusals: Vec<Refusal>,
    /// What differs and stays so.
    pub difference: Vec<Difference>,
    /// The configs among the actions that somebody else had changed.
    pub drifted: BTreeSet<String>,
    /// How far a change of the replication factor is.
    pub progress: Option<Progress>,
    /// Whether something must end first that is not ours to end.
    pub waits: bool,
    /// The replicas that are throttled by us from then on.
    pub throttle: Option<ThrottledReplicas>,
}

/// What must be written down before an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Save {
    /// That a topic is about to be created.
    Announcement,
    /// The configs that are ours and those that will be; the latter without a value.
    Managed(BTreeMap<String, String>),
}

impl Plan {
    fn new(claim: Claim) -> Self {
        Self {
            claim,
            save: None,
            actions: vec![],
            refusals: vec![],
            difference: vec![],
            drifted: BTreeSet::new(),
            progress: None,
            waits: false,
            throttle: None,
        }
    }

    /// The moves that this plan begins or throttles, and that must be known as ours before.
    #[must_use]
    pub fn begins(&self, recorded: &Recorded) -> Option<Progress> {
        let news = |progress: &Progress| recorded.moving_to != Some(progress.to);
        self.progress.filter(|progress| {
            self.actions.iter().any(|action| match action {
                Action::Reassign { .. } => news(progress),
                Action::Throttle { .. } => news(progress) || recorded.throttle != self.throttle,
                _ => false,
            })
        })
    }

    /// Whether what is throttled is no longer, once this plan is carried out.
    #[must_use]
    pub fn lifts(&self) -> bool {
        let lifts = |action: &Action| matches!(action, Action::Unthrottle { .. });
        self.actions.iter().any(lifts)
    }

    fn refuse(claim: Claim, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            refusals: vec![Refusal {
                reason,
                message: message.into(),
            }],
            ..Self::new(claim)
        }
    }
}

/// Plans one pass over a topic whose object stays.
#[must_use]
pub fn plan(desired: &Desired, sight: &Sight, recorded: &Recorded, policy: &Policy) -> Plan {
    match sight {
        Sight::Present(live) if live.internal => Plan::refuse(
            Claim::HandsOff,
            Reason::InvalidTopicName,
            format!("{} is a topic that Kafka keeps for itself", desired.name),
        ),
        _ if policy.other_owner.is_some() => {
            let owner = policy.other_owner.clone().unwrap_or_default();
            Plan::refuse(Claim::HandsOff, Reason::TopicOwnedByOther, owner)
        }
        Sight::OutOfSight => Plan::refuse(
            Claim::Wait,
            Reason::TopicMissing,
            "Kafka does not show the topic; it is asked again before that is believed",
        ),
        Sight::Absent => create(desired, recorded, policy),
        Sight::Present(live) => present(desired, live, recorded, policy),
    }
}

fn create(desired: &Desired, recorded: &Recorded, policy: &Policy) -> Plan {
    // Announced after it was ours, it is still to come back as it was.
    if recorded.id.is_some() && desired.drift == DriftPolicy::Report {
        return Plan::refuse(
            Claim::HandsOff,
            Reason::TopicGone,
            "the topic was deleted by somebody else, and driftPolicy is Report; to have it created again, without its \
             records, set driftPolicy to Correct",
        );
    }
    if !policy.tenure.may_create() && recorded.id.is_none() {
        return Plan::refuse(
            Claim::HandsOff,
            Reason::NameNotAllowed,
            format!(
                "the KafkaCluster's topicNamePolicy does not give the name {} to this namespace; make a new object with a \
                 name under its prefix",
                desired.name
            ),
        );
    }
    let again = recorded.id.is_some() || (recorded.announced && recorded.partitions.is_some());
    let mut plan = Plan::new(if again { Claim::Recreate } else { Claim::Create });
    let last = |seen: Option<PartitionCount>| if again { seen } else { None };
    plan.actions.push(Action::Create(NewTopic {
        name: desired.name.clone(),
        // A topic deleted behind our back comes back no smaller than it was.
        partitions: desired
            .partitions
            .max(last(recorded.partitions))
            .or(desired.at_creation.partitions),
        replication_factor: desired
            .replication_factor
            .or(recorded.replication_factor.filter(|_| again))
            .or(desired.at_creation.replication_factor),
        config: desired.config.clone(),
    }));
    // Found again after a crash, a matching topic is taken over, unless that is ruled out: then it must be known ours.
    let would_be_refused = desired.adoption == AdoptionPolicy::Never || !policy.tenure.may_take_and_delete();
    // Another id than the recorded one would pass for a replacement.
    if (would_be_refused || again) && !recorded.announced {
        plan.save = Some(Save::Announcement);
    }
    plan
}

fn present(desired: &Desired, live: &Live, recorded: &Recorded, policy: &Policy) -> Plan {
    match recorded.id {
        Some(id) if id == live.id => own(Claim::Ours, desired, live, recorded),
        Some(_) if policy.accepted == Some(live.id) => own(Claim::Accept, desired, live, recorded),
        Some(id) => Plan::refuse(
            Claim::HandsOff,
            Reason::TopicReplaced,
            format!(
                "another topic, {}, stands in the place of ours, {id}; to take it over, annotate this object with {}={}",
                live.id,
                ottla_crds::ACCEPT_TOPIC_ID,
                live.id
            ),
        ),
        None => adopt(desired, live, recorded, policy),
    }
}

fn adopt(desired: &Desired, live: &Live, recorded: &Recorded, policy: &Policy) -> Plan {
    let would = own(Claim::Adopt, desired, live, recorded);
    let difference = changes(desired, live, recorded);
    if recorded.announced && difference.is_empty() {
        return Plan {
            claim: Claim::Ours,
            ..would
        };
    }
    if !policy.tenure.may_take_and_delete() {
        // How somebody else's topic looks is not told.
        return Plan::refuse(
            Claim::HandsOff,
            Reason::AdoptionRequired,
            "the topic exists already; from this namespace it may be taken over only under a topicNamePolicy of the \
             KafkaCluster that gives its name to the namespace",
        );
    }
    let refused = if desired.adoption == AdoptionPolicy::Never {
        Some("the topic exists already, and adoptionPolicy is Never".to_owned())
    } else if desired.adoption == AdoptionPolicy::IfMatching && !difference.is_empty() {
        let keys: Vec<&str> = difference.iter().map(|d| d.key.as_str()).collect();
        Some(format!(
            "the topic exists already and differs in {}; correct the spec, or set adoptionPolicy to Always",
            keys.join(", ")
        ))
    } else {
        None
    };
    match refused {
        Some(message) => Plan {
            difference,
            ..Plan::refuse(Claim::HandsOff, Reason::AdoptionRequired, message)
        },
        None => would,
    }
}

/// Brings a topic that is ours, or becomes it, to its spec.
fn own(claim: Claim, desired: &Desired, live: &Live, recorded: &Recorded) -> Plan {
    let mut plan = Plan::new(claim);
    let mut changes = Changes::of(desired, live, recorded);
    let drift = if claim == Claim::Ours {
        changes.leave_drift(desired.drift, live)
    } else {
        changes.drifted.clear();
        vec![]
    };
    replication::postpone(&mut changes, desired, live);
    plan.save = changes.announcement(recorded).map(Save::Managed);
    plan.drifted = changes.drifted;
    if !changes.set.is_empty() || !changes.unset.is_empty() {
        plan.actions.push(Action::Alter {
            topic: desired.name.clone(),
            set: changes.set,
            unset: changes.unset,
        });
    }
    grow(&mut plan, desired, live);
    replication::decide(&mut plan, desired, live, recorded);
    throttle::decide(&mut plan, desired, live, recorded);
    if !drift.is_empty() {
        plan.refusals.push(drifted(&drift));
        plan.difference.extend(drift);
    }
    plan
}

/// What driftPolicy Report leaves alone.
fn drifted(drift: &[Difference]) -> Refusal {
    let keys: Vec<&str> = drift.iter().map(|one| one.key.as_str()).collect();
    Refusal {
        reason: Reason::Drifted,
        message: format!(
            "somebody else changed {}, and driftPolicy is Report; take the change into the spec, or set driftPolicy to \
             Correct to have it set back",
            keys.join(", ")
        ),
    }
}

/// Brings the number of partitions to the spec, as far as that can be done.
fn grow(plan: &mut Plan, desired: &Desired, live: &Live) {
    match desired.partitions {
        Some(wanted) if wanted > live.partitions => plan.actions.push(Action::Grow {
            topic: desired.name.clone(),
            from: live.partitions,
            to: wanted,
        }),
        Some(wanted) if wanted < live.partitions => {
            plan.refusals.push(Refusal {
                reason: Reason::PartitionDecreaseRefused,
                message: format!(
                    "the topic has {} partitions and cannot go down to {wanted}; set partitions to {} or more",
                    live.partitions, live.partitions
                ),
            });
            plan.difference
                .push(difference("partitions", &wanted, Some(&live.partitions)));
        }
        _ => {}
    }
}

fn difference(key: &str, desired: &impl ToString, live: Option<&impl ToString>) -> Difference {
    Difference {
        key: key.to_owned(),
        desired: desired.to_string(),
        live: live.map(ToString::to_string),
    }
}

/// Everything in which the topic differs from what is desired.
#[must_use]
pub fn changes(desired: &Desired, live: &Live, recorded: &Recorded) -> Vec<Difference> {
    let mut all = vec![];
    if let Some(wanted) = desired.partitions
        && wanted != live.partitions
    {
        all.push(difference("partitions", &wanted, Some(&live.partitions)));
    }
    if let Some(wanted) = desired.replication_factor
        && wanted != live.replication_factor
    {
        all.push(difference(
            "replicationFactor",
            &wanted,
            Some(&live.replication_factor),
        ));
    }
    all.extend(Changes::of(desired, live, recorded).differences(live));
    all
}

/// The topic after an action succeeded.
#[must_use]
pub fn applied(mut live: Live, action: &Action) -> Live {
    match action {
        Action::Alter { set, unset, .. } => {
            for (key, value) in set {
                let entry = ConfigEntry {
                    value: Some(value.clone()),
                    source: ConfigSource::Topic,
                    read_only: false,
                    sensitive: false,
                };
                live.config.insert(key.clone(), entry);
            }
            for key in unset {
                live.config.remove(key);
            }
        }
        Action::Grow { to, .. } => live.partitions = *to,
        // What moves is seen when it is done.
        Action::Create(_)
        | Action::Reassign { .. }
        | Action::Throttle { .. }
        | Action::Unthrottle { .. }
        | Action::Delete(_) => {}
    }
    live
}

#[cfg(test)]
mod tests;
