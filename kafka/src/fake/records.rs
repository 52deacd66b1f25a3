//! The fake's records and consumer groups: offsets and times, never contents.

use std::collections::{BTreeMap, BTreeSet};

use super::port::{Answer, no_topic, refuse};
use super::{FakeKafka, FakeTopic, World, config};
use crate::admin::{ConsumerGroup, TopicPartition};
use crate::error::ErrorCode;
use crate::types::{Offset, PartitionId, TopicName};

/// A consumer group of the fake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FakeGroup {
    /// Whether it has members.
    pub active: bool,
    /// What it has committed.
    pub committed: BTreeMap<TopicPartition, i64>,
}

impl FakeKafka {
    /// Writes so many records of one time to a partition, as a producer would.
    pub fn append(&self, name: &TopicName, partition: PartitionId, count: i64, time: i64) {
        let mut guard = self.world();
        let world = &mut *guard;
        let found = world.topics.get_mut(name).and_then(|topic| {
            let index = usize::try_from(partition.get()).ok()?;
            Some((topic.id, topic.partitions.get_mut(index)?))
        });
        if let Some((id, (_, end))) = found {
            let times = world.times.entry((id, partition.get())).or_default();
            times.extend((*end..*end + count).map(|offset| (offset, time)));
            *end += count;
        }
    }

    /// Has retention look at a topic as a broker does now and then: records older than `retention.ms` at `now` go from
    /// the log's start on, up to the first that is young enough.
    pub fn expire(&self, name: &TopicName, now: i64) {
        let mut guard = self.world();
        let world = &mut *guard;
        let Some(topic) = world.topics.get_mut(name).filter(|topic| deletes(topic)) else {
            return;
        };
        let keep = value(topic, "retention.ms").parse::<i64>().unwrap_or(-1);
        for (index, (start, end)) in topic.partitions.iter_mut().enumerate().filter(|_| keep >= 0) {
            let key = (topic.id, i32::try_from(index).unwrap_or(i32::MAX));
            let young = |offset: i64| {
                let time = world.times.get(&key).and_then(|times| times.get(&offset));
                time.is_some_and(|time| *time >= now - keep)
            };
            *start = (*start..*end).find(|offset| young(*offset)).unwrap_or(*end);
        }
    }

    /// Has leaders go on showing the log that a topic has now, as those do that have not learnt of its end; or makes them
    /// learn.
    pub fn keep_log(&self, name: &TopicName, on: bool) {
        let mut world = self.world();
        let log = world.topics.get(name).filter(|_| on);
        match log.map(|topic| topic.partitions.clone()) {
            Some(log) => world.kept.insert(name.clone(), log),
            None => world.kept.remove(name),
        };
    }

    /// Puts a consumer group there, in place of one of the same id.
    pub fn set_group(&self, id: &str, group: FakeGroup) {
        self.world().groups.insert(id.to_owned(), group);
    }
}

fn value(topic: &FakeTopic, key: &str) -> String {
    topic.config.get(key).cloned().unwrap_or_else(|| {
        let default = config::defaults().find(|(known, _)| *known == key);
        default.map_or_else(String::new, |(_, value)| value.to_owned())
    })
}

fn deletes(topic: &FakeTopic) -> bool {
    value(topic, "cleanup.policy")
        .split(',')
        .any(|policy| policy.trim() == "delete")
}

pub(super) fn delete(world: &mut World, (at, before): (TopicPartition, Offset)) -> Answer<Offset> {
    if before.get() < 0 {
        return refuse(ErrorCode::INVALID_REQUEST, "the port takes no such offset");
    }
    if matches!(
        at.topic.as_str(),
        "__consumer_offsets" | "__transaction_state" | "__share_group_state"
    ) {
        return refuse(ErrorCode::INVALID_TOPIC_EXCEPTION, "an internal topic");
    }
    let Some(topic) = world.topics.get_mut(&at.topic) else {
        return no_topic();
    };
    let deletes = deletes(topic);
    let index = usize::try_from(at.partition.get()).ok();
    let Some((start, end)) = index.and_then(|index| topic.partitions.get_mut(index)) else {
        return no_topic();
    };
    if !deletes {
        return refuse(
            ErrorCode::POLICY_VIOLATION,
            "cleanup.policy does not contain delete",
        );
    }
    if before.get() > *end {
        return refuse(ErrorCode::OFFSET_OUT_OF_RANGE, "above the high watermark");
    }
    *start = before.get().max(*start);
    Ok(Offset::from(*start))
}

pub(super) fn offset_at(world: &World, at: &TopicPartition, time: i64) -> Answer<Option<Offset>> {
    let index = usize::try_from(at.partition.get()).ok();
    let found = world
        .topics
        .get(&at.topic)
        .and_then(|topic| Some((topic.id, topic.partitions.get(index?)?)));
    let Some((id, (start, end))) = found else {
        return no_topic();
    };
    let times = world.times.get(&(id, at.partition.get()));
    let mut young = times.into_iter().flat_map(|times| times.range(*start..*end));
    let first = young.find(|(_, written)| **written >= time);
    Ok(first.map(|(offset, _)| Offset::from(*offset)))
}

pub(super) fn groups_of(
    world: &World,
    topic: &TopicName,
    partitions: &BTreeSet<PartitionId>,
) -> Vec<ConsumerGroup> {
    let groups = world.groups.iter().map(|(id, group)| ConsumerGroup {
        id: id.clone(),
        active: group.active,
        committed: group
            .committed
            .iter()
            .filter(|(at, _)| at.topic == *topic && partitions.contains(&at.partition))
            .map(|(at, offset)| (at.partition, Offset::from(*offset)))
            .collect(),
    });
    groups.filter(|group| !group.committed.is_empty()).collect()
}

/// What a deleted topic takes along: the offsets committed on it.
pub(super) fn forget(world: &mut World, topic: &TopicName) {
    for group in world.groups.values_mut() {
        group.committed.retain(|at, _| at.topic != *topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Admin as _;

    fn orders() -> (FakeKafka, TopicName, PartitionId) {
        let kafka = FakeKafka::new();
        let name: TopicName = "orders".parse().unwrap();
        kafka.put_topic(name.clone(), 1, 1, BTreeMap::new());
        (kafka, name, PartitionId::from(0))
    }

    #[tokio::test]
    async fn a_time_leads_to_the_first_record_that_young_even_out_of_order() {
        let (kafka, name, partition) = orders();
        for time in [100, 300, 200] {
            kafka.append(&name, partition, 2, time);
        }
        let at = TopicPartition {
            topic: name.clone(),
            partition,
        };
        for (time, offset) in [(0, Some(0)), (101, Some(2)), (300, Some(2)), (301, None)] {
            let found = kafka.offsets_at([at.clone()].into(), time).await;
            assert_eq!(found[&at], Ok(offset.map(Offset::from)), "{time}");
        }
    }

    #[test]
    fn retention_stops_at_the_first_young_record() {
        let (kafka, name, partition) = orders();
        for time in [100, 500, 100] {
            kafka.append(&name, partition, 2, time);
        }
        kafka.set_config(&name, "retention.ms", Some("100"));
        kafka.expire(&name, 300);
        assert_eq!(kafka.topics()[&name].partitions, [(2, 6)]);
    }
}
