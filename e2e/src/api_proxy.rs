//! A proxy before a Kubernetes API, for what goes wrong there: refusals, answers that get lost, watches that lag, links that
//! die, lists of yesterday.
//!
//! It speaks plain HTTP to the operator and is the operator towards the API server, so that the audit log names the operator.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use futures::StreamExt as _;
use kube::Client;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The largest request that is taken.
const LARGEST: usize = 4 * 1024 * 1024;

/// Which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that write our kinds.
    Writes,
    /// Those that begin a watch of our kinds.
    Watches,
}

impl Which {
    fn holds(self, method: &Method, path: &str, query: &str) -> bool {
        let ours = path.starts_with("/apis/ottla.dev/");
        let reads = *method == Method::GET;
        ours && match self {
            Self::Writes => !reads,
            Self::Watches => reads && query.contains("watch="),
        }
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not passed on, and answered so; with a time to wait, in seconds, where one is given.
    Refuse(u16, Option<u8>),
    /// It is carried out, and its answer is lost.
    DropReply,
}

#[derive(Debug, Default)]
struct Faults {
    /// What happens to how many of the next requests of a kind.
    next: Vec<(Which, Fault, usize)>,
    /// What the next list of a path is answered with.
    stale: Option<(String, String)>,
    harmed: usize,
}

struct Shared {
    client: Client,
    faults: Mutex<Faults>,
    /// Whether answers of watches are held back.
    late: watch::Sender<bool>,
    /// How often watches were cut.
    cuts: watch::Sender<u64>,
    /// Whether nothing is answered at all.
    silent: watch::Sender<bool>,
    /// Whether what arrives now is never answered.
    dead: watch::Sender<bool>,
    /// How often links died: watches from before bring nothing any more.
    deaths: watch::Sender<u64>,
}

/// A running proxy; it ends with this value.
pub struct ApiProxy {
    shared: Arc<Shared>,
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ApiProxy {
    /// Stands before the API server that the client reaches.
    pub async fn start(client: Client) -> Result<Self> {
        let shared = Arc::new(Shared {
            client,
            faults: Mutex::default(),
            late: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            silent: watch::Sender::new(false),
            dead: watch::Sender::new(false),
            deaths: watch::Sender::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the proxy before the API server ended: {error}");
            }
        });
        Ok(Self { shared, port, task })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Has something happen to the next requests of a kind.
    pub fn next(&self, which: Which, fault: Fault, count: usize) {
        self.faults().next.push((which, fault, count));
    }

    /// How many requests something happened to.
    #[must_use]
    pub fn harmed(&self) -> usize {
        self.faults().harmed
    }

    /// Holds back what watches tell, or lets it go.
    pub fn delay_watches(&self, on: bool) {
        self.shared.late.send_replace(on);
    }

    /// Ends every watch there is.
    pub fn cut_watches(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Has everything go unanswered, watches too, or go on.
    pub fn silence(&self, on: bool) {
        self.shared.silent.send_replace(on);
    }

    /// Has every link die without a word, and what arrives from then on never be answered, not even later; or serves again
    /// whoever asks anew.
    pub fn kill_links(&self, on: bool) {
        self.shared.dead.send_replace(on);
        if on {
            self.shared.deaths.send_modify(|deaths| *deaths += 1);
        }
    }

    /// Has the next list of a path be answered with what is given: a list of an earlier time.
    pub fn answer_list(&self, path: &str, list: String) {
        self.faults().stale = Some((path.to_owned(), list));
    }

    /// Whether the list of an earlier time has been asked for.
    #[must_use]
    pub fn has_answered_list(&self) -> bool {
        self.faults().stale.is_none()
    }

    /// Has nothing more happen to requests than already did.
    pub fn spare(&self) {
        self.faults().next.clear();
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a switch is off; for ever when nobody can turn it off any more.
async fn off(switch: &watch::Sender<bool>) {
    if switch.subscribe().wait_for(|on| !on).await.is_err() {
        pending::<()>().await;
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    off(&shared.silent).await;
    if *shared.dead.borrow() {
        pending::<()>().await;
    }
    let (head, body) = request.into_parts();
    let (path, query) = (
        head.uri.path().to_owned(),
        head.uri.query().unwrap_or_default().to_owned(),
    );
    let fault = {
        let mut faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = head.method == Method::GET && !query.contains("watch=");
        if let Some((_, list)) = faults.stale.take_if(|(of, _)| lists && *of == path) {
            return ([(header::CONTENT_TYPE, "application/json")], list).into_response();
        }
        let found = faults
            .next
            .iter_mut()
            .find(|(which, _, left)| *left > 0 && which.holds(&head.method, &path, &query));
        let fault = found.map(|(_, fault, left)| {
            *left -= 1;
            *fault
        });
        faults.harmed += usize::from(fault.is_some());
        fault
    };
    if let Some(Fault::Refuse(code, wait)) = fault {
        return refusal(code, wait);
    }
    let Ok(body) = to_bytes(body, LARGEST).await else {
        return refusal(413, None);
    };
    let uri = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    let mut passed = http::Request::builder().method(head.method).uri(uri);
    for (name, value) in &head.headers {
        let own = [
            header::HOST,
            header::AUTHORIZATION,
            header::CONTENT_LENGTH,
            header::CONNECTION,
        ];
        if !own.contains(name) {
            passed = passed.header(name, value);
        }
    }
    let Ok(passed) = passed.body(kube::client::Body::from(body)) else {
        return refusal(400, None);
    };
    let answer = match shared.client.send(passed).await {
        Ok(answer) => answer,
        Err(error) => {
            eprintln!("the API server behind the proxy does not answer: {error}");
            return refusal(502, None);
        }
    };
    if fault == Some(Fault::DropReply) {
        // A body that fails before its first byte ends the connection.
        let lost = futures::stream::once(async { Err::<bytes::Bytes, _>(std::io::Error::other("lost")) });
        return Response::new(Body::from_stream(lost));
    }
    let (mut head, body) = answer.into_parts();
    head.headers.remove(header::TRANSFER_ENCODING);
    head.headers.remove(header::CONNECTION);
    let body = Body::new(body);
    if query.contains("watch=") {
        return Response::from_parts(head, watched(shared, body));
    }
    Response::from_parts(head, body)
}

/// The body of a watch, which can be late, be cut, and fall silent for ever.
fn watched(shared: Arc<Shared>, body: Body) -> Body {
    let born = *shared.deaths.borrow();
    let mut cuts = shared.cuts.subscribe();
    cuts.mark_unchanged();
    let cut = async move {
        if cuts.changed().await.is_err() {
            pending::<()>().await;
        }
    };
    let events = body.into_data_stream().then(move |event| {
        let shared = Arc::clone(&shared);
        async move {
            off(&shared.late).await;
            off(&shared.silent).await;
            if *shared.deaths.borrow() != born {
                pending::<()>().await;
            }
            event
        }
    });
    Body::from_stream(events.take_until(cut))
}

fn refusal(code: u16, wait: Option<u8>) -> Response<Body> {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "told so by a test",
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (
        code,
        [(header::CONTENT_TYPE, "application/json")],
        status.to_string(),
    )
        .into_response();
    if let Some(seconds) = wait {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(u16::from(seconds)));
    }
    answer
}
