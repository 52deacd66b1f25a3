//! Publishes events on objects, for transitions only. An event that cannot be published is logged and forgotten: it
//! must never hold up a reconcile.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::warn;

use super::conditions::bounded;
use super::error::chain;

/// How much an event asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something happened as it should.
    Normal,
    /// Somebody may want to look.
    Warning,
}

/// Something worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it asks for attention.
    pub severity: Severity,
    /// Why, in one word: the reason of the condition where there is one.
    pub reason: &'static str,
    /// What was done, in one word.
    pub action: &'static str,
    /// What happened, in a sentence.
    pub message: String,
}

impl Note {
    /// A note of something that went as it should.
    #[must_use]
    pub fn normal(reason: &'static str, action: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Normal,
            reason,
            action,
            message: message.into(),
        }
    }

    /// A note of something to look at.
    #[must_use]
    pub fn warning(reason: &'static str, action: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            reason,
            action,
            message: message.into(),
        }
    }
}

/// Publishes notes.
#[derive(Clone)]
pub struct Events(Recorder);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// A publisher that names itself `ottla-operator` and, where known, its pod.
    #[must_use]
    pub fn new(client: Client, pod: Option<String>) -> Self {
        Self(Recorder::new(
            client,
            Reporter {
                controller: "ottla-operator".to_owned(),
                instance: pod,
            },
        ))
    }

    /// Publishes one note; tells whether it was taken.
    pub async fn publish(&self, about: &ObjectReference, note: &Note) -> bool {
        let mut text = bounded(&note.message);
        // The API takes 1 kB.
        while text.len() > 1_000 {
            text.pop();
        }
        let event = Event {
            type_: match note.severity {
                Severity::Normal => EventType::Normal,
                Severity::Warning => EventType::Warning,
            },
            reason: note.reason.to_owned(),
            note: Some(text),
            action: note.action.to_owned(),
            secondary: None,
        };
        let failure = match tokio::time::timeout(Duration::from_secs(5), self.0.publish(&event, about)).await
        {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => chain(&error),
            Err(late) => late.to_string(),
        };
        let namespace = about.namespace.as_deref();
        warn!(
            namespace,
            name = about.name.as_deref(),
            reason = note.reason,
            error = failure,
            "Could not publish event"
        );
        false
    }
}
