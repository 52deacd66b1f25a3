//! What the next pass over a KafkaTopic would do. The same look and the same plan as the pass itself; nothing is done
//! and nothing written.

use kube::ResourceExt;
use ottla_crds::KafkaTopic;
use ottla_kafka::error::KafkaError;

use super::execute::holds_records;
use super::plan::{Action, Live, Plan, Sight};
use super::reason::Reason;
use super::upkeep::{self, Doubt, Found};
use super::{Topics, desired, held};
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

/// Plans one pass over an object. An absence is believed at once: nothing is done about it.
///
/// # Errors
/// When Kafka could not be asked.
pub async fn preview(topics: &Topics, ctx: &Context, object: &KafkaTopic) -> Result<Preview, KafkaError> {
    let desired = match desired::parse(&object.name_any(), &object.spec) {
        Ok(desired) => desired,
        Err(invalid) => {
            return Ok(Preview::Held {
                reason: invalid.reason,
                message: invalid.message,
            });
        }
    };
    let kafka = match upkeep::kafka(ctx, object) {
        Ok(kafka) => kafka,
        Err(upkeep::End::Outcome(_, outcome)) => {
            return Ok(Preview::Held {
                reason: outcome.reason,
                message: outcome.message,
            });
        }
        Err(upkeep::End::Wait(_)) => {
            return Ok(Preview::Held {
                reason: Reason::ClusterNotReady,
                message: "the KafkaCluster was not looked at yet".to_owned(),
            });
        }
    };
    let Found { sight, plan, .. } =
        upkeep::look(topics, ctx, object, &desired, &kafka, Doubt::IsWaived).await?;
    let mut grows_over_records = false;
    for action in &plan.actions {
        if let Action::Grow { topic, from, .. } = action {
            grows_over_records = holds_records(&*kafka.admin, topic, *from).await;
        }
    }
    let waits = if desired.suspend {
        Some("suspend is true: none of this is done until it is false")
    } else if held::by_purge(ctx, object) {
        Some("a KafkaTopicPurge holds the topic: none of this is done until it has ended")
    } else {
        None
    };
    let live = match sight {
        Sight::Present(live) => Some(live),
        Sight::Absent | Sight::OutOfSight => None,
    };
    Ok(Preview::Planned {
        live,
        plan: Box::new(plan),
        waits,
        grows_over_records,
    })
}
