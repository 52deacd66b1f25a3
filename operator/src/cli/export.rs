//! `ottla-operator export`: writes KafkaTopic manifests, out of the topics of a cluster or out of Strimzi's manifests.
//! Looks, and changes nothing.

mod manifest;
mod strimzi;
mod topics;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use kube::Client;
use ottla_kafka::admin::{Admin, ConfigEntry, ConfigKeys, ConfigQuery, Topic};
use ottla_kafka::types::{ClusterId, TopicName};

pub use self::manifest::Exported;
use super::manifest::{Document, read};
use super::reader::Reader;
use crate::cluster::cluster_key;
use crate::connections::Connections;
use crate::runtime::Key;
use crate::topic::desired;

/// How many topics' configs are asked for at once.
const CHUNK: usize = 500;

/// Options of `ottla-operator export`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// Name of the KafkaCluster: whose topics are written down, and which the manifests refer to. With --strimzi-file
    /// the default is the label strimzi.io/cluster of each object.
    #[arg(long, required_unless_present = "strimzi_files")]
    pub cluster: Option<String>,

    /// Namespace of the KafkaCluster and of the manifests. Default: that of the kubeconfig's context.
    #[arg(short = 'n', long)]
    pub namespace: Option<String>,

    /// Only topics of this name, * standing for any characters. May be repeated.
    #[arg(long = "match", value_name = "PATTERN")]
    pub patterns: Vec<String>,

    /// Converts Strimzi's KafkaTopics out of this file (- is standard input) in place of asking Kafka. May be repeated.
    #[arg(
        long = "strimzi-file",
        value_name = "FILE",
        conflicts_with = "bootstrap_servers"
    )]
    pub strimzi_files: Vec<String>,

    /// Addresses to ask for the brokers in place of those of the KafkaCluster, separated by commas: for a Kafka that
    /// answers elsewhere outside of Kubernetes.
    #[arg(long, value_delimiter = ',')]
    pub bootstrap_servers: Vec<String>,
}

impl Options {
    fn wants(&self, topic: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| matches(pattern, topic))
    }
}

/// Converts Strimzi's manifests, which needs neither Kubernetes nor Kafka.
pub(super) fn convert(options: &Options) -> anyhow::Result<Exported> {
    let documents: Vec<Document> = read(&options.strimzi_files)?;
    Ok(strimzi::convert(&documents, options))
}

/// Writes down the topics of a cluster.
pub(super) async fn run(client: Client, options: &Options) -> anyhow::Result<Exported> {
    export(Reader::new(&client), options).await
}

/// The same with other Kafka clients: for tests.
///
/// # Errors
/// When Kubernetes or Kafka could not be asked.
pub async fn with(client: &Client, connections: Connections, options: &Options) -> anyhow::Result<Exported> {
    export(Reader::with(client, connections), options).await
}

async fn export(mut reader: Reader, options: &Options) -> anyhow::Result<Exported> {
    let namespace = options
        .namespace
        .clone()
        .unwrap_or_else(|| reader.ctx.client.default_namespace().to_owned());
    let name = options.cluster.clone().context("--cluster is required")?;
    let cluster = Key::new(namespace.clone(), name);
    reader.list(&BTreeSet::from([namespace])).await?;
    let id = reader.connect(&cluster, &options.bootstrap_servers).await?;
    let connection = reader.ctx.connections.get(&cluster);
    let (admin, _) = connection
        .and_then(|connection| connection.usable())
        .with_context(|| format!("KafkaCluster {cluster} cannot be used"))?;
    let all = admin.list_topics().await.context("could not list the topics")?;
    let wanted: Vec<Topic> = all
        .into_iter()
        .filter(|topic| options.wants(topic.name.as_str()))
        .collect();
    let configs = configs(&*admin, &wanted).await?;
    let declared = declared(&reader, &cluster, &id);
    let mut exported = topics::export(&cluster, wanted, &configs, &declared);
    exported.notes.append(&mut reader.blind);
    Ok(exported)
}

/// The configs of all topics that are not Kafka's own.
async fn configs(
    admin: &dyn Admin,
    topics: &[Topic],
) -> anyhow::Result<BTreeMap<TopicName, BTreeMap<String, ConfigEntry>>> {
    let mut found = BTreeMap::new();
    let names: Vec<&TopicName> = topics
        .iter()
        .filter(|topic| !topics::is_kafkas_own(topic))
        .map(|topic| &topic.name)
        .collect();
    for chunk in names.chunks(CHUNK) {
        let queries = chunk.iter().map(|name| ConfigQuery {
            topic: (*name).clone(),
            keys: ConfigKeys::All,
        });
        for (name, answer) in admin.describe_configs(queries.collect()).await {
            let config =
                answer.with_context(|| format!("could not read the configuration of topic {name}"))?;
            found.insert(name, config);
        }
    }
    Ok(found)
}

/// Which topics of a Kafka KafkaTopics stand for already, whatever KafkaCluster they name it by.
fn declared(reader: &Reader, cluster: &Key, id: &ClusterId) -> BTreeMap<String, Key> {
    let stores = &reader.ctx.stores;
    let same = |named: &Key| {
        named == cluster
            || stores.clusters.object(named).is_some_and(|other| {
                other
                    .status
                    .as_ref()
                    .and_then(|status| status.cluster_id.as_deref())
                    == Some(id.as_str())
            })
    };
    let mut found = BTreeMap::new();
    for object in stores.topics.objects() {
        let key = Key::of(&*object);
        if same(&cluster_key(&key, &object.spec.cluster_ref)) {
            found.insert(desired::name(&key.name, &object.spec).to_owned(), key);
        }
    }
    found
}

/// Whether a text is of a pattern's form, `*` standing for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| text.strip_prefix(start)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("orders", "orders", true)]
    #[case("orders", "orders-v2", false)]
    #[case("orders*", "orders-v2", true)]
    #[case("*", "", true)]
    #[case("*.dlq", "a.dlq", true)]
    #[case("*.dlq", "a.dlq.b", false)]
    #[case("a*b*c", "axxbyyc", true)]
    #[case("a*b*c", "axxcyyb", false)]
    #[case("a*a", "a", false)]
    fn a_star_stands_for_anything(#[case] pattern: &str, #[case] text: &str, #[case] matched: bool) {
        assert_eq!(matches(pattern, text), matched);
    }
}
