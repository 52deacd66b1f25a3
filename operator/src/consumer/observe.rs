//! Finds the KafkaProducers whose records a KafkaConsumer must receive, what purges removed beneath it, and who else has
//! its group.
//!
//! Reads stores only.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_contract::config::ExpectedRun;
use ottla_contract::ids::{RunId, Uid};
use ottla_contract::report::ProducerReport;
use ottla_crds::purge::{KafkaTopicPurgeStatus, PurgeMethod, PurgeStep};
use ottla_crds::{KafkaConsumer, KafkaProducer, KafkaTopicPurge};

use super::desired::Desired;
use crate::pods::reason::Reason;
use crate::pods::standing::Standing;
use crate::pods::target::{self, TopicKey};
use crate::pods::{Memory, quiet, stores};
use crate::producer;
use crate::runtime::{Context, Key};

/// The KafkaProducers on the topic that count, oldest first.
pub(super) fn producers(
    ctx: &Context,
    consumer: &KafkaConsumer,
    desired: &Desired,
    topic: &TopicKey,
) -> Result<Vec<Arc<KafkaProducer>>, Standing> {
    let mut found: Vec<Arc<KafkaProducer>> = ctx
        .stores
        .producers
        .objects()
        .into_iter()
        .filter(|p| target::topic_key(stores::of_producer(p), &ctx.stores).as_ref() == Some(topic))
        .collect();
    if !desired.producers.is_empty() {
        let namespace = &consumer.metadata.namespace;
        found.retain(|p| {
            p.metadata.namespace == *namespace
                && p.metadata
                    .name
                    .as_ref()
                    .is_some_and(|name| desired.producers.contains(name))
        });
        let missing = desired
            .producers
            .iter()
            .find(|name| !found.iter().any(|p| p.metadata.name.as_ref() == Some(name)));
        if let Some(name) = missing {
            let text =
                format!("KafkaProducer {name} of verify.producers does not exist, or sends to another topic");
            return Err(Standing::new(Reason::ProducerNotFound, text));
        }
    }
    found.sort_by(|a, b| age(&a.metadata).cmp(&age(&b.metadata)));
    Ok(found)
}

fn age(
    meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
) -> (Option<jiff::Timestamp>, Option<&str>) {
    (
        meta.creation_timestamp.as_ref().map(|time| time.0),
        meta.uid.as_deref(),
    )
}

/// The bounded runs of these KafkaProducers, by uid.
pub(super) fn expected(producers: &[Arc<KafkaProducer>]) -> Vec<ExpectedRun> {
    let mut runs: Vec<ExpectedRun> = producers
        .iter()
        .filter_map(|p| {
            let desired = producer::desired::parse(&p.spec)
                .ok()
                .filter(|desired| desired.bounded)?;
            let uid: Uid = p.metadata.uid.as_deref()?.parse().ok()?;
            Some(ExpectedRun {
                id: RunId { uid, run: 1 },
                shares: desired.shares(),
            })
        })
        .collect();
    runs.sort_unstable();
    runs
}

/// What the pods of these KafkaProducers said, one report an incarnation, and whether its process has ended.
pub(super) fn sent(
    ctx: &Context,
    memory: &Memory,
    producers: &[Arc<KafkaProducer>],
) -> Vec<(ProducerReport, bool)> {
    let known = producers
        .iter()
        .flat_map(|p| producer::known(ctx, memory, p, false));
    known
        .map(|known| {
            let report = ProducerReport {
                incarnations: vec![known.sent],
                ..ProducerReport::default()
            };
            (report, known.gone)
        })
        .collect()
}

/// The greatest offset below which a purge cleared each partition of the topic, or is clearing it.
pub(super) fn cuts(ctx: &Context, topic: &TopicKey) -> BTreeMap<i32, i64> {
    let mut cuts = BTreeMap::new();
    for purge in ctx.stores.purges.objects() {
        let Some(status) = purge.status.as_ref().filter(|status| has_begun(status)) else {
            continue;
        };
        // A topic created again begins anew.
        let recreates = purge.spec.method == PurgeMethod::Recreate;
        if recreates || quiet::topic_of(ctx, &purge).as_ref() != Some(topic) || !is_present(ctx, &purge) {
            continue;
        }
        for plan in &status.partitions {
            let cut: &mut i64 = cuts.entry(plan.partition).or_default();
            *cut = (*cut).max(plan.cut);
        }
    }
    cuts
}

/// Whether anything was removed by then: a plan alone explains no gap.
fn has_begun(status: &KafkaTopicPurgeStatus) -> bool {
    status
        .step
        .is_some_and(|step| step > PurgeStep::Planned || status.partitions_done.is_some())
}

/// Whether the topic is still the one that the purge was planned for.
fn is_present(ctx: &Context, purge: &KafkaTopicPurge) -> bool {
    let named = Key::new(
        purge.metadata.namespace.clone().unwrap_or_default(),
        purge.spec.topic_ref.name.clone(),
    );
    let topic = ctx.stores.topics.object(&named);
    let id = topic
        .as_ref()
        .and_then(|topic| topic.status.as_ref()?.topic_id.as_deref());
    id.is_some()
        && id
            == purge
                .status
                .as_ref()
                .and_then(|status| status.topic_id.as_deref())
}

/// Another KafkaConsumer that has the group on the same Kafka, and had it first.
pub(super) fn group_rival(
    ctx: &Context,
    consumer: &KafkaConsumer,
    desired: &Desired,
    topic: &TopicKey,
) -> Option<Key> {
    let mine = age(&consumer.metadata);
    ctx.stores
        .consumers
        .objects()
        .iter()
        .filter(|other| other.spec.group_id == desired.group_id())
        .filter(|other| age(&other.metadata) < mine && other.metadata.uid != consumer.metadata.uid)
        .filter(|other| {
            let key = target::topic_key(stores::of_consumer(other), &ctx.stores);
            key.is_some_and(|key| key.cluster_id == topic.cluster_id)
        })
        .map(|other| Key::of(&**other))
        .min()
}
