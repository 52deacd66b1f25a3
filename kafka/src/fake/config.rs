//! The topic configuration the fake knows: Kafka 4.0's keys, their defaults, and which values it takes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::admin::{ConfigEntry, ConfigSource};
use crate::error::ErrorCode;

/// What values a key takes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A 64-bit integer of at least so much.
    Long(i64),
    /// A 32-bit integer of at least so much.
    Int(i64),
    /// A number between 0 and 1.
    Ratio,
    /// `true` or `false`.
    Bool,
    /// One of these.
    One(&'static [&'static str]),
    /// Some of these, separated by commas.
    Some(&'static [&'static str]),
    /// Any text.
    Text,
}

/// Every key with its default.
const KEYS: [(&str, &str, Kind); 32] = [
    ("cleanup.policy", "delete", Kind::Some(&["compact", "delete"])),
    ("compression.gzip.level", "-1", Kind::Int(-1)),
    ("compression.lz4.level", "9", Kind::Int(1)),
    (
        "compression.type",
        "producer",
        Kind::One(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
    ),
    ("compression.zstd.level", "3", Kind::Int(-131_072)),
    ("delete.retention.ms", "86400000", Kind::Long(0)),
    ("file.delete.delay.ms", "60000", Kind::Long(0)),
    ("flush.messages", "9223372036854775807", Kind::Long(1)),
    ("flush.ms", "9223372036854775807", Kind::Long(0)),
    ("follower.replication.throttled.replicas", "", Kind::Text),
    ("index.interval.bytes", "4096", Kind::Int(0)),
    ("leader.replication.throttled.replicas", "", Kind::Text),
    ("local.retention.bytes", "-2", Kind::Long(-2)),
    ("local.retention.ms", "-2", Kind::Long(-2)),
    ("max.compaction.lag.ms", "9223372036854775807", Kind::Long(1)),
    ("max.message.bytes", "1048588", Kind::Int(0)),
    ("message.timestamp.after.max.ms", "3600000", Kind::Long(0)),
    (
        "message.timestamp.before.max.ms",
        "9223372036854775807",
        Kind::Long(0),
    ),
    (
        "message.timestamp.type",
        "CreateTime",
        Kind::One(&["CreateTime", "LogAppendTime"]),
    ),
    ("min.cleanable.dirty.ratio", "0.5", Kind::Ratio),
    ("min.compaction.lag.ms", "0", Kind::Long(0)),
    ("min.insync.replicas", "1", Kind::Int(1)),
    ("preallocate", "false", Kind::Bool),
    ("remote.log.copy.disable", "false", Kind::Bool),
    ("remote.log.delete.on.disable", "false", Kind::Bool),
    ("remote.storage.enable", "false", Kind::Bool),
    ("retention.bytes", "-1", Kind::Long(i64::MIN)),
    ("retention.ms", "604800000", Kind::Long(-1)),
    ("segment.bytes", "1073741824", Kind::Int(14)),
    ("segment.jitter.ms", "0", Kind::Long(0)),
    ("segment.ms", "604800000", Kind::Long(1)),
    ("unclean.leader.election.enable", "false", Kind::Bool),
];

/// Every key with its default.
pub(super) fn defaults() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().map(|(key, default, _)| (*key, *default))
}

/// Those keys of a broker that are known, as Kafka has them by default.
pub(super) fn of_brokers(keys: &BTreeSet<String>) -> BTreeMap<String, ConfigEntry> {
    let known = [("log.retention.check.interval.ms", "300000")];
    let wanted = known.into_iter().filter(|(key, _)| keys.contains(*key));
    let entry = |(key, value): (&str, &str)| {
        let entry = ConfigEntry {
            value: Some(value.to_owned()),
            source: ConfigSource::Default,
            read_only: true,
            sensitive: false,
        };
        (key.to_owned(), entry)
    };
    wanted.map(entry).collect()
}

/// Whether Kafka takes the value for the key, or its refusal.
pub(super) fn check(key: &str, value: &str) -> Result<(), (ErrorCode, String)> {
    let refused = |message: String| Err((ErrorCode::INVALID_CONFIG, message));
    let Some((_, _, kind)) = KEYS.iter().find(|(known, ..)| *known == key) else {
        return refused(format!("Unknown topic config name: {key}"));
    };
    let trimmed = value.trim();
    let integer = |least: i64, most: i64| {
        trimmed
            .parse::<i64>()
            .is_ok_and(|number| (least..=most).contains(&number))
    };
    let taken = match kind {
        Kind::Long(least) => integer(*least, i64::MAX),
        Kind::Int(least) => integer(*least, i64::from(i32::MAX)),
        Kind::Ratio => trimmed
            .parse::<f64>()
            .is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)),
        Kind::Bool => trimmed.eq_ignore_ascii_case("true") || trimmed.eq_ignore_ascii_case("false"),
        Kind::One(values) => values.contains(&trimmed),
        Kind::Some(values) => trimmed.split(',').all(|part| values.contains(&part.trim())),
        Kind::Text => true,
    };
    if taken {
        Ok(())
    } else {
        refused(format!("Invalid value {value} for configuration {key}"))
    }
}

/// The value as Kafka tells it back.
pub(super) fn told_back(key: &str, value: &str) -> String {
    let trimmed = value.trim();
    match KEYS
        .iter()
        .find(|(known, ..)| *known == key)
        .map(|(_, _, kind)| kind)
    {
        Some(Kind::Long(_) | Kind::Int(_)) => trimmed
            .parse::<i64>()
            .map_or_else(|_| trimmed.to_owned(), |number| number.to_string()),
        Some(Kind::Bool) => trimmed.to_ascii_lowercase(),
        Some(Kind::Some(_)) => trimmed.split(',').map(str::trim).collect::<Vec<_>>().join(","),
        _ => trimmed.to_owned(),
    }
}
