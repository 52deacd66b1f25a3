//! What Kafka denies for want of an ACL: named, never taken for an absence, and done once the ACL is granted.

use ottla_kafka::error::ErrorCode;
use ottla_kafka::fake::{Call, Fault};
use ottla_operator::runtime::Key;
use ottla_operator::topic::sweep::sweep;
use serde_json::json;

use crate::world::World;

const DENIED: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;

fn not_authorized() -> (String, String) {
    ("False".into(), "NotAuthorized".into())
}

#[tokio::test(start_paused = true)]
async fn each_denied_call_names_the_acl_and_goes_on_once_it_is_granted() {
    for (call, acl) in [
        (Call::DescribeTopics, "Describe on the topic"),
        (Call::CreateTopics, "Create on the topic"),
        (Call::AlterConfigs, "AlterConfigs on the topic"),
        (Call::CreatePartitions, "Alter on the topic"),
    ] {
        let world = World::new();
        if matches!(call, Call::AlterConfigs | Call::CreatePartitions) {
            world.topic("orders", json!({"partitions": 1}));
            world.settle().await;
        }
        world.topic("orders", json!({"partitions": 2, "config": {"flush.ms": 7}}));
        world.kafka.inject(call, Fault::Refuse(DENIED));
        world.pass().await;
        assert_eq!(world.ready("orders"), not_authorized(), "{call:?}");
        assert!(
            world.message("orders").ends_with(acl),
            "{}",
            world.message("orders")
        );
        world.settle().await;
        assert_eq!(world.ready("orders").1, "Ready", "{call:?}");
        let live = world.live("orders").unwrap();
        assert_eq!(
            (live.partitions.len(), live.config["flush.ms"].as_str()),
            (2, "7")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_was_taken_is_told_once_and_nothing_is_taken_for_missing() {
    let world = World::new();
    let cluster = Key::new("kafka", "kafka");
    world.topic("orders", json!({"config": {"flush.ms": 7}}));
    world.settle().await;
    let changes = world.kafka.changes();
    for call in [Call::DescribeTopics, Call::DescribeConfigs] {
        world.kafka.inject(call, Fault::Refuse(DENIED));
        assert_eq!(sweep(&world.ctx, &cluster).await, 1, "{call:?}");
        world.kafka.inject(call, Fault::Refuse(DENIED));
        world.pass().await;
        assert_eq!(world.ready("orders"), not_authorized());
        world.kafka.inject(call, Fault::Refuse(DENIED));
        assert_eq!(sweep(&world.ctx, &cluster).await, 0, "what was told is no news");
        world.settle().await;
        assert_eq!(world.ready("orders").1, "Ready");
    }
    assert_eq!(world.kafka.changes(), changes, "nothing is created or altered");
}
