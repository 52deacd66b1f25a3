//! `cargo xtask test`.

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what needs no cluster
    #[arg(long)]
    pub fast: bool,
    /// Also the long-running tests
    #[arg(long, conflicts_with = "fast")]
    pub soak: bool,
}

/// Runs the subcommand.
pub fn run(_args: &Args) -> anyhow::Result<()> {
    anyhow::bail!("cargo xtask test is not written yet")
}
