//! Takes a throttle of ours off a topic whose object goes while its replicas are being moved. Touches nothing else.

use kube::ResourceExt;
use ottla_crds::KafkaTopic;
use ottla_crds::topic::ThrottledReplicas;
use ottla_kafka::admin::{Admin, ConfigKeys, ConfigQuery};
use ottla_kafka::error::{ErrorCode, KafkaError};
use ottla_kafka::types::{TopicId, TopicName};

use super::execute::perform;
use super::plan::{Action as Change, throttle};
use super::reason::Reason;
use super::status::{self, Outcome, Shape};
use super::upkeep::poke;
use super::{desired, observe};
use crate::cluster::cluster_key;
use crate::runtime::backoff::Pace;
use crate::runtime::{Action, Context, Key};

/// Takes the throttle off, if there is one and anybody to ask. The error is why the object must wait.
pub(super) async fn before_release(ctx: &Context, object: &KafkaTopic) -> Result<(), Box<Outcome>> {
    let status = object.status.as_ref();
    let moving = status.and_then(|status| status.reassignment.as_ref());
    let Some(ours) = moving.and_then(|moving| moving.throttle.as_ref()) else {
        return Ok(());
    };
    let named = cluster_key(&Key::of(object), &object.spec.cluster_ref);
    // Nobody knows any more how to reach its Kafka.
    if ctx.stores.clusters.get(&named).is_none() {
        return Ok(());
    }
    let connection = ctx.connections.get(&named);
    let Some((admin, cluster)) = connection.and_then(|connection| connection.once_usable()) else {
        let message = format!(
            "replicas of the topic are throttled; that is taken off once KafkaCluster {named} is ready, and then this \
             object goes"
        );
        let outcome = Outcome::held(Reason::ClusterNotReady, message, Action::AwaitChange);
        return Err(Box::new(outcome));
    };
    let name = object.name_any();
    let topic = desired::name(&name, &object.spec).parse::<TopicName>();
    let recorded = status.and_then(|status| status::recorded(status, &cluster).id);
    let (Ok(topic), Some(id)) = (topic, recorded) else {
        return Ok(());
    };
    lift(&*admin, topic, id, ours).await.map_err(|error| {
        poke(ctx, object, &error);
        let outcome = Outcome::failed(&error, Shape::Keep);
        let again = match outcome.again {
            Action::AwaitChange => Action::Retry(Pace::SLOW),
            again => again,
        };
        Box::new(Outcome { again, ..outcome })
    })
}

/// Takes the throttle off a topic, while it is the one it was set on and stands there as it was set.
async fn lift(
    admin: &dyn Admin,
    topic: TopicName,
    id: TopicId,
    ours: &ThrottledReplicas,
) -> Result<(), KafkaError> {
    let mut seen = admin.describe_topics([topic.clone()].into()).await;
    match seen.remove(&topic) {
        Some(Ok(Some(live))) if live.id == id => {}
        Some(Err(error)) => return Err(error),
        _ => return Ok(()),
    }
    let query = ConfigQuery {
        topic: topic.clone(),
        keys: ConfigKeys::Named(throttle::KEYS.map(str::to_owned).into()),
    };
    let config = match admin.describe_configs(vec![query]).await.remove(&topic) {
        Some(Ok(config)) => config,
        Some(Err(error)) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => return Ok(()),
        Some(Err(error)) => return Err(error),
        None => return Ok(()),
    };
    let keys = throttle::standing(ours, observe::throttled(&config).as_ref());
    if keys.is_empty() {
        return Ok(());
    }
    perform(admin, &Change::Unthrottle { topic, keys })
        .await
        .map(|_| ())
}
