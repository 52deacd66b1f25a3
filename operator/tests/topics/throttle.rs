//! Replicas moved under a KafkaCluster's throttle: set before the first move, taken off after the last, whatever comes
//! between; what somebody else throttles is left alone.

use std::collections::BTreeMap;

use ottla_crds::CLUSTER_FINALIZER;
use ottla_kafka::error::ErrorCode;
use ottla_kafka::fake::{Call, Fault};
use ottla_kafka::types::BrokerId;
use serde_json::{Value, json};

use crate::world::{CLUSTERS, TOPICS, World, name_of};

const RATES: [&str; 2] = [
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
];
const REPLICAS: [&str; 2] = [
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
];

fn throttle(world: &World, rate: Option<&str>) {
    let mut spec = json!({"bootstrapServers": ["kafka:9092"]});
    if let Some(rate) = rate {
        spec["replicationThrottle"] = json!(rate);
    }
    world.cluster(spec);
}

fn ask(world: &World, factor: i32) {
    world.topic("orders", json!({"partitions": 2, "replicationFactor": factor}));
}

/// A world with a throttle, whose topic has two partitions of one replica.
async fn scene() -> World {
    let world = World::new();
    throttle(&world, Some("5Ki"));
    ask(&world, 1);
    world.settle().await;
    world
}

/// What is set on brokers, by id.
fn rates(world: &World) -> BTreeMap<i32, Vec<String>> {
    let all = world.kafka.broker_config().into_iter();
    all.map(|(id, set)| {
        (
            id.get(),
            set.into_iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect(),
        )
    })
    .collect()
}

fn on_all(rate: &str) -> BTreeMap<i32, Vec<String>> {
    (0..3)
        .map(|id| (id, RATES.map(|key| format!("{key}={rate}")).to_vec()))
        .collect()
}

/// What is throttled on the topic: who receives, who sends.
fn replicas(world: &World) -> Vec<String> {
    let config = world.live("orders").unwrap().config;
    REPLICAS
        .iter()
        .filter_map(|key| config.get(*key).cloned())
        .collect()
}

fn under_way(world: &World) -> bool {
    let held = world.live("orders").unwrap().replicas;
    held.iter().any(|one| !one.adding.is_empty())
}

/// Passes until a move is under way.
async fn begin(world: &World, factor: i32) {
    ask(world, factor);
    for _ in 0..6 {
        world.pass().await;
        assert!(
            !under_way(world) || (rates(world) == on_all("5120") && replicas(world).len() == 2),
            "nothing moves before it is throttled: {:?}",
            replicas(world)
        );
    }
    assert!(under_way(world));
}

async fn finish(world: &World) {
    for _ in 0..5 {
        world.settle().await;
        world.kafka.catch_up(1);
    }
    world.settle().await;
}

/// Nothing of ours is left in either world.
fn is_clean(world: &World, scene: &str) {
    assert_eq!(
        (rates(world), replicas(world)),
        (BTreeMap::new(), vec![]),
        "{scene}"
    );
    let cluster = world.api.get(CLUSTERS, "kafka").unwrap();
    assert_eq!(cluster["status"]["replicationThrottle"], Value::Null, "{scene}");
    assert_eq!(
        cluster["metadata"]["finalizers"].as_array().map_or(0, Vec::len),
        0,
        "{scene}"
    );
    let topic = world.api.get(TOPICS, "orders").unwrap();
    assert_eq!(topic["status"]["reassignment"], Value::Null, "{scene}");
    assert_eq!(
        topic["metadata"]["finalizers"].as_array().map_or(0, Vec::len),
        0,
        "{scene}"
    );
}

#[tokio::test(start_paused = true)]
async fn moves_are_throttled_from_before_the_first_until_after_the_last() {
    let world = scene().await;
    assert_eq!(
        world.kafka.calls().get(&Call::AlterBrokerConfigs),
        None,
        "no move, no throttle"
    );
    begin(&world, 2).await;
    let cluster = world.api.get(CLUSTERS, "kafka").unwrap();
    assert_eq!(
        cluster["status"]["replicationThrottle"],
        json!({"bytesPerSecond": 5120, "brokers": [0, 1, 2]})
    );
    assert_eq!(cluster["metadata"]["finalizers"], json!([CLUSTER_FINALIZER]));
    assert_eq!(replicas(&world), ["0:2,1:0", "0:0,1:1"]);
    world.kafka.catch_up(1);
    world.settle().await;
    assert_eq!(rates(&world), on_all("5120"), "one of two is done");
    finish(&world).await;
    assert_eq!(world.ready("orders").1, "Ready");
    is_clean(&world, "after the last");
    let rest = (world.api.writes().len(), world.kafka.changes());
    let looks = world.kafka.calls().get(&Call::DescribeBrokerConfigs).copied();
    world.pass().await;
    world.restarted().settle().await;
    assert_eq!(rest, (world.api.writes().len(), world.kafka.changes()));
    assert_eq!(
        looks,
        world.kafka.calls().get(&Call::DescribeBrokerConfigs).copied(),
        "at rest nobody asks"
    );
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_throttles_is_left_alone() {
    let world = scene().await;
    world
        .kafka
        .set_broker_config(BrokerId::from(1), RATES[0], Some("77"));
    world
        .kafka
        .set_config(&name_of("orders"), REPLICAS[0], Some("0:1"));
    ask(&world, 2);
    world.settle().await;
    assert_eq!(
        world.ready("orders"),
        ("False".into(), "ReplicationThrottledByOther".into())
    );
    assert!(!under_way(&world));
    assert_eq!(replicas(&world), ["0:1"]);

    // Theirs on the topic ends, theirs on the broker does not.
    world.kafka.set_config(&name_of("orders"), REPLICAS[0], None);
    finish(&world).await;
    assert_eq!(world.ready("orders").1, "Ready");
    let theirs = BTreeMap::from([(1, vec![format!("{}=77", RATES[0])])]);
    assert_eq!((rates(&world), replicas(&world)), (theirs, vec![]));

    // Somebody takes ours over while it stands.
    world.kafka.set_broker_config(BrokerId::from(1), RATES[0], None);
    begin(&world, 3).await;
    world
        .kafka
        .set_broker_config(BrokerId::from(0), RATES[0], Some("88"));
    world
        .kafka
        .set_config(&name_of("orders"), REPLICAS[1], Some("0:7"));
    finish(&world).await;
    let theirs = BTreeMap::from([(0, vec![format!("{}=88", RATES[0])])]);
    assert_eq!(
        (rates(&world), replicas(&world)),
        (theirs, vec!["0:7".to_owned()]),
        "ours beside it is gone"
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_taken_off_whatever_is_changed_or_deleted_meanwhile() {
    for change in [
        "rate",
        "no rate",
        "back",
        "no factor",
        "suspended",
        "topic deleted",
        "cluster deleted",
    ] {
        let world = scene().await;
        begin(&world, 3).await;
        match change {
            "rate" => {
                throttle(&world, Some("6Ki"));
                world.settle().await;
                assert_eq!(rates(&world), on_all("6144"));
            }
            "no rate" => {
                throttle(&world, None);
                world.settle().await;
                assert!(under_way(&world), "the moves go on");
                assert_eq!((rates(&world), replicas(&world)), (BTreeMap::new(), vec![]));
            }
            "back" => ask(&world, 1),
            "no factor" => {
                world.topic("orders", json!({"partitions": 2}));
                world.settle().await;
                assert_eq!(rates(&world), on_all("5120"), "what moves stays throttled");
            }
            "suspended" => {
                world.topic(
                    "orders",
                    json!({"partitions": 2, "replicationFactor": 3, "suspend": true}),
                );
                world.settle().await;
                ask(&world, 3);
            }
            "topic deleted" => {
                world.api.delete(TOPICS, "orders");
                world.settle().await;
                assert!(world.api.get(TOPICS, "orders").is_none());
                world.topic("orders", json!({}));
            }
            _ => {
                world.api.delete(CLUSTERS, "kafka");
                finish(&world).await;
                assert!(world.api.get(CLUSTERS, "kafka").is_none());
                assert_eq!((rates(&world), replicas(&world)), (BTreeMap::new(), vec![]));
                continue;
            }
        }
        finish(&world).await;
        is_clean(&world, change);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_at_the_end_is_told_when_it_is_back() {
    let world = scene().await;
    begin(&world, 2).await;
    world.kafka.inject(
        Call::AlterBrokerConfigs,
        Fault::Refuse(ErrorCode::BROKER_NOT_AVAILABLE),
    );
    world.kafka.catch_up(2);
    world.pass().await;
    world.pass().await;
    assert_eq!(rates(&world), on_all("5120"), "nobody could be told");
    finish(&world).await;
    is_clean(&world, "told again");
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_or_a_lost_reply_leaves_no_throttle() {
    let faults = [
        None,
        Some((Call::AlterConfigs, Fault::DropReply)),
        Some((Call::AlterConfigs, Fault::DropRequest)),
        Some((Call::AlterBrokerConfigs, Fault::DropReply)),
        Some((Call::AlterBrokerConfigs, Fault::DropRequest)),
        Some((Call::AlterReassignments, Fault::DropReply)),
    ];
    for fault in &faults {
        for (writes, at) in (0..3).flat_map(|writes| (0..6).step_by(2).map(move |at| (writes, at))) {
            let mut world = scene().await;
            ask(&world, 3);
            for pass in 0..12 {
                if pass == at {
                    if let Some((call, fault)) = fault {
                        world.kafka.inject(*call, fault.clone());
                    }
                    world.api.die_after(Some(writes));
                    world.pass().await;
                    world.api.die_after(None);
                    world = world.restarted();
                }
                world.pass().await;
                assert!(
                    !under_way(&world) || replicas(&world).len() == 2,
                    "{fault:?}, {writes} writes in pass {at}: unthrottled"
                );
                if pass % 3 == 2 {
                    world.kafka.catch_up(1);
                }
            }
            finish(&world).await;
            let scene = format!("{fault:?}, crash after {writes} writes in pass {at}");
            assert_eq!(world.ready("orders").1, "Ready", "{scene}");
            assert!(
                world
                    .live("orders")
                    .unwrap()
                    .replicas
                    .iter()
                    .all(|one| one.replicas.len() == 3),
                "{scene}"
            );
            is_clean(&world, &scene);
        }
    }
}
