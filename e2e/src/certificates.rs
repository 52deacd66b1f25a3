//! Certificate authorities: the one that the throw-away Kafka trusts and is signed by, and ones that nobody knows.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};

use crate::live::Live;

/// Where `cargo xtask` keeps the authority of the throw-away Kafka.
const SECRET: &str = "kafka-tls";
/// Its subject.
const SUBJECT: &str = "Ottla throw-away CA";
/// Years in which a certificate is valid now.
pub const VALID: (i32, i32) = (2020, 2100);
/// Years that are over.
pub const EXPIRED: (i32, i32) = (2020, 2021);

/// Signs certificates.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority of the throw-away Kafka in that namespace.
    pub async fn of_kafka(live: &Live, namespace: &str) -> Result<Self> {
        let secrets: Api<Secret> = Api::namespaced(live.client.clone(), namespace);
        let mut data = secrets.get(SECRET).await?.data.unwrap_or_default();
        let mut text = |key: &str| {
            let bytes = data
                .remove(key)
                .with_context(|| format!("Secret {SECRET}, key {key}"))?;
            String::from_utf8(bytes.0).context("PEM is text")
        };
        let (pem, key) = (text("ca.crt")?, text("ca.key")?);
        Ok(Self {
            pem,
            issuer: Issuer::new(params(SUBJECT)?, KeyPair::from_pem(&key)?),
        })
    }

    /// An authority that nobody knows.
    pub fn unknown() -> Result<Self> {
        let params = params("nobody knows this CA")?;
        let authority = CertifiedIssuer::self_signed(params.clone(), KeyPair::generate()?)?;
        let key = KeyPair::from_pem(&authority.key().serialize_pem())?;
        Ok(Self {
            pem: authority.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Its own certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A client's certificate and key, which Kafka knows as `CN=<subject>`; valid from one year's beginning to another's.
    pub fn client(&self, subject: &str, years: (i32, i32)) -> Result<(String, String)> {
        let mut params = params(subject)?;
        params.is_ca = IsCa::NoCa;
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// An authority of that name.
fn params(subject: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, subject);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
