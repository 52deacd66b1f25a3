//! `RetentionFlip` on a Kafka that looks at retention every few seconds: what is newer than the cut stays, and the
//! configuration is as before, be it set or not.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use kube::api::DynamicObject;
use ottla_e2e::broker::Broker;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::{Scene, fixtures, scene, spare};
use serde_json::{Value, json};

/// Records of each age, and how many minutes old these are. The first ones are to go.
const AGES: [(u16, i64); 3] = [(50, 120), (30, 50), (20, 0)];
/// The age from which on records go.
const CUT: &str = "1h";

/// A KafkaTopic whose segments end with each age.
async fn topic(scene: &Scene, name: &str, mut spec: Value) -> Result<()> {
    spec["config"]["segment.ms"] = json!(600_000);
    scene.apply(Kind::Topic, name, spec).await?;
    scene
        .await_says(Kind::Topic, name, ("Ready", "True", ""), 45)
        .await
        .map(drop)
}

/// Writes the records, each with the time that it is said to be of.
async fn write(kafka: &Broker, topics: [&str; 2]) -> Result<()> {
    let now = Timestamp::now();
    for topic in topics {
        for (count, minutes) in AGES {
            let at = now - SignedDuration::from_mins(minutes);
            kafka.fill(topic, count, 10, at).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn nothing_newer_than_the_cut_goes_and_the_configuration_is_as_before() -> Result<()> {
    scene("flip", async |scene| {
        let _users = spare::shared().await;
        let kafka = spare::connect(scene, "kafka").await?;
        let (with, without) = (scene.topic("with"), scene.topic("without"));
        let mut spec = fixtures::topic(&with, 1);
        spec["retention"] = json!({"time": "7d"});
        topic(scene, "with", spec).await?;
        topic(scene, "without", fixtures::topic(&without, 1)).await?;
        write(&kafka, [&with, &without]).await?;
        let before = kafka.describe(&scene.prefix).await?;
        let set = |name: &str| before[name].config.get("retention.ms").cloned();
        ensure!(
            (set(&with).as_deref(), set(&without)) == (Some("604800000"), None),
            "{before:?}"
        );
        for name in ["with", "without"] {
            let purge = json!({
                "topicRef": {"name": name}, "method": "RetentionFlip", "cut": {"type": "OlderThan", "olderThan": CUT},
                "guards": {"consumerGroups": "Ignore"},
            });
            scene.apply(Kind::Purge, name, purge).await?;
        }
        for (name, topic) in [("with", &with), ("without", &without)] {
            let done = scene
                .await_says(Kind::Purge, name, ("Complete", "True", "Complete"), 60)
                .await?;
            is_announced(&done)?;
            let [old, middle, young] = AGES.map(|(count, _)| i64::from(count));
            let cuts = fixtures::cuts(&done);
            ensure!(cuts == [(0, old)].into(), "planned {cuts:?}");
            let found = (kafka.start_offsets(topic).await?, kafka.end_offsets(topic).await?);
            ensure!(
                found == (cuts, [(0, old + middle + young)].into()),
                "{name}: from and to {found:?}"
            );
            let left = i64::try_from(kafka.readable(topic).await?)?;
            ensure!(left == middle + young, "{left} records can be read");
        }
        let after = kafka.describe(&scene.prefix).await?;
        ensure!(before == after, "before {before:?}, after {after:?}");
        kafka.clear(&scene.prefix).await
    })
    .await
}

/// The status says until when the retention stays lowered: the brokers' interval, a quarter more and a few seconds.
fn is_announced(purge: &DynamicObject) -> Result<()> {
    let time = |pointer: &str| -> Result<Timestamp> {
        let text = purge.text(pointer);
        text.parse().with_context(|| format!("{pointer} is {text:?}"))
    };
    let lasts = time("/status/clearingUntil")?.duration_since(time("/status/planTime")?);
    ensure!(
        (5..=30).contains(&lasts.as_secs()),
        "the brokers look every few seconds, and the purge waits for {lasts:?}"
    );
    Ok(())
}
