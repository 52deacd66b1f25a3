//! Topics that were deleted over this client's connections. A broker goes on showing one until it has caught up with the
//! controller; since ids are never given twice, what it shows then is known to be gone.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::types::TopicId;

/// How far behind a broker is thought to be at most: longer, and the controller no longer counts it as alive.
const REMEMBERED: Duration = Duration::from_secs(120);

/// Ids of topics deleted of late.
#[derive(Debug, Default)]
pub(super) struct Deleted(Mutex<Ids>);

#[derive(Debug, Default)]
struct Ids {
    by_age: VecDeque<(Instant, TopicId)>,
    all: HashSet<TopicId>,
}

impl Deleted {
    /// Remembers a topic of which the controller said that it is gone.
    pub(super) fn remember(&self, id: TopicId) {
        self.lock().remember(id, Instant::now());
    }

    /// Whether a topic that a broker shows is gone.
    pub(super) fn contains(&self, id: TopicId) -> bool {
        self.lock().contain(id, Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Ids> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    fn remember(&mut self, id: TopicId, now: Instant) {
        self.forget(now);
        if self.all.insert(id) {
            self.by_age.push_back((now, id));
        }
    }

    fn contain(&mut self, id: TopicId, now: Instant) -> bool {
        self.forget(now);
        self.all.contains(&id)
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, id)) = self.by_age.front().copied()
            && now.duration_since(at) > REMEMBERED
        {
            self.by_age.pop_front();
            self.all.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_deletion_is_remembered_for_a_while() {
        let mut ids = Ids::default();
        let [first, second] = [1, 2].map(|number| TopicId::from(Uuid::from_u128(number)));
        let start = Instant::now();
        ids.remember(first, start);
        let later = start + REMEMBERED / 2;
        ids.remember(second, later);
        ids.remember(first, later);
        assert!(ids.contain(first, start + REMEMBERED) && ids.contain(second, later));
        let later = later + REMEMBERED;
        assert!(!ids.contain(first, later) && ids.contain(second, later));
        let later = later + Duration::from_secs(1);
        assert!(!ids.contain(second, later));
        assert!(ids.by_age.is_empty() && ids.all.is_empty());
    }
}
