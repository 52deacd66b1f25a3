//! `ottla-operator plan`: what applying these manifests would change in Kafka. Looks, and changes nothing.

mod report;

use std::collections::{BTreeMap, BTreeSet};

use kube::Client;
use kube::ResourceExt;
use ottla_crds::KafkaTopic;

pub use self::report::{Change, Effect, Format, Planned, Report, Told};
use super::manifest::{self, Document};
use super::reader::Reader;
use crate::cluster::cluster_key;
use crate::connections::Connections;
use crate::runtime::{Context, Key};
use crate::topic::desired;
use crate::topic::preview::preview;

const KIND: &str = "KafkaTopic";
/// What an object holds at its top.
const TOP: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Options of `ottla-operator plan`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Manifests to look at: YAML or JSON, any number of documents; - is standard input. May be repeated.
    #[arg(short = 'f', long = "filename", required = true)]
    pub files: Vec<String>,

    /// Namespace of objects that name none. Default: that of the kubeconfig's context.
    #[arg(short = 'n', long)]
    pub namespace: Option<String>,

    /// How the plan is told.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    pub output: Format,

    /// Addresses to ask for the brokers in place of those of the KafkaCluster, separated by commas: for a Kafka that
    /// answers elsewhere outside of Kubernetes.
    #[arg(long, value_delimiter = ',')]
    pub bootstrap_servers: Vec<String>,
}

/// Plans, and answers the report.
pub(super) async fn run(client: Client, options: Options) -> anyhow::Result<Report> {
    let documents = manifest::read(&options.files)?;
    report(Reader::new(&client), documents, &options).await
}

/// Plans what a text holds, with other Kafka clients: for tests.
pub async fn of_text(
    client: &Client,
    connections: Connections,
    text: &str,
    options: &Options,
) -> anyhow::Result<Report> {
    let documents = manifest::parse("-", text)?;
    report(Reader::with(client, connections), documents, options).await
}

/// One manifest of a KafkaTopic.
struct Wanted {
    document: Document,
    key: Key,
    topic: KafkaTopic,
}

async fn report(mut reader: Reader, documents: Vec<Document>, options: &Options) -> anyhow::Result<Report> {
    let default = reader.ctx.client.default_namespace().to_owned();
    let mut report = Report::default();
    let mut wanted: Vec<Wanted> = vec![];
    for document in documents {
        if document.text("/kind") != KIND {
            report.notes.push(format!(
                "{}: {} is passed over",
                document.source,
                document.title()
            ));
            continue;
        }
        match parse(&document, options.namespace.as_deref(), &default) {
            Ok((key, _)) if wanted.iter().any(|other| other.key == key) => {
                let problem = format!("KafkaTopic {key} stands in these manifests twice");
                report.topics.push(Planned::faulty(&document, vec![problem]));
            }
            Ok((key, topic)) => wanted.push(Wanted { document, key, topic }),
            Err(problems) => report.topics.push(Planned::faulty(&document, problems)),
        }
    }
    look(&mut reader, wanted, options, &mut report).await?;
    report.notes.append(&mut reader.blind);
    Ok(report)
}

async fn look(
    reader: &mut Reader,
    wanted: Vec<Wanted>,
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let cluster = |wanted: &Wanted| cluster_key(&wanted.key, &wanted.topic.spec.cluster_ref);
    let namespaces: BTreeSet<String> = wanted
        .iter()
        .flat_map(|wanted| [wanted.key.namespace.clone(), cluster(wanted).namespace])
        .collect();
    reader.list(&namespaces).await?;
    let mut clusters: BTreeMap<Key, Result<(), String>> = BTreeMap::new();
    for key in wanted.iter().map(cluster).collect::<BTreeSet<_>>() {
        let connected = reader.connect(&key, &options.bootstrap_servers).await;
        clusters.insert(key, connected.map(drop).map_err(|error| format!("{error:#}")));
    }
    for wanted in &wanted {
        if immutable(reader, wanted).is_none() {
            reader.overlay(&wanted.key, &wanted.topic);
        }
    }
    for wanted in wanted {
        let problem = match &clusters[&cluster(&wanted)] {
            Ok(()) => immutable(reader, &wanted),
            Err(problem) => Some(problem.clone()),
        };
        let planned = match problem {
            None => one(reader, &wanted).await,
            Some(problem) => Planned::faulty(&wanted.document, vec![problem]),
        };
        report.topics.push(planned);
    }
    report.topics.sort_by(|a, b| a.source().cmp(&b.source()));
    Ok(())
}

/// What the manifest would change of an object and must not.
fn immutable(reader: &Reader, wanted: &Wanted) -> Option<String> {
    let existing = reader.ctx.stores.topics.object(&wanted.key)?;
    let (old, new) = (&existing.spec, &wanted.topic.spec);
    let name = &wanted.key.name;
    if old.cluster_ref != new.cluster_ref {
        Some(
            "spec.clusterRef: is immutable; delete the object and create it anew, the topic stays".to_owned(),
        )
    } else if desired::name(name, old) != desired::name(name, new) {
        Some(format!(
            "spec.topicName: is immutable, and this object stands for topic {}; make another object",
            desired::name(name, old)
        ))
    } else {
        None
    }
}

async fn one(reader: &Reader, wanted: &Wanted) -> Planned {
    let ctx: &Context = &reader.ctx;
    let Some(object) = ctx.stores.topics.object(&wanted.key) else {
        return Planned::faulty(&wanted.document, vec!["the object went away".to_owned()]);
    };
    let preview = preview(&reader.topics, ctx, &object).await;
    Planned::of(&wanted.document, &wanted.key, &object, &preview)
}

/// Reads a manifest as admission would; every fault names its field.
fn parse(
    document: &Document,
    namespace: Option<&str>,
    default: &str,
) -> Result<(Key, KafkaTopic), Vec<String>> {
    let api = format!("{}/{}", ottla_crds::GROUP, ottla_crds::VERSION);
    let mut problems = vec![];
    if document.text("/apiVersion") != api {
        problems.push(format!(
            "apiVersion: {:?} is not {api}; `ottla-operator export --strimzi-file` converts Strimzi's KafkaTopics",
            document.text("/apiVersion")
        ));
        return Err(problems);
    }
    let name = document.text("/metadata/name");
    if name.is_empty() {
        problems.push("metadata.name: is required".to_owned());
    }
    let own = document.text("/metadata/namespace");
    if let Some(asked) = namespace.filter(|asked| !own.is_empty() && *asked != own) {
        problems.push(format!(
            "metadata.namespace: is {own:?}, and --namespace says {asked:?}"
        ));
    }
    for field in document
        .value
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys)
    {
        if !TOP.contains(&field.as_str()) {
            problems.push(format!(
                "{field}: there is no such field; there are {}",
                TOP.join(", ")
            ));
        }
    }
    match (spec_schema(), document.value.get("spec")) {
        (Some(schema), Some(spec)) => problems.extend(manifest::faults(&schema, spec, "spec")),
        (_, None) => problems.push("spec: is required".to_owned()),
        (None, _) => {}
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let namespace = if own.is_empty() {
        namespace.unwrap_or(default)
    } else {
        own
    };
    let topic: KafkaTopic =
        serde_json::from_value(document.value.clone()).map_err(|error| vec![error.to_string()])?;
    let parsed = desired::parse(&topic.name_any(), &topic.spec);
    parsed.map_err(|invalid| vec![format!("spec: {}", invalid.message)])?;
    Ok((Key::new(namespace, name), topic))
}

fn spec_schema() -> Option<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps>
{
    let definition = ottla_crds::crd::all()
        .into_iter()
        .find(|crd| crd.spec.names.kind == KIND)?;
    let version = definition.spec.versions.into_iter().next()?;
    let schema = version.schema?.open_api_v3_schema?;
    schema.properties?.remove("spec")
}
