//! The judgement on a consumer: what its pods read, held against what the producers say they sent.
//!
//! Pure and total. It says Pass only on evidence, and Lost only on proof; everything between is Unknown with a reason.
//!
//! *Architecture Invariant:* figures of one partition are cumulative and travel with it, so the snapshot with the
//! greatest progress stands for the partition. Two snapshots of a partition are never added up.

mod gone;
mod judge;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::ExpectedRun;
use crate::report::{ConsumerReport, Counters, Evidence, ProducerReport};

pub use judge::judge;

/// What is known when the judgement is made.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What every producer pod of the topic said, also those that are gone.
    pub producers: &'a [ProducerFacts<'a>],
    /// Runs known from the objects.
    pub expected: &'a [ExpectedRun],
    /// What every pod of the consumer said, also those that are gone. Several reports of one process are fine.
    pub consumers: &'a [&'a ConsumerReport],
    /// The consumer stops when all is read.
    pub bounded: bool,
    /// Records without which nothing passes.
    pub min_records: u64,
    /// What is still allowed.
    pub require: Require,
    /// The greatest offset below which a purge cleared each partition.
    pub purges: &'a BTreeMap<i32, i64>,
    /// Purged records counted before: a purge may be forgotten since, what it removed is not.
    pub purged_before: u64,
}

/// What one producer pod said.
#[derive(Clone, Copy, Debug)]
pub struct ProducerFacts<'a> {
    /// Its last report.
    pub report: &'a ProducerReport,
    /// The process has ended: what it has not closed stays open.
    pub gone: bool,
}

/// The highest count of each that is still allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Require {
    /// Lost records.
    pub lost: u64,
    /// Records in the log twice.
    pub duplicated: u64,
    /// Records behind a later one.
    pub reordered: u64,
    /// Records in another partition than their key's.
    pub misrouted: u64,
}

/// The judgement in one word: the reason of the condition `Verified`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Every record arrived once, in order, in its partition.
    Pass,
    /// A confirmed record is not in the log.
    Lost,
    /// A record is in the log twice.
    Duplicated,
    /// A record stands behind a later one of its stream.
    Reordered,
    /// A record is in another partition than its key's.
    Misrouted,
    /// Not everything expected was read yet.
    Pending,
    /// No producer is known to have sent anything.
    NoEvidence,
    /// A producer process ended without closing its streams: what it sent last is not known.
    UnclosedIncarnation,
    /// Something had to be forgotten, or was gone before it could be read.
    Approximate,
}

impl Reason {
    /// The word used in statuses, metrics and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Lost => "Lost",
            Self::Duplicated => "Duplicated",
            Self::Reordered => "Reordered",
            Self::Misrouted => "Misrouted",
            Self::Pending => "Pending",
            Self::NoEvidence => "NoEvidence",
            Self::UnclosedIncarnation => "UnclosedIncarnation",
            Self::Approximate => "Approximate",
        }
    }

    /// What it means for the condition `Verified`.
    #[must_use]
    pub fn verified(self) -> Verified {
        match self {
            Self::Pass => Verified::True,
            Self::Lost | Self::Duplicated | Self::Reordered | Self::Misrouted => Verified::False,
            Self::Pending | Self::NoEvidence | Self::UnclosedIncarnation | Self::Approximate => {
                Verified::Unknown
            }
        }
    }
}

/// Status of the condition `Verified`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verified {
    /// It passed.
    True,
    /// A violation is proven.
    False,
    /// Neither.
    Unknown,
}

impl Verified {
    /// As conditions write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// How much of what was expected has been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Streams known, one for each incarnation and partition it sent to.
    pub expected_streams: u64,
    /// Of these, the ones whose closing record was read.
    pub closed_streams: u64,
    /// Records the expected streams hold, as far as is known.
    pub expected_records: u64,
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// In one word.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
    /// Figures over all partitions; `expired` without what was purged.
    pub counts: Counters,
    /// Records that a purge removed before they could be read.
    pub purged: u64,
    /// The first offending records, at least one of each kind, at most [`crate::report::MAX_EVIDENCE`].
    pub evidence: Vec<Evidence>,
    /// What it rests on.
    pub coverage: Coverage,
}

#[cfg(test)]
mod tests;
