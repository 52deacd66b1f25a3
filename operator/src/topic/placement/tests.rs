//! Choices scene by scene, and what must hold of every one.

use ottla_kafka::config::HostPort;
use proptest::prelude::*;

use super::*;

fn ids(numbers: &[i32]) -> Vec<BrokerId> {
    numbers.iter().map(|number| BrokerId::from(*number)).collect()
}

fn brokers(racks: &[Option<&str>]) -> Vec<Broker> {
    let broker = |(index, rack): (usize, Option<&str>)| Broker {
        id: BrokerId::from(i32::try_from(index).unwrap()),
        advertised: HostPort {
            host: "b".to_owned(),
            port: 1,
        },
        rack: rack.map(str::to_owned),
    };
    racks.iter().copied().enumerate().map(broker).collect()
}

fn held(replicas: &[i32]) -> Held {
    Held {
        replicas: ids(replicas),
        in_sync: ids(replicas),
        leader: replicas.first().map(|id| BrokerId::from(*id)),
    }
}

fn all(brokers: &[Broker], partitions: &[Held], factor: usize) -> Vec<Vec<BrokerId>> {
    let mut placement = Placement::new(brokers, partitions.iter().map(|one| &one.replicas[..]));
    partitions
        .iter()
        .map(|partition| placement.choose(partition, factor))
        .collect()
}

#[test]
fn new_replicas_spread_evenly_behind_the_old_ones() {
    let three = brokers(&[None, None, None]);
    let partitions: Vec<Held> = [0, 1, 2, 0, 1, 2].map(|id| held(&[id])).into();
    let chosen = all(&three, &partitions, 2);
    for (before, after) in partitions.iter().zip(&chosen) {
        assert_eq!(after[0], before.replicas[0], "the leader stays first");
    }
    for id in ids(&[0, 1, 2]) {
        let count = chosen.iter().filter(|replicas| replicas.contains(&id)).count();
        assert_eq!(count, 4, "{id} in {chosen:?}");
    }
}

#[test]
fn another_rack_comes_before_less_load() {
    let uneven = brokers(&[Some("west"), Some("west"), Some("east")]);
    let partitions: Vec<Held> = [0, 1, 0, 1].map(|id| held(&[id])).into();
    for replicas in all(&uneven, &partitions, 2) {
        assert_eq!(replicas[1], BrokerId::from(2));
    }
    // One broker without a rack: racks say nothing.
    let partly = brokers(&[Some("west"), Some("west"), None]);
    let chosen = all(&partly, &[held(&[0]), held(&[0])], 2);
    assert_eq!(chosen, [ids(&[0, 1]), ids(&[0, 2])]);
}

#[test]
fn fewer_replicas_keep_leader_and_racks() {
    let uneven = brokers(&[Some("west"), Some("west"), Some("east")]);
    assert_eq!(all(&uneven, &[held(&[0, 1, 2])], 2), [ids(&[0, 2])]);
    let mut led_by_the_last = held(&[0, 1, 2]);
    led_by_the_last.leader = Some(BrokerId::from(2));
    assert_eq!(all(&uneven, &[led_by_the_last], 1), [ids(&[2])]);
    let mut behind = held(&[0, 1, 2]);
    behind.in_sync = ids(&[0, 1]);
    assert_eq!(
        all(&uneven, &[behind], 2),
        [ids(&[0, 1])],
        "who has all records comes before the rack"
    );
}

#[test]
fn a_lost_broker_is_replaced_when_the_number_changes() {
    let three = brokers(&[None, None, None]);
    let mut partition = held(&[7, 1]);
    partition.leader = Some(BrokerId::from(1));
    assert_eq!(all(&three, &[partition], 3), [ids(&[1, 0, 2])]);
}

proptest! {
    #[test]
    fn every_choice_is_sound(
        racks in proptest::collection::vec(0..4_u8, 1..8),
        starts in proptest::collection::vec((0..8_usize, 1..8_usize), 1..12),
        factor in 1..8_usize,
    ) {
        let names: Vec<String> = racks.iter().map(|rack| format!("r{rack}")).collect();
        let live = brokers(&names.iter().map(|name| Some(name.as_str())).collect::<Vec<_>>());
        let factor = factor.min(live.len());
        let partitions: Vec<Held> = starts
            .iter()
            .map(|(first, count)| {
                let count = (*count).min(live.len());
                let replicas: Vec<i32> = (0..count)
                    .map(|offset| i32::try_from((first + offset) % live.len()).unwrap())
                    .collect();
                held(&replicas)
            })
            .collect();
        let chosen = all(&live, &partitions, factor);
        prop_assert_eq!(&chosen, &all(&live, &partitions, factor), "the same facts, the same choice");
        let racks_of = |ids: &[BrokerId]| -> BTreeSet<String> {
            let rack = |id: &BrokerId| live[usize::try_from(id.get()).unwrap()].rack.clone().unwrap();
            ids.iter().map(rack).collect()
        };
        let everywhere: Vec<BrokerId> = live.iter().map(|broker| broker.id).collect();
        for (before, after) in partitions.iter().zip(&chosen) {
            let distinct: BTreeSet<_> = after.iter().collect();
            prop_assert_eq!(distinct.len(), factor, "as many distinct brokers as asked for");
            prop_assert!(after.iter().all(|id| everywhere.contains(id)));
            prop_assert!(after.contains(&before.replicas[0]), "the leader stays");
            let stay = before.replicas.len().min(factor);
            let stayed = after.iter().filter(|id| before.replicas.contains(id)).count();
            prop_assert_eq!(stayed, stay, "nothing moves that need not");
            if before.replicas.len() >= factor {
                let best = racks_of(&before.replicas).len().min(factor);
                prop_assert_eq!(racks_of(after).len(), best, "as many racks as the replicas there are allow");
            } else {
                let old = racks_of(&before.replicas).len();
                let new = racks_of(&everywhere).len() - old;
                let best = old + new.min(factor - before.replicas.len());
                prop_assert_eq!(racks_of(after).len(), best, "as many racks as can be had without moving");
            }
        }
    }
}
