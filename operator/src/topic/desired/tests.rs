//! What a spec parses to, and what each bad one is told, the CRD's rules taken away.

use ottla_crds::Scalar;
use ottla_crds::common::ClusterRef;
use ottla_crds::topic::Retention;
use rstest::rstest;

use super::*;

pub(crate) fn empty_spec() -> KafkaTopicSpec {
    KafkaTopicSpec {
        cluster_ref: ClusterRef {
            name: "kafka".to_owned(),
            namespace: None,
        },
        topic_name: None,
        partitions: None,
        replication_factor: None,
        retention: None,
        cleanup_policy: vec![],
        config: BTreeMap::new(),
        unmanaged_config: vec![],
        deletion_policy: DeletionPolicy::Retain,
        adoption_policy: AdoptionPolicy::IfMatching,
        drift_policy: DriftPolicy::Correct,
        suspend: false,
    }
}

#[rstest]
#[case("a".repeat(250), "249")]
#[case("..".to_owned(), "..")]
#[case(String::new(), "")]
#[case("__consumer_offsets".to_owned(), "Kafka's own")]
#[case("a/b".to_owned(), "")]
#[case("тема".to_owned(), "")]
#[case("a\n".to_owned(), "")]
fn bad_names(#[case] name: String, #[case] words: &str) {
    let invalid = parse(&name, &empty_spec()).unwrap_err();
    assert_eq!(invalid.reason, Reason::InvalidTopicName);
    assert!(invalid.message.contains(words), "{}", invalid.message);
}

#[test]
fn the_longest_name_is_taken() {
    assert!(parse(&"a".repeat(249), &empty_spec()).is_ok());
}

#[rstest]
#[case(0)]
#[case(-1)]
#[case(10_001)]
#[case(i32::MAX)]
fn bad_partitions(#[case] partitions: i32) {
    let spec = KafkaTopicSpec {
        partitions: Some(partitions),
        ..empty_spec()
    };
    let invalid = parse("t", &spec).unwrap_err();
    assert_eq!(invalid.reason, Reason::InvalidSpec);
    assert!(
        invalid.message.contains(&partitions.to_string()),
        "{}",
        invalid.message
    );
}

#[rstest]
#[case(0)]
#[case(-2)]
#[case(32_768)]
#[case(65_537)]
fn bad_replication_factors(#[case] factor: i32) {
    let spec = KafkaTopicSpec {
        replication_factor: Some(factor),
        ..empty_spec()
    };
    assert_eq!(parse("t", &spec).unwrap_err().reason, Reason::InvalidSpec);
}

#[rstest]
#[case("retention.ms", "7d", "retention.ms")]
#[case("retention.ms", "", "retention.ms")]
#[case("leader.replication.throttled.replicas", "*", "moves replicas")]
#[case("a=b", "1", "no key")]
#[case("a\nb", "1", "no key")]
#[case("min.insync.replicas", "3", "acks=all")]
fn bad_configs(#[case] key: &str, #[case] value: &str, #[case] words: &str) {
    let spec = KafkaTopicSpec {
        config: BTreeMap::from([(key.to_owned(), Scalar::from(value))]),
        replication_factor: Some(2),
        ..empty_spec()
    };
    let invalid = parse("t", &spec).unwrap_err();
    assert_eq!(invalid.reason, Reason::InvalidConfig);
    assert!(invalid.message.contains(words), "{}", invalid.message);
}

#[test]
fn typed_fields_become_configs() {
    let spec = KafkaTopicSpec {
        retention: Some(Retention {
            time: Some("7d".into()),
            bytes_per_partition: Some("Unlimited".into()),
        }),
        cleanup_policy: vec![CleanupPolicy::Delete, CleanupPolicy::Compact],
        config: BTreeMap::from([("segment.ms".to_owned(), Scalar::from(1000))]),
        ..empty_spec()
    };
    let config = parse("t", &spec).unwrap().config;
    let expected = [
        ("cleanup.policy", "compact,delete"),
        ("retention.bytes", "-1"),
        ("retention.ms", "604800000"),
        ("segment.ms", "1000"),
    ];
    assert_eq!(
        config
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn one_key_has_one_place() {
    let mut spec = KafkaTopicSpec {
        retention: Some(Retention {
            time: Some("7d".into()),
            bytes_per_partition: None,
        }),
        config: BTreeMap::from([("retention.ms".to_owned(), Scalar::from(1000))]),
        ..empty_spec()
    };
    assert!(
        parse("t", &spec)
            .unwrap_err()
            .message
            .contains("leave the key retention.ms out")
    );
    spec.config.clear();
    spec.unmanaged_config = vec!["retention.ms".to_owned()];
    assert!(parse("t", &spec).unwrap_err().message.contains("choose one"));
}
