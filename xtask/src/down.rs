//! `cargo xtask down`: removes the cluster and whatever else was started for it; the build cache stays.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use crate::host::engine::{self, docker};
use crate::rig::node::BUILD_CONTAINER;
use crate::rig::{choice, cluster};
use crate::{cache, paths, ui};

/// The network kind makes for its nodes.
const NETWORK: &str = "kind";

/// Arguments of `cargo xtask down`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Removes everything that `up`, `demo` and `test` leave running.
pub fn run(_args: &Args) -> Result<()> {
    ui::heading("Removing the cluster");
    let _lock = cache::lock()?;
    if engine::is_running() {
        docker()
            .args(["rm", "--force", "--volumes", BUILD_CONTAINER])
            .finish()?;
        cluster::remove()?;
        network()?;
        engine::stop()?;
    } else {
        ui::note("no container engine runs, so there is no cluster either");
        engine::stop()?;
    }
    cache::discard_unfinished()?;
    forget(&paths::kubeconfig())?;
    forget(&choice::record())?;
    ui::note(&format!("the build cache stays: {}", paths::cache().display()));
    Ok(())
}

fn forget(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Removes kind's network unless another cluster of kind's uses it.
fn network() -> Result<()> {
    let members = ["network", "inspect", NETWORK, "--format", "{{len .Containers}}"];
    let found = docker().args(members).finish()?;
    if found.success && found.stdout.trim() == "0" {
        return docker().args(["network", "rm", NETWORK]).run();
    }
    Ok(())
}
