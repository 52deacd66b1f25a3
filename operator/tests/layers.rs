//! The layers of the operator, as far as a search can hold them: what may stand in which file.
//! `docs/architecture.md` has the invariants in words.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Files that decide: time, chance and the world are arguments there.
const PURE: [&str; 4] = ["desired.rs", "plan.rs", "status.rs", "reason.rs"];
/// Pure beyond those.
const ALSO_PURE: &[&str] = &[
    "topic/ledger.rs",
    "purge/notes.rs",
    "cluster/tenancy.rs",
    "topic/defaults.rs",
    "topic/plan/keys.rs",
    "topic/plan/replication.rs",
    "topic/plan/throttle.rs",
    "topic/placement.rs",
    "topic/config.rs",
    "topic/notes.rs",
    "topic/claims.rs",
    "runtime/conditions.rs",
    "runtime/backoff.rs",
];
/// What a pure file holds nothing of.
const IMPURE: [&str; 14] = [
    "async fn",
    "async move",
    ".await",
    "Timestamp::now",
    "Instant::now",
    "SystemTime",
    "rand::",
    "Uuid::new",
    "std::fs",
    "std::net",
    "std::env",
    "tokio::spawn",
    "kube::Client",
    "kube::Api",
];
/// The calls that change Kafka.
const MUTATIONS: [&str; 7] = [
    ".create_topics(",
    ".alter_configs(",
    ".alter_broker_configs(",
    ".create_partitions(",
    ".alter_reassignments(",
    ".delete_topics(",
    ".delete_records(",
];
/// The folders that hold a kind.
const KINDS: [&str; 5] = ["cluster", "topic", "purge", "producer", "consumer"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file that is no test, by its path below `src`, without its inline tests.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = vec![];
    walk(&root(), &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    found
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "tests.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            (name(&path), lines.collect::<Vec<_>>().join("\n"))
        })
        .collect()
}

fn report(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn what_decides_holds_no_async_no_clock_no_chance_and_no_io() {
    let mut broken = vec![];
    let mut pure = 0;
    for (name, code) in sources() {
        let in_kind = KINDS.iter().any(|kind| name.starts_with(&format!("{kind}/")));
        let file = name.rsplit('/').next().unwrap_or_default();
        if !(in_kind && PURE.contains(&file) || ALSO_PURE.contains(&name.as_str()) || name == "pods/plan.rs")
        {
            continue;
        }
        pure += 1;
        broken.extend(
            IMPURE
                .iter()
                .filter(|word| code.contains(*word))
                .map(|word| format!("{name}: {word}")),
        );
    }
    assert!(
        pure >= 12,
        "only {pure} pure files were found: has a name changed?"
    );
    report(&broken, "a pure file reaches into the world");
}

#[test]
fn kafka_is_changed_in_execute_alone() {
    let allowed = [
        "cluster/execute.rs",
        "topic/execute.rs",
        "purge/execute.rs",
        "connections/metered.rs",
    ];
    let mut broken = vec![];
    for (name, code) in sources()
        .into_iter()
        .filter(|(name, _)| !allowed.contains(&name.as_str()))
    {
        broken.extend(
            MUTATIONS
                .iter()
                .filter(|call| code.contains(*call))
                .map(|call| format!("{name}: {call}")),
        );
    }
    report(&broken, "Kafka is changed outside execute.rs");
}

#[test]
fn the_runtime_knows_no_kind_and_no_kind_knows_another_but_its_cluster() {
    let mut broken = vec![];
    // A cluster's defaults are read and counted by the one kind that knows what they mean for a topic.
    let granted = ["crate::topic::defaults", "crate::topic::touched"];
    for (name, mut code) in sources() {
        if name.starts_with("cluster/") {
            code = granted.iter().fold(code, |code, known| code.replace(known, ""));
        }
        let knows = |folder: &str| code.contains(&format!("crate::{folder}::"));
        let forbidden: Vec<&str> = match name.split('/').next().unwrap_or_default() {
            "runtime" | "connections" => {
                vec![
                    "cluster", "topic", "purge", "producer", "consumer", "pods", "cli", "run",
                ]
            }
            "cluster" => vec!["topic", "purge", "producer", "consumer", "pods", "cli", "run"],
            "topic" => vec!["purge", "producer", "consumer", "pods", "cli", "run"],
            "purge" => vec!["producer", "consumer", "cli", "run"],
            "pods" => vec!["purge", "producer", "consumer", "cli", "run"],
            "producer" => vec!["topic", "purge", "consumer", "cli", "run"],
            "consumer" => vec!["topic", "purge", "cli", "run"],
            _ => vec![],
        };
        broken.extend(
            forbidden
                .into_iter()
                .filter(|folder| knows(folder))
                .map(|folder| format!("{name}: crate::{folder}")),
        );
    }
    report(&broken, "an arrow points the wrong way");
}

#[test]
fn secrets_are_read_by_name_in_one_place() {
    let mut broken = vec![];
    for (name, code) in sources() {
        let reads = code.contains("core::v1::Secret") || code.contains("v1::{Secret");
        if reads && !["connections/secret.rs"].contains(&name.as_str()) {
            broken.push(name);
        }
    }
    report(&broken, "a Secret is read outside connections/secret.rs");
}

#[test]
fn the_operator_links_no_librdkafka_and_no_workload() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    for name in ["rdkafka", "ottla-workloads"] {
        assert!(!manifest.contains(name), "operator/Cargo.toml names {name}");
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    let mut broken = vec![];
    for (name, code) in sources() {
        let text = fs::read_to_string(root().join(&name)).unwrap();
        if !text.starts_with("//!") {
            broken.push(format!("{name}: does not open with //!"));
        }
        if code.lines().count() > 500 {
            broken.push(format!("{name}: {} lines", code.lines().count()));
        }
    }
    report(&broken, "a file is hard to read");
}
