//! `/report`, `/metrics`, `/healthz` and `/readyz`, and the signals: everything that must go on while the working thread
//! waits for Kafka. It only reads the board.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Json};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::board::Board;
use crate::metrics::Figures;

/// Starts the thread that serves the board and listens to signals. Answers with the address it serves.
///
/// # Errors
/// When the port is taken or the thread cannot be started.
pub fn spawn<R>(board: Arc<Board<R>>, port: u16) -> io::Result<SocketAddr>
where
    R: Figures + Serialize + Clone + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
    let address = listener.local_addr()?;
    std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            let app = router(Arc::clone(&board));
            let served = runtime.block_on(async {
                tokio::select! {
                    served = axum::serve(listener, app) => served,
                    waited = signals(&board) => waited,
                }
            });
            if let Err(error) = served {
                error!(%error, "Stopped serving reports");
                board.stop();
            }
        })?;
    info!(%address, "Serving reports");
    Ok(address)
}

fn router<R>(board: Arc<Board<R>>) -> Router
where
    R: Figures + Serialize + Clone + Send + Sync + 'static,
{
    Router::new()
        .route(
            "/report",
            get(async |State(board): State<Arc<Board<R>>>| Json(board.report())),
        )
        .route("/metrics", get(metrics::<R>))
        .route(
            "/healthz",
            get(async |State(board): State<Arc<Board<R>>>| status(board.is_alive())),
        )
        .route(
            "/readyz",
            get(async |State(board): State<Arc<Board<R>>>| status(board.is_ready())),
        )
        .with_state(board)
}

async fn metrics<R>(State(board): State<Arc<Board<R>>>) -> impl IntoResponse
where
    R: Figures + Clone,
{
    let text = crate::metrics::encode(&board.report());
    (
        [(
            CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    )
}

fn status(good: bool) -> (StatusCode, &'static str) {
    if good {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not now\n")
    }
}

/// Passes signals on; never returns unless they cannot be listened to.
async fn signals<R: Clone>(board: &Board<R>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("Told to stop");
        board.stop();
    }
}
