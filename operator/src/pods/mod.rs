//! What KafkaProducer and KafkaConsumer share: the pods that do the work. Manifests, what is known of the children,
//! which of them to change, and what the pods report.
//!
//! *Architecture Invariant:* nothing here judges records; verdicts are `ottla_contract`'s.

pub mod children;
pub mod fetch;
pub mod manifests;
pub mod names;
pub mod plan;
pub mod target;
pub mod template;
