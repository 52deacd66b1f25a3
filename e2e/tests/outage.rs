//! A broker that is gone for a minute: the operator stays alive, says so, harms nothing else and recovers by itself.
//! It is the throw-away broker that goes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject};
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::wait::throughout;
use ottla_e2e::{Scene, fixtures, operator, scene};
use serde_json::json;

/// How long the broker is gone.
const OUTAGE: Duration = Duration::from_secs(60);
const READY: (&str, &str, &str) = ("Ready", "True", "");

/// The namespace of the broker that may be broken.
fn spare() -> Result<String> {
    std::env::var("OTTLA_TEST_SPARE_KAFKA")
        .context("OTTLA_TEST_SPARE_KAFKA names the throw-away broker's namespace")
}

/// The throw-away broker's password.
async fn password(scene: &Scene, namespace: &str) -> Result<String> {
    let secrets: Api<Secret> = Api::namespaced(scene.live.client.clone(), namespace);
    let mut data = secrets
        .get("kafka-user-passwords")
        .await?
        .data
        .unwrap_or_default();
    Ok(String::from_utf8(
        data.remove("system-user-password")
            .context("key system-user-password")?
            .0,
    )?)
}

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

/// How many brokers the throw-away Kafka is to have.
async fn brokers(scene: &Scene, namespace: &str) -> Result<u8> {
    let path = "-o=jsonpath={.spec.replicas}";
    let count = scene
        .live
        .kubectl(&["-n", namespace, "get", "statefulset", "kafka-controller", path])
        .await?;
    count.trim().parse().context("the StatefulSet's replicas")
}

async fn story(scene: &Scene, namespace: &str, brokers: u8) -> Result<()> {
    let life = operator::pod(&scene.live).await?;
    scale(scene, namespace, 0).await?;
    scene
        .await_says(Kind::Cluster, "spare", ("Ready", "False", ""), 90)
        .await?;
    let demo: Api<DynamicObject> =
        Api::namespaced_with(scene.live.client.clone(), "kafka", &Kind::Cluster.resource());
    throughout("life without that broker", OUTAGE, async || {
        let now = operator::pod(&scene.live).await?;
        ensure!(now == life, "{now:?} was {life:?}");
        let other = demo.get("kafka").await?;
        ensure!(
            other.says("Ready", "True", ""),
            "the other cluster suffers: {}",
            other.data["status"]
        );
        Ok(())
    })
    .await?;
    // Other objects are still served.
    let mut spec = fixtures::cluster();
    spec["sasl"]["passwordFrom"]["name"] = json!("shared");
    scene.apply(Kind::Cluster, "kafka", spec).await?;
    scene.await_says(Kind::Cluster, "kafka", READY, 30).await?;
    scale(scene, namespace, brokers).await?;
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
        let namespace = spare()?;
        scene
            .secret(
                "kafka-credentials",
                &[("password", &password(scene, &namespace).await?)],
            )
            .await?;
        let address = format!("kafka.{namespace}.svc.cluster.local:9092");
        scene
            .apply(Kind::Cluster, "spare", fixtures::cluster_at(&address))
            .await?;
        scene.await_says(Kind::Cluster, "spare", READY, 60).await?;
        // The shared broker's credentials again, for what this scene does there.
        scene.secret("shared", &[("password", &scene.password)]).await?;
        let brokers = brokers(scene, &namespace).await?;
        let told = story(scene, &namespace, brokers).await;
        scale(scene, &namespace, brokers).await?;
        told
    })
    .await
}
