//! Plans scene by scene, and what must hold of every plan.

use ottla_crds::topic::DeletionPolicy;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn id(n: u128) -> TopicId {
    TopicId::from(uuid::Uuid::from_u128(n))
}

fn count(n: i32) -> PartitionCount {
    n.try_into().unwrap()
}

fn factor(n: i32) -> ReplicationFactor {
    n.try_into().unwrap()
}

fn desired(partitions: Option<i32>, config: &[(&str, &str)]) -> Desired {
    Desired {
        name: "t".parse().unwrap(),
        partitions: partitions.map(count),
        replication_factor: None,
        at_creation: crate::topic::defaults::Shape::default(),
        config: config
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        unmanaged: BTreeSet::new(),
        deletion: DeletionPolicy::Retain,
        adoption: AdoptionPolicy::IfMatching,
        drift: DriftPolicy::Correct,
        suspend: false,
        throttle: crate::topic::desired::Throttle::Off,
    }
}

fn entry(value: &str, source: ConfigSource) -> ConfigEntry {
    ConfigEntry {
        value: Some(value.to_owned()),
        source,
        read_only: false,
        sensitive: false,
    }
}

fn live(partitions: i32, config: &[(&str, &str)]) -> Live {
    Live {
        id: id(1),
        internal: false,
        partitions: count(partitions),
        replication_factor: factor(1),
        replicas: Replicas::Even,
        config: config
            .iter()
            .map(|(k, v)| ((*k).to_owned(), entry(v, ConfigSource::Topic)))
            .collect(),
    }
}

fn ours(managed: &[(&str, &str)]) -> Recorded {
    Recorded {
        id: Some(id(1)),
        managed: managed
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..Recorded::default()
    }
}

fn home() -> Policy {
    Policy {
        tenure: Tenure::Home,
        accepted: None,
        other_owner: None,
    }
}

fn reasons(plan: &Plan) -> Vec<Reason> {
    plan.refusals.iter().map(|refusal| refusal.reason).collect()
}

#[test]
fn a_topic_that_is_not_there_is_created_with_its_shape() {
    let plan = plan(
        &desired(Some(3), &[("retention.ms", "1")]),
        &Sight::Absent,
        &Recorded::default(),
        &home(),
    );
    assert_eq!((plan.claim, plan.save), (Claim::Create, None));
    let [Action::Create(topic)] = &plan.actions[..] else {
        panic!("{:?}", plan.actions)
    };
    assert_eq!(topic.partitions, Some(count(3)));
    assert_eq!(topic.config["retention.ms"], "1");
}

#[test]
fn a_create_that_could_not_be_adopted_afterwards_is_announced() {
    let mut never = desired(None, &[]);
    never.adoption = AdoptionPolicy::Never;
    let absent = plan(&never, &Sight::Absent, &Recorded::default(), &home());
    assert_eq!(absent.save, Some(Save::Announcement));
    let announced = Recorded {
        announced: true,
        ..Recorded::default()
    };
    assert_eq!(plan(&never, &Sight::Absent, &announced, &home()).save, None);
    let found = plan(&never, &Sight::Present(live(1, &[])), &announced, &home());
    assert_eq!((found.claim, found.refusals), (Claim::Ours, vec![]));
}

#[test]
fn a_topic_deleted_behind_our_back_returns_no_smaller_than_it_was() {
    let recorded = Recorded {
        partitions: Some(count(6)),
        replication_factor: Some(factor(3)),
        ..ours(&[])
    };
    let plan = plan(&desired(Some(3), &[]), &Sight::Absent, &recorded, &home());
    let [Action::Create(topic)] = &plan.actions[..] else {
        panic!("{:?}", plan.actions)
    };
    assert_eq!(
        (plan.claim, topic.partitions, topic.replication_factor),
        (Claim::Recreate, Some(count(6)), Some(factor(3)))
    );
    assert_eq!(
        plan.save,
        Some(Save::Announcement),
        "or a crash would make a stranger of it"
    );
}

#[test]
fn one_answer_is_not_enough_to_believe_a_known_topic_gone() {
    let plan = plan(&desired(None, &[]), &Sight::OutOfSight, &ours(&[]), &home());
    assert_eq!((plan.claim, plan.actions), (Claim::Wait, vec![]));
}

#[rstest]
#[case::matching(AdoptionPolicy::IfMatching, 3, true, Claim::Adopt)]
#[case::differing(AdoptionPolicy::IfMatching, 2, true, Claim::HandsOff)]
#[case::always(AdoptionPolicy::Always, 2, true, Claim::Adopt)]
#[case::never(AdoptionPolicy::Never, 3, true, Claim::HandsOff)]
#[case::distant(AdoptionPolicy::Always, 3, false, Claim::HandsOff)]
fn existing_topics_are_adopted_by_policy(
    #[case] adoption: AdoptionPolicy,
    #[case] partitions: i32,
    #[case] is_home: bool,
    #[case] claim: Claim,
) {
    let desired = Desired {
        adoption,
        ..desired(Some(3), &[])
    };
    let policy = Policy {
        tenure: if is_home { Tenure::Home } else { Tenure::Guest },
        ..home()
    };
    let plan = plan(
        &desired,
        &Sight::Present(live(partitions, &[])),
        &Recorded::default(),
        &policy,
    );
    assert_eq!(plan.claim, claim);
    if claim == Claim::HandsOff {
        assert_eq!(
            (reasons(&plan), plan.actions),
            (vec![Reason::AdoptionRequired], vec![])
        );
    }
}

#[test]
fn an_inherited_value_is_a_difference_even_if_equal() {
    let mut topic = live(1, &[]);
    topic
        .config
        .insert("retention.ms".to_owned(), entry("1", ConfigSource::Default));
    let plan = plan(
        &desired(None, &[("retention.ms", "1")]),
        &Sight::Present(topic),
        &Recorded::default(),
        &home(),
    );
    assert_eq!(plan.claim, Claim::HandsOff);
    assert_eq!(
        (
            plan.difference[0].key.as_str(),
            plan.difference[0].live.as_deref()
        ),
        ("retention.ms", None)
    );
}

#[test]
fn a_foreign_topic_in_our_place_is_left_alone_until_accepted_by_its_id() {
    let stranger = Live {
        id: id(2),
        ..live(1, &[])
    };
    let desired = desired(Some(5), &[]);
    let sight = Sight::Present(stranger);
    let refused = plan(&desired, &sight, &ours(&[]), &home());
    assert_eq!(
        (reasons(&refused), refused.actions),
        (vec![Reason::TopicReplaced], vec![])
    );
    let other = Policy {
        accepted: Some(id(3)),
        ..home()
    };
    assert_eq!(plan(&desired, &sight, &ours(&[]), &other).claim, Claim::HandsOff);
    let accepted = Policy {
        accepted: Some(id(2)),
        ..home()
    };
    assert_eq!(plan(&desired, &sight, &ours(&[]), &accepted).claim, Claim::Accept);
}

#[test]
fn a_loser_and_an_internal_topic_keep_hands_off() {
    let rival = Policy {
        other_owner: Some("a".to_owned()),
        ..home()
    };
    for sight in [Sight::Absent, Sight::Present(live(1, &[])), Sight::OutOfSight] {
        let plan = plan(&desired(Some(9), &[("a", "b")]), &sight, &ours(&[]), &rival);
        assert_eq!(
            (plan.claim, plan.actions, plan.save),
            (Claim::HandsOff, vec![], None)
        );
    }
    let internal = Live {
        internal: true,
        ..live(1, &[])
    };
    let plan = plan(
        &desired(Some(9), &[]),
        &Sight::Present(internal),
        &ours(&[]),
        &home(),
    );
    assert_eq!((plan.claim, plan.actions), (Claim::HandsOff, vec![]));
}

#[test]
fn a_refused_decrease_does_not_hold_up_the_rest() {
    let desired = desired(Some(2), &[("retention.ms", "5")]);
    let plan = plan(&desired, &Sight::Present(live(3, &[])), &ours(&[]), &home());
    assert_eq!(reasons(&plan), [Reason::PartitionDecreaseRefused]);
    assert!(matches!(&plan.actions[..], [Action::Alter { .. }]));
    assert_eq!(plan.difference[0].live.as_deref(), Some("3"));
}

#[test]
fn a_key_that_left_the_spec_is_reset_only_if_it_was_ours() {
    let topic = live(
        1,
        &[("retention.ms", "1"), ("segment.ms", "2"), ("flush.ms", "3")],
    );
    let mut desired = desired(None, &[]);
    desired.unmanaged.insert("flush.ms".to_owned());
    let recorded = ours(&[("retention.ms", "1"), ("flush.ms", "3")]);
    let plan = plan(&desired, &Sight::Present(topic), &recorded, &home());
    let [Action::Alter { set, unset, .. }] = &plan.actions[..] else {
        panic!("{:?}", plan.actions)
    };
    assert!(set.is_empty());
    assert_eq!(unset.iter().collect::<Vec<_>>(), ["retention.ms"]);
}

#[test]
fn a_newly_managed_key_is_saved_first_and_a_drifted_one_is_not() {
    let desired = desired(None, &[("retention.ms", "1")]);
    let sight = Sight::Present(live(1, &[("retention.ms", "2")]));
    assert!(matches!(
        plan(&desired, &sight, &ours(&[]), &home()).save,
        Some(Save::Managed(_))
    ));
    assert_eq!(
        plan(&desired, &sight, &ours(&[("retention.ms", "1")]), &home()).save,
        None
    );
}

#[test]
fn drift_is_what_differs_from_the_value_set_last() {
    let spec = desired(
        None,
        &[("retention.ms", "1"), ("segment.ms", "2"), ("flush.ms", "3")],
    );
    let topic = live(1, &[("retention.ms", "9"), ("segment.ms", "9")]);
    // The spec moved on from segment.ms=8, and flush.ms was never set.
    let recorded = ours(&[("retention.ms", "1"), ("segment.ms", "8"), ("flush.ms", "")]);
    let corrected = plan(&spec, &Sight::Present(topic.clone()), &recorded, &home());
    assert_eq!(corrected.drifted.iter().collect::<Vec<_>>(), ["retention.ms"]);
    assert_eq!((reasons(&corrected), corrected.difference), (vec![], vec![]));

    let reporting = Desired {
        drift: DriftPolicy::Report,
        ..spec
    };
    let reported = plan(&reporting, &Sight::Present(topic), &recorded, &home());
    let [Action::Alter { set, .. }] = &reported.actions[..] else {
        panic!("{:?}", reported.actions)
    };
    assert_eq!(set.keys().collect::<Vec<_>>(), ["flush.ms", "segment.ms"]);
    assert_eq!(reasons(&reported), [Reason::Drifted]);
    assert_eq!(reported.difference[0].live.as_deref(), Some("9"));
}

#[test]
fn a_deleted_topic_is_not_made_again_where_drift_is_reported() {
    let reporting = Desired {
        drift: DriftPolicy::Report,
        ..desired(Some(3), &[])
    };
    let gone = plan(&reporting, &Sight::Absent, &ours(&[]), &home());
    assert_eq!(
        (gone.actions.as_slice(), gone.claim, reasons(&gone)),
        (&[][..], Claim::HandsOff, vec![Reason::TopicGone])
    );
    let never_there = plan(&reporting, &Sight::Absent, &Recorded::default(), &home());
    assert_eq!(never_there.claim, Claim::Create);
}

const KEYS: [&str; 4] = ["retention.ms", "segment.ms", "cleanup.policy", "some.key"];

fn value(key: &'static str) -> BoxedStrategy<String> {
    match key {
        "cleanup.policy" => prop_oneof![Just("compact"), Just("delete"), Just("compact,delete")]
            .prop_map(str::to_owned)
            .boxed(),
        _ => (1..4_i32).prop_map(|n| n.to_string()).boxed(),
    }
}

fn configs() -> impl Strategy<Value = BTreeMap<String, String>> {
    let one = |key: &'static str| proptest::option::of(value(key)).prop_map(move |value| (key, value));
    KEYS.map(one).prop_map(|all| {
        all.into_iter()
            .filter_map(|(key, value)| value.map(|value| (key.to_owned(), value)))
            .collect()
    })
}

prop_compose! {
    fn scene()(
        wanted in configs(),
        set in configs(),
        managed in configs(),
        unmanaged in proptest::sample::subsequence(KEYS.to_vec(), 0..3),
        partitions in proptest::option::of(1..6_i32),
        replicas in proptest::option::of(1..3_i32),
        live_partitions in 1..6_i32,
        adoption in prop_oneof![Just(AdoptionPolicy::Always), Just(AdoptionPolicy::IfMatching), Just(AdoptionPolicy::Never)],
        recorded_id in proptest::option::of(prop_oneof![3 => Just(1_u128), 1 => Just(2_u128)]),
        announced in any::<bool>(),
        // Mostly scenes in which something may be done: the others say little.
        tenure in prop_oneof![6 => Just(Tenure::Home), 2 => Just(Tenure::Own), 1 => Just(Tenure::Guest), 1 => Just(Tenure::Outside)],
        rival in proptest::bool::weighted(0.15),
        sight in prop_oneof![3 => Just(0_u8), 1 => Just(1_u8), 6 => Just(2_u8)],
    ) -> (Desired, Sight, Recorded, Policy) {
        let mut desired = desired(partitions, &[]);
        desired.unmanaged = unmanaged.into_iter().map(str::to_owned).collect();
        desired.config = wanted.into_iter().filter(|(key, _)| !desired.unmanaged.contains(key)).collect();
        desired.replication_factor = replicas.map(factor);
        desired.adoption = adoption;
        let mut topic = live(live_partitions, &[]);
        topic.config = set.iter().map(|(key, value)| (key.clone(), entry(value, ConfigSource::Topic))).collect();
        let recorded = Recorded {
            id: recorded_id.map(id),
            announced: announced && recorded_id.is_none(),
            managed,
            ..Recorded::default()
        };
        let policy = Policy { tenure, accepted: None, other_owner: rival.then(|| "r".to_owned()) };
        let sight = match sight {
            0 => Sight::Absent,
            1 => Sight::OutOfSight,
            _ => Sight::Present(topic),
        };
        (desired, sight, recorded, policy)
    }
}

proptest! {
    #[test]
    fn no_plan_harms((desired, sight, recorded, policy) in scene()) {
        let plan = plan(&desired, &sight, &recorded, &policy);
        for action in &plan.actions {
            match action {
                Action::Create(_) => prop_assert_eq!(&sight, &Sight::Absent),
                Action::Grow { from, to, .. } => {
                    let Sight::Present(live) = &sight else { panic!("grows what is not there") };
                    prop_assert!(*from == live.partitions && to > from);
                }
                Action::Alter { set, unset, .. } => {
                    prop_assert!(set.keys().all(|key| desired.config.contains_key(key)));
                    prop_assert!(unset.iter().all(|key| recorded.managed.contains_key(key)));
                    prop_assert!(set.keys().chain(unset).all(|key| !desired.unmanaged.contains(key)));
                }
                Action::Reassign { .. } | Action::Throttle { .. } | Action::Unthrottle { .. } => {
                    prop_assert!(false, "nobody looked at the replicas");
                }
                Action::Delete(_) => prop_assert!(false, "a plan never deletes"),
            }
        }
        let hands_off = matches!(plan.claim, Claim::HandsOff | Claim::Wait);
        prop_assert!(!hands_off || (plan.actions.is_empty() && plan.save.is_none()));
        prop_assert!(!hands_off || !plan.refusals.is_empty());
        prop_assert!(policy.other_owner.is_none() || plan.actions.is_empty());
    }

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_do((desired, sight, recorded, policy) in scene()) {
        let first = plan(&desired, &sight, &recorded, &policy);
        prop_assume!(!matches!(first.claim, Claim::HandsOff | Claim::Wait));
        let start = match &sight {
            Sight::Present(live) => live.clone(),
            _ => created(&first),
        };
        let live = first.actions.iter().fold(start, applied);
        let now = Recorded { id: Some(live.id), announced: false, managed: desired.config.clone(), ..recorded };
        let second = plan(&desired, &Sight::Present(live), &now, &policy);
        prop_assert_eq!(second.claim, Claim::Ours);
        prop_assert!(second.actions.is_empty() && second.save.is_none(), "{:?}", second);
        prop_assert_eq!(second.refusals, if matches!(sight, Sight::Present(_)) { first.refusals } else { vec![] });
    }
}

fn created(plan: &Plan) -> Live {
    let [Action::Create(topic)] = &plan.actions[..] else {
        panic!("{:?}", plan.actions)
    };
    let set = topic.config.clone();
    let live = Live {
        id: id(9),
        internal: false,
        partitions: topic.partitions.unwrap_or(count(1)),
        replication_factor: topic.replication_factor.unwrap_or(factor(1)),
        replicas: Replicas::Even,
        config: BTreeMap::new(),
    };
    applied(
        live,
        &Action::Alter {
            topic: topic.name.clone(),
            set,
            unset: BTreeSet::new(),
        },
    )
}
