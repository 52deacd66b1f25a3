//! The types of Kafka's topic configs, and one canonical spelling of each value. Pure. A key this table does not know
//! is text: whether it exists is Kafka's to say.

use std::collections::BTreeSet;

/// What a config's value is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    /// A whole number within bounds.
    Whole(i64, i64),
    /// A number from 0 to 1.
    Ratio,
    /// True or false.
    Bool,
    /// One of these words, whatever their case.
    Word(&'static [&'static str]),
    /// A set of these words.
    Words(&'static [&'static str]),
    /// Anything else.
    Text,
}

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;

fn type_of(key: &str) -> Type {
    match key {
        "retention.ms" | "retention.bytes" => Type::Whole(-1, LONG),
        "local.retention.ms" | "local.retention.bytes" => Type::Whole(-2, LONG),
        "delete.retention.ms"
        | "file.delete.delay.ms"
        | "min.compaction.lag.ms"
        | "flush.ms"
        | "segment.jitter.ms"
        | "message.timestamp.before.max.ms"
        | "message.timestamp.after.max.ms" => Type::Whole(0, LONG),
        "max.compaction.lag.ms" | "segment.ms" | "flush.messages" => Type::Whole(1, LONG),
        "segment.bytes" => Type::Whole(14, INT),
        "segment.index.bytes" => Type::Whole(4, INT),
        "max.message.bytes" | "index.interval.bytes" => Type::Whole(0, INT),
        "min.insync.replicas" => Type::Whole(1, INT),
        "min.cleanable.dirty.ratio" => Type::Ratio,
        "preallocate"
        | "unclean.leader.election.enable"
        | "remote.storage.enable"
        | "remote.log.copy.disable"
        | "remote.log.delete.on.disable" => Type::Bool,
        "message.timestamp.type" => Type::Word(&["CreateTime", "LogAppendTime"]),
        "compression.type" => Type::Word(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "cleanup.policy" => Type::Words(&["compact", "delete"]),
        _ => Type::Text,
    }
}

/// One spelling for all values of a key that mean the same; the error says what the key takes.
pub fn canonical(key: &str, value: &str) -> Result<String, String> {
    match type_of(key) {
        Type::Whole(least, most) => match value.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
            _ if most == LONG => Err(format!("a whole number of at least {least}")),
            _ => Err(format!("a whole number from {least} to {most}")),
        },
        Type::Ratio => match value.parse::<f64>() {
            Ok(number) if (0.0..=1.0).contains(&number) => Ok(number.to_string()),
            _ => Err("a number from 0 to 1".to_owned()),
        },
        Type::Bool => match value.to_ascii_lowercase().as_str() {
            word @ ("true" | "false") => Ok(word.to_owned()),
            _ => Err("true or false".to_owned()),
        },
        Type::Word(words) => word(words, value).ok_or_else(|| format!("one of {}", words.join(", "))),
        Type::Words(words) => {
            let parts: Option<BTreeSet<String>> =
                value.split(',').map(|part| word(words, part.trim())).collect();
            let parts = parts.ok_or_else(|| format!("a list of {}", words.join(", ")))?;
            Ok(parts.into_iter().collect::<Vec<_>>().join(","))
        }
        Type::Text if value.is_empty() => Err("a value; to reset a key, take it out".to_owned()),
        Type::Text if value.contains(char::is_control) => Err("text without control characters".to_owned()),
        Type::Text => Ok(value.to_owned()),
    }
}

fn word(words: &[&str], value: &str) -> Option<String> {
    words
        .iter()
        .find(|word| word.eq_ignore_ascii_case(value))
        .map(|word| (*word).to_owned())
}

/// Whether two values of a key mean the same.
#[must_use]
pub fn same(key: &str, one: &str, other: &str) -> bool {
    one == other || matches!((canonical(key, one), canonical(key, other)), (Ok(a), Ok(b)) if a == b)
}

/// Keys that belong to whoever moves replicas.
pub const FOREIGN: [&str; 2] = [
    "leader.replication.throttled.replicas",
    "follower.replication.throttled.replicas",
];

/// Whether a key is spelled as Kafka spells its keys.
#[must_use]
pub fn is_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 128
        && key
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("retention.ms", "604800000", Some("604800000"))]
    #[case("retention.ms", "0777", Some("777"))]
    #[case("retention.ms", "-1", Some("-1"))]
    #[case("retention.ms", "7d", None)]
    #[case("retention.ms", "-2", None)]
    #[case("retention.ms", " 1 ", None)]
    #[case("retention.ms", "0x10", None)]
    #[case("retention.ms", "1e9", None)]
    #[case("retention.ms", "9223372036854775808", None)]
    #[case("cleanup.policy", "delete, compact", Some("compact,delete"))]
    #[case("cleanup.policy", "compcat", None)]
    #[case("cleanup.policy", "", None)]
    #[case("preallocate", "TRUE", Some("true"))]
    #[case("preallocate", "yes", None)]
    #[case("min.cleanable.dirty.ratio", "0.50", Some("0.5"))]
    #[case("min.cleanable.dirty.ratio", "NaN", None)]
    #[case("min.insync.replicas", "0", None)]
    #[case("compression.type", "ZSTD", Some("zstd"))]
    #[case("some.newer.key", "x", Some("x"))]
    #[case("some.newer.key", "", None)]
    fn values_are_checked_and_spelled_one_way(
        #[case] key: &str,
        #[case] value: &str,
        #[case] spelled: Option<&str>,
    ) {
        assert_eq!(canonical(key, value).ok().as_deref(), spelled);
    }

    #[test]
    fn sameness_ignores_spelling() {
        assert!(same("cleanup.policy", "compact, delete", "delete,compact"));
        assert!(!same("retention.ms", "1", "2"));
        assert!(same("unknown", "7d", "7d"));
    }
}
