//! Two Kafkas, one of which falls silent: calls to it hang. The other's topics do not notice, the silent one is asked by
//! one probe instead of a thousand retries, and when it is back its topics go on.

use std::sync::Arc;
use std::time::Duration;

use ottla_kafka::config::HostPort;
use ottla_kafka::error::{ConnectCause, ConnectFailure, Stage};
use ottla_kafka::fake::{Call, FakeKafka};
use ottla_operator::cluster::Clusters;
use ottla_operator::runtime::Stop;
use ottla_operator::runtime::controller::{drive, trigger_on_change};
use ottla_operator::topic::Topics;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::world::{CLUSTERS, TOPICS, World, object, ready_of};

/// Objects on the silent cluster.
const MANY: usize = 1_000;
/// After this a call to a silent cluster is given up.
const SILENCE: Duration = Duration::from_secs(15);

fn timed_out() -> ConnectFailure {
    ConnectFailure {
        address: HostPort {
            host: "silent".to_owned(),
            port: 9092,
        },
        cause: ConnectCause::TimedOut {
            after: SILENCE,
            stage: Stage::Connect,
        },
    }
}

struct Scene {
    world: World,
    silent: Arc<FakeKafka>,
    _drivers: JoinSet<()>,
}

impl Scene {
    /// Both clusters work, and a thousand topics are at rest on the one that will fall silent.
    async fn open() -> Self {
        let silent = Arc::new(FakeKafka::with_brokers(3));
        let world = World::beside("silent", &silent);
        let spec = json!({"bootstrapServers": ["silent:9092"]});
        world
            .api
            .put(CLUSTERS, object("KafkaCluster", "kafka", "silent", spec));
        let (ctx, stores, queues) = (&world.ctx, &world.ctx.stores, &world.ctx.queues);
        trigger_on_change::<Clusters>(ctx, &stores.clusters, &queues.clusters);
        trigger_on_change::<Topics>(ctx, &stores.topics, &queues.topics);
        let (mut drivers, stop) = (JoinSet::new(), Stop::default());
        let (clusters, topics) = (stores.clusters.clone(), stores.topics.clone());
        drivers.spawn(drive(
            Arc::new(Clusters),
            ctx.clone(),
            clusters,
            queues.clusters.clone(),
            stop.clone(),
        ));
        drivers.spawn(drive(
            world.topics.clone(),
            ctx.clone(),
            topics,
            queues.topics.clone(),
            stop,
        ));
        for number in 0..MANY {
            topic(&world, &format!("held{number:03}"), "silent", 1);
        }
        topic(&world, "free", "kafka", 1);
        world.sync();
        let scene = Self {
            world,
            silent,
            _drivers: drivers,
        };
        scene.await_held("Ready", Duration::from_secs(10)).await;
        scene
    }

    /// How many topics of the silent cluster say this reason for their present generation.
    fn held(&self, reason: &str) -> usize {
        let topics = self.world.api.list(TOPICS).into_iter();
        let held = topics.filter(|topic| {
            topic["spec"]["clusterRef"]["name"] == "silent"
                && topic["status"]["observedGeneration"] == topic["metadata"]["generation"]
                && ready_of(topic).1 == reason
        });
        held.count()
    }

    async fn await_held(&self, reason: &str, within: Duration) {
        let end = Instant::now() + within;
        while self.held(reason) < MANY {
            let count = self.held(reason);
            assert!(
                Instant::now() < end,
                "{count} of {MANY} say {reason} after {within:?}"
            );
            sleep(Duration::from_secs(2)).await;
        }
    }

    /// How long the free cluster's topic takes to grow.
    async fn free_takes(&self, partitions: usize) -> Duration {
        let began = Instant::now();
        topic(&self.world, "free", "kafka", partitions);
        self.world.sync();
        while self.world.kafka.topics()[&"free".parse().unwrap()]
            .partitions
            .len()
            < partitions
        {
            assert!(
                began.elapsed() < Duration::from_secs(300),
                "the free cluster's topic starves"
            );
            sleep(Duration::from_millis(1)).await;
        }
        began.elapsed()
    }

    /// Calls to the silent cluster for the sake of its topics.
    fn asked(&self) -> u64 {
        let calls = self.silent.calls();
        let probes = [Call::DescribeCluster, Call::ProbeListeners];
        calls
            .iter()
            .filter(|(call, _)| !probes.contains(call))
            .map(|(_, count)| count)
            .sum()
    }
}

fn topic(world: &World, name: &str, cluster: &str, partitions: usize) {
    let spec = json!({"clusterRef": {"name": cluster, "namespace": "kafka"}, "partitions": partitions});
    world.api.put(TOPICS, object("KafkaTopic", "kafka", name, spec));
}

#[tokio::test(start_paused = true)]
async fn a_silent_cluster_is_asked_by_one_probe_and_slows_no_other() {
    let scene = Scene::open().await;
    let usual = scene.free_takes(2).await;

    scene.silent.set_away(Some(timed_out()));
    scene.silent.set_slow(SILENCE);
    for number in 0..MANY {
        topic(&scene.world, &format!("held{number:03}"), "silent", 2);
    }
    scene.world.sync();
    let asked = scene.asked();
    // While passes hang on the silent cluster, after its judgement, and long after.
    for partitions in 3..9 {
        let took = scene.free_takes(partitions).await;
        assert!(
            took <= usual + Duration::from_millis(5),
            "{took:?}, usually {usual:?}"
        );
        sleep(Duration::from_secs(8)).await;
    }
    scene.await_held("ClusterNotReady", Duration::from_secs(60)).await;
    let first_wave = scene.asked() - asked;
    assert!(first_wave <= 64, "{first_wave} calls hung for {MANY} topics");
    let writes = scene.world.api.writes().len();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(
        scene.asked() - asked,
        first_wave,
        "topics ask again while the cluster is away"
    );
    assert_eq!(
        scene.world.api.writes().len(),
        writes,
        "an outage is written down once"
    );

    scene.silent.set_away(None);
    scene.silent.set_slow(Duration::ZERO);
    scene.await_held("Ready", Duration::from_secs(60)).await;
    let grown = scene.silent.topics();
    assert!(grown.values().all(|topic| topic.partitions.len() == 2));
}

#[tokio::test(start_paused = true)]
async fn a_doubt_without_cause_costs_one_look_and_no_write() {
    let scene = Scene::open().await;
    let (asked, probes) = (scene.asked(), scene.silent.calls()[&Call::ProbeListeners]);
    let writes = scene.world.api.writes().len();
    scene.silent.inject(
        Call::DescribeTopics,
        ottla_kafka::fake::Fault::Unreachable(timed_out()),
    );
    topic(&scene.world, "held000", "silent", 2);
    scene.world.sync();
    scene.await_held("Ready", Duration::from_secs(5)).await;
    assert!(scene.asked() - asked <= 5, "others were asked about as well");
    assert_eq!(scene.silent.calls()[&Call::ProbeListeners] - probes, 1);
    // That one topic tells of its failure and of its success.
    assert!(scene.world.api.writes().len() - writes <= 2);
}
