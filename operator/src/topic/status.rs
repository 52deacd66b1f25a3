//! Writes down what became of a pass. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ottla_crds::KafkaTopicStatus;
use ottla_crds::topic::{Difference, Reassignment, ThrottledReplicas};
use ottla_kafka::error::{Class, ErrorCode, KafkaError};
use ottla_kafka::types::{ClusterId, PartitionCount, ReplicationFactor, TopicId, TopicName};

use super::desired::Desired;
use super::plan::replication::{self, Progress};
use super::plan::{self, Live, Plan, Recorded};
use super::reason::Reason;
use crate::runtime::Action;
use crate::runtime::backoff::Pace;
use crate::runtime::conditions::{self, READY};

/// What is now known of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing new.
    Keep,
    /// A create is about to be sent to this cluster.
    Announced(ClusterId),
    /// The topic is ours and looks like this.
    Ours {
        /// On which cluster.
        cluster: ClusterId,
        /// Its id.
        id: TopicId,
        /// Its partitions.
        partitions: PartitionCount,
        /// Its replicas.
        replication_factor: ReplicationFactor,
        /// The configs we set.
        managed: BTreeMap<String, String>,
        /// The replicas it came to have as asked for.
        managed_factor: Option<ReplicationFactor>,
    },
}

impl Shape {
    /// A topic of ours as seen.
    #[must_use]
    pub fn of(cluster: &ClusterId, desired: &Desired, recorded: &Recorded, live: &Live) -> Self {
        Self::Ours {
            managed: plan::managed(desired, recorded, live),
            managed_factor: replication::managed(desired, recorded, live),
            cluster: cluster.clone(),
            id: live.id,
            partitions: live.partitions,
            replication_factor: live.replication_factor,
        }
    }
}

/// What became of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why the topic is Ready or not.
    pub reason: Reason,
    /// The same in a sentence.
    pub message: String,
    /// What is now known.
    pub shape: Shape,
    /// What differs and stays so.
    pub difference: Vec<Difference>,
    /// What is now known of replicas being moved.
    pub movement: Movement,
    /// The configs on the topic that are not ours, where they were looked at.
    pub unmanaged: Option<BTreeMap<String, String>>,
    /// When to look again.
    pub again: Action,
}

/// What is now known of replicas being moved for this object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Movement {
    /// Nothing new.
    Keep,
    /// None are.
    None,
    /// Some are, and these are throttled by us.
    Under(Progress, Option<ThrottledReplicas>),
}

impl Outcome {
    /// An outcome about which nothing new is known of the topic.
    #[must_use]
    pub fn held(reason: Reason, message: impl Into<String>, again: Action) -> Self {
        Self {
            reason,
            message: message.into(),
            shape: Shape::Keep,
            difference: vec![],
            movement: Movement::Keep,
            unmanaged: None,
            again,
        }
    }

    /// The outcome of a plan of which every action succeeded. `poll` is when to look at what is under way.
    #[must_use]
    pub fn of(plan: Plan, shape: Shape, poll: Duration) -> Self {
        let movement = match (plan.progress, &plan.throttle) {
            (Some(progress), throttle) => Movement::Under(progress, throttle.clone()),
            // Not for us any more, and still to be taken care of.
            (None, Some(_)) => Movement::Keep,
            (None, None) => Movement::None,
        };
        let refused = |wanted| plan.refusals.iter().any(|refusal| refusal.reason == wanted);
        let again = if plan.progress.is_some() || plan.waits {
            Action::After(poll)
        } else if refused(Reason::InvalidReplicationFactor) {
            // Nothing tells of a broker that comes.
            Action::Retry(Pace::SLOW)
        } else {
            Action::AwaitChange
        };
        let moved = plan
            .progress
            .map(|progress| (Reason::Reassigning, progress.to_string()));
        let told = plan
            .refusals
            .into_iter()
            .map(|refusal| (refusal.reason, refusal.message));
        let (reasons, messages): (Vec<_>, Vec<_>) = told.chain(moved).unzip();
        let Some(reason) = reasons.first().copied() else {
            let message = "the topic is as declared".to_owned();
            return Self {
                reason: Reason::Ready,
                message,
                shape,
                difference: vec![],
                movement,
                unmanaged: None,
                again,
            };
        };
        Self {
            reason,
            message: messages.join("; "),
            shape,
            difference: plan.difference,
            movement,
            unmanaged: None,
            again,
        }
    }

    /// The outcome of a call that failed.
    #[must_use]
    pub fn failed(error: &KafkaError, shape: Shape) -> Self {
        let reason = reason_of(error);
        let again = match error.class() {
            Class::Retriable | Class::Ambiguous | Class::Decide => Action::Retry(Pace::FAST),
            Class::Terminal if matches!(reason, Reason::InvalidConfig | Reason::InvalidSpec) => {
                Action::AwaitChange
            }
            Class::SlowRetry | Class::Terminal => Action::Retry(Pace::SLOW),
        };
        Self {
            reason,
            message: match error.missing_acl() {
                Some(acl) => format!("{error}: grant the KafkaCluster's user the ACL {acl}"),
                None => error.to_string(),
            },
            shape,
            difference: vec![],
            movement: Movement::Keep,
            unmanaged: None,
            again,
        }
    }

    /// The outcome of a name that Kafka refused, told without the names of other topics.
    #[must_use]
    pub fn refused_name(name: &TopicName) -> Self {
        let message = format!(
            "Kafka refuses the name {name}: it may differ from another topic's only in . and _; make a new object with \
             another name"
        );
        Self::held(Reason::InvalidTopicName, message, Action::Retry(Pace::SLOW))
    }

    /// The outcome of configs that Kafka refused while it took the others.
    #[must_use]
    pub fn refused_configs(refused: &BTreeMap<String, KafkaError>, shape: Shape) -> Self {
        let causes: Vec<String> = refused
            .iter()
            .map(|(key, error)| format!("config.{key}: {error}"))
            .collect();
        Self {
            reason: Reason::InvalidConfig,
            message: causes.join("; "),
            shape,
            difference: vec![],
            movement: Movement::Keep,
            unmanaged: None,
            again: Action::AwaitChange,
        }
    }
}

fn reason_of(error: &KafkaError) -> Reason {
    match error.code() {
        Some(ErrorCode::INVALID_CONFIG) => Reason::InvalidConfig,
        Some(ErrorCode::INVALID_TOPIC_EXCEPTION) => Reason::InvalidTopicName,
        Some(ErrorCode::INVALID_REQUEST) => Reason::InvalidSpec,
        Some(ErrorCode::INVALID_REPLICATION_FACTOR) => Reason::InvalidReplicationFactor,
        Some(ErrorCode::POLICY_VIOLATION) => Reason::PolicyViolation,
        Some(ErrorCode::TOPIC_DELETION_DISABLED) => Reason::DeletionDisabled,
        Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED) => {
            Reason::NotAuthorized
        }
        _ => Reason::KafkaError,
    }
}

/// What a status tells of our topic on a cluster. Ids of another cluster tell nothing.
#[must_use]
pub fn recorded(status: &KafkaTopicStatus, cluster: &ClusterId) -> Recorded {
    if status.cluster_id.as_deref() != Some(cluster.as_str()) {
        return Recorded::default();
    }
    let id = status.topic_id.as_deref().and_then(|id| id.parse().ok());
    let creating = conditions::find(&status.conditions, READY)
        .is_some_and(|ready| ready.reason == Reason::Creating.as_str());
    Recorded {
        id,
        announced: status.topic_id.is_none() && creating,
        managed: status.managed_config.clone(),
        partitions: status.partitions.and_then(|count| count.try_into().ok()),
        replication_factor: status
            .replication_factor
            .and_then(|factor| factor.try_into().ok()),
        managed_factor: status
            .managed_replication_factor
            .and_then(|factor| factor.try_into().ok()),
        moving_to: status
            .reassignment
            .as_ref()
            .and_then(|moving| moving.replication_factor.try_into().ok()),
        throttle: status
            .reassignment
            .as_ref()
            .and_then(|moving| moving.throttle.clone()),
    }
}

/// The status after a pass, or none if it says what the previous one said.
#[must_use]
pub fn next(
    previous: &KafkaTopicStatus,
    topic_name: &str,
    outcome: &Outcome,
    generation: i64,
    now: Timestamp,
) -> Option<KafkaTopicStatus> {
    let mut status = previous.clone();
    status.observed_generation = Some(generation);
    status.topic_name = (topic_name.len() <= 249).then(|| topic_name.to_owned());
    status.drift.clone_from(&outcome.difference);
    match &outcome.shape {
        Shape::Keep => {}
        Shape::Announced(cluster) => {
            status.cluster_id = Some(cluster.as_str().to_owned());
            status.topic_id = None;
        }
        Shape::Ours {
            cluster,
            id,
            partitions,
            replication_factor,
            managed,
            managed_factor,
        } => {
            status.managed_replication_factor = managed_factor.map(|factor| i32::from(factor.get()));
            status.cluster_id = Some(cluster.as_str().to_owned());
            status.topic_id = Some(id.to_string());
            status.partitions = Some(partitions.get());
            status.replication_factor = Some(i32::from(replication_factor.get()));
            status.managed_config.clone_from(managed);
        }
    }
    match &outcome.movement {
        Movement::Keep => {}
        Movement::None => status.reassignment = None,
        Movement::Under(progress, throttle) => {
            status.reassignment = Some(reassignment(previous, *progress, throttle.clone(), now));
        }
    }
    if let Some(unmanaged) = &outcome.unmanaged {
        status.unmanaged_config.clone_from(unmanaged);
    }
    let managed = &status.managed_config;
    status
        .unmanaged_config
        .retain(|key, _| !managed.contains_key(key));
    let facts = conditions::summary(
        outcome.reason.progress(),
        outcome.reason.as_str(),
        &outcome.message,
    );
    status.conditions = conditions::build(&previous.conditions, facts, generation, now);
    (status != *previous).then_some(status)
}

/// What a status tells of replicas being moved; the time of the beginning stays while they are moved to one number.
#[must_use]
pub fn reassignment(
    previous: &KafkaTopicStatus,
    progress: Progress,
    throttle: Option<ThrottledReplicas>,
    now: Timestamp,
) -> Reassignment {
    let to = i32::from(progress.to.get());
    let before = previous.reassignment.as_ref();
    let began = before.filter(|before| before.replication_factor == to);
    let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
    Reassignment {
        replication_factor: to,
        partitions_done: count(progress.done),
        partitions_total: count(progress.total),
        started_at: began
            .and_then(|before| before.started_at.clone())
            .or(Some(Time(now))),
        throttle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_same_outcome_is_written_once() {
        let outcome = Outcome::held(Reason::ClusterNotReady, "waits", Action::AwaitChange);
        let status = next(&KafkaTopicStatus::default(), "t", &outcome, 1, at(1)).unwrap();
        assert_eq!(next(&status, "t", &outcome, 1, at(50)), None);
    }

    #[test]
    fn ids_of_another_cluster_are_not_believed() {
        let status = KafkaTopicStatus {
            cluster_id: Some("A".into()),
            topic_id: Some("AAAAAAAAAAAAAAAAAAAAAQ".into()),
            managed_config: [("a".to_owned(), "b".to_owned())].into(),
            ..KafkaTopicStatus::default()
        };
        assert!(recorded(&status, &ClusterId::from("A")).id.is_some());
        assert_eq!(recorded(&status, &ClusterId::from("B")), Recorded::default());
    }

    #[test]
    fn an_announcement_holds_until_another_reason_is_written() {
        let cluster = ClusterId::from("A");
        let announced = Outcome {
            shape: Shape::Announced(cluster.clone()),
            ..Outcome::held(Reason::Creating, "", Action::AwaitChange)
        };
        let status = next(&KafkaTopicStatus::default(), "t", &announced, 1, at(1)).unwrap();
        assert!(recorded(&status, &cluster).announced);
        let refused = Outcome::held(Reason::PolicyViolation, "", Action::AwaitChange);
        let status = next(&status, "t", &refused, 1, at(2)).unwrap();
        assert!(!recorded(&status, &cluster).announced);
    }
}
