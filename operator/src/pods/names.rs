//! Names and labels of what Ottla creates for a workload object.
//!
//! Pure. Every name is derived from the object alone, so a lost status or a restart finds the same children again.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Longest child name: an Indexed Job appends `-<index>` to make a host name of at most 63 characters, and a
/// `ConfigMap` appends its content hash.
const MAX_CHILD_NAME: usize = 50;
/// Longest value Kubernetes allows a label to have.
const MAX_LABEL: usize = 63;

/// Label that names the kind of workload, `producer` or `consumer`.
pub const KIND_LABEL: &str = "ottla.dev/kind";
/// Label that names the object a child belongs to, hashed when longer than a label may be.
pub const NAME_LABEL: &str = "ottla.dev/name";
/// Label every child carries, with the value [`MANAGER`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGER: &str = "ottla";

/// Which side of a topic a workload stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Writes records: a `KafkaProducer`.
    Producer,
    /// Reads and verifies records: a `KafkaConsumer`.
    Consumer,
}

impl Role {
    /// The word used in labels and child names.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// The subcommand of the workload binary.
    #[must_use]
    pub fn subcommand(self) -> &'static str {
        match self {
            Self::Producer => "produce",
            Self::Consumer => "consume",
        }
    }
}

/// First `digits` hexadecimal digits of the SHA-256 of `content`.
#[must_use]
pub fn short_hash(content: &[u8], digits: usize) -> String {
    let digest = Sha256::digest(content);
    let mut text = String::with_capacity(digest.len() * 2);
    for byte in digest {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 0x0f)]));
    }
    text.truncate(digits);
    text
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Name of the Job or Deployment of a workload object: `<name>-<role>`, or a shortened form with a hash where the
/// object's name is too long or holds a dot (which a pod's host name may not).
#[must_use]
pub fn child_name(role: Role, object: &str) -> String {
    let plain = format!("{object}-{}", role.word());
    if plain.len() <= MAX_CHILD_NAME && !object.contains('.') {
        return plain;
    }
    let hash = short_hash(object.as_bytes(), 8);
    let room = MAX_CHILD_NAME - hash.len() - role.word().len() - 2;
    let head: String = object
        .chars()
        .take(room)
        .map(|c| if c == '.' { '-' } else { c })
        .collect();
    format!("{}-{hash}-{}", head.trim_end_matches('-'), role.word())
}

/// Name of the `ConfigMap` that holds `content`: the child's name and a hash, so a changed content is a new object
/// and a running pod never sees its file change.
#[must_use]
pub fn config_name(child: &str, content: &[u8]) -> String {
    format!("{child}-{}", short_hash(content, 10))
}

/// The object's name as a label value.
#[must_use]
pub fn label_value(object: &str) -> String {
    if object.len() <= MAX_LABEL {
        return object.to_owned();
    }
    let hash = short_hash(object.as_bytes(), 10);
    let head: String = object.chars().take(MAX_LABEL - hash.len() - 1).collect();
    format!("{}-{hash}", head.trim_end_matches(['-', '.', '_']))
}

/// Labels that select exactly the children of one object.
#[must_use]
pub fn selector_labels(role: Role, object: &str) -> BTreeMap<String, String> {
    [
        (MANAGED_BY_LABEL, MANAGER.to_owned()),
        (KIND_LABEL, role.word().to_owned()),
        (NAME_LABEL, label_value(object)),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// The same labels as a selector string, as list calls and a `scale` subresource want it.
#[must_use]
pub fn selector(role: Role, object: &str) -> String {
    selector_labels(role, object)
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_stay_readable() {
        assert_eq!(child_name(Role::Producer, "orders"), "orders-producer");
        assert_eq!(label_value("orders"), "orders");
    }

    #[test]
    fn long_and_dotted_names_are_hashed_and_stay_apart() {
        let long = "a".repeat(253);
        let other = format!("{}b", "a".repeat(252));
        for name in [long.as_str(), other.as_str(), "team.orders"] {
            let child = child_name(Role::Consumer, name);
            assert!(child.len() <= MAX_CHILD_NAME, "{child}");
            assert!(!child.contains('.'), "{child}");
            assert!(config_name(&child, b"{}").len() <= 63);
            assert!(label_value(name).len() <= MAX_LABEL);
        }
        assert_ne!(
            child_name(Role::Consumer, &long),
            child_name(Role::Consumer, &other)
        );
        assert_ne!(label_value(&long), label_value(&other));
        assert_ne!(
            child_name(Role::Consumer, "team.orders"),
            child_name(Role::Consumer, "team-orders")
        );
    }

    #[test]
    fn the_two_roles_never_share_a_child() {
        assert_ne!(child_name(Role::Producer, "x"), child_name(Role::Consumer, "x"));
    }

    #[test]
    fn hash_is_sha256() {
        assert_eq!(short_hash(b"", 12), "e3b0c44298fc");
    }
}
