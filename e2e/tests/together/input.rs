//! Bad objects: refused at admission where the schema can tell, answered by a condition where only the live world can
//! (`stripped.rs` has the objects that are older than a rule).

use anyhow::{Context, Result, bail, ensure};
use kube::api::DynamicObject;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::{Scene, fixtures, scene};
use serde_json::{Value, json};

const SOON: u64 = 30;

/// Applies what must be refused, and answers what the API server said.
async fn refused(scene: &Scene, kind: Kind, spec: Value) -> Result<String> {
    match scene.apply(kind, "bad", spec.clone()).await {
        Ok(_) => bail!("accepted: {spec}"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

/// Applies what is admitted, and awaits that it is not Ready for that reason and says why in these words.
async fn answered(
    scene: &Scene,
    (kind, name): (Kind, &str),
    spec: Value,
    reason: &str,
    words: &str,
) -> Result<()> {
    scene.apply(kind, name, spec).await?;
    told(scene, (kind, name), reason, words).await
}

async fn told(scene: &Scene, (kind, name): (Kind, &str), reason: &str, words: &str) -> Result<()> {
    let object: DynamicObject = scene
        .await_says(kind, name, ("Ready", "False", reason), SOON)
        .await?;
    let message = object.condition("Ready").context("condition Ready")?.message;
    ensure!(
        message.contains(words),
        "the message does not say {words:?}: {message}"
    );
    Ok(())
}

#[tokio::test]
async fn what_the_schema_can_tell_is_refused_at_admission() -> Result<()> {
    scene("admission", async |scene| {
        let long = "a".repeat(250);
        let told = refused(scene, Kind::Topic, fixtures::topic(&long, 1)).await?;
        ensure!(told.contains("topicName"), "{told}");
        let told = refused(scene, Kind::Topic, fixtures::topic("t", 0)).await?;
        ensure!(told.contains("partitions"), "{told}");
        let told = refused(scene, Kind::Topic, fixtures::topic("__consumer_offsets", 1)).await?;
        ensure!(told.contains("topicName"), "{told}");
        let mut typo = fixtures::topic("t", 1);
        typo["partitons"] = json!(3);
        let told = refused(scene, Kind::Topic, typo).await?;
        ensure!(told.contains("partitons"), "{told}");
        let told = refused(scene, Kind::Cluster, fixtures::cluster_at("http://kafka:9092")).await?;
        ensure!(told.contains("bootstrapServers"), "{told}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn objects_of_megabytes_are_refused_and_the_largest_that_is_not_is_read() -> Result<()> {
    scene("megabytes", async |scene| {
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        for kib in [1_400, 3_200] {
            let mut spec = fixtures::topic(&scene.topic("large"), 1);
            let value = "x".repeat(kib * 1024 / 64);
            spec["config"] = (0..64).map(|key| (format!("key-{key}"), json!(value))).collect();
            let told = refused(scene, Kind::Topic, spec).await?;
            // By its size as a whole, or by the bound of a field.
            let (whole, field) = (told.contains("too large"), told.contains("spec.config"));
            ensure!(whole || field, "{kib} KiB: {}", &told[..told.len().min(500)]);
        }
        // Kubernetes takes annotations of 256 KiB together.
        let spec = fixtures::topic(&scene.topic("large"), 1);
        scene.apply(Kind::Topic, "large", spec).await?;
        let note = json!({"metadata": {"annotations": {"e2e/note": "x".repeat(255 * 1024)}}});
        scene.merge(Kind::Topic, "large", note).await?;
        let grown = json!({"spec": {"partitions": 2}});
        scene.merge(Kind::Topic, "large", grown).await?;
        scene
            .await_says(Kind::Topic, "large", ("Ready", "True", ""), SOON)
            .await
            .map(drop)
    })
    .await
}

#[tokio::test]
async fn what_only_kafka_can_tell_is_answered_by_a_condition() -> Result<()> {
    scene("config", async |scene| {
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        scene
            .await_says(Kind::Cluster, "kafka", ("Ready", "True", ""), SOON)
            .await?;
        let with = |name: &str, key: &str, value: Value| {
            let mut spec = fixtures::topic(&scene.topic(name), 1);
            spec["config"] = json!({key: value});
            spec
        };
        answered(
            scene,
            (Kind::Topic, "unknown-key"),
            with("key", "retention.sm", json!("1")),
            "InvalidConfig",
            "retention.sm",
        )
        .await?;
        answered(
            scene,
            (Kind::Topic, "bad-value"),
            with("value", "retention.ms", json!("7d")),
            "InvalidConfig",
            "retention.ms",
        )
        .await?;
        let made = scene.broker.describe(&scene.prefix).await?;
        ensure!(made.is_empty(), "made all the same: {made:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn each_bad_secret_has_its_own_answer() -> Result<()> {
    scene("secrets", async |scene| {
        let with = |secret: &str, key: &str| {
            let mut spec = fixtures::cluster();
            spec["sasl"]["passwordFrom"] = json!({"name": secret, "key": key});
            spec
        };
        let missing = with("nowhere", "password");
        answered(
            scene,
            (Kind::Cluster, "missing"),
            missing,
            "SecretNotFound",
            "nowhere",
        )
        .await?;
        let key = with("kafka-credentials", "pass-word");
        answered(
            scene,
            (Kind::Cluster, "key"),
            key,
            "SecretKeyMissing",
            "pass-word",
        )
        .await?;
        let token = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "token", "annotations": {"kubernetes.io/service-account.name": "default"}},
        });
        scene
            .live
            .kubectl_with(&["-n", &scene.namespace, "apply", "-f", "-"], &token.to_string())
            .await?;
        answered(
            scene,
            (Kind::Cluster, "token"),
            with("token", "token"),
            "SecretInvalid",
            "token",
        )
        .await?;
        // The Secret comes later: no restart, no touch of the object is needed.
        scene.secret("nowhere", &[("password", &scene.password)]).await?;
        scene
            .await_says(Kind::Cluster, "missing", ("Ready", "True", ""), 60)
            .await
            .map(drop)
    })
    .await
}
