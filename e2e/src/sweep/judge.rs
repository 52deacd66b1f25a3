//! How a scene ended, by witnesses that are not the operator, and what that must be.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::OLD;
use super::case::Trouble;
use super::story::{Story, TOPIC};
use crate::Scene;
use crate::broker::{Broker, Described};
use crate::object::{Kind, Look};
use crate::plane::{Caller, Plane};
use crate::spare::Spare;
use crate::wait::until;
use crate::wire::{self, Writer};

/// What Kafka's controller wrote about topics, by Kafka's own decoder of its metadata log.
pub struct Metadata {
    records: Vec<Value>,
    topics: BTreeMap<String, Described>,
}

impl Metadata {
    /// Reads all of it.
    pub async fn read(broker: &Broker) -> Result<Self> {
        let command = "kafka-dump-log.sh --cluster-metadata-decoder --files \
            $(ls /bitnami/kafka/data/__cluster_metadata-0/*.log | paste -sd,) | grep -oE 'payload: \\{.*' \
            | grep -E '\"type\":\"(TOPIC|REMOVE_TOPIC|PARTITION|PARTITION_CHANGE|CONFIG)_RECORD\"' || true";
        let text = broker.tool(command).await?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("payload: "));
        let records: Result<Vec<Value>, _> = lines.map(serde_json::from_str).collect();
        let records = records.context("a record of the metadata log")?;
        ensure!(!records.is_empty(), "the metadata log shows no record at all");
        Ok(Self {
            records,
            topics: broker.describe("e2e-").await?,
        })
    }

    /// How often a topic of that name was created.
    #[must_use]
    pub fn created(&self, topic: &str) -> usize {
        self.counts(topic)
            .get("TOPIC_RECORD")
            .copied()
            .unwrap_or_default()
    }

    /// How often a topic was created, deleted, configured and so on.
    fn counts(&self, topic: &str) -> BTreeMap<String, usize> {
        let data =
            |record: &Value, field: &str| record["data"][field].as_str().unwrap_or_default().to_owned();
        let is = |record: &Value, kind: &str| record["type"] == kind;
        let made = self
            .records
            .iter()
            .filter(|one| is(one, "TOPIC_RECORD") && data(one, "name") == topic);
        let ids: Vec<String> = made.map(|one| data(one, "topicId")).collect();
        let mut counts = BTreeMap::new();
        for record in &self.records {
            let about = if is(record, "CONFIG_RECORD") {
                data(record, "resourceName") == topic
            } else {
                ids.contains(&data(record, "topicId"))
            };
            // Leaders and in-sync replicas change by themselves.
            let moves = ["replicas", "addingReplicas", "removingReplicas"]
                .iter()
                .any(|field| !record["data"][field].is_null());
            if about && (moves || !is(record, "PARTITION_CHANGE_RECORD")) {
                *counts
                    .entry(record["type"].as_str().unwrap_or_default().to_owned())
                    .or_default() += 1;
            }
        }
        counts
    }
}

/// How one scene ended.
pub(super) struct Ending {
    topic: String,
    /// What the operator wrote to the Kubernetes API, and what it said there.
    writes: BTreeMap<String, Vec<String>>,
    /// First and next offset of each partition.
    offsets: BTreeMap<i32, (i64, i64)>,
    /// The end that Kafka acknowledged to the producer, of each partition.
    acknowledged: BTreeMap<i32, i64>,
    /// The cut that was planned, of each partition.
    cuts: BTreeMap<i32, i64>,
    /// The topic's id as the KafkaTopic has it.
    id: String,
    /// Its id as it was planned for, and the new one, as the purge has them.
    planned: (String, String),
}

/// Looks at a scene that is at rest.
pub(super) async fn look(
    plane: &Plane,
    spare: &Spare,
    story: Story,
    scene: &Scene,
    writer: &Writer,
) -> Result<Ending> {
    let topic = scene.topic(TOPIC);
    let of_topic = |all: BTreeMap<wire::At, i64>| -> BTreeMap<i32, i64> {
        let own = all.into_iter().filter(|((name, _), _)| *name == topic);
        own.map(|((_, partition), offset)| (partition, offset)).collect()
    };
    let (mut offsets, mut acknowledged) = (BTreeMap::new(), BTreeMap::new());
    if story != Story::Delete {
        let asked = [topic.clone()].into();
        if story != Story::Create {
            let before = of_topic(writer.ends());
            let partitions = before.len();
            // The producer goes on: what it wrote after the end must be there too.
            acknowledged = until("the producer to go on", Duration::from_secs(15), async || {
                let now = of_topic(writer.ends());
                let all =
                    now.len() >= partitions && before.iter().all(|(partition, end)| now[partition] != *end);
                ensure!(all && !now.is_empty(), "{before:?}, then {now:?}");
                Ok(now)
            })
            .await?;
        }
        let starts = of_topic(wire::offsets(spare, &asked, true).await?);
        let ends = of_topic(wire::offsets(spare, &asked, false).await?);
        offsets = starts
            .into_iter()
            .map(|(at, start)| (at, (start, ends[&at])))
            .collect();
    }
    let purge = story.purge_of(scene).await?;
    let text = |pointer: &str| {
        purge
            .as_ref()
            .map(|purge| purge.text(pointer))
            .unwrap_or_default()
    };
    let cuts = purge
        .as_ref()
        .and_then(|purge| purge.at("/status/partitions").as_array().cloned());
    let cut = |one: Value| {
        Some((
            i32::try_from(one["partition"].as_i64()?).ok()?,
            one["cut"].as_i64()?,
        ))
    };
    let kept = scene.api(Kind::Topic).get_opt(TOPIC).await?;
    Ok(Ending {
        writes: plane
            .writes(Caller::Operator)?
            .remove(&scene.namespace)
            .unwrap_or_default(),
        offsets,
        acknowledged,
        cuts: cuts.unwrap_or_default().into_iter().filter_map(cut).collect(),
        id: kept.map(|kept| kept.text("/status/topicId")).unwrap_or_default(),
        planned: (text("/status/topicId"), text("/status/newTopicId")),
        topic,
    })
}

/// What is wrong with an ending by itself.
pub(super) fn check(story: Story, told: &str, ending: &Ending, metadata: &Metadata) -> Vec<String> {
    let mut wrong = vec![];
    let mut expect = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("{told}: {what}"));
        }
    };
    let live = metadata.topics.get(&ending.topic);
    let counts = metadata.counts(&ending.topic);
    let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    let (created, deleted) = match story {
        Story::Delete => (1, 1),
        Story::Recreate => (2, 1),
        _ => (1, 0),
    };
    expect(
        count("TOPIC_RECORD") == created,
        format!("created {} times", count("TOPIC_RECORD")),
    );
    expect(
        count("REMOVE_TOPIC_RECORD") == deleted,
        format!("deleted {} times", count("REMOVE_TOPIC_RECORD")),
    );
    let Some(live) = live else {
        expect(story == Story::Delete, "Kafka has no topic".to_owned());
        return wrong;
    };
    expect(story != Story::Delete, "Kafka still has the topic".to_owned());
    expect(
        live.id == ending.id,
        format!("Kafka's id is {}, the KafkaTopic's {}", live.id, ending.id),
    );
    if story.purges() {
        let (planned, new) = &ending.planned;
        let id = if story == Story::Recreate { new } else { planned };
        expect(
            *id == live.id,
            format!("planned for {planned}, new {new}, and Kafka's id is {}", live.id),
        );
    }
    for (partition, (start, end)) in &ending.offsets {
        let cut = ending.cuts.get(partition).copied();
        let begins = match story {
            Story::DeleteRecords | Story::PolicyFlip => cut == Some(*start) && *start >= OLD.0,
            // Whole segments go, and here the old records are one.
            Story::RetentionFlip => cut == Some(*start) && *start == OLD.0,
            _ => *start == 0,
        };
        expect(
            begins,
            format!("partition {partition} begins at {start}, the cut is {cut:?}"),
        );
        let acknowledged = ending.acknowledged.get(partition).copied().unwrap_or_default();
        expect(
            *end >= acknowledged,
            format!("partition {partition} ends at {end}, acknowledged was {acknowledged}"),
        );
    }
    wrong
}

/// In what an ending differs from the one without a fault.
pub(super) fn compare(
    story: Story,
    told: &str,
    trouble: &Trouble,
    ending: &Ending,
    reference: &Ending,
    metadata: &Metadata,
) -> Vec<String> {
    let mut wrong = vec![];
    if let Some(deaths) = trouble.deaths().filter(|_| story.is_told_alike()) {
        let (found, wanted) = (&ending.writes, &reference.writes);
        let more = found
            .iter()
            .any(|(what, said)| said.len() > wanted.get(what).map_or(0, Vec::len));
        let total = |writes: &BTreeMap<String, Vec<String>>| writes.values().map(Vec::len).sum::<usize>();
        // What was under way beside the last act may have been done with nobody left to be told so: it is in the log as no
        // success.
        if more || total(found) + deaths < total(wanted) {
            wrong.push(format!("{told}: written {found:#?}, without a fault {wanted:#?}"));
        }
    }
    let shape = |ending: &Ending| {
        let live = metadata.topics.get(&ending.topic);
        live.map(|live| (live.partitions, live.replication_factor, live.config.clone()))
    };
    let (found, wanted) = (shape(ending), shape(reference));
    if found != wanted {
        wrong.push(format!("{told}: Kafka has {found:?}, without a fault {wanted:?}"));
    }
    let (found, wanted) = (metadata.counts(&ending.topic), metadata.counts(&reference.topic));
    if trouble.changes_as_often() && found != wanted {
        wrong.push(format!(
            "{told}: Kafka wrote {found:?}, without a fault {wanted:?}"
        ));
    }
    wrong
}
