//! A small client of Kafka's own protocol: writes records without end, asks for offsets. It shares nothing with the
//! product but the library that knows the messages' layout.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use jiff::Timestamp;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ListOffsetsRequest, MetadataRequest, ProduceRequest, RequestHeader, ResponseHeader,
    SaslAuthenticateRequest, SaslHandshakeRequest, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::spare::{ADDRESS, Spare, USER};
use crate::wait::until;

/// Longest wait for one answer.
const CALL: Duration = Duration::from_secs(10);
/// How often the writer writes: often enough to write beneath every act, and Kafka has some hundred partitions to take it in.
const PAUSE: Duration = Duration::from_millis(500);
/// Records of each partition at a time.
const BATCH: i64 = 2;

/// One partition of a topic.
pub type At = (String, i32);

/// One authenticated connection.
pub(crate) struct Link(TcpStream);

impl Link {
    /// Connects to a broker and authenticates by SASL/PLAIN.
    pub(crate) async fn dial(address: &str, user: &str, password: &str) -> Result<Self> {
        let stream = timeout(CALL, TcpStream::connect(address)).await?;
        let mut link = Self(stream.with_context(|| format!("connect to {address}"))?);
        let plain = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
        let answer = link.call(&plain, 1).await?;
        ensure!(
            answer.error_code == 0,
            "SASL handshake: error {}",
            answer.error_code
        );
        let proof = format!("\0{user}\0{password}");
        let proof = SaslAuthenticateRequest::default().with_auth_bytes(proof.into_bytes().into());
        let answer = link.call(&proof, 2).await?;
        ensure!(answer.error_code == 0, "SASL: error {}", answer.error_code);
        Ok(link)
    }

    /// Sends one request and awaits its answer.
    pub(crate) async fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response> {
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_client_id(Some(StrBytes::from_static_str("e2e")))
            .encode(&mut frame, R::header_version(version))?;
        request.encode(&mut frame, version)?;
        let length = i32::try_from(frame.len() - 4)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        let exchange = async {
            self.0.write_all(&frame).await?;
            let length = usize::try_from(self.0.read_i32().await?)?;
            let mut reply = vec![0; length];
            self.0.read_exact(&mut reply).await?;
            anyhow::Ok(Bytes::from(reply))
        };
        let mut reply = timeout(CALL, exchange).await.context("Kafka does not answer")??;
        ResponseHeader::decode(&mut reply, R::Response::header_version(version))?;
        R::Response::decode(&mut reply, version)
    }
}

/// Who leads what, and a connection to each broker that was needed.
struct Kafka {
    password: String,
    links: BTreeMap<String, Link>,
    leaders: BTreeMap<At, String>,
    /// Kafka's error codes of the partitions that took no records the last time.
    refused: BTreeMap<At, i16>,
}

impl Kafka {
    fn new(spare: &Spare) -> Self {
        Self {
            password: spare.password.clone(),
            links: BTreeMap::new(),
            leaders: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    async fn link(&mut self, address: &str) -> Result<&mut Link> {
        if !self.links.contains_key(address) {
            let link = Link::dial(address, USER, &self.password).await?;
            self.links.insert(address.to_owned(), link);
        }
        self.links.get_mut(address).context("a connection just made")
    }

    /// Asks one broker. A connection that failed is not used again.
    async fn call<R: Request>(&mut self, address: &str, request: &R, version: i16) -> Result<R::Response> {
        let answer = self.link(address).await?.call(request, version).await;
        if answer.is_err() {
            self.links.remove(address);
        }
        answer
    }

    /// Learns who leads the partitions of these topics; answers those of which a partition is led by nobody, or which are
    /// not there: these are left out.
    async fn learn(&mut self, topics: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let asked = topics
            .iter()
            .map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
        let request = MetadataRequest::default()
            .with_topics(Some(asked.collect()))
            .with_allow_auto_topic_creation(false);
        let answer = self.call(ADDRESS, &request, 9).await?;
        let brokers: BTreeMap<i32, String> = answer
            .brokers
            .iter()
            .map(|broker| (broker.node_id.0, format!("{}:{}", broker.host, broker.port)))
            .collect();
        self.leaders.clear();
        let mut without = topics.clone();
        for topic in answer.topics.iter().filter(|topic| topic.error_code == 0) {
            let name = topic
                .name
                .as_ref()
                .map(|name| name.to_string())
                .unwrap_or_default();
            let led = topic
                .partitions
                .iter()
                .filter_map(|one| Some((one.partition_index, brokers.get(&one.leader_id.0)?.clone())));
            let led: BTreeMap<i32, String> = led.collect();
            if led.len() == topic.partitions.len() {
                without.remove(&name);
            }
            self.leaders.extend(
                led.into_iter()
                    .map(|(index, leader)| ((name.clone(), index), leader)),
            );
        }
        Ok(without)
    }

    /// What is known, by leader, then topic.
    fn by_leader(&self) -> BTreeMap<String, BTreeMap<String, Vec<i32>>> {
        let mut all: BTreeMap<String, BTreeMap<String, Vec<i32>>> = BTreeMap::new();
        for ((topic, partition), leader) in &self.leaders {
            let topics = all.entry(leader.clone()).or_default();
            topics.entry(topic.clone()).or_default().push(*partition);
        }
        all
    }

    /// Appends some records to every partition that is known; answers the end of each that Kafka acknowledged.
    async fn append(&mut self, at: Timestamp, count: i64) -> Result<BTreeMap<At, i64>> {
        let mut ends = BTreeMap::new();
        self.refused.clear();
        for (leader, topics) in self.by_leader() {
            let mut data = vec![];
            for (topic, partitions) in topics {
                let batches: Result<Vec<_>> = partitions
                    .iter()
                    .map(|partition| {
                        let batch = PartitionProduceData::default().with_index(*partition);
                        Ok(batch.with_records(Some(records(at, count)?)))
                    })
                    .collect();
                data.push(
                    TopicProduceData::default()
                        .with_name(topic_name(&topic))
                        .with_partition_data(batches?),
                );
            }
            let request = ProduceRequest::default()
                .with_acks(-1)
                .with_timeout_ms(5_000)
                .with_topic_data(data);
            let answer = self.call(&leader, &request, 9).await?;
            for topic in answer.responses {
                for partition in &topic.partition_responses {
                    let at = (topic.name.to_string(), partition.index);
                    if partition.error_code == 0 {
                        ends.insert(at, partition.base_offset + count);
                    } else {
                        self.refused.insert(at, partition.error_code);
                    }
                }
            }
        }
        Ok(ends)
    }

    async fn offsets(&mut self, time: i64) -> Result<BTreeMap<At, i64>> {
        let mut offsets = BTreeMap::new();
        for (leader, topics) in self.by_leader() {
            let topics = topics.iter().map(|(topic, partitions)| {
                let asked = partitions.iter().map(|index| {
                    ListOffsetsPartition::default()
                        .with_partition_index(*index)
                        .with_timestamp(time)
                });
                ListOffsetsTopic::default()
                    .with_name(topic_name(topic))
                    .with_partitions(asked.collect())
            });
            let request = ListOffsetsRequest::default()
                .with_replica_id((-1).into())
                .with_topics(topics.collect());
            for topic in self.call(&leader, &request, 6).await?.topics {
                for partition in topic.partitions {
                    ensure!(
                        partition.error_code == 0,
                        "offsets of {}/{}: error {}",
                        *topic.name,
                        partition.partition_index,
                        partition.error_code
                    );
                    offsets.insert(
                        (topic.name.to_string(), partition.partition_index),
                        partition.offset,
                    );
                }
            }
        }
        Ok(offsets)
    }
}

/// A name as requests have it.
pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// A batch of records that were made at that time.
fn records(at: Timestamp, count: i64) -> Result<Bytes> {
    // The encoder takes records into one batch as long as their sequences go up with their offsets, and Kafka takes one
    // batch a partition; the batch's own is that of its first record, -1: without idempotence.
    let one = |offset: i64| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: i32::try_from(offset).unwrap_or(i32::MAX) - 1,
        timestamp: at.as_millisecond(),
        key: Some(Bytes::from(format!("key-{offset}"))),
        value: Some(Bytes::from_static(b"written by a test")),
        headers: indexmap::IndexMap::new(),
    };
    let all: Vec<Record> = (0..count).map(one).collect();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut buffer = BytesMut::new();
    RecordBatchEncoder::encode(&mut buffer, &all, &options)?;
    Ok(buffer.freeze())
}

/// Writes so many records, as made at that time, to every partition of topics that all exist; answers the ends.
pub async fn write(
    spare: &Spare,
    topics: &BTreeSet<String>,
    at: Timestamp,
    count: i64,
) -> Result<BTreeMap<At, i64>> {
    let mut kafka = Kafka::new(spare);
    let mut ends = BTreeMap::new();
    let mut without = BTreeSet::new();
    for _ in 0..50 {
        without = kafka.learn(topics).await?;
        kafka.leaders.retain(|partition, _| !ends.contains_key(partition));
        ends.extend(kafka.append(at, count).await?);
        if without.is_empty() && kafka.refused.is_empty() {
            return Ok(ends);
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!(
        "Kafka took not all records: these are not there or have a partition without a leader: {without:?}; its error codes: \
         {:?}",
        kafka.refused
    )
}

/// The first offset of each partition, or the next one to be given. All topics exist.
pub async fn offsets(spare: &Spare, topics: &BTreeSet<String>, first: bool) -> Result<BTreeMap<At, i64>> {
    let mut kafka = Kafka::new(spare);
    until("leaders of all partitions", CALL, async || {
        let without = kafka.learn(topics).await?;
        ensure!(without.is_empty(), "none of a partition of {without:?}");
        anyhow::Ok(())
    })
    .await?;
    kafka.offsets(if first { -2 } else { -1 }).await
}

/// A producer that goes on until it is stopped, whatever becomes of its topics.
pub struct Writer {
    ends: Arc<Mutex<BTreeMap<At, i64>>>,
    task: JoinHandle<()>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Writer {
    /// Starts to write to every partition of these topics.
    #[must_use]
    pub fn start(spare: &Spare, topics: BTreeSet<String>) -> Self {
        let ends = Arc::new(Mutex::new(BTreeMap::new()));
        let (mut kafka, told) = (Kafka::new(spare), Arc::clone(&ends));
        let task = tokio::spawn(async move {
            loop {
                // A topic may be away for a while, or lead elsewhere: it is asked again each time.
                let written = match kafka.learn(&topics).await {
                    Ok(_) => kafka.append(Timestamp::now(), BATCH).await,
                    Err(error) => Err(error),
                };
                match written {
                    Ok(written) => told
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend(written),
                    Err(error) => eprintln!("a producer goes on after: {error:#}"),
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { ends, task }
    }

    /// The end of each partition that was last acknowledged.
    #[must_use]
    pub fn ends(&self) -> BTreeMap<At, i64> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
