//! Turns topics as they are into manifests that would change nothing about them. Pure.

use std::collections::BTreeMap;

use ottla_kafka::admin::{ConfigEntry, ConfigSource, Topic};
use ottla_kafka::types::{PartitionCount, TopicName};
use serde_json::{Map, Value, json};

use super::manifest::{Draft, Exported};
use crate::runtime::Key;

/// The most partitions of one KafkaTopic.
const MAX_PARTITIONS: i32 = 10_000;
/// The config that Kafka takes even where it forbids every write.
const MIN_INSYNC: &str = "min.insync.replicas";

/// Whether Kafka keeps a topic for itself.
pub(super) fn is_kafkas_own(topic: &Topic) -> bool {
    topic.internal || topic.name.is_reserved()
}

/// The manifests of topics, ordered by name.
pub(super) fn export(
    cluster: &Key,
    mut topics: Vec<Topic>,
    configs: &BTreeMap<TopicName, BTreeMap<String, ConfigEntry>>,
    declared: &BTreeMap<String, Key>,
) -> Exported {
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let mut exported = Exported::default();
    let mut own = 0;
    for topic in topics {
        if is_kafkas_own(&topic) {
            own += 1;
        } else if let Some(object) = declared.get(topic.name.as_str()) {
            exported.notes.push(format!(
                "{}: KafkaTopic {object} stands for it already",
                topic.name
            ));
        } else if let Some(config) = configs.get(&topic.name) {
            match one(cluster, &topic, config, &mut exported) {
                Ok(object) => exported.objects.push(object),
                Err(problem) => exported.lost.push(format!("{}: {problem}", topic.name)),
            }
        } else {
            exported
                .lost
                .push(format!("{}: it went away meanwhile", topic.name));
        }
    }
    if own > 0 {
        exported
            .notes
            .push(format!("{own} topics of Kafka's own were passed over"));
    }
    exported
}

fn one(
    cluster: &Key,
    topic: &Topic,
    config: &BTreeMap<String, ConfigEntry>,
    exported: &mut Exported,
) -> Result<Value, String> {
    let mut draft = Draft::new(topic.name.as_str(), &cluster.name);
    let mut left = |what: String| {
        exported
            .notes
            .push(format!("{}: {what}; it is left alone", topic.name));
    };
    match topic.partition_count().map(PartitionCount::get) {
        Some(count) if count <= MAX_PARTITIONS => draft.set("partitions", json!(count)),
        Some(count) => left(format!("{count} partitions are more than {MAX_PARTITIONS}")),
        None => return Err("Kafka does not tell its partitions".to_owned()),
    }
    let factor = topic
        .replication_factor()
        .ok_or("Kafka does not tell its replicas")?;
    draft.set("replicationFactor", json!(factor.get()));
    let set = config
        .iter()
        .filter(|(_, entry)| entry.source == ConfigSource::Topic);
    for (key, entry) in set {
        match &entry.value {
            Some(value) if !entry.sensitive && !entry.read_only => {
                draft.config(key, value).unwrap_or_else(&mut left);
            }
            _ => left(format!("{key} is hidden or cannot be changed")),
        }
    }
    let needed = config
        .get(MIN_INSYNC)
        .and_then(|entry| entry.value.as_ref()?.parse::<i64>().ok());
    if needed.is_some_and(|needed| needed > i64::from(factor.get())) {
        draft.forget(MIN_INSYNC);
        left(format!(
            "{MIN_INSYNC} exceeds the replication factor, which no KafkaTopic may ask for"
        ));
    }
    draft.finish(Map::from_iter([(
        "namespace".to_owned(),
        json!(cluster.namespace),
    )]))
}

#[cfg(test)]
mod tests {
    use ottla_kafka::admin::Partition;
    use ottla_kafka::types::{BrokerId, PartitionId};

    use super::*;

    fn topic(name: &str, partitions: i32, internal: bool) -> Topic {
        let partition = |index| Partition {
            id: PartitionId::from(index),
            leader: None,
            replicas: vec![BrokerId::from(0)],
            in_sync: vec![],
        };
        Topic {
            name: name.parse().unwrap(),
            id: "AAAAAAAAAAAAAAAAAAAAAQ".parse().unwrap(),
            internal,
            partitions: (0..partitions).map(partition).collect(),
        }
    }

    fn entry(value: Option<&str>, source: ConfigSource) -> ConfigEntry {
        ConfigEntry {
            value: value.map(str::to_owned),
            source,
            read_only: false,
            sensitive: false,
        }
    }

    fn export_one(entries: &[(&str, ConfigEntry)]) -> Exported {
        let config = entries
            .iter()
            .map(|(key, entry)| ((*key).to_owned(), entry.clone()))
            .collect();
        let configs = BTreeMap::from([("orders".parse().unwrap(), config)]);
        export(
            &Key::new("shop", "kafka"),
            vec![topic("orders", 2, false)],
            &configs,
            &BTreeMap::new(),
        )
    }

    #[test]
    fn what_is_set_on_the_topic_is_taken_and_nothing_else() {
        let exported = export_one(&[
            ("retention.ms", entry(Some("1000"), ConfigSource::Topic)),
            (
                "cleanup.policy",
                entry(Some("compact,delete"), ConfigSource::Topic),
            ),
            ("flush.ms", entry(Some("7"), ConfigSource::StaticBroker)),
            ("segment.ms", entry(Some("8"), ConfigSource::Default)),
        ]);
        assert_eq!(
            exported.objects,
            [json!({
                "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaTopic",
                "metadata": {"name": "orders", "namespace": "shop"},
                "spec": {
                    "clusterRef": {"name": "kafka"}, "partitions": 2, "replicationFactor": 1,
                    "config": {"retention.ms": 1000, "cleanup.policy": "compact,delete"}, "deletionPolicy": "Retain",
                },
            })]
        );
        assert_eq!((exported.notes, exported.lost), (vec![], vec![]));
    }

    #[test]
    fn what_cannot_be_held_is_left_alone_and_named() {
        let exported = export_one(&[
            (
                "leader.replication.throttled.replicas",
                entry(Some("0:1"), ConfigSource::Topic),
            ),
            ("min.insync.replicas", entry(Some("2"), ConfigSource::Topic)),
            ("hidden.key", entry(None, ConfigSource::Topic)),
            ("retention.ms", entry(Some("odd"), ConfigSource::Topic)),
        ]);
        assert_eq!(exported.objects[0]["spec"].get("config"), None);
        let notes = exported.notes.join("\n");
        for key in ["leader.replication", "min.insync", "hidden.key", "retention.ms"] {
            assert!(notes.contains(key), "{key}: {notes}");
        }
        assert_eq!(exported.lost, Vec::<String>::new());
    }

    #[test]
    fn the_order_is_by_name_and_kafkas_own_and_the_declared_are_passed_over() {
        let topics = ["b", "__consumer_offsets", "a", "taken", "odd"]
            .map(|name| topic(name, 1, name == "odd"))
            .to_vec();
        let configs = ["a", "b", "taken"]
            .map(|name| (name.parse().unwrap(), BTreeMap::new()))
            .into();
        let declared = BTreeMap::from([("taken".to_owned(), Key::new("shop", "t"))]);
        let exported = export(&Key::new("shop", "kafka"), topics, &configs, &declared);
        let names: Vec<&str> = exported
            .objects
            .iter()
            .filter_map(|object| object["metadata"]["name"].as_str())
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(exported.notes.len(), 2, "{:?}", exported.notes);
    }
}
