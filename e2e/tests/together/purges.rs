//! Purges with real records: what went is read from Kafka's own tools, and what stayed is read record by record.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::{Scene, fixtures, scene};
use serde_json::{Value, json};

const RECORDS: i64 = 3_000;

/// The cluster, and a topic of three partitions that keeps everything.
async fn with_topic(scene: &Scene) -> Result<()> {
    scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
    let mut topic = fixtures::topic(&scene.topic("orders"), 3);
    topic["retention"] = json!({"time": "Unlimited"});
    scene.apply(Kind::Topic, "orders", topic).await?;
    scene
        .await_says(Kind::Topic, "orders", ("Ready", "True", ""), 45)
        .await
        .map(drop)
}

/// A producer that sends so many records and ends.
async fn filled(scene: &Scene, name: &str) -> Result<()> {
    let spec = json!({
        "topicRef": {"name": "orders"}, "replicas": 1, "stopAfter": {"records": RECORDS},
        "records": {"valueBytes": 100, "keys": {"type": "Sequential", "cardinality": 60}},
    });
    scene.apply(Kind::Producer, name, spec).await?;
    scene
        .await_says(Kind::Producer, name, ("Ready", "True", "Completed"), 90)
        .await
        .map(drop)
}

/// A purge without a look at consumers.
fn purge(cut: &Value) -> Value {
    json!({"topicRef": {"name": "orders"}, "cut": cut, "guards": {"consumerGroups": "Ignore"}})
}

async fn purged(scene: &Scene, name: &str, spec: Value) -> Result<DynamicObject> {
    scene.apply(Kind::Purge, name, spec).await?;
    scene
        .await_says(Kind::Purge, name, ("Complete", "True", "Complete"), 45)
        .await
}

async fn refused(scene: &Scene, name: &str, spec: Value, reason: &str) -> Result<DynamicObject> {
    scene.apply(Kind::Purge, name, spec).await?;
    scene
        .await_says(Kind::Purge, name, ("Failed", "True", reason), 45)
        .await
}

async fn starts(scene: &Scene) -> Result<BTreeMap<u32, i64>> {
    scene.broker.start_offsets(&scene.topic("orders")).await
}

async fn ends(scene: &Scene) -> Result<BTreeMap<u32, i64>> {
    scene.broker.end_offsets(&scene.topic("orders")).await
}

async fn finish(scene: &Scene) -> Result<()> {
    scene.broker.clear(&scene.prefix).await
}

#[tokio::test]
async fn each_cut_is_kafkas_own_first_offset_while_a_producer_goes_on() -> Result<()> {
    scene("purge-cuts", async |scene| {
        with_topic(scene).await?;
        filled(scene, "before").await?;
        let endless = json!({
            "topicRef": {"name": "orders"}, "replicas": 1, "load": {"recordsPerSecond": 200},
            "records": {"valueBytes": 100, "keys": {"type": "Sequential", "cardinality": 60}},
        });
        scene.apply(Kind::Producer, "endless", endless).await?;
        scene
            .await_says(Kind::Producer, "endless", ("Ready", "True", "Running"), 60)
            .await?;
        let offsets = json!([{"partition": 0, "offset": 100}, {"partition": 2, "offset": 50}]);
        for (name, cut) in [
            (
                "offsets",
                json!({"type": "BeforeOffsets", "beforeOffsets": offsets}),
            ),
            ("keep", json!({"type": "KeepLast", "keepLast": {"records": 500}})),
            ("age", json!({"type": "OlderThan", "olderThan": "1s"})),
            ("all", json!({"type": "All"})),
        ] {
            let done = purged(scene, name, purge(&cut)).await?;
            let mut planned = fixtures::cuts(&done);
            let found = starts(scene).await?;
            for (partition, start) in &found {
                let cut = planned.remove(partition).unwrap_or(*start);
                ensure!(
                    *start == cut,
                    "{name}: partition {partition} begins at {start}, planned {cut}"
                );
            }
        }
        let (starts, ends) = (starts(scene).await?, ends(scene).await?);
        let left: i64 = ends.iter().map(|(partition, end)| end - starts[partition]).sum();
        ensure!(left > 0, "the producer went on: {starts:?} {ends:?}");
        let topic = scene.get(Kind::Topic, "orders").await?;
        ensure!(
            topic.text("/status/lastPurge/name") == "all",
            "{}",
            topic.at("/status/lastPurge")
        );
        finish(scene).await
    })
    .await
}

#[tokio::test]
async fn what_is_above_the_cut_is_still_readable() -> Result<()> {
    scene("purge-content", async |scene| {
        with_topic(scene).await?;
        let topic = scene.topic("orders");
        let keys = |name: &str, count: usize| (0..count).map(|i| format!("{name}-{i}")).collect::<Vec<_>>();
        let (old, young) = (keys("old", 200), keys("young", 300));
        scene
            .broker
            .send_keys(&topic, old.iter().map(String::as_str))
            .await?;
        let spec = |suspend: bool| {
            let mut spec = purge(&json!({"type": "All"}));
            spec["suspend"] = json!(suspend);
            spec
        };
        // Planned first, and carried out once more records stand behind the plan.
        scene.apply(Kind::Purge, "held", spec(true)).await?;
        scene
            .await_says(Kind::Purge, "held", ("Ready", "False", "Suspended"), 45)
            .await?;
        scene
            .broker
            .send_keys(&topic, young.iter().map(String::as_str))
            .await?;
        let done = purged(scene, "held", spec(false)).await?;
        ensure!(
            done.number("/status/records") == Some(200),
            "{}",
            done.data["status"]
        );
        let read = scene.broker.keys(&topic, 300).await?;
        let mut found: Vec<&str> = read.iter().map(|(key, _)| key.as_str()).collect();
        let mut wanted: Vec<&str> = young.iter().map(String::as_str).collect();
        found.sort_unstable();
        wanted.sort_unstable();
        ensure!(found == wanted, "found {} of 300 young keys", found.len());
        finish(scene).await
    })
    .await
}

#[tokio::test]
async fn a_dry_run_and_every_refusal_leave_offsets_and_configuration_alone() -> Result<()> {
    scene("purge-guards", async |scene| {
        with_topic(scene).await?;
        filled(scene, "filler").await?;
        let topic = scene.topic("orders");
        let before = (
            starts(scene).await?,
            ends(scene).await?,
            scene.broker.topic(&topic).await?,
        );
        let with = |field: &str, value: Value| {
            let mut spec = purge(&json!({"type": "All"}));
            spec[field] = value;
            spec
        };
        let ignoring = |guard: Value| {
            let mut guards = guard;
            guards["consumerGroups"] = json!("Ignore");
            with("guards", guards)
        };
        scene
            .apply(Kind::Purge, "dry", with("dryRun", json!(true)))
            .await?;
        let dry = scene
            .await_says(Kind::Purge, "dry", ("Complete", "True", "DryRun"), 45)
            .await?;
        // Kafka's own count: the closing record of each stream among them.
        let there = before.1.values().sum::<i64>() - before.0.values().sum::<i64>();
        ensure!(
            there > RECORDS && dry.number("/status/records") == Some(there),
            "of {there}: {}",
            dry.data["status"]
        );
        for (name, spec, reason) in [
            (
                "id",
                ignoring(json!({"topicId": "AAAAAAAAAAAAAAAAAAAAAA"})),
                "TopicIdMismatch",
            ),
            (
                "count",
                ignoring(json!({"maxRecords": RECORDS - 1})),
                "MaxRecordsExceeded",
            ),
            (
                "late",
                ignoring(json!({"notAfter": "2020-01-01T00:00:00Z"})),
                "NotAfterPassed",
            ),
            (
                "partition",
                with("partitions", json!([0, 9])),
                "PartitionNotFound",
            ),
        ] {
            refused(scene, name, spec, reason).await.with_context(|| name)?;
        }
        // A group that has read nothing is waited for.
        let group = scene.topic("late-group");
        scene.broker.rewind(&group, &topic).await?;
        let guarded = json!({"topicRef": {"name": "orders"}, "cut": {"type": "All"}});
        scene.apply(Kind::Purge, "group", guarded).await?;
        let waits = scene
            .await_says(
                Kind::Purge,
                "group",
                ("Ready", "False", "WaitingForConsumers"),
                45,
            )
            .await?;
        ensure!(
            waits.number("/status/consumerGroups/0/unread") == Some(there),
            "{}",
            waits.data["status"]
        );
        // And while it waits, no other purge of the topic begins.
        let second = refused(scene, "second", purge(&json!({"type": "All"})), "PurgeInProgress").await?;
        let message = second.condition("Ready").context("Ready")?.message;
        ensure!(message.contains("KafkaTopicPurge group"), "{message}");
        let after = (
            starts(scene).await?,
            ends(scene).await?,
            scene.broker.topic(&topic).await?,
        );
        ensure!(before == after, "before {before:?}, after {after:?}");
        finish(scene).await
    })
    .await
}

#[tokio::test]
async fn a_purge_applied_again_removes_nothing() -> Result<()> {
    scene("purge-replay", async |scene| {
        with_topic(scene).await?;
        filled(scene, "first").await?;
        let mut spec = purge(&json!({"type": "All"}));
        spec["ttlSecondsAfterFinished"] = json!(0);
        scene.apply(Kind::Purge, "nightly", spec.clone()).await?;
        // Its time to live is over at once: what is left of it is the record on the topic.
        let api = scene.api(Kind::Purge);
        ottla_e2e::wait::until(
            "the purge to be gone",
            std::time::Duration::from_secs(45),
            async || match api.get_opt("nightly").await {
                Ok(None) => Ok(()),
                other => Err(format!("{other:?}")),
            },
        )
        .await?;
        filled(scene, "second").await?;
        let before = (starts(scene).await?, ends(scene).await?);
        spec["ttlSecondsAfterFinished"] = json!(600);
        scene.apply(Kind::Purge, "nightly", spec).await?;
        scene
            .await_says(Kind::Purge, "nightly", ("Complete", "True", "AlreadyDone"), 45)
            .await?;
        ensure!(
            before == (starts(scene).await?, ends(scene).await?),
            "records went again"
        );
        purged(scene, "another", purge(&json!({"type": "All"}))).await?;
        ensure!(starts(scene).await? == before.1, "a new name goes through");
        finish(scene).await
    })
    .await
}

#[tokio::test]
async fn a_compacted_topic_is_cleared_and_keeps_its_configuration() -> Result<()> {
    scene("purge-compact", async |scene| {
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        let mut topic = fixtures::topic(&scene.topic("orders"), 2);
        topic["cleanupPolicy"] = json!(["Compact"]);
        scene.apply(Kind::Topic, "orders", topic).await?;
        scene
            .await_says(Kind::Topic, "orders", ("Ready", "True", ""), 45)
            .await?;
        // A compacted topic takes no record without a key: the closing records have one.
        filled(scene, "filler").await?;
        let name = scene.topic("orders");
        let before = scene.broker.topic(&name).await?;
        refused(scene, "plain", purge(&json!({"type": "All"})), "CompactOnly").await?;
        let mut spec = purge(&json!({"type": "All"}));
        spec["allowPolicyFlip"] = json!(true);
        let done = purged(scene, "flip", spec).await?;
        ensure!(
            starts(scene).await? == fixtures::cuts(&done),
            "{}",
            done.data["status"]
        );
        ensure!(before == scene.broker.topic(&name).await?, "was {before:?}");
        finish(scene).await
    })
    .await
}

#[tokio::test]
async fn a_topic_created_again_has_another_id_the_same_shape_and_running_workloads() -> Result<()> {
    scene("purge-recreate", async |scene| {
        with_topic(scene).await?;
        filled(scene, "before").await?;
        let endless = json!({
            "topicRef": {"name": "orders"}, "replicas": 1, "load": {"recordsPerSecond": 100},
            "records": {"valueBytes": 100, "keys": {"type": "Sequential", "cardinality": 60}},
        });
        scene.apply(Kind::Producer, "endless", endless).await?;
        scene
            .await_says(Kind::Producer, "endless", ("Ready", "True", "Running"), 60)
            .await?;
        let reader = json!({"topicRef": {"name": "orders"}, "groupId": scene.topic("group"), "replicas": 1});
        scene.apply(Kind::Consumer, "reader", reader).await?;
        scene
            .await_says(Kind::Consumer, "reader", ("Verified", "True", "Pass"), 90)
            .await?;
        let name = scene.topic("orders");
        let before = scene.broker.topic(&name).await?.context("the topic")?;
        let mut spec = purge(&json!({"type": "All"}));
        spec["method"] = json!("Recreate");
        spec["confirm"] = json!(name);
        scene.apply(Kind::Purge, "anew", spec).await?;
        scene
            .await_says(Kind::Purge, "anew", ("Complete", "True", "Complete"), 90)
            .await?;
        let after = scene.broker.topic(&name).await?.context("the topic")?;
        ensure!(before.id != after.id, "the same topic");
        ensure!(
            (before.partitions, &before.config) == (after.partitions, &after.config),
            "before {before:?}, after {after:?}"
        );
        scene
            .await_object(Kind::Topic, "orders", "with the new id", 45, |topic| {
                topic.text("/status/topicId") == after.id && topic.says("Ready", "True", "")
            })
            .await?;
        scene
            .await_says(Kind::Producer, "endless", ("Ready", "True", "Running"), 90)
            .await?;
        ottla_e2e::wait::until(
            "records in the new topic",
            std::time::Duration::from_secs(60),
            async || {
                let ends = ends(scene).await?;
                ensure!(ends.values().sum::<i64>() > 0, "{ends:?}");
                Ok::<_, anyhow::Error>(())
            },
        )
        .await?;
        // What was read of the old topic is no evidence of the new one, and nothing of it is waited for.
        let reader = scene
            .await_object(
                Kind::Consumer,
                "reader",
                "content with the new topic",
                90,
                |reader| {
                    reader.text("/status/topicId") == after.id && reader.says("Verified", "True", "Pass")
                },
            )
            .await?;
        ensure!(
            reader.number("/status/redelivered") == Some(0),
            "{}",
            reader.data["status"]
        );
        finish(scene).await
    })
    .await
}

/// A file of the lesson.
fn lesson(name: &str) -> String {
    format!(
        "{}/../examples/lessons/e-clearing-data/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

#[tokio::test]
async fn the_lesson_is_as_its_pages_say() -> Result<()> {
    scene("lesson-clearing", async |scene| {
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        scene.kubectl(&["apply", "-f", &lesson("topic.yaml")]).await?;
        scene
            .await_says(Kind::Topic, "clearing", ("Ready", "True", ""), 45)
            .await?;
        let keys = (0..100).map(|i| format!("k-{i}")).collect::<Vec<_>>();
        let topic = "lesson-clearing";
        scene
            .broker
            .send_keys(topic, keys.iter().map(String::as_str))
            .await?;
        scene
            .kubectl(&["apply", "-f", &lesson("delete-records/purge.yaml")])
            .await?;
        scene
            .await_says(Kind::Purge, "clearing-now", ("Complete", "True", "Complete"), 45)
            .await?;
        let (starts, ends) = (
            scene.broker.start_offsets(topic).await?,
            scene.broker.end_offsets(topic).await?,
        );
        ensure!(
            starts == ends && ends.values().sum::<i64>() == 100,
            "{starts:?} {ends:?}"
        );
        // It takes the broker's interval, which a test does not wait for.
        scene
            .kubectl(&[
                "apply",
                "--dry-run=server",
                "-f",
                &lesson("retention-flip/purge.yaml"),
            ])
            .await?;
        scene
            .kubectl(&["apply", "-f", &lesson("recreate/purge.yaml")])
            .await?;
        scene
            .await_says(Kind::Purge, "clearing-anew", ("Complete", "True", "Complete"), 60)
            .await?;
        let ends = scene.broker.end_offsets(topic).await?;
        ensure!(ends.len() == 3 && ends.values().all(|end| *end == 0), "{ends:?}");
        scene.broker.delete(topic).await
    })
    .await
}
