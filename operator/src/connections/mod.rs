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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use ottla_kafka::admin::Admin;
use ottla_kafka::client::KafkaAdmin;
use ottla_kafka::config::ConnectionConfig;
use ottla_kafka::permit::Permit;
use ottla_kafka::types::ClusterId;

use self::metered::Figures;
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

/// Where clients come from.
enum Maker {
    /// From somewhere else.
    Given(Connect),
    /// They speak to Kafka, every call counted, and change things only while the permit holds.
    Kafka(Arc<Metrics>, Permit),
}

impl Maker {
    fn make(&self, cluster: &Key, config: ConnectionConfig) -> Arc<dyn Admin> {
        match self {
            Self::Given(connect) => connect(config),
            Self::Kafka(metrics, permit) => {
                let figures = Figures::new(metrics.clone(), cluster);
                let client = KafkaAdmin::observed(config, permit.clone(), Arc::new(figures.clone()));
                Arc::new(metered::Metered::new(client, figures))
            }
        }
    }
}

/// Whether a cluster may be used for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not looked at yet by this process.
    Unproven,
    /// Reached, authenticated, and the one it should be.
    Usable(ClusterId),
    /// It was usable, then a call got no connection or no answer. Until it has been looked at anew, nothing else is asked.
    InDoubt(ClusterId),
    /// Not to be used; the KafkaCluster's status says why.
    Unusable,
}

/// What a new look at a cluster changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// A doubt was without cause: who was held back goes on.
    Cleared,
    /// It may be used now, or no longer.
    Moved,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    /// The cluster last found usable, unless another was found since.
    proven: Option<ClusterId>,
    /// Whether every broker holds to the throttle, as far as this process has seen to it.
    throttled: bool,
    /// Who asked while it was in doubt.
    held_back: Vec<(Key, Queue)>,
}

/// The client of one KafkaCluster.
pub struct Connection {
    uid: String,
    config: ConnectionConfig,
    admin: Arc<dyn Admin>,
    state: Mutex<State>,
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
        self.state().standing.clone()
    }

    /// The client and the id of its cluster, if it may be used for work.
    #[must_use]
    pub fn usable(&self) -> Option<(Arc<dyn Admin>, ClusterId)> {
        match self.standing() {
            Standing::Usable(id) => Some((self.admin.clone(), id)),
            Standing::Unproven | Standing::InDoubt(_) | Standing::Unusable => None,
        }
    }

    /// The client and the id of its cluster, if it was usable once and nobody found another cluster there since. For
    /// finishing what was begun when the Secret has gone first.
    #[must_use]
    pub fn once_usable(&self) -> Option<(Arc<dyn Admin>, ClusterId)> {
        let proven = self.state().proven.clone();
        proven.map(|id| (self.admin.clone(), id))
    }

    /// Whether every broker holds to the throttle. An object that is known to need it, and then finds it so, may rely on
    /// that: it is not taken off before the objects were looked through.
    #[must_use]
    pub fn throttled(&self) -> bool {
        self.state().throttled
    }

    /// Takes in whether every broker holds to the throttle.
    pub fn set_throttled(&self, throttled: bool) {
        self.state().throttled = throttled;
    }

    /// Takes in that a call got no connection or no answer: whoever comes is held back until the cluster has been looked
    /// at, by one look for all.
    pub fn doubt(&self) {
        let mut state = self.state();
        if let Standing::Usable(id) = &state.standing {
            state.standing = Standing::InDoubt(id.clone());
        }
    }

    /// Holds somebody back while the cluster is in doubt, and tells whether it is: they are added to the queue when the
    /// doubt turns out to be without cause. Of any other outcome all are told.
    #[must_use]
    pub fn hold_back(&self, who: &Key, queue: &Queue) -> bool {
        let mut state = self.state();
        let doubtful = matches!(state.standing, Standing::InDoubt(_));
        if doubtful {
            state.held_back.push((who.clone(), queue.clone()));
        }
        doubtful
    }

    /// Takes in the cluster's standing after a look. `foreign` says that another cluster was found.
    pub fn set_standing(&self, standing: Standing, foreign: bool) -> Change {
        let mut state = self.state();
        match &standing {
            Standing::Usable(id) => state.proven = Some(id.clone()),
            _ if foreign => state.proven = None,
            _ => {}
        }
        let before = std::mem::replace(&mut state.standing, standing);
        let held_back = std::mem::take(&mut state.held_back);
        match (before, &state.standing) {
            (Standing::InDoubt(before), Standing::Usable(now)) if before == *now => {
                for (who, queue) in held_back {
                    queue.add(who);
                }
                Change::Cleared
            }
            (before, now) if before == *now => Change::None,
            _ => Change::Moved,
        }
    }
}

/// The clients of all KafkaClusters.
pub struct Connections {
    maker: Maker,
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
        Self::made_by(Maker::Given(connect))
    }

    fn made_by(maker: Maker) -> Self {
        Self {
            maker,
            entries: RwLock::default(),
        }
    }

    /// Clients that speak to Kafka, every call counted, and change things only while the permit holds.
    #[must_use]
    pub fn to_kafka(metrics: Arc<Metrics>, permit: Permit) -> Self {
        Self::made_by(Maker::Kafka(metrics, permit))
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
            admin: self.maker.make(cluster, config.clone()),
            config,
            state: Mutex::new(State {
                standing: Standing::Unproven,
                proven: None,
                throttled: false,
                held_back: vec![],
            }),
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

#[cfg(test)]
mod tests {
    use ottla_kafka::config::{Sasl, SaslMechanism, Secret, Security};
    use ottla_kafka::fake::FakeKafka;

    use super::*;

    fn connection() -> Arc<Connection> {
        let connections = Connections::new(Box::new(|_| Arc::new(FakeKafka::new())));
        let config = ConnectionConfig::new(vec![], Security::PLAINTEXT);
        connections.ensure(&Key::new("kafka", "kafka"), "uid", config)
    }

    fn usable(id: &str) -> Standing {
        Standing::Usable(ClusterId::from(id))
    }

    #[test]
    fn a_doubt_holds_back_until_one_look_clears_it() {
        let (connection, asking) = (connection(), Key::new("ns", "asking"));
        let queue = Queue::default();
        queue.start([]);
        assert_eq!(connection.set_standing(usable("a"), false), Change::Moved);
        assert!(!connection.hold_back(&asking, &queue), "nothing is in doubt");
        connection.doubt();
        connection.doubt();
        assert!(connection.usable().is_none() && connection.hold_back(&asking, &queue));
        assert_eq!(queue.depth(), 0);
        assert_eq!(connection.set_standing(usable("a"), false), Change::Cleared);
        assert_eq!(queue.depth(), 1);
        assert!(connection.usable().is_some());
        assert_eq!(connection.set_standing(usable("a"), false), Change::None);
    }

    #[test]
    fn other_credentials_make_another_client_and_the_old_one_is_gone() {
        let made = Arc::new(Mutex::new(vec![]));
        let record = made.clone();
        let connections = Connections::new(Box::new(move |_| {
            let client = Arc::new(FakeKafka::new());
            record.lock().unwrap().push(Arc::downgrade(&client));
            client
        }));
        let login = |password: &str| {
            let sasl = Sasl {
                mechanism: SaslMechanism::Plain,
                username: "me".to_owned(),
                password: Secret::new(password.to_owned()),
            };
            let config = ConnectionConfig::new(vec![], Security::sasl(sasl));
            connections.ensure(&Key::new("kafka", "kafka"), "uid", config)
        };
        let alive = || {
            let made = made.lock().unwrap();
            made.iter().map(|one| one.upgrade().is_some()).collect::<Vec<_>>()
        };
        drop(login("first"));
        drop(login("first"));
        assert_eq!(alive(), [true], "the same credentials, the same client");
        drop(login("second"));
        assert_eq!(alive(), [false, true]);
    }

    #[test]
    fn a_doubt_with_cause_moves_the_standing() {
        let connection = connection();
        connection.doubt();
        assert_eq!(
            connection.standing(),
            Standing::Unproven,
            "what was never usable is not doubted"
        );
        for found in [Standing::Unusable, usable("b")] {
            let _usable = connection.set_standing(usable("a"), false);
            connection.doubt();
            assert_eq!(connection.set_standing(found, false), Change::Moved);
        }
    }
}
