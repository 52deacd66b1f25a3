//! The methods that lower or delete what they restore or create again.

use ottla_kafka::error::ErrorCode;
use ottla_kafka::fake::{Call, Fault};
use serde_json::{Value, json};

use crate::world::{PURGES, TOPICS, World, name_of};

fn all(method: &str) -> Value {
    json!({"method": method, "cut": {"type": "All"}})
}

async fn compacted() -> World {
    let world = World::new();
    world.topic(
        "orders",
        json!({"partitions": 2, "cleanupPolicy": ["Compact"], "config": {"retention.ms": 5_000}}),
    );
    world.settle().await;
    for partition in 0..2 {
        world.append("orders", partition, 10, 1_000);
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_compacted_topic_is_cleared_by_leave_and_is_as_before_after() {
    let world = compacted().await;
    let before = world.live("orders").unwrap().config;
    world.purge("plain", all("DeleteRecords"));
    world.settle().await;
    assert_eq!(world.state("plain"), "CompactOnly");
    assert_eq!(world.spans("orders"), [(0, 10), (0, 10)]);
    let mut spec = all("DeleteRecords");
    spec["allowPolicyFlip"] = json!(true);
    world.purge("flip", spec);
    world.settle().await;
    assert_eq!(world.state("flip"), "Complete", "{}", world.message("flip"));
    assert_eq!(world.spans("orders"), [(10, 10), (10, 10)]);
    assert_eq!(world.live("orders").unwrap().config, before);
    assert_eq!(
        world.api.get(PURGES, "flip").unwrap()["metadata"]["finalizers"],
        json!([])
    );
}

/// A topic with an old and a young half in each partition.
async fn aged() -> World {
    let world = World::new();
    world.topic("orders", json!({"partitions": 2, "config": {"segment.ms": 7}}));
    world.settle().await;
    for partition in 0..2 {
        world.append("orders", partition, 10, world.millis() - 7_200_000);
        world.append("orders", partition, 5, world.millis() - 60_000);
    }
    world
}

fn older() -> Value {
    json!({"method": "RetentionFlip", "cut": {"type": "OlderThan", "olderThan": "1h"}})
}

#[tokio::test(start_paused = true)]
async fn a_flip_waits_for_the_brokers_and_restores_an_unset_key() {
    let world = aged().await;
    let before = world.live("orders").unwrap().config;
    world.purge("flip", older());
    world.settle().await;
    assert_eq!(world.state("flip"), "WaitingForRetention");
    let lowered = world.live("orders").unwrap().config["retention.ms"].clone();
    // An hour, and the time until the retention is restored at the latest.
    assert_eq!(lowered, (3_600_000 + 380_000).to_string());
    world.advance(300);
    world.kafka.expire(&name_of("orders"), world.millis());
    world.settle().await;
    assert_eq!(world.state("flip"), "Complete", "{}", world.message("flip"));
    assert_eq!(world.spans("orders"), [(10, 15), (10, 15)]);
    assert_eq!(world.live("orders").unwrap().config, before, "unset again");
}

#[tokio::test(start_paused = true)]
async fn a_flip_ends_in_time_whatever_the_brokers_did() {
    let world = aged().await;
    let before = world.live("orders").unwrap().config;
    world.purge("flip", older());
    world.settle().await;
    world.advance(381);
    world.settle().await;
    assert_eq!(world.state("flip"), "Complete");
    assert!(
        world.message("flip").contains("20 more"),
        "{}",
        world.message("flip")
    );
    assert_eq!(world.live("orders").unwrap().config, before);
    // Until then no record at or after the cut was old enough to go.
    assert_eq!(world.spans("orders"), [(0, 15), (0, 15)]);
}

#[tokio::test(start_paused = true)]
async fn a_flip_deleted_half_way_restores_first() {
    let world = aged().await;
    let before = world.live("orders").unwrap().config;
    world.purge("flip", older());
    world.settle().await;
    world.api.delete(PURGES, "flip");
    let world = world.restarted();
    world.settle().await;
    assert_eq!(world.api.get(PURGES, "flip"), None);
    assert_eq!(world.live("orders").unwrap().config, before);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_spec_meanwhile_takes_hold_after() {
    let world = aged().await;
    world.purge("flip", older());
    world.settle().await;
    let lowered = world.live("orders").unwrap().config["retention.ms"].clone();
    world.topic(
        "orders",
        json!({"partitions": 2, "config": {"segment.ms": 7, "retention.ms": 99}}),
    );
    world.settle().await;
    assert_eq!(
        world.live("orders").unwrap().config["retention.ms"],
        lowered,
        "hands off meanwhile"
    );
    world.advance(381);
    world.settle().await;
    assert_eq!(world.state("flip"), "Complete");
    assert_eq!(world.live("orders").unwrap().config["retention.ms"], "99");
}

#[tokio::test(start_paused = true)]
async fn a_topic_created_again_is_ours_and_has_its_shape() {
    let world = World::new();
    world.topic(
        "orders",
        json!({"partitions": 3, "replicationFactor": 2, "config": {"segment.ms": 7}}),
    );
    world.settle().await;
    world.kafka.set_config(&name_of("orders"), "flush.ms", Some("9"));
    world.append("orders", 1, 10, 1_000);
    let before = world.live("orders").unwrap();
    let mut spec = all("Recreate");
    spec["confirm"] = json!("orders");
    world.purge("anew", spec.clone());
    world.settle().await;
    assert_eq!(world.state("anew"), "Complete", "{}", world.message("anew"));
    let after = world.live("orders").unwrap();
    assert_ne!(before.id, after.id);
    assert_eq!(before.config, after.config, "unmanaged keys too");
    assert_eq!(after.partitions, [(0, 0); 3]);
    assert_eq!(before.replicas, after.replicas);
    let topic = world.api.get(TOPICS, "orders").unwrap();
    assert_eq!(topic["status"]["topicId"], after.id.to_string());
    assert_eq!(
        world.api.get(PURGES, "anew").unwrap()["status"]["newTopicId"],
        after.id.to_string()
    );

    world.append("orders", 1, 5, 1_000);
    world.api.delete(PURGES, "anew");
    world.settle().await;
    world.purge("anew", spec);
    world.settle().await;
    assert_eq!(world.state("anew"), "AlreadyDone");
    assert_eq!(world.live("orders").unwrap().id, after.id);
}

#[tokio::test(start_paused = true)]
async fn a_recreate_ends_when_leaders_have_let_go_of_the_old_log() {
    for (learn, seconds) in [(true, 1), (false, 31)] {
        let world = World::with_orders(2, &[10, 0]).await;
        let before = world.live("orders").unwrap().id;
        let mut spec = all("Recreate");
        spec["confirm"] = json!("orders");
        world.kafka.keep_log(&name_of("orders"), true);
        world.purge("anew", spec);
        world.pass().await;
        assert_ne!(world.live("orders").unwrap().id, before);
        assert_eq!(world.state("anew"), "Recreating", "{}", world.message("anew"));
        assert!(
            world
                .message("anew")
                .contains("waits until every broker serves it")
        );
        let writes = world.api.writes();
        world.pass().await;
        assert_eq!(world.api.writes(), writes, "the wait is not told a second time");
        world.kafka.keep_log(&name_of("orders"), !learn);
        world.advance(seconds);
        world.settle().await;
        assert_eq!(world.state("anew"), "Complete", "{}", world.message("anew"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_has_acted_while_a_replica_lags_is_told_as_that_and_asked_again() {
    for (fault, applied) in [
        (Fault::RefuseDone(ErrorCode::REQUEST_TIMED_OUT), true),
        (Fault::Refuse(ErrorCode::REQUEST_TIMED_OUT), false),
    ] {
        let world = World::with_orders(2, &[10, 10]).await;
        world.kafka.inject(Call::DeleteRecords, fault);
        world.purge("lags", all("DeleteRecords"));
        world.pass().await;
        let status = world.api.get(PURGES, "lags").unwrap()["status"].clone();
        let failure = &status["failures"][0];
        let told = failure["message"].as_str().unwrap();
        assert_eq!(failure["error"], "REQUEST_TIMED_OUT");
        assert_eq!(told.contains("applied, replicas lagging"), applied, "{told}");
        assert_eq!(
            world.message("lags").contains("replicas lagging"),
            applied,
            "{}",
            world.message("lags")
        );
        assert_eq!(
            world.condition("lags", "Complete"),
            "False",
            "not before Kafka says so"
        );
        world.append("orders", 0, 5, 1_000);
        world.settle().await;
        assert_eq!(world.state("lags"), "Complete", "{}", world.message("lags"));
        assert_eq!(world.spans("orders"), [(10, 15), (10, 10)], "the same cut again");
    }
}
