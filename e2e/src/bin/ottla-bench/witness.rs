//! A watch of our own over the objects of one kind in one namespace: when each was first seen as what is waited for.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher;
use ottla_e2e::object::Look;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What was seen of one object.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The generation that was last said to be Ready, and when that was first seen.
    pub ready: Option<(i64, Instant)>,
    /// When it was seen to wait for a Kafka.
    pub waits: Option<Instant>,
    /// Whether anybody must act on its deletion.
    pub guarded: bool,
    /// When it was seen to be gone.
    pub gone: Option<Instant>,
}

#[derive(Default)]
struct State {
    objects: Mutex<HashMap<String, Seen>>,
    changes: watch::Sender<u64>,
}

/// The watch; it ends with this value.
pub struct Witness {
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Witness {
    /// Starts to watch.
    pub async fn start(api: Api<DynamicObject>) -> Result<Self> {
        let state = Arc::new(State::default());
        let (listed, first_list) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(follow(api, Arc::clone(&state), listed));
        first_list.await.context("the watch ended")?;
        Ok(Self { state, task })
    }

    /// Waits until `test` gives a moment for each of the objects, and answers those moments.
    pub async fn all(
        &self,
        what: &str,
        names: impl IntoIterator<Item = &String>,
        patience: Duration,
        test: impl Fn(&Seen) -> Option<Instant>,
    ) -> Result<HashMap<String, Instant>> {
        let mut changes = self.state.changes.subscribe();
        let mut moments = HashMap::new();
        let end = tokio::time::Instant::now() + patience;
        for name in names {
            loop {
                changes.mark_unchanged();
                if let Some(at) = self.state.lock().get(name).and_then(&test) {
                    moments.insert(name.clone(), at);
                    break;
                }
                let next = tokio::time::timeout_at(end, changes.changed()).await;
                next.with_context(|| format!("after {patience:?} {name} is still not {what}"))??;
            }
        }
        Ok(moments)
    }

    /// Waits for Ready of that generation at least.
    pub async fn ready(
        &self,
        names: impl IntoIterator<Item = &String>,
        generation: i64,
        patience: Duration,
    ) -> Result<HashMap<String, Instant>> {
        self.all("Ready", names, patience, |seen| {
            let (at_generation, at) = seen.ready?;
            (at_generation >= generation).then_some(at)
        })
        .await
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, object: &DynamicObject, gone: bool) {
        let now = Instant::now();
        let name = object.metadata.name.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        {
            let mut objects = self.lock();
            let seen = objects.entry(name).or_default();
            seen.guarded = object
                .metadata
                .finalizers
                .as_ref()
                .is_some_and(|all| !all.is_empty());
            let waits = object.says("Ready", "False", "ClusterNotReady");
            seen.waits = waits.then(|| seen.waits.unwrap_or(now));
            let known = seen.ready.map(|(generation, _)| generation);
            if object.says("Ready", "True", "") && known != Some(generation) {
                seen.ready = Some((generation, now));
            }
            if gone {
                *seen = Seen {
                    gone: Some(now),
                    ..Seen::default()
                };
            } else {
                seen.gone = None;
            }
        }
        self.changes.send_modify(|count| *count += 1);
    }
}

async fn follow(api: Api<DynamicObject>, state: Arc<State>, listed: tokio::sync::oneshot::Sender<()>) {
    let mut listed = Some(listed);
    let mut events = pin!(watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                state.take_in(&object, false);
            }
            Ok(watcher::Event::Delete(object)) => state.take_in(&object, true),
            Ok(watcher::Event::InitDone) => {
                if let Some(listed) = listed.take() {
                    let _nobody_waits = listed.send(());
                }
            }
            Ok(watcher::Event::Init) => {}
            Err(error) => {
                eprintln!("the watch failed and is set up again: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}
