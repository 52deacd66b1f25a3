//! A namespace of its own for one test, with credentials and a way to apply and watch objects.
//!
//! A scene that ends well removes its namespace and its topics; one that fails leaves the namespace for a look and
//! prints what a person would look at first.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::fixtures;
use crate::live::Live;
use crate::object::{Kind, Look};
use crate::plane::Plane;
use crate::spare::Spare;

/// How soon to look again at an object that could not be looked at.
const LOOK: Duration = Duration::from_millis(300);

/// The label of every namespace these tests make.
pub const LABEL: &str = "ottla.dev/e2e";

/// One test's namespace.
pub struct Scene {
    /// The cluster.
    pub live: Live,
    /// The namespace's name.
    pub namespace: String,
    /// Prefix of every topic of this scene in Kafka: unique to the run.
    pub prefix: String,
    /// The shared broker.
    pub broker: Broker,
    /// The password of `user1`.
    pub password: String,
}

/// Tells one story in a namespace of its own.
pub async fn scene(name: &str, story: impl AsyncFnOnce(&Scene) -> Result<()>) -> Result<()> {
    let Some(live) = Live::connect(name).await? else {
        return Ok(());
    };
    let scene = Scene::open(live, name)
        .await
        .with_context(|| format!("open scene {name}"))?;
    match Box::pin(story(&scene)).await {
        Ok(()) => scene.close().await,
        Err(error) => {
            eprintln!("{}", scene.describe().await);
            Err(error.context(format!("namespace {} is left for a look", scene.namespace)))
        }
    }
}

impl Scene {
    /// Makes the namespace, with the restricted profile enforced, and the credentials in it.
    async fn open(live: Live, name: &str) -> Result<Self> {
        let namespace = namespace(&live, name).await?;
        let id = namespace.rsplit('-').next().unwrap_or_default();
        let prefix = format!("e2e-{id}-");
        let password = shared_password(&live).await?;
        let broker = Broker::shared(&live, "user1", &password)?;
        let scene = Self {
            live,
            namespace,
            prefix,
            broker,
            password,
        };
        scene
            .secret(
                "kafka-credentials",
                &[("username", "user1"), ("password", &scene.password)],
            )
            .await?;
        Ok(scene)
    }

    /// A namespace of a Kubernetes API of the test's own, with credentials for the throw-away Kafka.
    pub async fn apart(plane: &Plane, spare: &Spare, name: &str) -> Result<Self> {
        let live = Live {
            client: plane.client.clone(),
        };
        let namespace = namespace(&live, name).await?;
        let id = namespace.rsplit('-').next().unwrap_or_default();
        let scene = Self {
            live,
            prefix: format!("e2e-{id}-"),
            namespace,
            broker: spare.broker.clone(),
            password: spare.password.clone(),
        };
        scene
            .secret("kafka-credentials", &[("password", &scene.password)])
            .await?;
        Ok(scene)
    }

    /// A topic name in Kafka that no other scene and no other run uses.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Makes or replaces a Secret with these strings.
    pub async fn secret(&self, name: &str, data: &[(&str, &str)]) -> Result<()> {
        let data: serde_json::Map<String, Value> =
            data.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        let api: Api<Secret> = Api::namespaced(self.live.client.clone(), &self.namespace);
        let parameters = PatchParams::apply("e2e").force();
        api.patch(name, &parameters, &Patch::Apply(secret))
            .await
            .with_context(|| format!("apply Secret {name}"))?;
        Ok(())
    }

    /// The API of one kind in this namespace.
    #[must_use]
    pub fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.live.client.clone(), &self.namespace, &kind.resource())
    }

    /// Applies an object of ours, as `kubectl apply --server-side` does.
    pub async fn apply(&self, kind: Kind, name: &str, spec: Value) -> Result<DynamicObject> {
        let parameters = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..PatchParams::apply("e2e").force()
        };
        let object = json!({
            "apiVersion": crate::object::API, "kind": kind.name(), "metadata": {"name": name}, "spec": spec,
        });
        let applied = self
            .api(kind)
            .patch(name, &parameters, &Patch::Apply(object))
            .await;
        applied.with_context(|| format!("apply {} {name}", kind.name()))
    }

    /// Changes fields by a JSON merge patch, as `kubectl patch --type=merge` does.
    pub async fn merge(&self, kind: Kind, name: &str, patch: Value) -> Result<DynamicObject> {
        let patched = self
            .api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.with_context(|| format!("patch {} {name}", kind.name()))
    }

    /// The object as it is now.
    pub async fn get(&self, kind: Kind, name: &str) -> Result<DynamicObject> {
        self.api(kind)
            .get(name)
            .await
            .with_context(|| format!("get {} {name}", kind.name()))
    }

    /// Awaits that the object satisfies `test`, and answers it.
    pub async fn await_object(
        &self,
        kind: Kind,
        name: &str,
        what: &str,
        seconds: u64,
        test: impl Fn(&DynamicObject) -> bool,
    ) -> Result<DynamicObject> {
        let api = self.api(kind);
        let condition = |object: Option<&DynamicObject>| object.is_some_and(&test);
        let awaited = async {
            loop {
                match await_condition(api.clone(), name, condition).await {
                    // An API server that has just come back is not ready for every list.
                    Err(error) => eprintln!("{} {name} is looked at again: {error}", kind.name()),
                    Ok(found) => return found,
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if let Ok(found) = tokio::time::timeout(Duration::from_secs(seconds), awaited).await {
            return found.with_context(|| format!("{} {name} went away", kind.name()));
        }
        let last = api
            .get_opt(name)
            .await?
            .map(|object| object.data["status"].clone());
        let status = serde_json::to_string_pretty(&last.unwrap_or(json!("absent")))?;
        bail!(
            "after {seconds} s {} {name} is not {what}; its status: {status}",
            kind.name()
        )
    }

    /// Awaits a condition's status and reason (an empty reason matches any) for the current generation.
    pub async fn await_says(
        &self,
        kind: Kind,
        name: &str,
        (condition, status, reason): (&str, &str, &str),
        seconds: u64,
    ) -> Result<DynamicObject> {
        let what = format!("{condition}={status}/{reason}");
        self.await_object(kind, name, &what, seconds, |object| {
            object.says(condition, status, reason)
        })
        .await
    }

    /// The cluster's Kafka, and `topic`, a topic of three partitions, which is Ready.
    pub async fn with_topic(&self) -> Result<()> {
        self.apply(Kind::Cluster, "kafka", fixtures::cluster()).await?;
        let spec = fixtures::topic(&self.topic("records"), 3);
        self.apply(Kind::Topic, "topic", spec).await?;
        self.await_says(Kind::Topic, "topic", ("Ready", "True", ""), 60)
            .await
            .map(drop)
    }

    /// Deletes an object and awaits that it is gone.
    pub async fn delete(&self, kind: Kind, name: &str, seconds: u64) -> Result<()> {
        let api = self.api(kind);
        api.delete(name, &DeleteParams::default())
            .await
            .with_context(|| format!("delete {} {name}", kind.name()))?;
        crate::wait::until(
            &format!("{} {name} to be gone", kind.name()),
            Duration::from_secs(seconds),
            async || match api.get_opt(name).await {
                Ok(None) => Ok(()),
                Ok(Some(object)) => Err(serde_json::to_string(&object.data["status"]).unwrap_or_default()),
                Err(error) => Err(error.to_string()),
            },
        )
        .await
    }

    /// Runs kubectl in this namespace.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let all = [&["-n", self.namespace.as_str()], arguments].concat();
        self.live.kubectl(&all).await
    }

    /// Removes what the scene made.
    async fn close(self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.live.client.clone());
        if namespaces.get_opt(&self.namespace).await?.is_none() {
            return Ok(());
        }
        for kind in [Kind::Purge, Kind::Consumer, Kind::Producer, Kind::Topic] {
            self.api(kind)
                .delete_collection(&DeleteParams::default(), &ListParams::default())
                .await?;
        }
        let namespaces: Api<Namespace> = Api::all(self.live.client.clone());
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await?;
        Ok(())
    }

    /// What a person would look at first.
    async fn describe(&self) -> String {
        let looks: [&[&str]; 3] = [
            &[
                "get",
                "kafkaclusters,kafkatopics,kafkatopicpurges,kafkaproducers,kafkaconsumers,pods,jobs",
                "-o",
                "wide",
            ],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["-n", "ottla-system", "logs", "deployment/ottla", "--tail=40"],
        ];
        let mut text = String::new();
        for look in looks {
            let seen = self
                .kubectl(look)
                .await
                .unwrap_or_else(|error| format!("{error:#}"));
            text += &["--- kubectl ", &look.join(" "), "\n", &seen, "\n"].concat();
        }
        text
    }
}

/// Makes a namespace for one test, with the restricted profile enforced, and answers its name.
pub async fn namespace(live: &Live, name: &str) -> Result<String> {
    let namespaces: Api<Namespace> = Api::all(live.client.clone());
    let made = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "generateName": format!("e2e-{name}-"),
            "labels": {LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"},
        },
    });
    let made = namespaces
        .create(&PostParams::default(), &serde_json::from_value(made)?)
        .await?;
    made.metadata.name.context("a created namespace has a name")
}

/// The password of `user1`, as the Kafka chart keeps it.
pub async fn shared_password(live: &Live) -> Result<String> {
    let secrets: Api<Secret> = Api::namespaced(live.client.clone(), "kafka");
    let secret = secrets
        .get("kafka-user-passwords")
        .await
        .context("read Kafka's passwords")?;
    let bytes = secret
        .data
        .and_then(|mut data| data.remove("client-passwords"))
        .context("key client-passwords")?;
    let list = String::from_utf8(bytes.0)?;
    Ok(list.split(',').next().unwrap_or_default().trim().to_owned())
}
