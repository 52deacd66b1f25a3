//! Candidates against an API server as strict as the real one about versions, in paused time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    /// It is done, and the answer comes late.
    Delayed(Duration),
    /// It is done, and no answer comes.
    ReplyLost,
    /// It never arrives.
    Lost,
}

#[derive(Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    writes: Vec<String>,
    /// Of the next requests that write; then all are answered.
    fates: VecDeque<Fate>,
    away: bool,
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn candidate(&self, identity: &str) -> Candidate {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let name = "system/ottla".parse().unwrap();
        Candidate::new(
            Client::new(service, "default"),
            name,
            identity.to_owned(),
            Arc::default(),
        )
    }

    fn holder(&self) -> Option<String> {
        let state = self.state();
        let holder = &state.lease.as_ref()?["spec"]["holderIdentity"];
        holder.as_str().map(str::to_owned)
    }

    /// Changes the Lease as somebody else would.
    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let mut lease = state.lease.take().unwrap();
        change(&mut lease);
        state.store(lease);
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let writes = parts.method != Method::GET;
        let fate = {
            let mut state = self.state();
            match state.away {
                true => Fate::Lost,
                false if writes => state.fates.pop_front().unwrap_or(Fate::Answered),
                false => Fate::Answered,
            }
        };
        if fate == Fate::Lost {
            std::future::pending::<()>().await;
        }
        let (status, answer) = self.state().handle(&parts.method, &body);
        match fate {
            Fate::ReplyLost => std::future::pending::<()>().await,
            Fate::Delayed(by) => sleep(by).await,
            Fate::Answered | Fate::Lost => {}
        }
        let reason = status.canonical_reason().unwrap_or_default().replace(' ', "");
        let refused = json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure", "metadata": {},
            "code": status.as_u16(), "reason": reason, "message": "refused"
        });
        let body = serde_json::to_vec(&answer.unwrap_or(refused)).unwrap();
        Response::builder().status(status).body(Body::from(body)).unwrap()
    }
}

impl State {
    fn handle(&mut self, method: &Method, body: &[u8]) -> (StatusCode, Option<Value>) {
        if *method == Method::GET {
            return match &self.lease {
                Some(lease) => (StatusCode::OK, Some(lease.clone())),
                None => (StatusCode::NOT_FOUND, None),
            };
        }
        let sent: Value = serde_json::from_slice(body).unwrap();
        let known = self
            .lease
            .as_ref()
            .map(|lease| &lease["metadata"]["resourceVersion"]);
        let refusal = match (method.clone(), known) {
            (Method::POST, Some(_)) => Some(StatusCode::CONFLICT),
            (Method::PUT, None) => Some(StatusCode::NOT_FOUND),
            (Method::PUT, Some(known)) if *known != sent["metadata"]["resourceVersion"] => {
                Some(StatusCode::CONFLICT)
            }
            _ => None,
        };
        if let Some(refusal) = refusal {
            return (refusal, None);
        }
        let holder = sent["spec"]["holderIdentity"].as_str().unwrap_or_default();
        self.writes.push(holder.to_owned());
        (StatusCode::OK, Some(self.store(sent)))
    }

    fn store(&mut self, mut lease: Value) -> Value {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        lease
    }
}

/// Acquires and keeps; answers when it acquired.
async fn lead(candidate: &Candidate, permit: &Permit, since: Instant) -> Duration {
    candidate.acquire(permit).await;
    since.elapsed()
}

#[tokio::test(start_paused = true)]
async fn of_two_that_start_together_one_leads() {
    let server = Server::default();
    for _ in 0..2 {
        // Once without a Lease, once with a free one: create and replace are both contended.
        let (a, b) = (server.candidate("a"), server.candidate("b"));
        let permits = [Permit::awaited(), Permit::awaited()];
        let both = futures::future::join(a.acquire(&permits[0]), b.acquire(&permits[1]));
        assert!(timeout(SECOND * 5, both).await.is_err(), "both became leaders");
        assert_eq!(permits.iter().filter(|permit| permit.holds()).count(), 1);
        assert_eq!(server.state().writes.len(), 1);
        server.state().writes.clear();
        server.edit(|lease| lease["spec"]["holderIdentity"] = Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_holders_lease_is_taken_after_its_right_has_ended_whatever_the_clocks_say() {
    for skew in [-3_600, 0, 3_600] {
        let server = Server::default();
        let (dead, next) = (server.candidate("dead"), server.candidate("next"));
        let next = Candidate {
            clock: Box::new(move || Timestamp::now() + jiff::SignedDuration::from_secs(skew)),
            ..next
        };
        let (first, second) = (Permit::awaited(), Permit::awaited());
        let mut held = dead.acquire(&first).await;
        // It renews a while, then dies: nothing renews any more.
        let _alive = timeout(SECOND * 7, held.keep()).await;
        let died = Instant::now();
        let waiting = lead(&next, &second, died);
        tokio::pin!(waiting);
        loop {
            let done = timeout(Duration::from_millis(10), &mut waiting).await;
            assert!(
                !(first.holds() && second.holds()),
                "two lead at once, skew {skew}"
            );
            if let Ok(took) = done {
                assert!(took <= SECOND * 11, "{took:?}, skew {skew}");
                break;
            }
        }
        assert!(!first.holds());
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_is_renewed_nobody_else_leads() {
    let server = Server::default();
    let (a, b) = (server.candidate("a"), server.candidate("b"));
    let (first, second) = (Permit::awaited(), Permit::awaited());
    let mut held = a.acquire(&first).await;
    let both = futures::future::select(Box::pin(held.keep()), Box::pin(b.acquire(&second)));
    assert!(timeout(SECOND * 300, both).await.is_err());
    assert!(first.holds() && !second.holds());
    assert!(
        server.state().writes.len() >= 149,
        "it is renewed every two seconds"
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_ends_at_its_deadline_and_not_later() {
    let server = Server::default();
    let (candidate, permit) = (server.candidate("a"), Permit::awaited());
    let started = Instant::now();
    let mut held = candidate.acquire(&permit).await;
    server.state().away = true;
    held.keep().await;
    assert!(!permit.holds());
    assert_eq!(started.elapsed().as_secs(), 10);
    // The outage over, it is a candidate like any other, with a new permit.
    server.state().away = false;
    let again = Permit::awaited();
    let _held = candidate.acquire(&again).await;
    assert!(again.holds() && !permit.holds());
}

#[tokio::test(start_paused = true)]
async fn the_right_counts_from_before_the_request() {
    let server = Server::default();
    server.state().fates = [Fate::Delayed(SECOND * 2)].into();
    let (candidate, permit) = (server.candidate("a"), Permit::awaited());
    let _held = candidate.acquire(&permit).await;
    tokio::time::advance(Duration::from_millis(7_999)).await;
    assert!(permit.holds());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!permit.holds());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_past_its_deadline_sends_nothing_when_it_goes_on() {
    let server = Server::default();
    let (candidate, permit) = (server.candidate("a"), Permit::awaited());
    let mut held = candidate.acquire(&permit).await;
    let writes = server.state().writes.len();
    // As after SIGCONT: the clock has moved on, and no task had its turn meanwhile.
    tokio::time::advance(SECOND * 30).await;
    held.keep().await;
    assert!(!permit.holds());
    assert_eq!(
        server.state().writes.len(),
        writes,
        "it renewed a right that was over"
    );
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_within_a_second() {
    let server = Server::default();
    let (a, b) = (server.candidate("a"), server.candidate("b"));
    let (first, second) = (Permit::awaited(), Permit::awaited());
    let held = a.acquire(&first).await;
    let released = async {
        sleep(Duration::from_millis(3_500)).await;
        // A renewal that was cut off has changed the Lease meanwhile.
        server.edit(|lease| lease["spec"]["renewTime"] = json!("2026-01-01T00:00:00.000000Z"));
        held.release().await;
        Instant::now()
    };
    let (at, took) = futures::future::join(released, async {
        b.acquire(&second).await;
        Instant::now()
    })
    .await;
    assert!(!first.holds() && second.holds());
    assert!(took - at <= SECOND, "{:?}", took - at);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_is_lost_costs_nothing() {
    let server = Server::default();
    let (candidate, permit) = (server.candidate("a"), Permit::awaited());
    let mut held = candidate.acquire(&permit).await;
    server.state().fates = [Fate::ReplyLost, Fate::Answered, Fate::Lost].into();
    assert!(timeout(SECOND * 60, held.keep()).await.is_err());
    assert!(permit.holds());
}

#[tokio::test(start_paused = true)]
async fn who_finds_the_lease_taken_stops_at_once() {
    let server = Server::default();
    let (candidate, permit) = (server.candidate("a"), Permit::awaited());
    let mut held = candidate.acquire(&permit).await;
    server.edit(|lease| lease["spec"]["holderIdentity"] = json!("b"));
    let started = Instant::now();
    held.keep().await;
    assert!(!permit.holds());
    assert!(started.elapsed() <= SECOND * 2);
    assert_eq!(server.holder().as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_label_put_on_the_lease_neither_costs_it_nor_keeps_it() {
    let server = Server::default();
    let (dead, next) = (server.candidate("dead"), server.candidate("next"));
    let (first, second) = (Permit::awaited(), Permit::awaited());
    let mut held = dead.acquire(&first).await;
    server.edit(|lease| lease["metadata"]["labels"] = json!({"a": "b"}));
    assert!(timeout(SECOND * 30, held.keep()).await.is_err());
    assert!(first.holds());

    let died = Instant::now();
    let labels = async {
        for count in 0..60 {
            sleep(SECOND).await;
            server.edit(|lease| lease["metadata"]["labels"] = json!({"count": count.to_string()}));
        }
    };
    let waiting = lead(&next, &second, died);
    tokio::select! {
        () = labels => panic!("labels keep a dead holder alive"),
        took = waiting => assert!(took <= SECOND * 12, "{took:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_deleted_under_its_holder_makes_no_second_leader() {
    let server = Server::default();
    let (a, b) = (server.candidate("a"), server.candidate("b"));
    let (first, second) = (Permit::awaited(), Permit::awaited());
    let mut held = a.acquire(&first).await;
    let deleted = async {
        sleep(SECOND * 5).await;
        server.state().lease = None;
        sleep(SECOND * 30).await;
    };
    tokio::select! {
        () = held.keep() => panic!("the holder lost it"),
        _ = b.acquire(&second) => panic!("another took it"),
        () = deleted => {}
    }
    assert!(first.holds() && !second.holds());
    assert_eq!(server.holder().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_container_does_not_wait_for_itself() {
    let server = Server::default();
    let permit = Permit::awaited();
    let before = server.candidate("pod-1");
    let _died = before.acquire(&permit).await;
    let (after, again) = (server.candidate("pod-1"), Permit::awaited());
    let took = lead(&after, &again, Instant::now()).await;
    assert!(took < SECOND, "{took:?}");
    assert_eq!(
        server.state().lease.as_ref().unwrap()["spec"]["leaseTransitions"],
        1
    );
}

#[test]
fn a_lease_is_named_with_its_namespace() {
    let name: LeaseName = "ottla-system/ottla".parse().unwrap();
    assert_eq!(name.to_string(), "ottla-system/ottla");
    for wrong in ["ottla", "/ottla", "ottla-system/", "a/b/c"] {
        assert!(wrong.parse::<LeaseName>().is_err(), "{wrong}");
    }
}
