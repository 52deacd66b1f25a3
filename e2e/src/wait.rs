//! Awaiting a condition with a deadline, with a failure that says what was awaited and what was last seen.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a condition that cannot be watched is looked at.
const TICK: Duration = Duration::from_millis(300);

/// Looks until `check` answers `Ok`, or fails at the deadline with `what` and the last `Err`.
///
/// An `Err` of the check means "not yet, because"; it is only reported when time is up.
pub async fn until<T, E: Debug>(
    what: &str,
    deadline: Duration,
    mut check: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let last = match check().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if Instant::now() >= end {
            bail!("after {deadline:?} still waiting for {what}; last seen: {last:?}");
        }
    }
}

/// Looks for the whole of `span` and fails as soon as `check` does: for what must stay as it is.
pub async fn throughout(
    what: &str,
    span: Duration,
    mut check: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let end = Instant::now() + span;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < end {
        ticks.tick().await;
        if let Err(error) = check().await {
            return Err(error.context(format!("{what} did not hold")));
        }
    }
    Ok(())
}
