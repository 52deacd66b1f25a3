//! The admin port over Kafka's own protocol.

mod admin;
mod bootstrap;
mod brokers;
mod configs;
mod deleted;
mod groups;
mod known;
mod lane;
mod leaders;
mod offsets;
mod operation;
mod pool;
mod reassign;
mod records;
mod topics;

use std::sync::Arc;

use crate::config::ConnectionConfig;
use crate::observe::{Observer, Unobserved};
use crate::permit::Permit;

use configs::{AlterConfigs, DescribeConfigs};
use known::KnownTopics;
use lane::Lane;
use offsets::ListOffsets;
use pool::Pool;
use reassign::{AlterReassignments, ListReassignments};
use records::Doors;
use topics::{CreatePartitions, CreateTopics, DeleteTopics, DescribeTopics, ListTopics};

/// A Kafka cluster reached over the network. Dials on first use; dropped, it closes its connections.
///
/// It keeps to the cluster it first met: where the addresses later lead to another cluster, everything but
/// describing and probing fails with [`crate::error::ConnectCause::WrongCluster`]. A new client accepts it.
#[derive(Debug)]
pub struct KafkaAdmin {
    pool: Arc<Pool>,
    list_topics: Lane<ListTopics>,
    describe_topics: Lane<DescribeTopics>,
    known_topics: Lane<KnownTopics>,
    create_topics: Lane<CreateTopics>,
    create_partitions: Lane<CreatePartitions>,
    delete_topics: Lane<DeleteTopics>,
    describe_configs: Lane<DescribeConfigs>,
    alter_configs: Lane<AlterConfigs>,
    list_offsets: Lane<ListOffsets>,
    alter_reassignments: Lane<AlterReassignments>,
    list_reassignments: Lane<ListReassignments>,
    records: Doors,
}

impl KafkaAdmin {
    /// Takes the configuration; opens nothing yet.
    #[must_use]
    pub fn new(config: ConnectionConfig) -> Self {
        Self::under(config, Permit::unlimited())
    }

    /// The same, with changes sent only while this permit holds.
    #[must_use]
    pub fn under(config: ConnectionConfig, permit: Permit) -> Self {
        Self::observed(config, permit, Arc::new(Unobserved))
    }

    /// The same, with somebody told of every batch.
    #[must_use]
    pub fn observed(config: ConnectionConfig, permit: Permit, observer: Arc<dyn Observer>) -> Self {
        let pool = Arc::new(Pool::new(config, permit, observer));
        Self {
            list_topics: Lane::new(&pool),
            describe_topics: Lane::new(&pool),
            known_topics: Lane::new(&pool),
            create_topics: Lane::new(&pool),
            create_partitions: Lane::new(&pool),
            delete_topics: Lane::new(&pool),
            describe_configs: Lane::new(&pool),
            alter_configs: Lane::new(&pool),
            list_offsets: Lane::new(&pool),
            alter_reassignments: Lane::new(&pool),
            list_reassignments: Lane::new(&pool),
            records: Doors::new(&pool),
            pool,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::operation::Operation;
    use super::records::DeleteRecords;
    use super::*;
    use crate::error::rights;

    #[test]
    fn the_right_that_each_call_needs_is_known() {
        let calls = [
            ListTopics::NAME,
            DescribeTopics::NAME,
            KnownTopics::NAME,
            CreateTopics::NAME,
            CreatePartitions::NAME,
            DeleteTopics::NAME,
            DescribeConfigs::NAME,
            configs::DESCRIBE_BROKER,
            brokers::ALTER,
            brokers::SIZES,
            AlterConfigs::NAME,
            AlterReassignments::NAME,
            ListReassignments::NAME,
            ListOffsets::NAME,
            DeleteRecords::NAME,
            groups::LIST,
        ];
        for call in calls {
            assert!(rights::is_known(call), "{call}");
        }
    }
}
