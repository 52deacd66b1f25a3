//! Counts the topics that a KafkaCluster's defaults are still to change, from what is known of all objects. Asks nobody.

use kube::ResourceExt;
use ottla_crds::KafkaCluster;
use ottla_kafka::types::ClusterId;

use super::{defaults, desired, status};
use crate::cluster::cluster_key;
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
