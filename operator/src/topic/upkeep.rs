//! One pass over a topic whose object stays: what was planned is saved, carried out, and made an outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use ottla_crds::KafkaTopic;
use ottla_crds::topic::Difference;
use ottla_kafka::admin::NewTopic;
use ottla_kafka::error::{Class, ErrorCode, KafkaError};
use tracing::info;

use super::desired::Desired;
use super::execute::{Done, holds_records, perform};
use super::look::{self, End, Look};
use super::plan::replication::{self, Replicas};
use super::plan::{self, Claim, Live, Plan, Recorded, Save, Sight};
use super::reason::Reason;
use super::status::{self, Outcome, Shape};
use super::{Topics, held, notes};
use crate::cluster::tenancy::Tenure;
use crate::cluster::{self, cluster_key};
use crate::runtime::apply::{self, Guard};
use crate::runtime::controller::generation;
use crate::runtime::{Action, Context, Error, Key};

/// One pass.
pub(super) async fn pass(
    topics: &Topics,
    ctx: &Context,
    object: Arc<KafkaTopic>,
    desired: Desired,
) -> Result<End, Error> {
    let look = match look::look(topics, ctx, &object, desired).await {
        Ok(look) => look,
        Err(end) => return Ok(end),
    };
    // One that began while Kafka answered may have changed what was seen.
    if held::by_purge(ctx, &object) {
        return Ok(End::Wait(Action::AwaitChange));
    }
    if let Some(wait) = look.doubt {
        let outcome = Outcome {
            again: Action::After(wait),
            ..Outcome::of(look.plan, Shape::Keep, wait)
        };
        return Ok(End::Outcome(object, Box::new(outcome)));
    }
    if let Some(wait) = may_lag(topics, &look) {
        return Ok(End::Wait(Action::After(wait)));
    }
    if only_defaults_moved(&object, &look.plan) {
        let own = Key::of(&*object);
        let named = cluster_key(&own, &object.spec.cluster_ref);
        if let Some(wait) = topics.spread.turn(&named, &own) {
            return Ok(End::Wait(Action::After(wait)));
        }
    }
    // Whoever deletes the object must have its throttle taken off first.
    let object = if look.plan.throttle.is_some() {
        apply::add_finalizer(ctx, &ctx.stores.topics, &*object, ottla_crds::TOPIC_FINALIZER).await?
    } else {
        object
    };
    let object = save(ctx, object, &look).await?;
    let (absent, unmanaged) = (matches!(look.sight, Sight::Absent), look.unmanaged.clone());
    let lifts = look.plan.lifts();
    let mut end = carry_out(topics, ctx, object, look).await;
    if let End::Outcome(object, outcome) = &mut end {
        outcome.unmanaged = unmanaged;
        // The finalizer may be taken off, or other moves begin.
        if lifts && outcome.again == Action::AwaitChange {
            outcome.again = Action::After(replication::POLL.0);
        }
        if absent {
            topics.in_sight(object);
        }
    }
    Ok(end)
}

/// Whether an action does nothing but set back what somebody else changed.
fn sets_back(plan: &Plan, action: &plan::Action) -> bool {
    match action {
        plan::Action::Alter { set, unset, .. } => {
            unset.is_empty() && set.keys().all(|key| plan.drifted.contains(key))
        }
        _ => false,
    }
}

/// When to look again at a topic of which all that is amiss looks like configuration that somebody else changed, while this
/// operator changed it so lately that the broker that was asked may only lag.
fn may_lag(topics: &Topics, look: &Look) -> Option<Duration> {
    let (plan, Sight::Present(live)) = (&look.plan, &look.sight) else {
        return None;
    };
    let of_replicas = |one: &Difference| one.key == replication::REPLICATION_FACTOR;
    let told = plan
        .refusals
        .iter()
        .any(|refusal| refusal.reason == Reason::Drifted)
        && !plan.difference.iter().any(of_replicas);
    let only_drift =
        (told || !plan.actions.is_empty()) && plan.actions.iter().all(|action| sets_back(plan, action));
    let since = topics.settling.since(live.id).filter(|_| only_drift)?;
    super::doubt(since)
}

/// The object is as it was reconciled before, nobody touched the topic, and yet configs are to change: the
/// KafkaCluster's defaults did.
fn only_defaults_moved(object: &KafkaTopic, plan: &Plan) -> bool {
    let judged = object
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    let ours =
        |action: &plan::Action| matches!(action, plan::Action::Alter { .. }) && !sets_back(plan, action);
    judged == Some(generation(object)) && plan.claim == Claim::Ours && plan.actions.iter().any(ours)
}

/// Writes down what must be known should we die during the act. A change of the object meanwhile ends the pass.
async fn save(
    ctx: &Context,
    object: Arc<KafkaTopic>,
    Look {
        kafka, sight, plan, ..
    }: &Look,
) -> Result<Arc<KafkaTopic>, Error> {
    let previous = object.status.clone().unwrap_or_default();
    let name = object.name_any();
    let topic = super::desired::name(&name, &object.spec);
    let moves = plan.begins(&status::recorded(&previous, &kafka.id));
    let status = match (&plan.save, sight) {
        (Some(Save::Managed(_)) | None, Sight::Present(live)) => {
            let mut status = previous.clone();
            if let Some(Save::Managed(managed)) = &plan.save {
                status.managed_config.clone_from(managed);
            } else if moves.is_none() {
                return Ok(object);
            }
            if let Some(progress) = moves {
                status.reassignment = Some(status::reassignment(
                    &previous,
                    progress,
                    plan.throttle.clone(),
                    ctx.now(),
                ));
            }
            status.cluster_id = Some(kafka.id.as_str().to_owned());
            status.topic_id = Some(live.id.to_string());
            status
        }
        (None, _) => return Ok(object),
        (Some(_), _) => {
            let outcome = Outcome {
                shape: Shape::Announced(kafka.id.clone()),
                ..Outcome::held(
                    Reason::Creating,
                    "the topic is about to be created",
                    Action::AwaitChange,
                )
            };
            match status::next(&previous, topic, &outcome, generation(&*object), ctx.now()) {
                Some(status) => status,
                None => return Ok(object),
            }
        }
    };
    apply::status(
        ctx,
        &ctx.stores.topics,
        &*object,
        super::MANAGER,
        &status,
        Guard::Version,
    )
    .await
}

/// Carries the plan out and says what became of it.
async fn carry_out(topics: &Topics, ctx: &Context, object: Arc<KafkaTopic>, look: Look) -> End {
    let Look {
        kafka,
        desired,
        sight,
        recorded,
        plan,
        tenure,
        ..
    } = look;
    let moving = object
        .status
        .as_ref()
        .and_then(|status| status.reassignment.as_ref());
    let began = moving.and_then(|moving| moving.started_at.as_ref().map(|time| time.0));
    let poll = replication::poll(began, ctx.now());
    if plan.claim == Claim::HandsOff {
        return End::Outcome(object, Box::new(Outcome::of(plan, Shape::Keep, poll)));
    }
    let mut live = if let Sight::Present(live) = &sight {
        Some(live.clone())
    } else {
        None
    };
    let mut refused = BTreeMap::new();
    for action in &plan.actions {
        // Asked beside the growth, not before it: the partitions that are there already stay as they are.
        let over_records = async {
            match action {
                plan::Action::Grow { topic, from, .. } => holds_records(&*kafka.admin, topic, *from).await,
                _ => false,
            }
        };
        let (done, grows_over_records) = tokio::join!(perform(&*kafka.admin, action), over_records);
        let (namespace, name) = (object.namespace(), object.name_any());
        match done {
            Ok(Done::Created(created)) => {
                let plan::Action::Create(asked) = action else {
                    continue;
                };
                info!(namespace, name, topic = %asked.name, id = %created.id, "Created topic");
                live = created_topic(asked, &created);
            }
            Ok(Done::Full) => {
                info!(namespace, name, topic = %desired.name, action = notes::verb(action), "Changed topic");
                live = live.map(|live| plan::applied(live, action));
                if let (plan::Action::Alter { .. }, Some(live)) = (action, &live) {
                    topics.settling.changed(live.id);
                }
            }
            Ok(Done::Partly(keys)) => refused = keys,
            Err(error) if is_foreign_collision(action, &error, tenure) => {
                let outcome = Outcome::refused_name(&desired.name);
                return End::Outcome(object, Box::new(outcome));
            }
            Err(error) => {
                let shape = live.as_ref().map_or(Shape::Keep, |live| {
                    Shape::of(&kafka.id, &desired, &recorded, live)
                });
                return after_failure(ctx, object, action, &recorded, &plan, &error, shape);
            }
        }
        if notes::corrects_drift(&plan, action, &recorded) {
            count_drift(ctx, &object, "corrected");
        }
        let notes = notes::of_action(&plan, action, grows_over_records);
        ctx.publish(super::KIND, &*object, &notes).await;
    }
    ctx.publish(super::KIND, &*object, &notes::of_claim(&plan, &sight))
        .await;
    // What Kafka left open about a created topic is seen at the next look.
    let Some(live) = live else {
        return End::Wait(Action::After(Duration::from_secs(1)));
    };
    let shape = Shape::of(&kafka.id, &desired, &recorded, &live);
    let outcome = if refused.is_empty() {
        Outcome::of(plan, shape, poll)
    } else {
        Outcome {
            difference: plan.difference,
            ..Outcome::refused_configs(&refused, shape)
        }
    };
    End::Outcome(object, Box::new(outcome))
}

/// Counts what somebody else did to the topic.
pub(super) fn count_drift(ctx: &Context, object: &KafkaTopic, outcome: &'static str) {
    let cluster = cluster_key(&Key::of(object), &object.spec.cluster_ref);
    ctx.metrics.clusters.drifted(&cluster.to_string(), outcome);
}

/// A created topic by Kafka's reply, and by what was asked where the reply is silent.
fn created_topic(asked: &NewTopic, created: &ottla_kafka::admin::CreatedTopic) -> Option<Live> {
    let live = Live {
        id: created.id,
        internal: false,
        partitions: created.partitions.or(asked.partitions)?,
        replication_factor: created.replication_factor.or(asked.replication_factor)?,
        replicas: Replicas::Even,
        config: BTreeMap::new(),
    };
    let action = plan::Action::Alter {
        topic: asked.name.clone(),
        set: asked.config.clone(),
        unset: std::collections::BTreeSet::new(),
    };
    Some(plan::applied(live, &action))
}

/// Kafka names the topic that a new one would collide with. Only the KafkaCluster's own namespace may read that.
fn is_foreign_collision(action: &plan::Action, error: &KafkaError, tenure: Tenure) -> bool {
    matches!(action, plan::Action::Create(_))
        && error.code() == Some(ErrorCode::INVALID_TOPIC_EXCEPTION)
        && tenure != Tenure::Home
}

fn after_failure(
    ctx: &Context,
    object: Arc<KafkaTopic>,
    action: &plan::Action,
    recorded: &Recorded,
    plan: &Plan,
    error: &KafkaError,
    shape: Shape,
) -> End {
    let creating = matches!(action, plan::Action::Create(_));
    let announced = recorded.announced || plan.save.is_some();
    if creating && announced && matches!(error.class(), Class::Ambiguous | Class::Decide) {
        // The announcement stays: whatever is found at the next look may be ours.
        poke(ctx, &object, error);
        let again = Outcome::failed(error, Shape::Keep).again;
        let outcome = Outcome::held(Reason::Creating, error.to_string(), again);
        return End::Outcome(object, Box::new(outcome));
    }
    failed(ctx, object, error, shape)
}

pub(super) fn failed(ctx: &Context, object: Arc<KafkaTopic>, error: &KafkaError, shape: Shape) -> End {
    poke(ctx, &object, error);
    End::Outcome(object, Box::new(Outcome::failed(error, shape)))
}

/// Has the cluster looked at when it may be gone.
pub(super) fn poke(ctx: &Context, object: &KafkaTopic, error: &KafkaError) {
    if error.is_connection() {
        cluster::doubt(ctx, &cluster_key(&Key::of(object), &object.spec.cluster_ref));
    }
}
