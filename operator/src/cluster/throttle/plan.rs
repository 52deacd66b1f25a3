//! Decides which brokers' rates to set or to take off. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::cluster::ReplicationThrottle;
use ottla_kafka::admin::{BrokerConfigChange, BrokerConfigs, ConfigEntry, ConfigSource};
use ottla_kafka::types::BrokerId;

/// The broker configs that hold the rates.
pub(in crate::cluster) const KEYS: [&str; 2] = [
    "leader.replication.throttled.rate",
    "follower.replication.throttled.rate",
];

/// What to tell the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct Plan {
    /// What must be written down before.
    pub(in crate::cluster) record: Option<ReplicationThrottle>,
    /// What to change.
    pub(in crate::cluster) changes: Vec<BrokerConfigChange>,
    /// Whether rates are set, and not taken off.
    pub(in crate::cluster) sets: bool,
}

impl Plan {
    /// What is to be written down once all brokers were told but these.
    pub(in crate::cluster) fn after(&self, untold: &BTreeSet<BrokerId>) -> Option<ReplicationThrottle> {
        let mut record = self.record.clone()?;
        if self.sets {
            if untold.is_empty() {
                record.replaces = None;
            }
            return Some(record);
        }
        let told = |id: &i32| {
            let change = self.changes.iter().find(|change| change.broker.get() == *id);
            change.is_some_and(|change| !untold.contains(&change.broker))
        };
        record.brokers.retain(|id| !told(id));
        (!record.brokers.is_empty()).then_some(record)
    }
}

/// What stands on one broker.
struct Standing {
    /// The keys that hold a rate of ours.
    ours: BTreeSet<String>,
    /// Whether any key holds a rate of somebody else's.
    others: bool,
}

impl Standing {
    fn of(
        id: BrokerId,
        entries: &BTreeMap<String, ConfigEntry>,
        recorded: Option<&ReplicationThrottle>,
    ) -> Self {
        let recorded = recorded.filter(|recorded| recorded.brokers.contains(&id.get()));
        let is_ours = |rate: &str| {
            let rate = rate.parse::<i64>().ok();
            rate.is_some()
                && recorded.is_some_and(|ours| rate == Some(ours.bytes_per_second) || rate == ours.replaces)
        };
        let (ours, others): (Vec<_>, Vec<_>) = rates(entries).partition(|(_, rate)| is_ours(rate));
        Self {
            ours: ours.into_iter().map(|(key, _)| key.to_owned()).collect(),
            others: !others.is_empty(),
        }
    }
}

/// The rates that are set on a broker, by key.
fn rates(entries: &BTreeMap<String, ConfigEntry>) -> impl Iterator<Item = (&'static str, &str)> {
    KEYS.into_iter().filter_map(|key| {
        let entry = entries.get(key)?;
        let set = entry.source == ConfigSource::DynamicBroker;
        Some((key, entry.value.as_deref().filter(|_| set)?))
    })
}

/// Plans what takes the brokers from what was recorded, and what they have, to what is wanted.
pub(in crate::cluster) fn plan(
    wanted: Option<i64>,
    recorded: Option<&ReplicationThrottle>,
    live: &BrokerConfigs,
) -> Plan {
    let Some(rate) = wanted else {
        return take_off(recorded, live);
    };
    let text = rate.to_string();
    let set: BTreeMap<String, String> = KEYS.iter().map(|key| ((*key).to_owned(), text.clone())).collect();
    let mut brokers: BTreeSet<i32> = recorded
        .map(|recorded| recorded.brokers.iter().copied().collect())
        .unwrap_or_default();
    let mut changes = vec![];
    for (id, entries) in live {
        let standing = Standing::of(*id, entries, recorded);
        if standing.others {
            // What is still ours beside theirs is taken off at the end.
            if standing.ours.is_empty() {
                brokers.remove(&id.get());
            }
            continue;
        }
        brokers.insert(id.get());
        if rates(entries).filter(|(_, rate)| *rate == text).count() < KEYS.len() {
            let (broker, set) = (*id, set.clone());
            let unset = BTreeSet::new();
            changes.push(BrokerConfigChange { broker, set, unset });
        }
    }
    let before = recorded.filter(|recorded| !recorded.brokers.is_empty());
    let replaces = before.and_then(|before| {
        if before.bytes_per_second == rate {
            before.replaces
        } else {
            Some(before.bytes_per_second)
        }
    });
    let record = ReplicationThrottle {
        bytes_per_second: rate,
        replaces,
        brokers: brokers.into_iter().collect(),
    };
    Plan {
        record: Some(record),
        changes,
        sets: true,
    }
}

/// Takes off what is ours. A broker that is not there keeps its place in the record: it may come back with its rate.
fn take_off(recorded: Option<&ReplicationThrottle>, live: &BrokerConfigs) -> Plan {
    let Some(recorded) = recorded else {
        return Plan {
            record: None,
            changes: vec![],
            sets: false,
        };
    };
    let mut record = recorded.clone();
    let mut changes = vec![];
    for (id, entries) in live {
        let unset = Standing::of(*id, entries, Some(recorded)).ours;
        if unset.is_empty() {
            record.brokers.retain(|other| *other != id.get());
        } else {
            let (broker, set) = (*id, BTreeMap::new());
            changes.push(BrokerConfigChange { broker, set, unset });
        }
    }
    Plan {
        record: (!record.brokers.is_empty()).then_some(record),
        changes,
        sets: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(rates: &[(i32, Option<&str>)]) -> BrokerConfigs {
        let entry = |value: &str| ConfigEntry {
            value: Some(value.to_owned()),
            source: ConfigSource::DynamicBroker,
            read_only: false,
            sensitive: false,
        };
        let of = |(id, rate): &(i32, Option<&str>)| {
            let entries = rate
                .iter()
                .flat_map(|rate| KEYS.map(|key| (key.to_owned(), entry(rate))));
            (BrokerId::from(*id), entries.collect())
        };
        rates.iter().map(of).collect()
    }

    fn record(rate: i64, replaces: Option<i64>, brokers: &[i32]) -> ReplicationThrottle {
        ReplicationThrottle {
            bytes_per_second: rate,
            replaces,
            brokers: brokers.to_vec(),
        }
    }

    fn told(plan: &Plan) -> Vec<i32> {
        plan.changes.iter().map(|change| change.broker.get()).collect()
    }

    #[test]
    fn free_brokers_are_throttled_and_those_of_others_left_alone() {
        let first = plan(Some(5), None, &live(&[(0, None), (1, Some("9")), (2, None)]));
        assert_eq!(
            (told(&first), &first.record),
            (vec![0, 2], &Some(record(5, None, &[0, 2])))
        );
        let ours = first.after(&BTreeSet::new());
        let again = plan(
            Some(5),
            ours.as_ref(),
            &live(&[(0, Some("5")), (1, Some("9")), (2, Some("5"))]),
        );
        assert_eq!(
            (told(&again), again.record),
            (vec![], ours.clone()),
            "planned again it is nothing"
        );
        let end = plan(
            None,
            ours.as_ref(),
            &live(&[(0, Some("5")), (1, Some("9")), (2, Some("5"))]),
        );
        assert_eq!((told(&end), end.after(&BTreeSet::new())), (vec![0, 2], None));
        // Somebody took one over meanwhile.
        let end = plan(
            None,
            ours.as_ref(),
            &live(&[(0, Some("6")), (1, Some("5")), (2, Some("5"))]),
        );
        assert_eq!((told(&end), end.after(&BTreeSet::new())), (vec![2], None));
    }

    #[test]
    fn another_rate_is_known_as_ours_before_and_after() {
        let before = record(5, None, &[0, 1]);
        let change = plan(Some(7), Some(&before), &live(&[(0, Some("5")), (1, Some("5"))]));
        assert_eq!(change.record, Some(record(7, Some(5), &[0, 1])));
        // It died half-way, and a third rate is wanted by now or none.
        let half = live(&[(0, Some("7")), (1, Some("5"))]);
        let saved = change.record.clone();
        assert_eq!(told(&plan(Some(7), saved.as_ref(), &half)), [1]);
        assert_eq!(told(&plan(None, saved.as_ref(), &half)), [0, 1]);
        assert_eq!(
            change.after(&[BrokerId::from(1)].into()),
            Some(record(7, Some(5), &[0, 1]))
        );
        assert_eq!(change.after(&BTreeSet::new()), Some(record(7, None, &[0, 1])));
    }

    #[test]
    fn a_broker_that_is_away_is_not_forgotten() {
        let ours = record(5, None, &[0, 1]);
        let end = plan(None, Some(&ours), &live(&[(0, Some("5"))]));
        assert_eq!(end.after(&BTreeSet::new()), Some(record(5, None, &[1])));
        let back = plan(
            None,
            Some(&record(5, None, &[1])),
            &live(&[(0, None), (1, Some("5"))]),
        );
        assert_eq!((told(&back), back.after(&BTreeSet::new())), (vec![1], None));
        let failed = plan(None, Some(&ours), &live(&[(0, Some("5")), (1, Some("5"))]));
        assert_eq!(
            failed.after(&[BrokerId::from(1)].into()),
            Some(record(5, None, &[1]))
        );
    }
}
