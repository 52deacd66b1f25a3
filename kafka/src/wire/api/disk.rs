//! The call that tells what logs take on brokers' disks.

use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::{Call, NO_TAGS, Shape};
use crate::wire::shape::Shape::{Fixed, List, Text};

call!(
    reads
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    "DescribeLogDirs",
    2..=4,
    throttle | reply | reply.throttle_time_ms,
    |version| {
        const PARTITIONS: Shape = List(&[Fixed(21), NO_TAGS]);
        const TOPICS: Shape = List(&[Text, PARTITIONS, NO_TAGS]);
        const FOLDERS: Shape = List(&[Fixed(2), Text, TOPICS, NO_TAGS]);
        match version {
            2 => &[Fixed(4), FOLDERS, NO_TAGS],
            3 => &[Fixed(6), FOLDERS, NO_TAGS],
            // How much there is in all, and how much is free.
            _ => &[Fixed(6), List(&[Fixed(2), Text, TOPICS, Fixed(16), NO_TAGS]), NO_TAGS],
        }
    }
);
