//! The part of a pod's configuration that says how to reach Kafka.
//!
//! Pure.

use ottla_contract::config::{
    CA_FILE, CERTIFICATE_FILE, ClientFiles, Connection, KEY_FILE, Mechanism, PASSWORD_FILE, PodConfig,
    Security, TlsFiles, USERNAME_FILE, Workload,
};
use ottla_contract::ids::Uid;
use ottla_crds::common::SaslMechanism;

use super::target::Target;
use super::template::HTTP_PORT;

/// The configuration file of a pod of the object with this uid that works on the target's topic.
#[must_use]
pub fn pod_config(uid: Uid, target: &Target, workload: Workload) -> String {
    let security = security(target);
    let config = PodConfig {
        uid,
        connection: Connection {
            bootstrap_servers: target.bootstrap.clone(),
            security,
        },
        topic: target.key.topic.clone(),
        http_port: HTTP_PORT,
        workload,
    };
    // Strings and numbers always have a JSON form: the default is never taken.
    serde_json::to_value(config).unwrap_or_default().to_string()
}

fn security(target: &Target) -> Security {
    let tls = target.certificates.as_ref().map(|certificates| TlsFiles {
        ca_file: certificates.ca.as_ref().map(|_| CA_FILE.into()),
        client: certificates.client.as_ref().map(|_| ClientFiles {
            certificate_file: CERTIFICATE_FILE.into(),
            key_file: KEY_FILE.into(),
        }),
    });
    let (username_file, password_file) = (USERNAME_FILE.into(), PASSWORD_FILE.into());
    match (tls, target.mechanism.map(convert)) {
        (None, None) => Security::Plaintext,
        (None, Some(mechanism)) => Security::SaslPlaintext {
            mechanism,
            username_file,
            password_file,
        },
        (Some(tls), None) => Security::Ssl { tls },
        (Some(tls), Some(mechanism)) => Security::SaslSsl {
            tls,
            mechanism,
            username_file,
            password_file,
        },
    }
}

const fn convert(mechanism: SaslMechanism) -> Mechanism {
    match mechanism {
        SaslMechanism::Plain => Mechanism::Plain,
        SaslMechanism::ScramSha256 => Mechanism::ScramSha256,
        SaslMechanism::ScramSha512 => Mechanism::ScramSha512,
    }
}
