//! Topics that were there before: exported, previewed and taken over without a change in Kafka.

use anyhow::{Context, Result, ensure};
use ottla_e2e::cli::{Ended, operator};
use ottla_e2e::object::Kind;
use ottla_e2e::{Scene, fixtures, scene};

const READY: (&str, &str, &str) = ("Ready", "True", "");

/// Runs a command of the operator's binary against the scene's cluster, from outside of Kubernetes.
async fn run(scene: &Scene, command: &[&str], input: &str) -> Result<Ended> {
    let bootstrap = std::env::var("OTTLA_TEST_BOOTSTRAP").context("OTTLA_TEST_BOOTSTRAP")?;
    let place = ["--namespace", &scene.namespace, "--bootstrap-servers", &bootstrap];
    operator(&[command, &place].concat(), input).await
}

#[tokio::test]
async fn exported_topics_are_taken_over_and_nothing_changes() -> Result<()> {
    scene("export", async |scene| {
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        scene.await_says(Kind::Cluster, "kafka", READY, 30).await?;
        let broker = &scene.broker;
        broker.create(&scene.topic("plain"), 1, &[]).await?;
        let config = [
            ("retention.ms", "1000000"),
            ("cleanup.policy", "compact,delete"),
            ("compression.type", "lz4"),
        ];
        broker.create(&scene.topic("Odd_Name"), 3, &config).await?;
        let before = broker.describe(&scene.prefix).await?;
        ensure!(before.len() == 2, "{before:?}");

        let pattern = format!("{}*", scene.prefix);
        let exported = run(scene, &["export", "--cluster", "kafka", "--match", &pattern], "").await?;
        ensure!(exported.code == 0, "{exported:?}");
        ensure!(
            exported.output.matches("kind: KafkaTopic").count() == 2,
            "{exported:?}"
        );
        let planned = run(scene, &["plan", "-f", "-"], &exported.output).await?;
        ensure!(
            planned.code == 0 && planned.output.contains("taken over"),
            "{planned:?}"
        );
        let bigger = exported.output.replace("partitions: 3", "partitions: 4");
        let planned = run(scene, &["plan", "-f", "-"], &bigger).await?;
        ensure!(
            planned.code == 2 && planned.output.contains("AdoptionRequired"),
            "{planned:?}"
        );

        scene
            .live
            .kubectl_with(&["apply", "-f", "-"], &exported.output)
            .await?;
        let names = scene
            .kubectl(&["get", "kafkatopics", "-o", "jsonpath={.items[*].metadata.name}"])
            .await?;
        ensure!(names.split(' ').count() == 2, "{names}");
        for name in names.split(' ') {
            scene.await_says(Kind::Topic, name, READY, 30).await?;
        }
        let planned = run(scene, &["plan", "-f", "-", "-o", "json"], &exported.output).await?;
        ensure!(
            planned.code == 0 && planned.output.matches("\"Nothing\"").count() == 2,
            "{planned:?}"
        );
        ensure!(
            broker.describe(&scene.prefix).await? == before,
            "a topic was changed"
        );
        broker.clear(&scene.prefix).await
    })
    .await
}

#[tokio::test]
async fn a_faulty_manifest_and_a_missing_cluster_are_errors_with_their_place() -> Result<()> {
    scene("plan-errors", async |scene| {
        let text = "---\napiVersion: ottla.dev/v1alpha1\nkind: KafkaTopic\nmetadata: {name: a}\nspec: {clusterRef: {name: kafka}, partitons: 1}\n\
                    ---\napiVersion: ottla.dev/v1alpha1\nkind: KafkaTopic\nmetadata: {name: b}\nspec: {clusterRef: {name: absent}}\n";
        let planned = run(scene, &["plan", "-f", "-"], text).await?;
        ensure!(planned.code == 1, "{planned:?}");
        for words in ["standard input, document 1", "spec.partitons", "absent does not exist"] {
            ensure!(planned.output.contains(words), "{words} is missing: {planned:?}");
        }
        Ok(())
    })
    .await
}
