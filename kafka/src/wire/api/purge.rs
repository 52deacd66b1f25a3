//! The calls that clear records and show who would miss them.

use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, ListGroupsRequest, ListGroupsResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};

use super::{Call, NO_TAGS, Shape};
use crate::wire::shape::Shape::{Fixed, List, Text};

call!(
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    "DeleteRecords",
    2..=2,
    throttle | reply | reply.throttle_time_ms,
    |_| {
        &[
            Fixed(4),
            List(&[Text, List(&[Fixed(14), NO_TAGS]), NO_TAGS]),
            NO_TAGS,
        ]
    }
);
// Version 4 is the first that tells a group's state.
call!(
    reads
    ListGroupsRequest,
    ListGroupsResponse,
    "ListGroups",
    4..=5,
    throttle | reply | reply.throttle_time_ms,
    |version| {
        match version {
            4 => &[Fixed(6), List(&[Text, Text, Text, NO_TAGS]), NO_TAGS],
            _ => &[Fixed(6), List(&[Text, Text, Text, Text, NO_TAGS]), NO_TAGS],
        }
    }
);
// Version 8 is the first that takes several groups; from version 10 on topics go by id.
call!(
    reads
    OffsetFetchRequest,
    OffsetFetchResponse,
    "OffsetFetch",
    8..=9,
    throttle | reply | reply.throttle_time_ms,
    |_| {
        const PARTITIONS: Shape = List(&[Fixed(16), Text, Fixed(2), NO_TAGS]);
        const TOPICS: Shape = List(&[Text, PARTITIONS, NO_TAGS]);
        &[Fixed(4), List(&[Text, TOPICS, Fixed(2), NO_TAGS]), NO_TAGS]
    }
);
