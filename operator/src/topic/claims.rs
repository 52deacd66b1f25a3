//! Which object owns a topic. The index follows the store; the choice is pure.
//!
//! Owner is whose recorded topic id is the live one, or who recorded any while Kafka shows none: it may be too new to be
//! shown; else the oldest; else the least uid. Everyone else keeps hands off, and while anyone else claims a topic, nobody
//! deletes it.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;
use ottla_kafka::types::TopicId;

use crate::runtime::Key;

/// One object's claim to a topic on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The object.
    pub key: Key,
    /// Its uid.
    pub uid: String,
    /// Since when it exists.
    pub created: Option<Timestamp>,
    /// The topic id it recorded for that cluster.
    pub recorded: Option<TopicId>,
}

/// The owner among claimants.
#[must_use]
pub fn owner(claimants: &[Claimant], live: Option<TopicId>) -> Option<&Claimant> {
    claimants.iter().min_by_key(|claimant| {
        let recorded = match live {
            Some(_) => claimant.recorded == live,
            None => claimant.recorded.is_some(),
        };
        (!recorded, claimant.created, &claimant.uid)
    })
}

/// Which objects name which topic, on whatever cluster. Nearly every topic is named by one: a list is small then.
#[derive(Debug, Default)]
pub struct Index(RwLock<HashMap<String, Vec<Key>>>);

impl Index {
    /// Takes in that an object names another topic than before.
    pub fn moved(&self, key: &Key, from: Option<&str>, to: Option<&str>) {
        if from == to {
            return;
        }
        let mut names = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(from) = from
            && let Some(keys) = names.get_mut(from)
        {
            keys.retain(|known| known != key);
            if keys.is_empty() {
                names.remove(from);
            }
        }
        if let Some(to) = to {
            let keys = names
                .entry(to.to_owned())
                .or_insert_with(|| Vec::with_capacity(1));
            if let Err(place) = keys.binary_search(key) {
                keys.insert(place, key.clone());
            }
        }
    }

    /// The objects that name a topic.
    #[must_use]
    pub fn naming(&self, topic: &str) -> Vec<Key> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner);
        names.get(topic).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TopicId {
        text.parse().unwrap()
    }

    fn claimant(name: &str, created: i64, recorded: Option<TopicId>) -> Claimant {
        Claimant {
            key: Key::new("ns", name),
            uid: name.to_owned(),
            created: Timestamp::from_second(created).ok(),
            recorded,
        }
    }

    #[test]
    fn the_recorded_id_beats_age_and_age_beats_uid() {
        let live = Some(id("AAAAAAAAAAAAAAAAAAAAAQ"));
        let name = |claimants: &[Claimant]| owner(claimants, live).map(|c| c.key.name.clone()).unwrap();
        assert_eq!(
            name(&[claimant("old", 1, None), claimant("young", 2, live)]),
            "young"
        );
        assert_eq!(name(&[claimant("b", 2, None), claimant("z", 1, None)]), "z");
        assert_eq!(name(&[claimant("b", 1, None), claimant("a", 1, None)]), "a");
        let stale = Some(id("AAAAAAAAAAAAAAAAAAAAAg"));
        assert_eq!(name(&[claimant("b", 1, None), claimant("a", 2, stale)]), "b");
        let unseen = [claimant("a", 1, None), claimant("b", 1, live)];
        assert_eq!(owner(&unseen, None).map(|c| c.key.name.as_str()), Some("b"));
    }

    #[test]
    fn an_index_follows_its_objects() {
        let index = Index::default();
        index.moved(&Key::new("a", "x"), None, Some("t"));
        index.moved(&Key::new("b", "y"), None, Some("t"));
        assert_eq!(index.naming("t").len(), 2);
        index.moved(&Key::new("a", "x"), Some("t"), None);
        assert_eq!(index.naming("t"), [Key::new("b", "y")]);
    }
}
