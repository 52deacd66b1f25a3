//! Topic configuration: read by key, change by key.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use futures::future::{BoxFuture, try_join_all};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use super::operation::{Answers, Operation, answer, ask, complete};
use super::pool::{Pool, Purpose};
use super::topics::{own_name, text};
use crate::admin::{BrokerConfigs, ConfigChange, ConfigEntry, ConfigKeys, ConfigQuery, ConfigSource};
use crate::error::KafkaError;
use crate::types::TopicName;

/// The protocol's number for a topic among the things that have configuration.
const TOPIC: i8 = 2;

#[derive(Debug)]
pub(super) struct DescribeConfigs;

impl Operation for DescribeConfigs {
    type Item = ConfigQuery;
    type Key = TopicName;
    type Output = BTreeMap<String, ConfigEntry>;
    const NAME: &'static str = "describe the configuration of topic";
    const LABEL: &'static str = "describe_configs";
    const CHANGES: bool = false;

    fn key(query: &ConfigQuery) -> TopicName {
        query.topic.clone()
    }

    fn send<'a>(
        pool: &'a Pool,
        queries: &'a [ConfigQuery],
    ) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let resource = |query: &ConfigQuery| {
                DescribeConfigsResource::default()
                    .with_resource_type(TOPIC)
                    .with_resource_name(text(query.topic.as_str()))
                    .with_configuration_keys(match &query.keys {
                        ConfigKeys::All => None,
                        ConfigKeys::Named(keys) => Some(keys.iter().map(|key| text(key)).collect()),
                    })
            };
            let (reply, address) = ask(pool, Purpose::Read, Self::NAME, |_| {
                DescribeConfigsRequest::default().with_resources(queries.iter().map(resource).collect())
            })
            .await?;
            let wanted: BTreeMap<&str, &ConfigKeys> = queries
                .iter()
                .map(|query| (query.topic.as_str(), &query.keys))
                .collect();
            let answers = reply.results.iter().filter_map(|result| {
                let keys = wanted.get(&*result.resource_name)?;
                let entries = result.configs.iter().filter(|config| match keys {
                    ConfigKeys::All => true,
                    ConfigKeys::Named(keys) => keys.contains(&*config.name),
                });
                let entries = entries
                    .map(|config| (config.name.to_string(), entry(config)))
                    .collect();
                let message = result.error_message.as_deref();
                Some((
                    own_name(&result.resource_name)?,
                    answer(Self::NAME, result.error_code, message, entries),
                ))
            });
            Ok(complete::<Self>(queries, answers.collect(), &address))
        }
        .boxed()
    }
}

fn entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        value: config.value.as_deref().map(str::to_owned),
        source: match config.config_source {
            1 => ConfigSource::Topic,
            2 | 3 => ConfigSource::DynamicBroker,
            4 => ConfigSource::StaticBroker,
            5 => ConfigSource::Default,
            other => ConfigSource::Other(other),
        },
        read_only: config.read_only,
        sensitive: config.is_sensitive,
    }
}

/// The protocol's number for a broker among the things that have configuration.
pub(super) const BROKER: i8 = 4;
pub(super) const DESCRIBE_BROKER: &str = "describe the configuration of broker";

/// Reads selected configuration of every broker.
pub(super) async fn of_brokers(pool: &Pool, keys: &BTreeSet<String>) -> Result<BrokerConfigs, KafkaError> {
    let unreachable = |failure| KafkaError::Unreachable {
        operation: DESCRIBE_BROKER,
        failure,
    };
    let cluster = pool.brokers().await.map_err(unreachable)?;
    let asked = cluster.brokers.iter().map(|broker| async move {
        let connection = pool.broker(broker.id, Purpose::Read).await.map_err(unreachable)?;
        let resource = DescribeConfigsResource::default()
            .with_resource_type(BROKER)
            .with_resource_name(text(&broker.id.to_string()))
            .with_configuration_keys(Some(keys.iter().map(|key| text(key)).collect()));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let reply = connection.call(DESCRIBE_BROKER, &request).await?;
        let mut entries = BTreeMap::new();
        for result in &reply.results {
            let message = result.error_message.as_deref();
            answer(DESCRIBE_BROKER, result.error_code, message, ())?;
            let wanted = result
                .configs
                .iter()
                .filter(|config| keys.contains(&*config.name));
            entries.extend(wanted.map(|config| (config.name.to_string(), entry(config))));
        }
        Ok((broker.id, entries))
    });
    Ok(try_join_all(asked).await?.into_iter().collect())
}

/// The protocol's numbers for what to do with a key.
const SET: i8 = 0;
const UNSET: i8 = 1;

#[derive(Debug)]
pub(super) struct AlterConfigs;

impl Operation for AlterConfigs {
    type Item = ConfigChange;
    type Key = TopicName;
    type Output = ();
    const NAME: &'static str = "alter the configuration of topic";
    const LABEL: &'static str = "alter_configs";
    const CHANGES: bool = true;

    fn key(change: &ConfigChange) -> TopicName {
        change.topic.clone()
    }

    fn send<'a>(
        pool: &'a Pool,
        changes: &'a [ConfigChange],
    ) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let (reply, address) = ask(pool, Purpose::Change, Self::NAME, |_| {
                IncrementalAlterConfigsRequest::default()
                    .with_resources(changes.iter().map(resource).collect())
            })
            .await?;
            let answers = reply.responses.iter().filter_map(|result| {
                let message = result.error_message.as_deref();
                Some((
                    own_name(&result.resource_name)?,
                    answer(Self::NAME, result.error_code, message, ()),
                ))
            });
            Ok(complete::<Self>(changes, answers.collect(), &address))
        }
        .boxed()
    }
}

fn resource(change: &ConfigChange) -> AlterConfigsResource {
    AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(change.topic.as_str()))
        .with_configs(alterations(&change.set, &change.unset))
}

/// Keys to set and keys to unset as the protocol has them.
pub(super) fn alterations(set: &BTreeMap<String, String>, unset: &BTreeSet<String>) -> Vec<AlterableConfig> {
    let set = set.iter().map(|(name, value)| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(SET)
            .with_value(Some(text(value)))
    });
    let unset = unset.iter().map(|name| {
        AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(UNSET)
            .with_value(None)
    });
    set.chain(unset).collect()
}
