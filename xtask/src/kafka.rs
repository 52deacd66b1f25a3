//! Kafka in the cluster: the shared broker in namespace `kafka`, and throw-away ones for tests that break things.
//!
//! Where registries can be reached the shared broker is the Bitnami chart; otherwise our own chart and image show the
//! same outward face, which `rig/kafka/face.yaml` lists and [`check_face`] compares. Throw-away brokers are always ours.

mod ask;
pub mod certificates;
mod face;
pub mod image;
mod probe;
mod secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

pub use ask::ask;
pub use face::check_face;
pub use probe::answers;

use crate::cache;
use crate::cmd::Cmd;
use crate::kubectl::{self, kubectl};
use crate::paths;
use crate::rig::choice::Path;
use crate::rig::cluster;
use crate::ui::{self, Look, Step};

/// The version the Bitnami chart carries, and so the shared broker's.
pub const VERSION: &str = "4.0.0";
/// The newest version there is; the contract suite runs against it too.
pub const NEWEST: &str = "4.4.0";
/// The shared broker's namespace.
pub const NAMESPACE: &str = "kafka";
/// The shared broker's external listener.
pub const NODE_PORT: u16 = 30094;
/// The first of the node ports that `kind-config.yaml` maps for a throw-away Kafka; each broker has the next.
pub const SPARE_NODE_PORT: u16 = 30095;
/// As [`SPARE_NODE_PORT`], for its listeners with TLS.
pub const SPARE_TLS_NODE_PORT: u16 = 30098;
/// The node port of another throw-away Kafka, which has one broker.
pub const LONE_NODE_PORT: u16 = 30101;
/// The most brokers of a throw-away Kafka: as many as `kind-config.yaml` maps ports for.
pub const MOST_BROKERS: u8 = 3;

/// Where the Bitnami chart is, and the release of it that everything here was tried with.
const CHART: &str = "oci://registry-1.docker.io/bitnamicharts/kafka";
const CHART_VERSION: &str = "32.4.4";
/// The Helm release, which gives every object its name.
const RELEASE: &str = "kafka";

/// The racks of a Kafka with several brokers, in turn: two share one, so that a spread over racks is a choice.
const RACKS: [&str; 3] = ["west", "west", "east"];
/// The heap of a throw-away broker, which lives too shortly for a compiler that optimises.
const SMALL_HEAP: &str = "-Xms128m -Xmx320m -XX:TieredStopAtLevel=1";

/// How the broker's listeners protect themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// SASL (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512) as `user1`, without TLS.
    SaslPlaintext,
    /// Nothing.
    Plaintext,
}

/// A Kafka of our own chart.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its namespace; one Kafka each.
    pub namespace: String,
    /// How many brokers, [`MOST_BROKERS`] at most; the first is also the controller.
    pub brokers: u8,
    /// Kafka's version.
    pub version: String,
    /// The NodePort of the first broker's external listener, each further broker having the next; reachable from the
    /// host where `kind-config.yaml` maps it.
    pub node_port: u16,
    /// How its listeners protect themselves.
    pub security: Security,
    /// Whether its data outlives its pod.
    pub persistent: bool,
    /// Whether it has listeners with TLS, and asks for rights (`rig/kafka/chart/values.yaml`).
    /// Only with SASL.
    pub extended: bool,
    /// Broker settings over the chart's.
    pub overrides: BTreeMap<String, String>,
}

impl Spec {
    /// One broker that lives in memory of its pod only, on the spare node ports, with SASL, TLS and an authorizer.
    pub fn throw_away(namespace: &str, version: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            brokers: 1,
            version: version.to_owned(),
            node_port: SPARE_NODE_PORT,
            security: Security::SaslPlaintext,
            persistent: false,
            extended: true,
            overrides: BTreeMap::new(),
        }
    }

    /// The address of the first broker for tools on the host that use TLS.
    pub fn tls_bootstrap() -> String {
        format!("127.0.0.1:{SPARE_TLS_NODE_PORT}")
    }

    /// The address of the first broker for tools on the host.
    pub fn bootstrap(&self) -> String {
        self.addresses().next().unwrap_or_default()
    }

    /// The address of each broker for tools on the host.
    fn addresses(&self) -> impl Iterator<Item = String> {
        let ports = (0..self.brokers).map(|broker| self.node_port + u16::from(broker));
        ports.map(|port| format!("127.0.0.1:{port}"))
    }
}

/// Makes sure that the shared broker runs and answers.
pub fn ensure(path: Path) -> Result<()> {
    secrets::ensure(NAMESPACE, true)?;
    let shared = Spec {
        node_port: NODE_PORT,
        persistent: true,
        extended: false,
        ..Spec::throw_away(NAMESPACE, VERSION)
    };
    match path {
        Path::Rig => deploy(&shared),
        Path::Registry => ui::step("deploy Kafka (the Bitnami chart)", |step| {
            let values = paths::repo().join("charts/values/bitnami-kafka.yaml");
            let command =
                helm(NAMESPACE).args(["upgrade", "--install", RELEASE, CHART, "--version", CHART_VERSION]);
            command
                .args(["--history-max", "2", "--values"])
                .arg(values)
                .deadline(Duration::from_secs(180))
                .run()?;
            await_brokers(step, &shared)
        }),
    }
}

/// Deploys a Kafka of our own chart (or changes it to match), and waits until each broker answers on its external
/// listener.
pub fn deploy(spec: &Spec) -> Result<()> {
    ensure!(
        (1..=MOST_BROKERS).contains(&spec.brokers),
        "a Kafka of {} brokers: from 1 to {MOST_BROKERS} can be had, as many as kind-config.yaml maps ports for",
        spec.brokers
    );
    let image = {
        let _lock = cache::lock()?;
        let image = image::ensure(&spec.version)?;
        cluster::load_image(&image)?;
        image
    };
    if spec.namespace != NAMESPACE {
        cluster::namespace(&spec.namespace)?;
        secrets::ensure(&spec.namespace, spec.security == Security::SaslPlaintext)?;
    }
    let extended = spec.extended && spec.security == Security::SaslPlaintext;
    if extended {
        certificates::ensure(&spec.namespace)?;
    }
    let Spec {
        namespace,
        brokers,
        version,
        node_port,
        persistent,
        overrides,
        ..
    } = spec;
    let protocol = match spec.security {
        Security::SaslPlaintext => "SASL_PLAINTEXT",
        Security::Plaintext => "PLAINTEXT",
    };
    let mut values = json!({
        "image": image, "brokers": brokers, "kafkaVersion": version, "protocol": protocol, "nodePort": node_port,
        "persistence": {"enabled": persistent}, "overrideConfiguration": overrides,
        "extended": {"enabled": extended, "tlsNodePort": SPARE_TLS_NODE_PORT},
    });
    if *brokers > 1 {
        values["racks"] = json!(RACKS);
    }
    if !persistent {
        values["heapOpts"] = json!(SMALL_HEAP);
        values["resources"]["requests"]["memory"] = json!("384Mi");
    }
    ui::step(
        &format!("deploy Kafka {version} in namespace {namespace}"),
        |step| {
            let chart = paths::repo().join("rig/kafka/chart");
            let command = helm(namespace).args(["upgrade", "--install", RELEASE]).arg(chart);
            command
                .args(["--history-max", "2", "--values", "-"])
                .stdin(values.to_string())
                .run()?;
            await_brokers(step, spec)
        },
    )
}

/// Removes a throw-away broker with its whole namespace.
pub fn remove(namespace: &str) -> Result<()> {
    ui::step(
        &format!("remove namespace {namespace} and the Kafka in it"),
        |_| {
            let delete = kubectl().args([
                "delete",
                "namespace",
                namespace,
                "--ignore-not-found",
                "--timeout=120s",
            ]);
            delete.deadline(Duration::from_secs(130)).run()
        },
    )
}

/// The password of `user1` in a broker's namespace.
pub fn password(namespace: &str) -> Result<String> {
    let path = "-o=go-template={{index .data \"system-user-password\" | base64decode}}";
    kubectl()
        .args(["get", "secret", secrets::PASSWORDS, "-n", namespace, path])
        .output()
}

/// Waits until each pod is Ready and each external listener answers a Kafka request: Ready alone comes too early, and
/// an open port proves nothing behind a proxy.
fn await_brokers(step: &Step, spec: &Spec) -> Result<()> {
    let namespace = &spec.namespace;
    let what = format!("Kafka in namespace {namespace} to answer on {}", spec.bootstrap());
    ui::wait(step, &what, Duration::from_secs(240), || {
        let set = kubectl::get(&["statefulset", "kafka-controller", "-n", namespace])?.unwrap_or_default();
        let status = &set["status"];
        if status["updateRevision"] != status["currentRevision"]
            || set["metadata"]["generation"] != status["observedGeneration"]
        {
            return Ok(Look::NotYet("the StatefulSet is being rolled out".to_owned()));
        }
        for (index, address) in spec.addresses().enumerate() {
            let name = format!("kafka-controller-{index}");
            let Some(pod) = kubectl::get(&["pod", &name, "-n", namespace])? else {
                return Ok(Look::NotYet(format!("there is no pod {name}")));
            };
            if !cluster::is_ready(&pod) {
                return Ok(Look::NotYet(state_of(&name, &pod)));
            }
            if let Err(error) = answers(&address) {
                return Ok(Look::NotYet(format!("pod {name} is Ready, but {error:#}")));
            }
        }
        Ok(Look::Ready(()))
    })
}

/// Why a pod is not Ready, in its own words.
fn state_of(name: &str, pod: &serde_json::Value) -> String {
    let phase = kubectl::text(pod, "/status/phase");
    let waiting = kubectl::text(pod, "/status/containerStatuses/0/state/waiting/reason");
    let message = pod
        .pointer("/status/conditions")
        .and_then(serde_json::Value::as_array)
        .and_then(|all| {
            all.iter()
                .filter(|one| one["status"] != "True")
                .find_map(|one| one["message"].as_str())
        });
    format!(
        "pod {name} is {phase} {waiting} ({})",
        message.unwrap_or("no message")
    )
}

fn helm(namespace: &str) -> Cmd {
    Cmd::new(paths::tool("helm"))
        .env("KUBECONFIG", paths::kubeconfig())
        .args(["--namespace", namespace])
}
