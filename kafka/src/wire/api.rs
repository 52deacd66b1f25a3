//! The calls of Kafka's protocol that are made: their names, the versions that work, and what their replies look like.

use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, CreatePartitionsRequest, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request};

use super::shape::Shape::{self, Fixed, List, OldList, OldText, Tags, Text};

/// A call of Kafka's protocol.
pub(crate) trait Call: Request<Response = Self::Reply> + Send + Sync {
    /// The reply's type.
    type Reply: Decodable + HeaderVersion + Send;
    /// Kafka's name for it.
    const NAME: &'static str;
    /// The oldest version that carries what is needed, and the newest whose reply is known here.
    const SPOKEN: (i16, i16);
    /// Whether it may change anything: then it leaves only while the client's permit holds.
    const CHANGES: bool;
    /// What a reply looks like.
    fn reply_shape(version: i16) -> &'static [Shape];
    /// For how long the broker asks to be left alone, in milliseconds.
    fn throttle(reply: &Self::Reply) -> i32;
}

const NO_TAGS: Shape = Tags(&[]);

// A call changes something unless it is said to read: who forgets the word sends too little, never too much.
macro_rules! call {
    (reads $($rest:tt)*) => {
        call!(@false $($rest)*);
    };
    (@$changes:literal $request:ty, $reply:ty, $name:literal, $floor:literal..=$ceiling:literal, throttle $throttle:expr, $shape:expr) => {
        impl Call for $request {
            type Reply = $reply;
            const NAME: &'static str = $name;
            const SPOKEN: (i16, i16) = ($floor, $ceiling);
            const CHANGES: bool = $changes;

            fn reply_shape(version: i16) -> &'static [Shape] {
                let shape: fn(i16) -> &'static [Shape] = $shape;
                shape(version)
            }

            fn throttle(reply: &Self::Reply) -> i32 {
                let throttle: fn(&$reply) -> i32 = $throttle;
                throttle(reply)
            }
        }
    };
    ($($rest:tt)*) => {
        call!(@true $($rest)*);
    };
}

// Version 3 is the first with a client name; a broker without it answers in version 0.
call!(
    reads
    ApiVersionsRequest,
    ApiVersionsResponse,
    "ApiVersions",
    0..=3,
    throttle | _ | 0,
    |version| {
        const FEATURES: &[Shape] = &[List(&[Text, Fixed(4), NO_TAGS])];
        match version {
            0 => &[Fixed(2), OldList(&[Fixed(6)])],
            1 | 2 => &[Fixed(2), OldList(&[Fixed(6)]), Fixed(4)],
            _ => &[
                Fixed(2),
                List(&[Fixed(6), NO_TAGS]),
                Fixed(4),
                Tags(&[(0, FEATURES), (1, &[Fixed(8)]), (2, FEATURES), (3, &[Fixed(1)])]),
            ],
        }
    }
);
call!(
    reads
    SaslHandshakeRequest,
    SaslHandshakeResponse,
    "SaslHandshake",
    1..=1,
    throttle | _ | 0,
    |_| { &[Fixed(2), OldList(&[OldText])] }
);
call!(
    reads
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    "SaslAuthenticate",
    1..=2,
    throttle | _ | 0,
    |version| {
        match version {
            // OldList of single bytes is how a 32-bit length of bytes is walked.
            1 => &[Fixed(2), OldText, OldList(&[Fixed(1)]), Fixed(8)],
            _ => &[Fixed(2), Text, Text, Fixed(8), NO_TAGS],
        }
    }
);
// Version 10 is the first with topic ids.
call!(
    reads
    MetadataRequest,
    MetadataResponse,
    "Metadata",
    10..=12,
    throttle | reply | reply.throttle_time_ms,
    |version| {
        const BROKERS: Shape = List(&[Fixed(4), Text, Fixed(4), Text, NO_TAGS]);
        const PARTITIONS: Shape = List(&[
            Fixed(14),
            List(&[Fixed(4)]),
            List(&[Fixed(4)]),
            List(&[Fixed(4)]),
            NO_TAGS,
        ]);
        const TOPICS: Shape = List(&[Fixed(2), Text, Fixed(17), PARTITIONS, Fixed(4), NO_TAGS]);
        match version {
            10 => &[Fixed(4), BROKERS, Text, Fixed(4), TOPICS, Fixed(4), NO_TAGS],
            _ => &[Fixed(4), BROKERS, Text, Fixed(4), TOPICS, NO_TAGS],
        }
    }
);
// Version 7 is the first whose reply carries the topic id.
call!(
    CreateTopicsRequest,
    CreateTopicsResponse,
    "CreateTopics",
    7..=7,
    throttle | reply | reply.throttle_time_ms,
    |_| {
        const CONFIGS: Shape = List(&[Text, Text, Fixed(3), NO_TAGS]);
        const TOPICS: Shape = List(&[
            Text,
            Fixed(18),
            Text,
            Fixed(6),
            CONFIGS,
            Tags(&[(0, &[Fixed(2)])]),
        ]);
        &[Fixed(4), TOPICS, NO_TAGS]
    }
);
// Version 6 is the first that deletes by id.
call!(
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    "DeleteTopics",
    6..=6,
    throttle | reply | reply.throttle_time_ms,
    |_| { &[Fixed(4), List(&[Text, Fixed(18), Text, NO_TAGS]), NO_TAGS] }
);
call!(
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    "CreatePartitions",
    2..=3,
    throttle | reply | reply.throttle_time_ms,
    |_| &[Fixed(4), List(&[Text, Fixed(2), Text, NO_TAGS]), NO_TAGS]
);
call!(
    reads
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    "DescribeConfigs",
    4..=4,
    throttle | reply | reply.throttle_time_ms,
    |_| {
        const SYNONYMS: Shape = List(&[Text, Text, Fixed(1), NO_TAGS]);
        const CONFIGS: Shape = List(&[Text, Text, Fixed(3), SYNONYMS, Fixed(1), Text, NO_TAGS]);
        &[
            Fixed(4),
            List(&[Fixed(2), Text, Fixed(1), Text, CONFIGS, NO_TAGS]),
            NO_TAGS,
        ]
    }
);
call!(
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    "IncrementalAlterConfigs",
    1..=1,
    throttle | reply | reply.throttle_time_ms,
    |_| &[
        Fixed(4),
        List(&[Fixed(2), Text, Fixed(1), Text, NO_TAGS]),
        NO_TAGS
    ]
);
call!(
    reads
    ListOffsetsRequest,
    ListOffsetsResponse,
    "ListOffsets",
    6..=7,
    throttle | reply | reply.throttle_time_ms,
    |_| {
        &[
            Fixed(4),
            List(&[Text, List(&[Fixed(26), NO_TAGS]), NO_TAGS]),
            NO_TAGS,
        ]
    }
);

mod disk;
mod purge;
mod reassign;

#[cfg(test)]
mod tests;
