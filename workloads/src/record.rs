//! The form of a record's value: a fixed prefix that tells who sent it and what was settled by then, then filling or,
//! in a closing record, what became of the stream.
//!
//! Pure. Numbers are big-endian; the checksum covers key, prefix and rest.

use ottla_contract::compact::{Reader, Writer};
use ottla_contract::{Incarnation, RunId, Share, Uid};

const MAGIC: [u8; 4] = *b"OTLA";
const VERSION: u8 = 1;
const CLOSING: u8 = 1;
const SHARE_DONE: u8 = 2;
/// Bytes of the prefix, which is the least a value can have.
pub const PREFIX_BYTES: usize = 84;
const CHECKSUM_AT: usize = PREFIX_BYTES - 4;

/// What every record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// The run it belongs to.
    pub run: RunId,
    /// The sender's share of the run.
    pub share: Share,
    /// Who sent it.
    pub incarnation: Incarnation,
    /// Its place among the incarnation's records of the partition, from 0; in a closing record the number of them.
    pub sequence: u64,
    /// Its place among the incarnation's records of the key, from 0.
    pub key_sequence: u64,
    /// Partitions of the topic when its own was chosen.
    pub partition_count: u32,
    /// When it was meant to be sent, in nanoseconds since 1970.
    pub intended_ns: u64,
    /// Every sequence of the stream below this one had been confirmed when it was sent.
    pub resolved_through: u64,
}

/// What a closing record says besides: no further record of the incarnation follows in the partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// The incarnation's share is done.
    pub share_done: bool,
    /// Streams, hence closing records, of the incarnation in all partitions.
    pub streams: u32,
    /// Offset of the first confirmed record, where Kafka told one: a reader that began there or before has seen the
    /// stream from its start.
    pub first_offset: Option<i64>,
    /// Sequences that were never confirmed, as (first, count), ascending: they may stand in the log or not.
    pub exceptions: Vec<(u64, u64)>,
}

/// What a value turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A record.
    Record(Prefix),
    /// A closing record.
    Closing(Prefix, Closing),
    /// Nothing of ours.
    Foreign,
    /// Ours, but damaged.
    Corrupt,
}

/// Writes a record's value into `value`: the prefix, then as many bytes of `filling`.
pub fn write(value: &mut Vec<u8>, prefix: &Prefix, key: &[u8], filling: &[u8]) {
    write_prefix(value, prefix, 0);
    value.extend_from_slice(filling);
    seal(value, key);
}

/// The key of a closing record: a compacted topic takes none without, and keeps the last of each. No other record has
/// it, whatever keys there are, so compaction takes nothing for it and it for nothing.
#[must_use]
pub fn closing_key(incarnation: Incarnation, partition: i32) -> String {
    format!("ottla-closing-{incarnation}-{partition}")
}

/// Writes a closing record's value into `value`.
pub fn write_closing(value: &mut Vec<u8>, key: &[u8], prefix: &Prefix, closing: &Closing) {
    write_prefix(
        value,
        prefix,
        CLOSING | if closing.share_done { SHARE_DONE } else { 0 },
    );
    let mut body = Writer::default();
    body.number(closing.streams.into());
    body.signed(closing.first_offset.unwrap_or(-1));
    body.count(closing.exceptions.len());
    let mut end = 0;
    for &(first, count) in &closing.exceptions {
        body.number(first.saturating_sub(end)).number(count);
        end = first.saturating_add(count);
    }
    value.extend_from_slice(&body.into_bytes());
    seal(value, key);
}

fn write_prefix(value: &mut Vec<u8>, prefix: &Prefix, flags: u8) {
    value.clear();
    value.extend_from_slice(&MAGIC);
    value.extend_from_slice(&[VERSION, flags, 0, 0]);
    value.extend_from_slice(&prefix.run.uid.0);
    value.extend_from_slice(&prefix.run.run.to_be_bytes());
    value.extend_from_slice(&prefix.share.index.to_be_bytes());
    value.extend_from_slice(&prefix.share.of.to_be_bytes());
    value.extend_from_slice(&prefix.partition_count.to_be_bytes());
    value.extend_from_slice(&prefix.incarnation.0.to_be_bytes());
    value.extend_from_slice(&prefix.sequence.to_be_bytes());
    value.extend_from_slice(&prefix.key_sequence.to_be_bytes());
    value.extend_from_slice(&prefix.intended_ns.to_be_bytes());
    value.extend_from_slice(&prefix.resolved_through.to_be_bytes());
    value.extend_from_slice(&[0; 4]);
}

fn seal(value: &mut [u8], key: &[u8]) {
    let sum = checksum(value, key);
    if let Some(place) = value.get_mut(CHECKSUM_AT..PREFIX_BYTES) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
}

/// CRC32C of the key, then of the value without the checksum itself.
fn checksum(value: &[u8], key: &[u8]) -> u32 {
    let sum = crc32c::crc32c(key);
    let sum = crc32c::crc32c_append(sum, value.get(..CHECKSUM_AT).unwrap_or_default());
    crc32c::crc32c_append(sum, value.get(PREFIX_BYTES..).unwrap_or_default())
}

/// Reads a record.
#[must_use]
pub fn parse(key: &[u8], value: &[u8]) -> Parsed {
    if !value.starts_with(&MAGIC) {
        return Parsed::Foreign;
    }
    read(key, value).unwrap_or(Parsed::Corrupt)
}

/// When the record in `value` was meant to be sent, without any check.
#[must_use]
pub fn intended_ns(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.get(64..72)?.try_into().ok()?))
}

fn read(key: &[u8], value: &[u8]) -> Option<Parsed> {
    let mut reader = Reader::new(value);
    let _magic: [u8; 4] = reader.bytes()?;
    let [version, flags, _, _] = reader.bytes()?;
    let uid = Uid(reader.bytes()?);
    let run = RunId {
        uid,
        run: u32::from_be_bytes(reader.bytes()?),
    };
    let index = u32::from_be_bytes(reader.bytes()?);
    let share = Share {
        index,
        of: u32::from_be_bytes(reader.bytes()?),
    };
    let prefix = Prefix {
        run,
        share,
        partition_count: u32::from_be_bytes(reader.bytes()?),
        incarnation: Incarnation(u64::from_be_bytes(reader.bytes()?)),
        sequence: u64::from_be_bytes(reader.bytes()?),
        key_sequence: u64::from_be_bytes(reader.bytes()?),
        intended_ns: u64::from_be_bytes(reader.bytes()?),
        resolved_through: u64::from_be_bytes(reader.bytes()?),
    };
    let sum = u32::from_be_bytes(reader.bytes()?);
    if version != VERSION || sum != checksum(value, key) {
        return None;
    }
    if flags & CLOSING == 0 {
        return Some(Parsed::Record(prefix));
    }
    let streams = reader.small()?;
    let first_offset = Some(reader.signed()?).filter(|offset| *offset >= 0);
    let mut end: u64 = 0;
    let exceptions = reader.list(|reader| {
        let first = end.checked_add(reader.number()?)?;
        let count = reader.number()?;
        end = first.checked_add(count)?;
        Some((first, count))
    })?;
    let closing = Closing {
        share_done: flags & SHARE_DONE != 0,
        streams,
        first_offset,
        exceptions,
    };
    Some(Parsed::Closing(prefix, closing))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix() -> Prefix {
        Prefix {
            run: RunId {
                uid: Uid([3; 16]),
                run: 2,
            },
            share: Share { index: 1, of: 4 },
            incarnation: Incarnation(u64::MAX - 1),
            sequence: 7,
            key_sequence: 5,
            partition_count: 12,
            intended_ns: 1_800_000_000_000_000_123,
            resolved_through: 6,
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let mut value = vec![1, 2, 3];
        write(&mut value, &prefix(), b"key", &[9; 20]);
        assert_eq!(value.len(), PREFIX_BYTES + 20);
        assert_eq!(parse(b"key", &value), Parsed::Record(prefix()));
        assert_eq!(intended_ns(&value), Some(prefix().intended_ns));
        assert_eq!(parse(b"other", &value), Parsed::Corrupt, "the key is covered");
    }

    #[test]
    fn a_closing_record_reads_as_it_was_written() {
        let exceptions = vec![(0, 1), (5, 100), (1 << 40, 3)];
        for first_offset in [None, Some(0), Some(1 << 50)] {
            let closing = Closing {
                share_done: true,
                streams: 3,
                first_offset,
                exceptions: exceptions.clone(),
            };
            let key = closing_key(prefix().incarnation, 3);
            let mut value = Vec::new();
            write_closing(&mut value, key.as_bytes(), &prefix(), &closing);
            assert_eq!(
                parse(key.as_bytes(), &value),
                Parsed::Closing(prefix(), closing.clone())
            );
            assert_eq!(parse(b"key-1", &value), Parsed::Corrupt, "the key is covered");
            // As earlier releases wrote it.
            write_closing(&mut value, &[], &prefix(), &closing);
            assert_eq!(parse(&[], &value), Parsed::Closing(prefix(), closing));
        }
    }

    #[test]
    fn each_stream_closes_under_a_key_of_its_own() {
        let keys = [(1, 0), (1, 1), (2, 0), (0x11, 0)].map(|(id, at)| closing_key(Incarnation(id), at));
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(bit in 0..(PREFIX_BYTES + 10) * 8) {
            let mut value = Vec::new();
            write(&mut value, &prefix(), &[], &[9; 10]);
            value[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(matches!(parse(&[], &value), Parsed::Corrupt | Parsed::Foreign));
        }

        #[test]
        fn garbage_is_foreign_or_corrupt(mut value: Vec<u8>, ours: bool) {
            if ours {
                value.splice(0..0, MAGIC);
            }
            prop_assert!(matches!(parse(&[], &value), Parsed::Corrupt | Parsed::Foreign));
        }

        #[test]
        fn a_shortened_record_is_noticed(length in 4..PREFIX_BYTES + 9) {
            let mut value = Vec::new();
            write(&mut value, &prefix(), &[], &[9; 10]);
            prop_assert_eq!(parse(&[], &value[..length]), Parsed::Corrupt);
        }
    }
}
