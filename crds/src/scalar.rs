//! A value that YAML may spell as a string or as a whole number. Must not interpret it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A string or a 64-bit integer. Fractions, exponents, booleans and nulls are refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A whole number, written without quotes.
    Integer(i64),
    /// Text.
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Scalar {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A string or a 64-bit integer.",
            "x-kubernetes-int-or-string": true,
            "minLength": 1,
            "maxLength": 4096,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_read_and_print_alike() {
        let read = |json: &str| serde_json::from_str::<Scalar>(json).map(|s| s.to_string()).ok();
        assert_eq!(read("604800000"), read(r#""604800000""#));
        assert_eq!(read("-1").as_deref(), Some("-1"));
        assert_eq!(read("6.048e8"), None);
        assert_eq!(read("true"), None);
        assert_eq!(read("null"), None);
        assert_eq!(read("9223372036854775808"), None);
    }
}
