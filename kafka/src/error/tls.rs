//! Why TLS did not come about, sorted by who can fix it. Each reads as the rest of a sentence that starts with the
//! address, and ends with the remedy.

use std::time::Duration;

/// Why TLS did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The broker's certificate leads to no trusted CA.
    #[error(
        "presents a certificate that {} did not sign: configure the CA that signed it",
        if *.own_ca { "the configured CA" } else { "any public CA known here" }
    )]
    Untrusted {
        /// Whether a CA is configured, or the machine's public roots are trusted.
        own_ca: bool,
    },
    /// The broker's certificate is no longer valid.
    #[error("presents a certificate that expired{}: renew the broker's certificate", ago(*.0))]
    Expired(Option<Duration>),
    /// The broker's certificate is not valid yet.
    #[error(
        "presents a certificate that is not valid yet: correct the clock here or there, or the certificate"
    )]
    NotYetValid,
    /// The broker's certificate is for other names.
    #[error(
        "presents a certificate for {}, not for {host}: use an address that the certificate names, or add {host} to \
         the certificate's subject alternative names", names(.presented)
    )]
    WrongName {
        /// The name or IP address dialled.
        host: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// The broker wants a client certificate, and none is configured.
    #[error("wants a client certificate, and none is configured: configure one that its CA signed")]
    ClientCertificateRequired,
    /// The broker refuses our client certificate.
    #[error(
        "refuses the client certificate ({0}): configure one that the broker's CA signed and that is valid now"
    )]
    ClientCertificateRefused(&'static str),
    /// Anything else.
    #[error("fails the TLS handshake: {0}")]
    Other(String),
}

impl TlsFault {
    /// Whether it is about who we are, not about who the broker is.
    #[must_use]
    pub const fn is_about_client(&self) -> bool {
        matches!(
            self,
            Self::ClientCertificateRequired | Self::ClientCertificateRefused(_)
        )
    }
}

fn ago(since: Option<Duration>) -> String {
    let Some(since) = since else { return String::new() };
    let hours = since.as_secs() / 3_600;
    match (hours / 24, hours) {
        (0, 0) => " within the last hour".to_owned(),
        (0, hours) => format!(" {hours} h ago"),
        (days, _) => format!(" {days} d ago"),
    }
}

/// At most a handful: a certificate may hold hundreds.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 5;
    match presented {
        [] => "no name at all".to_owned(),
        names if names.len() <= SHOWN => names.join(", "),
        names => format!("{} and {} more", names[..SHOWN].join(", "), names.len() - SHOWN),
    }
}
