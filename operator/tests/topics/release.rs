//! `release`: every object can be deleted without the operator, and Kafka never hears of it.

use ottla_operator::cli::release::{self, Options};
use serde_json::json;

use crate::world::{CLUSTERS, TOPICS, World};

/// Objects with our finalizer, one of them with somebody else's beside it.
async fn held() -> World {
    let world = World::new();
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.topic("shared", json!({"deletionPolicy": "Delete"}));
    world.topic("plain", json!({}));
    world.settle().await;
    world.api.add_finalizer(TOPICS, "shared", "example.com/theirs");
    world
}

async fn release(world: &World) {
    let options = Options {
        watch_namespaces: vec![],
        scale_down: None,
        lease: None,
        timeout_seconds: 1,
    };
    release::run(world.api.client(), options).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn our_finalizers_go_others_stay_and_every_topic_stays() {
    let world = held().await;
    let (topics, calls) = (world.kafka.topics(), world.kafka.calls());
    release(&world).await;
    let finalizers = |name: &str| world.api.get(TOPICS, name).unwrap()["metadata"]["finalizers"].clone();
    assert_eq!(finalizers("orders"), json!([]));
    assert_eq!(finalizers("shared"), json!(["example.com/theirs"]));
    assert_eq!(
        (world.kafka.topics(), world.kafka.calls()),
        (topics, calls),
        "Kafka was asked something"
    );
    let writes = world.api.writes();
    release(&world).await;
    assert_eq!(writes, world.api.writes(), "a second release has nothing to do");
    for name in ["orders", "plain"] {
        world.api.delete(TOPICS, name);
        assert_eq!(world.api.get(TOPICS, name), None, "{name} waits for the operator");
    }
    assert!(
        world.live("orders").is_some(),
        "deletionPolicy Delete was carried out"
    );
}

#[tokio::test(start_paused = true)]
async fn without_release_an_object_waits_for_the_operator() {
    let world = held().await;
    world.api.delete(TOPICS, "orders");
    assert!(world.api.get(TOPICS, "orders").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_being_deleted_goes_at_once() {
    let world = held().await;
    world.api.delete(TOPICS, "orders");
    world.api.delete(CLUSTERS, "kafka");
    release(&world).await;
    assert_eq!(world.api.get(TOPICS, "orders"), None);
    assert!(world.live("orders").is_some(), "the topic stays");
}
