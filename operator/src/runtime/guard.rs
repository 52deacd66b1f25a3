//! The Kubernetes client of those who may change things only while their permit holds. What only reads goes through always.
//!
//! The permit is asked at every try, after every pause between tries: whoever wants a write refused late must not have
//! asked early. So the client given here must not try again by itself ([`kube::Config::default_retry`] is false).

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use kube::client::retry::RetryPolicy;
use ottla_kafka::permit::Permit;
use tower::retry::RetryLayer;
use tower::{BoxError, ServiceBuilder};

/// The right to change anything had ended; nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("the right to change anything here has ended")]
pub struct NotPermitted;

/// A client that changes things only while the permit holds, and tries again what the API server is too busy for.
#[must_use]
pub fn guarded(client: Client, permit: Permit) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        .service_fn(move |request| permitted(client.clone(), permit.clone(), request));
    Client::new(service, namespace)
}

async fn permitted(
    client: Client,
    permit: Permit,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    #[cfg(feature = "failpoints")]
    let point = super::failpoint::of_request(request.method(), request.uri().path());
    #[cfg(feature = "failpoints")]
    if let Some(point) = &point {
        super::failpoint::before(point).await;
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && !permit.holds() {
        return Err(NotPermitted.into());
    }
    let answer = client.send(request).await?;
    #[cfg(feature = "failpoints")]
    if let Some(point) = &point
        && super::failpoint::after(point).await == super::failpoint::Fate::Lost
    {
        return Err(format!("the answer was lost at the point {point}").into());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::StatusCode;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use kube::api::{DeleteParams, PostParams};

    use super::*;
    use crate::runtime::Error;

    /// An API server that counts what arrives, and is too busy for it while `busy` says so.
    fn server(arrived: Arc<AtomicUsize>, busy: impl Fn() -> bool + Clone + Send + 'static) -> Client {
        let service = tower::service_fn(move |_: Request<Body>| {
            arrived.fetch_add(1, Ordering::SeqCst);
            let (status, body) = if busy() {
                (
                    StatusCode::TOO_MANY_REQUESTS,
                    r#"{"kind":"Status","apiVersion":"v1","code":429}"#,
                )
            } else {
                (
                    StatusCode::OK,
                    r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}"#,
                )
            };
            let answer = Response::builder()
                .status(status)
                .body(Body::from(body.as_bytes().to_vec()));
            async move { Ok::<_, Infallible>(answer.unwrap()) }
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn without_the_permit_nothing_but_reads_leaves() {
        let arrived = Arc::new(AtomicUsize::new(0));
        let permit = Permit::unlimited();
        let client = guarded(server(arrived.clone(), || false), permit.clone());
        let api: Api<ConfigMap> = Api::default_namespaced(client);
        api.create(&PostParams::default(), &ConfigMap::default())
            .await
            .unwrap();
        assert_eq!(arrived.load(Ordering::SeqCst), 1);

        permit.end();
        let created = api.create(&PostParams::default(), &ConfigMap::default()).await;
        let deleted = api.delete("a", &DeleteParams::default()).await;
        for error in [created.unwrap_err(), deleted.unwrap_err()] {
            let error = Error::kube("change it", error);
            assert!(matches!(error, Error::NotPermitted { .. }), "{error:?}");
        }
        assert_eq!(arrived.load(Ordering::SeqCst), 1);
        api.get("a").await.unwrap();
        assert_eq!(arrived.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_ends_between_two_tries_ends_the_trying() {
        let arrived = Arc::new(AtomicUsize::new(0));
        let permit = Permit::unlimited();
        let ending = permit.clone();
        let busy = move || {
            ending.end();
            true
        };
        let api: Api<ConfigMap> = Api::default_namespaced(guarded(server(arrived.clone(), busy), permit));
        let error = api
            .create(&PostParams::default(), &ConfigMap::default())
            .await
            .unwrap_err();
        assert!(matches!(
            Error::kube("create it", error),
            Error::NotPermitted { .. }
        ));
        assert_eq!(
            arrived.load(Ordering::SeqCst),
            1,
            "it was tried again without the right to"
        );
    }
}
