//! The tests on the live cluster: against the broker of the demo, against a throw-away one of the newest Kafka, and as
//! a user through the API.
//!
//! The demo's own objects are looked at and never changed: at the end its table must still say Pass.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Tally, cargo_test, failing, suite, suite_with};
use crate::cmd::Cmd;
use crate::images::Images;
use crate::kafka::{self, Spec};
use crate::kubectl::kubectl;
use crate::{demo, diagnose, paths, ui};

/// The label of the namespaces that e2e tests make.
const LABEL: &str = "ottla.dev/e2e=true";
/// Where the throw-away Kafka runs, for tests that break one or need several brokers.
const SPARE: &str = "ottla-test-kafka";
/// e2e tests that share the cluster, and what supports them.
const TOGETHER: &[&str] = &["--lib", "--bins", "--test", "together"];
/// e2e tests that need the cluster for themselves.
const ALONE: &[&str] = &["--test", "alone"];
/// e2e tests at the same time: the node has few cores, but most of a test is waiting.
const THREADS: &str = "--test-threads=8";
const ONE: &str = "--test-threads=1";

/// Which of the live tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which<'a> {
    /// All but those that take long.
    All,
    /// The e2e tests whose name contains this.
    Named(&'a str),
    /// Those that take long.
    Soak,
}

impl<'a> Which<'a> {
    /// The suites of e2e tests: a name, the test binaries, and what these are told.
    fn user_suites(self) -> Vec<(&'static str, &'static [&'static str], Vec<&'a str>)> {
        let (together, alone) = (("e2e tests", TOGETHER), ("e2e tests, one at a time", ALONE));
        let suite = |(name, binaries), arguments| (name, binaries, arguments);
        match self {
            Self::All => vec![suite(together, vec![THREADS]), suite(alone, vec![ONE])],
            Self::Named(filter) => vec![
                suite(together, vec![filter, THREADS]),
                suite(alone, vec![filter, ONE]),
            ],
            Self::Soak => vec![suite(alone, vec!["--ignored", ONE])],
        }
    }
}

/// Runs live tests.
pub(super) fn run(tally: &mut Tally, which: Which<'_>) -> Result<()> {
    let up = demo::ensure().inspect_err(|_| diagnose::explain())?;
    ui::step("remove what earlier tests left", |_| sweep())?;
    let spare = Spec {
        brokers: kafka::MOST_BROKERS,
        // Five minutes by default, and no test waits that long to see retention at work.
        overrides: [
            ("log.retention.check.interval.ms".to_owned(), "1000".to_owned()),
            ("log.initial.task.delay.ms".to_owned(), "1000".to_owned()),
        ]
        .into(),
        ..Spec::throw_away(SPARE, kafka::NEWEST)
    };
    kafka::deploy(&spare)?;
    let shared = Live::new(
        kafka::NAMESPACE,
        &format!("127.0.0.1:{}", kafka::NODE_PORT),
        &up.images,
    )?;
    let newest = Live::new(SPARE, &spare.bootstrap(), &up.images)?;
    if which == Which::All {
        tally.check(
            "Kafka's outward face",
            ui::step("Kafka's outward face", |_| kafka::check_face().map(drop)),
        );
        let all = cargo_test(&["--workspace", "--exclude", "ottla-e2e"]);
        suite("unit, contract and client tests", tally, shared.environment(all))?;
        let contract = cargo_test(&["-p", "ottla-kafka", "--tests"]);
        suite(
            &format!("contract tests on Kafka {}", kafka::NEWEST),
            tally,
            newest.environment(contract),
        )?;
    }
    let failing = failing::ensure()?;
    ui::heading("As a user");
    for (name, binaries, arguments) in which.user_suites() {
        let selection = [&["-p", "ottla-e2e"], binaries].concat();
        suite_with(
            name,
            tally,
            failing.environment(shared.environment(cargo_test(&selection))),
            &arguments,
        )?;
    }
    kafka::remove(SPARE)?;
    let after = demo::ensure().context("the demo does not pass any more after the tests")?;
    ensure!(
        up.table == after.table,
        "the tests changed the demo's table; before:\n{}\nafter:\n{}",
        up.table,
        after.table
    );
    Ok(())
}

/// What live tests read from their environment.
struct Live {
    bootstrap: String,
    sasl: String,
    binaries: String,
}

impl Live {
    /// Tests against the broker of that namespace.
    fn new(namespace: &str, bootstrap: &str, images: &Images) -> Result<Self> {
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            sasl: format!("ScramSha512:user1:{}", kafka::password(namespace)?),
            binaries: format!(
                "{}:{}",
                images.operator.binary.display(),
                images.workload.binary.display()
            ),
        })
    }

    fn environment(&self, command: Cmd) -> Cmd {
        command
            .env("KUBECONFIG", paths::kubeconfig())
            // An error of these tests tells a story; the frames it passed through do not.
            .env("RUST_BACKTRACE", "0")
            .env("OTTLA_TEST_TOOLS", paths::bin())
            .env("OTTLA_TEST_BOOTSTRAP", &self.bootstrap)
            .env("OTTLA_TEST_SASL", &self.sasl)
            .env("OTTLA_TEST_BINARIES", &self.binaries)
            .env("OTTLA_TEST_SPARE_KAFKA", SPARE)
    }
}

/// Removes the namespaces of earlier runs.
fn sweep() -> Result<()> {
    kubectl()
        .args(["delete", "namespaces", "-l", LABEL, "--wait=true"])
        .deadline(Duration::from_secs(180))
        .run()
}
