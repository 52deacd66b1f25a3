//! What Kafka itself says: to librdkafka, which shares no code with the operator, and by Kafka's own tools.

mod client;
mod tools;

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::live::Live;

/// A topic as Kafka's own tool describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The topic id as Kafka prints it.
    pub id: String,
    /// How many partitions.
    pub partitions: u32,
    /// How many replicas each.
    pub replication_factor: u32,
    /// The configuration that is set on the topic itself.
    pub config: BTreeMap<String, String>,
}

/// A Kafka, and who asks it.
#[derive(Clone)]
pub struct Broker {
    live: Live,
    namespace: String,
    /// Its bootstrap address for processes on this machine.
    address: String,
    user: String,
    password: String,
}

impl Broker {
    /// The Kafka of a namespace, which processes on this machine reach at that address.
    #[must_use]
    pub fn of(live: &Live, namespace: &str, address: &str, user: &str, password: &str) -> Self {
        Self {
            live: live.clone(),
            namespace: namespace.to_owned(),
            address: address.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// The Kafka that demo and tests share.
    pub fn shared(live: &Live, user: &str, password: &str) -> anyhow::Result<Self> {
        let address =
            std::env::var("OTTLA_TEST_BOOTSTRAP").context("OTTLA_TEST_BOOTSTRAP names the shared Kafka")?;
        Ok(Self::of(live, "kafka", &address, user, password))
    }
}
