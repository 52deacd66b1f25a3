//! Every shape agrees with the codec: what the codec writes, the walk takes to the last byte.

use bytes::BytesMut;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, BrokerId, DeleteRecordsRequest,
    DeleteRecordsResponse, DescribeLogDirsRequest, DescribeLogDirsResponse, GroupId, ListGroupsRequest,
    ListGroupsResponse, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
    OffsetFetchRequest, OffsetFetchResponse, TopicName,
};
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::super::shape::check;
use super::*;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Turns every byte of a good reply into others: what passes the walk must not make the codec panic or run away.
fn survives_any_byte<C: Call>(good: &[u8], version: i16) {
    for at in 0..good.len() {
        for value in [0, 1, 2, 0x7f, 0x80, 0xff] {
            let mut bytes = good.to_vec();
            bytes[at] = value;
            if check(&bytes, C::reply_shape(version)).is_ok() {
                let _verdict = C::Reply::decode(&mut bytes::Bytes::from(bytes), version);
            }
        }
    }
}

#[track_caller]
fn agrees<C: Call>(reply: &C::Reply)
where
    C::Reply: Encodable,
{
    for version in C::SPOKEN.0..=C::SPOKEN.1 {
        let mut bytes = BytesMut::new();
        if reply.encode(&mut bytes, version).is_err() {
            continue; // A field this version does not have.
        }
        assert_eq!(
            check(&bytes, C::reply_shape(version)),
            Ok(()),
            "{} {version}",
            C::NAME
        );
        survives_any_byte::<C>(&bytes, version);
        for cut in 0..bytes.len() {
            assert!(
                check(&bytes[..cut], C::reply_shape(version)).is_err(),
                "{} {version} cut at {cut}",
                C::NAME
            );
        }
    }
}

#[test]
fn shapes_of_the_handshake() {
    let key = ApiVersion::default().with_api_key(3).with_max_version(12);
    agrees::<ApiVersionsRequest>(
        &ApiVersionsResponse::default().with_api_keys(vec![key.clone(), key.clone()]),
    );
    agrees::<ApiVersionsRequest>(
        &ApiVersionsResponse::default()
            .with_api_keys(vec![key])
            .with_supported_features(vec![
                SupportedFeatureKey::default().with_name(text("kraft.version")),
            ])
            .with_finalized_features_epoch(7)
            .with_finalized_features(vec![
                FinalizedFeatureKey::default().with_name(text("metadata.version")),
            ])
            .with_zk_migration_ready(true),
    );
    agrees::<SaslHandshakeRequest>(
        &SaslHandshakeResponse::default().with_mechanisms(vec![text("PLAIN"), text("X")]),
    );
    agrees::<SaslAuthenticateRequest>(
        &SaslAuthenticateResponse::default()
            .with_error_message(Some(text("no")))
            .with_auth_bytes(vec![1, 2, 3].into()),
    );
}

#[test]
fn shapes_of_metadata_and_offsets() {
    let broker = MetadataResponseBroker::default()
        .with_host(text("kafka-0"))
        .with_rack(Some(text("a")));
    let partition = MetadataResponsePartition::default()
        .with_replica_nodes(vec![BrokerId(1), BrokerId(2)])
        .with_isr_nodes(vec![BrokerId(1)])
        .with_offline_replicas(vec![BrokerId(2)]);
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(text("orders"))))
        .with_partitions(vec![partition.clone(), partition]);
    agrees::<MetadataRequest>(
        &MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_cluster_id(Some(text("abc")))
            .with_topics(vec![topic.clone(), topic]),
    );
    let partition = ListOffsetsPartitionResponse::default().with_offset(9);
    let topic = ListOffsetsTopicResponse::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition.clone(), partition]);
    agrees::<ListOffsetsRequest>(&ListOffsetsResponse::default().with_topics(vec![topic]));
}

#[test]
fn shapes_of_topic_changes() {
    let created = CreatableTopicResult::default()
        .with_name(TopicName(text("orders")))
        .with_error_message(Some(text("exists")))
        .with_topic_config_error_code(29)
        .with_configs(Some(vec![
            CreatableTopicConfigs::default()
                .with_name(text("k"))
                .with_value(Some(text("v"))),
        ]));
    agrees::<CreateTopicsRequest>(
        &CreateTopicsResponse::default().with_topics(vec![created.clone(), created]),
    );
    let deleted = DeletableTopicResult::default()
        .with_name(None)
        .with_error_message(Some(text("gone")));
    agrees::<DeleteTopicsRequest>(&DeleteTopicsResponse::default().with_responses(vec![deleted]));
    let grown = CreatePartitionsTopicResult::default().with_name(TopicName(text("orders")));
    agrees::<CreatePartitionsRequest>(&CreatePartitionsResponse::default().with_results(vec![grown]));
}

#[test]
fn shapes_of_configuration() {
    let synonym = DescribeConfigsSynonym::default()
        .with_name(text("s"))
        .with_value(Some(text("1")));
    let entry = DescribeConfigsResourceResult::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("1")))
        .with_synonyms(vec![synonym])
        .with_documentation(Some(text("how long")));
    let described = DescribeConfigsResult::default()
        .with_resource_name(text("orders"))
        .with_configs(vec![entry]);
    agrees::<DescribeConfigsRequest>(&DescribeConfigsResponse::default().with_results(vec![described]));
    let altered = AlterConfigsResourceResponse::default().with_resource_name(text("orders"));
    agrees::<IncrementalAlterConfigsRequest>(
        &IncrementalAlterConfigsResponse::default().with_responses(vec![altered]),
    );
}

#[test]
fn shapes_of_purges() {
    let partition = DeleteRecordsPartitionResult::default().with_low_watermark(9);
    let topic = DeleteRecordsTopicResult::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition.clone(), partition]);
    agrees::<DeleteRecordsRequest>(&DeleteRecordsResponse::default().with_topics(vec![topic]));
    let group = ListedGroup::default()
        .with_group_id(GroupId(text("billing")))
        .with_protocol_type(text("consumer"))
        .with_group_state(text("Empty"));
    agrees::<ListGroupsRequest>(&ListGroupsResponse::default().with_groups(vec![group.clone(), group]));
    let partition = OffsetFetchResponsePartitions::default()
        .with_committed_offset(7)
        .with_metadata(Some(text("m")));
    let topic = OffsetFetchResponseTopics::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition.clone(), partition]);
    let group = OffsetFetchResponseGroup::default()
        .with_group_id(GroupId(text("billing")))
        .with_topics(vec![topic]);
    agrees::<OffsetFetchRequest>(&OffsetFetchResponse::default().with_groups(vec![group]));
}

#[test]
fn shapes_of_reassignments() {
    let partition = ReassignablePartitionResponse::default()
        .with_partition_index(3)
        .with_error_message(Some(text("no")));
    let topic = ReassignableTopicResponse::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition.clone(), partition]);
    agrees::<AlterPartitionReassignmentsRequest>(
        &AlterPartitionReassignmentsResponse::default()
            .with_error_message(Some(text("no")))
            .with_responses(vec![topic.clone(), topic]),
    );
    let partition = OngoingPartitionReassignment::default()
        .with_replicas(vec![BrokerId(1), BrokerId(2)])
        .with_adding_replicas(vec![BrokerId(2)])
        .with_removing_replicas(vec![BrokerId(1)]);
    let topic = OngoingTopicReassignment::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition.clone(), partition]);
    agrees::<ListPartitionReassignmentsRequest>(
        &ListPartitionReassignmentsResponse::default().with_topics(vec![topic]),
    );
}

#[test]
fn what_changes_anything_needs_the_permit() {
    let changes = [
        CreateTopicsRequest::CHANGES,
        DeleteTopicsRequest::CHANGES,
        CreatePartitionsRequest::CHANGES,
        IncrementalAlterConfigsRequest::CHANGES,
        DeleteRecordsRequest::CHANGES,
        AlterPartitionReassignmentsRequest::CHANGES,
    ];
    let reads = [
        ApiVersionsRequest::CHANGES,
        SaslHandshakeRequest::CHANGES,
        SaslAuthenticateRequest::CHANGES,
        MetadataRequest::CHANGES,
        DescribeConfigsRequest::CHANGES,
        ListOffsetsRequest::CHANGES,
        ListGroupsRequest::CHANGES,
        OffsetFetchRequest::CHANGES,
        ListPartitionReassignmentsRequest::CHANGES,
    ];
    assert_eq!((changes, reads), ([true; 6], [false; 9]));
}

#[test]
fn shapes_of_disks() {
    let partition = DescribeLogDirsPartition::default().with_partition_size(7);
    let topic = DescribeLogDirsTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition.clone(), partition]);
    let folder = DescribeLogDirsResult::default()
        .with_log_dir(text("/data"))
        .with_topics(vec![topic.clone(), topic]);
    let reply = DescribeLogDirsResponse::default().with_results(vec![folder.clone(), folder.clone()]);
    agrees::<DescribeLogDirsRequest>(&reply);
    let free = folder.with_total_bytes(9).with_usable_bytes(8);
    agrees::<DescribeLogDirsRequest>(&reply.with_results(vec![free]));
}
