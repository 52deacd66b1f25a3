//! The only place where the wall clock is read and a thread is made to wait.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970.
#[must_use]
#[allow(
    clippy::disallowed_methods,
    reason = "this is the edge where the clock is read"
)]
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Waits, whatever wakes the thread in between.
pub fn pause(duration: Duration) {
    let until = Instant::now() + duration;
    while let Some(left) = until
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        std::thread::park_timeout(left);
    }
}
