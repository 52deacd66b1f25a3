//! `cargo xtask images`.

/// Arguments of `cargo xtask images`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cargo xtask images is not written yet")
}
