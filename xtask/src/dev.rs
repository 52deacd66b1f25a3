//! `cargo xtask dev`.

/// Arguments of `cargo xtask dev`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cargo xtask dev is not written yet")
}
