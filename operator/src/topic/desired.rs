//! Parses a KafkaTopic's spec. Pure. Repeats what the CRD's rules say, for objects older than the rules.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::Scalar;
use ottla_crds::parse;
use ottla_crds::topic::{AdoptionPolicy, CleanupPolicy, DeletionPolicy, DriftPolicy, KafkaTopicSpec};
use ottla_kafka::types::{PartitionCount, ReplicationFactor, TopicName};

use super::config::{self, canonical};
use super::defaults::Shape;
use super::reason::Reason;

/// The most partitions of one topic.
const MAX_PARTITIONS: i32 = 10_000;
/// The most configs of one topic.
const MAX_CONFIGS: usize = 64;
/// The longest value of a config.
const MAX_VALUE: usize = 4_096;

/// A spec that can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The topic's name.
    pub name: TopicName,
    /// Partitions; absent leaves them alone.
    pub partitions: Option<PartitionCount>,
    /// Replicas; absent leaves them alone.
    pub replication_factor: Option<ReplicationFactor>,
    /// What the topic is created with where neither is given.
    pub at_creation: Shape,
    /// Configs to hold to their value, canonically spelled.
    pub config: BTreeMap<String, String>,
    /// Configs to keep hands off.
    pub unmanaged: BTreeSet<String>,
    /// What becomes of the topic with its object.
    pub deletion: DeletionPolicy,
    /// Whether an existing topic is taken over.
    pub adoption: AdoptionPolicy,
    /// What happens to what somebody else changes.
    pub drift: DriftPolicy,
    /// Whether nothing is to be done.
    pub suspend: bool,
    /// Whether replicas are moved under a throttle.
    pub throttle: Throttle,
}

/// Whether replicas are moved under a throttle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Throttle {
    /// They are not.
    #[default]
    Off,
    /// They are, and the brokers have not been told how fast.
    Wanted,
    /// They are, and the brokers know how fast.
    InPlace,
}

/// Why a spec cannot be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which sort of fault.
    pub reason: Reason,
    /// What to correct.
    pub message: String,
}

fn spec(message: impl Into<String>) -> Invalid {
    Invalid {
        reason: Reason::InvalidSpec,
        message: message.into(),
    }
}

fn bad_config(message: impl Into<String>) -> Invalid {
    Invalid {
        reason: Reason::InvalidConfig,
        message: message.into(),
    }
}

/// The topic's name alone, as far as it is one. Not checked against the names that are Kafka's own.
#[must_use]
pub fn name<'a>(object_name: &'a str, spec: &'a KafkaTopicSpec) -> &'a str {
    spec.topic_name.as_deref().unwrap_or(object_name)
}

/// Reads a spec.
pub fn parse(object_name: &str, raw: &KafkaTopicSpec) -> Result<Desired, Invalid> {
    let desired = Desired {
        name: topic_name(name(object_name, raw))?,
        partitions: raw.partitions.map(partitions).transpose()?,
        replication_factor: raw.replication_factor.map(replication).transpose()?,
        at_creation: Shape::default(),
        config: with_typed(raw, configs(&raw.config)?)?,
        unmanaged: unmanaged(raw)?,
        deletion: raw.deletion_policy,
        adoption: raw.adoption_policy,
        drift: raw.drift_policy,
        suspend: raw.suspend,
        throttle: Throttle::Off,
    };
    disjoint(&desired)?;
    consistent(&desired.config, desired.replication_factor)?;
    Ok(desired)
}

fn topic_name(text: &str) -> Result<TopicName, Invalid> {
    let invalid = |message: String| Invalid {
        reason: Reason::InvalidTopicName,
        message,
    };
    let name = text
        .parse::<TopicName>()
        .map_err(|error| invalid(error.to_string()))?;
    if name.is_reserved() {
        return Err(invalid(format!(
            "the name {name} begins with two underscores: such topics are Kafka's own"
        )));
    }
    Ok(name)
}

/// Reads a number of partitions.
pub(super) fn partitions(count: i32) -> Result<PartitionCount, Invalid> {
    if count > MAX_PARTITIONS {
        return Err(spec(format!(
            "partitions is {count}; it may be {MAX_PARTITIONS} at most"
        )));
    }
    PartitionCount::try_from(count).map_err(|_| spec(format!("partitions is {count}; it must be at least 1")))
}

/// Reads a replication factor.
pub(super) fn replication(factor: i32) -> Result<ReplicationFactor, Invalid> {
    let invalid = |_| {
        spec(format!(
            "replicationFactor is {factor}; it must be from 1 to 32767"
        ))
    };
    ReplicationFactor::try_from(factor).map_err(invalid)
}

/// Reads free configs into their canonical spelling.
pub(super) fn configs(raw: &BTreeMap<String, Scalar>) -> Result<BTreeMap<String, String>, Invalid> {
    if raw.len() > MAX_CONFIGS {
        return Err(bad_config(format!("config holds more than {MAX_CONFIGS} keys")));
    }
    let mut config = BTreeMap::new();
    for (key, value) in raw {
        check_key("config", key)?;
        if config::FOREIGN.contains(&key.as_str()) {
            return Err(bad_config(format!(
                "config.{key} belongs to whoever moves replicas and cannot be set here"
            )));
        }
        let value = value.to_string();
        if value.len() > MAX_VALUE {
            return Err(bad_config(format!(
                "config.{key} is longer than {MAX_VALUE} bytes"
            )));
        }
        let value = canonical(key, &value).map_err(|expected| {
            let shown: String = value.chars().take(64).collect();
            bad_config(format!("config.{key} is {shown:?}; it takes {expected}"))
        })?;
        config.insert(key.clone(), value);
    }
    Ok(config)
}

/// Adds the fields that stand for a config key.
fn with_typed(
    raw: &KafkaTopicSpec,
    mut config: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Invalid> {
    for (field, key, value) in typed(raw)? {
        if config.insert(key.to_owned(), value).is_some() {
            return Err(bad_config(format!(
                "{field} is set: leave the key {key} out of config"
            )));
        }
    }
    Ok(config)
}

/// The fields that stand for a config key.
fn typed(raw: &KafkaTopicSpec) -> Result<Vec<(&'static str, &'static str, String)>, Invalid> {
    let mut fields = vec![];
    if let Some(retention) = &raw.retention {
        if let Some(time) = &retention.time {
            let millis = parse::millis_limit(time).map_err(|e| spec(format!("retention.time: {e}")))?;
            fields.push(("retention.time", "retention.ms", millis.to_kafka().to_string()));
        }
        if let Some(bytes) = &retention.bytes_per_partition {
            let bytes =
                parse::bytes_limit(bytes).map_err(|e| spec(format!("retention.bytesPerPartition: {e}")))?;
            fields.push((
                "retention.bytesPerPartition",
                "retention.bytes",
                bytes.to_kafka().to_string(),
            ));
        }
    }
    if !raw.cleanup_policy.is_empty() {
        let words: BTreeSet<&str> = raw
            .cleanup_policy
            .iter()
            .map(|policy| match policy {
                CleanupPolicy::Delete => "delete",
                CleanupPolicy::Compact => "compact",
            })
            .collect();
        let value = words.into_iter().collect::<Vec<_>>().join(",");
        fields.push(("cleanupPolicy", "cleanup.policy", value));
    }
    Ok(fields)
}

fn unmanaged(raw: &KafkaTopicSpec) -> Result<BTreeSet<String>, Invalid> {
    for key in &raw.unmanaged_config {
        check_key("unmanagedConfig", key)?;
    }
    Ok(raw.unmanaged_config.iter().cloned().collect())
}

fn check_key(field: &str, key: &str) -> Result<(), Invalid> {
    if config::is_key(key) {
        return Ok(());
    }
    let shown: String = key.chars().take(64).collect();
    Err(bad_config(format!(
        "{field} holds {shown:?}, which is no key of Kafka's"
    )))
}

/// A key is either ours or nobody's here.
fn disjoint(desired: &Desired) -> Result<(), Invalid> {
    let both = desired
        .unmanaged
        .iter()
        .find(|key| desired.config.contains_key(*key));
    both.map_or(Ok(()), |key| {
        Err(bad_config(format!(
            "{key} is set by this spec and stands in unmanagedConfig: choose one"
        )))
    })
}

/// Refuses what Kafka would take and then not work with.
pub(super) fn consistent(
    config: &BTreeMap<String, String>,
    replication_factor: Option<ReplicationFactor>,
) -> Result<(), Invalid> {
    let number = |key: &str| config.get(key).and_then(|value| value.parse::<i64>().ok());
    if let (Some(needed), Some(factor)) = (number("min.insync.replicas"), replication_factor)
        && needed > i64::from(factor.get())
    {
        return Err(bad_config(format!(
            "min.insync.replicas is {needed} with a replicationFactor of {factor}: no record with acks=all could \
             ever be written"
        )));
    }
    let compacted = config
        .get("cleanup.policy")
        .is_some_and(|policy| policy.contains("compact"));
    if compacted && config.get("remote.storage.enable").is_some_and(|on| on == "true") {
        return Err(bad_config(
            "remote.storage.enable is true and cleanup.policy holds compact: Kafka keeps no compacted topic in remote \
             storage; take one of both out",
        ));
    }
    if let (Some(least), Some(most)) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"))
        && least > most
    {
        return Err(bad_config(format!(
            "min.compaction.lag.ms ({least}) exceeds max.compaction.lag.ms ({most})"
        )));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
