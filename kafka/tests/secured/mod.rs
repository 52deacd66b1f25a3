//! Certificates made for one test, and a TLS server in this process that hands what it decrypts to another port.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use ottla_kafka::config::{HostPort, Secret};
use ottla_kafka::tls::{Identity, Tls};

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate that is valid from one year's beginning to another's.
    pub(crate) fn issue(&self, names: &[&str], years: (i32, i32)) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        Identity {
            certificates: params.signed_by(&key, &self.0).unwrap().pem(),
            key: Secret::new(key.serialize_pem()),
        }
    }

    /// A certificate that is valid now.
    pub(crate) fn valid(&self, names: &[&str]) -> Identity {
        self.issue(names, (2020, 4000))
    }

    /// A client that trusts this authority alone.
    pub(crate) fn trusted(&self, identity: Option<Identity>) -> Tls {
        Tls::new(Some(&self.pem()), identity).unwrap()
    }
}

/// What a TLS server shows and demands.
pub(crate) struct Terms {
    pub(crate) shows: Identity,
    /// The authority that must have signed a client's certificate; none: no certificate is asked for.
    pub(crate) demands: Option<String>,
    pub(crate) version: &'static SupportedProtocolVersion,
}

impl Terms {
    fn config(&self) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[self.version])
            .unwrap();
        let builder = match &self.demands {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
                    .unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.shows.certificates.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.shows.key.expose().as_bytes()).unwrap();
        builder
            .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
            .unwrap()
    }
}

/// A server on a port of its own, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Decrypts, and hands on to the port that `upstream` names when asked.
    pub(crate) async fn tls(terms: Terms, upstream: impl Fn() -> SocketAddr + Send + Sync + 'static) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(terms.config()));
        Self::start(move |stream| {
            let (acceptor, upstream) = (acceptor.clone(), upstream());
            async move {
                let Ok(mut inner) = acceptor.accept(stream).await else {
                    return;
                };
                let mut outer = TcpStream::connect(upstream).await.unwrap();
                let _either_closed = copy_bidirectional(&mut inner, &mut outer).await;
            }
        })
        .await
    }

    /// Answers whatever comes with these bytes, and closes.
    pub(crate) async fn answering(bytes: &'static [u8]) -> Self {
        Self::start(move |mut stream| async move {
            let mut asked = [0; 64];
            let _client_gone = tokio::io::AsyncReadExt::read(&mut stream, &mut asked).await;
            let _client_gone = stream.write_all(bytes).await;
        })
        .await
    }

    async fn start<F, R>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream));
            }
        });
        Self { address, task }
    }

    /// This server by a host name or address.
    pub(crate) fn at(&self, host: &str) -> HostPort {
        HostPort {
            host: host.to_owned(),
            port: self.address.port(),
        }
    }
}
