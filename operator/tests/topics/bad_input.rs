//! Bad objects with the CRD's rules out of the way: each is told what is wrong with it, and nothing else is touched.

use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{CLUSTERS, TOPICS, World, name_of, ready_of};

#[rstest]
#[case(json!({"topicName": ""}), "InvalidTopicName", "")]
#[case(json!({"topicName": "."}), "InvalidTopicName", "")]
#[case(json!({"topicName": ".."}), "InvalidTopicName", "")]
#[case(json!({"topicName": "тема"}), "InvalidTopicName", "")]
#[case(json!({"topicName": "ａ"}), "InvalidTopicName", "")]
#[case(json!({"topicName": "a\u{1f600}"}), "InvalidTopicName", "")]
#[case(json!({"topicName": "a\u{202e}b"}), "InvalidTopicName", "202e")]
#[case(json!({"topicName": "a\u{200b}b"}), "InvalidTopicName", "200b")]
#[case(json!({"topicName": "a/b"}), "InvalidTopicName", "a/b")]
#[case(json!({"topicName": "a\n"}), "InvalidTopicName", "")]
#[case(json!({"topicName": "a\0b"}), "InvalidTopicName", "")]
#[case(json!({"topicName": "__transaction_state"}), "InvalidTopicName", "Kafka's own")]
#[case(json!({"topicName": "__share_group_state"}), "InvalidTopicName", "Kafka's own")]
#[case(json!({"topicName": "__cluster_metadata"}), "InvalidTopicName", "Kafka's own")]
#[case(json!({"topicName": "__mine"}), "InvalidTopicName", "Kafka's own")]
#[case(json!({"topicName": "a".repeat(250)}), "InvalidTopicName", "249")]
#[case(json!({"topicName": "__consumer_offsets"}), "InvalidTopicName", "Kafka's own")]
#[case(json!({"topicName": "a b"}), "InvalidTopicName", "a b")]
#[case(json!({"partitions": 0}), "InvalidSpec", "at least 1")]
#[case(json!({"partitions": -3}), "InvalidSpec", "-3")]
#[case(json!({"partitions": 10_001}), "InvalidSpec", "10000 at most")]
#[case(json!({"partitions": 100_001}), "InvalidSpec", "10000 at most")]
#[case(json!({"partitions": 2_147_483_647}), "InvalidSpec", "10000 at most")]
#[case(json!({"replicationFactor": 0}), "InvalidSpec", "from 1 to 32767")]
#[case(json!({"replicationFactor": -2}), "InvalidSpec", "-2")]
#[case(json!({"replicationFactor": 32_768}), "InvalidSpec", "32768")]
#[case(json!({"replicationFactor": 65537}), "InvalidSpec", "65537")]
#[case(json!({"config": {"retention.ms": ""}}), "InvalidConfig", "retention.ms")]
#[case(json!({"config": {"some.key": ""}}), "InvalidConfig", "take it out")]
#[case(json!({"config": {"retention.ms": "-2"}}), "InvalidConfig", "at least -1")]
#[case(json!({"config": {"retention.ms": " 1 "}}), "InvalidConfig", "\" 1 \"")]
#[case(json!({"config": {"retention.ms": "0x10"}}), "InvalidConfig", "0x10")]
#[case(json!({"config": {"retention.ms": "1e9"}}), "InvalidConfig", "1e9")]
#[case(json!({"config": {"retention.ms": "6.048e8"}}), "InvalidConfig", "6.048e8")]
#[case(json!({"config": {"retention.ms": "1.0"}}), "InvalidConfig", "1.0")]
#[case(json!({"config": {"retention.ms": "9223372036854775808"}}), "InvalidConfig", "9223372036854775808")]
#[case(json!({"config": {"cleanup.policy": "compcat"}}), "InvalidConfig", "compcat")]
#[case(json!({"config": {"preallocate": "yes"}}), "InvalidConfig", "true or false")]
#[case(json!({"config": {"remote.storage.enable": "true", "cleanup.policy": "compact"}}), "InvalidConfig", "remote.storage.enable")]
#[case(json!({"config": {"remote.storage.enable": "TRUE"}, "cleanupPolicy": ["Compact", "Delete"]}), "InvalidConfig", "remote.storage.enable")]
#[case(json!({"config": {"min.compaction.lag.ms": 9, "max.compaction.lag.ms": 8}}), "InvalidConfig", "exceeds max.compaction.lag.ms")]
#[case(json!({"config": {"leader.replication.throttled.replicas": "*"}}), "InvalidConfig", "whoever moves replicas")]
#[case(json!({"config": {"follower.replication.throttled.replicas": "*"}}), "InvalidConfig", "whoever moves replicas")]
#[case(json!({"config": {"log.dirs": "/etc"}}), "InvalidConfig", "log.dirs")]
#[case(json!({"config": {"message.format.version": "3.0"}}), "InvalidConfig", "message.format.version")]
#[case(json!({"config": (0..1_000).map(|n| (format!("key.{n}"), json!(n))).collect::<serde_json::Map<_, _>>()}), "InvalidConfig", "more than 64 keys")]
#[case(json!({"config": {"some.key": "x".repeat(65_536)}}), "InvalidConfig", "longer than 4096")]
#[case(json!({"config": {"a=b": 1}}), "InvalidConfig", "no key of Kafka's")]
#[case(json!({"config": {"a\nb": 1}}), "InvalidConfig", "no key of Kafka's")]
#[case(json!({"config": {"a.b": 1}, "unmanagedConfig": ["a.b"]}), "InvalidConfig", "choose one")]
#[case(json!({"config": {"retention.ms": 1}, "retention": {"time": "1d"}}), "InvalidConfig", "leave the key retention.ms out")]
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
    let message = world.message("bad");
    assert!(message.contains(words), "{message}");
    let unprintable = |c: char| c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c);
    assert!(
        !message.contains(unprintable) && message.len() < 2_048,
        "{message:?}"
    );
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

#[tokio::test(start_paused = true)]
async fn what_means_the_same_is_no_difference_however_it_is_spelled() {
    let world = World::new();
    let spec = json!({"config": {"cleanup.policy": "compact, delete", "preallocate": "TRUE", "retention.ms": "0777",
        "min.cleanable.dirty.ratio": "0.50", "flush.ms": 5}});
    world.topic("orders", spec);
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    for (key, other) in [
        ("cleanup.policy", "delete,compact"),
        ("min.cleanable.dirty.ratio", "0.5"),
        ("preallocate", "true"),
    ] {
        world.kafka.set_config(&name_of("orders"), key, Some(other));
    }
    let rest = (world.api.writes().len(), world.kafka.changes());
    let kafka = ottla_operator::runtime::Key::new("kafka", "kafka");
    assert_eq!(ottla_operator::topic::sweep::sweep(&world.ctx, &kafka).await, 0);
    world.restarted().settle().await;
    assert_eq!(rest, (world.api.writes().len(), world.kafka.changes()));
}

#[tokio::test(start_paused = true)]
async fn a_forged_status_gives_nobody_a_topic() {
    let world = World::new();
    world.cluster(json!({"bootstrapServers": ["kafka:9092"], "allowedNamespaces": {"from": "All"}}));
    world.topic("mine", json!({"topicName": "orders", "partitions": 2}));
    world.settle().await;
    let mine = world.api.get(TOPICS, "mine").unwrap()["status"].clone();
    let conditions: Vec<Value> = (0..10_000)
        .map(|n| json!({"type": format!("T{n}"), "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}))
        .collect();
    let mut forged = crate::world::object(
        "KafkaTopic",
        "tenant",
        "thief",
        json!({"clusterRef": {"name": "kafka", "namespace": "kafka"}, "topicName": "orders", "partitions": 5,
            "adoptionPolicy": "Always", "deletionPolicy": "Delete"}),
    );
    forged["status"] = json!({"topicId": mine["topicId"], "clusterId": mine["clusterId"], "partitions": 2,
        "managedConfig": {"segment.ms": "1"}, "conditions": conditions});
    world.api.put(TOPICS, forged);
    world.settle().await;
    let thief = world.of("tenant", "thief").unwrap();
    assert_eq!(ready_of(&thief).1, "TopicOwnedByOther");
    assert!(
        thief["status"]["conditions"].as_array().unwrap().len() <= 16,
        "the forged conditions are gone"
    );
    assert_eq!(world.live("orders").unwrap().partitions.len(), 2);
    world.api.delete_in("tenant", TOPICS, "thief");
    world.settle().await;
    assert!(world.live("orders").is_some());
    assert_eq!(
        (world.of("tenant", "thief"), world.ready("mine").1.as_str()),
        (None, "Ready")
    );
}

#[tokio::test(start_paused = true)]
async fn what_others_put_into_the_metadata_is_left_alone() {
    let world = World::new();
    let foreign: Vec<String> = (0..1_000).map(|n| format!("example.org/f{n}")).collect();
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "forged", "uid": "nobody"}]);
    let mut object = crate::world::object(
        "KafkaTopic",
        "kafka",
        "orders",
        json!({"clusterRef": {"name": "kafka"}, "deletionPolicy": "Delete"}),
    );
    object["metadata"]["finalizers"] = json!(foreign);
    object["metadata"]["ownerReferences"] = owner.clone();
    world.api.put(TOPICS, object);
    world.settle().await;
    let held = |world: &World| world.api.get(TOPICS, "orders").unwrap()["metadata"].clone();
    assert_eq!(held(&world)["finalizers"].as_array().unwrap().len(), 1_001);
    assert_eq!(held(&world)["ownerReferences"], owner);
    world.api.delete(TOPICS, "orders");
    world.settle().await;
    assert_eq!(world.live("orders"), None);
    assert_eq!(
        held(&world)["finalizers"],
        json!(foreign),
        "ours is off, theirs stay"
    );
}

#[rstest]
#[case("TRUE")]
#[case("yes")]
#[case("")]
#[case("AAAAAAAAAAAAAAAAAAAAAQ")]
#[tokio::test(start_paused = true)]
async fn only_the_very_id_accepts_a_replacement(#[case] value: &str) {
    let world = World::new();
    world.topic("orders", json!({}));
    world.settle().await;
    world.kafka.put_topic(name_of("orders"), 4, 1, [].into());
    world
        .api
        .annotate(TOPICS, "orders", json!({"ottla.dev/accept-topic-id": value}));
    let changes = world.kafka.changes();
    world.settle().await;
    assert_eq!(world.ready("orders"), ("False".into(), "TopicReplaced".into()));
    assert_eq!(world.kafka.changes(), changes);
}

#[tokio::test(start_paused = true)]
async fn a_topic_created_and_deleted_at_once_leaves_nothing() {
    let world = World::new();
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.api.delete(TOPICS, "orders");
    world.settle().await;
    assert_eq!(
        (world.api.get(TOPICS, "orders"), world.live("orders")),
        (None, None)
    );
    // It had got as far as the finalizer, and no further.
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.api.die_after(Some(1));
    world.pass().await;
    world.api.die_after(None);
    let left = world.live("orders").is_some();
    world.api.delete(TOPICS, "orders");
    world.restarted().settle().await;
    assert_eq!(world.api.get(TOPICS, "orders"), None);
    assert_eq!(
        world.live("orders").is_some(),
        left,
        "what was not known as ours is not deleted"
    );
}
