//! A namespace ends when it is deleted, whatever runs in it and whatever goes first.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::wait::until;
use ottla_e2e::{Scene, fixtures, node, scene};
use serde_json::{Value, json};

/// Pods that obey SIGTERM are gone within their grace period; the namespace controller then looks again.
const END: Duration = Duration::from_secs(120);

/// A producer whose share takes longer than any test.
fn bounded() -> Value {
    json!({
        "topicRef": {"name": "topic"}, "replicas": 2, "stopAfter": {"records": 1_000_000},
        "load": {"recordsPerSecond": 100},
        "records": {"valueBytes": 64, "keys": {"type": "Sequential", "cardinality": 10}},
    })
}

fn endless() -> Value {
    let mut spec = bounded();
    let removed = spec.as_object_mut().and_then(|spec| spec.remove("stopAfter"));
    debug_assert!(removed.is_some());
    spec
}

fn consumer(scene: &Scene) -> Value {
    json!({
        "topicRef": {"name": "topic"}, "groupId": scene.topic("group"), "replicas": 1,
        "stopAfter": {"complete": true, "deadline": "10m"},
    })
}

async fn deleted(scene: &Scene) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(scene.live.client.clone());
    namespaces
        .delete(&scene.namespace, &DeleteParams::default())
        .await?;
    until("the namespace to be gone", END, async || {
        let Some(left) = namespaces.get_opt(&scene.namespace).await? else {
            return Ok(());
        };
        bail!("{} is still there: {:?}", scene.namespace, left.status)
    })
    .await
}

#[tokio::test]
async fn a_namespace_deleted_during_runs_ends() -> Result<()> {
    scene("deleted-running", async |scene| {
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        let mut topic = fixtures::topic(&scene.topic("records"), 3);
        topic["deletionPolicy"] = json!("Delete");
        scene.apply(Kind::Topic, "topic", topic).await?;
        scene.apply(Kind::Producer, "bounded", bounded()).await?;
        scene.apply(Kind::Producer, "endless", endless()).await?;
        scene.apply(Kind::Consumer, "consumer", consumer(scene)).await?;
        let sending = |object: &DynamicObject| object.number("/status/sent").is_some_and(|sent| sent > 0);
        for name in ["bounded", "endless"] {
            scene
                .await_object(Kind::Producer, name, "sending", 90, sending)
                .await?;
        }
        // The worst order: what the pods and the operator authenticate with goes first.
        let secrets: Api<Secret> = Api::namespaced(scene.live.client.clone(), &scene.namespace);
        secrets
            .delete("kafka-credentials", &DeleteParams::default())
            .await?;
        deleted(scene).await?;
        scene.broker.clear(&scene.prefix).await
    })
    .await
}

#[tokio::test]
async fn a_namespace_deleted_while_a_failed_pod_waits_for_its_replacement_ends() -> Result<()> {
    scene("deleted-failed", async |scene| {
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        scene
            .apply(Kind::Topic, "topic", fixtures::topic(&scene.topic("records"), 1))
            .await?;
        scene.apply(Kind::Producer, "bounded", bounded()).await?;
        let sending = |object: &DynamicObject| object.number("/status/sent").is_some_and(|sent| sent > 0);
        scene
            .await_object(Kind::Producer, "bounded", "sending", 90, sending)
            .await?;
        node::kill_process(scene, "ottla.dev/kind=producer,ottla.dev/name=bounded").await?;
        let pods: Api<Pod> = Api::namespaced(scene.live.client.clone(), &scene.namespace);
        until(
            "the killed pod to count as failed",
            Duration::from_secs(30),
            async || {
                let listed = pods.list(&ListParams::default()).await?;
                let phases: Vec<_> = listed
                    .items
                    .into_iter()
                    .filter_map(|pod| pod.status.and_then(|status| status.phase))
                    .collect();
                ensure!(phases.iter().any(|phase| phase == "Failed"), "{phases:?}");
                Ok(())
            },
        )
        .await?;
        deleted(scene).await?;
        scene.broker.clear(&scene.prefix).await
    })
    .await
}
