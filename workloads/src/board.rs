//! What the working thread tells the others: its newest report, that it lives, that it is ready; and what they tell it:
//! stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A working thread that shows no sign of life for this long is stuck.
const STUCK: Duration = Duration::from_secs(150);

/// Shared between the working thread and the others.
#[derive(Debug)]
pub struct Board<R> {
    report: Mutex<R>,
    started: Instant,
    /// Milliseconds from `started` to the last sign of life.
    alive: AtomicU64,
    ready: AtomicBool,
    stop: AtomicBool,
}

impl<R: Clone> Board<R> {
    /// A board that shows `report`.
    #[must_use]
    pub fn new(report: R) -> Self {
        Self {
            report: Mutex::new(report),
            started: Instant::now(),
            alive: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }
    }

    /// The newest report.
    pub fn report(&self) -> R {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the report.
    pub fn publish(&self, report: R) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    /// Says that the working thread lives.
    pub fn beat(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.alive.store(elapsed, Ordering::Relaxed);
    }

    /// Whether the working thread has given a sign of life lately.
    pub fn is_alive(&self) -> bool {
        let last = Duration::from_millis(self.alive.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(last) < STUCK
    }

    /// Says whether the work goes on.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether the work goes on.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Asks the working thread to stop.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the working thread is to stop.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
