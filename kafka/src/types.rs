//! Newtypes for Kafka's names, ids and numbers. Values that Kafka cannot hold are not constructible.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A value that Kafka has no place for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// A topic name outside of Kafka's rule: 1 to 249 of `[a-zA-Z0-9._-]`, neither `.` nor `..`.
    #[error("topic name {0:?} is not 1 to 249 of letters, digits, '.', '_' and '-' (and not '.' or '..')")]
    TopicName(String),
    /// A partition count below 1.
    #[error("partition count {0} is not between 1 and 2147483647")]
    PartitionCount(i64),
    /// A replication factor below 1 or above 32767.
    #[error("replication factor {0} is not between 1 and 32767")]
    ReplicationFactor(i64),
    /// An address that is not `host:port`.
    #[error("address {0:?} is not host:port with a port between 1 and 65535")]
    HostPort(String),
    /// A topic id that is no UUID.
    #[error("topic id {0:?} is not a UUID, neither in hexadecimal nor in Kafka's base64 spelling")]
    TopicId(String),
}

/// A topic's name: 1 to 249 of `[a-zA-Z0-9._-]`, neither `.` nor `..` (Kafka's `Topic.validate`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(String);

impl TopicName {
    /// Longest name that Kafka takes, in bytes.
    pub const MAX_LENGTH: usize = 249;

    /// The name as Kafka spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is of the kind Kafka keeps for itself (`__consumer_offsets` and its like).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("__")
    }
}

impl TryFrom<String> for TopicName {
    type Error = InvalidValue;

    fn try_from(name: String) -> Result<Self, InvalidValue> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let fits = (1..=Self::MAX_LENGTH).contains(&name.len());
        if fits && name != "." && name != ".." && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(InvalidValue::TopicName(name))
        }
    }
}

impl FromStr for TopicName {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, InvalidValue> {
        Self::try_from(name.to_owned())
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A topic's identity: it outlives no delete, so a topic created anew under the same name has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(Uuid);

impl TopicId {
    /// The id as a UUID.
    #[must_use]
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for TopicId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl FromStr for TopicId {
    type Err = InvalidValue;

    /// Reads Kafka's own spelling (22 characters of unpadded URL-safe base64) and the hexadecimal one.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        use base64::Engine as _;
        let invalid = || InvalidValue::TopicId(text.to_owned());
        if text.len() == 22 {
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| invalid())?;
            return Uuid::from_slice(&bytes).map(Self).map_err(|_| invalid());
        }
        Uuid::parse_str(text).map(Self).map_err(|_| invalid())
    }
}

impl fmt::Display for TopicId {
    /// Writes Kafka's own spelling, as `kafka-topics.sh --describe` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine as _;
        f.write_str(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

/// A Kafka cluster's identity, as its metadata gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(String);

impl ClusterId {
    /// The id as Kafka spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ClusterId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl From<&str> for ClusterId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($repr:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($repr);

        impl $name {
            /// The number as Kafka's protocol carries it.
            #[must_use]
            pub const fn get(self) -> $repr {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! plain_number {
    ($(#[$doc:meta])* $name:ident($repr:ty)) => {
        number!($(#[$doc])* $name($repr));

        impl From<$repr> for $name {
            fn from(value: $repr) -> Self {
                Self(value)
            }
        }
    };
}

plain_number!(
    /// A broker's node id.
    BrokerId(i32)
);
plain_number!(
    /// A partition's index within its topic, from 0.
    PartitionId(i32)
);
plain_number!(
    /// A position in a partition's log.
    Offset(i64)
);
number!(
    /// How many partitions a topic has: 1 or more.
    PartitionCount(i32)
);
number!(
    /// How many replicas each partition has: 1 to 32767.
    ReplicationFactor(i16)
);

impl TryFrom<i64> for PartitionCount {
    type Error = InvalidValue;

    fn try_from(count: i64) -> Result<Self, InvalidValue> {
        match i32::try_from(count) {
            Ok(fits) if fits >= 1 => Ok(Self(fits)),
            _ => Err(InvalidValue::PartitionCount(count)),
        }
    }
}

impl TryFrom<i32> for PartitionCount {
    type Error = InvalidValue;

    fn try_from(count: i32) -> Result<Self, InvalidValue> {
        i64::from(count).try_into()
    }
}

impl TryFrom<i64> for ReplicationFactor {
    type Error = InvalidValue;

    fn try_from(factor: i64) -> Result<Self, InvalidValue> {
        match i16::try_from(factor) {
            Ok(fits) if fits >= 1 => Ok(Self(fits)),
            _ => Err(InvalidValue::ReplicationFactor(factor)),
        }
    }
}

impl TryFrom<i32> for ReplicationFactor {
    type Error = InvalidValue;

    fn try_from(factor: i32) -> Result<Self, InvalidValue> {
        i64::from(factor).try_into()
    }
}

#[cfg(test)]
mod tests;
