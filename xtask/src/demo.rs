//! `cargo xtask demo`: cluster, Kafka, operator and the quickstart, and at the end the table of verdicts.
//!
//! Every step first looks whether it has anything to do, so a second run takes seconds and a run that was interrupted
//! is repaired by the next.

mod table;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cmd::Cmd;
use crate::images::{self, Images};
use crate::kubectl::{self, kubectl, text};
use crate::ui::Look;
use crate::{diagnose, paths, rig, ui};

/// Namespace and Helm release of the operator.
pub(crate) const SYSTEM: &str = "ottla-system";
/// Helm release of the operator.
pub(crate) const RELEASE: &str = "ottla";
/// Namespace of Kafka and of the quickstart's objects.
const KAFKA: &str = "kafka";
/// How long the quickstart may take, image pulls and the first run of a JVM included.
const DEADLINE: Duration = Duration::from_secs(300);

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the subcommand.
pub(crate) fn run(_args: &Args) -> Result<()> {
    let up = ensure().inspect_err(|_| diagnose::explain())?;
    ui::result(&format!("\n{}\n", up.table));
    ui::result("Next:");
    ui::result(&format!(
        "  export KUBECONFIG={} PATH={}:$PATH",
        paths::kubeconfig().display(),
        paths::bin().display()
    ));
    ui::result("  kubectl -n kafka get kafkaclusters,kafkatopics,kafkaproducers,kafkaconsumers");
    ui::result("  kubectl -n kafka describe kafkaconsumers");
    ui::result("  cargo xtask test    # every check and every test");
    ui::result("  cargo xtask down    # removes all of it");
    Ok(())
}

/// What the demo leaves running.
pub(crate) struct Up {
    /// The table of verdicts.
    pub(crate) table: String,
    /// The images that the operator runs from.
    pub(crate) images: Images,
}

/// Brings everything up, and answers once the quickstart's verdict is Pass.
pub(crate) fn ensure() -> Result<Up> {
    rig::up()?;
    ui::heading("Operator");
    let images = images::ensure()?;
    ui::step("install the operator with Helm", |step| {
        step.say("helm upgrade --install ottla charts/ottla");
        install(&images)
    })?;
    ui::heading("Quickstart");
    ui::step("apply examples/quickstart", |_| {
        kubectl()
            .args(["apply", "-n", KAFKA, "-f"])
            .arg(paths::repo().join("examples/quickstart"))
            .run()
    })?;
    ui::step("verify every record", |step| {
        ui::wait(step, "the consumers to say Verified=True", DEADLINE, verified)
    })?;
    let producers = list("kafkaproducers")?;
    let consumers = list("kafkaconsumers")?;
    let table = table::render(&table::rows(&producers, &consumers));
    Ok(Up { table, images })
}

/// Installs or upgrades the operator, and waits until its pod is ready.
fn install(images: &Images) -> Result<()> {
    let labels = [
        "pod-security.kubernetes.io/enforce: restricted",
        "app.kubernetes.io/managed-by: ottla-xtask",
    ];
    let labels = labels.map(|label| format!("    {label}\n")).concat();
    kubectl::apply(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {SYSTEM}\n  labels:\n{labels}"
    ))?;
    forget_interrupted()?;
    helm(&["upgrade", "--install", RELEASE])
        .arg(paths::repo().join("charts/ottla"))
        .args(["--namespace", SYSTEM])
        .args(values(images))
        // CRDs may be there without Helm: `bench` and `dev` apply them.
        .args([
            "--take-ownership",
            "--history-max",
            "3",
            "--wait",
            "--timeout",
            "150s",
        ])
        .deadline(Duration::from_secs(200))
        .run()
}

/// The chart's values that name the images built here.
pub(crate) fn values(images: &Images) -> Vec<String> {
    [("image", &images.operator), ("workloadImage", &images.workload)]
        .iter()
        .flat_map(|(name, image)| {
            let repository = format!("{name}.repository={}", image.repository);
            let tag = format!("{name}.tag={}", image.tag);
            [
                "--set-string".to_owned(),
                repository,
                "--set-string".to_owned(),
                tag,
            ]
        })
        .collect()
}

/// helm against the `ottla` cluster.
pub(crate) fn helm(args: &[&str]) -> Cmd {
    Cmd::new(paths::tool("helm"))
        .env("KUBECONFIG", paths::kubeconfig())
        .args(args)
}

/// An interrupted Helm leaves a revision that is for ever "pending" and blocks the next: it is forgotten, the objects
/// it made are taken over by the next.
fn forget_interrupted() -> Result<()> {
    let selector = format!(
        "owner=helm,name={RELEASE},status in (pending-install,pending-upgrade,pending-rollback,uninstalling)"
    );
    kubectl()
        .args([
            "-n",
            SYSTEM,
            "delete",
            "secrets",
            "-l",
            &selector,
            "--ignore-not-found",
        ])
        .run()
}

/// One look at the quickstart's consumers.
fn verified() -> Result<Look<()>> {
    let consumers = list("kafkaconsumers")?;
    if consumers.is_empty() {
        bail!("the quickstart has no KafkaConsumer");
    }
    for consumer in &consumers {
        let name = text(consumer, "/metadata/name");
        let (status, reason, message) = condition(consumer, "Verified");
        if status == "False" {
            bail!("KafkaConsumer {name} says Verified=False/{reason}: {message}");
        }
        let (_, ready, why) = condition(consumer, "Ready");
        if ready == "Failed" {
            bail!("KafkaConsumer {name} failed: {why}");
        }
        if status != "True" {
            let received = consumer
                .pointer("/status/received")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            return Ok(Look::NotYet(format!(
                "KafkaConsumer {name} is {ready} and received {received} ({reason} {message})"
            )));
        }
    }
    Ok(Look::Ready(()))
}

/// Status, reason and message of a condition; empty when absent.
fn condition<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str, &'a str) {
    let list = object.pointer("/status/conditions").and_then(Value::as_array);
    let found = list.and_then(|all| all.iter().find(|one| text(one, "/type") == kind));
    found.map_or(("", "", ""), |one| {
        (text(one, "/status"), text(one, "/reason"), text(one, "/message"))
    })
}

/// The quickstart's objects of one kind.
fn list(kind: &str) -> Result<Vec<Value>> {
    let found =
        kubectl::get(&["-n", KAFKA, kind])?.with_context(|| format!("the cluster knows no {kind}"))?;
    Ok(found["items"].as_array().cloned().unwrap_or_default())
}
