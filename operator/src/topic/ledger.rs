//! The purges that were carried out on a topic, in an annotation of its KafkaTopic: what lets a purge that is applied
//! again, by Git or from a backup, do nothing. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use ottla_crds::topic::LastPurge;
use ottla_crds::{KafkaTopic, PURGES};
use ottla_kafka::types::TopicId;
use serde::{Deserialize, Serialize};

/// How many purges are remembered.
const KEPT: usize = 100;

/// One purge that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Name of the KafkaTopicPurge.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// What it was to do, as a fingerprint of its spec.
    pub spec: String,
    /// The topic's id.
    pub topic_id: String,
    /// The id of the topic created in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_topic_id: Option<String>,
    /// How many records went.
    pub records: i64,
    /// When it was done.
    pub time: Timestamp,
}

/// The purges carried out on a topic, the last one at the end; the error says what to do.
pub fn read(topic: &KafkaTopic) -> Result<Vec<Entry>, String> {
    let Some(text) = topic.annotations().get(PURGES) else {
        return Ok(vec![]);
    };
    serde_json::from_str(text).map_err(|error| {
        format!(
            "annotation {PURGES} of KafkaTopic {} cannot be read ({error}): which purges were carried out is not known; \
             correct it, or remove it",
            topic.name_any()
        )
    })
}

/// The annotation with one more purge.
#[must_use]
pub fn with(mut entries: Vec<Entry>, entry: Entry) -> String {
    entries.retain(|known| known.uid != entry.uid);
    entries.push(entry);
    let surplus = entries.len().saturating_sub(KEPT);
    // Plain data always has a text.
    serde_json::to_string(&entries[surplus..]).unwrap_or_default()
}

/// The entry of the same purge under another uid: it was carried out before, on this very topic.
#[must_use]
pub fn done_before<'a>(entries: &'a [Entry], name: &str, spec: &str, topic: TopicId) -> Option<&'a Entry> {
    let is = |id: &str| id.parse::<TopicId>().is_ok_and(|id| id == topic);
    entries.iter().find(|entry| {
        entry.name == name
            && entry.spec == spec
            && (is(&entry.topic_id) || entry.new_topic_id.as_deref().is_some_and(is))
    })
}

/// Whether a purge of ours put one topic in the place of another.
#[must_use]
pub fn replaced(topic: &KafkaTopic, from: TopicId) -> Option<TopicId> {
    let entries = read(topic).ok()?;
    let entry = entries.iter().rev().find(|entry| {
        entry.topic_id.parse::<TopicId>().is_ok_and(|id| id == from) && entry.new_topic_id.is_some()
    })?;
    entry.new_topic_id.as_deref()?.parse().ok()
}

/// The last purge, for the topic's status.
#[must_use]
pub fn last(topic: &KafkaTopic) -> Option<LastPurge> {
    let last = read(topic).ok()?.pop()?;
    Some(LastPurge {
        name: last.name,
        records: last.records,
        time: Time(last.time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, uid: &str, id: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            uid: uid.to_owned(),
            spec: "s".to_owned(),
            topic_id: id.to_owned(),
            new_topic_id: None,
            records: 3,
            time: Timestamp::UNIX_EPOCH,
        }
    }

    const ONE: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
    const TWO: &str = "AAAAAAAAAAAAAAAAAAAAAg";

    #[test]
    fn the_same_purge_is_known_by_name_spec_and_topic() {
        let entries = [entry("nightly", "1", ONE)];
        let found = |name, spec, id: &str| done_before(&entries, name, spec, id.parse().unwrap()).is_some();
        assert!(found("nightly", "s", ONE));
        assert!(!found("other", "s", ONE));
        assert!(!found("nightly", "t", ONE));
        assert!(!found("nightly", "s", TWO), "another topic of the same name");
    }

    #[test]
    fn the_ledger_keeps_the_last_ones_and_each_once() {
        let mut text = with(vec![], entry("p", "0", ONE));
        for uid in 0..KEPT + 5 {
            text = with(
                serde_json::from_str(&text).unwrap(),
                entry("p", &uid.to_string(), ONE),
            );
        }
        let entries: Vec<Entry> = serde_json::from_str(&text).unwrap();
        assert_eq!(entries.len(), KEPT);
        assert_eq!(entries[KEPT - 1].uid, (KEPT + 4).to_string());
        let again = with(entries.clone(), entries[3].clone());
        assert_eq!(serde_json::from_str::<Vec<Entry>>(&again).unwrap().len(), KEPT);
    }
}
