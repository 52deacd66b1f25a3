//! KafkaProducer: pods that send marked records.
pub mod desired;
