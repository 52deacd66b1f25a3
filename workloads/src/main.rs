//! The binary in the workload pods: produces and consumes, and proves delivery.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use ottla_contract::config::{INDEX_VARIABLE, POD_NAME_VARIABLE, PodConfig, TERMINATION_FILE, Workload};
use ottla_contract::report::{ConsumerState, ProducerState};
use ottla_contract::summary::Report;
use ottla_contract::{RunId, TerminationSummary};
use ottla_workloads::board::Board;
use ottla_workloads::{consume, http, produce};
use tracing::{error, info};

/// What a process says that was told to stop before its work was done: 128 + SIGTERM.
const INTERRUPTED: u8 = 143;

/// Sends or reads marked records, and proves delivery. Configured by one file; credentials come from files it names.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Sends records.
    Produce(Files),
    /// Reads and verifies records.
    Consume(Files),
}

#[derive(Debug, clap::Args)]
struct Files {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Where to leave the last words.
    #[arg(long, default_value = TERMINATION_FILE)]
    termination_message: PathBuf,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    let Arguments { role } = Arguments::parse();
    let (Role::Produce(files) | Role::Consume(files)) = &role;
    match run(&role, files) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error!(error = format!("{error:#}"), "Ended with an error");
            leave_word(&files.termination_message, &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(role: &Role, files: &Files) -> anyhow::Result<u8> {
    let path = files.config.display();
    let text = std::fs::read_to_string(&files.config).with_context(|| format!("cannot read {path}"))?;
    let config: PodConfig =
        serde_json::from_str(&text).with_context(|| format!("cannot understand {path}"))?;
    let (code, summary) = match (role, &config.workload) {
        (Role::Produce(_), Workload::Produce(producer)) => produce(&config, producer)?,
        (Role::Consume(_), Workload::Consume(consumer)) => consume(&config, consumer)?,
        _ => anyhow::bail!("{path} is for the other subcommand"),
    };
    info!(code, message = summary.message, "Ended");
    leave_word(&files.termination_message, &summary.to_message());
    Ok(code)
}

fn produce(
    config: &PodConfig,
    producer: &ottla_contract::ProducerConfig,
) -> anyhow::Result<(u8, TerminationSummary)> {
    let run = RunId {
        uid: config.uid,
        run: producer.run,
    };
    let report = produce::first_report(pod_name(), run, producer, index()?);
    let board = Arc::new(Board::new(report));
    http::spawn(Arc::clone(&board), config.http_port).context("cannot serve reports")?;
    let assignment = produce::Assignment {
        connection: config.connection.clone(),
        topic: config.topic.clone(),
        config: producer.clone(),
    };
    let report = produce::run(&assignment, &board)?;
    let (acked, failed) = (report.acked, report.failed);
    let closed = report.incarnations.iter().all(|incarnation| incarnation.closed);
    let (code, how) = match report.state {
        ProducerState::Done => (0, "The share is done"),
        ProducerState::Failed => (1, "Failed"),
        _ if producer.stop.is_none() && closed => (0, "Stopped"),
        _ => (INTERRUPTED, "Stopped before the share was done"),
    };
    let message = format!("{how}: {acked} records confirmed, {failed} failed");
    Ok((
        code,
        TerminationSummary {
            message,
            report: Report::Producer(report),
        },
    ))
}

fn consume(
    config: &PodConfig,
    consumer: &ottla_contract::ConsumerConfig,
) -> anyhow::Result<(u8, TerminationSummary)> {
    let board = Arc::new(Board::new(consume::first_report(pod_name())));
    http::spawn(Arc::clone(&board), config.http_port).context("cannot serve reports")?;
    let assignment = consume::Assignment {
        connection: config.connection.clone(),
        topic: config.topic.clone(),
        config: consumer.clone(),
    };
    let report = consume::run(&assignment, &board)?;
    let received = report.received;
    let (code, how) = match report.state {
        ConsumerState::Complete => (0, "Everything expected was read".to_owned()),
        ConsumerState::Interrupted if consumer.complete.is_none() => (0, "Stopped".to_owned()),
        ConsumerState::Interrupted => (
            INTERRUPTED,
            "Stopped before everything expected was read".to_owned(),
        ),
        _ => (
            1,
            format!(
                "Failed: {}",
                report.last_error.as_deref().unwrap_or("for no known reason")
            ),
        ),
    };
    let message = format!("{how}; {received} records received");
    Ok((
        code,
        TerminationSummary {
            message,
            report: Report::Consumer(report),
        },
    ))
}

/// Kubernetes tells an Indexed Job's pod its index; any other process does the first share.
fn index() -> anyhow::Result<u32> {
    match std::env::var(INDEX_VARIABLE) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{INDEX_VARIABLE} is {text:?}, not an index")),
        Err(_) => Ok(0),
    }
}

fn pod_name() -> String {
    std::env::var(POD_NAME_VARIABLE)
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_default()
}

/// Writes the termination message. There is none outside a pod, which harms nobody.
fn leave_word(path: &Path, words: &str) {
    if let Err(error) = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| {
            use std::io::Write as _;
            file.write_all(words.as_bytes())
        })
    {
        info!(path = %path.display(), %error, "No termination message was left");
    }
}
