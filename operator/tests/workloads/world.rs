//! A world to reconcile in: the API, an operator on it, and hands that play Kubernetes and the pods.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use ottla_contract::summary::{Report, TerminationSummary};
use ottla_crds::{KafkaCluster, KafkaConsumer, KafkaProducer, KafkaTopic};
use ottla_operator::connections::Connections;
use ottla_operator::consumer::Consumers;
use ottla_operator::pods::Memory;
use ottla_operator::producer::Producers;
use ottla_operator::runtime::config::Config;
use ottla_operator::runtime::metrics::Metrics;
use ottla_operator::runtime::store::{Entry, Store};
use ottla_operator::runtime::watch::Watched;
use ottla_operator::runtime::{Action, Context, Error, Key, Reconciler};
use serde_json::{Value, json};

use crate::api::Api;

pub(crate) struct World {
    pub(crate) api: Api,
    ctx: Arc<Context>,
    producers: Producers,
    consumers: Consumers,
}

impl World {
    /// Cluster, topic and Secret are there, not Ready yet.
    pub(crate) fn new() -> Self {
        let api = Api::default();
        api.put("kafkaclusters", json!({
            "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaCluster",
            "metadata": {"name": "kafka", "namespace": "kafka", "generation": 1},
            "spec": {"bootstrapServers": ["kafka:9092"], "sasl": {
                "mechanism": "ScramSha512", "username": "user1", "passwordFrom": {"name": "passwords", "key": "one"}}},
            "status": {"clusterId": "C", "conditions": ready("True")}
        }));
        api.put(
            "secrets",
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "passwords", "namespace": "kafka"},
                "data": {"one": "c2VjcmV0"}
            }),
        );
        let world = Self::on(api);
        world.topic("False");
        world
    }

    /// A new operator on the same API: what it remembered is lost.
    pub(crate) fn restarted(&self) -> Self {
        Self::on(self.api.clone())
    }

    fn on(api: Api) -> Self {
        let metrics = Arc::new(Metrics::default());
        let connections = Connections::to_kafka(metrics.clone(), ottla_kafka::permit::Permit::unlimited());
        let ctx = Arc::new(Context::new(
            api.client(),
            Config::default(),
            connections,
            metrics,
        ));
        let memory = Arc::new(Memory::default());
        let (producers, consumers) = (Producers::new(memory.clone()), Consumers::new(memory));
        Self {
            api,
            ctx,
            producers,
            consumers,
        }
    }

    pub(crate) fn topic(&self, status: &str) {
        self.api.put(
            "kafkatopics",
            json!({
                "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaTopic",
                "metadata": {"name": "orders", "namespace": "kafka", "generation": 1},
                "spec": {"clusterRef": {"name": "kafka"}}, "status": {"conditions": ready(status)}
            }),
        );
    }

    pub(crate) fn producer(&self, spec: Value) {
        self.object(
            "KafkaProducer",
            "kafkaproducers",
            json!({"topicRef": {"name": "orders"}}),
            spec,
        );
    }

    pub(crate) fn consumer(&self, spec: Value) {
        self.object(
            "KafkaConsumer",
            "kafkaconsumers",
            json!({"topicRef": {"name": "orders"}, "groupId": "g"}),
            spec,
        );
    }

    fn object(&self, kind: &str, plural: &str, mut spec: Value, more: Value) {
        let Value::Object(more) = more else {
            panic!("a spec is an object")
        };
        spec.as_object_mut().unwrap().extend(more);
        let metadata = json!({
            "name": "load", "namespace": "kafka", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"
        });
        let object =
            json!({"apiVersion": "ottla.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        self.api.put(plural, object);
    }

    /// The watches catch up.
    fn sync(&self) {
        fn fill<K: Watched>(api: &Api, plural: &str, store: &Store<K>) {
            let objects: Vec<K> = api
                .list(plural)
                .into_iter()
                .map(|o| serde_json::from_value(o).unwrap())
                .collect();
            store.retain(None, &objects.iter().map(Key::of).collect());
            for object in objects {
                store.observe(&Key::of(&object), &Entry::Object(Arc::new(object)));
            }
        }
        let stores = &self.ctx.stores;
        fill::<KafkaCluster>(&self.api, "kafkaclusters", &stores.clusters);
        fill::<KafkaTopic>(&self.api, "kafkatopics", &stores.topics);
        fill::<KafkaProducer>(&self.api, "kafkaproducers", &stores.producers);
        fill::<KafkaConsumer>(&self.api, "kafkaconsumers", &stores.consumers);
        fill::<Job>(&self.api, "jobs", &stores.jobs);
        fill::<Deployment>(&self.api, "deployments", &stores.deployments);
        fill::<Pod>(&self.api, "pods", &stores.pods);
    }

    async fn turn<R: Reconciler>(
        &self,
        reconciler: &R,
        store: &Store<R::Object>,
    ) -> Result<Option<Action>, Error> {
        self.sync();
        let Some(object) = store.object(&Key::new("kafka", "load")) else {
            return Ok(None);
        };
        reconciler.reconcile(&self.ctx, object).await.map(Some)
    }

    /// One pass over each object; the first error ends it.
    pub(crate) async fn pass(&self) -> Result<[Option<Action>; 2], Error> {
        let producer = self.turn(&self.producers, &self.ctx.stores.producers).await?;
        let consumer = self.turn(&self.consumers, &self.ctx.stores.consumers).await?;
        Ok([producer, consumer])
    }

    /// Passes until nothing is written and nothing asks for another one at once.
    pub(crate) async fn settle(&self) {
        for _ in 0..10 {
            let before = self.api.writes().len();
            let actions = self.pass().await.unwrap();
            let again = actions
                .iter()
                .flatten()
                .any(|action| *action == Action::After(Duration::ZERO));
            if !again && self.api.writes().len() == before {
                return;
            }
        }
        panic!("does not come to rest: {:?}", self.api.writes());
    }

    /// A pod of a Job, ended with these last words; none is a kill.
    pub(crate) fn pod_ended(&self, job: &str, index: u32, exit_code: i32, report: Option<Report>) {
        let message = report.map(|report| {
            TerminationSummary {
                message: "ended".to_owned(),
                report,
            }
            .to_message()
        });
        let job_object = self.api.get("jobs", job).unwrap();
        self.api.put("pods", json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("{job}-{index}-{exit_code}"), "namespace": "kafka",
                "labels": job_object["spec"]["template"]["metadata"]["labels"],
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job, "controller": true,
                    "uid": job_object["metadata"]["uid"]}]
            },
            "status": {"containerStatuses": [{
                "name": "workload", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": exit_code, "reason": "Completed", "message": message}}
            }]}
        }));
    }

    pub(crate) fn job_ended(&self, job: &str, condition: &str) {
        let mut object = self.api.get("jobs", job).unwrap();
        object["status"] =
            json!({"conditions": [{"type": condition, "status": "True", "reason": "R", "message": "m"}]});
        self.api.put("jobs", object);
    }

    /// Status and reason of a condition of `kafkaproducers/load` or `kafkaconsumers/load`.
    pub(crate) fn condition(&self, plural: &str, type_: &str) -> Option<(String, String)> {
        let object = self.api.get(plural, "load")?;
        let condition = object["status"]["conditions"]
            .as_array()?
            .iter()
            .find(|c| c["type"] == type_)?
            .clone();
        Some((
            condition["status"].as_str()?.to_owned(),
            condition["reason"].as_str()?.to_owned(),
        ))
    }

    pub(crate) fn status(&self, plural: &str) -> Value {
        self.api.get(plural, "load").unwrap()["status"].clone()
    }

    pub(crate) fn uid(&self) -> String {
        self.api.get("kafkaproducers", "load").unwrap()["metadata"]["uid"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

fn ready(status: &str) -> Value {
    json!([{
        "type": "Ready", "status": status, "reason": "R", "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z"
    }])
}
