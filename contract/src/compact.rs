//! Numbers in few bytes: the building blocks of the termination summary and of the state in offset commits.
//!
//! Reading never trusts what it reads: every count is bounded by the bytes that remain.

/// Appends numbers to a buffer.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Appends an unsigned number: seven bits a byte, lowest first.
    pub fn number(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
        self
    }

    /// Appends a signed number; small ones of either sign stay short.
    pub fn signed(&mut self, value: i64) -> &mut Self {
        self.number(((value << 1) ^ (value >> 63)).cast_unsigned())
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends a count.
    pub fn count(&mut self, count: usize) -> &mut Self {
        self.number(count as u64)
    }

    /// The buffer.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Takes numbers off a buffer. Every method answers `None` when the buffer ends early or holds nonsense.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes an unsigned number.
    pub fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Takes an unsigned number that fits `T`.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    /// Takes a signed number.
    pub fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Takes `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// Takes a count of things that take at least one byte each.
    pub fn count(&mut self) -> Option<usize> {
        let count: usize = self.small()?;
        (count <= self.0.len()).then_some(count)
    }

    /// Takes a list.
    pub fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.count()?).map(|_| one(self)).collect()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_read_as_they_were_written(a: u64, b: i64, c: [u8; 16]) {
            let mut writer = Writer::default();
            writer.number(a).signed(b).bytes(&c).count(0);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.number(), Some(a));
            prop_assert_eq!(reader.signed(), Some(b));
            prop_assert_eq!(reader.bytes(), Some(c));
            prop_assert_eq!(reader.count(), Some(0));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn garbage_is_answered_with_none_or_numbers(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            let _ = reader.list(|r| r.list(Reader::number));
            let _ = reader.signed();
        }
    }

    #[test]
    fn small_numbers_take_one_byte() {
        let mut writer = Writer::default();
        writer.number(127).signed(-64);
        assert_eq!(writer.into_bytes().len(), 2);
    }
}
