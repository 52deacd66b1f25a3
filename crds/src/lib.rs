//! Ottla's API, `ottla.dev/v1alpha1`: the types of every kind and the CustomResourceDefinitions made from them.
//!
//! A spec is kept here as the user wrote it: durations and sizes are strings, read late by [`parse`], so that one
//! bad value harms one object and never the list it came in. Nothing here talks to a cluster or decides anything.

#![allow(
    clippy::doc_markdown,
    reason = "the doc comments are the schema's text, printed as it is by kubectl explain"
)]
#![allow(
    unreachable_pub,
    reason = "kube's derive of KubeSchema repeats each struct within a function"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "printer columns repeat their type and priority"
)]

pub mod cluster;
pub mod common;
pub mod consumer;
pub mod crd;
pub mod namespaces;
pub mod parse;
pub mod pod;
pub mod producer;
pub mod purge;
pub mod scalar;
mod schema;
pub mod topic;

pub use cluster::{KafkaCluster, KafkaClusterSpec, KafkaClusterStatus};
pub use consumer::{KafkaConsumer, KafkaConsumerSpec, KafkaConsumerStatus};
pub use producer::{KafkaProducer, KafkaProducerSpec, KafkaProducerStatus};
pub use purge::{KafkaTopicPurge, KafkaTopicPurgeSpec, KafkaTopicPurgeStatus};
pub use scalar::Scalar;
pub use topic::{KafkaTopic, KafkaTopicSpec, KafkaTopicStatus};

/// API group of every kind.
pub const GROUP: &str = "ottla.dev";
/// The one version served and stored.
pub const VERSION: &str = "v1alpha1";
/// How the names of our finalizers, labels and annotations begin.
pub const PREFIX: &str = "ottla.dev/";
/// Finalizer on a [`KafkaTopic`] whose deletion must act on Kafka: it deletes the topic, or takes a throttle off it.
pub const TOPIC_FINALIZER: &str = "ottla.dev/topic";
/// Finalizer on a [`KafkaCluster`] whose brokers carry a throttle of ours.
pub const CLUSTER_FINALIZER: &str = "ottla.dev/cluster";
/// Finalizer on a [`KafkaTopicPurge`] that has something to restore.
pub const PURGE_FINALIZER: &str = "ottla.dev/purge";
/// Annotation on a [`KafkaTopic`] with the purges that were carried out on it: one applied again does nothing.
pub const PURGES: &str = "ottla.dev/purges";
/// Annotation that accepts a topic replaced by another: its value is the new topic id.
pub const ACCEPT_TOPIC_ID: &str = "ottla.dev/accept-topic-id";
/// Annotation on a [`KafkaCluster`] that lets a hold of deletions go until the time it names.
pub const RELEASE_DESTRUCTION: &str = "ottla.dev/release-destruction-until";
/// Reason of Ready in the status that the definitions give an object no controller has looked at.
pub const UNSEEN: &str = "Unknown";
