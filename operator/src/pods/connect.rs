//! The part of a pod's configuration that says how to reach Kafka.
//!
//! Pure.

use ottla_contract::config::{
    Connection, Mechanism, PASSWORD_FILE, PodConfig, Security, USERNAME_FILE, Workload,
};
use ottla_contract::ids::Uid;
use ottla_crds::common::SaslMechanism;

use super::target::Target;
use super::template::HTTP_PORT;

/// The configuration file of a pod of the object with this uid that works on the target's topic.
#[must_use]
pub fn pod_config(uid: Uid, target: &Target, workload: Workload) -> String {
    let security = match target.mechanism {
        None => Security::Plaintext,
        Some(mechanism) => Security::SaslPlaintext {
            mechanism: convert(mechanism),
            username_file: USERNAME_FILE.into(),
            password_file: PASSWORD_FILE.into(),
        },
    };
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

const fn convert(mechanism: SaslMechanism) -> Mechanism {
    match mechanism {
        SaslMechanism::Plain => Mechanism::Plain,
        SaslMechanism::ScramSha256 => Mechanism::ScramSha256,
        SaslMechanism::ScramSha512 => Mechanism::ScramSha512,
    }
}
