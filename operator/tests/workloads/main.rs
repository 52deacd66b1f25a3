//! KafkaProducer and KafkaConsumer against a small Kubernetes API: what the world looks like in the end, also when the
//! operator dies after any write.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]
#![allow(clippy::needless_pass_by_value, reason = "scenes are written as literals")]

mod api;
mod world;

use ottla_contract::ids::{Incarnation, RunId, Share};
use ottla_contract::report::{
    Closing, ConsumerReport, ConsumerState, Counters, Evidence, EvidenceKind, PartitionSnapshot, Process,
    ProducerReport, ProducerState, SentIncarnation, SentStream, StreamSnapshot,
};
use ottla_contract::summary::Report;
use serde_json::json;

use crate::world::World;

const PRODUCER: &str = "load-producer";
const CONSUMER: &str = "load-consumer";

fn run(world: &World) -> RunId {
    RunId {
        uid: world.uid().parse().unwrap(),
        run: 1,
    }
}

/// One process that sent 10 records to one partition.
fn sent(world: &World, incarnation: u64, closed: bool) -> Report {
    Report::Producer(ProducerReport {
        process: Process {
            pod: String::new(),
            start: Incarnation(incarnation),
        },
        run: run(world),
        share: Share { index: 0, of: 1 },
        state: if closed {
            ProducerState::Done
        } else {
            ProducerState::Running
        },
        sent: 10,
        acked: 10,
        incarnations: vec![SentIncarnation {
            id: Incarnation(incarnation),
            closed,
            share_done: closed,
            streams: vec![SentStream {
                partition: 0,
                last_sequence: 9,
                closed_at: None,
            }],
        }],
        ..ProducerReport::default()
    })
}

fn stream(world: &World, incarnation: u64, closed: bool) -> StreamSnapshot {
    StreamSnapshot {
        run: run(world),
        incarnation: Incarnation(incarnation),
        share: Share { index: 0, of: 1 },
        next: 10,
        pending: 0,
        closing: closed.then_some(Closing {
            share_done: true,
            streams: 1,
        }),
    }
}

/// What a consumer read of these streams.
fn read(counters: Counters, streams: Vec<StreamSnapshot>, evidence: Vec<Evidence>) -> Report {
    Report::Consumer(ConsumerReport {
        process: Process {
            pod: String::new(),
            start: Incarnation(99),
        },
        state: ConsumerState::Complete,
        members: 1,
        partition_count: 1,
        delivered: counters.received,
        received: counters.received,
        partitions: vec![PartitionSnapshot {
            position: 11,
            counters,
            streams,
            evidence,
            complete: true,
            ..PartitionSnapshot::default()
        }],
        ..ConsumerReport::default()
    })
}

fn counted(received: u64, lost: u64) -> Counters {
    Counters {
        received,
        lost,
        ..Counters::default()
    }
}

fn declared(ttl: i64) -> World {
    let world = World::new();
    world.producer(json!({"stopAfter": {"records": 10}, "ttlSecondsAfterFinished": ttl}));
    world.consumer(json!({"stopAfter": {"complete": true}, "ttlSecondsAfterFinished": ttl}));
    world
}

fn reasons(world: &World) -> [String; 3] {
    let reason = |plural, type_| {
        world
            .condition(plural, type_)
            .map(|(_, reason)| reason)
            .unwrap_or_default()
    };
    [
        reason("kafkaproducers", "Ready"),
        reason("kafkaconsumers", "Ready"),
        reason("kafkaconsumers", "Verified"),
    ]
}

/// Both runs end, and the consumer has read what `report` says.
fn finish(world: &World, report: Report) {
    world.pod_ended(PRODUCER, 0, 0, Some(sent(world, 1, true)));
    world.job_ended(PRODUCER, "Complete");
    world.pod_ended(CONSUMER, 0, 0, Some(report));
    world.job_ended(CONSUMER, "Complete");
}

#[tokio::test]
async fn a_run_goes_from_waiting_to_pass_and_then_rests() {
    let world = declared(60);
    world.settle().await;
    assert_eq!(reasons(&world)[..2], ["TopicNotReady", "TopicNotReady"]);
    assert!(world.api.list("jobs").is_empty());

    world.topic("True");
    world.settle().await;
    assert_eq!(reasons(&world), ["Pending", "Pending", "NoEvidence"]);
    let job = world.api.get("jobs", CONSUMER).unwrap();
    assert!(
        job["spec"]["ttlSecondsAfterFinished"].is_null(),
        "results are not stored yet"
    );
    let config = world
        .api
        .list("configmaps")
        .into_iter()
        .find(|c| c.to_string().contains("Consume"))
        .unwrap();
    let config: serde_json::Value =
        serde_json::from_str(config["data"]["config.json"].as_str().unwrap()).unwrap();
    assert_eq!(
        config["workload"]["expected"],
        json!([{"uid": world.uid(), "run": 1, "shares": 1}])
    );

    finish(
        &world,
        read(counted(10, 0), vec![stream(&world, 1, true)], vec![]),
    );
    world.settle().await;
    assert_eq!(reasons(&world), ["Completed", "Completed", "Pass"]);
    assert_eq!(world.condition("kafkaconsumers", "Verified").unwrap().0, "True");
    let (producer, consumer) = (world.status("kafkaproducers"), world.status("kafkaconsumers"));
    assert_eq!(
        (&producer["sent"], &producer["acked"], &producer["failed"]),
        (&json!(10), &json!(10), &json!(0))
    );
    assert_eq!(
        (&consumer["received"], &consumer["lost"]),
        (&json!(10), &json!(0))
    );
    for job in [PRODUCER, CONSUMER] {
        assert_eq!(
            world.api.get("jobs", job).unwrap()["spec"]["ttlSecondsAfterFinished"],
            60
        );
    }
    assert_eq!(world.api.events(), ["Completed", "Completed", "Pass"]);

    // The Jobs expire and the operator restarts: nothing runs again, nothing is written.
    for (plural, name) in [("jobs", PRODUCER), ("jobs", CONSUMER)] {
        world.api.remove(plural, name);
    }
    for pod in world.api.list("pods") {
        world
            .api
            .remove("pods", pod["metadata"]["name"].as_str().unwrap());
    }
    let writes = world.api.writes().len();
    let world = world.restarted();
    world.settle().await;
    assert_eq!(world.api.writes().len(), writes);
    assert_eq!(reasons(&world), ["Completed", "Completed", "Pass"]);
}

#[tokio::test]
async fn a_lost_record_is_named() {
    let world = declared(60);
    world.topic("True");
    world.settle().await;
    let lost = Evidence {
        kind: EvidenceKind::Lost,
        partition: 0,
        sequence: Some(3),
        offset: 4,
        incarnation: Some(Incarnation(1)),
    };
    finish(
        &world,
        read(counted(9, 1), vec![stream(&world, 1, true)], vec![lost]),
    );
    world.settle().await;
    assert_eq!(reasons(&world), ["Completed", "Completed", "Lost"]);
    assert_eq!(world.condition("kafkaconsumers", "Verified").unwrap().0, "False");
    let status = world.status("kafkaconsumers");
    assert_eq!(status["lost"], 1);
    assert_eq!(status["evidence"][0]["sequence"], 3);
    assert!(world.api.events().contains(&"Lost".to_owned()));
}

#[tokio::test]
async fn a_killed_producer_is_unclosed_and_nothing_is_said_to_be_lost() {
    let world = declared(60);
    world.topic("True");
    world.settle().await;
    // The first process left no words; the consumer met it in the log. Its share was sent anew by the second.
    world.pod_ended(PRODUCER, 0, 137, None);
    finish(
        &world,
        read(
            counted(17, 0),
            vec![stream(&world, 7, false), stream(&world, 1, true)],
            vec![],
        ),
    );
    world.settle().await;
    assert_eq!(reasons(&world), ["Completed", "Completed", "UnclosedIncarnation"]);
    assert_eq!(
        world.condition("kafkaconsumers", "Verified").unwrap().0,
        "Unknown"
    );
    assert_eq!(world.status("kafkaconsumers")["lost"], 0);
}

#[tokio::test]
async fn a_consumer_without_producers_is_never_a_pass() {
    let world = World::new();
    world.topic("True");
    world.consumer(json!({"stopAfter": {"complete": true}}));
    world.settle().await;
    world.pod_ended(CONSUMER, 0, 0, Some(read(Counters::default(), vec![], vec![])));
    world.job_ended(CONSUMER, "Complete");
    world.settle().await;
    assert_eq!(reasons(&world)[2], "NoEvidence");
    assert_eq!(
        world.condition("kafkaconsumers", "Verified").unwrap().0,
        "Unknown"
    );
}

#[tokio::test]
async fn a_failed_run_says_so_in_the_pods_words() {
    let world = declared(60);
    world.topic("True");
    world.settle().await;
    let report = ConsumerReport {
        last_error: Some("the deadline passed".to_owned()),
        ..ConsumerReport::default()
    };
    world.pod_ended(CONSUMER, 0, 1, Some(Report::Consumer(report)));
    world.job_ended(CONSUMER, "Failed");
    world.settle().await;
    assert_eq!(reasons(&world)[1], "Failed");
    let status = world.status("kafkaconsumers").to_string();
    assert!(status.contains("the deadline passed"), "{status}");
}

#[tokio::test]
async fn a_job_of_somebody_else_stays_untouched() {
    let world = World::new();
    world.topic("True");
    world.producer(json!({"stopAfter": {"records": 10}}));
    let theirs = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": PRODUCER, "namespace": "kafka"}, "spec": {}
    });
    world.api.put("jobs", theirs);
    let before = world.api.get("jobs", PRODUCER);
    world.settle().await;
    assert_eq!(reasons(&world)[0], "NameTaken");
    assert_eq!(world.api.get("jobs", PRODUCER), before);
}

#[tokio::test]
async fn a_missing_secret_is_told_before_any_pod_waits_for_it() {
    let world = World::new();
    world.topic("True");
    world.producer(json!({"stopAfter": {"records": 10}}));
    let secret = world.api.get("secrets", "passwords").unwrap();
    world.api.remove("secrets", "passwords");
    world.settle().await;
    assert_eq!(reasons(&world)[0], "SecretNotFound");
    assert!(world.api.list("jobs").is_empty());
    world.api.put("secrets", secret);
    world.settle().await;
    assert_eq!(world.api.list("jobs").len(), 1);
}

#[tokio::test]
async fn verify_producers_are_waited_for() {
    let world = World::new();
    world.topic("True");
    world.consumer(json!({"stopAfter": {"complete": true}, "verify": {"producers": ["load"]}}));
    world.settle().await;
    assert_eq!(reasons(&world)[1], "ProducerNotFound");
    world.producer(json!({"stopAfter": {"records": 10}}));
    world.settle().await;
    assert_eq!(reasons(&world)[1], "Pending");
}

#[tokio::test]
async fn an_endless_producer_is_a_deployment_that_counts_its_runs() {
    let world = World::new();
    world.topic("True");
    world.producer(json!({"replicas": 2}));
    world.settle().await;
    let run = |world: &World| {
        let deployment = world.api.get("deployments", PRODUCER).unwrap();
        deployment["metadata"]["annotations"]["ottla.dev/run"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(run(&world), "1");
    world.producer(json!({"replicas": 3}));
    world.settle().await;
    assert_eq!(run(&world), "1", "more of the same pods are the same run");
    world.producer(json!({"replicas": 3, "records": {"valueBytes": 100}}));
    world.settle().await;
    assert_eq!(run(&world), "2");
    world.producer(json!({"replicas": 3, "records": {"valueBytes": 100}, "suspend": true}));
    world.settle().await;
    assert_eq!(
        world.api.get("deployments", PRODUCER).unwrap()["spec"]["replicas"],
        0
    );
    assert_eq!(reasons(&world)[0], "Suspended");
}

/// The end must not depend on when the operator died: after every single write it is killed and starts anew.
#[tokio::test]
async fn a_crash_after_any_write_changes_nothing_in_the_end() {
    let mut ends = Vec::new();
    for budget in 0..12 {
        let mut world = declared(60);
        world.topic("True");
        world.api.die_after(Some(budget));
        let crashed = until_crash(&world).await;
        world.api.die_after(None);
        world = world.restarted();
        world.settle().await;
        if world
            .api
            .get("jobs", PRODUCER)
            .is_some_and(|job| job["status"].is_null())
        {
            finish(
                &world,
                read(counted(10, 0), vec![stream(&world, 1, true)], vec![]),
            );
            world.settle().await;
        }
        let jobs = world
            .api
            .writes()
            .iter()
            .filter(|write| write.starts_with("POST jobs/"))
            .count();
        assert_eq!(
            jobs,
            2,
            "after {budget} writes (crashed: {crashed}): {:?}",
            world.api.writes()
        );
        ends.push((
            reasons(&world),
            world.status("kafkaconsumers")["received"].clone(),
        ));
    }
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(ends[0].0, ["Completed", "Completed", "Pass"]);
}

/// Lets a whole story play until a write is refused.
async fn until_crash(world: &World) -> bool {
    for step in 0..6 {
        if world.pass().await.is_err() {
            return true;
        }
        let started = world.api.get("jobs", PRODUCER).is_some() && world.api.get("jobs", CONSUMER).is_some();
        if step == 2 && started {
            finish(world, read(counted(10, 0), vec![stream(world, 1, true)], vec![]));
        }
    }
    false
}
