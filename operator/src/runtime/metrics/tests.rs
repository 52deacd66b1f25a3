//! Names and labels as they are served, and that a KafkaCluster takes its series with it.

use std::collections::BTreeMap;

use super::clusters::OfTopic;
use super::*;

fn text(metrics: &Metrics) -> String {
    metrics.encode().unwrap()
}

fn of_topic(name: &str, under_replicated: i64, bytes: i64) -> OfTopic {
    OfTopic {
        topic: name.to_owned(),
        under_replicated,
        bytes: Some(bytes),
    }
}

/// Something of everything that is counted for a KafkaCluster.
fn fill(metrics: &Metrics, cluster: &str) {
    let took = Duration::from_millis(3);
    metrics.reconciled("KafkaTopic", Some(cluster), "ok", took);
    metrics
        .clusters
        .admin_called(cluster, "create_topics", "ok", took);
    metrics.clusters.admin_item(cluster, "create_topics", "ok");
    metrics.clusters.batch(cluster, "create_topics", &[took, took]);
    metrics.clusters.swept(cluster, 2, took);
    metrics.clusters.drifted(cluster, "corrected");
    metrics.clusters.stand(
        cluster,
        vec![
            of_topic("orders", 1, 70),
            of_topic("small", 0, 1),
            of_topic("large", 0, 9),
        ],
        2,
    );
}

#[test]
fn names_carry_prefix_and_unit() {
    let metrics = Metrics::default();
    fill(&metrics, "kafka/a");
    metrics.object_moved("KafkaTopic", None, Some("Ready"));
    let text = text(&metrics);
    for line in [
        "ottla_reconciles_total{kind=\"KafkaTopic\",outcome=\"ok\"} 1",
        "ottla_objects{kind=\"KafkaTopic\",reason=\"Ready\"} 1",
        "ottla_reconcile_duration_seconds_count{cluster=\"kafka/a\",kind=\"KafkaTopic\"} 1",
        "ottla_admin_calls_total{cluster=\"kafka/a\",operation=\"create_topics\",outcome=\"ok\"} 1",
        "ottla_admin_items_total{cluster=\"kafka/a\",operation=\"create_topics\",outcome=\"ok\"} 1",
        "ottla_admin_batch_items_sum{cluster=\"kafka/a\",operation=\"create_topics\"} 2.0",
        "ottla_admin_lane_wait_seconds_count{cluster=\"kafka/a\",operation=\"create_topics\"} 2",
        "ottla_sweep_findings_total{cluster=\"kafka/a\"} 2",
        "ottla_drift_total{cluster=\"kafka/a\",outcome=\"corrected\"} 1",
        "ottla_under_replicated_partitions{cluster=\"kafka/a\"} 1",
        "ottla_topic_size_bytes{cluster=\"kafka/a\",topic=\"orders\"} 70",
        "ottla_topic_size_bytes{cluster=\"kafka/a\",topic=\"large\"} 9",
        "ottla_topic_under_replicated_partitions{cluster=\"kafka/a\",topic=\"orders\"} 1",
        "ottla_topics_without_series{cluster=\"kafka/a\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("small"), "no more topics than asked for\n{text}");
}

#[test]
fn a_cluster_that_is_gone_takes_its_series_with_it() {
    let metrics = Metrics::default();
    fill(&metrics, "kafka/a");
    fill(&metrics, "kafka/b");
    metrics.reconciled("KafkaTopicPurge", None, "ok", Duration::ZERO);
    metrics.clusters.forget("kafka/a");
    let one = text(&metrics);
    assert!(!one.contains("kafka/a") && one.contains("kafka/b"), "{one}");

    let standing =
        |reason: &str| BTreeMap::from([("kafka/c".to_owned(), BTreeMap::from([(reason.to_owned(), 3)]))]);
    let (first, second) = (standing("Ready"), standing("Drifted"));
    let asked = std::sync::atomic::AtomicUsize::new(0);
    metrics.clusters.count_topics_by(move || {
        let before = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if before == 0 {
            first.clone()
        } else {
            second.clone()
        }
    });
    let two = text(&metrics);
    assert!(
        two.contains("ottla_topics{cluster=\"kafka/c\",reason=\"Ready\"} 3"),
        "{two}"
    );
    assert!(!two.contains("kafka/b"), "not among those there are: {two}");
    assert!(
        two.contains("kind=\"KafkaTopicPurge\""),
        "what belongs to none stays: {two}"
    );
    let three = text(&metrics);
    assert!(
        three.contains("ottla_topics{cluster=\"kafka/c\",reason=\"Drifted\"} 3"),
        "{three}"
    );
    assert!(!three.contains("reason=\"Ready\"} 3"), "{three}");
}
