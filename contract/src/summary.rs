//! A pod's last words: the termination message, at most 3 KiB of JSON that still holds its report.
//!
//! Figures are always there. Lists travel packed; when they do not fit they are dropped in this order: delivered
//! segments, evidence but for the first of each kind, what is known of gaps (of a producer's streams: where they end), then
//! the lists themselves (a producer's streams, its oldest incarnations; a consumer's partitions, whose totals stay).

mod packed;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use crate::report::{ConsumerReport, Counters, ProducerReport};

/// Most bytes of a termination message.
pub const MAX_BYTES: usize = 3072;
/// Most characters kept of a text.
const MAX_TEXT: usize = 400;
/// Producer incarnations kept when not all fit.
const MAX_INCARNATIONS: usize = 64;

/// Why a termination message is none of ours.
#[derive(Debug)]
pub enum InvalidSummary {
    /// It is not our JSON.
    Json(serde_json::Error),
    /// Its packed part cannot be read.
    Packed,
}

impl std::fmt::Display for InvalidSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(_) => f.write_str("the termination message is not a summary"),
            Self::Packed => f.write_str("the packed part of the termination message cannot be read"),
        }
    }
}

impl std::error::Error for InvalidSummary {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            Self::Packed => None,
        }
    }
}

/// What a pod leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminationSummary {
    /// How it ended, in a sentence for people.
    pub message: String,
    /// Its last report.
    pub report: Report,
}

/// The report of either role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Report {
    /// Of a producer.
    Producer(ProducerReport),
    /// Of a consumer.
    Consumer(ConsumerReport),
}

#[derive(Serialize, Deserialize)]
struct Words {
    message: String,
    #[serde(flatten)]
    report: Report,
    /// The report's lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    packed: String,
}

impl TerminationSummary {
    /// The termination message, at most [`MAX_BYTES`] long.
    #[must_use]
    pub fn to_message(&self) -> String {
        let candidates = match &self.report {
            Report::Producer(report) => producer_candidates(report),
            Report::Consumer(report) => consumer_candidates(report),
        };
        let texts = candidates.into_iter().map(|(report, packed)| {
            let message = Words {
                message: cut(&self.message),
                report,
                packed: BASE64.encode(packed),
            };
            serde_json::to_string(&message).unwrap_or_default()
        });
        let mut last = String::new();
        for text in texts {
            if text.len() <= MAX_BYTES {
                return text;
            }
            last = text;
        }
        // Reached only if a pod's name or texts alone are that long; what is left is still words for people.
        last.chars().take(MAX_BYTES / 4).collect()
    }

    /// Reads a termination message.
    ///
    /// # Errors
    /// When it is not one of ours, for example because the process was killed and left another one's words.
    pub fn from_message(text: &str) -> Result<Self, InvalidSummary> {
        let Words {
            message,
            mut report,
            packed,
        } = serde_json::from_str(text).map_err(InvalidSummary::Json)?;
        if !packed.is_empty() {
            let bytes = BASE64.decode(packed).map_err(|_| InvalidSummary::Packed)?;
            match &mut report {
                Report::Producer(report) => packed::read_producer(&bytes, report),
                Report::Consumer(report) => packed::read_consumer(&bytes, report),
            }
            .ok_or(InvalidSummary::Packed)?;
        }
        Ok(Self { message, report })
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn producer_candidates(report: &ProducerReport) -> Vec<(Report, Vec<u8>)> {
    let mut full = report.clone();
    full.last_error = full.last_error.as_deref().map(cut);
    let mut without_ends = full.clone();
    for stream in without_ends
        .incarnations
        .iter_mut()
        .flat_map(|incarnation| &mut incarnation.streams)
    {
        stream.closed_at = None;
    }
    let mut bare = full.clone();
    bare.truncated = true;
    bare.incarnations
        .iter_mut()
        .for_each(|incarnation| incarnation.streams.clear());
    let mut few = bare.clone();
    few.incarnations
        .drain(..few.incarnations.len().saturating_sub(MAX_INCARNATIONS));
    [full, without_ends, bare, few]
        .into_iter()
        .map(|mut report| {
            let packed = packed::producer(&report);
            report.incarnations.clear();
            (Report::Producer(report), packed)
        })
        .collect()
}

fn consumer_candidates(report: &ConsumerReport) -> Vec<(Report, Vec<u8>)> {
    let mut full = report.clone();
    full.last_error = full.last_error.as_deref().map(cut);
    let mut fewer = full.clone();
    fewer.segments.clear();
    let mut firsts = fewer.clone();
    for partition in &mut firsts.partitions {
        partition.evidence.sort_unstable();
        partition.evidence.dedup_by_key(|evidence| evidence.kind);
    }
    let mut gapless = firsts.clone();
    for partition in &mut gapless.partitions {
        partition.gaps.clear();
    }
    let mut candidates: Vec<_> = [full, fewer.clone(), firsts, gapless]
        .into_iter()
        .map(|mut report| {
            let packed = packed::consumer(&report);
            report.partitions.clear();
            report.segments.clear();
            (Report::Consumer(report), packed)
        })
        .collect();
    let add = |sum: Counters, more: Counters| sum.zip(more, u64::saturating_add);
    fewer.totals = Some(
        fewer
            .partitions
            .iter()
            .map(|partition| partition.counters)
            .fold(Counters::default(), add),
    );
    fewer.partitions.clear();
    fewer.assigned.clear();
    candidates.push((Report::Consumer(fewer), Vec::new()));
    candidates
}

#[cfg(test)]
mod tests;
