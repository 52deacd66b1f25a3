//! What a KafkaCluster says when Kafka cannot be reached: each cause its own reason, soon, and recovery by itself.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::{fixtures, operator, scene};
use serde_json::json;

/// Within this a cause must be told.
const SOON: u64 = 30;
/// Within this a repaired cluster must be Ready again.
const RECOVERY: u64 = 60;

fn reason(cluster: &DynamicObject) -> Result<String> {
    Ok(cluster.condition("Ready").context("condition Ready")?.reason)
}

#[tokio::test]
async fn each_cause_has_its_own_reason_and_recovers_without_a_restart() -> Result<()> {
    scene("causes", async |scene| {
        let operator = operator::pod(&scene.live).await?;
        let bad = ("Ready", "False", "");

        scene
            .apply(
                Kind::Cluster,
                "bootstrap",
                fixtures::cluster_at("nowhere.kafka.svc.cluster.local:9092"),
            )
            .await?;
        let mut password = fixtures::cluster();
        password["sasl"]["passwordFrom"]["name"] = json!("wrong-password");
        scene
            .secret("wrong-password", &[("password", "not-the-password")])
            .await?;
        scene.apply(Kind::Cluster, "password", password).await?;
        // The listener for the host advertises 127.0.0.1, which from a pod is the pod itself.
        let external = fixtures::cluster_at("kafka-controller-0-external.kafka.svc.cluster.local:9094");
        scene.apply(Kind::Cluster, "listener", external).await?;

        let bootstrap = scene.await_says(Kind::Cluster, "bootstrap", bad, SOON).await?;
        ensure!(
            bootstrap
                .condition("Reachable")
                .is_some_and(|one| one.status == "False"),
            "{}",
            bootstrap.data["status"]
        );
        let password = scene.await_says(Kind::Cluster, "password", bad, SOON).await?;
        ensure!(
            password
                .condition("Authenticated")
                .is_some_and(|one| one.status == "False"),
            "{}",
            password.data["status"]
        );
        let listener = scene
            .await_says(
                Kind::Cluster,
                "listener",
                ("Ready", "False", "ListenersUnreachable"),
                SOON,
            )
            .await?;
        let broker = listener.at("/status/brokers/0");
        ensure!(
            broker["result"] == "SelfAddress" && broker["advertised"] == "127.0.0.1:30094",
            "{broker}"
        );
        let told = listener
            .condition("ListenersReachable")
            .context("condition ListenersReachable")?;
        ensure!(
            told.status == "False" && told.message.contains("127.0.0.1:30094"),
            "{told:?}"
        );

        let reasons = [reason(&bootstrap)?, reason(&password)?, reason(&listener)?];
        ensure!(
            reasons.iter().collect::<BTreeSet<_>>().len() == 3,
            "not distinct: {reasons:?}"
        );

        // A topic on a cluster that cannot be used holds; nothing falls back to the bootstrap connection.
        let mut topic = fixtures::topic(&scene.topic("held"), 1);
        topic["clusterRef"]["name"] = json!("listener");
        scene.apply(Kind::Topic, "held", topic).await?;
        scene
            .await_says(Kind::Topic, "held", ("Ready", "False", "ClusterNotReady"), SOON)
            .await?;

        scene
            .apply(Kind::Cluster, "bootstrap", fixtures::cluster())
            .await?;
        scene
            .secret("wrong-password", &[("password", &scene.password)])
            .await?;
        scene
            .apply(Kind::Cluster, "listener", fixtures::cluster())
            .await?;
        for name in ["bootstrap", "password", "listener"] {
            scene
                .await_says(Kind::Cluster, name, ("Ready", "True", ""), RECOVERY)
                .await?;
        }
        scene
            .await_says(Kind::Topic, "held", ("Ready", "True", ""), RECOVERY)
            .await?;
        ensure!(
            operator::pod(&scene.live).await? == operator,
            "the operator's pod restarted or was replaced"
        );
        scene.broker.delete(&scene.topic("held")).await
    })
    .await
}
