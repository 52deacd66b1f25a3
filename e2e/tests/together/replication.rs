//! Changes of the replication factor on a Kafka of three brokers, two of which stand in one rack. What Kafka did is read
//! from Kafka.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ottla_e2e::moving::Stage;
use ottla_e2e::object::Kind;
use ottla_e2e::wait::until;
use ottla_e2e::{Scene, scene, spare};
use serde_json::json;

/// The one broker of its rack, as `cargo xtask rig broker --brokers 3` deploys it.
const EAST: i32 = 2;

#[tokio::test]
async fn replicas_are_added_taken_back_and_taken_away() -> Result<()> {
    scene("replication", async |scene| {
        let _rates = spare::rates().await;
        let stage = Stage::set(scene).await?;
        ensure!(stage.counts().await? == [1, 1], "one replica each");

        // Under way, and taken back by the spec.
        stage.slow(true).await?;
        stage.ask(3).await?;
        stage.is_moving(3).await?;
        stage.ask(1).await?;
        stage.is_ready().await?;
        ensure!(stage.counts().await? == [1, 1], "taken back");
        stage.slow(false).await?;

        stage.ask(3).await?;
        stage.is_ready().await?;
        ensure!(stage.counts().await? == [3, 3], "three replicas each");

        // Fewer than min.insync.replicas are refused.
        let raise = [("min.insync.replicas", Some("2"))];
        stage.kafka.alter_topic(&stage.topic, &raise).await?;
        stage.ask(1).await?;
        let refused = ("Ready", "False", "ReplicationFactorChangeRefused");
        scene.await_says(Kind::Topic, "moved", refused, 30).await?;
        ensure!(stage.counts().await? == [3, 3], "nothing moves");

        // Fewer replicas stay spread over the racks.
        stage.ask(2).await?;
        stage.is_ready().await?;
        let replicas = stage.kafka.replicas(&stage.topic).await?;
        let spread = replicas
            .values()
            .all(|held| held.len() == 2 && held.contains(&EAST));
        ensure!(spread, "both racks hold each partition: {replicas:?}");
        stage.clear().await
    })
    .await
}

/// What the brokers and the topic have set of throttles, by Kafka's own word: rates by broker, and throttled replicas.
async fn throttles(stage: &Stage<'_>) -> Result<(BTreeSet<String>, bool)> {
    let mut rates = BTreeSet::new();
    for broker in stage.kafka.configs_of_brokers().await?.into_values() {
        let throttled = broker
            .into_iter()
            .filter(|(key, _)| key.contains("replication.throttled.rate"));
        rates.extend(throttled.map(|(key, rate)| format!("{key}={rate}")));
    }
    let topic = stage.kafka.topic(&stage.topic).await?.context("the topic")?;
    let replicas = ["leader", "follower"].map(|side| format!("{side}.replication.throttled.replicas"));
    Ok((rates, replicas.iter().all(|key| topic.config.contains_key(key))))
}

async fn is_clean(scene: &Scene, stage: &Stage<'_>) -> Result<()> {
    until("no throttle to be left", Duration::from_secs(120), async || {
        let status = scene.get(Kind::Cluster, "kafka").await?;
        ensure!(
            status.data["status"]["replicationThrottle"].is_null(),
            "{:?}",
            status.data["status"]
        );
        ensure!(
            status.metadata.finalizers.unwrap_or_default().is_empty(),
            "the KafkaCluster may go"
        );
        let left = throttles(stage).await?;
        ensure!(left == (BTreeSet::new(), false), "{left:?}");
        Ok(())
    })
    .await
}

/// Sets the rate of moves, and awaits that the operator knows it: nothing is promised about the order in which it learns of
/// changes to two objects.
async fn throttle(scene: &Scene, rate: &str) -> Result<()> {
    let spec = json!({"spec": {"replicationThrottle": rate}});
    scene.merge(Kind::Cluster, "kafka", spec).await?;
    scene
        .await_says(Kind::Cluster, "kafka", ("Ready", "True", "Ready"), 45)
        .await
        .map(drop)
}

#[tokio::test]
async fn moves_keep_to_the_throttle_and_nothing_of_it_is_left() -> Result<()> {
    scene("replication-throttle", async |scene| {
        let _rates = spare::rates().await;
        let stage = Stage::set(scene).await?;
        throttle(scene, "100Ki").await?;
        stage.ask(2).await?;
        stage.is_moving(2).await?;
        until("Kafka to copy", Duration::from_secs(30), async || {
            let (rates, throttled) = throttles(&stage).await?;
            let of = |side: &str| format!("{side}.replication.throttled.rate=102400");
            ensure!(
                rates == BTreeSet::from(["leader", "follower"].map(of)) && throttled,
                "{rates:?} {throttled}"
            );
            let held = stage.kafka.replicas(&stage.topic).await?;
            ensure!(
                held.values().any(|held| held.len() == 2),
                "nothing moves: {held:?}"
            );
            Ok(())
        })
        .await?;
        let moving = scene.get(Kind::Topic, "moved").await?.data["status"]["reassignment"].clone();
        ensure!(
            moving["partitionsDone"] == 0,
            "3 MB at 100 KiB/s take half a minute: {moving}"
        );

        throttle(scene, "1Gi").await?;
        stage.is_ready().await?;
        ensure!(stage.counts().await? == [2, 2], "two replicas each");
        is_clean(scene, &stage).await?;

        // The object goes while its replicas are moved, and its topic stays. At 200 KiB/s this is done in half a minute,
        // should one broker have to take both partitions.
        throttle(scene, "200Ki").await?;
        stage.ask(3).await?;
        stage.is_moving(3).await?;
        let retain = json!({"spec": {"deletionPolicy": "Retain"}});
        scene.merge(Kind::Topic, "moved", retain).await?;
        stage.clear().await?;
        is_clean(scene, &stage).await?;
        stage.kafka.delete(&stage.topic).await
    })
    .await
}
