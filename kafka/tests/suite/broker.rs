//! The real broker to test against, from the environment.

use std::time::Duration;

use ottla_kafka::config::{ConnectionConfig, HostPort, Sasl, SaslMechanism, Secret, Security};
use ottla_kafka::tls::{Identity, Tls};

/// The connection that `OTTLA_TEST_BOOTSTRAP`, `OTTLA_TEST_SASL` and `OTTLA_TEST_TLS` name; without the first, says that
/// the test is skipped.
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
        Err(_) | Ok("" | "none") => Security::PLAINTEXT,
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
            Security::sasl(Sasl {
                mechanism,
                username: next(),
                password: Secret::new(next()),
            })
        }
    };
    let mut config = ConnectionConfig::new(
        addresses,
        Security {
            tls: tls(),
            ..security
        },
    );
    config.seen_from = "machine";
    // The machine has other tests to run.
    config.timeouts.connect = Duration::from_secs(30);
    Some(config)
}

/// TLS with the files of the folder that `OTTLA_TEST_TLS` names: `ca.crt` and, where the broker wants them, `tls.crt` and
/// `tls.key`.
fn tls() -> Option<Tls> {
    let folder = std::env::var("OTTLA_TEST_TLS")
        .ok()
        .filter(|folder| !folder.is_empty())?;
    let read = |name: &str| std::fs::read_to_string(std::path::Path::new(&folder).join(name)).ok();
    let identity = read("tls.crt").zip(read("tls.key"));
    let identity = identity.map(|(certificates, key)| Identity {
        certificates,
        key: Secret::new(key),
    });
    let ca = read("ca.crt").expect("the folder of OTTLA_TEST_TLS holds ca.crt");
    Some(Tls::new(Some(&ca), identity).unwrap())
}
