//! The specs that most tests start from. Only what a test is about stands in the test itself.

use serde_json::{Value, json};

/// A cluster that reaches the shared broker with the scene's credentials.
#[must_use]
pub fn cluster() -> Value {
    cluster_at("kafka.kafka.svc.cluster.local:9092")
}

/// A cluster at another address, with the scene's credentials.
#[must_use]
pub fn cluster_at(bootstrap: &str) -> Value {
    json!({
        "bootstrapServers": [bootstrap],
        "sasl": {
            "mechanism": "ScramSha512",
            "username": "user1",
            "passwordFrom": {"name": "kafka-credentials", "key": "password"},
        },
    })
}

/// A topic on the cluster `kafka`.
#[must_use]
pub fn topic(name: &str, partitions: u32) -> Value {
    json!({"clusterRef": {"name": "kafka"}, "topicName": name, "partitions": partitions, "replicationFactor": 1})
}
