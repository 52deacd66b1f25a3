//! What can go wrong between a call of the admin port and Kafka, and what a caller may do about it.
//!
//! Every error can be cloned, because one request answers many callers.

mod code;
pub(crate) mod rights;
mod tls;

pub use code::ErrorCode;
pub use tls::TlsFault;

use std::time::Duration;

use crate::config::{HostPort, SaslMechanism};
use crate::types::ClusterId;

/// What a caller may do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing was done; the same call may be repeated after a short pause.
    Retriable,
    /// Nothing was done; repeating helps only once somebody changed something, so repeat seldom.
    SlowRetry,
    /// It may or may not have been done: describe first, never repeat blindly.
    Ambiguous,
    /// What it means depends on what the caller knows (`TOPIC_ALREADY_EXISTS`: is it ours?).
    Decide,
    /// Nothing was done, and nothing will until the request changes.
    Terminal,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// Kafka answered, with an error.
    #[error("Kafka refused to {operation}: {code}{}", text(message.as_deref()))]
    Refused {
        /// What was asked, as a verb phrase (`create topic`).
        operation: &'static str,
        /// Kafka's error.
        code: ErrorCode,
        /// Kafka's own words.
        message: Option<String>,
    },
    /// No connection was had, so nothing was asked.
    #[error("could not {operation}: {failure}")]
    Unreachable {
        /// What was to be asked.
        operation: &'static str,
        /// Which address, and why not.
        failure: ConnectFailure,
    },
    /// The request went out, and no usable reply came back.
    #[error("no answer when asked to {operation}: {address} {cause}")]
    NoReply {
        /// What was asked.
        operation: &'static str,
        /// The broker asked.
        address: HostPort,
        /// What happened instead of a reply.
        cause: NoReply,
    },
    /// The broker is too old for the call, or no Apache Kafka.
    #[error(
        "cannot {operation}: {address} speaks versions {offered} of {api}, and {needed} is the least that works"
    )]
    Unsupported {
        /// What was to be asked.
        operation: &'static str,
        /// The broker.
        address: HostPort,
        /// Kafka's name for the call.
        api: &'static str,
        /// The versions the broker has, in words.
        offered: String,
        /// The oldest version that can be used.
        needed: i16,
    },
    /// The request cannot be put in Kafka's protocol; nothing was sent.
    #[error("cannot {operation}: {reason}")]
    Invalid {
        /// What was to be asked.
        operation: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The right to change anything ended before the request left; nothing was sent.
    #[error("did not {operation}: the right to change anything here has ended")]
    NotPermitted {
        /// What was to be asked.
        operation: &'static str,
    },
    /// The call was dropped half-way, with the client or the process that made it; it may or may not have been done.
    #[error("abandoned when asked to {operation}")]
    Abandoned {
        /// What was asked.
        operation: &'static str,
    },
    /// The call's own deadline passed before its turn came or between two tries; nothing is in flight.
    #[error("gave up after {after:?} when asked to {operation}")]
    DeadlinePassed {
        /// What was asked.
        operation: &'static str,
        /// How long it was tried.
        after: Duration,
    },
}

fn text(message: Option<&str>) -> String {
    message.map(|text| format!(" ({text})")).unwrap_or_default()
}

impl KafkaError {
    /// What a caller may do about it. For a call that only reads, `Ambiguous` may be repeated.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { code, .. } => code.class(),
            Self::Unreachable { failure, .. } => match failure.cause {
                ConnectCause::AuthenticationFailed { .. }
                | ConnectCause::WrongProtocol(_)
                | ConnectCause::Tls(_) => Class::SlowRetry,
                _ => Class::Retriable,
            },
            Self::NoReply { .. } | Self::Abandoned { .. } => Class::Ambiguous,
            Self::Unsupported { .. } | Self::Invalid { .. } => Class::Terminal,
            Self::DeadlinePassed { .. } | Self::NotPermitted { .. } => Class::Retriable,
        }
    }

    /// Kafka's error code, when Kafka answered with one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The ACL that the user lacks, as operation and resource, when Kafka refused for want of one.
    #[must_use]
    pub fn missing_acl(&self) -> Option<&'static str> {
        match self {
            Self::Refused { operation, code, .. } => rights::missing(operation, *code),
            _ => None,
        }
    }

    /// Whether the failure lies between us and the cluster, not in what was asked for.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::NoReply { .. } | Self::DeadlinePassed { .. }
        )
    }
}

/// Why an address gave no usable connection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{address} {cause}")]
pub struct ConnectFailure {
    /// The address tried.
    pub address: HostPort,
    /// Why it did not work.
    pub cause: ConnectCause,
}

/// Why no usable connection came about. Reads as the rest of a sentence that starts with the address.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectCause {
    /// The host's name has no address.
    #[error("cannot be resolved: {0}")]
    DnsFailed(String),
    /// Nothing listens there.
    #[error("refuses the connection")]
    Refused,
    /// No answer within the deadline.
    #[error("does not answer within {after:?} ({stage})")]
    TimedOut {
        /// The deadline.
        after: Duration,
        /// How far it got.
        stage: Stage,
    },
    /// The connection was closed before it could be used.
    #[error("closes the connection ({0})")]
    Closed(Stage),
    /// Something else listens there, or Kafka on a listener of another security protocol.
    #[error("{0}")]
    WrongProtocol(Spoken),
    /// TLS did not come about, or the broker ended it.
    #[error("{0}")]
    Tls(TlsFault),
    /// Kafka refused the name, the password or the mechanism.
    #[error("refuses {username:?} with {mechanism}: {message}")]
    AuthenticationFailed {
        /// Who tried.
        username: String,
        /// How.
        mechanism: SaslMechanism,
        /// The broker's own words.
        message: String,
    },
    /// The broker is older than what is needed to ask it anything; the versions it has, in words.
    #[error("is too old: it offers {0} of a call that is needed")]
    TooOld(String),
    /// Another cluster answers than the one first met; nothing but describing the cluster is asked of it.
    #[error("belongs to cluster {found}, not to {expected}")]
    WrongCluster {
        /// The cluster first met.
        expected: ClusterId,
        /// The cluster that answers.
        found: ClusterId,
    },
    /// Any other failure of the network.
    #[error("cannot be reached: {0}")]
    Network(String),
}

/// How far a connection got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// TCP connect.
    Connect,
    /// TLS.
    Handshake,
    /// The first question, about versions.
    Versions,
    /// SASL.
    Authentication,
    /// The first question after authentication.
    FirstRequest,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "while connecting",
            Self::Handshake => "during the TLS handshake",
            Self::Versions => "when asked for its versions",
            Self::Authentication => "during authentication",
            Self::FirstRequest => "at the first request",
        })
    }
}

/// What the other side turned out to speak.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Spoken {
    /// A TLS alert or handshake record (`15 03`, `16 03`).
    #[error("speaks TLS, and the connection is set up without")]
    Tls,
    /// Kafka on a listener without TLS.
    #[error("is a Kafka listener without TLS, and TLS is set up")]
    KafkaWithoutTls,
    /// `HTTP`.
    #[error("speaks HTTP, not Kafka")]
    Http,
    /// Kafka on a listener that wants authentication first.
    #[error("is a Kafka listener that wants SASL, and none is set up")]
    KafkaWithSasl,
    /// Kafka on a listener without SASL.
    #[error("is a Kafka listener without SASL, and {0} is set up")]
    KafkaWithoutSasl(SaslMechanism),
    /// Anything else; the first bytes in hexadecimal.
    #[error("does not speak Kafka (its answer begins with {0})")]
    Other(String),
}

/// What happened instead of a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// Nothing came within the deadline; the connection was closed, so that a late reply meets nothing.
    #[error("did not reply within {0:?}")]
    TimedOut(Duration),
    /// The connection broke.
    #[error("closed the connection: {0}")]
    Closed(String),
    /// Bytes came that are no reply to what was asked.
    #[error("sent a reply that cannot be read: {0}")]
    Malformed(String),
}
