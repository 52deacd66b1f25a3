//! At rest means at rest: ten minutes with a thousand topics. Run by `cargo xtask test --soak`, while nothing else runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use kube::api::ListParams;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::wait::{throughout, until};
use ottla_e2e::written::{ensure_nothing_moves, written};
use ottla_e2e::{Scene, fixtures, metrics, operator, scene};

/// Topics at rest.
const TOPICS: usize = 1_000;
/// How long they rest.
const REST: Duration = Duration::from_secs(600);
/// Applies under way at once.
const CLIENTS: usize = 16;
/// The operator's own writes to Kafka, by the operation its metrics name.
const MUTATIONS: [&str; 4] = [
    "create_topics",
    "alter_configs",
    "create_partitions",
    "delete_topics",
];

async fn thousand(scene: &Scene) -> Result<()> {
    scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
    let applied = stream::iter(0..TOPICS).map(async |number| {
        let name = format!("t{number:04}");
        let spec = fixtures::topic(&scene.topic(&name), 1);
        scene.apply(Kind::Topic, &name, spec).await
    });
    applied.buffer_unordered(CLIENTS).try_collect::<Vec<_>>().await?;
    until("all topics to be Ready", Duration::from_secs(180), async || {
        let found = scene.api(Kind::Topic).list(&ListParams::default()).await?.items;
        let ready = found
            .iter()
            .filter(|topic| topic.says("Ready", "True", ""))
            .count();
        ensure!(ready == TOPICS, "{ready} of {TOPICS}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "takes more than ten minutes: cargo xtask test --soak"]
async fn a_thousand_topics_at_rest_are_written_by_nobody_for_ten_minutes() -> Result<()> {
    scene("soak", async |scene| {
        ensure_nothing_moves(&scene.live).await?;
        thousand(scene).await?;
        let life = operator::pod(&scene.live).await?;
        let mutations = async || -> Result<f64> {
            let text = operator::metrics(&scene.live).await?;
            let of = |name: &&str| {
                metrics::sum(
                    &text,
                    "ottla_admin_calls_total",
                    &[&format!("operation=\"{name}\"")],
                )
            };
            Ok(MUTATIONS.iter().map(of).sum())
        };
        let (before, mutated) = (written(&scene.live, &scene.broker).await?, mutations().await?);
        ensure!(
            mutated > 0.0,
            "the operator's metrics count no change: this test looks at the wrong thing"
        );
        throughout("the operator's one life", REST, async || {
            let now = operator::pod(&scene.live).await?;
            ensure!(now == life, "{now:?} was {life:?}");
            Ok(())
        })
        .await?;
        let (after, changed) = (written(&scene.live, &scene.broker).await?, mutations().await?);
        ensure!(
            before == after,
            "written at rest; before: {before:?}\nafter: {after:?}"
        );
        ensure!(
            (changed - mutated).abs() < f64::EPSILON,
            "{} changes were sent to Kafka at rest",
            changed - mutated
        );
        scene.broker.clear(&scene.prefix).await
    })
    .await
}
