//! At rest the operator writes nothing, and its restart changes nothing. Read from the API server's metrics, from the
//! objects and from Kafka's metadata log. Runs while no other test does.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ListParams};
use ottla_e2e::broker::Broker;
use ottla_e2e::live::Live;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::scene::{LABEL, shared_password};
use ottla_e2e::wait::{throughout, until};
use ottla_e2e::{metrics, operator};

/// How long nothing may be written.
const WATCH: Duration = Duration::from_secs(60);
/// How long a new operator is given to look at everything.
const SETTLE: Duration = Duration::from_secs(15);
/// Verbs that write, as the API server's metrics call them.
const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

/// What has been written so far, by several witnesses.
#[derive(Debug, PartialEq)]
struct Written {
    /// Write requests to our API group that the API server counted, by verb.
    requests: BTreeMap<&'static str, u64>,
    /// resourceVersion of each of our objects.
    versions: BTreeMap<String, String>,
    /// Records in Kafka's metadata log, but for the controller's own heartbeat.
    metadata: usize,
}

async fn written(live: &Live, broker: &Broker) -> Result<Written> {
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
async fn ensure_nothing_moves(live: &Live) -> Result<()> {
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

#[tokio::test]
async fn at_rest_nothing_is_written_and_a_restart_changes_nothing() -> Result<()> {
    let Some(live) = Live::connect("at_rest_nothing_is_written_and_a_restart_changes_nothing").await? else {
        return Ok(());
    };
    let broker = Broker::shared(&live, "user1", &shared_password(&live).await?);
    let namespaces: Api<Namespace> = Api::all(live.client.clone());
    until(
        "other tests' namespaces to be gone",
        Duration::from_secs(120),
        async || {
            let left = namespaces
                .list(&ListParams::default().labels(&format!("{LABEL}=true")))
                .await?
                .items
                .len();
            // A namespace that a failed test left for a look is at rest too.
            let ending = namespaces
                .list(&ListParams::default().labels(&format!("{LABEL}=true")))
                .await?;
            let ending = ending
                .items
                .iter()
                .filter(|one| one.metadata.deletion_timestamp.is_some())
                .count();
            ensure!(ending == 0, "{ending} of {left} are ending");
            Ok(())
        },
    )
    .await?;

    ensure_nothing_moves(&live).await?;
    let first = operator::pod(&live).await?;
    let before = written(&live, &broker).await?;
    throughout("the operator's one life", WATCH, async || {
        let now = operator::pod(&live).await?;
        ensure!(now == first, "{now:?} was {first:?}");
        Ok(())
    })
    .await?;
    let after = written(&live, &broker).await?;
    ensure!(
        before == after,
        "written at rest; before: {before:?}\nafter: {after:?}"
    );

    operator::kill(&live).await?;
    let next = operator::pod(&live).await?;
    throughout("the next operator's life", SETTLE, async || {
        let now = operator::pod(&live).await?;
        ensure!(now == next, "{now:?} was {next:?}");
        Ok(())
    })
    .await?;
    let restarted = written(&live, &broker).await?;
    ensure!(
        after == restarted,
        "written by a restart; before: {after:?}\nafter: {restarted:?}"
    );
    Ok(())
}
