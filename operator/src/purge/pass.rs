//! One pass over a purge: makes its plan, or asks what stands before it and goes on with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use ottla_crds::purge::{ConsumerGroupsGuard, GroupImpact, PartitionPlan, PurgeMethod, PurgeStep};
use ottla_crds::{KafkaTopic, KafkaTopicPurge, PURGE_FINALIZER};
use ottla_kafka::admin::{ConsumerGroup, Topic};
use ottla_kafka::error::KafkaError;
use ottla_kafka::types::{PartitionId, TopicId};

use super::desired::{self, Desired};
use super::plan::{self, Pinned};
use super::reason::Reason;
use super::rival::{self, Rival};
use super::scene::{End, Scene};
use super::status::{self, Outcome};
use super::{Purges, clear, notes, observe};
use crate::cluster::cluster_key;
use crate::cluster::destruction::{self, Standing};
use crate::pods::names::Role;
use crate::pods::quiet;
use crate::runtime::apply;
use crate::runtime::backoff::Pace;
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::{Action, Context, Error, Key, Reconciler};
use crate::topic::ledger;

/// How soon to look again at pods on their way out.
const PODS: Duration = Duration::from_millis(500);
/// How soon to look again whether few enough topics await their deletion.
const HELD: Duration = Duration::from_secs(10);
/// How soon to look again whether another purge of the topic has begun.
const RIVAL: Duration = Duration::from_millis(200);
/// How soon to look again at consumer groups.
const GROUPS: Duration = Duration::from_secs(2);

/// One pass.
pub(super) async fn pass(
    ctx: &Context,
    object: Arc<KafkaTopicPurge>,
    desired: Desired,
) -> Result<End, Error> {
    let scene = match Scene::set(ctx, object, desired) {
        Ok(scene) => scene,
        Err(end) => return Ok(end),
    };
    match scene.status().step {
        None => Box::pin(plan_it(scene)).await,
        Some(_) if scene.status().cluster_id.as_deref() != Some(scene.kafka.id.as_str()) => {
            let outcome = Outcome::new(
                Reason::TopicReplaced,
                "another Kafka cluster is found than was planned for: nothing is touched there",
                Action::AwaitChange,
            );
            Ok(scene.end(outcome))
        }
        Some(PurgeStep::Planned) => begin(scene, None).await,
        Some(step) => clear::go_on(scene, step).await,
    }
}

fn hold(reason: Reason, message: impl Into<String>, again: Action) -> Outcome {
    Outcome::new(reason, message, again)
}

/// Makes the plan, writes it down, and goes on with it.
async fn plan_it(mut scene: Scene<'_>) -> Result<End, Error> {
    if let Some(outcome) = before_planning(&scene) {
        return Ok(scene.end(outcome));
    }
    let admin = scene.kafka.admin.clone();
    // Whether this purge was carried out before is asked of the API server itself.
    let known = async {
        match &scene.topic {
            Some(topic) => apply::live(scene.ctx, &scene.ctx.stores.topics, &**topic).await,
            None => Ok(None),
        }
    };
    let (topic, known) = tokio::join!(observe::topic(&*admin, &scene.name), known);
    let topic = match topic {
        Ok(topic) => topic,
        Err(error) => return Ok(scene.failed(&error)),
    };
    let Some(topic) = topic else {
        let message = format!("Kafka shows no topic {}", scene.name);
        return Ok(scene.end(hold(Reason::TopicNotReady, message, Action::Retry(Pace::FAST))));
    };
    if let Some(outcome) = known_topic(&mut scene, &topic, known?) {
        return Ok(scene.end(outcome));
    }
    match rival::of(scene.ctx, &scene.object).filter(|_| !scene.desired.dry_run) {
        None => {}
        Some(Rival::NotLookedAt) => return Ok(End::Wait(Action::After(RIVAL))),
        Some(Rival::UnderWay(first)) => {
            let message = format!(
                "KafkaTopicPurge {first} of the same topic is under way, and what this one would find after it is not \
                 what was there when it was asked for; once the other is over, ask again under another name"
            );
            return Ok(scene.end(hold(Reason::PurgeInProgress, message, Action::AwaitChange)));
        }
    }
    let (pinned, groups) = match look(&scene, topic).await {
        Ok(Ok(looked)) => looked,
        Ok(Err(refusal)) => return Ok(scene.end(refusal.into())),
        Err(error) => return Ok(scene.failed(&error)),
    };
    let Some(live) = apply::live(scene.ctx, &scene.ctx.stores.purges, &*scene.object).await? else {
        return Ok(End::Wait(Action::AwaitChange));
    };
    if live.metadata.deletion_timestamp.is_some() || live.status.as_ref().is_some_and(|s| s.step.is_some()) {
        return Ok(End::Wait(Action::After(Duration::from_millis(200))));
    }
    scene.object = live;
    if scene.desired.dry_run {
        return dry_run(scene, pinned, groups).await;
    }
    if pinned.saved.is_some() {
        let store = &scene.ctx.stores.purges;
        scene.object = apply::add_finalizer(scene.ctx, store, &*scene.object, PURGE_FINALIZER).await?;
    }
    let previous = scene.status();
    let mut status = status::planned(
        &previous,
        &scene.place(),
        pinned,
        generation(&*scene.object),
        scene.ctx.now(),
    );
    let impacts = groups.clone();
    status.consumer_groups = groups;
    scene.write(&status).await?;
    let (ctx, object, told) = (scene.ctx, scene.object.clone(), [notes::of_plan(&status)]);
    // The purge does not wait for its events.
    let (end, ()) = tokio::join!(
        begin(scene, Some(impacts)),
        ctx.publish(Purges::KIND, &*object, &told)
    );
    end
}

/// What holds a purge up before anything is asked of Kafka.
fn before_planning(scene: &Scene<'_>) -> Option<Outcome> {
    let now = scene.ctx.now();
    if let Err(refusal) = plan::begins_in_time(&scene.desired, now) {
        return Some(refusal.into());
    }
    if let Some(outcome) = overdue(scene, now) {
        return Some(outcome);
    }
    if let Some(topic) = &scene.topic
        && let Some(outcome) = foreign(topic)
    {
        return Some(outcome);
    }
    // What holds for longer, or ends at once, holds the producers up no longer than needed.
    let others = too_many_deletions(scene).is_some() || rival::of(scene.ctx, &scene.object).is_some();
    if scene.desired.dry_run || scene.desired.suspend || others {
        return None;
    }
    producers_away(scene)
}

/// A topic that another object owns is not this one's to purge.
fn foreign(topic: &KafkaTopic) -> Option<Outcome> {
    let conditions = topic.status.as_ref().map(|status| status.conditions.as_slice());
    let ready = find(conditions.unwrap_or_default(), READY)?;
    let reason = match ready.reason.as_str() {
        "TopicOwnedByOther" | "AdoptionRequired" => Reason::TopicOwnedByOther,
        "TopicReplaced" => Reason::TopicReplaced,
        _ => return None,
    };
    let message = format!(
        "KafkaTopic {} does not own the topic: {}",
        topic.name_any(),
        ready.message
    );
    Some(Outcome::new(reason, message, Action::AwaitChange))
}

/// Whether the topic is the KafkaTopic's, and this purge new to it.
fn known_topic(scene: &mut Scene<'_>, topic: &Topic, live: Option<Arc<KafkaTopic>>) -> Option<Outcome> {
    let name = scene.object.spec.topic_ref.name.clone();
    if scene.topic.is_none() {
        let message = format!("KafkaTopic {name} does not exist in this namespace");
        return Some(hold(Reason::TopicNotFound, message, Action::AwaitChange));
    }
    let Some(known) = live else {
        let message = format!("KafkaTopic {name} is being replaced");
        return Some(hold(Reason::TopicNotFound, message, Action::Retry(Pace::FAST)));
    };
    scene.topic = Some(known.clone());
    let recorded = known
        .status
        .as_ref()
        .filter(|status| status.cluster_id.as_deref() == Some(scene.kafka.id.as_str()))
        .and_then(|status| status.topic_id.as_deref()?.parse::<TopicId>().ok());
    if let Err(refusal) = plan::scope(&scene.desired, topic) {
        return Some(refusal.into());
    }
    if recorded != Some(topic.id) {
        let message = format!(
            "KafkaTopic {} does not say yet that topic {} with id {} is its own",
            known.name_any(),
            topic.name,
            topic.id
        );
        return Some(hold(Reason::TopicNotReady, message, Action::Retry(Pace::FAST)));
    }
    let entries = match ledger::read(&known) {
        Ok(entries) => entries,
        Err(message) => return Some(hold(Reason::TopicNotReady, message, Action::AwaitChange)),
    };
    let fingerprint = desired::fingerprint(&scene.object.spec);
    let uid = scene.object.uid().unwrap_or_default();
    let name = scene.object.name_any();
    let before = ledger::done_before(&entries, &name, &fingerprint, topic.id);
    before.or_else(|| entries.iter().find(|entry| entry.uid == uid)).map(|entry| {
        let message = format!(
            "this very purge was carried out on {} and removed {} records; to purge again, use another name",
            entry.time, entry.records
        );
        hold(Reason::AlreadyDone, message, Action::AwaitChange)
    })
}

type Looked = Result<(Pinned, Vec<GroupImpact>), plan::Refusal>;

/// Looks at the topic and pins what goes.
async fn look(scene: &Scene<'_>, topic: Topic) -> Result<Looked, KafkaError> {
    let (desired, now) = (&scene.desired, scene.ctx.now());
    let scope = match plan::scope(desired, &topic) {
        Ok(scope) => scope,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let admin = &*scene.kafka.admin;
    let cut_time = plan::cut_time(desired, now);
    let groups = groups(scene, scope.clone());
    let (sight, groups) = tokio::try_join!(observe::sight(admin, topic, &scope, cut_time), groups)?;
    let pinned = match plan::pin(desired, &sight, now) {
        Ok(pinned) => pinned,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let impacts = plan::impact(&pinned.partitions, &groups);
    Ok(Ok((pinned, impacts)))
}

/// The consumer groups on the topic. Where they hold nothing up, not seeing them is no matter.
async fn groups(scene: &Scene<'_>, scope: BTreeSet<PartitionId>) -> Result<Vec<ConsumerGroup>, KafkaError> {
    match scene.kafka.admin.consumer_groups(scene.name.clone(), scope).await {
        Err(_) if scene.desired.guards.groups == ConsumerGroupsGuard::Ignore => Ok(vec![]),
        answer => answer,
    }
}

/// What the purge means for consumer groups at this moment.
async fn impact(scene: &Scene<'_>, partitions: &[PartitionPlan]) -> Result<Vec<GroupImpact>, KafkaError> {
    let scope = partitions.iter().map(|plan| plan.partition.into()).collect();
    Ok(plan::impact(partitions, &groups(scene, scope).await?))
}

/// Ends with the plan in the status and nothing else done.
async fn dry_run(mut scene: Scene<'_>, pinned: Pinned, groups: Vec<GroupImpact>) -> Result<End, Error> {
    let previous = scene.status();
    let pinned = Pinned {
        saved: None,
        ..pinned
    };
    let message = format!("{} records would go; nothing was changed", pinned.records);
    let now = scene.ctx.now();
    let mut status = status::planned(&previous, &scene.place(), pinned, generation(&*scene.object), now);
    status.consumer_groups = groups;
    status.conditions = previous.conditions;
    // Without a step nothing ever goes on from here.
    status.step = None;
    scene.write(&status).await?;
    Ok(scene.end(hold(Reason::DryRun, message, Action::AwaitChange)))
}

/// Asks what stands before a plan that is written down, and begins with it. `impacts` is what was seen of consumer groups
/// when the plan was made, if that was just now.
async fn begin(mut scene: Scene<'_>, impacts: Option<Vec<GroupImpact>>) -> Result<End, Error> {
    let now = scene.ctx.now();
    if scene.desired.suspend {
        let message = format!(
            "{} records are to go once suspend is false; see status.partitions",
            scene.status().records.unwrap_or_default()
        );
        let again = until(&scene, now, None);
        return Ok(match overdue(&scene, now) {
            Some(outcome) => scene.end(outcome),
            None => scene.end(hold(Reason::Suspended, message, again)),
        });
    }
    if scene.topic.is_none() {
        let message = "the KafkaTopic is gone; nothing was removed";
        return Ok(scene.end(hold(Reason::TopicNotFound, message, Action::AwaitChange)));
    }
    let held = match plan::begins_in_time(&scene.desired, now) {
        Err(refusal) => Some(refusal.into()),
        Ok(()) => overdue(&scene, now)
            .or_else(|| too_many_deletions(&scene))
            .or_else(|| producers_away(&scene)),
    };
    if let Some(outcome) = held {
        return Ok(scene.end(outcome));
    }
    match consumers_out_of_the_way(&mut scene, now, impacts).await {
        Ok(None) => clear::begin(scene).await,
        Ok(Some(outcome)) => Ok(scene.end(outcome)),
        Err(error) => Ok(scene.failed(&error)),
    }
}

/// Whether the purge took longer than it may.
pub(super) fn overdue(scene: &Scene<'_>, now: Timestamp) -> Option<Outcome> {
    let seconds = scene.desired.deadline_seconds?;
    let deadline = deadline(scene)?;
    (now >= deadline).then(|| {
        let message = format!("activeDeadlineSeconds ({seconds}) have passed");
        hold(Reason::DeadlineExceeded, message, Action::AwaitChange)
    })
}

fn deadline(scene: &Scene<'_>) -> Option<Timestamp> {
    let created = scene.object.creation_timestamp()?.0;
    created
        .checked_add(jiff::SignedDuration::from_secs(scene.desired.deadline_seconds?))
        .ok()
}

/// When to look again at the latest: after a while, or when a deadline passes.
fn until(scene: &Scene<'_>, now: Timestamp, wait: Option<Duration>) -> Action {
    let ends = [deadline(scene), scene.desired.guards.not_after];
    let left = |end: Timestamp| Duration::from_secs(1) + end.duration_since(now).unsigned_abs();
    let ends = ends.into_iter().flatten().filter(|end| *end >= now).map(left);
    ends.chain(wait).min().map_or(Action::AwaitChange, Action::After)
}

/// Holds a Recreate while too many topics await their deletion, whatever for.
fn too_many_deletions(scene: &Scene<'_>) -> Option<Outcome> {
    let key = cluster_key(&Key::of(&*scene.object), &scene.cluster_ref);
    let cluster = scene.ctx.stores.clusters.object(&key)?;
    let recreates = scene.desired.method == PurgeMethod::Recreate;
    if !recreates || !matches!(destruction::permission(scene.ctx, &cluster), Standing::Held(_)) {
        return None;
    }
    // The KafkaCluster says how many, and how they are released; its own look may be a minute ahead.
    let conditions = cluster.status.as_ref().map(|status| &status.conditions[..]);
    if find(conditions.unwrap_or_default(), destruction::DESTRUCTION_HOLD).is_none() {
        scene.ctx.queues.clusters.add(key.clone());
    }
    let message = format!(
        "too many topics of KafkaCluster {key} await their deletion at once, and none is deleted: its condition \
         DestructionHold says how many, and how they are released; to take this purge back, delete it"
    );
    Some(hold(Reason::DestructionHold, message, Action::After(HELD)))
}

/// Waits for producers' pods, where the purge wants them away.
fn producers_away(scene: &Scene<'_>) -> Option<Outcome> {
    if !scene.desired.quiesce_producers && scene.desired.method != PurgeMethod::Recreate {
        return None;
    }
    pods_away(scene, Role::Producer)
}

/// Waits for the pods of a role on the topic.
pub(super) fn pods_away(scene: &Scene<'_>, role: Role) -> Option<Outcome> {
    let topic = quiet::topic_of(scene.ctx, &scene.object)?;
    let busy = quiet::busy(scene.ctx, role, &topic)?;
    let message = format!("the pods of {} {busy} are on their way out", role.word());
    Some(hold(Reason::WaitingForPods, message, Action::After(PODS)))
}

/// Waits for consumer groups, as the guard says.
async fn consumers_out_of_the_way(
    scene: &mut Scene<'_>,
    now: Timestamp,
    impacts: Option<Vec<GroupImpact>>,
) -> Result<Option<Outcome>, KafkaError> {
    let guard = scene.desired.guards.groups;
    if guard == ConsumerGroupsGuard::Ignore {
        return Ok(None);
    }
    let mut partitions = scene.status().partitions;
    if scene.desired.method == PurgeMethod::Recreate {
        // What was written since the plan goes with the topic.
        let scope = partitions.iter().map(|plan| plan.partition.into()).collect();
        let spans = observe::spans(&*scene.kafka.admin, &scene.name, &scope).await?;
        for plan in &mut partitions {
            plan.cut = spans
                .get(&plan.partition.into())
                .map_or(plan.cut, |span| span.end.get());
        }
    }
    let impacts = match impacts {
        Some(impacts) if scene.desired.method != PurgeMethod::Recreate => impacts,
        _ => impact(scene, &partitions).await?,
    };
    let standing = plan::in_the_way(guard, &impacts);
    let Some(first) = standing.first() else {
        return Ok(None);
    };
    let what = match guard {
        ConsumerGroupsGuard::Inactive => "has members".to_owned(),
        _ => format!("has not read {} of the records that are to go", first.unread),
    };
    let more = match standing.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more groups stand in the way"),
    };
    let message = format!(
        "consumer group {} {what}{more}; a purge with guards.consumerGroups Ignore would not wait",
        first.group
    );
    let mut outcome = hold(
        Reason::WaitingForConsumers,
        message,
        until(scene, now, Some(GROUPS)),
    );
    outcome.groups = Some(impacts);
    Ok(Some(outcome))
}
