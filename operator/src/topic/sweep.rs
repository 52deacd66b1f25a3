//! Finds drift: one look at all topics of a cluster every tick, compared with what the objects say. Changes nothing
//! and writes nothing; it only has those topics looked at that are not as they should be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use ottla_crds::topic::Difference;
use ottla_crds::{KafkaCluster, KafkaTopic, KafkaTopicStatus};
use ottla_kafka::admin::{Admin, Batch, ConfigKeys, ConfigQuery, Topic};
use ottla_kafka::error::KafkaError;
use ottla_kafka::types::{ClusterId, TopicName};
use tokio::time::Instant;
use tracing::{debug, info};

use super::desired::{self, Desired};
use super::figures::Figures;
use super::plan::replication::{REPLICATION_FACTOR, needs_look};
use super::plan::{self, Policy, Recorded, Sight};
use super::reason::Reason;
use super::{held, look, observe, status};
use crate::cluster::tenancy::Tenure;
use crate::cluster::{self, cluster_key};
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::{Context, Key, Stop};

/// How often each cluster is swept.
const TICK: Duration = Duration::from_secs(45);
/// How many topics are asked for at once.
const CHUNK: usize = 500;
/// Name of the loop in the health report.
const LOOP: &str = "topic sweep";

/// A topic at rest: what it should be.
struct AtRest {
    key: Key,
    object: Arc<KafkaTopic>,
    desired: Desired,
    recorded: Recorded,
    tenure: Tenure,
}

/// Sweeps until told to stop.
pub async fn run(ctx: Arc<Context>, stop: Stop) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first passes over all objects are the first sweep.
    tick.tick().await;
    ctx.health.beat(LOOP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        ctx.health.beat(LOOP);
        let sweeps = ctx.stores.clusters.objects().into_iter().map(|cluster| {
            let ctx = ctx.clone();
            async move { sweep(&ctx, &Key::of(&*cluster)).await }
        });
        // A dead cluster's deadlines pass while the others are done; the next tick waits for all of them.
        let all = futures::future::join_all(sweeps);
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tokio::time::timeout(TICK, all) => {}
        }
    }
}

/// Looks once at all topics of a cluster; tells how many are to be looked at closer.
pub async fn sweep(ctx: &Context, cluster: &Key) -> usize {
    let Some((admin, id)) = ctx
        .connections
        .get(cluster)
        .and_then(|connection| connection.usable())
    else {
        return 0;
    };
    let Some(object) = ctx.stores.clusters.object(cluster) else {
        return 0;
    };
    let began = Instant::now();
    let declared = declared(ctx, cluster);
    let (mut topics, mut moved) = (0, 0);
    let mut figures = Figures::wanted(ctx);
    for chunk in declared.chunks(CHUNK) {
        // Parsed a chunk at a time: what all of them are to be is several times what is kept of them.
        let at_rest = at_rest(ctx, chunk, &object, &id);
        if at_rest.is_empty() {
            continue;
        }
        topics += at_rest.len();
        let Some(suspects) = suspects(&*admin, &at_rest, &mut figures).await else {
            cluster::doubt(ctx, cluster);
            return moved;
        };
        moved += suspects.len();
        for key in suspects {
            info!(namespace = key.namespace, name = key.name, "Found drift");
            ctx.queues.topics.add(key);
        }
    }
    ctx.metrics
        .clusters
        .swept(&cluster.to_string(), moved, began.elapsed());
    figures.tell(ctx, cluster, &*admin).await;
    debug!(
        namespace = cluster.namespace,
        name = cluster.name,
        topics,
        moved,
        "Swept topics"
    );
    moved
}

/// The objects that name a cluster.
fn declared(ctx: &Context, cluster: &Key) -> Vec<Arc<KafkaTopic>> {
    let mut objects = ctx.stores.topics.objects();
    objects.retain(|object| cluster_key(&Key::of(&**object), &object.spec.cluster_ref) == *cluster);
    objects
}

/// The topics that were reconciled in full: only they can drift.
fn at_rest(
    ctx: &Context,
    objects: &[Arc<KafkaTopic>],
    cluster: &KafkaCluster,
    id: &ClusterId,
) -> Vec<AtRest> {
    objects
        .iter()
        .filter_map(|object| {
            let status = object.status.as_ref()?;
            let recorded = status::recorded(status, id);
            let rests = object.metadata.deletion_timestamp.is_none()
                && status.observed_generation == Some(generation(&**object))
                && recorded.id.is_some()
                && !held::by_purge(ctx, object);
            if !rests || object.spec.suspend {
                return None;
            }
            let desired = desired::parse(&object.name_any(), &object.spec).ok()?;
            Some(AtRest {
                key: Key::of(&**object),
                desired: look::completed(cluster, desired).ok()?,
                tenure: look::tenure(object, cluster),
                object: object.clone(),
                recorded,
            })
        })
        .collect()
}

/// Those of a chunk that are not as they should be; none if Kafka could not be asked.
async fn suspects(admin: &dyn Admin, chunk: &[AtRest], figures: &mut Figures) -> Option<Vec<Key>> {
    let names: BTreeSet<TopicName> = chunk.iter().map(|topic| topic.desired.name.clone()).collect();
    let mut topics = admin.describe_topics(names).await;
    if topics
        .values()
        .any(|answer| answer.as_ref().is_err_and(KafkaError::is_connection))
    {
        return None;
    }
    figures.take_in(
        topics
            .values()
            .filter_map(|answer| answer.as_ref().ok()?.as_ref()),
    );
    let mut keys: BTreeMap<TopicName, BTreeSet<String>> = BTreeMap::new();
    for topic in chunk {
        let wanted = observe::keys(&topic.desired, &topic.recorded);
        if matches!(topics.get(&topic.desired.name), Some(Ok(Some(_)))) && !wanted.is_empty() {
            keys.entry(topic.desired.name.clone()).or_default().extend(wanted);
        }
    }
    let queries: Vec<ConfigQuery> = keys
        .into_iter()
        .map(|(topic, keys)| ConfigQuery {
            topic,
            keys: ConfigKeys::Named(keys),
        })
        .collect();
    let configs = if queries.is_empty() {
        BTreeMap::new()
    } else {
        admin.describe_configs(queries).await
    };
    let known = known(admin, chunk, &topics).await;
    let is_suspect = |topic: &&AtRest| {
        let name = &topic.desired.name;
        // A right that was taken is told, once: what cannot be seen is not as it should be.
        let denied = |error: &KafkaError| {
            error.missing_acl().is_some() && reason(&topic.object) != Reason::NotAuthorized.as_str()
        };
        let sight = match topics.get(name) {
            Some(Ok(Some(seen))) => match configs.get(name) {
                Some(Err(error)) => return denied(error),
                Some(Ok(config)) => observe::live(seen, config.clone()),
                None => observe::live(seen, BTreeMap::new()),
            },
            Some(Ok(None)) => return is_news(topic) && !known.contains(name),
            Some(Err(error)) => return denied(error),
            None => return false,
        };
        sight.is_ok_and(|live| differs(topic, live))
    };
    let suspects: Vec<Key> = chunk
        .iter()
        .filter(is_suspect)
        .map(|topic| topic.key.clone())
        .collect();
    topics.clear();
    Some(suspects)
}

/// Of the topics that no broker shows, those that the controller knows: after a burst brokers lag behind it by minutes. All
/// are asked for at once, and seen by a later sweep.
async fn known(
    admin: &dyn Admin,
    chunk: &[AtRest],
    topics: &Batch<TopicName, Option<Topic>>,
) -> BTreeSet<TopicName> {
    let absent =
        |topic: &&AtRest| matches!(topics.get(&topic.desired.name), Some(Ok(None))) && is_news(topic);
    let asked: BTreeSet<TopicName> = chunk
        .iter()
        .filter(absent)
        .map(|topic| topic.desired.name.clone())
        .collect();
    if asked.is_empty() {
        return asked;
    }
    observe::known(admin, asked).await
}

/// Whether the absence of a topic was not told before.
fn is_news(topic: &AtRest) -> bool {
    reason(&topic.object) != Reason::TopicGone.as_str()
}

/// Why the topic was last found Ready or not.
fn reason(object: &KafkaTopic) -> &str {
    let status = object.status.as_ref();
    let ready = status.and_then(|status| find(&status.conditions, READY));
    ready.map_or("", |ready| ready.reason.as_str())
}

/// Whether a pass over the topic would do or say anything new.
fn differs(topic: &AtRest, live: plan::Live) -> bool {
    let Some(status) = topic.object.status.as_ref() else {
        return true;
    };
    let reason = reason(&topic.object);
    let shape = (status.partitions, status.replication_factor)
        != (
            Some(live.partitions.get()),
            Some(i32::from(live.replication_factor.get())),
        );
    let replaced = topic.recorded.id != Some(live.id);
    let replicas = replicas_differ(topic, &live, status);
    let policy = Policy {
        tenure: topic.tenure,
        accepted: None,
        other_owner: None,
    };
    let plan = plan::plan(&topic.desired, &Sight::Present(live), &topic.recorded, &policy);
    // What Kafka refused to set, and a replacement already told of, are no news.
    let told = (replaced && reason == "TopicReplaced")
        || [
            "InvalidConfig",
            "TopicOwnedByOther",
            "PolicyViolation",
            "NotAuthorized",
        ]
        .contains(&reason);
    // What was refused about replicas is not planned without a closer look.
    let others = |told: &[Difference]| -> Vec<Difference> {
        let other = |one: &&Difference| one.key != REPLICATION_FACTOR;
        told.iter().filter(other).cloned().collect()
    };
    let news = others(&plan.difference) != others(&status.drift);
    let back = ["TopicMissing", "TopicGone"].contains(&reason);
    !told && (shape || replicas || replaced || news || back || !plan.actions.is_empty())
}

/// Whether the replicas are other than asked for, and that was not told before.
fn replicas_differ(topic: &AtRest, live: &plan::Live, status: &KafkaTopicStatus) -> bool {
    let wanted = topic.desired.replication_factor.map(|wanted| wanted.to_string());
    let told = |one: &Difference| {
        let live = live.replication_factor.to_string();
        one.key == REPLICATION_FACTOR && Some(&one.desired) == wanted.as_ref() && one.live == Some(live)
    };
    let asked = topic.desired.replication_factor.is_some();
    asked && needs_look(&topic.desired, live, &topic.recorded) && !status.drift.iter().any(told)
}
