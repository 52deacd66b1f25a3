//! A cluster's defaults: the shape at creation, the configs for ever, told before and a few at a time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{CLUSTERS, World, name_of};

fn defaults(defaults: Value) -> Value {
    json!({"bootstrapServers": ["kafka:9092"], "topicDefaults": defaults})
}

fn pending(world: &World) -> Value {
    world.api.get(CLUSTERS, "kafka").unwrap()["status"]["defaultsPending"].clone()
}

fn config(world: &World, name: &str) -> Vec<(String, String)> {
    world.live(name).unwrap().config.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn a_shape_is_for_creation_and_configs_are_for_ever() {
    let world = World::new();
    world.cluster(defaults(json!({
        "partitions": 4, "replicationFactor": 2, "config": {"flush.ms": 5, "segment.ms": 6, "retention.ms": 7}})));
    world.topic("silent", json!({}));
    world.topic(
        "outspoken",
        json!({"partitions": 1, "replicationFactor": 3, "retention": {"time": "9ms"}, "unmanagedConfig": ["flush.ms"]}),
    );
    world.settle().await;
    let silent = world.live("silent").unwrap();
    assert_eq!(
        (silent.partitions.len(), silent.replicas[0].replicas.len()),
        (4, 2)
    );
    assert_eq!(silent.config.len(), 3);
    let outspoken = world.live("outspoken").unwrap();
    assert_eq!(
        (outspoken.partitions.len(), outspoken.replicas[0].replicas.len()),
        (1, 3)
    );
    assert_eq!(outspoken.config["retention.ms"], "9");
    assert!(!outspoken.config.contains_key("flush.ms"), "hands off");
    assert_eq!(pending(&world), json!(0));

    world.cluster(defaults(
        json!({"partitions": 9, "config": {"flush.ms": 5, "segment.ms": 8}}),
    ));
    world.settle().await;
    assert_eq!(world.live("silent").unwrap().partitions.len(), 4);
    let expected = [("flush.ms", "5"), ("segment.ms", "8")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(config(&world, "silent"), expected);

    // Later than a broker may lag behind the operator's own change.
    tokio::time::advance(Duration::from_secs(30)).await;
    world
        .kafka
        .set_config(&name_of("silent"), "segment.ms", Some("1"));
    world.settle().await;
    assert_eq!(
        config(&world, "silent"),
        expected,
        "a default is enforced like a key of the spec"
    );

    world.cluster(json!({"bootstrapServers": ["kafka:9092"]}));
    world.settle().await;
    assert_eq!(config(&world, "silent"), [], "what left the defaults is reset");
    world.pass().await;
    assert_eq!(pending(&world), json!(null));
}

#[tokio::test(start_paused = true)]
async fn new_defaults_are_counted_first_and_reach_a_few_topics_at_a_time() {
    let world = World::new();
    for n in 0..30 {
        world.topic(&format!("t{n:02}"), json!({}));
    }
    world.settle().await;
    world.cluster(defaults(json!({"config": {"flush.ms": 5}})));
    world.sync();
    let changed = || {
        let topics = world.kafka.topics();
        topics
            .values()
            .filter(|topic| topic.config.contains_key("flush.ms"))
            .count()
    };
    // A topic looked at before its KafkaCluster does nothing new.
    world.pass_topics().await;
    assert_eq!((changed(), pending(&world)), (0, json!(null)));
    world.pass().await;
    assert_eq!(
        pending(&world),
        json!(30),
        "told before the first was touched, or with it"
    );
    assert!(world.api.events().contains(&"DefaultsChanged".to_owned()));
    assert!((1..=2).contains(&changed()), "{}", changed());
    for _ in 0..10 {
        tokio::time::advance(Duration::from_millis(100)).await;
        world.pass_topics().await;
    }
    assert!((10..=13).contains(&changed()), "{}", changed());
    world.pass().await;
    assert!(pending(&world).as_i64().unwrap() < 30);
    world.settle().await;
    assert_eq!(changed(), 30);
    world.pass().await;
    assert_eq!(pending(&world), json!(0));
    let writes = world.api.writes().len();
    world.pass().await;
    assert_eq!(world.api.writes().len(), writes, "then there is rest");
}

#[tokio::test(start_paused = true)]
async fn an_existing_topic_that_defaults_would_change_is_not_taken_over() {
    let world = World::new();
    world.kafka.put_topic(name_of("orders"), 1, 1, [].into());
    world.cluster(defaults(json!({"config": {"flush.ms": 5}})));
    world.topic("orders", json!({}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "AdoptionRequired");
    world.topic("orders", json!({"unmanagedConfig": ["flush.ms"]}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
}

#[tokio::test(start_paused = true)]
async fn bad_defaults_hold_the_cluster_and_say_why() {
    let world = World::new();
    world.cluster(defaults(json!({"config": {"retention.ms": "7d"}})));
    world.topic("orders", json!({}));
    world.settle().await;
    let cluster = world.api.get(CLUSTERS, "kafka").unwrap();
    assert_eq!(crate::world::ready_of(&cluster).1, "InvalidSpec");
    assert!(cluster["status"].to_string().contains("topicDefaults"));
    assert!(world.kafka.topics().is_empty());
}
