//! Kafka's own tools, run in the broker's pod.
//!
//! Each call starts a JVM, more than a second of a core: they are for what only they can tell or do, and tests ask for
//! many topics at once.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;

use super::{Broker, Described};

/// A tool shares the broker's memory limit, so only one runs at a time.
static TOOLS: Semaphore = Semaphore::const_new(1);

/// The pod that runs the tools, and its container.
const POD: [&str; 2] = ["kafka-controller-0", "kafka"];

/// A small, quickly started JVM; the broker's own options (its JAAS file among them) must not leak into a tool.
const PREAMBLE: &str = "set -e -o pipefail; umask 077; f=$(mktemp /tmp/e2e.XXXXXX); trap 'rm -f $f' EXIT; \
    read -r n; while [ \"$n\" -gt 0 ]; do IFS= read -r line; echo \"$line\" >>$f; n=$((n-1)); done; \
    export PATH=$PATH:/opt/bitnami/kafka/bin KAFKA_OPTS= JMX_PORT= KAFKA_HEAP_OPTS=-Xmx128m \
    KAFKA_JVM_PERFORMANCE_OPTS='-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' KAFKA_GC_LOG_OPTS= LOG_DIR=/tmp; ";

impl Broker {
    /// Runs one of Kafka's tools; `$f` in `command` is the client's property file, `$b` the bootstrap address.
    pub async fn tool(&self, command: &str) -> Result<String> {
        self.tool_with(command, "").await
    }

    /// Runs one of Kafka's tools with something on its standard input.
    pub async fn tool_with(&self, command: &str, input: &str) -> Result<String> {
        let script = format!(
            "{PREAMBLE} b=kafka.{}.svc.cluster.local:9092; {command}",
            self.namespace
        );
        let [pod, container] = POD;
        let arguments = [
            "exec",
            "-i",
            "-n",
            self.namespace.as_str(),
            pod,
            "-c",
            container,
            "--",
            "/bin/bash",
            "-c",
            script.as_str(),
        ];
        let _turn = TOOLS.acquire().await?;
        let properties = self.properties();
        let lines = properties.lines().count();
        let input = format!("{lines}\n{properties}{input}");
        self.live
            .kubectl_with(&arguments, &input)
            .await
            .with_context(|| format!("Kafka's tool: {command}"))
    }

    /// What the tools are told of the connection, as lines of a property file.
    fn properties(&self) -> String {
        format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{}\" password=\"{}\";\n",
            self.user, self.password
        )
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

    /// Sends one record for each key with Kafka's own Java client, which chooses the partitions.
    pub async fn send_keys<'a>(&self, topic: &str, keys: impl Iterator<Item = &'a str>) -> Result<()> {
        let command = format!(
            "kafka-console-producer.sh --bootstrap-server $b --producer.config $f --topic {topic} \
             --property parse.key=true --property key.separator='|'"
        );
        let input = keys.map(|key| format!("{key}|x\n")).collect::<Vec<_>>().concat();
        self.tool_with(&command, &input).await.map(drop)
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

#[cfg(test)]
mod tests {
    use super::parse_describe;

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
    }
}
