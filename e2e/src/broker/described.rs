//! Topics as Kafka describes them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{DescribeConfigsRequest, MetadataRequest};
use kafka_protocol::protocol::StrBytes;

use super::{Broker, abreast};
use crate::wait::until;
use crate::wire::{self, Link};

/// Longest that a broker may be out of reach.
const PATIENCE: Duration = Duration::from_secs(60);
/// Kafka's error code for a topic that is not there.
const UNKNOWN_TOPIC: i16 = 3;
/// The kind of resource that a topic is, in requests about configuration.
const TOPIC: i8 = 2;
/// Where a value comes from that is set on the topic itself.
const DYNAMIC_TOPIC_CONFIG: i8 = 1;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The topic id as Kafka prints it.
    pub id: String,
    /// How many partitions.
    pub partitions: u32,
    /// How many replicas each.
    pub replication_factor: u32,
    /// The configuration that is set on the topic itself.
    pub config: BTreeMap<String, String>,
}

impl Broker {
    /// Describes the topics whose names begin so.
    pub async fn describe(&self, prefix: &str) -> Result<BTreeMap<String, Described>> {
        let mut link = self.abreast().await?;
        described(&mut link, None, |name| name.starts_with(prefix)).await
    }

    /// Describes one topic, if it exists.
    pub async fn topic(&self, name: &str) -> Result<Option<Described>> {
        let asked = MetadataRequestTopic::default().with_name(Some(wire::topic_name(name)));
        let mut link = self.abreast().await?;
        Ok(described(&mut link, Some(vec![asked]), |_| true)
            .await?
            .remove(name))
    }

    /// A connection to a broker.
    pub(crate) async fn link(&self) -> Result<Link> {
        until("a connection to Kafka", PATIENCE, async || {
            Link::dial(&self.address, &self.user, &self.password).await
        })
        .await
    }

    /// A connection to a broker that knows of every change made before this call.
    async fn abreast(&self) -> Result<Link> {
        let mut link = self.link().await?;
        abreast::catch_up(&mut link)
            .await
            .context("await that the broker is abreast")?;
        Ok(link)
    }

    /// Awaits that every broker has acted on all that was changed before this call: has no log any more of what was deleted.
    pub(super) async fn every_one_abreast(&self) -> Result<()> {
        let request = MetadataRequest::default().with_topics(Some(vec![]));
        for broker in self.link().await?.call(&request, 12).await?.brokers {
            let address = format!("{}:{}", broker.host.as_str(), broker.port);
            let mut link = Link::dial(&address, &self.user, &self.password).await?;
            // A broker shows a change before its logs follow, and takes in the next one after that.
            for _ in 0..2 {
                let abreast = abreast::catch_up(&mut link).await;
                abreast.with_context(|| format!("await that broker {} is abreast", broker.node_id.0))?;
            }
        }
        Ok(())
    }
}

/// The topics that were asked for and are wanted, as one broker knows them now.
async fn described(
    link: &mut Link,
    asked: Option<Vec<MetadataRequestTopic>>,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Described>> {
    let request = MetadataRequest::default()
        .with_topics(asked)
        .with_allow_auto_topic_creation(false);
    let mut topics = BTreeMap::new();
    for topic in link.call(&request, 12).await?.topics {
        let name = topic
            .name
            .as_ref()
            .map(|name| name.to_string())
            .unwrap_or_default();
        if topic.error_code == UNKNOWN_TOPIC || !wanted(&name) {
            continue;
        }
        ensure!(topic.error_code == 0, "topic {name}: error {}", topic.error_code);
        topics.insert(name, shape(&topic)?);
    }
    let resources = topics.keys().map(|name| {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(StrBytes::from_string(name.clone()))
            .with_configuration_keys(None)
    });
    let request = DescribeConfigsRequest::default().with_resources(resources.collect());
    for told in link.call(&request, 4).await?.results {
        let name = told.resource_name.to_string();
        if told.error_code == UNKNOWN_TOPIC {
            topics.remove(&name);
            continue;
        }
        ensure!(
            told.error_code == 0,
            "configuration of {name}: error {}",
            told.error_code
        );
        let set = told
            .configs
            .into_iter()
            .filter(|one| one.config_source == DYNAMIC_TOPIC_CONFIG);
        if let Some(topic) = topics.get_mut(&name) {
            topic.config = set
                .map(|one| (one.name.to_string(), one.value.unwrap_or_default().to_string()))
                .collect();
        }
    }
    Ok(topics)
}

fn shape(topic: &MetadataResponseTopic) -> Result<Described> {
    let replicas = topic.partitions.first().map_or(0, |one| one.replica_nodes.len());
    Ok(Described {
        id: BASE64_URL_SAFE_NO_PAD.encode(topic.topic_id.as_bytes()),
        partitions: u32::try_from(topic.partitions.len())?,
        replication_factor: u32::try_from(replicas)?,
        config: BTreeMap::new(),
    })
}
