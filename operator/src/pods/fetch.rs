//! One bounded HTTP GET of a pod's report.
//!
//! A pod is somebody else's machine: the answer is capped in time and size, no redirect is followed, and nothing but
//! the pod's own address and the report's port is ever dialled.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longest time a report may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Largest report read, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request could not be built.
    #[error("cannot ask {0} for its report")]
    Request(SocketAddr, #[source] http::Error),
    /// Nothing answered in time.
    #[error("{0} did not answer with its report within {TIMEOUT:?}")]
    TimedOut(SocketAddr),
    /// The connection failed.
    #[error("cannot reach {0} for its report")]
    Connect(SocketAddr, #[source] hyper_util::client::legacy::Error),
    /// The pod answered with an error.
    #[error("{0} answered with status {1} instead of its report")]
    Status(SocketAddr, http::StatusCode),
    /// The body was cut short or too long.
    #[error("the report of {0} broke off or is longer than {MAX_BYTES} bytes")]
    Body(SocketAddr, #[source] Box<dyn std::error::Error + Send + Sync>),
}

type Body = Empty<std::collections::VecDeque<u8>>;

/// Fetches reports, keeping a connection per pod for the next time.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client<HttpConnector, Body>,
    port: u16,
}

impl Fetcher {
    /// A fetcher for reports served on `port`.
    #[must_use]
    pub fn new(port: u16) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1)
            .build(connector);
        Self { client, port }
    }

    /// The body of `GET /report` of the pod at `ip`.
    ///
    /// # Errors
    ///
    /// When nothing usable answered in time.
    pub async fn report(&self, ip: IpAddr) -> Result<Vec<u8>, FetchError> {
        let address = SocketAddr::new(ip, self.port);
        tokio::time::timeout(TIMEOUT, self.get(address))
            .await
            .map_err(|_| FetchError::TimedOut(address))?
    }

    async fn get(&self, address: SocketAddr) -> Result<Vec<u8>, FetchError> {
        let request = http::Request::get(format!("http://{address}/report"))
            .body(Body::new())
            .map_err(|source| FetchError::Request(address, source))?;
        let response = self
            .client
            .request(request)
            .await
            .map_err(|source| FetchError::Connect(address, source))?;
        if response.status() != http::StatusCode::OK {
            return Err(FetchError::Status(address, response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_BYTES)
            .collect()
            .await
            .map_err(|source| FetchError::Body(address, source))?;
        Ok(body.to_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::{Router, http::StatusCode, routing::get};

    use super::*;

    async fn serve(router: Router) -> Fetcher {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Fetcher::new(port)
    }

    const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn reads_a_report() {
        let fetcher = serve(Router::new().route("/report", get(|| async { "{}" }))).await;
        assert_eq!(fetcher.report(LOCALHOST).await.unwrap(), b"{}");
    }

    #[tokio::test]
    async fn refuses_what_is_no_report() {
        let fetcher =
            serve(Router::new().route("/report", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))).await;
        assert!(matches!(
            fetcher.report(LOCALHOST).await,
            Err(FetchError::Status(_, StatusCode::SERVICE_UNAVAILABLE))
        ));
        let redirect = get(|| async { (StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]) });
        let fetcher = serve(Router::new().route("/report", redirect)).await;
        assert!(matches!(
            fetcher.report(LOCALHOST).await,
            Err(FetchError::Status(_, StatusCode::FOUND))
        ));
    }

    #[tokio::test]
    async fn stops_reading_at_the_cap() {
        let fetcher =
            serve(Router::new().route("/report", get(|| async { vec![b' '; MAX_BYTES + 1] }))).await;
        assert!(matches!(
            fetcher.report(LOCALHOST).await,
            Err(FetchError::Body(..))
        ));
    }

    #[tokio::test]
    async fn gives_up_on_a_silent_pod() {
        let fetcher = serve(Router::new().route("/report", get(std::future::pending::<&'static str>))).await;
        assert!(matches!(
            fetcher.report(LOCALHOST).await,
            Err(FetchError::TimedOut(_))
        ));
    }
}
