//! Reads named keys of one Secret, afresh at every pass. Secrets are never listed, watched or kept.

use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::Api;
use ottla_crds::common::SecretKeyRef;
use ottla_kafka::config::Secret;
use ottla_kafka::tls::InvalidTls;

use crate::runtime::apply::call;
use crate::runtime::{Context, Error};

/// The longest value taken for a name or a password.
const MAX_VALUE: usize = 4_096;
/// The longest PEM text taken.
const MAX_PEM: usize = 256 * 1024;
/// The keys of a Secret of type kubernetes.io/tls.
pub const CERTIFICATE: &str = "tls.crt";
/// The private key's.
pub const PRIVATE_KEY: &str = "tls.key";
/// The type of Secrets that must never be sent to a host of somebody's choice.
const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

/// Why a Secret's key gave no value. Texts name the Secret and the key, never the content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// There is no such Secret.
    #[error("Secret \"{0}\" does not exist in this namespace: create it, or correct the reference")]
    NotFound(String),
    /// The Secret has no such key.
    #[error("Secret \"{secret}\" has no key \"{key}\"{}", among(keys))]
    KeyMissing {
        /// The Secret.
        secret: String,
        /// The key asked for.
        key: String,
        /// The keys it has.
        keys: Vec<String>,
    },
    /// The operator may not read it.
    #[error("the operator may not read Secret \"{0}\": grant it get on secrets in this namespace")]
    Forbidden(String),
    /// It is nothing to be used as a name or a password.
    #[error("Secret \"{secret}\"{} {problem}", key.as_ref().map(|key| format!(", key \"{key}\",")).unwrap_or_default())]
    Unusable {
        /// The Secret.
        secret: String,
        /// The key, where the fault lies in one.
        key: Option<String>,
        /// What is wrong.
        problem: &'static str,
    },
    /// It can be read, and is no certificate or key to use.
    #[error("{origin}: {problem}")]
    BadCertificate {
        /// The field of the spec, and the Secret it names.
        origin: String,
        /// What is wrong.
        problem: InvalidTls,
    },
}

fn among(keys: &[String]) -> String {
    if keys.is_empty() {
        ": it is empty".to_owned()
    } else {
        format!(": it has {}", keys.join(", "))
    }
}

/// Reads one name or password. The outer error is the Kubernetes API's, the inner one the user's to fix.
pub async fn read(
    ctx: &Context,
    namespace: &str,
    from: &SecretKeyRef,
) -> Result<Result<Secret, SecretProblem>, Error> {
    let secret = get(ctx, namespace, &from.name).await?;
    Ok(secret.and_then(|secret| value(&secret, from)))
}

/// Reads one PEM text, as [`read`] does.
pub async fn read_pem(
    ctx: &Context,
    namespace: &str,
    from: &SecretKeyRef,
) -> Result<Result<Secret, SecretProblem>, Error> {
    let secret = get(ctx, namespace, &from.name).await?;
    Ok(secret.and_then(|secret| pem(&secret, from)))
}

/// Reads a certificate and its private key, as [`read`] does; both of one version of the Secret.
pub async fn read_certificate(
    ctx: &Context,
    namespace: &str,
    name: &str,
) -> Result<Result<(Secret, Secret), SecretProblem>, Error> {
    let part = |secret: &KubeSecret, key: &str| {
        let from = SecretKeyRef {
            name: name.to_owned(),
            key: key.to_owned(),
        };
        pem(secret, &from)
    };
    let secret = get(ctx, namespace, name).await?;
    Ok(secret.and_then(|secret| Ok((part(&secret, CERTIFICATE)?, part(&secret, PRIVATE_KEY)?))))
}

async fn get(ctx: &Context, namespace: &str, name: &str) -> Result<Result<KubeSecret, SecretProblem>, Error> {
    let api: Api<KubeSecret> = Api::namespaced(ctx.client.clone(), namespace);
    match call("read a Secret", api.get_opt(name)).await {
        Ok(Some(secret)) => Ok(Ok(secret)),
        Ok(None) => Ok(Err(SecretProblem::NotFound(name.to_owned()))),
        Err(Error::Kube { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 403) => {
            Ok(Err(SecretProblem::Forbidden(name.to_owned())))
        }
        Err(error) => Err(error),
    }
}

fn unusable(from: &SecretKeyRef, problem: &'static str) -> SecretProblem {
    SecretProblem::Unusable {
        secret: from.name.clone(),
        key: Some(from.key.clone()),
        problem,
    }
}

/// The text of a key, of whatever Secret may be sent to Kafka.
fn text<'a>(
    secret: &'a KubeSecret,
    from: &SecretKeyRef,
    longest: usize,
    too_long: &'static str,
) -> Result<&'a str, SecretProblem> {
    if secret.type_.as_deref() == Some(SERVICE_ACCOUNT_TOKEN) {
        return Err(SecretProblem::Unusable {
            secret: from.name.clone(),
            key: None,
            problem: "is a service account token, which is never sent to Kafka",
        });
    }
    let data = secret.data.as_ref();
    let Some(bytes) = data.and_then(|data| data.get(&from.key)) else {
        let keys = data
            .map(|data| data.keys().take(20).cloned().collect())
            .unwrap_or_default();
        return Err(SecretProblem::KeyMissing {
            secret: from.name.clone(),
            key: from.key.clone(),
            keys,
        });
    };
    if bytes.0.is_empty() {
        return Err(unusable(from, "is empty"));
    }
    if bytes.0.len() > longest {
        return Err(unusable(from, too_long));
    }
    std::str::from_utf8(&bytes.0).map_err(|_| unusable(from, "is not UTF-8 text"))
}

fn pem(secret: &KubeSecret, from: &SecretKeyRef) -> Result<Secret, SecretProblem> {
    let text = text(secret, from, MAX_PEM, "is longer than 256 KiB")?;
    Ok(Secret::new(text.to_owned()))
}

fn value(secret: &KubeSecret, from: &SecretKeyRef) -> Result<Secret, SecretProblem> {
    let text = text(secret, from, MAX_VALUE, "is longer than 4096 bytes")?;
    if text.ends_with(['\n', '\r']) {
        return Err(unusable(
            from,
            "ends with a line break: store it without one, as printf or --from-literal does",
        ));
    }
    if text.contains(char::is_control) {
        return Err(unusable(from, "contains control characters"));
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::missing_key("other", b"x", "has no key \"password\": it has other")]
    #[case::empty("password", b"", "is empty")]
    #[case::not_utf8("password", b"\xff\xfe", "is not UTF-8 text")]
    #[case::line_break("password", b"canary\r\n", "ends with a line break")]
    #[case::nul("password", b"can\0ary", "contains control characters")]
    #[case::huge("password", &[b'x'; 5000], "longer than 4096 bytes")]
    fn each_fault_has_its_words_and_no_content(#[case] key: &str, #[case] bytes: &[u8], #[case] words: &str) {
        let secret = KubeSecret {
            data: Some([(key.to_owned(), ByteString(bytes.to_vec()))].into()),
            ..KubeSecret::default()
        };
        let from = SecretKeyRef {
            name: "kafka".to_owned(),
            key: "password".to_owned(),
        };
        let problem = value(&secret, &from).unwrap_err().to_string();
        assert!(problem.contains(words), "{problem}");
        assert!(!problem.contains("can"), "{problem}");
    }

    #[test]
    fn pem_keeps_its_lines_and_has_a_bound() {
        let from = SecretKeyRef {
            name: "kafka".to_owned(),
            key: "ca.crt".to_owned(),
        };
        let of = |bytes: &[u8]| {
            let data = [("ca.crt".to_owned(), ByteString(bytes.to_vec()))].into();
            let secret = KubeSecret {
                data: Some(data),
                ..KubeSecret::default()
            };
            pem(&secret, &from)
        };
        assert_eq!(of(b"a\nb\n").unwrap().expose(), "a\nb\n");
        assert!(
            of(&vec![b'x'; MAX_PEM + 1])
                .unwrap_err()
                .to_string()
                .contains("256 KiB")
        );
        assert!(of(b"").is_err());
    }

    #[test]
    fn a_service_account_token_is_refused_whatever_it_holds() {
        let secret = KubeSecret {
            type_: Some(SERVICE_ACCOUNT_TOKEN.to_owned()),
            data: Some([("token".to_owned(), ByteString(b"canary".to_vec()))].into()),
            ..KubeSecret::default()
        };
        let from = SecretKeyRef {
            name: "default-token".to_owned(),
            key: "token".to_owned(),
        };
        assert!(
            value(&secret, &from)
                .unwrap_err()
                .to_string()
                .contains("service account token")
        );
    }
}
