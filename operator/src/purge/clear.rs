//! Carries a saved plan out, method by method, and goes on wherever the saved step says.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt;
use ottla_crds::purge::{KafkaTopicPurgeStatus, PurgeMethod, PurgeStep, SavedTopic};
use ottla_crds::{KafkaTopic, KafkaTopicPurge, PURGES};
use ottla_kafka::error::{ErrorCode, KafkaError};
use ottla_kafka::types::PartitionId;
use tracing::info;

use super::execute::{Done, perform};
use super::reason::Reason;
use super::scene::{End, Scene};
use super::status::{self, Outcome};
use super::{Purges, desired, notes, observe, plan};
use crate::runtime::apply;
use crate::runtime::backoff::Pace;
use crate::runtime::{Action, Context, Error, Reconciler};
use crate::topic::ledger;

/// How soon to ask again whether a changed policy has reached the leaders.
pub(super) const SPREADING: Duration = Duration::from_millis(300);

/// Begins to carry out a plan that nothing stands before.
pub(super) async fn begin(scene: Scene<'_>) -> Result<End, Error> {
    if let Some(end) = same_topic(&scene).await {
        return Ok(scene.end(end));
    }
    let status = scene.status();
    let start = notes::of_start(&status);
    let (ctx, object) = (scene.ctx, scene.object.clone());
    let told = ctx.publish(Purges::KIND, &*object, &start);
    let (end, ()) = tokio::join!(carry_out(scene, status.saved), told);
    end
}

async fn carry_out(mut scene: Scene<'_>, saved: Option<SavedTopic>) -> Result<End, Error> {
    match (scene.desired.method, saved) {
        (PurgeMethod::DeleteRecords, None) => match delete(&scene).await {
            Ok(None) => finish(scene, None).await,
            Ok(Some(outcome)) => Ok(scene.end(outcome)),
            Err(error) => Ok(scene.failed(&error)),
        },
        (_, Some(_)) => {
            scene
                .save(&purging(), |status| status.step = Some(PurgeStep::Clearing))
                .await?;
            go_on(scene, PurgeStep::Clearing).await
        }
        (_, None) => Err(Error::Internal(
            "a plan without what is to be restored".to_owned(),
        )),
    }
}

/// Goes on where the last pass, or the last process, stopped.
pub(super) async fn go_on(scene: Scene<'_>, step: PurgeStep) -> Result<End, Error> {
    let Some(saved) = scene.status().saved else {
        return Err(Error::Internal(
            "a step without what is to be restored".to_owned(),
        ));
    };
    match (scene.desired.method, step) {
        (_, PurgeStep::Restoring) => restore(scene, &saved).await,
        (PurgeMethod::DeleteRecords, _) => widen_and_delete(scene, &saved).await,
        (PurgeMethod::RetentionFlip, _) => super::flip::go_on(scene, &saved).await,
        (PurgeMethod::Recreate, _) => super::recreate::go_on(scene, &saved, step).await,
    }
}

/// Whether the topic that was planned for still stands under its name; else, what to say.
pub(super) async fn same_topic(scene: &Scene<'_>) -> Option<Outcome> {
    match observe::topic(&*scene.kafka.admin, &scene.name).await {
        Ok(Some(topic)) if Some(topic.id) == scene.planned_id() => None,
        Ok(Some(topic)) => Some(Outcome::new(
            Reason::TopicReplaced,
            format!(
                "topic {} has the id {} now, and was planned for as {}: it is another, and is not touched",
                scene.name,
                topic.id,
                scene.status().topic_id.unwrap_or_default()
            ),
            Action::AwaitChange,
        )),
        Ok(None) => {
            let message = format!("Kafka shows no topic {}", scene.name);
            Some(Outcome::new(
                Reason::TopicNotReady,
                message,
                Action::Retry(Pace::FAST),
            ))
        }
        Err(error) => Some(Outcome::failed(&error)),
    }
}

/// Deletes the records below the saved cuts; none when every partition is done.
async fn delete(scene: &Scene<'_>) -> Result<Option<Outcome>, KafkaError> {
    let status = scene.status();
    let Some(action) = plan::deletion(&scene.name, &status.partitions) else {
        return Ok(None);
    };
    match perform(&*scene.kafka.admin, &action).await? {
        Done::Partly(failed) => {
            let applied = applied(scene, &failed).await;
            Ok(Some(status::partial(status.partitions.len(), &failed, &applied)))
        }
        Done::Full | Done::Created(_) => Ok(None),
    }
}

/// Of the partitions that took Kafka too long, those whose log begins at the cut: a leader acts at once, and tells
/// of it only when every live replica has followed.
async fn applied(scene: &Scene<'_>, failed: &[(PartitionId, KafkaError)]) -> BTreeSet<PartitionId> {
    let timed_out = |error: &KafkaError| error.code() == Some(ErrorCode::REQUEST_TIMED_OUT);
    let unknown = failed.iter().filter(|(_, error)| timed_out(error));
    let scope: BTreeSet<PartitionId> = unknown.map(|(partition, _)| *partition).collect();
    if scope.is_empty() {
        return scope;
    }
    // Without an answer nothing is called applied; the cuts are asked for again in any case.
    let starts = observe::starts(&*scene.kafka.admin, &scene.name, &scope).await;
    plan::reached(&scene.status().partitions, &starts.unwrap_or_default())
}

/// Widens a compacted topic's policy, deletes, and restores.
async fn widen_and_delete(mut scene: Scene<'_>, saved: &SavedTopic) -> Result<End, Error> {
    if let Some(outcome) = same_topic(&scene).await {
        return Ok(scene.end(outcome));
    }
    let overdue = super::pass::overdue(&scene, scene.ctx.now());
    if overdue.is_none() {
        let widened = plan::widened(&scene.name);
        match lower(&scene, &widened, saved).await? {
            Lowered::Stays => {}
            Lowered::PutBack => return Ok(End::Wait(Action::After(SPREADING))),
            Lowered::Failed(error) => return Ok(scene.failed(&error)),
        }
        match delete(&scene).await {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                // Leaders learn of the wider policy within moments.
                let spreading = |code: &str| code == ErrorCode::POLICY_VIOLATION.to_string();
                let again = if outcome.failures.iter().all(|one| spreading(&one.error)) {
                    purging()
                } else {
                    outcome
                };
                return Ok(scene.end(again));
            }
            Err(error) => return Ok(scene.failed(&error)),
        }
    }
    scene
        .save(&restoring(), |status| status.step = Some(PurgeStep::Restoring))
        .await?;
    restore(scene, saved).await
}

/// What became of a change for the time of the purge.
pub(super) enum Lowered {
    /// It stays until this operator restores it.
    Stays,
    /// It came too late, and is put back.
    PutBack,
    /// Kafka did not do as asked.
    Failed(KafkaError),
}

/// Changes the configuration for the time of the purge. An operator that was held up may be overtaken by another, which
/// restores and ends the purge before the change arrives: then it is put back at once, for nobody else would.
pub(super) async fn lower(
    scene: &Scene<'_>,
    change: &plan::Action,
    saved: &SavedTopic,
) -> Result<Lowered, Error> {
    let admin = &*scene.kafka.admin;
    let done = perform(admin, change).await;
    let live = apply::live(scene.ctx, &scene.ctx.stores.purges, &*scene.object).await?;
    let (done, end) = if live.is_some_and(|live| is_clearing(&live)) {
        (done, Lowered::Stays)
    } else {
        let put_back = perform(admin, &plan::restored(&scene.name, saved)).await;
        (put_back, Lowered::PutBack)
    };
    Ok(done.map_or_else(Lowered::Failed, |_| end))
}

/// Whether a purge still wants its topic changed.
fn is_clearing(purge: &KafkaTopicPurge) -> bool {
    let status = purge.status.as_ref();
    purge.metadata.deletion_timestamp.is_none()
        && status.is_some_and(|status| {
            status.completion_time.is_none() && status.step == Some(PurgeStep::Clearing)
        })
}

// What takes moments is said in the words that are in the status already: they are not worth a write each.

/// Records are being cleared, and what is not done is asked for again in a moment.
fn purging() -> Outcome {
    Outcome::new(
        Reason::Purging,
        "records are being cleared",
        Action::After(SPREADING),
    )
}

/// The configuration is being put back, and looked for again in a moment.
pub(super) fn restoring() -> Outcome {
    let message = "the configuration is put back, and then looked for on the topic";
    Outcome::new(Reason::Restoring, message, Action::After(SPREADING))
}

/// Puts back what was lowered, looks that it is so, and ends the purge.
pub(super) async fn restore(scene: Scene<'_>, saved: &SavedTopic) -> Result<End, Error> {
    match put_back(&scene, saved).await {
        Ok(None) => {}
        Ok(Some(outcome)) => return Ok(scene.end(outcome)),
        Err(error) => return Ok(scene.failed(&error)),
    }
    let scope = scene
        .status()
        .partitions
        .iter()
        .map(|one| one.partition.into())
        .collect();
    let starts = match observe::starts(&*scene.kafka.admin, &scene.name, &scope).await {
        Ok(starts) => starts,
        Err(error) => return Ok(scene.failed(&error)),
    };
    let left = plan::left(&scene.status().partitions, &starts);
    match super::pass::overdue(&scene, scene.ctx.now()) {
        Some(outcome) if left > 0 => Ok(scene.end(outcome)),
        _ => finish(scene, Some(left)).await,
    }
}

/// Puts back what was lowered; none when it is seen to be so, or when the topic is gone and nothing is left to do.
pub(super) async fn put_back(scene: &Scene<'_>, saved: &SavedTopic) -> Result<Option<Outcome>, KafkaError> {
    if let Some(outcome) = same_topic(scene).await {
        return Ok(Some(outcome));
    }
    let admin = &*scene.kafka.admin;
    perform(admin, &plan::restored(&scene.name, saved)).await?;
    let config = observe::config(admin, &scene.name).await?;
    if plan::is_restored(saved, &config) {
        return Ok(None);
    }
    Ok(Some(restoring()))
}

/// Writes into the topic's ledger that this purge was carried out, and ends it. `left` are the records below the cuts
/// that stayed, where that can be.
pub(super) async fn finish(scene: Scene<'_>, left: Option<i64>) -> Result<End, Error> {
    let status = scene.status();
    let gone = status.records.unwrap_or_default() - left.unwrap_or_default();
    if let Some(error) = enter(&scene, gone).await? {
        return Ok(scene.end(error));
    }
    info!(
        namespace = scene.object.namespace(),
        name = scene.object.name_any(),
        topic = %scene.name,
        records = gone,
        "Purged topic"
    );
    let message = match left.unwrap_or_default() {
        0 => format!("{gone} records are gone, and every later one stayed"),
        left => format!(
            "{gone} records are gone; {left} more are below the cut and share a segment with later ones, which \
             retention never splits"
        ),
    };
    let mut outcome = Outcome::new(Reason::Complete, message, Action::AwaitChange);
    outcome.done = i32::try_from(status.partitions.len()).ok();
    outcome.removed = Some(gone);
    Ok(scene.end(outcome))
}

/// Enters the purge into the ledger of its KafkaTopic.
async fn enter(scene: &Scene<'_>, records: i64) -> Result<Option<Outcome>, Error> {
    let (ctx, status) = (scene.ctx, scene.status());
    // Whoever deleted the KafkaTopic leaves nothing to apply a purge to.
    let Some(known) = &scene.topic else {
        return Ok(None);
    };
    // As it was read last; should it have changed since, as it is.
    match write_entry(&scene.object, ctx, known, status.clone(), records).await {
        Err(Error::Conflict { .. } | Error::Gone { .. }) => {}
        answer => return answer,
    }
    match apply::live(ctx, &ctx.stores.topics, &**known).await? {
        Some(topic) => write_entry(&scene.object, ctx, &topic, status, records).await,
        None => Ok(None),
    }
}

/// Adds an entry to the ledger of a KafkaTopic that is as it was read.
async fn write_entry(
    purge: &KafkaTopicPurge,
    ctx: &Context,
    topic: &KafkaTopic,
    status: KafkaTopicPurgeStatus,
    records: i64,
) -> Result<Option<Outcome>, Error> {
    let entries = match ledger::read(topic) {
        Ok(entries) => entries,
        Err(message) => {
            return Ok(Some(Outcome::new(
                Reason::TopicNotReady,
                message,
                Action::AwaitChange,
            )));
        }
    };
    let uid = purge.uid().unwrap_or_default();
    if entries.iter().any(|entry| entry.uid == uid) {
        return Ok(None);
    }
    let entry = ledger::Entry {
        name: purge.name_any(),
        uid,
        spec: desired::fingerprint(&purge.spec),
        topic_id: status.topic_id.unwrap_or_default(),
        new_topic_id: status.new_topic_id,
        records,
        time: ctx.now(),
    };
    let text = ledger::with(entries, entry);
    apply::annotate(ctx, &ctx.stores.topics, topic, PURGES, &text).await?;
    Ok(None)
}
