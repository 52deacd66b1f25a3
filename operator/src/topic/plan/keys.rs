//! Decides about one topic's configs, key by key. Pure.
//!
//! What this object set last is recorded with its value. A key that the spec still wants at that value and that differs
//! on the topic was changed by somebody else: that is drift. Any other difference is ours to make.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::topic::{Difference, DriftPolicy};
use ottla_kafka::admin::{ConfigEntry, ConfigSource};

use super::{Live, Recorded, difference};
use crate::topic::config::same;
use crate::topic::desired::Desired;

/// The recorded value of a key that is about to be set for the first time.
pub(super) const ANNOUNCED: &str = "";

/// What is to be done to the configs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Those not both equal and set on the topic itself.
    pub(super) set: BTreeMap<String, String>,
    /// Those we set, no longer asked for, and still set on the topic.
    pub(super) unset: BTreeSet<String>,
    /// Those of `set` that somebody else changed.
    pub(super) drifted: BTreeSet<String>,
}

impl Changes {
    /// What it takes to bring the configs to the spec.
    pub(super) fn of(desired: &Desired, live: &Live, recorded: &Recorded) -> Self {
        let wanted = desired
            .config
            .iter()
            .filter(|(key, value)| !holds(live, key, value));
        let set: BTreeMap<String, String> = wanted.map(|(key, value)| (key.clone(), value.clone())).collect();
        let was_set = |(key, value): &(&String, &String)| {
            recorded
                .managed
                .get(*key)
                .is_some_and(|last| last != ANNOUNCED && same(key, last, value))
        };
        let drifted = set.iter().filter(was_set).map(|(key, _)| key.clone()).collect();
        let left = recorded.managed.keys().filter(|key| {
            !desired.config.contains_key(*key)
                && !desired.unmanaged.contains(*key)
                && on_topic(live, key).is_some()
        });
        Self {
            unset: left.cloned().collect(),
            set,
            drifted,
        }
    }

    /// Takes out what the policy leaves alone, and tells it.
    pub(super) fn leave_drift(&mut self, policy: DriftPolicy, live: &Live) -> Vec<Difference> {
        if policy == DriftPolicy::Correct {
            return vec![];
        }
        let left = std::mem::take(&mut self.drifted);
        left.iter()
            .filter_map(|key| Some(told(live, key, &self.set.remove(key)?)))
            .collect()
    }

    /// Every value that is to be set, beside what the topic has.
    pub(super) fn differences(&self, live: &Live) -> Vec<Difference> {
        self.set
            .iter()
            .map(|(key, value)| told(live, key, value))
            .collect()
    }

    /// The record to save before a key is set that was never ours.
    pub(super) fn announcement(&self, recorded: &Recorded) -> Option<BTreeMap<String, String>> {
        let new: Vec<&String> = self
            .set
            .keys()
            .filter(|key| !recorded.managed.contains_key(*key))
            .collect();
        if new.is_empty() {
            return None;
        }
        let mut managed = recorded.managed.clone();
        managed.extend(new.into_iter().map(|key| (key.clone(), ANNOUNCED.to_owned())));
        Some(managed)
    }
}

/// The configs that are ours on the topic as it is: those asked for, with the value last set, and those we set and could
/// not reset.
#[must_use]
pub fn managed(desired: &Desired, recorded: &Recorded, live: &Live) -> BTreeMap<String, String> {
    let asked = desired.config.iter().map(|(key, value)| {
        let last = || {
            recorded
                .managed
                .get(key)
                .cloned()
                .unwrap_or_else(|| ANNOUNCED.to_owned())
        };
        let value = if holds(live, key, value) {
            value.clone()
        } else {
            last()
        };
        (key.clone(), value)
    });
    let left = recorded.managed.iter().filter(|(key, _)| {
        !desired.config.contains_key(*key)
            && !desired.unmanaged.contains(*key)
            && on_topic(live, key).is_some()
    });
    let left = left.map(|(key, value)| (key.clone(), value.clone()));
    asked.chain(left).collect()
}

/// The most configs of others that are told.
const MOST_TOLD: usize = 64;
/// The longest value of theirs that is told whole, in characters.
const LONGEST_TOLD: usize = 256;

/// The configs set on the topic that are not ours, cut to what a status should carry.
#[must_use]
pub fn unmanaged(desired: &Desired, recorded: &Recorded, live: &Live) -> BTreeMap<String, String> {
    let others = live.config.iter().filter(|(key, entry)| {
        let ours = desired.config.contains_key(*key) || recorded.managed.contains_key(*key);
        entry.source == ConfigSource::Topic && (!ours || desired.unmanaged.contains(*key))
    });
    let told = others.map(|(key, entry)| {
        let value = entry.value.as_deref().unwrap_or_default();
        let mut cut: String = value.chars().take(LONGEST_TOLD).collect();
        if cut.len() < value.len() {
            cut.push('…');
        }
        (key.clone(), cut)
    });
    told.take(MOST_TOLD).collect()
}

fn told(live: &Live, key: &str, desired: &String) -> Difference {
    difference(
        key,
        desired,
        on_topic(live, key).and_then(|entry| entry.value.as_ref()),
    )
}

/// What is set on the topic itself.
fn on_topic<'a>(live: &'a Live, key: &str) -> Option<&'a ConfigEntry> {
    live.config
        .get(key)
        .filter(|entry| entry.source == ConfigSource::Topic)
}

fn holds(live: &Live, key: &str, value: &str) -> bool {
    on_topic(live, key).is_some_and(|entry| entry.value.as_deref().is_some_and(|live| same(key, live, value)))
}
