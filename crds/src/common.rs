//! References and small choices that several kinds share. Must not hold a whole kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{DNS_LABEL, DNS_SUBDOMAIN, SECRET_KEY};

/// Points at a KafkaCluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ClusterRef {
    /// Name of the KafkaCluster.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
    /// Namespace of the KafkaCluster. Default: the namespace of this object. Another namespace must be allowed by
    /// the KafkaCluster's allowedNamespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = DNS_LABEL))]
    pub namespace: Option<String>,
}

/// Points at a KafkaTopic of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct TopicRef {
    /// Name of the KafkaTopic.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
}

/// Points at one key of a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// Name of the Secret. A service account token is refused.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
    /// Key within the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_KEY))]
    pub key: String,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SaslMechanism {
    /// PLAIN: name and password as they are.
    Plain,
    /// SCRAM-SHA-256: the password never crosses the wire.
    ScramSha256,
    /// SCRAM-SHA-512: the password never crosses the wire.
    ScramSha512,
}

/// Which partitioner maps a key to a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PartitionerType {
    /// As Kafka's Java client: murmur2 of the key, modulo the number of partitions.
    #[default]
    JavaDefault,
}

/// How keys map to partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Partitioner {
    /// Which partitioner. Default JavaDefault.
    #[serde(default, rename = "type")]
    pub type_: PartitionerType,
}

/// Points at a Secret of the same namespace as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// Name of the Secret. A service account token is refused.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
}

/// Where a workload's credentials come from. All Secrets are of this namespace and are mounted into the pods as
/// files; what is absent is the KafkaCluster's own, if that lives in this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct WorkloadAuth {
    /// The Secret that holds the name and the password. Required where the KafkaCluster has sasl and lives elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_from: Option<CredentialsFrom>,
    /// Secret key that holds the CA certificates (PEM) to trust. Required where the KafkaCluster has tls.caFrom and
    /// lives elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_from: Option<SecretKeyRef>,
    /// Secret that holds the client certificate, tls.crt, and its private key, tls.key. Required where the
    /// KafkaCluster has tls.clientCertificateFrom and lives elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_from: Option<SecretRef>,
}

/// A Secret with a name and a password, mounted into the pods as files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsFrom {
    /// Name of the Secret. A service account token is refused.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
    /// Key of the user name. Default `username`.
    #[serde(default = "username_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_KEY))]
    pub username_key: String,
    /// Key of the password. Default `password`.
    #[serde(default = "password_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_KEY))]
    pub password_key: String,
}

fn username_key() -> String {
    "username".to_owned()
}

fn password_key() -> String {
    "password".to_owned()
}
