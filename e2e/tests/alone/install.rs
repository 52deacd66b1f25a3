//! The chart's life with a throw-away release: install, upgrade, uninstall. The shared operator is scaled away for as
//! long, or it would help where the throw-away one must not need help.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams};
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::scene::namespace;
use ottla_e2e::wait::until;
use ottla_e2e::{Scene, fixtures, operator, scene};
use serde_json::json;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/ottla");
const RELEASE: &str = "throwaway";
const READY: (&str, &str, &str) = ("Ready", "True", "");

/// `repository` and `tag` of the images that the shared operator uses.
async fn images(scene: &Scene) -> Result<Vec<String>> {
    let text = scene
        .live
        .helm(&[
            "get",
            "values",
            "ottla",
            "--namespace",
            operator::NAMESPACE,
            "--output",
            "json",
        ])
        .await?;
    let values: serde_json::Value = serde_json::from_str(&text)?;
    let mut settings = Vec::new();
    for image in ["image", "workloadImage"] {
        for field in ["repository", "tag"] {
            let value = values[image][field]
                .as_str()
                .with_context(|| format!("value {image}.{field}"))?;
            settings.push(format!("{image}.{field}={value}"));
        }
    }
    Ok(settings)
}

/// Installs or upgrades the throw-away release, which watches the scene's namespace only.
async fn release(scene: &Scene, system: &str, level: &str) -> Result<()> {
    let mut settings = images(scene).await?;
    settings.extend([
        format!("rbac.namespaces={{{}}}", scene.namespace),
        format!("logging.level={level}"),
    ]);
    settings.extend(["crds.enabled=false".to_owned()]);
    let mut arguments = vec![
        "upgrade",
        "--install",
        RELEASE,
        CHART,
        "--namespace",
        system,
        "--wait",
        "--timeout",
        "120s",
    ];
    for setting in &settings {
        arguments.extend(["--set", setting]);
    }
    scene.live.helm(&arguments).await.map(drop)
}

async fn story(scene: &Scene, system: &str) -> Result<()> {
    release(scene, system, "info").await?;
    scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
    let mut spec = fixtures::topic(&scene.topic("kept"), 1);
    spec["deletionPolicy"] = json!("Delete");
    scene.apply(Kind::Topic, "kept", spec).await?;
    let installed = scene.await_says(Kind::Topic, "kept", READY, 60).await?;

    release(scene, system, "debug").await?;
    let upgraded = scene.await_says(Kind::Topic, "kept", READY, 60).await?;
    ensure!(
        upgraded.text("/status/topicId") == installed.text("/status/topicId"),
        "the upgrade made another topic"
    );

    scene
        .live
        .helm(&[
            "uninstall",
            RELEASE,
            "--namespace",
            system,
            "--wait",
            "--timeout",
            "200s",
        ])
        .await?;
    let pods: Api<Pod> = Api::namespaced(scene.live.client.clone(), system);
    let selector = format!("app.kubernetes.io/instance={RELEASE}");
    until(
        "the release's pods to be gone",
        Duration::from_secs(60),
        async || {
            let left = pods
                .list(&ListParams::default().labels(&selector))
                .await?
                .items
                .len();
            ensure!(left == 0, "{left} left");
            Ok(())
        },
    )
    .await?;
    scene
        .live
        .kubectl(&["get", "crd", "kafkatopics.ottla.dev"])
        .await?;
    let kept = scene.get(Kind::Topic, "kept").await?;
    ensure!(
        kept.metadata.finalizers.unwrap_or_default().is_empty(),
        "a finalizer is left"
    );
    let live = scene
        .broker
        .topic(&scene.topic("kept"))
        .await?
        .context("Kafka keeps the topic")?;
    ensure!(live.id == installed.text("/status/topicId"), "{live:?}");

    // The worst order: first the credentials, then everything. No operator is there to help.
    let secrets: Api<Secret> = Api::namespaced(scene.live.client.clone(), &scene.namespace);
    secrets
        .delete("kafka-credentials", &DeleteParams::default())
        .await?;
    let namespaces: Api<Namespace> = Api::all(scene.live.client.clone());
    namespaces
        .delete(&scene.namespace, &DeleteParams::default())
        .await?;
    until("the namespace to be gone", Duration::from_secs(90), async || {
        ensure!(
            namespaces.get_opt(&scene.namespace).await?.is_none(),
            "{} is still there",
            scene.namespace
        );
        Ok(())
    })
    .await?;
    ensure!(
        scene.broker.topic(&scene.topic("kept")).await?.is_some(),
        "the topic went with the namespace"
    );
    scene.broker.delete(&scene.topic("kept")).await?;
    namespaces.delete(system, &DeleteParams::default()).await?;
    Ok(())
}

#[tokio::test]
async fn install_upgrade_and_uninstall_wedge_nothing() -> Result<()> {
    let _alone = operator::alone().await;
    scene("install", async |scene| {
        let system = namespace(&scene.live, "system").await?;
        let replicas = operator::replicas(&scene.live).await?;
        operator::scale(&scene.live, 0).await?;
        let told = story(scene, &system).await;
        operator::scale(&scene.live, replicas).await?;
        told
    })
    .await
}
