//! What a broker, a proxy or a stranger on the port may send, and that every call still ends, with a true answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod scripted;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use rstest::rstest;
use tokio::sync::Notify;

use ottla_kafka::admin::{Admin, NewTopic};
use ottla_kafka::client::KafkaAdmin;
use ottla_kafka::error::{Class, ConnectCause, ErrorCode, KafkaError, NoReply, Spoken, Stage};
use ottla_kafka::permit::Permit;
use ottla_kafka::probe::ListenerResult;
use ottla_kafka::types::TopicName;

use scripted::{Reaction, ScriptedBroker, Seen, body, created, framed, metadata, versions};

fn name(name: &str) -> TopicName {
    name.parse().unwrap()
}

fn topic(topic: &str) -> NewTopic {
    NewTopic {
        name: name(topic),
        partitions: None,
        replication_factor: None,
        config: BTreeMap::new(),
    }
}

/// A question about a topic, as opposed to the one that every new connection is asked.
fn is_question(seen: &Seen) -> bool {
    seen.key == ApiKey::Metadata && seen.body.windows(8).any(|window| window == b"question")
}

fn cause<T: std::fmt::Debug>(answer: Result<T, KafkaError>) -> ConnectCause {
    match answer.unwrap_err() {
        KafkaError::Unreachable { failure, .. } => failure.cause,
        other => panic!("not a failure to connect: {other:?}"),
    }
}

#[rstest]
#[case::tls_alert(b"\x15\x03\x03\x00\x02\x02\x46", Spoken::Tls)]
#[case::tls_handshake(b"\x16\x03\x01\x00\x05hello", Spoken::Tls)]
#[case::http(b"HTTP/1.1 400 Bad Request\r\n\r\n", Spoken::Http)]
#[case::ssh(b"SSH-2.0-OpenSSH_9.6\r\n", Spoken::Other("53 53 48 2d".to_owned()))]
#[case::negative_length(b"\xff\xff\xff\xff", Spoken::Other("ff ff ff ff".to_owned()))]
#[tokio::test]
async fn a_stranger_on_the_port_is_named(#[case] bytes: &'static [u8], #[case] spoken: Spoken) {
    let broker = ScriptedBroker::start(move |_| async move { Reaction::RawThenClose(bytes.to_vec()) }).await;
    assert_eq!(
        cause(broker.client().describe_cluster().await),
        ConnectCause::WrongProtocol(spoken)
    );
}

#[tokio::test]
async fn silence_and_a_close_are_told_apart() {
    let silent = ScriptedBroker::start(|_| async { Reaction::Silence }).await;
    let found = cause(silent.client().describe_cluster().await);
    assert!(
        matches!(
            found,
            ConnectCause::TimedOut {
                stage: Stage::Versions,
                ..
            }
        ),
        "{found:?}"
    );
    let closing = ScriptedBroker::start(|_| async { Reaction::RawThenClose(vec![]) }).await;
    assert_eq!(
        cause(closing.client().describe_cluster().await),
        ConnectCause::Closed(Stage::Versions)
    );
    let address = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = ottla_kafka::config::HostPort {
        host: address.ip().to_string(),
        port: address.port(),
    };
    let config = ottla_kafka::config::ConnectionConfig {
        bootstrap: vec![gone],
        ..silent.config()
    };
    let client = KafkaAdmin::new(config);
    assert_eq!(cause(client.describe_cluster().await), ConnectCause::Refused);
}

#[tokio::test]
async fn a_bootstrap_address_that_is_silent_is_asked_over_another_connection_too() {
    let script = |seen: Seen| async move {
        if seen.connection == 0 {
            Reaction::Silence
        } else {
            Reaction::Proper
        }
    };
    let broker = ScriptedBroker::start(script).await;
    let found = broker.client().describe_cluster().await.unwrap();
    assert_eq!(found.id.as_str(), "cluster");
    let greetings = broker.seen(ApiKey::ApiVersions);
    assert_eq!(greetings.len(), 2, "{greetings:?}");
}

#[tokio::test]
async fn an_old_brokers_answer_about_versions_is_read() {
    let broker = ScriptedBroker::start(|seen| async move {
        match (seen.key, seen.version) {
            (ApiKey::ApiVersions, 0) => Reaction::Proper,
            (ApiKey::ApiVersions, _) => Reaction::Raw(framed(
                &seen,
                seen.correlation,
                &body(&versions().with_error_code(35), 0),
            )),
            _ => Reaction::Proper,
        }
    })
    .await;
    assert_eq!(
        broker.client().describe_cluster().await.unwrap().id.as_str(),
        "cluster"
    );
}

#[tokio::test]
async fn a_call_the_broker_is_too_old_for_says_so() {
    let broker = ScriptedBroker::start(|seen| async move {
        if seen.key != ApiKey::ApiVersions {
            return Reaction::Proper;
        }
        let mut old: ApiVersionsResponse = versions();
        for key in &mut old.api_keys {
            if key.api_key == ApiKey::CreateTopics as i16 {
                key.max_version = 5;
            }
        }
        Reaction::Reply(body(&old, seen.version))
    })
    .await;
    let error = broker
        .client()
        .create_topics(vec![topic("a")])
        .await
        .remove(&name("a"))
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(
            error,
            KafkaError::Unsupported {
                api: "CreateTopics",
                needed: 7,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.class(), Class::Terminal);
}

/// Metadata replies that cannot be believed.
#[rstest]
#[case::count_of_i32_max(|seen: &Seen| framed(seen, seen.correlation, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x07]))]
#[case::cut_inside(|seen: &Seen| framed(seen, seen.correlation, &[0, 0, 0, 0, 2, 0, 0]))]
#[case::nothing(|seen: &Seen| framed(seen, seen.correlation, &[]))]
#[case::bytes_too_many(|seen: &Seen| {
    let mut reply = body(&metadata(seen, "cluster", "127.0.0.1", 1), seen.version).to_vec();
    reply.push(0);
    framed(seen, seen.correlation, &reply)
})]
#[case::another_requests_reply(|seen: &Seen| {
    framed(seen, seen.correlation + 1, &body(&metadata(seen, "cluster", "127.0.0.1", 1), seen.version))
})]
#[case::length_above_the_cap(|_: &Seen| vec![0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])]
#[case::length_below_an_id(|_: &Seen| vec![0, 0, 0, 2, 0, 0])]
#[tokio::test]
async fn a_reply_that_cannot_be_read_fails_that_call_only(#[case] reply: fn(&Seen) -> Vec<u8>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let broker = ScriptedBroker::start(move |seen| {
        let first = is_question(&seen) && asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                Reaction::Raw(reply(&seen))
            } else {
                Reaction::Proper
            }
        }
    })
    .await;
    let client = broker.client();
    let question = name("question");
    let error = client
        .describe_topics([question.clone()].into())
        .await
        .remove(&question)
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(
            error,
            KafkaError::NoReply {
                cause: NoReply::Malformed(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        client.describe_topics([question.clone()].into()).await[&question],
        Ok(None)
    );
    let questions: Vec<Seen> = broker
        .seen(ApiKey::Metadata)
        .into_iter()
        .filter(is_question)
        .collect();
    assert_ne!(
        questions[0].connection, questions[1].connection,
        "the connection was given up"
    );
}

#[tokio::test]
async fn a_late_reply_meets_no_other_request() {
    let (release, asked) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let held = Arc::clone(&release);
    let broker = ScriptedBroker::start(move |seen| {
        let first = is_question(&seen) && asked.fetch_add(1, Ordering::SeqCst) == 0;
        let held = Arc::clone(&held);
        async move {
            if first {
                held.notified().await;
            }
            Reaction::Proper
        }
    })
    .await;
    let client = broker.client();
    let question = name("question-1");
    let error = client
        .describe_topics([question.clone()].into())
        .await
        .remove(&question)
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(
            error,
            KafkaError::NoReply {
                cause: NoReply::TimedOut(_),
                ..
            }
        ),
        "{error:?}"
    );
    release.notify_one();
    let second = name("question-2");
    assert_eq!(
        client.describe_topics([second.clone()].into()).await[&second],
        Ok(None)
    );
}

#[tokio::test]
async fn a_change_without_a_reply_is_ambiguous_and_not_repeated() {
    let broker = ScriptedBroker::start(|seen| async move {
        match seen.key {
            ApiKey::CreateTopics => Reaction::RawThenClose(vec![0, 0, 0, 40, 0, 0]),
            _ => Reaction::Proper,
        }
    })
    .await;
    let error = broker
        .client()
        .create_topics(vec![topic("a")])
        .await
        .remove(&name("a"))
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(
            error,
            KafkaError::NoReply {
                cause: NoReply::Closed(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.class(), Class::Ambiguous);
    assert_eq!(broker.seen(ApiKey::CreateTopics).len(), 1);
}

#[tokio::test]
async fn a_change_leaves_only_while_the_permit_holds_and_a_question_always() {
    let broker = ScriptedBroker::start(|_| async { Reaction::Proper }).await;
    let permit = Permit::unlimited();
    let client = KafkaAdmin::under(broker.config(), permit.clone());
    let answers = client.create_topics(vec![topic("a")]).await;
    assert!(answers[&name("a")].is_ok(), "{answers:?}");

    permit.end();
    let error = client.create_topics(vec![topic("b")]).await[&name("b")]
        .clone()
        .unwrap_err();
    assert!(matches!(error, KafkaError::NotPermitted { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Retriable);
    assert!(!error.is_connection());
    let question = name("question");
    assert_eq!(
        client.describe_topics([question.clone()].into()).await[&question],
        Ok(None)
    );
    let sent = broker.seen(ApiKey::CreateTopics);
    assert_eq!(sent.iter().map(Seen::created).collect::<Vec<_>>(), [["a"]]);
}

#[tokio::test]
async fn a_permit_that_ends_while_a_change_waits_for_its_turn_keeps_it_unsent() {
    let permit = Permit::unlimited();
    let go = Arc::new(Notify::new());
    let answer = go.clone();
    let broker = ScriptedBroker::start(move |seen| {
        let answer = answer.clone();
        async move {
            if seen.key == ApiKey::CreateTopics {
                answer.notified().await;
            }
            Reaction::Proper
        }
    })
    .await;
    let client = KafkaAdmin::under(broker.config(), permit.clone());
    let second = async {
        while broker.seen(ApiKey::CreateTopics).is_empty() {
            tokio::task::yield_now().await;
        }
        // It fills the next request while the first is in flight.
        let mut second = client.create_topics(vec![topic("b")]);
        assert!(futures::poll!(&mut second).is_pending());
        permit.end();
        go.notify_one();
        second.await
    };
    let (first, second) = tokio::join!(client.create_topics(vec![topic("a")]), second);
    assert!(first[&name("a")].is_ok(), "{first:?}");
    assert!(
        matches!(second[&name("b")], Err(KafkaError::NotPermitted { .. })),
        "{second:?}"
    );
    let sent = broker.seen(ApiKey::CreateTopics);
    assert_eq!(sent.iter().map(Seen::created).collect::<Vec<_>>(), [["a"]]);
}

#[tokio::test]
async fn a_question_is_asked_again_when_the_connection_breaks() {
    let asked = Arc::new(AtomicUsize::new(0));
    let broker = ScriptedBroker::start(move |seen| {
        let first = is_question(&seen) && asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                Reaction::RawThenClose(vec![])
            } else {
                Reaction::Proper
            }
        }
    })
    .await;
    let question = name("question");
    assert_eq!(
        broker.client().describe_topics([question.clone()].into()).await[&question],
        Ok(None)
    );
}

#[tokio::test]
async fn what_kafka_throttles_is_sent_again_and_nothing_else() {
    let sent = Arc::new(AtomicUsize::new(0));
    let broker = ScriptedBroker::start(move |seen| {
        let first = seen.key == ApiKey::CreateTopics && sent.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            match seen.key {
                ApiKey::CreateTopics => created(&seen, |name| if first && name == "b" { 89 } else { 0 }),
                _ => Reaction::Proper,
            }
        }
    })
    .await;
    let answers = broker.client().create_topics(vec![topic("a"), topic("b")]).await;
    assert!(answers.values().all(Result::is_ok), "{answers:?}");
    let requests: Vec<_> = broker
        .seen(ApiKey::CreateTopics)
        .iter()
        .map(Seen::created)
        .collect();
    assert_eq!(requests, [vec!["a", "b"], vec!["b"]]);
}

#[tokio::test]
async fn a_batch_refused_whole_is_split_until_the_culprit_stands_alone() {
    let broker = ScriptedBroker::start(|seen| async move {
        match seen.key {
            ApiKey::CreateTopics => {
                let spoiled = seen.created().contains(&"bad".to_owned());
                created(&seen, |_| {
                    if spoiled {
                        ErrorCode::POLICY_VIOLATION.get()
                    } else {
                        0
                    }
                })
            }
            _ => Reaction::Proper,
        }
    })
    .await;
    let answers = broker
        .client()
        .create_topics(["a", "b", "bad", "c"].map(topic).to_vec())
        .await;
    let refused: Vec<&str> = answers
        .iter()
        .filter(|(_, answer)| answer.is_err())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(refused, ["bad"]);
}

#[tokio::test]
async fn a_change_of_controller_is_followed() {
    let sent = Arc::new(AtomicUsize::new(0));
    let broker = ScriptedBroker::start(move |seen| {
        let first = seen.key == ApiKey::CreateTopics && sent.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            match seen.key {
                ApiKey::CreateTopics => created(&seen, |_| if first { 41 } else { 0 }),
                _ => Reaction::Proper,
            }
        }
    })
    .await;
    assert!(broker.client().create_topics(vec![topic("a")]).await[&name("a")].is_ok());
}

#[tokio::test]
async fn creates_that_arrive_during_a_create_share_the_next_request() {
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, held) = (Arc::clone(&arrived), Arc::clone(&release));
    let broker = ScriptedBroker::start(move |seen| {
        let (tell, held) = (Arc::clone(&tell), Arc::clone(&held));
        async move {
            if seen.key == ApiKey::CreateTopics && seen.created() == ["first"] {
                tell.notify_one();
                held.notified().await;
            }
            Reaction::Proper
        }
    })
    .await;
    let client = broker.client();
    let first = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.create_topics(vec![topic("first")]).await }
    });
    arrived.notified().await;
    let others = (0..50).map(|i| client.create_topics(vec![topic(&format!("next-{i}"))]));
    let others = futures::future::join_all(others);
    let mut others = std::pin::pin!(others);
    assert!(futures::poll!(&mut others).is_pending());
    release.notify_one();
    assert!(
        others
            .await
            .iter()
            .all(|answers| answers.values().all(Result::is_ok))
    );
    assert!(first.await.unwrap().values().all(Result::is_ok));
    assert_eq!(broker.seen(ApiKey::CreateTopics).len(), 2);
}

#[tokio::test]
async fn nothing_is_asked_of_bootstrap_when_the_advertised_address_fails() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let broker = ScriptedBroker::start(move |seen| async move {
        match seen.key {
            ApiKey::Metadata => Reaction::Reply(body(
                &metadata(&seen, "cluster", "localhost", unused),
                seen.version,
            )),
            _ => Reaction::Proper,
        }
    })
    .await;
    let client = broker.client();
    let error = client
        .create_topics(vec![topic("a")])
        .await
        .remove(&name("a"))
        .unwrap()
        .unwrap_err();
    let KafkaError::Unreachable { failure, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (failure.address.host.as_str(), failure.address.port),
        ("localhost", unused)
    );
    assert_eq!(broker.seen(ApiKey::CreateTopics).len(), 0);
    let reports = client.probe_listeners().await.unwrap();
    assert_eq!(reports[0].result, ListenerResult::SelfAddress);
    let sentence = format!("broker 0 advertises localhost:{unused}, which from this pod is the pod itself");
    assert!(reports[0].detail.starts_with(&sentence), "{}", reports[0].detail);
}

#[tokio::test]
async fn another_cluster_behind_the_address_is_asked_for_nothing() {
    let later = Arc::new(AtomicUsize::new(0));
    let moved = Arc::clone(&later);
    let broker = ScriptedBroker::start(move |seen| {
        let cluster = if moved.load(Ordering::SeqCst) == 0 {
            "cluster"
        } else {
            "other"
        };
        async move {
            match seen.key {
                ApiKey::Metadata => {
                    Reaction::Reply(body(&metadata(&seen, cluster, "127.0.0.1", 1), seen.version))
                }
                _ => Reaction::Proper,
            }
        }
    })
    .await;
    let client = broker.client();
    assert_eq!(client.describe_cluster().await.unwrap().id.as_str(), "cluster");
    later.store(1, Ordering::SeqCst);
    let found = cause(
        client
            .create_topics(vec![topic("a")])
            .await
            .remove(&name("a"))
            .unwrap(),
    );
    assert!(matches!(found, ConnectCause::WrongCluster { .. }), "{found:?}");
    assert_eq!(
        client.describe_cluster().await.unwrap().id.as_str(),
        "other",
        "describing tells the truth"
    );
}
