//! What somebody else does to a topic, and to its object: set back or reported, as driftPolicy says.

use std::time::Duration;

use ottla_kafka::fake::{Call, Fault};
use ottla_operator::runtime::{Action, Key, Reconciler};
use ottla_operator::topic::sweep::sweep;
use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{TOPICS, World, name_of};

fn drift(world: &World) -> Value {
    world.api.get(TOPICS, "orders").unwrap()["status"]["drift"].clone()
}

async fn swept(world: &World) -> usize {
    sweep(&world.ctx, &Key::new("kafka", "kafka")).await
}

fn reporting(mut spec: Value) -> Value {
    spec["driftPolicy"] = json!("Report");
    spec
}

#[tokio::test(start_paused = true)]
async fn reported_drift_stays_in_kafka_and_in_the_status_until_either_side_gives_way() {
    let world = World::new();
    let spec = json!({"config": {"segment.ms": 5000, "flush.ms": 7}});
    world.topic("orders", reporting(spec.clone()));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    let orders = name_of("orders");
    world.kafka.set_config(&orders, "segment.ms", Some("1"));
    let changes = world.kafka.changes();
    assert_eq!(swept(&world).await, 1);
    world.settle().await;
    assert_eq!(world.ready("orders"), ("False".into(), "Drifted".into()));
    assert_eq!(
        drift(&world),
        json!([{"key": "segment.ms", "desired": "5000", "live": "1"}])
    );
    assert_eq!(world.kafka.changes(), changes, "nothing is set back");
    assert_eq!(swept(&world).await, 0, "what was told is no news");

    world.kafka.set_config(&orders, "flush.ms", None);
    assert_eq!(swept(&world).await, 1, "more drift is");
    world.settle().await;
    assert_eq!(drift(&world)[0], json!({"key": "flush.ms", "desired": "7"}));

    // A restart, and a change of another key, make no difference to it.
    let world = world.restarted();
    world.topic(
        "orders",
        reporting(json!({"config": {"segment.ms": 5000, "flush.ms": 7, "retention.ms": 9}})),
    );
    world.settle().await;
    let live = world.live("orders").unwrap().config;
    assert_eq!(
        (live["segment.ms"].as_str(), live["retention.ms"].as_str()),
        ("1", "9")
    );
    assert!(!live.contains_key("flush.ms"));
    assert_eq!(world.ready("orders").1, "Drifted");

    // The other side gives way to one key; this side changes the other.
    world.kafka.set_config(&orders, "flush.ms", Some("7"));
    world.topic(
        "orders",
        reporting(json!({"config": {"segment.ms": 6000, "flush.ms": 7, "retention.ms": 9}})),
    );
    world.settle().await;
    assert_eq!(world.live("orders").unwrap().config["segment.ms"], "6000");
    assert_eq!(
        (world.ready("orders").1, drift(&world)),
        ("Ready".into(), json!(null))
    );

    world.kafka.set_config(&orders, "flush.ms", Some("8"));
    world.settle().await;
    world.topic("orders", json!({"config": {"segment.ms": 6000, "flush.ms": 7}}));
    world.settle().await;
    assert_eq!(
        world.live("orders").unwrap().config["flush.ms"],
        "7",
        "now Correct"
    );
    assert!(world.api.events().contains(&"DriftCorrected".to_owned()));
}

#[rstest]
#[case::set_back("Correct")]
#[case::reported("Report")]
#[tokio::test(start_paused = true)]
async fn a_broker_that_lags_behind_our_own_change_shows_no_drift(#[case] policy: &str) {
    let world = World::new();
    let spec = |value: i64| json!({"config": {"segment.ms": value}, "driftPolicy": policy});
    let orders = name_of("orders");
    let metrics = || world.ctx.metrics.encode().unwrap();
    world.topic("orders", spec(5000));
    world.settle().await;
    world.topic("orders", spec(6000));
    world.settle().await;

    // What was is still shown: that is looked at again soon, and nothing comes of it.
    world.kafka.set_config(&orders, "segment.ms", Some("5000"));
    let (changes, writes) = (world.kafka.changes(), world.api.writes());
    assert_eq!(swept(&world).await, 1);
    let actions = world.pass().await;
    let soon = |action: &Action| matches!(action, Action::After(wait) if *wait <= Duration::from_secs(1));
    assert!(actions.iter().any(soon), "{actions:?}");
    tokio::time::advance(Duration::from_secs(20)).await;
    world.pass().await;
    assert_eq!((world.kafka.changes(), world.api.writes()), (changes, writes));
    assert!(!metrics().contains("ottla_drift_total{"), "{}", metrics());

    // What is still so when no broker lags any longer is somebody else's doing.
    tokio::time::advance(Duration::from_secs(10)).await;
    world.settle().await;
    let (value, reason) = match policy {
        "Correct" => ("6000", "Ready"),
        _ => ("5000", "Drifted"),
    };
    assert_eq!(world.live("orders").unwrap().config["segment.ms"], value);
    assert_eq!(world.ready("orders").1, reason);
    assert!(metrics().contains("ottla_drift_total{"), "{}", metrics());
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_record_and_change_is_not_taken_for_drift() {
    for writes in 0..4 {
        let world = World::new();
        world.topic("orders", reporting(json!({"config": {"segment.ms": 5}})));
        world.settle().await;
        world.topic(
            "orders",
            reporting(json!({"config": {"segment.ms": 6, "flush.ms": 7}})),
        );
        world.kafka.inject(Call::AlterConfigs, Fault::DropRequest);
        world.api.die_after(Some(writes));
        world.pass().await;
        world.api.die_after(None);
        let world = world.restarted();
        world.settle().await;
        let live = world.live("orders").unwrap().config;
        assert_eq!(
            (live["segment.ms"].as_str(), live["flush.ms"].as_str()),
            ("6", "7"),
            "crash after {writes} writes"
        );
        assert_eq!(world.ready("orders").1, "Ready");
        let drifted = ["Drifted".to_owned(), "DriftCorrected".to_owned()];
        assert!(
            !world.api.events().iter().any(|event| drifted.contains(event)),
            "nobody else changed anything: {:?}",
            world.api.events()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_out_of_sight_says_so_while_that_is_doubted() {
    let world = World::new();
    world.topic("orders", json!({}));
    world.settle().await;
    world.kafka.remove_topic(&name_of("orders"));
    let changes = world.kafka.changes();
    world.settle().await;
    assert_eq!(world.ready("orders"), ("False".into(), "TopicMissing".into()));
    assert_eq!(world.kafka.changes(), changes);
    tokio::time::advance(Duration::from_secs(25)).await;
    world.settle().await;
    assert_eq!(world.ready("orders").1, "TopicMissing");
    tokio::time::advance(Duration::from_secs(6)).await;
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    assert_eq!(world.api.events(), ["TopicRecreated"]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_is_reported_where_drift_is() {
    let world = World::new();
    world.topic("orders", reporting(json!({"partitions": 3})));
    world.settle().await;
    world.kafka.remove_topic(&name_of("orders"));
    world.settle().await;
    tokio::time::advance(Duration::from_secs(31)).await;
    world.settle().await;
    assert_eq!(world.ready("orders"), ("False".into(), "TopicGone".into()));
    assert_eq!(world.live("orders"), None);
    assert_eq!(swept(&world).await, 0, "what was told is no news");
    let writes = world.api.writes().len();
    let world = world.restarted();
    world.settle().await;
    assert_eq!(world.api.writes().len(), writes, "nor is it after a restart");

    world.topic("orders", json!({"partitions": 3}));
    world.settle().await;
    tokio::time::advance(Duration::from_secs(31)).await;
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    assert_eq!(world.live("orders").unwrap().partitions.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_that_somebody_took_comes_back() {
    let world = World::new();
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.settle().await;
    let queue = world.ctx.queues.topics.clone();
    queue.start([]);
    while tokio::time::timeout(Duration::from_millis(1), queue.next())
        .await
        .map(|key| queue.done(&key))
        .is_ok()
    {}
    world.api.strip_finalizers(TOPICS, "orders");
    world.sync();
    let woken = tokio::time::timeout(Duration::from_secs(1), queue.next())
        .await
        .expect("the object is looked at again");
    assert_eq!(woken, Key::new("kafka", "orders"));
    let object = world.ctx.stores.topics.object(&woken).unwrap();
    world.topics.reconcile(&world.ctx, object).await.unwrap();
    assert_eq!(
        world.api.get(TOPICS, "orders").unwrap()["metadata"]["finalizers"],
        json!(["ottla.dev/topic"])
    );
    world.api.delete(TOPICS, "orders");
    world.settle().await;
    assert_eq!(world.live("orders"), None, "so its deletion still acts");
}

#[tokio::test(start_paused = true)]
async fn replicas_changed_by_somebody_else_are_reported_and_left_so() {
    let world = World::new();
    let spec = |factor: i32| reporting(json!({"partitions": 2, "replicationFactor": factor}));
    world.topic("orders", spec(1));
    world.settle().await;
    let held = |world: &World| -> Vec<usize> {
        world
            .live("orders")
            .unwrap()
            .replicas
            .iter()
            .map(|one| one.replicas.len())
            .collect()
    };
    let orders = name_of("orders");
    for partition in 0..2 {
        world.kafka.move_replicas(&orders, partition, &[partition, 2]);
    }
    world.kafka.catch_up(2);
    assert_eq!(swept(&world).await, 1);
    world.settle().await;
    let told = json!([{"key": "replicationFactor", "desired": "1", "live": "2"}]);
    for _ in 0..3 {
        assert_eq!(world.ready("orders"), ("False".into(), "Drifted".into()));
        assert_eq!(
            (drift(&world), held(&world)),
            (told.clone(), vec![2, 2]),
            "neither set back nor forgotten"
        );
        assert_eq!(swept(&world).await, 0, "what was told is no news");
        world.pass().await;
    }
    let object = world.api.get(TOPICS, "orders").unwrap();
    assert_eq!(object["status"]["replicationFactor"], 2);
    assert_eq!(object["status"]["managedReplicationFactor"], 1);
    // A restart makes no difference, nor does another change of the spec.
    let world = world.restarted();
    let mut other = spec(1);
    other["config"] = json!({"retention.ms": 9});
    world.topic("orders", other);
    world.settle().await;
    assert_eq!(
        (held(&world), world.ready("orders").1.as_str()),
        (vec![2, 2], "Drifted")
    );
    assert_eq!(
        world.live("orders").unwrap().config["retention.ms"],
        "9",
        "the rest of the spec applies"
    );
    let metrics = world.ctx.metrics.encode().unwrap();
    assert!(!metrics.contains("outcome=\"corrected\""), "{metrics}");

    // The spec gives way; then a change of the spec is carried out, drift or not.
    world.topic("orders", spec(2));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    world.topic("orders", spec(1));
    world.settle().await;
    assert_eq!(
        (held(&world), world.ready("orders").1.as_str()),
        (vec![1, 1], "Ready")
    );
    // Set back where that is asked for.
    world.kafka.move_replicas(&orders, 0, &[0, 2]);
    world.kafka.catch_up(1);
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Drifted");
    world.topic("orders", json!({"partitions": 2, "replicationFactor": 1}));
    world.settle().await;
    assert_eq!(
        (held(&world), world.ready("orders").1.as_str()),
        (vec![1, 1], "Ready")
    );
    let metrics = world.ctx.metrics.encode().unwrap();
    assert!(
        metrics.contains("ottla_drift_total{cluster=\"kafka/kafka\",outcome=\"corrected\"} 1"),
        "{metrics}"
    );
}
