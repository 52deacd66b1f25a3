//! The operator: reconciles Ottla's kinds through Kafka's admin API and the Kubernetes API.

pub mod pods;
