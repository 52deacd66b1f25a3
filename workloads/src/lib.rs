//! The binary in the workload pods: produces and consumes, and proves delivery.

pub mod board;
pub mod client;
pub mod clock;
pub mod consume;
mod credentials;
pub mod http;
mod intervals;
mod latency;
mod metrics;
pub mod partitioner;
pub mod produce;
pub mod record;
pub mod verifier;
