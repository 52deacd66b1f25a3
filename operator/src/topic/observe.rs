//! Reads one topic from Kafka. Changes nothing, and takes no failure for an absence.

use std::collections::{BTreeMap, BTreeSet};

use ottla_crds::topic::ThrottledReplicas;
use ottla_kafka::admin::{
    Admin, ConfigEntry, ConfigKeys, ConfigQuery, ConfigSource, Partition, Topic, TopicPartition,
};
use ottla_kafka::error::{ErrorCode, KafkaError};
use ottla_kafka::types::TopicName;
use tracing::debug;

use super::desired::Desired;
use super::placement::Held;
use super::plan::replication::{Layout, MIN_IN_SYNC, Replicas, Seen, needs_look};
use super::plan::throttle;
use super::plan::{Live, Recorded};

/// More than is ever set by us.
const LONGEST_THROTTLE: usize = 5_000;

/// The configs that matter for this object: those it asks for and those it set before.
#[must_use]
pub fn keys(desired: &Desired, recorded: &Recorded) -> BTreeSet<String> {
    desired
        .config
        .keys()
        .chain(recorded.managed.keys())
        .cloned()
        .collect()
}

/// Reads a topic; `None` is Kafka's own word that it has none. `all` asks for every config, not only for those that
/// matter for this object.
pub async fn topic(
    admin: &dyn Admin,
    desired: &Desired,
    recorded: &Recorded,
    all: bool,
) -> Result<Option<Live>, KafkaError> {
    let name = &desired.name;
    let mut answers = admin.describe_topics(BTreeSet::from([name.clone()])).await;
    let Some(topic) = answers
        .remove(name)
        .unwrap_or_else(|| Err(unanswered("describe the topic")))?
    else {
        return Ok(None);
    };
    let keys = if all {
        ConfigKeys::All
    } else {
        ConfigKeys::Named(keys(desired, recorded))
    };
    let config = if matches!(&keys, ConfigKeys::Named(keys) if keys.is_empty()) {
        BTreeMap::new()
    } else {
        configs(admin, name, keys).await?
    };
    let mut live = live(&topic, config)?;
    if needs_look(desired, &live, recorded) {
        match layout(admin, &topic).await {
            Ok(layout) => {
                live.replication_factor = layout.factor().unwrap_or(live.replication_factor);
                live.replicas = Replicas::Seen(layout);
            }
            // Nothing is asked for: what is seen anyway has to do.
            Err(error) if desired.replication_factor.is_none() && !error.is_connection() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(live))
}

async fn configs(
    admin: &dyn Admin,
    topic: &TopicName,
    keys: ConfigKeys,
) -> Result<BTreeMap<String, ConfigEntry>, KafkaError> {
    let query = ConfigQuery {
        topic: topic.clone(),
        keys,
    };
    let mut answers = admin.describe_configs(vec![query]).await;
    answers
        .remove(topic)
        .unwrap_or_else(|| Err(unanswered("read the topic's configuration")))
}

/// Looks closely at who holds a topic's partitions.
async fn layout(admin: &dyn Admin, topic: &Topic) -> Result<Layout, KafkaError> {
    let all: BTreeSet<TopicPartition> = topic.partitions.iter().map(|one| at(topic, one)).collect();
    let names = BTreeSet::from([topic.name.clone()]);
    // A move may begin or end between two answers, and then old and new replicas together pass for settled ones: a
    // partition counts as moving when it did before or after it was looked at.
    let before = admin.list_reassignments(all.clone()).await;
    let topic = admin.describe_topics(names).await.remove(&topic.name);
    let mut after = admin.list_reassignments(all).await;
    let topic = topic
        .unwrap_or_else(|| Err(unanswered("describe the topic")))?
        .ok_or_else(|| unanswered("describe the topic"))?;
    let brokers = admin.describe_cluster().await?.brokers;
    let needed = configs(
        admin,
        &topic.name,
        ConfigKeys::Named(
            [MIN_IN_SYNC, throttle::KEYS[0], throttle::KEYS[1]]
                .map(str::to_owned)
                .into(),
        ),
    )
    .await?;
    let partitions = topic.partitions.iter().map(|partition| {
        let key = at(&topic, partition);
        let unlisted = || Err(unanswered("list the reassignments of the topic"));
        let before = before.get(&key).cloned().unwrap_or_else(unlisted)?;
        let after = after.remove(&key).unwrap_or_else(unlisted)?;
        Ok(Seen {
            id: partition.id,
            held: Held {
                replicas: partition.replicas.clone(),
                in_sync: partition.in_sync.clone(),
                leader: partition.leader,
            },
            moving: after.or(before),
        })
    });
    let partitions = partitions.collect::<Result<_, KafkaError>>()?;
    Ok(Layout {
        brokers,
        partitions,
        min_in_sync: needed
            .get(MIN_IN_SYNC)
            .and_then(|entry| entry.value.as_ref()?.parse().ok()),
        throttled: throttled(&needed),
    })
}

/// The replicas that are throttled on a topic, by its configs.
#[must_use]
pub fn throttled(config: &BTreeMap<String, ConfigEntry>) -> Option<ThrottledReplicas> {
    let [leaders, followers] = throttle::KEYS.map(|key| {
        let entry = config
            .get(key)
            .filter(|entry| entry.source == ConfigSource::Topic);
        let value = entry.and_then(|entry| entry.value.clone()).unwrap_or_default();
        // What does not fit is not ours; it is compared, and never set.
        value.chars().take(LONGEST_THROTTLE).collect::<String>()
    });
    let set = !leaders.is_empty() || !followers.is_empty();
    set.then_some(ThrottledReplicas { leaders, followers })
}

fn at(topic: &Topic, partition: &Partition) -> TopicPartition {
    TopicPartition {
        topic: topic.name.clone(),
        partition: partition.id,
    }
}

/// Puts two answers together.
pub fn live(topic: &Topic, config: BTreeMap<String, ConfigEntry>) -> Result<Live, KafkaError> {
    let copies = |partition: &Partition| partition.replicas.len();
    let even = topic
        .partitions
        .windows(2)
        .all(|two| copies(&two[0]) == copies(&two[1]));
    let least = topic.partitions.iter().map(copies).min();
    let least = least.and_then(|copies| i64::try_from(copies).ok()?.try_into().ok());
    match (topic.partition_count(), least) {
        (Some(partitions), Some(replication_factor)) => Ok(Live {
            id: topic.id,
            internal: topic.internal,
            partitions,
            replication_factor,
            replicas: if even { Replicas::Even } else { Replicas::Uneven },
            config,
        }),
        _ => Err(unanswered("tell the topic's partitions")),
    }
}

fn unanswered(operation: &'static str) -> KafkaError {
    KafkaError::Refused {
        operation,
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: None,
    }
}
/// Those of some topics that are there although a broker does not show them: the controller knows them, and the broker lags.
pub async fn known(admin: &dyn Admin, names: BTreeSet<TopicName>) -> BTreeSet<TopicName> {
    let mut known = BTreeSet::new();
    for (topic, answer) in admin.known_topics(names).await {
        match answer {
            Ok(true) => {
                known.insert(topic);
            }
            Ok(false) => {}
            Err(error) => debug!(%topic, %error, "The controller does not say whether it knows a topic"),
        }
    }
    known
}
