//! `cargo xtask crds`.

/// Arguments of `cargo xtask crds`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cargo xtask crds is not written yet")
}
