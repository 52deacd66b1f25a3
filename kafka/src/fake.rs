//! An in-memory Kafka behind the admin port, for tests of what is built on it.
//!
//! It answers the contract suite as a real broker does. Beyond the port, a test can look at its world, change it
//! behind its client's back, and order faults: a reply lost after the act, an error, a cluster that is away.

mod brokers;
mod config;
mod port;
mod records;
mod replicas;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::admin::{Broker, Cluster};
use crate::config::HostPort;
use crate::error::{ConnectFailure, ErrorCode};
use crate::probe::ListenerReport;
use crate::types::{BrokerId, ClusterId, PartitionId, TopicId, TopicName};

pub use records::FakeGroup;
pub use replicas::FakeReplicas;

/// A method of the admin port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named like the port's methods")]
pub enum Call {
    DescribeCluster,
    ListTopics,
    DescribeTopics,
    KnownTopics,
    CreateTopics,
    DescribeConfigs,
    DescribeBrokerConfigs,
    AlterConfigs,
    AlterBrokerConfigs,
    LogSizes,
    CreatePartitions,
    AlterReassignments,
    ListReassignments,
    DeleteTopics,
    ListOffsets,
    OffsetsAt,
    DeleteRecords,
    ConsumerGroups,
    ProbeListeners,
}

impl Call {
    /// Whether it changes anything.
    #[must_use]
    pub const fn changes(self) -> bool {
        matches!(
            self,
            Self::CreateTopics
                | Self::AlterConfigs
                | Self::AlterBrokerConfigs
                | Self::CreatePartitions
                | Self::AlterReassignments
                | Self::DeleteTopics
                | Self::DeleteRecords
        )
    }
}

/// What goes wrong with one call.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It is done, and its reply is lost.
    DropReply,
    /// Its request is lost: nothing is done, and no reply comes. A client cannot tell this from the former.
    DropRequest,
    /// Kafka refuses every item with this error.
    Refuse(ErrorCode),
    /// It is done, and Kafka answers every item with this error, as a leader does whose replicas lag.
    RefuseDone(ErrorCode),
    /// No connection is had.
    Unreachable(ConnectFailure),
    /// A broker with old metadata answers: no topic exists (for describing and listing).
    Lag,
}

/// A topic of the fake, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeTopic {
    /// Identity.
    pub id: TopicId,
    /// Start offset and high watermark of each partition.
    pub partitions: Vec<(i64, i64)>,
    /// Who holds each partition.
    pub replicas: Vec<FakeReplicas>,
    /// What is set on the topic itself.
    pub config: BTreeMap<String, String>,
}

#[derive(Debug)]
struct World {
    cluster: Cluster,
    listeners: HashMap<BrokerId, ListenerReport>,
    topics: BTreeMap<TopicName, FakeTopic>,
    /// When records were written: offset to time, per partition of a topic.
    times: HashMap<(TopicId, i32), BTreeMap<i64, i64>>,
    groups: BTreeMap<String, FakeGroup>,
    /// Logs that leaders show whatever has become of their topic.
    kept: BTreeMap<TopicName, Vec<(i64, i64)>>,
    /// What is set on each broker.
    broker_config: BTreeMap<BrokerId, BTreeMap<String, String>>,
    faults: HashMap<Call, VecDeque<Fault>>,
    away: Option<ConnectFailure>,
    slow: Duration,
    calls: BTreeMap<Call, u64>,
    last_id: u64,
}

/// One Kafka cluster in memory.
#[derive(Debug)]
pub struct FakeKafka {
    world: Mutex<World>,
}

impl Default for FakeKafka {
    fn default() -> Self {
        Self::with_brokers(1)
    }
}

impl FakeKafka {
    /// A cluster of one broker, without topics.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A cluster of so many brokers, without topics.
    #[must_use]
    pub fn with_brokers(count: u16) -> Self {
        let broker = |id: u16| Broker {
            id: BrokerId::from(i32::from(id)),
            advertised: HostPort {
                host: format!("kafka-{id}.test"),
                port: 9092,
            },
            rack: None,
        };
        let cluster = Cluster {
            id: ClusterId::from("fake-cluster"),
            controller: Some(BrokerId::from(0)),
            brokers: (0..count).map(broker).collect(),
        };
        Self {
            world: Mutex::new(World {
                cluster,
                listeners: HashMap::new(),
                topics: BTreeMap::new(),
                times: HashMap::new(),
                groups: BTreeMap::new(),
                kept: BTreeMap::new(),
                broker_config: BTreeMap::new(),
                faults: HashMap::new(),
                away: None,
                slow: Duration::ZERO,
                calls: BTreeMap::new(),
                last_id: 0,
            }),
        }
    }

    /// Orders a fault for the next call of that method; several wait their turn.
    pub fn inject(&self, call: Call, fault: Fault) {
        self.world().faults.entry(call).or_default().push_back(fault);
    }

    /// Takes the cluster away, or brings it back.
    pub fn set_away(&self, failure: Option<ConnectFailure>) {
        self.world().away = failure;
    }

    /// Has every answer come that much later. With [`FakeKafka::set_away`] it is a black hole.
    pub fn set_slow(&self, by: Duration) {
        self.world().slow = by;
    }

    /// Makes another cluster answer, without this one's topics.
    pub fn replace_cluster(&self, id: ClusterId) {
        let mut world = self.world();
        world.cluster.id = id;
        world.topics.clear();
    }

    /// Says what the probe finds at one broker.
    pub fn set_listener(&self, report: ListenerReport) {
        self.world().listeners.insert(report.broker, report);
    }

    /// The topics as they are.
    #[must_use]
    pub fn topics(&self) -> BTreeMap<TopicName, FakeTopic> {
        self.world().topics.clone()
    }

    /// How often each method was called, calls that a fault met included.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<Call, u64> {
        self.world().calls.clone()
    }

    /// How many calls could have changed something.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.world()
            .calls
            .iter()
            .filter(|(call, _)| call.changes())
            .map(|(_, count)| count)
            .sum()
    }

    /// Puts a topic there as somebody else would, in place of one of the same name; its identity is new.
    pub fn put_topic(
        &self,
        name: TopicName,
        partitions: usize,
        replication_factor: i16,
        config: BTreeMap<String, String>,
    ) -> TopicId {
        let mut world = self.world();
        let id = world.next_id();
        let replicas = replicas::spread(&world.cluster, 0..partitions, replication_factor);
        let topic = FakeTopic {
            id,
            partitions: vec![(0, 0); partitions],
            replicas,
            config,
        };
        world.topics.insert(name, topic);
        id
    }

    /// Removes a topic as somebody else would. Whether it was there.
    pub fn remove_topic(&self, name: &TopicName) -> bool {
        self.world().topics.remove(name).is_some()
    }

    /// Sets or unsets a key as somebody else would.
    pub fn set_config(&self, name: &TopicName, key: &str, value: Option<&str>) {
        if let Some(topic) = self.world().topics.get_mut(name) {
            match value {
                Some(value) => topic.config.insert(key.to_owned(), value.to_owned()),
                None => topic.config.remove(key),
            };
        }
    }

    /// Moves a partition's start offset and high watermark, as records and retention would.
    pub fn set_offsets(&self, name: &TopicName, partition: PartitionId, start: i64, end: i64) {
        let Ok(index) = usize::try_from(partition.get()) else {
            return;
        };
        if let Some(offsets) = self
            .world()
            .topics
            .get_mut(name)
            .and_then(|topic| topic.partitions.get_mut(index))
        {
            *offsets = (start, end);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Ids are counted, not drawn, so that a failing test fails the same way again.
    fn next_id(&mut self) -> TopicId {
        self.last_id += 1;
        TopicId::from(Uuid::from_u64_pair(0x07_714a, self.last_id))
    }
}
