//! The calls that move replicas between brokers.

use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::{Call, NO_TAGS, Shape};
use crate::wire::shape::Shape::{Fixed, List, Text};

call!(
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    "AlterPartitionReassignments",
    0..=1,
    throttle | reply | reply.throttle_time_ms,
    |version| {
        const PARTITIONS: Shape = List(&[Fixed(6), Text, NO_TAGS]);
        const TOPICS: Shape = List(&[Text, PARTITIONS, NO_TAGS]);
        match version {
            0 => &[Fixed(6), Text, TOPICS, NO_TAGS],
            // One byte more: whether the replication factor may change.
            _ => &[Fixed(7), Text, TOPICS, NO_TAGS],
        }
    }
);
call!(
    reads
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    "ListPartitionReassignments",
    0..=0,
    throttle | reply | reply.throttle_time_ms,
    |_| {
        const IDS: Shape = List(&[Fixed(4)]);
        const PARTITIONS: Shape = List(&[Fixed(4), IDS, IDS, IDS, NO_TAGS]);
        &[
            Fixed(6),
            Text,
            List(&[Text, PARTITIONS, NO_TAGS]),
            NO_TAGS,
        ]
    }
);
