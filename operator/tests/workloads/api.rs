//! A Kubernetes API small enough to read: objects by path, create, apply, merge, status, delete; it counts writes
//! and can die after any of them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

#[derive(Default)]
struct State {
    /// By `<plural>/<namespace>/<name>`.
    objects: BTreeMap<String, Value>,
    versions: u64,
    writes: Vec<String>,
    events: Vec<String>,
    /// Writes that still succeed; none: all.
    budget: Option<usize>,
}

/// The API; clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Api(Arc<Mutex<State>>);

impl Api {
    pub(crate) fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    /// Puts an object there as a user would, not counted as a write.
    pub(crate) fn put(&self, plural: &str, mut object: Value) {
        let mut state = self.0.lock().unwrap();
        let path = path(plural, &object["metadata"]);
        let old = state.objects.get(&path).cloned();
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] =
                old.map_or_else(|| new_uid(&path), |old| old["metadata"]["uid"].clone());
        }
        state.store(path, object);
    }

    pub(crate) fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.0
            .lock()
            .unwrap()
            .objects
            .get(&format!("{plural}/kafka/{name}"))
            .cloned()
    }

    pub(crate) fn list(&self, plural: &str) -> Vec<Value> {
        let prefix = format!("{plural}/");
        let state = self.0.lock().unwrap();
        state
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(&prefix))
            .map(|(_, object)| object.clone())
            .collect()
    }

    pub(crate) fn remove(&self, plural: &str, name: &str) {
        self.0
            .lock()
            .unwrap()
            .objects
            .remove(&format!("{plural}/kafka/{name}"));
    }

    /// Writes so far, as `<verb> <path>`.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.0.lock().unwrap().writes.clone()
    }

    /// Reasons of the events so far.
    pub(crate) fn events(&self) -> Vec<String> {
        self.0.lock().unwrap().events.clone()
    }

    /// Lets this many writes succeed and refuses all after them.
    pub(crate) fn die_after(&self, writes: Option<usize>) {
        self.0.lock().unwrap().budget = writes;
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let merge = parts
            .headers
            .get("content-type")
            .is_some_and(|t| t == "application/merge-patch+json");
        let (status, answer) = self
            .0
            .lock()
            .unwrap()
            .handle(&parts.method, parts.uri.path(), merge, body);
        Response::builder()
            .status(status)
            .body(Body::from(serde_json::to_vec(&answer).unwrap()))
            .unwrap()
    }
}

impl State {
    fn handle(&mut self, method: &Method, uri: &str, merge: bool, body: Value) -> (StatusCode, Value) {
        if uri.contains("/events.k8s.io/") {
            self.events
                .push(body["reason"].as_str().unwrap_or_default().to_owned());
            return (StatusCode::CREATED, body);
        }
        let (_, rest) = uri
            .split_once("/namespaces/")
            .expect("every request names a namespace");
        let mut segments = rest.split('/');
        let (namespace, plural) = (segments.next().unwrap(), segments.next().unwrap());
        let (name, sub) = (segments.next(), segments.next());
        let path = format!(
            "{plural}/{namespace}/{}",
            name.or(body["metadata"]["name"].as_str()).unwrap_or_default()
        );
        if *method == Method::GET {
            return self.read(plural, namespace, name, &path);
        }
        if self.budget == Some(0) {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "the test's crash");
        }
        let old = self.objects.get(&path).cloned();
        let new = match (method, old) {
            (&Method::POST, Some(_)) => return failure(StatusCode::CONFLICT, "exists"),
            (&Method::POST, None) => body,
            (&Method::DELETE, Some(object)) => {
                self.objects.remove(&path);
                self.wrote(format!("DELETE {path}"));
                return (StatusCode::OK, object);
            }
            (&Method::PATCH, Some(old)) if foreign(&old, &body) => {
                return failure(StatusCode::CONFLICT, "another uid");
            }
            (&Method::PATCH, Some(mut old)) => {
                if merge {
                    json_merge(&mut old, &body);
                } else if sub == Some("status") {
                    old["status"] = body["status"].clone();
                } else {
                    let (uid, status) = (old["metadata"]["uid"].clone(), old["status"].clone());
                    old = body;
                    old["metadata"]["uid"] = uid;
                    old["status"] = status;
                }
                old
            }
            (&Method::PATCH, None) if sub.is_none() && !merge => body,
            _ => return failure(StatusCode::NOT_FOUND, "not found"),
        };
        let verb = if sub.is_some() { "STATUS" } else { method.as_str() };
        self.wrote(format!("{verb} {path}"));
        let mut new = new;
        if new["metadata"]["uid"].is_null() {
            new["metadata"]["uid"] = new_uid(&path);
        }
        (StatusCode::OK, self.store(path, new))
    }

    fn read(&self, plural: &str, namespace: &str, name: Option<&str>, path: &str) -> (StatusCode, Value) {
        if name.is_some() {
            return match self.objects.get(path) {
                Some(object) => (StatusCode::OK, object.clone()),
                None => failure(StatusCode::NOT_FOUND, "not found"),
            };
        }
        let prefix = format!("{plural}/{namespace}/");
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(&prefix))
            .map(|(_, object)| object)
            .collect();
        (
            StatusCode::OK,
            json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}),
        )
    }

    fn store(&mut self, path: String, mut object: Value) -> Value {
        self.versions += 1;
        object["metadata"]["resourceVersion"] = json!(self.versions.to_string());
        self.objects.insert(path, object.clone());
        object
    }

    fn wrote(&mut self, write: String) {
        self.writes.push(write);
        if let Some(budget) = &mut self.budget {
            *budget -= 1;
        }
    }
}

fn foreign(old: &Value, body: &Value) -> bool {
    let wanted = &body["metadata"]["uid"];
    !wanted.is_null() && *wanted != old["metadata"]["uid"]
}

fn path(plural: &str, metadata: &Value) -> String {
    let part = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    format!("{plural}/{}/{}", part("namespace"), part("name"))
}

/// A uid that is the same in every run of a test.
fn new_uid(path: &str) -> Value {
    let number = path.bytes().fold(7_u64, |sum, byte| {
        sum.wrapping_mul(1_099_511_628_211) ^ u64::from(byte)
    });
    json!(format!(
        "00000000-0000-4000-8000-{:012x}",
        number & 0xffff_ffff_ffff
    ))
}

fn failure(code: StatusCode, message: &str) -> (StatusCode, Value) {
    let reason = code.canonical_reason().unwrap_or_default().replace(' ', "");
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "metadata": {},
        "code": code.as_u16(), "reason": reason, "message": message
    });
    (code, body)
}

fn json_merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    for (field, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(field);
        } else {
            json_merge(&mut target[field.as_str()], value);
        }
    }
}
