//! Who may use a cluster from where, and which names are whose. What a tenant reads tells nothing of another.

use serde_json::{Value, json};

use crate::world::{CLUSTERS, TOPICS, World, name_of, ready_of};

fn open_to_all(mut more: Value) -> Value {
    more["bootstrapServers"] = json!(["kafka:9092"]);
    if more["allowedNamespaces"].is_null() {
        more["allowedNamespaces"] = json!({"from": "All"});
    }
    more
}

fn reason(world: &World, namespace: &str, name: &str) -> String {
    ready_of(&world.of(namespace, name).unwrap()).1
}

#[tokio::test(start_paused = true)]
async fn a_selector_lets_in_by_label_and_shuts_out_again() {
    let world = World::new();
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"kafka": "yes"}}});
    world.cluster(open_to_all(json!({"allowedNamespaces": selector})));
    world.namespace("in", json!({"kafka": "yes"}));
    world.namespace("out", json!({}));
    world.topic_in("in", "a", json!({}));
    world.topic_in("out", "b", json!({}));
    world.topic_in("unheard-of", "c", json!({}));
    world.settle().await;
    assert_eq!(reason(&world, "in", "a"), "Ready");
    assert_eq!(reason(&world, "out", "b"), "ClusterNotFound");
    assert_eq!(reason(&world, "unheard-of", "c"), "ClusterNotFound");

    world.namespace("out", json!({"kafka": "yes"}));
    world.namespace("in", json!({"kafka": "no"}));
    world.settle().await;
    assert_eq!(reason(&world, "out", "b"), "Ready");
    assert_eq!(reason(&world, "in", "a"), "ClusterNotFound");
    assert!(world.live("a").is_some(), "shut out is not deleted");
}

#[tokio::test(start_paused = true)]
async fn an_operator_of_some_namespaces_refuses_a_selector() {
    let world = World::restricted_to(&["kafka"]);
    let selector = json!({"from": "Selector", "selector": {}});
    world.cluster(open_to_all(json!({"allowedNamespaces": selector})));
    world.topic("orders", json!({}));
    world.settle().await;
    let cluster = world.api.get(CLUSTERS, "kafka").unwrap();
    assert_eq!(
        ready_of(&cluster),
        ("False".into(), "SelectorNotSupported".into())
    );
    assert!(cluster["status"].to_string().contains("rbac.namespaces"));
    assert_eq!(world.ready("orders").1, "ClusterNotReady");
}

#[tokio::test(start_paused = true)]
async fn a_name_under_the_prefix_belongs_to_its_namespace() {
    let world = World::new();
    world.kafka.put_topic(name_of("team.old"), 2, 1, [].into());
    world.kafka.put_topic(name_of("other.old"), 2, 1, [].into());
    let policy = json!({"topicNamePolicy": {"prefix": "{namespace}."}});
    world.cluster(open_to_all(policy));
    let deleting = |name: &str| json!({"topicName": name, "deletionPolicy": "Delete", "partitions": 2});
    world.topic_in("team", "adopted", deleting("team.old"));
    world.topic_in("team", "made", deleting("team.new"));
    world.topic_in(
        "team",
        "greedy",
        json!({"topicName": "other.old", "adoptionPolicy": "Always"}),
    );
    world.topic_in("team", "squatting", deleting("other.new"));
    world.topic("anything", json!({}));
    world.settle().await;
    assert_eq!(reason(&world, "team", "adopted"), "Ready");
    assert_eq!(reason(&world, "team", "made"), "Ready");
    assert_eq!(reason(&world, "team", "greedy"), "AdoptionRequired");
    assert_eq!(reason(&world, "team", "squatting"), "NameNotAllowed");
    assert_eq!(
        world.ready("anything").1,
        "Ready",
        "the cluster's own namespace is free"
    );
    let greedy = world.of("team", "greedy").unwrap()["status"].clone();
    assert_eq!(
        (&greedy["drift"], &greedy["unmanagedConfig"]),
        (&json!(null), &json!(null)),
        "how another's topic looks is not told"
    );
    for name in ["adopted", "made", "greedy", "squatting"] {
        world.api.delete_in("team", TOPICS, name);
    }
    world.settle().await;
    let left: Vec<String> = world.kafka.topics().keys().map(ToString::to_string).collect();
    assert_eq!(left, ["anything", "other.old"]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_creates_and_looks_after_and_does_not_delete() {
    let world = World::new();
    world.cluster(open_to_all(json!({})));
    world.topic_in(
        "team",
        "orders",
        json!({"deletionPolicy": "Delete", "partitions": 2}),
    );
    world.settle().await;
    assert_eq!(reason(&world, "team", "orders"), "DeletionNotAllowed");
    assert_eq!(
        world.live("orders").unwrap().partitions.len(),
        2,
        "created all the same"
    );
    world.topic_in(
        "team",
        "orders",
        json!({"deletionPolicy": "Delete", "partitions": 3}),
    );
    world.settle().await;
    assert_eq!(world.live("orders").unwrap().partitions.len(), 3);
    world.api.delete_in("team", TOPICS, "orders");
    world.settle().await;
    assert_eq!(world.of("team", "orders"), None);
    assert!(world.live("orders").is_some());
}

#[tokio::test(start_paused = true)]
async fn rights_that_went_do_not_delete() {
    let world = World::new();
    let policy = json!({"topicNamePolicy": {"prefix": "{namespace}."}});
    world.cluster(open_to_all(policy));
    world.topic_in(
        "team",
        "a",
        json!({"topicName": "team.a", "deletionPolicy": "Delete"}),
    );
    world.topic_in(
        "team",
        "b",
        json!({"topicName": "team.b", "deletionPolicy": "Delete"}),
    );
    world.settle().await;
    world.cluster(open_to_all(json!({})));
    world.settle().await;
    world.api.delete_in("team", TOPICS, "a");
    world.settle().await;
    world.cluster(json!({"bootstrapServers": ["kafka:9092"]}));
    world.settle().await;
    world.api.delete_in("team", TOPICS, "b");
    world.settle().await;
    assert!(world.api.list(TOPICS).is_empty(), "the objects go");
    assert_eq!(world.kafka.topics().len(), 2, "the topics stay");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_collides_is_refused_and_names_nobody_elses() {
    let world = World::new();
    world.cluster(open_to_all(json!({})));
    world.topic("mine", json!({"topicName": "pay.roll"}));
    world.settle().await;
    // What a guest creates is announced each time before it is tried: there is no rest while it is refused.
    world.topic_in("team", "theirs", json!({"topicName": "pay_roll"}));
    world.topic("beside", json!({"topicName": "pay_roll"}));
    world.pass().await;
    world.pass().await;
    let theirs = world.of("team", "theirs").unwrap();
    assert_eq!(ready_of(&theirs).1, "InvalidTopicName");
    let told = theirs["status"]["conditions"].to_string();
    assert!(!told.contains("pay.roll") && told.contains(". and _"), "{told}");
    assert_eq!(world.ready("beside").1, "TopicOwnedByOther");
    world.api.delete_in("team", TOPICS, "theirs");
    world.settle().await;
    assert_eq!(world.ready("beside").1, "InvalidTopicName");
    assert_eq!(world.kafka.topics().len(), 1);
    assert!(
        world.message("beside").contains("pay.roll"),
        "beside the cluster the other is named: {}",
        world.message("beside")
    );
}

#[tokio::test(start_paused = true)]
async fn of_claims_made_in_the_same_second_one_wins_after_every_restart() {
    let mut world = World::new();
    world.cluster(open_to_all(json!({})));
    for namespace in ["team-b", "team-a", "team-c"] {
        world.topic_in(
            namespace,
            "claim",
            json!({"topicName": "orders", "partitions": 1}),
        );
    }
    world.api.created_at_once(TOPICS);
    world.settle().await;
    let owners = |world: &World| {
        let all = world.api.list(TOPICS).into_iter();
        all.filter(|object| ready_of(object).1 == "Ready")
            .map(|object| object["metadata"]["namespace"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = owners(&world);
    assert_eq!(first.len(), 1, "{first:?}");
    for _ in 0..3 {
        world = world.restarted();
        world.settle().await;
        assert_eq!(owners(&world), first);
    }
    let id = world.live("orders").unwrap().id;
    world.api.delete_in(&first[0], TOPICS, "claim");
    world.settle().await;
    assert_eq!(
        world.live("orders").unwrap().id,
        id,
        "the topic outlives its owner"
    );
    for object in world.api.list(TOPICS) {
        let told = object["status"]["conditions"].to_string();
        assert!(!told.contains("team-"), "no other namespace is named: {told}");
    }
}
