//! The quickstart that `cargo xtask demo` leaves running, held against what Kafka itself says. Changes nothing in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject, ListParams};
use ottla_e2e::live::Live;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::scene;

const RECORDS: i64 = 100_000;
/// One closing record for each of the three streams.
const OFFSETS: i64 = RECORDS + 3;

/// The quickstart's objects of one kind.
async fn objects(live: &Live, kind: Kind) -> Result<Vec<DynamicObject>> {
    let api: Api<DynamicObject> = Api::namespaced_with(live.client.clone(), "kafka", &kind.resource());
    Ok(api.list(&ListParams::default()).await?.items)
}

#[tokio::test]
async fn every_object_of_the_quickstart_is_ready() -> Result<()> {
    let Some(live) = Live::connect("every_object_of_the_quickstart_is_ready").await? else {
        return Ok(());
    };
    // Nobody begins by clearing data.
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Purge) {
        let found = objects(&live, kind).await?;
        ensure!(!found.is_empty(), "the quickstart has no {kind:?}");
        for object in found {
            ensure!(
                object.says("Ready", "True", ""),
                "{kind:?} is not Ready: {}",
                object.data["status"]
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn both_consumers_received_and_the_verdict_is_pass() -> Result<()> {
    let Some(live) = Live::connect("both_consumers_received_and_the_verdict_is_pass").await? else {
        return Ok(());
    };
    let consumer = objects(&live, Kind::Consumer)
        .await?
        .into_iter()
        .next()
        .context("a KafkaConsumer")?;
    ensure!(
        consumer.says("Verified", "True", "Pass"),
        "not verified: {}",
        consumer.data["status"]
    );
    let figures = ["received", "lost", "duplicated", "reordered", "misrouted"];
    let figures = figures.map(|name| consumer.number(&format!("/status/{name}")));
    ensure!(
        figures == [Some(RECORDS), Some(0), Some(0), Some(0), Some(0)],
        "figures: {figures:?}"
    );
    let members = consumer
        .at("/status/members")
        .as_array()
        .cloned()
        .unwrap_or_default();
    let received: Vec<i64> = members
        .iter()
        .filter_map(|member| member["received"].as_i64())
        .collect();
    ensure!(
        received.len() == 2 && received.iter().all(|count| *count > 0),
        "members received {received:?}"
    );
    ensure!(
        received.iter().sum::<i64>() == RECORDS,
        "members received {received:?}"
    );
    Ok(())
}

#[tokio::test]
async fn kafka_has_the_topic_and_the_records() -> Result<()> {
    scene("quickstart", async |scene| {
        let topic = scene
            .broker
            .topic("my-topic")
            .await?
            .context("Kafka has my-topic")?;
        ensure!(topic.partitions == 3, "{topic:?}");
        ensure!(
            topic
                .config
                .get("retention.ms")
                .is_some_and(|value| value == "604800000"),
            "{topic:?}"
        );
        let offsets = scene.broker.end_offsets("my-topic").await?;
        ensure!(
            offsets.len() == 3 && offsets.values().sum::<i64>() == OFFSETS,
            "end offsets: {offsets:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_key_is_where_the_java_client_puts_it() -> Result<()> {
    scene("java-keys", async |scene| {
        let ours: BTreeSet<(String, u32)> = scene.broker.keys("my-topic", OFFSETS).await?;
        let closing = |key: &str| key == "null" || key.starts_with("ottla-closing-");
        let ours: BTreeSet<_> = ours.into_iter().filter(|(key, _)| !closing(key)).collect();
        let keys: BTreeMap<&str, u32> = ours
            .iter()
            .map(|(key, partition)| (key.as_str(), *partition))
            .collect();
        ensure!(keys.len() == ours.len(), "a key is in two partitions");
        ensure!(keys.len() > 10, "only {} keys: {keys:?}", keys.len());
        let topic = scene.topic("java");
        scene.broker.create(&topic, 3, &[]).await?;
        scene.broker.send_keys(&topic, keys.keys().copied()).await?;
        let count = i64::try_from(keys.len())?;
        let java = scene.broker.keys(&topic, count).await?;
        ensure!(
            java == ours,
            "Java disagrees on {:?}",
            java.symmetric_difference(&ours).take(5).collect::<Vec<_>>()
        );
        scene.broker.delete(&topic).await
    })
    .await
}
