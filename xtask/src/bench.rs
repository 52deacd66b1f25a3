//! `cargo xtask bench`: measures one operator process against the rig's API server and broker.
//!
//! The measuring is `ottla-bench`'s (in `e2e/`); here its stage is set: cluster, Kafka, CRDs, optimised binaries. The
//! operator of the demo is scaled away for as long, since it would work on the same objects.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cmd::Cmd;
use crate::demo::{RELEASE, SYSTEM};
use crate::kubectl::{self, kubectl};
use crate::{dev, images, kafka, paths, rig, ui};

/// Longest that all rounds may take.
const DEADLINE: Duration = Duration::from_secs(6 * 3600);

/// Subcommands of `cargo xtask bench`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Create, change, grow, delete and rest, with 100, 1,000 and 10,000 topics
    Topics(Topics),
    /// One purge of a million records, one of a thousand partitions, a hundred at once
    Purge(Purge),
}

/// Arguments of `cargo xtask bench topics`.
#[derive(Debug, clap::Args)]
pub(crate) struct Topics {
    /// Only these rows, with commas between: create, delete, change, lone, rest, start, black-hole, floor
    #[arg(long)]
    only: Option<String>,
    /// Numbers of topics, with commas between
    #[arg(long, default_value = "100,1000,10000")]
    scale: String,
    /// How often everything is done
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    #[command(flatten)]
    every: Every,
}

/// Arguments of `cargo xtask bench purge`.
#[derive(Debug, clap::Args)]
pub(crate) struct Purge {
    /// Only these rows, with commas between: lone, wide, burst
    #[arg(long)]
    only: Option<String>,
    /// Lone purges
    #[arg(long, default_value_t = 11)]
    lone: usize,
    /// How often the others are done
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    #[command(flatten)]
    every: Every,
}

/// Arguments of every bench.
#[derive(Debug, clap::Args)]
struct Every {
    /// Where each figure goes as a line of JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// How the operator is built: as in the images of demo and test, or as a release ships it (minutes more to build)
    #[arg(long, value_enum, default_value_t = Profile::Image)]
    profile: Profile,
}

/// A cargo profile that optimises.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Profile {
    /// That of the images of demo and test
    Image,
    /// That of a release: with link-time optimisation
    Dist,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Dist => "dist",
        }
    }
}

/// Runs a subcommand.
pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Topics(args) => on_the_rig(
            &args.every,
            &given(
                "topics",
                &[
                    ("--scale", Some(args.scale.clone())),
                    ("--repeat", Some(args.repeat.to_string())),
                    ("--only", args.only.clone()),
                ],
            ),
        ),
        Command::Purge(args) => on_the_rig(
            &args.every,
            &given(
                "purge",
                &[
                    ("--lone", Some(args.lone.to_string())),
                    ("--repeat", Some(args.repeat.to_string())),
                    ("--only", args.only.clone()),
                ],
            ),
        ),
    }
}

/// The bench's subcommand with those of the flags that have a value.
fn given(subcommand: &str, flags: &[(&str, Option<String>)]) -> Vec<String> {
    let pairs = flags.iter().filter_map(|(flag, value)| {
        let value = value.clone()?;
        Some([(*flag).to_owned(), value])
    });
    std::iter::once(subcommand.to_owned())
        .chain(pairs.flatten())
        .collect()
}

/// Sets the stage, measures, and puts back what stood there.
fn on_the_rig(every: &Every, rest: &[String]) -> Result<()> {
    rig::up()?;
    let (operator, bench) = ui::step("build the operator and the bench (optimised)", |_| {
        anyhow::Ok((
            binary("ottla-operator", "ottla-operator", every.profile)?,
            binary("ottla-e2e", "ottla-bench", Profile::Image)?,
        ))
    })?;
    ui::step("apply the CRDs", |_| {
        kubectl()
            .args(["apply", "--server-side", "--force-conflicts", "-f"])
            .arg(paths::repo().join("crds"))
            .run()
    })?;
    let installed = kubectl::get(&["-n", SYSTEM, "deployment", RELEASE])?.is_some();
    let replicas = if installed { dev::replicas()? } else { 0 };
    if installed {
        dev::scale(0)?;
    }
    let outcome = measure(every.json.as_deref(), rest, &operator, &bench);
    if installed {
        dev::scale(replicas)?;
    }
    outcome
}

fn measure(json: Option<&Path>, rest: &[String], operator: &Path, bench: &Path) -> Result<()> {
    let json = json.map(|path| [OsStr::new("--json"), path.as_os_str()]);
    Cmd::new(bench)
        .arg("--operator")
        .arg(operator)
        .args(json.into_iter().flatten())
        .args(rest)
        .env("KUBECONFIG", paths::kubeconfig())
        .env("OTTLA_TEST_TOOLS", paths::bin())
        .env("OTTLA_TEST_BOOTSTRAP", format!("127.0.0.1:{}", kafka::NODE_PORT))
        .env(
            "OTTLA_TEST_SASL",
            format!("ScramSha512:user1:{}", kafka::password(kafka::NAMESPACE)?),
        )
        .inherit()
        .deadline(DEADLINE)
        .run()
}

/// Has cargo build a binary of a package, and answers where it is.
fn binary(package: &str, name: &str, profile: Profile) -> Result<PathBuf> {
    let messages = Cmd::new("cargo")
        .args(["build", "--profile", profile.name(), "-p", package, "--bin", name])
        .arg("--message-format=json-render-diagnostics")
        .dir(paths::repo())
        .log("cargo-bench")
        .deadline(Duration::from_secs(45 * 60))
        .output()?;
    let mut built = messages.lines().filter_map(images::executable);
    built
        .find(|file| file.ends_with(name))
        .with_context(|| format!("cargo built no binary {name}"))
}
