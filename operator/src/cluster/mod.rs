//! KafkaCluster: observe, judge, write it down, and hand the connection to all who refer to the cluster.
//!
//! Nothing is changed on Kafka here but the rate at which brokers move replicas, while they do. While something is wrong the cluster is looked at every few seconds, so
//! that recovery needs no restart; else every half minute, without a write.

pub mod credentials;
pub mod desired;
pub mod destruction;
mod execute;
pub mod observe;
pub mod reason;
pub mod status;
pub mod tenancy;
mod throttle;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use ottla_crds::namespaces::NamespacesFrom;
use ottla_crds::{KafkaCluster, KafkaClusterStatus, RELEASE_DESTRUCTION};
use ottla_kafka::types::ClusterId;
use tracing::info;

use self::reason::Reason;
use self::status::{Aside, Verdict};
use self::tenancy::{Access, Labels};
use crate::connections::Change;
use crate::runtime::apply::{self, Guard};
use crate::runtime::backoff::Pace;
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::events::Note;
use crate::runtime::lanes::Lane;
use crate::runtime::store::Entry;
use crate::runtime::{Action, Context, Error, Key, Queue, Reconciler, Stores, namespaces};
use crate::topic::touched;

/// How often a cluster is looked at while all is well.
const STEADY: Duration = Duration::from_secs(30);
/// How often it is looked at while its topics are brought to new defaults, or their deletion is held.
const MOVING: Duration = Duration::from_secs(10);

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

    fn lane(object: &KafkaCluster) -> Lane {
        Some(Key::of(object))
    }

    fn conditions(object: &KafkaCluster) -> &[Condition] {
        object.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

/// Takes in that a call to a cluster got no connection or no answer: it is looked at anew, once for all who wait.
pub fn doubt(ctx: &Context, cluster: &Key) {
    if let Some(connection) = ctx.connections.get(cluster) {
        connection.doubt();
    }
    ctx.queues.clusters.add(cluster.clone());
}

async fn reconcile(ctx: &Context, object: Arc<KafkaCluster>) -> Result<Action, Error> {
    let previous = object.status.clone().unwrap_or_default();
    let mut rate = None;
    let (connection, verdict) = match desired::parse(&object.spec) {
        _ if selects_blindly(ctx, &object) => (
            ctx.connections.get(&Key::of(&*object)),
            status::selector_refused(),
        ),
        Err(problem) => (ctx.connections.get(&Key::of(&*object)), status::invalid(problem)),
        Ok(desired) => {
            rate = desired.throttle;
            let (connection, observed) = observe::observe(ctx, &object, &desired).await?;
            let known = previous.cluster_id.as_deref().map(ClusterId::from);
            (
                connection,
                status::judge(observed, known.as_ref(), desired.expected.as_ref()),
            )
        }
    };
    let standing = destruction::standing(ctx, &object);
    let aside = Aside {
        hold: standing.fact(),
        defaults_pending: touched::count(ctx, &object),
    };
    let mut object = object;
    // The status goes first: whoever is woken by the connection's new standing reads it.
    if let Some(status) = status::next(&previous, &verdict, &aside, generation(&*object), ctx.now()) {
        object = apply::status(
            ctx,
            &ctx.stores.clusters,
            &*object,
            Clusters::MANAGER,
            &status,
            Guard::Uid,
        )
        .await?;
        let before = find(&previous.conditions, READY).map(|ready| ready.reason.as_str());
        let mut notes = notes(before, &verdict);
        notes.extend(aside_notes(&previous, &aside));
        ctx.publish(Clusters::KIND, &*object, &notes).await;
    }
    let change = connection
        .as_ref()
        .map(|c| c.set_standing(verdict.standing.clone(), verdict.foreign));
    if change == Some(Change::Moved) {
        let key = Key::of(&*object);
        info!(
            namespace = key.namespace,
            name = key.name,
            reason = verdict.reason.as_str(),
            "Judged KafkaCluster"
        );
        wake_dependents(ctx, &key);
    }
    let usable = connection.filter(|_| verdict.is_ready());
    if let Some(connection) = usable {
        let watch = throttle::keep(ctx, object, rate, &connection).await?;
        return Ok(watch
            .filter(|_| verdict.is_flawless())
            .unwrap_or_else(|| pace(&verdict, &aside)));
    }
    let parts = object.metadata.deletion_timestamp.is_some() && throttle::has_finalizer(&object);
    if parts && verdict.reason == Reason::SecretNotFound {
        throttle::give_up(ctx, &object).await?;
    }
    Ok(pace(&verdict, &aside))
}

/// Whether a cluster selects namespaces by labels that this operator may not read.
fn selects_blindly(ctx: &Context, object: &KafkaCluster) -> bool {
    object.spec.allowed_namespaces.from == NamespacesFrom::Selector && !ctx.config.namespaces().is_empty()
}

fn pace(verdict: &Verdict, aside: &Aside) -> Action {
    match verdict.reason {
        _ if verdict.is_flawless() && aside.is_moving() => Action::After(MOVING),
        _ if verdict.is_flawless() => Action::After(STEADY),
        Reason::InvalidSpec | Reason::SelectorNotSupported => Action::AwaitChange,
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

/// Events for a hold of deletions, and for defaults that begin to reach topics.
fn aside_notes(previous: &KafkaClusterStatus, aside: &Aside) -> Vec<Note> {
    let mut notes = vec![];
    if let Some(hold) = &aside.hold
        && find(&previous.conditions, destruction::DESTRUCTION_HOLD).is_none()
    {
        notes.push(Note::warning(hold.reason, "Delete", hold.message.clone()));
    }
    if let Some(pending) = aside.defaults_pending.filter(|pending| *pending > 0)
        && previous.defaults_pending.is_none_or(|before| before == 0)
    {
        let text = format!("topicDefaults.config will change {pending} topics, a few at a time");
        notes.push(Note::normal("DefaultsChanged", "Alter", text));
    }
    notes
}

/// Whether objects of a namespace may refer to a KafkaCluster.
#[must_use]
pub fn access(stores: &Stores, cluster: &KafkaCluster, from: &str) -> Access {
    let home = cluster.metadata.namespace.as_deref().unwrap_or_default();
    if home == from {
        return Access::Allowed;
    }
    let known = namespaces::labels(&stores.namespaces, from);
    let labels = match &known {
        None => Labels::Unknown,
        Some(None) => Labels::Absent,
        Some(Some(labels)) => Labels::Known(labels),
    };
    tenancy::access(&cluster.spec, home, from, labels)
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
            ctx.metrics.clusters.forget(&key.to_string());
        }
        if face(old) != face(new) {
            wake_dependents(&ctx, key);
        }
    }));
    let weak = Arc::downgrade(ctx);
    ctx.stores.namespaces.listen(Box::new(move |key, old, new| {
        let Some(ctx) = weak.upgrade() else { return };
        let labels = |entry: Option<&Entry<namespaces::Meta>>| entry.map(|entry| entry.meta().labels.clone());
        if labels(old) != labels(new) {
            wake_namespace(&ctx, &key.name);
        }
    }));
}

/// What others see of a cluster: whether it is there and stays, which of its specs was judged and how, and whether
/// deletions are released.
fn face(entry: Option<&Entry<KafkaCluster>>) -> Option<(&str, Option<i64>, Option<&String>, bool)> {
    let object = entry?.object()?;
    let ready = find(Clusters::conditions(object), READY).map_or("Unknown", |ready| ready.status.as_str());
    let judged = object
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    let leaves = object.metadata.deletion_timestamp.is_some();
    Some((
        ready,
        judged,
        object.annotations().get(RELEASE_DESTRUCTION),
        leaves,
    ))
}

/// Has what a namespace holds looked at again: its labels may let it refer to other clusters than before.
fn wake_namespace(ctx: &Context, namespace: &str) {
    fn wake<K: kube::Resource<DynamicType = ()>>(objects: Vec<Arc<K>>, namespace: &str, queue: &Queue) {
        for object in objects {
            if object.namespace().as_deref() == Some(namespace) {
                queue.add(Key::of(&*object));
            }
        }
    }
    wake(ctx.stores.topics.objects(), namespace, &ctx.queues.topics);
    wake(ctx.stores.producers.objects(), namespace, &ctx.queues.producers);
    wake(ctx.stores.consumers.objects(), namespace, &ctx.queues.consumers);
}
