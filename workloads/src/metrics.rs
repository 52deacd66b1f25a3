//! A report as metrics. Nothing is counted here; labels are few and bounded.

use ottla_contract::{ConsumerReport, ProducerReport};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode as encode_registry;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// A report that can be shown as metrics.
pub trait Figures {
    /// Adds its metrics.
    fn register(&self, registry: &mut Registry);
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

/// The metrics as text in the `OpenMetrics` format.
pub(crate) fn encode(report: &impl Figures) -> String {
    let mut registry = Registry::with_prefix("ottla_workload");
    report.register(&mut registry);
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = encode_registry(&mut text, &registry);
    text
}

fn results(registry: &mut Registry, name: &str, help: &str, figures: &[(&'static str, u64)]) {
    let family = Family::<Labels, Counter>::default();
    for (result, figure) in figures {
        family.get_or_create(&Labels { result }).inc_by(*figure);
    }
    registry.register(name, help, family);
}

impl Figures for ProducerReport {
    fn register(&self, registry: &mut Registry) {
        let figures = [
            ("sent", self.sent),
            ("acked", self.acked),
            ("failed", self.failed),
        ];
        results(
            registry,
            "produced_records",
            "Records by what became of them",
            &figures,
        );
        let incarnations = ConstCounter::new(self.incarnations.len() as u64);
        registry.register("incarnations", "Incarnations of this process", incarnations);
    }
}

impl Figures for ConsumerReport {
    fn register(&self, registry: &mut Registry) {
        let delivered = ConstCounter::new(self.delivered);
        registry.register("delivered_records", "Records handed to this process", delivered);
        // Of the partitions it owns: what others own now, they tell.
        let owned = self
            .partitions
            .iter()
            .filter(|p| self.assigned.contains(&p.partition));
        let sum = owned.fold(ottla_contract::Counters::default(), |sum, partition| {
            sum.zip(partition.counters, u64::saturating_add)
        });
        let figures = [
            ("received", sum.received),
            ("lost", sum.lost),
            ("duplicated", sum.duplicated),
            ("redelivered", sum.redelivered),
            ("reordered", sum.reordered),
            ("misrouted", sum.misrouted),
            ("expired", sum.expired),
            ("foreign", sum.foreign),
            ("corrupt", sum.corrupt),
        ];
        let help = "Records of the owned partitions by what was found, over all their owners";
        let family = Family::<Labels, prometheus_client::metrics::gauge::Gauge>::default();
        for (result, figure) in figures {
            family
                .get_or_create(&Labels { result })
                .set(i64::try_from(figure).unwrap_or(i64::MAX));
        }
        registry.register("verified_records", help, family);
        let assigned = i64::try_from(self.assigned.len()).unwrap_or(i64::MAX);
        registry.register(
            "assigned_partitions",
            "Partitions this process owns",
            ConstGauge::new(assigned),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_bounded_labels() {
        let text = encode(&ProducerReport {
            sent: 3,
            acked: 2,
            ..ProducerReport::default()
        });
        assert!(
            text.contains("ottla_workload_produced_records_total{result=\"acked\"} 2"),
            "{text}"
        );
        let text = encode(&ConsumerReport {
            delivered: 7,
            ..ConsumerReport::default()
        });
        assert!(
            text.contains("ottla_workload_delivered_records_total 7"),
            "{text}"
        );
        assert!(
            text.contains("ottla_workload_verified_records{result=\"lost\"} 0"),
            "{text}"
        );
    }
}
