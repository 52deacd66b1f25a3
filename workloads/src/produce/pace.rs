//! When the next record is due. Open loop: a record that could not be sent in time is late, the plan does not move.
//!
//! Pure; the time since the start is an argument.

use std::time::Duration;

/// The plan of sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Records a second of all pods, and the number of pods.
    rate: Option<(u32, u32)>,
}

impl Pace {
    pub(super) fn new(records_per_second: Option<u32>, shares: u32) -> Self {
        Self {
            rate: records_per_second.map(|rate| (rate.max(1), shares.max(1))),
        }
    }

    /// When the record of this number is due, after the start; `None`: at once.
    pub(super) fn due(&self, number: u64) -> Option<Duration> {
        let (rate, shares) = self.rate?;
        let nanos = u128::from(number) * 1_000_000_000 * u128::from(shares) / u128::from(rate);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_share_the_rate() {
        let pace = Pace::new(Some(1_000), 4);
        assert_eq!(pace.due(0), Some(Duration::ZERO));
        assert_eq!(pace.due(250), Some(Duration::from_secs(1)));
        assert_eq!(Pace::new(None, 4).due(250), None);
    }
}
