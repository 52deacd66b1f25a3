//! A Kubernetes API as strict as the real one where it matters here: resource versions, uids, finalizers, generations.
//! It counts writes and can die after any of them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

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
    /// Writes that still succeed before everything fails; none: all.
    budget: Option<usize>,
    /// Writes that are refused with 409 before others are taken.
    conflicts: usize,
    /// Who may not be read or written: `<plural>/<namespace>`.
    forbidden_in: Vec<String>,
    /// What kind may not be read; none: all may.
    forbidden: Option<&'static str>,
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Applies an object as a user would: a changed spec is a new generation, status and finalizers stay.
    pub(crate) fn put(&self, plural: &str, mut object: Value) {
        let mut state = self.state();
        let path = path(plural, &object["metadata"]);
        let metadata = if let Some(old) = state.objects.get(&path) {
            let mut metadata = old["metadata"].clone();
            if old["spec"] != object["spec"] {
                metadata["generation"] = json!(metadata["generation"].as_i64().unwrap() + 1);
            }
            metadata["annotations"] = object["metadata"]["annotations"].clone();
            if object["status"].is_null() {
                object["status"] = old["status"].clone();
            }
            metadata
        } else {
            let mut metadata = object["metadata"].clone();
            let number = state.versions + 1;
            metadata["uid"] = json!(format!("uid-{number}"));
            metadata["generation"] = json!(1);
            // Seconds differ in the order of creation.
            metadata["creationTimestamp"] = json!(format!(
                "2026-01-01T00:{:02}:{:02}Z",
                number / 60 % 60,
                number % 60
            ));
            metadata
        };
        object["metadata"] = metadata;
        state.store(path, object);
    }

    /// Deletes as a user would: an object with finalizers stays until they are gone.
    pub(crate) fn delete(&self, plural: &str, name: &str) {
        self.delete_in("kafka", plural, name);
    }

    /// The same in another namespace.
    pub(crate) fn delete_in(&self, namespace: &str, plural: &str, name: &str) {
        let mut state = self.state();
        let path = format!("{plural}/{namespace}/{name}");
        let Some(mut object) = state.objects.remove(&path) else {
            return;
        };
        if object["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
        {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
            state.store(path, object);
        }
    }

    /// Makes all objects of a kind as old as each other.
    pub(crate) fn created_at_once(&self, plural: &str) {
        let prefix = format!("{plural}/");
        for (path, object) in &mut self.state().objects {
            if path.starts_with(&prefix) {
                object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
        }
    }

    /// Annotates an object as a user would.
    pub(crate) fn annotate(&self, plural: &str, name: &str, annotations: Value) {
        let mut object = self.get(plural, name).expect("the object is there");
        object["metadata"]["annotations"] = annotations;
        self.put(plural, object);
    }

    /// Adds somebody else's finalizer.
    pub(crate) fn add_finalizer(&self, plural: &str, name: &str, finalizer: &str) {
        let mut state = self.state();
        let path = format!("{plural}/kafka/{name}");
        if let Some(mut object) = state.objects.remove(&path) {
            let held = object["metadata"]["finalizers"].as_array_mut();
            held.expect("the object has finalizers").push(json!(finalizer));
            state.store(path, object);
        }
    }

    /// Takes every finalizer off an object, as a person in a hurry would.
    pub(crate) fn strip_finalizers(&self, plural: &str, name: &str) {
        let mut state = self.state();
        let path = format!("{plural}/kafka/{name}");
        if let Some(mut object) = state.objects.remove(&path) {
            object["metadata"]["finalizers"] = Value::Null;
            state.store(path, object);
        }
    }

    pub(crate) fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.state()
            .objects
            .get(&format!("{plural}/kafka/{name}"))
            .cloned()
    }

    pub(crate) fn list(&self, plural: &str) -> Vec<Value> {
        let prefix = format!("{plural}/");
        let state = self.state();
        state
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(&prefix))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Writes so far, as `<verb> <path>`; events apart.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }

    /// Reasons of the events so far.
    pub(crate) fn events(&self) -> Vec<String> {
        self.state().events.clone()
    }

    /// Lets this many writes succeed, and refuses everything after them.
    pub(crate) fn die_after(&self, writes: Option<usize>) {
        self.state().budget = writes;
    }

    /// Refuses so many writes with 409, as if somebody were always a moment earlier.
    pub(crate) fn conflict_next(&self, writes: usize) {
        self.state().conflicts = writes;
    }

    /// Takes the right to a kind in a namespace away, or gives it back.
    pub(crate) fn forbid_in(&self, plural: &str, namespace: &str, forbidden: bool) {
        let place = format!("{plural}/{namespace}");
        let mut state = self.state();
        state.forbidden_in.retain(|other| *other != place);
        if forbidden {
            state.forbidden_in.push(place);
        }
    }

    /// Takes the right to read a kind, or gives it back.
    pub(crate) fn forbid(&self, plural: Option<&'static str>) {
        self.state().forbidden = plural;
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (status, answer) = self.state().handle(&parts.method, parts.uri.path(), body);
        Response::builder()
            .status(status)
            .body(Body::from(serde_json::to_vec(&answer).unwrap()))
            .unwrap()
    }
}

impl State {
    fn handle(&mut self, method: &Method, uri: &str, body: Value) -> (StatusCode, Value) {
        if self.budget == Some(0) {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "the test's crash");
        }
        if uri.contains("/events.k8s.io/") {
            self.events
                .push(body["reason"].as_str().unwrap_or_default().to_owned());
            return (StatusCode::CREATED, body);
        }
        let Some((_, rest)) = uri.split_once("/namespaces/") else {
            return (StatusCode::OK, self.list(uri));
        };
        let parts: Vec<&str> = rest.split('/').collect();
        if self.forbidden == Some(parts[1]) {
            return failure(StatusCode::FORBIDDEN, "the operator has no right to it");
        }
        let path = format!("{}/{}/{}", parts[1], parts[0], parts[2]);
        if self.forbidden_in.contains(&format!("{}/{}", parts[1], parts[0])) {
            return failure(StatusCode::FORBIDDEN, "the test took the right away");
        }
        if *method == Method::PATCH && self.conflicts > 0 {
            self.conflicts -= 1;
            return failure(StatusCode::CONFLICT, "somebody was earlier");
        }
        let Some(mut object) = self.objects.get(&path).cloned() else {
            return failure(StatusCode::NOT_FOUND, "not found");
        };
        if *method == Method::GET {
            return (StatusCode::OK, object);
        }
        if *method == Method::DELETE {
            let wanted = &body["preconditions"]["uid"];
            assert_eq!(
                *wanted, object["metadata"]["uid"],
                "a delete names its incarnation"
            );
            self.objects.remove(&path);
            self.writes.push(format!("DELETE {path}"));
            return (StatusCode::OK, object);
        }
        assert_eq!(*method, Method::PATCH, "the operator only patches and deletes");
        for guard in ["uid", "resourceVersion"] {
            let wanted = &body["metadata"][guard];
            if !wanted.is_null() && *wanted != object["metadata"][guard] {
                return failure(StatusCode::CONFLICT, "changed");
            }
        }
        let status = parts.get(3) == Some(&"status");
        if status {
            object["status"] = body["status"].clone();
        } else {
            let metadata = &body["metadata"];
            if let Some(finalizers) = metadata.get("finalizers") {
                object["metadata"]["finalizers"] = finalizers.clone();
            }
            for (name, value) in metadata["annotations"].as_object().into_iter().flatten() {
                object["metadata"]["annotations"][name] = value.clone();
            }
        }
        self.writes
            .push(format!("{} {path}", if status { "STATUS" } else { "PATCH" }));
        if let Some(budget) = &mut self.budget {
            *budget -= 1;
        }
        let bare = object["metadata"]["finalizers"]
            .as_array()
            .is_none_or(Vec::is_empty);
        if bare && !object["metadata"]["deletionTimestamp"].is_null() {
            self.objects.remove(&path);
            return (StatusCode::OK, object);
        }
        (StatusCode::OK, self.store(path, object))
    }

    /// Every object of a kind, as the API server lists them.
    fn list(&self, uri: &str) -> Value {
        let plural = uri.rsplit('/').next().unwrap_or_default();
        let of_kind = |(path, _): &(&String, &Value)| path.split('/').next() == Some(plural);
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(of_kind)
            .map(|(_, object)| object)
            .collect();
        json!({"apiVersion": "ottla.dev/v1alpha1", "kind": "List", "metadata": {}, "items": items})
    }

    fn store(&mut self, path: String, mut object: Value) -> Value {
        self.versions += 1;
        object["metadata"]["resourceVersion"] = json!(self.versions.to_string());
        self.objects.insert(path, object.clone());
        object
    }
}

fn path(plural: &str, metadata: &Value) -> String {
    let part = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    format!("{plural}/{}/{}", part("namespace"), part("name"))
}

fn failure(code: StatusCode, message: &str) -> (StatusCode, Value) {
    let reason = code.canonical_reason().unwrap_or_default().replace(' ', "");
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "metadata": {},
        "code": code.as_u16(), "reason": reason, "message": message
    });
    (code, body)
}
