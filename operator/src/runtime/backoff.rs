//! How long an object waits after a failure: exponential, jittered, capped, per object. Pure: time and chance are
//! arguments.
//!
//! Waits are counted, not calls: an object that is triggered again before its wait ran out keeps the wait it has, so
//! that unrelated events neither shorten nor inflate it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::key::Key;

/// How fast failures of one sort are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The first wait.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Pace {
    /// What heals by itself: a lost connection, a lagging broker.
    pub const FAST: Self = Self {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
    };
    /// A Kafka that cannot be reached: asked often, since everything waits for it.
    pub const PROBE: Self = Self {
        base: Duration::from_secs(2),
        cap: Duration::from_secs(15),
    };
    /// What only a person heals: a missing right, too few brokers.
    pub const SLOW: Self = Self {
        base: Duration::from_secs(15),
        cap: Duration::from_secs(300),
    };
}

#[derive(Debug)]
struct Failing {
    failures: u32,
    until: Instant,
}

/// The failing objects of one kind.
#[derive(Debug, Default)]
pub struct Backoff(HashMap<Key, Failing>);

impl Backoff {
    /// Tells how long to wait after a failure at `now`. `chance` is a random number from 0 to 1; up to a fifth is
    /// taken off the wait by it.
    pub fn failed(&mut self, key: &Key, pace: Pace, now: Instant, chance: f64) -> Duration {
        if let Some(known) = self.0.get(key)
            && known.until > now
        {
            return (known.until - now).min(pace.cap);
        }
        let failures = self.0.get(key).map_or(0, |known| known.failures);
        let full = pace
            .base
            .saturating_mul(2_u32.saturating_pow(failures.min(20)))
            .min(pace.cap);
        let wait = full.mul_f64(1.0 - 0.2 * chance.clamp(0.0, 1.0));
        self.0.insert(
            key.clone(),
            Failing {
                failures: failures.saturating_add(1),
                until: now + wait,
            },
        );
        wait
    }

    /// Forgets an object's failures: it succeeded, its spec changed, or it is gone.
    pub fn reset(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(10),
    };

    #[test]
    fn waits_double_up_to_the_cap_and_start_again_after_a_success() {
        let (mut backoff, key, mut now) = (Backoff::default(), Key::new("a", "b"), Instant::now());
        let mut waits = vec![];
        for _ in 0..6 {
            let wait = backoff.failed(&key, PACE, now, 0.0);
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        backoff.reset(&key);
        assert_eq!(backoff.failed(&key, PACE, now, 0.0), Duration::from_secs(1));
    }

    #[test]
    fn a_trigger_before_its_time_does_not_lengthen_the_wait() {
        let (mut backoff, key, now) = (Backoff::default(), Key::new("a", "b"), Instant::now());
        let first = backoff.failed(&key, PACE, now, 0.0);
        let half = first / 2;
        assert_eq!(backoff.failed(&key, PACE, now + half, 0.0), half);
        assert_eq!(
            backoff.failed(&key, PACE, now + first, 0.0),
            Duration::from_secs(2)
        );
    }

    #[test]
    fn chance_takes_off_at_most_a_fifth() {
        let (mut backoff, key, now) = (Backoff::default(), Key::new("a", "b"), Instant::now());
        assert_eq!(backoff.failed(&key, PACE, now, 1.0), Duration::from_millis(800));
    }
}
