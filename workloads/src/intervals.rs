//! A set of sequences as intervals: few bytes however many records, because sequences are missed in stretches.

use std::collections::BTreeMap;

/// Disjoint, non-adjacent intervals, by first sequence, with the sequence after the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intervals(BTreeMap<u64, u64>);

impl Intervals {
    /// Adds `first..end`, which overlaps nothing in the set.
    pub(crate) fn add(&mut self, first: u64, end: u64) {
        if first >= end {
            return;
        }
        let mut first = first;
        if let Some((&before, &before_end)) = self.0.range(..first).next_back()
            && before_end == first
        {
            first = before;
        }
        let end = self.0.remove(&end).unwrap_or(end);
        self.0.insert(first, end);
    }

    /// Takes one sequence out; false if it is not in the set.
    pub(crate) fn fill(&mut self, sequence: u64) -> bool {
        let Some((&first, &end)) = self.0.range(..=sequence).next_back() else {
            return false;
        };
        if sequence >= end {
            return false;
        }
        self.0.remove(&first);
        if first < sequence {
            self.0.insert(first, sequence);
        }
        if sequence + 1 < end {
            self.0.insert(sequence + 1, end);
        }
        true
    }

    /// Takes everything in `from..below` out, and returns it.
    pub(crate) fn take(&mut self, from: u64, below: u64) -> Self {
        let mut taken = Self::default();
        if from >= below {
            return taken;
        }
        let touched: Vec<(u64, u64)> = self
            .0
            .range(..below)
            .rev()
            .take_while(|(_, end)| **end > from)
            .map(|(&f, &e)| (f, e))
            .collect();
        for (first, end) in touched.into_iter().rev() {
            self.0.remove(&first);
            if first < from {
                self.0.insert(first, from);
            }
            if end > below {
                self.0.insert(below, end);
            }
            taken.add(first.max(from), end.min(below));
        }
        taken
    }

    /// Number of sequences.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|(first, end)| end - first).sum()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of sequences from `from` on.
    pub(crate) fn len_from(&self, from: u64) -> u64 {
        self.0
            .iter()
            .map(|(first, end)| end.saturating_sub(from.max(*first)))
            .sum()
    }

    /// Number of intervals, which is what they cost.
    pub(crate) fn intervals(&self) -> usize {
        self.0.len()
    }

    /// The intervals, ascending, as (first, end).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(first, end)| (*first, *end))
    }

    /// The sequences, ascending.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = u64> {
        self.iter().flat_map(|(first, end)| first..end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Fill(u64),
        Take(u64, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..60_u64).prop_map(Step::Fill),
            (0..60_u64, 0..60_u64).prop_map(|(a, b)| Step::Take(a, b))
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_set(adds in prop::collection::vec((0..3_u64, 1..4_u64), 0..12), steps in prop::collection::vec(step(), 0..20)) {
            let (mut ours, mut set, mut at) = (Intervals::default(), BTreeSet::new(), 0);
            for (gap, length) in adds {
                at += gap;
                ours.add(at, at + length);
                set.extend(at..at + length);
                at += length;
            }
            for step in steps {
                match step {
                    Step::Fill(sequence) => prop_assert_eq!(ours.fill(sequence), set.remove(&sequence)),
                    Step::Take(from, below) => {
                        let taken: Vec<u64> = ours.take(from, below).sequences().collect();
                        let expected: Vec<u64> =
                            set.iter().copied().filter(|s| (from..below).contains(s)).collect();
                        set.retain(|s| !(from..below).contains(s));
                        prop_assert_eq!(taken, expected);
                    }
                }
                prop_assert_eq!(ours.sequences().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(ours.len(), set.len() as u64);
                prop_assert_eq!(ours.len_from(9), set.range(9..).count() as u64);
                let ends: Vec<_> = ours.iter().collect();
                prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0), "not merged: {:?}", ends);
            }
        }
    }
}
