//! Kafka, asked by librdkafka from this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::metadata::{Metadata, MetadataBroker, MetadataTopic};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::Broker;
use crate::wait::until;

/// Longest wait for one answer.
const CALL: Duration = Duration::from_secs(20);
/// Within this a broker answers that can be reached.
const SOON: Duration = Duration::from_secs(3);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest that a topic may take to be read or written, and a group's offsets to be committed.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

impl Broker {
    /// Whether it answers this machine within a few seconds.
    pub async fn answers(&self) -> Result<bool> {
        self.blocking(|broker| Ok(broker.consumer(None)?.fetch_metadata(None, SOON).is_ok()))
            .await
    }

    /// The brokers that hold each partition of a topic.
    pub async fn replicas(&self, topic: &str) -> Result<BTreeMap<u32, Vec<i32>>> {
        let topic = topic.to_owned();
        self.blocking(move |broker| {
            let metadata = metadata(&broker.consumer(None)?, Some(&topic))?;
            let found = metadata.topics().first().context("a topic in the answer")?;
            let held = found.partitions().iter();
            held.map(|one| Ok((u32::try_from(one.id())?, one.replicas().to_vec())))
                .collect()
        })
        .await
    }

    /// The broker that leads the first partition of a topic.
    pub async fn leader(&self, topic: &str) -> Result<i32> {
        let topic = topic.to_owned();
        self.blocking(move |broker| {
            let metadata = metadata(&broker.consumer(None)?, Some(&topic))?;
            let first = metadata
                .topics()
                .first()
                .and_then(|found| found.partitions().first());
            Ok(first.context("a partition in the answer")?.leader())
        })
        .await
    }

    /// What is set at run time on each broker by itself.
    pub async fn configs_of_brokers(&self) -> Result<BTreeMap<i32, BTreeMap<String, String>>> {
        let brokers: Vec<i32> = self
            .blocking(|broker| {
                let metadata = metadata(&broker.consumer(None)?, None)?;
                Ok(metadata.brokers().iter().map(MetadataBroker::id).collect())
            })
            .await?;
        let admin = self.admin()?;
        let options = AdminOptions::new().request_timeout(Some(CALL));
        let mut configs = BTreeMap::new();
        for broker in brokers {
            let asked = [ResourceSpecifier::Broker(broker)];
            for told in admin.describe_configs(&asked, &options).await? {
                let entries = told
                    .map_err(|code| anyhow!("configuration of broker {broker}: {code}"))?
                    .entries;
                let set = entries
                    .into_iter()
                    .filter(|entry| entry.source == ConfigSource::DynamicBroker);
                configs.insert(
                    broker,
                    set.filter_map(|entry| Some((entry.name, entry.value?))).collect(),
                );
            }
        }
        Ok(configs)
    }

    /// Creates a topic with one replica of each partition, as somebody else would.
    pub async fn create(&self, name: &str, partitions: u16, config: &[(&str, &str)]) -> Result<()> {
        let new = NewTopic::new(name, i32::from(partitions), TopicReplication::Fixed(1));
        let new = config.iter().fold(new, |new, (key, value)| new.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(CALL));
        let made = self.admin()?.create_topics([&new], &options).await?;
        for one in made {
            one.map_err(|(name, code)| anyhow!("create topic {name}: {code}"))?;
        }
        // Whoever asks next is to see it.
        self.topic(name).await.map(drop)
    }

    /// Deletes a topic, if it exists.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.delete_all(vec![name.to_owned()]).await
    }

    /// Deletes every topic whose name begins so.
    pub async fn clear(&self, prefix: &str) -> Result<()> {
        let prefix = prefix.to_owned();
        let found = self
            .blocking(move |broker| {
                let metadata = metadata(&broker.consumer(None)?, None)?;
                let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
                Ok(names.filter(|name| name.starts_with(&prefix)).collect())
            })
            .await?;
        self.delete_all(found).await
    }

    async fn delete_all(&self, names: Vec<String>) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = AdminOptions::new().operation_timeout(Some(CALL));
        for gone in self.admin()?.delete_topics(&names, &options).await? {
            match gone {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((name, code)) => bail!("delete topic {name}: {code}"),
            }
        }
        Ok(())
    }

    /// Every key in a topic with the partition it is in, each pair once, from exactly so many records. Records without a
    /// key come out as `null`.
    pub async fn keys(&self, topic: &str, records: i64) -> Result<BTreeSet<(String, u32)>> {
        let topic = topic.to_owned();
        self.blocking(move |broker| {
            let consumer = broker.consumer(None)?;
            consumer.assign(&placed(&consumer, &topic, Offset::Beginning)?)?;
            let until = Instant::now() + PATIENCE;
            let mut keys = BTreeSet::new();
            for read in 0..records {
                let message = consumer
                    .poll(until.saturating_duration_since(Instant::now()))
                    .with_context(|| format!("only {read} of {records} records of {topic}"))??;
                let key = message
                    .key()
                    .map_or_else(|| "null".into(), String::from_utf8_lossy);
                keys.insert((key.into_owned(), u32::try_from(message.partition())?));
            }
            Ok(keys)
        })
        .await
    }

    /// How many records a topic's partitions hold that can be read.
    pub async fn readable(&self, topic: &str) -> Result<usize> {
        let topic = topic.to_owned();
        self.blocking(move |broker| {
            let consumer = broker.consumer(None)?;
            let mut left: BTreeMap<i32, i64> = watermarks(&consumer, &topic)?
                .into_iter()
                .filter(|(_, (start, end))| start < end)
                .map(|(partition, (_, end))| Ok((i32::try_from(partition)?, end)))
                .collect::<Result<_>>()?;
            consumer.assign(&placed(&consumer, &topic, Offset::Beginning)?)?;
            let until = Instant::now() + PATIENCE;
            let mut read = 0;
            while !left.is_empty() {
                let message = consumer
                    .poll(until.saturating_duration_since(Instant::now()))
                    .with_context(|| format!("{read} records of {topic}, and more to come in {left:?}"))??;
                read += 1;
                left.retain(|partition, end| {
                    *partition != message.partition() || message.offset() + 1 < *end
                });
            }
            Ok(read)
        })
        .await
    }

    /// The end offset of each partition of a topic.
    pub async fn end_offsets(&self, topic: &str) -> Result<BTreeMap<u32, i64>> {
        let offsets = self.watermarks(topic).await?;
        Ok(offsets.into_iter().map(|(at, (_, end))| (at, end)).collect())
    }

    /// The first offset of each partition of a topic.
    pub async fn start_offsets(&self, topic: &str) -> Result<BTreeMap<u32, i64>> {
        let offsets = self.watermarks(topic).await?;
        Ok(offsets.into_iter().map(|(at, (start, _))| (at, start)).collect())
    }

    /// The first and the end offset of each partition of a topic.
    async fn watermarks(&self, topic: &str) -> Result<BTreeMap<u32, (i64, i64)>> {
        let topic = topic.to_owned();
        self.blocking(move |broker| watermarks(&broker.consumer(None)?, &topic))
            .await
    }

    /// Commits the start of a topic for a consumer group, as one that has read nothing yet would.
    pub async fn rewind(&self, group: &str, topic: &str) -> Result<()> {
        self.commit(group, topic, |(start, _)| start).await
    }

    /// Commits the end of a topic for a consumer group, as one that has read everything would.
    pub async fn catch_up(&self, group: &str, topic: &str) -> Result<()> {
        self.commit(group, topic, |(_, end)| end).await
    }

    async fn commit(&self, group: &str, topic: &str, pick: fn((i64, i64)) -> i64) -> Result<()> {
        // A group that is new has no coordinator yet.
        let what = format!("offsets of {topic} to be committed for {group}");
        until(&what, PATIENCE, async || {
            let (group, topic) = (group.to_owned(), topic.to_owned());
            self.blocking(move |broker| {
                let consumer = broker.consumer(Some(&group))?;
                let mut offsets = TopicPartitionList::new();
                for (partition, both) in watermarks(&consumer, &topic)? {
                    let offset = Offset::Offset(pick(both));
                    offsets.add_partition_offset(&topic, i32::try_from(partition)?, offset)?;
                }
                Ok(consumer.commit(&offsets, CommitMode::Sync)?)
            })
            .await
        })
        .await
    }

    /// Does something that waits, with this Kafka.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let broker = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&broker)).await?;
        done.with_context(|| format!("ask the Kafka at {}", self.address))
    }

    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in [
            ("bootstrap.servers", self.address.as_str()),
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", &self.user),
            ("sasl.password", &self.password),
            ("allow.auto.create.topics", "false"),
        ] {
            config.set(key, value);
        }
        config
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        self.config().create().context("an admin client")
    }

    /// A consumer that commits nothing by itself and sees what is not committed of transactions.
    pub(super) fn consumer(&self, group: Option<&str>) -> Result<BaseConsumer> {
        let mut config = self.config();
        // Without a group librdkafka reads nothing, though none is joined here.
        config
            .set("group.id", group.unwrap_or("e2e"))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_uncommitted");
        config.create().context("a consumer")
    }
}

/// Asks until there is an answer: a broker may learn of a topic, or that it leads, later than whoever created it, and may be
/// out of reach for a while. The consumer must have nothing to read.
fn patiently<T>(consumer: &BaseConsumer, mut ask: impl FnMut() -> KafkaResult<T>) -> Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= until => return Err(error.into()),
            Err(_) => {}
        }
        // It may tell of brokers that are out of reach.
        let read = matches!(consumer.poll(PAUSE), Some(Ok(_)));
        ensure!(!read, "a record was read too early");
    }
}

/// The metadata of a topic, or of everything.
fn metadata(consumer: &BaseConsumer, topic: Option<&str>) -> Result<Metadata> {
    let metadata = patiently(consumer, || {
        let metadata = consumer.fetch_metadata(topic, CALL)?;
        let errors = metadata.topics().iter().filter_map(MetadataTopic::error);
        match errors
            .map(RDKafkaErrorCode::from)
            .next()
            .filter(|_| topic.is_some())
        {
            None => Ok(metadata),
            Some(error) => Err(KafkaError::MetadataFetch(error)),
        }
    });
    metadata.with_context(|| format!("metadata of {}", topic.unwrap_or("all topics")))
}

/// Every partition of a topic, with that offset.
fn placed(consumer: &BaseConsumer, topic: &str, offset: Offset) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for found in metadata(consumer, Some(topic))?.topics() {
        for partition in found.partitions() {
            list.add_partition_offset(topic, partition.id(), offset)?;
        }
    }
    ensure!(list.count() > 0, "topic {topic} has no partitions");
    Ok(list)
}

/// The first and the end offset of each partition of a topic.
pub(super) fn watermarks(consumer: &BaseConsumer, topic: &str) -> Result<BTreeMap<u32, (i64, i64)>> {
    let partitions = placed(consumer, topic, Offset::Invalid)?;
    let each = partitions.elements().into_iter();
    each.map(|one| {
        let both = patiently(consumer, || {
            consumer.fetch_watermarks(topic, one.partition(), CALL)
        });
        let both = both.with_context(|| format!("offsets of {topic}"))?;
        Ok((u32::try_from(one.partition())?, both))
    })
    .collect()
}
