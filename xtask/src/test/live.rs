//! The tests on the live cluster: against the broker of the demo, against a throw-away one of the newest Kafka, and as
//! a user through the API.
//!
//! The demo's own objects are looked at and never changed: at the end its table must still say Pass.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, ensure};

use super::binaries::{self, Binary, Job};
use super::brokers::{self, LONE, SPARE};
use super::failing::{self, Failing};
use super::{Tally, cargo_test, suite_with};
use crate::cmd::Cmd;
use crate::images::{self, Images};
use crate::kafka::{self, Spec};
use crate::kubectl::kubectl;
use crate::{demo, diagnose, paths, rig, ui};

/// The label of the namespaces that e2e tests make.
const LABEL: &str = "ottla.dev/e2e=true";
/// What tells test binaries to leave out the tests for which Kafka must have TLS: the shared one has none.
const NEED_TLS: [&str; 2] = ["--skip", "another_ca_is_named"];
/// e2e tests that share the cluster. They are built as part of the whole workspace: alone they would have other features.
const TOGETHER: &[&str] = &["--test", "together"];
/// e2e tests that need the cluster for themselves.
const ALONE: &[&str] = &["--test", "alone"];
/// e2e tests at the same time: the node has few cores, but most of a test is waiting.
const THREADS: &str = "--test-threads=8";
/// Of those that need the cluster for themselves some outlive each other; who does not waits by itself.
const FEW: &str = "--test-threads=6";
const ONE: &str = "--test-threads=1";
/// What is run against the newest Kafka too.
const CONTRACT: [&str; 3] = ["contract", "live", "kafka"];
/// Of the tests that are no user's, those that ask the cluster's Kubernetes API and not Kafka.
const ADMISSION: &str = "admission";

/// Which of the live tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which<'a> {
    /// All but those that take long.
    All,
    /// The e2e tests whose name contains this.
    Named(&'a str),
    /// Those that take long, or those of them whose name contains this.
    Soak(Option<&'a str>),
}

/// A suite of e2e tests: its name, the test binaries, and what these are told.
type Suite<'a> = (&'static str, &'static [&'static str], Vec<&'a str>);

impl<'a> Which<'a> {
    /// The suite of e2e tests that share the cluster.
    fn together(self) -> Option<Suite<'a>> {
        let told = match self {
            Self::All => vec![THREADS],
            Self::Named(filter) => vec![filter, THREADS],
            Self::Soak(_) => return None,
        };
        Some(("e2e tests", TOGETHER, told))
    }

    /// The suite of e2e tests that need it for themselves.
    fn alone(self) -> Suite<'a> {
        let told = match self {
            Self::All => vec![FEW],
            Self::Named(filter) => vec![filter, FEW],
            Self::Soak(filter) => filter.into_iter().chain(["--ignored", ONE]).collect(),
        };
        ("e2e tests of the operator's own life", ALONE, told)
    }
}

/// Builds all tests; answers those that are no user's, and where the operator is that is built with them.
fn build() -> Result<(Vec<Binary>, PathBuf)> {
    let user = [&["--workspace", "--no-run", "--quiet"], TOGETHER, ALONE].concat();
    cargo_test(&user).log("build-e2e-tests").run()?;
    let all = [
        "--workspace",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ];
    let messages = cargo_test(&all).log("build-tests").output()?;
    let mut files = messages.lines().filter_map(images::executable);
    let operator = files.find(|file| file.ends_with("ottla-operator"));
    Ok((
        binaries::built(&messages)?,
        operator.context("cargo built no ottla-operator")?,
    ))
}

/// The tests of clients against the newest Kafka. They come before all others: those change that Kafka, and stop its brokers.
fn on_newest(binaries: &[Binary], newest: &Live) -> Result<Tally> {
    let all = binaries
        .iter()
        .filter(|binary| CONTRACT.contains(&binary.target.as_str()));
    let jobs = all.map(|binary| {
        let name = format!("{} on Kafka {} with TLS", binary.name, kafka::NEWEST);
        Job::of(&name, newest.environment(binary.command()))
    });
    binaries::run("contract and client tests on the newest Kafka", jobs.collect())
}

/// The tests that are no user's and ask the shared Kafka or the Kubernetes API.
fn of_clients(binaries: &[Binary], shared: &Live) -> Result<Tally> {
    let asking = binaries.iter().filter(|binary| asks(binary));
    let jobs = asking.map(|binary| {
        let command = shared.environment(binary.command()).args(NEED_TLS);
        Job::of(&binary.name, command)
    });
    binaries::run("contract and client tests", jobs.collect())
}

/// Whether a test binary asks the cluster's Kafka or Kubernetes API.
fn asks(binary: &Binary) -> bool {
    CONTRACT.contains(&binary.target.as_str()) || binary.target == ADMISSION
}

/// The tests that are no user's and need no cluster. They are in no hurry.
fn without_cluster(binaries: &[Binary]) -> Result<Tally> {
    let alone = binaries.iter().filter(|binary| !asks(binary));
    let mut jobs: Vec<Job> = alone
        .map(|binary| Job::of(&binary.name, binary.command().stands_back()))
        .collect();
    let docs = cargo_test(&["--workspace", "--doc"]).stands_back();
    jobs.push(Job::of("doc tests", docs));
    binaries::run("unit tests", jobs)
}

/// Does two things at the same time, both to their end.
fn side_by_side<A: Send, B>(
    beside: impl FnOnce() -> Result<A> + Send,
    other: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    let (beside, other) = thread::scope(|scope| {
        let beside = scope.spawn(beside);
        let other = other();
        (beside.join(), other)
    });
    let other = other?;
    Ok((beside.map_err(panicked)??, other))
}

fn panicked(_panic: Box<dyn Any + Send>) -> Error {
    anyhow!("a thread of the tests panicked")
}

/// What a user does and sees.
fn as_user(shared: &Live, failing: &Failing, suite: Option<Suite<'_>>) -> Result<Tally> {
    let mut tally = Tally::default();
    if let Some((name, binaries, arguments)) = suite {
        suite_with(
            name,
            &mut tally,
            failing.environment(shared.environment(cargo_test(&[&["--workspace"], binaries].concat()))),
            &arguments,
        )?;
    }
    Ok(tally)
}

/// Runs live tests.
pub(super) fn run(tally: &mut Tally, which: Which<'_>) -> Result<()> {
    rig::up().inspect_err(|_| diagnose::explain())?;
    let ((), (up, (binaries, operator))) = side_by_side(brokers::deploy, || {
        let up = demo::ensure().inspect_err(|_| diagnose::explain())?;
        ui::step("remove what earlier tests left", |_| sweep())?;
        if which == Which::All {
            // Not beside the tests: Kafka's own tools give up on a busy machine.
            let face = ui::step("Kafka's outward face", |_| kafka::check_face().map(drop));
            tally.check("Kafka's outward face", face);
        }
        let built = ui::step("build the tests", |_| build())?;
        anyhow::Ok((up, built))
    })?;
    let failing = failing::ensure(operator)?;
    let shared = Live::new(
        kafka::NAMESPACE,
        &format!("127.0.0.1:{}", kafka::NODE_PORT),
        &up.images,
    )?;
    let newest = Live {
        trusts: Some(kafka::certificates::trusted(SPARE)?),
        ..Live::new(SPARE, &Spec::tls_bootstrap(), &up.images)?
    };
    let user = |suite| as_user(&shared, &failing, suite);
    let (together, alone) = (which.together(), Some(which.alone()));
    if which == Which::All {
        // Most of an e2e test is waiting, and most of the others is work. Where a test is to see the operator act in time, the
        // work is what stands back.
        tally.absorb(on_newest(&binaries, &newest)?);
        let clients = || of_clients(&binaries, &shared);
        let first = side_by_side(clients, || user(together))?;
        let then = side_by_side(|| without_cluster(&binaries), || user(alone))?;
        for one in [first.0, first.1, then.0, then.1] {
            tally.absorb(one);
        }
    } else {
        tally.absorb(user(together)?);
        tally.absorb(user(alone)?);
    }
    let ((), after) = side_by_side(brokers::remove, || {
        demo::ensure().context("the demo does not pass any more after the tests")
    })?;
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
    /// A folder with the CA to trust; none: without TLS.
    trusts: Option<PathBuf>,
    binaries: String,
}

impl Live {
    /// Tests against the broker of that namespace.
    fn new(namespace: &str, bootstrap: &str, images: &Images) -> Result<Self> {
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            trusts: None,
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
            .env("OTTLA_TEST_TLS", self.trusts.as_deref().unwrap_or(Path::new("")))
            .env("OTTLA_TEST_BINARIES", &self.binaries)
            .env("OTTLA_TEST_SPARE_KAFKA", SPARE)
            .env("OTTLA_TEST_LONE_KAFKA", LONE)
    }
}

/// Removes the namespaces of earlier runs.
fn sweep() -> Result<()> {
    kubectl()
        .args(["delete", "namespaces", "-l", LABEL, "--wait=true"])
        .deadline(Duration::from_secs(180))
        .run()
}
