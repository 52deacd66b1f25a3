//! What TLS needs: whom to trust, and who we are. Read from PEM once; what cannot be used is refused here, not when
//! dialling. Host names are always verified, and there is no way to turn that off.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

use crate::config::Secret;

/// A certificate with its chain and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate first, then those that lead to its CA.
    pub certificates: String,
    /// Private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: Secret,
}

/// Why a CA or a client certificate cannot be used. Never says what is in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTls {
    /// The CA is no certificate.
    #[error(
        "the CA holds no certificate that can be read: it must be PEM, from -----BEGIN CERTIFICATE----- on"
    )]
    Ca,
    /// No CA is given, and this machine has none either.
    #[error("no CA is given, and there are no public CA roots here")]
    NoRoots,
    /// The client certificate is none.
    #[error(
        "the client certificate holds no certificate that can be read: it must be PEM, from -----BEGIN \
         CERTIFICATE----- on"
    )]
    Certificate,
    /// The private key needs a password.
    #[error(
        "the client's private key is encrypted: store it without a password (openssl pkey -in KEY -out PLAIN)"
    )]
    KeyEncrypted,
    /// The private key is none.
    #[error("the client's private key cannot be read: it must be PEM in PKCS#8, PKCS#1 or SEC1")]
    Key,
    /// The private key belongs to another certificate.
    #[error("the client's private key does not belong to the client certificate")]
    KeyOfAnother,
    /// The TLS library refuses them.
    #[error("the CA or the client certificate cannot be used: {0}")]
    Refused(String),
}

/// Whom to trust and who we are. Two are equal when they were read from the same texts.
#[derive(Clone)]
pub struct Tls {
    ca: Option<String>,
    identity: Option<Identity>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts exactly the CAs in `ca` (PEM, one or many); absent: the public CA roots of this machine. With an
    /// identity, presents it to brokers that ask.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn new(ca: Option<&str>, identity: Option<Identity>) -> Result<Self, InvalidTls> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let refused = |error: Error| InvalidTls::Refused(error.to_string());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_root_certificates(ca.map_or_else(machine_roots, given_roots)?);
        let mut client = match &identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = read_identity(identity)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| match error {
                        Error::InconsistentKeys(_) => InvalidTls::KeyOfAnother,
                        Error::General(_) => InvalidTls::Key,
                        Error::InvalidCertificate(_) => InvalidTls::Certificate,
                        other => refused(other),
                    })?
            }
        };
        // Each connection verifies the broker's certificate anew: an expired one is met at the next probe.
        client.resumption = Resumption::disabled();
        Ok(Self {
            ca: ca.map(str::to_owned),
            identity,
            client: Arc::new(client),
        })
    }

    /// Whether a client certificate is presented to brokers that ask for one.
    #[must_use]
    pub fn has_identity(&self) -> bool {
        self.identity.is_some()
    }

    /// Whether a CA is given, instead of the public roots of this machine.
    #[must_use]
    pub fn has_own_ca(&self) -> bool {
        self.ca.is_some()
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        Arc::clone(&self.client).into()
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.ca == other.ca && self.identity == other.identity
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}

fn given_roots(pem: &str) -> Result<RootCertStore, InvalidTls> {
    let certificates = certificates(pem).ok_or(InvalidTls::Ca)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|_| InvalidTls::Ca)?;
    }
    Ok(roots)
}

fn machine_roots() -> Result<RootCertStore, InvalidTls> {
    let mut roots = RootCertStore::empty();
    // A bundle of public roots may hold some of an old kind; those are of no use, the others are.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(InvalidTls::NoRoots);
    }
    Ok(roots)
}

fn read_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), InvalidTls> {
    let chain = certificates(&identity.certificates).ok_or(InvalidTls::Certificate)?;
    let pem = identity.key.expose();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        if pem.contains("ENCRYPTED") {
            InvalidTls::KeyEncrypted
        } else {
            InvalidTls::Key
        }
    })?;
    Ok((chain, key))
}

/// Every certificate of a PEM text; none when there is none or one is broken.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|certificates| !certificates.is_empty())
}

#[cfg(test)]
mod tests;
