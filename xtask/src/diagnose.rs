//! What a failure prints: what is not well, the pods and events around it, and the next thing to try.
//!
//! It only reads, and never fails itself: whatever cannot be read is left out.

use std::time::Duration;

use serde_json::Value;

use crate::cmd::Cmd;
use crate::kubectl::{kubectl, text};
use crate::{paths, ui};

/// Namespaces of the product and of what it works with.
const NAMESPACES: [&str; 2] = ["ottla-system", "kafka"];
/// The kinds a user made.
const KINDS: &str = "kafkaclusters,kafkatopics,kafkatopicpurges,kafkaproducers,kafkaconsumers";
/// Lines of log shown for each pod that is not well.
const LOG_LINES: &str = "--tail=25";
/// Events shown for each namespace.
const EVENTS: usize = 12;

/// Prints what a person would look at first, and what to try next.
pub(crate) fn explain() {
    if !reachable() {
        ui::warn("the cluster does not answer; `cargo xtask rig status` says what runs");
        ui::warn("to start over: `cargo xtask down`, then `cargo xtask demo` (the build cache stays)");
        return;
    }
    objects();
    for namespace in NAMESPACES {
        pods(namespace);
        events(namespace);
    }
    ui::heading("Next:");
    ui::note(&format!(
        "export KUBECONFIG={} PATH={}:$PATH",
        paths::kubeconfig().display(),
        paths::bin().display()
    ));
    ui::note("kubectl -n ottla-system logs deployment/ottla");
    ui::note(&format!("logs of long commands: {}", paths::logs().display()));
    ui::note("run the same command again: it repairs what is half made");
}

fn reachable() -> bool {
    look(&["get", "--raw", "/readyz"]).is_some()
}

/// Ours that are not Ready, each with its reason.
fn objects() {
    let Some(list) = json(&["get", KINDS, "-A"]) else {
        return;
    };
    let unwell = items(&list)
        .iter()
        .filter_map(|object| Some((object, unready(object)?)));
    for (object, sentence) in unwell {
        let name = text(object, "/metadata/name");
        ui::warn(&format!(
            "{} {}/{name}: {sentence}",
            text(object, "/kind"),
            text(object, "/metadata/namespace")
        ));
    }
}

/// Why an object is not well: its conditions Ready and Verified where they are not True.
fn unready(object: &Value) -> Option<String> {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array)?;
    let bad: Vec<String> = conditions
        .iter()
        .filter(|one| matches!(text(one, "/type"), "Ready" | "Verified") && text(one, "/status") != "True")
        .map(|one| {
            let (kind, status) = (text(one, "/type"), text(one, "/status"));
            format!(
                "{kind}={status}/{}: {}",
                text(one, "/reason"),
                text(one, "/message")
            )
        })
        .collect();
    (!bad.is_empty()).then(|| bad.join("; "))
}

/// Pods that are not well, with the end of their logs.
fn pods(namespace: &str) {
    let Some(list) = json(&["-n", namespace, "get", "pods"]) else {
        return;
    };
    for pod in items(&list) {
        let phase = text(pod, "/status/phase");
        let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
        let ready = containers.is_some_and(|all| all.iter().all(|one| one["ready"] == true));
        if phase == "Succeeded" || (phase == "Running" && ready) {
            continue;
        }
        let name = text(pod, "/metadata/name");
        let waiting = text(pod, "/status/containerStatuses/0/state/waiting/reason");
        ui::warn(&format!("pod {namespace}/{name} is {phase} {waiting}"));
        let log = look(&["-n", namespace, "logs", name, "--all-containers", LOG_LINES]).unwrap_or_default();
        log.lines().for_each(|line| ui::heading(&format!("    | {line}")));
    }
}

/// The last warnings.
fn events(namespace: &str) {
    let args = [
        "-n",
        namespace,
        "get",
        "events",
        "--field-selector=type=Warning",
        "--sort-by=.lastTimestamp",
    ];
    let Some(seen) = look(&[&args[..], &["--no-headers"]].concat()) else {
        return;
    };
    let lines: Vec<&str> = seen.lines().collect();
    for line in &lines[lines.len().saturating_sub(EVENTS)..] {
        ui::heading(&format!("    event in {namespace}: {line}"));
    }
}

fn look(args: &[&str]) -> Option<String> {
    let command: Cmd = kubectl()
        .args(["--request-timeout=10s"])
        .args(args)
        .deadline(Duration::from_secs(15));
    command
        .finish()
        .ok()
        .filter(|finished| finished.success)
        .map(|finished| finished.stdout)
}

fn json(args: &[&str]) -> Option<Value> {
    serde_json::from_str(&look(&[args, &["-o", "json"]].concat())?).ok()
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::unready;
    use serde_json::json;

    #[test]
    fn only_what_is_not_true_is_told() {
        let object = json!({"status": {"conditions": [
            {"type": "Ready", "status": "True", "reason": "Completed", "message": "done"},
            {"type": "Verified", "status": "False", "reason": "Lost", "message": "1 record is missing"},
            {"type": "Stalled", "status": "False", "reason": "Progressing", "message": ""},
        ]}});
        assert_eq!(
            unready(&object).unwrap(),
            "Verified=False/Lost: 1 record is missing"
        );
        assert_eq!(unready(&json!({"status": {"conditions": []}})), None);
    }
}
