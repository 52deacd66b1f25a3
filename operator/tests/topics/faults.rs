//! What Kafka refuses, what somebody else does behind our back, and what the API server refuses.

use std::time::Duration;

use ottla_kafka::admin::{Admin, GrowTopic};
use ottla_kafka::error::ErrorCode;
use ottla_kafka::fake::{Call, Fault};
use ottla_operator::runtime::backoff::Pace;
use ottla_operator::runtime::{Action, Key, Reconciler};
use ottla_operator::topic::sweep::sweep;
use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{CLUSTERS, TOPICS, World, name_of, ready_of};

async fn swept(world: &World) -> usize {
    sweep(&world.ctx, &Key::new("kafka", "kafka")).await
}

/// The status of a condition.
fn condition(world: &World, name: &str, wanted: &str) -> String {
    let object = world.api.get(TOPICS, name).unwrap();
    let all = object["status"]["conditions"].as_array().unwrap().clone();
    let found = all.into_iter().find(|one| one["type"] == wanted);
    found.unwrap()["status"].as_str().unwrap().to_owned()
}

async fn raise_partitions(world: &World, to: i32) {
    let growth = GrowTopic {
        topic: name_of("orders"),
        partitions: to.try_into().unwrap(),
    };
    let answers = world.kafka.create_partitions(vec![growth]).await;
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
}

#[rstest]
#[case::correct("Correct")]
#[case::report("Report")]
#[tokio::test(start_paused = true)]
async fn partitions_raised_behind_our_back_are_told_and_stay(#[case] policy: &str) {
    let world = World::new();
    world.topic("orders", json!({"partitions": 2, "driftPolicy": policy}));
    world.topic("silent", json!({"driftPolicy": policy}));
    world.settle().await;
    raise_partitions(&world, 5).await;
    let changes = world.kafka.changes();
    assert_eq!(swept(&world).await, 1);
    world.settle().await;
    assert_eq!(
        world.ready("orders"),
        ("False".into(), "PartitionDecreaseRefused".into())
    );
    assert!(
        world.message("orders").contains("set partitions to 5 or more"),
        "{}",
        world.message("orders")
    );
    let status = world.api.get(TOPICS, "orders").unwrap()["status"].clone();
    assert_eq!(status["partitions"], 5);
    assert_eq!(
        status["drift"],
        json!([{"key": "partitions", "desired": "2", "live": "5"}])
    );
    assert_eq!(
        (swept(&world).await, world.kafka.changes()),
        (0, changes),
        "told once, and nothing done"
    );
    // Taken into the spec it is well; a config is changed beside it.
    world.topic("orders", json!({"partitions": 5, "driftPolicy": policy}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");

    raise_partitions(&world, 6).await;
    world.topic("orders", json!({"driftPolicy": policy}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready", "who names no number takes any");
}

#[tokio::test(start_paused = true)]
async fn where_kafka_deletes_no_topics_the_object_waits_slowly_and_says_so() {
    let world = World::new();
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.settle().await;
    world.api.delete(TOPICS, "orders");
    for _ in 0..40 {
        world.kafka.inject(
            Call::DeleteTopics,
            Fault::Refuse(ErrorCode::TOPIC_DELETION_DISABLED),
        );
    }
    world.pass().await;
    tokio::time::advance(Duration::from_secs(3)).await;
    let actions = world.pass().await;
    assert!(actions.contains(&Action::Retry(Pace::SLOW)), "{actions:?}");
    let object = world.api.get(TOPICS, "orders").unwrap();
    assert_eq!(ready_of(&object), ("False".into(), "DeletionDisabled".into()));
    assert_eq!(object["metadata"]["finalizers"].as_array().map(Vec::len), Some(1));
    assert_eq!(condition(&world, "orders", "Stalled"), "True");
    let writes = world.api.writes().len();
    let actions = world.pass().await;
    assert!(
        actions.contains(&Action::Retry(Pace::SLOW)),
        "as slowly each time: {actions:?}"
    );
    assert_eq!(world.api.writes().len(), writes, "said once");
    assert!(world.live("orders").is_some());

    // A person gives up on the topic's end; or Kafka is told to delete topics again.
    let healed = world.restarted();
    while healed.kafka.calls()[&Call::DeleteTopics] < 40 {
        healed.pass().await;
        tokio::time::advance(Duration::from_secs(300)).await;
    }
    healed.settle().await;
    assert_eq!(
        (healed.api.get(TOPICS, "orders"), healed.live("orders")),
        (None, None)
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_of_kafka_refuses_is_told_and_not_tried_hot() {
    let world = World::new();
    world.topic("orders", json!({"partitions": 3}));
    let refusals = || {
        for _ in 0..2 {
            world
                .kafka
                .inject(Call::CreateTopics, Fault::Refuse(ErrorCode::POLICY_VIOLATION));
        }
    };
    refusals();
    let actions = world.pass().await;
    assert!(actions.contains(&Action::Retry(Pace::SLOW)), "{actions:?}");
    assert_eq!(world.ready("orders"), ("False".into(), "PolicyViolation".into()));
    assert_eq!(condition(&world, "orders", "Stalled"), "True");
    let writes = world.api.writes().len();
    let actions = world.pass().await;
    assert!(actions.contains(&Action::Retry(Pace::SLOW)), "{actions:?}");
    assert_eq!((world.api.writes().len(), world.live("orders")), (writes, None));
    assert_eq!(world.kafka.calls()[&Call::CreateTopics], 2, "one call a try");
    world.topic("orders", json!({"partitions": 1}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");

    // The same for a change. Kafka judges a change as a whole, so it is not taken apart.
    world
        .kafka
        .inject(Call::AlterConfigs, Fault::Refuse(ErrorCode::POLICY_VIOLATION));
    world.topic(
        "orders",
        json!({"partitions": 1, "config": {"flush.ms": 5, "segment.ms": 6}}),
    );
    let actions = world.pass().await;
    assert!(actions.contains(&Action::Retry(Pace::SLOW)), "{actions:?}");
    assert!(world.live("orders").unwrap().config.is_empty());
    assert_eq!(world.ready("orders"), ("False".into(), "PolicyViolation".into()));
    assert_eq!(world.kafka.calls()[&Call::AlterConfigs], 1);
    world.settle().await;
    assert_eq!(
        (
            world.ready("orders").1.as_str(),
            world.live("orders").unwrap().config.len()
        ),
        ("Ready", 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_changed_there_and_back_unseen_changes_nothing() {
    let world = World::new();
    let first = json!({"partitions": 2, "config": {"segment.ms": 5}, "deletionPolicy": "Delete"});
    world.topic("orders", first.clone());
    world.settle().await;
    let (changes, before) = (world.kafka.changes(), world.live("orders"));
    // Seen of it is nothing, and more partitions were in it.
    world.topic(
        "orders",
        json!({"partitions": 9, "config": {"segment.ms": 7, "flush.ms": 1}, "deletionPolicy": "Retain"}),
    );
    world.topic("orders", first);
    world.settle().await;
    assert_eq!((world.kafka.changes(), world.live("orders")), (changes, before));
    let object = world.api.get(TOPICS, "orders").unwrap();
    assert_eq!(
        object["metadata"]["generation"], object["status"]["observedGeneration"],
        "and it is known as seen"
    );
    assert_eq!(ready_of(&object).1, "Ready");
    assert_eq!(object["metadata"]["finalizers"].as_array().map(Vec::len), Some(1));
    assert!(world.api.events().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_conflict_ends_the_pass_before_the_act_it_was_to_cover() {
    // Never: what is created must be known as ours before.
    let spec = json!({"adoptionPolicy": "Never", "deletionPolicy": "Delete", "partitions": 2});
    for conflicts in 1..6 {
        let world = World::new();
        world.settle().await;
        world.topic("orders", spec.clone());
        world.api.conflict_next(conflicts);
        for _ in 0..conflicts {
            world.pass().await;
            assert_eq!(
                world.kafka.calls().get(&Call::CreateTopics),
                None,
                "not before it is saved"
            );
        }
        world.settle().await;
        assert_eq!(world.ready("orders").1, "Ready");
        assert_eq!(
            world.kafka.calls()[&Call::CreateTopics],
            1,
            "{conflicts} conflicts, one create"
        );
        world.api.delete(TOPICS, "orders");
        world.api.conflict_next(conflicts);
        world.settle().await;
        for _ in 0..=conflicts {
            world.pass().await;
        }
        assert_eq!(
            (world.live("orders"), world.api.get(TOPICS, "orders")),
            (None, None)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_changed_since_it_was_read_is_not_saved_over() {
    let world = World::new();
    world.topic("orders", json!({"config": {"segment.ms": 5}}));
    world.settle().await;
    world.topic("orders", json!({"config": {"segment.ms": 5, "flush.ms": 6}}));
    world.sync();
    // Since it was read, a person suspended it.
    world.topic(
        "orders",
        json!({"config": {"segment.ms": 5, "flush.ms": 6}, "suspend": true}),
    );
    let changes = world.kafka.changes();
    let stale = world
        .ctx
        .stores
        .topics
        .object(&Key::new("kafka", "orders"))
        .unwrap();
    let answer = world.topics.reconcile(&world.ctx, stale).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(
        world.kafka.changes(),
        changes,
        "nothing is set for a spec that is gone"
    );
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Suspended");
}

fn with_login(world: &World) {
    world.api.put(
        "secrets",
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "login", "namespace": "kafka"}, "data": {"password": "eA=="}}),
    );
    world.cluster(json!({"bootstrapServers": ["kafka:9092"], "sasl": {
        "mechanism": "Plain", "username": "u", "passwordFrom": {"name": "login", "key": "password"}}}));
}

fn cluster_reason(world: &World) -> String {
    ready_of(&world.api.get(CLUSTERS, "kafka").unwrap()).1
}

#[tokio::test(start_paused = true)]
async fn a_right_to_read_the_secret_that_was_taken_holds_and_heals_without_a_restart() {
    let world = World::new();
    with_login(&world);
    world.topic("orders", json!({"partitions": 1}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    world.api.forbid_in("secrets", "kafka", true);
    world.topic("orders", json!({"partitions": 2}));
    let changes = world.kafka.changes();
    let actions = world.pass().await;
    assert!(
        actions.contains(&Action::Retry(Pace::PROBE)),
        "it is asked for again: {actions:?}"
    );
    world.settle().await;
    assert_eq!(
        (cluster_reason(&world).as_str(), world.ready("orders").1.as_str()),
        ("SecretForbidden", "ClusterNotReady")
    );
    assert_eq!(world.kafka.changes(), changes);
    let writes = world.api.writes().len();
    world.settle().await;
    assert_eq!(world.api.writes().len(), writes, "said once");

    world.api.forbid_in("secrets", "kafka", false);
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    assert_eq!(world.live("orders").unwrap().partitions.len(), 2);
}

#[rstest]
#[case::at_once(false)]
#[case::after_a_restart(true)]
#[tokio::test(start_paused = true)]
async fn a_namespace_whose_secret_goes_first_ends(#[case] restart: bool) {
    let mut world = World::new();
    with_login(&world);
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.settle().await;
    world.api.forbid_in("secrets", "kafka", true);
    world.settle().await;
    if restart {
        world = world.restarted();
        world.settle().await;
    }
    world.api.delete(TOPICS, "orders");
    world.settle().await;
    if restart {
        // Nobody knows the way to Kafka: the topic waits for its KafkaCluster, whose end is the namespace's doing.
        assert_eq!(world.ready("orders").1, "ClusterNotReady");
        world.api.delete(CLUSTERS, "kafka");
        world.settle().await;
        assert!(world.live("orders").is_some());
        assert_eq!(world.api.events().last().map(String::as_str), Some("TopicKept"));
    } else {
        assert_eq!(
            world.live("orders"),
            None,
            "a connection that worked is used to its end"
        );
        assert_eq!(
            world.api.events().last().map(String::as_str),
            Some("TopicDeleted")
        );
    }
    assert_eq!(world.api.get(TOPICS, "orders"), None);
}

#[tokio::test(start_paused = true)]
async fn rights_that_went_before_the_objects_destroy_nothing_twice_and_end_when_they_are_back() {
    let world = World::new();
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.settle().await;
    world.api.delete(TOPICS, "orders");
    world.sync();
    world.api.forbid_in(TOPICS, "kafka", true);
    tokio::time::advance(Duration::from_secs(3)).await;
    for _ in 0..5 {
        assert!(
            world.pass_topics().await.is_empty(),
            "an error, retried with the object's own backoff"
        );
    }
    assert!(
        world.live("orders").is_some(),
        "who cannot read the object as it is destroys nothing"
    );
    world.api.forbid_in(TOPICS, "kafka", false);
    world.settle().await;
    assert_eq!(
        (world.api.get(TOPICS, "orders"), world.live("orders")),
        (None, None)
    );
    assert_eq!(world.kafka.calls()[&Call::DeleteTopics], 1);
}

/// Whatever is said in any namespace.
fn told(world: &World, namespace: &str) -> Value {
    let all = world.api.list(TOPICS).into_iter();
    all.filter(|object| object["metadata"]["namespace"] == namespace)
        .map(|object| object["status"].clone())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_handed_over_across_namespaces_and_neither_is_told_the_others_name() {
    let world = World::new();
    world.cluster(json!({"bootstrapServers": ["kafka:9092"], "allowedNamespaces": {"from": "All"}}));
    world.topic_in(
        "tenant-x",
        "secret-plan",
        json!({"topicName": "orders", "partitions": 2, "deletionPolicy": "Delete"}),
    );
    world.topic("mine", json!({"topicName": "orders", "partitions": 2}));
    world.api.created_at_once(TOPICS);
    world.settle().await;
    let owner = |world: &World, namespace: &str, name: &str| ready_of(&world.of(namespace, name).unwrap()).1;
    let reasons = [
        owner(&world, "tenant-x", "secret-plan"),
        owner(&world, "kafka", "mine"),
    ];
    assert_eq!(
        reasons
            .iter()
            .filter(|reason| *reason == "TopicOwnedByOther")
            .count(),
        1,
        "{reasons:?}"
    );
    let id = world.live("orders").unwrap().id;
    for (namespace, foreign) in [
        ("kafka", ["tenant-x", "secret-plan"]),
        ("tenant-x", ["mine", "kafka/"]),
    ] {
        let said = told(&world, namespace).to_string();
        assert!(
            foreign.iter().all(|name| !said.contains(name)),
            "{namespace} is told {said}"
        );
    }
    world.api.delete_in("tenant-x", TOPICS, "secret-plan");
    world.settle().await;
    assert_eq!(
        (
            owner(&world, "kafka", "mine").as_str(),
            world.live("orders").unwrap().id
        ),
        ("Ready", id)
    );
    assert_eq!(world.of("tenant-x", "secret-plan"), None);
    assert_eq!(world.kafka.calls().get(&Call::DeleteTopics), None);
}
