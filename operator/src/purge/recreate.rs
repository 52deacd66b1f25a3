//! Recreate: deletes the topic by its id and creates it again in the saved shape, and ends once the brokers serve it.
//!
//! *Architecture Invariant:* a topic of another id than the planned one is never deleted.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ottla_crds::purge::{PurgeStep, SavedTopic};
use ottla_kafka::admin::Topic;
use ottla_kafka::error::KafkaError;
use ottla_kafka::types::TopicId;

use super::clear::finish;
use super::execute::{Done, perform};
use super::observe;
use super::pass::pods_away;
use super::plan::{self, Action};
use super::reason::Reason;
use super::scene::{End, Scene};
use super::status::Outcome;
use crate::pods::names::Role;
use crate::runtime::backoff::Pace;
use crate::runtime::{self, Error};

/// How soon to ask again whether the brokers serve the new topic.
const LOOK: Duration = Duration::from_millis(100);
/// How long to ask: where somebody writes at once, the new log may look like the old one.
const SERVED_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// Goes on with a Recreate that has begun.
pub(super) async fn go_on(mut scene: Scene<'_>, saved: &SavedTopic, step: PurgeStep) -> Result<End, Error> {
    if let Some(id) = scene.status().new_topic_id {
        tracing::debug!(id, "Topic was created again before");
        return Box::pin(settle(scene)).await;
    }
    if let Some(outcome) = pods_away(&scene, Role::Producer).or_else(|| pods_away(&scene, Role::Consumer)) {
        return Ok(scene.end(outcome));
    }
    let live = match observe::topic(&*scene.kafka.admin, &scene.name).await {
        Ok(live) => live,
        Err(error) => return Ok(scene.failed(&error)),
    };
    if step == PurgeStep::Clearing {
        if let Some(end) = delete(&mut scene, live.as_ref()).await? {
            return Ok(scene.end(end));
        }
        return create(scene, saved, None).await;
    }
    create(scene, saved, live).await
}

/// Deletes the topic that was planned for; afterwards it is gone beyond doubt, and that is written down.
async fn delete(scene: &mut Scene<'_>, live: Option<&Topic>) -> Result<Option<Outcome>, Error> {
    let Some(planned) = scene.planned_id() else {
        return Err(Error::Internal("a plan without a topic id".to_owned()));
    };
    if let Some(other) = live.filter(|live| live.id != planned) {
        let message = format!(
            "topic {} has the id {} now, and was planned for as {planned}: it is another, and is not touched",
            other.name, other.id
        );
        return Ok(Some(Outcome::new(
            Reason::TopicReplaced,
            message,
            runtime::Action::AwaitChange,
        )));
    }
    // By id, so that asking again is safe, and the answer is the controller's own.
    if let Err(error) = perform(&*scene.kafka.admin, &Action::DeleteTopic(planned)).await {
        return Ok(Some(Outcome::failed(&error)));
    }
    let outcome = Outcome::new(
        Reason::Recreating,
        "the topic is deleted and is created again",
        runtime::Action::AwaitChange,
    );
    scene
        .save(&outcome, |status| status.step = Some(PurgeStep::Recreating))
        .await?;
    Ok(None)
}

/// Creates the topic in its saved shape, or takes the one that a lost reply, or somebody else, put there.
async fn create(mut scene: Scene<'_>, saved: &SavedTopic, live: Option<Topic>) -> Result<End, Error> {
    let planned = scene.planned_id();
    let admin = scene.kafka.admin.clone();
    if let Some(found) = live.filter(|live| Some(live.id) != planned) {
        let actions = match plan::reshaped(&found, saved) {
            Ok(actions) => actions,
            Err(message) => {
                let outcome = Outcome::new(Reason::TopicReplaced, message, runtime::Action::AwaitChange);
                return Ok(scene.end(outcome));
            }
        };
        for action in &actions {
            if let Err(error) = perform(&*admin, action).await {
                return Ok(scene.failed(&error));
            }
        }
        remember_new(&mut scene, found.id).await?;
        return Box::pin(settle(scene)).await;
    }
    let Some(again) = plan::again(&scene.name, saved) else {
        return Err(Error::Internal("a Recreate without a saved shape".to_owned()));
    };
    match perform(&*admin, &Action::CreateTopic(again)).await {
        Ok(Done::Created(created)) => {
            remember_new(&mut scene, created.id).await?;
            Box::pin(settle(scene)).await
        }
        Ok(Done::Full | Done::Partly(_)) => Err(Error::Internal("a create without an answer".to_owned())),
        Err(error) => {
            // What the reply left open is seen at the next look.
            let mut outcome = Outcome::failed(&error);
            outcome.reason = Reason::Recreating;
            outcome.again = runtime::Action::Retry(Pace::FAST);
            Ok(scene.end(outcome))
        }
    }
}

/// Remembers the topic created in the place of the one planned for, and until when its brokers are waited for.
async fn remember_new(scene: &mut Scene<'_>, id: TopicId) -> Result<(), Error> {
    let outcome = Outcome::new(
        Reason::Recreating,
        awaited(&id.to_string()),
        runtime::Action::AwaitChange,
    );
    let until = scene.ctx.now().checked_add(SERVED_WITHIN).ok().map(Time);
    scene
        .save(&outcome, |status| {
            status.new_topic_id = Some(id.to_string());
            status.clearing_until = until;
        })
        .await
}

/// What is said from the creation on until the end.
fn awaited(id: &str) -> String {
    format!("the topic is created again as {id}; the purge waits until every broker serves it")
}

/// Ends the purge once the new topic is served. The controller creates a topic, and brokers learn of it later: until then a
/// leader takes records for the log that is about to go, and whoever reads finds what was there.
async fn settle(scene: Scene<'_>) -> Result<End, Error> {
    let until = scene.status().clearing_until;
    if until.is_some_and(|Time(until)| scene.ctx.now() >= until) {
        return finish(scene, None).await;
    }
    let (message, again) = match is_served(&scene).await {
        Ok(true) => return finish(scene, None).await,
        // It takes moments: said in the words that are in the status already, it is not worth a write.
        Ok(false) => (
            awaited(scene.status().new_topic_id.as_deref().unwrap_or_default()),
            runtime::Action::After(LOOK),
        ),
        Err(error) => (
            format!("the topic is created again, and not served yet: {error}"),
            runtime::Action::Retry(Pace::FAST),
        ),
    };
    Ok(scene.end(Outcome::new(Reason::Recreating, message, again)))
}

/// Whether Kafka shows another topic than the one planned for, and every leader another log.
async fn is_served(scene: &Scene<'_>) -> Result<bool, KafkaError> {
    let (admin, status) = (&*scene.kafka.admin, scene.status());
    let shown = observe::topic(admin, &scene.name).await?;
    if shown.is_none_or(|shown| Some(shown.id) == scene.planned_id()) {
        return Ok(false);
    }
    let scope = status.partitions.iter().map(|one| one.partition.into()).collect();
    let spans = observe::spans(admin, &scene.name, &scope).await?;
    Ok(plan::is_another_log(&status.partitions, &spans))
}
