//! What is said of a cluster, scene by scene.

use ottla_kafka::config::{HostPort, SaslMechanism};
use ottla_kafka::error::{ConnectFailure, Stage};
use ottla_kafka::types::BrokerId;
use rstest::rstest;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn listener(id: i32, result: ListenerResult) -> ListenerReport {
    ListenerReport {
        broker: BrokerId::from(id),
        advertised: format!("broker-{id}:9092").parse().unwrap(),
        rack: None,
        result,
        detail: format!("broker {id} advertises broker-{id}:9092, which is {result}"),
    }
}

fn found(results: &[ListenerResult], id: &str) -> Observed {
    let listeners = (0..)
        .zip(results)
        .map(|(id, result)| listener(id, *result))
        .collect();
    Observed::Brokers {
        listeners,
        id: Ok(ClusterId::from(id)),
    }
}

fn unreachable(cause: ConnectCause) -> Observed {
    let address: HostPort = "kafka:9092".parse().unwrap();
    Observed::NoBootstrap(KafkaError::Unreachable {
        operation: "list the brokers",
        failure: ConnectFailure { address, cause },
    })
}

#[rstest]
#[case(unreachable(ConnectCause::DnsFailed("no such host".into())), Reason::BootstrapDnsFailed)]
#[case(unreachable(ConnectCause::Refused), Reason::BootstrapRefused)]
#[case(unreachable(ConnectCause::TimedOut { after: std::time::Duration::from_secs(5), stage: Stage::Connect }), Reason::BootstrapTimedOut)]
#[case(
    unreachable(ConnectCause::WrongProtocol(ottla_kafka::error::Spoken::Http)),
    Reason::BootstrapWrongProtocol
)]
#[case(unreachable(ConnectCause::AuthenticationFailed { username: "u".into(), mechanism: SaslMechanism::Plain, message: "no".into() }), Reason::AuthenticationFailed)]
#[case(unreachable(ConnectCause::Tls(TlsFault::Untrusted { own_ca: true })), Reason::CertificateUntrusted)]
#[case(
    unreachable(ConnectCause::Tls(TlsFault::Expired(None))),
    Reason::CertificateExpired
)]
#[case(unreachable(ConnectCause::Tls(TlsFault::WrongName { host: "h".into(), presented: vec![] })), Reason::CertificateWrongHost)]
#[case(
    unreachable(ConnectCause::Tls(TlsFault::ClientCertificateRequired)),
    Reason::ClientCertificateRequired
)]
#[case(
    unreachable(ConnectCause::Tls(TlsFault::ClientCertificateRefused("expired"))),
    Reason::ClientCertificateRefused
)]
#[case(unreachable(ConnectCause::Tls(TlsFault::Other("odd".into()))), Reason::TlsFailed)]
#[case(Observed::NoCredentials(SecretProblem::NotFound("s".into())), Reason::SecretNotFound)]
#[case(found(&[ListenerResult::SelfAddress], "A"), Reason::ListenersUnreachable)]
#[case(found(&[], "A"), Reason::ListenersUnreachable)]
#[case(found(&[ListenerResult::Reachable], "B"), Reason::ClusterIdChanged)]
#[case(found(&[ListenerResult::Reachable, ListenerResult::Refused], "A"), Reason::Ready)]
fn each_cause_has_its_reason(#[case] observed: Observed, #[case] reason: Reason) {
    let known = ClusterId::from("A");
    let verdict = judge(observed, Some(&known), None);
    assert_eq!(verdict.reason, reason);
    assert_eq!(
        verdict.is_ready(),
        matches!(verdict.standing, Standing::Usable(_))
    );
    if reason != Reason::Ready {
        assert!(!verdict.message.is_empty());
    }
}

#[test]
fn a_broker_that_is_down_is_named_and_the_cluster_stays_ready() {
    let verdict = judge(
        found(&[ListenerResult::Reachable, ListenerResult::Refused], "A"),
        None,
        None,
    );
    let status = next(
        &KafkaClusterStatus::default(),
        &verdict,
        &Aside::default(),
        1,
        at(1),
    )
    .unwrap();
    assert!(conditions::is_true(&status.conditions, conditions::READY));
    let listeners = conditions::find(&status.conditions, LISTENERS_REACHABLE).unwrap();
    assert_eq!(
        (listeners.status.as_str(), listeners.reason.as_str()),
        ("False", "SomeListenersUnreachable")
    );
    assert!(listeners.message.contains("broker-1:9092"));
    assert!(!verdict.is_flawless());
}

#[test]
fn another_cluster_is_accepted_only_by_name() {
    let (known, new) = (ClusterId::from("A"), ClusterId::from("B"));
    let look = || found(&[ListenerResult::Reachable], "B");
    assert!(judge(look(), Some(&known), None).foreign);
    assert!(judge(look(), Some(&known), Some(&new)).is_ready());
    assert_eq!(
        judge(look(), Some(&new), Some(&known)).reason,
        Reason::ClusterIdChanged
    );
    let refused = judge(look(), Some(&known), None);
    let previous = KafkaClusterStatus {
        cluster_id: Some("A".into()),
        ..KafkaClusterStatus::default()
    };
    assert_eq!(
        next(&previous, &refused, &Aside::default(), 1, at(1))
            .unwrap()
            .cluster_id
            .as_deref(),
        Some("A")
    );
}

#[test]
fn the_same_look_writes_nothing() {
    let look = || judge(found(&[ListenerResult::Reachable], "A"), None, None);
    let status = next(
        &KafkaClusterStatus::default(),
        &look(),
        &Aside::default(),
        3,
        at(1),
    )
    .unwrap();
    assert_eq!(next(&status, &look(), &Aside::default(), 3, at(99)), None);
    assert!(next(&status, &look(), &Aside::default(), 4, at(99)).is_some());
}
