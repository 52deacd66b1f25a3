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

/// The tests that a page names, as `` `file` `test` ``, and that do not exist.
fn unknown_tests(page: &str) -> (usize, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let words: Vec<&str> = page.split('`').collect();
    let named = words.windows(3).filter(|words| {
        words[1] == " "
            && Path::new(words[0])
                .extension()
                .is_some_and(|extension| extension == "rs")
    });
    let (mut known, mut unknown) = (0, vec![]);
    for [file, _, test] in named.filter_map(|words| <[&str; 3]>::try_from(words).ok()) {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        if text.contains(&format!("fn {test}(")) {
            known += 1;
        } else {
            unknown.push(format!("{file} {test}"));
        }
    }
    (known, unknown)
}

#[test]
fn every_test_that_the_page_on_reliability_names_exists() {
    let (known, unknown) = unknown_tests(&page("reliability.md"));
    assert_eq!(unknown, Vec::<String>::new());
    assert!(
        known >= 30,
        "only {known} tests were found: has the page another form?"
    );
}

#[test]
fn a_test_that_does_not_exist_is_found() {
    let page = "| `operator/tests/docs.rs` `a_test_that_does_not_exist_is_found`; `operator/tests/docs.rs` `nowhere` |";
    assert_eq!(
        unknown_tests(page),
        (1, vec!["operator/tests/docs.rs nowhere".to_owned()])
    );
}
