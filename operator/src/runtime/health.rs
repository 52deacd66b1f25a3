//! Whether this process still works: each loop reports that it turns. A dead Kafka or a dead API server is no reason
//! to be unhealthy.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A loop that has not turned for this long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(150);

/// When each loop last turned.
#[derive(Debug, Default)]
pub struct Health {
    beats: Mutex<HashMap<&'static str, Instant>>,
}

impl Health {
    /// Takes in that a loop turned.
    pub fn beat(&self, name: &'static str) {
        self.beats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, Instant::now());
    }

    /// Forgets all loops: they have ended, and others begin.
    pub fn forget(&self) {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The loops that stand still.
    #[must_use]
    pub fn dead(&self) -> Vec<&'static str> {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats
            .iter()
            .filter(|(_, at)| at.elapsed() > DEAD_AFTER)
            .map(|(name, _)| *name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_is_named() {
        let health = Health::default();
        health.beat("topic");
        assert!(health.dead().is_empty());
        tokio::time::advance(DEAD_AFTER * 2).await;
        health.beat("cluster");
        assert_eq!(health.dead(), ["topic"]);
    }
}
