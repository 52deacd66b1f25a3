//! Ids that name who sent a record. They are parsed once and compared as numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId {
    text: String,
    wanted: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}", self.text, self.wanted)
    }
}

impl std::error::Error for InvalidId {}

/// Uid of a Kubernetes object: 16 bytes, written as `01234567-89ab-cdef-0123-456789abcdef`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(pub [u8; 16]);

impl FromStr for Uid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let number = (digits.len() == 32)
            .then(|| u128::from_str_radix(&digits, 16).ok())
            .flatten();
        let wanted = "a uid of 32 hexadecimal digits";
        number.map(|n| Self(n.to_be_bytes())).ok_or_else(|| InvalidId {
            text: text.to_owned(),
            wanted,
        })
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Uid {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.to_string()
    }
}

/// One life of a sender: a random number drawn at its start, and again after any record that failed or whose fate
/// is unknown. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Incarnation(pub u64);

impl FromStr for Incarnation {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = (text.len() == 16)
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten();
        let wanted = "an incarnation of 16 hexadecimal digits";
        number.map(Self).ok_or_else(|| InvalidId {
            text: text.to_owned(),
            wanted,
        })
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl TryFrom<String> for Incarnation {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Incarnation> for String {
    fn from(incarnation: Incarnation) -> Self {
        incarnation.to_string()
    }
}

/// One run of one `KafkaProducer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId {
    /// Uid of the `KafkaProducer`.
    pub uid: Uid,
    /// Run number: 1 for a job, one more with each change of an endless producer's pods.
    pub run: u32,
}

/// Which part of a bounded run a pod does. `of` is 0 for an endless run, which has no parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share {
    /// From 0.
    pub index: u32,
    /// Number of parts; 0 for an endless run.
    pub of: u32,
}

impl Share {
    /// Whether the run never ends by itself.
    #[must_use]
    pub fn is_endless(self) -> bool {
        self.of == 0
    }

    /// This share's part of `total`; the remainder goes to the lowest indexes.
    #[must_use]
    pub fn part_of(self, total: u64) -> u64 {
        let of = u64::from(self.of.max(1));
        total / of + u64::from(u64::from(self.index) < total % of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_they_are_read() {
        let uid: Uid = "01234567-89ab-cdef-0123-456789abcdef".parse().unwrap();
        assert_eq!(uid.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!(
            serde_json::to_string(&Incarnation(0xff)).unwrap(),
            "\"00000000000000ff\""
        );
        assert_eq!("00000000000000ff".parse(), Ok(Incarnation(0xff)));
        assert_eq!(
            "x".parse::<Uid>().unwrap_err().to_string(),
            "\"x\" is not a uid of 32 hexadecimal digits"
        );
    }

    #[test]
    fn shares_add_up_and_the_remainder_goes_to_the_lowest() {
        let parts: Vec<_> = (0..3).map(|index| Share { index, of: 3 }.part_of(11)).collect();
        assert_eq!(parts, [4, 4, 3]);
        assert_eq!(Share::default().part_of(5), 5, "an endless run has one part");
    }
}
