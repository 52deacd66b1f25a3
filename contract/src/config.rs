//! The configuration file of a workload pod. The operator writes it, the pod reads it; credentials are never in it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ids::{RunId, Share, Uid};

/// Variable in which Kubernetes tells a pod of an Indexed Job its index.
pub const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// Variable in which the operator tells a pod its name.
pub const POD_NAME_VARIABLE: &str = "POD_NAME";
/// Where the pod template mounts the user name.
pub const USERNAME_FILE: &str = "/etc/ottla/credentials/username";
/// Where the pod template mounts the password.
pub const PASSWORD_FILE: &str = "/etc/ottla/credentials/password";
/// Where the pod template mounts the CA to trust.
pub const CA_FILE: &str = "/etc/ottla/certificates/ca.crt";
/// Where the pod template mounts the client certificate.
pub const CERTIFICATE_FILE: &str = "/etc/ottla/certificates/tls.crt";
/// Where the pod template mounts the client certificate's private key.
pub const KEY_FILE: &str = "/etc/ottla/certificates/tls.key";
/// Where the pod leaves its last words.
pub const TERMINATION_FILE: &str = "/dev/termination-log";

/// Everything a pod is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodConfig {
    /// Uid of the `KafkaProducer` or `KafkaConsumer` the pod belongs to.
    pub uid: Uid,
    /// How to reach Kafka.
    pub connection: Connection,
    /// The topic.
    pub topic: String,
    /// Port of `/report`, `/metrics`, `/healthz` and `/readyz`. 0 picks a free one.
    #[serde(default = "http_port")]
    pub http_port: u16,
    /// What to do.
    pub workload: Workload,
}

const fn http_port() -> u16 {
    8080
}

/// How to reach Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connection {
    /// `host:port`, at least one.
    pub bootstrap_servers: Vec<String>,
    /// What the listener demands.
    pub security: Security,
}

/// What a listener demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Security {
    /// Nothing.
    Plaintext,
    /// A name and a password, not encrypted.
    SaslPlaintext {
        /// How they are presented.
        mechanism: Mechanism,
        /// File that holds the name.
        username_file: PathBuf,
        /// File that holds the password.
        password_file: PathBuf,
    },
    /// Encryption.
    Ssl {
        /// Its files.
        tls: TlsFiles,
    },
    /// Encryption, a name and a password.
    SaslSsl {
        /// Files of the encryption.
        tls: TlsFiles,
        /// How name and password are presented.
        mechanism: Mechanism,
        /// File that holds the name.
        username_file: PathBuf,
        /// File that holds the password.
        password_file: PathBuf,
    },
}

/// The files that TLS needs, all PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsFiles {
    /// CA certificates to trust; absent: public CAs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// What is presented to a broker that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientFiles>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientFiles {
    /// The certificate and its chain.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

impl Security {
    /// Every file it names.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let (tls, sasl) = match self {
            Self::Plaintext => (None, None),
            Self::Ssl { tls } => (Some(tls), None),
            Self::SaslPlaintext {
                username_file,
                password_file,
                ..
            } => (None, Some((username_file, password_file))),
            Self::SaslSsl {
                tls,
                username_file,
                password_file,
                ..
            } => (Some(tls), Some((username_file, password_file))),
        };
        let client = tls.and_then(|tls| tls.client.as_ref());
        let of_tls = tls.and_then(|tls| tls.ca_file.as_ref()).into_iter();
        let of_client = client
            .into_iter()
            .flat_map(|c| [&c.certificate_file, &c.key_file]);
        let of_sasl = sasl.into_iter().flat_map(|(name, word)| [name, word]);
        of_tls
            .chain(of_client)
            .chain(of_sasl)
            .map(PathBuf::as_path)
            .collect()
    }
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// PLAIN.
    Plain,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// Kafka's name of it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// What a pod does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Workload {
    /// Sends.
    Produce(ProducerConfig),
    /// Reads and verifies.
    Consume(ConsumerConfig),
}

/// What a producer pod sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProducerConfig {
    /// Run number: 1 for a job, one more with each change of an endless producer's pods.
    pub run: u32,
    /// Pods that share the load (and, in a bounded run, the records). The pod's own index comes from
    /// [`INDEX_VARIABLE`].
    pub shares: u32,
    /// When to stop; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<ProducerStop>,
    /// Records a second of all pods together; absent: as fast as Kafka takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_per_second: Option<u32>,
    /// Bytes of a record's value, with the prefix in it.
    pub value_bytes: u32,
    /// Which keys the records carry.
    pub keys: Keys,
    /// Whose confirmation is awaited.
    pub acks: Acks,
    /// Kafka discards what a retry sends twice.
    pub idempotence: bool,
    /// Compression of batches.
    pub compression: Compression,
    /// Milliseconds to wait for a batch to fill; absent: librdkafka's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linger_ms: Option<u64>,
    /// Milliseconds to try to deliver a record; absent: librdkafka's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Faults made on purpose.
    #[serde(default)]
    pub drill: Drill,
}

impl ProducerConfig {
    /// The share of the pod with this index. With fewer records than pods, the last pods have none.
    #[must_use]
    pub fn share(&self, index: u32) -> Share {
        Share {
            index,
            of: self.share_count(),
        }
    }

    /// The run as readers are to expect it.
    #[must_use]
    pub fn expected(&self, producer: Uid) -> ExpectedRun {
        ExpectedRun {
            id: RunId {
                uid: producer,
                run: self.run,
            },
            shares: self.share_count(),
        }
    }

    fn share_count(&self) -> u32 {
        let Some(stop) = &self.stop else { return 0 };
        let records = stop
            .records
            .map_or(u32::MAX, |records| u32::try_from(records).unwrap_or(u32::MAX));
        self.shares.min(records).max(1)
    }
}

/// When a producer has done its work: whatever comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProducerStop {
    /// Records of all pods together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Milliseconds after the pod's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// Which keys records carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Keys {
    /// None; partitions take turns.
    None,
    /// One after the other, over and over.
    Sequential {
        /// Number of different keys.
        cardinality: u32,
    },
    /// Any, evenly.
    Random {
        /// Number of different keys.
        cardinality: u32,
    },
    /// Always the same.
    Fixed,
}

/// Whose confirmation is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Acks {
    /// Every in-sync replica's.
    All,
    /// The leader's.
    Leader,
    /// Nobody's: nothing is known of a record's fate, so nothing is ever said to be lost.
    None,
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Faults made on purpose, over all pods together; a consumer's verdict must find exactly these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drill {
    /// Records sent twice.
    #[serde(default)]
    pub duplicate: u32,
    /// Records counted as confirmed and never sent.
    #[serde(default)]
    pub drop: u32,
}

/// What a consumer pod reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsumerConfig {
    /// Consumer group.
    pub group_id: String,
    /// Pods the group waits for before it reads, so that each of them receives records; 0 or 1: none.
    #[serde(default)]
    pub members: u32,
    /// Where a partition without a committed offset is read from.
    pub start: Start,
    /// Milliseconds between commits.
    pub commit_interval_ms: u64,
    /// Microseconds each record takes.
    #[serde(default)]
    pub processing_delay_us: u64,
    /// When to stop; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<Complete>,
    /// Bounded runs that are known to the operator and must be read to their end, also if nothing of them was met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<ExpectedRun>,
}

/// Where a partition without a committed offset is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// The first record.
    Earliest,
    /// What comes from now on.
    Latest,
}

/// Stop when every expected stream was read to its closing record and the end of the log was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Complete {
    /// Milliseconds after the pod's start to give up; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

/// A run that must be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExpectedRun {
    /// The run.
    #[serde(flatten)]
    pub id: RunId,
    /// Number of shares, each of which must be done; 0 for an endless run.
    pub shares: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_as_it_was_written() {
        let text = r#"{
            "uid": "01234567-89ab-cdef-0123-456789abcdef",
            "connection": {"bootstrapServers": ["kafka:9092"], "security": {"type": "SaslPlaintext",
                "mechanism": "ScramSha512", "usernameFile": "/etc/ottla/credentials/username",
                "passwordFile": "/etc/ottla/credentials/password"}},
            "topic": "my-topic",
            "workload": {"type": "Consume", "groupId": "g", "start": "Earliest", "commitIntervalMs": 5000,
                "complete": {"deadlineMs": 60000},
                "expected": [{"uid": "01234567-89ab-cdef-0123-456789abcdef", "run": 1, "shares": 2}]}}"#;
        let config: PodConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.http_port, 8080);
        let again: PodConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
        let Workload::Consume(consumer) = config.workload else {
            panic!("a consumer was configured")
        };
        assert_eq!(consumer.expected[0].shares, 2);
    }

    #[test]
    fn every_file_of_a_listener_is_named() {
        let text = r#"{"type": "SaslSsl", "mechanism": "Plain", "usernameFile": "u", "passwordFile": "p",
            "tls": {"caFile": "ca", "client": {"certificateFile": "c", "keyFile": "k"}}}"#;
        let security: Security = serde_json::from_str(text).unwrap();
        assert_eq!(security.files(), ["ca", "c", "k", "u", "p"].map(Path::new));
        let text = r#"{"type": "Ssl", "tls": {}}"#;
        let security: Security = serde_json::from_str(text).unwrap();
        assert!(security.files().is_empty());
        let again: Security = serde_json::from_str(&serde_json::to_string(&security).unwrap()).unwrap();
        assert_eq!(again, security);
    }

    #[test]
    fn a_misspelled_field_is_refused() {
        let text = r#"{"bootstrapServers": [], "bootstrap": [], "security": {"type": "Plaintext"}}"#;
        assert!(serde_json::from_str::<Connection>(text).is_err());
    }
}
