//! The two Secrets a broker starts from, created once and never changed: SCRAM users exist only from the first
//! format, and passwords that change on an upgrade would restart the broker.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};
use serde_json::json;

use crate::kubectl;

/// Passwords, under the four keys of the Bitnami chart.
pub const PASSWORDS: &str = "kafka-user-passwords";
/// The cluster's id and the node's directory id.
const KRAFT: &str = "kafka-kraft";
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Creates what is missing of the two Secrets.
pub fn ensure(namespace: &str, passwords: bool) -> Result<()> {
    if passwords {
        let client = text(16)?;
        // One client user, so the list of all client passwords is the first client's.
        let data = [
            ("client-passwords", client.clone()),
            ("system-user-password", client),
            ("inter-broker-password", text(16)?),
            ("controller-password", text(16)?),
        ];
        create(namespace, PASSWORDS, &data)?;
    }
    create(
        namespace,
        KRAFT,
        &[("cluster-id", uuid()?), ("controller-0-id", uuid()?)],
    )
}

/// Creates a Secret, unless there is one of that name.
pub fn create(namespace: &str, name: &str, data: &[(&str, String)]) -> Result<()> {
    if kubectl::get(&["secret", name, "-n", namespace])?.is_some() {
        return Ok(());
    }
    let data: serde_json::Map<_, _> = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": name, "namespace": namespace}, "stringData": data,
    });
    kubectl::apply(&secret.to_string())
}

/// A random text of letters and digits, which needs no quoting anywhere.
fn text(length: usize) -> Result<String> {
    let mut file = File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    let mut text = String::new();
    while text.len() < length {
        let mut byte = [0];
        file.read_exact(&mut byte).context("cannot read /dev/urandom")?;
        // Bytes from 248 up would make the first letters likelier.
        if byte[0] < 248 {
            text.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
        }
    }
    Ok(text)
}

/// A random id as Kafka writes one: sixteen bytes in base 64, whose last letter carries two bits only.
fn uuid() -> Result<String> {
    Ok(text(21)? + "A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_length_and_differ() {
        let (one, two) = (text(16).unwrap(), text(16).unwrap());
        assert_eq!((one.len(), uuid().unwrap().len()), (16, 22));
        assert_ne!(one, two);
    }
}
