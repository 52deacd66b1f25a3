//! Holds the live objects of the shared broker against `rig/kafka/face.yaml`, the outward face that everything of ours
//! relies on, whichever chart made it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::{NAMESPACE, NODE_PORT, ask};
use crate::kubectl;
use crate::paths;

/// The committed list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Face {
    /// Objects by `kind/name`, and the expected value at each JSON pointer.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// Keys a Secret has, whatever their values.
    secrets: BTreeMap<String, Vec<String>>,
    /// Scripts run in the broker's container, and the lines their output must contain.
    broker: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Run by bash; `$1` is a file with a client configuration for `user1`.
    run: String,
    /// Texts the output contains.
    says: Vec<String>,
}

/// Compares; the error lists every difference. The number is how many values were compared.
pub fn check_face() -> Result<usize> {
    let file = paths::repo().join("rig/kafka/face.yaml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let face: Face = serde_saphyr::from_str(&text).context("rig/kafka/face.yaml")?;
    let (mut compared, mut differences) = (0, Vec::new());
    for (name, expected) in &face.objects {
        let object = kubectl::get(&[name, "-n", NAMESPACE])?.unwrap_or_default();
        for (pointer, wanted) in expected {
            compared += 1;
            let found = object.pointer(pointer).unwrap_or(&Value::Null);
            if found != wanted {
                differences.push(format!("{name} {pointer}: expected {wanted}, found {found}"));
            }
        }
    }
    for (name, keys) in &face.secrets {
        let secret = kubectl::get(&["secret", name, "-n", NAMESPACE])?.unwrap_or_default();
        for key in keys {
            compared += 1;
            if secret["data"][key].as_str().is_none_or(str::is_empty) {
                differences.push(format!("Secret {name} has no key {key}"));
            }
        }
    }
    for asked in &face.broker {
        let answer = ask(NAMESPACE, &asked.run)?;
        for wanted in &asked.says {
            compared += 1;
            if !answer.contains(wanted) {
                differences.push(format!(
                    "`{}` did not say {wanted:?}, but: {}",
                    asked.run,
                    answer.trim()
                ));
            }
        }
    }
    compared += 1;
    if let Err(error) = super::answers(&format!("127.0.0.1:{NODE_PORT}")) {
        differences.push(format!("{error:#}"));
    }
    if differences.is_empty() {
        return Ok(compared);
    }
    bail!(
        "{} of {compared} values of Kafka's outward face differ:\n    {}",
        differences.len(),
        differences.join("\n    ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_list_parses_and_names_what_all_rely_on() {
        let text = fs::read_to_string(paths::repo().join("rig/kafka/face.yaml")).unwrap();
        let face: Face = serde_saphyr::from_str(&text).unwrap();
        assert!(face.objects.contains_key("service/kafka-controller-0-external"));
        assert_eq!(face.secrets["kafka-user-passwords"].len(), 4);
    }
}
