//! Reads metadata replies into the port's types. Pure.

use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;

use crate::admin::{Broker, Cluster, Partition, Topic};
use crate::config::HostPort;
use crate::error::ErrorCode;
use crate::types::{BrokerId, ClusterId, InvalidValue, PartitionId, TopicId};

/// The cluster and its brokers, or what is wrong with the reply.
pub(crate) fn cluster(reply: &MetadataResponse) -> Result<Cluster, String> {
    let id = reply
        .cluster_id
        .as_deref()
        .ok_or("the broker does not know its cluster's id")?;
    let mut brokers = reply
        .brokers
        .iter()
        .map(|broker| {
            let port = u16::try_from(broker.port).map_err(|_| format!("port {}", broker.port))?;
            Ok(Broker {
                id: broker.node_id.0.into(),
                advertised: HostPort {
                    host: broker.host.to_string(),
                    port,
                },
                rack: broker.rack.as_deref().map(str::to_owned),
            })
        })
        .collect::<Result<Vec<_>, String>>()?;
    brokers.sort_by_key(|broker| broker.id);
    Ok(Cluster {
        id: ClusterId::from(id),
        controller: broker_id(reply.controller_id.0),
        brokers,
    })
}

/// One topic's answer: the topic, or Kafka's error.
pub(crate) fn topic(reply: &MetadataResponseTopic) -> Result<Result<Topic, ErrorCode>, String> {
    if reply.error_code != 0 {
        return Ok(Err(reply.error_code.into()));
    }
    let name = reply.name.as_ref().ok_or("a topic without a name")?;
    let mut partitions: Vec<Partition> = reply
        .partitions
        .iter()
        .map(|partition| Partition {
            id: PartitionId::from(partition.partition_index),
            leader: broker_id(partition.leader_id.0),
            replicas: partition
                .replica_nodes
                .iter()
                .map(|id| BrokerId::from(id.0))
                .collect(),
            in_sync: partition
                .isr_nodes
                .iter()
                .map(|id| BrokerId::from(id.0))
                .collect(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.id);
    Ok(Ok(Topic {
        name: name
            .to_string()
            .try_into()
            .map_err(|error: InvalidValue| error.to_string())?,
        id: TopicId::from(reply.topic_id),
        internal: reply.is_internal,
        partitions,
    }))
}

fn broker_id(id: i32) -> Option<BrokerId> {
    (id >= 0).then(|| id.into())
}
