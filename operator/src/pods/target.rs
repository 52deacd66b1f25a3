//! Which topic of which Kafka a workload means, and with what credentials its pods go there.
//!
//! Pure: it reads the objects it is handed. Secrets are named here, never read.

use std::sync::Arc;

use ottla_crds::cluster::Tls;
use ottla_crds::common::{ClusterRef, SaslMechanism, SecretKeyRef, TopicRef, WorkloadAuth};
use ottla_crds::{KafkaCluster, KafkaTopic};

use super::template::{Certificates, Credentials, SecretKey, Username};

/// Where KafkaTopics and KafkaClusters are looked up by namespace and name.
pub trait Catalog {
    /// The KafkaTopic of that name.
    fn topic(&self, namespace: &str, name: &str) -> Option<Arc<KafkaTopic>>;
    /// The KafkaCluster of that name.
    fn cluster(&self, namespace: &str, name: &str) -> Option<Arc<KafkaCluster>>;
    /// Whether objects of that namespace may refer to the KafkaCluster.
    fn may_refer(&self, cluster: &KafkaCluster, from: &str) -> bool;
}

/// What a workload says about its topic.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// Namespace of the workload.
    pub namespace: &'a str,
    /// `spec.topicRef`.
    pub topic_ref: Option<&'a TopicRef>,
    /// `spec.clusterRef`.
    pub cluster_ref: Option<&'a ClusterRef>,
    /// `spec.topicName`.
    pub topic_name: Option<&'a str>,
    /// `spec.auth`.
    pub auth: Option<&'a WorkloadAuth>,
}

/// One topic of one live Kafka, however many objects lead to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicKey {
    /// Kafka's own id of the cluster.
    pub cluster_id: String,
    /// Kafka's name of the topic.
    pub topic: String,
}

/// Where the pods are to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The topic.
    pub key: TopicKey,
    /// Addresses to start from.
    pub bootstrap: Vec<String>,
    /// Mechanism, where the listener wants authentication.
    pub mechanism: Option<SaslMechanism>,
    /// Files to authenticate with; present exactly when `mechanism` is.
    pub credentials: Option<Credentials>,
    /// Files to encrypt with; none for a listener without TLS.
    pub certificates: Option<Certificates>,
}

/// Why a workload cannot start yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// The spec contradicts itself; only an object older than the CRD's rules can.
    InvalidSpec,
    /// No KafkaTopic of that name is in the namespace.
    TopicNotFound,
    /// The KafkaTopic is not Ready.
    TopicNotReady,
    /// No KafkaCluster of that name may be used from here.
    ClusterNotFound,
    /// The KafkaCluster is not Ready.
    ClusterNotReady,
    /// The KafkaCluster lives elsewhere, and no credentials of the own namespace are named.
    CredentialsRequired,
}

/// Why a workload cannot start yet, with what to tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// In one word.
    pub reason: HoldReason,
    /// In a sentence.
    pub message: String,
}

impl Hold {
    fn new(reason: HoldReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// Resolves a workload's topic to where its pods connect.
///
/// # Errors
///
/// What is waited for, or what the user must set.
pub fn resolve(reference: Reference<'_>, catalog: &impl Catalog) -> Result<Target, Hold> {
    let place = place(reference, catalog)?;
    if let Some(topic) = &place.kafka_topic
        && !is_ready(
            topic.metadata.generation,
            topic.status.as_ref().map(|s| s.conditions.as_slice()),
        )
    {
        let name = topic.metadata.name.as_deref().unwrap_or_default();
        return Err(Hold::new(
            HoldReason::TopicNotReady,
            format!("KafkaTopic {name} is not Ready"),
        ));
    }
    let cluster = &place.cluster;
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let status = cluster.status.as_ref();
    let not_ready = || {
        Hold::new(
            HoldReason::ClusterNotReady,
            format!("KafkaCluster {name} is not Ready"),
        )
    };
    if !is_ready(
        cluster.metadata.generation,
        status.map(|s| s.conditions.as_slice()),
    ) {
        return Err(not_ready());
    }
    let cluster_id = status.and_then(|s| s.cluster_id.clone()).ok_or_else(not_ready)?;
    let mechanism = cluster.spec.sasl.as_ref().map(|sasl| sasl.mechanism);
    let credentials = match mechanism {
        None => None,
        Some(_) => Some(credentials(reference, cluster)?),
    };
    let certificates = cluster.spec.tls.as_ref();
    let certificates = certificates.map(|tls| certificates_of(reference, cluster, tls));
    Ok(Target {
        key: TopicKey {
            cluster_id,
            topic: place.topic,
        },
        bootstrap: cluster.spec.bootstrap_servers.clone(),
        mechanism,
        credentials,
        certificates: certificates.transpose()?,
    })
}

/// The topic a workload means, for telling which producers and consumers belong together. Unlike [`resolve`] it
/// wants nothing to be Ready, only the cluster's id known: a broker's bad day must not part a consumer from its
/// evidence.
#[must_use]
pub fn topic_key(reference: Reference<'_>, catalog: &impl Catalog) -> Option<TopicKey> {
    let place = place(reference, catalog).ok()?;
    let cluster_id = place.cluster.status.as_ref()?.cluster_id.clone()?;
    Some(TopicKey {
        cluster_id,
        topic: place.topic,
    })
}

/// Kafka's id of the topic a workload means, as its KafkaTopic has it.
#[must_use]
pub fn topic_id(reference: Reference<'_>, catalog: &impl Catalog) -> Option<String> {
    let topic = catalog.topic(reference.namespace, &reference.topic_ref?.name)?;
    topic.status.as_ref()?.topic_id.clone()
}

struct Place {
    topic: String,
    kafka_topic: Option<Arc<KafkaTopic>>,
    cluster: Arc<KafkaCluster>,
}

fn place(reference: Reference<'_>, catalog: &impl Catalog) -> Result<Place, Hold> {
    match (reference.topic_ref, reference.cluster_ref, reference.topic_name) {
        (Some(topic_ref), None, None) => {
            let topic = catalog
                .topic(reference.namespace, &topic_ref.name)
                .ok_or_else(|| {
                    let text = format!(
                        "KafkaTopic {} does not exist in namespace {}",
                        topic_ref.name, reference.namespace
                    );
                    Hold::new(HoldReason::TopicNotFound, text)
                })?;
            let cluster = cluster(reference.namespace, &topic.spec.cluster_ref, catalog)?;
            let name = topic
                .spec
                .topic_name
                .clone()
                .or_else(|| topic.metadata.name.clone())
                .unwrap_or_default();
            Ok(Place {
                topic: name,
                kafka_topic: Some(topic),
                cluster,
            })
        }
        (None, Some(cluster_ref), Some(name)) => {
            let cluster = cluster(reference.namespace, cluster_ref, catalog)?;
            Ok(Place {
                topic: name.to_owned(),
                kafka_topic: None,
                cluster,
            })
        }
        _ => Err(Hold::new(
            HoldReason::InvalidSpec,
            "give either topicRef, or clusterRef together with topicName",
        )),
    }
}

/// "Not allowed" and "not found" read the same, so that names elsewhere cannot be guessed.
fn cluster(
    namespace: &str,
    reference: &ClusterRef,
    catalog: &impl Catalog,
) -> Result<Arc<KafkaCluster>, Hold> {
    let home = reference.namespace.as_deref().unwrap_or(namespace);
    catalog
        .cluster(home, &reference.name)
        .filter(|cluster| catalog.may_refer(cluster, namespace))
        .ok_or_else(|| {
            let text = format!(
                "KafkaCluster {home}/{} does not exist, or may not be used from namespace {namespace}",
                reference.name
            );
            Hold::new(HoldReason::ClusterNotFound, text)
        })
}

fn credentials(reference: Reference<'_>, cluster: &KafkaCluster) -> Result<Credentials, Hold> {
    if let Some(from) = reference.auth.and_then(|auth| auth.credentials_from.as_ref()) {
        let key = |key: &str| SecretKey {
            secret: from.name.clone(),
            key: key.to_owned(),
        };
        return Ok(Credentials {
            username: Username::Secret(key(&from.username_key)),
            password: key(&from.password_key),
        });
    }
    must_be_near(reference, cluster, "credentialsFrom")?;
    let invalid = || Hold::new(HoldReason::InvalidSpec, "the KafkaCluster names no SASL user");
    let sasl = cluster.spec.sasl.as_ref().ok_or_else(invalid)?;
    let username = match (&sasl.username, &sasl.username_from) {
        (Some(name), None) => Username::Literal(name.clone()),
        (None, Some(from)) => Username::Secret(secret_key(from)),
        _ => return Err(invalid()),
    };
    Ok(Credentials {
        username,
        password: secret_key(&sasl.password_from),
    })
}

/// What a workload names goes before what the KafkaCluster names, which goes only within its namespace.
fn certificates_of(
    reference: Reference<'_>,
    cluster: &KafkaCluster,
    tls: &Tls,
) -> Result<Certificates, Hold> {
    let auth = reference.auth;
    let given = auth.and_then(|auth| auth.ca_from.as_ref());
    if given.is_none() && tls.ca_from.is_some() {
        must_be_near(reference, cluster, "caFrom")?;
    }
    let ca = given.or(tls.ca_from.as_ref()).map(secret_key);
    let given = auth.and_then(|auth| auth.client_certificate_from.as_ref());
    if given.is_none() && tls.client_certificate_from.is_some() {
        must_be_near(reference, cluster, "clientCertificateFrom")?;
    }
    let client = given.or(tls.client_certificate_from.as_ref());
    Ok(Certificates {
        ca,
        client: client.map(|from| from.name.clone()),
    })
}

/// Secrets are never copied: what a KafkaCluster names is used only by pods of its own namespace.
fn must_be_near(reference: Reference<'_>, cluster: &KafkaCluster, field: &str) -> Result<(), Hold> {
    if cluster.metadata.namespace.as_deref() == Some(reference.namespace) {
        return Ok(());
    }
    let text = format!("the KafkaCluster is in another namespace: set auth.{field} to a Secret of this one");
    Err(Hold::new(HoldReason::CredentialsRequired, text))
}

fn secret_key(from: &SecretKeyRef) -> SecretKey {
    SecretKey {
        secret: from.name.clone(),
        key: from.key.clone(),
    }
}

fn is_ready(
    generation: Option<i64>,
    conditions: Option<&[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]>,
) -> bool {
    conditions.into_iter().flatten().any(|c| {
        c.type_ == "Ready"
            && c.status == "True"
            && c.observed_generation.is_none_or(|seen| Some(seen) == generation)
    })
}

#[cfg(test)]
mod tests;
