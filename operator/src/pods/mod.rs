//! What KafkaProducer and KafkaConsumer share: the pods that do the work. Where they connect, what they are made of,
//! which children to change, what the pods say, and how the whole stands.
//!
//! *Architecture Invariant:* nothing here judges records; verdicts are `ottla_contract`'s.

pub mod children;
pub mod connect;
pub mod execute;
pub mod fetch;
pub mod gather;
pub mod manifests;
pub mod names;
pub mod observe;
pub mod pass;
pub mod plan;
pub mod reason;
pub mod standing;
pub mod target;
pub mod template;
