//! Decides what one purge removes. Pure and total. What it decides is pinned: absolute offsets, one time, one topic
//! id; nothing of it is ever worked out again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use jiff::Timestamp;
use ottla_crds::purge::{ConsumerGroupsGuard, GroupImpact, PartitionPlan, PurgeMethod, SavedTopic};
use ottla_kafka::admin::{ConfigEntry, ConfigSource, ConsumerGroup, NewTopic, Topic};
use ottla_kafka::types::{Offset, PartitionCount, PartitionId, ReplicationFactor, TopicId, TopicName};

use super::desired::{Cut, Desired};
use super::reason::Reason;

/// The most partitions of one purge: the plan of each stands in the status.
pub const MAX_PARTITIONS: usize = 2_000;

/// `cleanup.policy`.
pub const CLEANUP_POLICY: &str = "cleanup.policy";
/// `retention.ms`.
pub const RETENTION_MS: &str = "retention.ms";
/// `retention.bytes`.
pub const RETENTION_BYTES: &str = "retention.bytes";
/// `local.retention.ms`.
pub const LOCAL_RETENTION_MS: &str = "local.retention.ms";
/// `remote.storage.enable`.
pub const REMOTE_STORAGE: &str = "remote.storage.enable";

/// A change to Kafka. A purge changes it in no other way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Deletes the records below an offset of each partition.
    DeleteRecords {
        /// The topic.
        topic: TopicName,
        /// The first offset to stay.
        before: BTreeMap<PartitionId, Offset>,
    },
    /// Sets and unsets configs of the topic.
    Alter {
        /// The topic.
        topic: TopicName,
        /// Configs to set.
        set: BTreeMap<String, String>,
        /// Configs to take off the topic.
        unset: BTreeSet<String>,
    },
    /// Deletes the topic of that id and no other.
    DeleteTopic(TopicId),
    /// Creates the topic again.
    CreateTopic(NewTopic),
    /// Adds partitions to the topic.
    Grow {
        /// The topic.
        topic: TopicName,
        /// How many it is to have.
        to: PartitionCount,
    },
}

/// Why nothing is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In one word.
    pub reason: Reason,
    /// In a sentence, with what to do.
    pub message: String,
}

fn refuse<T>(reason: Reason, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        reason,
        message: message.into(),
    })
}

/// The offsets of one partition: its first, and the one after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The log's start.
    pub start: Offset,
    /// The high watermark.
    pub end: Offset,
}

/// A topic as it is, as far as a purge cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The topic.
    pub topic: Topic,
    /// Of each partition in scope.
    pub spans: BTreeMap<PartitionId, Span>,
    /// Of each partition in scope the first record that is young enough to stay, looked up after its end; `None`
    /// where there is none. Empty unless the cut is one of time.
    pub first_to_stay: BTreeMap<PartitionId, Option<Offset>>,
    /// The topic's configuration.
    pub config: BTreeMap<String, ConfigEntry>,
}

/// What is written down before anything is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Of which topic.
    pub topic_id: TopicId,
    /// Of each partition.
    pub partitions: Vec<PartitionPlan>,
    /// How many records go.
    pub records: i64,
    /// Before which time records go, where the cut is one of time.
    pub cut_time: Option<Timestamp>,
    /// What must be restored.
    pub saved: Option<SavedTopic>,
}

/// The partitions to look at, or why the topic is not to be touched at all.
pub fn scope(desired: &Desired, topic: &Topic) -> Result<BTreeSet<PartitionId>, Refusal> {
    if let Some(wanted) = desired.guards.topic_id.filter(|wanted| *wanted != topic.id) {
        return refuse(
            Reason::TopicIdMismatch,
            format!(
                "guards.topicId is {wanted}, and topic {} has the id {}: it is another topic",
                topic.name, topic.id
            ),
        );
    }
    if topic.internal || topic.name.is_reserved() {
        let message = format!("{} is a topic that Kafka keeps for itself", topic.name);
        return refuse(Reason::InternalTopic, message);
    }
    if desired.method == PurgeMethod::Recreate && desired.confirm.as_deref() != Some(topic.name.as_str()) {
        let message = format!(
            "to delete topic {0} and create it again, set confirm to {0}",
            topic.name
        );
        return refuse(Reason::NotConfirmed, message);
    }
    let live: BTreeSet<PartitionId> = topic.partitions.iter().map(|partition| partition.id).collect();
    let wanted = match (&desired.scope, &desired.cut) {
        (Some(scope), _) => scope.clone(),
        (None, Cut::BeforeOffsets(offsets)) => offsets.keys().copied().collect(),
        (None, _) => live.clone(),
    };
    if let Some(missing) = wanted.difference(&live).next() {
        let message = format!(
            "topic {} has {} partitions, and no partition {missing}",
            topic.name,
            live.len()
        );
        return refuse(Reason::PartitionNotFound, message);
    }
    if wanted.len() > MAX_PARTITIONS {
        let message = format!(
            "{} partitions are more than the {MAX_PARTITIONS} of one purge: clear them in several, each with its own \
             partitions",
            wanted.len()
        );
        return refuse(Reason::TooManyPartitions, message);
    }
    Ok(wanted)
}

/// The time before which records go, where the cut is one of time.
#[must_use]
pub fn cut_time(desired: &Desired, now: Timestamp) -> Option<Timestamp> {
    match desired.cut {
        Cut::BeforeTime(time) => Some(time.min(now)),
        // An age beyond all time is older than any record.
        Cut::OlderThan(millis) => Some(
            now.checked_sub(SignedDuration::from_millis(millis))
                .unwrap_or(Timestamp::UNIX_EPOCH),
        ),
        Cut::All if desired.method == PurgeMethod::RetentionFlip => Some(now),
        _ => None,
    }
}

/// Pins what goes.
pub fn pin(desired: &Desired, sight: &Sight, now: Timestamp) -> Result<Pinned, Refusal> {
    begins_in_time(desired, now)?;
    let saved = saved(desired, sight)?;
    let mut partitions = Vec::with_capacity(sight.spans.len());
    for (id, span) in &sight.spans {
        let cut = cut_of(desired, sight, *id, *span)?;
        partitions.push(PartitionPlan {
            partition: id.get(),
            start: span.start.get(),
            cut: cut.get(),
            end: span.end.get(),
        });
    }
    let records = partitions.iter().map(|plan| plan.cut - plan.start).sum();
    if let Some(most) = desired.guards.max_records.filter(|most| records > *most) {
        let message = format!(
            "{records} records would go, and guards.maxRecords is {most}: look at status.partitions, then make a purge \
             with another cut or another guard"
        );
        return refuse(Reason::MaxRecordsExceeded, message);
    }
    Ok(Pinned {
        topic_id: sight.topic.id,
        partitions,
        records,
        cut_time: cut_time(desired, now),
        saved,
    })
}

/// Whether it is not too late to begin.
pub fn begins_in_time(desired: &Desired, now: Timestamp) -> Result<(), Refusal> {
    match desired.guards.not_after.filter(|latest| now > *latest) {
        Some(latest) => refuse(
            Reason::NotAfterPassed,
            format!("guards.notAfter is {latest}, which has passed: nothing was removed"),
        ),
        None => Ok(()),
    }
}

/// The first offset of a partition to stay, within its log.
fn cut_of(desired: &Desired, sight: &Sight, id: PartitionId, span: Span) -> Result<Offset, Refusal> {
    let wanted = match &desired.cut {
        Cut::BeforeOffsets(offsets) => match offsets.get(&id) {
            Some(offset) if *offset > span.end => {
                return refuse(
                    Reason::OffsetOutOfRange,
                    format!(
                        "cut.beforeOffsets names offset {offset} of partition {id}, whose records end at {}",
                        span.end
                    ),
                );
            }
            Some(offset) => *offset,
            None => span.start,
        },
        Cut::KeepLast(records) => Offset::from(span.end.get().saturating_sub(*records)),
        Cut::All | Cut::BeforeTime(_) | Cut::OlderThan(_) => match sight.first_to_stay.get(&id) {
            Some(Some(first)) => *first,
            // No record is that young, or no time was asked for.
            Some(None) | None => span.end,
        },
    };
    // The end was read first: what was written since stays.
    Ok(wanted.min(span.end).max(span.start))
}

fn on_topic<'a>(config: &'a BTreeMap<String, ConfigEntry>, key: &str) -> Option<&'a str> {
    let entry = config
        .get(key)
        .filter(|entry| entry.source == ConfigSource::Topic)?;
    entry.value.as_deref()
}

fn value<'a>(config: &'a BTreeMap<String, ConfigEntry>, key: &str) -> Option<&'a str> {
    config.get(key)?.value.as_deref()
}

/// Whether old records are deleted at all, rather than compacted only.
fn deletes(config: &BTreeMap<String, ConfigEntry>) -> bool {
    value(config, CLEANUP_POLICY).is_none_or(|policy| policy.split(',').any(|word| word.trim() == "delete"))
}

/// What must be restored after, or why the method does not work on this topic.
fn saved(desired: &Desired, sight: &Sight) -> Result<Option<SavedTopic>, Refusal> {
    let compact_only = !deletes(&sight.config);
    match desired.method {
        PurgeMethod::DeleteRecords if !compact_only => Ok(None),
        PurgeMethod::DeleteRecords if desired.allow_policy_flip => Ok(Some(saved_config(
            &sight.config,
            &[CLEANUP_POLICY, RETENTION_MS, RETENTION_BYTES],
        ))),
        PurgeMethod::DeleteRecords => refuse(
            Reason::CompactOnly,
            "the topic is only compacted, and Kafka deletes no records of such: set allowPolicyFlip, or use method \
             Recreate",
        ),
        PurgeMethod::RetentionFlip if compact_only => refuse(
            Reason::CompactOnly,
            "the topic is only compacted, so its retention removes nothing: use method DeleteRecords with \
             allowPolicyFlip, or Recreate",
        ),
        PurgeMethod::RetentionFlip => {
            let tiered = value(&sight.config, REMOTE_STORAGE) == Some("true");
            let keys: &[&str] = if tiered {
                &[RETENTION_MS, LOCAL_RETENTION_MS]
            } else {
                &[RETENTION_MS]
            };
            Ok(Some(saved_config(&sight.config, keys)))
        }
        PurgeMethod::Recreate => Ok(Some(shape(sight))),
    }
}

fn saved_config(config: &BTreeMap<String, ConfigEntry>, keys: &[&str]) -> SavedTopic {
    let (set, unset): (Vec<&str>, Vec<&str>) = keys.iter().partition(|key| on_topic(config, key).is_some());
    let value = |key: &str| Some((key.to_owned(), on_topic(config, key)?.to_owned()));
    SavedTopic {
        config: set.into_iter().filter_map(value).collect(),
        unset: unset.into_iter().map(str::to_owned).collect(),
        ..SavedTopic::default()
    }
}

fn shape(sight: &Sight) -> SavedTopic {
    let keys = sight.config.keys().map(String::as_str);
    let config = keys.filter_map(|key| Some((key.to_owned(), on_topic(&sight.config, key)?.to_owned())));
    SavedTopic {
        partitions: sight.topic.partition_count().map(PartitionCount::get),
        replication_factor: sight
            .topic
            .replication_factor()
            .map(|factor| i32::from(factor.get())),
        config: config.collect(),
        unset: vec![],
    }
}

/// What the purge means for each group; those it means nothing for are left out.
#[must_use]
pub fn impact(partitions: &[PartitionPlan], groups: &[ConsumerGroup]) -> Vec<GroupImpact> {
    let unread = |group: &ConsumerGroup| {
        let of_partition = |plan: &PartitionPlan| {
            // What a group has no word on, it has not read.
            let next = group
                .committed
                .get(&plan.partition.into())
                .map_or(plan.start, |next| next.get());
            (plan.cut - next.max(plan.start)).max(0)
        };
        partitions.iter().map(of_partition).sum::<i64>()
    };
    let impacts = groups.iter().map(|group| GroupImpact {
        group: group.id.clone(),
        unread: unread(group),
        active: group.active,
    });
    impacts
        .filter(|impact| impact.unread > 0 || impact.active)
        .collect()
}

/// The groups that hold the purge up.
#[must_use]
pub fn in_the_way(guard: ConsumerGroupsGuard, impacts: &[GroupImpact]) -> Vec<&GroupImpact> {
    let stands = |impact: &&GroupImpact| match guard {
        ConsumerGroupsGuard::Ignore => false,
        ConsumerGroupsGuard::CaughtUp => impact.unread > 0,
        ConsumerGroupsGuard::Inactive => impact.active,
    };
    impacts.iter().filter(stands).collect()
}

/// The deletion of everything below the cuts; none if nothing lies there.
#[must_use]
pub fn deletion(topic: &TopicName, partitions: &[PartitionPlan]) -> Option<Action> {
    let cuts = partitions.iter().filter(|plan| plan.cut > plan.start);
    let before: BTreeMap<PartitionId, Offset> = cuts
        .map(|plan| (PartitionId::from(plan.partition), Offset::from(plan.cut)))
        .collect();
    (!before.is_empty()).then(|| Action::DeleteRecords {
        topic: topic.clone(),
        before,
    })
}

/// Widens a compacted topic's policy so that records can be deleted, and nothing else goes.
#[must_use]
pub fn widened(topic: &TopicName) -> Action {
    let set = [
        (CLEANUP_POLICY, "compact,delete"),
        (RETENTION_MS, "-1"),
        (RETENTION_BYTES, "-1"),
    ];
    Action::Alter {
        topic: topic.clone(),
        set: set.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        unset: BTreeSet::new(),
    }
}

/// Lowers retention so that it reaches the cut at `until`, and no record at or after the cut goes before then.
#[must_use]
pub fn lowered(topic: &TopicName, saved: &SavedTopic, cut: Timestamp, until: Timestamp) -> Action {
    let millis = until.as_millisecond().saturating_sub(cut.as_millisecond()).max(0);
    let keys = saved.config.keys().chain(&saved.unset);
    let wanted = |key: &String| {
        // Retention that is lower already stays as it is.
        let own = saved.config.get(key).and_then(|value| value.parse::<i64>().ok());
        let value = own.filter(|own| (0..millis).contains(own)).unwrap_or(millis);
        (key.clone(), value.to_string())
    };
    Action::Alter {
        topic: topic.clone(),
        set: keys.map(wanted).collect(),
        unset: BTreeSet::new(),
    }
}

/// Puts back what was lowered.
#[must_use]
pub fn restored(topic: &TopicName, saved: &SavedTopic) -> Action {
    Action::Alter {
        topic: topic.clone(),
        set: saved.config.clone(),
        unset: saved.unset.iter().cloned().collect(),
    }
}

/// How many records below the cuts are still there.
#[must_use]
pub fn left(partitions: &[PartitionPlan], starts: &BTreeMap<PartitionId, Offset>) -> i64 {
    let of_partition = |plan: &PartitionPlan| {
        let start = starts
            .get(&plan.partition.into())
            .map_or(plan.start, |start| start.get());
        (plan.cut - start.max(plan.start)).max(0)
    };
    partitions.iter().map(of_partition).sum()
}

/// The partitions whose log begins at its cut, or beyond.
#[must_use]
pub fn reached(
    partitions: &[PartitionPlan],
    starts: &BTreeMap<PartitionId, Offset>,
) -> BTreeSet<PartitionId> {
    let cuts = partitions.iter().map(|plan| (plan.partition.into(), plan.cut));
    let reached = cuts.filter(|(id, cut)| starts.get(id).is_some_and(|start| start.get() >= *cut));
    reached.map(|(id, _)| id).collect()
}

/// Whether no partition can be the one planned for: a log's start and end never go back. One that was empty and is says
/// nothing either way, and passes.
#[must_use]
pub fn is_another_log(partitions: &[PartitionPlan], spans: &BTreeMap<PartitionId, Span>) -> bool {
    partitions.iter().all(|plan| {
        let span = spans.get(&plan.partition.into());
        span.is_some_and(|now| now.start.get() < plan.start || now.end.get() < plan.end || now.end.get() == 0)
    })
}

/// Brings a topic that somebody else created in our place to the saved shape, or says why that cannot be.
pub fn reshaped(topic: &Topic, saved: &SavedTopic) -> Result<Vec<Action>, String> {
    let again = again(&topic.name, saved).ok_or("the topic's shape was not saved")?;
    let (Some(partitions), Some(wanted)) = (topic.partition_count(), again.partitions) else {
        return Err("Kafka does not tell the topic's partitions".to_owned());
    };
    if partitions > wanted || topic.replication_factor() != again.replication_factor {
        return Err(format!(
            "somebody else created topic {} meanwhile, with {partitions} partitions, where {wanted} were: it is not \
             deleted",
            topic.name
        ));
    }
    let mut actions = vec![];
    if !again.config.is_empty() {
        actions.push(Action::Alter {
            topic: topic.name.clone(),
            set: again.config,
            unset: BTreeSet::new(),
        });
    }
    if partitions < wanted {
        actions.push(Action::Grow {
            topic: topic.name.clone(),
            to: wanted,
        });
    }
    Ok(actions)
}

/// Whether a topic's configuration is as it was saved.
#[must_use]
pub fn is_restored(saved: &SavedTopic, config: &BTreeMap<String, ConfigEntry>) -> bool {
    saved.config.iter().all(|(key, value)| {
        on_topic(config, key).is_some_and(|live| crate::topic::config::same(key, live, value))
    }) && saved.unset.iter().all(|key| on_topic(config, key).is_none())
}

/// The topic as it was, to be created again; none if its shape was not saved.
#[must_use]
pub fn again(topic: &TopicName, saved: &SavedTopic) -> Option<NewTopic> {
    Some(NewTopic {
        name: topic.clone(),
        partitions: Some(PartitionCount::try_from(saved.partitions?).ok()?),
        replication_factor: Some(ReplicationFactor::try_from(saved.replication_factor?).ok()?),
        config: saved.config.clone(),
    })
}

#[cfg(test)]
mod tests;
