//! Cuts within their logs, groups in the way, retention that ends at the cut, and what is restored.

use ottla_kafka::admin::Partition;
use ottla_kafka::types::BrokerId;
use rstest::rstest;
use serde_json::{Value, json};

use super::super::desired::parse;
use super::*;

fn desired(change: &Value) -> Desired {
    let mut spec = json!({"topicRef": {"name": "orders"}, "cut": {"type": "All"}});
    for (key, value) in change.as_object().unwrap() {
        spec[key] = value.clone();
    }
    parse(&serde_json::from_value(spec).unwrap()).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn topic(partitions: i32) -> Topic {
    let partition = |id: i32| Partition {
        id: id.into(),
        leader: Some(BrokerId::from(0)),
        replicas: vec![BrokerId::from(0)],
        in_sync: vec![BrokerId::from(0)],
    };
    Topic {
        name: "orders".parse().unwrap(),
        id: "AAAAAAAAAAAAAAAAAAAAAQ".parse().unwrap(),
        internal: false,
        partitions: (0..partitions).map(partition).collect(),
    }
}

fn set(value: &str) -> ConfigEntry {
    ConfigEntry {
        value: Some(value.to_owned()),
        source: ConfigSource::Topic,
        read_only: false,
        sensitive: false,
    }
}

/// What was asked of the times of the records, and found.
#[derive(Clone, Copy)]
enum Young {
    NotAsked,
    None,
    From(i64),
}

/// One partition from 10 to 30, its first record young enough to stay, and configs set on the topic.
fn sight(young: Young, config: &[(&str, &str)]) -> Sight {
    let span = Span {
        start: Offset::from(10),
        end: Offset::from(30),
    };
    let first = match young {
        Young::NotAsked => None,
        Young::None => Some((PartitionId::from(0), None)),
        Young::From(offset) => Some((PartitionId::from(0), Some(Offset::from(offset)))),
    };
    Sight {
        topic: topic(1),
        spans: [(PartitionId::from(0), span)].into(),
        first_to_stay: first.into_iter().collect(),
        config: config
            .iter()
            .map(|(key, value)| ((*key).to_owned(), set(value)))
            .collect(),
    }
}

#[rstest]
#[case::all(json!({}), Young::NotAsked, 30)]
#[case::keep_less_than_there_is(json!({"cut": {"type": "KeepLast", "keepLast": {"records": 5}}}), Young::NotAsked, 25)]
#[case::keep_more_than_there_is(json!({"cut": {"type": "KeepLast", "keepLast": {"records": 500}}}), Young::NotAsked, 10)]
#[case::below_the_start(
    json!({"cut": {"type": "BeforeOffsets", "beforeOffsets": [{"partition": 0, "offset": 3}]}}), Young::NotAsked, 10
)]
#[case::first_young_record(json!({"cut": {"type": "OlderThan", "olderThan": "1s"}}), Young::From(17), 17)]
#[case::no_young_record(json!({"cut": {"type": "OlderThan", "olderThan": "1s"}}), Young::None, 30)]
#[case::written_after_the_end_was_read(json!({"cut": {"type": "OlderThan", "olderThan": "1s"}}), Young::From(34), 30)]
fn a_cut_lies_within_the_log_as_it_was_read(#[case] spec: Value, #[case] young: Young, #[case] cut: i64) {
    let pinned = pin(&desired(&spec), &sight(young, &[]), at(100)).unwrap();
    assert_eq!(pinned.partitions[0].cut, cut);
    assert_eq!(pinned.records, cut - 10);
}

#[test]
fn more_partitions_than_a_status_holds_are_refused_unless_some_are_chosen() {
    let many = topic(2_001);
    let refusal = scope(&desired(&json!({})), &many).unwrap_err();
    assert_eq!(refusal.reason, Reason::TooManyPartitions);
    assert_eq!(
        scope(&desired(&json!({"partitions": [2_000]})), &many)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn an_unread_partition_counts_and_a_passed_cut_does_not() {
    let plan = |partition| PartitionPlan {
        partition,
        start: 10,
        cut: 30,
        end: 40,
    };
    let group = |id: &str, committed: &[(i32, i64)]| ConsumerGroup {
        id: id.to_owned(),
        active: false,
        committed: committed
            .iter()
            .map(|(partition, next)| ((*partition).into(), (*next).into()))
            .collect(),
    };
    let groups = [
        group("done", &[(0, 30), (1, 35)]),
        group("half", &[(0, 25), (1, 30)]),
        group("silent", &[(0, 30)]),
        group("behind-the-start", &[(0, 2), (1, 30)]),
    ];
    let impacts = impact(&[plan(0), plan(1)], &groups);
    let unread: Vec<(&str, i64)> = impacts
        .iter()
        .map(|one| (one.group.as_str(), one.unread))
        .collect();
    assert_eq!(unread, [("half", 5), ("silent", 20), ("behind-the-start", 20)]);
    assert_eq!(in_the_way(ConsumerGroupsGuard::CaughtUp, &impacts).len(), 3);
    assert!(in_the_way(ConsumerGroupsGuard::Inactive, &impacts).is_empty());
}

#[test]
fn a_lowered_retention_reaches_the_cut_at_its_end_and_is_never_raised() {
    let saved = |value: Option<&str>| SavedTopic {
        config: value
            .map(|value| (RETENTION_MS.to_owned(), value.to_owned()))
            .into_iter()
            .collect(),
        unset: if value.is_none() {
            vec![RETENTION_MS.to_owned()]
        } else {
            vec![]
        },
        ..SavedTopic::default()
    };
    let name: TopicName = "orders".parse().unwrap();
    for (own, expected) in [
        (None, "900000"),
        (Some("-1"), "900000"),
        (Some("604800000"), "900000"),
        (Some("1000"), "1000"),
    ] {
        let Action::Alter { set, .. } = lowered(&name, &saved(own), at(100), at(1_000)) else {
            panic!("retention is altered");
        };
        assert_eq!(set[RETENTION_MS], expected, "{own:?}");
    }
    let Action::Alter { set, unset, .. } = restored(&name, &saved(None)) else {
        panic!("retention is altered");
    };
    assert!(
        set.is_empty() && unset.contains(RETENTION_MS),
        "unset again, not set to a default"
    );
}

#[test]
fn what_was_saved_is_what_was_set_on_the_topic() {
    let compact = sight(
        Young::NotAsked,
        &[(CLEANUP_POLICY, "compact"), (RETENTION_BYTES, "5")],
    );
    let refusal = pin(&desired(&json!({})), &compact, at(1)).unwrap_err();
    assert_eq!(refusal.reason, Reason::CompactOnly);
    let saved = pin(&desired(&json!({"allowPolicyFlip": true})), &compact, at(1))
        .unwrap()
        .saved
        .unwrap();
    assert_eq!(saved.config.len(), 2);
    assert_eq!(saved.unset, [RETENTION_MS]);
    assert!(is_restored(&saved, &compact.config));
    let mut widened = compact.config.clone();
    widened.insert(RETENTION_MS.to_owned(), set("-1"));
    assert!(
        !is_restored(&saved, &widened),
        "a key that was not set is still set"
    );
}

#[test]
fn a_topic_that_somebody_else_made_is_reshaped_or_refused_never_shrunk() {
    let saved = |partitions: i32, factor: i32| SavedTopic {
        partitions: Some(partitions),
        replication_factor: Some(factor),
        ..SavedTopic::default()
    };
    assert_eq!(reshaped(&topic(3), &saved(3, 1)), Ok(vec![]));
    let grown = reshaped(&topic(1), &saved(3, 1)).unwrap();
    assert!(matches!(&grown[..], [Action::Grow { to, .. }] if to.get() == 3));
    assert!(reshaped(&topic(4), &saved(3, 1)).is_err());
    assert!(reshaped(&topic(3), &saved(3, 2)).is_err());
}

#[rstest]
#[case::begins_anew(&[(0, 0)], true)]
#[case::begins_anew_and_is_written_to(&[(0, 29)], true)]
#[case::ends_before_it_ended(&[(10, 29)], true)]
#[case::is_as_it_was(&[(10, 30)], false)]
#[case::has_lost_its_oldest(&[(30, 30)], false)]
#[case::has_grown(&[(10, 31)], false)]
#[case::is_not_told(&[], false)]
#[case::one_of_two_is_as_it_was(&[(0, 0), (0, 5)], false)]
#[case::one_of_two_was_empty(&[(0, 0), (0, 0)], true)]
fn a_log_never_goes_back(#[case] now: &[(i64, i64)], #[case] another: bool) {
    let planned = |partition, start, end| PartitionPlan {
        partition,
        start,
        cut: end,
        end,
    };
    let plans = [planned(0, 10, 30), planned(1, 0, 0)];
    let plans = &plans[..now.len().max(1)];
    let spans = (0..).zip(now).map(|(id, (start, end))| {
        let (start, end) = (Offset::from(*start), Offset::from(*end));
        (PartitionId::from(id), Span { start, end })
    });
    assert_eq!(is_another_log(plans, &spans.collect()), another);
}
