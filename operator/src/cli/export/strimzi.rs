//! Converts Strimzi's KafkaTopics to ours. Pure. Whatever has no counterpart is named.

use serde_json::{Map, Value, json};

use super::Options;
use super::manifest::{Draft, Exported};
use crate::cli::manifest::Document;

/// Strimzi's API group.
const GROUP: &str = "kafka.strimzi.io/";
/// The prefix of its labels and annotations.
const PREFIX: &str = "strimzi.io/";
/// The annotation in which kubectl keeps what was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What of a spec is converted.
const FIELDS: [&str; 4] = ["topicName", "partitions", "replicas", "config"];

/// Converts every KafkaTopic of Strimzi's among the documents.
pub(super) fn convert(documents: &[Document], options: &Options) -> Exported {
    let mut exported = Exported::default();
    let mut converted = false;
    for document in documents {
        if document.text("/kind") != "KafkaTopic" || !document.text("/apiVersion").starts_with(GROUP) {
            exported.notes.push(format!(
                "{}: {} is passed over",
                document.source,
                document.title()
            ));
            continue;
        }
        let topic = match document.text("/spec/topicName") {
            "" => document.text("/metadata/name"),
            named => named,
        };
        if options.wants(topic) {
            match one(document, topic, options, &mut exported) {
                Ok(object) => {
                    converted = true;
                    exported.objects.push(object);
                }
                Err(problem) => {
                    exported
                        .lost
                        .push(format!("{}: {} {problem}", document.source, document.title()));
                }
            }
        }
    }
    if converted {
        exported.notes.push(
            "Strimzi deletes a topic with its object and resets configs that the object does not name; Ottla does \
             neither. Stop Strimzi's Topic Operator, or annotate its objects with strimzi.io/managed=false, before \
             they are deleted"
                .to_owned(),
        );
    }
    exported
}

fn one(
    document: &Document,
    topic: &str,
    options: &Options,
    exported: &mut Exported,
) -> Result<Value, String> {
    let mut lost = |what: String| exported.lost.push(format!("{}: {what}", document.source));
    let label = document
        .value
        .pointer("/metadata/labels")
        .and_then(|labels| labels["strimzi.io/cluster"].as_str());
    let cluster = options
        .cluster
        .as_deref()
        .or(label)
        .ok_or("has no label strimzi.io/cluster: name the KafkaCluster with --cluster")?;
    let mut draft = Draft::new(topic, cluster);
    for (theirs, ours) in [("partitions", "partitions"), ("replicas", "replicationFactor")] {
        match &document.value["spec"][theirs] {
            Value::Null => {}
            count if count.is_i64() => draft.set(ours, count.clone()),
            other => lost(format!("spec.{theirs}: {other} is no whole number")),
        }
    }
    for (key, value) in document.value["spec"]["config"].as_object().into_iter().flatten() {
        let taken = match text(value) {
            Some(text) => draft.config(key, &text),
            None => Err(format!("{key} is {value}, which is no value of a config")),
        };
        taken.unwrap_or_else(|problem| lost(format!("spec.config: {problem}")));
    }
    for field in document.value["spec"].as_object().into_iter().flat_map(Map::keys) {
        if !FIELDS.contains(&field.as_str()) {
            lost(format!("spec.{field}: has no counterpart"));
        }
    }
    if hands_off(document) {
        draft.set("suspend", json!(true));
        exported.notes.push(format!(
            "{}: {} is not managed or is paused at Strimzi; suspend is true until you take it out",
            document.source,
            document.title()
        ));
    }
    draft.finish(metadata(document, options))
}

/// A value as Kafka gets it from Strimzi: lists joined by commas.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(text).collect();
            items.map(|items| items.join(","))
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// Whether Strimzi is told to leave the topic alone for now.
fn hands_off(document: &Document) -> bool {
    let annotations = &document.value["metadata"]["annotations"];
    annotations["strimzi.io/managed"] == "false" || annotations["strimzi.io/pause-reconciliation"] == "true"
}

/// Name, labels and annotations, without what is Strimzi's or kubectl's.
fn metadata(document: &Document, options: &Options) -> Map<String, Value> {
    let theirs = &document.value["metadata"];
    let mut metadata = Map::new();
    if let Some(name) = theirs["name"].as_str() {
        metadata.insert("name".to_owned(), json!(name));
    }
    if let Some(namespace) = options.namespace.as_deref().or(theirs["namespace"].as_str()) {
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    for field in ["labels", "annotations"] {
        let kept: Map<String, Value> = theirs[field]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| !key.starts_with(PREFIX) && *key != LAST_APPLIED)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !kept.is_empty() {
            metadata.insert(field.to_owned(), Value::Object(kept));
        }
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::manifest::parse;

    fn converted(text: &str) -> Exported {
        convert(&parse("topics.yaml", text).unwrap(), &Options::default())
    }

    const TOPIC: &str = r"
apiVersion: kafka.strimzi.io/v1beta2
kind: KafkaTopic
metadata:
  name: orders
  namespace: shop
  labels: {strimzi.io/cluster: prod, team: blue}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}', note: ours}
spec:
  topicName: Orders_V2
  partitions: 12
  replicas: 3
  config: {retention.ms: 604800000, cleanup.policy: [delete, compact], preallocate: true, min.cleanable.dirty.ratio: 0.5}
";

    #[test]
    fn a_topic_of_strimzis_becomes_one_of_ours() {
        let exported = converted(TOPIC);
        assert_eq!(
            exported.objects,
            [json!({
                "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaTopic",
                "metadata": {
                    "name": "orders", "namespace": "shop", "labels": {"team": "blue"}, "annotations": {"note": "ours"}
                },
                "spec": {
                    "clusterRef": {"name": "prod"}, "topicName": "Orders_V2", "partitions": 12, "replicationFactor": 3,
                    "config": {
                        "retention.ms": 604_800_000, "cleanup.policy": "compact,delete", "preallocate": "true",
                        "min.cleanable.dirty.ratio": "0.5",
                    },
                    "deletionPolicy": "Retain",
                },
            })]
        );
        assert_eq!((exported.lost.clone(), exported.exit_code()), (vec![], 0));
    }

    #[test]
    fn unmanaged_and_paused_become_suspended() {
        for annotation in [
            "strimzi.io/managed: 'false'",
            "strimzi.io/pause-reconciliation: 'true'",
        ] {
            let text = TOPIC.replace("note: ours", annotation);
            let exported = converted(&text);
            assert_eq!(exported.objects[0]["spec"]["suspend"], true, "{annotation}");
        }
        assert_eq!(converted(TOPIC).objects[0]["spec"].get("suspend"), None);
    }

    #[test]
    fn whatever_cannot_be_converted_is_named() {
        let text = TOPIC
            .replace("preallocate: true", "odd.key: null, retention.bytes: 1.5")
            .replace("  replicas: 3", "  replicas: three\n  extra: 1");
        let exported = converted(&text);
        let lost = exported.lost.join("\n");
        for word in [
            "odd.key",
            "retention.bytes",
            "spec.replicas",
            "spec.extra",
            "topics.yaml, document 1",
        ] {
            assert!(lost.contains(word), "{word}: {lost}");
        }
        assert_eq!(exported.exit_code(), 2);
        assert_eq!(exported.objects.len(), 1, "the rest is converted");
    }

    #[test]
    fn without_a_cluster_and_for_kafkas_own_topics_there_is_no_object() {
        let orphan = converted(&TOPIC.replace("strimzi.io/cluster: prod, ", ""));
        assert!(
            orphan.objects.is_empty() && orphan.lost[0].contains("--cluster"),
            "{:?}",
            orphan.lost
        );
        let own = converted(&TOPIC.replace("Orders_V2", "__consumer_offsets"));
        assert!(
            own.objects.is_empty() && own.lost[0].contains("underscores"),
            "{:?}",
            own.lost
        );
        let other = converted("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
        assert_eq!(
            other.notes,
            ["topics.yaml, document 1: ConfigMap c is passed over"]
        );
    }
}
