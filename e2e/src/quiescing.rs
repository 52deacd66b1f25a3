//! A purge that wants the producers away: one that goes on for ever, and one with a share to send.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use crate::object::{Kind, Look};
use crate::wait::until;
use crate::{Scene, fixtures};

/// Records that the bounded producer has to send: twenty seconds' work, so that it is not done before it is sent away.
const SHARE: i64 = 6_000;
/// Records a second of each producer.
const RATE: i64 = 300;
const PRODUCERS: [&str; 2] = ["endless", "bounded"];
const READY: (&str, &str, &str) = ("Ready", "True", "");

fn producer(stop_after: Option<i64>) -> Value {
    let mut spec = json!({
        "topicRef": {"name": "orders"}, "replicas": 1, "load": {"recordsPerSecond": RATE},
        "records": {"valueBytes": 100, "keys": {"type": "Sequential", "cardinality": 60}},
    });
    if let Some(records) = stop_after {
        spec["stopAfter"] = json!({"records": records});
    }
    spec
}

/// The uids of the producers' pods that have not ended.
async fn pods(scene: &Scene) -> Result<BTreeSet<String>> {
    let pods: Api<Pod> = Api::namespaced(scene.live.client.clone(), &scene.namespace);
    let producers = ListParams::default().labels("ottla.dev/kind=producer");
    let found = pods.list(&producers).await?.items;
    let alive = found.iter().filter(|pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        !matches!(phase, Some("Succeeded" | "Failed"))
    });
    Ok(alive.filter_map(ResourceExt::uid).collect())
}

async fn sending(scene: &Scene) -> Result<()> {
    for name in PRODUCERS {
        let sending =
            |object: &kube::api::DynamicObject| object.number("/status/sent").is_some_and(|sent| sent > 0);
        scene
            .await_object(Kind::Producer, name, "sending", 90, sending)
            .await?;
    }
    Ok(())
}

/// Sends producers away for a purge that a consumer group holds up, does something meanwhile, and sees them back.
pub async fn story(scene: &Scene, meanwhile: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let topic = scene.topic("orders");
    scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
    scene
        .apply(Kind::Topic, "orders", fixtures::topic(&topic, 2))
        .await?;
    scene.await_says(Kind::Topic, "orders", READY, 45).await?;
    // A group that has read nothing will hold the purge up, with the producers away for as long.
    let group = scene.topic("late-group");
    scene.broker.rewind(&group, &topic).await?;
    scene.apply(Kind::Producer, PRODUCERS[0], producer(None)).await?;
    scene
        .apply(Kind::Producer, PRODUCERS[1], producer(Some(SHARE)))
        .await?;
    sending(scene).await?;
    let before = pods(scene).await?;
    ensure!(before.len() == 2, "one pod each: {before:?}");
    let purge = json!({"topicRef": {"name": "orders"}, "cut": {"type": "All"}, "quiesceProducers": true});
    scene.apply(Kind::Purge, "quiet", purge).await?;
    let held = ("Ready", "False", "WaitingForConsumers");
    let planned = scene.await_says(Kind::Purge, "quiet", held, 90).await?;
    ensure!(pods(scene).await?.is_empty(), "planned while pods were there");
    let bounded = scene.get(Kind::Producer, PRODUCERS[1]).await?;
    ensure!(
        !bounded.says("Ready", "True", "Completed"),
        "the share was sent before the purge, which shows nothing"
    );
    meanwhile().await?;
    ensure!(pods(scene).await?.is_empty(), "pods came back too early");
    let ends = scene.broker.end_offsets(&topic).await?;
    let cuts = fixtures::cuts(&planned);
    ensure!(cuts == ends, "planned {cuts:?}, and the log ends at {ends:?}");
    scene.broker.catch_up(&group, &topic).await?;
    let done = ("Complete", "True", "Complete");
    scene.await_says(Kind::Purge, "quiet", done, 60).await?;
    let starts = scene.broker.start_offsets(&topic).await?;
    ensure!(starts == cuts, "begins at {starts:?}, planned {cuts:?}");
    // Back by themselves, as other pods; the share is sent to its end.
    scene
        .await_says(Kind::Producer, PRODUCERS[1], ("Ready", "True", "Completed"), 120)
        .await?;
    scene
        .await_says(Kind::Producer, PRODUCERS[0], ("Ready", "True", "Running"), 60)
        .await?;
    until(
        "another pod of the endless producer",
        Duration::from_secs(60),
        async || {
            let now = pods(scene).await?;
            ensure!(
                now.len() == 1 && now.is_disjoint(&before),
                "{now:?}, before {before:?}"
            );
            Ok(())
        },
    )
    .await?;
    let grown = scene.broker.end_offsets(&topic).await?;
    let more: i64 = grown.iter().map(|(partition, end)| end - ends[partition]).sum();
    ensure!(more >= SHARE, "{more} records since, {SHARE} of them one share");
    scene.broker.clear(&scene.prefix).await
}
