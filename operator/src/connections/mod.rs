//! One Kafka client for each KafkaCluster, shared by everything that refers to it. Knows whether a client may be used,
//! decides nothing about topics.
//!
//! *Architecture Invariant:* a client is handed out for work only after this process has seen the cluster's id and
//! found it to be the expected one.

pub mod metered;
pub mod secret;
mod slots;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use ottla_kafka::admin::Admin;
use ottla_kafka::client::KafkaAdmin;
use ottla_kafka::config::ConnectionConfig;
use ottla_kafka::permit::Permit;
use ottla_kafka::types::ClusterId;

pub use self::slots::Slot;
use self::slots::Slots;
use crate::runtime::Key;
use crate::runtime::metrics::Metrics;
use crate::runtime::queue::Queue;

/// How many passes may wait for one cluster at once: fewer than there are passes of a kind, so that one cluster that does
/// not answer cannot hold up the others.
const SLOTS: usize = 32;

/// Makes a client out of a configuration.
pub type Connect = Box<dyn Fn(ConnectionConfig) -> Arc<dyn Admin> + Send + Sync>;

/// Whether a cluster may be used for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not looked at yet by this process.
    Unproven,
    /// Reached, authenticated, and the one it should be.
    Usable(ClusterId),
    /// Not to be used; the KafkaCluster's status says why.
    Unusable,
}

/// The client of one KafkaCluster.
pub struct Connection {
    uid: String,
    config: ConnectionConfig,
    admin: Arc<dyn Admin>,
    standing: RwLock<Standing>,
    proven: RwLock<Option<ClusterId>>,
    slots: Slots,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("standing", &self.standing())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// The client, whatever the cluster's standing: for looking, not for work.
    #[must_use]
    pub fn admin(&self) -> &Arc<dyn Admin> {
        &self.admin
    }

    /// A place among those who wait for this cluster; none when it is crowded, and then the object is added to the
    /// queue as soon as a place is free.
    #[must_use]
    pub fn slot(&self, kind: &'static str, key: &Key, queue: &Queue) -> Option<Slot> {
        self.slots.take(kind, key, queue)
    }

    /// Whether the cluster may be used.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The client and the id of its cluster, if it may be used for work.
    #[must_use]
    pub fn usable(&self) -> Option<(Arc<dyn Admin>, ClusterId)> {
        match self.standing() {
            Standing::Usable(id) => Some((self.admin.clone(), id)),
            Standing::Unproven | Standing::Unusable => None,
        }
    }

    /// The client and the id of its cluster, if it was usable once and nobody found another cluster there since. For
    /// finishing what was begun when the Secret has gone first.
    #[must_use]
    pub fn once_usable(&self) -> Option<(Arc<dyn Admin>, ClusterId)> {
        let proven = self.proven.read().unwrap_or_else(PoisonError::into_inner).clone();
        proven.map(|id| (self.admin.clone(), id))
    }

    /// Takes in the cluster's standing; tells whether it changed. `foreign` says that another cluster was found.
    pub fn set_standing(&self, standing: Standing, foreign: bool) -> bool {
        let mut proven = self.proven.write().unwrap_or_else(PoisonError::into_inner);
        match &standing {
            Standing::Usable(id) => *proven = Some(id.clone()),
            _ if foreign => *proven = None,
            _ => {}
        }
        let mut current = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != standing;
        *current = standing;
        changed
    }
}

/// The clients of all KafkaClusters.
pub struct Connections {
    connect: Connect,
    entries: RwLock<HashMap<Key, Arc<Connection>>>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Connections {
    /// Clients made by `connect`.
    #[must_use]
    pub fn new(connect: Connect) -> Self {
        Self {
            connect,
            entries: RwLock::default(),
        }
    }

    /// Clients that speak to Kafka, every call counted, and change things only while the permit holds.
    #[must_use]
    pub fn to_kafka(metrics: Arc<Metrics>, permit: Permit) -> Self {
        Self::new(Box::new(move |config| {
            let client = KafkaAdmin::under(config, permit.clone());
            Arc::new(metered::Metered::new(client, metrics.clone()))
        }))
    }

    /// The client of a KafkaCluster, if one was made.
    #[must_use]
    pub fn get(&self, cluster: &Key) -> Option<Arc<Connection>> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(cluster)
            .cloned()
    }

    /// The client for this configuration: the one there is, or a new one when the KafkaCluster was replaced or its
    /// addresses or credentials changed. A client nobody holds any more closes its connections.
    pub fn ensure(&self, cluster: &Key, uid: &str, config: ConnectionConfig) -> Arc<Connection> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(cluster)
            && entry.uid == uid
            && entry.config == config
        {
            return entry.clone();
        }
        let entry = Arc::new(Connection {
            uid: uid.to_owned(),
            admin: (self.connect)(config.clone()),
            config,
            standing: RwLock::new(Standing::Unproven),
            proven: RwLock::default(),
            slots: Slots::new(SLOTS),
        });
        entries.insert(cluster.clone(), entry.clone());
        entry
    }

    /// Drops the client of a KafkaCluster that is gone.
    pub fn remove(&self, cluster: &Key) {
        self.entries
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(cluster);
    }
}
