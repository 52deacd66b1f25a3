//! Writes to the Kubernetes API: whole statuses by server-side apply, saves that must not meet a change, finalizers.
//! Decides nothing; every answer goes into the store, so that the next pass sees its own writes.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use ottla_crds::PREFIX;
use serde::Serialize;
use serde_json::{Value, json};

use super::context::Context;
use super::error::Error;
use super::key::Key;
use super::store::{Entry, Store};
use super::watch::{Watched, slim};

/// Longest wait for one answer of the Kubernetes API.
const CALL: Duration = Duration::from_secs(15);

/// Bounds one call of the Kubernetes API and sorts its error.
pub async fn call<T>(
    operation: &'static str,
    future: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(CALL, future).await {
        Ok(answer) => answer.map_err(|error| Error::kube(operation, error)),
        Err(_) => Err(Error::Deadline(CALL)),
    }
}

/// How a status write guards against what it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The same incarnation of the object. For outcomes: the newest always wins.
    Uid,
    /// The very state that was read. For saves before an act.
    Version,
}

/// Writes the whole status of an object by server-side apply as `ottla/<manager>` and takes the answer into the store.
pub async fn status<K, S>(
    ctx: &Context,
    store: &Store<K>,
    object: &K,
    manager: &str,
    status: &S,
    guard: Guard,
) -> Result<Arc<K>, Error>
where
    K: Watched,
    S: Serialize + Sync,
{
    let key = Key::of(object);
    let body = status_body(object, status, guard)?;
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let params = PatchParams::apply(&format!("ottla/{manager}")).force();
    let written = call(
        "write the status",
        api.patch_status(&key.name, &params, &Patch::Apply(&body)),
    )
    .await?;
    ctx.metrics.status_written(&K::kind(&()));
    Ok(remember(store, &key, written))
}

/// The body of a status write: identity and the whole status, nothing else.
fn status_body<K: Resource<DynamicType = ()>>(
    object: &K,
    status: &impl Serialize,
    guard: Guard,
) -> Result<Value, Error> {
    let status = serde_json::to_value(status)
        .map_err(|error| Error::Internal(format!("could not serialize the status: {error}")))?;
    let mut metadata = json!({ "name": object.name_any(), "uid": object.meta().uid });
    if guard == Guard::Version {
        metadata["resourceVersion"] = json!(object.meta().resource_version);
    }
    Ok(json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": metadata,
        "status": status,
    }))
}

/// Writes only a Ready condition to an object that cannot be read in full.
pub async fn broken_status<K: Watched>(
    ctx: &Context,
    entry: &Entry<K>,
    manager: &str,
    conditions: &impl Serialize,
) -> Result<(), Error> {
    let meta = entry.meta();
    let name = meta.name.clone().unwrap_or_default();
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": name, "uid": meta.uid },
        "status": { "conditions": conditions, "observedGeneration": meta.generation },
    });
    let namespace = meta.namespace.clone().unwrap_or_default();
    let api: Api<kube::core::DeserializeGuard<K>> = Api::namespaced(ctx.client.clone(), &namespace);
    // A manager of its own: applying fewer fields as the usual one would take the others off the status.
    let params = PatchParams::apply(&format!("ottla/{manager}-unreadable")).force();
    call(
        "write the status",
        api.patch_status(&name, &params, &Patch::Apply(&body)),
    )
    .await?;
    ctx.metrics.status_written(&K::kind(&()));
    Ok(())
}

/// Lets an object go that cannot be read and is being deleted: takes our finalizers off it. What they stood for is
/// left as it is.
pub async fn release_broken<K: Watched>(ctx: &Context, entry: &Entry<K>) -> Result<(), Error> {
    let meta = entry.meta();
    let (ours, kept): (Vec<String>, Vec<String>) = meta
        .finalizers
        .clone()
        .unwrap_or_default()
        .into_iter()
        .partition(|one| one.starts_with(PREFIX));
    if ours.is_empty() {
        return Ok(());
    }
    let body = json!({
        "metadata": { "uid": meta.uid, "resourceVersion": meta.resource_version, "finalizers": kept }
    });
    let namespace = meta.namespace.clone().unwrap_or_default();
    let name = meta.name.clone().unwrap_or_default();
    let api: Api<kube::core::DeserializeGuard<K>> = Api::namespaced(ctx.client.clone(), &namespace);
    let patched = call(
        "remove the finalizer",
        api.patch(&name, &PatchParams::default(), &Patch::Merge(&body)),
    )
    .await;
    match patched {
        Ok(_) | Err(Error::Gone { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Puts our finalizer on an object that is as we read it.
pub async fn add_finalizer<K: Watched>(
    ctx: &Context,
    store: &Store<K>,
    object: &K,
    finalizer: &str,
) -> Result<Arc<K>, Error> {
    let mut finalizers = object.finalizers().to_vec();
    if finalizers.iter().any(|present| present == finalizer) {
        return Ok(Arc::new(object.clone()));
    }
    finalizers.push(finalizer.to_owned());
    write_finalizers(ctx, store, object, &finalizers, "add the finalizer").await
}

/// Takes our finalizer off an object that is as we read it; foreign finalizers stay.
pub async fn remove_finalizer<K: Watched>(
    ctx: &Context,
    store: &Store<K>,
    object: &K,
    finalizer: &str,
) -> Result<(), Error> {
    let kept: Vec<String> = object
        .finalizers()
        .iter()
        .filter(|present| *present != finalizer)
        .cloned()
        .collect();
    if kept.len() == object.finalizers().len() {
        return Ok(());
    }
    match write_finalizers(ctx, store, object, &kept, "remove the finalizer").await {
        Ok(_) | Err(Error::Gone { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn write_finalizers<K: Watched>(
    ctx: &Context,
    store: &Store<K>,
    object: &K,
    finalizers: &[String],
    operation: &'static str,
) -> Result<Arc<K>, Error> {
    let key = Key::of(object);
    // A merge patch with the version read: the API server refuses it with 409 when anything changed since.
    let body = json!({
        "metadata": {
            "uid": object.meta().uid,
            "resourceVersion": object.meta().resource_version,
            "finalizers": finalizers,
        }
    });
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let written = call(
        operation,
        api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&body)),
    )
    .await?;
    Ok(remember(store, &key, written))
}

/// Sets one annotation of an object that is as we read it.
pub async fn annotate<K: Watched>(
    ctx: &Context,
    store: &Store<K>,
    object: &K,
    name: &str,
    value: &str,
) -> Result<Arc<K>, Error> {
    let key = Key::of(object);
    let body = json!({
        "metadata": {
            "uid": object.meta().uid,
            "resourceVersion": object.meta().resource_version,
            "annotations": { name: value },
        }
    });
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let written = call(
        "write the annotation",
        api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&body)),
    )
    .await?;
    Ok(remember(store, &key, written))
}

/// Deletes this incarnation of an object; that it is gone already is no error.
pub async fn delete<K: Watched>(ctx: &Context, object: &K) -> Result<(), Error> {
    let key = Key::of(object);
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let params = DeleteParams::default().preconditions(Preconditions {
        uid: object.meta().uid.clone(),
        resource_version: None,
    });
    match call("delete the object", api.delete(&key.name, &params)).await {
        Ok(_) | Err(Error::Gone { .. } | Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads an object from the API server itself, not from the store. `None` when it is gone or is another incarnation.
pub async fn live<K: Watched>(ctx: &Context, store: &Store<K>, object: &K) -> Result<Option<Arc<K>>, Error> {
    let key = Key::of(object);
    let api: Api<K> = Api::namespaced(ctx.client.clone(), &key.namespace);
    match call("read the object", api.get_opt(&key.name)).await? {
        Some(live) if live.meta().uid == object.meta().uid => Ok(Some(remember(store, &key, live))),
        _ => Ok(None),
    }
}

fn remember<K: Watched>(store: &Store<K>, key: &Key, mut object: K) -> Arc<K> {
    slim(object.meta_mut());
    let object = Arc::new(object);
    store.observe(key, &Entry::Object(object.clone()));
    object
}
