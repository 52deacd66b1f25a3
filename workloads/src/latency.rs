//! How long records took, from the moment they were meant to be sent. Memory is fixed.

use hdrhistogram::Histogram;
use ottla_contract::report::Latency;

/// Longest time told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// Times taken.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    #[allow(clippy::expect_used, reason = "the bounds are constants")]
    fn default() -> Self {
        Self(
            Histogram::new_with_bounds(1, LONGEST, 2).expect("1 to an hour with two digits are valid bounds"),
        )
    }
}

impl Latencies {
    /// Adds one; the clocks of two machines may make it negative, which counts as none.
    pub(crate) fn record(&mut self, from_ns: u64, to_ns: u64) {
        self.0.saturating_record(to_ns.saturating_sub(from_ns) / 1_000);
    }

    /// The quantiles; `None` before the first.
    pub(crate) fn summary(&self) -> Option<Latency> {
        let at = |quantile| self.0.value_at_quantile(quantile);
        (!self.0.is_empty()).then(|| Latency {
            p50: at(0.5),
            p99: at(0.99),
            max: self.0.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_microseconds() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), None);
        (1..=100).for_each(|ms| latencies.record(5, 5 + ms * 1_000_000));
        let summary = latencies.summary().unwrap();
        assert!((49_000..52_000).contains(&summary.p50), "{summary:?}");
        assert!((99_000..102_000).contains(&summary.max), "{summary:?}");
    }
}
