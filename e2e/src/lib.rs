//! Tests against a live cluster and a live Kafka.
