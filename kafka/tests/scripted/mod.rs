//! A broker in this process that answers as a test tells it to: in time or late, whole or cut, sense or nonsense.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, CreateTopicsRequest, CreateTopicsResponse, MetadataRequest,
    MetadataResponse, RequestHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use ottla_kafka::client::KafkaAdmin;
use ottla_kafka::config::{ConnectionConfig, HostPort, Security};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Which connection, counted from 0.
    pub(crate) connection: usize,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn created(&self) -> Vec<String> {
        let request = CreateTopicsRequest::decode(&mut self.body.clone(), self.version).unwrap();
        request
            .topics
            .iter()
            .map(|topic| topic.name.to_string())
            .collect()
    }
}

/// What the broker does about a request.
pub(crate) enum Reaction {
    /// Answers as it should.
    Proper,
    /// Answers with this reply, framed properly.
    Reply(Bytes),
    /// Sends these bytes as they are.
    Raw(Vec<u8>),
    /// Sends these bytes and closes.
    RawThenClose(Vec<u8>),
    /// Never answers.
    Silence,
}

type Script = dyn Fn(Seen) -> BoxFuture<'static, Reaction> + Send + Sync;

pub(crate) struct ScriptedBroker {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ScriptedBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedBroker {
    /// Starts one that asks the script about every request.
    pub(crate) async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Seen) -> R + Send + Sync + 'static,
        R: Future<Output = Reaction> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(move |seen| Box::pin(script(seen)));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(
                    stream,
                    connection,
                    address,
                    Arc::clone(&script),
                    Arc::clone(&log),
                ));
            }
        });
        Self { address, seen, task }
    }

    /// The requests of that kind, in the order in which they came.
    pub(crate) fn seen(&self, key: ApiKey) -> Vec<Seen> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.key == key)
            .cloned()
            .collect()
    }

    /// A configuration that leads here, with short deadlines.
    pub(crate) fn config(&self) -> ConnectionConfig {
        let address = HostPort {
            host: self.address.ip().to_string(),
            port: self.address.port(),
        };
        let mut config = ConnectionConfig::new(vec![address], Security::PLAINTEXT);
        config.timeouts.connect = Duration::from_millis(500);
        config.timeouts.request = Duration::from_millis(500);
        config.timeouts.operation = Duration::from_secs(5);
        config
    }

    pub(crate) fn client(&self) -> Arc<KafkaAdmin> {
        Arc::new(KafkaAdmin::new(self.config()))
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    address: SocketAddr,
    script: Arc<Script>,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    while let Ok(length) = stream.read_i32().await {
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut frame).await.is_err() {
            return;
        }
        let seen = parse(connection, frame.into());
        log.lock().unwrap().push(seen.clone());
        let bytes = match script(seen.clone()).await {
            Reaction::Proper => framed(&seen, seen.correlation, &proper(&seen, address)),
            Reaction::Reply(body) => framed(&seen, seen.correlation, &body),
            Reaction::Raw(bytes) => bytes,
            Reaction::RawThenClose(bytes) => {
                let _client_gone = stream.write_all(&bytes).await;
                let _client_gone = stream.shutdown().await;
                return;
            }
            Reaction::Silence => continue,
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn parse(connection: usize, mut frame: Bytes) -> Seen {
    let key = ApiKey::try_from((&frame[..2]).get_i16()).unwrap();
    let version = (&frame[2..4]).get_i16();
    let header = RequestHeader::decode(&mut frame, key.request_header_version(version)).unwrap();
    Seen {
        connection,
        key,
        version,
        correlation: header.correlation_id,
        body: frame,
    }
}

/// A reply's body in a frame, for that correlation id.
pub(crate) fn framed(seen: &Seen, correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    frame.put_i32(correlation);
    if seen.key.response_header_version(seen.version) >= 1 {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    let length = i32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.to_vec()
}

/// A reply's body.
pub(crate) fn body<R: Encodable + HeaderVersion>(reply: &R, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    reply.encode(&mut bytes, version).unwrap();
    bytes.freeze()
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The versions a modern broker has.
pub(crate) fn versions() -> ApiVersionsResponse {
    let key = |key: ApiKey| {
        let range = key.valid_versions();
        ApiVersion::default()
            .with_api_key(key as i16)
            .with_min_version(range.min)
            .with_max_version(range.max)
    };
    let keys = [
        ApiKey::Metadata,
        ApiKey::CreateTopics,
        ApiKey::DeleteTopics,
        ApiKey::DescribeConfigs,
    ];
    ApiVersionsResponse::default().with_api_keys(keys.map(key).to_vec())
}

/// Metadata of a cluster of one broker at that address; every topic asked for is unknown.
pub(crate) fn metadata(seen: &Seen, cluster: &str, host: &str, port: u16) -> MetadataResponse {
    let request = MetadataRequest::decode(&mut seen.body.clone(), seen.version).unwrap();
    assert!(!request.allow_auto_topic_creation, "a describe must not create");
    let unknown = |name| {
        MetadataResponseTopic::default()
            .with_error_code(3)
            .with_name(name)
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(0))
        .with_host(text(host));
    MetadataResponse::default()
        .with_cluster_id(Some(text(cluster)))
        .with_controller_id(BrokerId(0))
        .with_brokers(vec![broker.with_port(i32::from(port))])
        .with_topics(
            request
                .topics
                .unwrap_or_default()
                .into_iter()
                .map(|topic| unknown(topic.name))
                .collect(),
        )
}

/// A create's reply: each topic with the error code that is given for it.
pub(crate) fn created(seen: &Seen, code: impl Fn(&str) -> i16) -> Reaction {
    let topic = |name: String| {
        let result = CreatableTopicResult::default()
            .with_error_code(code(&name))
            .with_num_partitions(1);
        result
            .with_replication_factor(1)
            .with_name(kafka_protocol::messages::TopicName(text(&name)))
    };
    let topics = seen.created().into_iter().map(topic).collect();
    Reaction::Reply(body(
        &CreateTopicsResponse::default().with_topics(topics),
        seen.version,
    ))
}

fn proper(seen: &Seen, address: SocketAddr) -> Bytes {
    match seen.key {
        ApiKey::ApiVersions => body(&versions(), seen.version),
        ApiKey::Metadata => body(
            &metadata(seen, "cluster", "127.0.0.1", address.port()),
            seen.version,
        ),
        ApiKey::CreateTopics => match created(seen, |_| 0) {
            Reaction::Reply(reply) => reply,
            _ => Bytes::new(),
        },
        other => panic!("the test did not say how to answer {other:?}"),
    }
}
