//! The table that `demo` ends with: a row for each consumer, with what was sent to its topic. Pure text.

use serde_json::Value;

use crate::kubectl::text;

const HEADINGS: [&str; 9] = [
    "TOPIC",
    "SENT",
    "RECEIVED",
    "LOST",
    "DUPLICATED",
    "REDELIVERED",
    "REORDERED",
    "MISROUTED",
    "VERDICT",
];

/// One line of the table.
pub(super) type Row = [String; HEADINGS.len()];

/// A row for each consumer.
pub(super) fn rows(producers: &[Value], consumers: &[Value]) -> Vec<Row> {
    consumers
        .iter()
        .map(|consumer| {
            let topic = topic(consumer);
            let sent = producers.iter().filter(|one| self::topic(one) == topic);
            let sent: i64 = sent.filter_map(|one| one.pointer("/status/sent")?.as_i64()).sum();
            let count = |name: &str| {
                let value = consumer
                    .pointer(&format!("/status/{name}"))
                    .and_then(Value::as_i64);
                value.map_or_else(|| "-".to_owned(), |value| value.to_string())
            };
            let verdict = text(consumer, "/status/verdict");
            [
                topic.to_owned(),
                sent.to_string(),
                count("received"),
                count("lost"),
                count("duplicated"),
                count("redelivered"),
                count("reordered"),
                count("misrouted"),
                if verdict.is_empty() { "-" } else { verdict }.to_owned(),
            ]
        })
        .collect()
}

/// The topic that an object refers to, by either way of naming it.
fn topic(object: &Value) -> &str {
    let by_reference = text(object, "/spec/topicRef/name");
    if by_reference.is_empty() {
        text(object, "/spec/topicName")
    } else {
        by_reference
    }
}

/// Lays the rows out under the headings.
pub(super) fn render(rows: &[Row]) -> String {
    let headings = HEADINGS.map(str::to_owned);
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| {
            rows.iter()
                .chain([&headings])
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |row: &Row| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    [&headings]
        .into_iter()
        .chain(rows)
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_consumer_is_shown_beside_what_was_sent_to_its_topic() {
        let producer =
            |topic: &str, sent: i64| json!({"spec": {"topicRef": {"name": topic}}, "status": {"sent": sent}});
        let consumer = json!({
            "spec": {"topicRef": {"name": "t"}},
            "status": {"received": 7, "lost": 0, "verdict": "Pending"},
        });
        let rows = rows(
            &[producer("t", 4), producer("t", 3), producer("other", 9)],
            &[consumer],
        );
        assert_eq!(rows[0][..4], ["t", "7", "7", "0"].map(str::to_owned));
        let text = render(&rows);
        assert!(text.starts_with("TOPIC   SENT   RECEIVED"), "{text}");
        assert!(text.ends_with("Pending"), "{text}");
    }
}
