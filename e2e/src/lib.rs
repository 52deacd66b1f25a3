//! Support for the tests against a live cluster and a live Kafka.
//!
//! The tests act as a user does (they apply objects and read status) and take the truth from Kafka's own tools, never
//! from our status. Nothing here may know a type of the product: what is tested is the YAML a user writes.
//!
//! They run only where both `KUBECONFIG` and `OTTLA_TEST_BOOTSTRAP` are set, which `cargo xtask test` does; elsewhere
//! each says `SKIPPED` and passes, so that a stray `cargo test` never touches somebody's cluster.

pub mod api_proxy;
mod audit;
pub mod broker;
pub mod certificates;
pub mod cli;
pub mod fixtures;
pub mod kafka_proxy;
pub mod limited;
pub mod live;
pub mod metrics;
pub mod moving;
pub mod node;
pub mod object;
pub mod operator;
pub mod plane;
pub mod process;
pub mod quiescing;
pub mod scene;
pub mod sockets;
pub mod spare;
pub mod sweep;
pub mod wait;
pub mod wire;
pub mod written;

pub use scene::{Scene, scene};
