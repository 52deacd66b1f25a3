//! Finds the objects that claim a topic on a cluster, from what is known of all objects.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use ottla_crds::KafkaTopic;
use ottla_kafka::types::{ClusterId, TopicId};

use super::Topics;
use super::claims::{Claimant, owner};
use crate::cluster::tenancy::Access;
use crate::cluster::{access, cluster_key};
use crate::runtime::{Context, Key};

/// Whether an object may refer to the KafkaCluster it names, as far as that exists; in doubt, yes.
fn may_refer(ctx: &Context, object: &KafkaTopic) -> bool {
    let own = Key::of(object);
    let named = cluster_key(&own, &object.spec.cluster_ref);
    let cluster = ctx.stores.clusters.object(&named);
    cluster.is_some_and(|cluster| access(&ctx.stores, &cluster, &own.namespace) != Access::Denied)
}

/// The cluster that an object's topic is on; `None` if it cannot be told.
fn cluster_of(ctx: &Context, object: &KafkaTopic) -> Option<ClusterId> {
    let named = cluster_key(&Key::of(object), &object.spec.cluster_ref);
    let live = ctx
        .connections
        .get(&named)
        .and_then(|c| c.once_usable())
        .map(|(_, id)| id);
    let known = || {
        let cluster = ctx.stores.clusters.object(&named)?;
        cluster
            .status
            .as_ref()?
            .cluster_id
            .as_deref()
            .map(ClusterId::from)
    };
    live.or_else(known)
}

/// Everyone who claims the topic of that name on that cluster, the deleted and the not allowed left out.
fn claimants(topics: &Topics, ctx: &Context, topic: &str, cluster: &ClusterId) -> Vec<Claimant> {
    let objects = topics
        .claims
        .naming(topic)
        .into_iter()
        .filter_map(|key| ctx.stores.topics.object(&key));
    objects
        .filter(|object| object.metadata.deletion_timestamp.is_none() && may_refer(ctx, object))
        .filter(|object| cluster_of(ctx, object).as_ref() == Some(cluster))
        .map(|object| Claimant {
            key: Key::of(&*object),
            uid: object.uid().unwrap_or_default(),
            created: object.creation_timestamp().map(|Time(at)| at),
            recorded: object
                .status
                .as_ref()
                .and_then(|status| super::status::recorded(status, cluster).id),
        })
        .collect()
}

/// Who else owns an object's topic, in words fit for the object's readers; none if the object itself does.
pub(super) fn other_owner(
    topics: &Topics,
    ctx: &Context,
    object: &KafkaTopic,
    (topic, cluster): (&str, &ClusterId),
    live: Option<TopicId>,
) -> Option<String> {
    let own = Key::of(object);
    let all = claimants(topics, ctx, topic, cluster);
    let owner = owner(&all, live).filter(|owner| owner.key != own)?;
    // Another namespace's names are not told.
    Some(if owner.key.namespace == own.namespace {
        format!(
            "topic {topic} is owned by KafkaTopic {}; nothing is done for this one",
            owner.key.name
        )
    } else {
        format!("topic {topic} is owned by another object; nothing is done for this one")
    })
}

/// Whether anyone else may be counting on the topic: in doubt, yes.
pub(super) fn anyone_else(
    topics: &Topics,
    ctx: &Context,
    object: &KafkaTopic,
    topic: &str,
    cluster: &ClusterId,
) -> bool {
    let own = Key::of(object);
    let others = topics.claims.naming(topic).into_iter().filter(|key| *key != own);
    others
        .filter_map(|key| ctx.stores.topics.object(&key))
        .any(|other| {
            other.metadata.deletion_timestamp.is_none()
                && may_refer(ctx, &other)
                && cluster_of(ctx, &other).is_none_or(|its| its == *cluster)
        })
}
