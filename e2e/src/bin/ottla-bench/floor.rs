//! What this machine gives when no operator works: the writes that any operator causes, made by the bench itself. The rates
//! of an operator can come near to these and no further.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, Patch, PatchParams};
use ottla_e2e::object::{API, Kind};
use ottla_e2e::wait::until;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde_json::{Value, json};

use crate::load::{self, CLIENTS};
use crate::place::Place;
use crate::{Common, fill};

/// Topics of one request to Kafka.
const BATCH: usize = 100;
/// Longest wait for one answer of Kafka.
const CALL: Duration = Duration::from_secs(60);

/// How long each of the floors took.
pub struct Floor {
    /// Creates of objects, each followed by one apply of its status.
    pub api: Duration,
    /// Creates in Kafka, in batches, until each partition can be asked for its offsets.
    pub kafka: Duration,
    /// Both at once.
    pub both: Duration,
}

/// Measures the floors, with objects as given and with the status that an operator gave one of them.
pub async fn measure(
    common: &Common,
    place: &Place,
    partitions: u32,
    objects: Vec<DynamicObject>,
    status: &Value,
) -> Result<Floor> {
    let names: Vec<String> = objects
        .iter()
        .filter_map(|object| object.metadata.name.clone())
        .collect();
    let topics: Vec<String> = names.iter().map(|name| place.topic_name(name)).collect();
    let api = written(place, objects.clone(), status).await?;
    load::delete(place, &names).await?;
    let kafka = created(common, &topics, partitions).await?;
    removed(common, &topics).await?;
    let began = Instant::now();
    tokio::try_join!(
        written(place, objects, status),
        created(common, &topics, partitions)
    )?;
    let both = began.elapsed();
    load::delete(place, &names).await?;
    removed(common, &topics).await?;
    Ok(Floor { api, kafka, both })
}

async fn written(place: &Place, objects: Vec<DynamicObject>, status: &Value) -> Result<Duration> {
    let api = place.api(Kind::Topic);
    let began = Instant::now();
    let calls = stream::iter(objects).map(async |object| {
        let (name, _) = load::create_one(&api, object).await?;
        let told = json!({
            "apiVersion": API, "kind": Kind::Topic.name(), "metadata": {"name": name}, "status": status,
        });
        let parameters = PatchParams::apply("floor").force();
        let applied = api.patch_status(&name, &parameters, &Patch::Apply(told)).await;
        applied
            .map(drop)
            .with_context(|| format!("apply the status of {name}"))
    });
    calls.buffer_unordered(CLIENTS).try_collect::<Vec<_>>().await?;
    Ok(began.elapsed())
}

fn admin(common: &Common) -> Result<AdminClient<DefaultClientContext>> {
    fill::settings(common)?.create().context("make an admin client")
}

async fn created(common: &Common, topics: &[String], partitions: u32) -> Result<Duration> {
    let admin = admin(common)?;
    let consumer: BaseConsumer = fill::settings(common)?.create().context("make a consumer")?;
    let consumer = Arc::new(consumer);
    let options = AdminOptions::new().operation_timeout(Some(CALL));
    let began = Instant::now();
    for batch in topics.chunks(BATCH) {
        let new: Vec<NewTopic<'_>> = batch
            .iter()
            .map(|name| {
                let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
                NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "604800000")
            })
            .collect();
        for one in admin.create_topics(&new, &options).await? {
            one.map_err(|(name, code)| anyhow!("create {name}: {code}"))?;
        }
    }
    let last = topics.last().cloned().context("no topic to create")?;
    // The broker makes logs in the order of the metadata log: once the last answers, all are there.
    until("the offsets of the last topic", CALL, async || {
        let (consumer, last) = (Arc::clone(&consumer), last.clone());
        let asked = tokio::task::spawn_blocking(move || consumer.fetch_watermarks(&last, 0, CALL));
        anyhow::Ok(asked.await??)
    })
    .await?;
    Ok(began.elapsed())
}

async fn removed(common: &Common, topics: &[String]) -> Result<()> {
    let admin = admin(common)?;
    let options = AdminOptions::new().operation_timeout(Some(CALL));
    for batch in topics.chunks(BATCH) {
        let names: Vec<&str> = batch.iter().map(String::as_str).collect();
        for one in admin.delete_topics(&names, &options).await? {
            one.map_err(|(name, code)| anyhow!("delete {name}: {code}"))?;
        }
    }
    Ok(())
}
