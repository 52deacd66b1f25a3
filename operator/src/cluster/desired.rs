//! Parses a KafkaCluster's spec. Pure. Repeats what the CRD's rules say, for objects older than the rules.

use ottla_crds::KafkaClusterSpec;
use ottla_crds::cluster::{Sasl, Tls};
use ottla_crds::common::{SaslMechanism, SecretKeyRef, SecretRef};
use ottla_crds::parse as sizes;
use ottla_kafka::config::{HostPort, SaslMechanism as Mechanism};
use ottla_kafka::types::ClusterId;

use super::tenancy;
use crate::topic::defaults;

/// The most bootstrap addresses.
const MAX_ADDRESSES: usize = 32;

/// Where a user name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Username {
    /// The spec itself.
    Literal(String),
    /// A Secret.
    From(SecretKeyRef),
}

/// How to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// Who.
    pub username: Username,
    /// The password's Secret.
    pub password: SecretKeyRef,
}

/// How to encrypt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The CA's Secret; absent means public CAs.
    pub ca: Option<SecretKeyRef>,
    /// Name of the client certificate's Secret.
    pub client_certificate: Option<String>,
}

/// A spec that can be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Where to ask for the brokers; never empty.
    pub bootstrap: Vec<HostPort>,
    /// How to encrypt; absent means not at all.
    pub tls: Option<Trust>,
    /// How to authenticate; absent means not at all.
    pub login: Option<Login>,
    /// The cluster that must be found there.
    pub expected: Option<ClusterId>,
    /// How many bytes a second brokers may spend on replicas that are moved; absent means any.
    pub throttle: Option<i64>,
}

/// Reads a spec; the error says what to correct.
pub fn parse(spec: &KafkaClusterSpec) -> Result<Desired, String> {
    if spec.bootstrap_servers.is_empty() || spec.bootstrap_servers.len() > MAX_ADDRESSES {
        return Err(format!(
            "bootstrapServers must hold 1 to {MAX_ADDRESSES} addresses"
        ));
    }
    let bootstrap = spec
        .bootstrap_servers
        .iter()
        .map(|text| address(text))
        .collect::<Result<_, _>>()?;
    let tls = spec.tls.as_ref().map(trust).transpose()?;
    let login = spec.sasl.as_ref().map(login).transpose()?;
    tenancy::check(spec)?;
    defaults::parse(spec.topic_defaults.as_ref())?;
    let throttle = spec.replication_throttle.as_deref().map(rate).transpose()?;
    let expected = spec.expected_cluster_id.as_deref().map(ClusterId::from);
    Ok(Desired {
        bootstrap,
        tls,
        login,
        expected,
        throttle,
    })
}

fn rate(text: &str) -> Result<i64, String> {
    match sizes::bytes(text) {
        Ok(rate) if rate > 0 => Ok(rate),
        Ok(_) => Err("replicationThrottle must be at least 1 byte a second".to_owned()),
        Err(error) => Err(format!("replicationThrottle: {error}")),
    }
}

fn address(text: &str) -> Result<HostPort, String> {
    let shown: String = text.chars().take(80).collect();
    let invalid =
        || format!("bootstrapServers: {shown:?} is no address; write host:port, such as kafka:9092");
    if text.len() > 261 || !text.is_ascii() || text.contains(['@', '/', ',']) {
        return Err(invalid());
    }
    text.parse().map_err(|_| invalid())
}

fn trust(tls: &Tls) -> Result<Trust, String> {
    let ca = tls.ca_from.as_ref().map(|from| reference("tls.caFrom", from));
    let named = |from: &SecretRef| {
        if fits(&from.name) {
            Ok(from.name.clone())
        } else {
            Err("tls.clientCertificateFrom must name a Secret".to_owned())
        }
    };
    Ok(Trust {
        ca: ca.transpose()?,
        client_certificate: tls.client_certificate_from.as_ref().map(named).transpose()?,
    })
}

fn login(sasl: &Sasl) -> Result<Login, String> {
    let username = match (&sasl.username, &sasl.username_from) {
        (Some(name), None) if name.is_empty() || name.contains(char::is_control) => {
            return Err("sasl.username must not be empty or hold control characters".to_owned());
        }
        (Some(name), None) => Username::Literal(name.clone()),
        (None, Some(from)) => Username::From(reference("sasl.usernameFrom", from)?),
        _ => return Err("sasl: give exactly one of username and usernameFrom".to_owned()),
    };
    let mechanism = match sasl.mechanism {
        SaslMechanism::Plain => Mechanism::Plain,
        SaslMechanism::ScramSha256 => Mechanism::ScramSha256,
        SaslMechanism::ScramSha512 => Mechanism::ScramSha512,
    };
    Ok(Login {
        mechanism,
        username,
        password: reference("sasl.passwordFrom", &sasl.password_from)?,
    })
}

/// Whether it can be the name of a Secret or of a key in one.
fn fits(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn reference(field: &str, from: &SecretKeyRef) -> Result<SecretKeyRef, String> {
    if fits(&from.name) && fits(&from.key) {
        Ok(from.clone())
    } else {
        Err(format!("{field} must name a Secret and a key of it"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rstest::rstest;

    use super::*;

    pub(crate) fn spec(address: &str) -> KafkaClusterSpec {
        KafkaClusterSpec {
            bootstrap_servers: vec![address.to_owned()],
            tls: None,
            sasl: None,
            expected_cluster_id: None,
            allowed_namespaces: ottla_crds::namespaces::AllowedNamespaces::default(),
            topic_name_policy: None,
            topic_defaults: None,
            destruction_limit: 10,
            replication_throttle: None,
        }
    }

    #[rstest]
    #[case("")]
    #[case("h")]
    #[case("h:0")]
    #[case("h:99999")]
    #[case("http://h:9")]
    #[case("u:p@h:1")]
    #[case("a:1,b:2")]
    #[case("кафка:9092")]
    fn a_bad_address_is_named(#[case] text: &str) {
        let error = parse(&spec(text)).unwrap_err();
        assert!(error.starts_with("bootstrapServers"), "{error}");
    }

    #[rstest]
    #[case("50Mi", Some(52_428_800))]
    #[case("1", Some(1))]
    #[case("0", None)]
    #[case("0Mi", None)]
    #[case("50MB/s", None)]
    #[case("99999999999999999Ti", None)]
    fn a_throttle_is_a_size_above_zero(#[case] text: &str, #[case] rate: Option<i64>) {
        let mut spec = spec("kafka:9092");
        spec.replication_throttle = Some(text.to_owned());
        let parsed = parse(&spec);
        assert_eq!(
            parsed.as_ref().ok().and_then(|desired| desired.throttle),
            rate,
            "{parsed:?}"
        );
        if let Err(error) = parsed {
            assert!(error.starts_with("replicationThrottle"), "{error}");
        }
    }

    #[test]
    fn tls_names_its_secrets() {
        let mut spec = spec("kafka:9093");
        spec.tls = Some(Tls::default());
        assert_eq!(parse(&spec).unwrap().tls, Some(Trust::default()));
        let name = |name: &str| {
            Some(SecretRef {
                name: name.to_owned(),
            })
        };
        spec.tls = Some(Tls {
            ca_from: None,
            client_certificate_from: name("mine"),
        });
        let trust = parse(&spec).unwrap().tls.unwrap();
        assert_eq!(trust.client_certificate.as_deref(), Some("mine"));
        spec.tls = Some(Tls {
            ca_from: None,
            client_certificate_from: name("../mine"),
        });
        assert!(parse(&spec).unwrap_err().starts_with("tls.clientCertificateFrom"));
    }

    #[test]
    fn a_good_spec_parses() {
        let mut spec = spec("kafka.kafka.svc:9092");
        let password_from = SecretKeyRef {
            name: "s".to_owned(),
            key: "k".to_owned(),
        };
        spec.sasl = Some(Sasl {
            mechanism: SaslMechanism::ScramSha512,
            username: Some("user1".to_owned()),
            username_from: None,
            password_from: password_from.clone(),
        });
        assert_eq!(
            parse(&spec).unwrap().login.unwrap().mechanism,
            Mechanism::ScramSha512
        );
        if let Some(sasl) = spec.sasl.as_mut() {
            sasl.username_from = Some(password_from);
        }
        assert!(parse(&spec).unwrap_err().contains("exactly one"));
    }
}
