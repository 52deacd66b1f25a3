//! Durations and sizes as specs spell them. Pure: text in, number or reason out.

use std::fmt;
use std::time::Duration;

/// Why a text is no duration or size. Prints what was written and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    text: String,
    expected: &'static str,
}

impl ParseError {
    fn new(text: &str, expected: &'static str) -> Self {
        // The text comes from a user and ends in conditions and logs: no control characters, no novel.
        let text = text.chars().take(64).flat_map(char::escape_default).collect();
        Self { text, expected }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not {}", self.text, self.expected)
    }
}

impl std::error::Error for ParseError {}

/// A limit that may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// At most this many (milliseconds or bytes).
    Of(i64),
    /// No limit; Kafka writes -1.
    Unlimited,
}

impl Limit {
    /// The number as Kafka's configs have it: -1 for none.
    #[must_use]
    pub const fn to_kafka(self) -> i64 {
        match self {
            Self::Of(number) => number,
            Self::Unlimited => -1,
        }
    }
}

const DURATION: &str = "a duration: a whole number and one of ms, s, m, h, d, such as 7d";
const SIZE: &str = "a size: a whole number of bytes, or with one of Ki, Mi, Gi, Ti, such as 10Gi";

/// Reads `500ms`, `30s`, `5m`, `12h`, `7d` into milliseconds.
pub fn millis(text: &str) -> Result<i64, ParseError> {
    let error = || ParseError::new(text, DURATION);
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(error()),
    };
    number
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .ok_or_else(error)
}

/// Reads what [`millis`] reads into a [`Duration`].
pub fn duration(text: &str) -> Result<Duration, ParseError> {
    let millis = u64::try_from(millis(text)?).map_err(|_| ParseError::new(text, DURATION))?;
    Ok(Duration::from_millis(millis))
}

/// Reads `1024`, `512Ki`, `10Gi` into bytes.
pub fn bytes(text: &str) -> Result<i64, ParseError> {
    let error = || ParseError::new(text, SIZE);
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1_i64 << 40,
        _ => return Err(error()),
    };
    number
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .ok_or_else(error)
}

/// Reads a duration, or `Unlimited`, into milliseconds.
pub fn millis_limit(text: &str) -> Result<Limit, ParseError> {
    if text == "Unlimited" {
        Ok(Limit::Unlimited)
    } else {
        millis(text).map(Limit::Of)
    }
}

/// Reads a size, or `Unlimited`, into bytes.
pub fn bytes_limit(text: &str) -> Result<Limit, ParseError> {
    if text == "Unlimited" {
        Ok(Limit::Unlimited)
    } else {
        bytes(text).map(Limit::Of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(millis("7d"), Ok(604_800_000));
        assert_eq!(millis("0ms"), Ok(0));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        for bad in [
            "",
            "10",
            "-5s",
            "1h1h",
            "1us",
            "s",
            "1.5h",
            "9999999999999999999d",
            "7 d",
            "7d\n",
            "７d",
        ] {
            assert!(millis(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("10Gi"), Ok(10_737_418_240));
        for bad in ["", "10G", "-1", "Ki", "9007199254740993Ti", "0x10", "1e9"] {
            assert!(bytes(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn limits_are_minus_one_in_kafka() {
        assert_eq!(millis_limit("Unlimited").map(Limit::to_kafka), Ok(-1));
        assert_eq!(bytes_limit("1Ki").map(Limit::to_kafka), Ok(1024));
        assert!(millis_limit("unlimited").is_err());
    }

    #[test]
    fn messages_are_safe_to_print() {
        let error = millis("7\u{1b}[31md").unwrap_err().to_string();
        assert!(error.is_ascii() && !error.contains('\u{1b}'), "{error}");
    }
}
