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
pub mod notes;
pub mod observe;
pub mod pacing;
pub mod pass;
pub mod plan;
pub mod quiet;
pub mod reason;
pub mod standing;
pub mod stores;
pub mod target;
pub mod template;
pub mod triggers;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ottla_contract::report::{ConsumerReport, ProducerReport};

use self::gather::Gatherer;
use self::pacing::Pacing;

/// What both kinds remember between passes. Lost with the process, and found again.
#[derive(Debug, Default)]
pub struct Memory {
    /// What producer pods said.
    pub producers: Gatherer<ProducerReport>,
    /// What consumer pods said.
    pub consumers: Gatherer<ConsumerReport>,
    /// When statuses were written.
    pub pacing: Pacing,
    /// The run after which an object's old configurations were looked for, by uid.
    swept: Mutex<HashMap<String, u32>>,
}

impl Memory {
    /// Drops all that is remembered of an object.
    pub fn forget(&self, uid: &str) {
        self.producers.forget(uid);
        self.consumers.forget(uid);
        self.pacing.forget(uid);
        self.swept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }

    fn swept(&self, uid: &str, run: u32) -> bool {
        self.swept.lock().unwrap_or_else(PoisonError::into_inner).get(uid) == Some(&run)
    }

    fn sweep(&self, uid: &str, run: u32) {
        self.swept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid.to_owned(), run);
    }
}
