//! Changes of the replication factor on a Kafka of three brokers, two of which stand in one rack. What Kafka did is read
//! from Kafka.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use ottla_e2e::broker::Broker;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::wait::until;
use ottla_e2e::{Scene, fixtures, operator, scene};
use serde_json::{Value, json};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
/// The one broker of its rack, as `cargo xtask rig broker --brokers 3` deploys it.
const EAST: i32 = 2;
/// Bytes a second that replicas are copied with while a test wants to see them under way.
const SLOW: u32 = 100_000;

/// A topic on the throw-away Kafka.
struct Stage<'a> {
    scene: &'a Scene,
    kafka: Broker,
    topic: String,
}

impl<'a> Stage<'a> {
    /// Connects to the throw-away Kafka and puts a topic with records on it.
    async fn set(scene: &'a Scene) -> Result<Self> {
        let namespace = std::env::var("OTTLA_TEST_SPARE_KAFKA")
            .context("OTTLA_TEST_SPARE_KAFKA names the throw-away Kafka's namespace")?;
        let secrets: Api<Secret> = Api::namespaced(scene.live.client.clone(), &namespace);
        let secret = secrets.get("kafka-user-passwords").await?;
        let password = secret
            .data
            .and_then(|mut data| data.remove("system-user-password"))
            .context("key system-user-password")?;
        let password = String::from_utf8(password.0)?;
        scene
            .secret("kafka-credentials", &[("password", &password)])
            .await?;
        let address = format!("kafka.{namespace}.svc.cluster.local:9092");
        scene
            .apply(Kind::Cluster, "kafka", fixtures::cluster_at(&address))
            .await?;
        scene
            .await_says(Kind::Cluster, "kafka", ("Ready", "True", ""), 60)
            .await?;
        let stage = Self {
            scene,
            kafka: Broker::of(&scene.live, &namespace, "user1", &password),
            topic: scene.topic("moved"),
        };
        stage.ask(1).await?;
        stage.is_ready().await?;
        let produce = format!(
            "kafka-producer-perf-test.sh --bootstrap-server $b --command-config $f --topic {} --num-records 6000 \
             --record-size 1000 --throughput -1 >/dev/null",
            stage.topic
        );
        stage.kafka.tool(&produce).await?;
        Ok(stage)
    }

    async fn ask(&self, factor: i32) -> Result<()> {
        let mut spec = fixtures::topic(&self.topic, 2);
        spec["replicationFactor"] = json!(factor);
        spec["deletionPolicy"] = json!("Delete");
        self.scene.apply(Kind::Topic, "moved", spec).await.map(drop)
    }

    async fn is_ready(&self) -> Result<()> {
        self.scene
            .await_says(Kind::Topic, "moved", READY, 90)
            .await
            .map(drop)
    }

    /// Awaits that moves to this number are under way and not done.
    async fn is_moving(&self, factor: i32) -> Result<()> {
        let wanted = |status: &Value| {
            let moving = &status["reassignment"];
            moving["replicationFactor"] == factor
                && moving["partitionsTotal"] == 2
                && moving["partitionsDone"].as_i64() < Some(2)
        };
        let what = format!("moving to {factor} replicas");
        self.scene
            .await_object(Kind::Topic, "moved", &what, 60, |object| {
                object.says("Ready", "False", "Reassigning") && wanted(&object.data["status"])
            })
            .await
            .map(drop)
    }

    /// How many replicas each partition has, by Kafka's own word, and that none is on its way.
    async fn counts(&self) -> Result<Vec<usize>> {
        let replicas = self.kafka.replicas(&self.topic).await?;
        Ok(replicas.values().map(Vec::len).collect())
    }

    /// Slows the copying of this topic's replicas down, or lets it go.
    async fn slow(&self, on: bool) -> Result<()> {
        let rates = ["leader", "follower"]
            .map(|side| (format!("{side}.replication.throttled.rate"), SLOW.to_string()));
        let replicas = ["leader", "follower"]
            .map(|side| (format!("{side}.replication.throttled.replicas"), "*".to_owned()));
        let change = |pairs: &[(String, String)]| {
            let join = |texts: Vec<String>| texts.join(",");
            if on {
                format!(
                    "--add-config {}",
                    join(
                        pairs
                            .iter()
                            .map(|(key, value)| format!("{key}={value}"))
                            .collect()
                    )
                )
            } else {
                format!(
                    "--delete-config {}",
                    join(pairs.iter().map(|(key, _)| key.clone()).collect())
                )
            }
        };
        let alter = "kafka-configs.sh --bootstrap-server $b --command-config $f --alter";
        let each_broker: Vec<String> = (0..3)
            .map(|id| {
                format!(
                    "{alter} --entity-type brokers --entity-name {id} {}",
                    change(&rates)
                )
            })
            .collect();
        let topic = format!(
            "{alter} --entity-type topics --entity-name {} {}",
            self.topic,
            change(&replicas)
        );
        self.kafka
            .tool(&format!("{}; {topic}", each_broker.join("; ")))
            .await
            .map(drop)
    }

    async fn clear(&self) -> Result<()> {
        self.scene.delete(Kind::Topic, "moved", 60).await
    }
}

#[tokio::test]
async fn replicas_are_added_taken_back_and_taken_away() -> Result<()> {
    scene("replication", async |scene| {
        let stage = Stage::set(scene).await?;
        ensure!(stage.counts().await? == [1, 1], "one replica each");

        // Under way, and taken back by the spec.
        stage.slow(true).await?;
        stage.ask(3).await?;
        stage.is_moving(3).await?;
        stage.ask(1).await?;
        stage.is_ready().await?;
        ensure!(stage.counts().await? == [1, 1], "taken back");
        stage.slow(false).await?;

        stage.ask(3).await?;
        stage.is_ready().await?;
        ensure!(stage.counts().await? == [3, 3], "three replicas each");

        // Fewer than min.insync.replicas are refused.
        let raise = format!(
            "kafka-configs.sh --bootstrap-server $b --command-config $f --alter --entity-type topics --entity-name {} \
             --add-config min.insync.replicas=2",
            stage.topic
        );
        stage.kafka.tool(&raise).await?;
        stage.ask(1).await?;
        let refused = ("Ready", "False", "ReplicationFactorChangeRefused");
        scene.await_says(Kind::Topic, "moved", refused, 30).await?;
        ensure!(stage.counts().await? == [3, 3], "nothing moves");

        // Fewer replicas stay spread over the racks.
        stage.ask(2).await?;
        stage.is_ready().await?;
        let replicas = stage.kafka.replicas(&stage.topic).await?;
        let spread = replicas
            .values()
            .all(|held| held.len() == 2 && held.contains(&EAST));
        ensure!(spread, "both racks hold each partition: {replicas:?}");
        stage.clear().await
    })
    .await
}

#[tokio::test]
async fn an_operator_killed_on_the_way_finishes_the_move() -> Result<()> {
    scene("replication-kill", async |scene| {
        let stage = Stage::set(scene).await?;
        stage.slow(true).await?;
        stage.ask(2).await?;
        stage.is_moving(2).await?;
        operator::kill(&scene.live).await?;
        stage.slow(false).await?;
        stage.is_ready().await?;
        until("Kafka's own word", Duration::from_secs(30), async || {
            let counts = stage.counts().await?;
            ensure!(counts == [2, 2], "{counts:?}");
            Ok(())
        })
        .await?;
        let status = scene.get(Kind::Topic, "moved").await?.data["status"].clone();
        ensure!(
            status["reassignment"].is_null() && status["replicationFactor"] == 2,
            "{status}"
        );
        stage.clear().await
    })
    .await
}
