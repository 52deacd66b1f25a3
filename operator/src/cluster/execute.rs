//! Carries out a planned throttle of brokers. The only place that changes anything for a KafkaCluster.

use std::collections::BTreeSet;

use ottla_kafka::admin::Admin;
use ottla_kafka::types::BrokerId;
use tracing::{info, warn};

use super::throttle::plan::Plan;
use crate::runtime::Key;

/// Tells the brokers; those that were not told are named.
pub(super) async fn tell(admin: &dyn Admin, cluster: &Key, plan: &Plan) -> BTreeSet<BrokerId> {
    let (namespace, name) = (&cluster.namespace, &cluster.name);
    let mut untold = BTreeSet::new();
    if plan.changes.is_empty() {
        return untold;
    }
    for (broker, answer) in admin.alter_broker_configs(plan.changes.clone()).await {
        if let Err(error) = answer {
            warn!(namespace, name, broker = broker.get(), %error, "Throttle not changed");
            untold.insert(broker);
        }
    }
    let rate = plan.record.as_ref().filter(|_| plan.sets);
    info!(
        namespace,
        name,
        brokers = plan.changes.len() - untold.len(),
        rate = rate.map(|record| record.bytes_per_second),
        "Changed throttle of brokers"
    );
    untold
}
