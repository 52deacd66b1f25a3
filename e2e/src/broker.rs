//! What Kafka itself says: to librdkafka, which shares no code with the operator, to a small client of its protocol where
//! librdkafka tells too little, and by its own tools.

mod abreast;
mod altered;
mod client;
mod described;
mod producer;
mod tools;

use anyhow::Context as _;

use crate::live::Live;

pub use described::Described;

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
