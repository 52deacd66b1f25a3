//! Kafka's admin protocol: connections, the admin port and its adapter, an in-memory fake, the listener probe.
//!
//! Start at [`admin::Admin`], the port. It holds no Kubernetes type and no record of any topic's data.
//!
//! *Architecture Invariant:* bootstrap addresses serve to learn the brokers' advertised addresses and nothing else.
//!
//! *Architecture Invariant:* what changes anything leaves only while the client's [`permit::Permit`] holds, asked at the
//! write to the socket; what only reads leaves always.

pub mod admin;
pub mod client;
pub mod config;
pub mod error;
pub mod fake;
pub mod observe;
pub mod permit;
pub mod probe;
pub mod tls;
pub mod types;

mod metadata;
mod sasl;
mod wire;
