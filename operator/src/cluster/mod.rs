//! KafkaCluster: observe, judge, write it down, and hand the connection to all who refer to the cluster.
//!
//! Nothing is ever changed on Kafka here. While something is wrong the cluster is looked at every few seconds, so
//! that recovery needs no restart; else every half minute, without a write.

pub mod desired;
pub mod observe;
pub mod reason;
pub mod status;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use ottla_crds::KafkaCluster;
use ottla_kafka::types::ClusterId;
use tracing::info;

use self::reason::Reason;
use self::status::Verdict;
use crate::runtime::apply::{self, Guard};
use crate::runtime::backoff::Pace;
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::events::Note;
use crate::runtime::store::Entry;
use crate::runtime::{Action, Context, Error, Key, Reconciler};

/// How often a cluster is looked at while all is well.
const STEADY: Duration = Duration::from_secs(30);

/// Reconciles KafkaClusters.
#[derive(Debug)]
pub struct Clusters;

impl Reconciler for Clusters {
    type Object = KafkaCluster;
    const KIND: &'static str = "KafkaCluster";
    const MANAGER: &'static str = "cluster";

    fn reconcile<'a>(
        &'a self,
        ctx: &'a Context,
        object: Arc<KafkaCluster>,
    ) -> BoxFuture<'a, Result<Action, Error>> {
        reconcile(ctx, object).boxed()
    }

    fn conditions(object: &KafkaCluster) -> &[Condition] {
        object.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

async fn reconcile(ctx: &Context, object: Arc<KafkaCluster>) -> Result<Action, Error> {
    let previous = object.status.clone().unwrap_or_default();
    let (connection, verdict) = match desired::parse(&object.spec) {
        Err(problem) => (ctx.connections.get(&Key::of(&*object)), status::invalid(problem)),
        Ok(desired) => {
            let (connection, observed) = observe::observe(ctx, &object, &desired).await?;
            let known = previous.cluster_id.as_deref().map(ClusterId::from);
            (
                connection,
                status::judge(observed, known.as_ref(), desired.expected.as_ref()),
            )
        }
    };
    // The status goes first: whoever is woken by the connection's new standing reads it.
    if let Some(status) = status::next(&previous, &verdict, generation(&*object), ctx.now()) {
        apply::status(
            ctx,
            &ctx.stores.clusters,
            &*object,
            Clusters::MANAGER,
            &status,
            Guard::Uid,
        )
        .await?;
        let before = find(&previous.conditions, READY).map(|ready| ready.reason.as_str());
        ctx.publish(Clusters::KIND, &*object, &notes(before, &verdict))
            .await;
    }
    let moved = connection.is_some_and(|c| c.set_standing(verdict.standing.clone(), verdict.foreign));
    if moved {
        let key = Key::of(&*object);
        info!(
            namespace = key.namespace,
            name = key.name,
            reason = verdict.reason.as_str(),
            "Judged KafkaCluster"
        );
        wake_dependents(ctx, &key);
    }
    Ok(pace(&verdict))
}

fn pace(verdict: &Verdict) -> Action {
    match verdict.reason {
        _ if verdict.is_flawless() => Action::After(STEADY),
        Reason::InvalidSpec => Action::AwaitChange,
        _ => Action::Retry(Pace::PROBE),
    }
}

/// Events for failure and recovery; a first success is no event.
fn notes(before: Option<&str>, verdict: &Verdict) -> Vec<Note> {
    let reason = verdict.reason.as_str();
    let failed_before = before.is_some_and(|before| before != "Ready" && before != "Unknown");
    if before == Some(reason) {
        vec![]
    } else if !verdict.is_ready() {
        vec![Note::warning(reason, "Probe", verdict.message.clone())]
    } else if failed_before {
        vec![Note::normal(reason, "Probe", "Kafka can be used again")]
    } else {
        vec![]
    }
}

/// Has everything that refers to a cluster looked at again.
fn wake_dependents(ctx: &Context, cluster: &Key) {
    for topic in ctx.stores.topics.objects() {
        let own = Key::of(&*topic);
        if cluster_key(&own, &topic.spec.cluster_ref) == *cluster {
            ctx.queues.topics.add(own);
        }
    }
    for purge in ctx.stores.purges.objects() {
        let ended = purge
            .status
            .as_ref()
            .is_some_and(|status| status.completion_time.is_some());
        if !ended {
            ctx.queues.purges.add(Key::of(&*purge));
        }
    }
    for producer in ctx.stores.producers.objects() {
        let own = Key::of(&*producer);
        if producer
            .spec
            .cluster_ref
            .as_ref()
            .is_none_or(|named| cluster_key(&own, named) == *cluster)
        {
            ctx.queues.producers.add(own);
        }
    }
    for consumer in ctx.stores.consumers.objects() {
        let own = Key::of(&*consumer);
        if consumer
            .spec
            .cluster_ref
            .as_ref()
            .is_none_or(|named| cluster_key(&own, named) == *cluster)
        {
            ctx.queues.consumers.add(own);
        }
    }
}

/// The KafkaCluster that an object refers to.
#[must_use]
pub fn cluster_key(referrer: &Key, named: &ottla_crds::common::ClusterRef) -> Key {
    Key::new(
        named
            .namespace
            .clone()
            .unwrap_or_else(|| referrer.namespace.clone()),
        named.name.clone(),
    )
}

/// Registers what a change of a KafkaCluster triggers in others.
pub fn triggers(ctx: &Arc<Context>) {
    let weak = Arc::downgrade(ctx);
    ctx.stores.clusters.listen(Box::new(move |key, old, new| {
        let Some(ctx) = weak.upgrade() else { return };
        if new.is_none() {
            ctx.connections.remove(key);
        }
        if ready_of(old) != ready_of(new) {
            wake_dependents(&ctx, key);
        }
    }));
}

/// What others see of a cluster: whether it is there, and its Ready condition's status.
fn ready_of(entry: Option<&Entry<KafkaCluster>>) -> Option<&str> {
    let object = entry?.object()?;
    Some(find(Clusters::conditions(object), READY).map_or("Unknown", |ready| ready.status.as_str()))
}
