//! What triggers passes over purges beside their own changes, and what purges trigger: their topic, the other purges of
//! it, and the workloads they want away.

use std::sync::Arc;

use kube::ResourceExt;
use ottla_crds::{KafkaTopic, KafkaTopicPurge};

use super::scene::topic_key;
use crate::pods::names::Role;
use crate::pods::target::{self};
use crate::pods::{quiet, stores};
use crate::runtime::store::Entry;
use crate::runtime::{Context, Key};

/// Registers them.
pub fn triggers(ctx: &Arc<Context>) {
    let weak = Arc::downgrade(ctx);
    ctx.stores.topics.listen(Box::new(move |key, old, new| {
        let Some(ctx) = weak.upgrade() else { return };
        let standing = |entry: Option<&Entry<KafkaTopic>>| {
            let object = entry?.object()?;
            let status = object.status.clone()?;
            Some((object.uid(), status.topic_id, status.cluster_id))
        };
        if standing(old) != standing(new) {
            wake_purges(&ctx, key);
        }
    }));
    let weak = Arc::downgrade(ctx);
    ctx.stores.purges.listen(Box::new(move |key, old, new| {
        let Some(ctx) = weak.upgrade() else { return };
        let (old, new) = (old.and_then(Entry::object), new.and_then(Entry::object));
        if stage(old) == stage(new) {
            return;
        }
        let Some(purge) = new.or(old) else { return };
        let topic = topic_key(purge);
        // A topic is held only by a purge that has something to restore; of a purge's end it hears by its ledger.
        let saves = |purge: Option<&Arc<KafkaTopicPurge>>| {
            let status = purge.and_then(|purge| purge.status.as_ref());
            status.is_some_and(|status| status.saved.is_some())
        };
        if saves(old) || saves(new) {
            ctx.queues.topics.add(topic.clone());
        }
        for other in ctx.stores.purges.objects() {
            let own = Key::of(&*other);
            if own != *key && topic_key(&other) == topic && is_unfinished(&other) {
                ctx.queues.purges.add(own);
            }
        }
        wake_workloads(&ctx, purge);
    }));
}

fn is_unfinished(purge: &KafkaTopicPurge) -> bool {
    purge
        .status
        .as_ref()
        .is_none_or(|status| status.completion_time.is_none())
}

/// What others see of a purge.
fn stage(purge: Option<&Arc<KafkaTopicPurge>>) -> Option<impl PartialEq + use<>> {
    let purge = purge?;
    let step = purge.status.as_ref().and_then(|status| status.step);
    let quiet = [Role::Producer, Role::Consumer].map(|role| quiet::asks(purge, role));
    Some((purge.uid(), is_unfinished(purge), step, quiet))
}

fn wake_purges(ctx: &Context, topic: &Key) {
    for purge in ctx.stores.purges.objects() {
        if topic_key(&purge) == *topic && is_unfinished(&purge) {
            ctx.queues.purges.add(Key::of(&*purge));
        }
    }
}

/// Has the workloads of the topic looked at, where a purge asks or asked them away.
fn wake_workloads(ctx: &Context, purge: &KafkaTopicPurge) {
    let recreates = purge.spec.method == ottla_crds::purge::PurgeMethod::Recreate;
    if !recreates && !purge.spec.quiesce_producers {
        return;
    }
    let Some(topic) = quiet::topic_of(ctx, purge) else {
        return;
    };
    for producer in ctx.stores.producers.objects() {
        if target::topic_key(stores::of_producer(&producer), &ctx.stores).as_ref() == Some(&topic) {
            ctx.queues.producers.add(Key::of(&*producer));
        }
    }
    for consumer in ctx.stores.consumers.objects() {
        if target::topic_key(stores::of_consumer(&consumer), &ctx.stores).as_ref() == Some(&topic) {
            ctx.queues.consumers.add(Key::of(&*consumer));
        }
    }
}
