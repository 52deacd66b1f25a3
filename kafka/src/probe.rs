//! The listener probe: whether each address that brokers advertise works from here, and if not, why.

use std::fmt;

use futures::{FutureExt as _, StreamExt as _};
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::protocol::StrBytes;

use crate::admin::{Broker, Cluster};
use crate::config::{ConnectionConfig, HostPort};
use crate::error::{ConnectCause, ErrorCode, KafkaError, NoReply};
use crate::types::BrokerId;
use crate::wire::{Connection, dial};

/// How many addresses are dialled at once.
const AT_ONCE: usize = 16;

/// The protocol's number for a broker among the things that have configuration.
const BROKER: i8 = 4;

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
    /// TLS with it did not come about.
    TlsFailed,
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
            Self::TlsFailed => "TlsFailed",
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

/// Dials every broker's advertised address.
pub(crate) async fn probe(cluster: &Cluster, config: &ConnectionConfig) -> Vec<ListenerReport> {
    let mut probes = Vec::new();
    for broker in &cluster.brokers {
        probes.push(probe_one(cluster, broker, config).boxed());
    }
    let mut reports: Vec<ListenerReport> = futures::stream::iter(probes)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    reports.sort_by_key(|report| report.broker);
    reports
}

async fn probe_one(cluster: &Cluster, broker: &Broker, config: &ConnectionConfig) -> ListenerReport {
    let (mut result, mut finding) = match dial(&broker.advertised, config).await {
        Ok(connection) => identify(cluster, broker.id, &connection).await,
        Err(failure) => (result_of(&failure.cause), format!("which {}", failure.cause)),
    };
    // Who answers as Kafka with these credentials, or shows a certificate, is told by that, wherever it is.
    let answered = matches!(
        result,
        ListenerResult::Reachable
            | ListenerResult::TlsFailed
            | ListenerResult::AuthenticationFailed
            | ListenerResult::WrongBroker
    );
    if !answered && means_this_machine(&broker.advertised, config).await {
        let here = config.seen_from;
        result = ListenerResult::SelfAddress;
        finding = format!(
            "which from this {here} is the {here} itself; set its advertised.listeners to an address that every \
             client can resolve and reach"
        );
    }
    ListenerReport {
        broker: broker.id,
        advertised: broker.advertised.clone(),
        rack: broker.rack.clone(),
        result,
        detail: format!("broker {} advertises {}, {finding}", broker.id, broker.advertised),
    }
}

/// Whether it is the right broker that answers: of the right cluster, and it does not refuse its own id.
async fn identify(cluster: &Cluster, broker: BrokerId, connection: &Connection) -> (ListenerResult, String) {
    let found = &connection.hello().cluster.id;
    if *found != cluster.id {
        let other = format!("where cluster {found} answers instead of {}", cluster.id);
        return (ListenerResult::WrongBroker, other);
    }
    let resource = DescribeConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(StrBytes::from_string(broker.to_string()))
        .with_configuration_keys(Some(vec![StrBytes::from_static_str("node.id")]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let refusal = match connection.call("describe the broker", &request).await {
        Ok(reply) => reply
            .results
            .into_iter()
            .find(|result| ErrorCode::from(result.error_code) == ErrorCode::INVALID_REQUEST)
            .map(|result| result.error_message),
        Err(KafkaError::NoReply { cause, .. }) => {
            let result = match cause {
                NoReply::TimedOut(_) => ListenerResult::TimedOut,
                NoReply::Closed(_) | NoReply::Malformed(_) => ListenerResult::Refused,
            };
            return (result, format!("which {cause}"));
        }
        Err(_) => None,
    };
    match refusal {
        // A broker asked for another's configuration says so. One that denies the question proves nothing.
        Some(message) => {
            let words = message.map(|text| format!(" ({text})")).unwrap_or_default();
            (
                ListenerResult::WrongBroker,
                format!("where another broker answers{words}"),
            )
        }
        None => (ListenerResult::Reachable, "which works".to_owned()),
    }
}

fn result_of(cause: &ConnectCause) -> ListenerResult {
    match cause {
        ConnectCause::DnsFailed(_) => ListenerResult::DnsFailed,
        ConnectCause::Refused | ConnectCause::Closed(_) | ConnectCause::Network(_) => ListenerResult::Refused,
        ConnectCause::TimedOut { .. } => ListenerResult::TimedOut,
        ConnectCause::WrongProtocol(_) | ConnectCause::TooOld(_) => ListenerResult::WrongProtocol,
        ConnectCause::Tls(fault) if fault.is_about_client() => ListenerResult::AuthenticationFailed,
        ConnectCause::Tls(_) => ListenerResult::TlsFailed,
        ConnectCause::AuthenticationFailed { .. } => ListenerResult::AuthenticationFailed,
        ConnectCause::WrongCluster { .. } => ListenerResult::WrongBroker,
    }
}

/// Whether every address of the name leads back to where we are. A name that is not resolved in time does not.
async fn means_this_machine(address: &HostPort, config: &ConnectionConfig) -> bool {
    let lookup = tokio::net::lookup_host((address.host.as_str(), address.port));
    let Ok(Ok(found)) = tokio::time::timeout(config.timeouts.connect, lookup).await else {
        return false;
    };
    let mut found = found.peekable();
    found.peek().is_some() && found.all(|address| address.ip().is_loopback() || address.ip().is_unspecified())
}
