//! The real broker to test against, from the environment.

use ottla_kafka::config::{ConnectionConfig, HostPort, SaslMechanism, Secret, Security};

/// The connection that `OTTLA_TEST_BOOTSTRAP` and `OTTLA_TEST_SASL` name; without them, says that the test is skipped.
pub(crate) fn configured(test: &str) -> Option<ConnectionConfig> {
    let Ok(bootstrap) = std::env::var("OTTLA_TEST_BOOTSTRAP") else {
        eprintln!("SKIPPED {test}: OTTLA_TEST_BOOTSTRAP names no broker");
        return None;
    };
    let addresses: Vec<HostPort> = bootstrap
        .split(',')
        .map(|address| address.parse().unwrap())
        .collect();
    let security = match std::env::var("OTTLA_TEST_SASL").as_deref() {
        Err(_) | Ok("" | "none") => Security::Plaintext,
        Ok(sasl) => {
            let mut parts = sasl.splitn(3, ':');
            let mut next = || {
                parts
                    .next()
                    .expect("OTTLA_TEST_SASL is mechanism:username:password")
                    .to_owned()
            };
            let mechanism = match next().as_str() {
                "Plain" => SaslMechanism::Plain,
                "ScramSha256" => SaslMechanism::ScramSha256,
                "ScramSha512" => SaslMechanism::ScramSha512,
                other => panic!("OTTLA_TEST_SASL has unknown mechanism {other}"),
            };
            Security::SaslPlaintext {
                mechanism,
                username: next(),
                password: Secret::new(next()),
            }
        }
    };
    let mut config = ConnectionConfig::new(addresses, security);
    config.seen_from = "machine";
    Some(config)
}
