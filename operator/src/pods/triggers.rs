//! Which changes of others have a workload looked at: its topic's standing, its children and their pods.
//!
//! Changes of KafkaClusters are told by their own reconciler.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use ottla_crds::KafkaTopic;

use super::names::Role;
use super::observe::{owner_of, owner_of_pod};
use super::{Memory, children};
use crate::runtime::conditions::{READY, find};
use crate::runtime::store::{Entry, Store};
use crate::runtime::watch::Watched;
use crate::runtime::{Context, Key};

/// Registers what triggers KafkaProducers and KafkaConsumers alike.
pub fn register(ctx: &Arc<Context>, memory: &Arc<Memory>) {
    child_changes(ctx, &ctx.stores.jobs);
    child_changes(ctx, &ctx.stores.deployments);
    let (weak, memory) = (Arc::downgrade(ctx), memory.clone());
    ctx.stores.pods.listen(Box::new(move |_, old, new| {
        let (Some(ctx), Some(pod)) = (weak.upgrade(), new.or(old).and_then(Entry::object)) else {
            return;
        };
        if let Some((role, key)) = owner_of_pod(&ctx, pod) {
            hear(&ctx, &memory, role, &key, pod);
            wake(&ctx, role, key);
        }
    }));
    let weak = Arc::downgrade(ctx);
    ctx.stores.topics.listen(Box::new(move |key, old, new| {
        let Some(ctx) = weak.upgrade() else { return };
        if ready_of(old) != ready_of(new) || id_of(old) != id_of(new) {
            wake_users(&ctx, key);
        }
    }));
}

/// Last words are kept at once: a pod of a Deployment is gone moments after it ended.
fn hear(ctx: &Context, memory: &Memory, role: Role, key: &Key, pod: &Pod) {
    let facts = children::pod(pod);
    match role {
        Role::Producer => {
            let Some(producer) = ctx.stores.producers.object(key) else {
                return;
            };
            if producer
                .status
                .as_ref()
                .is_none_or(|status| status.completion_time.is_none())
            {
                memory
                    .producers
                    .hear(producer.metadata.uid.as_deref().unwrap_or_default(), &facts);
            }
        }
        Role::Consumer => {
            let Some(consumer) = ctx.stores.consumers.object(key) else {
                return;
            };
            if consumer
                .status
                .as_ref()
                .is_none_or(|status| status.completion_time.is_none())
            {
                memory
                    .consumers
                    .hear(consumer.metadata.uid.as_deref().unwrap_or_default(), &facts);
            }
        }
    }
}

fn child_changes<K: Watched>(ctx: &Arc<Context>, store: &Store<K>) {
    let weak = Arc::downgrade(ctx);
    store.listen(Box::new(move |_, old, new| {
        let (Some(ctx), Some(child)) = (weak.upgrade(), new.or(old)) else {
            return;
        };
        if let Some((role, key)) = owner_of(child.meta()) {
            wake(&ctx, role, key);
        }
    }));
}

fn wake(ctx: &Context, role: Role, key: Key) {
    match role {
        Role::Producer => ctx.queues.producers.add(key),
        Role::Consumer => ctx.queues.consumers.add(key),
    }
}

fn id_of(entry: Option<&Entry<KafkaTopic>>) -> Option<&str> {
    entry?.object()?.status.as_ref()?.topic_id.as_deref()
}

fn ready_of(entry: Option<&Entry<KafkaTopic>>) -> Option<(String, Option<i64>)> {
    let topic = entry?.object()?;
    let conditions = topic
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let ready = find(conditions, READY)?;
    Some((
        ready.status.clone(),
        topic
            .meta()
            .generation
            .filter(|g| Some(*g) == ready.observed_generation),
    ))
}

fn wake_users(ctx: &Context, topic: &Key) {
    for producer in ctx.stores.producers.objects() {
        let key = Key::of(&*producer);
        if key.namespace == topic.namespace
            && producer
                .spec
                .topic_ref
                .as_ref()
                .is_some_and(|r| r.name == topic.name)
        {
            ctx.queues.producers.add(key);
        }
    }
    for consumer in ctx.stores.consumers.objects() {
        let key = Key::of(&*consumer);
        if key.namespace == topic.namespace
            && consumer
                .spec
                .topic_ref
                .as_ref()
                .is_some_and(|r| r.name == topic.name)
        {
            ctx.queues.consumers.add(key);
        }
    }
}
