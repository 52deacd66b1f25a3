//! Whether too many topics of a cluster are about to be destroyed at once. Counts objects, so that a restart forgets
//! nothing; while it says so, nothing of that cluster is destroyed.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use ottla_crds::purge::{PurgeMethod, PurgeStep};
use ottla_crds::topic::DeletionPolicy;
use ottla_crds::{KafkaCluster, KafkaTopic, KafkaTopicPurge, RELEASE_DESTRUCTION, TOPIC_FINALIZER};

use super::cluster_key;
use crate::runtime::conditions::{Fact, Truth};
use crate::runtime::{Context, Key};

/// The condition, and the reason, of a cluster whose topics are not deleted for now.
pub const DESTRUCTION_HOLD: &str = "DestructionHold";
/// How far ahead a release may reach: one that is forgotten must not disarm the guard for good.
const LONGEST_RELEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// What stands about the destruction of a cluster's topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Few enough await it.
    Open,
    /// A person released it.
    Released,
    /// It is held, for this reason, in words for who runs the cluster.
    Held(String),
}

/// What stands about a cluster at present.
#[must_use]
pub fn standing(ctx: &Context, cluster: &KafkaCluster) -> Standing {
    judge(
        awaiting(ctx, cluster, usize::MAX),
        cluster.spec.destruction_limit,
        release(cluster),
        ctx.now(),
    )
}

/// Whether anything of a cluster may be destroyed at present, and whether a person said so. Asked by each topic that is
/// about to go: it counts no further than it must.
#[must_use]
pub fn permission(ctx: &Context, cluster: &KafkaCluster) -> Standing {
    let (limit, release, now) = (cluster.spec.destruction_limit, release(cluster), ctx.now());
    match judge(0, limit, release, now) {
        Standing::Open => {
            let enough = usize::try_from(limit).unwrap_or_default() + 1;
            judge(awaiting(ctx, cluster, enough), limit, release, now)
        }
        decided => decided,
    }
}

fn release(cluster: &KafkaCluster) -> Option<&str> {
    cluster.annotations().get(RELEASE_DESTRUCTION).map(String::as_str)
}

/// How many topics of a cluster await their destruction, counted up to `enough`.
fn awaiting(ctx: &Context, cluster: &KafkaCluster, enough: usize) -> usize {
    let key = Key::of(cluster);
    let topics = ctx.stores.topics.objects();
    let own = topics
        .iter()
        .filter(|topic| awaits(topic, &key))
        .take(enough)
        .count();
    // A purge that deletes its topic destroys it as well, though another is put in its place.
    let purges = ctx.stores.purges.objects();
    let by_purge = purges.iter().filter(|purge| {
        deletes(purge) && {
            let named = Key::new(purge.namespace().unwrap_or_default(), &purge.spec.topic_ref.name);
            let topic = ctx.stores.topics.object(&named);
            topic.is_some_and(|topic| {
                cluster_key(&named, &topic.spec.cluster_ref) == key && !awaits(&topic, &key)
            })
        }
    });
    own + by_purge.take(enough - own).count()
}

/// Whether an object is being deleted and its topic with it.
fn awaits(topic: &KafkaTopic, cluster: &Key) -> bool {
    topic.metadata.deletion_timestamp.is_some()
        && topic.spec.deletion_policy == DeletionPolicy::Delete
        && !topic.spec.suspend
        && topic.finalizers().iter().any(|one| one == TOPIC_FINALIZER)
        && topic
            .status
            .as_ref()
            .is_some_and(|status| status.topic_id.is_some())
        && cluster_key(&Key::of(topic), &topic.spec.cluster_ref) == *cluster
}

/// Whether a purge is about to delete its topic.
fn deletes(purge: &KafkaTopicPurge) -> bool {
    let status = purge.status.clone().unwrap_or_default();
    let gone = status.step.is_some_and(|step| step >= PurgeStep::Recreating);
    purge.spec.method == PurgeMethod::Recreate
        && purge.metadata.deletion_timestamp.is_none()
        && !purge.spec.dry_run
        && !purge.spec.suspend
        && status.completion_time.is_none()
        && !gone
}

fn judge(awaiting: usize, limit: i32, release: Option<&str>, now: Timestamp) -> Standing {
    let release = release.map(|text| text.trim().parse::<Timestamp>().ok());
    if let Some(Some(until)) = release
        && until > now
        && until.duration_since(now).unsigned_abs() <= LONGEST_RELEASE
    {
        return Standing::Released;
    }
    let limit = usize::try_from(limit).unwrap_or_default();
    if awaiting <= limit {
        return Standing::Open;
    }
    let example = now + LONGEST_RELEASE / 24;
    let not_this = match release {
        None => String::new(),
        Some(None) => format!(" (the value there is no time such as {example})"),
        Some(Some(until)) if until <= now => " (the time there has passed)".to_owned(),
        Some(Some(_)) => " (the time there is more than 24 hours ahead)".to_owned(),
    };
    Standing::Held(format!(
        "{awaiting} topics await their deletion, more than destructionLimit ({limit}): none is deleted. To let them go, \
         annotate this KafkaCluster with {RELEASE_DESTRUCTION} and a time at most 24 hours ahead{not_this}; to keep a \
         topic, set suspend on its KafkaTopic or KafkaTopicPurge"
    ))
}

impl Standing {
    /// The condition that says so; none while all is usual.
    #[must_use]
    pub fn fact(&self) -> Option<Fact> {
        match self {
            Self::Open | Self::Released => None,
            Self::Held(message) => Some(Fact::new(
                DESTRUCTION_HOLD,
                Truth::True,
                DESTRUCTION_HOLD,
                message.clone(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::few(10, None, true)]
    #[case::many(11, None, false)]
    #[case::released(11, Some("2026-01-01T01:00:00Z"), true)]
    #[case::passed(11, Some("2025-12-31T23:59:59Z"), false)]
    #[case::this_moment(11, Some("2026-01-01T00:00:00Z"), false)]
    #[case::for_ever(11, Some("2026-01-02T00:00:01Z"), false)]
    #[case::no_time(11, Some("yes"), false)]
    fn many_at_once_wait_for_a_release_that_ends(
        #[case] awaiting: usize,
        #[case] release: Option<&str>,
        #[case] goes: bool,
    ) {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let standing = judge(awaiting, 10, release, now);
        assert_eq!(!matches!(standing, Standing::Held(_)), goes, "{standing:?}");
        if let Standing::Held(message) = standing {
            assert!(message.contains("11 topics") && message.contains(RELEASE_DESTRUCTION));
        }
    }
}
