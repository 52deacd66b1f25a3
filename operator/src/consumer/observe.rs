//! Finds the KafkaProducers whose records a KafkaConsumer must receive, and who else has its group.
//!
//! Reads stores only.

use std::sync::Arc;

use ottla_contract::config::ExpectedRun;
use ottla_contract::ids::{RunId, Uid};
use ottla_contract::report::ProducerReport;
use ottla_crds::{KafkaConsumer, KafkaProducer};

use super::desired::Desired;
use crate::pods::reason::Reason;
use crate::pods::standing::Standing;
use crate::pods::target::{self, TopicKey};
use crate::pods::{Memory, stores};
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
