//! Kills in the middle of work: a producer's and a consumer's process.

use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::{Scene, fixtures, node, scene};
use serde_json::{Value, json};

fn producer(records: i64, rate: i64) -> Value {
    json!({
        "topicRef": {"name": "topic"}, "replicas": 1, "stopAfter": {"records": records},
        "load": {"recordsPerSecond": rate},
        "records": {"valueBytes": 128, "keys": {"type": "Sequential", "cardinality": 50}},
    })
}

fn consumer(scene: &Scene, replicas: i64) -> Value {
    json!({
        "topicRef": {"name": "topic"}, "groupId": scene.topic("group"), "replicas": replicas,
        "stopAfter": {"complete": true, "deadline": "3m"},
    })
}

#[tokio::test]
async fn a_producer_killed_mid_run_leaves_an_unclosed_incarnation_and_no_loss() -> Result<()> {
    scene("kill-producer", async |scene| {
        scene.with_topic().await?;
        scene
            .apply(Kind::Consumer, "consumer", consumer(scene, 1))
            .await?;
        scene
            .apply(Kind::Producer, "producer", producer(20_000, 1_000))
            .await?;
        let underway = |object: &DynamicObject| object.number("/status/sent").is_some_and(|sent| sent > 0);
        scene
            .await_object(Kind::Producer, "producer", "sending", 60, underway)
            .await?;
        node::kill_process(scene, "ottla.dev/kind=producer,ottla.dev/name=producer").await?;
        // The share is sent anew by the next pod, to its end.
        scene
            .await_says(Kind::Producer, "producer", ("Ready", "True", "Completed"), 120)
            .await?;
        let told = |object: &DynamicObject| object.says("Verified", "Unknown", "UnclosedIncarnation");
        let consumer = scene
            .await_object(Kind::Consumer, "consumer", "told UnclosedIncarnation", 200, told)
            .await?;
        ensure!(
            consumer.number("/status/lost") == Some(0),
            "{}",
            consumer.data["status"]
        );
        scene.broker.clear(&scene.prefix).await
    })
    .await
}

#[tokio::test]
async fn a_consumer_killed_mid_run_redelivers_and_duplicates_nothing() -> Result<()> {
    scene("kill-consumer", async |scene| {
        scene.with_topic().await?;
        scene
            .apply(Kind::Producer, "producer", producer(30_000, 1_500))
            .await?;
        let mut spec = consumer(scene, 2);
        // Commits far apart: what the killed pod had read is read again.
        spec["commit"] = json!({"interval": "30s"});
        scene.apply(Kind::Consumer, "consumer", spec).await?;
        // Both are known to have read a good part before one is killed: only what was told can be told to come again.
        let underway = |object: &DynamicObject| {
            let members = object
                .at("/status/members")
                .as_array()
                .cloned()
                .unwrap_or_default();
            members.len() == 2
                && members
                    .iter()
                    .all(|one| one["received"].as_i64().is_some_and(|count| count > 500))
        };

        scene
            .await_object(Kind::Consumer, "consumer", "receiving", 90, underway)
            .await?;
        node::kill_process(scene, "ottla.dev/kind=consumer,ottla.dev/name=consumer").await?;
        let judged = |object: &DynamicObject| object.says("Ready", "True", "Completed");
        let consumer = scene
            .await_object(Kind::Consumer, "consumer", "completed", 240, judged)
            .await?;
        let count = |name: &str| consumer.number(&format!("/status/{name}"));
        ensure!(
            count("lost") == Some(0) && count("duplicated") == Some(0),
            "{}",
            consumer.data["status"]
        );
        ensure!(
            count("redelivered").context("redelivered")? > 0,
            "{}",
            consumer.data["status"]
        );
        scene.broker.clear(&scene.prefix).await
    })
    .await
}
