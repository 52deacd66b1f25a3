//! Looks at one topic: finds its Kafka, reads it, and plans. Changes nothing in either world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use ottla_crds::topic::{DeletionPolicy, DriftPolicy};
use ottla_crds::{ACCEPT_TOPIC_ID, KafkaCluster, KafkaTopic};
use ottla_kafka::admin::Admin;
use ottla_kafka::types::ClusterId;

use super::claimants::other_owner;
use super::defaults;
use super::desired::{Desired, Throttle};
use super::plan::{self, Claim, Plan, Policy, Recorded, Refusal, Sight};
use super::reason::Reason;
use super::status::{self, Outcome, Shape};
use super::upkeep::failed;
use super::{Topics, ledger, notes, observe};
use crate::cluster::tenancy::{self, Access, Tenure};
use crate::cluster::{access, cluster_key};
use crate::connections::{Slot, Standing};
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::{Action, Context, Key};

/// When to ask again for a place at a crowded cluster, should nobody have called until then.
pub(super) const CROWDED: Duration = Duration::from_secs(2);
/// How soon to ask again whether namespaces are listed by now.
pub(super) const LISTING: Duration = Duration::from_secs(1);

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
    /// Whether its brokers hold to the throttle.
    pub(super) throttled: bool,
    /// A place among those who wait for it.
    pub(super) _slot: Slot,
}

/// What was seen, and what is to be done about it.
pub(super) struct Look {
    pub(super) kafka: Kafka,
    pub(super) tenure: Tenure,
    /// What the spec and the KafkaCluster's defaults ask for.
    pub(super) desired: Desired,
    pub(super) recorded: Recorded,
    pub(super) sight: Sight,
    /// How long an absence is still to be doubted.
    pub(super) doubt: Option<Duration>,
    pub(super) plan: Plan,
    /// The configs on the topic that are not ours, where all were read and may be told.
    pub(super) unmanaged: Option<BTreeMap<String, String>>,
}

impl Look {
    /// What a suspended object would do.
    pub(super) fn pending(self) -> Outcome {
        let message = format!("suspend is true; pending: {}", notes::pending(&self.plan));
        let difference = match &self.sight {
            Sight::Present(live) if self.plan.claim != Claim::HandsOff => {
                plan::changes(&self.desired, live, &self.recorded)
            }
            _ => self.plan.difference,
        };
        Outcome {
            difference,
            unmanaged: self.unmanaged,
            ..Outcome::held(Reason::Suspended, message, Action::AwaitChange)
        }
    }
}

/// The KafkaCluster of an object, if it may be used from there and its spec as it stands was judged; else how the pass
/// ends.
fn cluster(ctx: &Context, object: &Arc<KafkaTopic>) -> Result<Arc<KafkaCluster>, End> {
    let own = Key::of(&**object);
    let named = cluster_key(&own, &object.spec.cluster_ref);
    let found = ctx.stores.clusters.object(&named);
    let Some((cluster, access)) = found.map(|cluster| {
        let access = access(&ctx.stores, &cluster, &own.namespace);
        (cluster, access)
    }) else {
        return Err(not_found(object, &named));
    };
    match access {
        Access::Denied => Err(not_found(object, &named)),
        Access::Unknown => Err(End::Wait(Action::After(LISTING))),
        Access::Allowed => Ok(cluster),
    }
}

/// "Not allowed" and "not found" read the same.
fn not_found(object: &Arc<KafkaTopic>, named: &Key) -> End {
    let message = format!("KafkaCluster {named} does not exist, or may not be used from this namespace");
    held(object, Reason::ClusterNotFound, message)
}

fn held(object: &Arc<KafkaTopic>, reason: Reason, message: String) -> End {
    let outcome = Outcome::held(reason, message, Action::AwaitChange);
    End::Outcome(object.clone(), Box::new(outcome))
}

/// Finds the Kafka of an object, or says why there is none at present.
fn kafka(ctx: &Context, object: &Arc<KafkaTopic>, cluster: &KafkaCluster) -> Result<Kafka, End> {
    let named = Key::of(cluster);
    let status = cluster.status.as_ref();
    let connection = ctx.connections.get(&named);
    if let Some(connection) = &connection
        && let Some((admin, id)) = connection.usable()
    {
        // What its spec says now counts once the KafkaCluster's status has told what follows from it; that wakes us.
        if status.and_then(|status| status.observed_generation) != Some(generation(cluster)) {
            return Err(End::Wait(Action::AwaitChange));
        }
        let slot = connection.slot(super::KIND, &Key::of(&**object), &ctx.queues.topics);
        let slot = slot.ok_or(End::Wait(Action::After(CROWDED)))?;
        return Ok(Kafka {
            admin,
            id,
            throttled: connection.throttled(),
            _slot: slot,
        });
    }
    if connection
        .as_ref()
        .is_some_and(|c| c.hold_back(&Key::of(&**object), &ctx.queues.topics))
    {
        return Err(End::Wait(Action::AwaitChange));
    }
    let ready = status.and_then(|status| find(&status.conditions, READY));
    let refused = connection.is_some_and(|connection| connection.standing() == Standing::Unusable);
    match ready.filter(|ready| ready.status == "False" || refused) {
        Some(ready) => {
            let message = format!("KafkaCluster {named} is not ready: {}", ready.reason);
            Err(held(object, Reason::ClusterNotReady, message))
        }
        // Not looked at yet since our start: its first look wakes us.
        None => Err(End::Wait(Action::AwaitChange)),
    }
}

/// What an object may do with its topic on a KafkaCluster.
pub(super) fn tenure(object: &KafkaTopic, cluster: &KafkaCluster) -> Tenure {
    let name = object.name_any();
    tenancy::tenure(
        cluster.spec.topic_name_policy.as_ref(),
        cluster.metadata.namespace.as_deref().unwrap_or_default(),
        object.metadata.namespace.as_deref().unwrap_or_default(),
        super::desired::name(&name, &object.spec),
    )
}

/// What a topic is to be, its KafkaCluster's defaults included.
pub(super) fn completed(
    cluster: &KafkaCluster,
    desired: Desired,
) -> Result<Desired, super::desired::Invalid> {
    // Defaults that cannot be read leave the KafkaCluster unusable, so that nobody comes here with them.
    let defaults = defaults::parse(cluster.spec.topic_defaults.as_ref()).unwrap_or_default();
    let throttled =
        cluster.spec.replication_throttle.is_some() && cluster.metadata.deletion_timestamp.is_none();
    let throttle = if throttled {
        Throttle::Wanted
    } else {
        Throttle::Off
    };
    Ok(Desired {
        throttle,
        ..defaults.complete(desired)?
    })
}

/// Looks at a topic.
pub(super) async fn look(
    topics: &Topics,
    ctx: &Context,
    object: &Arc<KafkaTopic>,
    desired: Desired,
) -> Result<Look, End> {
    let cluster = cluster(ctx, object)?;
    let kafka = kafka(ctx, object, &cluster)?;
    let mut desired =
        completed(&cluster, desired).map_err(|invalid| held(object, invalid.reason, invalid.message))?;
    if desired.throttle == Throttle::Wanted && kafka.throttled {
        desired.throttle = Throttle::InPlace;
    }
    let tenure = tenure(object, &cluster);
    let recorded = status::recorded(&object.status.clone().unwrap_or_default(), &kafka.id);
    // At first contact, and where the plan is to be shown, everything set on the topic is of interest.
    let all = recorded.id.is_none() || desired.suspend;
    let mut doubt = None;
    let sight = match observe::topic(&*kafka.admin, &desired, &recorded, all).await {
        Ok(Some(live)) => {
            topics.in_sight(object);
            Sight::Present(live)
        }
        Ok(None) if recorded.id.is_none() || told_gone(object, &desired) || topics.believes_at_once => {
            Sight::Absent
        }
        Ok(None) => {
            let missing = topics.out_of_sight(object);
            let known = observe::known(&*kafka.admin, [desired.name.clone()].into()).await;
            if known.contains(&desired.name) {
                return Err(End::Wait(Action::After(super::look_again(missing))));
            }
            doubt = super::doubt(missing);
            doubt.map_or(Sight::Absent, |_| Sight::OutOfSight)
        }
        Err(error) => return Err(failed(ctx, object.clone(), &error, Shape::Keep)),
    };
    let live_id = match &sight {
        Sight::Present(live) => Some(live.id),
        _ => None,
    };
    let accepted = object.annotations().get(ACCEPT_TOPIC_ID);
    let policy = Policy {
        tenure,
        accepted: accepted
            .and_then(|id| id.trim().parse().ok())
            .or_else(|| ledger::replaced(object, recorded.id?)),
        other_owner: other_owner(topics, ctx, object, (desired.name.as_str(), &kafka.id), live_id),
    };
    let mut plan = plan::plan(&desired, &sight, &recorded, &policy);
    refuse_distant_deletion(&mut plan, &desired, &policy);
    let unmanaged = match &sight {
        Sight::Present(live) if all && may_be_told(&plan, &policy) => {
            Some(plan::unmanaged(&desired, &recorded, live))
        }
        _ => None,
    };
    Ok(Look {
        kafka,
        tenure,
        desired,
        recorded,
        sight,
        doubt,
        plan,
        unmanaged,
    })
}

/// Whether this object's readers may know how the topic looks.
fn may_be_told(plan: &Plan, policy: &Policy) -> bool {
    plan.claim != Claim::HandsOff || (policy.tenure.may_take_and_delete() && policy.other_owner.is_none())
}

/// The absence was believed and told before, and nothing came of it: it needs no second look.
fn told_gone(object: &KafkaTopic, desired: &Desired) -> bool {
    let status = object.status.as_ref();
    let ready = status.and_then(|status| find(&status.conditions, READY));
    desired.drift == DriftPolicy::Report
        && ready.is_some_and(|ready| ready.reason == Reason::TopicGone.as_str())
}

/// Where no topic may be deleted from, the object says so while it lives.
fn refuse_distant_deletion(plan: &mut Plan, desired: &Desired, policy: &Policy) {
    if desired.deletion == DeletionPolicy::Delete
        && !policy.tenure.may_take_and_delete()
        && plan.claim != Claim::HandsOff
    {
        plan.refusals.push(Refusal {
            reason: Reason::DeletionNotAllowed,
            message: "deletionPolicy Delete works only in the KafkaCluster's own namespace, or under a topicNamePolicy that \
                      gives the name to this one; set it to Retain"
                .to_owned(),
        });
    }
}
