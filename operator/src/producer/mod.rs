//! KafkaProducer: pods that send marked records. Observe, plan, execute, gather what the pods say, status.
//!
//! No rule lives here. The children are [`crate::pods`]'; Kafka itself is asked nothing.

pub mod desired;
pub mod evidence;
pub mod status;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use ottla_crds::KafkaProducer;
use ottla_crds::producer::KafkaProducerStatus;
use tokio::time::Instant;

use self::evidence::Known;
use self::status::Outcome;
use crate::pods::names::{self, Role};
use crate::pods::pass::{self, Declared};
use crate::pods::reason::Reason;
use crate::pods::standing::Standing;
use crate::pods::target::{self, TopicKey};
use crate::pods::{Memory, notes, quiet, stores};
use crate::runtime::apply::{self, Guard};
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::{Action, Context, Error, Key, Reconciler};

/// Reconciles KafkaProducers.
#[derive(Debug)]
pub struct Producers {
    memory: Arc<Memory>,
}

impl Producers {
    /// A reconciler that shares its memory with that of KafkaConsumers.
    #[must_use]
    pub const fn new(memory: Arc<Memory>) -> Self {
        Self { memory }
    }
}

impl Reconciler for Producers {
    type Object = KafkaProducer;
    const KIND: &'static str = "KafkaProducer";
    const MANAGER: &'static str = "producer";

    fn reconcile<'a>(
        &'a self,
        ctx: &'a Context,
        object: Arc<KafkaProducer>,
    ) -> BoxFuture<'a, Result<Action, Error>> {
        self.pass(ctx, object).boxed()
    }

    fn conditions(object: &KafkaProducer) -> &[Condition] {
        object.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

impl Producers {
    async fn pass(&self, ctx: &Context, object: Arc<KafkaProducer>) -> Result<Action, Error> {
        // Children go with their owner; nothing in Kafka is ours to clean up.
        if object.metadata.deletion_timestamp.is_some() {
            return Ok(Action::AwaitChange);
        }
        let previous = object.status.clone().unwrap_or_default();
        let owner = pass::owner(&*object);
        let desired = match desired::parse(&object.spec) {
            Ok(desired) => desired,
            Err(problem) => return self.invalid(ctx, &object, &previous, problem).await,
        };
        let uid = pass::object_uid(&owner)?;
        let recorded = previous.completion_time.is_some();
        let passed = pass::pass(
            ctx,
            Declared {
                owner: owner.clone(),
                uid,
                role: Role::Producer,
                replicas: desired.replicas,
                suspend: desired.suspend || is_quiet(ctx, &object),
                bounded: desired.bounded,
                ttl_seconds: desired.ttl_seconds,
                settings: &object.spec.pod,
                target: target::resolve(stores::of_producer(&object), &ctx.stores).map_err(Standing::from),
                work: &|run| desired.workload(run),
                recorded,
                recorded_run: previous
                    .run
                    .and_then(|run| u32::try_from(run).ok())
                    .unwrap_or_default(),
                memory: &self.memory,
            },
        )
        .await?;
        if recorded {
            self.memory.forget(&owner.uid);
            return Ok(Action::AwaitChange);
        }
        let said = self.memory.producers.gather(&owner.uid, &passed.pods).await;
        let trouble = said
            .iter()
            .rev()
            .find_map(|said| said.report.last_error.as_deref());
        let standing = passed.standing(trouble);
        let known = known(ctx, &self.memory, &object, standing.is_over());
        let outcome = Outcome {
            run: passed.child.is_some().then_some(passed.run),
            replicas: passed.replicas(),
            selector: names::selector(Role::Producer, &owner.name),
            said: &said,
            known: &known,
            topic_id: target::topic_id(stores::of_producer(&object), &ctx.stores),
            standing,
        };
        let wait = self.write(ctx, &object, &previous, &outcome).await?;
        Ok(pass::again(&outcome.standing, &passed, desired.bounded, wait))
    }

    async fn invalid(
        &self,
        ctx: &Context,
        object: &Arc<KafkaProducer>,
        previous: &KafkaProducerStatus,
        problem: String,
    ) -> Result<Action, Error> {
        let known = known(ctx, &self.memory, object, false);
        let outcome = Outcome {
            standing: Standing::new(Reason::InvalidSpec, problem),
            run: None,
            replicas: previous.replicas.unwrap_or_default(),
            selector: names::selector(
                Role::Producer,
                object.metadata.name.as_deref().unwrap_or_default(),
            ),
            said: &[],
            known: &known,
            topic_id: None,
        };
        self.write(ctx, object, previous, &outcome).await?;
        Ok(Action::AwaitChange)
    }

    /// Writes the status if it differs, figures alone only now and then; tells how long figures have to wait.
    async fn write(
        &self,
        ctx: &Context,
        object: &Arc<KafkaProducer>,
        previous: &KafkaProducerStatus,
        outcome: &Outcome<'_>,
    ) -> Result<Option<Duration>, Error> {
        let next = status::next(previous, outcome, generation(&**object), ctx.now());
        if next == *previous {
            return Ok(None);
        }
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let now = Instant::now();
        if status::differs_in_figures_only(previous, &next)
            && let Some(wait) = self.memory.pacing.wait(uid, now)
        {
            return Ok(Some(wait));
        }
        apply::status(
            ctx,
            &ctx.stores.producers,
            &**object,
            Self::MANAGER,
            &next,
            Guard::Uid,
        )
        .await?;
        self.memory.pacing.wrote(uid, now);
        let before = find(&previous.conditions, READY).map(|ready| ready.reason.as_str());
        ctx.publish(Self::KIND, &**object, &notes::standing(before, &outcome.standing))
            .await;
        Ok(None)
    }
}

/// Whether a purge wants the pods away for the moment.
fn is_quiet(ctx: &Context, object: &KafkaProducer) -> bool {
    let topic = target::topic_key(stores::of_producer(object), &ctx.stores);
    quiet::is_quiet(ctx, Role::Producer, topic.as_ref())
}

/// What is known of all that a KafkaProducer sent, without asking its pods.
#[must_use]
pub fn known(ctx: &Context, memory: &Memory, producer: &KafkaProducer, over: bool) -> Vec<Known> {
    let status = producer.status.clone().unwrap_or_default();
    let over = over || status.completion_time.is_some();
    let said = memory
        .producers
        .remembered(producer.metadata.uid.as_deref().unwrap_or_default());
    let running = stores::running_pods(ctx, Role::Producer, &Key::of(producer));
    evidence::known(&status, &said, &running, over)
}

/// Registers what triggers KafkaProducers, and what they trigger: the KafkaConsumers of their topic.
pub fn triggers(ctx: &Arc<Context>, memory: &Arc<Memory>) {
    let (weak, memory) = (Arc::downgrade(ctx), memory.clone());
    ctx.stores.producers.listen(Box::new(move |_, old, new| {
        let Some(ctx) = weak.upgrade() else { return };
        let (old, new) = (old.and_then(|e| e.object()), new.and_then(|e| e.object()));
        if let (Some(old), None) = (old, new) {
            memory.forget(old.metadata.uid.as_deref().unwrap_or_default());
        }
        let status = |producer: Option<&Arc<KafkaProducer>>| producer.and_then(|p| p.status.clone());
        if old.is_some() == new.is_some() && status(old) == status(new) {
            return;
        }
        if let Some(producer) = new.or(old) {
            wake_consumers(&ctx, producer);
        }
    }));
}

fn wake_consumers(ctx: &Context, producer: &KafkaProducer) {
    let key: Option<TopicKey> = target::topic_key(stores::of_producer(producer), &ctx.stores);
    for consumer in ctx.stores.consumers.objects() {
        if target::topic_key(stores::of_consumer(&consumer), &ctx.stores) == key {
            ctx.queues.consumers.add(Key::of(&*consumer));
        }
    }
}
