//! KafkaTopic: observe, plan, save what must be saved, execute, write the status. No rule lives here.

mod claimants;
pub mod claims;
pub mod config;
pub mod defaults;
mod deletion;
pub mod desired;
pub mod execute;
pub mod figures;
mod held;
pub mod ledger;
mod look;
mod notes;
pub mod observe;
pub mod placement;
pub mod plan;
pub mod preview;
pub mod reason;
mod settling;
mod spread;
pub mod status;
pub mod sweep;
pub mod touched;
mod unthrottle;
mod upkeep;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use ottla_crds::KafkaTopic;
use ottla_crds::topic::DeletionPolicy;
use tokio::time::Instant;

use self::claims::Index;
use self::desired::Desired;
use self::look::End;
use self::reason::Reason;
use self::settling::Settling;
use self::spread::Spread;
use self::status::Outcome;
use crate::cluster::cluster_key;
use crate::runtime::apply::{self, Guard};
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::lanes::Lane;
use crate::runtime::{Action, Context, Error, Key, Reconciler};

const KIND: &str = "KafkaTopic";
const MANAGER: &str = "topic";

/// How far two answers must lie apart before an absence is believed: brokers that restart may lag that long.
pub(crate) const BELIEVE_ABSENCE: Duration = Duration::from_secs(30);

/// How soon a topic out of sight is looked for again: at first a broker may lag behind its creation by moments only.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// When to look again for a topic that has been out of sight for so long: as late as it is missing by then.
fn look_again(missing: Duration) -> Duration {
    missing.clamp(LOOK_AGAIN, BELIEVE_ABSENCE)
}

/// When to look again, while the absence of a topic is not believed yet.
fn doubt(missing: Duration) -> Option<Duration> {
    let left = BELIEVE_ABSENCE.saturating_sub(missing);
    (!left.is_zero()).then(|| left.min(look_again(missing)))
}

/// How long a deletion is known before it destroys: a thousand objects deleted by mistake come one by one.
const GATHER: Duration = Duration::from_secs(2);

/// Reconciles KafkaTopics.
#[derive(Debug, Default)]
pub struct Topics {
    claims: Index,
    /// Since when a topic that was seen before is out of sight, by the object's uid.
    missing: Mutex<HashMap<String, Instant>>,
    /// Since when an object is known to be at its end, with its topic, by the object's uid.
    doomed: Mutex<HashMap<String, Instant>>,
    spread: Spread,
    settling: Settling,
    /// Whether one answer that a topic is gone is believed: only where nothing follows from it.
    believes_at_once: bool,
}

impl Reconciler for Topics {
    type Object = KafkaTopic;
    const KIND: &'static str = KIND;
    const MANAGER: &'static str = MANAGER;

    fn reconcile<'a>(
        &'a self,
        ctx: &'a Context,
        object: Arc<KafkaTopic>,
    ) -> BoxFuture<'a, Result<Action, Error>> {
        reconcile(self, ctx, object).boxed()
    }

    fn lane(object: &KafkaTopic) -> Lane {
        Some(cluster_key(&Key::of(object), &object.spec.cluster_ref))
    }

    fn conditions(object: &KafkaTopic) -> &[Condition] {
        object.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

async fn reconcile(topics: &Topics, ctx: &Context, object: Arc<KafkaTopic>) -> Result<Action, Error> {
    if object.metadata.deletion_timestamp.is_some() {
        return deletion::reconcile(topics, ctx, object).await;
    }
    if held::by_purge(ctx, &object) {
        return Ok(Action::AwaitChange);
    }
    let parsed = desired::parse(&object.name_any(), &object.spec);
    let desired = match parsed {
        Ok(desired) => desired,
        Err(invalid) => {
            let outcome = Outcome::held(invalid.reason, invalid.message, Action::AwaitChange);
            return conclude(ctx, &object, &outcome).await;
        }
    };
    let object = keep_finalizer(ctx, object, &desired).await?;
    let end = if desired.suspend {
        suspended(topics, ctx, object, desired).await
    } else {
        upkeep::pass(topics, ctx, object, desired).await?
    };
    match end {
        End::Wait(action) => Ok(action),
        End::Outcome(object, outcome) => conclude(ctx, &object, &outcome).await,
    }
}

/// Does nothing, and says what else would be done.
async fn suspended(topics: &Topics, ctx: &Context, object: Arc<KafkaTopic>, desired: Desired) -> End {
    let outcome = match look::look(topics, ctx, &object, desired).await {
        Ok(look) => look.pending(),
        // Said once already, and no more can be told now.
        Err(_) if is_suspended(&object) => return End::Wait(Action::AwaitChange),
        Err(_) => Outcome::held(Reason::Suspended, "suspend is true", Action::AwaitChange),
    };
    End::Outcome(object, Box::new(outcome))
}

fn is_suspended(object: &KafkaTopic) -> bool {
    object.status.as_ref().is_some_and(|status| {
        status.observed_generation == Some(generation(object))
            && find(&status.conditions, READY).is_some_and(|ready| ready.reason == Reason::Suspended.as_str())
    })
}

/// The finalizer is on the object exactly while its deletion must act on Kafka.
async fn keep_finalizer(
    ctx: &Context,
    object: Arc<KafkaTopic>,
    desired: &Desired,
) -> Result<Arc<KafkaTopic>, Error> {
    let store = &ctx.stores.topics;
    match (desired.deletion, has_finalizer(&object)) {
        (DeletionPolicy::Delete, false) if may_delete(ctx, &object) => {
            apply::add_finalizer(ctx, store, &*object, ottla_crds::TOPIC_FINALIZER).await
        }
        (DeletionPolicy::Retain, true) if !is_throttled(&object) => {
            apply::remove_finalizer(ctx, store, &*object, ottla_crds::TOPIC_FINALIZER).await?;
            Ok(store.object(&Key::of(&*object)).unwrap_or(object))
        }
        _ => Ok(object),
    }
}

/// Whether replicas of the topic are throttled by this object, or are about to be.
pub(crate) fn is_throttled(object: &KafkaTopic) -> bool {
    let status = object.status.as_ref();
    status.is_some_and(|status| {
        status
            .reassignment
            .as_ref()
            .is_some_and(|moving| moving.throttle.is_some())
    })
}

fn has_finalizer(object: &KafkaTopic) -> bool {
    object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == ottla_crds::TOPIC_FINALIZER)
}

/// Whether an object that is to delete its topic lacks what makes it wait for that.
fn lost_finalizer(object: &KafkaTopic) -> bool {
    object.spec.deletion_policy == DeletionPolicy::Delete
        && object.metadata.deletion_timestamp.is_none()
        && !has_finalizer(object)
}

/// Whether the deletion of an object may delete its topic.
fn may_delete(ctx: &Context, object: &KafkaTopic) -> bool {
    let own = Key::of(object);
    let named = cluster_key(&own, &object.spec.cluster_ref);
    match ctx.stores.clusters.object(&named) {
        Some(cluster) => look::tenure(object, &cluster).may_take_and_delete(),
        None => named.namespace == own.namespace,
    }
}

/// Writes the outcome down, if it says anything new, and tells of it.
async fn conclude(ctx: &Context, object: &Arc<KafkaTopic>, outcome: &Outcome) -> Result<Action, Error> {
    let previous = object.status.clone().unwrap_or_default();
    let name = object.name_any();
    let topic = desired::name(&name, &object.spec);
    let mut status = status::next(&previous, topic, outcome, generation(&**object), ctx.now())
        .unwrap_or_else(|| previous.clone());
    status.last_purge = ledger::last(object).or(status.last_purge);
    if status != previous {
        apply::status(
            ctx,
            &ctx.stores.topics,
            &**object,
            Topics::MANAGER,
            &status,
            Guard::Uid,
        )
        .await?;
        if notes::reports_drift(&previous, outcome) {
            upkeep::count_drift(ctx, object, "reported");
        }
        ctx.publish(Topics::KIND, &**object, &notes::of_transition(&previous, outcome))
            .await;
    }
    Ok(outcome.again)
}

impl Topics {
    /// For who looks once and does nothing: an absence is believed at once.
    #[must_use]
    pub fn for_preview() -> Self {
        Self {
            believes_at_once: true,
            ..Self::default()
        }
    }

    /// For how long a topic that was seen before is out of sight.
    fn out_of_sight(&self, object: &KafkaTopic) -> Duration {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let since = missing.entry(object.uid().unwrap_or_default());
        since.or_insert_with(Instant::now).elapsed()
    }

    /// How long to wait before the topic of an object is destroyed, so that others deleted with it are counted first.
    fn gathering(&self, object: &KafkaTopic) -> Option<Duration> {
        let mut doomed = self.doomed.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *doomed
            .entry(object.uid().unwrap_or_default())
            .or_insert_with(Instant::now);
        let left = GATHER.saturating_sub(since.elapsed());
        (!left.is_zero()).then_some(left)
    }

    /// Forgets an object that is gone.
    fn forget(&self, key: &Key, uid: &str) {
        for since in [&self.missing, &self.doomed] {
            since.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        }
        self.spread.forget(key);
    }

    fn in_sight(&self, object: &KafkaTopic) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.remove(&object.uid().unwrap_or_default());
    }
}

/// Registers what triggers passes over KafkaTopics beside their own changes: rivals for the same topic.
pub fn triggers(ctx: &Context, topics: &Arc<Topics>) {
    let (weak, queue) = (Arc::downgrade(topics), ctx.queues.topics.clone());
    let clusters = ctx.queues.clusters.clone();
    ctx.stores.topics.listen(Box::new(move |key, old, new| {
        let Some(topics) = weak.upgrade() else { return };
        let old = old.and_then(|entry| entry.object());
        let new = new.and_then(|entry| entry.object());
        let named = |object: &Arc<KafkaTopic>| desired::name(&key.name, &object.spec).to_owned();
        let (before, after) = (old.map(named), new.map(named));
        topics.claims.moved(key, before.as_deref(), after.as_deref());
        if new.is_none()
            && let Some(uid) = old.and_then(|object| object.uid())
        {
            topics.forget(key, &uid);
        }
        // No other change shows it: neither generation nor annotations move.
        if old.is_some_and(|old| has_finalizer(old)) && new.is_some_and(|new| lost_finalizer(new)) {
            queue.add(key.clone());
        }
        // Its brokers are told how fast, or that it is over.
        if old.is_some_and(|old| is_throttled(old)) != new.is_some_and(|new| is_throttled(new))
            && let Some(object) = new.or(old)
        {
            clusters.add(cluster_key(key, &object.spec.cluster_ref));
        }
        let stake = |object: Option<&Arc<KafkaTopic>>| {
            object.map(|object| {
                let id = object.status.as_ref().and_then(|status| status.topic_id.clone());
                (id, object.metadata.deletion_timestamp.is_some())
            })
        };
        if stake(old) != stake(new)
            && let Some(topic) = after.or(before)
        {
            for rival in topics
                .claims
                .naming(&topic)
                .into_iter()
                .filter(|rival| rival != key)
            {
                queue.add(rival);
            }
        }
    }));
}
