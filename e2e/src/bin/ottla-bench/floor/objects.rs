//! The API server's side of the floors: what users write there, and the least that an operator must.

use anyhow::{Context as _, Result};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use ottla_e2e::object::{API, Kind};
use serde_json::{Value, json};

use crate::load::{self, CLIENTS};
use crate::place::Place;

/// What holds an object until its topic is deleted.
const FINALIZER: &str = "ottla.dev/bench";

/// The objects of a floor, and the status that each is given.
pub(super) struct Objects<'a> {
    place: &'a Place,
    api: Api<DynamicObject>,
    all: Vec<DynamicObject>,
    status: &'a Value,
}

impl<'a> Objects<'a> {
    pub(super) fn new(place: &'a Place, all: Vec<DynamicObject>, status: &'a Value) -> Self {
        Self {
            place,
            api: place.api(Kind::Topic),
            all,
            status,
        }
    }

    /// The objects.
    pub(super) fn each(&self) -> std::slice::Iter<'_, DynamicObject> {
        self.all.iter()
    }

    /// Creates each and tells its status.
    pub(super) async fn create(&self) -> Result<()> {
        self.for_each(async |object| {
            self.create_one(object).await?;
            self.tell(object, 1).await
        })
        .await
    }

    /// Changes the spec of each and tells its status.
    pub(super) async fn change(&self) -> Result<()> {
        let change = json!({"spec": {"config": {"retention.ms": 86_400_000}}});
        self.for_each(async |object| {
            self.patch(object, &change).await?;
            self.tell(object, 2).await
        })
        .await
    }

    /// Has each wait, when it is deleted, until it is let go.
    pub(super) async fn guard(&self) -> Result<()> {
        let guard = json!({"metadata": {"finalizers": [FINALIZER]}});
        self.for_each(async |object| self.patch(object, &guard).await)
            .await
    }

    /// Deletes each and lets it go. (An operator writes an event too: that is a courtesy which it could leave out.)
    pub(super) async fn delete(&self) -> Result<()> {
        let free = json!({"metadata": {"finalizers": null}});
        self.for_each(async |object| {
            self.place.delete(Kind::Topic, name(object)?).await?;
            self.patch(object, &free).await
        })
        .await
    }

    pub(super) async fn create_one(&self, object: &DynamicObject) -> Result<()> {
        load::create_one(&self.api, object.clone()).await.map(drop)
    }

    pub(super) async fn grow_one(&self, object: &DynamicObject, partitions: u32) -> Result<()> {
        self.patch(object, &json!({"spec": {"partitions": partitions}}))
            .await
    }

    /// Applies the status for a generation, as an operator does.
    pub(super) async fn tell(&self, object: &DynamicObject, generation: i64) -> Result<()> {
        let name = name(object)?;
        let mut status = self.status.clone();
        status["observedGeneration"] = json!(generation);
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["observedGeneration"] = json!(generation);
        }
        let told = json!({
            "apiVersion": API, "kind": Kind::Topic.name(), "metadata": {"name": name}, "status": status,
        });
        let parameters = PatchParams::apply("floor").force();
        let applied = self
            .api
            .patch_status(name, &parameters, &Patch::Apply(told))
            .await;
        applied
            .map(drop)
            .with_context(|| format!("apply the status of {name}"))
    }

    async fn patch(&self, object: &DynamicObject, patch: &Value) -> Result<()> {
        let name = name(object)?;
        let patched = self
            .api
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.map(drop).with_context(|| format!("patch {name}"))
    }

    /// Does something to each, by as many clients as every bench has.
    async fn for_each(&self, act: impl AsyncFn(&DynamicObject) -> Result<()>) -> Result<()> {
        let calls = stream::iter(&self.all).map(|object| act(object));
        calls.buffer_unordered(CLIENTS).try_collect().await
    }
}

fn name(object: &DynamicObject) -> Result<&str> {
    object
        .metadata
        .name
        .as_deref()
        .context("an object without a name")
}
