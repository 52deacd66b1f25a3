//! What a KafkaCluster's topicDefaults give a topic. Pure.

use std::collections::BTreeMap;

use ottla_crds::cluster::TopicDefaults;
use ottla_kafka::types::{PartitionCount, ReplicationFactor};

use super::config::same;
use super::desired::{self, Desired, Invalid};
use super::plan::Recorded;

/// Defaults that can be acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// What a topic is created with.
    pub shape: Shape,
    /// Configs to hold to their value, canonically spelled.
    pub config: BTreeMap<String, String>,
}

/// What a topic is created with where its object does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Partitions.
    pub partitions: Option<PartitionCount>,
    /// Replicas.
    pub replication_factor: Option<ReplicationFactor>,
}

/// Reads a KafkaCluster's defaults; the error says what to correct.
pub fn parse(raw: Option<&TopicDefaults>) -> Result<Defaults, String> {
    let Some(raw) = raw else {
        return Ok(Defaults::default());
    };
    let named = |invalid: Invalid| format!("topicDefaults: {}", invalid.message);
    let shape = Shape {
        partitions: raw
            .partitions
            .map(desired::partitions)
            .transpose()
            .map_err(named)?,
        replication_factor: raw
            .replication_factor
            .map(desired::replication)
            .transpose()
            .map_err(named)?,
    };
    let config = desired::configs(&raw.config).map_err(named)?;
    desired::consistent(&config, shape.replication_factor).map_err(named)?;
    Ok(Defaults { shape, config })
}

impl Defaults {
    /// A topic's spec with these defaults where it is silent.
    pub fn complete(&self, mut desired: Desired) -> Result<Desired, Invalid> {
        desired.at_creation = self.shape;
        let silent = self
            .config
            .iter()
            .filter(|(key, _)| !desired.unmanaged.contains(*key) && !desired.config.contains_key(*key));
        let added: Vec<(String, String)> = silent.map(|(key, value)| (key.clone(), value.clone())).collect();
        if added.is_empty() {
            return Ok(desired);
        }
        desired.config.extend(added);
        desired::consistent(&desired.config, desired.replication_factor).map_err(|invalid| Invalid {
            message: format!("with the KafkaCluster's topicDefaults, {}", invalid.message),
            ..invalid
        })?;
        Ok(desired)
    }
}

/// Whether a topic at rest has yet to be brought to what is desired now.
#[must_use]
pub fn is_pending(desired: &Desired, recorded: &Recorded) -> bool {
    let unlike = |(key, value): (&String, &String)| {
        recorded
            .managed
            .get(key)
            .is_none_or(|last| !same(key, last, value))
    };
    let leaves = |key: &String| !desired.config.contains_key(key) && !desired.unmanaged.contains(key);
    desired.config.iter().any(unlike) || recorded.managed.keys().any(leaves)
}

#[cfg(test)]
mod tests {
    use ottla_crds::Scalar;
    use ottla_crds::topic::KafkaTopicSpec;

    use super::*;
    use crate::topic::desired::tests::empty_spec;

    fn defaults(config: &[(&str, &str)]) -> TopicDefaults {
        TopicDefaults {
            partitions: Some(6),
            replication_factor: Some(2),
            config: config
                .iter()
                .map(|(k, v)| ((*k).to_owned(), Scalar::from(*v)))
                .collect(),
        }
    }

    #[test]
    fn a_spec_is_completed_only_where_it_is_silent() {
        let spec = KafkaTopicSpec {
            config: [("flush.ms".to_owned(), Scalar::from(1))].into(),
            unmanaged_config: vec!["segment.ms".to_owned()],
            ..empty_spec()
        };
        let all = defaults(&[("flush.ms", "2"), ("segment.ms", "3"), ("retention.ms", "04")]);
        let desired = parse(Some(&all))
            .unwrap()
            .complete(desired::parse("t", &spec).unwrap())
            .unwrap();
        let config: Vec<_> = desired
            .config
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(config, [("flush.ms", "1"), ("retention.ms", "4")]);
        assert_eq!(desired.partitions, None, "a default is no wish to grow");
        assert_eq!(desired.at_creation.partitions, 6.try_into().ok());
    }

    #[test]
    fn bad_defaults_are_named() {
        let error = parse(Some(&defaults(&[("retention.ms", "7d")]))).unwrap_err();
        assert!(
            error.starts_with("topicDefaults: ") && error.contains("7d"),
            "{error}"
        );
        let error = parse(Some(&defaults(&[("min.insync.replicas", "3")]))).unwrap_err();
        assert!(error.contains("acks=all"), "{error}");
        let spec = KafkaTopicSpec {
            replication_factor: Some(1),
            ..empty_spec()
        };
        let strict = parse(Some(&defaults(&[("min.insync.replicas", "2")]))).unwrap();
        let invalid = strict.complete(desired::parse("t", &spec).unwrap()).unwrap_err();
        assert!(invalid.message.contains("topicDefaults"), "{}", invalid.message);
    }

    #[test]
    fn pending_is_what_the_record_lacks_or_has_too_much() {
        let topic = |config: &[(&str, &str)]| {
            parse(Some(&defaults(config)))
                .unwrap()
                .complete(desired::parse("t", &empty_spec()).unwrap())
                .unwrap()
        };
        let recorded = Recorded {
            managed: [("cleanup.policy".to_owned(), "delete, compact".to_owned())].into(),
            ..Recorded::default()
        };
        assert!(!is_pending(
            &topic(&[("cleanup.policy", "compact,delete")]),
            &recorded
        ));
        assert!(is_pending(&topic(&[("cleanup.policy", "compact")]), &recorded));
        assert!(is_pending(&topic(&[]), &recorded));
    }
}
