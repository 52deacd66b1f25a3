//! Reading one of our objects the way a user reads it: as YAML with a status and conditions.

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

/// The API group and version of the product.
pub const API: &str = "ottla.dev/v1alpha1";

/// The kinds of the product that these tests apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `KafkaCluster`.
    Cluster,
    /// `KafkaTopic`.
    Topic,
    /// `KafkaTopicPurge`.
    Purge,
    /// `KafkaProducer`.
    Producer,
    /// `KafkaConsumer`.
    Consumer,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Cluster,
        Self::Topic,
        Self::Purge,
        Self::Producer,
        Self::Consumer,
    ];

    /// The kind's name in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "KafkaCluster",
            Self::Topic => "KafkaTopic",
            Self::Purge => "KafkaTopicPurge",
            Self::Producer => "KafkaProducer",
            Self::Consumer => "KafkaConsumer",
        }
    }

    /// The kind's plural, as kubectl takes it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Cluster => "kafkaclusters",
            Self::Topic => "kafkatopics",
            Self::Purge => "kafkatopicpurges",
            Self::Producer => "kafkaproducers",
            Self::Consumer => "kafkaconsumers",
        }
    }

    /// What the client needs to address the kind.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let gvk = GroupVersionKind::gvk("ottla.dev", "v1alpha1", self.name());
        ApiResource::from_gvk_with_plural(&gvk, self.plural())
    }
}

/// One condition of an object's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason in one word.
    pub reason: String,
    /// The sentence for a human.
    pub message: String,
}

/// Questions about an object.
pub trait Look {
    /// The condition of this type, if present.
    fn condition(&self, kind: &str) -> Option<Condition>;
    /// The value at a JSON pointer, or null.
    fn at(&self, pointer: &str) -> &Value;
    /// The value at a JSON pointer as a string, or empty.
    fn text(&self, pointer: &str) -> String;
    /// The value at a JSON pointer as an integer, if it is one.
    fn number(&self, pointer: &str) -> Option<i64>;

    /// Whether the condition has this status and reason (an empty reason matches any) for the current generation.
    fn says(&self, kind: &str, status: &str, reason: &str) -> bool;
}

impl Look for DynamicObject {
    fn condition(&self, kind: &str) -> Option<Condition> {
        let list = self.data.pointer("/status/conditions")?.as_array()?;
        let found = list.iter().find(|one| one["type"] == kind)?;
        let field = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        Some(Condition {
            status: field("status"),
            reason: field("reason"),
            message: field("message"),
        })
    }

    fn at(&self, pointer: &str) -> &Value {
        self.data.pointer(pointer).unwrap_or(&Value::Null)
    }

    fn text(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_default().to_owned()
    }

    fn number(&self, pointer: &str) -> Option<i64> {
        self.at(pointer).as_i64()
    }

    fn says(&self, kind: &str, status: &str, reason: &str) -> bool {
        let observed = self.number("/status/observedGeneration");
        let current = observed.is_some() && observed == self.metadata.generation;
        let matches = self
            .condition(kind)
            .is_some_and(|found| found.status == status && (reason.is_empty() || found.reason == reason));
        current && matches
    }
}
