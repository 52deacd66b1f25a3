//! Events of workloads: for ends, refusals and verdicts, never for figures.
//!
//! Pure.

use ottla_contract::verdict::{Reason as VerdictReason, Verified};

use super::reason::Reason;
use super::standing::Standing;
use crate::runtime::conditions::Progress;
use crate::runtime::events::Note;

/// The event of a changed standing; `before` is the reason that status told of.
#[must_use]
pub fn standing(before: Option<&str>, standing: &Standing) -> Vec<Note> {
    let reason = standing.reason.as_str();
    if before == Some(reason) {
        return vec![];
    }
    match standing.reason {
        Reason::Completed => vec![Note::normal(reason, "Run", "every pod has done its share")],
        _ if standing.reason.progress() == Progress::Stalled => {
            vec![Note::warning(reason, "Run", standing.message.clone())]
        }
        _ => vec![],
    }
}

/// The event of a verdict: of a violation when it is found, of a pass when the run is over. What cannot be told yet is
/// none, nor is an endless consumer's return to Pass.
#[must_use]
pub fn verdict(before: Option<&str>, reason: VerdictReason, message: &str, over: bool) -> Vec<Note> {
    let word = reason.as_str();
    match reason.verified() {
        // A run ends once, often after its verdict.
        Verified::True if over => vec![Note::normal(word, "Verify", message)],
        Verified::False if before != Some(word) => vec![Note::warning(word, "Verify", message)],
        Verified::True | Verified::False | Verified::Unknown => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_transitions_are_told() {
        let failed = Standing::new(Reason::Failed, "pod p ended with exit code 1");
        assert_eq!(standing(Some("Running"), &failed).len(), 1);
        assert!(standing(Some("Failed"), &failed).is_empty());
        assert!(standing(None, &Standing::new(Reason::Pending, "")).is_empty());
        assert_eq!(
            verdict(Some("Pending"), VerdictReason::Lost, "1 lost", false).len(),
            1
        );
        assert!(verdict(Some("Lost"), VerdictReason::Lost, "2 lost", false).is_empty());
        assert!(verdict(Some("Pending"), VerdictReason::Pass, "", false).is_empty());
        assert_eq!(verdict(Some("Pass"), VerdictReason::Pass, "", true).len(), 1);
    }
}
