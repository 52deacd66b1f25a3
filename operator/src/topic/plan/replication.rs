//! Decides about one topic's replicas. Pure.
//!
//! What is under way is Kafka's to tell; of ours only the number it leads to is recorded, before it starts. A partition
//! that is being moved counts as it will be held, never as old and new replicas together.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ottla_crds::topic::{DriftPolicy, ThrottledReplicas};
use ottla_kafka::admin::{Broker, Moving};
use ottla_kafka::types::{BrokerId, PartitionId, ReplicationFactor};

use super::keys::Changes;
use super::{Action, Claim, Live, Plan, Recorded, Refusal, difference};
use crate::topic::desired::Desired;
use crate::topic::placement::{Held, Placement};
use crate::topic::reason::Reason;

/// The config that must never exceed the replicas there are.
pub(in crate::topic) const MIN_IN_SYNC: &str = "min.insync.replicas";
/// How a difference in replicas is named.
pub(in crate::topic) const REPLICATION_FACTOR: &str = "replicationFactor";
/// How soon moves are looked at again: after a quarter of the time they have taken so far, within these bounds.
pub const POLL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// Who holds a topic's partitions, as far as it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// Every partition has the same number of replicas.
    Even,
    /// They differ, or some are being moved.
    Uneven,
    /// Looked at closely.
    Seen(Layout),
}

/// Who holds a topic's partitions, and who else could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The live brokers.
    pub brokers: Vec<Broker>,
    /// The partitions.
    pub partitions: Vec<Seen>,
    /// The topic's `min.insync.replicas`, wherever it is set.
    pub min_in_sync: Option<usize>,
    /// The replicas that are throttled on the topic, by whomever.
    pub throttled: Option<ThrottledReplicas>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub id: PartitionId,
    /// Who holds it; during a move the old replicas and the new ones together.
    pub held: Held,
    /// The move under way.
    pub moving: Option<Moving>,
}

impl Seen {
    /// Who holds it in the end.
    fn target(&self) -> Vec<BrokerId> {
        self.moving
            .as_ref()
            .map_or_else(|| self.held.replicas.clone(), Moving::target)
    }

    /// How many hold it for certain: those that did before a move.
    fn settled(&self) -> usize {
        self.moving
            .as_ref()
            .map_or(self.held.replicas.len(), |moving| moving.origin().len())
    }
}

impl Layout {
    /// The replication factor that every partition has for certain.
    #[must_use]
    pub fn factor(&self) -> Option<ReplicationFactor> {
        let least = self.partitions.iter().map(Seen::settled).min()?;
        i64::try_from(least).ok()?.try_into().ok()
    }
}

/// How far a change of the replication factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it leads to.
    pub to: ReplicationFactor,
    /// Partitions that are there.
    pub done: usize,
    /// All partitions.
    pub total: usize,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { to, done, total } = self;
        write!(
            f,
            "moving replicas: {done} of {total} partitions have replication factor {to}"
        )
    }
}

/// One partition's new replicas; none takes back the move under way.
pub type Change = (PartitionId, Option<Vec<BrokerId>>);

/// Whether the replicas must be looked at closely.
#[must_use]
pub fn needs_look(desired: &Desired, live: &Live, recorded: &Recorded) -> bool {
    let off = |wanted| live.replicas != Replicas::Even || wanted != live.replication_factor;
    recorded.moving_to.is_some()
        || desired
            .replication_factor
            .or(recorded.replication_factor)
            .is_some_and(off)
}

/// The replication factor that is known as the one asked for: what is there, if it is that, else what was there.
#[must_use]
pub fn managed(desired: &Desired, recorded: &Recorded, live: &Live) -> Option<ReplicationFactor> {
    let wanted = desired.replication_factor?;
    let settled = match &live.replicas {
        Replicas::Even => live.replication_factor == wanted,
        Replicas::Uneven => false,
        Replicas::Seen(layout) => layout.partitions.iter().all(|partition| {
            partition.moving.is_none()
                && partition.held.replicas.len() == usize::try_from(wanted.get()).unwrap_or(0)
        }),
    };
    if settled {
        Some(wanted)
    } else {
        recorded.managed_factor
    }
}

/// When to look again at moves that began then.
#[must_use]
pub fn poll(began: Option<Timestamp>, now: Timestamp) -> Duration {
    let elapsed = began.map_or(SignedDuration::ZERO, |began| now.duration_since(began));
    let quarter = Duration::try_from(elapsed).unwrap_or_default() / 4;
    quarter.clamp(POLL.0, POLL.1)
}

/// Brings the replicas to the spec, as far as that can be done.
pub(super) fn decide(plan: &mut Plan, desired: &Desired, live: &Live, recorded: &Recorded) {
    let (Some(wanted), Replicas::Seen(layout)) = (desired.replication_factor, &live.replicas) else {
        return;
    };
    let factor = usize::try_from(wanted.get()).unwrap_or(1);
    let off: Vec<&Seen> = layout
        .partitions
        .iter()
        .filter(|partition| partition.target().len() != factor)
        .collect();
    let there = |partition: &&Seen| partition.moving.is_none() && partition.target().len() == factor;
    let progress = Progress {
        to: wanted,
        done: layout.partitions.iter().filter(there).count(),
        total: layout.partitions.len(),
    };
    if off.is_empty() {
        plan.progress = (progress.done < progress.total).then_some(progress);
        return;
    }
    if let Some(refusal) = refusal(plan.claim, desired, layout, recorded, &off, wanted) {
        plan.waits = refusal.reason == Reason::ReplicasMovedByOther;
        plan.refusals.push(refusal);
        let live = &live.replication_factor;
        plan.difference
            .push(difference(REPLICATION_FACTOR, &wanted, Some(live)));
        return;
    }
    plan.progress = Some(progress);
    let changes = changes(layout, &off, factor);
    if !changes.is_empty() {
        let grows = |action: &Action| matches!(action, Action::Grow { .. });
        // Before the growth: Kafka gives new partitions as many replicas as partition 0 has by then.
        let at = plan.actions.iter().position(grows).unwrap_or(plan.actions.len());
        let action = Action::Reassign {
            topic: desired.name.clone(),
            from: live.replication_factor,
            to: wanted,
            changes,
        };
        plan.actions.insert(at, action);
    }
}

/// Why partitions that are not as wanted stay as they are.
fn refusal(
    claim: Claim,
    desired: &Desired,
    layout: &Layout,
    recorded: &Recorded,
    off: &[&Seen],
    wanted: ReplicationFactor,
) -> Option<Refusal> {
    let factor = usize::try_from(wanted.get()).unwrap_or(1);
    let to = |partition: &Seen| i64::try_from(partition.target().len()).ok()?.try_into().ok();
    let foreign = off
        .iter()
        .filter(|partition| partition.moving.is_some() && recorded.moving_to != to(partition))
        .count();
    let told = |reason, message| Some(Refusal { reason, message });
    if foreign > 0 {
        return told(
            Reason::ReplicasMovedByOther,
            format!(
                "somebody else is moving the replicas of {foreign} partitions; the replication factor is changed to \
                 {wanted} when that is done, or at once when those moves are cancelled"
            ),
        );
    }
    let was_there = recorded.moving_to.is_none() && recorded.managed_factor == Some(wanted);
    if claim == Claim::Ours && desired.drift == DriftPolicy::Report && was_there {
        return told(
            Reason::Drifted,
            format!(
                "somebody else changed the replicas of {} partitions, and driftPolicy is Report; set replicationFactor \
                 to what there is now, or set driftPolicy to Correct to have {wanted} replicas again",
                off.len()
            ),
        );
    }
    let alive = layout.brokers.len();
    if factor > alive && off.iter().any(|partition| partition.target().len() < factor) {
        return told(
            Reason::InvalidReplicationFactor,
            format!(
                "replicationFactor is {wanted} and Kafka has {alive} live brokers; start more brokers, or set it to \
                 {alive} or less"
            ),
        );
    }
    let asked = desired
        .config
        .get(MIN_IN_SYNC)
        .and_then(|value| value.parse().ok());
    let needed = asked.or(layout.min_in_sync).unwrap_or(1);
    let shrinks = off.iter().any(|partition| partition.settled() > factor);
    (shrinks && needed > factor).then(|| Refusal {
        reason: Reason::ReplicationFactorChangeRefused,
        message: format!(
            "min.insync.replicas is {needed}: with {wanted} replicas no record with acks=all could ever be written; \
             set it to {wanted} or less first, or set replicationFactor to {needed} or more"
        ),
    })
}

/// The moves to start and to take back. A partition without a leader has nobody to copy from: it waits.
fn changes(layout: &Layout, off: &[&Seen], factor: usize) -> Vec<Change> {
    let targets: Vec<Vec<BrokerId>> = layout.partitions.iter().map(Seen::target).collect();
    let mut placement = Placement::new(&layout.brokers, targets.iter().map(Vec::as_slice));
    let with_leader = off.iter().filter(|partition| partition.held.leader.is_some());
    let change = |partition: &&Seen| {
        if partition.moving.is_some() && partition.settled() == factor {
            return (partition.id, None);
        }
        let held = Held {
            replicas: partition.target(),
            ..partition.held.clone()
        };
        (partition.id, Some(placement.choose(&held, factor)))
    };
    with_leader.map(change).collect()
}

/// Holds back a `min.insync.replicas` that more replicas are still needed for.
pub(super) fn postpone(changes: &mut Changes, desired: &Desired, live: &Live) {
    let (Some(wanted), Replicas::Seen(layout)) = (desired.replication_factor, &live.replicas) else {
        return;
    };
    let Some(needed) = changes
        .set
        .get(MIN_IN_SYNC)
        .and_then(|value| value.parse::<i16>().ok())
    else {
        return;
    };
    let there = layout.factor().map_or(needed, ReplicationFactor::get);
    if needed > there && needed <= wanted.get() {
        changes.set.remove(MIN_IN_SYNC);
        changes.drifted.remove(MIN_IN_SYNC);
    }
}

#[cfg(test)]
pub(super) mod tests;
