//! Serves `/metrics`, `/healthz` and `/readyz`. Reads only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::metrics::Metrics;

/// What the server tells of.
#[derive(Clone, Debug)]
pub struct Served {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Which loops turn.
    pub health: Arc<Health>,
    /// Set while every cache is filled; one that stands by is ready too.
    pub ready: Arc<AtomicBool>,
}

/// Serves until told to stop.
pub async fn serve(address: SocketAddr, served: Served, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    axum::serve(listener, router(served))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}

fn router(served: Served) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(served)
}

async fn metrics(State(served): State<Served>) -> impl IntoResponse {
    match served.metrics.encode() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn healthz(State(served): State<Served>) -> impl IntoResponse {
    let dead = served.health.dead();
    if dead.is_empty() {
        (StatusCode::OK, "ok".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("stand still: {}", dead.join(", ")),
        )
    }
}

async fn readyz(State(served): State<Served>) -> impl IntoResponse {
    if served.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "objects are still being listed")
    }
}
