//! librdkafka's producer, reduced to what we need: hand over, and learn what became of it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ottla_contract::config::{Acks, Compression, Connection, ProducerConfig};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};

use crate::client::{self, ClientError, Complaints};
use crate::credentials::Watch;
use crate::record;

/// Records that wait in memory, at most.
const MAX_QUEUED: u32 = 100_000;
/// Kibibytes that wait in memory, at most: a pod's default limit is 512 Mi.
const MAX_QUEUED_KIB: u32 = 96 * 1024;
/// How long one question for the topic's partitions may take.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// What was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// The record of this sequence.
    Record(u64),
    /// Its second copy.
    Copy,
    /// The closing record.
    Closing,
}

impl Tag {
    // The tag travels through librdkafka as a number: no allocation for each record.
    fn pack(self) -> usize {
        match self {
            Self::Copy => 0,
            Self::Closing => 1,
            Self::Record(sequence) => usize::try_from(sequence).unwrap_or(usize::MAX).saturating_add(2),
        }
    }

    fn unpack(number: usize) -> Self {
        match number {
            0 => Self::Copy,
            1 => Self::Closing,
            sequence => Self::Record(sequence as u64 - 2),
        }
    }
}

/// What became of something handed over.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) partition: i32,
    pub(super) tag: Tag,
    /// Its offset, if Kafka told one.
    pub(super) result: Result<Option<i64>, KafkaError>,
    pub(super) intended_ns: u64,
}

#[derive(Debug, Default)]
struct Context {
    outcomes: Mutex<Vec<Outcome>>,
    complaints: Complaints,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.complaints.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complaints.error(&error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        let (message, result) = match result {
            Ok(message) => (message, Ok(Some(message.offset()).filter(|offset| *offset >= 0))),
            Err((error, message)) => (message, Err(error.clone())),
        };
        let intended_ns = message
            .payload()
            .and_then(record::intended_ns)
            .unwrap_or_default();
        let outcome = Outcome {
            partition: message.partition(),
            tag: Tag::unpack(tag),
            result,
            intended_ns,
        };
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(outcome);
    }
}

/// One producer client.
pub(super) struct Sender {
    producer: BaseProducer<Context>,
    topic: String,
    watch: Watch,
}

impl Sender {
    pub(super) fn new(
        connection: &Connection,
        topic: &str,
        config: &ProducerConfig,
    ) -> Result<Self, ClientError> {
        let watch = Watch::new(&connection.security);
        let mut settings = client::connection(connection)?;
        let acks = match config.acks {
            Acks::All => "all",
            Acks::Leader => "1",
            Acks::None => "0",
        };
        let compression = match config.compression {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        };
        settings
            .set("acks", acks)
            .set("enable.idempotence", config.idempotence.to_string())
            .set("compression.type", compression)
            .set("queue.buffering.max.messages", MAX_QUEUED.to_string())
            .set("queue.buffering.max.kbytes", MAX_QUEUED_KIB.to_string());
        if let Some(linger) = config.linger_ms {
            settings.set("linger.ms", linger.to_string());
        }
        if let Some(timeout) = config.timeout_ms {
            settings.set("message.timeout.ms", timeout.max(1).to_string());
            // librdkafka wants a request's timeout below that of the record.
            settings.set("request.timeout.ms", timeout.clamp(1, 30_000).to_string());
        }
        let producer = BaseProducer::from_config_and_context(&settings, Context::default());
        Ok(Self {
            producer: producer.map_err(ClientError::Create)?,
            topic: topic.to_owned(),
            watch,
        })
    }

    /// Number of partitions of the topic.
    pub(super) fn partitions(&self) -> Result<u32, KafkaError> {
        let metadata = self
            .producer
            .client()
            .fetch_metadata(Some(&self.topic), METADATA_TIMEOUT)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        if let Some(error) = topic.and_then(rdkafka::metadata::MetadataTopic::error) {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::from(error)));
        }
        Ok(topic.map_or(0, |topic| {
            u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX)
        }))
    }

    /// Asks a partition's leader for its offsets, as a sign that it serves it.
    pub(super) fn serves(&self, partition: i32) -> Result<(), KafkaError> {
        let client = self.producer.client();
        client
            .fetch_watermarks(&self.topic, partition, METADATA_TIMEOUT)
            .map(drop)
    }

    /// Hands a record over. `Ok(false)` when the queue is full: try again after [`Sender::poll`].
    pub(super) fn send(
        &self,
        partition: i32,
        key: Option<&str>,
        value: &[u8],
        tag: Tag,
    ) -> Result<bool, KafkaError> {
        let mut record: BaseRecord<'_, str, [u8], usize> =
            BaseRecord::with_opaque_to(&self.topic, tag.pack())
                .partition(partition)
                .payload(value);
        record.key = key;
        match self.producer.send(record) {
            Ok(()) => Ok(true),
            Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => Ok(false),
            Err((error, _)) => Err(error),
        }
    }

    /// Lets librdkafka work for this long, and answers what became of records.
    pub(super) fn poll(&self, timeout: Duration) -> Vec<Outcome> {
        self.producer.poll(timeout);
        std::mem::take(
            &mut *self
                .producer
                .context()
                .outcomes
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Gives up what has not been confirmed yet; each record still gets its outcome.
    pub(super) fn purge(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }

    /// Whether the client can be used no more.
    pub(super) fn is_dead(&self) -> bool {
        self.producer.client().fatal_error().is_some()
    }

    /// Whether the files it was made with have changed; now and then it looks.
    pub(super) fn is_outdated(&mut self) -> bool {
        self.watch.changed()
    }

    /// The newest error that was not about a record, once.
    pub(super) fn take_complaint(&self) -> Option<String> {
        self.producer.context().complaints.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_survive_the_journey() {
        for tag in [Tag::Copy, Tag::Closing, Tag::Record(0), Tag::Record(1 << 40)] {
            assert_eq!(Tag::unpack(tag.pack()), tag);
        }
    }
}
