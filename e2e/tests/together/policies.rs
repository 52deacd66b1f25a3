//! What a cluster's and a topic's policies do: drift, defaults, tenancy, the hold of mass deletions, suspend.
//! What Kafka did is read from Kafka.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::scene::{self, scene};
use ottla_e2e::wait::until;
use ottla_e2e::{Scene, fixtures};
use serde_json::{Value, json};

const READY: (&str, &str, &str) = ("Ready", "True", "");
const SOON: u64 = 30;
/// A sweep comes every 45 seconds.
const NEXT_SWEEP: u64 = 90;

/// A spec with more in it.
fn with(mut spec: Value, more: &Value) -> Value {
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    spec
}

async fn with_cluster(scene: &Scene, more: &Value) -> Result<()> {
    let spec = with(fixtures::cluster(), more);
    scene.apply(Kind::Cluster, "kafka", spec).await?;
    scene
        .await_says(Kind::Cluster, "kafka", READY, SOON)
        .await
        .map(drop)
}

async fn ready_topic(scene: &Scene, name: &str, more: &Value) -> Result<()> {
    let spec = with(fixtures::topic(&scene.topic(name), 1), more);
    scene.apply(Kind::Topic, name, spec).await?;
    scene.await_says(Kind::Topic, name, READY, SOON).await.map(drop)
}

/// What is set on a topic of the scene, as Kafka says.
async fn config(scene: &Scene, name: &str, key: &str) -> Result<Option<String>> {
    let name = scene.topic(name);
    let topic = scene.broker.topic(&name).await?;
    let mut topic = topic.with_context(|| format!("Kafka has no {name}"))?;
    Ok(topic.config.remove(key))
}

#[tokio::test]
async fn what_somebody_else_changes_is_set_back_or_reported() -> Result<()> {
    scene("drift", async |scene| {
        with_cluster(scene, &json!({})).await?;
        let spec = json!({"config": {"segment.ms": 600_000}});
        ready_topic(scene, "corrected", &spec).await?;
        ready_topic(
            scene,
            "reported",
            &with(spec.clone(), &json!({"driftPolicy": "Report"})),
        )
        .await?;
        for name in ["corrected", "reported"] {
            let changed = [("segment.ms", Some("700000"))];
            scene.broker.alter_topic(&scene.topic(name), &changed).await?;
        }

        let told = scene
            .await_says(Kind::Topic, "reported", ("Ready", "False", "Drifted"), NEXT_SWEEP)
            .await?;
        let expected = json!([{"key": "segment.ms", "desired": "600000", "live": "700000"}]);
        ensure!(
            *told.at("/status/drift") == expected,
            "{}",
            told.at("/status/drift")
        );
        until(
            "the other to be set back",
            Duration::from_secs(NEXT_SWEEP),
            async || {
                let value = config(scene, "corrected", "segment.ms").await?;
                ensure!(value.as_deref() == Some("600000"), "segment.ms is {value:?}");
                Ok(())
            },
        )
        .await?;
        let left = config(scene, "reported", "segment.ms").await?;
        ensure!(
            left.as_deref() == Some("700000"),
            "reported, and changed to {left:?}"
        );

        // A change of another key leaves the reported one alone; taking the change into the spec ends the report.
        let spec =
            json!({"driftPolicy": "Report", "config": {"segment.ms": 600_000}, "retention": {"time": "1d"}});
        let spec = with(fixtures::topic(&scene.topic("reported"), 1), &spec);
        scene.apply(Kind::Topic, "reported", spec.clone()).await?;
        scene
            .await_says(Kind::Topic, "reported", ("Ready", "False", "Drifted"), SOON)
            .await?;
        ensure!(config(scene, "reported", "retention.ms").await?.as_deref() == Some("86400000"));
        ensure!(config(scene, "reported", "segment.ms").await?.as_deref() == Some("700000"));
        let spec = with(spec, &json!({"config": {"segment.ms": 700_000}}));
        scene.apply(Kind::Topic, "reported", spec).await?;
        scene.await_says(Kind::Topic, "reported", READY, SOON).await?;
        scene.broker.clear(&scene.prefix).await
    })
    .await
}

#[tokio::test]
async fn defaults_fill_what_a_topic_does_not_say() -> Result<()> {
    scene("defaults", async |scene| {
        let defaults = |retention: &str| {
            json!({"topicDefaults": {"partitions": 3, "config": {"retention.ms": retention, "compression.type": "lz4"}}})
        };
        with_cluster(scene, &defaults("3600000")).await?;
        let silent = json!({"clusterRef": {"name": "kafka"}, "topicName": scene.topic("silent")});
        scene.apply(Kind::Topic, "silent", silent).await?;
        scene.await_says(Kind::Topic, "silent", READY, SOON).await?;
        ready_topic(scene, "outspoken", &json!({"retention": {"time": "2h"}, "unmanagedConfig": ["compression.type"]})).await?;
        let topics = scene.broker.describe(&scene.prefix).await?;
        let (silent, outspoken) = (&topics[&scene.topic("silent")], &topics[&scene.topic("outspoken")]);
        ensure!(silent.partitions == 3 && silent.config["retention.ms"] == "3600000", "{silent:?}");
        ensure!(silent.config["compression.type"] == "lz4", "{silent:?}");
        ensure!(outspoken.partitions == 1 && outspoken.config["retention.ms"] == "7200000", "{outspoken:?}");
        ensure!(!outspoken.config.contains_key("compression.type"), "{outspoken:?}");

        with_cluster(scene, &defaults("1800000")).await?;
        until("the default to reach the topic", Duration::from_secs(SOON), async || {
            let value = config(scene, "silent", "retention.ms").await?;
            ensure!(value.as_deref() == Some("1800000"), "retention.ms is {value:?}");
            Ok(())
        })
        .await?;
        let done = |cluster: &kube::api::DynamicObject| cluster.number("/status/defaultsPending") == Some(0);
        scene.await_object(Kind::Cluster, "kafka", "done with its defaults", SOON, done).await?;
        ensure!(config(scene, "outspoken", "retention.ms").await?.as_deref() == Some("7200000"));
        scene.broker.clear(&scene.prefix).await
    })
    .await
}

/// Another namespace, seen as a scene of its own.
async fn tenant(scene: &Scene) -> Result<Scene> {
    Ok(Scene {
        live: scene.live.clone(),
        namespace: scene::namespace(&scene.live, "tenant").await?,
        prefix: scene.prefix.clone(),
        broker: scene.broker.clone(),
        password: scene.password.clone(),
    })
}

/// What a topic of the tenant's says in the end.
async fn tenants_topic(
    scene: &Scene,
    tenant: &Scene,
    name: &str,
    spec: &Value,
    reason: &str,
) -> Result<String> {
    let cluster = json!({"clusterRef": {"name": "kafka", "namespace": scene.namespace}, "partitions": 1});
    tenant.apply(Kind::Topic, name, with(cluster, spec)).await?;
    let status = if reason == "Ready" { "True" } else { "False" };
    let told = tenant
        .await_says(Kind::Topic, name, ("Ready", status, reason), SOON)
        .await?;
    Ok(told.condition("Ready").context("condition Ready")?.message)
}

#[tokio::test]
async fn a_namespace_has_what_its_label_and_its_prefix_give_it() -> Result<()> {
    scene("tenancy", async |scene| {
        let tenant = tenant(scene).await?;
        let label = ("ottla.dev/e2e-tenant", scene.namespace.as_str());
        let rules = json!({
            "allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {label.0: label.1}}},
            "topicNamePolicy": {"prefix": scene.topic("{namespace}.")},
        });
        with_cluster(scene, &rules).await?;
        let own = format!("{}.own", scene.topic(&tenant.namespace));
        let own = json!({"topicName": own, "deletionPolicy": "Delete"});
        let shut_out = tenants_topic(scene, &tenant, "own", &own, "ClusterNotFound").await?;
        ensure!(
            shut_out.contains("does not exist, or may not be used"),
            "{shut_out}"
        );

        let label = format!("{}={}", label.0, label.1);
        scene
            .live
            .kubectl(&["label", "namespace", &tenant.namespace, &label])
            .await?;
        tenant.await_says(Kind::Topic, "own", READY, SOON).await?;
        let others = json!({"topicName": scene.topic("others.new")});
        tenants_topic(scene, &tenant, "others", &others, "NameNotAllowed").await?;
        ready_topic(scene, "mine", &json!({})).await?;
        let taken = json!({"topicName": scene.topic("mine"), "adoptionPolicy": "Always"});
        let refused = tenants_topic(scene, &tenant, "taken", &taken, "TopicOwnedByOther").await?;
        ensure!(
            !refused.contains(&scene.namespace),
            "the owner's namespace is told: {refused}"
        );

        for name in ["own", "others", "taken"] {
            tenant.delete(Kind::Topic, name, SOON).await?;
        }
        let left = scene.broker.describe(&scene.prefix).await?;
        let names: Vec<&String> = left.keys().collect();
        ensure!(names == [&scene.topic("mine")], "left: {names:?}");
        let wait = ["delete", "namespace", &tenant.namespace, "--wait=false"];
        scene.live.kubectl(&wait).await?;
        scene.broker.clear(&scene.prefix).await
    })
    .await
}

#[tokio::test]
async fn a_mass_deletion_is_held_until_a_person_releases_it() -> Result<()> {
    scene("hold", async |scene| {
        with_cluster(scene, &json!({"destructionLimit": 2})).await?;
        let names = ["a", "b", "c", "d"];
        for name in names {
            ready_topic(scene, name, &json!({"deletionPolicy": "Delete"})).await?;
        }
        scene.kubectl(&["delete", "kafkatopics.ottla.dev", "--all", "--wait=false"]).await?;
        scene.await_says(Kind::Cluster, "kafka", ("DestructionHold", "True", ""), SOON).await?;
        for name in names {
            scene.await_says(Kind::Topic, name, ("Ready", "False", "DestructionHold"), SOON).await?;
        }
        let left = scene.broker.describe(&scene.prefix).await?;
        ensure!(left.len() == names.len(), "left: {:?}", left.keys());

        // One is spared, then the others are released.
        scene.merge(Kind::Topic, "d", json!({"spec": {"suspend": true}})).await?;
        let until_then = jiff::Timestamp::now() + Duration::from_secs(600);
        let release = json!({"metadata": {"annotations": {"ottla.dev/release-destruction-until": until_then.to_string()}}});
        scene.merge(Kind::Cluster, "kafka", release).await?;
        let gone = format!("--timeout={SOON}s");
        scene.kubectl(&["wait", "--for=delete", "kafkatopics.ottla.dev", "--all", &gone]).await?;
        let left = scene.broker.describe(&scene.prefix).await?;
        let left: Vec<&String> = left.keys().collect();
        ensure!(left == [&scene.topic("d")], "left: {left:?}");
        scene.broker.clear(&scene.prefix).await
    })
    .await
}

#[tokio::test]
async fn one_value_in_many_spellings_is_no_difference() -> Result<()> {
    scene("spelling", async |scene| {
        with_cluster(scene, &json!({})).await?;
        let set = [
            ("cleanup.policy", "delete,compact"),
            ("preallocate", "FALSE"),
            ("min.cleanable.dirty.ratio", "0.250"),
            ("retention.ms", "0600000"),
            ("max.message.bytes", "1000000"),
            ("compression.type", "gzip"),
        ];
        scene.broker.create(&scene.topic("spelled"), 1, &set).await?;
        let before = scene.broker.topic(&scene.topic("spelled")).await?;
        ready_topic(
            scene,
            "spelled",
            &json!({"cleanupPolicy": ["Compact", "Delete"], "retention": {"time": "10m"}, "config": {
                "preallocate": "False", "min.cleanable.dirty.ratio": "0.25", "max.message.bytes": "+1000000",
                "compression.type": "gzip"}}),
        )
        .await?;
        let after = scene.broker.topic(&scene.topic("spelled")).await?;
        ensure!(
            before == after,
            "adopted, and changed from {before:?} to {after:?}"
        );
        scene.broker.delete(&scene.topic("spelled")).await
    })
    .await
}

#[tokio::test]
async fn a_suspended_object_says_what_it_would_do() -> Result<()> {
    scene("pending", async |scene| {
        with_cluster(scene, &json!({})).await?;
        ready_topic(scene, "held", &json!({"config": {"segment.ms": 600_000}})).await?;
        let before = scene.broker.topic(&scene.topic("held")).await?;
        let spec = json!({"partitions": 4, "config": {"segment.ms": 700_000}, "suspend": true, "deletionPolicy": "Delete"});
        scene.merge(Kind::Topic, "held", json!({"spec": spec})).await?;
        let told = scene.await_says(Kind::Topic, "held", ("Ready", "False", "Suspended"), SOON).await?;
        let message = told.condition("Ready").context("condition Ready")?.message;
        ensure!(message.contains("grow from 1 to 4") && message.contains("segment.ms"), "{message}");
        ensure!(told.at("/status/drift/0/key") == "partitions", "{}", told.at("/status/drift"));
        scene.delete(Kind::Topic, "held", SOON).await?;
        ensure!(scene.broker.topic(&scene.topic("held")).await? == before, "suspended, and changed");
        scene.broker.delete(&scene.topic("held")).await
    })
    .await
}
