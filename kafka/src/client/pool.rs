//! Connections to a cluster's brokers, made when first needed and replaced when they break.
//!
//! *Architecture Invariant:* a bootstrap connection only answers who the brokers are; it is closed right after, and
//! nothing else is ever asked of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bootstrap;
use super::deleted::Deleted;
use crate::admin::{Broker, Cluster};
use crate::config::{ConnectionConfig, HostPort};
use crate::error::{ConnectCause, ConnectFailure};
use crate::observe::Observer;
use crate::permit::Permit;
use crate::types::{BrokerId, ClusterId};
use crate::wire::{Connection, dial};

/// For how long a broker that could not be reached comes last among those that may be asked.
const AVOIDED_FOR: Duration = Duration::from_secs(30);

/// What a connection is for. A broker works on one request of a connection at a time, so reads have their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    Read,
    Change,
    /// Deleting records, which waits for replicas; over one of several connections.
    Records(u8),
}

/// A value that one task makes while others wait; those that waited share its failure too.
#[derive(Debug)]
struct Slot<T> {
    state: tokio::sync::Mutex<Made<T>>,
}

#[derive(Debug)]
struct Made<T> {
    value: Option<T>,
    failure: Option<(Instant, ConnectFailure)>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            state: tokio::sync::Mutex::new(Made {
                value: None,
                failure: None,
            }),
        }
    }
}

impl<T: Clone> Slot<T> {
    async fn get(
        &self,
        usable: impl Fn(&T) -> bool,
        make: impl Future<Output = Result<T, ConnectFailure>>,
    ) -> Result<T, ConnectFailure> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(value) = state.value.as_ref().filter(|value| usable(value)) {
            return Ok(value.clone());
        }
        if let Some((at, failure)) = &state.failure
            && *at >= asked
        {
            return Err(failure.clone());
        }
        state.value = None;
        let outcome = make.await;
        match &outcome {
            Ok(value) => state.value = Some(value.clone()),
            Err(failure) => state.failure = Some((Instant::now(), failure.clone())),
        }
        outcome
    }

    async fn clear(&self) {
        self.state.lock().await.value = None;
    }
}

type ConnectionSlot = Arc<Slot<Arc<Connection>>>;

/// Connections to a cluster's brokers.
#[derive(Debug)]
pub(super) struct Pool {
    config: ConnectionConfig,
    permit: Permit,
    observer: Arc<dyn Observer>,
    first_met: Mutex<Option<ClusterId>>,
    cluster: Slot<Arc<Cluster>>,
    connections: Mutex<HashMap<(HostPort, Purpose), ConnectionSlot>>,
    failures: Mutex<HashMap<HostPort, Instant>>,
    deleted: Deleted,
}

impl Pool {
    pub(super) fn new(config: ConnectionConfig, permit: Permit, observer: Arc<dyn Observer>) -> Self {
        Self {
            config,
            permit,
            observer,
            first_met: Mutex::default(),
            cluster: Slot::default(),
            connections: Mutex::default(),
            failures: Mutex::default(),
            deleted: Deleted::default(),
        }
    }

    /// The topics that were deleted over these connections.
    pub(super) fn deleted(&self) -> &Deleted {
        &self.deleted
    }

    pub(super) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    pub(super) fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    /// Asks the bootstrap addresses who the brokers are. The answer may be another cluster's.
    pub(super) async fn bootstrap(&self) -> Result<Cluster, ConnectFailure> {
        let asked = bootstrap::ask(&self.config).await;
        let cluster = asked
            .map_err(|failure| failure.unwrap_or_else(|| self.no_broker("no bootstrap address is set")))?;
        lock(&self.first_met).get_or_insert_with(|| cluster.id.clone());
        Ok(cluster)
    }

    /// Forgets who the brokers are, so that the next call asks anew.
    pub(super) async fn forget_brokers(&self) {
        self.cluster.clear().await;
    }

    /// A connection to any broker at its advertised address; the controller's before all others, since brokers
    /// without `KRaft` forward no change.
    pub(super) async fn any(&self, purpose: Purpose) -> Result<Arc<Connection>, ConnectFailure> {
        let cluster = self.brokers().await?;
        let mut candidates: Vec<&Broker> = cluster.brokers.iter().collect();
        candidates.sort_by_key(|broker| {
            (
                self.failed_lately(&broker.advertised),
                Some(broker.id) != cluster.controller,
            )
        });
        let mut first_failure = None;
        for broker in candidates {
            match self.connection(broker, purpose).await {
                Ok(connection) => return Ok(connection),
                Err(failure) => {
                    tracing::debug!(broker = %broker.id, %failure, "Broker could not be reached");
                    self.forget_brokers().await;
                    first_failure.get_or_insert(failure);
                }
            }
        }
        Err(first_failure.unwrap_or_else(|| self.no_broker("no broker is alive")))
    }

    /// A connection to one broker at its advertised address.
    pub(super) async fn broker(
        &self,
        id: BrokerId,
        purpose: Purpose,
    ) -> Result<Arc<Connection>, ConnectFailure> {
        let cluster = self.brokers().await?;
        let found = match cluster.brokers.iter().find(|broker| broker.id == id) {
            Some(broker) => self.connection(broker, purpose).await,
            None => Err(self.no_broker(&format!("broker {id} is not alive"))),
        };
        if found.is_err() {
            self.forget_brokers().await;
        }
        found
    }

    /// The brokers, as last learned.
    pub(super) async fn brokers(&self) -> Result<Arc<Cluster>, ConnectFailure> {
        let learn = async {
            let cluster = self.bootstrap().await?;
            match self.config.bootstrap.first() {
                Some(address) => self.check_cluster(address, &cluster)?,
                None => return Ok(Arc::new(cluster)),
            }
            self.keep_only(&cluster);
            Ok(Arc::new(cluster))
        };
        self.cluster.get(|_| true, learn).await
    }

    /// Drops what belongs to addresses that no broker advertises any longer.
    fn keep_only(&self, cluster: &Cluster) {
        let advertised =
            |address: &HostPort| cluster.brokers.iter().any(|broker| broker.advertised == *address);
        lock(&self.connections).retain(|(address, _), _| advertised(address));
        lock(&self.failures).retain(|address, _| advertised(address));
    }

    async fn connection(&self, broker: &Broker, purpose: Purpose) -> Result<Arc<Connection>, ConnectFailure> {
        let address = &broker.advertised;
        let slot = Arc::clone(
            lock(&self.connections)
                .entry((address.clone(), purpose))
                .or_default(),
        );
        let make = async {
            let connection = dial(address, &self.config).await?;
            self.check_cluster(address, &connection.hello().cluster)?;
            Ok(Arc::new(connection.under(self.permit.clone())))
        };
        let outcome = slot
            .get(|connection| connection.is_usable(Instant::now()), make)
            .await;
        match &outcome {
            Ok(_) => lock(&self.failures).remove(address),
            Err(_) => lock(&self.failures).insert(address.clone(), Instant::now()),
        };
        outcome
    }

    fn failed_lately(&self, address: &HostPort) -> bool {
        lock(&self.failures)
            .get(address)
            .is_some_and(|at| at.elapsed() < AVOIDED_FOR)
    }

    fn check_cluster(&self, address: &HostPort, found: &Cluster) -> Result<(), ConnectFailure> {
        match lock(&self.first_met).as_ref() {
            Some(expected) if *expected != found.id => Err(ConnectFailure {
                address: address.clone(),
                cause: ConnectCause::WrongCluster {
                    expected: expected.clone(),
                    found: found.id.clone(),
                },
            }),
            _ => Ok(()),
        }
    }

    fn no_broker(&self, why: &str) -> ConnectFailure {
        let unset = || HostPort {
            host: String::new(),
            port: 0,
        };
        ConnectFailure {
            address: self.config.bootstrap.first().cloned().unwrap_or_else(unset),
            cause: ConnectCause::Network(why.to_owned()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
