//! What follows a purge's end, and what its deletion half-way leaves to be done.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kube::ResourceExt;
use ottla_crds::purge::{PurgeMethod, PurgeStep};
use ottla_crds::{KafkaTopicPurge, PURGE_FINALIZER};

use super::reason::Reason;
use super::scene::{End, Scene};
use super::status::Outcome;
use super::{Purges, clear, conclude, desired, recreate};
use crate::runtime::apply;
use crate::runtime::events::Note;
use crate::runtime::{Action, Context, Error, Reconciler};

/// After a purge has ended: nothing is left to restore, and its time to live runs.
pub(super) async fn after(ctx: &Context, object: &Arc<KafkaTopicPurge>) -> Result<Action, Error> {
    release(ctx, object).await?;
    let ended = object
        .status
        .as_ref()
        .and_then(|status| status.completion_time.as_ref());
    let (Some(ended), Some(seconds)) = (ended, object.spec.ttl_seconds_after_finished) else {
        return Ok(Action::AwaitChange);
    };
    let due = ended
        .0
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(ended.0);
    let now = ctx.now();
    if now < due {
        let left = due.duration_since(now).unsigned_abs();
        return Ok(Action::After(left.max(Duration::from_secs(1))));
    }
    apply::delete(ctx, &**object).await?;
    Ok(Action::AwaitChange)
}

async fn release(ctx: &Context, object: &KafkaTopicPurge) -> Result<(), Error> {
    apply::remove_finalizer(ctx, &ctx.stores.purges, object, PURGE_FINALIZER).await
}

/// A purge deleted half-way: what it lowered is restored, what it deleted is created again, then it goes.
pub(super) async fn deleted(ctx: &Context, object: Arc<KafkaTopicPurge>) -> Result<Action, Error> {
    if !object.finalizers().iter().any(|one| one == PURGE_FINALIZER) {
        return Ok(Action::AwaitChange);
    }
    let status = object.status.clone().unwrap_or_default();
    let begun = status.step.is_some_and(|step| step > PurgeStep::Planned);
    let (Some(saved), true, None) = (status.saved, begun, &status.completion_time) else {
        return release(ctx, &object).await.map(|()| Action::AwaitChange);
    };
    let desired = match desired::parse(&object.spec) {
        Ok(desired) => desired,
        Err(problem) => return give_up(ctx, &object, &problem).await,
    };
    let scene = match Scene::set(ctx, object.clone(), desired) {
        Ok(scene) => scene,
        Err(end) => return stuck(ctx, end).await,
    };
    let end = if scene.desired.method == PurgeMethod::Recreate {
        recreate::go_on(scene, &saved, status.step.unwrap_or(PurgeStep::Clearing)).await?
    } else {
        match clear::put_back(&scene, &saved).await {
            Ok(None) => return release(ctx, &object).await.map(|()| Action::AwaitChange),
            Ok(Some(outcome)) => scene.end(outcome),
            Err(error) => scene.failed(&error),
        }
    };
    match end {
        End::Outcome(object, outcome) if outcome.reason == Reason::Complete => {
            release(ctx, &object).await.map(|()| Action::AwaitChange)
        }
        end => stuck(ctx, end).await,
    }
}

/// Waits for what may come, and lets go of what never will.
async fn stuck(ctx: &Context, end: End) -> Result<Action, Error> {
    match end {
        End::Wait(action) => Ok(action),
        End::Outcome(object, outcome)
            if outcome.reason == Reason::ClusterNotFound || outcome.reason.ends() =>
        {
            give_up(ctx, &object, &outcome.message).await
        }
        End::Outcome(object, outcome) => conclude(ctx, &object, &waiting(*outcome)).await,
    }
}

fn waiting(outcome: Outcome) -> Outcome {
    let message = format!("deleted, and gone once all is restored: {}", outcome.message);
    Outcome { message, ..outcome }
}

/// Lets the object go although something may be left as it was lowered, and says so.
async fn give_up(ctx: &Context, object: &Arc<KafkaTopicPurge>, why: &str) -> Result<Action, Error> {
    let message = format!("what this purge had changed was not restored: {why}");
    let note = Note::warning("NotRestored", "Restore", message);
    ctx.publish(Purges::KIND, &**object, &[note]).await;
    release(ctx, object).await?;
    Ok(Action::AwaitChange)
}
