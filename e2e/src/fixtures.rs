//! The specs that most tests start from. Only what a test is about stands in the test itself.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::object::Look;

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

/// The planned cut of each partition of a purge.
#[must_use]
pub fn cuts(purge: &DynamicObject) -> BTreeMap<u32, i64> {
    let partitions = purge.at("/status/partitions").as_array();
    let cut = |one: &Value| {
        let partition = u32::try_from(one["partition"].as_i64()?).ok()?;
        Some((partition, one["cut"].as_i64()?))
    };
    partitions.into_iter().flatten().filter_map(cut).collect()
}
