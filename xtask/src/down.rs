//! `cargo xtask down`: removes the cluster and whatever else was started for it.

/// Arguments of `cargo xtask down`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("nothing to remove yet")
}
