//! Consumer groups as far as they concern a topic. Plain data.

use std::collections::BTreeMap;

use crate::types::{Offset, PartitionId};

/// A consumer group that has committed offsets on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroup {
    /// Its id.
    pub id: String,
    /// Whether it has members at present.
    pub active: bool,
    /// The next offset that it wants of each partition it has committed on.
    pub committed: BTreeMap<PartitionId, Offset>,
}
