//! Two worlds side by side, Kubernetes and Kafka, and an operator for topics and purges between them that can be
//! restarted at any point. Time moves when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use ottla_crds::{KafkaCluster, KafkaTopic, KafkaTopicPurge};
use ottla_kafka::fake::{FakeKafka, FakeTopic};
use ottla_kafka::types::{PartitionId, TopicName};
use ottla_operator::cluster::{self, Clusters};
use ottla_operator::connections::Connections;
use ottla_operator::purge::{self, Purges};
use ottla_operator::runtime::config::Config;
use ottla_operator::runtime::metrics::Metrics;
use ottla_operator::runtime::store::{Entry, Store};
use ottla_operator::runtime::watch::Watched;
use ottla_operator::runtime::{Action, Context, Key, Reconciler};
use ottla_operator::topic::{self, Topics};
use serde_json::{Value, json};

use crate::api::Api;

pub(crate) const TOPICS: &str = "kafkatopics";
pub(crate) const CLUSTERS: &str = "kafkaclusters";
pub(crate) const PURGES: &str = "kafkatopicpurges";

/// When the worlds begin: after every object's creation.
const START: &str = "2026-01-01T12:00:00Z";

pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) kafka: Arc<FakeKafka>,
    pub(crate) ctx: Arc<Context>,
    topics: Arc<Topics>,
    purges: Purges,
    now: Arc<AtomicI64>,
}

impl World {
    /// A Kafka, and a KafkaCluster that names it.
    pub(crate) fn new() -> Self {
        let start = START.parse::<Timestamp>().unwrap().as_second();
        let world = Self::on(
            Api::default(),
            Arc::new(FakeKafka::with_brokers(3)),
            Arc::new(AtomicI64::new(start)),
        );
        let spec = json!({"bootstrapServers": ["kafka:9092"]});
        world.api.put(CLUSTERS, object("KafkaCluster", "kafka", spec));
        world
    }

    /// The same with a topic that holds so many records in each partition.
    pub(crate) async fn with_orders(partitions: i32, records: &[i64]) -> Self {
        let world = Self::new();
        world.topic("orders", json!({"partitions": partitions}));
        world.settle().await;
        for (partition, count) in (0..).zip(records) {
            world.append("orders", partition, *count, 1_000);
        }
        world
    }

    fn on(api: Api, kafka: Arc<FakeKafka>, now: Arc<AtomicI64>) -> Self {
        let to = kafka.clone();
        let connections = Connections::new(Box::new(move |_| to.clone()));
        let clock = now.clone();
        let ctx = Context::new(
            api.client(),
            Config::default(),
            connections,
            Arc::new(Metrics::default()),
        );
        let ctx = Arc::new(ctx.with_clock(Box::new(move || {
            Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap()
        })));
        let topics = Arc::new(Topics::default());
        cluster::triggers(&ctx);
        topic::triggers(&ctx, &topics);
        purge::triggers(&ctx);
        Self {
            api,
            kafka,
            ctx,
            topics,
            purges: Purges::default(),
            now,
        }
    }

    /// A new operator in the same worlds: what it remembered is lost.
    pub(crate) fn restarted(&self) -> Self {
        Self::on(self.api.clone(), self.kafka.clone(), self.now.clone())
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The time in milliseconds.
    pub(crate) fn millis(&self) -> i64 {
        self.now.load(Ordering::Relaxed) * 1_000
    }

    pub(crate) fn topic(&self, name: &str, mut spec: Value) {
        spec["clusterRef"] = json!({"name": "kafka"});
        self.api.put(TOPICS, object("KafkaTopic", name, spec));
    }

    /// How many topics may await their deletion at once.
    pub(crate) fn destruction_limit(&self, limit: i64) {
        let spec = json!({"bootstrapServers": ["kafka:9092"], "destructionLimit": limit});
        self.api.put(CLUSTERS, object("KafkaCluster", "kafka", spec));
    }

    /// A purge of topic `orders`, unless the spec says otherwise.
    pub(crate) fn purge(&self, name: &str, mut spec: Value) {
        if spec["topicRef"].is_null() {
            spec["topicRef"] = json!({"name": "orders"});
        }
        self.api.put(PURGES, object("KafkaTopicPurge", name, spec));
    }

    pub(crate) fn append(&self, topic: &str, partition: i32, count: i64, time: i64) {
        self.kafka
            .append(&name_of(topic), PartitionId::from(partition), count, time);
    }

    fn sync(&self) {
        fill::<KafkaCluster>(&self.api, CLUSTERS, &self.ctx.stores.clusters);
        fill::<KafkaTopic>(&self.api, TOPICS, &self.ctx.stores.topics);
        fill::<KafkaTopicPurge>(&self.api, PURGES, &self.ctx.stores.purges);
    }

    /// One pass over every object. Errors are a crash's: the next pass comes.
    pub(crate) async fn pass(&self) -> Vec<Action> {
        self.sync();
        let stores = &self.ctx.stores;
        let mut actions = vec![];
        for cluster in stores.clusters.objects() {
            actions.extend(Clusters.reconcile(&self.ctx, cluster).await);
        }
        for key in keys(&stores.topics) {
            self.sync();
            if let Some(object) = stores.topics.object(&key) {
                actions.extend(self.topics.reconcile(&self.ctx, object).await);
            }
        }
        for key in keys(&stores.purges) {
            self.sync();
            if let Some(object) = stores.purges.object(&key) {
                actions.extend(self.purges.reconcile(&self.ctx, object).await);
            }
        }
        self.sync();
        actions
    }

    /// One pass over a purge as it was last seen here, whatever has become of it.
    pub(crate) async fn pass_unaware(&self, name: &str) {
        let known = self.ctx.stores.purges.object(&Key::new("kafka", name));
        let outcome = self.purges.reconcile(&self.ctx, known.unwrap()).await;
        drop(outcome);
    }

    /// Passes until nothing moves in either world.
    pub(crate) async fn settle(&self) {
        for _ in 0..12 {
            let before = (self.api.writes().len(), self.kafka.topics());
            self.pass().await;
            if before == (self.api.writes().len(), self.kafka.topics()) {
                return;
            }
        }
        panic!("does not come to rest: {:?}", self.api.writes());
    }

    /// The STATE of a purge.
    pub(crate) fn state(&self, name: &str) -> String {
        self.of_condition(name, "Ready", "reason")
    }

    /// The status of a purge's condition.
    pub(crate) fn condition(&self, name: &str, type_: &str) -> String {
        self.of_condition(name, type_, "status")
    }

    pub(crate) fn message(&self, name: &str) -> String {
        self.of_condition(name, "Ready", "message")
    }

    fn of_condition(&self, name: &str, type_: &str, field: &str) -> String {
        let object = self.api.get(PURGES, name).expect("the purge is there");
        let conditions = object["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = conditions.iter().find(|condition| condition["type"] == type_);
        let text = found.and_then(|condition| condition[field].as_str());
        text.unwrap_or_default().to_owned()
    }

    pub(crate) fn live(&self, name: &str) -> Option<FakeTopic> {
        self.kafka.topics().remove(&name_of(name))
    }

    /// Start and end of each partition.
    pub(crate) fn spans(&self, name: &str) -> Vec<(i64, i64)> {
        self.live(name).expect("the topic is there").partitions
    }
}

fn keys<K: Watched>(store: &Store<K>) -> Vec<Key> {
    let mut keys: Vec<Key> = store.objects().iter().map(|object| Key::of(&**object)).collect();
    keys.sort();
    keys
}

pub(crate) fn name_of(text: &str) -> TopicName {
    text.parse().unwrap()
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "ottla.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "kafka"}, "spec": spec
    })
}

fn fill<K: Watched>(api: &Api, plural: &str, store: &Store<K>) {
    let mut listed = std::collections::HashSet::new();
    for object in api.list(plural) {
        let object: K = serde_json::from_value(object).unwrap();
        let key = Key::of(&object);
        store.observe(&key, &Entry::Object(Arc::new(object)));
        listed.insert(key);
    }
    store.retain(None, &listed);
}
