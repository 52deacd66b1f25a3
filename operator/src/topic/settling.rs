//! Which topics this operator changed so lately that a broker may still show what they were: brokers learn of a change from
//! the controller, and in a burst they lag behind it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ottla_kafka::types::TopicId;
use tokio::time::Instant;

/// How long a broker may lag.
const WITHIN: Duration = super::BELIEVE_ABSENCE;

/// The changes of the last moments.
#[derive(Debug, Default)]
pub(super) struct Settling(Mutex<Changes>);

#[derive(Debug, Default)]
struct Changes {
    last: HashMap<TopicId, Instant>,
    /// Each change in its turn, so that what is long past is forgotten first.
    turns: VecDeque<(Instant, TopicId)>,
}

impl Settling {
    /// Remembers a change that was just made.
    pub(super) fn changed(&self, topic: TopicId) {
        let now = Instant::now();
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((at, past)) = changes.turns.front().copied()
            && at + WITHIN <= now
        {
            changes.turns.pop_front();
            if changes.last.get(&past) == Some(&at) {
                changes.last.remove(&past);
            }
        }
        changes.last.insert(topic, now);
        changes.turns.push_back((now, topic));
    }

    /// How long ago a topic was changed, where that is so short that a broker may lag.
    pub(super) fn since(&self, topic: TopicId) -> Option<Duration> {
        let changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = changes.last.get(&topic)?.elapsed();
        (since < WITHIN).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(number: u128) -> TopicId {
        TopicId::from(uuid::Uuid::from_u128(number))
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_counts_for_a_while_and_the_last_one_counts() {
        let second = Duration::from_secs(1);
        let settling = Settling::default();
        assert_eq!(settling.since(topic(1)), None);
        settling.changed(topic(1));
        tokio::time::advance(second * 20).await;
        assert_eq!(settling.since(topic(1)), Some(second * 20));
        settling.changed(topic(1));
        tokio::time::advance(second * 20).await;
        settling.changed(topic(2));
        assert_eq!(
            settling.since(topic(1)),
            Some(second * 20),
            "the first is forgotten, not the last"
        );
        tokio::time::advance(second * 10).await;
        assert_eq!(settling.since(topic(1)), None);
        settling.changed(topic(3));
        let kept = settling.0.lock().unwrap();
        assert_eq!(
            (kept.last.len(), kept.turns.len()),
            (2, 2),
            "what is past is not kept"
        );
    }
}
