//! The Secret with the certificate authority and the server certificate of a throw-away Kafka, created once for its
//! namespace. The authority's key is in it too: a test signs the client certificates that it needs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use super::{MOST_BROKERS, secrets};
use crate::kubectl::{self, kubectl};
use crate::paths;

/// Its name; `ca.crt`, `ca.key`, and `server.pem`, which is a broker's key and certificate in one.
pub const SECRET: &str = "kafka-tls";

/// Creates the Secret where it is missing.
pub fn ensure(namespace: &str) -> Result<()> {
    if kubectl::get(&["secret", SECRET, "-n", namespace])?.is_some() {
        return Ok(());
    }
    let data = make(namespace).context("cannot make certificates")?;
    secrets::create(namespace, SECRET, &data)
}

/// A folder with the authority's certificate as `ca.crt`, for tools on this machine.
pub fn trusted(namespace: &str) -> Result<PathBuf> {
    let path = "-o=go-template={{index .data \"ca.crt\" | base64decode}}";
    let pem = kubectl()
        .args(["get", "secret", SECRET, "-n", namespace, path])
        .output()?;
    let folder = paths::run().join("trusted").join(namespace);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(folder.join("ca.crt"), pem + "\n")?;
    Ok(folder)
}

fn make(namespace: &str) -> Result<[(&'static str, String); 3]> {
    let mut authority = params("Ottla throw-away CA", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let server = params("kafka", names(namespace))?;
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    Ok([
        ("ca.crt", authority.pem()),
        ("ca.key", authority.key().serialize_pem()),
        ("server.pem", key.serialize_pem() + &certificate.pem()),
    ])
}

/// Who is named by a subject of its own: one that equals its issuer's passes for self-signed.
fn params(subject: &str, names: Vec<String>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Every name by which a broker is addressed: the Service, the pods, and this machine's loopback.
fn names(namespace: &str) -> Vec<String> {
    let pod =
        |broker| format!("kafka-controller-{broker}.kafka-controller-headless.{namespace}.svc.cluster.local");
    let service = ["kafka".to_owned(), format!("kafka.{namespace}.svc.cluster.local")];
    let local = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    service
        .into_iter()
        .chain((0..MOST_BROKERS).map(pod))
        .chain(local)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_has_its_key_before_its_certificate() {
        let [(_, ca), (_, key), (_, server)] = make("spare").unwrap();
        assert!(
            ca.starts_with("-----BEGIN CERTIFICATE-----") && key.starts_with("-----BEGIN PRIVATE KEY-----")
        );
        let blocks: Vec<&str> = server
            .lines()
            .filter(|line| line.starts_with("-----BEGIN"))
            .collect();
        assert_eq!(
            blocks,
            ["-----BEGIN PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----"]
        );
        assert!(names("spare").contains(&"kafka.spare.svc.cluster.local".to_owned()));
    }
}
