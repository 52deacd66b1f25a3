//! Records are purged before a consumer came to them: it calls them purged, and nothing lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::wait::until;
use ottla_e2e::{Scene, fixtures, node, scene};
use serde_json::json;

/// Records that stand beyond the consumer's place before they are purged, at least.
const AHEAD: i64 = 600;

/// Records of a producer that ends.
const RUN: i64 = 900;

/// The pod of the consumer.
async fn reader(scene: &Scene) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(scene.live.client.clone(), &scene.namespace);
    let found = pods
        .list(&ListParams::default().labels("ottla.dev/kind=consumer"))
        .await?;
    let pod = found.items.first().context("the consumer has a pod")?;
    Ok(pod.name_any())
}

async fn total(scene: &Scene, topic: &str) -> Result<i64> {
    Ok(scene.broker.end_offsets(topic).await?.values().sum())
}

#[tokio::test]
async fn a_running_consumer_calls_purged_what_was_purged_and_nothing_lost() -> Result<()> {
    scene("purge-beneath", async |scene| {
        let topic = scene.topic("orders");
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        scene
            .apply(Kind::Topic, "orders", fixtures::topic(&topic, 2))
            .await?;
        scene
            .await_says(Kind::Topic, "orders", ("Ready", "True", ""), 45)
            .await?;
        let endless = json!({
            "topicRef": {"name": "orders"}, "replicas": 1, "load": {"recordsPerSecond": 300},
            "records": {"valueBytes": 100, "keys": {"type": "Sequential", "cardinality": 60}},
        });
        scene.apply(Kind::Producer, "endless", endless).await?;
        let consumer = json!({
            "topicRef": {"name": "orders"}, "groupId": scene.topic("group"), "replicas": 1,
        });
        scene.apply(Kind::Consumer, "reader", consumer).await?;
        scene
            .await_says(Kind::Consumer, "reader", ("Verified", "True", "Pass"), 90)
            .await?;
        // It stands still, and is no less a member of its group; what it misses is gone when it goes on.
        let pod = reader(scene).await?;
        let place = total(scene, &topic).await?;
        node::signal(&scene.live, &scene.namespace, &pod, "SIGSTOP").await?;
        let gone = beneath(scene, &topic, place).await;
        node::signal(&scene.live, &scene.namespace, &pod, "SIGCONT").await?;
        gone?;
        let told = |object: &DynamicObject| {
            object.number("/status/purged").is_some_and(|purged| purged > 0)
                && object.says("Verified", "True", "Pass")
        };
        let reader = scene
            .await_object(Kind::Consumer, "reader", "told of what was purged", 60, told)
            .await?;
        let figure = |name: &str| reader.number(&format!("/status/{name}"));
        ensure!(
            figure("purged") >= Some(AHEAD / 2) && figure("lost") == Some(0) && figure("expired") == Some(0),
            "{}",
            reader.data["status"]
        );
        let message = reader.condition("Verified").context("Verified")?.message;
        ensure!(message.contains("were purged"), "{message}");
        scene.broker.clear(&scene.prefix).await
    })
    .await
}

/// Purges everything once enough stands beyond the consumer's place.
async fn beneath(scene: &Scene, topic: &str, place: i64) -> Result<()> {
    until("records that are not read", Duration::from_secs(30), async || {
        let ahead = total(scene, topic).await? - place;
        ensure!(ahead > AHEAD, "{ahead} of more than {AHEAD}");
        Ok(())
    })
    .await?;
    let purge = json!({
        "topicRef": {"name": "orders"}, "cut": {"type": "All"}, "guards": {"consumerGroups": "Ignore"},
    });
    scene.apply(Kind::Purge, "beneath", purge).await?;
    scene
        .await_says(Kind::Purge, "beneath", ("Complete", "True", "Complete"), 45)
        .await
        .map(drop)
}

#[tokio::test]
async fn what_was_purged_before_anybody_read_of_it_holds_no_verdict_up() -> Result<()> {
    scene("purge-before", async |scene| {
        scene.with_topic().await?;
        let run = json!({
            "topicRef": {"name": "topic"}, "replicas": 1, "stopAfter": {"records": RUN},
            "records": {"valueBytes": 100, "keys": {"type": "Sequential", "cardinality": 60}},
        });
        let sent = ("Ready", "True", "Completed");
        scene.apply(Kind::Producer, "first", run.clone()).await?;
        scene.await_says(Kind::Producer, "first", sent, 90).await?;
        let purge = json!({"topicRef": {"name": "topic"}, "cut": {"type": "All"}});
        scene.apply(Kind::Purge, "between", purge).await?;
        let complete = ("Complete", "True", "Complete");
        scene.await_says(Kind::Purge, "between", complete, 45).await?;
        scene.apply(Kind::Producer, "second", run).await?;
        scene.await_says(Kind::Producer, "second", sent, 90).await?;
        let consumer = json!({
            "topicRef": {"name": "topic"}, "groupId": scene.topic("group"), "replicas": 1,
        });
        scene.apply(Kind::Consumer, "reader", consumer).await?;
        let all = |object: &DynamicObject| object.number("/status/received") == Some(RUN);
        scene
            .await_object(Kind::Consumer, "reader", "with all of the second run", 90, all)
            .await?;
        let reader = scene
            .await_says(Kind::Consumer, "reader", ("Verified", "True", "Pass"), 45)
            .await?;
        let figures = ["purged", "expired", "lost"].map(|name| reader.number(&format!("/status/{name}")));
        ensure!(
            figures == [Some(RUN), Some(0), Some(0)],
            "{}",
            reader.data["status"]
        );
        // One that stops by itself does not wait for a run of which nothing is left.
        let once = json!({
            "topicRef": {"name": "topic"}, "groupId": scene.topic("once"), "replicas": 1,
            "stopAfter": {"complete": true, "deadline": "2m"},
        });
        scene.apply(Kind::Consumer, "once", once).await?;
        let over = |object: &DynamicObject| {
            object.says("Ready", "True", "Completed") && object.says("Verified", "True", "Pass")
        };
        scene
            .await_object(Kind::Consumer, "once", "at its end", 90, over)
            .await?;
        scene.broker.clear(&scene.prefix).await
    })
    .await
}
