//! The command line. Parses, starts the runtime, prints the one error that ends the process.

pub mod export;
mod manifest;
pub mod plan;
mod reader;
pub mod release;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use kube::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::runtime::config::{Config, LogFormat};
use crate::runtime::telemetry::{self, LogTo};
use crate::runtime::watch::SILENCE;

/// Runs Kafka's moving parts from Kubernetes objects.
#[derive(Debug, Parser)]
#[command(name = "ottla-operator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(Box<Config>),
    /// Take Ottla's finalizers off every object, so that objects can be deleted without the operator. Kafka is not
    /// touched: every topic stays.
    Release(release::Options),
    /// Show what applying KafkaTopic manifests would change in Kafka. Changes nothing. Exit code 0: nothing would change;
    /// 2: something would, or is refused; 1: an error.
    Plan(plan::Options),
    /// Write KafkaTopic manifests for the topics of a cluster, or convert Strimzi's. Changes nothing; applied, the manifests
    /// of a cluster change nothing either. Exit code 2: something could not be taken over; standard error names it.
    Export(export::Options),
}

impl Command {
    /// Where its log goes, how it is written, and what of it, unless `RUST_LOG` says so.
    fn log(&self) -> (LogTo, LogFormat, &'static str) {
        match self {
            Self::Run(config) => (LogTo::Output, config.log_format, "info"),
            Self::Release(_) => (LogTo::Output, LogFormat::Text, "info"),
            // Standard output holds the result alone.
            Self::Plan(_) | Self::Export(_) => (LogTo::Error, LogFormat::Text, "warn"),
        }
    }
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    match start(Cli::parse().command) {
        Ok(code) => code,
        Err(failure) => {
            error!(error = format!("{failure:#}"), "Ended");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> anyhow::Result<ExitCode> {
    let (to, format, level) = command.log();
    telemetry::init(
        to,
        format,
        &std::env::var("RUST_LOG").unwrap_or_else(|_| level.to_owned()),
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(run(command));
    // A name look-up that hangs in a thread of its own must not hold up the end.
    runtime.shutdown_background();
    result
}

/// The Kubernetes client. Whether it tries again by itself, or who uses it does.
async fn client(retries: bool) -> anyhow::Result<Client> {
    let mut config = kube::Config::infer()
        .await
        .context("could not find the Kubernetes API's address and credentials")?;
    config.default_retry = retries;
    config.read_timeout = Some(SILENCE);
    // From the request on, not from when its connection fell idle.
    config.reset_reader_on_write = true;
    Client::try_from(config).context("could not set up the Kubernetes client")
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    if let Command::Export(options) = &command
        && !options.strimzi_files.is_empty()
    {
        return exported(&export::convert(options)?);
    }
    match command {
        Command::Run(config) => {
            #[cfg(feature = "failpoints")]
            crate::runtime::failpoint::init()?;
            let client = client(false).await?;
            let stop = CancellationToken::new();
            let signals = tokio::spawn(stop_on_signal(stop.clone()));
            let result = crate::run::run(client, *config, stop).await;
            signals.abort();
            result.map(|()| ExitCode::SUCCESS)
        }
        Command::Release(options) => release::run(client(true).await?, options)
            .await
            .map(|()| ExitCode::SUCCESS),
        Command::Plan(options) => {
            let format = options.output;
            let report = plan::run(client(false).await?, options).await?;
            tell(&report.told(format)?, &report.notes)?;
            Ok(ExitCode::from(report.exit_code()))
        }
        Command::Export(options) => exported(&export::run(client(false).await?, &options).await?),
    }
}

fn exported(exported: &export::Exported) -> anyhow::Result<ExitCode> {
    tell(
        &exported.yaml()?,
        &[exported.notes.as_slice(), &exported.lost].concat(),
    )?;
    Ok(ExitCode::from(exported.exit_code()))
}

/// Writes a result to standard output and what else is to be known to standard error.
fn tell(text: &str, notes: &[String]) -> anyhow::Result<()> {
    for note in notes {
        writeln!(std::io::stderr(), "{note}")?;
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

async fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("Told to stop");
    stop.cancel();
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_namespaces_means_every_one() {
        let parse = |line: &[&str]| match Cli::try_parse_from(line).unwrap().command {
            Command::Run(config) => config.namespaces(),
            _ => panic!("not asked for"),
        };
        assert!(parse(&["ottla-operator", "run"]).is_empty());
        assert_eq!(
            parse(&["ottla-operator", "run", "--watch-namespaces", "b, a"]),
            ["a", "b"]
        );
    }
}
