//! Reads manifests from files: which documents there are, and where each stands, so that a fault can be named by file,
//! document and field. Must not know a kind of ours.

mod schema;

use std::fmt;
use std::io::Read as _;

use anyhow::Context as _;
use serde_json::Value;

pub(super) use self::schema::faults;

/// The file name that stands for standard input.
const STDIN: &str = "-";

/// Where a document stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The file, as it was given.
    pub file: String,
    /// Its number within the file, from 1.
    pub document: usize,
    /// Its number within a List, from 1.
    pub item: Option<usize>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.file == STDIN {
            "standard input"
        } else {
            &self.file
        };
        write!(f, "{file}, document {}", self.document)?;
        self.item.map_or(Ok(()), |item| write!(f, ", item {item}"))
    }
}

/// One object of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// Where it stands.
    pub source: Source,
    /// The object.
    pub value: Value,
}

impl Document {
    /// The text of a field, or nothing.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// What it is, for people.
    pub(super) fn title(&self) -> String {
        let or = |text: &str, otherwise: &str| {
            if text.is_empty() {
                otherwise.to_owned()
            } else {
                text.to_owned()
            }
        };
        format!(
            "{} {}",
            or(self.text("/kind"), "an object without a kind"),
            or(self.text("/metadata/name"), "(no name)")
        )
    }
}

/// Reads files, `-` for standard input.
pub(super) fn read(files: &[String]) -> anyhow::Result<Vec<Document>> {
    let mut documents = vec![];
    for file in files {
        let text = if file == STDIN {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .context("could not read standard input")?;
            text
        } else {
            std::fs::read_to_string(file).with_context(|| format!("could not read {file}"))?
        };
        documents.extend(parse(file, &text)?);
    }
    Ok(documents)
}

/// Splits a file into its objects. Documents that hold nothing keep their number.
pub(super) fn parse(file: &str, text: &str) -> anyhow::Result<Vec<Document>> {
    let mut found = vec![];
    for (index, text) in split(text).into_iter().enumerate() {
        let source = Source {
            file: file.to_owned(),
            document: index + 1,
            item: None,
        };
        let value: Value =
            serde_saphyr::from_str(&text).with_context(|| format!("{source}: this is no YAML"))?;
        match value {
            Value::Null => {}
            Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
                let items = list.remove("items").unwrap_or_default();
                let items = items.as_array().cloned().unwrap_or_default();
                found.extend(items.into_iter().enumerate().map(|(item, value)| Document {
                    source: Source {
                        item: Some(item + 1),
                        ..source.clone()
                    },
                    value,
                }));
            }
            Value::Object(_) => found.push(Document { source, value }),
            _ => {
                anyhow::bail!("{source}: this is no object: apiVersion, kind, metadata and spec are expected")
            }
        }
    }
    Ok(found)
}

/// The documents of a file, each behind as many empty lines as stand before it: a parser's line numbers are the file's.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![];
    let mut current = String::new();
    for (number, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            documents.push(std::mem::replace(&mut current, "\n".repeat(number + 1)));
        } else {
            current.push_str(line);
            current.push('\n');
        }
    }
    documents.push(current);
    // What stands before the first separator is a document only if it holds something.
    let holds = |text: &String| {
        text.lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    };
    if documents.len() > 1 && !documents.first().is_some_and(holds) {
        documents.remove(0);
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_items_are_numbered_as_a_person_counts_them() {
        let text = "# ours\n---\na: 1\n---\n---\nkind: List\nitems: [{b: 2}, {c: 3}]\n";
        let found = parse("t.yaml", text).unwrap();
        let places: Vec<String> = found.iter().map(|document| document.source.to_string()).collect();
        assert_eq!(
            places,
            [
                "t.yaml, document 1",
                "t.yaml, document 3, item 1",
                "t.yaml, document 3, item 2"
            ]
        );
        assert_eq!(
            parse("-", "a: 1").unwrap()[0].source.to_string(),
            "standard input, document 1"
        );
    }

    #[test]
    fn what_is_no_yaml_is_named_by_its_line_in_the_file() {
        let error = format!("{:#}", parse("t.yaml", "a: 1\n---\nb: 1\nb: 2\n").unwrap_err());
        assert!(error.contains("t.yaml, document 2"), "{error}");
        assert!(error.contains("line 4"), "{error}");
        assert!(
            parse("t.yaml", "just words")
                .unwrap_err()
                .to_string()
                .contains("no object")
        );
    }
}
