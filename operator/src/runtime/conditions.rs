//! Builds the conditions of a status. Pure: the clock is an argument.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// `Ready`: the object is as its spec says.
pub const READY: &str = "Ready";
/// `Reconciling`: the operator is at it (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// `Stalled`: nothing will change until somebody changes something (kstatus).
pub const STALLED: &str = "Stalled";

/// The longest message we write.
const MAX_MESSAGE: usize = 2_048;

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
}

impl Truth {
    /// As the API spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// One condition as it should be, without times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its type.
    pub type_: &'static str,
    /// Whether it holds.
    pub truth: Truth,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, in a sentence.
    pub message: String,
}

impl Fact {
    /// A fact.
    #[must_use]
    pub fn new(type_: &'static str, truth: Truth, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            type_,
            truth,
            reason,
            message: message.into(),
        }
    }
}

/// What holds the object up, if anything; this alone decides the three summary conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// As the spec says.
    Done,
    /// On the way; the operator works or waits and needs nobody.
    Working,
    /// Stuck until somebody changes something.
    Stalled,
    /// Told to do nothing.
    Halted,
}

/// The three conditions every object has: `Ready`, `Reconciling`, `Stalled`.
#[must_use]
pub fn summary(progress: Progress, reason: &'static str, message: &str) -> Vec<Fact> {
    let is = |which| Truth::from(progress == which);
    vec![
        Fact::new(READY, is(Progress::Done), reason, message),
        Fact::new(RECONCILING, is(Progress::Working), reason, ""),
        Fact::new(STALLED, is(Progress::Stalled), reason, ""),
    ]
}

/// Turns facts into conditions. A condition's transition time is kept unless its status flips; conditions that are
/// no longer stated go.
#[must_use]
pub fn build(previous: &[Condition], facts: Vec<Fact>, generation: i64, now: Timestamp) -> Vec<Condition> {
    let kept = |fact: &Fact| {
        let same = |old: &&Condition| old.type_ == fact.type_ && old.status == fact.truth.as_str();
        previous
            .iter()
            .find(same)
            .map(|old| old.last_transition_time.clone())
    };
    facts
        .into_iter()
        .map(|fact| Condition {
            last_transition_time: kept(&fact).unwrap_or(Time(now)),
            type_: fact.type_.to_owned(),
            status: fact.truth.as_str().to_owned(),
            reason: fact.reason.to_owned(),
            message: bounded(&fact.message),
            observed_generation: Some(generation),
        })
        .collect()
}

/// A condition by its type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether a condition is True.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == Truth::True.as_str())
}

/// A text without control characters, cut to what a condition should carry.
#[must_use]
pub fn bounded(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_MESSAGE));
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if hidden {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > MAX_MESSAGE - 8 {
            out.push('…');
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn transition_time_moves_only_when_the_status_flips() {
        let first = build(
            &[],
            summary(Progress::Working, "ClusterNotReady", "waits"),
            1,
            at(10),
        );
        let second = build(
            &first,
            summary(Progress::Stalled, "InvalidSpec", "bad"),
            2,
            at(20),
        );
        let third = build(&second, summary(Progress::Done, "Ready", ""), 2, at(30));
        let ready = |conditions: &[Condition]| find(conditions, READY).cloned().unwrap();
        assert_eq!(ready(&first).last_transition_time.0, at(10));
        assert_eq!(ready(&second).last_transition_time.0, at(10));
        assert_eq!(ready(&second).observed_generation, Some(2));
        assert_eq!(ready(&third).last_transition_time.0, at(30));
        assert!(is_true(&third, READY) && !is_true(&third, STALLED));
    }

    #[test]
    fn messages_are_bounded_and_printable() {
        assert!(bounded(&"x".repeat(100_000)).len() <= MAX_MESSAGE);
        assert_eq!(bounded("a\nb\u{202e}"), "a\\nb\\u{202e}");
    }
}
