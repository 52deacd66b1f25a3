//! What keeps a purge from removing anything: each guard with the purge that passes it.

use std::time::Duration;

use ottla_crds::KafkaTopicPurge;
use ottla_kafka::admin::TopicPartition;
use ottla_kafka::error::ErrorCode;
use ottla_kafka::fake::{Call, FakeGroup, Fault};
use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{PURGES, World, name_of};

#[rstest]
#[case::other_id(json!({"guards": {"topicId": "AAAAAAAAAAAAAAAAAAAAAA"}}), "TopicIdMismatch")]
#[case::too_many_records(json!({"guards": {"maxRecords": 9}}), "MaxRecordsExceeded")]
#[case::too_late(json!({"guards": {"notAfter": "2026-01-01T11:00:00Z"}}), "NotAfterPassed")]
#[case::no_such_partition(json!({"partitions": [0, 7]}), "PartitionNotFound")]
#[case::beyond_the_end(
    json!({"cut": {"type": "BeforeOffsets", "beforeOffsets": [{"partition": 0, "offset": 11}]}}),
    "OffsetOutOfRange"
)]
#[case::not_confirmed(json!({"method": "Recreate", "confirm": "order"}), "NotConfirmed")]
#[case::past_its_deadline(json!({"activeDeadlineSeconds": 5}), "DeadlineExceeded")]
#[case::nonsense(json!({"cut": {"type": "OlderThan", "olderThan": "soon"}}), "InvalidSpec")]
#[tokio::test(start_paused = true)]
async fn a_refused_purge_ends_and_removes_nothing(#[case] mut spec: Value, #[case] reason: &str) {
    let world = World::with_orders(1, &[10]).await;
    if spec["cut"].is_null() {
        spec["cut"] = json!({"type": "All"});
    }
    let changes = world.kafka.changes();
    world.purge("refused", spec);
    world.settle().await;
    assert_eq!(world.state("refused"), reason, "{}", world.message("refused"));
    assert_eq!(world.condition("refused", "Failed"), "True");
    assert_eq!(
        (world.spans("orders"), world.kafka.changes()),
        (vec![(0, 10)], changes)
    );
    assert!(world.api.events().contains(&reason.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn guards_that_hold_let_the_purge_through() {
    let world = World::with_orders(1, &[10]).await;
    let id = world.live("orders").unwrap().id.to_string();
    let guards = json!({"topicId": id, "maxRecords": 10, "notAfter": "2026-01-01T13:00:00Z"});
    world.purge(
        "allowed",
        json!({"cut": {"type": "All"}, "guards": guards, "activeDeadlineSeconds": 86_400}),
    );
    world.settle().await;
    assert_eq!(world.state("allowed"), "Complete");
    assert_eq!(world.spans("orders"), [(10, 10)]);
}

fn group(active: bool, committed: i64) -> FakeGroup {
    let at = TopicPartition {
        topic: name_of("orders"),
        partition: 0.into(),
    };
    FakeGroup {
        active,
        committed: [(at, committed)].into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_has_not_read_what_is_to_go_is_waited_for() {
    let world = World::with_orders(1, &[10]).await;
    world.kafka.set_group("billing", group(true, 6));
    world.purge("careful", json!({"cut": {"type": "All"}}));
    world.settle().await;
    assert_eq!(world.state("careful"), "WaitingForConsumers");
    assert!(
        world.message("careful").contains("billing has not read 4"),
        "{}",
        world.message("careful")
    );
    assert_eq!(world.spans("orders"), [(0, 10)]);
    // It reads on, while more is written: what was planned is what is waited for.
    world.append("orders", 0, 50, 1_000);
    world.kafka.set_group("billing", group(true, 10));
    world.settle().await;
    assert_eq!(world.state("careful"), "Complete");
    assert_eq!(world.spans("orders"), [(10, 60)]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_reads_on_does_not_have_the_status_rewritten_at_every_look() {
    let world = World::with_orders(1, &[100]).await;
    world.kafka.set_group("billing", group(true, 0));
    world.purge("careful", json!({"cut": {"type": "All"}}));
    world.settle().await;
    let unread =
        || world.api.get(PURGES, "careful").unwrap()["status"]["consumerGroups"][0]["unread"].clone();
    assert_eq!(
        (world.state("careful").as_str(), unread()),
        ("WaitingForConsumers", json!(100))
    );
    let before = world.api.writes().len();
    for read in 1..=7 {
        tokio::time::advance(Duration::from_secs(2)).await;
        world.kafka.set_group("billing", group(true, read));
        world.pass().await;
    }
    assert_eq!(
        (world.api.writes().len(), unread()),
        (before, json!(100)),
        "figures wait"
    );
    tokio::time::advance(Duration::from_secs(2)).await;
    world.pass().await;
    assert_eq!(
        (world.api.writes().len(), unread()),
        (before + 1, json!(93)),
        "and are told in time"
    );
    // Another reason is told at once.
    world.kafka.set_group("billing", group(true, 100));
    world.settle().await;
    assert_eq!(world.state("careful"), "Complete");
}

#[tokio::test(start_paused = true)]
async fn inactive_waits_for_members_and_ignore_for_nobody() {
    let world = World::with_orders(1, &[10]).await;
    world.kafka.set_group("billing", group(true, 10));
    world.purge(
        "inactive",
        json!({"cut": {"type": "All"}, "guards": {"consumerGroups": "Inactive"}}),
    );
    world.settle().await;
    assert_eq!(world.state("inactive"), "WaitingForConsumers");
    world.kafka.set_group("billing", group(false, 3));
    world.settle().await;
    assert_eq!(world.state("inactive"), "Complete");

    let world = World::with_orders(1, &[10]).await;
    world.kafka.set_group("billing", group(true, 0));
    world.purge(
        "blunt",
        json!({"cut": {"type": "All"}, "guards": {"consumerGroups": "Ignore"}}),
    );
    world.settle().await;
    assert_eq!(world.state("blunt"), "Complete");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_seen_is_not_taken_for_caught_up() {
    let world = World::with_orders(1, &[10]).await;
    for _ in 0..3 {
        world.kafka.inject(
            Call::ConsumerGroups,
            Fault::Refuse(ErrorCode::GROUP_AUTHORIZATION_FAILED),
        );
    }
    world.purge("blind", json!({"cut": {"type": "All"}}));
    world.pass().await;
    assert_eq!(world.spans("orders"), [(0, 10)]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_put_in_the_place_of_the_planned_one_is_not_touched() {
    let world = World::with_orders(1, &[10]).await;
    world.purge("late", json!({"cut": {"type": "All"}, "suspend": true}));
    world.settle().await;
    world.kafka.put_topic(name_of("orders"), 1, 1, [].into());
    world.append("orders", 0, 20, 1_000);
    world.purge("late", json!({"cut": {"type": "All"}, "suspend": false}));
    world.settle().await;
    assert_eq!(world.state("late"), "TopicReplaced");
    assert_eq!(world.spans("orders"), [(0, 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_named_and_the_purge_goes_on_once_it_is_granted() {
    let world = World::with_orders(2, &[10, 10]).await;
    for _ in 0..3 {
        world.kafka.inject(
            Call::DeleteRecords,
            Fault::Refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
        );
    }
    world.purge("denied", json!({"cut": {"type": "All"}}));
    world.pass().await;
    assert_eq!(world.state("denied"), "NotAuthorized");
    let status = world.api.get(PURGES, "denied").unwrap()["status"].clone();
    assert_eq!(status["failures"][0]["error"], "TOPIC_AUTHORIZATION_FAILED");
    assert!(
        status["failures"][0]["message"]
            .as_str()
            .unwrap()
            .contains("Delete")
    );
    world.append("orders", 0, 5, 1_000);
    world.pass().await;
    world.pass().await;
    world.settle().await;
    assert_eq!(world.state("denied"), "Complete");
    assert_eq!(
        world.spans("orders"),
        [(10, 15), (10, 10)],
        "as planned, not as found"
    );
    let status = world.api.get(PURGES, "denied").unwrap()["status"].clone();
    assert_eq!(status["failures"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn a_topic_of_another_object_is_not_purged() {
    let world = World::with_orders(1, &[10]).await;
    world.topic("thief", json!({"topicName": "orders"}));
    world.settle().await;
    world.purge(
        "stolen",
        json!({"topicRef": {"name": "thief"}, "cut": {"type": "All"}}),
    );
    world.settle().await;
    assert_eq!(world.state("stolen"), "TopicOwnedByOther");
    assert_eq!(world.spans("orders"), [(0, 10)]);
}

#[tokio::test(start_paused = true)]
async fn many_topics_to_be_deleted_by_purges_wait_for_a_person_and_records_do_not() {
    let world = World::with_orders(1, &[10]).await;
    world.destruction_limit(1);
    world.topic("bills", json!({"partitions": 1}));
    world.settle().await;
    let before = world.kafka.topics();
    let recreate = |topic: &str| json!({"topicRef": {"name": topic}, "method": "Recreate", "confirm": topic, "cut": {"type": "All"}});
    world.purge("a", recreate("orders"));
    world.purge("b", recreate("bills"));
    world.settle().await;
    for name in ["a", "b"] {
        assert_eq!(world.state(name), "DestructionHold", "{}", world.message(name));
    }
    assert_eq!(world.kafka.topics(), before, "not one is gone");
    let world = world.restarted();
    world.settle().await;
    assert_eq!(world.kafka.topics(), before, "nor after a restart");
    // One that is taken back leaves few enough.
    world.api.delete(PURGES, "b");
    world.settle().await;
    assert_eq!(world.state("a"), "Complete", "{}", world.message("a"));
    assert_eq!(world.live("bills"), before.get(&name_of("bills")).cloned());

    let world = World::with_orders(1, &[10]).await;
    world.destruction_limit(0);
    world.purge("records", json!({"cut": {"type": "All"}}));
    world.settle().await;
    assert_eq!(world.state("records"), "Complete");
}

#[test]
fn a_step_of_another_release_is_none_of_ours() {
    let purge = |step: &str| {
        json!({
            "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaTopicPurge", "metadata": {"name": "p", "namespace": "kafka"},
            "spec": {"topicRef": {"name": "orders"}, "cut": {"type": "All"}}, "status": {"step": step},
        })
    };
    let read = |step| serde_json::from_value::<KafkaTopicPurge>(purge(step));
    assert!(read("Clearing").is_ok());
    // Such an object is set aside as one that cannot be read, and nothing goes.
    assert!(read("Shredding").is_err());
}
