//! KafkaConsumer: a group that verifies records.
pub mod desired;
