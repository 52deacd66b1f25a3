//! Feeds a store from the API server. One watch for the cluster, or one for each namespace; an object that cannot be
//! read harms only itself. Ends only when told to.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use ottla_crds::PREFIX;
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use super::error::chain;
use super::key::Key;
use super::metrics::Metrics;
use super::store::{Broken, Entry, Store};

/// Objects of one answer to a list: all of them are in memory at once, and each may have half a megabyte.
const PAGE: u32 = 100;
/// How long the API server keeps one watch open. A dead link is noticed a little later than this.
pub(super) const WATCH_SECONDS: u32 = 120;
/// How long a connection to the API server may bring nothing while something is awaited on it: longer than a watch of which
/// nothing is told. A list, or the begin of a watch, has no other end on a dead link.
pub const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// Which objects a watch sees.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// One namespace; none is every namespace.
    pub namespace: Option<String>,
    /// A label selector; none is every object.
    pub labels: Option<String>,
}

/// An object kind that can be watched.
pub trait Watched:
    Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Watched for K where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// Watches one scope for ever. [`Store::expect_watch`] must have been called for it.
pub async fn watch<K: Watched>(client: Client, scope: Scope, store: Store<K>, metrics: Arc<Metrics>) {
    let api: Api<DeserializeGuard<K>> = match &scope.namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE);
    if let Some(labels) = &scope.labels {
        config = config.labels(labels);
    }
    let kind = K::kind(&());
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut listed = HashSet::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                let (key, entry) = read(object);
                listed.insert(key.clone());
                store.observe(&key, &entry);
            }
            Ok(watcher::Event::InitDone) => {
                store.retain(scope.namespace.as_deref(), &listed);
                listed = HashSet::new();
                debug!(kind = %kind, namespace = scope.namespace.as_deref(), "Listed objects");
                if std::mem::take(&mut first) {
                    store.watch_synced();
                }
            }
            Ok(watcher::Event::Apply(object)) => {
                let (key, entry) = read(object);
                store.observe(&key, &entry);
            }
            Ok(watcher::Event::Delete(object)) => {
                let (key, entry) = read(object);
                store.forget(&key, entry.meta().uid.as_deref());
            }
            Err(error) => {
                metrics.watch_failed(&kind);
                warn!(kind = %kind, error = chain(&error), "Watch failed, will be set up again");
            }
        }
    }
}

/// Takes off what makes up more than half of an object and nobody reads: who set which field, and the annotations of others,
/// among them the spec as kubectl applied it. They may come to 256 KiB an object.
pub(super) fn slim(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|key, _| key.starts_with(PREFIX));
    }
}

/// One answer of the API server as the stores take it.
pub(crate) fn read<K: Watched>(DeserializeGuard(object): DeserializeGuard<K>) -> (Key, Entry<K>) {
    match object {
        Ok(mut object) => {
            slim(object.meta_mut());
            (Key::of(&object), Entry::Object(Arc::new(object)))
        }
        Err(invalid) => {
            let mut metadata = invalid.metadata;
            slim(&mut metadata);
            let key = Key::new(
                metadata.namespace.clone().unwrap_or_default(),
                metadata.name.clone().unwrap_or_default(),
            );
            (
                key,
                Entry::Broken(Arc::new(Broken {
                    metadata,
                    error: invalid.error,
                })),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_annotations_ours_alone_are_kept() {
        let annotations = [
            ("ottla.dev/purges", "[]"),
            ("kubectl.kubernetes.io/last-applied-configuration", "{}"),
            ("ottla.devious/note", "a"),
        ];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut metadata = ObjectMeta {
            annotations: Some(annotations.into()),
            managed_fields: Some(vec![]),
            ..ObjectMeta::default()
        };
        slim(&mut metadata);
        let kept: Vec<String> = metadata.annotations.unwrap().into_keys().collect();
        assert_eq!(kept, ["ottla.dev/purges"]);
        assert_eq!(metadata.managed_fields, None);
    }
}
