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
const AGES: [(i64, i64); 3] = [(50, 120), (30, 50), (20, 0)];
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
    let commands = topics.iter().flat_map(|topic| {
        AGES.iter().map(move |(count, minutes)| {
            let time = now - SignedDuration::from_mins(*minutes);
            format!(
                "kafka-verifiable-producer.sh --bootstrap-server $b --producer.config $f --topic {topic} --max-messages \
                 {count} --message-create-time {} >/dev/null",
                time.as_millisecond()
            )
        })
    });
    kafka
        .tool(&commands.collect::<Vec<_>>().join("; "))
        .await
        .map(drop)
}

/// How many records can be read. Their values are numbers; the tool may say more than they do.
async fn readable(kafka: &Broker, topic: &str, expected: i64) -> Result<i64> {
    let command = format!(
        "kafka-console-consumer.sh --bootstrap-server $b --consumer.config $f --topic {topic} --from-beginning \
         --max-messages {expected} --timeout-ms 20000 | grep -cE '^[0-9]+$' || true"
    );
    kafka.tool(&command).await?.trim().parse().context("a count")
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
        let before = kafka.describe(&format!("{}.*", scene.prefix)).await?;
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
            let [(old, _), (middle, _), (young, _)] = AGES;
            let cuts = fixtures::cuts(&done);
            ensure!(cuts == [(0, old)].into(), "planned {cuts:?}");
            let found = (kafka.start_offsets(topic).await?, kafka.end_offsets(topic).await?);
            ensure!(
                found == (cuts, [(0, old + middle + young)].into()),
                "{name}: from and to {found:?}"
            );
            let left = readable(&kafka, topic, middle + young).await?;
            ensure!(left == middle + young, "{left} records can be read");
        }
        let after = kafka.describe(&format!("{}.*", scene.prefix)).await?;
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
