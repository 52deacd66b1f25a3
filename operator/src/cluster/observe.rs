//! Reads credentials from Kubernetes and everything else from Kafka. Needs both; decides nothing.

use std::sync::Arc;

use kube::ResourceExt;
use ottla_crds::KafkaCluster;
use ottla_kafka::config::ConnectionConfig;
use ottla_kafka::error::KafkaError;
use ottla_kafka::probe::{ListenerReport, ListenerResult};
use ottla_kafka::types::ClusterId;

use super::credentials;
use super::desired::Desired;
use crate::connections::Connection;
use crate::connections::secret::SecretProblem;
use crate::runtime::{Context, Error, Key};

/// What was found.
#[derive(Debug)]
pub enum Observed {
    /// The credentials cannot be had.
    NoCredentials(SecretProblem),
    /// Bootstrap did not work.
    NoBootstrap(KafkaError),
    /// Bootstrap worked.
    Brokers {
        /// Every broker's advertised address and how it answered.
        listeners: Vec<ListenerReport>,
        /// The cluster's id, as told through an advertised address.
        id: Result<ClusterId, KafkaError>,
    },
}

/// Looks at a cluster. The connection is given as far as one exists.
pub async fn observe(
    ctx: &Context,
    object: &KafkaCluster,
    desired: &Desired,
) -> Result<(Option<Arc<Connection>>, Observed), Error> {
    let key = Key::of(object);
    let security = match credentials::security(ctx, &key.namespace, desired).await? {
        Ok(security) => security,
        Err(problem) => return Ok((ctx.connections.get(&key), Observed::NoCredentials(problem))),
    };
    let mut config = ConnectionConfig::new(desired.bootstrap.clone(), security);
    "ottla-operator".clone_into(&mut config.client_id);
    let connection = ctx
        .connections
        .ensure(&key, &object.uid().unwrap_or_default(), config);
    let observed = look(&connection).await;
    Ok((Some(connection), observed))
}

async fn look(connection: &Connection) -> Observed {
    let listeners = match connection.admin().probe_listeners().await {
        Ok(listeners) => listeners,
        Err(error) => return Observed::NoBootstrap(error),
    };
    if !listeners
        .iter()
        .any(|listener| listener.result == ListenerResult::Reachable)
    {
        let id = Err(KafkaError::DeadlinePassed {
            operation: "describe the cluster",
            after: std::time::Duration::ZERO,
        });
        return Observed::Brokers { listeners, id };
    }
    let id = connection
        .admin()
        .describe_cluster()
        .await
        .map(|cluster| cluster.id);
    Observed::Brokers { listeners, id }
}
