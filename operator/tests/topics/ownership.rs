//! Who may change and who may delete a topic: adoption, rivals, replacements, deletion.

use serde_json::json;

use crate::world::{TOPICS, World, name_of};

#[tokio::test(start_paused = true)]
async fn an_existing_topic_is_taken_over_only_as_it_is_or_by_consent() {
    let world = World::new();
    let id = world.kafka.put_topic(
        name_of("orders"),
        3,
        1,
        [("segment.ms".into(), "1".into())].into(),
    );
    world.topic("orders", json!({"partitions": 5}));
    let changes = world.kafka.changes();
    world.settle().await;
    assert_eq!(world.ready("orders"), ("False".into(), "AdoptionRequired".into()));
    assert_eq!(world.kafka.changes(), changes);
    let object = world.api.get(TOPICS, "orders").unwrap();
    assert_eq!(
        object["status"]["drift"],
        json!([{"key": "partitions", "desired": "5", "live": "3"}])
    );
    assert_eq!(object["status"]["topicId"], json!(null), "not ours");

    world.topic("orders", json!({"partitions": 3}));
    world.settle().await;
    assert_eq!(world.ready("orders").1, "Ready");
    world.topic("orders", json!({"partitions": 5}));
    world.settle().await;
    let live = world.live("orders").unwrap();
    assert_eq!(
        (live.id, live.partitions.len(), live.config["segment.ms"].as_str()),
        (id, 5, "1")
    );
    assert!(world.api.events().contains(&"TopicAdopted".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_adoption_refused_is_granted_by_always() {
    let world = World::new();
    world.kafka.put_topic(name_of("orders"), 1, 1, [].into());
    let spec = json!({"config": {"segment.ms": 5}, "deletionPolicy": "Delete"});
    world.topic("orders", spec.clone());
    world.settle().await;
    assert_eq!(world.ready("orders").1, "AdoptionRequired");
    let mut always = spec;
    always["adoptionPolicy"] = json!("Always");
    world.topic("orders", always);
    world.settle().await;
    assert_eq!(world.live("orders").unwrap().config["segment.ms"], "5");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_refused_a_topic_cannot_delete_it() {
    let world = World::new();
    world.kafka.put_topic(name_of("orders"), 1, 1, [].into());
    world.topic("orders", json!({"partitions": 5, "deletionPolicy": "Delete"}));
    world.settle().await;
    world.api.delete(TOPICS, "orders");
    world.settle().await;
    assert_eq!(world.api.get(TOPICS, "orders"), None);
    assert!(world.live("orders").is_some());
}

#[tokio::test(start_paused = true)]
async fn of_two_objects_one_owns_and_neither_deletes_while_the_other_claims() {
    let world = World::new();
    let spec = json!({"topicName": "orders", "deletionPolicy": "Delete", "partitions": 2});
    world.topic("first", spec.clone());
    world.topic(
        "second",
        json!({"topicName": "orders", "deletionPolicy": "Delete", "partitions": 7}),
    );
    world.settle().await;
    assert_eq!(world.ready("first").1, "Ready");
    assert_eq!(
        world.ready("second"),
        ("False".into(), "TopicOwnedByOther".into())
    );
    assert!(
        world.message("second").contains("first"),
        "same namespace: the owner is named"
    );
    assert_eq!(world.live("orders").unwrap().partitions.len(), 2);

    world.api.delete(TOPICS, "second");
    world.settle().await;
    assert_eq!(world.api.get(TOPICS, "second"), None);
    assert!(world.live("orders").is_some(), "the loser deletes nothing");

    world.topic("third", spec);
    world.settle().await;
    world.api.delete(TOPICS, "first");
    world.settle().await;
    assert!(
        world.live("orders").is_some(),
        "the owner deletes nothing while another claims it"
    );
    assert_eq!(world.ready("third").1, "Ready", "which then takes over");
    world.api.delete(TOPICS, "third");
    world.settle().await;
    assert_eq!(world.live("orders"), None, "the last one deletes");
}

#[tokio::test(start_paused = true)]
async fn another_namespace_is_not_told_whose_the_topic_is_and_may_not_adopt() {
    let world = World::new();
    world.cluster(json!({"bootstrapServers": ["kafka:9092"], "allowedNamespaces": {"from": "All"}}));
    world.topic("mine", json!({"topicName": "orders"}));
    world.topic_in(
        "tenant",
        "theirs",
        json!({"topicName": "orders", "adoptionPolicy": "Always"}),
    );
    world.settle().await;
    let theirs = world
        .api
        .list(TOPICS)
        .into_iter()
        .find(|o| o["metadata"]["name"] == "theirs")
        .unwrap();
    let ready = theirs["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "Ready")
        .unwrap();
    assert_eq!(ready["reason"], "TopicOwnedByOther");
    assert!(!ready["message"].as_str().unwrap().contains("mine"));
    world.api.delete(TOPICS, "mine");
    world.settle().await;
    let theirs = world
        .api
        .list(TOPICS)
        .into_iter()
        .find(|o| o["metadata"]["name"] == "theirs")
        .unwrap();
    assert_eq!(crate::world::ready_of(&theirs).1, "AdoptionRequired");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_not_allowed_sees_no_cluster() {
    let world = World::new();
    world.topic_in("tenant", "theirs", json!({}));
    world.settle().await;
    let theirs = world.api.list(TOPICS).pop().unwrap();
    assert_eq!(crate::world::ready_of(&theirs).1, "ClusterNotFound");
    assert!(world.kafka.topics().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_topic_put_in_the_place_of_ours_is_neither_changed_nor_deleted() {
    let world = World::new();
    let spec = json!({"deletionPolicy": "Delete", "config": {"segment.ms": 5}});
    world.topic("orders", spec.clone());
    world.settle().await;
    let foreign = world.kafka.put_topic(name_of("orders"), 4, 1, [].into());
    world.settle().await;
    assert_eq!(world.ready("orders"), ("False".into(), "TopicReplaced".into()));
    assert!(world.live("orders").unwrap().config.is_empty());

    let accepted = world.restarted();
    let mut object = world.api.get(TOPICS, "orders").unwrap();
    object["metadata"]["annotations"] = json!({"ottla.dev/accept-topic-id": foreign.to_string()});
    accepted.api.put(TOPICS, object.clone());
    accepted.settle().await;
    assert_eq!(accepted.ready("orders").1, "Ready");
    assert_eq!(accepted.live("orders").unwrap().config["segment.ms"], "5");

    accepted.kafka.put_topic(name_of("orders"), 1, 1, [].into());
    accepted.api.delete(TOPICS, "orders");
    accepted.settle().await;
    assert_eq!(accepted.api.get(TOPICS, "orders"), None, "the object goes");
    assert!(accepted.live("orders").is_some(), "the stranger stays");
}

#[tokio::test(start_paused = true)]
async fn deletion_follows_the_policy_and_the_finalizer_follows_the_policy() {
    let world = World::new();
    world.topic("keep", json!({}));
    world.topic("drop", json!({"deletionPolicy": "Delete"}));
    world.topic("spared", json!({"deletionPolicy": "Delete"}));
    world.settle().await;
    assert_eq!(
        world.api.get(TOPICS, "keep").unwrap()["metadata"]["finalizers"],
        json!(null)
    );
    world.topic("spared", json!({"deletionPolicy": "Retain"}));
    world.settle().await;
    for name in ["keep", "drop", "spared"] {
        world.api.delete(TOPICS, name);
    }
    world.settle().await;
    assert!(world.api.list(TOPICS).is_empty());
    let left: Vec<String> = world.kafka.topics().keys().map(ToString::to_string).collect();
    assert_eq!(left, ["keep", "spared"]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_goes_first_wedges_nothing() {
    let world = World::new();
    world.topic("orders", json!({"deletionPolicy": "Delete"}));
    world.settle().await;
    world.api.delete("kafkaclusters", "kafka");
    world.api.delete(TOPICS, "orders");
    world.settle().await;
    assert_eq!(world.api.get(TOPICS, "orders"), None);
    assert!(world.live("orders").is_some());
}
