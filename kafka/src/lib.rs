//! Kafka's admin protocol: connections, the admin port and its adapter, an in-memory fake, the listener probe.
