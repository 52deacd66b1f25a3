//! Kafka's side of the floors: what an operator must have it do, asked for in batches by a client of the bench's own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use ottla_e2e::wait::until;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::{Common, fill};

/// Topics of one request.
const BATCH: usize = 100;
/// Longest wait for one answer.
const CALL: Duration = Duration::from_secs(60);

/// The topics of a floor in Kafka.
pub(super) struct Kafka {
    admin: AdminClient<DefaultClientContext>,
    consumer: Arc<BaseConsumer>,
    topics: Vec<String>,
    /// How many each of them has.
    pub(super) partitions: u32,
}

impl Kafka {
    pub(super) fn new(common: &Common, topics: Vec<String>, partitions: u32) -> Result<Self> {
        let settings = fill::settings(common)?;
        let consumer: BaseConsumer = settings.create().context("make a consumer")?;
        Ok(Self {
            admin: settings.create().context("make an admin client")?,
            consumer: Arc::new(consumer),
            topics,
            partitions,
        })
    }

    /// The topics' names.
    pub(super) fn each(&self) -> std::slice::Iter<'_, String> {
        self.topics.iter()
    }

    /// Creates all, and waits until each partition can be asked for its offsets.
    pub(super) async fn create(&self) -> Result<()> {
        for batch in self.topics.chunks(BATCH) {
            self.create_these(batch).await?;
        }
        let last = self.topics.last().context("no topic to create")?;
        // The broker makes logs in the order of the metadata log: once the last answers, all are there.
        until("the offsets of the last topic", CALL, async || {
            let (consumer, last) = (Arc::clone(&self.consumer), last.clone());
            let asked = tokio::task::spawn_blocking(move || consumer.fetch_watermarks(&last, 0, CALL));
            anyhow::Ok(asked.await??)
        })
        .await
        .map(drop)
    }

    /// Creates some in one request.
    pub(super) async fn create_these(&self, topics: &[String]) -> Result<()> {
        let partitions = i32::try_from(self.partitions)?;
        let new = |name| {
            NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "604800000")
        };
        let new: Vec<NewTopic<'_>> = topics.iter().map(|name| new(name)).collect();
        for one in self.admin.create_topics(&new, &options()).await? {
            one.map_err(|(name, code)| anyhow!("create {name}: {code}"))?;
        }
        Ok(())
    }

    /// Changes the retention of all.
    pub(super) async fn change(&self) -> Result<()> {
        for batch in self.topics.chunks(BATCH) {
            let change =
                |name| AlterConfig::new(ResourceSpecifier::Topic(name)).set("retention.ms", "86400000");
            let changes: Vec<AlterConfig<'_>> = batch.iter().map(|name| change(name)).collect();
            for one in self.admin.alter_configs(&changes, &options()).await? {
                one.map_err(|(resource, code)| anyhow!("change {resource:?}: {code}"))?;
            }
        }
        Ok(())
    }

    /// Gives one topic a partition more.
    pub(super) async fn grow(&self, topic: &str) -> Result<()> {
        let partitions = usize::try_from(self.partitions + 1)?;
        let more = [NewPartitions::new(topic, partitions)];
        for one in self.admin.create_partitions(&more, &options()).await? {
            one.map_err(|(name, code)| anyhow!("grow {name}: {code}"))?;
        }
        Ok(())
    }

    /// Deletes all.
    pub(super) async fn delete(&self) -> Result<()> {
        for batch in self.topics.chunks(BATCH) {
            let names: Vec<&str> = batch.iter().map(String::as_str).collect();
            for one in self.admin.delete_topics(&names, &options()).await? {
                one.map_err(|(name, code)| anyhow!("delete {name}: {code}"))?;
            }
        }
        Ok(())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(CALL))
}
