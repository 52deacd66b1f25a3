//! What the operator and the workload pods share: pod configuration, reports, termination summary, verdict.
//!
//! *Architecture Invariant:* plain data and pure functions. No I/O, no clock, no randomness, no Kubernetes type.

pub mod compact;
pub mod config;
pub mod ids;
pub mod report;
pub mod summary;
pub mod verdict;

pub use config::{ConsumerConfig, PodConfig, ProducerConfig, Workload};
pub use ids::{Incarnation, RunId, Share, Uid};
pub use report::{ConsumerReport, Counters, Evidence, ProducerReport};
pub use summary::TerminationSummary;
pub use verdict::{Reason, Verdict, Verified};
