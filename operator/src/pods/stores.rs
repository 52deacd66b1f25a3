//! Looks objects up in the operator's stores, for what is otherwise pure.

use std::collections::HashSet;
use std::sync::Arc;

use kube::ResourceExt;
use ottla_crds::{KafkaCluster, KafkaConsumer, KafkaProducer, KafkaTopic};

use super::children::{self, PodState};
use super::names::{self, Role};
use super::target::{Catalog, Reference};
use crate::cluster::access;
use crate::cluster::tenancy::Access;
use crate::runtime::{Context, Key, Stores};

impl Catalog for Stores {
    fn topic(&self, namespace: &str, name: &str) -> Option<Arc<KafkaTopic>> {
        self.topics.object(&Key::new(namespace, name))
    }

    fn cluster(&self, namespace: &str, name: &str) -> Option<Arc<KafkaCluster>> {
        self.clusters.object(&Key::new(namespace, name))
    }

    fn may_refer(&self, cluster: &KafkaCluster, from: &str) -> bool {
        access(self, cluster, from) == Access::Allowed
    }
}

/// What a KafkaProducer says about its topic.
#[must_use]
pub fn of_producer(producer: &KafkaProducer) -> Reference<'_> {
    Reference {
        namespace: producer.metadata.namespace.as_deref().unwrap_or_default(),
        topic_ref: producer.spec.topic_ref.as_ref(),
        cluster_ref: producer.spec.cluster_ref.as_ref(),
        topic_name: producer.spec.topic_name.as_deref(),
        auth: producer.spec.auth.as_ref(),
    }
}

/// What a KafkaConsumer says about its topic.
#[must_use]
pub fn of_consumer(consumer: &KafkaConsumer) -> Reference<'_> {
    Reference {
        namespace: consumer.metadata.namespace.as_deref().unwrap_or_default(),
        topic_ref: consumer.spec.topic_ref.as_ref(),
        cluster_ref: consumer.spec.cluster_ref.as_ref(),
        topic_name: consumer.spec.topic_name.as_deref(),
        auth: consumer.spec.auth.as_ref(),
    }
}

/// Names of an object's pods that run.
#[must_use]
pub fn running_pods(ctx: &Context, role: Role, key: &Key) -> HashSet<String> {
    let labels = names::selector_labels(role, &key.name);
    ctx.stores
        .pods
        .objects()
        .iter()
        .filter(|pod| pod.metadata.namespace.as_ref() == Some(&key.namespace))
        .filter(|pod| {
            labels
                .iter()
                .all(|(label, value)| pod.labels().get(label) == Some(value))
        })
        .filter(|pod| children::pod(pod).state == PodState::Running)
        .map(|pod| pod.name_any())
        .collect()
}
