//! What producer and consumer have in common as clients of Kafka. Credentials are read from files and go nowhere else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ottla_contract::config::{Connection, Mechanism, Security, TlsFiles};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, info, warn};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A credentials file cannot be read.
    #[error("cannot read the credentials file {path}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// librdkafka refuses the configuration.
    #[error("cannot create the Kafka client")]
    Create(#[source] KafkaError),
}

/// The part of librdkafka's configuration that says how to reach Kafka.
///
/// # Errors
/// When a credentials file cannot be read.
pub fn connection(connection: &Connection) -> Result<ClientConfig, ClientError> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", connection.bootstrap_servers.join(","))
        .set("client.id", "ottla-workload")
        .set("broker.address.family", "v4")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "5000")
        // A consumer whose topic the broker does not know yet looks again only then.
        .set("topic.metadata.refresh.interval.ms", "10000")
        // A topic that is missing is for its owner to create, not for us.
        .set("allow.auto.create.topics", "false");
    match &connection.security {
        Security::Plaintext => {
            config.set("security.protocol", "plaintext");
        }
        Security::SaslPlaintext {
            mechanism,
            username_file,
            password_file,
        } => {
            config.set("security.protocol", "sasl_plaintext");
            authenticate(&mut config, *mechanism, username_file, password_file)?;
        }
        Security::Ssl { tls } => {
            config.set("security.protocol", "ssl");
            encrypt(&mut config, tls)?;
        }
        Security::SaslSsl {
            tls,
            mechanism,
            username_file,
            password_file,
        } => {
            config.set("security.protocol", "sasl_ssl");
            encrypt(&mut config, tls)?;
            authenticate(&mut config, *mechanism, username_file, password_file)?;
        }
    }
    Ok(config)
}

fn authenticate(
    config: &mut ClientConfig,
    mechanism: Mechanism,
    username: &Path,
    password: &Path,
) -> Result<(), ClientError> {
    config
        .set("sasl.mechanism", mechanism.as_str())
        .set("sasl.username", secret(username)?)
        .set("sasl.password", secret(password)?);
    Ok(())
}

/// Certificates are handed over as text, so that they are those of one moment.
fn encrypt(config: &mut ClientConfig, tls: &TlsFiles) -> Result<(), ClientError> {
    config.set("ssl.endpoint.identification.algorithm", "https");
    match &tls.ca_file {
        Some(file) => config.set("ssl.ca.pem", read(file)?),
        // Wherever this system keeps the public CAs.
        None => config.set("ssl.ca.location", "probe"),
    };
    if let Some(client) = &tls.client {
        config
            .set("ssl.certificate.pem", read(&client.certificate_file)?)
            .set("ssl.key.pem", read(&client.key_file)?);
    }
    Ok(())
}

/// A file's text without a newline at its end, which editors add.
fn secret(path: &Path) -> Result<String, ClientError> {
    Ok(read(path)?.trim_end_matches(['\r', '\n']).to_owned())
}

fn read(path: &Path) -> Result<String, ClientError> {
    std::fs::read_to_string(path).map_err(|source| ClientError::Credentials {
        path: path.to_owned(),
        source,
    })
}

/// What librdkafka says of its connections. Its log alone names the address that failed and why.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<Option<String>>);

impl Complaints {
    /// Passes a line of librdkafka's log on, and keeps it when it tells of a failed connection.
    pub(crate) fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        match level {
            RDKafkaLogLevel::Debug => debug!(facility, line, "Kafka client"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => info!(facility, line, "Kafka client"),
            _ => warn!(facility, line, "Kafka client"),
        }
        if matches!(facility, "FAIL" | "ERROR") {
            // The line begins with the thread's name.
            let text = line.split_once("]: ").map_or(line, |(_, text)| text);
            self.keep(text.to_owned());
        }
    }

    /// Keeps an error, unless it only says that there are others.
    pub(crate) fn error(&self, error: &KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.keep(format!("{error}: {reason}"));
        }
    }

    fn keep(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// The newest complaint, once.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
