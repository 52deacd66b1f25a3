//! Many topics deleted at once: none goes until a person says so.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{CLUSTERS, TOPICS, World, ready_of};

const RELEASE: &str = "ottla.dev/release-destruction-until";

async fn world_of(topics: usize, limit: i64) -> World {
    let world = World::new();
    world.cluster(json!({"bootstrapServers": ["kafka:9092"], "destructionLimit": limit}));
    for n in 0..topics {
        world.topic(&format!("t{n}"), json!({"deletionPolicy": "Delete"}));
    }
    world.topic("kept", json!({}));
    world.settle().await;
    world
}

fn hold(world: &World) -> Option<Value> {
    let cluster = world.api.get(CLUSTERS, "kafka").unwrap();
    let conditions = cluster["status"]["conditions"].as_array().unwrap().clone();
    conditions
        .into_iter()
        .find(|one| one["type"] == "DestructionHold")
}

#[tokio::test(start_paused = true)]
async fn a_mass_deletion_waits_for_a_person_and_survives_a_restart() {
    let world = world_of(5, 3).await;
    // One by one, as a tool deletes them.
    for n in 0..5 {
        world.api.delete(TOPICS, &format!("t{n}"));
        world.pass().await;
        tokio::time::advance(Duration::from_millis(200)).await;
    }
    world.settle().await;
    assert_eq!(world.kafka.topics().len(), 6, "not one is gone");
    let told = hold(&world).expect("the cluster says so")["message"].to_string();
    assert!(told.contains("5 topics") && told.contains(RELEASE), "{told}");
    assert_eq!(world.ready("t0"), ("False".into(), "DestructionHold".into()));
    assert!(world.api.events().contains(&"DestructionHold".to_owned()));

    let world = world.restarted();
    world.settle().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    world.settle().await;
    assert_eq!(world.kafka.topics().len(), 6, "nor after a restart");
    let writes = world.api.writes().len();
    world.pass().await;
    assert_eq!(world.api.writes().len(), writes, "and it rests");

    world
        .api
        .annotate(CLUSTERS, "kafka", json!({RELEASE: "2000-01-01T00:00:00Z"}));
    world.settle().await;
    assert_eq!(
        world.kafka.topics().len(),
        6,
        "a release that has passed releases nothing"
    );
    let until = world.ctx.now() + Duration::from_secs(600);
    world
        .api
        .annotate(CLUSTERS, "kafka", json!({RELEASE: until.to_string()}));
    world.settle().await;
    let left: Vec<String> = world.kafka.topics().keys().map(ToString::to_string).collect();
    assert_eq!(left, ["kept"]);
    world.pass().await;
    assert_eq!(hold(&world), None);
}

#[tokio::test(start_paused = true)]
async fn as_many_as_the_limit_go_by_themselves() {
    let world = world_of(3, 3).await;
    for n in 0..3 {
        world.api.delete(TOPICS, &format!("t{n}"));
    }
    world.settle().await;
    assert_eq!(world.kafka.topics().len(), 1);
    assert_eq!(hold(&world), None);
}

#[tokio::test(start_paused = true)]
async fn suspending_one_keeps_it_and_lets_the_rest_go_once_they_are_few() {
    let world = world_of(4, 3).await;
    for n in 0..4 {
        world.api.delete(TOPICS, &format!("t{n}"));
    }
    world.settle().await;
    assert_eq!(world.kafka.topics().len(), 5);
    world.topic("t2", json!({"deletionPolicy": "Delete", "suspend": true}));
    world.settle().await;
    tokio::time::advance(Duration::from_secs(11)).await;
    world.settle().await;
    let left: Vec<String> = world.kafka.topics().keys().map(ToString::to_string).collect();
    assert_eq!(left, ["kept", "t2"]);
}

#[tokio::test(start_paused = true)]
async fn retained_topics_hold_nothing_up() {
    let world = World::new();
    world.cluster(json!({"bootstrapServers": ["kafka:9092"], "destructionLimit": 0}));
    world.topic("keep", json!({}));
    world.topic("drop", json!({"deletionPolicy": "Delete"}));
    world.settle().await;
    world.api.delete(TOPICS, "keep");
    world.api.delete(TOPICS, "drop");
    world.settle().await;
    assert_eq!(world.api.get(TOPICS, "keep"), None);
    assert_eq!(
        ready_of(&world.api.get(TOPICS, "drop").unwrap()).1,
        "DestructionHold"
    );
    assert_eq!(world.kafka.topics().len(), 2);
}
