//! Figures of topics for metrics: how many stand how, and, where they were asked for, each one's replicas and size.
//! Decides nothing.

use std::sync::Weak;

use ottla_crds::UNSEEN;
use ottla_kafka::admin::{Admin, Topic};
use tracing::debug;

use crate::cluster::cluster_key;
use crate::runtime::conditions::{READY, find};
use crate::runtime::metrics::{OfTopic, Standing};
use crate::runtime::{Context, Key};

/// The most topics of a KafkaCluster that have series of their own.
const MOST: usize = 2_000;

/// How the KafkaTopics of every KafkaCluster stand; those that refer to none are not among them.
#[must_use]
pub fn standing(ctx: &Weak<Context>) -> Standing {
    let Some(ctx) = ctx.upgrade() else {
        return Standing::new();
    };
    let clusters = ctx.stores.clusters.keys().into_iter();
    let mut all: Standing = clusters.map(|key| (key.to_string(), [].into())).collect();
    for topic in ctx.stores.topics.objects() {
        let named = cluster_key(&Key::of(&*topic), &topic.spec.cluster_ref);
        let Some(reasons) = all.get_mut(&named.to_string()) else {
            continue;
        };
        let status = topic.status.as_ref();
        let ready = status.and_then(|status| find(&status.conditions, READY));
        let reason = ready.map_or(UNSEEN, |ready| ready.reason.as_str());
        if let Some(count) = reasons.get_mut(reason) {
            *count += 1;
        } else {
            reasons.insert(reason.to_owned(), 1);
        }
    }
    all
}

/// Figures of single topics, gathered in one sweep.
pub(super) struct Figures(Option<Vec<OfTopic>>);

impl Figures {
    /// None, unless the operator was told to.
    pub(super) fn wanted(ctx: &Context) -> Self {
        Self(ctx.config.topic_metrics.then(Vec::new))
    }

    /// Takes in topics as Kafka describes them.
    pub(super) fn take_in<'a>(&mut self, topics: impl Iterator<Item = &'a Topic>) {
        let Some(figures) = &mut self.0 else { return };
        figures.extend(topics.map(|topic| {
            let short = topic
                .partitions
                .iter()
                .filter(|one| one.in_sync.len() < one.replicas.len());
            OfTopic {
                topic: topic.name.to_string(),
                under_replicated: i64::try_from(short.count()).unwrap_or(i64::MAX),
                bytes: None,
            }
        }));
    }

    /// Tells them, with each topic's size.
    pub(super) async fn tell(self, ctx: &Context, cluster: &Key, admin: &dyn Admin) {
        let Some(mut figures) = self.0 else { return };
        match admin.log_sizes().await {
            Ok(sizes) => {
                for figure in &mut figures {
                    let bytes = figure.topic.parse().ok().and_then(|name| sizes.get(&name));
                    figure.bytes = bytes.and_then(|bytes| i64::try_from(*bytes).ok());
                }
            }
            // A broker is away, or the right to describe the cluster is missing: sizes are not told.
            Err(error) => {
                debug!(namespace = cluster.namespace, name = cluster.name, %error, "Sizes not read");
            }
        }
        ctx.metrics.clusters.stand(&cluster.to_string(), figures, MOST);
    }
}
