//! Consumer groups and what they have committed on a topic.
//!
//! Each broker lists the groups that it coordinates, so their offsets are asked of that same broker.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, OffsetFetchRequest};

use super::operation::answer;
use super::pool::{Pool, Purpose};
use super::topics::{text, wire_name};
use crate::admin::ConsumerGroup;
use crate::error::KafkaError;
use crate::types::{BrokerId, Offset, PartitionId, TopicName};

pub(super) const LIST: &str = "list consumer groups";
const OFFSETS: &str = "read the committed offsets of consumer groups";

/// How many offsets are asked for at once.
const LARGEST_ANSWER: usize = 50_000;

/// The groups with committed offsets on these partitions, ordered by id.
pub(super) async fn of_topic(
    pool: &Pool,
    topic: &TopicName,
    partitions: &BTreeSet<PartitionId>,
) -> Result<Vec<ConsumerGroup>, KafkaError> {
    let cluster = pool.brokers().await.map_err(|failure| KafkaError::Unreachable {
        operation: LIST,
        failure,
    })?;
    let asked = cluster
        .brokers
        .iter()
        .map(|broker| of_broker(pool, broker.id, topic, partitions));
    let mut groups: Vec<ConsumerGroup> = try_join_all(asked).await?.into_iter().flatten().collect();
    groups.sort_by(|a, b| a.id.cmp(&b.id));
    // A group that moved between two answers is listed twice.
    groups.dedup_by(|a, b| a.id == b.id);
    Ok(groups)
}

async fn of_broker(
    pool: &Pool,
    broker: BrokerId,
    topic: &TopicName,
    partitions: &BTreeSet<PartitionId>,
) -> Result<Vec<ConsumerGroup>, KafkaError> {
    let connection = pool.broker(broker, Purpose::Read).await;
    let connection = connection.map_err(|failure| KafkaError::Unreachable {
        operation: LIST,
        failure,
    })?;
    let reply = connection.call(LIST, &ListGroupsRequest::default()).await?;
    answer(LIST, reply.error_code, None, ())?;
    let listed: Vec<&ListedGroup> = reply.groups.iter().filter(|group| consumes(group)).collect();
    let mut groups = Vec::new();
    for chunk in listed.chunks((LARGEST_ANSWER / partitions.len().max(1)).max(1)) {
        let request = request(chunk, topic, partitions);
        let reply = connection.call(OFFSETS, &request).await?;
        for found in &reply.groups {
            answer(OFFSETS, found.error_code, None, ())?;
            let committed = committed(found)?;
            if committed.is_empty() {
                continue;
            }
            let state = chunk.iter().find(|group| group.group_id == found.group_id);
            groups.push(ConsumerGroup {
                id: found.group_id.to_string(),
                active: state.is_none_or(|group| !matches!(&*group.group_state, "Empty" | "Dead")),
                committed,
            });
        }
    }
    Ok(groups)
}

/// Whether a group may commit offsets of topics; one whose members have all gone may not tell its protocol.
fn consumes(group: &ListedGroup) -> bool {
    matches!(&*group.protocol_type, "consumer" | "") && !matches!(&*group.group_type, "share" | "Share")
}

fn request(
    groups: &[&ListedGroup],
    topic: &TopicName,
    partitions: &BTreeSet<PartitionId>,
) -> OffsetFetchRequest {
    let wanted = OffsetFetchRequestTopics::default()
        .with_name(wire_name(topic))
        .with_partition_indexes(partitions.iter().map(|partition| partition.get()).collect());
    let group = |group: &&ListedGroup| {
        OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(&group.group_id)))
            .with_topics(Some(vec![wanted.clone()]))
    };
    // What a transaction still open would commit counts only once it is committed.
    OffsetFetchRequest::default().with_groups(groups.iter().map(group).collect())
}

fn committed(group: &OffsetFetchResponseGroup) -> Result<BTreeMap<PartitionId, Offset>, KafkaError> {
    let mut committed = BTreeMap::new();
    for partition in group.topics.iter().flat_map(|topic| &topic.partitions) {
        answer(OFFSETS, partition.error_code, None, ())?;
        if partition.committed_offset >= 0 {
            committed.insert(
                partition.partition_index.into(),
                partition.committed_offset.into(),
            );
        }
    }
    Ok(committed)
}
