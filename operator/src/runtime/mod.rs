//! What every kind's controller runs on: watches, stores, queues, backoff, conditions, server-side apply, events,
//! metrics, the http server. Knows no kind's rules.
//!
//! *Architecture Invariant:* nothing here asks or changes Kafka.

pub mod apply;
pub mod backoff;
pub mod conditions;
pub mod config;
pub mod context;
pub mod controller;
pub mod error;
pub mod events;
#[cfg(any(test, feature = "failpoints"))]
pub mod failpoint;
pub mod guard;
pub mod health;
pub mod key;
pub mod lanes;
pub mod lease;
pub mod metrics;
pub mod namespaces;
pub mod queue;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod watch;

pub use context::{Context, Queues, Stores};
pub use controller::{Action, Reconciler, Stop};
pub use error::Error;
pub use key::Key;
pub use queue::Queue;
pub use store::Store;

/// Milliseconds since the epoch, RFC 3339 in JSON: the one clock type of statuses.
pub use jiff::Timestamp;
