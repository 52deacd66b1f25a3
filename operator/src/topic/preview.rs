//! What the next pass over a KafkaTopic would do. The same look and the same plan as the pass itself; nothing is done
//! and nothing written.

use std::sync::Arc;

use kube::ResourceExt;
use ottla_crds::KafkaTopic;

use super::execute::holds_records;
use super::look::End;
use super::plan::{Action, Live, Plan, Sight};
use super::reason::Reason;
use super::{Topics, desired, held, look};
use crate::runtime::Context;

/// What would happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preview {
    /// No plan can be made.
    Held {
        /// Why.
        reason: Reason,
        /// Why, in a sentence, with what to do.
        message: String,
    },
    /// This plan would be carried out.
    Planned {
        /// The topic as it is; absent where Kafka has none.
        live: Option<Live>,
        /// What would be done.
        plan: Box<Plan>,
        /// Why nothing of it is done for now.
        waits: Option<&'static str>,
        /// Whether partitions would be added to a topic that holds records.
        grows_over_records: bool,
    },
}

/// Plans one pass over an object, with [`Topics::for_preview`].
pub async fn preview(topics: &Topics, ctx: &Context, object: &Arc<KafkaTopic>) -> Preview {
    let desired = match desired::parse(&object.name_any(), &object.spec) {
        Ok(desired) => desired,
        Err(invalid) => {
            return Preview::Held {
                reason: invalid.reason,
                message: invalid.message,
            };
        }
    };
    let waits = if desired.suspend {
        Some("suspend is true: none of this is done until it is false")
    } else if held::by_purge(ctx, object) {
        Some("a KafkaTopicPurge holds the topic: none of this is done until it has ended")
    } else {
        None
    };
    let look = match look::look(topics, ctx, object, desired).await {
        Ok(look) => look,
        Err(End::Outcome(_, outcome)) => {
            return Preview::Held {
                reason: outcome.reason,
                message: outcome.message,
            };
        }
        Err(End::Wait(_)) => {
            return Preview::Held {
                reason: Reason::ClusterNotReady,
                message: "whether the KafkaCluster may be used from this namespace cannot be told from here"
                    .to_owned(),
            };
        }
    };
    let mut grows_over_records = false;
    for action in &look.plan.actions {
        if let Action::Grow { topic, from, .. } = action {
            grows_over_records = holds_records(&*look.kafka.admin, topic, *from).await;
        }
    }
    let live = match look.sight {
        Sight::Present(live) => Some(live),
        Sight::Absent | Sight::OutOfSight => None,
    };
    Preview::Planned {
        live,
        plan: Box::new(look.plan),
        waits,
        grows_over_records,
    }
}
