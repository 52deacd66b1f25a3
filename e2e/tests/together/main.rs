//! Tests that share the live cluster: several scenes at a time, each in a namespace of its own.
//!
//! None of them may stop, kill or scale the shared operator, or change a schema: those stand in `alone`. The throw-away
//! Kafka is asked for by its lock (`ottla_e2e::spare`).

mod beneath;
mod clusters;
mod disruption;
mod flips;
mod followers;
mod input;
mod namespaces;
mod outage;
mod policies;
mod posture;
mod preview;
mod purges;
mod quickstart;
mod replication;
mod rights;
mod tls;
mod topics;
mod verdicts;
