//! KafkaConsumer: a group that tells whether every record arrived once, in order, in the right partition. Observe,
//! plan, execute, gather what the pods say, hold it against what the producers say, status.
//!
//! No rule lives here: the verdict is `ottla_contract::verdict`'s, the children are [`crate::pods`]'.

pub mod desired;
mod observe;
pub mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use ottla_contract::config::ExpectedRun;
use ottla_contract::report::ConsumerReport;
use ottla_contract::verdict::{Facts, ProducerFacts, Reason as VerdictReason, Verdict, judge};
use ottla_crds::KafkaConsumer;
use ottla_crds::consumer::KafkaConsumerStatus;
use tokio::time::Instant;

use self::desired::Desired;
use self::status::{Outcome, VERIFIED};
use crate::pods::gather::Said;
use crate::pods::names::{self, Role};
use crate::pods::pass::{self, Declared};
use crate::pods::reason::Reason;
use crate::pods::standing::Standing;
use crate::pods::target::{self, Target};
use crate::pods::{Memory, notes, quiet, stores};
use crate::runtime::apply::{self, Guard};
use crate::runtime::conditions::{READY, find};
use crate::runtime::controller::generation;
use crate::runtime::{Action, Context, Error, Reconciler};

/// Reconciles KafkaConsumers.
#[derive(Debug)]
pub struct Consumers {
    memory: Arc<Memory>,
}

impl Consumers {
    /// A reconciler that shares its memory with that of KafkaProducers.
    #[must_use]
    pub const fn new(memory: Arc<Memory>) -> Self {
        Self { memory }
    }
}

impl Reconciler for Consumers {
    type Object = KafkaConsumer;
    const KIND: &'static str = "KafkaConsumer";
    const MANAGER: &'static str = "consumer";

    fn reconcile<'a>(
        &'a self,
        ctx: &'a Context,
        object: Arc<KafkaConsumer>,
    ) -> BoxFuture<'a, Result<Action, Error>> {
        self.pass(ctx, object).boxed()
    }

    fn conditions(object: &KafkaConsumer) -> &[Condition] {
        object.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

/// Whether a purge wants the pods away for the moment.
fn is_quiet(ctx: &Context, object: &KafkaConsumer) -> bool {
    let topic = target::topic_key(stores::of_consumer(object), &ctx.stores);
    quiet::is_quiet(ctx, Role::Consumer, topic.as_ref())
}

/// What the producers of the topic contribute.
#[derive(Default)]
struct Evidence {
    expected: Vec<ExpectedRun>,
    sent: Vec<(ottla_contract::report::ProducerReport, bool)>,
    /// Below which offset purges cleared each partition.
    purges: BTreeMap<i32, i64>,
}

impl Consumers {
    async fn pass(&self, ctx: &Context, object: Arc<KafkaConsumer>) -> Result<Action, Error> {
        // Children go with their owner; the group's offsets stay in Kafka.
        if object.metadata.deletion_timestamp.is_some() {
            return Ok(Action::AwaitChange);
        }
        let written = object.status.clone().unwrap_or_default();
        let owner = pass::owner(&*object);
        let topic_id = target::topic_id(stores::of_consumer(&object), &ctx.stores);
        let previous = status::of_topic(written.clone(), topic_id.as_deref());
        let desired = match desired::parse(&object.spec) {
            Ok(desired) => desired,
            Err(problem) => return self.invalid(ctx, &object, &previous, problem).await,
        };
        let uid = pass::object_uid(&owner)?;
        let recorded = previous.completion_time.is_some();
        let (target, evidence) = self.look(ctx, &object, &desired, topic_id.as_deref());
        let passed = pass::pass(
            ctx,
            Declared {
                owner: owner.clone(),
                uid,
                role: Role::Consumer,
                replicas: desired.replicas,
                suspend: desired.suspend || is_quiet(ctx, &object),
                bounded: desired.bounded,
                ttl_seconds: desired.ttl_seconds,
                settings: &object.spec.pod,
                target,
                work: &|_| desired.workload(&evidence.expected),
                recorded,
                recorded_run: 0,
                memory: &self.memory,
            },
        )
        .await?;
        if recorded && is_final(&previous) {
            self.memory.forget(&owner.uid);
            return Ok(Action::AwaitChange);
        }
        if previous.topic_id != written.topic_id {
            // What was said of another topic is no evidence of this one.
            self.memory.consumers.begin_anew(&owner.uid, &passed.pods);
        }
        let said = self.memory.consumers.gather(&owner.uid, &passed.pods).await;
        let trouble = said
            .iter()
            .rev()
            .find_map(|said| said.report.last_error.as_deref());
        let standing = if recorded {
            ended(&previous)
        } else {
            passed.standing(trouble)
        };
        // With nothing left to judge by, what was judged stays.
        let verdict = (!recorded || !said.is_empty()).then(|| judged(&desired, &evidence, &said, &previous));
        let outcome = Outcome {
            verdict: verdict.as_ref(),
            replicas: passed.replicas(),
            selector: names::selector(Role::Consumer, &owner.name),
            said: &said,
            standing,
            topic_id,
        };
        let wait = self.write(ctx, &object, &previous, &outcome).await?;
        if recorded {
            return Ok(Action::AwaitChange);
        }
        Ok(pass::again(&outcome.standing, &passed, desired.bounded, wait))
    }

    /// Where the pods connect, or why they may not start, and what the topic's producers say.
    fn look(
        &self,
        ctx: &Context,
        object: &KafkaConsumer,
        desired: &Desired,
        topic_id: Option<&str>,
    ) -> (Result<Target, Standing>, Evidence) {
        let reference = stores::of_consumer(object);
        let nothing = Evidence::default();
        let target = target::resolve(reference, &ctx.stores).map_err(Standing::from);
        let Some(topic) = target::topic_key(reference, &ctx.stores) else {
            return (target, nothing);
        };
        if let Some(rival) = observe::group_rival(ctx, object, desired, &topic) {
            let text = format!(
                "KafkaConsumer {rival} has the group {}: choose another groupId",
                desired.group_id()
            );
            return (target.and(Err(Standing::new(Reason::GroupTaken, text))), nothing);
        }
        match observe::producers(ctx, object, desired, &topic) {
            Err(standing) => (target.and(Err(standing)), nothing),
            Ok(producers) => {
                let purges = observe::cuts(ctx, &topic);
                let log = observe::Log {
                    topic_id,
                    purges: &purges,
                };
                let (expected, sent) = observe::sent(ctx, &self.memory, &producers, &log);
                let evidence = Evidence {
                    expected,
                    sent,
                    purges,
                };
                (target, evidence)
            }
        }
    }

    async fn invalid(
        &self,
        ctx: &Context,
        object: &Arc<KafkaConsumer>,
        previous: &KafkaConsumerStatus,
        problem: String,
    ) -> Result<Action, Error> {
        let outcome = Outcome {
            standing: Standing::new(Reason::InvalidSpec, problem),
            verdict: None,
            replicas: previous.replicas.unwrap_or_default(),
            selector: names::selector(
                Role::Consumer,
                object.metadata.name.as_deref().unwrap_or_default(),
            ),
            said: &[],
            topic_id: None,
        };
        self.write(ctx, object, previous, &outcome).await?;
        Ok(Action::AwaitChange)
    }

    /// Writes the status if it differs, figures alone only now and then; tells how long figures have to wait.
    async fn write(
        &self,
        ctx: &Context,
        object: &Arc<KafkaConsumer>,
        previous: &KafkaConsumerStatus,
        outcome: &Outcome<'_>,
    ) -> Result<Option<Duration>, Error> {
        let next = status::next(previous, outcome, generation(&**object), ctx.now());
        let written = object.status.clone().unwrap_or_default();
        if next == written {
            return Ok(None);
        }
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let now = Instant::now();
        if status::differs_in_figures_only(&written, &next)
            && let Some(wait) = self.memory.pacing.wait(uid, now)
        {
            return Ok(Some(wait));
        }
        apply::status(
            ctx,
            &ctx.stores.consumers,
            &**object,
            Self::MANAGER,
            &next,
            Guard::Uid,
        )
        .await?;
        self.memory.pacing.wrote(uid, now);
        let before = |type_| find(&previous.conditions, type_).map(|condition| condition.reason.as_str());
        let mut told = notes::standing(before(READY), &outcome.standing);
        if let Some(verdict) = outcome.verdict {
            let over = outcome.standing.is_over();
            told.extend(notes::verdict(
                before(VERIFIED),
                verdict.reason,
                &verdict.message,
                over,
            ));
        }
        ctx.publish(Self::KIND, &**object, &told).await;
        Ok(None)
    }
}

fn judged(
    desired: &Desired,
    evidence: &Evidence,
    said: &[Said<ConsumerReport>],
    previous: &KafkaConsumerStatus,
) -> Verdict {
    let producers: Vec<ProducerFacts<'_>> = evidence
        .sent
        .iter()
        .map(|(report, gone)| ProducerFacts { report, gone: *gone })
        .collect();
    let consumers: Vec<&ConsumerReport> = said.iter().map(|said| &said.report).collect();
    judge(&Facts {
        producers: &producers,
        expected: &evidence.expected,
        consumers: &consumers,
        bounded: desired.bounded,
        min_records: desired.min_records,
        require: desired.require,
        purges: &evidence.purges,
        purged_before: previous
            .purged
            .and_then(|purged| u64::try_from(purged).ok())
            .unwrap_or_default(),
    })
}

/// A verdict on a run that is over and will not change whatever producers still say.
fn is_final(status: &KafkaConsumerStatus) -> bool {
    let open = [VerdictReason::Pending, VerdictReason::NoEvidence].map(VerdictReason::as_str);
    status
        .verdict
        .as_deref()
        .is_some_and(|verdict| !open.contains(&verdict))
}

/// The standing that was recorded at the end.
fn ended(status: &KafkaConsumerStatus) -> Standing {
    let ready = find(&status.conditions, READY);
    let failed = ready.is_some_and(|ready| ready.reason == Reason::Failed.as_str());
    let reason = if failed { Reason::Failed } else { Reason::Completed };
    Standing::new(
        reason,
        ready.map(|ready| ready.message.clone()).unwrap_or_default(),
    )
}

/// Registers that deleted KafkaConsumers are forgotten, and free their group for the next.
pub fn triggers(ctx: &Arc<Context>, memory: &Arc<Memory>) {
    let (weak, memory) = (Arc::downgrade(ctx), memory.clone());
    ctx.stores.consumers.listen(Box::new(move |_, old, new| {
        let (Some(ctx), Some(old), None) = (weak.upgrade(), old.and_then(|e| e.object()), new) else {
            return;
        };
        memory.forget(old.metadata.uid.as_deref().unwrap_or_default());
        for other in ctx.stores.consumers.objects() {
            if other.spec.group_id == old.spec.group_id {
                ctx.queues.consumers.add(crate::runtime::Key::of(&*other));
            }
        }
    }));
}
