//! The fake's brokers by themselves: their dynamic configuration, and what they keep on their disks.

use std::collections::{BTreeMap, BTreeSet};

use super::port::{Answer, refuse};
use super::{FakeKafka, World, config};
use crate::admin::{BrokerConfigChange, BrokerConfigs, ConfigEntry, ConfigSource, LogSizes};
use crate::error::ErrorCode;
use crate::types::BrokerId;

/// The keys that can be set on a broker here.
const DYNAMIC: [&str; 2] = [
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
];

impl FakeKafka {
    /// What is set on each broker.
    #[must_use]
    pub fn broker_config(&self) -> BTreeMap<BrokerId, BTreeMap<String, String>> {
        let mut all = self.world().broker_config.clone();
        all.retain(|_, set| !set.is_empty());
        all
    }

    /// Sets or unsets a key of a broker as somebody else would.
    pub fn set_broker_config(&self, broker: BrokerId, key: &str, value: Option<&str>) {
        let mut world = self.world();
        let config = world.broker_config.entry(broker).or_default();
        match value {
            Some(value) => config.insert(key.to_owned(), value.to_owned()),
            None => config.remove(key),
        };
    }
}

pub(super) fn describe(world: &World, keys: &BTreeSet<String>) -> BrokerConfigs {
    let of = |id: BrokerId| {
        let mut entries = config::of_brokers(keys);
        let set = world.broker_config.get(&id).into_iter().flatten();
        entries.extend(set.filter(|(key, _)| keys.contains(*key)).map(|(key, value)| {
            let entry = ConfigEntry {
                value: Some(value.clone()),
                source: ConfigSource::DynamicBroker,
                read_only: false,
                sensitive: false,
            };
            (key.clone(), entry)
        }));
        (id, entries)
    };
    world.cluster.brokers.iter().map(|broker| of(broker.id)).collect()
}

pub(super) fn alter(world: &mut World, change: BrokerConfigChange) -> Answer<()> {
    if !world
        .cluster
        .brokers
        .iter()
        .any(|broker| broker.id == change.broker)
    {
        return refuse(ErrorCode::BROKER_NOT_AVAILABLE, "The broker is not available.");
    }
    for (key, value) in &change.set {
        if !DYNAMIC.contains(&key.as_str()) || value.parse::<u64>().is_err() {
            let message = format!("Invalid value {value} for configuration {key}");
            return refuse(ErrorCode::INVALID_CONFIG, message);
        }
    }
    let config = world.broker_config.entry(change.broker).or_default();
    config.retain(|key, _| !change.unset.contains(key));
    config.extend(change.set);
    Ok(())
}

/// Every record takes a hundred bytes.
pub(super) fn sizes(world: &World) -> LogSizes {
    let size = |topic: &super::FakeTopic| {
        let partitions = topic.partitions.iter().zip(&topic.replicas);
        let bytes = partitions.map(|((start, end), held)| {
            let records = u64::try_from(end - start).unwrap_or_default();
            records * 100 * u64::try_from(held.replicas.len()).unwrap_or_default()
        });
        bytes.sum()
    };
    let topics = world.topics.iter();
    topics.map(|(name, topic)| (name.clone(), size(topic))).collect()
}
