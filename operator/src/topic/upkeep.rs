//! One pass over a topic whose object stays: from its cluster to the outcome of its plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use ottla_crds::topic::{DeletionPolicy, DriftPolicy};
use ottla_crds::{ACCEPT_TOPIC_ID, KafkaTopic};
use ottla_kafka::admin::{Admin, NewTopic};
use ottla_kafka::error::{Class, KafkaError};
use ottla_kafka::types::ClusterId;
use tracing::info;

use super::claimants::{may_refer, other_owner};
use super::desired::Desired;
use super::execute::{Done, holds_records, perform};
use super::plan::replication::{self, Replicas};
use super::plan::{self, Claim, Live, Plan, Policy, Recorded, Refusal, Save, Sight};
use super::reason::Reason;
use super::status::{self, Outcome, Shape};
use super::{Topics, at_home, ledger, notes, observe};
use crate::cluster::cluster_key;
use crate::connections::{Slot, Standing};
use crate::runtime::apply::{self, Guard};
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::{Action, Context, Error, Key};

/// When to ask again for a place at a crowded cluster, should nobody have called until then.
pub(super) const CROWDED: Duration = Duration::from_secs(2);

/// How a pass ends.
pub(super) enum End {
    /// With nothing to write down.
    Wait(Action),
    /// With something to write down, about the object in this state.
    Outcome(Arc<KafkaTopic>, Box<Outcome>),
}

/// A Kafka that may be used.
pub(super) struct Kafka {
    pub(super) admin: Arc<dyn Admin>,
    pub(super) id: ClusterId,
    /// A place among those who wait for it.
    pub(super) _slot: Slot,
}

/// Finds the Kafka of an object, or says why there is none at present.
pub(super) fn kafka(ctx: &Context, object: &KafkaTopic) -> Result<Kafka, End> {
    let named = cluster_key(&Key::of(object), &object.spec.cluster_ref);
    let held = |reason, message| {
        let outcome = Outcome::held(reason, message, Action::AwaitChange);
        Err(End::Outcome(Arc::new(object.clone()), Box::new(outcome)))
    };
    let Some(cluster) = ctx
        .stores
        .clusters
        .object(&named)
        .filter(|_| may_refer(ctx, object))
    else {
        let message = format!("KafkaCluster {named} does not exist, or may not be used from this namespace");
        return held(Reason::ClusterNotFound, message);
    };
    let connection = ctx.connections.get(&named);
    if let Some(connection) = &connection
        && let Some((admin, id)) = connection.usable()
    {
        let slot = connection.slot(super::KIND, &Key::of(object), &ctx.queues.topics);
        let slot = slot.ok_or(End::Wait(Action::After(CROWDED)))?;
        return Ok(Kafka {
            admin,
            id,
            _slot: slot,
        });
    }
    let ready = cluster
        .status
        .as_ref()
        .and_then(|status| find(&status.conditions, READY));
    let refused = connection.is_some_and(|connection| connection.standing() == Standing::Unusable);
    match ready.filter(|ready| ready.status == "False" || refused) {
        Some(ready) => held(
            Reason::ClusterNotReady,
            format!("KafkaCluster {named} is not ready: {}", ready.reason),
        ),
        // Not looked at yet since our start: its first look wakes us.
        None => Err(End::Wait(Action::AwaitChange)),
    }
}

/// One pass.
pub(super) async fn pass(
    topics: &Topics,
    ctx: &Context,
    object: Arc<KafkaTopic>,
    desired: &Desired,
) -> Result<End, Error> {
    let kafka = match kafka(ctx, &object) {
        Ok(kafka) => kafka,
        Err(end) => return Ok(end),
    };
    let recorded = status::recorded(&object.status.clone().unwrap_or_default(), &kafka.id);
    let mut doubt = None;
    let sight = match observe::topic(&*kafka.admin, desired, &recorded).await {
        Ok(Some(live)) => {
            topics.in_sight(&object);
            Sight::Present(live)
        }
        Ok(None) if recorded.id.is_none() => Sight::Absent,
        Ok(None) if told_gone(&object, desired) => Sight::Absent,
        Ok(None) => match topics.out_of_sight(&object) {
            Some(wait) => {
                doubt = Some(wait);
                Sight::OutOfSight
            }
            None => Sight::Absent,
        },
        Err(error) => return Ok(failed(ctx, object, &error, Shape::Keep)),
    };
    let live_id = if let Sight::Present(live) = &sight {
        Some(live.id)
    } else {
        None
    };
    let policy = Policy {
        home: at_home(&object),
        accepted: object
            .annotations()
            .get(ACCEPT_TOPIC_ID)
            .and_then(|id| id.trim().parse().ok())
            .or_else(|| ledger::replaced(&object, recorded.id?)),
        other_owner: other_owner(topics, ctx, &object, (desired.name.as_str(), &kafka.id), live_id),
    };
    let mut plan = plan::plan(desired, &sight, &recorded, &policy);
    refuse_distant_deletion(&mut plan, desired, &policy);
    if let Some(wait) = doubt {
        let outcome = Outcome {
            again: Action::After(wait),
            ..Outcome::of(plan, Shape::Keep, wait)
        };
        return Ok(End::Outcome(object, Box::new(outcome)));
    }
    let object = save(ctx, object, &kafka, &sight, &plan).await?;
    let end = carry_out(ctx, object, &kafka, desired, &sight, &recorded, plan).await;
    if matches!(sight, Sight::Absent) {
        topics.in_sight(match &end {
            End::Outcome(object, _) => object,
            End::Wait(_) => return Ok(end),
        });
    }
    Ok(end)
}

/// The absence was believed and told before, and nothing came of it: it needs no second look.
fn told_gone(object: &KafkaTopic, desired: &Desired) -> bool {
    let status = object.status.as_ref();
    let ready = status.and_then(|status| find(&status.conditions, READY));
    desired.drift == DriftPolicy::Report
        && ready.is_some_and(|ready| ready.reason == Reason::TopicGone.as_str())
}

/// From another namespace than the KafkaCluster's no topic is deleted: the object says so while it lives.
fn refuse_distant_deletion(plan: &mut Plan, desired: &Desired, policy: &Policy) {
    if desired.deletion == DeletionPolicy::Delete && !policy.home && plan.claim != Claim::HandsOff {
        plan.refusals.push(Refusal {
            reason: Reason::DeletionNotAllowed,
            message: "deletionPolicy Delete works only in the KafkaCluster's own namespace; set it to Retain"
                .to_owned(),
        });
    }
}

/// Writes down what must be known should we die during the act. A change of the object meanwhile ends the pass.
async fn save(
    ctx: &Context,
    object: Arc<KafkaTopic>,
    kafka: &Kafka,
    sight: &Sight,
    plan: &Plan,
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
                status.reassignment = Some(status::reassignment(&previous, progress, ctx.now()));
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
async fn carry_out(
    ctx: &Context,
    object: Arc<KafkaTopic>,
    kafka: &Kafka,
    desired: &Desired,
    sight: &Sight,
    recorded: &Recorded,
    plan: Plan,
) -> End {
    let moving = object
        .status
        .as_ref()
        .and_then(|status| status.reassignment.as_ref());
    let began = moving.and_then(|moving| moving.started_at.as_ref().map(|time| time.0));
    let poll = replication::poll(began, ctx.now());
    if plan.claim == Claim::HandsOff {
        return End::Outcome(object, Box::new(Outcome::of(plan, Shape::Keep, poll)));
    }
    let mut live = if let Sight::Present(live) = sight {
        Some(live.clone())
    } else {
        None
    };
    let mut refused = BTreeMap::new();
    for action in &plan.actions {
        let grows_over_records = match action {
            plan::Action::Grow { topic, from, .. } => holds_records(&*kafka.admin, topic, *from).await,
            _ => false,
        };
        let done = perform(&*kafka.admin, action).await;
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
            }
            Ok(Done::Partly(keys)) => refused = keys,
            Err(error) => {
                let shape = live.as_ref().map_or(Shape::Keep, |live| {
                    Shape::of(&kafka.id, live, plan::managed(desired, recorded, live))
                });
                return after_failure(ctx, object, action, recorded, &plan, &error, shape);
            }
        }
        let notes = notes::of_action(&plan, action, grows_over_records);
        ctx.publish(super::KIND, &*object, &notes).await;
    }
    ctx.publish(super::KIND, &*object, &notes::of_claim(&plan, sight))
        .await;
    // What Kafka left open about a created topic is seen at the next look.
    let Some(live) = live else {
        return End::Wait(Action::After(Duration::from_secs(1)));
    };
    let shape = Shape::of(&kafka.id, &live, plan::managed(desired, recorded, &live));
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

fn failed(ctx: &Context, object: Arc<KafkaTopic>, error: &KafkaError, shape: Shape) -> End {
    poke(ctx, &object, error);
    End::Outcome(object, Box::new(Outcome::failed(error, shape)))
}

/// Has the cluster looked at when it may be gone.
fn poke(ctx: &Context, object: &KafkaTopic, error: &KafkaError) {
    if error.is_connection() {
        ctx.queues
            .clusters
            .add(cluster_key(&Key::of(object), &object.spec.cluster_ref));
    }
}
