//! The binary itself: its configuration, its HTTP port, its signals, its exit codes and last words, and what is known
//! after it was killed. Kafka is librdkafka's mock cluster.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ottla_contract::config::{Connection, PodConfig, Security, Workload};
use ottla_contract::report::ProducerState;
use ottla_contract::summary::Report;
use ottla_contract::verdict::Reason;
use ottla_contract::{ConsumerReport, ProducerReport, TerminationSummary};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde::de::DeserializeOwned;

use support::{PARTITIONS, Scene, judge_bounded, producer, unique};

const LONGEST: Duration = Duration::from_secs(60);

struct Mock {
    _cluster: MockCluster<'static, DefaultProducerContext>,
    scene: Scene,
}

fn mock() -> Mock {
    let cluster = MockCluster::new(1).unwrap();
    let topic = unique("process");
    cluster.create_topic(&topic, PARTITIONS, 1).unwrap();
    let bootstrap_servers = vec![cluster.bootstrap_servers()];
    let scene = Scene::new(
        Connection {
            bootstrap_servers,
            security: Security::Plaintext,
        },
        topic,
    );
    Mock {
        _cluster: cluster,
        scene,
    }
}

/// A process that is killed when the test ends, whatever happens.
struct Process {
    child: Child,
    port: u16,
    last_words: PathBuf,
    files: PathBuf,
}

impl Process {
    fn start(scene: &Scene, workload: Workload) -> Self {
        let files = std::env::temp_dir().join(unique("files"));
        std::fs::create_dir(&files).unwrap();
        let last_words = files.join("termination");
        std::fs::write(&last_words, "").unwrap();
        let port = free_port();
        let subcommand = if matches!(workload, Workload::Produce(_)) {
            "produce"
        } else {
            "consume"
        };
        let config = PodConfig {
            uid: scene.uid,
            connection: scene.connection.clone(),
            topic: scene.topic.clone(),
            http_port: port,
            workload,
        };
        let path = files.join("config.json");
        std::fs::write(&path, serde_json::to_string(&config).unwrap()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ottla-workload"))
            .args([subcommand.as_ref(), Path::new("--config"), &path])
            .args([Path::new("--termination-message"), &last_words])
            .env("POD_NAME", "a-pod")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            last_words,
            files,
        }
    }

    /// Status and body of a GET; nothing while nobody listens.
    fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    fn until<R: DeserializeOwned>(&self, what: &str, condition: impl Fn(&R) -> bool) -> R {
        let since = Instant::now();
        loop {
            let answer = self.get("/report");
            let report = answer
                .as_ref()
                .and_then(|(_, body)| serde_json::from_str(body).ok());
            if let Some(report) = report.filter(|report| condition(report)) {
                return report;
            }
            assert!(since.elapsed() < LONGEST, "{what} did not happen: {answer:?}");
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Exit code, none when killed, and the termination message.
    fn end(mut self) -> (Option<i32>, String) {
        let since = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(
                since.elapsed() < LONGEST,
                "it did not end: {:?}",
                self.get("/report")
            );
            thread::park_timeout(Duration::from_millis(10));
        }
        (
            self.child.wait().unwrap().code(),
            std::fs::read_to_string(&self.last_words).unwrap(),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when the process is gone already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.files);
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn produced(words: &str) -> ProducerReport {
    match TerminationSummary::from_message(words).unwrap().report {
        Report::Producer(report) => report,
        Report::Consumer(_) => panic!("a producer was started"),
    }
}

fn consumed(words: &str) -> ConsumerReport {
    match TerminationSummary::from_message(words).unwrap().report {
        Report::Consumer(report) => report,
        Report::Producer(_) => panic!("a consumer was started"),
    }
}

#[test]
fn last_words_are_enough_for_the_verdict() {
    let mock = mock();
    let sender = Process::start(&mock.scene, Workload::Produce(producer(3_000)));
    let (code, words) = sender.end();
    assert_eq!(code, Some(0), "{words}");
    let sent = produced(&words);
    assert_eq!(
        (sent.state, sent.acked, sent.process.pod.as_str()),
        (ProducerState::Done, 3_000, "a-pod")
    );
    let reader = Process::start(&mock.scene, Workload::Consume(mock.scene.consumer()));
    let (code, words) = reader.end();
    assert_eq!(code, Some(0), "{words}");
    let verdict = judge_bounded(&[sent], &[consumed(&words)]);
    assert_eq!(
        (verdict.reason, verdict.counts.received),
        (Reason::Pass, 3_000),
        "{}",
        verdict.message
    );
}

#[test]
fn it_answers_on_its_port_and_closes_when_told_to_stop() {
    let mock = mock();
    let mut config = producer(1_000_000);
    config.records_per_second = Some(1_000);
    let sender = Process::start(&mock.scene, Workload::Produce(config));
    sender.until("a record", |report: &ProducerReport| report.acked > 0);
    assert_eq!(sender.get("/healthz").unwrap().0, 200);
    assert_eq!(sender.get("/readyz").unwrap().0, 200);
    assert!(
        sender
            .get("/metrics")
            .unwrap()
            .1
            .contains("ottla_workload_produced_records_total")
    );
    assert_eq!(sender.get("/other").unwrap().0, 404);
    sender.signal("TERM");
    let (code, words) = sender.end();
    assert_eq!(code, Some(143), "{words}");
    let report = produced(&words);
    assert_eq!((report.state, report.failed), (ProducerState::Interrupted, 0));
    assert!(report.incarnations[0].closed && !report.incarnations[0].share_done);
}

#[test]
fn a_producer_that_was_killed_leaves_nothing_lost() {
    let mock = mock();
    let mut config = producer(4_000);
    config.records_per_second = Some(500);
    let sender = Process::start(&mock.scene, Workload::Produce(config.clone()));
    let killed = sender.until("some records", |report: &ProducerReport| report.acked > 500);
    sender.signal("KILL");
    assert_eq!(sender.end(), (None, String::new()));
    config.records_per_second = None;
    let done = mock.scene.produce(&config);
    let consumer = mock.scene.consume();
    for told in [vec![killed, done.clone()], vec![done], vec![]] {
        let verdict = judge_bounded(&told, std::slice::from_ref(&consumer));
        assert_eq!(verdict.reason, Reason::UnclosedIncarnation, "{}", verdict.message);
        assert_eq!((verdict.counts.lost, verdict.counts.duplicated), (0, 0));
        assert!(verdict.counts.received > 4_500);
    }
}

#[test]
fn a_consumer_that_was_killed_leaves_redeliveries_and_no_duplicate() {
    let mock = mock();
    let sent = mock.scene.produce(&producer(4_000));
    let mut config = mock.scene.consumer();
    config.processing_delay_us = 2_000;
    let reader = Process::start(&mock.scene, Workload::Consume(config.clone()));
    reader.until("some records", |report: &ConsumerReport| report.delivered > 200);
    reader.signal("TERM");
    let (code, words) = reader.end();
    assert_eq!(code, Some(143), "{words}");
    let first = consumed(&words);
    // The second one commits nothing more before it is killed.
    config.commit_interval_ms = 600_000;
    let reader = Process::start(&mock.scene, Workload::Consume(config));
    let second = reader.until("more", |report: &ConsumerReport| report.delivered > 300);
    reader.signal("KILL");
    assert_eq!(reader.end().0, None);
    let third = mock.scene.consume();
    let verdict = judge_bounded(&[sent], &[first, second.clone(), third]);
    assert_eq!(verdict.reason, Reason::Pass, "{}", verdict.message);
    assert_eq!((verdict.counts.received, verdict.counts.duplicated), (4_000, 0));
    assert_eq!(verdict.counts.redelivered, second.delivered);
}

#[test]
fn what_cannot_be_reached_is_named() {
    let mock = mock();
    let port = free_port();
    let bootstrap_servers = vec![format!("127.0.0.1:{port}")];
    let connection = Connection {
        bootstrap_servers,
        security: Security::Plaintext,
    };
    let nowhere = Scene::new(connection, mock.scene.topic.clone());
    let sender = Process::start(&nowhere, Workload::Produce(producer(10)));
    let named = |error: &Option<String>| {
        error
            .as_ref()
            .is_some_and(|error| error.contains(&port.to_string()))
    };
    sender.until("the address", |report: &ProducerReport| named(&report.last_error));
    assert_eq!(sender.get("/readyz").unwrap().0, 503);
    assert_eq!(sender.get("/healthz").unwrap().0, 200);
    let reader = Process::start(&nowhere, Workload::Consume(nowhere.consumer()));
    reader.until("the address", |report: &ConsumerReport| named(&report.last_error));
    sender.signal("TERM");
    assert_eq!(sender.end().0, Some(143));
    reader.signal("TERM");
    assert_eq!(reader.end().0, Some(143));
}

#[test]
fn a_configuration_it_does_not_understand_is_named() {
    let path = std::env::temp_dir().join(unique("config"));
    let words = std::env::temp_dir().join(unique("words"));
    std::fs::write(&path, r#"{"topic": 5}"#).unwrap();
    std::fs::write(&words, "").unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_ottla-workload"))
        .args([Path::new("produce"), Path::new("--config"), &path])
        .args([Path::new("--termination-message"), &words])
        .stdout(Stdio::null())
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
    let said = std::fs::read_to_string(&words).unwrap();
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(words).unwrap();
}
