//! Figures by KafkaCluster: topics by state, and, where asked for, each topic's replicas and size.

use std::sync::Arc;

use ottla_operator::runtime::Key;
use ottla_operator::topic::figures::standing;
use ottla_operator::topic::sweep::sweep;
use serde_json::json;

use crate::world::{CLUSTERS, TOPICS, World, name_of, object};

const CLUSTER: &str = "cluster=\"kafka/kafka\"";

async fn scene(world: World) -> World {
    world.cluster(json!({"bootstrapServers": ["kafka:9092"]}));
    world.topic("orders", json!({"partitions": 3, "replicationFactor": 2}));
    world.topic("bad", json!({"partitions": 0}));
    let nowhere = json!({"clusterRef": {"name": "nowhere"}});
    world
        .api
        .put(TOPICS, object("KafkaTopic", "kafka", "stray", nowhere));
    world.settle().await;
    world.kafka.set_offsets(&name_of("orders"), 1.into(), 10, 15);
    world.kafka.lose_broker(0.into());
    sweep(&world.ctx, &Key::new("kafka", "kafka")).await;
    world
}

#[tokio::test(start_paused = true)]
async fn topics_are_counted_by_the_cluster_and_forgotten_with_it() {
    let world = scene(World::new()).await;
    let ctx = Arc::downgrade(&world.ctx);
    world.ctx.metrics.clusters.count_topics_by(move || standing(&ctx));
    let text = world.ctx.metrics.encode().unwrap();
    for line in [
        format!("ottla_topics{{{CLUSTER},reason=\"Ready\"}} 1"),
        format!("ottla_topics{{{CLUSTER},reason=\"InvalidSpec\"}} 1"),
        format!("ottla_sweep_duration_seconds_count{{{CLUSTER}}} 1"),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("nowhere"), "a name alone makes no series\n{text}");
    assert!(
        !text.contains("topic=\"orders\""),
        "single topics were not asked for\n{text}"
    );
    world.api.delete(CLUSTERS, "kafka");
    world.sync();
    let text = world.ctx.metrics.encode().unwrap();
    assert!(!text.contains(CLUSTER), "{text}");
}

#[tokio::test(start_paused = true)]
async fn single_topics_are_told_where_that_was_asked_for() {
    let world = scene(World::telling_topics()).await;
    let text = world.ctx.metrics.encode().unwrap();
    for line in [
        // Two of three partitions had a replica on the lost broker; five records of a hundred bytes, twice.
        format!("ottla_under_replicated_partitions{{{CLUSTER}}} 2"),
        format!("ottla_topic_under_replicated_partitions{{{CLUSTER},topic=\"orders\"}} 2"),
        format!("ottla_topic_size_bytes{{{CLUSTER},topic=\"orders\"}} 1000"),
        format!("ottla_topics_without_series{{{CLUSTER}}} 0"),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}
