//! What this machine gives when no operator works: the writes that any operator causes, made by the bench itself. The rates
//! and latencies of an operator can come near to these and no further.

mod kafka;
mod objects;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::{OptionFuture, join};
use kube::api::DynamicObject;
use serde_json::Value;

use self::kafka::Kafka;
use self::objects::Objects;
use crate::Common;
use crate::place::Place;

/// What happens to all topics at once.
#[derive(Clone, Copy)]
enum Work {
    Create,
    Change,
    Delete,
}

impl Work {
    const ALL: [Self; 3] = [Self::Create, Self::Change, Self::Delete];

    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "config change",
            Self::Delete => "delete",
        }
    }
}

/// How long a burst took, and how much of the API server's processor.
pub struct Burst {
    /// Which burst, and on which of the two sides.
    pub what: String,
    /// From its first call to its last answer.
    pub took: Duration,
    /// Seconds of the API server's processor; none where Kafka was alone.
    pub api_server: Option<f64>,
}

/// What was measured.
pub struct Floor {
    /// Each burst at the API server alone, in Kafka alone, and at both at once.
    pub bursts: Vec<Burst>,
    /// How long each of the topics took that were created one after the other.
    pub creates: Vec<Duration>,
    /// The same for their growth by one partition.
    pub growths: Vec<Duration>,
}

/// Measures the floors: bursts with objects as given and `lone` of them one after the other, each with the status that an
/// operator gave one of them.
pub async fn measure(
    common: &Common,
    place: &Place,
    partitions: u32,
    many: Vec<DynamicObject>,
    lone: Vec<DynamicObject>,
    status: &Value,
) -> Result<Floor> {
    let kafka = Kafka::new(common, topics(place, &many), partitions)?;
    let objects = Objects::new(place, many, status);
    let mut bursts = vec![];
    for (sides, objects, kafka) in [
        ("objects alone", Some(&objects), None),
        ("Kafka alone", None, Some(&kafka)),
        ("both at once", Some(&objects), Some(&kafka)),
    ] {
        for work in Work::ALL {
            if let (Work::Delete, Some(objects)) = (work, objects) {
                // Who deletes a topic in Kafka with its object holds the object for as long.
                objects.guard().await?;
            }
            let before = place.api_server_cpu().await?;
            let took = burst(work, objects, kafka).await?;
            let spent = place.api_server_cpu().await? - before;
            bursts.push(Burst {
                what: format!("{}, {sides}", work.name()),
                took,
                api_server: objects.map(|_| spent),
            });
        }
    }
    let kafka = Kafka::new(common, topics(place, &lone), partitions)?;
    let (creates, growths) = one_by_one(&Objects::new(place, lone, status), &kafka).await?;
    Ok(Floor {
        bursts,
        creates,
        growths,
    })
}

fn topics(place: &Place, objects: &[DynamicObject]) -> Vec<String> {
    let names = objects
        .iter()
        .filter_map(|object| object.metadata.name.as_deref());
    names.map(|name| place.topic_name(name)).collect()
}

async fn burst(work: Work, objects: Option<&Objects<'_>>, kafka: Option<&Kafka>) -> Result<Duration> {
    match work {
        Work::Create => timed(objects.map(Objects::create), kafka.map(Kafka::create)).await,
        Work::Change => timed(objects.map(Objects::change), kafka.map(Kafka::change)).await,
        Work::Delete => timed(objects.map(Objects::delete), kafka.map(Kafka::delete)).await,
    }
}

async fn timed(
    objects: Option<impl Future<Output = Result<()>>>,
    kafka: Option<impl Future<Output = Result<()>>>,
) -> Result<Duration> {
    let began = Instant::now();
    let (objects, kafka) = join(OptionFuture::from(objects), OptionFuture::from(kafka)).await;
    objects.transpose().context("at the API server")?;
    kafka.transpose().context("in Kafka")?;
    Ok(began.elapsed())
}

/// Creates, then grows, one topic after the other: its object, the topic in Kafka, the object's status. All are removed again.
async fn one_by_one(objects: &Objects<'_>, kafka: &Kafka) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut creates, mut growths) = (vec![], vec![]);
    for (object, topic) in objects.each().zip(kafka.each()) {
        let began = Instant::now();
        objects.create_one(object).await?;
        kafka.create_these(std::slice::from_ref(topic)).await?;
        objects.tell(object, 1).await?;
        creates.push(began.elapsed());
    }
    for (object, topic) in objects.each().zip(kafka.each()) {
        let began = Instant::now();
        objects.grow_one(object, kafka.partitions + 1).await?;
        kafka.grow(topic).await?;
        objects.tell(object, 2).await?;
        growths.push(began.elapsed());
    }
    objects.guard().await?;
    timed(Some(objects.delete()), Some(kafka.delete())).await?;
    Ok((creates, growths))
}
