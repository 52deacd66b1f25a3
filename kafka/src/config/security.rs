//! Kafka's four security protocols: TLS or not, SASL or not.

use std::fmt;

use super::Secret;
use crate::tls::Tls;

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SaslMechanism {
    /// `PLAIN`: name and password as they are.
    Plain,
    /// `SCRAM-SHA-256`: the password never crosses the wire.
    ScramSha256,
    /// `SCRAM-SHA-512`: the password never crosses the wire.
    ScramSha512,
}

impl SaslMechanism {
    /// The mechanism's registered name, as brokers list it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl fmt::Display for SaslMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// How the password is proven.
    pub mechanism: SaslMechanism,
    /// Who connects.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Kafka's security protocol and what it needs. Both absent is `PLAINTEXT`, both present `SASL_SSL`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// Encryption, and whom to trust; absent: neither.
    pub tls: Option<Tls>,
    /// A name and a password; absent: the listener asks for none.
    pub sasl: Option<Sasl>,
}

impl Security {
    /// `PLAINTEXT`: neither encryption nor a name.
    pub const PLAINTEXT: Self = Self {
        tls: None,
        sasl: None,
    };

    /// `SASL_PLAINTEXT`: a name and a password, no encryption.
    #[must_use]
    pub fn sasl(sasl: Sasl) -> Self {
        Self {
            tls: None,
            sasl: Some(sasl),
        }
    }

    /// The same over TLS: `SSL` instead of `PLAINTEXT`, `SASL_SSL` instead of `SASL_PLAINTEXT`.
    #[must_use]
    pub fn over(self, tls: Tls) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    /// Kafka's name of the protocol, as `listener.security.protocol.map` spells it.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "PLAINTEXT",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), None) => "SSL",
            (Some(_), Some(_)) => "SASL_SSL",
        }
    }
}
