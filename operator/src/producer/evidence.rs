//! What is known of everything a KafkaProducer's processes sent: the evidence consumers are judged by.
//!
//! Pure. Live reports come first; what the status recorded stands for processes that nobody can ask any more.

use std::collections::HashSet;

use ottla_contract::ids::Incarnation as Id;
use ottla_contract::report::{ProducerReport, SentIncarnation, SentStream};
use ottla_crds::producer::{Incarnation, KafkaProducerStatus, Stream};

use crate::pods::gather::Said;

/// Incarnations a status holds at most.
const MAX_INCARNATIONS: usize = 1_000;
/// Streams all incarnations of a status hold at most: some 200 kB.
const MAX_STREAMS: usize = 5_000;

/// One incarnation, from whichever source knows it best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The pod it ran in.
    pub pod: String,
    /// What it sent.
    pub sent: SentIncarnation,
    /// Its process has ended: what it has not closed stays open.
    pub gone: bool,
}

/// Everything known, oldest first. `running` are the names of the pods that run; `over` says that none will again.
#[must_use]
#[expect(clippy::implicit_hasher, reason = "one caller, with the standard hasher")]
pub fn known(
    status: &KafkaProducerStatus,
    said: &[Said<ProducerReport>],
    running: &HashSet<String>,
    over: bool,
) -> Vec<Known> {
    // A process that speaks lists all its incarnations: another one of its pod is an earlier process'.
    let speaking: HashSet<&str> = said
        .iter()
        .filter(|s| !s.ended && !s.report.truncated)
        .map(|s| s.report.process.pod.as_str())
        .collect();
    let mut known: Vec<Known> = status
        .incarnations
        .iter()
        .filter_map(|recorded| {
            let gone = over || !running.contains(&recorded.pod) || speaking.contains(recorded.pod.as_str());
            Some(Known {
                pod: recorded.pod.clone(),
                sent: from_status(recorded)?,
                gone,
            })
        })
        .collect();
    for said in said {
        for sent in &said.report.incarnations {
            let gone = over || said.ended;
            match known.iter_mut().find(|known| known.sent.id == sent.id) {
                Some(known) => {
                    let streams = if sent.streams.is_empty() {
                        known.sent.streams.clone()
                    } else {
                        sent.streams.clone()
                    };
                    let closed = sent.closed || known.sent.closed;
                    known.sent = SentIncarnation {
                        streams,
                        closed,
                        ..sent.clone()
                    };
                    known.gone = gone;
                }
                None => known.push(Known {
                    pod: said.report.process.pod.clone(),
                    sent: sent.clone(),
                    gone,
                }),
            }
        }
    }
    known
}

fn from_status(recorded: &Incarnation) -> Option<SentIncarnation> {
    let stream = |s: &Stream| SentStream {
        partition: s.partition,
        last_sequence: u64::try_from(s.last_sequence).unwrap_or_default(),
    };
    Some(SentIncarnation {
        id: recorded.id.parse::<Id>().ok()?,
        closed: recorded.closed,
        share_done: false,
        streams: recorded.streams.iter().map(stream).collect(),
    })
}

/// As the status records it, within its bounds: closed incarnations' streams go first, then closed incarnations,
/// oldest first; an unclosed one is what a verdict hangs on.
#[must_use]
pub fn to_status(known: &[Known]) -> Vec<Incarnation> {
    let mut surplus = known.len().saturating_sub(MAX_INCARNATIONS);
    let mut kept: Vec<&Known> = known
        .iter()
        .filter(|known| {
            let drop = surplus > 0 && known.sent.closed;
            surplus -= usize::from(drop);
            !drop
        })
        .collect();
    let first = kept.len().saturating_sub(MAX_INCARNATIONS);
    kept.drain(..first);
    let total: usize = kept.iter().map(|known| known.sent.streams.len()).sum();
    let mut surplus = total.saturating_sub(MAX_STREAMS);
    let mut bounded: Vec<Incarnation> = kept.into_iter().map(record).collect();
    for closed_first in [true, false] {
        for incarnation in bounded.iter_mut().filter(|i| i.closed == closed_first) {
            if surplus > 0 {
                surplus = surplus.saturating_sub(incarnation.streams.len());
                incarnation.streams.clear();
            }
        }
    }
    bounded
}

fn record(known: &Known) -> Incarnation {
    let stream = |s: &SentStream| Stream {
        partition: s.partition,
        last_sequence: i64::try_from(s.last_sequence).unwrap_or(i64::MAX),
    };
    Incarnation {
        id: known.sent.id.to_string(),
        pod: known.pod.clone(),
        closed: known.sent.closed,
        streams: known.sent.streams.iter().map(stream).collect(),
    }
}

#[cfg(test)]
mod tests {
    use ottla_contract::report::Process;

    use super::*;

    fn sent(id: u64, last: u64, closed: bool) -> SentIncarnation {
        let streams = vec![SentStream {
            partition: 0,
            last_sequence: last,
        }];
        SentIncarnation {
            id: Id(id),
            closed,
            share_done: closed,
            streams,
        }
    }

    fn said(pod: &str, ended: bool, incarnations: Vec<SentIncarnation>) -> Said<ProducerReport> {
        let process = Process {
            pod: pod.to_owned(),
            start: Id(1),
        };
        let report = ProducerReport {
            process,
            incarnations,
            ..ProducerReport::default()
        };
        Said {
            pod_uid: format!("{pod}-uid"),
            report,
            ended,
        }
    }

    fn recorded(pod: &str, id: u64, last: u64, closed: bool) -> KafkaProducerStatus {
        let known = Known {
            pod: pod.to_owned(),
            sent: sent(id, last, closed),
            gone: false,
        };
        KafkaProducerStatus {
            incarnations: to_status(&[known]),
            ..KafkaProducerStatus::default()
        }
    }

    fn running(pods: &[&str]) -> HashSet<String> {
        pods.iter().map(|pod| (*pod).to_owned()).collect()
    }

    #[test]
    fn a_report_is_newer_than_the_record() {
        let status = recorded("a", 7, 10, false);
        let known = known(
            &status,
            &[said("a", false, vec![sent(7, 20, true)])],
            &running(&["a"]),
            false,
        );
        assert_eq!(
            known,
            [Known {
                pod: "a".to_owned(),
                sent: sent(7, 20, true),
                gone: false
            }]
        );
    }

    #[test]
    fn a_killed_process_is_gone_and_stays_unclosed() {
        let known = known(
            &KafkaProducerStatus::default(),
            &[said("a", true, vec![sent(7, 20, false)])],
            &running(&[]),
            false,
        );
        assert_eq!((known[0].gone, known[0].sent.closed), (true, false));
    }

    #[test]
    fn after_a_restart_of_the_operator_the_record_speaks_for_pods_that_are_gone() {
        let status = recorded("a", 7, 10, false);
        assert!(
            known(&status, &[], &running(&[]), false)[0].gone,
            "its pod does not run"
        );
        assert!(
            !known(&status, &[], &running(&["a"]), false)[0].gone,
            "its pod runs, and was not asked yet"
        );
        assert!(
            known(&status, &[], &running(&["a"]), true)[0].gone,
            "the run is over"
        );
        let successor = said("a", false, vec![sent(8, 0, false)]);
        let both = known(&status, &[successor], &running(&["a"]), false);
        assert_eq!(
            both.iter().map(|k| (k.sent.id.0, k.gone)).collect::<Vec<_>>(),
            [(7, true), (8, false)]
        );
    }

    #[test]
    fn the_record_is_bounded_and_keeps_what_is_unclosed() {
        let many: Vec<Known> = (0..1_200)
            .map(|id| Known {
                pod: String::new(),
                sent: sent(id, 1, id != 3),
                gone: true,
            })
            .collect();
        let bounded = to_status(&many);
        assert_eq!(bounded.len(), MAX_INCARNATIONS);
        assert!(bounded.iter().any(|i| i.id == Id(3).to_string()));
        let wide = SentIncarnation {
            streams: (0..9_000)
                .map(|partition| SentStream {
                    partition,
                    last_sequence: 1,
                })
                .collect(),
            ..sent(1, 1, true)
        };
        let wide = [wide.clone(), SentIncarnation { id: Id(2), ..wide }].map(|sent| Known {
            pod: String::new(),
            sent,
            gone: true,
        });
        assert!(to_status(&wide).iter().map(|i| i.streams.len()).sum::<usize>() <= MAX_STREAMS);
    }
}
