//! KafkaTopics and KafkaClusters against a fake Kubernetes and a fake Kafka: what both hold in the end, whatever fails
//! on the way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]
#![allow(clippy::needless_pass_by_value, reason = "scenes are written as literals")]

mod api;
mod bad_input;
mod crashes;
mod defaults;
mod destruction;
mod drift;
mod driver;
mod faults;
mod figures;
mod isolation;
mod ownership;
mod preview;
mod properties;
mod release;
mod replication;
mod rights;
mod suspended;
mod tenancy;
mod throttle;
mod world;

use std::time::Duration;

use ottla_kafka::error::ErrorCode;
use ottla_kafka::fake::{Call, Fault};
use ottla_operator::runtime::{Action, Key};
use ottla_operator::topic::sweep::sweep;
use serde_json::json;

use crate::world::{TOPICS, World, name_of};

#[tokio::test(start_paused = true)]
async fn a_plain_create_is_one_write_and_no_event_and_then_there_is_rest() {
    let world = World::new();
    world.pass().await;
    world.topic("orders", json!({"partitions": 3, "retention": {"time": "7d"}}));
    let before = world.api.writes().len();
    world.pass().await;
    assert_eq!(world.ready("orders"), ("True".into(), "Ready".into()));
    assert_eq!(world.api.writes()[before..], ["STATUS kafkatopics/kafka/orders"]);
    assert_eq!(world.api.events(), Vec::<String>::new());
    let live = world.live("orders").unwrap();
    assert_eq!(
        (live.partitions.len(), live.config["retention.ms"].as_str()),
        (3, "604800000")
    );

    let rest = (world.api.writes(), world.kafka.changes());
    let actions = world.pass().await;
    assert!(actions.contains(&Action::AwaitChange), "{actions:?}");
    assert_eq!(sweep(&world.ctx, &Key::new("kafka", "kafka")).await, 0);
    world.restarted().settle().await;
    assert_eq!(
        rest,
        (world.api.writes(), world.kafka.changes()),
        "nor does a restart change anything"
    );
}

#[tokio::test(start_paused = true)]
async fn a_topic_applied_before_its_cluster_is_made_once_that_comes() {
    let world = World::new();
    world.api.delete("kafkaclusters", "kafka");
    world.topic("orders", json!({}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "ClusterNotFound");
    world.cluster(json!({"bootstrapServers": ["kafka:9092"]}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
}

#[tokio::test(start_paused = true)]
async fn growth_and_configs_follow_the_spec_and_a_decrease_is_refused_alone() {
    let world = World::new();
    world.topic(
        "orders",
        json!({"partitions": 2, "config": {"segment.ms": 5000, "flush.ms": "7"}}),
    );
    world.settle().await;
    world
        .kafka
        .set_config(&name_of("orders"), "max.message.bytes", Some("9"));
    world.topic("orders", json!({"partitions": 4, "config": {"segment.ms": 6000}}));
    world.settle().await;
    let live = world.live("orders").unwrap();
    assert_eq!(live.partitions.len(), 4);
    let config: Vec<_> = live
        .config
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        config,
        [("max.message.bytes", "9"), ("segment.ms", "6000")],
        "foreign keys stay"
    );

    world.topic(
        "orders",
        json!({"partitions": 3, "replicationFactor": 9, "config": {"segment.ms": 7000}}),
    );
    world.settle().await;
    assert_eq!(
        world.ready("orders"),
        ("False".into(), "PartitionDecreaseRefused".into())
    );
    assert!(
        world.message("orders").contains("replicationFactor is 9"),
        "every refusal is told of"
    );
    let live = world.live("orders").unwrap();
    assert_eq!(
        (live.partitions.len(), live.config["segment.ms"].as_str()),
        (4, "7000")
    );
    let object = world.api.get(TOPICS, "orders").unwrap();
    assert_eq!(
        object["status"]["drift"][0],
        json!({"key": "partitions", "desired": "3", "live": "4"})
    );
    assert_eq!(
        sweep(&world.ctx, &Key::new("kafka", "kafka")).await,
        0,
        "a refusal is no drift"
    );
}

#[tokio::test(start_paused = true)]
async fn drift_is_found_by_the_sweep_and_put_right() {
    let world = World::new();
    world.topic("orders", json!({"config": {"segment.ms": 5000}}));
    world.settle().await;
    world
        .kafka
        .set_config(&name_of("orders"), "segment.ms", Some("1"));
    assert_eq!(sweep(&world.ctx, &Key::new("kafka", "kafka")).await, 1);
    world.settle().await;
    assert_eq!(world.live("orders").unwrap().config["segment.ms"], "5000");
    let metrics = world.ctx.metrics.encode().unwrap();
    assert!(
        metrics.contains("ottla_sweep_findings_total{cluster=\"kafka/kafka\"} 1"),
        "{metrics}"
    );
    assert_eq!(world.api.events(), ["DriftCorrected"]);
    assert_eq!(sweep(&world.ctx, &Key::new("kafka", "kafka")).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_broker_is_not_believed_and_a_missing_topic_comes_back() {
    let world = World::new();
    world.topic("orders", json!({"partitions": 2}));
    world.settle().await;
    let first = world.live("orders").unwrap().id;
    world.kafka.inject(Call::DescribeTopics, Fault::Lag);
    let changes = world.kafka.changes();
    let actions = world.pass().await;
    let soon = |action: &Action| matches!(action, Action::After(wait) if *wait <= Duration::from_secs(1));
    assert!(actions.iter().any(soon), "looked for again soon: {actions:?}");
    let writes = world.api.writes();
    world.settle().await;
    assert_eq!(
        (world.kafka.changes(), world.live("orders").unwrap().id),
        (changes, first)
    );
    assert_eq!(
        (world.ready("orders").1, world.api.writes()),
        ("Ready".into(), writes)
    );

    // A sweep asks the controller for all that it does not see, and leaves be what is known there.
    world.kafka.inject(Call::DescribeTopics, Fault::Lag);
    assert_eq!(sweep(&world.ctx, &Key::new("kafka", "kafka")).await, 0);

    // Whether the controller knows it may be denied.
    let denied = || Fault::Refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    world.kafka.inject(Call::DescribeTopics, Fault::Lag);
    world.kafka.inject(Call::KnownTopics, denied());
    assert_eq!(sweep(&world.ctx, &Key::new("kafka", "kafka")).await, 1);
    world.kafka.inject(Call::DescribeTopics, Fault::Lag);
    world.kafka.inject(Call::KnownTopics, denied());
    world.pass().await;
    assert_eq!(world.ready("orders").1, "TopicMissing");
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");

    world.kafka.remove_topic(&name_of("orders"));
    for seconds in [0, 1, 2, 4, 8, 14] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        world.pass().await;
        assert_eq!(
            world.live("orders"),
            None,
            "answers of half a minute are not believed"
        );
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    world.settle().await;
    let live = world.live("orders").unwrap();
    assert_eq!((live.partitions.len(), live.id != first), (2, true));
    assert_eq!(world.api.events(), ["TopicRecreated"]);
    assert_eq!(world.ready("orders").1, "Ready");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_away_holds_its_topics_and_they_recover() {
    let world = World::new();
    world.topic("orders", json!({}));
    world.settle().await;
    let failure = ottla_kafka::error::ConnectFailure {
        address: "kafka:9092".parse().unwrap(),
        cause: ottla_kafka::error::ConnectCause::Refused,
    };
    world.kafka.set_away(Some(failure));
    world.settle().await;
    assert_eq!(world.ready("orders"), ("False".into(), "ClusterNotReady".into()));
    world.kafka.set_away(None);
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_on_another_cluster_until_it_is_accepted_by_name() {
    let world = World::new();
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.settle().await;
    world.kafka.replace_cluster("other".into());
    let changes = world.kafka.changes();
    world.settle().await;
    assert_eq!(world.ready("orders").1, "ClusterNotReady");
    assert_eq!(world.kafka.changes(), changes);
    world.cluster(json!({"bootstrapServers": ["kafka:9092"], "expectedClusterId": "other"}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    assert!(world.live("orders").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_object_does_nothing_and_leaves_its_topic_behind() {
    let world = World::new();
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.settle().await;
    world.topic(
        "orders",
        json!({"deletionPolicy": "Delete", "suspend": true, "partitions": 9}),
    );
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Suspended");
    world.api.delete(TOPICS, "orders");
    world.settle().await;
    assert_eq!(world.api.get(TOPICS, "orders"), None);
    assert_eq!(world.live("orders").unwrap().partitions.len(), 1);
    assert_eq!(world.api.events(), ["TopicKept"]);
}
