//! A user with few rights, on a Kafka that asks for them: what is missing is named, nothing is taken for absent, and work
//! goes on by itself once the ACL is granted.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use ottla_e2e::broker::Broker;
use ottla_e2e::limited::{self, Acl, Operation};
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::{Scene, fixtures, scene, spare};
use serde_json::json;

/// Within this a denial must be told.
const SOON: u64 = 30;
/// Within this a right that was granted, or taken, must be noticed.
const NOTICED: u64 = 90;
const RECORDS: u16 = 30;
const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
const NOT_AUTHORIZED: (&str, &str, &str) = ("Ready", "False", "NotAuthorized");
/// What each topic's user lacks.
const LACKS: [(&str, &str); 3] = [
    ("new", "Create on the topic"),
    ("old", "AlterConfigs on the topic"),
    ("hidden", "Describe on the topic"),
];

/// Makes the throw-away Kafka, as that user, the KafkaCluster of the scene.
async fn connect(scene: &Scene, user: &str) -> Result<()> {
    scene.secret("limited", &[("password", "password")]).await?;
    let mut cluster = fixtures::cluster_at(&format!("kafka.{}.svc.cluster.local:9092", spare::namespace()?));
    cluster["sasl"]["username"] = json!(user);
    cluster["sasl"]["passwordFrom"]["name"] = json!("limited");
    scene.apply(Kind::Cluster, "kafka", cluster).await?;
    scene
        .await_says(Kind::Cluster, "kafka", ("Ready", "True", ""), SOON)
        .await?;
    Ok(())
}

/// Topics of somebody else, and a user who may see some of them.
async fn prepare(scene: &Scene, kafka: &Broker, user: &str) -> Result<()> {
    limited::user(kafka, user, "password").await?;
    for name in ["old", "hidden", "full"] {
        kafka.create(&scene.topic(name), 2, &[]).await?;
    }
    kafka
        .fill(&scene.topic("full"), RECORDS, 10, Timestamp::now())
        .await?;
    let sees = ["new", "old", "full"].into_iter().flat_map(|name| {
        [Operation::Describe, Operation::DescribeConfigs]
            .map(|operation| Acl::on_topic(operation, &scene.topic(name)))
    });
    limited::grant(kafka, &format!("User:{user}"), &sees.collect::<Vec<_>>()).await?;
    connect(scene, user).await?;
    for name in ["new", "old", "hidden", "full"] {
        let mut spec = fixtures::topic(&scene.topic(name), 2);
        if name == "old" {
            spec["adoptionPolicy"] = json!("Always");
            spec["config"] = json!({"retention.ms": 7_200_000});
        }
        scene.apply(Kind::Topic, name, spec).await?;
    }
    Ok(())
}

/// Awaits that a KafkaTopic is denied for want of this ACL.
async fn denied(scene: &Scene, name: &str, acl: &str, seconds: u64) -> Result<()> {
    let told = scene
        .await_says(Kind::Topic, name, NOT_AUTHORIZED, seconds)
        .await?;
    let message = told.condition("Ready").context("condition Ready")?.message;
    ensure!(
        message.ends_with(&format!("grant the KafkaCluster's user the ACL {acl}")),
        "{name}: {message}"
    );
    Ok(())
}

async fn purge_is_denied(scene: &Scene, kafka: &Broker) -> Result<()> {
    scene
        .await_says(Kind::Topic, "full", ("Ready", "True", "Ready"), SOON)
        .await?;
    let purge = json!({
        "topicRef": {"name": "full"}, "cut": {"type": "All"}, "guards": {"consumerGroups": "Ignore"},
    });
    scene.apply(Kind::Purge, "purge", purge).await?;
    let told = scene
        .await_says(Kind::Purge, "purge", NOT_AUTHORIZED, SOON)
        .await?;
    let failures = told
        .at("/status/failures")
        .as_array()
        .cloned()
        .unwrap_or_default();
    let each = failures.iter().all(|one| {
        one["error"] == "TOPIC_AUTHORIZATION_FAILED"
            && one["message"]
                .as_str()
                .is_some_and(|text| text.ends_with("the ACL Delete on the topic"))
    });
    ensure!(failures.len() == 2 && each, "{failures:?}");
    let starts = kafka.start_offsets(&scene.topic("full")).await?;
    ensure!(
        starts.values().all(|start| *start == 0),
        "nothing went: {starts:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_missing_right_is_named_and_work_goes_on_once_it_is_granted() -> Result<()> {
    scene("rights", async |scene| {
        let _spare = spare::shared().await;
        let kafka = spare::broker(scene).await?;
        let user = format!("{}user", scene.prefix);
        prepare(scene, &kafka, &user).await?;
        for (name, acl) in LACKS {
            denied(scene, name, acl, SOON).await?;
        }
        purge_is_denied(scene, &kafka).await?;
        let before = kafka.describe(&scene.prefix).await?;
        let names: Vec<String> = ["full", "hidden", "old"].map(|name| scene.topic(name)).into();
        ensure!(before.keys().eq(&names), "nothing is created: {before:?}");
        ensure!(
            before
                .values()
                .all(|topic| !topic.config.contains_key("retention.ms")),
            "nothing is altered: {before:?}"
        );

        let (principal, all) = (format!("User:{user}"), Acl::all_under(&scene.prefix));
        limited::grant(&kafka, &principal, &all).await?;
        for (name, _) in LACKS {
            scene
                .await_says(Kind::Topic, name, ("Ready", "True", "Ready"), NOTICED)
                .await?;
        }
        scene
            .await_says(Kind::Purge, "purge", ("Complete", "True", "Complete"), NOTICED)
            .await?;
        let after = kafka.describe(&scene.prefix).await?;
        ensure!(after.len() == 4, "{after:?}");
        let old = scene.topic("old");
        ensure!(
            after[&old]
                .config
                .get("retention.ms")
                .is_some_and(|value| value == "7200000"),
            "{after:?}"
        );
        ensure!(
            before.iter().all(|(name, topic)| after[name].id == topic.id),
            "the topics are the same ones"
        );
        let left = kafka.start_offsets(&scene.topic("full")).await?
            == kafka.end_offsets(&scene.topic("full")).await?;
        ensure!(left, "every record went");
        kafka.clear(&scene.prefix).await
    })
    .await
}

#[tokio::test]
async fn a_right_that_is_taken_from_a_topic_at_rest_is_told_and_the_topic_is_not_missing() -> Result<()> {
    scene("rights-taken", async |scene| {
        let _spare = spare::shared().await;
        let kafka = spare::broker(scene).await?;
        let user = format!("{}user", scene.prefix);
        limited::user(&kafka, &user, "password").await?;
        let (principal, all) = (format!("User:{user}"), Acl::all_under(&scene.prefix));
        limited::grant(&kafka, &principal, &all).await?;
        connect(scene, &user).await?;
        let name = scene.topic("rests");
        scene
            .apply(Kind::Topic, "rests", fixtures::topic(&name, 2))
            .await?;
        let rests = scene.await_says(Kind::Topic, "rests", READY, SOON).await?;
        limited::take(&kafka, &principal, &all).await?;
        denied(scene, "rests", "Describe on the topic", NOTICED).await?;
        limited::grant(&kafka, &principal, &all).await?;
        let back = scene.await_says(Kind::Topic, "rests", READY, NOTICED).await?;
        let id = rests.text("/status/topicId");
        ensure!(back.text("/status/topicId") == id, "{}", back.data["status"]);
        let found = kafka.topic(&name).await?;
        ensure!(found.is_some_and(|topic| topic.id == id), "it is the same topic");
        kafka.clear(&scene.prefix).await
    })
    .await
}
