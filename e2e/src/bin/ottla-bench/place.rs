//! Where the bench works: a namespace of its own with its own KafkaClusters, and a prefix for its topics in Kafka.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use ottla_e2e::live::Live;
use ottla_e2e::metrics;
use ottla_e2e::object::{API, Kind, Look};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Common;

/// The KafkaCluster that works.
pub const GOOD: &str = "kafka";
/// The KafkaCluster that takes every connection and never answers.
pub const HOLE: &str = "hole";
/// The Secret with Kafka's password.
const SECRET: &str = "kafka-credentials";
/// The annotation of a KafkaCluster whose topics may be deleted however many they are, until then.
const RELEASE_DESTRUCTION: &str = "ottla.dev/release-destruction-until";
/// How long that holds; no round takes longer.
const RELEASED: Duration = Duration::from_secs(23 * 3600);
/// Longest wait for a KafkaCluster to be looked at.
const PATIENCE: Duration = Duration::from_secs(60);

/// The namespace of one run.
pub struct Place {
    live: Live,
    /// Its name.
    pub namespace: String,
    prefix: String,
}

/// Requests that the API server counted for topics, for purges and for events.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// Those that write.
    pub writes: f64,
    /// Those that read.
    pub reads: f64,
}

impl Place {
    /// Makes the namespace and the KafkaCluster in it.
    pub async fn make(args: &Common) -> Result<Self> {
        let live = Live::connect("the bench").await?;
        let live =
            live.context("KUBECONFIG and OTTLA_TEST_BOOTSTRAP must be set; `cargo xtask bench` does it")?;
        let namespace = ottla_e2e::scene::namespace(&live, "bench").await?;
        let id = namespace.rsplit('-').next().unwrap_or_default();
        let place = Self {
            prefix: format!("bench-{id}-"),
            live,
            namespace,
        };
        let mut spec = json!({"bootstrapServers": [args.bootstrap]});
        if let Some(sasl) = &args.sasl {
            spec["sasl"] = place.credentials(sasl).await?;
        }
        place.apply(Kind::Cluster, GOOD, spec).await?;
        Ok(place)
    }

    /// Keeps the password in a Secret; answers how a KafkaCluster refers to it.
    async fn credentials(&self, sasl: &str) -> Result<Value> {
        let mut parts = sasl.splitn(3, ':');
        let mut part = |what| parts.next().with_context(|| format!("no {what} in --sasl"));
        let (mechanism, user, password) = (part("mechanism")?, part("user")?, part("password")?);
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": {"password": password}});
        let api: Api<Secret> = Api::namespaced(self.live.client.clone(), &self.namespace);
        api.patch(
            SECRET,
            &PatchParams::apply("bench").force(),
            &Patch::Apply(secret),
        )
        .await?;
        Ok(json!({
            "mechanism": mechanism, "username": user, "passwordFrom": {"name": SECRET, "key": "password"},
        }))
    }

    /// The API of one kind in this namespace.
    pub fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.live.client.clone(), &self.namespace, &kind.resource())
    }

    async fn apply(&self, kind: Kind, name: &str, spec: Value) -> Result<()> {
        // The bench deletes as many topics at once as it made: a person would have said so.
        let until = (jiff::Timestamp::now() + RELEASED).to_string();
        let object = json!({
            "apiVersion": API, "kind": kind.name(), "spec": spec,
            "metadata": {"name": name, "annotations": {RELEASE_DESTRUCTION: until}},
        });
        let parameters = PatchParams::apply("bench").force();
        let applied = self
            .api(kind)
            .patch(name, &parameters, &Patch::Apply(object))
            .await;
        applied
            .with_context(|| format!("apply {} {name}", kind.name()))
            .map(drop)
    }

    /// A topic as it is created: that many partitions, one replica, a retention.
    pub fn topic(&self, name: &str, cluster: &str, partitions: u32, deletion: &str) -> Result<DynamicObject> {
        let object = json!({
            "apiVersion": API, "kind": Kind::Topic.name(), "metadata": {"name": name},
            "spec": {
                "clusterRef": {"name": cluster},
                "topicName": self.topic_name(name),
                "partitions": partitions,
                "replicationFactor": 1,
                "config": {"retention.ms": 604_800_000},
                "deletionPolicy": deletion,
            },
        });
        serde_json::from_value(object).context("make a topic")
    }

    /// The name in Kafka of a topic made by [`Place::topic`].
    pub fn topic_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A purge of a topic's records, as a user writes it who trusts the defaults.
    pub fn purge(name: &str, topic: &str) -> Result<DynamicObject> {
        let object = json!({
            "apiVersion": API, "kind": Kind::Purge.name(), "metadata": {"name": name},
            "spec": {"topicRef": {"name": topic}, "cut": {"type": "All"}},
        });
        serde_json::from_value(object).context("make a purge")
    }

    /// Waits until the KafkaCluster that works is Ready.
    pub async fn cluster_ready(&self) -> Result<()> {
        let api = self.api(Kind::Cluster);
        ottla_e2e::wait::until("the KafkaCluster to be Ready", PATIENCE, async || {
            let cluster = api.get(GOOD).await?;
            anyhow::ensure!(
                cluster.says("Ready", "True", ""),
                "its conditions: {}",
                cluster.at("/status/conditions")
            );
            anyhow::Ok(())
        })
        .await
    }

    /// A second KafkaCluster, that takes connections and never answers.
    pub async fn black_hole(&self) -> Result<JoinHandle<()>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let bootstrap = listener.local_addr()?.to_string();
        let hole = tokio::spawn(async move {
            let mut held = vec![];
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
            }
        });
        self.apply(Kind::Cluster, HOLE, json!({"bootstrapServers": [bootstrap]}))
            .await?;
        Ok(hole)
    }

    /// Seconds of processor that the API server has used.
    pub async fn api_server_cpu(&self) -> Result<f64> {
        let text = self.live.kubectl(&["get", "--raw", "/metrics"]).await?;
        Ok(metrics::sum(&text, "process_cpu_seconds_total", &[]))
    }

    /// What the API server counted so far.
    pub async fn requests(&self) -> Result<Requests> {
        let text = self.live.kubectl(&["get", "--raw", "/metrics"]).await?;
        let count = |resource: &str, verb: &str| {
            metrics::sum(
                &text,
                "apiserver_request_total",
                &[&format!("resource=\"{resource}\""), &format!("verb=\"{verb}\"")],
            )
        };
        let all = |verbs: &[&str]| -> f64 {
            let of = |verb: &&str| {
                count("kafkatopics", verb) + count("kafkatopicpurges", verb) + count("events", verb)
            };
            verbs.iter().map(of).sum()
        };
        Ok(Requests {
            writes: all(&["POST", "PUT", "PATCH", "APPLY", "DELETE"]),
            reads: all(&["GET", "LIST"]),
        })
    }

    /// Deletes one object; that it is gone already is no failure.
    pub async fn delete(&self, kind: Kind, name: &str) -> Result<Instant> {
        let asked = Instant::now();
        match self.api(kind).delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(asked),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(asked),
            Err(error) => Err(error).with_context(|| format!("delete {} {name}", kind.name())),
        }
    }

    /// Removes what is left. Objects that an operator had to clean up after are released: their topics stay.
    pub async fn remove(&self) -> Result<()> {
        let topics = self.api(Kind::Topic);
        let left: HashMap<String, bool> = topics
            .list(&ListParams::default())
            .await?
            .items
            .into_iter()
            .filter_map(|topic| {
                let guarded = topic.metadata.finalizers.is_some_and(|all| !all.is_empty());
                Some((topic.metadata.name?, guarded))
            })
            .collect();
        if !left.is_empty() {
            eprintln!(
                "{} KafkaTopics were left by a failure; their topics in Kafka are named {}*",
                left.len(),
                self.prefix
            );
        }
        for (name, guarded) in left {
            if guarded {
                let patch = json!({"metadata": {"finalizers": null}});
                topics
                    .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                    .await?;
            }
            self.delete(Kind::Topic, &name).await?;
        }
        let purges = self.api(Kind::Purge);
        purges
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await?;
        for name in [GOOD, HOLE] {
            self.delete(Kind::Cluster, name).await?;
        }
        let namespaces: Api<Namespace> = Api::all(self.live.client.clone());
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await?;
        Ok(())
    }
}
