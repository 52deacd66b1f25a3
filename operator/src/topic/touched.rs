//! Which topics a KafkaCluster's doing concerns, from what is known of all objects: those that its defaults are still to
//! change, and those whose replicas are moved under its throttle. Asks nobody.

use kube::ResourceExt;
use ottla_crds::{KafkaCluster, KafkaTopic};
use ottla_kafka::types::ClusterId;

use super::reason::Reason;
use super::{defaults, desired, is_throttled, status};
use crate::cluster::cluster_key;
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::{Context, Key};

/// How many topics at rest differ from what they are to be; `None` where there are no defaults and nothing is left of
/// earlier ones.
pub fn count(ctx: &Context, cluster: &KafkaCluster) -> Option<i32> {
    let given = cluster.spec.topic_defaults.is_some();
    let before = cluster.status.as_ref().and_then(|status| status.defaults_pending);
    if !given && before.is_none() {
        return None;
    }
    // Only another spec makes more of them.
    let done = judged(cluster) && before == Some(0);
    let pending = if done {
        0
    } else {
        recount(ctx, cluster).or(before).unwrap_or_default()
    };
    (given || pending > 0).then_some(pending)
}

/// Whether this spec of the cluster was judged before.
fn judged(cluster: &KafkaCluster) -> bool {
    let known = cluster.status.as_ref();
    known.is_some_and(|status| status.observed_generation == Some(generation(cluster)))
}

fn recount(ctx: &Context, cluster: &KafkaCluster) -> Option<i32> {
    let key = Key::of(cluster);
    let id = ClusterId::from(cluster.status.as_ref()?.cluster_id.as_deref()?);
    let defaults = defaults::parse(cluster.spec.topic_defaults.as_ref()).ok()?;
    let topics = ctx.stores.topics.objects().into_iter();
    let pending = topics.filter(|topic| {
        let Some(status) = &topic.status else { return false };
        let recorded = status::recorded(status, &id);
        let rests = recorded.id.is_some()
            && topic.metadata.deletion_timestamp.is_none()
            && !topic.spec.suspend
            && status.observed_generation == Some(generation(&**topic))
            && cluster_key(&Key::of(&**topic), &topic.spec.cluster_ref) == key;
        rests
            && desired::parse(&topic.name_any(), &topic.spec)
                .and_then(|desired| defaults.complete(desired))
                .is_ok_and(|desired| defaults::is_pending(&desired, &recorded))
    });
    i32::try_from(pending.count()).ok()
}

/// Whether the replicas of any topic are moved under the throttle, or are about to be.
pub fn any_throttled(ctx: &Context, cluster: &KafkaCluster) -> bool {
    let key = Key::of(cluster);
    ctx.stores
        .topics
        .objects()
        .iter()
        .any(|topic| throttled_on(topic, &key))
}

/// Whether any topic is about to have the throttle taken off it, for which it needs the KafkaCluster.
pub fn any_lifting(ctx: &Context, cluster: &KafkaCluster) -> bool {
    let key = Key::of(cluster);
    let lifts = |topic: &KafkaTopic| {
        let status = topic.status.as_ref();
        let ready = status.and_then(|status| find(&status.conditions, READY));
        let moves = ready.is_some_and(|ready| ready.reason == Reason::Reassigning.as_str());
        throttled_on(topic, &key) && !topic.spec.suspend && moves
    };
    ctx.stores.topics.objects().iter().any(|topic| lifts(topic))
}

fn throttled_on(topic: &KafkaTopic, cluster: &Key) -> bool {
    is_throttled(topic) && cluster_key(&Key::of(topic), &topic.spec.cluster_ref) == *cluster
}
