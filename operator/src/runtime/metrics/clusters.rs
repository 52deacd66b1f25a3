//! What is counted for each KafkaCluster, under the label `cluster` (namespace/name). There are as many of them as there
//! are KafkaClusters: one that is deleted takes its series with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::{add, seconds};

/// The label sets of one KafkaCluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct In<L> {
    cluster: String,
    of: L,
}

impl<L: EncodeLabelSet> EncodeLabelSet for In<L> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        ("cluster", self.cluster.as_str()).encode(encoder.encode_label())?;
        self.of.encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bare {}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Topic {
    topic: String,
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

/// Metrics of which those of one KafkaCluster can be forgotten.
struct PerCluster<L: EncodeLabelSet, M, C = fn() -> M> {
    all: Family<In<L>, M, C>,
    /// The labels in use, by KafkaCluster.
    used: Arc<Mutex<HashMap<String, HashSet<L>>>>,
}

impl<L: EncodeLabelSet, M, C> fmt::Debug for PerCluster<L, M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerCluster").finish_non_exhaustive()
    }
}

impl<L, M, C> PerCluster<L, M, C>
where
    L: EncodeLabelSet + Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
    M: Clone + fmt::Debug + EncodeMetric + TypedMetric + Send + Sync + 'static,
    C: MetricConstructor<M> + Clone + Send + Sync + 'static,
{
    fn new(registry: &mut Registry, (name, help): (&str, &str), constructor: C) -> Self
    where
        C: fmt::Debug,
    {
        Self {
            all: add(registry, name, help, Family::new_with_constructor(constructor)),
            used: Arc::default(),
        }
    }

    fn used(&self) -> MutexGuard<'_, HashMap<String, HashSet<L>>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, cluster: &str, of: L, act: impl FnOnce(&M) -> T) -> T {
        let mut used = self.used();
        if !used.get(cluster).is_some_and(|labels| labels.contains(&of)) {
            used.entry(cluster.to_owned()).or_default().insert(of.clone());
        }
        // Kept until it is counted, so that what is forgotten does not come back by itself.
        let label = In {
            cluster: cluster.to_owned(),
            of,
        };
        act(&self.all.get_or_create(&label))
    }

    fn forget(&self, gone: impl Fn(&str) -> bool) {
        let mut used = self.used();
        used.retain(|cluster, labels| {
            let gone = gone(cluster);
            if gone {
                for of in labels.drain() {
                    let cluster = cluster.clone();
                    self.all.remove(&In { cluster, of });
                }
            }
            !gone
        });
    }
}

fn counts() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 12))
}

/// How the KafkaTopics of each KafkaCluster stand: how many for each reason of Ready.
pub type Standing = BTreeMap<String, BTreeMap<String, i64>>;

type Source = Box<dyn Fn() -> Standing + Send + Sync>;

/// What is counted for each KafkaCluster.
pub struct Clusters {
    topics: PerCluster<Reason, Gauge>,
    reconcile_seconds: PerCluster<Kind, Histogram>,
    admin_calls: PerCluster<OperationOutcome, Counter>,
    admin_items: PerCluster<OperationOutcome, Counter>,
    admin_seconds: PerCluster<Operation, Histogram>,
    batch_items: PerCluster<Operation, Histogram>,
    lane_seconds: PerCluster<Operation, Histogram>,
    sweep_seconds: PerCluster<Bare, Histogram>,
    sweep_findings: PerCluster<Bare, Counter>,
    drift: PerCluster<Outcome, Counter>,
    under_replicated: PerCluster<Bare, Gauge>,
    left_out: PerCluster<Bare, Gauge>,
    topic_under_replicated: PerCluster<Topic, Gauge>,
    topic_bytes: PerCluster<Topic, Gauge>,
    source: Mutex<Option<Source>>,
}

impl fmt::Debug for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clusters").finish_non_exhaustive()
    }
}

/// One topic's figures, where they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfTopic {
    /// Its name.
    pub topic: String,
    /// Partitions with fewer replicas in sync than they have.
    pub under_replicated: i64,
    /// Bytes on the disks of all brokers; absent where they could not be read.
    pub bytes: Option<i64>,
}

impl Clusters {
    #[allow(
        clippy::too_many_lines,
        reason = "a list: each metric with its name and what it means"
    )]
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            topics: PerCluster::new(
                r,
                (
                    "topics",
                    "KafkaTopics of a KafkaCluster, by the reason of their Ready condition",
                ),
                Gauge::default,
            ),
            reconcile_seconds: PerCluster::new(
                r,
                ("reconcile_duration_seconds", "How long passes took"),
                seconds,
            ),
            admin_calls: PerCluster::new(
                r,
                ("admin_calls", "Calls to Kafka's admin port, by how they ended"),
                Counter::default,
            ),
            admin_items: PerCluster::new(
                r,
                ("admin_items", "Items within batch calls, by how each ended"),
                Counter::default,
            ),
            admin_seconds: PerCluster::new(
                r,
                ("admin_call_duration_seconds", "How long calls to Kafka took"),
                seconds,
            ),
            batch_items: PerCluster::new(
                r,
                ("admin_batch_items", "Items that left for Kafka together"),
                counts,
            ),
            lane_seconds: PerCluster::new(
                r,
                (
                    "admin_lane_wait_seconds",
                    "How long an item waited until its batch left for Kafka",
                ),
                seconds,
            ),
            sweep_seconds: PerCluster::new(
                r,
                (
                    "sweep_duration_seconds",
                    "How long a look at all topics of a cluster took",
                ),
                seconds,
            ),
            sweep_findings: PerCluster::new(
                r,
                (
                    "sweep_findings",
                    "Topics that such a look found other than they should be",
                ),
                Counter::default,
            ),
            drift: PerCluster::new(
                r,
                (
                    "drift",
                    "Topics that somebody else changed, by what was done about it",
                ),
                Counter::default,
            ),
            under_replicated: PerCluster::new(
                r,
                (
                    "under_replicated_partitions",
                    "Partitions of declared topics with fewer replicas in sync than they have",
                ),
                Gauge::default,
            ),
            left_out: PerCluster::new(
                r,
                (
                    "topics_without_series",
                    "Topics left out of the metrics of single topics",
                ),
                Gauge::default,
            ),
            topic_under_replicated: PerCluster::new(
                r,
                (
                    "topic_under_replicated_partitions",
                    "Partitions of a topic with fewer replicas in sync than they have",
                ),
                Gauge::default,
            ),
            topic_bytes: PerCluster::new(
                r,
                (
                    "topic_size_bytes",
                    "What a topic takes on the disks of all brokers, every replica counted",
                ),
                Gauge::default,
            ),
            source: Mutex::default(),
        }
    }

    /// Says where topics are counted, each time they are asked for, and which KafkaClusters there are.
    pub fn count_topics_by(&self, source: impl Fn() -> Standing + Send + Sync + 'static) {
        let mut place = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Box::new(source));
    }

    /// Counts topics anew, and forgets KafkaClusters that are gone.
    pub(super) fn recount(&self) {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(standing) = source.as_ref().map(|source| source()) else {
            return;
        };
        self.topics.forget(|_| true);
        for (cluster, reasons) in &standing {
            for (reason, count) in reasons {
                let reason = reason.clone();
                self.topics
                    .with(cluster, Reason { reason }, |gauge| gauge.set(*count));
            }
        }
        // What belongs to no KafkaCluster stays.
        self.forget_those(|cluster| !cluster.is_empty() && !standing.contains_key(cluster));
    }

    /// Forgets a KafkaCluster that is gone.
    pub fn forget(&self, cluster: &str) {
        self.forget_those(|other| other == cluster);
    }

    pub(super) fn forget_all(&self) {
        self.forget_those(|cluster| !cluster.is_empty());
    }

    fn forget_those(&self, gone: impl Fn(&str) -> bool) {
        self.topics.forget(&gone);
        self.reconcile_seconds.forget(&gone);
        self.admin_calls.forget(&gone);
        self.admin_items.forget(&gone);
        self.admin_seconds.forget(&gone);
        self.batch_items.forget(&gone);
        self.lane_seconds.forget(&gone);
        self.sweep_seconds.forget(&gone);
        self.sweep_findings.forget(&gone);
        self.drift.forget(&gone);
        self.under_replicated.forget(&gone);
        self.left_out.forget(&gone);
        self.topic_under_replicated.forget(&gone);
        self.topic_bytes.forget(&gone);
    }

    pub(super) fn reconciled(&self, cluster: &str, kind: &'static str, took: Duration) {
        self.reconcile_seconds.with(cluster, Kind { kind }, |histogram| {
            histogram.observe(took.as_secs_f64());
        });
    }

    /// Counts one call to Kafka.
    pub fn admin_called(
        &self,
        cluster: &str,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        self.admin_calls
            .with(cluster, OperationOutcome { operation, outcome }, Counter::inc);
        self.admin_seconds
            .with(cluster, Operation { operation }, |histogram| {
                histogram.observe(took.as_secs_f64());
            });
    }

    /// Counts one item of a batch call to Kafka.
    pub fn admin_item(&self, cluster: &str, operation: &'static str, outcome: &'static str) {
        self.admin_items
            .with(cluster, OperationOutcome { operation, outcome }, Counter::inc);
    }

    /// Takes in a batch that leaves for Kafka, and how long each of its items has waited.
    pub fn batch(&self, cluster: &str, operation: &'static str, waited: &[Duration]) {
        let items = u32::try_from(waited.len()).unwrap_or(u32::MAX);
        self.batch_items
            .with(cluster, Operation { operation }, |histogram| {
                histogram.observe(f64::from(items));
            });
        self.lane_seconds
            .with(cluster, Operation { operation }, |histogram| {
                for wait in waited {
                    histogram.observe(wait.as_secs_f64());
                }
            });
    }

    /// Takes in one look at all topics of a cluster, and how many were not as they should be.
    pub fn swept(&self, cluster: &str, found: usize, took: Duration) {
        self.sweep_seconds.with(cluster, Bare {}, |histogram| {
            histogram.observe(took.as_secs_f64());
        });
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        self.sweep_findings
            .with(cluster, Bare {}, |counter| counter.inc_by(found));
    }

    /// Counts a topic that somebody else changed: `corrected` or `reported`.
    pub fn drifted(&self, cluster: &str, outcome: &'static str) {
        self.drift.with(cluster, Outcome { outcome }, Counter::inc);
    }

    /// Takes in how single topics stand. Of more than `most` those are told that are under-replicated, then the largest.
    pub fn stand(&self, cluster: &str, mut topics: Vec<OfTopic>, most: usize) {
        let sum = topics.iter().map(|topic| topic.under_replicated).sum();
        self.under_replicated
            .with(cluster, Bare {}, |gauge| gauge.set(sum));
        topics.sort_by_key(|topic| std::cmp::Reverse((topic.under_replicated > 0, topic.bytes)));
        let left_out = i64::try_from(topics.len().saturating_sub(most)).unwrap_or(i64::MAX);
        self.left_out.with(cluster, Bare {}, |gauge| gauge.set(left_out));
        topics.truncate(most);
        self.topic_under_replicated.forget(|other| other == cluster);
        self.topic_bytes.forget(|other| other == cluster);
        for OfTopic {
            topic,
            under_replicated,
            bytes,
        } in topics
        {
            let label = Topic { topic };
            self.topic_under_replicated
                .with(cluster, label.clone(), |gauge| gauge.set(under_replicated));
            if let Some(bytes) = bytes {
                self.topic_bytes.with(cluster, label, |gauge| gauge.set(bytes));
            }
        }
    }
}
