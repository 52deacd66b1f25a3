//! The pages in `docs/` know what the operator says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::fs;
use std::path::Path;

use ottla_operator::runtime::metrics::Metrics;
use ottla_operator::{cluster, purge, topic};

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)).unwrap()
}

#[test]
fn every_reason_has_its_row() {
    let reasons = page("reasons.md");
    let clusters = cluster::reason::Reason::ALL.map(cluster::reason::Reason::as_str);
    let topics = topic::reason::Reason::ALL.map(topic::reason::Reason::as_str);
    let purges = purge::reason::Reason::ALL.map(purge::reason::Reason::as_str);
    for reason in clusters.into_iter().chain(topics).chain(purges) {
        assert!(
            reasons.contains(&format!("`{reason}`")),
            "docs/reasons.md has no row for {reason}"
        );
    }
}

#[test]
fn every_metric_has_its_row() {
    let (page, text) = (page("metrics.md"), Metrics::default().encode().unwrap());
    let declared = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    for (name, kind) in declared {
        let name = if kind == "counter" {
            format!("{name}_total")
        } else {
            name.to_owned()
        };
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/metrics.md has no row for {name}"
        );
    }
}
