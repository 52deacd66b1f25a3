//! `cargo xtask rig status`: what is cached, what runs, which path was chosen and why. Changes nothing.

use anyhow::Result;

use super::cluster::{self, State};
use super::rootfs::{self, has_image};
use super::{choice, node, tools};
use crate::cmd::Cmd;
use crate::host::engine::{self, docker};
use crate::kafka;
use crate::kubectl;
use crate::{host, paths, ui};

/// Prints it.
pub fn show() -> Result<()> {
    let running = engine::is_running();
    row(
        "path",
        &choice::remembered().unwrap_or_else(|| "not chosen yet; cargo xtask rig up chooses".to_owned()),
    );
    row(
        "engine",
        &if running {
            engine_line()?
        } else {
            "does not run".to_owned()
        },
    );
    if running {
        row("cluster", &cluster_line()?);
        row("kafka", &kafka_line());
    }
    row("cache", &paths::rig_cache().display().to_string());
    cached(running)
}

fn engine_line() -> Result<String> {
    let version = docker()
        .args(["version", "--format", "{{.Server.Version}}"])
        .output()?;
    let whose = engine::ours().map_or_else(
        || "not started by cargo xtask".to_owned(),
        |pid| format!("started by cargo xtask, pid {}", pid.as_raw_nonzero()),
    );
    Ok(format!("runs, version {version}, {whose}"))
}

fn cluster_line() -> Result<String> {
    Ok(match cluster::state()? {
        State::Absent => "there is none".to_owned(),
        State::Stopped => "stopped; cargo xtask rig up starts it".to_owned(),
        State::Running(made) if made.is_empty() => "unfinished; cargo xtask rig up makes it anew".to_owned(),
        State::Running(_) if !cluster::answers() => "runs, but its API server does not answer".to_owned(),
        State::Running(made) => format!(
            "runs, made by recipe {made}; KUBECONFIG={}",
            paths::kubeconfig().display()
        ),
    })
}

fn kafka_line() -> String {
    let address = format!("127.0.0.1:{}", kafka::NODE_PORT);
    let set = kubectl::get(&["statefulset", "kafka-controller", "-n", kafka::NAMESPACE]);
    let Ok(Some(set)) = set else {
        return "not deployed".to_owned();
    };
    let version = kubectl::text(&set, "/metadata/labels/app.kubernetes.io~1version");
    match kafka::answers(&address) {
        Ok(()) => format!("version {version} answers on {address}"),
        Err(error) => format!("version {version} is deployed, but {error:#}"),
    }
}

/// One line for each thing the rig builds.
fn cached(running: bool) -> Result<()> {
    if host::which("go").is_none() || host::which("java").is_none() {
        row("", "(Go or Java is missing here, so recipes cannot be named)");
        return Ok(());
    }
    for tool in [
        tools::KUBERNETES,
        tools::KIND,
        tools::HELM,
        tools::ETCD,
        tools::COREDNS,
    ] {
        directory(tool.name, &tool.recipe()?)?;
    }
    for rootfs in [rootfs::BASE, rootfs::NODE] {
        directory(rootfs.name, &rootfs.recipe()?)?;
    }
    if running {
        image("node image", &node::tag()?)?;
        for version in [kafka::VERSION, kafka::NEWEST] {
            image(&format!("Kafka {version} image"), &kafka::image::tag(version)?)?;
        }
    }
    Ok(())
}

fn directory(name: &str, recipe: &crate::cache::Recipe) -> Result<()> {
    let state = if recipe.is_built() {
        let size = Cmd::new("du").args(["-sh"]).arg(recipe.dir()).output()?;
        format!("built, {}", size.split_whitespace().next().unwrap_or("?"))
    } else {
        "to be built".to_owned()
    };
    row("", &format!("{name:<18} {}  {state}", recipe.key()));
    Ok(())
}

fn image(name: &str, tag: &str) -> Result<()> {
    let key = tag.rsplit([':', '-']).next().unwrap_or(tag);
    row(
        "",
        &format!(
            "{name:<18} {key}  {}",
            if has_image(tag)? {
                "in the engine"
            } else {
                "to be built"
            }
        ),
    );
    Ok(())
}

fn row(title: &str, text: &str) {
    ui::result(&format!("{title:<8} {text}"));
}
