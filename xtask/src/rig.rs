//! `cargo xtask rig`: the cluster and Kafka underneath Ottla.

pub mod choice;
pub mod cluster;
mod node;
pub mod rootfs;
pub mod tools;
mod volumes;

use anyhow::{Result, bail};

use crate::{cache, host, ui};

/// Subcommands of `cargo xtask rig`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Say what is cached, what runs, which path was chosen and why
    Status,
    /// Bring up the cluster and Kafka
    Up,
}

/// Runs the subcommand.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Up => up(),
        Command::Status => bail!("cargo xtask rig status is not written yet"),
    }
}

/// Brings up the cluster and Kafka, building what is missing; quick when all is there.
pub fn up() -> Result<()> {
    ui::heading("Cluster and Kafka");
    let _lock = cache::lock()?;
    cache::discard_unfinished()?;
    host::engine::ensure()?;
    let choice = choice::choose()?;
    ui::note(&format!("{}: {}", choice.path.word(), choice.why));
    choice::remember(&choice)?;
    cluster::ensure_tools(choice.path)?;
    cluster::ensure(choice.path)?;
    if choice.path == choice::Path::Rig {
        volumes::ensure()?;
    }
    crate::kafka::ensure(choice.path)
}
