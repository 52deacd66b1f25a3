//! The audit log of an API server as a witness: who wrote what, and what a status said.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// What was written: by `namespace`, then by `verb resource/subresource`; of each write what it said, where it is a status.
pub type Writes = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// What is not counted: events are a courtesy, the Lease is renewed all the time, and a KafkaCluster tells how Kafka is doing
/// at the moment.
const PASSING: [&str; 3] = ["events", "leases", "kafkaclusters"];

/// What the API server is to log: every write, and of a status of ours also what it says.
pub(crate) fn policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "Request", "resources": [{"group": "ottla.dev", "resources": ["*/status"]}]},
            {"level": "Metadata"},
        ],
    })
}

/// What that user wrote with success.
pub(crate) fn writes(log: &str, user: &str) -> Result<Writes> {
    ensure!(!log.is_empty(), "the audit log is empty");
    let mut writes = Writes::new();
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).context("a line of the audit log")?;
        let (object, code) = (&event["objectRef"], event["responseStatus"]["code"].as_i64());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let counts = event["user"]["username"] == user
            && !PASSING.contains(&text(&object["resource"]).as_str())
            && code.is_some_and(|code| (200..300).contains(&code));
        if !counts {
            continue;
        }
        let mut what = format!("{} {}", text(&event["verb"]), text(&object["resource"]));
        if let Some(below) = object["subresource"].as_str() {
            what = format!("{what}/{below}");
        }
        let of = writes.entry(text(&object["namespace"])).or_default();
        of.entry(what)
            .or_default()
            .push(said(&event["requestObject"]["status"]));
    }
    Ok(writes)
}

/// The step, and what the conditions say.
fn said(status: &Value) -> String {
    let mut words: Vec<&str> = status["step"].as_str().into_iter().collect();
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let fields = ["reason", "message"].map(|field| condition[field].as_str().unwrap_or_default());
        let told = fields.into_iter().filter(|field| !field.is_empty());
        words.extend(told);
    }
    words.dedup();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_of_one_user_are_counted_with_what_a_status_said() {
        let event = |user: &str, resource: &str, code: i64, status: Value| {
            json!({
                "verb": "patch", "user": {"username": user}, "responseStatus": {"code": code},
                "objectRef": {"namespace": "ns", "resource": resource, "subresource": "status"},
                "requestObject": {"status": status},
            })
        };
        let conditions = json!([
            {"type": "Complete", "reason": "Purging", "message": "on it"},
            {"type": "Failed", "reason": "Purging", "message": ""},
        ]);
        let told = json!({"step": "Clearing", "conditions": conditions});
        let log = [
            event("operator", "kafkatopicpurges", 200, told),
            event("operator", "kafkatopicpurges", 409, Value::Null),
            event("operator", "leases", 200, Value::Null),
            event("test", "kafkatopicpurges", 200, Value::Null),
        ];
        let log = log.map(|event| event.to_string()).join("\n");
        let writes = writes(&log, "operator").unwrap();
        let of = &writes["ns"]["patch kafkatopicpurges/status"];
        assert_eq!(*of, ["Clearing: Purging: on it: Purging"]);
        assert!(super::writes("", "operator").is_err());
    }
}
