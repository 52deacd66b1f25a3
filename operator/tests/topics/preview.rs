//! `plan` and `export`: what they tell is what the operator then does, and they themselves do nothing.

use ottla_kafka::fake::{Call, Fault};
use ottla_operator::cli::export::{self, Exported};
use ottla_operator::cli::plan::{self, Effect, Report};
use serde_json::{Value, json};

use crate::world::{World, connections, name_of};

/// What `plan` tells about this text.
async fn plan_of(world: &World, text: &str) -> Report {
    let options = plan::Options {
        files: vec![],
        namespace: Some("kafka".to_owned()),
        output: plan::Format::Text,
        bootstrap_servers: vec![],
    };
    plan::of_text(&world.api.client(), connections(&world.kafka), text, &options)
        .await
        .unwrap()
}

async fn export_of(world: &World) -> Exported {
    let options = export::Options {
        cluster: Some("kafka".to_owned()),
        namespace: Some("kafka".to_owned()),
        ..export::Options::default()
    };
    export::with(&world.api.client(), connections(&world.kafka), &options)
        .await
        .unwrap()
}

fn manifest(name: &str, mut spec: Value) -> String {
    spec["clusterRef"] = json!({"name": "kafka", "namespace": "kafka"});
    let object = json!({"apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaTopic", "metadata": {"name": name}, "spec": spec});
    format!("---\n{object}\n")
}

/// The story of one topic's specs, each with the effect that is told of it.
fn story() -> Vec<(Value, Effect)> {
    vec![
        (
            json!({"partitions": 2, "config": {"segment.ms": 5}}),
            Effect::Create,
        ),
        (
            json!({"partitions": 2, "config": {"segment.ms": 5}}),
            Effect::Nothing,
        ),
        (
            json!({"partitions": 4, "config": {"flush.ms": 7}}),
            Effect::Change,
        ),
        (
            json!({"partitions": 3, "config": {"flush.ms": 7}}),
            Effect::Refuse,
        ),
        (
            json!({"partitions": 4, "config": {"flush.ms": 8}, "suspend": true}),
            Effect::Nothing,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_what_happens_and_telling_it_does_nothing() {
    let world = World::new();
    world.settle().await;
    for (spec, effect) in story() {
        let before = (world.api.writes(), world.kafka.changes(), world.kafka.topics());
        let told = plan_of(&world, &manifest("orders", spec.clone())).await;
        assert_eq!(told.topics[0].effect, effect, "{told:#?}");
        assert_eq!(
            before,
            (world.api.writes(), world.kafka.changes(), world.kafka.topics()),
            "plan changed something"
        );
        world.topic("orders", spec.clone());
        world.settle().await;
        let acts = [Effect::Create, Effect::Change].contains(&effect);
        assert_eq!(
            world.kafka.topics() != before.2,
            acts,
            "the operator did otherwise than told: {spec}"
        );
        if acts {
            let again = plan_of(&world, &manifest("orders", spec)).await;
            assert_eq!((again.topics[0].effect, again.exit_code()), (Effect::Nothing, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_is_told_with_both_sides() {
    let world = World::new();
    world.topic(
        "orders",
        json!({"partitions": 2, "config": {"segment.ms": 5, "flush.ms": 6}}),
    );
    world.settle().await;
    let told = plan_of(
        &world,
        &manifest("orders", json!({"partitions": 4, "config": {"segment.ms": 7}})),
    )
    .await;
    let text = told.told(plan::Format::Text).unwrap();
    for line in [
        "~ segment.ms: 5 -> 7",
        "- flush.ms: 6 -> the broker's default",
        "~ partitions: 2 -> 4",
    ] {
        assert!(text.contains(line), "{line} is missing:\n{text}");
    }
    assert_eq!(told.exit_code(), 2);
    let json: Value = serde_json::from_str(&told.told(plan::Format::Json).unwrap()).unwrap();
    assert_eq!(
        json["topics"][0]["changes"][0],
        json!({"key": "segment.ms", "live": "5", "desired": "7"})
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_topic_is_told_to_come_back_and_a_rival_to_be_refused() {
    let world = World::new();
    world.topic("orders", json!({"partitions": 2}));
    world.settle().await;
    let rival = manifest("rival", json!({"topicName": "orders", "partitions": 9}));
    let told = plan_of(&world, &rival).await;
    assert_eq!(
        told.topics[0].refusals[0].reason, "TopicOwnedByOther",
        "{told:#?}"
    );
    world.kafka.remove_topic(&name_of("orders"));
    let told = plan_of(&world, &manifest("orders", json!({"partitions": 2}))).await;
    assert_eq!(told.topics[0].effect, Effect::Recreate, "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn every_fault_names_document_and_field_and_spoils_no_other_document() {
    let world = World::new();
    world.settle().await;
    let text = [
        manifest("good", json!({"partitions": 1})),
        manifest("typo", json!({"partitons": 1})),
        manifest(
            "wrong",
            json!({"partitions": "three", "retention": {"time": "7 days"}}),
        ),
        manifest("late", json!({"retention": {"time": "7 days"}})),
        manifest("lost", json!({"config": {"a.b": 1.5}})),
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n".to_owned(),
    ]
    .concat();
    let told = plan_of(&world, &text).await;
    let problems = told.told(plan::Format::Text).unwrap();
    for words in [
        "document 2",
        "spec.partitons: there is no such field",
        "spec.partitions: \"three\" is not a whole number",
        "retention.time",
        "spec.config[\"a.b\"]: 1.5 is neither",
    ] {
        assert!(problems.contains(words), "{words} is missing:\n{problems}");
    }
    assert_eq!(told.topics[0].effect, Effect::Create);
    assert_eq!((told.topics.len(), told.exit_code()), (5, 1));
    assert_eq!(
        told.notes,
        ["standard input, document 6: ConfigMap c is passed over"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_immutable_and_what_cannot_be_reached_is_a_fault() {
    let world = World::new();
    world.topic("orders", json!({}));
    world.settle().await;
    let told = plan_of(&world, &manifest("orders", json!({"topicName": "other"}))).await;
    assert!(told.topics[0].problems[0].contains("immutable"), "{told:#?}");
    world.kafka.inject(
        Call::ProbeListeners,
        Fault::Refuse(ottla_kafka::error::ErrorCode::NOT_CONTROLLER),
    );
    let told = plan_of(&world, &manifest("orders", json!({}))).await;
    assert!(
        told.topics[0].problems[0].contains("cannot be used from here"),
        "{told:#?}"
    );
    let absent = manifest("x", json!({})).replace("\"name\":\"kafka\"", "\"name\":\"absent\"");
    let told = plan_of(&world, &absent).await;
    assert!(told.topics[0].problems[0].contains("does not exist"), "{told:#?}");
    assert_eq!(told.exit_code(), 1);
}

/// Topics as a Kafka that was used for years has them.
async fn old_kafka() -> World {
    let world = World::new();
    world.settle().await;
    for (name, spec) in [
        (
            "orders",
            json!({"partitions": 3, "replicationFactor": 2, "config": {"retention.ms": 5, "cleanup.policy": "compact,delete"}}),
        ),
        ("payments-dlq", json!({"partitions": 1})),
        (
            "odd",
            json!({"topicName": "Odd_Name..x", "partitions": 2, "config": {"compression.type": "lz4"}}),
        ),
    ] {
        world.topic(name, spec);
    }
    world.settle().await;
    for name in ["orders", "payments-dlq", "odd"] {
        world.api.delete(crate::world::TOPICS, name);
    }
    world.settle().await;
    world
}

#[tokio::test(start_paused = true)]
async fn exported_topics_apply_as_no_ops() {
    let world = old_kafka().await;
    let before = (world.kafka.changes(), world.kafka.topics());
    let exported = export_of(&world).await;
    assert_eq!(
        (exported.objects.len(), exported.exit_code()),
        (3, 0),
        "{exported:#?}"
    );
    let told = plan_of(&world, &exported.yaml().unwrap()).await;
    assert_eq!(told.exit_code(), 0, "{told:#?}");
    assert!(
        told.topics.iter().all(|topic| topic.effect == Effect::TakeOver),
        "{told:#?}"
    );
    for object in &exported.objects {
        world.api.put(crate::world::TOPICS, object.clone());
    }
    world.settle().await;
    for object in &exported.objects {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert_eq!(world.ready(name), ("True".into(), "Ready".into()), "{name}");
    }
    assert_eq!(before, (world.kafka.changes(), world.kafka.topics()));
    let told = plan_of(&world, &exported.yaml().unwrap()).await;
    assert!(
        told.topics.iter().all(|topic| topic.effect == Effect::Nothing),
        "{told:#?}"
    );
    let again = export_of(&world).await;
    assert_eq!(
        again.objects,
        Vec::<Value>::new(),
        "what is declared is not exported again"
    );
}

#[tokio::test(start_paused = true)]
async fn an_export_that_lacks_something_would_show() {
    let world = old_kafka().await;
    let mut exported = export_of(&world).await;
    exported.objects[1]["spec"]["partitions"] = json!(9);
    let told = plan_of(&world, &exported.yaml().unwrap()).await;
    assert_eq!(
        (told.exit_code(), told.topics[1].refusals[0].reason),
        (2, "AdoptionRequired")
    );
}

#[tokio::test(start_paused = true)]
async fn two_exports_of_one_kafka_are_the_same_text() {
    let world = old_kafka().await;
    assert_eq!(
        export_of(&world).await.yaml().unwrap(),
        export_of(&world).await.yaml().unwrap()
    );
}
