//! Which workloads a purge wants away for the moment. Derived from unfinished purges each time, never stored on the
//! workloads: when the purge ends, fails or is deleted, they are back by themselves.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use ottla_crds::KafkaTopicPurge;
use ottla_crds::purge::{PurgeMethod, PurgeStep};

use super::children::{self, PodState};
use super::names::{self, Role};
use super::stores;
use super::target::{self, Reference, TopicKey};
use crate::cluster::destruction::DESTRUCTION_HOLD;
use crate::runtime::conditions::{READY, find};
use crate::runtime::{Context, Key};

/// The topic that a purge clears.
#[must_use]
pub fn topic_of(ctx: &Context, purge: &KafkaTopicPurge) -> Option<TopicKey> {
    let reference = Reference {
        namespace: purge.metadata.namespace.as_deref().unwrap_or_default(),
        topic_ref: Some(&purge.spec.topic_ref),
        cluster_ref: None,
        topic_name: None,
        auth: None,
    };
    target::topic_key(reference, &ctx.stores)
}

/// Whether a purge wants workloads of that role away.
#[must_use]
pub fn asks(purge: &KafkaTopicPurge, role: Role) -> bool {
    let step = purge.status.as_ref().and_then(|status| status.step);
    let ended = purge
        .status
        .as_ref()
        .is_some_and(|status| status.completion_time.is_some());
    let begun = step.is_some_and(|step| step > PurgeStep::Planned);
    let leaving = purge.metadata.deletion_timestamp.is_some() && !begun;
    // That hold lasts until a person acts: nobody is kept away for as long.
    let conditions = purge.status.as_ref().map(|status| &status.conditions[..]);
    let held =
        find(conditions.unwrap_or_default(), READY).is_some_and(|ready| ready.reason == DESTRUCTION_HOLD);
    if ended || leaving || purge.spec.dry_run || (held && !begun) {
        return false;
    }
    let recreates = purge.spec.method == PurgeMethod::Recreate;
    match role {
        Role::Producer => (recreates || purge.spec.quiesce_producers) && (begun || !purge.spec.suspend),
        // Until then they may have to catch up.
        Role::Consumer => recreates && begun,
    }
}

/// Whether any purge wants the workloads of that role on that topic away.
#[must_use]
pub fn is_quiet(ctx: &Context, role: Role, topic: Option<&TopicKey>) -> bool {
    let Some(topic) = topic else { return false };
    let purges = ctx.stores.purges.objects();
    purges.iter().any(|purge| {
        (asks(purge, role) || is_behind(ctx, purge)) && topic_of(ctx, purge).as_ref() == Some(topic)
    })
}

/// Whether the KafkaTopic does not tell yet that its topic was created again: what pods send or read from now on is not of
/// the topic it names.
fn is_behind(ctx: &Context, purge: &KafkaTopicPurge) -> bool {
    let Some(status) = purge
        .status
        .as_ref()
        .filter(|status| status.new_topic_id.is_some())
    else {
        return false;
    };
    let namespace = purge.metadata.namespace.as_deref().unwrap_or_default();
    let topic = ctx
        .stores
        .topics
        .object(&Key::new(namespace, &purge.spec.topic_ref.name));
    let topic = topic.as_ref().filter(|topic| !topic.spec.suspend);
    let told = topic.and_then(|topic| topic.status.as_ref()?.topic_id.as_deref());
    told.is_some() && told == status.topic_id.as_deref()
}

/// A workload of that role on that topic that still has pods, or may get some; none when all is quiet.
#[must_use]
pub fn busy(ctx: &Context, role: Role, topic: &TopicKey) -> Option<Key> {
    let on_topic = |reference| target::topic_key(reference, &ctx.stores).as_ref() == Some(topic);
    let keys: Vec<Key> = match role {
        Role::Producer => {
            let all = ctx.stores.producers.objects();
            let ours = all.iter().filter(|one| on_topic(stores::of_producer(one)));
            ours.map(|one| Key::of(&**one)).collect()
        }
        Role::Consumer => {
            let all = ctx.stores.consumers.objects();
            let ours = all.iter().filter(|one| on_topic(stores::of_consumer(one)));
            ours.map(|one| Key::of(&**one)).collect()
        }
    };
    let pods = ctx.stores.pods.objects();
    keys.into_iter().find(|key| {
        let labels = names::selector_labels(role, &key.name);
        let is_its = |pod: &Pod| {
            pod.metadata.namespace.as_ref() == Some(&key.namespace)
                && labels
                    .iter()
                    .all(|(label, value)| pod.labels().get(label) == Some(value))
        };
        let alive = |pod: &Pod| !matches!(children::pod(pod).state, PodState::Ended(_));
        pods.iter().any(|pod| is_its(pod) && alive(pod)) || has_pods_to_come(ctx, role, key)
    })
}

/// Whether a Job or Deployment of the workload is not paused yet.
fn has_pods_to_come(ctx: &Context, role: Role, key: &Key) -> bool {
    let child = Key::new(&key.namespace, names::child_name(role, &key.name));
    let job = ctx.stores.jobs.object(&child).is_some_and(|job| {
        let over = job.status.as_ref().and_then(|status| status.conditions.as_ref());
        let over = over.into_iter().flatten().any(|condition| {
            ["Complete", "Failed"].contains(&condition.type_.as_str()) && condition.status == "True"
        });
        let suspended = job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
        !over && !suspended
    });
    let deployment = ctx.stores.deployments.object(&child);
    job || deployment.is_some_and(|deployment| deployment.spec.replicas.unwrap_or(1) > 0)
}
