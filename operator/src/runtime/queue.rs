//! The queue of one kind: which objects to reconcile, now or later. Hands an object out once at a time, and again
//! afterwards when it was asked for meanwhile. Knows no object, only keys.
//!
//! Until somebody starts it, what is asked for is forgotten at once: an operator that stands by collects no work.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::key::Key;

#[derive(Debug, Default)]
struct State {
    started: bool,
    due: VecDeque<Key>,
    in_due: HashSet<Key>,
    running: HashSet<Key>,
    again: HashSet<Key>,
    later: BTreeSet<(Instant, Key)>,
    at: HashMap<Key, Instant>,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    wake: Notify,
}

/// A handle to one kind's queue.
#[derive(Clone, Debug, Default)]
pub struct Queue(Arc<Inner>);

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to collect what is asked for, these objects first of all.
    pub fn start(&self, keys: impl IntoIterator<Item = Key>) {
        self.state().started = true;
        for key in keys {
            self.add(key);
        }
    }

    /// Asks for an object at once.
    pub fn add(&self, key: Key) {
        let mut state = self.state();
        if !state.started {
            return;
        }
        state.unschedule(&key);
        if state.running.contains(&key) {
            state.again.insert(key);
        } else if state.in_due.insert(key.clone()) {
            state.due.push_back(key);
            self.0.wake.notify_one();
        }
    }

    /// Asks for an object after a while, unless it is asked for earlier.
    pub fn add_after(&self, key: Key, wait: Duration) {
        let at = Instant::now() + wait;
        let mut state = self.state();
        if !state.started || state.in_due.contains(&key) || state.again.contains(&key) {
            return;
        }
        if state.at.get(&key).is_some_and(|earlier| *earlier <= at) {
            return;
        }
        state.unschedule(&key);
        state.at.insert(key.clone(), at);
        state.later.insert((at, key));
        self.0.wake.notify_one();
    }

    /// Takes the next object, waiting for one. Every key taken must be given to [`Queue::done`].
    pub async fn next(&self) -> Key {
        loop {
            let notified = self.0.wake.notified();
            let next_at = {
                let mut state = self.state();
                state.promote(Instant::now());
                if let Some(key) = state.due.pop_front() {
                    state.in_due.remove(&key);
                    state.running.insert(key.clone());
                    return key;
                }
                state.later.first().map(|(at, _)| *at)
            };
            match next_at {
                Some(at) => tokio::select! {
                    () = notified => {}
                    () = sleep_until(at) => {}
                },
                None => notified.await,
            }
        }
    }

    /// Says that an object's turn is over.
    pub fn done(&self, key: &Key) {
        let mut state = self.state();
        state.running.remove(key);
        if state.again.remove(key) && state.in_due.insert(key.clone()) {
            state.unschedule(key);
            state.due.push_back(key.clone());
            self.0.wake.notify_one();
        }
    }

    /// How many objects wait for their turn, not counting those asked for later.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.state().due.len()
    }
}

impl State {
    fn unschedule(&mut self, key: &Key) {
        if let Some(at) = self.at.remove(key) {
            self.later.remove(&(at, key.clone()));
        }
    }

    fn promote(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, key)) = self.later.pop_first() else {
                return;
            };
            self.at.remove(&key);
            if self.running.contains(&key) {
                self.again.insert(key);
            } else if self.in_due.insert(key.clone()) {
                self.due.push_back(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn key(name: &str) -> Key {
        Key::new("ns", name)
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_runs_once_at_a_time_and_again_when_asked_meanwhile() {
        let queue = Queue::default();
        queue.start([key("a")]);
        queue.add(key("a"));
        assert_eq!(queue.next().await, key("a"));
        queue.add(key("a"));
        assert!(timeout(Duration::from_secs(5), queue.next()).await.is_err());
        queue.done(&key("a"));
        assert_eq!(queue.next().await, key("a"));
        queue.done(&key("a"));
        assert!(timeout(Duration::from_secs(5), queue.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn before_its_start_it_collects_nothing() {
        let queue = Queue::default();
        queue.add(key("gone by then"));
        queue.add_after(key("gone too"), Duration::ZERO);
        queue.start([key("a"), key("b")]);
        assert_eq!((queue.next().await, queue.next().await), (key("a"), key("b")));
        assert!(timeout(Duration::from_secs(5), queue.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_time_wins() {
        let (queue, start) = (Queue::default(), Instant::now());
        queue.start([]);
        queue.add_after(key("a"), Duration::from_secs(30));
        queue.add_after(key("a"), Duration::from_secs(10));
        queue.add_after(key("a"), Duration::from_secs(20));
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(start.elapsed().as_secs(), 10);
        queue.done(&key("a"));
        assert!(timeout(Duration::from_secs(60), queue.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn now_beats_later() {
        let queue = Queue::default();
        queue.start([]);
        queue.add_after(key("a"), Duration::from_secs(30));
        queue.add(key("a"));
        assert_eq!(
            timeout(Duration::from_millis(1), queue.next()).await,
            Ok(key("a"))
        );
        queue.done(&key("a"));
        assert!(timeout(Duration::from_secs(60), queue.next()).await.is_err());
    }
}
