//! Chooses the brokers that hold a partition when its number of replicas changes. Pure, and the same for the same
//! facts.
//!
//! Whoever holds the partition goes on holding it: more replicas are added behind those there are, fewer are taken
//! away and none is moved. Racks come first, then an even load over the brokers.

use std::collections::{BTreeMap, BTreeSet};

use ottla_kafka::admin::Broker;
use ottla_kafka::types::BrokerId;

/// A partition as it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its replicas, preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Those that have all records.
    pub in_sync: Vec<BrokerId>,
    /// Its leader.
    pub leader: Option<BrokerId>,
}

/// Chooses for one partition after the other, and remembers how many replicas each broker was given.
#[derive(Clone, Debug)]
pub struct Placement<'a> {
    racks: BTreeMap<BrokerId, Rack<'a>>,
    load: BTreeMap<BrokerId, usize>,
}

/// Where a broker stands; one without a rack stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rack<'a> {
    Named(&'a str),
    Alone(BrokerId),
}

impl<'a> Placement<'a> {
    /// Chooses among these brokers, for a topic whose partitions are held like this.
    #[must_use]
    pub fn new<'p>(brokers: &'a [Broker], partitions: impl IntoIterator<Item = &'p [BrokerId]>) -> Self {
        // Racks say something only where every broker has one, as in Kafka's own choice.
        let all_named = brokers.iter().all(|broker| broker.rack.is_some());
        let rack = |broker: &'a Broker| match &broker.rack {
            Some(rack) if all_named => Rack::Named(rack),
            _ => Rack::Alone(broker.id),
        };
        let racks: BTreeMap<BrokerId, Rack<'a>> =
            brokers.iter().map(|broker| (broker.id, rack(broker))).collect();
        let mut load: BTreeMap<BrokerId, usize> = racks.keys().map(|id| (*id, 0)).collect();
        for id in partitions.into_iter().flatten() {
            if let Some(count) = load.get_mut(id) {
                *count += 1;
            }
        }
        Self { racks, load }
    }

    /// The replicas that a partition is to have: `factor` distinct live brokers, as long as there are so many.
    pub fn choose(&mut self, held: &Held, factor: usize) -> Vec<BrokerId> {
        let alive: Vec<BrokerId> = held
            .replicas
            .iter()
            .filter(|id| self.racks.contains_key(id))
            .copied()
            .collect();
        let chosen = if alive.len() > factor {
            self.keep(&alive, held, factor)
        } else {
            self.add(alive, factor)
        };
        for (id, count) in &mut self.load {
            let (before, after) = (held.replicas.contains(id), chosen.contains(id));
            *count = *count + usize::from(after && !before) - usize::from(before && !after);
        }
        chosen
    }

    /// Keeps the leader, then those that have all records, each next from the rack least kept so far and, of these,
    /// the broker with the least load. The order stays.
    fn keep(&self, alive: &[BrokerId], held: &Held, factor: usize) -> Vec<BrokerId> {
        let mut kept: BTreeSet<BrokerId> = held.leader.filter(|id| alive.contains(id)).into_iter().collect();
        while kept.len() < factor {
            let next = alive.iter().filter(|id| !kept.contains(id)).min_by_key(|id| {
                (
                    !held.in_sync.contains(id),
                    self.crowd(**id, kept.iter()),
                    self.load_of(**id),
                )
            });
            match next {
                Some(id) => kept.insert(*id),
                None => break,
            };
        }
        alive.iter().filter(|id| kept.contains(id)).copied().collect()
    }

    /// Adds brokers behind those there are: each next from the rack with the fewest replicas of the partition and, of
    /// these, the broker with the least load.
    fn add(&self, mut chosen: Vec<BrokerId>, factor: usize) -> Vec<BrokerId> {
        while chosen.len() < factor {
            let candidates = self.racks.keys().filter(|id| !chosen.contains(id));
            let next = candidates.min_by_key(|id| (self.crowd(**id, chosen.iter()), self.load_of(**id)));
            match next {
                Some(id) => chosen.push(*id),
                None => break,
            }
        }
        chosen
    }

    /// How many of these brokers stand in the same rack as this one.
    fn crowd<'b>(&self, id: BrokerId, others: impl Iterator<Item = &'b BrokerId>) -> usize {
        let rack = self.racks.get(&id);
        others.filter(|other| self.racks.get(other) == rack).count()
    }

    fn load_of(&self, id: BrokerId) -> usize {
        self.load.get(&id).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
