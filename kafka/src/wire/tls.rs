//! The TLS handshake, and what its failures mean.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::error::TlsFault;
use crate::tls::Tls;

/// Why there is no TLS.
#[derive(Debug)]
pub(super) enum NoTls {
    /// The other side speaks TLS, and this went wrong.
    Fault(TlsFault),
    /// What came is no TLS, or nothing came before the end: the other side may not speak it.
    Unheard(String),
}

/// Turns a connected stream into an encrypted one whose other side has proven to be `host`.
pub(super) async fn shake_hands<S>(stream: S, host: &str, tls: &Tls) -> Result<TlsStream<S>, NoTls>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| NoTls::Fault(TlsFault::Other(format!("no certificate can name {host:?}"))))?;
    tls.connector().connect(name, stream).await.map_err(|error| {
        let Some(cause) = cause(&error) else {
            return NoTls::Unheard(error.to_string());
        };
        match cause {
            Error::InvalidMessage(_) => NoTls::Unheard(cause.to_string()),
            Error::InvalidCertificate(problem) => NoTls::Fault(untrusted(problem, host, tls)),
            Error::AlertReceived(alert) => NoTls::Fault(refused(*alert, tls.has_identity())),
            other => NoTls::Fault(TlsFault::Other(other.to_string())),
        }
    })
}

/// The alert that ended a stream, if one did. With TLS 1.3 a broker judges our certificate after the handshake.
pub(super) fn alert(error: &io::Error) -> Option<AlertDescription> {
    match cause(error)? {
        Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What a broker's certificate lacks.
fn untrusted(problem: &CertificateError, host: &str, tls: &Tls) -> TlsFault {
    match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::Untrusted {
            own_ca: tls.has_own_ca(),
        },
        CertificateError::Expired => TlsFault::Expired(None),
        CertificateError::ExpiredContext { time, not_after } => TlsFault::Expired(Some(Duration::from_secs(
            time.as_secs().saturating_sub(not_after.as_secs()),
        ))),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::NotYetValid,
        CertificateError::NotValidForName => TlsFault::WrongName {
            host: host.to_owned(),
            presented: Vec::new(),
        },
        CertificateError::NotValidForNameContext { presented, .. } => TlsFault::WrongName {
            host: host.to_owned(),
            presented: presented.iter().map(|name| bare(name).to_owned()).collect(),
        },
        other => TlsFault::Other(other.to_string()),
    }
}

/// `kafka.example` of `DnsName("kafka.example")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// What a broker means by an alert. A broker that misses a certificate sends one of several, by version and library.
pub(super) fn refused(alert: AlertDescription, has_identity: bool) -> TlsFault {
    let about_certificate = match alert {
        AlertDescription::CertificateRequired => return TlsFault::ClientCertificateRequired,
        AlertDescription::BadCertificate => "bad certificate",
        AlertDescription::UnsupportedCertificate => "unsupported certificate",
        AlertDescription::CertificateRevoked => "certificate revoked",
        AlertDescription::CertificateExpired => "certificate expired",
        AlertDescription::CertificateUnknown => "certificate not accepted",
        AlertDescription::UnknownCA => "unknown CA",
        AlertDescription::AccessDenied => "access denied",
        AlertDescription::DecryptError => "bad signature",
        _ => return TlsFault::Other(format!("the broker sends the alert {alert:?}")),
    };
    if has_identity {
        TlsFault::ClientCertificateRefused(about_certificate)
    } else {
        TlsFault::ClientCertificateRequired
    }
}
