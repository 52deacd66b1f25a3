//! Every way in which TLS with a broker fails, and that each is told apart from the others and from a missing topic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "what only `robustness.rs` needs of it")]
mod scripted;
mod secured;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use rstest::rstest;
use tokio_rustls::rustls::SupportedProtocolVersion;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use ottla_kafka::admin::Admin;
use ottla_kafka::client::KafkaAdmin;
use ottla_kafka::config::{ConnectionConfig, HostPort, Security};
use ottla_kafka::error::{Class, ConnectCause, KafkaError, Spoken, TlsFault};
use ottla_kafka::probe::ListenerResult;
use ottla_kafka::tls::{Identity, Tls};

use scripted::{Reaction, ScriptedBroker, body, metadata};
use secured::{Authority, Server, Terms};

/// A broker behind TLS that advertises the TLS server's port, on the host name given.
struct Broker {
    front: Server,
    _behind: ScriptedBroker,
}

impl Broker {
    async fn start(terms: Terms, advertised: &'static str) -> Self {
        let behind = Arc::new(OnceLock::new());
        let upstream = Arc::clone(&behind);
        let front = Server::tls(terms, move || *upstream.get().unwrap()).await;
        let port = front.address.port();
        let broker = ScriptedBroker::start(move |seen| async move {
            if seen.key != ApiKey::Metadata {
                return Reaction::Proper;
            }
            Reaction::Reply(body(&metadata(&seen, "cluster", advertised, port), seen.version))
        })
        .await;
        behind.set(broker.address).unwrap();
        Self {
            front,
            _behind: broker,
        }
    }
}

fn client(address: HostPort, tls: Option<Tls>) -> KafkaAdmin {
    let security = Security { tls, sasl: None };
    let mut config = ConnectionConfig::new(vec![address], security);
    config.timeouts.connect = Duration::from_secs(5);
    config.timeouts.request = Duration::from_secs(5);
    config.timeouts.operation = Duration::from_secs(20);
    KafkaAdmin::new(config)
}

async fn cause(client: &KafkaAdmin) -> ConnectCause {
    match client.describe_cluster().await.unwrap_err() {
        KafkaError::Unreachable { failure, .. } => failure.cause,
        other => panic!("not a failure to connect: {other:?}"),
    }
}

fn terms(shows: Identity) -> Terms {
    Terms {
        shows,
        demands: None,
        version: &TLS13,
    }
}

#[rstest]
#[case::tls12(&TLS12)]
#[case::tls13(&TLS13)]
#[tokio::test]
async fn a_client_certificate_is_presented_to_who_asks(#[case] version: &'static SupportedProtocolVersion) {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let stranger = Authority::new();
    let terms = Terms {
        shows: theirs.valid(&["localhost"]),
        demands: Some(ours.pem()),
        version,
    };
    let broker = Broker::start(terms, "localhost").await;
    let with = |identity| client(broker.front.at("localhost"), Some(theirs.trusted(identity)));
    with(Some(ours.valid(&["me"]))).describe_cluster().await.unwrap();
    assert_eq!(
        cause(&with(None)).await,
        ConnectCause::Tls(TlsFault::ClientCertificateRequired)
    );
    for refused in [stranger.valid(&["me"]), ours.issue(&["me"], (2020, 2021))] {
        let found = cause(&with(Some(refused))).await;
        assert!(
            matches!(&found, ConnectCause::Tls(TlsFault::ClientCertificateRefused(_))),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_good_certificate_is_trusted_by_name_and_by_address() {
    let authority = Authority::new();
    let broker = Broker::start(terms(authority.valid(&["localhost", "127.0.0.1"])), "127.0.0.1").await;
    for host in ["localhost", "127.0.0.1"] {
        let client = client(broker.front.at(host), Some(authority.trusted(None)));
        assert_eq!(client.describe_cluster().await.unwrap().id.as_str(), "cluster");
        assert_eq!(
            client.probe_listeners().await.unwrap()[0].advertised.host,
            "127.0.0.1"
        );
    }
}

#[tokio::test]
async fn each_fault_of_a_brokers_certificate_is_named() {
    let authority = Authority::new();
    let trusting = || authority.trusted(None);
    let try_one = |shows: Identity, tls: Tls| async move {
        let broker = Broker::start(terms(shows), "localhost").await;
        let client = client(broker.front.at("localhost"), Some(tls));
        let ConnectCause::Tls(fault) = cause(&client).await else {
            panic!("TLS did not fail")
        };
        fault
    };
    let valid = || authority.valid(&["localhost"]);
    assert_eq!(
        try_one(valid(), Authority::new().trusted(None)).await,
        TlsFault::Untrusted { own_ca: true }
    );
    assert_eq!(
        try_one(valid(), Tls::new(None, None).unwrap()).await,
        TlsFault::Untrusted { own_ca: false }
    );
    let expired = try_one(authority.issue(&["localhost"], (2019, 2020)), trusting()).await;
    assert!(expired.to_string().contains(" d ago"), "{expired}");
    assert_eq!(
        try_one(authority.issue(&["localhost"], (3000, 3001)), trusting()).await,
        TlsFault::NotYetValid
    );
    let presented = vec!["kafka.example".to_owned(), "10.0.0.1".to_owned()];
    assert_eq!(
        try_one(authority.valid(&["kafka.example", "10.0.0.1"]), trusting()).await,
        TlsFault::WrongName {
            host: "localhost".to_owned(),
            presented,
        }
    );
}

#[tokio::test]
async fn tls_on_a_port_without_it_says_what_is_spoken_there() {
    let tls = || Some(Authority::new().trusted(None));
    // Waits for more of what it takes for a very long request.
    let silent = ScriptedBroker::start(|_| async { Reaction::Proper }).await;
    let address = HostPort {
        host: "127.0.0.1".to_owned(),
        port: silent.address.port(),
    };
    assert_eq!(
        cause(&client(address, tls())).await,
        ConnectCause::WrongProtocol(Spoken::KafkaWithoutTls)
    );
    let http = Server::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_eq!(
        cause(&client(http.at("127.0.0.1"), tls())).await,
        ConnectCause::WrongProtocol(Spoken::Http)
    );
    let closing = Server::answering(b"").await;
    assert!(matches!(
        cause(&client(closing.at("127.0.0.1"), tls())).await,
        ConnectCause::Tls(TlsFault::Other(_))
    ));
}

#[tokio::test]
async fn an_https_port_is_told_from_kafka() {
    let authority = Authority::new();
    let http = Server::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let behind = http.address;
    let https = Server::tls(terms(authority.valid(&["localhost"])), move || behind).await;
    assert_eq!(
        cause(&client(https.at("localhost"), Some(authority.trusted(None)))).await,
        ConnectCause::WrongProtocol(Spoken::Http)
    );
}

#[tokio::test]
async fn a_tls_port_without_tls_is_named() {
    let broker = Broker::start(terms(Authority::new().valid(&["localhost"])), "localhost").await;
    assert_eq!(
        cause(&client(broker.front.at("localhost"), None)).await,
        ConnectCause::WrongProtocol(Spoken::Tls)
    );
}

#[tokio::test]
async fn a_tls_failure_is_no_missing_topic() {
    let broker = Broker::start(terms(Authority::new().valid(&["localhost"])), "localhost").await;
    let client = client(broker.front.at("localhost"), Some(Authority::new().trusted(None)));
    let name = "orders".parse().unwrap();
    let answers = client.describe_topics(BTreeSet::from([name])).await;
    let error = answers.into_values().next().unwrap().unwrap_err();
    assert_eq!((error.code(), error.class()), (None, Class::SlowRetry));
    assert!(error.is_connection());
}

#[tokio::test]
async fn an_advertised_name_that_the_certificate_lacks_is_told_by_the_probe() {
    let authority = Authority::new();
    let broker = Broker::start(terms(authority.valid(&["localhost"])), "127.0.0.1").await;
    let client = client(broker.front.at("localhost"), Some(authority.trusted(None)));
    let report = client.probe_listeners().await.unwrap().remove(0);
    assert_eq!(report.result, ListenerResult::TlsFailed);
    let (port, detail) = (broker.front.address.port(), &report.detail);
    let expected =
        format!("broker 0 advertises 127.0.0.1:{port}, which presents a certificate for localhost, not for");
    assert!(
        detail.starts_with(&expected) && detail.contains("subject alternative names"),
        "{detail}"
    );
}
