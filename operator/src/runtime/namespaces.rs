//! Knows the labels of namespaces, where the operator may read them. Needed by clusters that select namespaces by label.

use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tracing::warn;

use super::error::chain;
use super::key::Key;
use super::metrics::Metrics;
use super::store::{Entry, Store};
use super::watch::WATCH_SECONDS;

/// A namespace as far as it matters here.
pub type Meta = PartialObjectMeta<Namespace>;

/// The key of a namespace in its store.
#[must_use]
pub fn key(name: &str) -> Key {
    Key::new("", name)
}

/// What is known of a namespace's labels; `None` before the namespaces are listed, `Some(None)` for one that is not
/// there.
#[must_use]
pub fn labels(store: &Store<Meta>, name: &str) -> Option<Option<BTreeMap<String, String>>> {
    if !store.is_synced() {
        return None;
    }
    Some(
        store
            .object(&key(name))
            .map(|namespace| namespace.labels().clone()),
    )
}

/// Watches every namespace for ever. [`Store::expect_watch`] must have been called for it.
pub async fn watch(client: Client, store: Store<Meta>, metrics: Arc<Metrics>) {
    let api: Api<Meta> = Api::all(client);
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut listed = HashSet::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(namespace)) => {
                listed.insert(key(&namespace.name_any()));
                take_in(&store, namespace);
            }
            Ok(watcher::Event::InitDone) => {
                store.retain(None, &listed);
                listed = HashSet::new();
                if std::mem::take(&mut first) {
                    store.watch_synced();
                }
            }
            Ok(watcher::Event::Apply(namespace)) => take_in(&store, namespace),
            Ok(watcher::Event::Delete(namespace)) => {
                store.forget(&key(&namespace.name_any()), namespace.metadata.uid.as_deref());
            }
            Err(error) => {
                metrics.watch_failed("Namespace");
                warn!(
                    kind = "Namespace",
                    error = chain(&error),
                    "Watch failed, will be set up again"
                );
            }
        }
    }
}

fn take_in(store: &Store<Meta>, mut namespace: Meta) {
    let key = key(&namespace.name_any());
    namespace.metadata.managed_fields = None;
    namespace.metadata.annotations = None;
    store.observe(&key, &Entry::Object(Arc::new(namespace)));
}
