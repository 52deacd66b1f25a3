//! What a user does, by sixteen clients at once or by one: create, patch, delete; each with the moment before its call.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use ottla_e2e::object::Kind;
use serde_json::Value;

use crate::place::Place;

/// Calls under way at once.
pub const CLIENTS: usize = 16;

/// Creates all objects of a kind; answers when each call began.
pub async fn create(
    place: &Place,
    kind: Kind,
    objects: Vec<DynamicObject>,
) -> Result<HashMap<String, Instant>> {
    let api = place.api(kind);
    let calls = stream::iter(objects).map(|object| create_one(&api, object));
    calls.buffer_unordered(CLIENTS).try_collect().await
}

/// Creates one object.
pub async fn create_one(api: &Api<DynamicObject>, object: DynamicObject) -> Result<(String, Instant)> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let asked = Instant::now();
    api.create(&PostParams::default(), &object)
        .await
        .with_context(|| format!("create {name}"))?;
    Ok((name, asked))
}

/// Patches all topics alike; answers when each call began.
pub async fn patch(place: &Place, names: &[String], patch: &Value) -> Result<HashMap<String, Instant>> {
    let api = place.api(Kind::Topic);
    let calls = stream::iter(names).map(async |name| {
        let asked = Instant::now();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .with_context(|| format!("patch KafkaTopic {name}"))?;
        Ok((name.clone(), asked))
    });
    calls.buffer_unordered(CLIENTS).try_collect().await
}

/// Deletes all topics; answers when each call began.
pub async fn delete(place: &Place, names: &[String]) -> Result<HashMap<String, Instant>> {
    let calls = stream::iter(names).map(async |name| {
        let asked = place.delete(Kind::Topic, name).await?;
        Ok((name.clone(), asked))
    });
    calls.buffer_unordered(CLIENTS).try_collect().await
}

/// From the first call to the last outcome.
pub fn span(asked: &HashMap<String, Instant>, done: &HashMap<String, Instant>) -> Duration {
    match (asked.values().min(), done.values().max()) {
        (Some(first), Some(last)) => last.saturating_duration_since(*first),
        _ => Duration::ZERO,
    }
}

/// From each call to its outcome.
pub fn latencies(asked: &HashMap<String, Instant>, done: &HashMap<String, Instant>) -> Vec<Duration> {
    let of = |(name, asked): (&String, &Instant)| Some(done.get(name)?.saturating_duration_since(*asked));
    asked.iter().filter_map(of).collect()
}
