//! A proxy before a Kafka, for what goes wrong on the wire: replies that get lost, brokers that fall silent.
//!
//! It reads Kafka's frames and knows which request a reply answers. In the answers that name brokers it puts itself in
//! their place, so that a client that came by it stays with it. Each test has its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{DescribeClusterResponse, MetadataResponse, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The ports of the throw-away Kafka's brokers on this machine.
const BROKERS: [u16; 3] = [30_095, 30_096, 30_097];
/// Longest frame: a length beyond it is a mistake of this proxy.
const LONGEST: usize = 16 * 1024 * 1024;

/// Kafka's numbers of the requests that tests care for.
pub mod key {
    /// Metadata.
    pub const METADATA: i16 = 3;
    /// `CreateTopics`.
    pub const CREATE_TOPICS: i16 = 19;
    /// `DeleteTopics`.
    pub const DELETE_TOPICS: i16 = 20;
    /// `DeleteRecords`.
    pub const DELETE_RECORDS: i16 = 21;
    /// `CreatePartitions`.
    pub const CREATE_PARTITIONS: i16 = 37;
    /// `IncrementalAlterConfigs`.
    pub const ALTER_CONFIGS: i16 = 44;
    /// `AlterPartitionReassignments`.
    pub const ALTER_REASSIGNMENTS: i16 = 45;
    /// `DescribeCluster`.
    pub const DESCRIBE_CLUSTER: i16 = 60;
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is carried out, and its reply is lost with the connection.
    DropReply,
    /// It is lost with the connection.
    DropRequest,
}

#[derive(Debug, Default)]
struct State {
    /// What happens to the next request of a kind.
    faults: HashMap<i16, Fault>,
    /// How often each kind was passed on to Kafka.
    passed: BTreeMap<i16, usize>,
    /// How often something happened to one.
    harmed: usize,
}

#[derive(Debug)]
struct Shared {
    /// The port of ours that stands for each broker's.
    ports: BTreeMap<u16, u16>,
    state: Mutex<State>,
    silent: watch::Sender<bool>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once nothing is to be silent.
    async fn spoken(&self) {
        let mut silent = self.silent.subscribe();
        // The sender lives as long as this.
        let _ended = silent.wait_for(|silent| !silent).await;
    }
}

/// A running proxy; it ends, with all its connections, with this value.
pub struct KafkaProxy {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

impl KafkaProxy {
    /// Stands before the throw-away Kafka.
    pub async fn start() -> Result<Self> {
        let (mut listeners, mut ports) = (vec![], BTreeMap::new());
        for broker in BROKERS {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            ports.insert(broker, listener.local_addr()?.port());
            listeners.push((broker, listener));
        }
        let shared = Arc::new(Shared {
            ports,
            state: Mutex::default(),
            silent: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        for (broker, listener) in listeners {
            tasks.spawn(accept(Arc::clone(&shared), broker, listener));
        }
        Ok(Self {
            shared,
            _tasks: tasks,
        })
    }

    /// Its address as a bootstrap server.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.shared.ports[&BROKERS[0]])
    }

    /// Has something happen to the next request of a kind.
    pub fn next(&self, key: i16, fault: Fault) {
        self.shared.state().faults.insert(key, fault);
    }

    /// Has everything go unanswered, or go on.
    pub fn silence(&self, on: bool) {
        self.shared.silent.send_replace(on);
    }

    /// How often requests of a kind were passed on to Kafka.
    #[must_use]
    pub fn passed(&self, key: i16) -> usize {
        self.shared.state().passed.get(&key).copied().unwrap_or_default()
    }

    /// How many requests something happened to.
    #[must_use]
    pub fn harmed(&self) -> usize {
        self.shared.state().harmed
    }
}

async fn accept(shared: Arc<Shared>, broker: u16, listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            shared.spoken().await;
            if let Ok(kafka) = TcpStream::connect(("127.0.0.1", broker)).await {
                let (from_client, to_client) = client.into_split();
                let (from_kafka, to_kafka) = kafka.into_split();
                let pending = Mutex::default();
                // Either end closes both.
                let ended = tokio::select! {
                    ended = requests(&shared, &pending, from_client, to_kafka) => ended,
                    ended = replies(&shared, &pending, from_kafka, to_client) => ended,
                };
                // A client that goes away, or a fault: nothing to tell.
                drop(ended);
            }
        });
    }
}

/// What a reply that is to come answers.
#[derive(Clone, Copy)]
struct Asked {
    key: i16,
    version: i16,
    fault: Option<Fault>,
}

type Pending = Mutex<HashMap<i32, Asked>>;

async fn requests(
    shared: &Shared,
    pending: &Pending,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> Result<()> {
    loop {
        let frame = read(&mut from).await?;
        shared.spoken().await;
        ensure!(frame.len() >= 8, "a request of {} bytes", frame.len());
        let key = i16::from_be_bytes([frame[0], frame[1]]);
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let fault = {
            let mut state = shared.state();
            let fault = state.faults.remove(&key);
            state.harmed += usize::from(fault.is_some());
            if fault != Some(Fault::DropRequest) {
                *state.passed.entry(key).or_default() += 1;
            }
            fault
        };
        ensure!(fault != Some(Fault::DropRequest), "the request was to be lost");
        let asked = Asked { key, version, fault };
        pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(correlation(&frame[4..]), asked);
        write(&mut to, &frame).await?;
    }
}

async fn replies(
    shared: &Shared,
    pending: &Pending,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) -> Result<()> {
    loop {
        let mut frame = read(&mut from).await?;
        shared.spoken().await;
        ensure!(frame.len() >= 4, "a reply of {} bytes", frame.len());
        let asked = pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&correlation(&frame));
        let asked = asked.context("a reply that nobody asked for")?;
        ensure!(asked.fault != Some(Fault::DropReply), "the reply was to be lost");
        if let Some(changed) = in_their_place(shared, asked, &frame)? {
            frame = changed;
        }
        write(&mut to, &frame).await?;
    }
}

fn correlation(frame: &[u8]) -> i32 {
    i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]])
}

/// A reply that names brokers, with our ports in it.
fn in_their_place(shared: &Shared, asked: Asked, frame: &Bytes) -> Result<Option<Bytes>> {
    let port = |port: i32| -> i32 {
        let ours = u16::try_from(port).ok().and_then(|port| shared.ports.get(&port));
        ours.map_or(port, |ours| i32::from(*ours))
    };
    match asked.key {
        key::METADATA => changed::<MetadataResponse>(asked, frame, |reply| {
            reply
                .brokers
                .iter_mut()
                .for_each(|broker| broker.port = port(broker.port));
        }),
        key::DESCRIBE_CLUSTER => changed::<DescribeClusterResponse>(asked, frame, |reply| {
            reply
                .brokers
                .iter_mut()
                .for_each(|broker| broker.port = port(broker.port));
        }),
        _ => return Ok(None),
    }
    .map(Some)
}

fn changed<R: Decodable + Encodable + HeaderVersion>(
    asked: Asked,
    frame: &Bytes,
    change: impl FnOnce(&mut R),
) -> Result<Bytes> {
    let (mut frame, header_version) = (frame.clone(), R::header_version(asked.version));
    let header = ResponseHeader::decode(&mut frame, header_version)?;
    let mut reply = R::decode(&mut frame, asked.version)?;
    change(&mut reply);
    let mut changed = BytesMut::new();
    header.encode(&mut changed, header_version)?;
    reply.encode(&mut changed, asked.version)?;
    Ok(changed.freeze())
}

async fn read(from: &mut OwnedReadHalf) -> Result<Bytes> {
    let length = usize::try_from(from.read_i32().await?)?;
    ensure!(length <= LONGEST, "a frame of {length} bytes");
    let mut frame = vec![0; length];
    from.read_exact(&mut frame).await?;
    Ok(frame.into())
}

async fn write(to: &mut OwnedWriteHalf, frame: &[u8]) -> Result<()> {
    to.write_i32(i32::try_from(frame.len())?).await?;
    to.write_all(frame).await?;
    Ok(())
}
