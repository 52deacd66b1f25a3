//! A topic with records whose replicas are moved, on the throw-away Kafka of three brokers.

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::object::{Kind, Look};
use crate::{Scene, fixtures, spare};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
/// Bytes a second that replicas are copied with while a test wants to see them under way.
const SLOW: u32 = 100_000;

/// A topic on the throw-away Kafka.
pub struct Stage<'a> {
    scene: &'a Scene,
    /// Kafka's own tools.
    pub kafka: Broker,
    /// The topic's name in Kafka.
    pub topic: String,
}

impl<'a> Stage<'a> {
    /// Connects to the throw-away Kafka and puts a topic with records on it.
    pub async fn set(scene: &'a Scene) -> Result<Self> {
        let stage = Self {
            scene,
            kafka: spare::connect(scene, "kafka").await?,
            topic: scene.topic("moved"),
        };
        stage.ask(1).await?;
        stage.is_ready().await?;
        stage
            .kafka
            .fill(&stage.topic, 6_000, 1_000, Timestamp::now())
            .await?;
        Ok(stage)
    }

    /// Asks for that many replicas.
    pub async fn ask(&self, factor: i32) -> Result<()> {
        let mut spec = fixtures::topic(&self.topic, 2);
        spec["replicationFactor"] = json!(factor);
        spec["deletionPolicy"] = json!("Delete");
        self.scene.apply(Kind::Topic, "moved", spec).await.map(drop)
    }

    /// Awaits that the topic is as asked for.
    pub async fn is_ready(&self) -> Result<()> {
        self.scene
            .await_says(Kind::Topic, "moved", READY, 90)
            .await
            .map(drop)
    }

    /// Awaits that moves to this number are under way and not done.
    pub async fn is_moving(&self, factor: i32) -> Result<()> {
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
    pub async fn counts(&self) -> Result<Vec<usize>> {
        let replicas = self.kafka.replicas(&self.topic).await?;
        Ok(replicas.values().map(Vec::len).collect())
    }

    /// Slows the copying of this topic's replicas down, or lets it go.
    pub async fn slow(&self, on: bool) -> Result<()> {
        let rate = SLOW.to_string();
        let of_brokers = [
            "leader.replication.throttled.rate",
            "follower.replication.throttled.rate",
        ];
        let of_topic = [
            "leader.replication.throttled.replicas",
            "follower.replication.throttled.replicas",
        ];
        let set = |value| move |key| (key, on.then_some(value));
        self.kafka
            .alter_brokers(&of_brokers.map(set(rate.as_str())))
            .await?;
        self.kafka.alter_topic(&self.topic, &of_topic.map(set("*"))).await
    }

    /// Deletes the topic.
    pub async fn clear(&self) -> Result<()> {
        self.scene.delete(Kind::Topic, "moved", 60).await
    }
}
