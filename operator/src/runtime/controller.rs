//! Drives one kind: takes objects off its queue, lets its reconciler at them, and decides when they come again.
//!
//! A pass that panics, hangs or fails touches its own object only. Passes over one object never overlap.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::apply;
use super::backoff::{Backoff, Pace};
use super::conditions::{self, Progress};
use super::context::Context;
use super::error::{Error, chain};
use super::key::Key;
use super::lanes::{Lane, Lanes};
use super::queue::Queue;
use super::store::{Entry, Store, same_input};
use super::telemetry::panic_text;
use super::watch::Watched;

/// Longest turn of a loop without anything to do.
const IDLE: Duration = Duration::from_secs(10);

/// Two orders to who drives objects: to begin nothing new, and to drop what runs. Clones are the same orders.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    begin_nothing: CancellationToken,
    drop_all: CancellationToken,
}

impl Stop {
    /// Orders to begin nothing new.
    pub fn begin_nothing(&self) {
        self.begin_nothing.cancel();
    }

    /// Orders to drop what runs, half-way as it is.
    pub fn drop_all(&self) {
        self.begin_nothing.cancel();
        self.drop_all.cancel();
    }

    /// Returns once nothing new may begin.
    pub async fn cancelled(&self) {
        self.begin_nothing.cancelled().await;
    }
}

/// When to look at an object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// When something changes; nothing is pending.
    AwaitChange,
    /// After this long at the latest; nothing is wrong.
    After(Duration),
    /// After the object's own backoff; something is wrong, and its status says what.
    Retry(Pace),
}

/// The rules of one kind.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind.
    type Object: Watched;
    /// Its name, as in `KafkaTopic`.
    const KIND: &'static str;
    /// Its name within field managers, as in `topic`.
    const MANAGER: &'static str;
    /// Longest time of one pass.
    const DEADLINE: Duration = Duration::from_secs(90);

    /// Brings Kafka and Kubernetes one step nearer to the object's spec, and its status to the truth. May be called
    /// at any time and any number of times; `object` may be somewhat stale.
    fn reconcile<'a>(
        &'a self,
        ctx: &'a Context,
        object: Arc<Self::Object>,
    ) -> BoxFuture<'a, Result<Action, Error>>;

    /// What passes over the object may have to wait for beside the Kubernetes API: its Kafka. Each has its own lane.
    fn lane(_object: &Self::Object) -> Lane {
        None
    }

    /// The conditions in an object's status, for counting.
    fn conditions(object: &Self::Object) -> &[Condition];
}

/// Has changes of a kind's objects trigger their own passes. Status changes do not.
pub fn trigger_on_change<R: Reconciler>(ctx: &Context, store: &Store<R::Object>, queue: &Queue) {
    let (queue, metrics) = (queue.clone(), ctx.metrics.clone());
    store.listen(Box::new(move |key, old, new| {
        metrics.object_moved(R::KIND, old.map(ready_reason::<R>), new.map(ready_reason::<R>));
        let same = matches!((old, new), (Some(old), Some(new)) if same_input(old, new));
        if !same {
            queue.add(key.clone());
        }
    }));
}

fn ready_reason<R: Reconciler>(entry: &Entry<R::Object>) -> &str {
    match entry {
        Entry::Object(object) => conditions::find(R::conditions(object), conditions::READY)
            .map_or("Unknown", |ready| ready.reason.as_str()),
        Entry::Broken(_) => INVALID_SPEC,
    }
}

/// Why an object that cannot be read is not Ready.
const INVALID_SPEC: &str = "InvalidSpec";

/// Drives one kind, from all objects there are, until told to begin nothing new; then lets the passes that run come to
/// their end, until told to drop them.
pub async fn drive<R: Reconciler>(
    reconciler: Arc<R>,
    ctx: Arc<Context>,
    store: Store<R::Object>,
    queue: Queue,
    stop: Stop,
) {
    queue.start(store.keys());
    let driver = Arc::new(Driver {
        reconciler,
        ctx,
        store,
        queue,
        seen: Mutex::default(),
    });
    let mut turns = Turns::new(driver.clone());
    loop {
        driver.ctx.health.beat(R::KIND);
        let waiting = driver.queue.depth() + turns.lanes.waiting();
        driver.ctx.metrics.queue_depth(R::KIND, waiting);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = turns.running.join_next_with_id() => turns.ended(ended),
            key = driver.queue.next() => turns.ask(key),
            () = tokio::time::sleep(IDLE) => {}
        }
    }
    let mut running = turns.running;
    let drained = async { while running.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => return,
        () = stop.drop_all.cancelled() => {}
    }
    warn!(
        kind = R::KIND,
        passes = running.len(),
        "Dropped passes that were running"
    );
    running.shutdown().await;
}

/// The passes that run, and those that wait for a place in their lane.
struct Turns<R: Reconciler> {
    driver: Arc<Driver<R>>,
    running: JoinSet<()>,
    lanes: Lanes,
    /// The lane of each pass that runs.
    places: HashMap<task::Id, Lane>,
}

impl<R: Reconciler> Turns<R> {
    fn new(driver: Arc<Driver<R>>) -> Self {
        Self {
            driver,
            running: JoinSet::new(),
            lanes: Lanes::default(),
            places: HashMap::new(),
        }
    }

    /// Gives an object its turn, now or when its lane has a place.
    fn ask(&mut self, key: Key) {
        let entry = self.driver.store.get(&key);
        let lane = entry.and_then(|entry| entry.object().and_then(|object| R::lane(object)));
        if let Some(key) = self.lanes.enter(&lane, key) {
            self.begin(key, lane);
        }
    }

    fn begin(&mut self, key: Key, lane: Lane) {
        let driver = self.driver.clone();
        let pass = self.running.spawn(async move { driver.turn(key).await });
        self.places.insert(pass.id(), lane);
    }

    fn ended(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                warn!(kind = R::KIND, error = chain(&error), "Lost a pass");
                error.id()
            }
        };
        if let Some(lane) = self.places.remove(&id)
            && let Some(next) = self.lanes.leave(&lane)
        {
            self.begin(next, lane);
        }
    }
}

/// The incarnation and the generation of an object.
type Input = (Option<String>, Option<i64>);

/// What is remembered of the objects whose last pass failed, and of no other.
#[derive(Default)]
struct Seen {
    backoff: Backoff,
    input: HashMap<Key, Input>,
}

impl Seen {
    fn forget(&mut self, key: &Key) {
        self.backoff.reset(key);
        self.input.remove(key);
    }
}

struct Driver<R: Reconciler> {
    reconciler: Arc<R>,
    ctx: Arc<Context>,
    store: Store<R::Object>,
    queue: Queue,
    seen: Mutex<Seen>,
}

impl<R: Reconciler> Driver<R> {
    /// The KafkaCluster that an object refers to, if there is one of that name: names alone are endless.
    fn cluster(&self, entry: &Entry<R::Object>) -> Option<String> {
        let named = R::lane(entry.object()?)?;
        self.ctx.stores.clusters.get(&named).map(|_| named.to_string())
    }

    /// One object's turn, from the queue back into it.
    async fn turn(&self, key: Key) {
        let Some(entry) = self.store.get(&key) else {
            self.with_seen(|seen| seen.forget(&key));
            self.queue.done(&key);
            return;
        };
        let input = self.note_input(&key, &entry);
        let started = Instant::now();
        let result = self.guarded(&entry).await;
        let outcome = outcome(&result);
        let cluster = self.cluster(&entry);
        self.ctx
            .metrics
            .reconciled(R::KIND, cluster.as_deref(), outcome, started.elapsed());
        match result {
            Ok(Action::AwaitChange) => self.succeeded(&key, None),
            Ok(Action::After(wait)) => self.succeeded(&key, Some(wait)),
            Ok(Action::Retry(pace)) => self.failed(&key, input, pace),
            Err(error) => {
                let (namespace, name) = (&key.namespace, &key.name);
                if matches!(
                    error,
                    Error::Conflict { .. } | Error::Gone { .. } | Error::NotPermitted { .. }
                ) {
                    debug!(
                        kind = R::KIND,
                        namespace,
                        name,
                        error = chain(&error),
                        "Pass met a change"
                    );
                } else {
                    warn!(
                        kind = R::KIND,
                        namespace,
                        name,
                        error = chain(&error),
                        "Pass failed"
                    );
                }
                self.failed(&key, input, error.pace());
            }
        }
        self.queue.done(&key);
    }

    /// The pass itself, within its deadline, its panics caught.
    async fn guarded(&self, entry: &Entry<R::Object>) -> Result<Action, Error> {
        let object = match entry {
            Entry::Object(object) => object.clone(),
            Entry::Broken(broken) => return self.report_broken(entry, &broken.error).await,
        };
        let pass = AssertUnwindSafe(self.reconciler.reconcile(&self.ctx, object)).catch_unwind();
        match timeout(R::DEADLINE, pass).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Error::Panic(panic_text(&*panic).to_owned())),
            Err(_) => Err(Error::Deadline(R::DEADLINE)),
        }
    }

    async fn report_broken(&self, entry: &Entry<R::Object>, error: &str) -> Result<Action, Error> {
        if entry.meta().deletion_timestamp.is_some() {
            apply::release_broken(&self.ctx, entry).await?;
            return Ok(Action::AwaitChange);
        }
        let message = format!("the object cannot be read: {error}; correct it, or delete it");
        let generation = entry.meta().generation.unwrap_or_default();
        let facts = conditions::summary(Progress::Stalled, INVALID_SPEC, &message);
        let conditions = conditions::build(&[], facts, generation, self.ctx.now());
        apply::broken_status(&self.ctx, entry, R::MANAGER, &conditions).await?;
        Ok(Action::AwaitChange)
    }

    /// A new spec or a new object has a clean slate.
    fn note_input(&self, key: &Key, entry: &Entry<R::Object>) -> Input {
        let input = (entry.meta().uid.clone(), entry.meta().generation);
        self.with_seen(|seen| {
            if seen.input.get(key).is_some_and(|failed| *failed != input) {
                seen.forget(key);
            }
        });
        input
    }

    fn succeeded(&self, key: &Key, again: Option<Duration>) {
        self.with_seen(|seen| seen.forget(key));
        if let Some(wait) = again {
            self.queue.add_after(key.clone(), wait);
        }
    }

    fn failed(&self, key: &Key, input: Input, pace: Pace) {
        let wait = self.with_seen(|seen| {
            seen.input.insert(key.clone(), input);
            seen.backoff.failed(key, pace, Instant::now(), rand::random())
        });
        debug!(
            kind = R::KIND,
            namespace = key.namespace,
            name = key.name,
            ?wait,
            "Will try again"
        );
        self.queue.add_after(key.clone(), wait);
    }

    fn with_seen<T>(&self, act: impl FnOnce(&mut Seen) -> T) -> T {
        act(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const fn outcome(result: &Result<Action, Error>) -> &'static str {
    match result {
        Ok(Action::AwaitChange | Action::After(_)) => "ok",
        Ok(Action::Retry(_)) => "waiting",
        Err(error) => error.label(),
    }
}

/// Reads the generation of an object; the API server always sets it.
#[must_use]
pub fn generation<K: ResourceExt>(object: &K) -> i64 {
    object.meta().generation.unwrap_or_default()
}
