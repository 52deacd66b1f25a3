//! The client of `cargo xtask bench topics`: loads one operator process with KafkaTopics and measures what a user would.
//!
//! It acts through the Kubernetes API alone. Time counts from just before a call to the moment a watch sees the outcome;
//! how much the operator wrote is read from the API server's own counters, what it cost from `/proc`.

#![allow(
    unreachable_pub,
    reason = "a binary has no outside: `pub` says what a module offers its siblings"
)]

mod figures;
mod load;
mod place;
mod process;
mod rounds;
mod witness;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::figures::Figures;
use crate::place::Place;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// A burst of creates
    Create,
    /// A burst of deletes with `deletionPolicy: Delete`, after the creates that it needs
    Delete,
    /// A burst of config changes
    Change,
    /// Creates and partition growths one at a time
    Lone,
    /// Memory, CPU, writes and requests while nothing changes
    Rest,
    /// A start with all topics existing
    Start,
    /// The same beside a second cluster that swallows everything
    BlackHole,
}

/// What to measure, and on what.
#[derive(Debug, Parser)]
#[command(name = "ottla-bench")]
pub struct Args {
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
    /// Only these rows
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Row>,
    /// Numbers of topics
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    scale: Vec<usize>,
    /// How often everything is done
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    /// Calls of each kind that are made one at a time
    #[arg(long, default_value_t = 100)]
    lone: usize,
    /// Seconds of rest that are watched: at least two sweeps
    #[arg(long, default_value_t = 100)]
    rest: u64,
    /// Where each figure goes as a line of JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Args {
    /// Whether that row was asked for.
    #[must_use]
    pub fn wants(&self, row: Row) -> bool {
        self.only.is_empty() || self.only.contains(&row)
    }

    /// How long rest is watched.
    #[must_use]
    pub const fn rest(&self) -> Duration {
        Duration::from_secs(self.rest)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut figures = Figures::new(args.json.as_deref())?;
    let place = Place::make(&args).await?;
    let outcome = rounds::all(&args, &place, &mut figures).await;
    let cleaned = place.remove().await;
    figures.show();
    outcome.and(cleaned)
}
