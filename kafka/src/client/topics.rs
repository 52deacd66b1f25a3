//! Topics: list, describe, create, grow, delete.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    self, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest,
    MetadataResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::operation::{Answers, Operation, answer, ask, complete, malformed};
use super::pool::{Pool, Purpose};
use crate::admin::{CreatedTopic, GrowTopic, NewTopic, Topic};
use crate::config::HostPort;
use crate::error::{ErrorCode, KafkaError};
use crate::metadata;
use crate::types::{PartitionCount, ReplicationFactor, TopicId, TopicName};

/// The protocol's spelling of a name.
pub(super) fn wire_name(name: &TopicName) -> messages::TopicName {
    messages::TopicName(text(name.as_str()))
}

/// The protocol's spelling of a text.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A name from a reply; one that Kafka would not allow is no name we asked for.
pub(super) fn own_name(name: &str) -> Option<TopicName> {
    name.parse().ok()
}

/// Asks for named topics, or for all. Never creates one: by the protocol's default the question itself would.
pub(super) async fn ask_metadata(
    pool: &Pool,
    operation: &'static str,
    names: Option<Vec<&TopicName>>,
) -> Result<(MetadataResponse, HostPort), KafkaError> {
    let topic = |name| MetadataRequestTopic::default().with_name(Some(wire_name(name)));
    let topics = names.map(|names| names.into_iter().map(topic).collect());
    ask(pool, Purpose::Read, operation, |_| {
        MetadataRequest::default()
            .with_topics(topics)
            .with_allow_auto_topic_creation(false)
    })
    .await
}

#[derive(Debug)]
pub(super) struct ListTopics;

impl Operation for ListTopics {
    type Item = ();
    type Key = ();
    type Output = Vec<Topic>;
    const NAME: &'static str = "list topics";
    const LABEL: &'static str = "list_topics";
    const CHANGES: bool = false;

    fn key((): &()) {}

    fn send<'a>(pool: &'a Pool, _items: &'a [()]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let (reply, address) = ask_metadata(pool, Self::NAME, None).await?;
            let topics = reply
                .topics
                .iter()
                .filter_map(|topic| match metadata::topic(topic) {
                    Ok(Ok(topic)) => (!pool.deleted().contains(topic.id)).then_some(Ok(topic)),
                    // Deleted since the broker made its list.
                    Ok(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) => None,
                    Ok(Err(code)) => Some(Err(KafkaError::Refused {
                        operation: Self::NAME,
                        code,
                        message: None,
                    })),
                    Err(what) => Some(Err(malformed(Self::NAME, &address, &what))),
                });
            Ok(Answers::<Self>::from([((), topics.collect())]))
        }
        .boxed()
    }
}

#[derive(Debug)]
pub(super) struct DescribeTopics;

impl Operation for DescribeTopics {
    type Item = TopicName;
    type Key = TopicName;
    type Output = Option<Topic>;
    const NAME: &'static str = "describe topic";
    const LABEL: &'static str = "describe_topics";
    const CHANGES: bool = false;

    fn key(name: &TopicName) -> TopicName {
        name.clone()
    }

    fn send<'a>(pool: &'a Pool, names: &'a [TopicName]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let (reply, address) = ask_metadata(pool, Self::NAME, Some(names.iter().collect())).await?;
            let answers = reply.topics.iter().filter_map(|topic| {
                let name = own_name(topic.name.as_deref()?)?;
                let answer = match metadata::topic(topic) {
                    Ok(Ok(topic)) => Ok(Some(topic).filter(|topic| !pool.deleted().contains(topic.id))),
                    Ok(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) => Ok(None),
                    Ok(Err(code)) => Err(KafkaError::Refused {
                        operation: Self::NAME,
                        code,
                        message: None,
                    }),
                    Err(what) => Err(malformed(Self::NAME, &address, &what)),
                };
                Some((name, answer))
            });
            Ok(complete::<Self>(names, answers.collect(), &address))
        }
        .boxed()
    }
}

#[derive(Debug)]
pub(super) struct CreateTopics;

impl Operation for CreateTopics {
    type Item = NewTopic;
    type Key = TopicName;
    type Output = CreatedTopic;
    const NAME: &'static str = "create topic";
    const LABEL: &'static str = "create_topics";
    const CHANGES: bool = true;

    fn key(topic: &NewTopic) -> TopicName {
        topic.name.clone()
    }

    fn weight(topic: &NewTopic) -> usize {
        topic
            .partitions
            .map_or(1, |count| usize::try_from(count.get()).unwrap_or(1))
    }

    fn send<'a>(pool: &'a Pool, topics: &'a [NewTopic]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let (reply, address) = ask(pool, Purpose::Change, Self::NAME, |connection| {
                CreateTopicsRequest::default()
                    .with_topics(topics.iter().map(creatable).collect())
                    .with_timeout_ms(connection.broker_timeout_ms())
            })
            .await?;
            let answers = reply.topics.iter().filter_map(|topic| {
                let created = CreatedTopic {
                    id: TopicId::from(topic.topic_id),
                    partitions: topic.num_partitions.try_into().ok(),
                    replication_factor: i32::from(topic.replication_factor).try_into().ok(),
                };
                let message = topic.error_message.as_deref();
                Some((
                    own_name(&topic.name)?,
                    answer(Self::NAME, topic.error_code, message, created),
                ))
            });
            Ok(complete::<Self>(topics, answers.collect(), &address))
        }
        .boxed()
    }
}

/// Counts that are left to the broker are -1 on the wire.
pub(super) fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(name, value): (&String, &String)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(wire_name(&topic.name))
        .with_num_partitions(topic.partitions.map_or(-1, PartitionCount::get))
        .with_replication_factor(topic.replication_factor.map_or(-1, ReplicationFactor::get))
        .with_configs(topic.config.iter().map(config).collect())
}

#[derive(Debug)]
pub(super) struct CreatePartitions;

impl Operation for CreatePartitions {
    type Item = GrowTopic;
    type Key = TopicName;
    type Output = ();
    const NAME: &'static str = "add partitions";
    const LABEL: &'static str = "create_partitions";
    const CHANGES: bool = true;

    fn key(growth: &GrowTopic) -> TopicName {
        growth.topic.clone()
    }

    fn weight(growth: &GrowTopic) -> usize {
        usize::try_from(growth.partitions.get()).unwrap_or(1)
    }

    fn send<'a>(pool: &'a Pool, growth: &'a [GrowTopic]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let topic = |growth: &GrowTopic| {
                CreatePartitionsTopic::default()
                    .with_name(wire_name(&growth.topic))
                    .with_count(growth.partitions.get())
                    .with_assignments(None)
            };
            let (reply, address) = ask(pool, Purpose::Change, Self::NAME, |connection| {
                CreatePartitionsRequest::default()
                    .with_topics(growth.iter().map(topic).collect())
                    .with_timeout_ms(connection.broker_timeout_ms())
            })
            .await?;
            let answers = reply.results.iter().filter_map(|topic| {
                let message = topic.error_message.as_deref();
                Some((
                    own_name(&topic.name)?,
                    answer(Self::NAME, topic.error_code, message, ()),
                ))
            });
            Ok(complete::<Self>(growth, answers.collect(), &address))
        }
        .boxed()
    }
}

#[derive(Debug)]
pub(super) struct DeleteTopics;

impl Operation for DeleteTopics {
    type Item = TopicId;
    type Key = TopicId;
    type Output = ();
    const NAME: &'static str = "delete topic";
    const LABEL: &'static str = "delete_topics";
    const CHANGES: bool = true;

    fn key(id: &TopicId) -> TopicId {
        *id
    }

    fn send<'a>(pool: &'a Pool, ids: &'a [TopicId]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let state = |id: &TopicId| {
                DeleteTopicState::default()
                    .with_name(None)
                    .with_topic_id(id.as_uuid())
            };
            let (reply, address) = ask(pool, Purpose::Change, Self::NAME, |connection| {
                DeleteTopicsRequest::default()
                    .with_topics(ids.iter().map(state).collect())
                    .with_timeout_ms(connection.broker_timeout_ms())
            })
            .await?;
            let answers = reply.responses.iter().map(|topic| {
                let (id, message) = (TopicId::from(topic.topic_id), topic.error_message.as_deref());
                let gone = [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_ID];
                if gone.contains(&ErrorCode::from(topic.error_code)) {
                    pool.deleted().remember(id);
                }
                (id, answer(Self::NAME, topic.error_code, message, ()))
            });
            Ok(complete::<Self>(ids, answers.collect(), &address))
        }
        .boxed()
    }
}
