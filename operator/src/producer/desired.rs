//! Parses a KafkaProducer's spec into what its pods are to do.
//!
//! Pure. Below this, nothing reads the raw spec.

use ottla_contract::config::{self, ProducerConfig, Workload};
use ottla_crds::common::PartitionerType;
use ottla_crds::parse::{self, ParseError};
use ottla_crds::producer::{Acks, Compression, Drill, KafkaProducerSpec, KeyType, Keys, ProducerStop};

/// A KafkaProducer as declared.
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
    config: ProducerConfig,
}

impl Desired {
    /// What the pods do in the run with this number.
    #[must_use]
    pub fn workload(&self, run: u32) -> Workload {
        Workload::Produce(ProducerConfig {
            run,
            ..self.config.clone()
        })
    }

    /// Parts a bounded run is shared out in; 0 for an endless one, which never ends by itself.
    #[must_use]
    pub fn shares(&self) -> u32 {
        self.config.share(0).of
    }
}

/// Parses the spec.
///
/// # Errors
///
/// The field that cannot be read, and why.
pub fn parse(spec: &KafkaProducerSpec) -> Result<Desired, String> {
    let replicas = spec.replicas.unwrap_or(1);
    let stop = spec.stop_after.as_ref();
    if stop.is_some_and(|stop| stop.records.is_none() && stop.duration.is_none()) {
        return Err("stopAfter needs records, duration or both".to_owned());
    }
    let records_per_second = spec
        .load
        .as_ref()
        .and_then(|load| load.records_per_second)
        .map(|rate| positive("load.recordsPerSecond", rate))
        .transpose()?;
    let drill = drill(spec.drill.as_ref())?;
    // Where nothing is shared out, the number of pods must not change what each of them is told.
    let shared = stop.is_some() || records_per_second.is_some() || drill != config::Drill::default();
    let PartitionerType::JavaDefault = spec.partitioner.type_;
    let config = ProducerConfig {
        run: 0,
        shares: if shared {
            count("replicas", replicas)?.max(1)
        } else {
            1
        },
        stop: stop.map(stop_after).transpose()?,
        records_per_second,
        value_bytes: positive("records.valueBytes", spec.records.value_bytes)?,
        keys: keys(&spec.records.keys)?,
        acks: match spec.delivery.acks {
            Acks::All => config::Acks::All,
            Acks::Leader => config::Acks::Leader,
            Acks::None => config::Acks::None,
        },
        idempotence: spec.delivery.idempotence,
        compression: compression(spec.delivery.compression),
        linger_ms: optional_millis("delivery.linger", spec.delivery.linger.as_deref())?,
        timeout_ms: optional_millis("delivery.timeout", spec.delivery.timeout.as_deref())?,
        drill,
    };
    if config.idempotence && config.acks != config::Acks::All {
        return Err("delivery.idempotence needs acks All: set idempotence to false".to_owned());
    }
    Ok(Desired {
        replicas: i32::try_from(count("replicas", replicas)?).unwrap_or(i32::MAX),
        suspend: spec.suspend,
        bounded: stop.is_some(),
        ttl_seconds: spec.ttl_seconds_after_finished,
        config,
    })
}

fn stop_after(stop: &ProducerStop) -> Result<config::ProducerStop, String> {
    Ok(config::ProducerStop {
        records: stop
            .records
            .map(|n| positive("stopAfter.records", n))
            .transpose()?,
        duration_ms: optional_millis("stopAfter.duration", stop.duration.as_deref())?,
    })
}

fn keys(keys: &Keys) -> Result<config::Keys, String> {
    let cardinality = || {
        let given = keys
            .cardinality
            .ok_or("records.keys.cardinality is needed for this type of keys")?;
        positive("records.keys.cardinality", given)
    };
    Ok(match keys.type_ {
        KeyType::None => config::Keys::None,
        KeyType::Fixed => config::Keys::Fixed,
        KeyType::Sequential => config::Keys::Sequential {
            cardinality: cardinality()?,
        },
        KeyType::Random => config::Keys::Random {
            cardinality: cardinality()?,
        },
    })
}

const fn compression(given: Compression) -> config::Compression {
    match given {
        Compression::None => config::Compression::None,
        Compression::Gzip => config::Compression::Gzip,
        Compression::Snappy => config::Compression::Snappy,
        Compression::Lz4 => config::Compression::Lz4,
        Compression::Zstd => config::Compression::Zstd,
    }
}

fn drill(given: Option<&Drill>) -> Result<config::Drill, String> {
    let Some(drill) = given else {
        return Ok(config::Drill::default());
    };
    Ok(config::Drill {
        duplicate: count("drill.duplicate", drill.duplicate.unwrap_or_default())?,
        drop: count("drill.drop", drill.drop.unwrap_or_default())?,
    })
}

fn count(field: &str, given: i32) -> Result<u32, String> {
    u32::try_from(given).map_err(|_| format!("{field} is {given}, which is below 0"))
}

fn positive<G, T>(field: &str, given: G) -> Result<T, String>
where
    G: Copy + std::fmt::Display,
    T: TryFrom<G> + Default + PartialEq,
{
    let number = T::try_from(given).ok().filter(|number| *number != T::default());
    number.ok_or_else(|| format!("{field} is {given}, which is below 1"))
}

fn optional_millis(field: &str, text: Option<&str>) -> Result<Option<u64>, String> {
    text.map(|text| millis(field, text)).transpose()
}

fn millis(field: &str, text: &str) -> Result<u64, String> {
    let number = parse::millis(text).map_err(|error: ParseError| format!("{field}: {error}"))?;
    u64::try_from(number).map_err(|_| format!("{field}: {text} is below 0"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "called with json! literals")]
    fn spec(more: Value) -> KafkaProducerSpec {
        let mut spec = json!({"topicRef": {"name": "orders"}});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        from_value(spec).unwrap()
    }

    fn config(more: Value) -> ProducerConfig {
        parse(&spec(more)).unwrap().config
    }

    #[test]
    fn the_smallest_spec_is_one_endless_pod() {
        let desired = parse(&spec(json!({}))).unwrap();
        assert_eq!(
            (desired.replicas, desired.bounded, desired.suspend),
            (1, false, false)
        );
        assert_eq!(
            (desired.config.value_bytes, desired.config.idempotence),
            (256, true)
        );
        assert_eq!(desired.config.keys, config::Keys::None);
    }

    #[test]
    fn a_bounded_run_is_shared_out() {
        let bounded = config(json!({
            "replicas": 3,
            "stopAfter": {"records": 100_000, "duration": "5m"},
            "records": {"keys": {"type": "Sequential", "cardinality": 1000}},
            "delivery": {"linger": "5ms", "compression": "Zstd"},
            "drill": {"drop": 1}
        }));
        let stop = config::ProducerStop {
            records: Some(100_000),
            duration_ms: Some(300_000),
        };
        assert_eq!((bounded.shares, bounded.stop), (3, Some(stop)));
        assert_eq!(bounded.keys, config::Keys::Sequential { cardinality: 1000 });
        assert_eq!(
            (bounded.linger_ms, bounded.compression),
            (Some(5), config::Compression::Zstd)
        );
        assert_eq!(
            bounded.drill,
            config::Drill {
                duplicate: 0,
                drop: 1
            }
        );
    }

    #[test]
    fn scaling_an_endless_producer_leaves_its_pods_as_they_are_unless_they_share_a_rate() {
        assert_eq!(config(json!({"replicas": 1})), config(json!({"replicas": 9})));
        let rate = |replicas| config(json!({"replicas": replicas, "load": {"recordsPerSecond": 10}}));
        assert_ne!(rate(1), rate(9));
    }

    #[rstest::rstest]
    #[case(json!({"stopAfter": {}}), "stopAfter")]
    #[case(json!({"stopAfter": {"records": 0}}), "stopAfter.records")]
    #[case(json!({"stopAfter": {"duration": "soon"}}), "stopAfter.duration")]
    #[case(json!({"replicas": -1}), "replicas")]
    #[case(json!({"load": {"recordsPerSecond": 0}}), "load.recordsPerSecond")]
    #[case(json!({"records": {"keys": {"type": "Random"}}}), "records.keys.cardinality")]
    #[case(json!({"delivery": {"acks": "None"}}), "delivery.idempotence")]
    #[case(json!({"drill": {"drop": -1}}), "drill.drop")]
    fn what_the_schema_would_refuse_is_refused_here_too(#[case] more: Value, #[case] field: &str) {
        let message = parse(&spec(more)).unwrap_err();
        assert!(message.contains(field), "{message}");
    }

    #[test]
    fn the_run_number_reaches_the_pods() {
        let desired = parse(&spec(json!({}))).unwrap();
        let Workload::Produce(config) = desired.workload(4) else {
            panic!("a producer produces")
        };
        assert_eq!((config.run, desired.shares()), (4, 0));
    }
}
