//! Configuration of topics and brokers, changed as somebody else would.

use anyhow::{Context as _, Result, ensure};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, MetadataRequest};
use kafka_protocol::protocol::StrBytes;

use super::Broker;
use crate::wire::Link;

/// Kinds of resources, as requests have them.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// What to do with a key.
const SET: i8 = 0;
const DELETE: i8 = 1;

/// A key, and the value to set; none takes it off.
pub(super) type Change<'a> = (&'a str, Option<&'a str>);

impl Broker {
    /// Changes what is set on a topic.
    pub async fn alter_topic(&self, topic: &str, changes: &[Change<'_>]) -> Result<()> {
        alter(&mut self.link().await?, TOPIC, topic, changes).await
    }

    /// Changes what is set at run time on every broker by itself.
    pub async fn alter_brokers(&self, changes: &[Change<'_>]) -> Result<()> {
        let request = MetadataRequest::default().with_topics(Some(vec![]));
        for broker in self.link().await?.call(&request, 12).await?.brokers {
            // Only the broker itself takes such a change.
            let address = format!("{}:{}", broker.host, broker.port);
            let mut link = Link::dial(&address, &self.user, &self.password).await?;
            alter(&mut link, BROKER, &broker.node_id.0.to_string(), changes)
                .await
                .with_context(|| format!("alter broker {address}"))?;
        }
        Ok(())
    }
}

async fn alter(link: &mut Link, kind: i8, name: &str, changes: &[Change<'_>]) -> Result<()> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let configs = changes.iter().map(|(key, value)| {
        AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(if value.is_some() { SET } else { DELETE })
            .with_value(value.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    for told in link.call(&request, 1).await?.responses {
        let (code, message) = (told.error_code, told.error_message.unwrap_or_default());
        ensure!(code == 0, "configuration of {name}: error {code} {message}");
    }
    Ok(())
}
