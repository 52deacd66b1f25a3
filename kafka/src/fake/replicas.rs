//! The fake's replicas: who holds each partition, and moves, which go on only when the test lets them.

use std::ops::Range;

use super::port::{Answer, no_topic, refuse};
use super::{FakeKafka, World};
use crate::admin::{Cluster, Move, Moving, TopicPartition};
use crate::error::ErrorCode;
use crate::types::{BrokerId, TopicName};

/// Who holds a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeReplicas {
    /// Preferred leader first; during a move the old ones and the new ones together.
    pub replicas: Vec<BrokerId>,
    /// Who is to hold it and does not yet.
    pub adding: Vec<BrokerId>,
    /// Who is to hold it no longer.
    pub removing: Vec<BrokerId>,
}

impl FakeReplicas {
    /// Who has all records: everybody but those that are being added.
    pub(super) fn caught_up(&self) -> Vec<BrokerId> {
        without(&self.replicas, &self.adding)
    }

    /// Ends a move: as it was asked for, or as it was before.
    fn settle(&mut self, gone: fn(&Self) -> &Vec<BrokerId>) {
        self.replicas = without(&self.replicas, gone(self));
        self.adding.clear();
        self.removing.clear();
    }
}

fn without(all: &[BrokerId], gone: &[BrokerId]) -> Vec<BrokerId> {
    all.iter().filter(|id| !gone.contains(id)).copied().collect()
}

impl FakeKafka {
    /// Names the racks of the brokers, in the order of their ids.
    pub fn set_racks(&self, racks: &[&str]) {
        for (broker, rack) in self.world().cluster.brokers.iter_mut().zip(racks) {
            broker.rack = Some((*rack).to_owned());
        }
    }

    /// Takes a broker out of the cluster for good, as if it had never come back from a crash.
    pub fn lose_broker(&self, id: BrokerId) {
        self.world().cluster.brokers.retain(|broker| broker.id != id);
    }

    /// Lets new replicas catch up in so many partitions, which ends their move.
    pub fn catch_up(&self, partitions: usize) {
        let mut world = self.world();
        let held = world.topics.values_mut().flat_map(|topic| &mut topic.replicas);
        for one in held.filter(|one| !one.adding.is_empty()).take(partitions) {
            one.settle(|one| &one.removing);
        }
    }

    /// Starts a move as somebody else would.
    ///
    /// # Panics
    ///
    /// When Kafka would refuse it.
    pub fn move_replicas(&self, topic: &TopicName, partition: i32, replicas: &[i32]) {
        let partition = TopicPartition {
            topic: topic.clone(),
            partition: partition.into(),
        };
        let replicas = Some(replicas.iter().map(|id| BrokerId::from(*id)).collect());
        let answer = alter(&mut self.world(), Move { partition, replicas });
        assert!(answer.is_ok(), "Kafka would refuse that: {answer:?}");
    }
}

/// Replicas of new partitions, each one broker further than the last.
pub(super) fn spread(cluster: &Cluster, partitions: Range<usize>, factor: i16) -> Vec<FakeReplicas> {
    let copies = usize::try_from(factor).unwrap_or(0);
    let of = |index: usize| {
        let brokers = cluster.brokers.iter().map(|broker| broker.id).cycle();
        FakeReplicas {
            replicas: brokers.skip(index % cluster.brokers.len()).take(copies).collect(),
            ..FakeReplicas::default()
        }
    };
    partitions.map(of).collect()
}

fn held<'a>(world: &'a mut World, at: &TopicPartition) -> Option<&'a mut FakeReplicas> {
    let index = usize::try_from(at.partition.get()).ok()?;
    world.topics.get_mut(&at.topic)?.replicas.get_mut(index)
}

pub(super) fn moving(world: &mut World, at: &TopicPartition) -> Option<Moving> {
    let held = held(world, at)?;
    (!held.adding.is_empty() || !held.removing.is_empty()).then(|| Moving {
        replicas: held.replicas.clone(),
        adding: held.adding.clone(),
        removing: held.removing.clone(),
    })
}

pub(super) fn alter(world: &mut World, asked: Move) -> Answer<()> {
    let brokers: Vec<BrokerId> = world.cluster.brokers.iter().map(|broker| broker.id).collect();
    let Some(held) = held(world, &asked.partition) else {
        return no_topic();
    };
    let Some(target) = asked.replicas else {
        if held.adding.is_empty() && held.removing.is_empty() {
            return refuse(
                ErrorCode::NO_REASSIGNMENT_IN_PROGRESS,
                "No reassignment is in progress.",
            );
        }
        held.settle(|one| &one.adding);
        return Ok(());
    };
    let distinct = (1..target.len()).all(|index| !target[..index].contains(&target[index]));
    if target.is_empty() || !distinct || target.iter().any(|id| !brokers.contains(id)) {
        let message = "The manual partition assignment names a broker twice, none, or one that is not there.";
        return refuse(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message);
    }
    // A replica that was still being added and stays wanted has not caught up by that.
    let caught_up = held.caught_up();
    let removing = without(&held.replicas, &target);
    held.adding = without(&target, &caught_up);
    held.replicas = target.into_iter().chain(removing.iter().copied()).collect();
    held.removing = removing;
    // Nothing has to catch up: it is done at once.
    if held.adding.is_empty() {
        held.settle(|one| &one.removing);
    }
    Ok(())
}
