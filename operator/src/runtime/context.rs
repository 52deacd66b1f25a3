//! What every pass is given: clients, stores, queues, clock, metrics. Built once; holds no rule.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::{Client, Resource};
use ottla_crds::{KafkaCluster, KafkaConsumer, KafkaProducer, KafkaTopic, KafkaTopicPurge};

use super::config::Config;
use super::events::{Events, Note};
use super::health::Health;
use super::metrics::Metrics;
use super::namespaces;
use super::queue::Queue;
use super::store::Store;
use crate::connections::Connections;

/// What is known of each kind.
#[derive(Debug, Default)]
pub struct Stores {
    /// Every KafkaCluster in sight.
    pub clusters: Store<KafkaCluster>,
    /// Every namespace, where namespaces may be read.
    pub namespaces: Store<namespaces::Meta>,
    /// Every KafkaTopic in sight.
    pub topics: Store<KafkaTopic>,
    /// Every KafkaTopicPurge in sight.
    pub purges: Store<KafkaTopicPurge>,
    /// Every KafkaProducer in sight.
    pub producers: Store<KafkaProducer>,
    /// Every KafkaConsumer in sight.
    pub consumers: Store<KafkaConsumer>,
    /// The Jobs that carry our `managed-by` label.
    pub jobs: Store<Job>,
    /// The Deployments that carry our `managed-by` label.
    pub deployments: Store<Deployment>,
    /// The Pods that carry our `managed-by` label.
    pub pods: Store<Pod>,
}

/// The queue of each kind.
#[derive(Clone, Debug, Default)]
pub struct Queues {
    /// KafkaClusters to look at.
    pub clusters: Queue,
    /// KafkaTopics to look at.
    pub topics: Queue,
    /// Each KafkaTopicPurge to look at.
    pub purges: Queue,
    /// KafkaProducers to look at.
    pub producers: Queue,
    /// KafkaConsumers to look at.
    pub consumers: Queue,
}

/// Tells the time.
pub type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// What every pass is given.
pub struct Context {
    /// The Kubernetes API.
    pub client: Client,
    /// What the operator was told at its start.
    pub config: Config,
    /// What is known of each kind.
    pub stores: Stores,
    /// Who is to be looked at.
    pub queues: Queues,
    /// One Kafka client for each KafkaCluster.
    pub connections: Connections,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Which loops turn.
    pub health: Arc<Health>,
    events: Events,
    clock: Clock,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// A context with the system's clock.
    #[must_use]
    pub fn new(client: Client, config: Config, connections: Connections, metrics: Arc<Metrics>) -> Self {
        let pod = config.pod_name.clone();
        Self {
            events: Events::new(client.clone(), pod),
            client,
            config,
            stores: Stores::default(),
            queues: Queues::default(),
            connections,
            metrics,
            health: Arc::default(),
            clock: Box::new(Timestamp::now),
        }
    }

    /// The same with loops that report there.
    #[must_use]
    pub fn with_health(mut self, health: Arc<Health>) -> Self {
        self.health = health;
        self
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The time, to the second: what conditions can hold.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = (self.clock)();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    /// Publishes notes about an object, in order. Never fails: an event is a courtesy.
    pub async fn publish<K: Resource<DynamicType = ()>>(
        &self,
        kind: &'static str,
        object: &K,
        notes: &[Note],
    ) {
        let about = object.object_ref(&());
        for note in notes {
            if self.events.publish(&about, note).await {
                self.metrics.event_published(kind, note.reason);
            }
        }
    }
}
