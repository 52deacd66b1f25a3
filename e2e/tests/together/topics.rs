//! A topic's life: created, grown, changed, adopted, shared, deleted. What Kafka did is read from Kafka.

use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use ottla_e2e::broker::Described;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::{Scene, fixtures, scene};
use serde_json::{Value, json};

const READY: (&str, &str, &str) = ("Ready", "True", "");

/// Applies the cluster `kafka` and awaits that it is Ready.
async fn with_cluster(scene: &Scene) -> Result<()> {
    scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
    scene
        .await_says(Kind::Cluster, "kafka", READY, 30)
        .await
        .map(drop)
}

/// Applies a topic and awaits that it is Ready.
async fn ready_topic(scene: &Scene, name: &str, spec: Value) -> Result<DynamicObject> {
    scene.apply(Kind::Topic, name, spec).await?;
    scene.await_says(Kind::Topic, name, READY, 30).await
}

/// The topic as Kafka describes it.
async fn live(scene: &Scene, name: &str) -> Result<Described> {
    scene
        .broker
        .topic(&scene.topic(name))
        .await?
        .with_context(|| format!("Kafka has no {}", scene.topic(name)))
}

/// A spec with more in it.
fn with(mut spec: Value, more: &Value) -> Value {
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    spec
}

#[tokio::test]
async fn a_topic_is_created_grown_changed_and_never_shrunk() -> Result<()> {
    scene("topic-life", async |scene| {
        with_cluster(scene).await?;
        let base = |partitions| fixtures::topic(&scene.topic("life"), partitions);
        let config = json!({"retention": {"time": "1d"}, "config": {"max.message.bytes": 2_000_000, "compression.type": "lz4"}});
        let created = ready_topic(scene, "life", with(base(2), &config)).await?;
        let seen = live(scene, "life").await?;
        ensure!(seen.partitions == 2 && seen.replication_factor == 1, "{seen:?}");
        ensure!(seen.config["retention.ms"] == "86400000", "{seen:?}");
        ensure!(seen.config["max.message.bytes"] == "2000000" && seen.config["compression.type"] == "lz4", "{seen:?}");
        ensure!(created.text("/status/topicId") == seen.id, "status says {}", created.text("/status/topicId"));

        // Grown, one key changed, one taken out.
        let config = json!({"retention": {"time": "2d"}, "config": {"max.message.bytes": 3_000_000}});
        ready_topic(scene, "life", with(base(5), &config)).await?;
        let seen = live(scene, "life").await?;
        ensure!(seen.partitions == 5, "{seen:?}");
        ensure!(seen.config["retention.ms"] == "172800000" && seen.config["max.message.bytes"] == "3000000", "{seen:?}");
        ensure!(!seen.config.contains_key("compression.type"), "a key taken out is still set: {seen:?}");

        // A decrease is refused, the rest of the spec still applies.
        let config = json!({"retention": {"time": "3d"}});
        scene.apply(Kind::Topic, "life", with(base(3), &config)).await?;
        let refused = scene.await_says(Kind::Topic, "life", ("Ready", "False", "PartitionDecreaseRefused"), 30).await?;
        let keys: Vec<Value> = refused.at("/status/drift").as_array().into_iter().flatten().map(|d| d["key"].clone()).collect();
        ensure!(keys.contains(&json!("partitions")), "drift: {}", refused.at("/status/drift"));
        let seen = live(scene, "life").await?;
        ensure!(seen.partitions == 5, "{seen:?}");
        ensure!(seen.config["retention.ms"] == "259200000", "the rest did not apply: {seen:?}");
        ensure!(!seen.config.contains_key("max.message.bytes"), "{seen:?}");
        ready_topic(scene, "life", with(base(5), &config)).await?;
        scene.broker.delete(&scene.topic("life")).await
    })
    .await
}

#[tokio::test]
async fn a_topic_applied_before_its_cluster_becomes_ready_with_it() -> Result<()> {
    scene("topic-early", async |scene| {
        scene
            .apply(Kind::Topic, "early", fixtures::topic(&scene.topic("early"), 1))
            .await?;
        scene
            .await_says(Kind::Topic, "early", ("Ready", "False", "ClusterNotFound"), 30)
            .await?;
        with_cluster(scene).await?;
        scene.await_says(Kind::Topic, "early", READY, 30).await?;
        live(scene, "early").await?;
        scene.broker.delete(&scene.topic("early")).await
    })
    .await
}

#[tokio::test]
async fn an_existing_topic_is_adopted_only_when_nothing_changes_or_on_request() -> Result<()> {
    scene("adoption", async |scene| {
        with_cluster(scene).await?;
        let before = ("retention.ms", "1000000");
        scene.broker.create(&scene.topic("same"), 2, &[before]).await?;
        scene
            .broker
            .create(&scene.topic("other"), 1, &[before, ("compression.type", "lz4")])
            .await?;
        let found = live(scene, "other").await?;

        let spec = with(
            fixtures::topic(&scene.topic("same"), 2),
            &json!({"config": {"retention.ms": 1_000_000}}),
        );
        ready_topic(scene, "same", spec).await?;

        let spec = with(
            fixtures::topic(&scene.topic("other"), 3),
            &json!({"retention": {"time": "1d"}}),
        );
        scene.apply(Kind::Topic, "other", spec.clone()).await?;
        let held = scene
            .await_says(Kind::Topic, "other", ("Ready", "False", "AdoptionRequired"), 30)
            .await?;
        let difference = held.at("/status/drift").as_array().cloned().unwrap_or_default();
        let partitions = difference
            .iter()
            .find(|one| one["key"] == "partitions")
            .context("difference of partitions")?;
        ensure!(
            partitions["desired"] == "3" && partitions["live"] == "1",
            "{difference:?}"
        );
        ensure!(
            difference.iter().any(|one| one["key"] == "retention.ms"),
            "{difference:?}"
        );
        ensure!(
            live(scene, "other").await? == found,
            "the topic was changed before the adoption"
        );

        ready_topic(scene, "other", with(spec, &json!({"adoptionPolicy": "Always"}))).await?;
        let seen = live(scene, "other").await?;
        ensure!(seen.id == found.id && seen.partitions == 3, "{seen:?}");
        ensure!(seen.config["retention.ms"] == "86400000", "{seen:?}");
        ensure!(
            seen.config["compression.type"] == "lz4",
            "a key nobody asked about was touched: {seen:?}"
        );
        scene.broker.clear(&scene.prefix).await
    })
    .await
}

#[tokio::test]
async fn of_two_owners_one_acts_and_neither_deletes_while_the_other_claims() -> Result<()> {
    scene("owners", async |scene| {
        with_cluster(scene).await?;
        let spec = with(
            fixtures::topic(&scene.topic("shared"), 2),
            &json!({"deletionPolicy": "Delete"}),
        );
        ready_topic(scene, "first", spec.clone()).await?;
        let found = live(scene, "shared").await?;
        let greedy = with(spec.clone(), &json!({"partitions": 4}));
        scene.apply(Kind::Topic, "second", greedy.clone()).await?;
        scene
            .await_says(Kind::Topic, "second", ("Ready", "False", "TopicOwnedByOther"), 30)
            .await?;
        ensure!(
            live(scene, "shared").await? == found,
            "the loser changed the topic"
        );

        scene.delete(Kind::Topic, "second", 30).await?;
        ensure!(
            live(scene, "shared").await? == found,
            "the loser's deletion touched the topic"
        );

        scene.apply(Kind::Topic, "second", spec).await?;
        scene
            .await_says(Kind::Topic, "second", ("Ready", "False", "TopicOwnedByOther"), 30)
            .await?;
        scene.delete(Kind::Topic, "first", 30).await?;
        scene.await_says(Kind::Topic, "second", READY, 30).await?;
        ensure!(
            live(scene, "shared").await? == found,
            "the owner's deletion touched a topic that another claims"
        );
        scene.delete(Kind::Topic, "second", 30).await?;
        ensure!(
            scene.broker.topic(&scene.topic("shared")).await?.is_none(),
            "the last claimant said Delete"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn deletion_keeps_or_deletes_the_topic_as_the_policy_says() -> Result<()> {
    scene("deletion", async |scene| {
        with_cluster(scene).await?;
        ready_topic(scene, "kept", fixtures::topic(&scene.topic("kept"), 1)).await?;
        let spec = with(
            fixtures::topic(&scene.topic("gone"), 1),
            &json!({"deletionPolicy": "Delete"}),
        );
        ready_topic(scene, "gone", spec).await?;
        scene.delete(Kind::Topic, "kept", 30).await?;
        scene.delete(Kind::Topic, "gone", 30).await?;
        let left = scene.broker.describe(&scene.prefix).await?;
        let names: Vec<&String> = left.keys().collect();
        ensure!(names == [&scene.topic("kept")], "left: {names:?}");
        scene.broker.delete(&scene.topic("kept")).await
    })
    .await
}
