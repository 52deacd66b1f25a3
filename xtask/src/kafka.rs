//! Kafka in the cluster.
