//! Parses a KafkaTopicPurge's spec. Pure. Repeats what the CRD's rules say, for objects older than the rules.

#![allow(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own in the spec"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use ottla_crds::parse;
use ottla_crds::purge::{self as api, ConsumerGroupsGuard, CutType, KafkaTopicPurgeSpec, PurgeMethod};
use ottla_kafka::types::{Offset, PartitionId, TopicId};
use sha2::{Digest as _, Sha256};

/// A spec that can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// How records are cleared.
    pub method: PurgeMethod,
    /// Which partitions; none is all of them.
    pub scope: Option<BTreeSet<PartitionId>>,
    /// Which records go.
    pub cut: Cut,
    /// What must hold.
    pub guards: Guards,
    /// Whether producers' pods go meanwhile.
    pub quiesce_producers: bool,
    /// Whether a compacted topic's policy may be widened for the moment.
    pub allow_policy_flip: bool,
    /// Whether to stop at the plan.
    pub dry_run: bool,
    /// The topic's name, as the author of a Recreate gave it.
    pub confirm: Option<String>,
    /// Whether to hold after planning.
    pub suspend: bool,
    /// How many seconds it may take.
    pub deadline_seconds: Option<i64>,
    /// How many seconds the object stays after its end.
    pub ttl_seconds: Option<i64>,
}

/// Which records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All.
    All,
    /// Those below these offsets.
    BeforeOffsets(BTreeMap<PartitionId, Offset>),
    /// Those before a time.
    BeforeTime(Timestamp),
    /// Those above an age, in milliseconds.
    OlderThan(i64),
    /// All but so many offsets at the end.
    KeepLast(i64),
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guards {
    /// The topic's id.
    pub topic_id: Option<TopicId>,
    /// The most records to go.
    pub max_records: Option<i64>,
    /// The latest time to begin.
    pub not_after: Option<Timestamp>,
    /// Which consumer groups hold it up.
    pub groups: ConsumerGroupsGuard,
}

/// Reads a spec, or says what to correct.
pub fn parse(raw: &KafkaTopicPurgeSpec) -> Result<Desired, String> {
    let desired = Desired {
        method: raw.method,
        scope: scope(raw)?,
        cut: cut(&raw.cut)?,
        guards: guards(&raw.guards)?,
        quiesce_producers: raw.quiesce_producers,
        allow_policy_flip: raw.allow_policy_flip,
        dry_run: raw.dry_run,
        confirm: raw.confirm.clone(),
        suspend: raw.suspend,
        deadline_seconds: raw.active_deadline_seconds,
        ttl_seconds: raw.ttl_seconds_after_finished,
    };
    fits(&desired)?;
    Ok(desired)
}

fn scope(raw: &KafkaTopicPurgeSpec) -> Result<Option<BTreeSet<PartitionId>>, String> {
    if raw.partitions.is_empty() {
        return Ok(None);
    }
    if let Some(negative) = raw.partitions.iter().find(|index| **index < 0) {
        return Err(format!("partitions holds {negative}, which is no partition"));
    }
    Ok(Some(
        raw.partitions.iter().copied().map(PartitionId::from).collect(),
    ))
}

fn cut(raw: &api::Cut) -> Result<Cut, String> {
    let missing = |member: &str| format!("cut.{member} is required with this cut.type");
    Ok(match raw.type_ {
        CutType::All => Cut::All,
        CutType::BeforeOffsets => {
            if raw.before_offsets.is_empty() {
                return Err(missing("beforeOffsets"));
            }
            let negative = raw
                .before_offsets
                .iter()
                .find(|one| one.partition < 0 || one.offset < 0);
            if let Some(one) = negative {
                return Err(format!(
                    "cut.beforeOffsets holds partition {} with offset {}; neither may be below 0",
                    one.partition, one.offset
                ));
            }
            let offsets = raw.before_offsets.iter();
            Cut::BeforeOffsets(
                offsets
                    .map(|one| (one.partition.into(), one.offset.into()))
                    .collect(),
            )
        }
        CutType::BeforeTime => {
            let text = raw.before_time.as_deref().ok_or_else(|| missing("beforeTime"))?;
            Cut::BeforeTime(time("cut.beforeTime", text)?)
        }
        CutType::OlderThan => {
            let text = raw.older_than.as_deref().ok_or_else(|| missing("olderThan"))?;
            Cut::OlderThan(parse::millis(text).map_err(|error| format!("cut.olderThan: {error}"))?)
        }
        CutType::KeepLast => match raw.keep_last.as_ref().ok_or_else(|| missing("keepLast"))?.records {
            records @ 1.. => Cut::KeepLast(records),
            less => return Err(format!("cut.keepLast.records is {less}; it must be at least 1")),
        },
    })
}

fn guards(raw: &api::Guards) -> Result<Guards, String> {
    let id = raw.topic_id.as_deref().map(str::parse::<TopicId>).transpose();
    Ok(Guards {
        topic_id: id.map_err(|error| format!("guards.topicId: {error}"))?,
        max_records: raw.max_records,
        not_after: raw
            .not_after
            .as_deref()
            .map(|text| time("guards.notAfter", text))
            .transpose()?,
        groups: raw.consumer_groups,
    })
}

fn time(field: &str, text: &str) -> Result<Timestamp, String> {
    let shown: String = text.chars().take(64).collect();
    text.parse()
        .map_err(|_| format!("{field} is {shown:?}; it takes a time such as 2026-11-23T08:00:00Z"))
}

/// What does not go together.
fn fits(desired: &Desired) -> Result<(), String> {
    let refused = match desired.method {
        PurgeMethod::DeleteRecords => matches!(desired.cut, Cut::BeforeOffsets(_)) && desired.scope.is_some(),
        PurgeMethod::RetentionFlip => {
            desired.scope.is_some() || matches!(desired.cut, Cut::BeforeOffsets(_) | Cut::KeepLast(_))
        }
        PurgeMethod::Recreate => desired.scope.is_some() || desired.cut != Cut::All,
    };
    if refused {
        return Err(format!(
            "method {} does not go together with this cut, or with partitions",
            desired.method.as_str()
        ));
    }
    if desired.allow_policy_flip && desired.method != PurgeMethod::DeleteRecords {
        return Err("allowPolicyFlip works with method DeleteRecords alone".to_owned());
    }
    Ok(())
}

/// What tells one purge from another of the same name: all of its spec that does something.
#[must_use]
pub fn fingerprint(raw: &KafkaTopicPurgeSpec) -> String {
    let essence = KafkaTopicPurgeSpec {
        suspend: false,
        ttl_seconds_after_finished: None,
        ..raw.clone()
    };
    // A spec is plain data: it always has a text.
    let text = serde_json::to_string(&essence).unwrap_or_default();
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn read(change: &Value) -> Result<Desired, String> {
        let mut spec = json!({"topicRef": {"name": "orders"}, "cut": {"type": "All"}});
        for (key, value) in change.as_object().unwrap() {
            spec[key] = value.clone();
        }
        parse(&serde_json::from_value(spec).unwrap())
    }

    #[rstest]
    #[case(json!({"cut": {"type": "BeforeTime", "beforeTime": "yesterday"}}), "cut.beforeTime")]
    #[case(json!({"cut": {"type": "BeforeTime"}}), "cut.beforeTime is required")]
    #[case(json!({"cut": {"type": "OlderThan", "olderThan": "7 days"}}), "cut.olderThan")]
    #[case(json!({"cut": {"type": "KeepLast", "keepLast": {"records": 0}}}), "at least 1")]
    #[case(json!({"cut": {"type": "BeforeOffsets", "beforeOffsets": [{"partition": 0, "offset": -1}]}}), "below 0")]
    #[case(json!({"partitions": [-1]}), "no partition")]
    #[case(json!({"guards": {"topicId": "?"}}), "guards.topicId")]
    #[case(json!({"method": "RetentionFlip", "cut": {"type": "KeepLast", "keepLast": {"records": 5}}}), "RetentionFlip")]
    #[case(json!({"method": "Recreate", "partitions": [1]}), "Recreate")]
    #[case(json!({"method": "Recreate", "allowPolicyFlip": true}), "allowPolicyFlip")]
    fn what_cannot_be_acted_on_is_named(#[case] change: Value, #[case] words: &str) {
        let refusal = read(&change).unwrap_err();
        assert!(refusal.contains(words), "{refusal}");
    }

    #[test]
    fn a_fingerprint_follows_what_the_purge_does_and_nothing_else() {
        let spec = |change: Value| {
            let mut spec = json!({"topicRef": {"name": "orders"}, "cut": {"type": "All"}});
            for (key, value) in change.as_object().unwrap() {
                spec[key] = value.clone();
            }
            fingerprint(&serde_json::from_value(spec).unwrap())
        };
        let plain = spec(json!({}));
        assert_eq!(
            plain,
            spec(json!({"suspend": true, "ttlSecondsAfterFinished": 5}))
        );
        assert_eq!(
            plain,
            spec(json!({"method": "DeleteRecords"})),
            "a default spelled out"
        );
        assert_ne!(plain, spec(json!({"partitions": [1]})));
    }
}
