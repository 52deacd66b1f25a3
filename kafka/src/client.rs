//! The admin port over Kafka's own protocol.

use crate::config::ConnectionConfig;

/// A Kafka cluster reached over the network. Dials on first use; dropped, it closes its connections.
#[derive(Debug)]
pub struct KafkaAdmin {
    #[allow(dead_code, reason = "read by the connection pool")]
    config: ConnectionConfig,
}

impl KafkaAdmin {
    /// Takes the configuration; opens nothing yet.
    #[must_use]
    pub fn new(config: ConnectionConfig) -> Self {
        Self { config }
    }
}
