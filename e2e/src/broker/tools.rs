//! Kafka's own tools, run in the broker's pod.
//!
//! Each call starts a JVM, more than a second of a core: they are for what only they can tell or do.

use anyhow::{Context, Result};
use tokio::sync::Semaphore;

use super::Broker;

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
