//! A purge on three brokers: its topic's leader moves between plan and act, and a follower stands still.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use kube::api::DynamicObject;
use ottla_e2e::broker::Broker;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::wait::until;
use ottla_e2e::{Scene, fixtures, node, scene, spare};
use serde_json::json;

const RECORDS: u16 = 500;

/// Has another broker lead.
async fn lead(kafka: &Broker, topic: &str, order: [i32; 3]) -> Result<()> {
    let plan = json!({"version": 1, "partitions": [{"topic": topic, "partition": 0, "replicas": order}]});
    let command = format!(
        "j=$(mktemp /tmp/e2e.XXXXXX); cat >$j; kafka-reassign-partitions.sh --bootstrap-server $b --command-config $f \
         --reassignment-json-file $j --execute >/dev/null; kafka-leader-election.sh --bootstrap-server $b \
         --admin.config $f --election-type preferred --topic {topic} --partition 0 >/dev/null; rm -f $j"
    );
    kafka.tool_with(&command, &plan.to_string()).await.map(drop)
}

async fn planned(scene: &Scene, name: &str) -> Result<BTreeMap<u32, i64>> {
    let held = json!({
        "topicRef": {"name": "orders"}, "cut": {"type": "All"}, "guards": {"consumerGroups": "Ignore"}, "suspend": true,
    });
    scene.apply(Kind::Purge, name, held).await?;
    let told = scene
        .await_says(Kind::Purge, name, ("Ready", "False", "Suspended"), 45)
        .await?;
    Ok(fixtures::cuts(&told))
}

async fn release(scene: &Scene, name: &str) -> Result<()> {
    let go = json!({"spec": {"suspend": false}});
    scene.merge(Kind::Purge, name, go).await.map(drop)
}

async fn complete(scene: &Scene, name: &str) -> Result<()> {
    scene
        .await_says(Kind::Purge, name, ("Complete", "True", "Complete"), 90)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_leader_that_moves_and_a_follower_that_stands_still_change_nothing_in_the_end() -> Result<()> {
    scene("followers", async |scene| {
        let shared = spare::shared().await;
        let kafka = spare::connect(scene, "kafka").await?;
        // The first broker is the controller too, and never stopped. Behind the Service the operator's next connection may
        // be to the one that is.
        let namespace = spare::namespace()?;
        let first =
            format!("kafka-controller-0.kafka-controller-headless.{namespace}.svc.cluster.local:9092");
        let bootstrap = json!({"spec": {"bootstrapServers": [first]}});
        scene.merge(Kind::Cluster, "kafka", bootstrap).await?;
        scene
            .await_says(Kind::Cluster, "kafka", ("Ready", "True", ""), 60)
            .await?;
        let topic = scene.topic("orders");
        let mut spec = fixtures::topic(&topic, 1);
        spec["replicationFactor"] = json!(3);
        scene.apply(Kind::Topic, "orders", spec).await?;
        scene
            .await_says(Kind::Topic, "orders", ("Ready", "True", ""), 60)
            .await?;
        kafka.fill(&topic, RECORDS, 100, Timestamp::now()).await?;

        let cuts = planned(scene, "moved").await?;
        let first = kafka.leader(&topic).await?;
        let second = (first + 1) % 3;
        lead(&kafka, &topic, [second, first, (first + 2) % 3]).await?;
        until("the leader to move", Duration::from_secs(30), async || {
            let leads = kafka.leader(&topic).await?;
            ensure!(leads == second, "broker {leads} leads");
            Ok(())
        })
        .await?;
        release(scene, "moved").await?;
        complete(scene, "moved").await?;
        let starts = kafka.start_offsets(&topic).await?;
        ensure!(
            starts == cuts && cuts == [(0, i64::from(RECORDS))].into(),
            "{starts:?}, planned {cuts:?}"
        );

        let follower = if second == 2 { 1 } else { 2 };
        kafka.fill(&topic, RECORDS, 100, Timestamp::now()).await?;
        let cuts = planned(scene, "lagging").await?;
        drop(shared);
        let only_user = spare::alone().await;
        let pod = format!("kafka-controller-{follower}");
        node::signal(&scene.live, &namespace, &pod, "SIGSTOP").await?;
        let told = lagging(scene).await;
        node::signal(&scene.live, &namespace, &pod, "SIGCONT").await?;
        told?;
        complete(scene, "lagging").await?;
        drop(only_user);
        let starts = kafka.start_offsets(&topic).await?;
        ensure!(starts == cuts, "{starts:?}, planned {cuts:?}");
        kafka.clear(&scene.prefix).await
    })
    .await
}

/// While a follower stands still that Kafka takes for alive, the leader has acted and Kafka does not answer in time: the purge
/// says just that, and is neither failed nor done.
async fn lagging(scene: &Scene) -> Result<()> {
    release(scene, "lagging").await?;
    let told = |object: &DynamicObject| {
        let ready = object.condition("Ready").map(|ready| ready.message);
        ready.unwrap_or_default().contains("applied, replicas lagging")
    };
    let what = "told to be applied, beside a follower that stands still";
    let purge = scene.await_object(Kind::Purge, "lagging", what, 50, told).await?;
    let status = |name: &str| purge.condition(name).map(|condition| condition.status);
    ensure!(
        status("Failed").as_deref() == Some("False") && status("Complete").as_deref() == Some("False"),
        "{}",
        purge.data["status"]
    );
    let failure = &purge.data["status"]["failures"][0];
    ensure!(failure["error"] == "REQUEST_TIMED_OUT", "{failure}");
    Ok(())
}
