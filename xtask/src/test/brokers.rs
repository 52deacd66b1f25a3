//! The throw-away Kafkas of the tests: one of three brokers, which they may change, and one of one broker, which they take
//! away.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use crate::kafka::{self, Spec};
use crate::ui;

/// Where the one of three brokers runs.
pub(super) const SPARE: &str = "ottla-test-kafka";
/// Where the one of one broker runs.
pub(super) const LONE: &str = "ottla-test-lone-kafka";
/// Groups that are asked for, so that each partition of the internal topic has one.
const GROUPS: usize = 8;
/// How long Kafka may take to coordinate groups.
const DEADLINE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);
/// What tests cannot wait for otherwise, or not see. Also what many a Kafka has: a topic is created for whoever writes to one
/// that is not there, so nothing of ours may ask for one by accident.
const OVERRIDES: [(&str, &str); 6] = [
    ("auto.create.topics.enable", "true"),
    // The brokers look at retention.
    ("log.retention.check.interval.ms", "1000"),
    ("log.initial.task.delay.ms", "1000"),
    // A broker that stands still counts as alive for so long: what waits for its replicas is seen to wait.
    ("broker.session.timeout.ms", "60000"),
    // The first consumer waits until all partitions of the internal topics are made.
    ("offsets.topic.num.partitions", "3"),
    ("share.coordinator.state.topic.num.partitions", "3"),
];

fn specs() -> [Spec; 2] {
    let spare = Spec {
        brokers: kafka::MOST_BROKERS,
        overrides: OVERRIDES
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..Spec::throw_away(SPARE, kafka::NEWEST)
    };
    // Of the version that the cluster's node holds already.
    let lone = Spec {
        node_port: kafka::LONE_NODE_PORT,
        extended: false,
        ..Spec::throw_away(LONE, kafka::VERSION)
    };
    [spare, lone]
}

/// Deploys both.
pub(super) fn deploy() -> Result<()> {
    side_by_side(specs().map(|spec| {
        move || {
            kafka::deploy(&spec)?;
            coordinate_groups(&spec.namespace)
        }
    }))
}

/// Has Kafka make its internal topic of consumer groups, which it does when the first group is asked for: no test waits for it.
fn coordinate_groups(namespace: &str) -> Result<()> {
    let groups: Vec<String> = (0..GROUPS)
        .map(|number| format!("--group warm-{number}"))
        .collect();
    let script = format!(
        "kafka-consumer-groups.sh --bootstrap-server kafka:9092 --command-config $1 --delete --timeout 60000 {}",
        groups.join(" ")
    );
    ui::step(&format!("consumer groups in namespace {namespace}"), |step| {
        let end = Instant::now() + DEADLINE;
        loop {
            let said = kafka::ask(namespace, &script)?;
            // There are no such groups, and each one's coordinator has said so.
            if said.matches("GroupIdNotFoundException").count() == GROUPS {
                return Ok(());
            }
            ensure!(Instant::now() < end, "Kafka's coordinators do not answer: {said}");
            step.say("asking again");
            ui::pause(PAUSE);
        }
    })
}

/// Removes both.
pub(super) fn remove() -> Result<()> {
    side_by_side([SPARE, LONE].map(|namespace| move || kafka::remove(namespace)))
}

fn side_by_side(works: [impl FnOnce() -> Result<()> + Send; 2]) -> Result<()> {
    let ended = thread::scope(|scope| {
        works
            .map(|work| scope.spawn(work))
            .map(thread::ScopedJoinHandle::join)
    });
    ended
        .into_iter()
        .try_for_each(|end| end.map_err(|_| anyhow!("a thread that waited for Kafka panicked"))?)
}
