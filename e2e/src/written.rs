//! What has been written so far, by witnesses that are not us: the API server's metrics, the objects' versions, Kafka's
//! metadata log. Two readings that are equal say that nothing was written between them.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use kube::api::{Api, DynamicObject, ListParams};

use crate::broker::Broker;
use crate::live::Live;
use crate::metrics;
use crate::object::{Kind, Look};

/// Verbs that write, as the API server's metrics call them.
const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

/// What has been written so far, by several witnesses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Write requests to our API group that the API server counted, by verb.
    pub requests: BTreeMap<&'static str, u64>,
    /// resourceVersion of each of our objects.
    pub versions: BTreeMap<String, String>,
    /// Records in Kafka's metadata log, but for the controller's own heartbeat.
    pub metadata: usize,
}

/// Reads all witnesses.
pub async fn written(live: &Live, broker: &Broker) -> Result<Written> {
    let text = live.kubectl(&["get", "--raw", "/metrics"]).await?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter of requests"
    )]
    let count = |verb: &str| {
        metrics::sum(
            &text,
            "apiserver_request_total",
            &["group=\"ottla.dev\"", &format!("verb=\"{verb}\"")],
        ) as u64
    };
    Ok(Written {
        requests: WRITES.map(|verb| (verb, count(verb))).into(),
        versions: versions(live).await?,
        metadata: metadata_records(broker).await?,
    })
}

async fn versions(live: &Live) -> Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    for kind in Kind::ALL {
        let api: Api<DynamicObject> = Api::all_with(live.client.clone(), &kind.resource());
        for object in api.list(&ListParams::default()).await? {
            let meta = object.metadata;
            let name = format!(
                "{kind:?} {}/{}",
                meta.namespace.unwrap_or_default(),
                meta.name.unwrap_or_default()
            );
            versions.insert(name, meta.resource_version.unwrap_or_default());
        }
    }
    Ok(versions)
}

async fn metadata_records(broker: &Broker) -> Result<usize> {
    // The controller appends a no-op by itself twice a second; clients that start get blocks of producer ids.
    let command = "kafka-dump-log.sh --cluster-metadata-decoder --files \
        $(ls /bitnami/kafka/data/__cluster_metadata-0/*.log | paste -sd,) | grep '\"type\":' | \
        grep -cvE '\"type\":\"(NO_OP_RECORD|PRODUCER_IDS_RECORD|BROKER_REGISTRATION_CHANGE_RECORD)\"' || true";
    let count: usize = broker.tool(command).await?.trim().parse()?;
    ensure!(
        count > 0,
        "the metadata log shows no record at all: this test looks at the wrong thing"
    );
    Ok(count)
}

/// The numbers of a workload under way are written down as they grow: with one in the cluster there is no rest to look at.
pub async fn ensure_nothing_moves(live: &Live) -> Result<()> {
    for kind in [Kind::Producer, Kind::Consumer] {
        let api: Api<DynamicObject> = Api::all_with(live.client.clone(), &kind.resource());
        for object in api.list(&ListParams::default()).await? {
            let name = object.metadata.name.clone().unwrap_or_default();
            let namespace = object.metadata.namespace.clone().unwrap_or_default();
            ensure!(
                !object.says("Ready", "True", "Running"),
                "the {} {namespace}/{name} is running: this test needs a cluster where none is",
                kind.name()
            );
        }
    }
    Ok(())
}
