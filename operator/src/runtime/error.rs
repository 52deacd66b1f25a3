//! Why a pass ended early, and how soon the next one may follow. What a user can fix is a condition, not an error.

use super::backoff::Pace;
use super::guard::NotPermitted;

/// Why a pass over one object ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object changed since it was read; nothing was decided on the old state.
    #[error("could not {operation}: the object changed meanwhile")]
    Conflict {
        /// What was attempted.
        operation: &'static str,
    },
    /// The object is gone or was replaced; nothing is left to do.
    #[error("could not {operation}: the object is gone")]
    Gone {
        /// What was attempted.
        operation: &'static str,
    },
    /// The right to change anything had ended; nothing was sent.
    #[error("did not {operation}: another operator leads now")]
    NotPermitted {
        /// What was attempted.
        operation: &'static str,
    },
    /// The Kubernetes API refused or did not answer.
    #[error("could not {operation}")]
    Kube {
        /// What was attempted.
        operation: &'static str,
        /// The API's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The pass took longer than it may.
    #[error("gave up after {0:?}")]
    Deadline(std::time::Duration),
    /// A defect of ours; it is confined to this object.
    #[error("panicked: {0}")]
    Panic(String),
    /// Something that must hold does not.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Sorts an answer of the Kubernetes API.
    #[must_use]
    pub fn kube(operation: &'static str, error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 409 => Self::Conflict { operation },
            kube::Error::Api(status) if status.code == 404 => Self::Gone { operation },
            kube::Error::Service(cause) if cause.is::<NotPermitted>() => Self::NotPermitted { operation },
            _ => Self::Kube {
                operation,
                source: Box::new(error),
            },
        }
    }

    /// How soon to try again.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        match self {
            Self::Conflict { .. } | Self::Gone { .. } => Pace {
                base: std::time::Duration::from_millis(200),
                cap: std::time::Duration::from_secs(10),
            },
            Self::Kube { .. } | Self::Deadline(_) | Self::NotPermitted { .. } => Pace::FAST,
            Self::Panic(_) | Self::Internal(_) => Pace::SLOW,
        }
    }

    /// The metric label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::Gone { .. } => "gone",
            Self::NotPermitted { .. } => "not_permitted",
            Self::Kube { .. } => "kubernetes",
            Self::Deadline(_) => "deadline",
            Self::Panic(_) => "panic",
            Self::Internal(_) => "internal",
        }
    }
}

/// An error and all its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Some errors of other crates print their cause themselves.
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
