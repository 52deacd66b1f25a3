//! An operator's eyes without its hands: the same stores and connections, filled once, for commands that only look.
//!
//! *Architecture Invariant:* nothing is ever changed from here. Every client works under a permit that nobody grants, and that
//! is asked before a change leaves the process.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use ottla_crds::{KafkaCluster, KafkaTopic};
use ottla_kafka::client::KafkaAdmin;
use ottla_kafka::permit::Permit;
use ottla_kafka::types::ClusterId;

use crate::cluster::{desired, observe, status};
use crate::connections::{Connections, Standing};
use crate::runtime::config::Config;
use crate::runtime::guard::guarded;
use crate::runtime::metrics::Metrics;
use crate::runtime::store::Entry;
use crate::runtime::watch::{Watched, read};
use crate::runtime::{Context, Key, Store};
use crate::topic::{self, Topics};

/// How many objects one answer of the API server holds at most.
const PAGE: u32 = 500;

/// What can be seen of both worlds.
#[derive(Debug)]
pub(super) struct Reader {
    /// The stores, filled once, and the connections.
    pub ctx: Arc<Context>,
    /// Who claims which topic.
    pub topics: Arc<Topics>,
    /// What could not be looked at, in sentences.
    pub blind: Vec<String>,
}

impl Reader {
    /// A reader of this Kubernetes and of the Kafkas it names.
    #[must_use]
    pub(super) fn new(client: &Client) -> Self {
        Self::with(
            client,
            Connections::new(Box::new(|config| {
                Arc::new(KafkaAdmin::under(config, Permit::awaited()))
            })),
        )
    }

    /// A reader with other Kafka clients.
    #[must_use]
    pub(super) fn with(client: &Client, connections: Connections) -> Self {
        let ctx = Arc::new(Context::new(
            guarded(client.clone(), Permit::awaited()),
            Config::default(),
            connections,
            Arc::new(Metrics::default()),
        ));
        let topics = Arc::new(Topics::for_preview());
        topic::triggers(&ctx, &topics);
        Self {
            ctx,
            topics,
            blind: vec![],
        }
    }

    /// Lists KafkaClusters, KafkaTopics and purges: everywhere, or where that is forbidden, in these namespaces.
    pub(super) async fn list(&mut self, namespaces: &BTreeSet<String>) -> anyhow::Result<()> {
        let everywhere = fill(&self.ctx.client, &self.ctx.stores.clusters, namespaces).await?
            & fill(&self.ctx.client, &self.ctx.stores.topics, namespaces).await?
            & fill(&self.ctx.client, &self.ctx.stores.purges, namespaces).await?;
        if !everywhere {
            self.blind.push(format!(
                "objects outside of {} were not looked at, since listing them is forbidden: whether one of them owns a \
                 topic is not known",
                namespaces.iter().cloned().collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(())
    }

    /// Connects to a KafkaCluster and judges it as the operator does; the error says what is wrong with it.
    /// `bootstrap`, where not empty, stands for its own addresses.
    pub(super) async fn connect(&self, cluster: &Key, bootstrap: &[String]) -> anyhow::Result<ClusterId> {
        let object = self.ctx.stores.clusters.object(cluster).with_context(|| {
            format!(
                "KafkaCluster {cluster} does not exist, or cannot be read: create it, or correct its name"
            )
        })?;
        let mut object = KafkaCluster::clone(&object);
        if !bootstrap.is_empty() {
            object.spec.bootstrap_servers = bootstrap.to_vec();
        }
        let desired = desired::parse(&object.spec)
            .map_err(|problem| anyhow::anyhow!("KafkaCluster {cluster}: {problem}"))?;
        let known = object
            .status
            .as_ref()
            .and_then(|status| status.cluster_id.as_deref())
            .map(ClusterId::from);
        let (connection, observed) = observe::observe(&self.ctx, &object, &desired)
            .await
            .with_context(|| format!("could not read the credentials of KafkaCluster {cluster}"))?;
        let verdict = status::judge(observed, known.as_ref(), desired.expected.as_ref());
        if let Some(connection) = connection {
            connection.set_standing(verdict.standing.clone(), verdict.foreign);
        }
        match verdict.standing {
            Standing::Usable(id) => {
                // What its spec says counts: it was judged here and now.
                let generation = object.metadata.generation;
                object.status.get_or_insert_default().observed_generation = generation;
                self.ctx
                    .stores
                    .clusters
                    .observe(cluster, &Entry::Object(Arc::new(object)));
                Ok(id)
            }
            Standing::Unproven | Standing::InDoubt(_) | Standing::Unusable => Err(anyhow::anyhow!(
                "KafkaCluster {cluster} cannot be used from here: {}: {}",
                verdict.reason.as_str(),
                verdict.message
            )),
        }
    }
}

impl Reader {
    /// Takes in an object as it would be once a manifest is applied: spec and annotations are new, all else stays. One
    /// that does not exist yet is the youngest of all.
    pub(super) fn overlay(&self, key: &Key, manifest: &KafkaTopic) {
        let mut object = manifest.clone();
        object.metadata.namespace = Some(key.namespace.clone());
        if let Some(existing) = self.ctx.stores.topics.object(key) {
            let annotations = object.metadata.annotations.take();
            object.metadata = existing.metadata.clone();
            // Applying adds annotations and keeps those of others.
            let kept = object.metadata.annotations.get_or_insert_default();
            kept.extend(annotations.unwrap_or_default());
            object.status.clone_from(&existing.status);
        } else {
            object.metadata.uid = Some(format!("planned/{key}"));
            object.metadata.creation_timestamp = Some(Time(self.ctx.now()));
            object.status = None;
        }
        self.ctx
            .stores
            .topics
            .observe(key, &Entry::Object(Arc::new(object)));
    }
}

/// Fills a store; tells whether every namespace was seen.
async fn fill<K: Watched>(
    client: &Client,
    store: &Store<K>,
    namespaces: &BTreeSet<String>,
) -> anyhow::Result<bool> {
    match fill_from(&Api::all(client.clone()), store).await {
        Ok(()) => return Ok(true),
        Err(kube::Error::Api(status)) if status.code == 403 => {}
        Err(error) => return Err(error).with_context(|| format!("could not list {}", K::plural(&()))),
    }
    for namespace in namespaces {
        fill_from(&Api::namespaced(client.clone(), namespace), store)
            .await
            .with_context(|| format!("could not list {} in namespace {namespace}", K::plural(&())))?;
    }
    Ok(false)
}

async fn fill_from<K: Watched>(api: &Api<DeserializeGuard<K>>, store: &Store<K>) -> Result<(), kube::Error> {
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await?;
        for object in list.items {
            let (key, entry) = read(object);
            store.observe(&key, &entry);
        }
        match list.metadata.continue_ {
            Some(token) if !token.is_empty() => page = page.continue_token(&token),
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Method, Request, Response};
    use kube::api::{Patch, PatchParams};
    use kube::client::Body;

    use super::*;

    #[tokio::test]
    async fn a_read_passes_and_a_write_never_leaves() {
        let service = tower::service_fn(|request: Request<Body>| async move {
            assert_eq!(request.method(), Method::GET, "a write has left");
            let list =
                br#"{"apiVersion":"ottla.dev/v1alpha1","kind":"KafkaTopicList","metadata":{},"items":[]}"#;
            Ok::<_, Infallible>(Response::new(Body::from(list.to_vec())))
        });
        let reader = Reader::new(&Client::new(service, "default"));
        let api: Api<KafkaTopic> = Api::namespaced(reader.ctx.client.clone(), "shop");
        assert!(api.list(&ListParams::default()).await.unwrap().items.is_empty());
        let patch = Patch::Merge(serde_json::json!({}));
        let refused = api.patch("orders", &PatchParams::default(), &patch).await;
        assert!(format!("{:?}", refused.unwrap_err()).contains("NotPermitted"));
    }
}
