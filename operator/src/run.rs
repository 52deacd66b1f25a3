//! Wires the operator together: stores to watches, changes to queues, queues to reconcilers.
//!
//! A kind is added here and nowhere else: its store is watched in [`watches`], its reconciler is driven in
//! [`controllers`]. Which changes of other kinds concern it, it says itself in a `triggers(&ctx)` function that
//! [`run`] calls before the watches start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::cluster::{self, Clusters};
use crate::connections::Connections;
use crate::consumer::{self, Consumers};
use crate::pods::{self, Memory};
use crate::producer::{self, Producers};
use crate::runtime::config::Config;
use crate::runtime::controller::{drive, trigger_on_change};
use crate::runtime::metrics::Metrics;
use crate::runtime::server::{Served, serve};
use crate::runtime::watch::{Scope, Watched, watch};
use crate::runtime::{Context, Store};
use crate::topic::{self, Topics};

/// Selects the Kubernetes children that are ours.
const CHILDREN: &str = "app.kubernetes.io/managed-by=ottla";

/// Runs the operator until `stop` is cancelled.
pub async fn run(client: Client, config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::default());
    let connections = Connections::to_kafka(metrics.clone());
    let ctx = Arc::new(Context::new(client, config, connections, metrics));
    let topics = Arc::new(Topics::default());
    let memory = Arc::new(Memory::default());
    triggers(&ctx, &topics, &memory);

    let mut tasks = JoinSet::new();
    let ready = Arc::new(AtomicBool::new(false));
    // The server outlives the controllers, so that a long farewell still answers its probes.
    let answers = Served {
        ctx: ctx.clone(),
        ready: ready.clone(),
    };
    let server_stop = CancellationToken::new();
    let server = tokio::spawn(serve(ctx.config.http_address, answers, server_stop.clone()));
    watches(&ctx, &mut tasks);
    let controllers = controllers(&ctx, topics, memory, &ready, &stop);
    tokio::pin!(controllers);
    tokio::pin!(server);

    tokio::select! {
        () = &mut controllers => anyhow::ensure!(stop.is_cancelled(), "a controller ended by itself"),
        Some(ended) = tasks.join_next() => {
            ended.context("a watch ended")?;
            anyhow::bail!("a watch ended by itself");
        }
        ended = &mut server => {
            ended.context("the http server ended")?.context("the http server failed")?;
            anyhow::bail!("the http server ended by itself");
        }
    }
    tasks.shutdown().await;
    server_stop.cancel();
    info!("Stopped");
    Ok(())
}

/// Registers what triggers what.
fn triggers(ctx: &Arc<Context>, topics: &Arc<Topics>, memory: &Arc<Memory>) {
    // What is remembered of objects changes before their passes start.
    cluster::triggers(ctx);
    topic::triggers(ctx, topics);
    trigger_on_change::<Clusters>(ctx, &ctx.stores.clusters, &ctx.queues.clusters);
    trigger_on_change::<Topics>(ctx, &ctx.stores.topics, &ctx.queues.topics);
    trigger_on_change::<Producers>(ctx, &ctx.stores.producers, &ctx.queues.producers);
    trigger_on_change::<Consumers>(ctx, &ctx.stores.consumers, &ctx.queues.consumers);
    pods::triggers::register(ctx, memory);
    producer::triggers(ctx, memory);
    consumer::triggers(ctx, memory);
}

/// Starts the watches.
fn watches(ctx: &Arc<Context>, tasks: &mut JoinSet<()>) {
    let stores = &ctx.stores;
    watch_all(ctx, tasks, &stores.clusters, None);
    watch_all(ctx, tasks, &stores.topics, None);
    watch_all(ctx, tasks, &stores.producers, None);
    watch_all(ctx, tasks, &stores.consumers, None);
    watch_all(ctx, tasks, &stores.jobs, Some(CHILDREN));
    watch_all(ctx, tasks, &stores.deployments, Some(CHILDREN));
    watch_all(ctx, tasks, &stores.pods, Some(CHILDREN));
}

fn watch_all<K: Watched>(
    ctx: &Arc<Context>,
    tasks: &mut JoinSet<()>,
    store: &Store<K>,
    labels: Option<&str>,
) {
    let mut namespaces: Vec<Option<String>> = ctx.config.namespaces().into_iter().map(Some).collect();
    if namespaces.is_empty() {
        namespaces.push(None);
    }
    for namespace in namespaces {
        store.expect_watch();
        let scope = Scope {
            namespace,
            labels: labels.map(str::to_owned),
        };
        tasks.spawn(watch(
            ctx.client.clone(),
            scope,
            store.clone(),
            ctx.metrics.clone(),
        ));
    }
}

/// Drives every kind, once all stores are filled: who owns what can be told only then.
async fn controllers(
    ctx: &Arc<Context>,
    topics: Arc<Topics>,
    memory: Arc<Memory>,
    ready: &AtomicBool,
    stop: &CancellationToken,
) {
    let stores = &ctx.stores;
    tokio::select! {
        () = stop.cancelled() => return,
        () = async {
            stores.clusters.synced().await;
            stores.topics.synced().await;
            stores.producers.synced().await;
            stores.consumers.synced().await;
            stores.jobs.synced().await;
            stores.deployments.synced().await;
            stores.pods.synced().await;
        } => {}
    }
    ready.store(true, Ordering::Release);
    info!(namespaces = ?ctx.config.namespaces(), "Every object is listed, work begins");
    let queues = &ctx.queues;
    let mut kinds = JoinSet::new();
    kinds.spawn(drive(
        Arc::new(Clusters),
        ctx.clone(),
        stores.clusters.clone(),
        queues.clusters.clone(),
        stop.clone(),
    ));
    kinds.spawn(drive(
        topics,
        ctx.clone(),
        stores.topics.clone(),
        queues.topics.clone(),
        stop.clone(),
    ));
    kinds.spawn(drive(
        Arc::new(Producers::new(memory.clone())),
        ctx.clone(),
        stores.producers.clone(),
        queues.producers.clone(),
        stop.clone(),
    ));
    kinds.spawn(drive(
        Arc::new(Consumers::new(memory)),
        ctx.clone(),
        stores.consumers.clone(),
        queues.consumers.clone(),
        stop.clone(),
    ));
    kinds.spawn(topic::sweep::run(ctx.clone(), stop.clone()));
    // One that ends before it is told to ends the process: it is started anew, whole.
    while let Some(_ended) = kinds.join_next().await {
        if !stop.is_cancelled() {
            tracing::error!("A controller ended by itself");
            return;
        }
    }
}
