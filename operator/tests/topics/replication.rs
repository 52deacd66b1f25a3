//! Changes of the replication factor: progress, refusals, taking back, moves of somebody else, a crash after every
//! write.

use ottla_kafka::error::ErrorCode;
use ottla_kafka::fake::{Call, Fault};
use ottla_operator::runtime::{Action, Key};
use ottla_operator::topic::sweep::sweep;
use serde_json::{Value, json};

use crate::world::{TOPICS, World, name_of};

/// A world whose topic `orders` has this many partitions with one replica.
async fn with_topic(partitions: i32) -> World {
    let world = World::new();
    world.topic(
        "orders",
        json!({"partitions": partitions, "replicationFactor": 1}),
    );
    world.settle().await;
    world
}

fn ask(world: &World, partitions: i32, factor: i32) {
    world.topic(
        "orders",
        json!({"partitions": partitions, "replicationFactor": factor}),
    );
}

fn progress(world: &World) -> Value {
    let mut status = world.api.get(TOPICS, "orders").unwrap()["status"].take();
    let mut moving = status["reassignment"].take();
    if let Some(moving) = moving.as_object_mut() {
        assert!(moving.remove("startedAt").is_some());
    }
    moving
}

/// Replicas of every partition, by broker.
fn held(world: &World) -> Vec<Vec<i32>> {
    let replicas = world.live("orders").unwrap().replicas;
    let ids = |one: &ottla_kafka::fake::FakeReplicas| one.replicas.iter().map(|id| id.get()).collect();
    replicas.iter().map(ids).collect()
}

/// Passes until the moves are over.
async fn finish(world: &World) {
    for _ in 0..20 {
        world.settle().await;
        world.kafka.catch_up(1);
    }
}

#[tokio::test(start_paused = true)]
async fn more_replicas_come_with_progress_and_then_there_is_rest() {
    let world = with_topic(3).await;
    world.kafka.set_racks(&["west", "west", "east"]);
    ask(&world, 3, 2);
    let actions = world.pass().await;
    assert!(
        actions.iter().any(|action| matches!(action, Action::After(_))),
        "{actions:?}"
    );
    world.settle().await;
    assert_eq!(world.ready("orders"), ("False".into(), "Reassigning".into()));
    let told = |done: i32| json!({"replicationFactor": 2, "partitionsDone": done, "partitionsTotal": 3});
    assert_eq!(progress(&world), told(0));
    let object = world.api.get(TOPICS, "orders").unwrap();
    assert_eq!(object["status"]["replicationFactor"], 1, "not yet more than one");

    let writes = world.api.writes().len();
    world.pass().await;
    world.pass().await;
    assert_eq!(world.api.writes().len(), writes, "no progress, no write");
    world.kafka.catch_up(2);
    world.settle().await;
    assert_eq!(progress(&world), told(2));
    world.kafka.catch_up(1);
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    assert_eq!(
        (progress(&world), held(&world)),
        (Value::Null, vec![vec![0, 2], vec![1, 2], vec![2, 0]])
    );
    assert_eq!(world.api.events(), ["ReplicasMoved"]);
    assert_eq!(world.kafka.calls()[&Call::AlterReassignments], 1);

    let rest = (
        world.api.writes(),
        world.kafka.calls().get(&Call::ListReassignments).copied(),
    );
    world.pass().await;
    assert_eq!(sweep(&world.ctx, &Key::new("kafka", "kafka")).await, 0);
    world.restarted().settle().await;
    assert_eq!(
        rest,
        (
            world.api.writes(),
            world.kafka.calls().get(&Call::ListReassignments).copied()
        ),
        "at rest nobody asks for moves"
    );
}

#[tokio::test(start_paused = true)]
async fn fewer_replicas_are_fewer_at_once() {
    let world = with_topic(2).await;
    ask(&world, 2, 3);
    finish(&world).await;
    ask(&world, 2, 2);
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    assert!(held(&world).iter().all(|replicas| replicas.len() == 2));
    assert_eq!(held(&world)[1][0], 1, "the leader stays");
}

#[tokio::test(start_paused = true)]
async fn changing_the_spec_back_takes_the_moves_back() {
    let world = with_topic(3).await;
    let before = held(&world);
    ask(&world, 3, 3);
    world.settle().await;
    world.kafka.catch_up(1);
    world.settle().await;
    ask(&world, 3, 1);
    world.settle().await;
    assert_eq!(
        (world.ready("orders").1.as_str(), held(&world)),
        ("Ready", before)
    );
    assert_eq!(progress(&world), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_and_the_rest_applies() {
    let world = with_topic(1).await;
    world.topic(
        "orders",
        json!({"partitions": 2, "replicationFactor": 3, "config": {"min.insync.replicas": 2}}),
    );
    world.pass().await;
    assert!(
        !world
            .live("orders")
            .unwrap()
            .config
            .contains_key("min.insync.replicas"),
        "one replica cannot serve two in sync"
    );
    finish(&world).await;
    assert_eq!(world.live("orders").unwrap().config["min.insync.replicas"], "2");
    assert_eq!(
        (world.ready("orders").1.as_str(), held(&world).len()),
        ("Ready", 2)
    );
    assert!(
        held(&world).iter().all(|replicas| replicas.len() == 3),
        "new partitions too"
    );

    world.topic(
        "orders",
        json!({"partitions": 3, "replicationFactor": 1, "unmanagedConfig": ["min.insync.replicas"]}),
    );
    world.settle().await;
    assert_eq!(
        world.ready("orders"),
        ("False".into(), "ReplicationFactorChangeRefused".into())
    );
    assert!(
        world
            .message("orders")
            .contains("set replicationFactor to 2 or more"),
        "{}",
        world.message("orders")
    );
    assert_eq!(held(&world).len(), 3, "the rest of the spec applies");
    assert!(held(&world).iter().all(|replicas| replicas.len() == 3));
    assert_eq!(
        sweep(&world.ctx, &Key::new("kafka", "kafka")).await,
        0,
        "a refusal is no drift"
    );

    ask(&world, 3, 4);
    let actions = world.pass().await;
    assert_eq!(world.ready("orders").1, "InvalidReplicationFactor");
    assert!(
        actions.iter().any(|action| matches!(action, Action::Retry(_))),
        "{actions:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn moves_of_somebody_else_are_respected() {
    let world = with_topic(2).await;
    world.kafka.move_replicas(&name_of("orders"), 0, &[2]);
    ask(&world, 2, 2);
    let actions = world.pass().await;
    assert_eq!(
        world.ready("orders"),
        ("False".into(), "ReplicasMovedByOther".into())
    );
    assert!(actions.iter().any(|action| matches!(action, Action::After(_))));
    assert_eq!(world.kafka.calls().get(&Call::AlterReassignments), None);
    world.kafka.catch_up(1);
    finish(&world).await;
    assert_eq!(world.ready("orders").1, "Ready");
    assert_eq!(held(&world)[0][0], 2, "where somebody else put it, it stays");
    assert!(held(&world).iter().all(|replicas| replicas.len() == 2));
}

#[tokio::test(start_paused = true)]
async fn replicas_changed_behind_our_back_are_found_by_the_sweep() {
    let world = with_topic(2).await;
    world.kafka.move_replicas(&name_of("orders"), 1, &[1, 2]);
    world.kafka.catch_up(1);
    assert_eq!(sweep(&world.ctx, &Key::new("kafka", "kafka")).await, 1);
    world.settle().await;
    assert_eq!(
        (held(&world)[1].len(), world.ready("orders").1.as_str()),
        (1, "Ready")
    );
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_lost_moves_nothing() {
    let world = with_topic(3).await;
    ask(&world, 3, 2);
    finish(&world).await;
    let before = held(&world);
    world.kafka.lose_broker(1.into());
    world.settle().await;
    assert_eq!(sweep(&world.ctx, &Key::new("kafka", "kafka")).await, 0);
    assert_eq!(held(&world), before);
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_write_or_a_lost_reply_changes_nothing_in_the_end() {
    let steps: [(i32, i32); 4] = [(2, 3), (4, 3), (4, 1), (4, 2)];
    let reference = {
        let world = with_topic(2).await;
        for (partitions, factor) in steps {
            ask(&world, partitions, factor);
            finish(&world).await;
        }
        world
    };
    assert_eq!(reference.ready("orders").1, "Ready");
    let faults = [
        None,
        Some(Fault::DropReply),
        Some(Fault::DropRequest),
        Some(Fault::Refuse(ErrorCode::NOT_CONTROLLER)),
    ];
    for (crashing, fault) in (0..steps.len()).flat_map(|step| faults.iter().map(move |fault| (step, fault))) {
        for writes in 0..4 {
            let mut world = with_topic(2).await;
            for (index, (partitions, factor)) in steps.into_iter().enumerate() {
                ask(&world, partitions, factor);
                if index == crashing {
                    if let Some(fault) = fault {
                        world.kafka.inject(Call::AlterReassignments, fault.clone());
                    }
                    world.api.die_after(Some(writes));
                    world.pass().await;
                    world.kafka.catch_up(1);
                    world.pass().await;
                    world.api.die_after(None);
                    world = world.restarted();
                }
                finish(&world).await;
            }
            let scene = format!("{fault:?}, crash after {writes} writes in step {crashing}");
            assert_eq!(world.ready("orders").1, "Ready", "{scene}");
            assert_eq!(progress(&world), Value::Null, "{scene}");
            let counts = |world: &World| held(world).iter().map(Vec::len).collect::<Vec<_>>();
            assert_eq!(counts(&world), counts(&reference), "{scene}");
        }
    }
}
