//! Streams whose end was gone before it could be read. Their sender says where the closing record stood; a reader that had
//! not come to it yet and found the log beginning beyond it waits for it in vain.
//!
//! A reader that chose to begin there is another matter: what it passed over is still in the log. So is one that had passed
//! the place before: where it found no closing record then, Kafka has lost it.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use crate::ids::Incarnation;
use crate::report::PartitionSnapshot;

/// What of the expected streams was gone.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// The streams whose end was.
    pub(super) streams: BTreeSet<(Incarnation, i32)>,
    /// Records of theirs below a purge's cut that no reader has counted.
    pub(super) purged: u64,
    /// Other records of theirs that no reader has counted.
    pub(super) expired: u64,
}

impl Gone {
    pub(super) fn of(facts: &Facts<'_>, partitions: &BTreeMap<i32, &PartitionSnapshot>) -> Self {
        let mut gone = Self::default();
        let sent = facts
            .producers
            .iter()
            .flat_map(|producer| &producer.report.incarnations);
        for (id, stream) in sent.flat_map(|sent| sent.streams.iter().map(|stream| (sent.id, stream))) {
            let Some((end, snapshot)) = stream.closed_at.zip(partitions.get(&stream.partition)) else {
                continue;
            };
            let met = snapshot.streams.iter().find(|met| met.incarnation == id);
            if met.is_some_and(|met| met.closing.is_some()) {
                continue;
            }
            let Some(gap) = snapshot.gaps.iter().find(|gap| gap.from <= end && end < gap.to) else {
                continue;
            };
            if !gone.streams.insert((id, stream.partition)) {
                continue;
            }
            let read = met.map_or(0, |met| met.next);
            let left = stream.last_sequence.saturating_add(1).saturating_sub(read);
            let cut = facts.purges.get(&stream.partition).copied().unwrap_or_default();
            let counted = if gap.to <= cut {
                &mut gone.purged
            } else {
                &mut gone.expired
            };
            *counted = counted.saturating_add(left);
        }
        gone
    }
}
