//! `cargo xtask rig`: the cluster and Kafka underneath Ottla.

pub mod choice;
pub mod cluster;
pub mod node;
pub mod rootfs;
mod status;
pub mod tools;
mod volumes;

use anyhow::Result;

use crate::kafka::{self, Security, Spec};
use crate::{cache, host, ui};

/// Subcommands of `cargo xtask rig`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Say what is cached, what runs, which path was chosen and why
    Status,
    /// Bring up the cluster and Kafka
    Up,
    /// Hold the running Kafka against rig/kafka/face.yaml
    Face,
    /// Deploy a throw-away Kafka, reachable at 127.0.0.1:30095 (a further broker at the next port)
    Broker(Broker),
}

/// Arguments of `cargo xtask rig broker`.
#[derive(Debug, clap::Args)]
pub struct Broker {
    /// Kafka's version
    #[arg(default_value = kafka::NEWEST)]
    version: String,
    /// Its namespace
    #[arg(long, default_value = "kafka-spare")]
    namespace: String,
    /// How many brokers, 3 at most; several are spread over two racks
    #[arg(long, default_value_t = 1)]
    brokers: u8,
    /// Without authentication
    #[arg(long)]
    plaintext: bool,
    /// Remove it again, with its namespace
    #[arg(long)]
    remove: bool,
}

/// Runs the subcommand.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Up => up(),
        Command::Status => status::show(),
        Command::Face => {
            let compared = kafka::check_face()?;
            ui::note(&format!(
                "{compared} values of Kafka's outward face are as expected"
            ));
            Ok(())
        }
        Command::Broker(broker) if broker.remove => kafka::remove(&broker.namespace),
        Command::Broker(broker) => {
            let security = if broker.plaintext {
                Security::Plaintext
            } else {
                Security::SaslPlaintext
            };
            let spec = Spec {
                security,
                brokers: broker.brokers,
                ..Spec::throw_away(&broker.namespace, &broker.version)
            };
            kafka::deploy(&spec)?;
            ui::result(&spec.bootstrap());
            Ok(())
        }
    }
}

/// Brings up the cluster and Kafka, building what is missing; quick when all is there.
pub fn up() -> Result<()> {
    ui::heading("Cluster and Kafka");
    let _lock = cache::lock()?;
    cache::discard_unfinished()?;
    host::engine::ensure()?;
    cluster::start_stopped()?;
    let choice = choice::choose()?;
    ui::note(&format!("{}: {}", choice.path.word(), choice.why));
    choice::remember(&choice)?;
    cluster::ensure_tools(choice.path)?;
    cluster::ensure(choice.path)?;
    if choice.path == choice::Path::Rig {
        volumes::ensure()?;
    }
    kafka::ensure(choice.path)
}
