//! What only a real broker shows: how it refuses credentials and protocols, and how calls travel.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

// The suite itself is run by `contract.rs`; here only its way to the broker is used.
#[path = "suite/broker.rs"]
mod broker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ottla_kafka::admin::{Admin, NewTopic};
use ottla_kafka::client::KafkaAdmin;
use ottla_kafka::config::{ConnectionConfig, Sasl, SaslMechanism, Secret, Security};
use ottla_kafka::error::{ConnectCause, KafkaError, Spoken};
use ottla_kafka::observe::Observer;
use ottla_kafka::permit::Permit;
use ottla_kafka::tls::Tls;

async fn cause(config: ConnectionConfig) -> ConnectCause {
    match KafkaAdmin::new(config).describe_cluster().await.unwrap_err() {
        KafkaError::Unreachable { failure, .. } => failure.cause,
        other => panic!("not a failure to connect: {other:?}"),
    }
}

#[tokio::test]
async fn wrong_credentials_are_refused_in_the_brokers_words() {
    let Some(config) = broker::configured("wrong_credentials_are_refused_in_the_brokers_words") else {
        return;
    };
    let Some(Sasl {
        username, password, ..
    }) = config.security.sasl.clone()
    else {
        eprintln!(
            "SKIPPED wrong_credentials_are_refused_in_the_brokers_words: OTTLA_TEST_SASL names no user"
        );
        return;
    };
    for mechanism in [
        SaslMechanism::Plain,
        SaslMechanism::ScramSha256,
        SaslMechanism::ScramSha512,
    ] {
        for username in [username.clone(), "nobody".to_owned()] {
            let password = Secret::new("wrong".to_owned());
            let security = Security {
                sasl: Some(Sasl {
                    mechanism,
                    username: username.clone(),
                    password,
                }),
                ..config.security.clone()
            };
            let found = cause(ConnectionConfig {
                security,
                ..config.clone()
            })
            .await;
            let ConnectCause::AuthenticationFailed {
                username: told,
                message,
                ..
            } = &found
            else {
                panic!("{mechanism} {username}: {found:?}");
            };
            assert_eq!(*told, username);
            assert!(message.to_lowercase().contains("invalid"), "{message}");
        }
        let security = Security {
            sasl: Some(Sasl {
                mechanism,
                username: username.clone(),
                password: password.clone(),
            }),
            ..config.security.clone()
        };
        let good = KafkaAdmin::new(ConnectionConfig {
            security,
            ..config.clone()
        });
        good.describe_cluster().await.unwrap();
    }
}

#[tokio::test]
async fn a_listener_of_another_security_protocol_is_named() {
    let Some(config) = broker::configured("a_listener_of_another_security_protocol_is_named") else {
        return;
    };
    let (sasl, expected) = match config.security.sasl {
        None => {
            let (mechanism, username) = (SaslMechanism::Plain, "user1".to_owned());
            let password = Secret::new("x".to_owned());
            let sasl = Sasl {
                mechanism,
                username,
                password,
            };
            (Some(sasl), Spoken::KafkaWithoutSasl(mechanism))
        }
        Some(_) => (None, Spoken::KafkaWithSasl),
    };
    let tls = config.security.tls.clone();
    let security = Security {
        sasl,
        tls: tls.clone(),
    };
    let found = cause(ConnectionConfig {
        security,
        ..config.clone()
    })
    .await;
    assert_eq!(found, ConnectCause::WrongProtocol(expected));

    let (tls, expected) = match tls {
        None => (Some(Tls::new(None, None).unwrap()), Spoken::KafkaWithoutTls),
        Some(_) => (None, Spoken::Tls),
    };
    let security = Security {
        tls,
        sasl: config.security.sasl.clone(),
    };
    let found = cause(ConnectionConfig { security, ..config }).await;
    assert_eq!(found, ConnectCause::WrongProtocol(expected));
}

/// Counts the batches of creates, and what was in them.
#[derive(Debug, Default)]
struct Batches(Mutex<Vec<usize>>);

impl Observer for Batches {
    fn batch(&self, method: &'static str, waited: &[Duration]) {
        if method == "create_topics" {
            self.0.lock().unwrap().push(waited.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_single_creates_at_once_travel_in_a_few_requests() {
    let Some(config) = broker::configured("two_hundred_single_creates_at_once_travel_in_a_few_requests")
    else {
        return;
    };
    let batches = Arc::new(Batches::default());
    let client = KafkaAdmin::observed(config, Permit::unlimited(), batches.clone());
    let run = uuid::Uuid::new_v4().simple().to_string();
    let topic = |index: usize| NewTopic {
        name: format!("live-{run}-{index}").parse().unwrap(),
        partitions: Some(1_i32.try_into().unwrap()),
        replication_factor: Some(1_i32.try_into().unwrap()),
        config: BTreeMap::new(),
    };
    let answers =
        futures::future::join_all((0..200).map(|index| client.create_topics(vec![topic(index)]))).await;
    let created = answers.into_iter().flatten();
    let ids: BTreeSet<_> = created.map(|(_, created)| created.unwrap().id).collect();
    assert_eq!(ids.len(), 200);
    let deleted = client.delete_topics(ids).await;
    assert!(deleted.values().all(Result::is_ok));
    let batches = batches.0.lock().unwrap();
    // The first leaves alone, and while it is under way the others gather.
    assert_eq!(batches.iter().sum::<usize>(), 200);
    assert!(batches.len() <= 10, "{batches:?}");
}
