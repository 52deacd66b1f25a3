//! The listener probe: whether each address that brokers advertise works from here, and if not, why.

use std::fmt;

use crate::config::HostPort;
use crate::types::BrokerId;

/// How one advertised address fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerReport {
    /// Whose address it is.
    pub broker: BrokerId,
    /// The address.
    pub advertised: HostPort,
    /// The broker's rack, where set.
    pub rack: Option<String>,
    /// The result.
    pub result: ListenerResult,
    /// The result as a sentence that names broker and address: `broker 0 advertises localhost:9092, which from
    /// this pod is the pod itself`.
    pub detail: String,
}

/// What came of dialling one advertised address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerResult {
    /// It answered as the broker it should be.
    Reachable,
    /// Its name has no address here.
    DnsFailed,
    /// Nothing listens there, or it closes at once.
    Refused,
    /// No answer in time.
    TimedOut,
    /// Something else than the configured protocol is spoken there.
    WrongProtocol,
    /// It refused the credentials that bootstrap accepted.
    AuthenticationFailed,
    /// Another broker, or another cluster's, answered.
    WrongBroker,
    /// The address means the dialling machine itself.
    SelfAddress,
}

impl ListenerResult {
    /// The name used in status and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reachable => "Reachable",
            Self::DnsFailed => "DnsFailed",
            Self::Refused => "Refused",
            Self::TimedOut => "TimedOut",
            Self::WrongProtocol => "WrongProtocol",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::WrongBroker => "WrongBroker",
            Self::SelfAddress => "SelfAddress",
        }
    }
}

impl fmt::Display for ListenerResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
