//! An operator as a process of its own, with a Kubernetes API of its own, on the throw-away Kafka.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use ottla_e2e::live::Live;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::plane::{Caller, Plane};
use ottla_e2e::process::{Process, Recipe};
use ottla_e2e::spare::{self, Spare};
use ottla_e2e::{Scene, fixtures};
use serde_json::json;

/// What a topic says that is as declared.
pub(crate) const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
/// Within this a topic is Ready after a fault has ended.
pub(crate) const HEALED: u64 = 60;

/// Starts an operator on one scene.
pub(crate) async fn start(plane: &Plane, scene: &Scene, url: &str) -> Result<Process> {
    Process::start(recipe(plane, scene, url)?).await
}

/// The same, with something that happens at one point.
pub(crate) async fn start_doomed(
    plane: &Plane,
    scene: &Scene,
    url: &str,
    failpoint: &str,
) -> Result<Process> {
    Process::start(Recipe {
        failpoint: Some(failpoint.to_owned()),
        ..recipe(plane, scene, url)?
    })
    .await
}

fn recipe(plane: &Plane, scene: &Scene, url: &str) -> Result<Recipe> {
    Ok(Recipe {
        kubeconfig: plane.kubeconfig(Caller::Operator, url)?,
        namespaces: vec![scene.namespace.clone()],
        log: plane.file(&format!("{}.log", scene.namespace)),
        trace: Some(plane.file(&format!("{}.trace", scene.namespace))),
        ..Recipe::default()
    })
}

/// A scene with an operator, and one topic of one partition that is Ready.
pub(crate) async fn stage(plane: &Plane, spare: &Spare, name: &str, url: &str) -> Result<(Scene, Process)> {
    let scene = Scene::apart(plane, spare, name).await?;
    scene
        .apply(Kind::Cluster, "kafka", fixtures::cluster_at(spare::ADDRESS))
        .await?;
    grow(&scene, "steady", 1).await?;
    let operator = start(plane, &scene, url).await?;
    let ready = scene.await_says(Kind::Topic, "steady", READY, HEALED).await;
    ready.with_context(|| operator.last_words())?;
    Ok((scene, operator))
}

/// Applies a topic of that many partitions that goes with its object.
pub(crate) async fn grow(scene: &Scene, name: &str, partitions: u32) -> Result<()> {
    let mut spec = fixtures::topic(&scene.topic(name), partitions);
    spec["deletionPolicy"] = json!("Delete");
    scene.apply(Kind::Topic, name, spec).await.map(drop)
}

/// Has a topic grow, and awaits that it did.
pub(crate) async fn grows(scene: &Scene, operator: &Process, partitions: u32, after: &str) -> Result<()> {
    grow(scene, "steady", partitions).await?;
    let ready = scene.await_says(Kind::Topic, "steady", READY, HEALED).await;
    let topic = ready.with_context(|| format!("after {after}; {}", operator.last_words()))?;
    ensure!(
        topic.number("/status/partitions") == Some(partitions.into()),
        "after {after}: {}",
        topic.data["status"]
    );
    Ok(())
}

/// The topics of a scene as Kafka has them: name, id and partitions.
pub(crate) async fn in_kafka(scene: &Scene) -> Result<BTreeSet<(String, String, u32)>> {
    let found = scene.broker.describe(&scene.prefix).await?;
    let topics = found
        .into_iter()
        .map(|(name, topic)| (name, topic.id, topic.partitions));
    Ok(topics.collect())
}

/// What tests here start from; none where there is no cluster.
pub(crate) async fn rig(test: &str) -> Result<Option<(Live, Plane, Spare)>> {
    let Some(live) = Live::connect(test).await? else {
        return Ok(None);
    };
    let Some(plane) = Plane::start(test).await? else {
        return Ok(None);
    };
    let spare = Spare::find(&live).await?;
    Ok(Some((live, plane, spare)))
}
