//! Wires the operator together: stores to watches, changes to queues, queues to reconcilers.
//!
//! A kind is added here and nowhere else: its store is watched in [`watches`], its reconciler is driven in
//! [`controllers`]. Which changes of other kinds concern it, it says itself in a `triggers(&ctx)` function that
//! is called before the watches start.
//!
//! Where several operators run, each watches and stands by until it holds the Lease. One that loses it begins a new life:
//! what it remembered may be outdated by whoever leads now, so everything is listed and learnt anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::Client;
use ottla_kafka::permit::Permit;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cluster::{self, Clusters};
use crate::connections::Connections;
use crate::consumer::{self, Consumers};
use crate::pods::{self, Memory};
use crate::producer::{self, Producers};
use crate::purge::{self, Purges};
use crate::runtime::config::Config;
use crate::runtime::controller::{drive, trigger_on_change};
use crate::runtime::guard::guarded;
use crate::runtime::health::Health;
use crate::runtime::lease::{Candidate, Held};
use crate::runtime::metrics::Metrics;
use crate::runtime::server::{Served, serve};
use crate::runtime::watch::{Scope, Watched, watch};
use crate::runtime::{Context, Stop, Store, namespaces};
use crate::topic::{self, Topics};

/// Selects the Kubernetes children that are ours.
const CHILDREN: &str = "app.kubernetes.io/managed-by=ottla";
/// How long passes that run may go on after the order to stop, when nobody waits for us to go.
const GRACE: Duration = Duration::from_secs(25);
/// The same when another operator stands by: it looks what was done before it does anything.
const HAND_OVER: Duration = Duration::from_secs(1);
/// How long dropped passes may take to be gone.
const DROP: Duration = Duration::from_secs(2);

/// How long the start waits for the list of namespaces.
const NAMESPACES: Duration = Duration::from_secs(10);

/// Runs the operator until `stop` is cancelled. `client` must not try again by itself ([`crate::runtime::guard`]).
pub async fn run(client: Client, config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let process = Process::new(client, config);
    // The server outlives the controllers, so that a long farewell still answers its probes.
    let server_stop = CancellationToken::new();
    let server = serve(process.config.http_address, process.served(), server_stop.clone());
    let server = tokio::spawn(server);
    tokio::select! {
        ended = process.lives(&stop) => ended?,
        ended = server => {
            ended.context("the http server ended")?.context("the http server failed")?;
            bail!("the http server ended by itself");
        }
    }
    server_stop.cancel();
    info!("Stopped");
    Ok(())
}

/// What one life leaves to the next.
struct Process {
    client: Client,
    config: Config,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    ready: Arc<AtomicBool>,
    candidate: Option<Candidate>,
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By order.
    Stopped,
    /// Another operator leads, or the API server did not answer for too long.
    LeaseLost,
}

/// What a life remembers beside its stores.
struct Minds {
    topics: Arc<Topics>,
    memory: Arc<Memory>,
}

impl Process {
    fn new(client: Client, config: Config) -> Self {
        let health = Arc::new(Health::default());
        let candidate = config.lease.clone().map(|name| {
            let pod = config.pod_name.clone();
            let identity = pod.unwrap_or_else(|| format!("ottla-operator-{}", uuid::Uuid::new_v4()));
            Candidate::new(client.clone(), name, identity, health.clone())
        });
        Self {
            client,
            config,
            metrics: Arc::default(),
            health,
            ready: Arc::default(),
            candidate,
        }
    }

    fn served(&self) -> Served {
        Served {
            metrics: self.metrics.clone(),
            health: self.health.clone(),
            ready: self.ready.clone(),
        }
    }

    /// Lives until told to stop.
    async fn lives(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        while self.life(stop).await? == End::LeaseLost {
            self.ready.store(false, Ordering::Release);
            self.health.forget();
            self.metrics.forget_objects();
        }
        Ok(())
    }

    async fn life(&self, stop: &CancellationToken) -> anyhow::Result<End> {
        let permit = if self.candidate.is_some() {
            Permit::awaited()
        } else {
            Permit::unlimited()
        };
        let context = Context::new(
            guarded(self.client.clone(), permit.clone()),
            self.config.clone(),
            Connections::to_kafka(self.metrics.clone(), permit.clone()),
            self.metrics.clone(),
        );
        let ctx = Arc::new(context.with_health(self.health.clone()));
        let minds = Minds {
            topics: Arc::default(),
            memory: Arc::default(),
        };
        triggers(&ctx, &minds);
        self.metrics.clusters.count_topics_by({
            let ctx = Arc::downgrade(&ctx);
            move || topic::figures::standing(&ctx)
        });
        let mut tasks = JoinSet::new();
        watches(&ctx, &mut tasks);
        let end = tokio::select! {
            end = self.act(&ctx, &minds, &permit, stop) => end,
            Some(ended) = tasks.join_next() => {
                ended.context("a watch ended")?;
                bail!("a watch ended by itself");
            }
        };
        tasks.shutdown().await;
        end
    }

    /// Stands by, then acts, until told to stop or no longer entitled to.
    async fn act(
        &self,
        ctx: &Arc<Context>,
        minds: &Minds,
        permit: &Permit,
        stop: &CancellationToken,
    ) -> anyhow::Result<End> {
        let entitled = async {
            synced(ctx).await;
            self.ready.store(true, Ordering::Release);
            match &self.candidate {
                Some(candidate) => Some(candidate.acquire(permit).await),
                None => None,
            }
        };
        let mut held = tokio::select! {
            () = stop.cancelled() => return Ok(End::Stopped),
            held = entitled => held,
        };
        self.metrics.leads(true);
        info!(namespaces = ?ctx.config.namespaces(), "Every object is listed, work begins");
        let orders = Stop::default();
        let mut kinds = controllers(ctx, minds, &orders);
        let end = tokio::select! {
            _ended = kinds.join_next() => None,
            () = stop.cancelled() => Some(End::Stopped),
            () = lost(held.as_mut()) => Some(End::LeaseLost),
        };
        let grace = match end {
            Some(End::Stopped) if held.is_none() => GRACE,
            Some(End::Stopped) => HAND_OVER,
            Some(End::LeaseLost) | None => Duration::ZERO,
        };
        wind_down(kinds, &orders, grace).await;
        self.metrics.leads(false);
        if let Some(held) = held.filter(|_| end != Some(End::LeaseLost)) {
            held.release().await;
        }
        // The process is started anew, whole.
        end.context("a controller ended by itself")
    }
}

/// Returns when the Lease is lost; never where there is none.
async fn lost(held: Option<&mut Held<'_>>) {
    match held {
        Some(held) => held.keep().await,
        None => std::future::pending().await,
    }
}

/// Has controllers come to their end, by their own within `grace`.
async fn wind_down(mut kinds: JoinSet<()>, orders: &Stop, grace: Duration) {
    orders.begin_nothing();
    for (patience, last) in [(grace, false), (DROP, true)] {
        let ended = async { while kinds.join_next().await.is_some() {} };
        if timeout(patience, ended).await.is_ok() || last {
            return;
        }
        orders.drop_all();
    }
}

/// Registers what triggers what.
fn triggers(ctx: &Arc<Context>, minds: &Minds) {
    let Minds { topics, memory } = minds;
    // What is remembered of objects changes before their passes start.
    cluster::triggers(ctx);
    topic::triggers(ctx, topics);
    trigger_on_change::<Clusters>(ctx, &ctx.stores.clusters, &ctx.queues.clusters);
    trigger_on_change::<Topics>(ctx, &ctx.stores.topics, &ctx.queues.topics);
    trigger_on_change::<Producers>(ctx, &ctx.stores.producers, &ctx.queues.producers);
    trigger_on_change::<Consumers>(ctx, &ctx.stores.consumers, &ctx.queues.consumers);
    trigger_on_change::<Purges>(ctx, &ctx.stores.purges, &ctx.queues.purges);
    purge::triggers(ctx);
    pods::triggers::register(ctx, memory);
    producer::triggers(ctx, memory);
    consumer::triggers(ctx, memory);
}

/// Starts the watches.
fn watches(ctx: &Arc<Context>, tasks: &mut JoinSet<()>) {
    let stores = &ctx.stores;
    // Only who may act everywhere may read namespaces.
    if ctx.config.namespaces().is_empty() {
        stores.namespaces.expect_watch();
        tasks.spawn(namespaces::watch(
            ctx.client.clone(),
            stores.namespaces.clone(),
            ctx.metrics.clone(),
        ));
    }
    watch_all(ctx, tasks, &stores.clusters, None);
    watch_all(ctx, tasks, &stores.topics, None);
    watch_all(ctx, tasks, &stores.purges, None);
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

/// Returns once all stores are filled: who owns what can be told only then.
async fn synced(ctx: &Context) {
    let stores = &ctx.stores;
    stores.clusters.synced().await;
    stores.topics.synced().await;
    stores.purges.synced().await;
    stores.producers.synced().await;
    stores.consumers.synced().await;
    stores.jobs.synced().await;
    stores.deployments.synced().await;
    stores.pods.synced().await;
    // Few clusters select namespaces, and a missing right to list them must not hold up the others.
    if timeout(NAMESPACES, stores.namespaces.synced()).await.is_err() {
        warn!("Namespaces are not listed yet: KafkaClusters that select them by label serve their own only");
    }
}

/// Drives every kind. One that ends before it is told to is a defect.
fn controllers(ctx: &Arc<Context>, minds: &Minds, stop: &Stop) -> JoinSet<()> {
    let (stores, queues) = (&ctx.stores, &ctx.queues);
    let mut kinds = JoinSet::new();
    kinds.spawn(drive(
        Arc::new(Clusters),
        ctx.clone(),
        stores.clusters.clone(),
        queues.clusters.clone(),
        stop.clone(),
    ));
    kinds.spawn(drive(
        minds.topics.clone(),
        ctx.clone(),
        stores.topics.clone(),
        queues.topics.clone(),
        stop.clone(),
    ));
    kinds.spawn(drive(
        Arc::new(Purges::default()),
        ctx.clone(),
        stores.purges.clone(),
        queues.purges.clone(),
        stop.clone(),
    ));
    kinds.spawn(drive(
        Arc::new(Producers::new(minds.memory.clone())),
        ctx.clone(),
        stores.producers.clone(),
        queues.producers.clone(),
        stop.clone(),
    ));
    kinds.spawn(drive(
        Arc::new(Consumers::new(minds.memory.clone())),
        ctx.clone(),
        stores.consumers.clone(),
        queues.consumers.clone(),
        stop.clone(),
    ));
    kinds.spawn(topic::sweep::run(ctx.clone(), stop.clone()));
    kinds
}
