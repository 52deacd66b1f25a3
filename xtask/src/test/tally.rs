//! Counting what test binaries print: passed, failed, skipped. Pure text.

use std::collections::BTreeSet;

/// What ran so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: BTreeSet<String>,
}

impl Tally {
    /// Counts one check that either passed or did not.
    pub(super) fn check(&mut self, name: &str, outcome: anyhow::Result<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                crate::ui::failure(&error);
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Counts the output of one `cargo test`, and answers its figures in a sentence.
    pub(super) fn add(&mut self, suite: &str, stdout: &str, stderr: &str) -> String {
        let (mut passed, mut failed, mut skipped) = (0_usize, Vec::new(), BTreeSet::new());
        for line in stdout.lines().chain(stderr.lines()).map(str::trim) {
            if let Some(rest) = line.strip_prefix("SKIPPED ") {
                skipped.insert(rest.split(':').next().unwrap_or(rest).trim().to_owned());
            } else if let Some(rest) = line
                .strip_prefix("test ")
                .filter(|_| !line.starts_with("test result"))
            {
                let Some((name, outcome)) = rest.rsplit_once(" ... ") else {
                    continue;
                };
                match outcome.split([',', ' ']).next().unwrap_or_default() {
                    "ok" => passed += 1,
                    "FAILED" => failed.push(format!("{suite}: {name}")),
                    "ignored" => _ = skipped.insert(name.to_owned()),
                    _ => {}
                }
            }
        }
        // A test that said SKIPPED ended "ok".
        let said = skipped
            .iter()
            .filter(|name| !stdout.contains(&format!("test {name} ... ignored")))
            .count();
        passed = passed.saturating_sub(said);
        let sentence = format!(
            "{passed} passed, {} failed, {} skipped",
            failed.len(),
            skipped.len()
        );
        self.passed += passed;
        self.failed.extend(failed);
        self.skipped.extend(skipped);
        sentence
    }

    /// Counts what another has counted.
    pub(super) fn absorb(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    /// Counts a suite that failed without naming a test: one that does not build, or that was killed.
    pub(super) fn broken(&mut self, suite: &str, stderr: &str) {
        if self.failed.iter().any(|name| name.starts_with(suite)) {
            return;
        }
        let lines: Vec<&str> = stderr.lines().collect();
        lines[lines.len().saturating_sub(40)..]
            .iter()
            .for_each(|line| crate::ui::heading(&format!("    | {line}")));
        self.failed.push(format!("{suite}: did not run"));
    }

    /// How many passed.
    pub(super) const fn passed(&self) -> usize {
        self.passed
    }

    /// How many failed.
    pub(super) fn failed(&self) -> usize {
        self.failed.len()
    }

    /// The names of what failed.
    pub(super) fn names_failed(&self) -> impl Iterator<Item = &str> {
        self.failed.iter().map(String::as_str)
    }

    /// The names of what was skipped.
    pub(super) fn names_skipped(&self) -> impl Iterator<Item = &str> {
        self.skipped.iter().map(String::as_str)
    }

    /// The last line.
    pub(super) fn summary(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed.len(),
            self.skipped.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    const OUTPUT: &str = "running 4 tests\ntest a ... ok\ntest b::c ... FAILED\ntest d ... ignored, too slow\n\
        test e ... ok\n\nsuccesses:\n\n---- e stdout ----\nSKIPPED e: no broker\n\n\
        test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out\n";

    #[test]
    fn a_test_that_said_skipped_is_not_counted_as_passed() {
        let mut tally = Tally::default();
        assert_eq!(tally.add("unit", OUTPUT, ""), "1 passed, 1 failed, 2 skipped");
        assert_eq!(tally.names_failed().collect::<Vec<_>>(), ["unit: b::c"]);
        assert_eq!(tally.names_skipped().collect::<Vec<_>>(), ["d", "e"]);
    }

    #[test]
    fn a_suite_that_did_not_build_is_a_failure() {
        let mut tally = Tally::default();
        tally.add("unit", "", "error: could not compile");
        tally.broken("unit", "error: could not compile");
        assert_eq!(tally.summary(), "0 passed, 1 failed, 0 skipped");
    }
}
