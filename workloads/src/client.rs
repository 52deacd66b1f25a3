//! What producer and consumer have in common as clients of Kafka. Credentials are read from files and go nowhere else.

use std::io;
use std::path::{Path, PathBuf};

use ottla_contract::config::{Connection, Security};
use rdkafka::ClientConfig;

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
    Create(#[source] rdkafka::error::KafkaError),
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
        .set("topic.metadata.refresh.interval.ms", "30000")
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
            config
                .set("security.protocol", "sasl_plaintext")
                .set("sasl.mechanism", mechanism.as_str())
                .set("sasl.username", secret(username_file)?)
                .set("sasl.password", secret(password_file)?);
        }
    }
    Ok(config)
}

/// A file's text without a newline at its end, which editors add.
fn secret(path: &Path) -> Result<String, ClientError> {
    let text = std::fs::read_to_string(path).map_err(|source| ClientError::Credentials {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
