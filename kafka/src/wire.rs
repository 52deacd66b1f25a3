//! One connection to one broker: frames, correlation, deadlines, version negotiation, authentication.
//!
//! Knows no topic and retries nothing.

mod api;
mod connection;
mod dial;
mod frame;
mod link;
mod shape;
mod tls;

pub(crate) use api::Call;
pub(crate) use connection::{Connection, Versions, exchange};
pub(crate) use dial::{Dialling, Token, dial};
pub(crate) use link::Link;
