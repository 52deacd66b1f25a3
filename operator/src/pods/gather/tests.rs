use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::{Json, Router, extract::State, routing::get};
use ottla_contract::report::{SentIncarnation, SentStream};

use super::*;

fn pod(uid: &str, state: PodState) -> PodFacts {
    PodFacts {
        uid: uid.to_owned(),
        name: format!("pod-{uid}"),
        index: Some(0),
        ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        state,
        previous: None,
    }
}

fn report(start: u64, sent: u64) -> ProducerReport {
    let process = Process {
        pod: "whatever it says".to_owned(),
        start: Incarnation(start),
    };
    ProducerReport {
        process,
        sent,
        ..ProducerReport::default()
    }
}

fn words(start: u64, sent: u64) -> Ending {
    let summary = TerminationSummary {
        message: "done".to_owned(),
        report: Report::Producer(report(start, sent)),
    };
    Ending {
        exit_code: 0,
        reason: "Completed".to_owned(),
        message: summary.to_message(),
    }
}

/// A pod whose process is the number in the cell.
async fn serve(process: Arc<AtomicU64>) -> Gatherer<ProducerReport> {
    let answer = |State(process): State<Arc<AtomicU64>>| async move {
        Json(report(process.load(Ordering::Relaxed), 1))
    };
    let router = Router::new().route("/report", get(answer)).with_state(process);
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Gatherer::on_port(port)
}

fn short(said: &[Said<ProducerReport>]) -> Vec<(u64, u64, bool)> {
    said.iter()
        .map(|s| (s.report.process.start.0, s.report.sent, s.ended))
        .collect()
}

#[tokio::test]
async fn the_last_word_of_a_gone_pod_is_kept() {
    let gatherer = serve(Arc::new(AtomicU64::new(7))).await;
    assert_eq!(
        short(&gatherer.gather("object", &[pod("a", PodState::Running)]).await),
        [(7, 1, false)]
    );
    assert_eq!(short(&gatherer.gather("object", &[]).await), [(7, 1, true)]);
    assert!(gatherer.gather("other", &[]).await.is_empty());
    gatherer.forget("object");
    assert!(gatherer.gather("object", &[]).await.is_empty());
}

#[tokio::test]
async fn a_pod_that_does_not_answer_may_still_live() {
    let gatherer = serve(Arc::new(AtomicU64::new(7))).await;
    gatherer.gather("object", &[pod("a", PodState::Running)]).await;
    let unreachable = PodFacts {
        ip: None,
        ..pod("a", PodState::Running)
    };
    assert_eq!(
        short(&gatherer.gather("object", &[unreachable]).await),
        [(7, 1, false)]
    );
}

#[tokio::test]
async fn a_killed_process_ended_although_it_said_nothing() {
    let gatherer = serve(Arc::new(AtomicU64::new(7))).await;
    gatherer.gather("object", &[pod("a", PodState::Running)]).await;
    let killed = Ending {
        exit_code: 137,
        reason: "Error".to_owned(),
        message: String::new(),
    };
    let said = gatherer
        .gather("object", &[pod("a", PodState::Ended(killed))])
        .await;
    assert_eq!(short(&said), [(7, 1, true)]);
}

#[tokio::test]
async fn last_words_replace_the_last_report() {
    let gatherer = serve(Arc::new(AtomicU64::new(7))).await;
    gatherer.gather("object", &[pod("a", PodState::Running)]).await;
    let said = gatherer
        .gather("object", &[pod("a", PodState::Ended(words(7, 5)))])
        .await;
    assert_eq!(short(&said), [(7, 5, true)]);
}

#[tokio::test]
async fn a_restart_in_place_is_another_process() {
    let process = Arc::new(AtomicU64::new(7));
    let gatherer = serve(process.clone()).await;
    gatherer.gather("object", &[pod("a", PodState::Running)]).await;
    process.store(8, Ordering::Relaxed);
    let restarted = PodFacts {
        previous: Some(words(7, 5)),
        ..pod("a", PodState::Running)
    };
    assert_eq!(
        short(&gatherer.gather("object", &[restarted]).await),
        [(7, 5, true), (8, 1, false)]
    );
}

#[test]
fn what_last_words_lack_is_taken_from_the_last_report() {
    let stream = SentStream {
        partition: 0,
        last_sequence: 9,
        closed_at: Some(10),
    };
    let whole = SentIncarnation {
        id: Incarnation(1),
        streams: vec![stream],
        ..SentIncarnation::default()
    };
    let earlier = ProducerReport {
        incarnations: vec![whole.clone()],
        ..report(7, 1)
    };
    let bare = SentIncarnation {
        closed: true,
        streams: vec![],
        ..whole.clone()
    };
    let mut last = ProducerReport {
        incarnations: vec![bare],
        truncated: true,
        ..report(7, 5)
    };
    last.complete_from(&earlier);
    assert_eq!(
        last.incarnations,
        [SentIncarnation {
            closed: true,
            ..whole.clone()
        }]
    );
    let mut last = earlier.clone();
    last.incarnations[0].streams[0].closed_at = None;
    last.complete_from(&earlier);
    assert_eq!(last.incarnations, [whole], "where a stream ends is said once");
}

#[tokio::test]
async fn words_heard_between_passes_outlive_their_pod() {
    let gatherer = serve(Arc::new(AtomicU64::new(7))).await;
    gatherer.gather("object", &[pod("a", PodState::Running)]).await;
    gatherer.hear("object", &pod("a", PodState::Ended(words(7, 5))));
    assert_eq!(short(&gatherer.gather("object", &[]).await), [(7, 5, true)]);
}

#[tokio::test]
async fn after_a_new_beginning_only_pods_that_run_are_heard() {
    let gatherer = serve(Arc::new(AtomicU64::new(7))).await;
    let gone = pod("gone", PodState::Running);
    gatherer.gather("object", std::slice::from_ref(&gone)).await;
    let ended = pod("ended", PodState::Ended(words(8, 2)));
    let new = pod("new", PodState::Running);
    gatherer.begin_anew("object", &[ended.clone(), new.clone()]);
    assert_eq!(gatherer.remembered("object"), []);
    // What is known of the others comes late, and again.
    gatherer.hear("object", &pod("gone", PodState::Ended(words(6, 9))));
    gatherer.hear("object", &ended);
    assert_eq!(
        short(&gatherer.gather("object", &[ended, new]).await),
        [(7, 1, false)]
    );
    gatherer.forget("object");
    gatherer.hear("object", &pod("gone", PodState::Ended(words(6, 9))));
    assert_eq!(short(&gatherer.remembered("object")), [(6, 9, true)]);
}
