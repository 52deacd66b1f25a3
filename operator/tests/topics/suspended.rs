//! A suspended object acts on nothing, and shows what it would do. What is not ours is told, and left alone.

use serde_json::json;

use crate::world::{TOPICS, World, name_of};

#[tokio::test(start_paused = true)]
async fn what_is_pending_stands_in_the_status() {
    let world = World::new();
    let spec = |more: serde_json::Value| {
        let mut spec = json!({"partitions": 2, "config": {"segment.ms": 5, "flush.ms": 6}});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    };
    world.topic("orders", spec(json!({})));
    world.settle().await;
    world
        .kafka
        .set_config(&name_of("orders"), "retention.ms", Some("77"));
    let changes = world.kafka.changes();
    world.topic(
        "orders",
        spec(json!({"suspend": true, "partitions": 4, "config": {"segment.ms": 9}})),
    );
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Suspended");
    let message = world.message("orders");
    for words in ["set segment.ms", "reset flush.ms", "grow from 2 to 4"] {
        assert!(message.contains(words), "{message}");
    }
    let status = world.api.get(TOPICS, "orders").unwrap()["status"].clone();
    assert_eq!(
        status["drift"],
        json!([{"key": "partitions", "desired": "4", "live": "2"}, {"key": "segment.ms", "desired": "9", "live": "5"}])
    );
    assert_eq!(status["unmanagedConfig"], json!({"retention.ms": "77"}));
    assert_eq!(world.kafka.changes(), changes);
    let writes = world.api.writes().len();
    world.restarted().settle().await;
    assert_eq!(world.api.writes().len(), writes, "said once");

    world.topic("new", json!({"suspend": true}));
    world.settle().await;
    assert!(
        world.message("new").contains("create topic new"),
        "{}",
        world.message("new")
    );
    assert_eq!(world.kafka.changes(), changes);
    world.topic(
        "orders",
        spec(json!({"partitions": 4, "config": {"segment.ms": 9}})),
    );
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    assert_eq!(world.live("orders").unwrap().partitions.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_others_set_is_told_at_first_contact() {
    let world = World::new();
    let config = [("segment.ms", "5"), ("flush.ms", "6"), ("retention.ms", "7")];
    let config = config.map(|(k, v)| (k.to_owned(), v.to_owned()));
    world.kafka.put_topic(name_of("orders"), 1, 1, config.into());
    world.topic(
        "orders",
        json!({"config": {"segment.ms": 5}, "unmanagedConfig": ["flush.ms"]}),
    );
    world.settle().await;
    let status = world.api.get(TOPICS, "orders").unwrap()["status"].clone();
    assert_eq!(
        status["unmanagedConfig"],
        json!({"flush.ms": "6", "retention.ms": "7"})
    );
    assert_eq!(status["managedConfig"], json!({"segment.ms": "5"}));

    world.topic(
        "orders",
        json!({"config": {"segment.ms": 5, "retention.ms": 7}, "unmanagedConfig": ["flush.ms"]}),
    );
    world.settle().await;
    let status = world.api.get(TOPICS, "orders").unwrap()["status"].clone();
    assert_eq!(
        status["unmanagedConfig"],
        json!({"flush.ms": "6"}),
        "what became ours is not others'"
    );
}
