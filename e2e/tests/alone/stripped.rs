//! Objects older than a rule: where the schema has no rules, what admission would have refused is answered by a condition. On
//! a Kubernetes API of its own, for it changes the schema under everybody.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::plane::Plane;
use ottla_e2e::wait::until;
use ottla_e2e::{Scene, fixtures, spare};
use serde_json::{Value, json};

use crate::own;

const SOON: u64 = 60;

async fn told(scene: &Scene, name: &str, reason: &str, words: &str) -> Result<()> {
    let topic = scene
        .await_says(Kind::Topic, name, ("Ready", "False", reason), SOON)
        .await?;
    let message = topic.condition("Ready").context("condition Ready")?.message;
    ensure!(
        message.contains(words),
        "the message does not say {words:?}: {message}"
    );
    Ok(())
}

/// Takes out of a schema what admission checks; defaults and types stay.
fn strip(schema: &mut Value) {
    const RULES: [&str; 8] = [
        "x-kubernetes-validations",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
        "minItems",
        "maxItems",
    ];
    match schema {
        Value::Object(fields) => {
            // A property of ours may be called like a rule; then it is a schema, not a rule.
            fields.retain(|name, value| !RULES.contains(&name.as_str()) || (value.is_object()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

async fn without_rules(scene: &Scene) -> Result<()> {
    scene
        .apply(Kind::Cluster, "kafka", fixtures::cluster_at(spare::ADDRESS))
        .await?;
    scene
        .await_says(Kind::Cluster, "kafka", ("Ready", "True", ""), SOON)
        .await?;
    let long = fixtures::topic(&"a".repeat(250), 1);
    // A stripped schema is served a moment after it was written.
    until(
        "the API server to forget the rules",
        Duration::from_secs(20),
        async || scene.apply(Kind::Topic, "long-name", long.clone()).await,
    )
    .await?;
    told(scene, "long-name", "InvalidTopicName", "249").await?;
    scene
        .apply(
            Kind::Topic,
            "no-partitions",
            fixtures::topic(&scene.topic("p"), 0),
        )
        .await?;
    told(scene, "no-partitions", "InvalidSpec", "partitions").await?;
    scene
        .apply(Kind::Topic, "internal", fixtures::topic("__consumer_offsets", 1))
        .await?;
    told(scene, "internal", "InvalidTopicName", "two underscores").await
}

async fn strip_topics(plane: &Plane) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(plane.client.clone());
    let name = "kafkatopics.ottla.dev";
    let mut stripped = json!({"spec": {"versions": definitions.get(name).await?.spec.versions}});
    strip(&mut stripped);
    definitions
        .patch(name, &PatchParams::default(), &Patch::Merge(stripped))
        .await
        .context("strip the rules")
        .map(drop)
}

#[tokio::test]
async fn without_the_schemas_rules_a_condition_answers() -> Result<()> {
    let Some((_live, plane, spare)) = own::rig("without_the_schemas_rules_a_condition_answers").await? else {
        return Ok(());
    };
    let _shared = spare::shared().await;
    strip_topics(&plane).await?;
    let scene = Scene::apart(&plane, &spare, "stripped").await?;
    let operator = own::start(&plane, &scene, &plane.url()).await?;
    let outcome = without_rules(&scene).await;
    outcome.with_context(|| operator.last_words())
}
