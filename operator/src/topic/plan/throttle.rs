//! Decides which replicas of one topic are throttled while they are moved (KIP-73). Pure.
//!
//! What is throttled is recorded before it is set, and taken off only while it stands on the topic as recorded: a
//! throttle of somebody else's is neither changed nor taken off, and nothing is moved beside it.

use std::collections::BTreeSet;

use ottla_crds::topic::ThrottledReplicas;

use super::replication::{Layout, REPLICATION_FACTOR, Replicas};
use super::{Action, Live, Plan, Recorded, Refusal, difference};
use crate::topic::desired::{Desired, Throttle};
use crate::topic::reason::Reason;

/// The topic configs that name throttled replicas: those that send, those that receive.
pub const KEYS: [&str; 2] = [
    "leader.replication.throttled.replicas",
    "follower.replication.throttled.replicas",
];
/// All replicas that are not in sync.
const ALL: &str = "*";
/// The longest list that is recorded; beyond it all replicas are named at once.
const LONGEST: usize = 4_000;

/// Puts moves under a throttle, as far as one is wanted, and ends it after the last.
pub(super) fn decide(plan: &mut Plan, desired: &Desired, live: &Live, recorded: &Recorded) {
    let ours = recorded.throttle.as_ref();
    let Replicas::Seen(layout) = &live.replicas else {
        // Not to be told at present: what is recorded stays so.
        plan.throttle = ours.cloned();
        plan.waits |= ours.is_some();
        return;
    };
    let begins = begins(plan, layout);
    let wanted = desired.throttle != Throttle::Off;
    let stands = layout.throttled.is_some() && layout.throttled.as_ref() == ours;
    match (&layout.throttled, &begins) {
        _ if !wanted => lift(plan, desired, recorded, layout),
        // Other moves than it was set for.
        (_, Some(asked)) if stands && ours.is_some_and(|ours| !covers(ours, asked)) => {
            hold(plan);
            lift(plan, desired, recorded, layout);
        }
        (_, begins) if stands => {
            let moving = |moving: &ottla_kafka::admin::Moving| !moving.adding.is_empty();
            let under_way = layout
                .partitions
                .iter()
                .any(|one| one.moving.as_ref().is_some_and(moving));
            if begins.is_some() && desired.throttle != Throttle::InPlace {
                hold(plan);
            }
            if under_way || plan.progress.is_some() {
                plan.throttle = ours.cloned();
                plan.waits |= plan.progress.is_none();
            } else {
                lift(plan, desired, recorded, layout);
            }
        }
        (Some(_), Some(_)) => {
            hold(plan);
            lift(plan, desired, recorded, layout);
            plan.progress = None;
            plan.waits = true;
            plan.refusals.push(by_other(desired));
            let wanted = desired.replication_factor.map(|wanted| wanted.to_string());
            plan.difference.push(difference(
                REPLICATION_FACTOR,
                &wanted.unwrap_or_default(),
                Some(&live.replication_factor),
            ));
        }
        (None, Some(asked)) => {
            hold(plan);
            plan.actions.push(Action::Throttle {
                topic: desired.name.clone(),
                from: live.replication_factor,
                to: desired.replication_factor.unwrap_or(live.replication_factor),
                replicas: asked.clone(),
            });
            plan.throttle = Some(asked.clone());
        }
        (_, None) => lift(plan, desired, recorded, layout),
    }
}

/// The replicas that have to be throttled for the moves of a plan that add any.
fn begins(plan: &Plan, layout: &Layout) -> Option<ThrottledReplicas> {
    let changes = plan.actions.iter().find_map(|action| match action {
        Action::Reassign { changes, .. } => Some(changes),
        _ => None,
    })?;
    let (mut leaders, mut followers) = (vec![], vec![]);
    for (partition, target) in changes {
        let (Some(seen), Some(target)) = (
            layout.partitions.iter().find(|seen| seen.id == *partition),
            target,
        ) else {
            continue;
        };
        let has = seen
            .moving
            .as_ref()
            .map_or_else(|| seen.held.replicas.clone(), ottla_kafka::admin::Moving::origin);
        let new = target.iter().filter(|id| !has.contains(id)).collect::<Vec<_>>();
        if !new.is_empty() {
            leaders.extend(has.iter().map(|id| format!("{partition}:{id}")));
            followers.extend(new.into_iter().map(|id| format!("{partition}:{id}")));
        }
    }
    let spelled = |list: Vec<String>| {
        let text = list.join(",");
        if text.len() > LONGEST {
            ALL.to_owned()
        } else {
            text
        }
    };
    (!followers.is_empty()).then(|| ThrottledReplicas {
        leaders: spelled(leaders),
        followers: spelled(followers),
    })
}

/// Whether every replica of the one is among those of the other.
fn covers(ours: &ThrottledReplicas, asked: &ThrottledReplicas) -> bool {
    let within = |ours: &str, asked: &str| {
        let has = |one: &str| ours.split(',').any(|other| other == one);
        ours == ALL || (asked != ALL && asked.split(',').all(has))
    };
    within(&ours.leaders, &asked.leaders) && within(&ours.followers, &asked.followers)
}

/// Begins no move, and no growth: new partitions would have as many replicas as partition 0 has now.
fn hold(plan: &mut Plan) {
    let held = |action: &Action| matches!(action, Action::Reassign { .. } | Action::Grow { .. });
    plan.actions.retain(|action| !held(action));
}

/// Takes off what stands on the topic as we set it.
fn lift(plan: &mut Plan, desired: &Desired, recorded: &Recorded, layout: &Layout) {
    let Some(ours) = &recorded.throttle else { return };
    let keys = standing(ours, layout.throttled.as_ref());
    if !keys.is_empty() {
        let topic = desired.name.clone();
        plan.actions.push(Action::Unthrottle { topic, keys });
    }
}

/// Which of both configs stand on a topic as we set them.
#[must_use]
pub fn standing(ours: &ThrottledReplicas, live: Option<&ThrottledReplicas>) -> BTreeSet<String> {
    let Some(live) = live else {
        return BTreeSet::new();
    };
    let same = [ours.leaders == live.leaders, ours.followers == live.followers];
    let keys = KEYS.into_iter().zip(same).filter(|(_, same)| *same);
    keys.map(|(key, _)| key.to_owned()).collect()
}

fn by_other(desired: &Desired) -> Refusal {
    Refusal {
        reason: Reason::ReplicationThrottledByOther,
        message: format!(
            "somebody else throttles replicas of topic {}: its {} or {} is set; replicas are moved once those are taken \
             off the topic, or the KafkaCluster's replicationThrottle is",
            desired.name, KEYS[0], KEYS[1]
        ),
    }
}

#[cfg(test)]
mod tests;
