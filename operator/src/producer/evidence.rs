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
/// Streams all incarnations of a status hold at most: some 300 kB.
const MAX_STREAMS: usize = 5_000;

/// One incarnation, from whichever source knows it best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The pod it ran in.
    pub pod: String,
    /// The topic it sent to, where that was recorded.
    pub topic_id: Option<String>,
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
                topic_id: recorded.topic_id.clone(),
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
                    let before = std::mem::replace(&mut known.sent, sent.clone());
                    known.sent.complete_from(&before);
                    known.sent.closed |= before.closed;
                    known.gone = gone;
                }
                None => known.push(Known {
                    pod: said.report.process.pod.clone(),
                    topic_id: None,
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
        closed_at: s.closed_at,
    };
    Some(SentIncarnation {
        id: recorded.id.parse::<Id>().ok()?,
        closed: recorded.closed,
        share_done: false,
        streams: recorded.streams.iter().map(stream).collect(),
    })
}

/// As the status records it, within its bounds: closed incarnations' streams go first, then closed incarnations,
/// oldest first; an unclosed one is what a verdict hangs on. `topic_id` is of the topic that new ones send to.
#[must_use]
pub fn to_status(known: &[Known], topic_id: Option<&str>) -> Vec<Incarnation> {
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
    let mut bounded: Vec<Incarnation> = kept.into_iter().map(|known| record(known, topic_id)).collect();
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

fn record(known: &Known, topic_id: Option<&str>) -> Incarnation {
    let stream = |s: &SentStream| Stream {
        partition: s.partition,
        last_sequence: i64::try_from(s.last_sequence).unwrap_or(i64::MAX),
        closed_at: s.closed_at,
    };
    Incarnation {
        id: known.sent.id.to_string(),
        topic_id: known.topic_id.clone().or_else(|| topic_id.map(str::to_owned)),
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
            closed_at: closed.then_some(40),
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
            topic_id: None,
            sent: sent(id, last, closed),
            gone: false,
        };
        KafkaProducerStatus {
            incarnations: to_status(&[known], None),
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
                topic_id: None,
                sent: sent(7, 20, true),
                gone: false
            }]
        );
    }

    #[test]
    fn the_topic_that_was_sent_to_stays_the_one_of_the_first_record() {
        let first = known(
            &KafkaProducerStatus::default(),
            &[said("a", false, vec![sent(7, 20, false)])],
            &running(&["a"]),
            false,
        );
        let status = KafkaProducerStatus {
            incarnations: to_status(&first, Some("old")),
            ..KafkaProducerStatus::default()
        };
        let both = [
            said("a", true, vec![sent(7, 30, true)]),
            said("b", false, vec![sent(8, 1, false)]),
        ];
        let then = to_status(&known(&status, &both, &running(&["b"]), false), Some("new"));
        let topics: Vec<_> = then.iter().map(|one| one.topic_id.as_deref()).collect();
        assert_eq!(topics, [Some("old"), Some("new")]);
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
                topic_id: None,
                sent: sent(id, 1, id != 3),
                gone: true,
            })
            .collect();
        let bounded = to_status(&many, None);
        assert_eq!(bounded.len(), MAX_INCARNATIONS);
        assert!(bounded.iter().any(|i| i.id == Id(3).to_string()));
        let wide = SentIncarnation {
            streams: (0..9_000)
                .map(|partition| SentStream {
                    partition,
                    last_sequence: 1,
                    closed_at: Some(2),
                })
                .collect(),
            ..sent(1, 1, true)
        };
        let wide = [wide.clone(), SentIncarnation { id: Id(2), ..wide }].map(|sent| Known {
            pod: String::new(),
            topic_id: None,
            sent,
            gone: true,
        });
        assert!(
            to_status(&wide, None)
                .iter()
                .map(|i| i.streams.len())
                .sum::<usize>()
                <= MAX_STREAMS
        );
    }
}
