//! How often figures go to a status: what changes all the time is written now and then, what matters at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tokio::time::Instant;

/// Shortest time between two writes of mere figures.
pub const FIGURES_EVERY: Duration = Duration::from_secs(15);

/// When each object's status was written last, by uid.
#[derive(Debug, Default)]
pub struct Pacing(Mutex<HashMap<String, Instant>>);

impl Pacing {
    fn written(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long figures of this object have still to wait; none when they may be written now.
    pub fn wait(&self, uid: &str, now: Instant) -> Option<Duration> {
        let due = *self.written().get(uid)? + FIGURES_EVERY;
        due.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Takes in that this object's status was written.
    pub fn wrote(&self, uid: &str, now: Instant) {
        self.written().insert(uid.to_owned(), now);
    }

    /// Drops what is remembered of an object.
    pub fn forget(&self, uid: &str) {
        self.written().remove(uid);
    }
}

/// Whether two lists of conditions differ in messages and times at most.
#[must_use]
pub fn same_reasons(a: &[Condition], b: &[Condition]) -> bool {
    let core = |c: &Condition| {
        (
            c.type_.clone(),
            c.status.clone(),
            c.reason.clone(),
            c.observed_generation,
        )
    };
    a.iter().map(core).eq(b.iter().map(core))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn figures_wait_for_their_turn() {
        let (pacing, start) = (Pacing::default(), Instant::now());
        assert_eq!(pacing.wait("a", start), None, "the first write is at once");
        pacing.wrote("a", start);
        assert_eq!(
            pacing.wait("a", start + Duration::from_secs(5)),
            Some(Duration::from_secs(10))
        );
        assert_eq!(pacing.wait("a", start + FIGURES_EVERY), None);
        assert_eq!(pacing.wait("b", start), None);
    }
}
