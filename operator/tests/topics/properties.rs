//! Any sequence of specs ends where a simple account of it says, and where the last spec alone leads from scratch, as
//! far as what was before may not count. Nothing is ever shrunk, and what is somebody else's stays.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value, json};

use crate::world::{World, name_of};

const KEYS: [&str; 5] = [
    "cleanup.policy",
    "flush.messages",
    "retention.bytes",
    "retention.ms",
    "segment.ms",
];
/// A key that no spec names, set by somebody else.
const FOREIGN: (&str, &str) = ("flush.ms", "777");

/// What one spec asks for.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
struct Step {
    partitions: Option<i32>,
    factor: Option<i32>,
    config: BTreeMap<&'static str, String>,
    unmanaged: BTreeSet<&'static str>,
    /// Whether retention and cleanup are asked for by their fields.
    typed: bool,
    report: bool,
    suspend: bool,
    /// Whether the operator starts anew before it sees this spec.
    restart: bool,
}

fn value(key: &'static str) -> BoxedStrategy<String> {
    match key {
        "cleanup.policy" => prop_oneof!["delete", "compact", "compact,delete"]
            .prop_map(String::from)
            .boxed(),
        "retention.ms" | "retention.bytes" => {
            prop_oneof![Just("-1".to_owned()), (1..4_i32).prop_map(|n| n.to_string())].boxed()
        }
        _ => (1..4_i32).prop_map(|n| n.to_string()).boxed(),
    }
}

fn config() -> impl Strategy<Value = BTreeMap<&'static str, String>> {
    let one = |key: &'static str| proptest::option::of(value(key)).prop_map(move |value| (key, value));
    KEYS.map(one).prop_map(|all| {
        all.into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    })
}

prop_compose! {
    fn step()(
        partitions in proptest::option::of(1..5_i32),
        factor in proptest::option::of(1..4_i32),
        config in config(),
        unmanaged in proptest::sample::subsequence(KEYS.to_vec(), 0..2),
        typed in any::<bool>(),
        report in any::<bool>(),
        suspend in proptest::bool::weighted(0.15),
        restart in proptest::bool::weighted(0.3),
    ) -> Step {
        let unmanaged: BTreeSet<_> = unmanaged.into_iter().collect();
        let config = config.into_iter().filter(|(key, _)| !unmanaged.contains(key)).collect();
        Step { partitions, factor, config, unmanaged, typed, report, suspend, restart }
    }
}

impl Step {
    fn spec(&self) -> Value {
        let mut spec = json!({
            "driftPolicy": if self.report { "Report" } else { "Correct" },
            "suspend": self.suspend, "unmanagedConfig": self.unmanaged, "config": {},
        });
        if let Some(partitions) = self.partitions {
            spec["partitions"] = json!(partitions);
        }
        if let Some(factor) = self.factor {
            spec["replicationFactor"] = json!(factor);
        }
        let limit = |value: &str, unit: &str| {
            if value == "-1" {
                "Unlimited".to_owned()
            } else {
                format!("{value}{unit}")
            }
        };
        for (key, value) in &self.config {
            match *key {
                "retention.ms" if self.typed => spec["retention"]["time"] = json!(limit(value, "ms")),
                "retention.bytes" if self.typed => {
                    spec["retention"]["bytesPerPartition"] = json!(limit(value, ""));
                }
                "cleanup.policy" if self.typed => {
                    let word = |word: &str| if word == "delete" { "Delete" } else { "Compact" };
                    spec["cleanupPolicy"] = value.split(',').map(word).collect();
                }
                _ => spec["config"][*key] = json!(value),
            }
        }
        spec
    }
}

/// A topic as an account of all specs has it.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    partitions: usize,
    factor: usize,
    config: BTreeMap<String, String>,
}

/// The account: shape, and the keys that are ours.
struct Account {
    shape: Shape,
    ours: BTreeSet<&'static str>,
    /// Keys that were ours and were left as they were.
    left: BTreeSet<&'static str>,
}

impl Account {
    fn take_in(&mut self, step: &Step) {
        if step.suspend {
            return;
        }
        let asked = |number: Option<i32>| usize::try_from(number.unwrap_or(0)).unwrap();
        self.shape.partitions = self.shape.partitions.max(asked(step.partitions));
        if step.factor.is_some() {
            self.shape.factor = asked(step.factor);
        }
        for key in std::mem::take(&mut self.ours) {
            if step.unmanaged.contains(key) {
                self.left.insert(key);
            } else if !step.config.contains_key(key) {
                self.shape.config.remove(key);
            }
        }
        for (key, value) in &step.config {
            self.shape.config.insert((*key).to_owned(), value.clone());
            self.ours.insert(key);
            self.left.remove(key);
        }
    }
}

fn seen(world: &World) -> Shape {
    let topic = world.live("orders").unwrap();
    let counts: BTreeSet<usize> = topic.replicas.iter().map(|one| one.replicas.len()).collect();
    assert_eq!(counts.len(), 1, "every partition has as many replicas");
    Shape {
        partitions: topic.partitions.len(),
        factor: counts.into_iter().next().unwrap(),
        config: topic.config,
    }
}

/// Passes until nothing moves, replicas included.
async fn finish(world: &World) {
    for _ in 0..3 {
        world.settle().await;
        world.kafka.catch_up(10);
    }
    world.settle().await;
}

async fn runs(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::new();
    world.topic("orders", json!({}));
    world.settle().await;
    world
        .kafka
        .set_config(&name_of("orders"), FOREIGN.0, Some(FOREIGN.1));
    let mut account = Account {
        shape: seen(&world),
        ours: BTreeSet::new(),
        left: BTreeSet::new(),
    };
    for step in steps {
        if step.restart {
            world = world.restarted();
        }
        account.take_in(step);
        world.topic("orders", step.spec());
        finish(&world).await;
        prop_assert_eq!(&seen(&world), &account.shape, "{:?}", step);
        let shrinks = step
            .partitions
            .is_some_and(|wanted| usize::try_from(wanted).unwrap() < account.shape.partitions);
        let reason = match (step.suspend, shrinks) {
            (true, _) => "Suspended",
            (false, true) => "PartitionDecreaseRefused",
            (false, false) => "Ready",
        };
        prop_assert_eq!(world.ready("orders").1, reason);
        // What was carried out is planned as nothing.
        let rest = (world.api.writes().len(), world.kafka.changes());
        world.pass().await;
        world.restarted().pass().await;
        prop_assert_eq!(rest, (world.api.writes().len(), world.kafka.changes()));
    }
    let last = steps.last().unwrap();
    let fresh = World::new();
    fresh.topic("orders", last.spec());
    finish(&fresh).await;
    let (mut there, mut here) = (seen(&fresh).config, seen(&world).config);
    let theirs = here.remove(FOREIGN.0);
    prop_assert_eq!(theirs.as_deref(), Some(FOREIGN.1));
    for key in &account.left {
        there.remove(*key);
        here.remove(*key);
    }
    prop_assert_eq!(here, there, "from scratch it is the same");
    if last.factor.is_some() {
        prop_assert_eq!(seen(&fresh).factor, seen(&world).factor);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_specs_ends_where_its_account_says(
        steps in proptest::collection::vec(step(), 1..6),
        last in step(),
    ) {
        let mut steps = steps;
        steps.push(Step { suspend: false, ..last });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(runs(&steps))?;
    }
}
