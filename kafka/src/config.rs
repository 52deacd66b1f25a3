//! How one Kafka is reached: addresses, security, deadlines. Plain data; holds no Kubernetes type and opens nothing.

mod security;

pub use security::{Sasl, SaslMechanism, Security};

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::types::InvalidValue;

/// A host name or IP address and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Host name or IP address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = InvalidValue;

    /// Reads `host:port` and `[v6]:port`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let invalid = || InvalidValue::HostPort(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']').ok_or_else(invalid)?,
            None if host.contains(':') => return Err(invalid()),
            None => host,
        };
        let port: u16 = port.parse().map_err(|_| invalid())?;
        if host.is_empty() || port == 0 || host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(invalid());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A text that is never printed and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, TCP connect and authentication of one address, together. Default 5 s.
    pub connect: Duration,
    /// From a request's write to its reply. Default 15 s; Kafka is told to give up a second earlier.
    pub request: Duration,
    /// The whole of one call of the admin port, with its retries. Default 45 s.
    pub operation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(15),
            operation: Duration::from_secs(45),
        }
    }
}

/// How one Kafka is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// Addresses to ask for the cluster's brokers, tried in order. Never used for anything else.
    pub bootstrap: Vec<HostPort>,
    /// Security protocol of every listener.
    pub security: Security,
    /// The `client.id` that brokers see in their logs and quotas.
    pub client_id: String,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// What this process runs in, as a noun for the probe's sentences: `pod` (the default), or `machine`.
    pub seen_from: &'static str,
}

impl ConnectionConfig {
    /// A configuration with default deadlines and client id `ottla`.
    #[must_use]
    pub fn new(bootstrap: Vec<HostPort>, security: Security) -> Self {
        Self {
            bootstrap,
            security,
            client_id: "ottla".to_owned(),
            timeouts: Timeouts::default(),
            seen_from: "pod",
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("kafka:9092", Some(("kafka", 9092)))]
    #[case("[::1]:9092", Some(("::1", 9092)))]
    #[case("::1:9092", None)]
    #[case("kafka", None)]
    #[case("kafka:0", None)]
    #[case("kafka:70000", None)]
    #[case(":9092", None)]
    #[case("http://kafka:9092", None)]
    fn addresses_are_host_and_port(#[case] text: &str, #[case] expected: Option<(&str, u16)>) {
        let read = text.parse::<HostPort>().ok();
        assert_eq!(read.as_ref().map(|a| (a.host.as_str(), a.port)), expected);
        if let Some(address) = read {
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let security = Security::sasl(Sasl {
            mechanism: SaslMechanism::Plain,
            username: "user1".to_owned(),
            password: Secret::new("canary".to_owned()),
        });
        let config = ConnectionConfig::new(vec![], security);
        assert!(!format!("{config:?}").contains("canary"));
    }
}
