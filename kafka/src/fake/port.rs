//! The fake's answers to the admin port.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::{Call, FakeKafka, FakeReplicas, FakeTopic, Fault, World, brokers, config, records, replicas};
use crate::admin::{
    Admin, Batch, BrokerConfigChange, BrokerConfigs, Cluster, ConfigChange, ConfigEntry, ConfigKeys,
    ConfigQuery, ConfigSource, ConsumerGroup, CreatedTopic, GrowTopic, LogSizes, Move, Moving, NewTopic,
    OffsetSpec, Partition, Topic, TopicPartition,
};
use crate::config::HostPort;
use crate::error::{ErrorCode, KafkaError, NoReply};
use crate::probe::{ListenerReport, ListenerResult};
use crate::types::{BrokerId, Offset, PartitionCount, PartitionId, ReplicationFactor, TopicId, TopicName};

pub(super) type Answer<T> = Result<T, (ErrorCode, String)>;

pub(super) fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Answer<T> {
    Err((code, message.into()))
}

impl FakeKafka {
    /// Gives an answer, late where the cluster is slow.
    fn reply<T: Send>(&self, answer: T) -> impl Future<Output = T> + Send + use<T> {
        let slow = self.world().slow;
        async move {
            tokio::time::sleep(slow).await;
            answer
        }
    }

    /// Answers one call for all of its items, with whatever fault was ordered for it.
    fn answer<I, K: Ord, T>(
        &self,
        call: Call,
        operation: &'static str,
        items: impl IntoIterator<Item = I>,
        key: impl Fn(&I) -> K,
        act: impl Fn(&mut World, I) -> Answer<T>,
    ) -> Batch<K, T> {
        let mut world = self.world();
        *world.calls.entry(call).or_default() += 1;
        let fault = match &world.away {
            Some(failure) => Some(Fault::Unreachable(failure.clone())),
            None => world
                .faults
                .get_mut(&call)
                .and_then(std::collections::VecDeque::pop_front),
        };
        let lost = || KafkaError::NoReply {
            operation,
            address: HostPort {
                host: "kafka-0.test".to_owned(),
                port: 9092,
            },
            cause: NoReply::Closed("the fake lost it".to_owned()),
        };
        let mut answers = Batch::new();
        for item in items {
            let name = key(&item);
            let refused = |(code, message)| KafkaError::Refused {
                operation,
                code,
                message: Some(message),
            };
            let answer = match &fault {
                None | Some(Fault::Lag) => act(&mut world, item).map_err(refused),
                Some(Fault::DropReply) => act(&mut world, item).map_err(refused).and(Err(lost())),
                Some(Fault::DropRequest) => Err(lost()),
                Some(Fault::Refuse(code)) => Err(refused((*code, "ordered by the test".to_owned()))),
                Some(Fault::RefuseDone(code)) => act(&mut world, item)
                    .map_err(refused)
                    .and(Err(refused((*code, "ordered by the test".to_owned())))),
                Some(Fault::Unreachable(failure)) => Err(KafkaError::Unreachable {
                    operation,
                    failure: failure.clone(),
                }),
            };
            answers.entry(name).or_insert(answer);
        }
        answers
    }

    fn answer_one<T>(
        &self,
        call: Call,
        operation: &'static str,
        act: impl Fn(&mut World) -> T,
    ) -> Result<T, KafkaError> {
        let mut answers = self.answer(call, operation, [()], |()| (), |world, ()| Ok(act(world)));
        answers
            .remove(&())
            .unwrap_or(Err(KafkaError::Abandoned { operation }))
    }

    /// Whether the next call of that method meets old metadata.
    fn lags(&self, call: Call) -> bool {
        self.world().faults.get(&call).and_then(|faults| faults.front()) == Some(&Fault::Lag)
    }
}

impl Admin for FakeKafka {
    fn describe_cluster(&self) -> BoxFuture<'_, Result<Cluster, KafkaError>> {
        let answer = self.answer_one(Call::DescribeCluster, "describe the cluster", |world| {
            world.cluster.clone()
        });
        self.reply(answer).boxed()
    }

    fn list_topics(&self) -> BoxFuture<'_, Result<Vec<Topic>, KafkaError>> {
        let lags = self.lags(Call::ListTopics);
        let answer = self.answer_one(Call::ListTopics, "list topics", |world| {
            let topics = world.topics.iter().filter(|_| !lags);
            topics
                .map(|(name, topic)| described(&world.cluster, name, topic))
                .collect()
        });
        self.reply(answer).boxed()
    }

    fn describe_topics(&self, names: BTreeSet<TopicName>) -> BoxFuture<'_, Batch<TopicName, Option<Topic>>> {
        let lags = self.lags(Call::DescribeTopics);
        let answers = self.answer(
            Call::DescribeTopics,
            "describe topic",
            names,
            TopicName::clone,
            |world, name| {
                let topic = world.topics.get(&name).filter(|_| !lags);
                Ok(topic.map(|topic| described(&world.cluster, &name, topic)))
            },
        );
        self.reply(answers).boxed()
    }

    fn known_topics(&self, names: BTreeSet<TopicName>) -> BoxFuture<'_, Batch<TopicName, bool>> {
        let operation = "ask the controller for topic";
        self.reply(self.answer(
            Call::KnownTopics,
            operation,
            names,
            TopicName::clone,
            |world, name| Ok(world.topics.contains_key(&name)),
        ))
        .boxed()
    }

    fn create_topics(&self, topics: Vec<NewTopic>) -> BoxFuture<'_, Batch<TopicName, CreatedTopic>> {
        let name = |topic: &NewTopic| topic.name.clone();
        self.reply(self.answer(Call::CreateTopics, "create topic", topics, name, create))
            .boxed()
    }

    fn describe_configs(
        &self,
        queries: Vec<ConfigQuery>,
    ) -> BoxFuture<'_, Batch<TopicName, BTreeMap<String, ConfigEntry>>> {
        let name = |query: &ConfigQuery| query.topic.clone();
        let operation = "describe the configuration of topic";
        self.reply(
            self.answer(Call::DescribeConfigs, operation, queries, name, |world, query| {
                describe_config(world, &query)
            }),
        )
        .boxed()
    }

    fn describe_broker_configs(
        &self,
        keys: BTreeSet<String>,
    ) -> BoxFuture<'_, Result<BrokerConfigs, KafkaError>> {
        let operation = "describe the configuration of broker";
        let answer = self.answer_one(Call::DescribeBrokerConfigs, operation, |world| {
            brokers::describe(world, &keys)
        });
        self.reply(answer).boxed()
    }

    fn alter_configs(&self, changes: Vec<ConfigChange>) -> BoxFuture<'_, Batch<TopicName, ()>> {
        let name = |change: &ConfigChange| change.topic.clone();
        let operation = "alter the configuration of topic";
        self.reply(self.answer(Call::AlterConfigs, operation, changes, name, alter))
            .boxed()
    }

    fn alter_broker_configs(&self, changes: Vec<BrokerConfigChange>) -> BoxFuture<'_, Batch<BrokerId, ()>> {
        let broker = |change: &BrokerConfigChange| change.broker;
        let operation = "alter the configuration of broker";
        self.reply(self.answer(
            Call::AlterBrokerConfigs,
            operation,
            changes,
            broker,
            brokers::alter,
        ))
        .boxed()
    }

    fn log_sizes(&self) -> BoxFuture<'_, Result<LogSizes, KafkaError>> {
        let operation = "read what topics take on the disks of broker";
        let answer = self.answer_one(Call::LogSizes, operation, |world| brokers::sizes(world));
        self.reply(answer).boxed()
    }

    fn create_partitions(&self, growth: Vec<GrowTopic>) -> BoxFuture<'_, Batch<TopicName, ()>> {
        let name = |growth: &GrowTopic| growth.topic.clone();
        self.reply(self.answer(
            Call::CreatePartitions,
            "add partitions",
            growth,
            name,
            |world, growth| grow(world, &growth),
        ))
        .boxed()
    }

    fn alter_reassignments(&self, moves: Vec<Move>) -> BoxFuture<'_, Batch<TopicPartition, ()>> {
        let operation = "move the replicas of partition";
        let key = |item: &Move| item.partition.clone();
        self.reply(self.answer(Call::AlterReassignments, operation, moves, key, replicas::alter))
            .boxed()
    }

    fn list_reassignments(
        &self,
        partitions: BTreeSet<TopicPartition>,
    ) -> BoxFuture<'_, Batch<TopicPartition, Option<Moving>>> {
        let operation = "list the reassignment of partition";
        let key = TopicPartition::clone;
        self.reply(self.answer(
            Call::ListReassignments,
            operation,
            partitions,
            key,
            |world, at| Ok(replicas::moving(world, &at)),
        ))
        .boxed()
    }

    fn delete_topics(&self, ids: BTreeSet<TopicId>) -> BoxFuture<'_, Batch<TopicId, ()>> {
        let answers = self.answer(
            Call::DeleteTopics,
            "delete topic",
            ids,
            |id| *id,
            |world, id| {
                let name = world
                    .topics
                    .iter()
                    .find(|(_, topic)| topic.id == id)
                    .map(|(name, _)| name.clone());
                match name.and_then(|name| world.topics.remove_entry(&name)) {
                    Some((name, _)) => {
                        records::forget(world, &name);
                        Ok(())
                    }
                    None => refuse(
                        ErrorCode::UNKNOWN_TOPIC_ID,
                        "This server does not host this topic ID.",
                    ),
                }
            },
        );
        self.reply(answers).boxed()
    }

    fn list_offsets(
        &self,
        partitions: BTreeSet<TopicPartition>,
        at: OffsetSpec,
    ) -> BoxFuture<'_, Batch<TopicPartition, Offset>> {
        let operation = "list the offsets of partition";
        let offset = |world: &mut World, asked: TopicPartition| {
            let index = usize::try_from(asked.partition.get()).ok();
            let live = world.topics.get(&asked.topic).map(|topic| &topic.partitions);
            let log = world.kept.get(&asked.topic).or(live);
            match log.zip(index).and_then(|(log, index)| log.get(index)) {
                Some((start, end)) => Ok(Offset::from(match at {
                    OffsetSpec::Earliest => *start,
                    OffsetSpec::Latest => *end,
                })),
                None => refuse(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "no such partition"),
            }
        };
        self.reply(self.answer(
            Call::ListOffsets,
            operation,
            partitions,
            TopicPartition::clone,
            offset,
        ))
        .boxed()
    }

    fn offsets_at(
        &self,
        partitions: BTreeSet<TopicPartition>,
        time: i64,
    ) -> BoxFuture<'_, Batch<TopicPartition, Option<Offset>>> {
        let operation = "list the offsets of partition";
        let key = TopicPartition::clone;
        self.reply(
            self.answer(Call::OffsetsAt, operation, partitions, key, |world, at| {
                records::offset_at(world, &at, time)
            }),
        )
        .boxed()
    }

    fn delete_records(
        &self,
        before: BTreeMap<TopicPartition, Offset>,
    ) -> BoxFuture<'_, Batch<TopicPartition, Offset>> {
        let operation = "delete the records of partition";
        let key = |(at, _): &(TopicPartition, Offset)| at.clone();
        self.reply(self.answer(Call::DeleteRecords, operation, before, key, records::delete))
            .boxed()
    }

    fn consumer_groups(
        &self,
        topic: TopicName,
        partitions: BTreeSet<PartitionId>,
    ) -> BoxFuture<'_, Result<Vec<ConsumerGroup>, KafkaError>> {
        let answer = self.answer_one(Call::ConsumerGroups, "list consumer groups", |world| {
            records::groups_of(world, &topic, &partitions)
        });
        self.reply(answer).boxed()
    }

    fn probe_listeners(&self) -> BoxFuture<'_, Result<Vec<ListenerReport>, KafkaError>> {
        let answer = self.answer_one(Call::ProbeListeners, "probe the listeners", |world| {
            let report = |broker: &crate::admin::Broker| match world.listeners.get(&broker.id) {
                Some(report) => report.clone(),
                None => ListenerReport {
                    broker: broker.id,
                    advertised: broker.advertised.clone(),
                    rack: broker.rack.clone(),
                    result: ListenerResult::Reachable,
                    detail: format!(
                        "broker {} advertises {}, which works",
                        broker.id, broker.advertised
                    ),
                },
            };
            world.cluster.brokers.iter().map(report).collect()
        });
        self.reply(answer).boxed()
    }
}

fn described(cluster: &Cluster, name: &TopicName, topic: &FakeTopic) -> Topic {
    let partition = |(index, held): (usize, &FakeReplicas)| {
        let mut in_sync = held.caught_up();
        in_sync.retain(|id| cluster.brokers.iter().any(|broker| broker.id == *id));
        Partition {
            id: PartitionId::from(i32::try_from(index).unwrap_or(i32::MAX)),
            leader: in_sync.first().copied(),
            in_sync,
            replicas: held.replicas.clone(),
        }
    };
    Topic {
        name: name.clone(),
        id: topic.id,
        internal: matches!(
            name.as_str(),
            "__consumer_offsets" | "__transaction_state" | "__share_group_state"
        ),
        partitions: topic.replicas.iter().enumerate().map(partition).collect(),
    }
}

fn create(world: &mut World, topic: NewTopic) -> Answer<CreatedTopic> {
    let name = topic.name;
    if world.topics.contains_key(&name) {
        return refuse(
            ErrorCode::TOPIC_ALREADY_EXISTS,
            format!("Topic '{name}' already exists."),
        );
    }
    // Metrics cannot tell the two apart.
    let metric_name = |name: &TopicName| name.as_str().replace('.', "_");
    if let Some(other) = world
        .topics
        .keys()
        .find(|other| metric_name(other) == metric_name(&name))
    {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return refuse(ErrorCode::INVALID_TOPIC_EXCEPTION, message);
    }
    for (key, value) in &topic.config {
        config::check(key, value)?;
    }
    let factor = topic.replication_factor.map_or(1, ReplicationFactor::get);
    let brokers = world.cluster.brokers.len();
    if usize::try_from(factor).map_or(true, |factor| factor > brokers) {
        let message =
            format!("The target replication factor of {factor} cannot be reached: {brokers} broker(s).");
        return refuse(ErrorCode::INVALID_REPLICATION_FACTOR, message);
    }
    let count = topic.partitions.map_or(1, PartitionCount::get);
    let id = world.next_id();
    let partitions = vec![(0, 0); usize::try_from(count).unwrap_or(0)];
    let replicas = replicas::spread(&world.cluster, 0..partitions.len(), factor);
    world.topics.insert(
        name,
        FakeTopic {
            id,
            partitions,
            replicas,
            config: topic.config,
        },
    );
    Ok(CreatedTopic {
        id,
        partitions: count.try_into().ok(),
        replication_factor: i32::from(factor).try_into().ok(),
    })
}

pub(super) fn no_topic<T>() -> Answer<T> {
    refuse(
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        "This server does not host this topic-partition.",
    )
}

fn describe_config(world: &World, query: &ConfigQuery) -> Answer<BTreeMap<String, ConfigEntry>> {
    let Some(topic) = world.topics.get(&query.topic) else {
        return no_topic();
    };
    let wanted = |key: &str| match &query.keys {
        ConfigKeys::All => true,
        ConfigKeys::Named(keys) => keys.contains(key),
    };
    let entry = |key: &str, default: &str| {
        let (value, source) = match topic.config.get(key) {
            Some(value) => (config::told_back(key, value), ConfigSource::Topic),
            None => (default.to_owned(), ConfigSource::Default),
        };
        ConfigEntry {
            value: Some(value),
            source,
            read_only: false,
            sensitive: false,
        }
    };
    let entries = config::defaults().filter(|(key, _)| wanted(key));
    Ok(entries
        .map(|(key, default)| (key.to_owned(), entry(key, default)))
        .collect())
}

fn alter(world: &mut World, change: ConfigChange) -> Answer<()> {
    let Some(topic) = world.topics.get_mut(&change.topic) else {
        return no_topic();
    };
    if change.unset.iter().any(|key| change.set.contains_key(key)) {
        return refuse(ErrorCode::INVALID_REQUEST, "Error due to duplicate config keys");
    }
    for (key, value) in &change.set {
        config::check(key, value)?;
    }
    topic.config.retain(|key, _| !change.unset.contains(key));
    topic.config.extend(change.set);
    Ok(())
}

fn grow(world: &mut World, growth: &GrowTopic) -> Answer<()> {
    let Some(topic) = world.topics.get_mut(&growth.topic) else {
        return no_topic();
    };
    let now = topic.partitions.len();
    let wanted = usize::try_from(growth.partitions.get()).unwrap_or(0);
    if wanted == now {
        return refuse(
            ErrorCode::INVALID_PARTITIONS,
            format!("Topic already has {now} partition(s)."),
        );
    }
    if wanted < now {
        let message = format!(
            "The topic {} currently has {now} partition(s); {wanted} would not be an increase.",
            growth.topic
        );
        return refuse(ErrorCode::INVALID_PARTITIONS, message);
    }
    topic.partitions.resize(wanted, (0, 0));
    // As many as partition 0 has at present, replicas being added included.
    let factor = topic.replicas.first().map_or(0, |first| first.replicas.len());
    let factor = i16::try_from(factor).unwrap_or(i16::MAX);
    topic
        .replicas
        .extend(replicas::spread(&world.cluster, now..wanted, factor));
    Ok(())
}
