//! Asks Kafka's controller which topics there are. Topics are described by brokers, which may lag behind it.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kafka_protocol::messages::CreateTopicsRequest;

use super::operation::{Answers, Operation, answer, ask, complete};
use super::pool::{Pool, Purpose};
use super::topics::{creatable, own_name};
use crate::admin::NewTopic;
use crate::error::{ErrorCode, KafkaError};
use crate::types::TopicName;

/// By what the topic's creation would meet; `validateOnly` has the controller create nothing.
#[derive(Debug)]
pub(super) struct KnownTopics;

impl Operation for KnownTopics {
    type Item = TopicName;
    type Key = TopicName;
    type Output = bool;
    const NAME: &'static str = "ask the controller for topic";
    const LABEL: &'static str = "known_topics";
    const CHANGES: bool = false;

    fn key(name: &TopicName) -> TopicName {
        name.clone()
    }

    fn send<'a>(pool: &'a Pool, names: &'a [TopicName]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
        async move {
            let topic = |name: &TopicName| {
                creatable(&NewTopic {
                    name: name.clone(),
                    partitions: None,
                    replication_factor: None,
                    config: BTreeMap::new(),
                })
            };
            let (reply, address) = ask(pool, Purpose::Change, Self::NAME, |connection| {
                CreateTopicsRequest::default()
                    .with_topics(names.iter().map(topic).collect())
                    .with_validate_only(true)
                    .with_timeout_ms(connection.broker_timeout_ms())
            })
            .await?;
            let answers = reply.topics.iter().filter_map(|topic| {
                let known = match ErrorCode::from(topic.error_code) {
                    ErrorCode::TOPIC_ALREADY_EXISTS => Ok(true),
                    _ => answer(
                        Self::NAME,
                        topic.error_code,
                        topic.error_message.as_deref(),
                        false,
                    ),
                };
                Some((own_name(&topic.name)?, known))
            });
            Ok(complete::<Self>(names, answers.collect(), &address))
        }
        .boxed()
    }
}
