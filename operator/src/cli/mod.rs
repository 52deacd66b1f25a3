//! The command line. Parses, starts the runtime, prints the one error that ends the process.

mod release;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use kube::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::runtime::config::{Config, LogFormat};
use crate::runtime::telemetry;

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
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = match &cli.command {
        Command::Run(config) => config.log_format,
        Command::Release(_) => LogFormat::Text,
    };
    match start(cli, format) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!(error = format!("{failure:#}"), "Ended");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli, format: LogFormat) -> anyhow::Result<()> {
    telemetry::init(
        format,
        &std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()),
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match cli.command {
            Command::Run(config) => {
                let client = client(false).await?;
                let stop = CancellationToken::new();
                let signals = tokio::spawn(stop_on_signal(stop.clone()));
                let result = crate::run::run(client, *config, stop).await;
                signals.abort();
                result
            }
            Command::Release(options) => release::run(client(true).await?, options).await,
        }
    });
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
    Client::try_from(config).context("could not set up the Kubernetes client")
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
            Command::Release(_) => panic!("not asked for"),
        };
        assert!(parse(&["ottla-operator", "run"]).is_empty());
        assert_eq!(
            parse(&["ottla-operator", "run", "--watch-namespaces", "b, a"]),
            ["a", "b"]
        );
    }
}
