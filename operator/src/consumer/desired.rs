//! Parses a KafkaConsumer's spec into what its pods are to do and what the verdict allows.
//!
//! Pure. Below this, nothing reads the raw spec.

use ottla_contract::config::{Complete, ConsumerConfig, ExpectedRun, Start, Workload};
use ottla_contract::verdict::Require;
use ottla_crds::common::PartitionerType;
use ottla_crds::consumer::{ConsumerStop, KafkaConsumerSpec, StartFrom};
use ottla_crds::parse;

/// A KafkaConsumer as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Number of pods.
    pub replicas: i32,
    /// No pods for now.
    pub suspend: bool,
    /// It ends by itself.
    pub bounded: bool,
    /// When to delete a finished Job.
    pub ttl_seconds: Option<i32>,
    /// Names of the KafkaProducers whose records must arrive; empty for all on the topic.
    pub producers: Vec<String>,
    /// What the verdict allows.
    pub require: Require,
    /// Records without which nothing passes.
    pub min_records: u64,
    config: ConsumerConfig,
}

impl Desired {
    /// What the pods do. A bounded group is told the runs it must read to their end.
    #[must_use]
    pub fn workload(&self, expected: &[ExpectedRun]) -> Workload {
        let expected = if self.bounded { expected.to_vec() } else { vec![] };
        Workload::Consume(ConsumerConfig {
            expected,
            ..self.config.clone()
        })
    }

    /// Name of the consumer group.
    #[must_use]
    pub fn group_id(&self) -> &str {
        &self.config.group_id
    }
}

/// Parses the spec.
///
/// # Errors
///
/// The field that cannot be read, and why.
pub fn parse(spec: &KafkaConsumerSpec) -> Result<Desired, String> {
    let replicas = spec.replicas.unwrap_or(1);
    let members = u32::try_from(replicas).map_err(|_| format!("replicas is {replicas}, which is below 0"))?;
    if spec.group_id.is_empty() {
        return Err("groupId is empty".to_owned());
    }
    let complete = spec.stop_after.as_ref().map(complete).transpose()?;
    let PartitionerType::JavaDefault = spec.verify.partitioner.type_;
    let delay = spec
        .processing
        .as_ref()
        .and_then(|processing| processing.delay.as_deref());
    let require = &spec.verify.require;
    Ok(Desired {
        replicas,
        suspend: spec.suspend,
        bounded: complete.is_some(),
        ttl_seconds: spec.ttl_seconds_after_finished,
        producers: spec.verify.producers.clone(),
        require: Require {
            lost: count("verify.require.lost", require.lost)?,
            duplicated: count("verify.require.duplicates", require.duplicates)?,
            reordered: count("verify.require.reordered", require.reordered)?,
            misrouted: count("verify.require.misrouted", require.misrouted)?,
        },
        min_records: count("verify.minRecords", spec.verify.min_records.unwrap_or_default())?,
        config: ConsumerConfig {
            group_id: spec.group_id.clone(),
            // An endless group may be scaled: nobody waits for a number that changes.
            members: if complete.is_some() { members } else { 0 },
            start: match spec.start.from {
                StartFrom::Earliest => Start::Earliest,
                StartFrom::Latest => Start::Latest,
            },
            commit_interval_ms: millis("commit.interval", &spec.commit.interval)?,
            processing_delay_us: delay
                .map_or(Ok(0), |text| millis("processing.delay", text))?
                .saturating_mul(1_000),
            complete,
            expected: vec![],
        },
    })
}

fn complete(stop: &ConsumerStop) -> Result<Complete, String> {
    if !stop.complete {
        return Err("stopAfter.complete can only be true".to_owned());
    }
    let deadline_ms = stop
        .deadline
        .as_deref()
        .map(|text| millis("stopAfter.deadline", text))
        .transpose()?;
    Ok(Complete { deadline_ms })
}

fn count(field: &str, given: i64) -> Result<u64, String> {
    u64::try_from(given).map_err(|_| format!("{field} is {given}, which is below 0"))
}

fn millis(field: &str, text: &str) -> Result<u64, String> {
    let number = parse::millis(text).map_err(|error| format!("{field}: {error}"))?;
    u64::try_from(number).map_err(|_| format!("{field}: {text} is below 0"))
}

#[cfg(test)]
mod tests {
    use ottla_contract::ids::{RunId, Uid};
    use serde_json::{Value, from_value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "called with json! literals")]
    fn spec(more: Value) -> KafkaConsumerSpec {
        let mut spec = json!({"topicRef": {"name": "orders"}, "groupId": "g"});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        from_value(spec).unwrap()
    }

    #[test]
    fn the_smallest_spec_reads_for_ever_from_the_start() {
        let desired = parse(&spec(json!({}))).unwrap();
        assert_eq!((desired.replicas, desired.bounded), (1, false));
        assert_eq!(
            (desired.config.start, desired.config.commit_interval_ms),
            (Start::Earliest, 5_000)
        );
        assert_eq!((desired.require, desired.min_records), (Require::default(), 0));
    }

    #[test]
    fn a_bounded_group_is_told_what_to_expect() {
        let desired = parse(&spec(
            json!({"replicas": 2, "stopAfter": {"complete": true, "deadline": "10m"}}),
        ))
        .unwrap();
        let run = ExpectedRun {
            id: RunId {
                uid: Uid([7; 16]),
                run: 1,
            },
            shares: 3,
        };
        let Workload::Consume(config) = desired.workload(&[run]) else {
            panic!("a consumer consumes")
        };
        let complete = config.complete.unwrap();
        assert_eq!(
            (complete.deadline_ms, config.members, config.expected),
            (Some(600_000), 2, vec![run])
        );
    }

    #[test]
    fn an_endless_group_expects_nothing_in_its_configuration() {
        let desired = parse(&spec(json!({}))).unwrap();
        let run = ExpectedRun {
            id: RunId {
                uid: Uid([7; 16]),
                run: 1,
            },
            shares: 1,
        };
        assert_eq!(desired.workload(&[run]), desired.workload(&[]));
    }

    #[rstest::rstest]
    #[case(json!({"replicas": -1}), "replicas")]
    #[case(json!({"groupId": ""}), "groupId")]
    #[case(json!({"stopAfter": {"complete": false}}), "stopAfter.complete")]
    #[case(json!({"stopAfter": {"complete": true, "deadline": "1w"}}), "stopAfter.deadline")]
    #[case(json!({"commit": {"interval": "often"}}), "commit.interval")]
    #[case(json!({"verify": {"require": {"lost": -1}}}), "verify.require.lost")]
    fn what_the_schema_would_refuse_is_refused_here_too(#[case] more: Value, #[case] field: &str) {
        let message = parse(&spec(more)).unwrap_err();
        assert!(message.contains(field), "{message}");
    }
}
