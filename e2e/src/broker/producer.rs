//! Records written to Kafka by a client that nobody manages. Nothing counts as written that Kafka has not acknowledged.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

use super::Broker;
use super::client::{PATIENCE, watermarks};

/// What Kafka, or the client for it, said against a record; the last of it.
#[derive(Default, Clone)]
struct Refused(Arc<Mutex<Option<String>>>);

impl ClientContext for Refused {}

impl ProducerContext for Refused {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
    }
}

impl Broker {
    /// Appends so many records of so many bytes to a topic, to each of its partitions in turn, as made at that time.
    pub async fn fill(&self, topic: &str, records: u16, bytes: usize, at: Timestamp) -> Result<()> {
        let topic = topic.to_owned();
        self.blocking(move |broker| {
            let partitions = u16::try_from(watermarks(&broker.consumer(None)?, &topic)?.len())?;
            let value = vec![b'x'; bytes];
            let records = (0..records).map(|record| {
                BaseRecord::<(), [u8]>::to(&topic)
                    .partition(i32::from(record % partitions))
                    .payload(&value)
                    .timestamp(at.as_millisecond())
            });
            write(broker.config(), records)
        })
        .await
    }

    /// Writes one record to a topic that is not there, as a client does that has the broker create it.
    pub async fn create_by_writing(&self, topic: &str) -> Result<()> {
        // A leader that has not learnt of a deletion takes records for the log that is about to go.
        self.every_one_abreast().await?;
        let topic = topic.to_owned();
        self.blocking(move |broker| {
            let mut config = broker.config();
            config.set("allow.auto.create.topics", "true");
            let record = BaseRecord::to(&topic).payload(b"nobody asked for this topic".as_slice());
            write(config, [record])
        })
        .await
    }
}

/// Writes each record once, and waits until Kafka has acknowledged them all.
fn write<'a>(
    mut config: ClientConfig,
    records: impl IntoIterator<Item = BaseRecord<'a, (), [u8]>>,
) -> Result<()> {
    // What is sent again is not written again.
    config
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", PATIENCE.as_millis().to_string());
    let refused = Refused::default();
    let producer: ThreadedProducer<_> = config
        .create_with_context(refused.clone())
        .context("a producer")?;
    for record in records {
        let topic = record.topic;
        let sent = producer.send(record).map_err(|(error, _)| error);
        sent.with_context(|| format!("write to {topic}"))?;
    }
    producer
        .flush(PATIENCE)
        .context("await Kafka's acknowledgements")?;
    match refused.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(why) => bail!("a record was not written: {why}"),
        None => Ok(()),
    }
}
