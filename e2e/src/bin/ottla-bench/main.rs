//! The client of `cargo xtask bench`: loads one operator process with objects and measures what a user would.
//!
//! It acts through the Kubernetes API alone. Time counts from just before a call to the moment a watch sees the outcome;
//! how much the operator wrote is read from the API server's own counters, what it cost from `/proc`.

#![allow(
    unreachable_pub,
    reason = "a binary has no outside: `pub` says what a module offers its siblings"
)]

mod figures;
mod fill;
mod floor;
mod load;
mod place;
mod process;
mod purges;
mod topics;
mod witness;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::figures::Figures;
use crate::place::Place;
use crate::process::Recipe;

/// What to measure, and on what.
#[derive(Debug, Parser)]
#[command(name = "ottla-bench")]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// `KafkaTopic`s: created, changed, deleted, at rest
    Topics(topics::Args),
    /// `KafkaTopicPurge`s: one, a wide one, many at once
    Purge(purges::Args),
}

/// What every bench needs.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// The operator's binary
    #[arg(long)]
    operator: PathBuf,
    /// Further arguments of the operator
    #[arg(long, allow_hyphen_values = true)]
    operator_arg: Vec<String>,
    /// Where the operator's log goes; nowhere by default
    #[arg(long)]
    log: Option<PathBuf>,
    /// Kafka as the operator's process reaches it
    #[arg(long, env = "OTTLA_TEST_BOOTSTRAP")]
    bootstrap: String,
    /// Mechanism, user and password with colons between; none for a broker without authentication
    #[arg(long, env = "OTTLA_TEST_SASL", hide_env_values = true)]
    sasl: Option<String>,
    /// Where each figure goes as a line of JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Common {
    /// How the operator is started.
    fn recipe(&self, place: &Place) -> Recipe {
        Recipe {
            binary: self.operator.clone(),
            arguments: self.operator_arg.clone(),
            namespace: place.namespace.clone(),
            log: self.log.clone(),
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let Cli { common, command } = Cli::parse();
    let counted = match &command {
        Command::Topics(_) => "topics",
        Command::Purge(_) => "partitions",
    };
    let mut figures = Figures::new(counted, common.json.as_deref())?;
    let place = Place::make(&common).await?;
    let outcome = match &command {
        Command::Topics(args) => topics::all(&common, args, &place, &mut figures).await,
        Command::Purge(args) => purges::all(&common, args, &place, &mut figures).await,
    };
    let cleaned = place.remove().await;
    figures.show();
    outcome.and(cleaned)
}
