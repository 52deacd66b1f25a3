//! Finds the KafkaProducers whose records a KafkaConsumer must receive, what purges removed beneath it, and who else has
//! its group.
//!
//! Reads stores only.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_contract::config::ExpectedRun;
use ottla_contract::ids::{RunId, Uid};
use ottla_contract::report::{ProducerReport, SentStream};
use ottla_crds::producer::KafkaProducerStatus;
use ottla_crds::purge::{KafkaTopicPurgeStatus, PurgeMethod, PurgeStep};
use ottla_crds::{KafkaConsumer, KafkaProducer, KafkaTopicPurge};

use super::desired::Desired;
use crate::pods::reason::Reason;
use crate::pods::standing::Standing;
use crate::pods::target::{self, TopicKey};
use crate::pods::{Memory, quiet, stores};
use crate::producer;
use crate::producer::evidence::Known;
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

/// What is known of the log that a KafkaConsumer reads.
pub(super) struct Log<'a> {
    /// The topic's id, where a KafkaTopic tells it.
    pub(super) topic_id: Option<&'a str>,
    /// Below which offset purges cleared each partition.
    pub(super) purges: &'a BTreeMap<i32, i64>,
}

/// The bounded runs of these KafkaProducers that must be read to their end, by uid; and what their pods said, one report an
/// incarnation, and whether its process has ended.
pub(super) fn sent(
    ctx: &Context,
    memory: &Memory,
    producers: &[Arc<KafkaProducer>],
    log: &Log<'_>,
) -> (Vec<ExpectedRun>, Vec<(ProducerReport, bool)>) {
    let mut runs = vec![];
    let mut reports = vec![];
    for producer in producers {
        let known = producer::known(ctx, memory, producer, false);
        if !is_cleared(producer.status.as_ref(), &known, log) {
            runs.extend(expected(producer));
        }
        let present = known.into_iter().filter(|known| is_present_in(known, log));
        reports.extend(present.map(|known| {
            let report = ProducerReport {
                incarnations: vec![known.sent],
                ..ProducerReport::default()
            };
            (report, known.gone)
        }));
    }
    runs.sort_unstable();
    (runs, reports)
}

/// The run of a KafkaProducer that ends.
fn expected(producer: &KafkaProducer) -> Option<ExpectedRun> {
    let desired = producer::desired::parse(&producer.spec)
        .ok()
        .filter(|desired| desired.bounded)?;
    let uid: Uid = producer.metadata.uid.as_deref()?.parse().ok()?;
    Some(ExpectedRun {
        id: RunId { uid, run: 1 },
        shares: desired.shares(),
    })
}

/// Whether it was sent to this very topic, as far as that is known.
fn is_present_in(known: &Known, log: &Log<'_>) -> bool {
    match (known.topic_id.as_deref(), log.topic_id) {
        (Some(then), Some(now)) => then == now,
        _ => true,
    }
}

/// Whether a run is over and nothing of it is in the log any longer, to the end of each of its streams.
fn is_cleared(status: Option<&KafkaProducerStatus>, known: &[Known], log: &Log<'_>) -> bool {
    let Some(status) = status.filter(|status| status.completion_time.is_some()) else {
        return false;
    };
    let below = |stream: &SentStream| {
        let cut = log.purges.get(&stream.partition);
        stream.closed_at.zip(cut).is_some_and(|(end, cut)| end < *cut)
    };
    let gone = |known: &Known| {
        !is_present_in(known, log) || (known.sent.closed && known.sent.streams.iter().all(below))
    };
    // A status holds only so many streams: what it had no room for may be anywhere.
    let streams = known.iter().flat_map(|known| &known.sent.streams);
    let told = streams.fold(0_u64, |sum, stream| {
        sum.saturating_add(stream.last_sequence.saturating_add(1))
    });
    let all = status.sent.and_then(|sent| u64::try_from(sent).ok());
    !known.is_empty() && all.is_some_and(|all| told >= all) && known.iter().all(gone)
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

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use ottla_contract::Incarnation;
    use ottla_contract::report::SentIncarnation;

    use super::*;

    /// A run that is over: ten records in each of two partitions, each stream's end at offset 10.
    fn run() -> (Status, Vec<Known>) {
        let status = Status {
            sent: Some(20),
            completion_time: Some(Time(jiff::Timestamp::UNIX_EPOCH)),
            ..Status::default()
        };
        let stream = |partition| SentStream {
            partition,
            last_sequence: 9,
            closed_at: Some(10),
        };
        let known = Known {
            pod: "run-0".to_owned(),
            topic_id: Some("now".to_owned()),
            sent: SentIncarnation {
                id: Incarnation(1),
                closed: true,
                share_done: true,
                streams: [0, 1].map(stream).to_vec(),
            },
            gone: true,
        };
        (status, vec![known])
    }

    type Status = KafkaProducerStatus;
    type All = Vec<Known>;
    type Change = fn(&mut Status, &mut All);

    #[rstest::rstest]
    #[case::purged_to_its_end(&[(0, 11), (1, 11)], true, |_: &mut Status, _: &mut All| {})]
    #[case::an_end_is_left(&[(0, 11), (1, 10)], false, |_: &mut Status, _: &mut All| {})]
    #[case::a_partition_is_left(&[(0, 11)], false, |_: &mut Status, _: &mut All| {})]
    #[case::no_purge(&[], false, |_: &mut Status, _: &mut All| {})]
    #[case::in_the_topic_before(&[], true, |_: &mut Status, known: &mut All| known[0].topic_id = Some("then".to_owned()))]
    #[case::in_a_topic_not_known(&[], false, |_: &mut Status, known: &mut All| known[0].topic_id = None)]
    #[case::it_still_runs(&[(0, 11), (1, 11)], false, |status: &mut Status, _: &mut All| status.completion_time = None)]
    #[case::it_never_closed(&[(0, 11), (1, 11)], false, |_: &mut Status, known: &mut All| known[0].sent.closed = false)]
    #[case::its_end_is_not_known(&[(0, 11), (1, 11)], false, |_: &mut Status, known: &mut All| known[0].sent.streams[1].closed_at = None)]
    #[case::not_all_is_told(&[(0, 11), (1, 11)], false, |_: &mut Status, known: &mut All| known[0].sent.streams.clear())]
    #[case::nothing_is_told(&[(0, 11), (1, 11)], false, |_: &mut Status, known: &mut All| known.clear())]
    fn a_run_of_which_nothing_is_left_is_not_expected(
        #[case] cuts: &[(i32, i64)],
        #[case] cleared: bool,
        #[case] change: Change,
    ) {
        let (mut status, mut known) = run();
        change(&mut status, &mut known);
        let log = Log {
            topic_id: Some("now"),
            purges: &cuts.iter().copied().collect(),
        };
        assert_eq!(is_cleared(Some(&status), &known, &log), cleared);
    }
}
