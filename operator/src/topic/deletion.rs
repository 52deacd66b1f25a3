//! The end of a KafkaTopic. Kafka is touched only where deletionPolicy says so, by the recorded topic id, for the
//! object as the API server has it at that moment, and while nobody else claims the topic.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use ottla_crds::topic::DeletionPolicy;
use ottla_crds::{KafkaCluster, KafkaTopic};
use ottla_kafka::types::TopicId;
use tracing::info;

use super::claimants::{anyone_else, other_owner};
use super::execute::perform;
use super::look::{self, CROWDED, Kafka, LISTING};
use super::plan;
use super::reason::Reason;
use super::status::{self, Outcome};
use super::upkeep::poke;
use super::{Topics, conclude, has_finalizer, held, unthrottle};
use crate::cluster::destruction::{self, Standing};
use crate::cluster::tenancy::Access;
use crate::cluster::{access, cluster_key};
use crate::runtime::apply;
use crate::runtime::conditions::find;
use crate::runtime::events::Note;
use crate::runtime::store::Entry;
use crate::runtime::{Action, Context, Error, Key};

/// How soon to see whether a hold is over: the last of many topics may have been spared meanwhile.
const HELD: Duration = Duration::from_secs(10);

/// What to do at an object's end.
enum End {
    /// Let the object go and leave Kafka alone; the event says why.
    Release(Note),
    /// Delete this topic first.
    Delete(Kafka, TopicId),
    /// Not yet.
    Hold(Outcome),
    /// In a moment.
    Later(Duration),
    /// The cluster is in doubt: once it has been looked at.
    InDoubt,
}

pub(super) async fn reconcile(
    topics: &Topics,
    ctx: &Context,
    object: Arc<KafkaTopic>,
) -> Result<Action, Error> {
    if !has_finalizer(&object) {
        return Ok(Action::AwaitChange);
    }
    // Between two ids there is no topic to delete: the purge comes to its end first, and its end wakes us.
    if held::by_purge(ctx, &object) {
        return Ok(Action::AwaitChange);
    }
    // The store may lag: what is destroyed is decided on the object itself.
    let Some(object) = apply::live(ctx, &ctx.stores.topics, &*object).await? else {
        return Ok(Action::AwaitChange);
    };
    if object.metadata.deletion_timestamp.is_none() || !has_finalizer(&object) {
        return Ok(Action::After(Duration::from_secs(1)));
    }
    let note = match decide(topics, ctx, &object) {
        End::InDoubt => return Ok(Action::AwaitChange),
        End::Hold(outcome) => return conclude(ctx, &object, &outcome).await,
        End::Later(wait) => return Ok(Action::After(wait)),
        End::Release(note) => match unthrottle::before_release(ctx, &object).await {
            Ok(()) => note,
            Err(outcome) => return conclude(ctx, &object, &outcome).await,
        },
        End::Delete(kafka, id) => match perform(&*kafka.admin, &plan::Action::Delete(id)).await {
            Ok(_) => {
                info!(namespace = object.namespace(), name = object.name_any(), topic_id = %id, "Deleted topic");
                Note::normal(
                    "TopicDeleted",
                    "Delete",
                    format!("deleted topic {id} with its records"),
                )
            }
            Err(error) => {
                poke(ctx, &object, &error);
                let outcome = Outcome::failed(&error, status::Shape::Keep);
                // A deletion is never given up: what forbids it may be lifted without a change of the object.
                let again = if outcome.again == Action::AwaitChange {
                    Action::Retry(crate::runtime::backoff::Pace::SLOW)
                } else {
                    outcome.again
                };
                return conclude(ctx, &object, &Outcome { again, ..outcome }).await;
            }
        },
    };
    let notes = [note];
    let (removed, ()) = tokio::join!(
        apply::remove_finalizer(ctx, &ctx.stores.topics, &*object, ottla_crds::TOPIC_FINALIZER),
        ctx.publish(super::KIND, &*object, &notes),
    );
    removed?;
    Ok(Action::AwaitChange)
}

fn decide(topics: &Topics, ctx: &Context, object: &KafkaTopic) -> End {
    let kept = |why: &str| {
        End::Release(Note::normal(
            "TopicKept",
            "Release",
            format!("the topic stays: {why}"),
        ))
    };
    if object.spec.suspend {
        return kept("the object was suspended");
    }
    if object.spec.deletion_policy == DeletionPolicy::Retain {
        return kept("deletionPolicy is Retain");
    }
    let Some(status) = object.status.as_ref().filter(|status| status.topic_id.is_some()) else {
        return kept("this object never had one");
    };
    let own = Key::of(object);
    let named = cluster_key(&own, &object.spec.cluster_ref);
    let cluster = match ctx.stores.clusters.get(&named) {
        Some(Entry::Object(cluster)) => cluster,
        Some(Entry::Broken(_)) => return not_ready(&named),
        None => return kept("its KafkaCluster is gone"),
    };
    match access(&ctx.stores, &cluster, &own.namespace) {
        Access::Allowed => {}
        Access::Denied => return kept("its KafkaCluster is gone"),
        Access::Unknown => return End::Later(LISTING),
    }
    if !look::tenure(object, &cluster).may_take_and_delete() {
        return kept("from this namespace no topic of that name may be deleted");
    }
    // A Secret that goes first must not hold its namespace: a connection that worked is used to its end.
    let connection = ctx.connections.get(&named);
    if connection
        .as_ref()
        .is_some_and(|c| c.hold_back(&Key::of(object), &ctx.queues.topics))
    {
        return End::InDoubt;
    }
    let usable = connection.and_then(|connection| {
        let slot = connection.slot(super::KIND, &Key::of(object), &ctx.queues.topics);
        Some((connection.once_usable()?, slot))
    });
    let Some(((admin, id), slot)) = usable else {
        return not_ready(&named);
    };
    let Some(recorded) = status::recorded(status, &id).id else {
        return kept("it was on another cluster than is there now");
    };
    let name = object.name_any();
    let topic = super::desired::name(&name, &object.spec);
    let place = (topic, &id);
    if other_owner(topics, ctx, object, place, Some(recorded)).is_some()
        || anyone_else(topics, ctx, object, topic, &id)
    {
        return kept("another object claims it");
    }
    match destruction::permission(ctx, &cluster) {
        Standing::Held(_) => return too_many(ctx, &cluster),
        Standing::Released => {}
        Standing::Open => {
            if let Some(wait) = topics.gathering(object) {
                return End::Later(wait);
            }
        }
    }
    match slot {
        Some(slot) => End::Delete(
            Kafka {
                admin,
                id,
                throttled: false,
                _slot: slot,
            },
            recorded,
        ),
        None => End::Later(CROWDED),
    }
}

fn not_ready(cluster: &Key) -> End {
    let message =
        format!("the topic is deleted once KafkaCluster {cluster} is ready; to keep it, set suspend");
    End::Hold(Outcome::held(
        Reason::ClusterNotReady,
        message,
        Action::AwaitChange,
    ))
}

/// Holds a deletion among too many; the KafkaCluster tells how many, and how they are released.
fn too_many(ctx: &Context, cluster: &KafkaCluster) -> End {
    let key = Key::of(cluster);
    let conditions = cluster.status.as_ref().map(|status| &status.conditions[..]);
    if find(conditions.unwrap_or_default(), destruction::DESTRUCTION_HOLD).is_none() {
        ctx.queues.clusters.add(key.clone());
    }
    let message = format!(
        "too many topics of KafkaCluster {key} await their deletion at once, and none is deleted: its condition \
         DestructionHold says how many, and how they are released; to keep this topic, set suspend"
    );
    End::Hold(Outcome::held(
        Reason::DestructionHold,
        message,
        Action::After(HELD),
    ))
}
