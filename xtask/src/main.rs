//! Ottla's automation: everything a newcomer, a developer or CI runs is a subcommand here.
//!
//! This file only parses arguments and dispatches; each subcommand lives in the file of its name. xtask depends
//! on no other crate of the workspace: it drives them through their binaries, as a user would.

#![allow(
    unreachable_pub,
    reason = "a binary has no outside: `pub` says what a module offers its siblings"
)]

mod bench;
mod cache;
mod cmd;
mod crds;
mod demo;
mod dev;
mod diagnose;
mod down;
mod host;
mod images;
mod kafka;
mod kubectl;
mod paths;
mod rig;
mod test;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Ottla's automation",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set everything up (cluster, Kafka, operator), run the quickstart and print its table; leave it running
    Demo(demo::Args),
    /// Run every check and every test, including those on the live cluster
    Test(test::Args),
    /// Remove the cluster, its containers and whatever else was started; the build cache stays
    Down(down::Args),
    /// Run the operator as a local process that sees what a pod sees
    Dev(dev::Args),
    /// Measure the operator against the rig's API server and broker
    #[command(subcommand)]
    Bench(bench::Command),
    /// Build the operator and workload images and load them into the cluster
    Images(images::Args),
    /// Write the CRD YAML and the chart's copy of it
    Crds(crds::Args),
    /// The cluster and Kafka underneath, without Ottla in it
    #[command(subcommand)]
    Rig(rig::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = cmd::stop_children_on_signal().and_then(|()| match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Down(args) => down::run(&args),
        Command::Dev(args) => dev::run(&args),
        Command::Bench(command) => bench::run(&command),
        Command::Images(args) => images::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::Rig(command) => rig::run(&command),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::failure(&error);
            ExitCode::FAILURE
        }
    }
}
