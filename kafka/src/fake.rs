//! An in-memory Kafka behind the admin port, for tests of what is built on it.

/// One Kafka cluster in memory.
#[derive(Debug, Default)]
pub struct FakeKafka {}
