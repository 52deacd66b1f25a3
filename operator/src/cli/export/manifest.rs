//! A KafkaTopic manifest that is being written: what goes into it, under which name, and what had to stay out. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use ottla_crds::KafkaTopicSpec;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::topic::config::{FOREIGN, canonical, is_key};
use crate::topic::desired;

/// The most configs of one KafkaTopic.
const MAX_CONFIGS: usize = 64;
/// The longest name of a Kubernetes object.
const MAX_NAME: usize = 253;
/// How much of a topic's hash makes a derived name unique, in bytes.
const HASH: usize = 5;

/// Manifests, and what is to be known of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exported {
    /// The objects, in the order of their topics.
    pub objects: Vec<Value>,
    /// What was left out on purpose or needs a look, in sentences.
    pub notes: Vec<String>,
    /// What could not be taken over, in sentences.
    pub lost: Vec<String>,
}

impl Exported {
    /// The manifests as YAML.
    ///
    /// # Errors
    /// When they cannot be written as YAML.
    pub fn yaml(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for object in &self.objects {
            text.push_str("---\n");
            text.push_str(&serde_saphyr::to_string(object).context("could not write YAML")?);
        }
        Ok(text)
    }

    /// 0 where everything was taken over, 2 where something was lost.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.lost.is_empty() { 0 } else { 2 }
    }
}

/// One manifest in the making.
pub(super) struct Draft {
    topic: String,
    spec: Map<String, Value>,
    config: BTreeMap<String, Value>,
}

impl Draft {
    pub(super) fn new(topic: &str, cluster: &str) -> Self {
        let spec = Map::from_iter([
            ("clusterRef".to_owned(), json!({"name": cluster})),
            ("deletionPolicy".to_owned(), json!("Retain")),
        ]);
        Self {
            topic: topic.to_owned(),
            spec,
            config: BTreeMap::new(),
        }
    }

    pub(super) fn set(&mut self, field: &str, value: Value) {
        self.spec.insert(field.to_owned(), value);
    }

    /// Takes a config over; the error says why it cannot be.
    pub(super) fn config(&mut self, key: &str, value: &str) -> Result<(), String> {
        if FOREIGN.contains(&key) {
            return Err(format!("{key} belongs to whoever moves replicas"));
        }
        if !is_key(key) {
            return Err(format!("{key:?} is no key that a KafkaTopic may hold"));
        }
        let value =
            canonical(key, value).map_err(|wanted| format!("{key} is {value:?}, and takes {wanted}"))?;
        if self.config.len() == MAX_CONFIGS {
            return Err(format!(
                "{key} is one more than the {MAX_CONFIGS} configs that a KafkaTopic may hold"
            ));
        }
        let number = value
            .parse::<i64>()
            .ok()
            .filter(|number| number.to_string() == value);
        self.config.insert(
            key.to_owned(),
            number.map_or_else(|| json!(value), |number| json!(number)),
        );
        Ok(())
    }

    /// Takes a config out again.
    pub(super) fn forget(&mut self, key: &str) {
        self.config.remove(key);
    }

    /// The object; the error says why the operator would not take it.
    pub(super) fn finish(mut self, mut metadata: Map<String, Value>) -> Result<Value, String> {
        let name = match metadata.get("name").and_then(Value::as_str) {
            Some(name) => name.to_owned(),
            None => object_name(&self.topic),
        };
        if name != self.topic {
            self.set("topicName", json!(self.topic));
        }
        if !self.config.is_empty() {
            self.spec.insert("config".to_owned(), json!(self.config));
        }
        let spec: KafkaTopicSpec =
            serde_json::from_value(Value::Object(self.spec.clone())).map_err(|error| error.to_string())?;
        desired::parse(&name, &spec).map_err(|invalid| invalid.message)?;
        metadata.insert("name".to_owned(), json!(name));
        let api = format!("{}/{}", ottla_crds::GROUP, ottla_crds::VERSION);
        Ok(json!({"apiVersion": api, "kind": "KafkaTopic", "metadata": metadata, "spec": self.spec}))
    }
}

/// The name of a topic's object: the topic's own where Kubernetes allows it, else one like it that no other topic gets.
fn object_name(topic: &str) -> String {
    if is_object_name(topic) {
        return topic.to_owned();
    }
    let digest = Sha256::digest(topic);
    let hash = digest.iter().take(HASH).fold(String::new(), |mut hash, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
        hash
    });
    let like: String = topic
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(MAX_NAME - 2 * HASH - 1)
        .collect();
    match like.trim_matches('-') {
        "" => format!("topic-{hash}"),
        like => format!("{like}-{hash}"),
    }
}

/// Whether Kubernetes takes it for an object's name: labels of small letters, digits and dashes between dots.
fn is_object_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    text.len() <= MAX_NAME && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("orders", "orders")]
    #[case("shop.orders-v2", "shop.orders-v2")]
    #[case("Orders_V2", "orders-v2-93b5ee5f82")]
    #[case("orders_v2", "orders-v2-5ae7a23fa8")]
    #[case("._", "topic-0000000000")]
    #[case("a..b", "a--b-0000000000")]
    fn a_topic_gives_its_object_a_name(#[case] topic: &str, #[case] name: &str) {
        let found = object_name(topic);
        let stem = |name: &str| {
            name.rsplit_once('-')
                .map_or(String::new(), |(stem, _)| stem.to_owned())
        };
        if is_object_name(topic) {
            assert_eq!(found, name);
        } else {
            assert_eq!(stem(&found), stem(name), "{found}");
        }
    }

    proptest! {
        #[test]
        fn every_topic_name_gives_a_legal_one_and_no_two_the_same(
            one in "[a-zA-Z0-9._-]{1,249}", other in "[a-cA-C._-]{1,3}", third in "[a-cA-C._-]{1,3}"
        ) {
            prop_assert!(is_object_name(&object_name(&one)), "{}", object_name(&one));
            prop_assert_eq!(other == third, object_name(&other) == object_name(&third));
        }

        #[test]
        fn a_config_reads_back_from_yaml_as_it_was(value in "[ -~]{1,40}") {
            let mut draft = Draft::new("t", "kafka");
            draft.config("some.key", &value).unwrap();
            let object = draft.finish(Map::new()).unwrap();
            let exported = Exported { objects: vec![object.clone()], ..Exported::default() };
            let read: Value = serde_saphyr::from_str(&exported.yaml().unwrap()).unwrap();
            prop_assert_eq!(read, object);
        }
    }
}
