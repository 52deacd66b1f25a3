//! Makes a connection: resolve, connect, negotiate, authenticate, ask once. Every failure names what went wrong.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest};
use kafka_protocol::protocol::StrBytes;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use super::api::Call;
use super::connection::{CallFailure, Connection, Hello, Pace, Versions, exchange};
use super::link::{Link, LinkClosed};
use super::tls::{self, NoTls};
use crate::admin::Cluster;
use crate::config::{ConnectionConfig, HostPort};
use crate::error::{ConnectCause, ConnectFailure, Spoken, Stage, TlsFault};
use crate::tls::Tls;
use crate::{metadata, sasl};

/// Kafka's answer to a request version that it does not have.
const UNSUPPORTED_VERSION: i16 = 35;

/// Makes a connection to one address, within the configured time for all of it.
pub(crate) async fn dial(
    address: &HostPort,
    config: &ConnectionConfig,
) -> Result<Connection, ConnectFailure> {
    let dialling = Dialling {
        address,
        config,
        client_id: StrBytes::from_string(config.client_id.clone()),
        deadline: Instant::now() + config.timeouts.connect,
    };
    dialling.run().await.map_err(|cause| ConnectFailure {
        address: address.clone(),
        cause,
    })
}

pub(crate) struct Dialling<'a> {
    address: &'a HostPort,
    pub(crate) config: &'a ConnectionConfig,
    pub(crate) client_id: StrBytes,
    deadline: Instant,
}

impl Dialling<'_> {
    async fn run(&self) -> Result<Connection, ConnectCause> {
        let (link, versions) = self.open().await?;
        let session = sasl::authenticate(self, &link, &versions).await?;
        let hello = match self.ask(&link, &versions).await {
            Err(ConnectCause::TimedOut { .. } | ConnectCause::Closed(_))
                if self.config.security.sasl.is_none() && self.wants_sasl().await =>
            {
                Err(ConnectCause::WrongProtocol(Spoken::KafkaWithSasl))
            }
            other => other,
        }?;
        let now = Instant::now();
        Ok(Connection {
            address: self.address.clone(),
            client_id: self.client_id.clone(),
            request_timeout: self.config.timeouts.request,
            link,
            versions,
            hello,
            renew_at: session.map(|lifetime| now + lifetime * 3 / 4),
            pace: Mutex::new(Pace {
                last_use: now,
                hold_until: now,
            }),
        })
    }

    /// Resolves, connects, encrypts if configured, and asks for versions.
    async fn open(&self) -> Result<(Link, Versions), ConnectCause> {
        let stream = self.connect().await?;
        let link = match &self.config.security.tls {
            None => Link::start(stream),
            Some(tls) => Link::start(self.encrypt(stream, tls).await?),
        };
        self.greet(link).await
    }

    async fn encrypt(&self, stream: TcpStream, tls: &Tls) -> Result<TlsStream<TcpStream>, ConnectCause> {
        let handshake = tls::shake_hands(stream, &self.address.host, tls);
        let unheard = match timeout_at(self.deadline, handshake).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(NoTls::Fault(fault))) => return Err(ConnectCause::Tls(fault)),
            Ok(Err(NoTls::Unheard(what))) => ConnectCause::Tls(TlsFault::Other(what)),
            Err(_) => self.timed_out(Stage::Handshake),
        };
        Err(match self.spoken_instead_of_tls().await {
            Some(spoken) => ConnectCause::WrongProtocol(spoken),
            None => unheard,
        })
    }

    /// What the other side, which did not answer TLS with TLS, speaks. Nothing of value is told to it.
    async fn spoken_instead_of_tls(&self) -> Option<Spoken> {
        let again = self.again();
        let stream = again.connect().await.ok()?;
        match again.greet(Link::start(stream)).await {
            Ok(_) => Some(Spoken::KafkaWithoutTls),
            Err(ConnectCause::WrongProtocol(Spoken::Tls)) => None,
            Err(ConnectCause::WrongProtocol(spoken)) => Some(spoken),
            Err(_) => None,
        }
    }

    /// Asks for versions. Brokers answer that before any authentication.
    async fn greet(&self, link: Link) -> Result<(Link, Versions), ConnectCause> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("ottla"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let newest = 3;
        let reply = match self.call_versions(&link, &request, newest).await {
            // A broker without version 3 answers with version 0's body, which no longer has version 3's shape.
            Err(VersionsFailure::OldBroker) => self.call_versions(&link, &request, 0).await,
            other => other,
        };
        match reply {
            Ok(reply) if reply.error_code == 0 => Ok((link, Versions::new(&reply))),
            Ok(_) | Err(VersionsFailure::OldBroker) => Err(ConnectCause::WrongProtocol(Spoken::Other(
                "an error to the question for versions".to_owned(),
            ))),
            Err(VersionsFailure::Failed(cause)) => Err(cause),
        }
    }

    async fn call_versions(
        &self,
        link: &Link,
        request: &ApiVersionsRequest,
        version: i16,
    ) -> Result<ApiVersionsResponse, VersionsFailure> {
        let frame = super::connection::request_frame(&self.client_id, request, version)
            .map_err(|reason| VersionsFailure::Failed(ConnectCause::Network(reason)))?;
        let reply = link
            .exchange(
                |correlation| super::connection::with_correlation(frame, correlation),
                <ApiVersionsRequest as Call>::CHANGES,
                self.left(),
            )
            .await
            .map_err(|unanswered| VersionsFailure::Failed(self.explain(unanswered.cause, Stage::Versions)))?;
        let refused = reply.get(4..6) == Some(&UNSUPPORTED_VERSION.to_be_bytes());
        if version > 0 && refused {
            return Err(VersionsFailure::OldBroker);
        }
        super::connection::read_reply::<ApiVersionsRequest>(reply.clone(), version)
            .map_err(|_| VersionsFailure::Failed(ConnectCause::WrongProtocol(Spoken::Other(hex(&reply)))))
    }

    async fn connect(&self) -> Result<TcpStream, ConnectCause> {
        let timed_out = |_| self.timed_out(Stage::Connect);
        let lookup = tokio::net::lookup_host((self.address.host.as_str(), self.address.port));
        let addresses: Vec<SocketAddr> = timeout_at(self.deadline, lookup)
            .await
            .map_err(timed_out)?
            .map_err(|error| ConnectCause::DnsFailed(error.to_string()))?
            .collect();
        let mut failure = ConnectCause::DnsFailed("the name has no address".to_owned());
        for (tried, address) in addresses.iter().enumerate() {
            // What is left is shared among the addresses not yet tried.
            let share = self.left() / u32::try_from(addresses.len() - tried).unwrap_or(1);
            failure = match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream
                        .set_nodelay(true)
                        .map_err(|error| ConnectCause::Network(error.to_string()))?;
                    return Ok(stream);
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    ConnectCause::Refused
                }
                Ok(Err(error)) => ConnectCause::Network(error.to_string()),
                Err(_) => self.timed_out(Stage::Connect),
            };
        }
        Err(failure)
    }

    /// The first question: a connection that cannot answer it is of no use. No topic is asked for.
    async fn ask(&self, link: &Link, versions: &Versions) -> Result<Hello, ConnectCause> {
        let request = MetadataRequest::default()
            .with_topics(Some(Vec::new()))
            .with_allow_auto_topic_creation(false);
        let version = versions
            .negotiate::<MetadataRequest>()
            .map_err(ConnectCause::TooOld)?;
        let reply = exchange(link, &self.client_id, &request, version, self.left())
            .await
            .map_err(|failure| self.explain_call(failure, Stage::FirstRequest))?;
        let cluster: Cluster = metadata::cluster(&reply).map_err(ConnectCause::Network)?;
        Ok(Hello { cluster })
    }

    /// The same once more, with half the time, to find out why it failed.
    fn again(&self) -> Self {
        Dialling {
            deadline: Instant::now() + self.config.timeouts.connect / 2,
            client_id: self.client_id.clone(),
            ..*self
        }
    }

    /// Whether the listener, silent to a plain request, answers one that starts authentication.
    async fn wants_sasl(&self) -> bool {
        let again = self.again();
        match again.open().await {
            Ok((link, versions)) => sasl::is_offered(&again, &link, &versions).await,
            Err(_) => false,
        }
    }

    /// The time left for all of it.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn timed_out(&self, stage: Stage) -> ConnectCause {
        ConnectCause::TimedOut {
            after: self.config.timeouts.connect,
            stage,
        }
    }

    pub(crate) fn explain_call(&self, failure: CallFailure, stage: Stage) -> ConnectCause {
        match failure {
            CallFailure::CannotEncode(reason) => ConnectCause::Network(reason),
            CallFailure::Unanswered(unanswered) => self.explain(unanswered.cause, stage),
        }
    }

    fn explain(&self, cause: LinkClosed, stage: Stage) -> ConnectCause {
        match cause {
            LinkClosed::TimedOut(_) => self.timed_out(stage),
            LinkClosed::Ended(_) => ConnectCause::Closed(stage),
            LinkClosed::Alert(alert) => {
                let identity = self.config.security.tls.as_ref().is_some_and(Tls::has_identity);
                ConnectCause::Tls(tls::refused(alert, identity))
            }
            LinkClosed::NotAFrame(first) => ConnectCause::WrongProtocol(spoken(first)),
            LinkClosed::Malformed(what) => ConnectCause::WrongProtocol(Spoken::Other(what)),
            LinkClosed::Withheld => {
                ConnectCause::Network("the right to change anything has ended".to_owned())
            }
        }
    }
}

enum VersionsFailure {
    OldBroker,
    Failed(ConnectCause),
}

/// What a server that answers with these bytes speaks.
fn spoken(first: [u8; 4]) -> Spoken {
    match &first {
        // A TLS record: alert or handshake, then the protocol's major version.
        [0x15 | 0x16, 0x03, ..] => Spoken::Tls,
        b"HTTP" => Spoken::Http,
        _ => Spoken::Other(hex(&first)),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .take(8)
        .fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x} ");
            text
        })
        .trim_end()
        .to_owned()
}

/// The bytes of a SASL exchange.
pub(crate) type Token = Bytes;
