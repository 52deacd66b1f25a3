//! The operator's pod is killed in the middle of its work.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use kube::api::ListParams;
use ottla_e2e::moving::Stage;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::wait::{throughout, until};
use ottla_e2e::{Scene, fixtures, operator, quiescing, scene, spare};

/// Topics under way when the operator is killed.
const TOPICS: usize = 200;
/// Of these, how many must be Ready and how many not at the kill: it shall fall into the middle.
const KILL_AT: usize = 20;

/// Topic id by name, of the objects that have one.
async fn ids(scene: &Scene) -> Result<BTreeMap<String, String>> {
    let found = scene.api(Kind::Topic).list(&ListParams::default()).await?;
    let ids = found
        .items
        .iter()
        .map(|topic| (topic.text("/spec/topicName"), topic.text("/status/topicId")));
    Ok(ids.filter(|(_, id)| !id.is_empty()).collect())
}

#[tokio::test]
async fn topics_are_created_exactly_once_though_the_operator_is_killed() -> Result<()> {
    let _mortal = operator::mortal().await;
    scene("kill-operator", async |scene| {
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        scene
            .await_says(Kind::Cluster, "kafka", ("Ready", "True", ""), 60)
            .await?;
        let applied = stream::iter(0..TOPICS).map(async |number| {
            let name = format!("t{number:03}");
            scene
                .apply(Kind::Topic, &name, fixtures::topic(&scene.topic(&name), 1))
                .await
        });
        let mut first = BTreeMap::new();
        let kill = async {
            until("some topics to have ids", Duration::from_secs(60), async || {
                let seen = ids(scene).await?;
                let count = seen.len();
                first.extend(seen);
                ensure!(count >= KILL_AT, "{count} of {TOPICS}");
                Ok(())
            })
            .await?;
            operator::kill(&scene.live).await
        };
        futures::try_join!(applied.buffer_unordered(8).try_collect::<Vec<_>>(), kill)?;
        until("all topics to be Ready", Duration::from_secs(120), async || {
            let found = scene.api(Kind::Topic).list(&ListParams::default()).await?.items;
            let ready = found
                .iter()
                .filter(|topic| topic.says("Ready", "True", ""))
                .count();
            for (name, id) in ids(scene).await? {
                first.entry(name).or_insert(id);
            }
            ensure!(ready == TOPICS, "{ready} of {TOPICS}");
            Ok(())
        })
        .await?;
        let live = scene.broker.describe(&format!("{}t", scene.prefix)).await?;
        let live: BTreeMap<String, String> = live.into_iter().map(|(name, topic)| (name, topic.id)).collect();
        ensure!(live.len() == TOPICS, "Kafka has {} topics", live.len());
        ensure!(live == first, "an id changed: a topic was created twice");
        scene.broker.clear(&scene.prefix).await
    })
    .await
}

#[tokio::test]
async fn an_operator_killed_on_the_way_finishes_the_move() -> Result<()> {
    let (_mortal, _shared) = (operator::mortal().await, spare::shared().await);
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

#[tokio::test]
async fn producers_come_back_though_the_operator_that_sent_them_away_is_dead() -> Result<()> {
    let _mortal = operator::mortal().await;
    scene("quiescing", async |scene| {
        let waits = async || {
            throughout("the purge's wait", Duration::from_secs(3), async || {
                let purge = scene.get(Kind::Purge, "quiet").await?;
                let ended = &purge.data["status"]["completionTime"];
                ensure!(ended.is_null(), "{}", purge.data["status"]);
                Ok(())
            })
            .await
        };
        quiescing::story(scene, async || {
            waits().await?;
            operator::kill(&scene.live).await?;
            waits().await
        })
        .await
    })
    .await
}
