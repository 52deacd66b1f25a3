//! The operator dies after every single write, and replies get lost: the worlds end as if nothing had happened.

use ottla_kafka::error::ErrorCode;
use ottla_kafka::fake::{Call, Fault};
use serde_json::{Value, json};

use crate::world::{TOPICS, World, name_of};

/// A story in steps; after each the world settles.
fn steps() -> Vec<fn(&World)> {
    vec![
        |world| {
            world.topic(
                "orders",
                json!({"partitions": 2, "config": {"segment.ms": 5}, "deletionPolicy": "Delete"}),
            );
        },
        |world| {
            world.topic(
                "strict",
                json!({"partitions": 2, "adoptionPolicy": "Never", "config": {"flush.ms": 5}}),
            );
        },
        |world| {
            world.topic("orders", json!({"partitions": 4, "config": {"flush.ms": 6, "retention.ms": 7}, "deletionPolicy": "Delete"}));
        },
        |world| {
            world.topic(
                "strict",
                json!({"adoptionPolicy": "Never", "deletionPolicy": "Delete"}),
            );
        },
        |world| world.api.delete(TOPICS, "orders"),
    ]
}

async fn told_without_a_crash() -> World {
    let world = World::new();
    world.settle().await;
    for step in steps() {
        step(&world);
        world.settle().await;
    }
    world
}

fn strip_ids(
    (topics, objects): (
        std::collections::BTreeMap<ottla_kafka::types::TopicName, ottla_kafka::fake::FakeTopic>,
        Vec<Value>,
    ),
) -> String {
    let topics: Vec<_> = topics
        .iter()
        .map(|(name, t)| (name, t.partitions.len(), &t.config))
        .collect();
    format!(
        "{topics:?} {:?}",
        objects
            .iter()
            .map(|o| (&o[0], &o[1], &o[2], &o[4], &o[5], &o[6]))
            .collect::<Vec<_>>()
    )
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_changes_nothing_in_the_end() {
    let reference = told_without_a_crash().await;
    let creates = reference.kafka.calls()[&Call::CreateTopics];
    for step_that_crashes in 0..steps().len() {
        for writes in 0..6 {
            let mut world = World::new();
            world.settle().await;
            for (index, step) in steps().into_iter().enumerate() {
                step(&world);
                if index == step_that_crashes {
                    world.api.die_after(Some(writes));
                    world.pass().await;
                    world.api.die_after(None);
                    world = world.restarted();
                }
                world.settle().await;
            }
            let scene = format!("crash after {writes} writes in step {step_that_crashes}");
            assert_eq!(world.picture(), reference.picture(), "{scene}");
            assert_eq!(
                world.kafka.calls()[&Call::CreateTopics],
                creates,
                "{scene}: nothing is created twice"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_or_request_changes_nothing_in_the_end() {
    let reference = strip_ids(told_without_a_crash().await.picture());
    let calls = [
        Call::CreateTopics,
        Call::AlterConfigs,
        Call::CreatePartitions,
        Call::DeleteTopics,
    ];
    let faults = [
        Fault::DropReply,
        Fault::DropRequest,
        Fault::Refuse(ErrorCode::NOT_CONTROLLER),
        Fault::Refuse(ErrorCode::REQUEST_TIMED_OUT),
    ];
    for call in calls {
        for fault in &faults {
            for restart in [false, true] {
                let mut world = World::new();
                world.settle().await;
                world.kafka.inject(call, fault.clone());
                for step in steps() {
                    step(&world);
                    world.pass().await;
                    if restart {
                        world = world.restarted();
                    }
                    world.settle().await;
                }
                assert_eq!(
                    strip_ids(world.picture()),
                    reference,
                    "{call:?} {fault:?} restart: {restart}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_a_lost_topic_returns_makes_no_stranger_of_it() {
    for writes in 0..3 {
        let world = World::new();
        world.topic("orders", json!({"partitions": 2}));
        world.settle().await;
        world.kafka.remove_topic(&name_of("orders"));
        world.pass().await;
        tokio::time::advance(std::time::Duration::from_secs(31)).await;
        world.api.die_after(Some(writes));
        world.pass().await;
        world.api.die_after(None);
        let world = world.restarted();
        world.settle().await;
        tokio::time::advance(std::time::Duration::from_secs(31)).await;
        world.settle().await;
        assert_eq!(world.ready("orders").1, "Ready", "crash after {writes} writes");
        assert_eq!(world.live("orders").unwrap().partitions.len(), 2);
    }
}
