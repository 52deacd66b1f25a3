//! Fills topics with records as fast as one client can: what is in them matters to nobody, that they are there does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use crate::Common;

/// Longest wait for the last confirmations.
const PATIENCE: Duration = Duration::from_secs(120);
/// What each record holds.
const VALUE: [u8; 16] = *b"what there is of";

/// A topic in Kafka, and how many partitions it has.
pub type Filled = (String, u32);

/// Counts what Kafka confirmed.
#[derive(Default)]
struct Counting {
    confirmed: Arc<AtomicU64>,
}

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.confirmed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes so many records to each of the topics, spread evenly over its partitions.
pub async fn fill(common: &Common, topics: Vec<Filled>, records: u64) -> Result<()> {
    let settings = settings(common)?;
    let filling = tokio::task::spawn_blocking(move || write(&settings, &topics, records));
    filling.await.context("the filling ended early")?
}

/// How to reach Kafka.
pub fn settings(common: &Common) -> Result<ClientConfig> {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &common.bootstrap)
        .set("acks", "all")
        .set("linger.ms", "20")
        .set("batch.num.messages", "50000")
        .set("queue.buffering.max.messages", "200000");
    if let Some(sasl) = &common.sasl {
        let mut parts = sasl.splitn(3, ':');
        let mechanism = match parts.next() {
            Some("Plain") => "PLAIN",
            Some("ScramSha256") => "SCRAM-SHA-256",
            Some("ScramSha512") => "SCRAM-SHA-512",
            other => bail!("--sasl names no mechanism known here: {other:?}"),
        };
        settings
            .set("security.protocol", "SASL_PLAINTEXT")
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", parts.next().context("no user in --sasl")?)
            .set("sasl.password", parts.next().context("no password in --sasl")?);
    }
    Ok(settings)
}

fn write(settings: &ClientConfig, topics: &[Filled], records: u64) -> Result<()> {
    let counting = Counting::default();
    let confirmed = Arc::clone(&counting.confirmed);
    let producer: ThreadedProducer<Counting> = settings
        .create_with_context(counting)
        .context("make a producer")?;
    let mut sent = 0;
    for (topic, partitions) in topics {
        for number in 0..records {
            let partition = i32::try_from(number % u64::from(*partitions))?;
            let mut record = BaseRecord::<(), [u8]>::to(topic)
                .partition(partition)
                .payload(&VALUE);
            while let Err((error, back)) = producer.send(record) {
                ensure!(
                    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull),
                    "write to {topic}: {error}"
                );
                producer.flush(Duration::from_millis(100)).ok();
                record = back;
            }
            sent += 1;
        }
    }
    producer.flush(PATIENCE).context("await Kafka's confirmations")?;
    let confirmed = confirmed.load(Ordering::Relaxed);
    ensure!(confirmed == sent, "Kafka confirmed {confirmed} of {sent} records");
    Ok(())
}
