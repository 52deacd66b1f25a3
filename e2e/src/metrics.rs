//! Reading Prometheus text: enough to sum samples of one name.

/// The sum of all samples of `name` whose labels contain every one of `labels` (each as `key="value"`).
#[must_use]
pub fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with('{') || rest.starts_with(' '))
        .filter(|rest| labels.iter().all(|label| rest.contains(label)))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    const TEXT: &str =
        "# HELP a b\na{verb=\"GET\",group=\"x\"} 3\na{verb=\"PUT\",group=\"x\"} 4\nab 9\na 1\n";

    #[test]
    fn sums_only_the_samples_asked_for() {
        assert!((sum(TEXT, "a", &[]) - 8.0).abs() < f64::EPSILON);
        assert!((sum(TEXT, "a", &["verb=\"PUT\"", "group=\"x\""]) - 4.0).abs() < f64::EPSILON);
        assert!((sum(TEXT, "missing", &[])).abs() < f64::EPSILON);
    }
}
