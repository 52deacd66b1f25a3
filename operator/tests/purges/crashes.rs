//! The operator dies after every single write, once and twice, and replies get lost: what was planned goes, what came
//! later stays, and the configuration is as before.

use ottla_kafka::error::ErrorCode;
use ottla_kafka::fake::{Call, Fault};
use serde_json::{Value, json};

use crate::world::{PURGES, World, name_of};

/// Every method, with whether the topic is compacted.
fn methods() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"cut": {"type": "All"}}), "delete"),
        (
            json!({"cut": {"type": "All"}, "allowPolicyFlip": true}),
            "compact",
        ),
        (
            json!({"method": "RetentionFlip", "cut": {"type": "OlderThan", "olderThan": "1h"}}),
            "delete",
        ),
        (
            json!({"method": "Recreate", "confirm": "orders", "cut": {"type": "All"}}),
            "delete",
        ),
    ]
}

async fn scene(policy: &str) -> World {
    let world = World::new();
    world.topic(
        "orders",
        json!({"partitions": 2, "config": {"cleanup.policy": policy, "retention.bytes": 77}}),
    );
    world.settle().await;
    for partition in 0..2 {
        world.append("orders", partition, 10, world.millis() - 7_200_000);
    }
    world
}

/// Lets the brokers look at retention and time pass, until the purge has ended.
async fn to_the_end(world: &World) {
    for _ in 0..8 {
        world.settle().await;
        if world.condition("p", "Complete") == "True" || world.condition("p", "Failed") == "True" {
            return;
        }
        world.advance(60);
        world.kafka.expire(&name_of("orders"), world.millis());
    }
    panic!("does not end: {} {}", world.state("p"), world.message("p"));
}

/// Records written once the plan was made, while the purge goes on.
fn write_on(world: &World) {
    let planned = world
        .api
        .get(PURGES, "p")
        .is_some_and(|purge| !purge["status"]["step"].is_null());
    if planned && world.live("orders").is_some() {
        world.append("orders", 0, 3, world.millis());
    }
}

fn check(world: &World, spec: &Value, written: bool, told: &str) {
    assert_eq!(world.state("p"), "Complete", "{told}: {}", world.message("p"));
    let topic = world.live("orders").unwrap();
    let policy = &topic.config["cleanup.policy"];
    assert_eq!(topic.config["retention.bytes"], "77", "{told}");
    assert_eq!(topic.config.len(), 2, "{told}: {:?}", topic.config);
    if spec["method"] == "Recreate" {
        assert_eq!(topic.partitions.len(), 2, "{told}");
        assert_eq!(world.kafka.topics().len(), 1, "{told}");
    } else {
        let late = if written { 3 } else { 0 };
        assert_eq!(topic.partitions, [(10, 10 + late), (10, 10)], "{told}");
        assert_eq!(
            policy,
            if spec["allowPolicyFlip"] == true {
                "compact"
            } else {
                "delete"
            }
        );
    }
    let object = world.api.get(PURGES, "p").unwrap();
    let finalizers = object["metadata"]["finalizers"].as_array();
    assert!(finalizers.is_none_or(Vec::is_empty), "{told}");
    assert_eq!(object["status"]["records"], 20, "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_once_and_twice_changes_nothing_in_the_end() {
    for (spec, policy) in methods() {
        for first in 0..8 {
            for second in 0..8 {
                let told = format!("{spec} dies after {first}, then after {second} writes");
                let mut world = scene(policy).await;
                world.purge("p", spec.clone());
                world.api.die_after(Some(first));
                world.pass().await;
                world.api.die_after(None);
                world = world.restarted();
                world.api.die_after(Some(second));
                world.pass().await;
                world.api.die_after(None);
                let planned = !world.api.get(PURGES, "p").unwrap()["status"]["step"].is_null();
                write_on(&world);
                world = world.restarted();
                to_the_end(&world).await;
                check(&world, &spec, planned, &told);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_or_request_at_any_call_changes_nothing_in_the_end() {
    let calls = [
        Call::DescribeTopics,
        Call::ListOffsets,
        Call::DescribeConfigs,
        Call::DeleteRecords,
        Call::AlterConfigs,
        Call::DeleteTopics,
        Call::CreateTopics,
        Call::ConsumerGroups,
    ];
    for (spec, policy) in methods() {
        for call in calls {
            for fault in [Fault::DropReply, Fault::DropRequest] {
                let told = format!("{spec} {call:?} {fault:?}");
                let world = scene(policy).await;
                world.kafka.inject(call, fault);
                world.purge("p", spec.clone());
                world.pass().await;
                let world = world.restarted();
                to_the_end(&world).await;
                check(&world, &spec, false, &told);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_was_overtaken_puts_back_what_it_changed_too_late() {
    let world = scene("compact").await;
    let before = world.live("orders").unwrap().config;
    let spec = json!({"allowPolicyFlip": true, "cut": {"type": "All"}});
    world.purge("p", spec);
    let spreading = Fault::Refuse(ErrorCode::POLICY_VIOLATION);
    world.kafka.inject(Call::DeleteRecords, spreading);
    world.pass().await;
    assert_ne!(
        world.live("orders").unwrap().config,
        before,
        "{}",
        world.state("p")
    );

    let other = world.restarted();
    other.settle().await;
    assert_eq!(other.state("p"), "Complete", "{}", other.message("p"));
    assert_eq!(world.live("orders").unwrap().config, before);
    let changes = world.kafka.changes();
    world.pass_unaware("p").await;
    assert!(world.kafka.changes() > changes, "it acts on what it knows");
    assert_eq!(world.live("orders").unwrap().config, before);
    assert_eq!(other.state("p"), "Complete");
}
