//! The kind cluster: created when absent, started when stopped, made anew when it is not what the recipe asks for.
//!
//! `/kind/ottla-recipe` in the node is written last; a cluster without it was never finished.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::choice::Path;
use super::{node, tools};
use crate::cache::Recipe;
use crate::cmd::Cmd;
use crate::host::engine::docker;
use crate::kubectl::{self, kubectl};
use crate::paths;
use crate::ui::{self, Look};

/// The cluster's name, as `kind-config.yaml` says.
pub const NAME: &str = "ottla";
/// The container that is the cluster's one node.
pub const NODE: &str = "ottla-control-plane";
/// Where the node remembers what it was made from.
const MARKER: &str = "/kind/ottla-recipe";
/// Namespaces that exist from the start, both held to the restricted Pod Security profile.
pub const NAMESPACES: [&str; 2] = ["kafka", "ottla-system"];

/// kind, always with our kubeconfig.
pub fn kind() -> Cmd {
    Cmd::new(paths::tool("kind"))
        .env("KUBECONFIG", paths::kubeconfig())
        .deadline(Duration::from_secs(300))
        .log("kind")
}

/// What the node container is.
pub enum State {
    /// There is none.
    Absent,
    /// It is there but does not run.
    Stopped,
    /// It runs; the text is the recipe it was made from, empty when creating it never finished.
    Running(String),
}

/// Looks at the node container.
pub fn state() -> Result<State> {
    let inspected = docker()
        .args(["inspect", "--format", "{{.State.Running}}", NODE])
        .finish()?;
    if !inspected.success {
        return Ok(State::Absent);
    }
    if inspected.stdout.trim() != "true" {
        return Ok(State::Stopped);
    }
    let marker = docker().args(["exec", NODE, "cat", MARKER]).finish()?;
    Ok(State::Running(if marker.success {
        marker.stdout.trim().to_owned()
    } else {
        String::new()
    }))
}

/// Makes sure that the cluster runs, answers, and is the one the recipe asks for.
pub fn ensure(path: Path) -> Result<()> {
    let (config, image) = (config(path)?, image(path)?);
    let wanted = format!(
        "{} {}",
        path.word(),
        Recipe::new("cluster")
            .text(&config)
            .text(image.as_deref().unwrap_or(""))
            .key()
    );
    match state()? {
        State::Running(marker) if marker == wanted && is_ours() => return namespaces(),
        State::Running(marker) if marker == wanted => ui::warn("the cluster does not answer; making it anew"),
        State::Running(marker) if marker.is_empty() => {
            ui::note("creating the cluster was interrupted; making it anew");
        }
        State::Running(_) => ui::warn("the cluster was made from another recipe; making it anew"),
        State::Stopped => ui::warn("the cluster does not start; making it anew"),
        State::Absent => {}
    }
    remove()?;
    create(&config, image.as_deref())?;
    namespaces()?;
    let mark = format!("echo '{wanted}' > {MARKER}");
    docker().args(["exec", NODE, "sh", "-c", &mark]).run()
}

fn create(config: &str, image: Option<&str>) -> Result<()> {
    ui::step("create the kind cluster", |step| {
        let mut command = kind()
            .args(["create", "cluster", "--config", "-", "--wait", "120s"])
            .stdin(config);
        if let Some(image) = image {
            command = command.args(["--image", image]);
        }
        command.run()?;
        await_system(step)
    })
}

/// Starts a node container that was stopped, by a reboot for instance, and gives the cluster a minute to answer.
pub fn start_stopped() -> Result<()> {
    if !matches!(state()?, State::Stopped) {
        return Ok(());
    }
    ui::step("start the cluster again", |step| {
        docker().args(["start", NODE]).run()?;
        let answered = ui::wait(step, "the API server", Duration::from_secs(60), || {
            Ok(if answers() {
                Look::Ready(())
            } else {
                Look::NotYet("no answer".to_owned())
            })
        });
        if let Err(error) = answered {
            step.say(&format!("{error:#}"));
        }
        Ok(())
    })
}

/// Whether our kubeconfig reaches the cluster; writes it again when it does not, for it may be gone or out of date.
fn is_ours() -> bool {
    answers() || {
        let export = kind().args(["export", "kubeconfig", "--name", NAME]).finish();
        export.is_ok_and(|finished| finished.success) && answers()
    }
}

/// Whether the API server says it is ready.
pub fn answers() -> bool {
    kubectl()
        .args(["get", "--raw", "/readyz", "--request-timeout=5s"])
        .finish()
        .is_ok_and(|finished| finished.success)
}

/// Waits until the node and every system pod is ready.
fn await_system(step: &ui::Step) -> Result<()> {
    ui::wait(
        step,
        "the system pods to be Ready",
        Duration::from_secs(180),
        || {
            let pods =
                kubectl::get(&["pods", "-n", "kube-system"])?.context("no answer about kube-system")?;
            let pods = pods["items"].as_array().cloned().unwrap_or_default();
            let late: Vec<&str> = pods
                .iter()
                .filter(|pod| !is_ready(pod))
                .map(|pod| kubectl::text(pod, "/metadata/name"))
                .collect();
            let done = late.is_empty() && pods.len() >= 6;
            Ok(if done {
                Look::Ready(())
            } else {
                Look::NotYet(format!("not Ready of {}: {}", pods.len(), late.join(", ")))
            })
        },
    )
}

/// Whether an object's condition `Ready` is True.
pub fn is_ready(object: &Value) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.is_some_and(|all| {
        all.iter()
            .any(|one| one["type"] == "Ready" && one["status"] == "True")
    })
}

/// The two namespaces of ours.
fn namespaces() -> Result<()> {
    NAMESPACES.iter().try_for_each(|name| namespace(name))
}

/// Creates a namespace that enforces the restricted profile.
pub fn namespace(name: &str) -> Result<()> {
    kubectl::apply(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels:\n    \
         pod-security.kubernetes.io/enforce: restricted\n    pod-security.kubernetes.io/warn: restricted\n"
    ))
}

/// Deletes the cluster, however little of it there is.
pub fn remove() -> Result<()> {
    if matches!(state()?, State::Absent) {
        return Ok(());
    }
    ui::step("delete the kind cluster", |_| {
        docker().args(["rm", "--force", "--volumes", NODE]).run()
    })
}

/// Puts an image of the engine into the node, unless it is there already.
pub fn load_image(tag: &str) -> Result<()> {
    if has_image(tag)? {
        return Ok(());
    }
    ui::step(&format!("load {tag} into the cluster"), |_| {
        kind().args(["load", "docker-image", "--name", NAME, tag]).run()?;
        if has_image(tag)? {
            Ok(())
        } else {
            bail!("kind said it loaded {tag}, but the node does not list it")
        }
    })
}

/// Whether the node has an image whose content is the engine's of that name.
fn has_image(tag: &str) -> Result<bool> {
    let wanted = docker()
        .args(["image", "inspect", "--format", "{{.Id}}", tag])
        .output()?;
    let found = docker()
        .args(["exec", NODE, "crictl", "inspecti", tag])
        .finish()?;
    if found.success {
        return Ok(found.stdout.contains(&wanted));
    }
    // The rig's node has no crictl; containerd's own tool lists manifests, whose config digest is the image id.
    let script = "digest=$(ctr -n k8s.io images ls name==\"$1\" | awk 'NR==2 {print $3}'); \
                  [ -n \"$digest\" ] && ctr -n k8s.io content get \"$digest\"";
    let found = docker()
        .args(["exec", NODE, "sh", "-c", script, "sh", tag])
        .finish()?;
    Ok(found.success && found.stdout.contains(&wanted))
}

/// The image kind is given; none where kind's own default can be pulled.
fn image(path: Path) -> Result<Option<String>> {
    match path {
        Path::Registry => Ok(None),
        Path::Rig => node::image().map(Some),
    }
}

/// `kind-config.yaml`, with the rig's patches on top where the rig's node is used.
fn config(path: Path) -> Result<String> {
    let read = |name: &str| -> Result<Value> {
        let file = paths::repo().join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("{name} is not YAML"))
    };
    let mut config = read("kind-config.yaml")?;
    if path == Path::Rig {
        overlay(&mut config, read("rig/node/kind-patches.yaml")?);
    }
    // kind reads JSON as the YAML it is.
    Ok(serde_json::to_string(&config)?)
}

/// Lays one configuration over another: maps merge, lists are appended, anything else is replaced.
fn overlay(onto: &mut Value, from: Value) {
    match (onto, from) {
        (Value::Object(onto), Value::Object(from)) => {
            for (key, value) in from {
                overlay(onto.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(onto), Value::Array(from)) => onto.extend(from),
        (onto, from) => *onto = from,
    }
}

/// Builds (or finds on the host) kind, kubectl and Helm, and links them under one directory.
pub fn ensure_tools(path: Path) -> Result<()> {
    let programs = [
        ("kind", &tools::KIND),
        ("helm", &tools::HELM),
        ("kubectl", &tools::KUBERNETES),
    ];
    for (name, tool) in programs {
        let program = match (path, crate::host::which(name)) {
            (Path::Registry, Some(found)) => found,
            _ => tool.ensure()?.join(name),
        };
        tools::link(name, &program)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka;
    use serde_json::json;

    #[test]
    fn patches_extend_lists_and_keep_what_they_do_not_name() {
        let mut config = json!({"name": "ottla", "patches": ["a"], "networking": {"x": 1}});
        overlay(&mut config, json!({"patches": ["b"], "networking": {"y": 2}}));
        assert_eq!(
            config,
            json!({"name": "ottla", "patches": ["a", "b"], "networking": {"x": 1, "y": 2}})
        );
    }

    #[test]
    fn the_committed_configuration_maps_what_kafka_advertises() {
        let config = config(Path::Rig).unwrap();
        assert!(config.contains("disableDefaultCNI"), "{config}");
        let first = [kafka::SPARE_NODE_PORT, kafka::SPARE_TLS_NODE_PORT];
        let spare = first.map(|first| (0..u16::from(kafka::MOST_BROKERS)).map(move |broker| first + broker));
        for port in spare
            .into_iter()
            .flatten()
            .chain([kafka::NODE_PORT, kafka::LONE_NODE_PORT])
        {
            assert!(
                config.contains(&format!("\"hostPort\":{port}")),
                "{port} in {config}"
            );
        }
    }
}
