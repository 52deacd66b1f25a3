//! Turns what a KafkaCluster's spec names into what a connection needs, by reading its Secrets. Keeps nothing.

use ottla_kafka::config::{Sasl, Secret, Security};
use ottla_kafka::tls::{Identity, InvalidTls, Tls};

use super::desired::{Desired, Login, Trust, Username};
use crate::connections::secret::{self, SecretProblem};
use crate::runtime::{Context, Error};

/// The security of a cluster's connections. The outer error is the Kubernetes API's, the inner one the user's to fix.
pub async fn security(
    ctx: &Context,
    namespace: &str,
    desired: &Desired,
) -> Result<Result<Security, SecretProblem>, Error> {
    let mut security = Security::PLAINTEXT;
    if let Some(trust) = &desired.tls {
        match tls(ctx, namespace, trust).await? {
            Ok(tls) => security = security.over(tls),
            Err(problem) => return Ok(Err(problem)),
        }
    }
    if let Some(login) = &desired.login {
        match sasl(ctx, namespace, login).await? {
            Ok(sasl) => security.sasl = Some(sasl),
            Err(problem) => return Ok(Err(problem)),
        }
    }
    Ok(Ok(security))
}

async fn tls(ctx: &Context, namespace: &str, trust: &Trust) -> Result<Result<Tls, SecretProblem>, Error> {
    let ca = match &trust.ca {
        None => None,
        Some(from) => match secret::read_pem(ctx, namespace, from).await? {
            Ok(pem) => Some(pem),
            Err(problem) => return Ok(Err(problem)),
        },
    };
    let identity = match &trust.client_certificate {
        None => None,
        Some(name) => match secret::read_certificate(ctx, namespace, name).await? {
            Ok((certificates, key)) => Some(Identity {
                certificates: certificates.expose().to_owned(),
                key,
            }),
            Err(problem) => return Ok(Err(problem)),
        },
    };
    let tls = Tls::new(ca.as_ref().map(Secret::expose), identity);
    Ok(tls.map_err(|problem| bad_certificate(trust, problem)))
}

fn bad_certificate(trust: &Trust, problem: InvalidTls) -> SecretProblem {
    let origin = match (&problem, &trust.ca, &trust.client_certificate) {
        (InvalidTls::Ca, Some(from), _) => {
            format!("tls.caFrom, Secret \"{}\", key \"{}\"", from.name, from.key)
        }
        (InvalidTls::NoRoots, ..) => "tls, without caFrom".to_owned(),
        (_, _, Some(name)) => format!("tls.clientCertificateFrom, Secret \"{name}\""),
        _ => "tls".to_owned(),
    };
    SecretProblem::BadCertificate { origin, problem }
}

async fn sasl(ctx: &Context, namespace: &str, login: &Login) -> Result<Result<Sasl, SecretProblem>, Error> {
    let username = match &login.username {
        Username::Literal(name) => name.clone(),
        Username::From(from) => match secret::read(ctx, namespace, from).await? {
            Ok(name) => name.expose().to_owned(),
            Err(problem) => return Ok(Err(problem)),
        },
    };
    Ok(secret::read(ctx, namespace, &login.password)
        .await?
        .map(|password| Sasl {
            mechanism: login.mechanism,
            username,
            password,
        }))
}
