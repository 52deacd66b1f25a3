//! KafkaTopicPurge: observe, plan, save the plan, carry it out, write the status. No rule lives here.
//!
//! *Architecture Invariant:* nothing is removed before the plan that names it is in the object's status, written on the
//! very state of the object that was read from the API server; and a plan once there is never made again.

mod clear;
pub mod desired;
mod ending;
pub mod execute;
mod flip;
mod notes;
pub mod observe;
mod pass;
pub mod plan;
pub mod reason;
mod recreate;
mod rival;
mod scene;
pub mod status;
mod triggers;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use ottla_crds::KafkaTopicPurge;
use tokio::time::Instant;
use tracing::info;

use self::reason::Reason;
use self::scene::{CROWDED, End};
use self::status::Outcome;
use crate::pods::pacing::Pacing;
use crate::runtime::apply::{self, Guard};
use crate::runtime::controller::generation;
use crate::runtime::{Action, Context, Error, Key, Reconciler};

pub use self::triggers::triggers;

/// Reconciles `KafkaTopicPurge`s.
#[derive(Debug, Default)]
pub struct Purges {
    turns: Turns,
    pacing: Pacing,
}

impl Reconciler for Purges {
    type Object = KafkaTopicPurge;
    const KIND: &'static str = "KafkaTopicPurge";
    const MANAGER: &'static str = "purge";

    fn reconcile<'a>(
        &'a self,
        ctx: &'a Context,
        object: Arc<KafkaTopicPurge>,
    ) -> BoxFuture<'a, Result<Action, Error>> {
        reconcile(self, ctx, object).boxed()
    }

    fn conditions(object: &KafkaTopicPurge) -> &[Condition] {
        object.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

async fn reconcile(purges: &Purges, ctx: &Context, object: Arc<KafkaTopicPurge>) -> Result<Action, Error> {
    let Some(_turn) = purges.turns.take(&object) else {
        return Ok(Action::After(CROWDED));
    };
    if object.metadata.deletion_timestamp.is_some() {
        purges.pacing.forget(&object.uid().unwrap_or_default());
        return ending::deleted(ctx, object).await;
    }
    if object
        .status
        .as_ref()
        .is_some_and(|status| status.completion_time.is_some())
    {
        return ending::after(ctx, &object).await;
    }
    let desired = match desired::parse(&object.spec) {
        Ok(desired) => desired,
        Err(message) => {
            let outcome = Outcome::new(Reason::InvalidSpec, message, Action::AwaitChange);
            return conclude(ctx, &object, &outcome).await;
        }
    };
    match Box::pin(pass::pass(ctx, object, desired)).await? {
        End::Wait(action) => Ok(action),
        End::Outcome(object, outcome) => purges.tell(ctx, &object, &outcome).await,
    }
}

impl Purges {
    /// Writes the outcome down: what is new at once, what only counts differently now and then.
    async fn tell(
        &self,
        ctx: &Context,
        object: &Arc<KafkaTopicPurge>,
        outcome: &Outcome,
    ) -> Result<Action, Error> {
        let (uid, now) = (object.uid().unwrap_or_default(), Instant::now());
        let previous = object.status.clone().unwrap_or_default();
        let next = status::next(&previous, outcome, generation(&**object), ctx.now());
        let figures = next
            .as_ref()
            .map(|next| status::differs_in_figures_only(&previous, next));
        if figures == Some(true)
            && let Some(wait) = self.pacing.wait(&uid, now)
        {
            return Ok(sooner(outcome.again, wait));
        }
        let again = conclude(ctx, object, outcome).await?;
        if outcome.reason.ends() {
            self.pacing.forget(&uid);
        } else if figures.is_some() {
            self.pacing.wrote(&uid, now);
        }
        Ok(again)
    }
}

/// What was to happen, or a look after so long if nothing was to happen before.
fn sooner(action: Action, wait: Duration) -> Action {
    match action {
        Action::AwaitChange => Action::After(wait),
        Action::After(other) => Action::After(other.min(wait)),
        Action::Retry(pace) => Action::Retry(pace),
    }
}

/// Writes the outcome down, if it says anything new, and tells of it.
async fn conclude(ctx: &Context, object: &Arc<KafkaTopicPurge>, outcome: &Outcome) -> Result<Action, Error> {
    let previous = object.status.clone().unwrap_or_default();
    let Some(status) = status::next(&previous, outcome, generation(&**object), ctx.now()) else {
        return Ok(outcome.again);
    };
    let written = apply::status(
        ctx,
        &ctx.stores.purges,
        &**object,
        Purges::MANAGER,
        &status,
        Guard::Uid,
    )
    .await?;
    ctx.publish(Purges::KIND, &**object, &notes::of_transition(&previous, outcome))
        .await;
    if !outcome.reason.ends() {
        return Ok(outcome.again);
    }
    let (namespace, name, reason) = (object.namespace(), object.name_any(), outcome.reason.as_str());
    info!(namespace, name, reason, "Ended KafkaTopicPurge");
    let method = object.spec.method.as_str();
    ctx.metrics.purge_ended(method, reason);
    if outcome.reason == Reason::Complete {
        let since = object.creation_timestamp().map_or(ctx.now(), |created| created.0);
        let took = ctx.now().duration_since(since).unsigned_abs();
        let removed = outcome.removed.or(status.records).unwrap_or_default();
        ctx.metrics.purged(method, removed, took);
    }
    ending::after(ctx, &written).await
}

/// Whose turn it is: passes over purges of one KafkaTopic never overlap, so that of two purges one sees the other.
#[derive(Debug, Default)]
struct Turns(Mutex<HashSet<Key>>);

/// A turn; dropped, it is over.
struct Turn<'a> {
    turns: &'a Turns,
    key: Key,
}

impl Turns {
    fn take(&self, object: &KafkaTopicPurge) -> Option<Turn<'_>> {
        let key = scene::topic_key(object);
        let fresh = {
            let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            taken.insert(key.clone())
        };
        // Made only when it is had: a turn that is dropped gives the key back.
        fresh.then(|| Turn { turns: self, key })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn purge(topic: &str) -> KafkaTopicPurge {
        serde_json::from_value(json!({
            "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaTopicPurge",
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"topicRef": {"name": topic}, "cut": {"type": "All"}}
        }))
        .unwrap()
    }

    #[test]
    fn a_topic_has_one_turn_at_a_time() {
        let turns = Turns::default();
        let first = turns.take(&purge("orders"));
        assert!(first.is_some());
        assert!(turns.take(&purge("orders")).is_none());
        assert!(
            turns.take(&purge("orders")).is_none(),
            "a refusal gives nothing back"
        );
        assert!(turns.take(&purge("other")).is_some());
        drop(first);
        assert!(turns.take(&purge("orders")).is_some());
    }
}
