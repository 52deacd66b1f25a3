//! The tests on the live cluster: against the broker of the demo, against a throw-away one of the newest Kafka, and as
//! a user through the API.
//!
//! The demo's own objects are looked at and never changed: at the end its table must still say Pass.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Tally, cargo_test, suite, suite_with};
use crate::cmd::Cmd;
use crate::kubectl::{self, kubectl};
use crate::{demo, diagnose, paths, ui};

/// The label of the namespaces that e2e tests make.
const LABEL: &str = "ottla.dev/e2e=true";
/// Where tests on the host reach the demo's broker.
const BOOTSTRAP: &str = "127.0.0.1:30094";

/// Runs the live tests, or those whose name contains `filter`.
pub(super) fn run(tally: &mut Tally, filter: Option<&str>) -> Result<()> {
    let table = demo::ensure().inspect_err(|_| diagnose::explain())?;
    ui::step("remove what earlier tests left", |_| sweep())?;
    let password = password()?;
    let live = |command: Cmd| live(command, &password);
    if filter.is_none() {
        suite(
            "unit, contract and client tests",
            tally,
            live(cargo_test(&["--workspace", "--exclude", "ottla-e2e"])),
        )?;
    }
    ui::heading("As a user");
    let args: Vec<&str> = filter.into_iter().chain(["--test-threads=4"]).collect();
    suite_with("e2e tests", tally, live(cargo_test(&["-p", "ottla-e2e"])), &args)?;
    let after = demo::ensure().context("the demo does not pass any more after the tests")?;
    ensure!(
        table == after,
        "the tests changed the demo's table; before:\n{table}\nafter:\n{after}"
    );
    Ok(())
}

/// What live tests read from their environment.
fn live(command: Cmd, password: &str) -> Cmd {
    command
        .env("KUBECONFIG", paths::kubeconfig())
        .env("OTTLA_TEST_TOOLS", paths::bin())
        .env("OTTLA_TEST_BOOTSTRAP", BOOTSTRAP)
        .env("OTTLA_TEST_SASL", format!("ScramSha512:user1:{password}"))
}

/// Removes the namespaces of earlier runs.
fn sweep() -> Result<()> {
    kubectl()
        .args(["delete", "namespaces", "-l", LABEL, "--wait=true"])
        .deadline(Duration::from_secs(180))
        .run()
}

/// The password of `user1`.
fn password() -> Result<String> {
    let path = "-o=go-template={{index .data \"client-passwords\" | base64decode}}";
    let list = kubectl()
        .args(["-n", "kafka", "get", "secret", "kafka-user-passwords", path])
        .output()?;
    let first = list.split(',').next().unwrap_or_default().trim().to_owned();
    ensure!(
        !first.is_empty(),
        "Secret kafka/kafka-user-passwords has no client password"
    );
    Ok(first)
}

/// Whether an object is still there.
#[allow(dead_code, reason = "used by the throw-away broker")]
fn exists(args: &[&str]) -> Result<bool> {
    Ok(kubectl::get(args)?.is_some_and(|found: Value| !found.is_null()))
}
