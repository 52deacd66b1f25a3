//! Which partition a key goes to.
//!
//! Pure. `JavaDefault` is what Kafka's own Java client does with a key (`BuiltInPartitioner.partitionForKey`), so that
//! records of both kinds of client with one key meet in one partition.

/// The partition Kafka's Java client sends a record with this key to.
#[must_use]
pub fn java_default(key: &[u8], partitions: u32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    i32::try_from(positive % partitions.max(1)).unwrap_or_default()
}

/// Murmur2 as in Kafka's `Utils.murmur2`, with its seed.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // Kafka limits a key's length to what fits.
    let mut hash = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Vectors of Kafka's own `UtilsTest.testMurmur2`.
    #[rstest]
    #[case("21", -973_932_308)]
    #[case("foobar", -790_332_482)]
    #[case("a-little-bit-long-string", -985_981_536)]
    #[case("a-little-bit-longer-string", -1_486_304_829)]
    #[case("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971)]
    #[case("abc", 479_470_107)]
    fn murmur2_is_kafkas(#[case] text: &str, #[case] hash: i32) {
        assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash);
    }

    #[test]
    fn a_negative_hash_is_made_positive_as_in_java() {
        assert_eq!(java_default(b"21", 1000), (i32::MAX - 973_932_307) % 1000);
        assert_eq!(java_default(b"", 1), 0);
        assert!((0..3).contains(&java_default(&[0xff; 5], 3)));
    }
}
