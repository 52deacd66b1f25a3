//! Asks the bootstrap addresses who the brokers are. Behind an address there may be several brokers, as behind a Service,
//! and one of them may stand still: an address that has not answered after a while is asked over another connection too.

use std::pin::pin;

use futures::FutureExt as _;
use futures::future::{Either, select, select_ok};
use tokio::time::sleep;

use crate::admin::Cluster;
use crate::config::{ConnectionConfig, HostPort};
use crate::error::ConnectFailure;
use crate::wire::{Connection, dial};

/// Over how many connections an address is asked at most, at equal distances within the time for one.
const CONNECTIONS: u32 = 3;

/// Asks the addresses in order; the first failure is told if none answers, and none where there is no address. The answer
/// may be another cluster's.
pub(super) async fn ask(config: &ConnectionConfig) -> Result<Cluster, Option<ConnectFailure>> {
    let mut first_failure = None;
    for address in &config.bootstrap {
        match connect(address, config).await {
            Ok(connection) => return Ok(connection.hello().cluster.clone()),
            Err(failure) => {
                tracing::debug!(%failure, "Bootstrap address failed");
                first_failure.get_or_insert(failure);
            }
        }
    }
    Err(first_failure)
}

/// The first connection that answers. A failure is the first connection's, as soon as it is known.
async fn connect(address: &HostPort, config: &ConnectionConfig) -> Result<Connection, ConnectFailure> {
    let pause = config.timeouts.connect / CONNECTIONS;
    let further = (1..CONNECTIONS).map(|number| {
        async move {
            sleep(pause * number).await;
            dial(address, config).await
        }
        .boxed()
    });
    match select(pin!(dial(address, config)), select_ok(further)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((Ok((connection, _)), _)) => Ok(connection),
        Either::Right((Err(_), first)) => first.await,
    }
}
