//! The stories of a sweep: where each begins, what its user changes, and how its end is seen in the status.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, DynamicObject};
use serde_json::{Value, json};

use crate::object::{Kind, Look};
use crate::wait::until;
use crate::{Scene, fixtures};

/// The one topic of a scene.
pub(super) const TOPIC: &str = "topic";
const PURGE: &str = "purge";
const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
const SECONDS: u64 = 60;

/// What the user of a scene wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// A topic.
    Create,
    /// Another configuration.
    Alter,
    /// More partitions.
    Grow,
    /// More replicas.
    Reassign,
    /// The topic gone.
    Delete,
    /// Records gone, by the exact method.
    DeleteRecords,
    /// The same on a compacted topic.
    PolicyFlip,
    /// Old records gone, by the brokers' own retention.
    RetentionFlip,
    /// The topic empty, as another.
    Recreate,
}

impl Story {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Alter,
        Self::Grow,
        Self::Reassign,
        Self::Delete,
        Self::DeleteRecords,
        Self::PolicyFlip,
        Self::RetentionFlip,
        Self::Recreate,
    ];

    /// Whether it clears records.
    #[must_use]
    pub fn purges(self) -> bool {
        matches!(
            self,
            Self::DeleteRecords | Self::PolicyFlip | Self::RetentionFlip | Self::Recreate
        )
    }

    /// Whether it is told with a second operator too.
    pub(super) fn stands_by(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Delete | Self::DeleteRecords | Self::Recreate
        )
    }

    /// Whether its operator writes the same each time. How often it tells of moves and of a wait for retention depends on
    /// how fast the brokers are.
    pub(super) fn is_told_alike(self) -> bool {
        !matches!(self, Self::Reassign | Self::RetentionFlip)
    }

    fn topic(self, scene: &Scene) -> Value {
        let mut spec = fixtures::topic(&scene.topic(TOPIC), 2);
        spec["retention"] = json!({"time": "Unlimited"});
        // What is old is in a segment of its own once something new is written.
        spec["config"] = json!({"segment.ms": 3_600_000});
        match self {
            Self::Create | Self::Delete => spec["deletionPolicy"] = json!("Delete"),
            Self::PolicyFlip => spec["config"]["cleanup.policy"] = json!("compact"),
            _ => {}
        }
        spec
    }

    fn purge(self, scene: &Scene) -> Value {
        let mut spec = json!({
            "topicRef": {"name": TOPIC}, "cut": {"type": "All"}, "guards": {"consumerGroups": "Ignore"},
        });
        match self {
            Self::PolicyFlip => spec["allowPolicyFlip"] = json!(true),
            Self::RetentionFlip => {
                spec["method"] = json!("RetentionFlip");
                spec["cut"] = json!({"type": "OlderThan", "olderThan": "1h"});
            }
            Self::Recreate => {
                spec["method"] = json!("Recreate");
                spec["confirm"] = json!(scene.topic(TOPIC));
            }
            _ => {}
        }
        spec
    }

    /// Applies what is there before the story begins.
    pub(super) async fn prepare(self, scene: &Scene, bootstrap: &str) -> Result<()> {
        scene
            .apply(Kind::Cluster, "kafka", fixtures::cluster_at(bootstrap))
            .await?;
        if self != Self::Create {
            scene.apply(Kind::Topic, TOPIC, self.topic(scene)).await?;
        }
        Ok(())
    }

    /// Awaits that all is there before the story begins.
    pub(super) async fn prepared(self, scene: &Scene) -> Result<()> {
        scene
            .await_says(Kind::Cluster, "kafka", ("Ready", "True", ""), SECONDS)
            .await?;
        if self != Self::Create {
            scene.await_says(Kind::Topic, TOPIC, READY, SECONDS).await?;
        }
        Ok(())
    }

    /// What the user does.
    pub(super) async fn act(self, scene: &Scene) -> Result<()> {
        let mut spec = self.topic(scene);
        match self {
            Self::Create => {}
            Self::Alter => spec["config"] = json!({"segment.ms": 7_200_000, "flush.ms": 60_000}),
            Self::Grow => spec["partitions"] = json!(4),
            Self::Reassign => spec["replicationFactor"] = json!(2),
            Self::Delete => {
                let topics = scene.api(Kind::Topic);
                return topics
                    .delete(TOPIC, &DeleteParams::default())
                    .await
                    .map(drop)
                    .context("delete the topic");
            }
            Self::DeleteRecords | Self::PolicyFlip | Self::RetentionFlip | Self::Recreate => {
                return scene.apply(Kind::Purge, PURGE, self.purge(scene)).await.map(drop);
            }
        }
        scene.apply(Kind::Topic, TOPIC, spec).await.map(drop)
    }

    /// Awaits that the status says it is done.
    pub(super) async fn settled(self, scene: &Scene) -> Result<()> {
        match self {
            Self::Create | Self::Alter | Self::Grow | Self::Reassign => scene
                .await_says(Kind::Topic, TOPIC, READY, SECONDS)
                .await
                .map(drop),
            Self::Delete => {
                let topics = scene.api(Kind::Topic);
                until(
                    "the topic to be gone",
                    Duration::from_secs(SECONDS),
                    async || match topics.get_opt(TOPIC).await? {
                        None => anyhow::Ok(()),
                        Some(left) => anyhow::bail!("it is there: {}", left.data["status"]),
                    },
                )
                .await
            }
            Self::DeleteRecords | Self::PolicyFlip | Self::RetentionFlip | Self::Recreate => {
                let done = |purge: &DynamicObject| {
                    let finalizers = purge.metadata.finalizers.as_ref();
                    purge.says("Complete", "True", "Complete") && finalizers.is_none_or(Vec::is_empty)
                };
                scene
                    .await_object(Kind::Purge, PURGE, "complete and released", SECONDS, done)
                    .await?;
                let told = |topic: &DynamicObject| {
                    topic.text("/status/lastPurge/name") == PURGE && topic.says(READY.0, READY.1, READY.2)
                };
                scene
                    .await_object(Kind::Topic, TOPIC, "ready and told of its purge", SECONDS, told)
                    .await
                    .map(drop)
            }
        }
    }

    /// The purge of a scene, where there is one.
    pub(super) async fn purge_of(self, scene: &Scene) -> Result<Option<DynamicObject>> {
        if self.purges() {
            return scene.get(Kind::Purge, PURGE).await.map(Some);
        }
        Ok(None)
    }
}

/// Awaits that this operator holds the scene's Lease.
pub(super) async fn await_leader(scene: &Scene, operator: &str) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(scene.live.client.clone(), &scene.namespace);
    until("the operator to lead", Duration::from_secs(30), async || {
        let lease = leases.get_opt("ottla").await?;
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        ensure!(holder.as_deref() == Some(operator), "{holder:?} leads");
        anyhow::Ok(())
    })
    .await
}
