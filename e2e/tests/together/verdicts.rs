//! The verdict's negative controls: a fault that was made must be found, exactly, and nothing must never be a Pass.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::wait::throughout;
use ottla_e2e::{Scene, fixtures, scene};
use serde_json::{Value, json};

const RECORDS: i64 = 5_000;

fn consumer(scene: &Scene) -> Value {
    json!({
        "topicRef": {"name": "topic"}, "groupId": scene.topic("group"), "replicas": 1,
        "stopAfter": {"complete": true, "deadline": "3m"},
    })
}

fn producer(drill: &Value) -> Value {
    json!({
        "topicRef": {"name": "topic"}, "replicas": 1, "stopAfter": {"records": RECORDS},
        "records": {"valueBytes": 128, "keys": {"type": "Sequential", "cardinality": 50}},
        "drill": drill,
    })
}

/// Runs a producer with that drill and answers the consumer once its verdict stands.
async fn judged(scene: &Scene, drill: &Value) -> Result<DynamicObject> {
    scene.with_topic().await?;
    scene.apply(Kind::Producer, "producer", producer(drill)).await?;
    scene.apply(Kind::Consumer, "consumer", consumer(scene)).await?;
    let judged = |object: &DynamicObject| {
        object
            .condition("Verified")
            .is_some_and(|verified| verified.status != "Unknown")
            && object.says("Ready", "True", "Completed")
    };
    scene
        .await_object(Kind::Consumer, "consumer", "judged", 120, judged)
        .await
}

fn figures(consumer: &DynamicObject) -> [Option<i64>; 5] {
    ["received", "lost", "duplicated", "reordered", "misrouted"]
        .map(|name| consumer.number(&format!("/status/{name}")))
}

async fn finish(scene: &Scene) -> Result<()> {
    scene.broker.clear(&scene.prefix).await
}

#[tokio::test]
async fn a_dropped_record_is_lost_and_named() -> Result<()> {
    scene("drop", async |scene| {
        let consumer = judged(scene, &json!({"drop": 1})).await?;
        ensure!(
            consumer.says("Verified", "False", "Lost"),
            "{}",
            consumer.data["status"]
        );
        ensure!(
            figures(&consumer) == [Some(RECORDS - 1), Some(1), Some(0), Some(0), Some(0)],
            "{:?}",
            figures(&consumer)
        );
        let evidence = consumer
            .at("/status/evidence")
            .as_array()
            .cloned()
            .unwrap_or_default();
        let lost = evidence
            .iter()
            .find(|one| one["kind"] == "Lost")
            .context("evidence of the lost record")?;
        ensure!(lost["partition"].is_i64() && lost["sequence"].is_i64(), "{lost}");
        finish(scene).await
    })
    .await
}

#[tokio::test]
async fn duplicated_records_are_counted_exactly() -> Result<()> {
    scene("duplicate", async |scene| {
        let consumer = judged(scene, &json!({"duplicate": 5})).await?;
        ensure!(
            consumer.says("Verified", "False", "Duplicated"),
            "{}",
            consumer.data["status"]
        );
        ensure!(
            figures(&consumer) == [Some(RECORDS), Some(0), Some(5), Some(0), Some(0)],
            "{:?}",
            figures(&consumer)
        );
        finish(scene).await
    })
    .await
}

#[tokio::test]
async fn a_loss_and_a_duplicate_do_not_hide_each_other() -> Result<()> {
    scene("both", async |scene| {
        let consumer = judged(scene, &json!({"drop": 1, "duplicate": 1})).await?;
        ensure!(
            consumer
                .condition("Verified")
                .is_some_and(|one| one.status == "False"),
            "{}",
            consumer.data["status"]
        );
        ensure!(
            figures(&consumer)[1..3] == [Some(1), Some(1)],
            "{:?}",
            figures(&consumer)
        );
        finish(scene).await
    })
    .await
}

#[tokio::test]
async fn nothing_sent_is_never_a_pass() -> Result<()> {
    scene("empty", async |scene| {
        scene.with_topic().await?;
        scene.apply(Kind::Consumer, "consumer", consumer(scene)).await?;
        let told = |object: &DynamicObject| object.says("Verified", "Unknown", "NoEvidence");
        scene
            .await_object(Kind::Consumer, "consumer", "told NoEvidence", 60, told)
            .await?;
        throughout("NoEvidence", Duration::from_secs(20), async || {
            let consumer = scene.get(Kind::Consumer, "consumer").await?;
            ensure!(
                consumer
                    .condition("Verified")
                    .is_none_or(|one| one.status != "True"),
                "{}",
                consumer.data["status"]
            );
            Ok(())
        })
        .await?;
        finish(scene).await
    })
    .await
}

#[tokio::test]
async fn a_consumer_before_any_producer_waits_and_then_passes() -> Result<()> {
    scene("consumer-first", async |scene| {
        scene.with_topic().await?;
        scene.apply(Kind::Consumer, "consumer", consumer(scene)).await?;
        let running = |object: &DynamicObject| object.says("Ready", "True", "Running");
        let early = scene
            .await_object(Kind::Consumer, "consumer", "running", 60, running)
            .await?;
        ensure!(
            early.condition("Verified").is_none_or(|one| one.status != "True"),
            "{}",
            early.data["status"]
        );
        scene
            .apply(Kind::Producer, "producer", producer(&json!({})))
            .await?;
        let consumer = scene
            .await_says(Kind::Consumer, "consumer", ("Verified", "True", "Pass"), 120)
            .await?;
        ensure!(
            figures(&consumer) == [Some(RECORDS), Some(0), Some(0), Some(0), Some(0)],
            "{:?}",
            figures(&consumer)
        );
        finish(scene).await
    })
    .await
}
