//! The rate at which brokers may move replicas (KIP-73): set on them while any KafkaTopic of the cluster has throttled
//! moves, and taken off after the last.
//!
//! What is set is saved in the status before, and taken off only where it stands as saved. A broker on which somebody
//! else has set a rate is left alone. While ours is set, the KafkaCluster carries a finalizer.

pub(super) mod plan;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use ottla_crds::cluster::ReplicationThrottle;
use ottla_crds::{CLUSTER_FINALIZER, KafkaCluster};
use ottla_kafka::error::KafkaError;
use tracing::warn;

use self::plan::KEYS;
use super::{Clusters, execute};
use crate::connections::Connection;
use crate::runtime::apply::{self, Guard};
use crate::runtime::backoff::Pace;
use crate::runtime::events::Note;
use crate::runtime::{Action, Context, Error, Key, Reconciler};
use crate::topic::touched;

/// How soon brokers are looked at again while replicas are moved: one may have come, or somebody changed a rate.
const WATCH: Duration = Duration::from_secs(10);

/// Brings brokers to what the moves under way need. Tells when to look again; none where nothing is throttled.
pub(super) async fn keep(
    ctx: &Context,
    object: Arc<KafkaCluster>,
    rate: Option<i64>,
    connection: &Connection,
) -> Result<Option<Action>, Error> {
    let leaves = object.metadata.deletion_timestamp.is_some();
    if rate.is_none() && recorded(&object).is_none() && !has_finalizer(&object) {
        return Ok(None);
    }
    // From here on nobody begins a move; whoever relied on it before is known as one who needs it.
    connection.set_throttled(false);
    let wanted = rate.filter(|_| !leaves && touched::any_throttled(ctx, &object));
    if wanted.is_none() && recorded(&object).is_none() {
        return part(ctx, &object).await;
    }
    let admin = connection.admin().clone();
    let keys = KEYS.map(str::to_owned).into();
    let live = match admin.describe_broker_configs(keys).await {
        Ok(live) => live,
        Err(error) => return Ok(Some(again(&object, &error))),
    };
    let plan = plan::plan(wanted, recorded(&object), &live);
    let object = save(ctx, object, plan.record.as_ref()).await?;
    let untold = execute::tell(&*admin, &Key::of(&*object), &plan).await;
    let object = save(ctx, object, plan.after(&untold).as_ref()).await?;
    if wanted.is_some() {
        connection.set_throttled(untold.is_empty());
    }
    let given_up = leaves && untold.is_empty();
    if given_up && let Some(left) = recorded(&object) {
        // Brokers that are not there cannot be asked, and their KafkaCluster goes.
        let notes = [left_behind(left)];
        ctx.publish(Clusters::KIND, &*object, &notes).await;
    }
    if recorded(&object).is_none() || given_up {
        return part(ctx, &object).await;
    }
    Ok(Some(if untold.is_empty() {
        Action::After(WATCH)
    } else {
        Action::Retry(Pace::PROBE)
    }))
}

/// Lets a KafkaCluster go whose credentials are gone, so that nothing can be taken off its brokers ever.
pub(super) async fn give_up(ctx: &Context, object: &Arc<KafkaCluster>) -> Result<(), Error> {
    if let Some(left) = recorded(object) {
        let notes = [left_behind(left)];
        ctx.publish(Clusters::KIND, &**object, &notes).await;
    }
    apply::remove_finalizer(ctx, &ctx.stores.clusters, &**object, CLUSTER_FINALIZER).await
}

fn recorded(object: &KafkaCluster) -> Option<&ReplicationThrottle> {
    object.status.as_ref()?.replication_throttle.as_ref()
}

/// Whether what is set on brokers holds the object.
pub(super) fn has_finalizer(object: &KafkaCluster) -> bool {
    object.finalizers().iter().any(|one| one == CLUSTER_FINALIZER)
}

/// Takes the finalizer off, once nothing of ours is set any more.
async fn part(ctx: &Context, object: &Arc<KafkaCluster>) -> Result<Option<Action>, Error> {
    if object.metadata.deletion_timestamp.is_some() && touched::any_lifting(ctx, object) {
        return Ok(Some(Action::Retry(Pace::PROBE)));
    }
    apply::remove_finalizer(ctx, &ctx.stores.clusters, &**object, CLUSTER_FINALIZER).await?;
    Ok(None)
}

/// Writes down what is, or is about to be, set. A change of the object meanwhile ends the pass.
async fn save(
    ctx: &Context,
    object: Arc<KafkaCluster>,
    record: Option<&ReplicationThrottle>,
) -> Result<Arc<KafkaCluster>, Error> {
    if recorded(&object) == record {
        return Ok(object);
    }
    let store = &ctx.stores.clusters;
    let object = if record.is_some() && object.metadata.deletion_timestamp.is_none() {
        apply::add_finalizer(ctx, store, &*object, CLUSTER_FINALIZER).await?
    } else {
        object
    };
    let mut status = object.status.clone().unwrap_or_default();
    status.replication_throttle = record.cloned();
    apply::status(ctx, store, &*object, Clusters::MANAGER, &status, Guard::Version).await
}

fn again(object: &KafkaCluster, error: &KafkaError) -> Action {
    let key = Key::of(object);
    warn!(namespace = key.namespace, name = key.name, %error, "Throttle of brokers not read");
    Action::Retry(Pace::PROBE)
}

fn left_behind(left: &ReplicationThrottle) -> Note {
    let brokers: Vec<String> = left.brokers.iter().map(ToString::to_string).collect();
    Note::warning(
        "ThrottleLeft",
        "Unthrottle",
        format!(
            "{} and {} stay set on brokers {}, which cannot be asked any more; take them off with kafka-configs",
            KEYS[0],
            KEYS[1],
            brokers.join(", ")
        ),
    )
}
