//! What the API server says to the definitions, and to objects that break their rules. Needs the cluster that
//! `cargo xtask test` names; everywhere else each test says SKIPPED. Objects are sent as dry runs, but for the few
//! whose update is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set its scene has failed"
)]

use http::Request;
use http::header::{CONTENT_TYPE, WARNING};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, Config};
use serde_json::{Value, json};

/// The context of the cluster that tests may use.
const CONTEXT: &str = "kind-ottla";

async fn client(test: &str) -> Option<Client> {
    if ["KUBECONFIG", "OTTLA_TEST_BOOTSTRAP"]
        .iter()
        .any(|name| std::env::var_os(name).is_none())
    {
        eprintln!(
            "SKIPPED {test}: KUBECONFIG or OTTLA_TEST_BOOTSTRAP is not set; `cargo xtask test` sets them"
        );
        return None;
    }
    let file = kube::config::Kubeconfig::read().unwrap();
    assert_eq!(
        file.current_context.as_deref(),
        Some(CONTEXT),
        "only {CONTEXT} is ours to test on"
    );
    Some(Client::try_from(Config::infer().await.unwrap()).unwrap())
}

/// One line of a table.
struct Case {
    kind: String,
    change: Value,
    answer: String,
    line: String,
}

fn cases(table: &str) -> Vec<Case> {
    let lines = table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (kind, rest) = line.split_once(": ").unwrap();
            let (path, rest) = rest.split_once(" = ").unwrap();
            let (value, answer) = rest.rsplit_once(" => ").unwrap();
            let value: Value = serde_json::from_str(value).unwrap_or_else(|error| panic!("{line}: {error}"));
            let change = path.rsplit('/').fold(value, |inner, name| json!({ name: inner }));
            Case {
                kind: kind.to_owned(),
                change,
                answer: answer.to_owned(),
                line: line.to_owned(),
            }
        })
        .collect()
}

/// RFC 7396, as the API server's merge patch does it.
fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let map = into.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            map.remove(name);
        } else {
            merge(map.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

fn object(kind: &str, name: &str, change: &Value) -> Value {
    let mut spec = match kind {
        "KafkaCluster" => json!({
            "bootstrapServers": ["kafka:9092"],
            "sasl": {"mechanism": "Plain", "username": "u", "passwordFrom": {"name": "s", "key": "k"}},
        }),
        "KafkaTopic" => json!({"clusterRef": {"name": "absent"}}),
        "KafkaTopicPurge" => json!({"topicRef": {"name": "absent"}, "cut": {"type": "All"}}),
        "KafkaProducer" => json!({"topicRef": {"name": "absent"}, "stopAfter": {"records": 10}}),
        "KafkaConsumer" => {
            json!({"topicRef": {"name": "absent"}, "groupId": "g", "stopAfter": {"complete": true}})
        }
        other => panic!("no kind {other}"),
    };
    merge(&mut spec, change);
    json!({"apiVersion": "ottla.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Sends a request, unknown fields refused as kubectl does; answers the object, or the refusal's message.
async fn send(client: &Client, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let content = if method == "PATCH" {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let path = format!("/apis/ottla.dev/v1alpha1/namespaces/{path}fieldValidation=Strict");
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, content);
    match client
        .request(request.body(serde_json::to_vec(body).unwrap()).unwrap())
        .await
    {
        Ok(object) => Ok(object),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => panic!("{method}: {error}"),
    }
}

async fn create(client: &Client, kind: &str, name: &str, change: &Value) -> Result<Value, String> {
    let plural = format!("{}s", kind.to_lowercase());
    send(
        client,
        "POST",
        &format!("default/{plural}?dryRun=All&"),
        &object(kind, name, change),
    )
    .await
}

#[tokio::test]
async fn definitions_are_taken_without_a_warning() {
    let Some(client) = client("definitions_are_taken_without_a_warning").await else {
        return;
    };
    for crd in ottla_crds::crd::all() {
        let name = crd.metadata.name.clone().unwrap();
        let request = Request::patch(format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}\
             ?dryRun=All&force=true&fieldManager=ottla-test&fieldValidation=Strict"
        ));
        let body = kube::client::Body::from(serde_json::to_vec(&crd).unwrap());
        let request = request
            .header(CONTENT_TYPE, "application/apply-patch+yaml")
            .body(body)
            .unwrap();
        let response = client.send(request).await.unwrap();
        let warnings: Vec<_> = response.headers().get_all(WARNING).iter().collect();
        assert!(response.status().is_success(), "{name}: {:?}", response.status());
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
    }
}

#[tokio::test]
async fn good_objects_are_taken() {
    let Some(client) = client("good_objects_are_taken").await else {
        return;
    };
    let long = "a".repeat(249);
    for (kind, name, change) in [
        ("KafkaCluster", "a", json!({})),
        (
            "KafkaCluster",
            "no-sasl",
            json!({"sasl": null, "bootstrapServers": ["[::1]:9092", "k:65535"]}),
        ),
        ("KafkaTopic", "a", json!({})),
        ("KafkaTopic", "named", json!({"topicName": long})),
        ("KafkaTopic", long.as_str(), json!({})),
        (
            "KafkaTopic",
            "config",
            json!({"config": {"retention.ms": 604_800_000, "segment.bytes": "1048576", "flush.ms": "0777"}}),
        ),
        (
            "KafkaTopic",
            "limits",
            json!({"retention": {"time": "Unlimited", "bytesPerPartition": "10Gi"}}),
        ),
        (
            "KafkaTopic",
            "policies",
            json!({"cleanupPolicy": ["Compact", "Delete"]}),
        ),
        ("KafkaProducer", "a", json!({})),
        (
            "KafkaProducer",
            "keys",
            json!({"records": {"keys": {"type": "Random", "cardinality": 5}}}),
        ),
        (
            "KafkaProducer",
            "named",
            json!({"topicRef": null, "clusterRef": {"name": "k"}, "topicName": "t"}),
        ),
        (
            "KafkaProducer",
            "leader",
            json!({"delivery": {"acks": "Leader", "idempotence": false}}),
        ),
        (
            "KafkaProducer",
            "pod",
            json!({"pod": {"resources": {"limits": {"cpu": 1, "memory": "64Mi"}}}}),
        ),
        ("KafkaConsumer", "a", json!({})),
        (
            "KafkaConsumer",
            "endless",
            json!({"stopAfter": null, "replicas": 3}),
        ),
    ] {
        let taken = create(&client, kind, name, &change).await;
        let taken = taken.unwrap_or_else(|refusal| panic!("{kind} {name}: {refusal}"));
        assert_eq!(
            taken["status"]["conditions"][0]["status"], "Unknown",
            "{kind} {name} before its first pass"
        );
    }
}

#[tokio::test]
async fn bad_objects_are_refused_with_a_reason() {
    let Some(client) = client("bad_objects_are_refused_with_a_reason").await else {
        return;
    };
    let mut wrong = Vec::new();
    for case in cases(include_str!("admission/refused.txt")) {
        let said = create(&client, &case.kind, "bad", &case.change).await;
        if !said.as_ref().is_err_and(|said| said.contains(&case.answer)) {
            wrong.push(format!("{}\n  got {:?}", case.line, said.err()));
        }
    }
    for (change, answer) in [
        (json!({"topicName": "a".repeat(250)}), "249"),
        (
            json!({"config": {"retention.ms": 1}, "retention": {"time": "1d"}}),
            "retention.time is set",
        ),
        (json!({"config": {"retention.ms": "1".repeat(4_097)}}), "4096"),
        (
            json!({"config": (0..65).map(|n| (format!("key.{n}"), json!(n))).collect::<serde_json::Map<_, _>>()}),
            "64",
        ),
        (
            json!({"config": {"a.b": 1}, "unmanagedConfig": ["a.b"]}),
            "either in config or in unmanagedConfig",
        ),
        (
            json!({"cleanupPolicy": ["Delete"], "config": {"cleanup.policy": "delete"}}),
            "cleanupPolicy is set",
        ),
    ] {
        let said = create(&client, "KafkaTopic", "bad", &change).await;
        if !said.as_ref().is_err_and(|said| said.contains(answer)) {
            wrong.push(format!("{change} => {answer}\n  got {:?}", said.err()));
        }
    }
    let said = create(&client, "KafkaTopic", &"a".repeat(250), &json!({})).await;
    assert!(
        said.is_err_and(|said| said.contains("set spec.topicName")),
        "a name of 250 characters"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_immutable_stays() {
    let Some(client) = client("what_is_immutable_stays").await else {
        return;
    };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({
        "metadata": {"generateName": "ottla-admission-", "labels": {"ottla.dev/e2e": "true"}},
    }))
    .unwrap();
    let namespace = namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap()
        .metadata
        .name
        .unwrap();
    let mut wrong = Vec::new();
    for kind in ["KafkaTopic", "KafkaTopicPurge", "KafkaProducer", "KafkaConsumer"] {
        let path = format!("{namespace}/{}s", kind.to_lowercase());
        send(
            &client,
            "POST",
            &format!("{path}?"),
            &object(kind, "subject", &json!({})),
        )
        .await
        .unwrap();
        let updates = cases(include_str!("admission/updates.txt"));
        for case in updates.iter().filter(|case| case.kind == kind) {
            let update = json!({"spec": case.change});
            let said = send(&client, "PATCH", &format!("{path}/subject?dryRun=All&"), &update).await;
            let said = said.err().unwrap_or_else(|| "taken".to_owned());
            if !said.contains(&case.answer) {
                wrong.push(format!("{}\n  got {said}", case.line));
            }
        }
    }
    namespaces
        .delete(&namespace, &DeleteParams::default())
        .await
        .unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
