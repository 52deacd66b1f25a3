//! Scenes of producers and consumers on one topic, against librdkafka's mock cluster or a real Kafka.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "this is test code")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ottla_contract::config::{
    Acks, ClientFiles, Complete, Compression, Connection, Drill, ExpectedRun, Keys, Mechanism, ProducerStop,
    Security, Start, TlsFiles,
};
use ottla_contract::verdict::{Facts, ProducerFacts, Require, Verdict, judge};
use ottla_contract::{ConsumerConfig, ConsumerReport, ProducerConfig, ProducerReport, RunId, Uid};
use ottla_workloads::board::Board;
use ottla_workloads::{consume, produce};

pub(crate) const PARTITIONS: i32 = 3;
const LONGEST: Duration = Duration::from_secs(90);

/// One topic of its own.
pub(crate) struct Scene {
    pub(crate) connection: Connection,
    pub(crate) topic: String,
    pub(crate) uid: Uid,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A name nobody else has.
pub(crate) fn unique(name: &str) -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("ottla-test-{name}-{}-{number}", std::process::id())
}

pub(crate) fn producer(records: u64) -> ProducerConfig {
    ProducerConfig {
        run: 1,
        shares: 1,
        stop: Some(ProducerStop {
            records: Some(records),
            duration_ms: None,
        }),
        records_per_second: None,
        value_bytes: 100,
        keys: Keys::Sequential { cardinality: 50 },
        acks: Acks::All,
        idempotence: true,
        compression: Compression::None,
        linger_ms: Some(5),
        timeout_ms: None,
        drill: Drill::default(),
    }
}

/// A running producer or consumer.
pub(crate) struct Running<R> {
    pub(crate) board: Arc<Board<R>>,
    thread: JoinHandle<R>,
}

impl<R: Clone + std::fmt::Debug> Running<R> {
    /// Waits until a report satisfies `condition`.
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&R) -> bool) -> R {
        let since = Instant::now();
        loop {
            let report = self.board.report();
            if condition(&report) {
                return report;
            }
            assert!(since.elapsed() < LONGEST, "{what} did not happen: {report:#?}");
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub(crate) fn end(self) -> R {
        let since = Instant::now();
        while !self.thread.is_finished() {
            assert!(
                since.elapsed() < LONGEST,
                "it did not end: {:#?}",
                self.board.report()
            );
            thread::park_timeout(Duration::from_millis(10));
        }
        self.thread.join().unwrap()
    }

    pub(crate) fn stop(self) -> R {
        self.board.stop();
        self.end()
    }
}

impl Scene {
    pub(crate) fn new(connection: Connection, topic: String) -> Self {
        let mut uid = [0; 16];
        uid[..4].copy_from_slice(&std::process::id().to_be_bytes());
        uid[4..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Self {
            connection,
            topic,
            uid: Uid(uid),
        }
    }

    pub(crate) fn run(&self) -> RunId {
        RunId {
            uid: self.uid,
            run: 1,
        }
    }

    pub(crate) fn start_producer(&self, config: &ProducerConfig, index: u32) -> Running<ProducerReport> {
        let report = produce::first_report(format!("producer-{index}"), self.run(), config, index);
        let board = Arc::new(Board::new(report));
        let assignment = produce::Assignment {
            connection: self.connection.clone(),
            topic: self.topic.clone(),
            config: config.clone(),
        };
        let shared = Arc::clone(&board);
        Running {
            board,
            thread: thread::spawn(move || produce::run(&assignment, &shared).unwrap()),
        }
    }

    pub(crate) fn produce(&self, config: &ProducerConfig) -> ProducerReport {
        self.start_producer(config, 0).end()
    }

    pub(crate) fn consumer(&self) -> ConsumerConfig {
        ConsumerConfig {
            group_id: format!("{}-group", self.topic),
            members: 0,
            start: Start::Earliest,
            commit_interval_ms: 200,
            processing_delay_us: 0,
            complete: Some(Complete {
                deadline_ms: Some(85_000),
            }),
            expected: Vec::new(),
        }
    }

    pub(crate) fn start_consumer(&self, config: &ConsumerConfig, pod: &str) -> Running<ConsumerReport> {
        let board = Arc::new(Board::new(consume::first_report(pod.to_owned())));
        let assignment = consume::Assignment {
            connection: self.connection.clone(),
            topic: self.topic.clone(),
            config: config.clone(),
        };
        let shared = Arc::clone(&board);
        Running {
            board,
            thread: thread::spawn(move || consume::run(&assignment, &shared).unwrap()),
        }
    }

    pub(crate) fn consume(&self) -> ConsumerReport {
        self.start_consumer(&self.consumer(), "consumer").end()
    }
}

/// The verdict on a bounded consumer, all of whose producers have ended.
pub(crate) fn judge_bounded(producers: &[ProducerReport], consumers: &[ConsumerReport]) -> Verdict {
    let producers: Vec<_> = producers
        .iter()
        .map(|report| ProducerFacts { report, gone: true })
        .collect();
    let expected: Vec<_> = producers
        .iter()
        .map(|p| ExpectedRun {
            id: p.report.run,
            shares: p.report.share.of,
        })
        .collect();
    judge(&Facts {
        producers: &producers,
        expected: &expected,
        consumers: &consumers.iter().collect::<Vec<_>>(),
        bounded: true,
        min_records: 0,
        require: Require::default(),
        purges: &BTreeMap::new(),
        purged_before: 0,
    })
}

/// The real Kafka that the environment names, or nothing, loudly.
pub(crate) fn kafka(test: &str) -> Option<Connection> {
    let (Ok(bootstrap), Ok(sasl)) = (
        std::env::var("OTTLA_TEST_BOOTSTRAP"),
        std::env::var("OTTLA_TEST_SASL"),
    ) else {
        eprintln!("SKIPPED {test}: OTTLA_TEST_BOOTSTRAP and OTTLA_TEST_SASL are not set");
        return None;
    };
    let bootstrap_servers = bootstrap.split(',').map(str::to_owned).collect();
    let sasl = match sasl.splitn(3, ':').collect::<Vec<_>>()[..] {
        [mechanism, username, password] => Some((
            match mechanism {
                "Plain" => Mechanism::Plain,
                "ScramSha256" => Mechanism::ScramSha256,
                _ => Mechanism::ScramSha512,
            },
            file("username", username),
            file("password", password),
        )),
        _ => None,
    };
    let security = match (tls(), sasl) {
        (None, None) => Security::Plaintext,
        (None, Some((mechanism, username_file, password_file))) => Security::SaslPlaintext {
            mechanism,
            username_file,
            password_file,
        },
        (Some(tls), None) => Security::Ssl { tls },
        (Some(tls), Some((mechanism, username_file, password_file))) => Security::SaslSsl {
            tls,
            mechanism,
            username_file,
            password_file,
        },
    };
    Some(Connection {
        bootstrap_servers,
        security,
    })
}

/// The files of the folder that `OTTLA_TEST_TLS` names: `ca.crt` and, where the broker wants them, `tls.crt` and `tls.key`.
fn tls() -> Option<TlsFiles> {
    let folder = std::env::var("OTTLA_TEST_TLS")
        .ok()
        .filter(|folder| !folder.is_empty())?;
    let copy = |name: &str| {
        let text = std::fs::read_to_string(PathBuf::from(&folder).join(name)).ok()?;
        Some(file(name, &text))
    };
    let client = copy("tls.crt").zip(copy("tls.key"));
    Some(TlsFiles {
        ca_file: copy("ca.crt"),
        client: client.map(|(certificate_file, key_file)| ClientFiles {
            certificate_file,
            key_file,
        }),
    })
}

/// A file of its own that holds `text`.
pub(crate) fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(unique(name));
    std::fs::write(&path, text).unwrap();
    path
}
