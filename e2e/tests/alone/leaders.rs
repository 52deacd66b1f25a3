//! Two operators, one of which acts: whatever happens to it, the other takes over in time, nothing is done twice, and who
//! lost the Lease sends nothing more. What was done is read from Kafka, what was sent from the operators' own counters.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_e2e::metrics::sum;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::operator::Life;
use ottla_e2e::wait::{throughout, until};
use ottla_e2e::{Scene, fixtures, node, operator, scene};
use tokio::time::Instant;

const READY: (&str, &str, &str) = ("Ready", "True", "");
/// Within this another acts after a crash.
const AFTER_CRASH: Duration = Duration::from_secs(15);
/// Within this another acts after an orderly end.
const AFTER_FAREWELL: Duration = Duration::from_secs(3);
/// For how long a stopped operator that goes on is watched.
const SETTLE: Duration = Duration::from_secs(5);

/// The story's topic that is changed throughout.
const STEADY: &str = "steady";

struct Story<'a> {
    scene: &'a Scene,
    id: String,
    partitions: u32,
}

impl Story<'_> {
    /// Awaits that somebody acts on a new topic and on a change of the steady one, both within `limit` of `since`.
    async fn acts_within(&mut self, limit: Duration, since: Instant, after: &str) -> Result<()> {
        self.partitions += 1;
        let fresh = format!("after-{after}");
        let seconds = limit.as_secs() + 5;
        for (name, partitions) in [(fresh.as_str(), 1), (STEADY, self.partitions)] {
            let spec = fixtures::topic(&self.scene.topic(name), partitions);
            self.scene.apply(Kind::Topic, name, spec).await?;
        }
        for name in [fresh.as_str(), STEADY] {
            self.scene.await_says(Kind::Topic, name, READY, seconds).await?;
        }
        let took = since.elapsed();
        eprintln!("another operator acts {took:?} after {after}");
        ensure!(
            took <= limit,
            "another operator acted only {took:?} after {after}"
        );
        let steady = self.scene.broker.topic(&self.scene.topic(STEADY)).await?;
        let steady = steady.context("Kafka has the steady topic")?;
        ensure!(steady.id == self.id, "the topic was made anew after {after}");
        ensure!(steady.partitions == self.partitions, "{steady:?} after {after}");
        Ok(())
    }
}

/// Awaits that as many operators are ready as there shall be, a life that was ended not among them, and that one of them
/// leads; answers it.
async fn at_rest(scene: &Scene, replicas: u8, ended: Option<&Life>) -> Result<Life> {
    until(
        "every operator to be ready",
        Duration::from_secs(90),
        async || {
            // A pod is called ready for a moment after its process has ended.
            let mut ready = operator::pods(&scene.live).await?;
            ready.retain(|life| Some(life) != ended);
            ensure!(ready.len() >= usize::from(replicas), "{ready:?} of {replicas}");
            Ok(())
        },
    )
    .await?;
    operator::pod(&scene.live).await
}

/// What an operator sent that changes anything.
async fn sent(scene: &Scene, pod: &str) -> Result<f64> {
    let text = operator::metrics_of(&scene.live, pod).await?;
    let verbs = ["create_", "alter_", "delete_"];
    let kafka = verbs.map(|verb| {
        sum(
            &text,
            "ottla_admin_calls_total",
            &[&format!("operation=\"{verb}")],
        )
    });
    Ok(kafka.iter().sum::<f64>() + sum(&text, "ottla_status_writes_total", &[]))
}

async fn signal(scene: &Scene, pod: &str, signal: &str) -> Result<()> {
    node::signal(&scene.live, operator::NAMESPACE, pod, signal).await
}

async fn stopped_past_its_deadline(scene: &Scene, story: &mut Story<'_>, leader: &str) -> Result<()> {
    let before = sent(scene, leader).await?;
    let since = Instant::now();
    signal(scene, leader, "SIGSTOP").await?;
    let taken_over = story.acts_within(AFTER_CRASH, since, "sigstop").await;
    signal(scene, leader, "SIGCONT").await?;
    taken_over?;
    until(
        "the old leader to stand by",
        Duration::from_secs(10),
        async || {
            let text = operator::metrics_of(&scene.live, leader).await?;
            ensure!(text.contains("\nottla_leader 0\n"), "ottla_leader is not 0");
            Ok(())
        },
    )
    .await?;
    throughout("silence of the old leader", SETTLE, async || {
        let now = sent(scene, leader).await?;
        ensure!(now <= before, "it sent {} changes", now - before);
        ensure!(operator::pod(&scene.live).await?.pod != leader, "it leads again");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn another_operator_takes_over_in_time_and_the_old_one_is_silent() -> Result<()> {
    let _alone = operator::alone().await;
    scene("leaders", async |scene| {
        let replicas = operator::replicas(&scene.live).await?;
        ensure!(replicas >= 2, "the shared operator has {replicas} replicas");
        let mut leader = at_rest(scene, replicas, None).await?;
        scene.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        let spec = fixtures::topic(&scene.topic(STEADY), 1);
        scene.apply(Kind::Topic, STEADY, spec).await?;
        let steady = scene.await_says(Kind::Topic, STEADY, READY, 60).await?;
        let mut story = Story {
            scene,
            id: steady.text("/status/topicId"),
            partitions: 1,
        };
        for (how, limit, after) in [
            ("SIGKILL", AFTER_CRASH, "sigkill"),
            ("SIGTERM", AFTER_FAREWELL, "sigterm"),
        ] {
            let since = Instant::now();
            signal(scene, &leader.pod, how).await?;
            story.acts_within(limit, since, after).await?;
            leader = at_rest(scene, replicas, Some(&leader)).await?;
        }
        stopped_past_its_deadline(scene, &mut story, &leader.pod).await?;
        story
            .acts_within(AFTER_CRASH, Instant::now(), "all-of-it")
            .await?;
        scene.broker.clear(&scene.prefix).await
    })
    .await
}
