//! What is counted. Labels are few and bounded: kinds, operations, outcomes; never an object's name.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationOutcome {
    operation: &'static str,
    outcome: &'static str,
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
    reconcile_seconds: Histograms<Kind>,
    queue_depth: Family<Kind, Gauge>,
    objects: Family<KindReason, Gauge>,
    watch_failures: Family<Kind, Counter>,
    status_writes: Family<Kind, Counter>,
    events: Family<KindReason, Counter>,
    admin_calls: Family<OperationOutcome, Counter>,
    admin_items: Family<OperationOutcome, Counter>,
    admin_seconds: Histograms<Operation>,
    sweep_seconds: Histogram,
    sweep_findings: Counter,
    purges: Family<MethodReason, Counter>,
    purged_records: Family<Method, Counter>,
    purge_seconds: Histograms<Method>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ottla");
        let leader = Gauge::default();
        registry.register(
            "leader",
            "1 while this operator may act, 0 while it stands by",
            leader.clone(),
        );
        let leader_transitions = Family::default();
        registry.register(
            "leader_transitions",
            "How often this operator began or ceased to lead",
            leader_transitions.clone(),
        );
        let reconciles = Family::default();
        registry.register(
            "reconciles",
            "Passes over objects, by how they ended",
            reconciles.clone(),
        );
        let reconcile_seconds = Histograms::new_with_constructor(seconds);
        registry.register(
            "reconcile_duration_seconds",
            "How long passes took",
            reconcile_seconds.clone(),
        );
        let queue_depth = Family::default();
        registry.register(
            "queue_depth",
            "Objects that wait for their turn",
            queue_depth.clone(),
        );
        let objects = Family::default();
        registry.register(
            "objects",
            "Objects, by the reason of their Ready condition",
            objects.clone(),
        );
        let watch_failures = Family::default();
        registry.register(
            "watch_failures",
            "Watches that failed and were set up again",
            watch_failures.clone(),
        );
        let status_writes = Family::default();
        registry.register("status_writes", "Statuses written", status_writes.clone());
        let events = Family::default();
        registry.register("events", "Events published", events.clone());
        let admin_calls = Family::default();
        registry.register(
            "admin_calls",
            "Calls to Kafka's admin port, by how they ended",
            admin_calls.clone(),
        );
        let admin_items = Family::default();
        registry.register(
            "admin_items",
            "Items within batch calls, by how each ended",
            admin_items.clone(),
        );
        let admin_seconds = Histograms::new_with_constructor(seconds);
        registry.register(
            "admin_call_duration_seconds",
            "How long calls to Kafka took",
            admin_seconds.clone(),
        );
        let sweep_seconds = seconds();
        registry.register(
            "sweep_duration_seconds",
            "How long a look at all topics of one cluster took",
            sweep_seconds.clone(),
        );
        let sweep_findings = Counter::default();
        registry.register(
            "sweep_findings",
            "Topics that such a look found other than they should be",
            sweep_findings.clone(),
        );
        let purges = Family::default();
        registry.register("purges", "Purges that ended, by how", purges.clone());
        let purged_records = Family::default();
        registry.register(
            "purged_records",
            "Records that purges planned and removed",
            purged_records.clone(),
        );
        let purge_seconds = Histograms::new_with_constructor(seconds);
        registry.register(
            "purge_duration_seconds",
            "From a purge's creation to its end, when it was carried out",
            purge_seconds.clone(),
        );
        Self {
            registry,
            leader,
            leader_transitions,
            reconciles,
            reconcile_seconds,
            queue_depth,
            objects,
            watch_failures,
            status_writes,
            events,
            admin_calls,
            admin_items,
            admin_seconds,
            sweep_seconds,
            sweep_findings,
            purges,
            purged_records,
            purge_seconds,
        }
    }
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
        self.objects.clear();
        self.queue_depth.clear();
    }

    /// Counts one pass over an object.
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.reconciles
            .get_or_create(&KindOutcome { kind, outcome })
            .inc();
        self.reconcile_seconds
            .get_or_create(&Kind {
                kind: kind.to_owned(),
            })
            .observe(took.as_secs_f64());
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

    /// Counts one call to Kafka.
    pub fn admin_called(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        self.admin_calls
            .get_or_create(&OperationOutcome { operation, outcome })
            .inc();
        self.admin_seconds
            .get_or_create(&Operation { operation })
            .observe(took.as_secs_f64());
    }

    /// Takes in one look at all topics of a cluster, and how many were not as they should be.
    pub fn swept(&self, found: usize, took: Duration) {
        self.sweep_seconds.observe(took.as_secs_f64());
        self.sweep_findings
            .inc_by(u64::try_from(found).unwrap_or(u64::MAX));
    }

    /// Counts one item of a batch call to Kafka.
    pub fn admin_item(&self, operation: &'static str, outcome: &'static str) {
        self.admin_items
            .get_or_create(&OperationOutcome { operation, outcome })
            .inc();
    }

    /// Counts a purge that ended.
    pub fn purge_ended(&self, method: &'static str, reason: &'static str) {
        self.purges.get_or_create(&MethodReason { method, reason }).inc();
    }

    /// Takes in what a purge removed, and how long it took from its creation on.
    pub fn purged(&self, method: &'static str, records: i64, took: Duration) {
        let records = u64::try_from(records).unwrap_or_default();
        self.purged_records
            .get_or_create(&Method { method })
            .inc_by(records);
        self.purge_seconds
            .get_or_create(&Method { method })
            .observe(took.as_secs_f64());
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_prefix_and_unit() {
        let metrics = Metrics::default();
        metrics.reconciled("KafkaTopic", "ok", Duration::from_millis(3));
        metrics.admin_called("create_topics", "ok", Duration::from_millis(3));
        metrics.object_moved("KafkaTopic", None, Some("Ready"));
        let text = metrics.encode().unwrap();
        for line in [
            "ottla_reconciles_total{kind=\"KafkaTopic\",outcome=\"ok\"} 1",
            "ottla_admin_calls_total{operation=\"create_topics\",outcome=\"ok\"} 1",
            "ottla_objects{kind=\"KafkaTopic\",reason=\"Ready\"} 1",
            "ottla_reconcile_duration_seconds_count{kind=\"KafkaTopic\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
