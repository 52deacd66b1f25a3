//! Bad objects with the CRD's rules out of the way: each is told what is wrong with it, and nothing else is touched.

use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{CLUSTERS, World, ready_of};

#[rstest]
#[case(json!({"topicName": "a".repeat(250)}), "InvalidTopicName", "249")]
#[case(json!({"topicName": "__consumer_offsets"}), "InvalidTopicName", "Kafka's own")]
#[case(json!({"topicName": "a b"}), "InvalidTopicName", "a b")]
#[case(json!({"partitions": 0}), "InvalidSpec", "at least 1")]
#[case(json!({"partitions": -3}), "InvalidSpec", "-3")]
#[case(json!({"replicationFactor": 65537}), "InvalidSpec", "65537")]
#[case(json!({"config": {"retention.ms": "7d"}}), "InvalidConfig", "retention.ms is \"7d\"")]
#[case(json!({"config": {"retention.sm": "1"}}), "InvalidConfig", "retention.sm")]
#[case(json!({"retention": {"time": "1h1h"}}), "InvalidSpec", "retention.time")]
#[case(json!({"config": {"min.insync.replicas": 3}, "replicationFactor": 2}), "InvalidConfig", "acks=all")]
#[case(json!({"replicationFactor": 9}), "InvalidReplicationFactor", "INVALID_REPLICATION_FACTOR")]
#[tokio::test(start_paused = true)]
async fn bad_topics(#[case] spec: Value, #[case] reason: &str, #[case] words: &str) {
    let world = World::new();
    world.topic("bad", spec);
    world.topic("good", json!({}));
    world.settle().await;
    assert_eq!(world.ready("bad"), ("False".into(), reason.into()));
    assert!(world.message("bad").contains(words), "{}", world.message("bad"));
    assert_eq!(world.ready("good").1, "Ready");
    let names: Vec<String> = world.kafka.topics().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["good"]);
    let rest = (world.api.writes().len(), world.kafka.changes());
    world.sync();
    assert_eq!(
        ottla_operator::topic::sweep::sweep(&world.ctx, &ottla_operator::runtime::Key::new("kafka", "kafka"))
            .await,
        0
    );
    assert_eq!(rest, (world.api.writes().len(), world.kafka.changes()));
}

#[tokio::test(start_paused = true)]
async fn a_config_that_kafka_refuses_does_not_hold_up_the_others() {
    let world = World::new();
    world.topic("orders", json!({}));
    world.settle().await;
    world.topic(
        "orders",
        json!({"config": {"retention.sm": "1", "segment.ms": "5"}}),
    );
    world.settle().await;
    assert_eq!(world.ready("orders").1, "InvalidConfig");
    assert!(
        world.message("orders").contains("config.retention.sm"),
        "{}",
        world.message("orders")
    );
    assert_eq!(world.live("orders").unwrap().config["segment.ms"], "5");
    world.topic("orders", json!({"config": {"segment.ms": "5"}}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
}

fn secret(type_: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": type_, "metadata": {"name": "login", "namespace": "kafka"}, "data": data})
}

#[rstest]
#[case::missing(None, "SecretNotFound", "\"login\"")]
#[case::without_key(Some(secret("Opaque", json!({"pass": "eA=="}))), "SecretKeyMissing", "pass")]
#[case::empty(Some(secret("Opaque", json!({"password": ""}))), "SecretInvalid", "is empty")]
#[case::line_break(Some(secret("Opaque", json!({"password": "Y2FuYXJ5Cg=="}))), "SecretInvalid", "line break")]
#[case::token(
    Some(secret("kubernetes.io/service-account-token", json!({"password": "Y2FuYXJ5"}))),
    "SecretInvalid",
    "service account token"
)]
#[tokio::test(start_paused = true)]
async fn bad_secrets(#[case] secret: Option<Value>, #[case] reason: &str, #[case] words: &str) {
    let world = World::new();
    if let Some(secret) = secret {
        world.api.put("secrets", secret);
    }
    world.cluster(json!({"bootstrapServers": ["kafka:9092"], "sasl": {
        "mechanism": "Plain", "username": "u", "passwordFrom": {"name": "login", "key": "password"}}}));
    world.topic("orders", json!({}));
    world.settle().await;
    let cluster = world.api.get(CLUSTERS, "kafka").unwrap();
    assert_eq!(ready_of(&cluster), ("False".into(), reason.into()));
    let text = cluster["status"].to_string();
    assert!(text.contains(&words.replace('"', "\\\"")), "{text}");
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(world.ready("orders").1, "ClusterNotReady");
    assert!(world.kafka.topics().is_empty());

    world
        .api
        .put("secrets", self::secret("Opaque", json!({"password": "eA=="})));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready", "healed without a restart");
}

#[tokio::test(start_paused = true)]
async fn a_right_to_read_the_secret_that_is_taken_is_told_and_heals() {
    let world = World::new();
    world
        .api
        .put("secrets", secret("Opaque", json!({"password": "eA=="})));
    world.cluster(json!({"bootstrapServers": ["kafka:9092"], "sasl": {
        "mechanism": "Plain", "username": "u", "passwordFrom": {"name": "login", "key": "password"}}}));
    world.topic("orders", json!({}));
    world.settle().await;
    let topics = world.kafka.topics();
    world.api.forbid(Some("secrets"));
    world.settle().await;
    let cluster = world.api.get(CLUSTERS, "kafka").unwrap();
    assert_eq!(ready_of(&cluster), ("False".into(), "SecretForbidden".into()));
    assert!(cluster["status"].to_string().contains("grant it get on secrets"));
    world.api.forbid(None);
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready", "healed without a restart");
    assert_eq!(world.kafka.topics(), topics);
}

#[rstest]
#[case(json!({"bootstrapServers": []}))]
#[case(json!({"bootstrapServers": ["kafka"]}))]
#[case(json!({"bootstrapServers": ["http://kafka:9092"]}))]
#[tokio::test(start_paused = true)]
async fn bad_clusters(#[case] spec: Value) {
    let world = World::new();
    world.cluster(spec);
    world.settle().await;
    assert_eq!(
        ready_of(&world.api.get(CLUSTERS, "kafka").unwrap()).1,
        "InvalidSpec"
    );
}
