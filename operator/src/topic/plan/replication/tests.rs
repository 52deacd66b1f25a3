//! Rules scene by scene, and what must hold of every one.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::topic::{AdoptionPolicy, DeletionPolicy};
use ottla_kafka::config::HostPort;
use ottla_kafka::types::TopicId;
use proptest::prelude::*;
use rstest::rstest;

use super::super::{Policy, Sight, plan};
use super::*;
use crate::topic::desired::Throttle;

fn ids(numbers: &[i32]) -> Vec<BrokerId> {
    numbers.iter().map(|number| BrokerId::from(*number)).collect()
}

pub(in crate::topic::plan) fn factor(number: i32) -> ReplicationFactor {
    number.try_into().unwrap()
}

fn id() -> TopicId {
    TopicId::from(uuid::Uuid::from_u128(1))
}

pub(in crate::topic::plan) fn wants(number: i32) -> Desired {
    Desired {
        name: "t".parse().unwrap(),
        partitions: None,
        replication_factor: Some(factor(number)),
        at_creation: crate::topic::defaults::Shape::default(),
        config: BTreeMap::new(),
        unmanaged: BTreeSet::new(),
        deletion: DeletionPolicy::Retain,
        adoption: AdoptionPolicy::IfMatching,
        drift: DriftPolicy::Correct,
        suspend: false,
        throttle: Throttle::Off,
    }
}

/// Who holds a partition, and who of them is being added and removed.
pub(in crate::topic::plan) type Scene = (Vec<i32>, Option<(Vec<i32>, Vec<i32>)>);

/// A partition at rest.
pub(in crate::topic::plan) fn rests(replicas: &[i32]) -> Scene {
    (replicas.to_vec(), None)
}

/// A partition that is being moved: everybody together, those added, those removed.
pub(in crate::topic::plan) fn moves(all: &[i32], adding: &[i32], removing: &[i32]) -> Scene {
    (all.to_vec(), Some((adding.to_vec(), removing.to_vec())))
}

pub(in crate::topic::plan) fn live(brokers: i32, partitions: &[Scene]) -> Live {
    let seen = |(index, (all, moving)): (usize, &Scene)| {
        let moving = moving.as_ref().map(|(adding, removing)| Moving {
            replicas: ids(all),
            adding: ids(adding),
            removing: ids(removing),
        });
        let in_sync = moving.as_ref().map_or_else(|| ids(all), Moving::origin);
        Seen {
            id: PartitionId::from(i32::try_from(index).unwrap()),
            held: Held {
                replicas: ids(all),
                leader: in_sync.first().copied(),
                in_sync,
            },
            moving,
        }
    };
    let broker = |number: i32| Broker {
        id: BrokerId::from(number),
        advertised: HostPort {
            host: "b".to_owned(),
            port: 1,
        },
        rack: None,
    };
    let layout = Layout {
        brokers: (0..brokers).map(broker).collect(),
        partitions: partitions.iter().enumerate().map(seen).collect(),
        min_in_sync: Some(1),
        throttled: None,
    };
    Live {
        id: id(),
        internal: false,
        partitions: i32::try_from(partitions.len()).unwrap().try_into().unwrap(),
        replication_factor: layout.factor().unwrap(),
        replicas: Replicas::Seen(layout),
        config: BTreeMap::new(),
    }
}

pub(in crate::topic::plan) fn recorded(moving_to: Option<i32>) -> Recorded {
    Recorded {
        id: Some(id()),
        moving_to: moving_to.map(factor),
        ..Recorded::default()
    }
}

pub(in crate::topic::plan) fn planned(desired: &Desired, live: &Live, recorded: &Recorded) -> Plan {
    let policy = Policy {
        tenure: crate::cluster::tenancy::Tenure::Home,
        accepted: None,
        other_owner: None,
    };
    plan(desired, &Sight::Present(live.clone()), recorded, &policy)
}

/// The changes of a plan, partition by partition.
pub(in crate::topic::plan) fn changed(plan: &Plan) -> Vec<(i32, Option<Vec<i32>>)> {
    let numbers = |ids: &Vec<BrokerId>| ids.iter().map(|id| id.get()).collect();
    plan.actions
        .iter()
        .find_map(|action| match action {
            Action::Reassign { changes, .. } => Some(changes),
            _ => None,
        })
        .into_iter()
        .flatten()
        .map(|(id, replicas)| (id.get(), replicas.as_ref().map(numbers)))
        .collect()
}

pub(in crate::topic::plan) fn reasons(plan: &Plan) -> Vec<Reason> {
    plan.refusals.iter().map(|refusal| refusal.reason).collect()
}

#[test]
fn more_replicas_are_added_and_progress_is_told() {
    let live = live(3, &[rests(&[0]), rests(&[1]), rests(&[0, 1, 2])]);
    let plan = planned(&wants(3), &live, &recorded(None));
    assert_eq!(
        changed(&plan),
        [(0, Some(vec![0, 2, 1])), (1, Some(vec![1, 0, 2]))],
        "the least loaded broker comes first"
    );
    let progress = plan.progress.unwrap();
    assert_eq!((progress.done, progress.total), (1, 3));
    assert_eq!(plan.begins(&recorded(None)), Some(progress));
    assert_eq!(plan.begins(&recorded(Some(3))), None, "it was saved before");
}

#[test]
fn what_is_under_way_is_waited_for() {
    let live = live(3, &[moves(&[0, 1], &[1], &[]), rests(&[1, 2])]);
    let plan = planned(&wants(2), &live, &recorded(Some(2)));
    assert_eq!((changed(&plan), reasons(&plan)), (vec![], vec![]));
    assert_eq!(plan.progress.map(|progress| progress.done), Some(1));
    assert_eq!(
        live.replication_factor,
        factor(1),
        "not old and new ones together"
    );
}

#[test]
fn changing_back_takes_moves_back_and_undoes_what_is_done() {
    let live = live(3, &[moves(&[0, 1, 2], &[1, 2], &[]), rests(&[1, 2, 0])]);
    let plan = planned(&wants(1), &live, &recorded(Some(3)));
    assert_eq!(changed(&plan), [(0, None), (1, Some(vec![1]))]);
}

#[test]
fn another_number_on_the_way_keeps_what_is_being_added() {
    let live = live(4, &[moves(&[0, 1], &[1], &[])]);
    let plan = planned(&wants(3), &live, &recorded(Some(2)));
    assert_eq!(changed(&plan), [(0, Some(vec![0, 1, 2]))]);
}

#[test]
fn moves_of_somebody_else_are_not_touched() {
    let swap = live(3, &[moves(&[1, 0], &[1], &[0]), rests(&[1])]);
    let plan = planned(&wants(2), &swap, &recorded(None));
    assert_eq!(changed(&plan), []);
    assert_eq!(reasons(&plan), [Reason::ReplicasMovedByOther]);
    assert!(plan.waits && plan.begins(&recorded(None)).is_none());
    // A swap that ends with the number asked for is nobody's concern.
    let plan = planned(&wants(1), &swap, &recorded(None));
    assert_eq!((changed(&plan), reasons(&plan)), (vec![], vec![]));
}

#[rstest]
#[case::too_few_brokers(4, 1, Reason::InvalidReplicationFactor)]
#[case::below_min_in_sync(1, 2, Reason::ReplicationFactorChangeRefused)]
fn what_cannot_be_is_refused(#[case] wanted: i32, #[case] needed: usize, #[case] reason: Reason) {
    let mut live = live(3, &[rests(&[0, 1]), rests(&[1, 2])]);
    if let Replicas::Seen(layout) = &mut live.replicas {
        layout.min_in_sync = Some(needed);
    }
    let plan = planned(&wants(wanted), &live, &recorded(None));
    assert_eq!((changed(&plan), reasons(&plan)), (vec![], vec![reason]));
    assert_eq!(plan.difference[0].key, "replicationFactor");
}

#[test]
fn fewer_replicas_with_a_lower_min_in_sync_beside_them_are_fine() {
    let mut live = live(3, &[rests(&[0, 1])]);
    if let Replicas::Seen(layout) = &mut live.replicas {
        layout.min_in_sync = Some(2);
    }
    let mut desired = wants(1);
    desired.config.insert(MIN_IN_SYNC.to_owned(), "1".to_owned());
    let plan = planned(&desired, &live, &recorded(None));
    assert!(
        matches!(&plan.actions[..], [Action::Alter { .. }, Action::Reassign { .. }]),
        "{:?}",
        plan.actions
    );
}

#[test]
fn a_higher_min_in_sync_waits_for_the_replicas_it_needs() {
    let mut desired = wants(3);
    desired.config.insert(MIN_IN_SYNC.to_owned(), "2".to_owned());
    let first = planned(&desired, &live(3, &[rests(&[0])]), &recorded(None));
    assert!(matches!(&first.actions[..], [Action::Reassign { .. }]));
    let under_way = live(3, &[moves(&[0, 1, 2], &[1, 2], &[])]);
    assert_eq!(planned(&desired, &under_way, &recorded(Some(3))).actions, []);
    let done = planned(&desired, &live(3, &[rests(&[0, 1, 2])]), &recorded(Some(3)));
    assert!(matches!(&done.actions[..], [Action::Alter { .. }]), "{done:?}");
    assert_eq!(done.progress, None);
}

#[test]
fn drift_is_put_right_or_told_as_the_policy_says() {
    let live = live(3, &[rests(&[0, 1]), rests(&[1])]);
    let mut recorded = recorded(None);
    recorded.managed_factor = Some(factor(2));
    let mut desired = wants(2);
    assert_eq!(changed(&planned(&desired, &live, &recorded)).len(), 1);
    desired.drift = DriftPolicy::Report;
    let told = planned(&desired, &live, &recorded);
    assert_eq!((changed(&told), reasons(&told)), (vec![], vec![Reason::Drifted]));
    // A change of the spec is no drift.
    desired.replication_factor = Some(factor(3));
    assert_eq!(changed(&planned(&desired, &live, &recorded)).len(), 2);
}

#[test]
fn a_partition_without_a_leader_waits() {
    let mut live = live(3, &[rests(&[0]), rests(&[1])]);
    if let Replicas::Seen(layout) = &mut live.replicas {
        layout.partitions[0].held.leader = None;
    }
    let plan = planned(&wants(2), &live, &recorded(None));
    assert_eq!(changed(&plan), [(1, Some(vec![1, 2]))]);
    assert_eq!(plan.progress.map(|progress| progress.done), Some(0));
}

#[rstest]
#[case(0, 1)]
#[case(20, 5)]
#[case(3_600, 15)]
fn looks_become_seldom(#[case] elapsed: i64, #[case] wait: u64) {
    let began = Timestamp::from_second(1_000).unwrap();
    let now = Timestamp::from_second(1_000 + elapsed).unwrap();
    assert_eq!(poll(Some(began), now), Duration::from_secs(wait));
}

/// What Kafka makes of a plan: every move ended.
pub(in crate::topic::plan) fn ended(live: &Live, plan: &Plan) -> Live {
    let mut after = live.clone();
    let Replicas::Seen(layout) = &mut after.replicas else {
        panic!("looked at")
    };
    let changes: BTreeMap<i32, Option<Vec<i32>>> = changed(plan).into_iter().collect();
    for partition in &mut layout.partitions {
        partition.held.replicas = match changes.get(&partition.id.get()) {
            Some(Some(replicas)) => ids(replicas),
            Some(None) => partition.moving.as_ref().unwrap().origin(),
            None => partition.target(),
        };
        partition.held.in_sync.clone_from(&partition.held.replicas);
        partition.held.leader = partition.held.replicas.first().copied();
        partition.moving = None;
    }
    after.replication_factor = layout.factor().unwrap();
    after
}

proptest! {
    #[test]
    fn a_plan_carried_out_leaves_nothing_to_do(
        starts in proptest::collection::vec((0..4_i32, 1..4_i32, 0..3_i32), 1..6),
        wanted in 1..5_i32,
        before in proptest::option::of(1..5_i32),
    ) {
        let scene = |(first, held, added): &(i32, i32, i32)| {
            let all: Vec<i32> = (0..(held + added).min(4)).map(|offset| (first + offset) % 4).collect();
            let held = usize::try_from(*held).unwrap();
            if *added == 0 { rests(&all) } else { moves(&all, &all[held.min(all.len() - 1)..], &[]) }
        };
        let live = live(4, &starts.iter().map(scene).collect::<Vec<_>>());
        let desired = wants(wanted);
        let first = planned(&desired, &live, &recorded(before));
        if reasons(&first).is_empty() {
            let after = ended(&live, &first);
            let second = planned(&desired, &after, &recorded(Some(wanted)));
            prop_assert_eq!((changed(&second), second.progress), (vec![], None), "{:?}", first);
            prop_assert_eq!(after.replication_factor, factor(wanted));
        } else {
            prop_assert_eq!(changed(&first), vec![]);
        }
    }
}
