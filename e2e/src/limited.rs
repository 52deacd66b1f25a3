//! Who may do on the throw-away Kafka only what an ACL says, which Kafka's own tools grant and take.

use anyhow::Result;

use crate::broker::Broker;

/// An ACL: operations, and the options that name the resource.
#[derive(Clone, Copy, Debug)]
pub struct Acl<'a> {
    /// `Describe`, `All` and so on.
    pub operations: &'a [&'a str],
    /// For instance `--topic orders`.
    pub resource: &'a str,
}

/// Makes a user, or gives one another password.
pub async fn user(kafka: &Broker, name: &str, password: &str) -> Result<()> {
    let command = format!(
        "kafka-configs.sh --bootstrap-server $b --command-config $f --alter --entity-type users --entity-name {name} \
         --add-config 'SCRAM-SHA-512=[password={password}]'"
    );
    kafka.tool(&command).await.map(drop)
}

/// Grants rights to a principal (`User:...`).
pub async fn grant(kafka: &Broker, principal: &str, acls: &[Acl<'_>]) -> Result<()> {
    alter(kafka, "--add", principal, acls).await
}

/// Takes rights from a principal.
pub async fn take(kafka: &Broker, principal: &str, acls: &[Acl<'_>]) -> Result<()> {
    alter(kafka, "--remove --force", principal, acls).await
}

async fn alter(kafka: &Broker, verb: &str, principal: &str, acls: &[Acl<'_>]) -> Result<()> {
    let commands = acls.iter().map(|acl| {
        let operations: Vec<String> = acl.operations.iter().map(|one| format!("--operation {one}")).collect();
        format!(
            "kafka-acls.sh --bootstrap-server $b --command-config $f {verb} --allow-principal '{principal}' {} {}",
            operations.join(" "),
            acl.resource
        )
    });
    kafka
        .tool(&commands.collect::<Vec<_>>().join("; "))
        .await
        .map(drop)
}

/// Everything on topics and groups whose names begin so.
#[must_use]
pub fn all_under(prefix: &str) -> String {
    format!("--topic {prefix} --group {prefix} --resource-pattern-type prefixed")
}
