//! One purge of a topic at a time: who comes first. Asks the stores only.

use kube::ResourceExt;
use ottla_crds::KafkaTopicPurge;

use super::scene::topic_key;
use crate::runtime::Context;
use crate::runtime::conditions::{READY, find};

/// Another purge of the same KafkaTopic that comes before this one.
pub(super) enum Rival {
    /// It may be over at the first look.
    NotLookedAt,
    /// The purge of that name has begun, or waits for something.
    UnderWay(String),
}

/// The purge of the same KafkaTopic that comes first, if any: one that has a plan, else the oldest.
pub(super) fn of(ctx: &Context, object: &KafkaTopicPurge) -> Option<Rival> {
    let rank = |purge: &KafkaTopicPurge| {
        let planned = purge.status.as_ref().is_some_and(|status| status.step.is_some());
        (!planned, purge.creation_timestamp().map(|at| at.0), purge.uid())
    };
    let (own, key) = (rank(object), topic_key(object));
    let purges = ctx.stores.purges.objects();
    let first = purges.iter().find(|purge| {
        let status = purge.status.as_ref();
        let over = purge.spec.dry_run || status.is_some_and(|status| status.completion_time.is_some());
        !over && purge.uid() != object.uid() && topic_key(purge) == key && rank(purge) < own
    })?;
    let looked_at = first
        .status
        .as_ref()
        .is_some_and(|status| status.step.is_some() || find(&status.conditions, READY).is_some());
    Some(if looked_at {
        Rival::UnderWay(first.name_any())
    } else {
        Rival::NotLookedAt
    })
}
