//! A broker that is gone for a minute: the operator stays alive, says so, harms nothing else and recovers by itself.
//! It is a throw-away broker of its own that goes.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::api::{Api, DynamicObject};
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::wait::throughout;
use ottla_e2e::{Scene, fixtures, operator, scene, spare};
use tokio::time::Instant;

/// How long the broker is gone.
const OUTAGE: Duration = Duration::from_secs(60);
/// Within this a Kafka that is back is seen to be.
const NOTICED: Duration = Duration::from_secs(40);
const READY: (&str, &str, &str) = ("Ready", "True", "");

async fn scale(scene: &Scene, namespace: &str, replicas: u8) -> Result<()> {
    let count = format!("--replicas={replicas}");
    scene
        .live
        .kubectl(&[
            "-n",
            namespace,
            "scale",
            "statefulset",
            "kafka-controller",
            &count,
        ])
        .await
        .map(drop)
}

async fn story(scene: &Scene, namespace: &str) -> Result<()> {
    let life = operator::pod(&scene.live).await?;
    scale(scene, namespace, 0).await?;
    scene
        .await_says(Kind::Cluster, "spare", ("Ready", "False", ""), 90)
        .await?;
    let demo: Api<DynamicObject> =
        Api::namespaced_with(scene.live.client.clone(), "kafka", &Kind::Cluster.resource());
    let mut away = None;
    throughout("life without that broker", OUTAGE, async || {
        let now = operator::pod(&scene.live).await?;
        ensure!(now == life, "{now:?} was {life:?}");
        let other = demo.get("kafka").await?;
        if !other.says("Ready", "True", "") {
            // The node's network may fail for everybody: what this machine cannot reach either is no fault of the operator's.
            if !scene.broker.answers().await? {
                away = Some(Instant::now());
            }
            ensure!(
                away.is_some_and(|at: Instant| at.elapsed() < NOTICED),
                "the other cluster suffers: {}",
                other.data["status"]
            );
            eprintln!("the other Kafka is out of reach for everybody");
        }
        Ok(())
    })
    .await?;
    // Other objects are still served.
    scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
    scene.await_says(Kind::Cluster, "kafka", READY, 30).await?;
    scale(scene, namespace, 1).await?;
    scene.await_says(Kind::Cluster, "spare", READY, 180).await?;
    ensure!(
        operator::pod(&scene.live).await? == life,
        "the operator restarted"
    );
    Ok(())
}

#[tokio::test]
async fn the_operator_outlives_a_broker_and_recovers() -> Result<()> {
    scene("outage", async |scene| {
        let namespace = spare::connect_lone(scene, "spare").await?;
        let told = story(scene, &namespace).await;
        scale(scene, &namespace, 1).await?;
        told
    })
    .await
}
