//! What Kafka itself says: its own tools, run in the broker's pod.
//!
//! Each call starts a JVM, so tests ask for many topics at once where they can.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;

use crate::live::Live;

/// A tool shares the broker's memory limit, so only one runs at a time.
static TOOLS: Semaphore = Semaphore::const_new(1);

/// The namespace, pod and container of the shared broker.
const POD: [&str; 3] = ["kafka", "kafka-controller-0", "kafka"];

/// A small, quickly started JVM; the broker's own options (its JAAS file among them) must not leak into a tool.
const PREAMBLE: &str = "set -e -o pipefail; umask 077; f=$(mktemp /tmp/e2e.XXXXXX); trap 'rm -f $f' EXIT; \
    read -r n; while [ \"$n\" -gt 0 ]; do IFS= read -r line; echo \"$line\" >>$f; n=$((n-1)); done; \
    export PATH=$PATH:/opt/bitnami/kafka/bin KAFKA_OPTS= JMX_PORT= KAFKA_HEAP_OPTS=-Xmx128m \
    KAFKA_JVM_PERFORMANCE_OPTS='-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' KAFKA_GC_LOG_OPTS= LOG_DIR=/tmp; ";

/// A topic as Kafka's own tool describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The topic id as Kafka prints it.
    pub id: String,
    /// How many partitions.
    pub partitions: u32,
    /// How many replicas each.
    pub replication_factor: u32,
    /// The configuration that is set on the topic itself.
    pub config: BTreeMap<String, String>,
}

/// A broker, asked through its own tools.
#[derive(Clone)]
pub struct Broker {
    live: Live,
    place: [String; 3],
    bootstrap: String,
    properties: String,
}

impl Broker {
    /// The broker that demo and tests share.
    #[must_use]
    pub fn shared(live: &Live, user: &str, password: &str) -> Self {
        Self::of(live, POD[0], user, password)
    }

    /// The Kafka in a namespace, asked in the pod of its first broker.
    #[must_use]
    pub fn of(live: &Live, namespace: &str, user: &str, password: &str) -> Self {
        let properties = format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{user}\" \
             password=\"{password}\";\n"
        );
        let bootstrap = format!("kafka.{namespace}.svc.cluster.local:9092");
        let [_, pod, container] = POD;
        Self {
            live: live.clone(),
            place: [namespace, pod, container].map(str::to_owned),
            bootstrap,
            properties,
        }
    }

    /// Runs one of Kafka's tools; `$f` in `command` is the client's property file, `$b` the bootstrap address.
    pub async fn tool(&self, command: &str) -> Result<String> {
        self.tool_with(command, "").await
    }

    /// Runs one of Kafka's tools with something on its standard input.
    pub async fn tool_with(&self, command: &str, input: &str) -> Result<String> {
        let script = format!("{PREAMBLE} b={}; {command}", self.bootstrap);
        let [namespace, pod, container] = &self.place;
        let arguments = [
            "exec",
            "-i",
            "-n",
            namespace,
            pod,
            "-c",
            container,
            "--",
            "/bin/bash",
            "-c",
            script.as_str(),
        ];
        let _turn = TOOLS.acquire().await?;
        let lines = self.properties.lines().count();
        let input = format!("{lines}\n{}{input}", self.properties);
        self.live
            .kubectl_with(&arguments, &input)
            .await
            .with_context(|| format!("Kafka's tool: {command}"))
    }

    /// Describes the topics whose names match a regular expression.
    pub async fn describe(&self, pattern: &str) -> Result<BTreeMap<String, Described>> {
        let command = format!(
            "kafka-topics.sh --bootstrap-server $b --command-config $f --describe --topic '{pattern}'"
        );
        match self.tool(&command).await {
            Ok(text) => parse_describe(&text),
            // The tool calls an empty match an error.
            Err(error) if format!("{error:#}").contains("does not exist as expected") => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    /// Describes one topic, if it exists.
    pub async fn topic(&self, name: &str) -> Result<Option<Described>> {
        Ok(self.describe(&exact(name)).await?.remove(name))
    }

    /// The brokers that hold each partition of a topic.
    pub async fn replicas(&self, topic: &str) -> Result<BTreeMap<u32, Vec<i32>>> {
        let command = format!(
            "kafka-topics.sh --bootstrap-server $b --command-config $f --describe --topic '{}'",
            exact(topic)
        );
        parse_replicas(&self.tool(&command).await?)
    }

    /// Creates a topic as somebody else would.
    pub async fn create(&self, name: &str, partitions: u32, config: &[(&str, &str)]) -> Result<()> {
        let mut command = format!(
            "kafka-topics.sh --bootstrap-server $b --command-config $f --create --topic {name} --partitions {partitions} \
             --replication-factor 1"
        );
        for (key, value) in config {
            write!(command, " --config {key}={value}")?;
        }
        self.tool(&command).await.map(drop)
    }

    /// Deletes every topic whose name matches a regular expression.
    pub async fn delete(&self, pattern: &str) -> Result<()> {
        let command = format!(
            "kafka-topics.sh --bootstrap-server $b --command-config $f --delete --if-exists --topic '{pattern}'"
        );
        self.tool(&command).await.map(drop)
    }

    /// Every key in a topic with the partition it is in, each pair once. Records without a key come out as `null`.
    pub async fn keys(&self, topic: &str, records: i64) -> Result<BTreeSet<(String, u32)>> {
        let command = format!(
            "kafka-console-consumer.sh --bootstrap-server $b --consumer.config $f --topic {topic} --from-beginning \
             --max-messages {records} --timeout-ms 60000 --property print.partition=true --property print.key=true \
             --property print.value=false | sort -u"
        );
        parse_keys(&self.tool(&command).await?)
    }

    /// Sends one record for each key with Kafka's own Java client, which chooses the partitions.
    pub async fn send_keys<'a>(&self, topic: &str, keys: impl Iterator<Item = &'a str>) -> Result<()> {
        let command = format!(
            "kafka-console-producer.sh --bootstrap-server $b --producer.config $f --topic {topic} \
             --property parse.key=true --property key.separator='|'"
        );
        let input = keys.map(|key| format!("{key}|x\n")).collect::<Vec<_>>().concat();
        self.tool_with(&command, &input).await.map(drop)
    }

    /// The end offset of each partition of a topic.
    pub async fn end_offsets(&self, topic: &str) -> Result<BTreeMap<u32, i64>> {
        self.offsets(topic, "latest").await
    }

    /// The first offset of each partition of a topic.
    pub async fn start_offsets(&self, topic: &str) -> Result<BTreeMap<u32, i64>> {
        self.offsets(topic, "earliest").await
    }

    /// Commits the start of a topic for a consumer group, as one that has read nothing yet would.
    pub async fn rewind(&self, group: &str, topic: &str) -> Result<()> {
        self.reset(group, topic, "earliest").await
    }

    /// Commits the end of a topic for a consumer group, as one that has read everything would.
    pub async fn catch_up(&self, group: &str, topic: &str) -> Result<()> {
        self.reset(group, topic, "latest").await
    }

    async fn reset(&self, group: &str, topic: &str, to: &str) -> Result<()> {
        let command = format!(
            "kafka-consumer-groups.sh --bootstrap-server $b --command-config $f --group {group} --topic {topic} \
             --reset-offsets --to-{to} --execute"
        );
        self.tool(&command).await.map(drop)
    }

    async fn offsets(&self, topic: &str, time: &str) -> Result<BTreeMap<u32, i64>> {
        let command = format!(
            "kafka-get-offsets.sh --bootstrap-server $b --command-config $f --topic '{}' --time {time}",
            exact(topic)
        );
        parse_offsets(&self.tool(&command).await?)
    }
}

/// A regular expression that matches one topic name only.
fn exact(name: &str) -> String {
    name.replace('.', "\\.")
}

/// Parses what `kafka-topics.sh --describe` prints.
fn parse_describe(text: &str) -> Result<BTreeMap<String, Described>> {
    let mut topics = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("Topic: ") && line.contains("PartitionCount:"))
    {
        let field = |name: &str| {
            let found = line.split('\t').find_map(|part| part.trim().strip_prefix(name));
            found
                .map(str::trim)
                .with_context(|| format!("no {name} in {line:?}"))
        };
        let pairs = field("Configs:").unwrap_or_default();
        topics.insert(
            field("Topic:")?.to_owned(),
            Described {
                id: field("TopicId:")?.to_owned(),
                partitions: field("PartitionCount:")?.parse()?,
                replication_factor: field("ReplicationFactor:")?.parse()?,
                config: split_config(pairs),
            },
        );
    }
    Ok(topics)
}

/// Parses the lines of partitions that `kafka-topics.sh --describe` prints.
fn parse_replicas(text: &str) -> Result<BTreeMap<u32, Vec<i32>>> {
    let lines = text.lines().filter(|line| line.starts_with("\tTopic: "));
    lines
        .map(|line| {
            let field = |name: &str| {
                let found = line.split('\t').find_map(|part| part.trim().strip_prefix(name));
                found
                    .map(str::trim)
                    .with_context(|| format!("no {name} in {line:?}"))
            };
            let ids: Result<Vec<i32>, _> = field("Replicas:")?.split(',').map(str::parse).collect();
            Ok((field("Partition:")?.parse()?, ids?))
        })
        .collect()
}

/// Splits `a=1,b=x,y,c=2`: a part without `=` belongs to the value before it.
fn split_config(pairs: &str) -> BTreeMap<String, String> {
    let mut config: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for part in pairs.split(',') {
        if let Some((key, value)) = part.split_once('=') {
            key.clone_into(&mut last);
            config.insert(key.to_owned(), value.to_owned());
        } else if let Some(value) = config.get_mut(&last) {
            value.push(',');
            value.push_str(part);
        }
    }
    config
}

/// Parses `topic:partition:offset` lines.
fn parse_offsets(text: &str) -> Result<BTreeMap<u32, i64>> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (rest, offset) = line
                .rsplit_once(':')
                .with_context(|| format!("offsets line {line:?}"))?;
            let (_, partition) = rest
                .rsplit_once(':')
                .with_context(|| format!("offsets line {line:?}"))?;
            Ok((partition.parse()?, offset.trim().parse()?))
        })
        .collect()
}

/// Parses `Partition:0<tab>key` lines.
fn parse_keys(text: &str) -> Result<BTreeSet<(String, u32)>> {
    text.lines()
        .filter(|line| line.starts_with("Partition:"))
        .map(|line| {
            let (partition, key) = line
                .split_once('\t')
                .with_context(|| format!("key line {line:?}"))?;
            let partition = partition.trim_start_matches("Partition:").parse()?;
            Ok((key.to_owned(), partition))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{parse_describe, parse_keys, parse_offsets, parse_replicas};

    #[test]
    fn reads_what_the_tools_print() {
        let text = "Topic: a.b\tTopicId: aGz1_Q\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: cleanup.policy=compact,delete,retention.ms=5\n\
                    \tTopic: a.b\tPartition: 0\tLeader: 0\tReplicas: 0\tIsr: 0\n";
        let topics = parse_describe(text).unwrap();
        let topic = &topics["a.b"];
        assert_eq!(
            (topic.id.as_str(), topic.partitions, topic.replication_factor),
            ("aGz1_Q", 3, 1)
        );
        assert_eq!(topic.config["cleanup.policy"], "compact,delete");
        assert_eq!(topic.config["retention.ms"], "5");
        assert!(
            parse_keys("Partition:2\tkey-1\n")
                .unwrap()
                .contains(&("key-1".to_owned(), 2))
        );
        let text = "Topic: a\tTopicId: x\tPartitionCount: 1\n\tTopic: a\tPartition: 0\tLeader: 2\tReplicas: 2,0\tIsr: 2,0\tElr: \n";
        assert_eq!(parse_replicas(text).unwrap()[&0], [2, 0]);
        assert_eq!(
            parse_offsets("a.b:0:7\na.b:1:9\n")
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>(),
            [(0, 7), (1, 9)]
        );
    }
}
