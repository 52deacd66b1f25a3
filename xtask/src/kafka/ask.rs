//! Kafka's own tools, run where they are: in the first broker's container.

use anyhow::Result;

use crate::kubectl::kubectl;

/// Runs a script in the first broker's container; answers what it said. `$1` is a file for the tools' `--command-config`. The
/// password goes by standard input, never on a command line of the host.
pub fn ask(namespace: &str, script: &str) -> Result<String> {
    let module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let wrapped = format!(
        "umask 077; read -r password; file=$(mktemp); trap 'rm -f $file' EXIT\n\
         cat >$file <<END\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config={module} required username=\"user1\" password=\"$password\";\nEND\n\
         export KAFKA_HEAP_OPTS=-Xmx192m; set -- $file\n{script}"
    );
    let exec = kubectl().args([
        "exec",
        "-i",
        "-n",
        namespace,
        "kafka-controller-0",
        "-c",
        "kafka",
        "--",
        "bash",
        "-c",
    ]);
    let finished = exec
        .arg(wrapped)
        .stdin(format!("{}\n", super::password(namespace)?))
        .finish()?;
    Ok(finished.stdout + &finished.stderr)
}
