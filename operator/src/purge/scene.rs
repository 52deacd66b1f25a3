//! What a pass over a purge works with: the objects, the Kafka, and the saves in between.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use ottla_crds::common::ClusterRef;
use ottla_crds::{KafkaTopic, KafkaTopicPurge, KafkaTopicPurgeStatus};
use ottla_kafka::admin::Admin;
use ottla_kafka::error::KafkaError;
use ottla_kafka::types::{ClusterId, TopicId, TopicName};

use super::Purges;
use super::desired::Desired;
use super::reason::Reason;
use super::status::{self, Outcome, Place};
use crate::cluster::tenancy::{self, Access};
use crate::cluster::{self, access, cluster_key};
use crate::connections::{Slot, Standing};
use crate::runtime::apply::{self, Guard};
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::{Action, Context, Error, Key, Reconciler};

/// How soon to ask again for a turn.
pub(super) const CROWDED: Duration = Duration::from_millis(50);

/// How a pass ends.
pub(super) enum End {
    /// With nothing to write down.
    Wait(Action),
    /// With something to write down, about the object in this state.
    Outcome(Arc<KafkaTopicPurge>, Box<Outcome>),
}

/// A Kafka that may be used.
pub(super) struct Kafka {
    pub(super) admin: Arc<dyn Admin>,
    pub(super) id: ClusterId,
    /// A place among those who wait for it.
    _slot: Slot,
}

/// What a pass works with.
pub(super) struct Scene<'a> {
    pub(super) ctx: &'a Context,
    pub(super) object: Arc<KafkaTopicPurge>,
    pub(super) desired: Desired,
    /// Gone, while something is left to restore.
    pub(super) topic: Option<Arc<KafkaTopic>>,
    pub(super) name: TopicName,
    pub(super) cluster_ref: ClusterRef,
    pub(super) kafka: Kafka,
}

/// The KafkaTopic that a purge names.
pub(super) fn topic_key(object: &KafkaTopicPurge) -> Key {
    Key::new(
        object.namespace().unwrap_or_default(),
        object.spec.topic_ref.name.clone(),
    )
}

fn held(reason: Reason, message: impl Into<String>) -> Box<Outcome> {
    Box::new(Outcome::new(reason, message, Action::AwaitChange))
}

impl<'a> Scene<'a> {
    /// Sets the scene, or says why it cannot be set at present.
    pub(super) fn set(ctx: &'a Context, object: Arc<KafkaTopicPurge>, desired: Desired) -> Result<Self, End> {
        let topic = ctx.stores.topics.object(&topic_key(&object));
        let saved = object.status.clone().unwrap_or_default();
        let found = place(&object, topic.as_deref(), &saved).and_then(|(name, cluster_ref)| {
            let key = cluster_key(&Key::of(&*object), &cluster_ref);
            if !may_purge(ctx, &object, &key, &name) {
                return Err(held(
                    Reason::NotAllowed,
                    "a topic is purged only from the namespace of its KafkaCluster, or from the one that its \
                     topicNamePolicy gives the name to",
                ));
            }
            Ok((name, cluster_ref, key))
        });
        let (name, cluster_ref, key) = match found {
            Ok(found) => found,
            Err(outcome) => return Err(End::Outcome(object, outcome)),
        };
        match kafka(ctx, &key, &Key::of(&*object)) {
            Ok(Some(kafka)) => Ok(Self {
                ctx,
                object,
                desired,
                topic,
                name,
                cluster_ref,
                kafka,
            }),
            Ok(None) => Err(End::Wait(Action::AwaitChange)),
            Err(outcome) => Err(End::Outcome(object, outcome)),
        }
    }

    pub(super) fn status(&self) -> KafkaTopicPurgeStatus {
        self.object.status.clone().unwrap_or_default()
    }

    /// The id that was planned for.
    pub(super) fn planned_id(&self) -> Option<TopicId> {
        self.object.status.as_ref()?.topic_id.as_deref()?.parse().ok()
    }

    pub(super) fn place(&self) -> Place {
        Place {
            topic: self.name.clone(),
            cluster: self.kafka.id.clone(),
            cluster_ref: self.cluster_ref.clone(),
        }
    }

    /// Ends the pass with an outcome.
    pub(super) fn end(self, outcome: Outcome) -> End {
        End::Outcome(self.object, Box::new(outcome))
    }

    /// Ends the pass with a failed call; has the cluster looked at when it may be gone.
    pub(super) fn failed(self, error: &KafkaError) -> End {
        if error.is_connection() {
            let cluster = cluster_key(&Key::of(&*self.object), &self.cluster_ref);
            cluster::doubt(self.ctx, &cluster);
        }
        self.end(Outcome::failed(error))
    }

    /// Writes down what must be known should we die during what follows. A change of the object meanwhile ends the
    /// pass.
    pub(super) async fn save(
        &mut self,
        outcome: &Outcome,
        change: impl FnOnce(&mut KafkaTopicPurgeStatus),
    ) -> Result<(), Error> {
        let previous = self.status();
        let mut status = previous.clone();
        change(&mut status);
        let (generation, now) = (generation(&*self.object), self.ctx.now());
        self.write(&status::written(status, &previous, outcome, generation, now))
            .await
    }

    pub(super) async fn write(&mut self, status: &KafkaTopicPurgeStatus) -> Result<(), Error> {
        self.object = apply::status(
            self.ctx,
            &self.ctx.stores.purges,
            &*self.object,
            Purges::MANAGER,
            status,
            Guard::Version,
        )
        .await?;
        Ok(())
    }
}

/// The topic's name and its KafkaCluster: from the KafkaTopic, or as they were saved.
fn place(
    object: &KafkaTopicPurge,
    topic: Option<&KafkaTopic>,
    saved: &KafkaTopicPurgeStatus,
) -> Result<(TopicName, ClusterRef), Box<Outcome>> {
    let from_topic = |topic: &KafkaTopic| {
        let name = topic.name_any();
        (
            crate::topic::desired::name(&name, &topic.spec).to_owned(),
            topic.spec.cluster_ref.clone(),
        )
    };
    let remembered = || Some((saved.topic_name.clone()?, saved.cluster_ref.clone()?));
    let found = remembered().or_else(|| topic.map(from_topic));
    let (name, cluster_ref) = found.ok_or_else(|| {
        let message = format!(
            "KafkaTopic {} does not exist in this namespace",
            object.spec.topic_ref.name
        );
        held(Reason::TopicNotFound, message)
    })?;
    match name.parse() {
        Ok(name) => Ok((name, cluster_ref)),
        Err(_) => Err(held(Reason::TopicNotReady, "the KafkaTopic has no valid name")),
    }
}

/// Whether the topic belongs to the purge's namespace, as far as its KafkaCluster may be used from there.
fn may_purge(ctx: &Context, object: &KafkaTopicPurge, cluster: &Key, name: &TopicName) -> bool {
    let own = object.namespace().unwrap_or_default();
    let found = ctx.stores.clusters.object(cluster);
    found.is_none_or(|found| {
        let policy = found.spec.topic_name_policy.as_ref();
        access(&ctx.stores, &found, &own) != Access::Allowed
            || tenancy::tenure(policy, &cluster.namespace, &own, name.as_str()).may_take_and_delete()
    })
}

/// The Kafka to work on; none while it is crowded or was not looked at yet, and then the purge is called when that changes.
fn kafka(ctx: &Context, cluster: &Key, purge: &Key) -> Result<Option<Kafka>, Box<Outcome>> {
    let found = ctx.stores.clusters.object(cluster);
    let Some(object) = found.filter(|found| access(&ctx.stores, found, &purge.namespace) == Access::Allowed)
    else {
        let message =
            format!("KafkaCluster {cluster} does not exist, or may not be used from this namespace");
        return Err(held(Reason::ClusterNotFound, message));
    };
    let connection = ctx.connections.get(cluster);
    if let Some(connection) = &connection
        && let Some((admin, id)) = connection.usable()
    {
        let slot = connection.slot(Purges::KIND, purge, &ctx.queues.purges);
        return Ok(slot.map(|slot| Kafka {
            admin,
            id,
            _slot: slot,
        }));
    }
    if connection
        .as_ref()
        .is_some_and(|c| c.hold_back(purge, &ctx.queues.purges))
    {
        return Ok(None);
    }
    let ready = object
        .status
        .as_ref()
        .and_then(|status| find(&status.conditions, READY));
    let refused = connection.is_some_and(|connection| connection.standing() == Standing::Unusable);
    match ready.filter(|ready| ready.status == "False" || refused) {
        Some(ready) => Err(held(
            Reason::ClusterNotReady,
            format!("KafkaCluster {cluster} is not ready: {}", ready.reason),
        )),
        // Not looked at yet since our start: its first look wakes us.
        None => Ok(None),
    }
}
