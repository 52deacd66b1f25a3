//! What was measured: each figure as a line of JSON at once, all of them as a table at the end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

/// A table's row: what was measured, and with how many of what the bench counts.
type Name = (usize, String);

/// Everything measured so far.
pub struct Figures {
    /// What the first column counts.
    counted: &'static str,
    order: Vec<Name>,
    values: BTreeMap<Name, (&'static str, Vec<f64>)>,
    file: Option<File>,
}

impl Figures {
    /// None yet, by how many of what is counted; each will go to that file too.
    pub fn new(counted: &'static str, file: Option<&Path>) -> Result<Self> {
        let create = |path: &Path| File::create(path).with_context(|| format!("create {}", path.display()));
        Ok(Self {
            counted,
            order: vec![],
            values: BTreeMap::new(),
            file: file.map(create).transpose()?,
        })
    }

    /// Takes in one figure.
    pub fn add(&mut self, scale: usize, what: &str, unit: &'static str, value: f64) -> Result<()> {
        let line = json!({
            self.counted: scale, "what": what, "unit": unit, "value": rounded(value), "load": load_average(),
        });
        say(&line.to_string());
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}").context("write a figure")?;
        }
        let name = (scale, what.to_owned());
        if !self.values.contains_key(&name) {
            self.order.push(name.clone());
        }
        self.values
            .entry(name)
            .or_insert_with(|| (unit, vec![]))
            .1
            .push(value);
        Ok(())
    }

    /// Takes in the middle, the slow end and the slowest of some durations, in milliseconds.
    pub fn add_latencies(&mut self, scale: usize, what: &str, times: &[Duration]) -> Result<()> {
        let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        self.add(scale, &format!("{what}: P50"), "ms", quantile(&sorted, 0.5))?;
        self.add(scale, &format!("{what}: P99"), "ms", quantile(&sorted, 0.99))
    }

    /// Prints the table: median, least and greatest over the repeats.
    pub fn show(&self) {
        say("");
        say(&format!(
            "| {} | what | unit | median | least | greatest | n |",
            self.counted
        ));
        say("|---|---|---|---|---|---|---|");
        for name in &self.order {
            let Some((unit, values)) = self.values.get(name) else {
                continue;
            };
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let (scale, what) = name;
            let (least, greatest) = (quantile(&sorted, 0.0), quantile(&sorted, 1.0));
            say(&format!(
                "| {scale} | {what} | {unit} | {} | {} | {} | {} |",
                rounded(quantile(&sorted, 0.5)),
                rounded(least),
                rounded(greatest),
                sorted.len()
            ));
        }
    }
}

/// The value below which that share of sorted values lies; 0 when there are none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an index into a handful of values"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// How much the machine had to do besides, over the last minute.
fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg")
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Prints a line.
#[allow(clippy::print_stdout, reason = "the output of this program")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values = [1.0, 2.0, 3.0, 4.0, 100.0];
        for (share, expected) in [(0.0, 1.0), (0.5, 3.0), (0.99, 100.0), (1.0, 100.0)] {
            assert!((quantile(&values, share) - expected).abs() < f64::EPSILON);
        }
        assert!(quantile(&[], 0.5).abs() < f64::EPSILON);
    }
}
