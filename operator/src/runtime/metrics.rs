//! What is counted. Labels are few and bounded: kinds, operations, outcomes, KafkaClusters; the name of no other object,
//! unless it was asked for.

mod clusters;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

pub use self::clusters::{Clusters, OfTopic, Standing};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindOutcome {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindReason {
    kind: &'static str,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Transition {
    to: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodReason {
    method: &'static str,
    reason: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

/// Every metric of the operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    leader: Gauge,
    leader_transitions: Family<Transition, Counter>,
    reconciles: Family<KindOutcome, Counter>,
    queue_depth: Family<Kind, Gauge>,
    objects: Family<KindReason, Gauge>,
    watch_failures: Family<Kind, Counter>,
    status_writes: Family<Kind, Counter>,
    events: Family<KindReason, Counter>,
    /// What is counted for each KafkaCluster.
    pub clusters: Clusters,
    purging: Purging,
}

/// What is counted of purges.
#[derive(Debug)]
struct Purging {
    ended: Family<MethodReason, Counter>,
    records: Family<Method, Counter>,
    seconds: Histograms<Method>,
}

impl Purging {
    fn register(registry: &mut Registry) -> Self {
        Self {
            ended: add(registry, "purges", "Purges that ended, by how", Family::default()),
            records: add(
                registry,
                "purged_records",
                "Records that purges planned and removed",
                Family::default(),
            ),
            seconds: add(
                registry,
                "purge_duration_seconds",
                "From a purge's creation to its end, when it was carried out",
                Histograms::new_with_constructor(seconds),
            ),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ottla");
        Self {
            leader: add(
                &mut registry,
                "leader",
                "1 while this operator may act, 0 while it stands by",
                Gauge::default(),
            ),
            leader_transitions: add(
                &mut registry,
                "leader_transitions",
                "How often this operator began or ceased to lead",
                Family::default(),
            ),
            reconciles: add(
                &mut registry,
                "reconciles",
                "Passes over objects, by how they ended",
                Family::default(),
            ),
            queue_depth: add(
                &mut registry,
                "queue_depth",
                "Objects that wait for their turn",
                Family::default(),
            ),
            objects: add(
                &mut registry,
                "objects",
                "Objects, by the reason of their Ready condition",
                Family::default(),
            ),
            watch_failures: add(
                &mut registry,
                "watch_failures",
                "Watches that failed and were set up again",
                Family::default(),
            ),
            status_writes: add(
                &mut registry,
                "status_writes",
                "Statuses written",
                Family::default(),
            ),
            events: add(&mut registry, "events", "Events published", Family::default()),
            clusters: Clusters::register(&mut registry),
            purging: Purging::register(&mut registry),
            registry,
        }
    }
}

/// Registers a metric and keeps a handle of it.
fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// Takes in that this operator may act from now on, or may not.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        let to = if leads { "leader" } else { "standby" };
        self.leader_transitions.get_or_create(&Transition { to }).inc();
    }

    /// Forgets what is there: it is seen anew.
    pub fn forget_objects(&self) {
        self.clusters.forget_all();
        self.objects.clear();
        self.queue_depth.clear();
    }

    /// Counts one pass over an object, for the KafkaCluster that it refers to, if that is known.
    pub fn reconciled(
        &self,
        kind: &'static str,
        cluster: Option<&str>,
        outcome: &'static str,
        took: Duration,
    ) {
        self.reconciles
            .get_or_create(&KindOutcome { kind, outcome })
            .inc();
        self.clusters.reconciled(cluster.unwrap_or_default(), kind, took);
    }

    /// Takes in how many objects of a kind wait.
    pub fn queue_depth(&self, kind: &'static str, depth: usize) {
        let gauge = self.queue_depth.get_or_create(&Kind {
            kind: kind.to_owned(),
        });
        gauge.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// Takes in that an object's Ready reason changed; `None` stands for an object that is not there.
    pub fn object_moved(&self, kind: &'static str, from: Option<&str>, to: Option<&str>) {
        if from == to {
            return;
        }
        let gauge = |reason: &str| {
            self.objects.get_or_create_owned(&KindReason {
                kind,
                reason: reason.to_owned(),
            })
        };
        if let Some(from) = from {
            gauge(from).dec();
        }
        if let Some(to) = to {
            gauge(to).inc();
        }
    }

    /// Counts a failed watch.
    pub fn watch_failed(&self, kind: &str) {
        self.watch_failures
            .get_or_create(&Kind {
                kind: kind.to_owned(),
            })
            .inc();
    }

    /// Counts a written status.
    pub fn status_written(&self, kind: &str) {
        self.status_writes
            .get_or_create(&Kind {
                kind: kind.to_owned(),
            })
            .inc();
    }

    /// Counts a published event.
    pub fn event_published(&self, kind: &'static str, reason: &str) {
        self.events
            .get_or_create(&KindReason {
                kind,
                reason: reason.to_owned(),
            })
            .inc();
    }

    /// Counts a purge that ended.
    pub fn purge_ended(&self, method: &'static str, reason: &'static str) {
        self.purging
            .ended
            .get_or_create(&MethodReason { method, reason })
            .inc();
    }

    /// Takes in what a purge removed, and how long it took from its creation on.
    pub fn purged(&self, method: &'static str, records: i64, took: Duration) {
        let records = u64::try_from(records).unwrap_or_default();
        self.purging
            .records
            .get_or_create(&Method { method })
            .inc_by(records);
        self.purging
            .seconds
            .get_or_create(&Method { method })
            .observe(took.as_secs_f64());
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        self.clusters.recount();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
