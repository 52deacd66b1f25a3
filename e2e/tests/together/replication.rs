//! Changes of the replication factor on a Kafka of three brokers, two of which stand in one rack. What Kafka did is read
//! from Kafka.

use anyhow::{Result, ensure};
use ottla_e2e::moving::Stage;
use ottla_e2e::object::Kind;
use ottla_e2e::{scene, spare};

/// The one broker of its rack, as `cargo xtask rig broker --brokers 3` deploys it.
const EAST: i32 = 2;

#[tokio::test]
async fn replicas_are_added_taken_back_and_taken_away() -> Result<()> {
    scene("replication", async |scene| {
        let _shared = spare::shared().await;
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
