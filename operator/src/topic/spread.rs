//! Spreads what a change of defaults does to a cluster's topics over time: each topic is given a turn, and waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::Key;

/// Between the turns of two topics of a cluster: slow enough for a person to stop a mistake.
const BETWEEN: Duration = Duration::from_millis(100);

/// The turns of every cluster's topics.
#[derive(Debug, Default)]
pub(super) struct Spread(Mutex<HashMap<Key, Turns>>);

#[derive(Debug, Default)]
struct Turns {
    next: Option<Instant>,
    given: HashMap<Key, Instant>,
}

impl Spread {
    /// Whether it is the topic's turn; else, how long until then.
    pub(super) fn turn(&self, cluster: &Key, topic: &Key) -> Option<Duration> {
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = all.entry(cluster.clone()).or_default();
        let at = if let Some(at) = turns.given.get(topic) {
            *at
        } else {
            let at = turns.next.unwrap_or(now).max(now);
            turns.next = Some(at + BETWEEN);
            at
        };
        if at <= now {
            turns.given.remove(topic);
            return None;
        }
        turns.given.insert(topic.clone(), at);
        Some(at - now)
    }

    /// Forgets a topic whose object is gone.
    pub(super) fn forget(&self, topic: &Key) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for turns in all.values_mut() {
            turns.given.remove(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_kept_and_lie_apart() {
        let (spread, cluster) = (Spread::default(), Key::new("k", "c"));
        let topic = |n: u32| Key::new("t", n.to_string());
        assert_eq!(spread.turn(&cluster, &topic(0)), None);
        assert_eq!(spread.turn(&cluster, &topic(1)), Some(BETWEEN));
        assert_eq!(spread.turn(&cluster, &topic(2)), Some(BETWEEN * 2));
        assert_eq!(
            spread.turn(&cluster, &topic(1)),
            Some(BETWEEN),
            "asking again costs nothing"
        );
        assert_eq!(
            spread.turn(&Key::new("k", "d"), &topic(9)),
            None,
            "another cluster is another line"
        );
        tokio::time::advance(BETWEEN).await;
        assert_eq!(spread.turn(&cluster, &topic(1)), None);
        assert_eq!(spread.turn(&cluster, &topic(2)), Some(BETWEEN));
    }
}
