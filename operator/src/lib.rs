//! The operator: reconciles Ottla's kinds through Kafka's admin API and the Kubernetes API.
//!
//! One folder a kind; in each `mod.rs` is the way from a spec to a status: observe, plan, execute, status. [`run`]
//! wires the kinds to [`runtime`]; [`connections`] holds one Kafka client for each KafkaCluster; [`pods`] is what
//! producers and consumers share.

pub mod cli;
pub mod cluster;
pub mod connections;
pub mod consumer;
pub mod pods;
pub mod producer;
pub mod purge;
pub mod run;
pub mod runtime;
pub mod topic;
