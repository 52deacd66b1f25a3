//! Two worlds side by side, Kubernetes and Kafka, and an operator between them that can be restarted at any point.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_crds::{KafkaCluster, KafkaTopic};
use ottla_kafka::fake::{FakeKafka, FakeTopic};
use ottla_kafka::types::TopicName;
use ottla_operator::cluster::{self, Clusters};
use ottla_operator::connections::Connections;
use ottla_operator::runtime::config::Config;
use ottla_operator::runtime::metrics::Metrics;
use ottla_operator::runtime::store::{Broken, Entry, Store};
use ottla_operator::runtime::watch::Watched;
use ottla_operator::runtime::{Action, Context, Key, Reconciler, namespaces};
use ottla_operator::topic::{self, Topics};
use serde_json::{Value, json};

use crate::api::Api;

pub(crate) const TOPICS: &str = "kafkatopics";
pub(crate) const CLUSTERS: &str = "kafkaclusters";

/// The longest wait that belongs to a story's course: a deletion waits for others that come with it.
const SOON: std::time::Duration = std::time::Duration::from_secs(3);

pub(crate) struct World {
    pub(crate) api: Api,
    pub(crate) kafka: Arc<FakeKafka>,
    pub(crate) ctx: Arc<Context>,
    pub(crate) topics: Arc<Topics>,
}

impl World {
    /// A Kafka, and a KafkaCluster that names it.
    pub(crate) fn new() -> Self {
        let world = Self::on(Api::default(), Arc::new(FakeKafka::with_brokers(3)));
        world.cluster(json!({"bootstrapServers": ["kafka:9092"]}));
        world
    }

    /// The same with an operator that sees some namespaces only.
    pub(crate) fn restricted_to(namespaces: &[&str]) -> Self {
        let config = Config {
            watch_namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
            ..Config::default()
        };
        Self::with(Api::default(), Arc::new(FakeKafka::with_brokers(3)), config)
    }

    /// The same with an operator that tells figures of single topics.
    pub(crate) fn telling_topics() -> Self {
        let config = Config {
            topic_metrics: true,
            ..Config::default()
        };
        Self::with(Api::default(), Arc::new(FakeKafka::with_brokers(3)), config)
    }

    fn on(api: Api, kafka: Arc<FakeKafka>) -> Self {
        Self::with(api, kafka, Config::default())
    }

    fn with(api: Api, kafka: Arc<FakeKafka>, config: Config) -> Self {
        let connections = connections(&kafka);
        Self::connected(api, kafka, config, connections)
    }

    /// A second Kafka, at the host of that name, beside the first.
    pub(crate) fn beside(name: &'static str, second: &Arc<FakeKafka>) -> Self {
        let (kafka, second) = (Arc::new(FakeKafka::with_brokers(3)), second.clone());
        let first = kafka.clone();
        let connections = Connections::new(Box::new(move |config| {
            let second_is_meant = config.bootstrap[0].host == name;
            if second_is_meant {
                second.clone()
            } else {
                first.clone()
            }
        }));
        let world = Self::connected(Api::default(), kafka, Config::default(), connections);
        world.cluster(json!({"bootstrapServers": ["kafka:9092"]}));
        world
    }

    fn connected(api: Api, kafka: Arc<FakeKafka>, config: Config, connections: Connections) -> Self {
        let ctx = Arc::new(Context::new(
            api.client(),
            config,
            connections,
            Arc::new(Metrics::default()),
        ));
        let topics = Arc::new(Topics::default());
        cluster::triggers(&ctx);
        topic::triggers(&ctx, &topics);
        Self {
            api,
            kafka,
            ctx,
            topics,
        }
    }

    /// A new operator in the same worlds: what it remembered is lost.
    pub(crate) fn restarted(&self) -> Self {
        Self::on(self.api.clone(), self.kafka.clone())
    }

    pub(crate) fn cluster(&self, spec: Value) {
        self.api
            .put(CLUSTERS, object("KafkaCluster", "kafka", "kafka", spec));
    }

    /// A namespace with labels.
    pub(crate) fn namespace(&self, name: &str, labels: Value) {
        let meta = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "uid": format!("uid-of-{name}"), "labels": labels}});
        let meta: namespaces::Meta = serde_json::from_value(meta).unwrap();
        let entry = Entry::Object(Arc::new(meta));
        self.ctx.stores.namespaces.observe(&namespaces::key(name), &entry);
    }

    pub(crate) fn topic(&self, name: &str, spec: Value) {
        self.topic_in("kafka", name, spec);
    }

    pub(crate) fn topic_in(&self, namespace: &str, name: &str, mut spec: Value) {
        spec["clusterRef"] = json!({"name": "kafka", "namespace": "kafka"});
        self.api.put(TOPICS, object("KafkaTopic", namespace, name, spec));
    }

    /// The watches catch up.
    pub(crate) fn sync(&self) {
        fill::<KafkaCluster>(&self.api, CLUSTERS, &self.ctx.stores.clusters);
        fill::<KafkaTopic>(&self.api, TOPICS, &self.ctx.stores.topics);
    }

    /// One pass over every object. Errors are a crash's: the next pass comes.
    pub(crate) async fn pass(&self) -> Vec<Action> {
        self.sync();
        let mut actions = vec![];
        for cluster in self.ctx.stores.clusters.objects() {
            actions.extend(Clusters.reconcile(&self.ctx, cluster).await);
        }
        actions.extend(self.pass_topics().await);
        self.sync();
        actions
    }

    /// One pass over every KafkaTopic, its KafkaCluster left alone.
    pub(crate) async fn pass_topics(&self) -> Vec<Action> {
        let mut actions = vec![];
        let mut keys: Vec<Key> = self
            .ctx
            .stores
            .topics
            .objects()
            .iter()
            .map(|topic| Key::of(&**topic))
            .collect();
        keys.sort();
        for key in keys {
            self.sync();
            if let Some(object) = self.ctx.stores.topics.object(&key) {
                actions.extend(self.topics.reconcile(&self.ctx, object).await);
            }
        }
        self.sync();
        actions
    }

    /// Whether deletions gather, or defaults reach one topic after the other: then a short wait is part of the story.
    fn gathers(&self) -> bool {
        let deleted = |topic: &Value| !topic["metadata"]["deletionTimestamp"].is_null();
        let pending = |cluster: &Value| cluster["status"]["defaultsPending"].as_i64() > Some(0);
        self.api.list(TOPICS).iter().any(deleted) || self.api.list(CLUSTERS).iter().any(pending)
    }

    /// Passes until nothing moves in either world, short waits included.
    pub(crate) async fn settle(&self) {
        for _ in 0..100 {
            let before = (self.api.writes().len(), self.kafka.topics());
            let actions = self.pass().await;
            if before != (self.api.writes().len(), self.kafka.topics()) {
                continue;
            }
            let waits = actions.into_iter().filter_map(|action| match action {
                Action::After(wait) if wait <= SOON => Some(wait),
                _ => None,
            });
            match waits.min().filter(|_| self.gathers()) {
                Some(wait) => tokio::time::advance(wait).await,
                None => return,
            }
        }
        panic!("does not come to rest: {:?}", self.api.writes());
    }

    /// The object of another namespace.
    pub(crate) fn of(&self, namespace: &str, name: &str) -> Option<Value> {
        let all = self.api.list(TOPICS).into_iter();
        all.into_iter()
            .find(|object| object["metadata"]["name"] == name && object["metadata"]["namespace"] == namespace)
    }

    /// Ready's status and reason of a KafkaTopic.
    pub(crate) fn ready(&self, name: &str) -> (String, String) {
        ready_of(&self.api.get(TOPICS, name).expect("the object is there"))
    }

    /// Ready's message of a KafkaTopic.
    pub(crate) fn message(&self, name: &str) -> String {
        let object = self.api.get(TOPICS, name).expect("the object is there");
        let conditions = object["status"]["conditions"].as_array().unwrap();
        conditions.iter().find(|c| c["type"] == "Ready").unwrap()["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn live(&self, name: &str) -> Option<FakeTopic> {
        self.kafka.topics().remove(&name_of(name))
    }

    /// Both worlds, but for what legitimately differs between two runs: versions and times.
    pub(crate) fn picture(&self) -> (BTreeMap<TopicName, FakeTopic>, Vec<Value>) {
        let objects = self.api.list(TOPICS).into_iter().map(|object| {
            json!([
                object["metadata"]["name"],
                object["metadata"]["finalizers"],
                object["metadata"]["deletionTimestamp"],
                object["status"]["topicId"],
                object["status"]["managedConfig"],
                object["status"]["partitions"],
                ready_of(&object)
            ])
        });
        (self.kafka.topics(), objects.collect())
    }
}

/// Connections that all lead to this Kafka.
pub(crate) fn connections(kafka: &Arc<FakeKafka>) -> Connections {
    let to = kafka.clone();
    Connections::new(Box::new(move |_| to.clone()))
}

pub(crate) fn name_of(text: &str) -> TopicName {
    text.parse().unwrap()
}

pub(crate) fn ready_of(object: &Value) -> (String, String) {
    let conditions = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let ready = conditions
        .iter()
        .find(|condition| condition["type"] == "Ready")
        .cloned()
        .unwrap_or_default();
    let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

pub(crate) fn object(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "ottla.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": namespace}, "spec": spec
    })
}

fn fill<K: Watched>(api: &Api, plural: &str, store: &Store<K>) {
    let mut listed = std::collections::HashSet::new();
    for object in api.list(plural) {
        let metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta =
            serde_json::from_value(object["metadata"].clone()).unwrap();
        let key = Key::new(
            metadata.namespace.clone().unwrap(),
            metadata.name.clone().unwrap(),
        );
        let entry = match serde_json::from_value::<K>(object) {
            Ok(object) => Entry::Object(Arc::new(object)),
            Err(error) => Entry::Broken(Arc::new(Broken {
                metadata,
                error: error.to_string(),
            })),
        };
        store.observe(&key, &entry);
        listed.insert(key);
    }
    store.retain(None, &listed);
}
