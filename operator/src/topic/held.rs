//! Whether a purge holds a topic: its configuration is lowered for the moment, or the topic deleted to be created again.
//! Nothing is set right until the purge has restored what it saved. Derived from unfinished purges, never stored.

use ottla_crds::KafkaTopic;
use ottla_crds::purge::PurgeStep;

use crate::runtime::{Context, Key};

/// Whether a purge has begun on the topic and has something to restore.
pub(super) fn by_purge(ctx: &Context, topic: &KafkaTopic) -> bool {
    let key = Key::of(topic);
    ctx.stores.purges.objects().iter().any(|purge| {
        let named = Key::new(
            purge.metadata.namespace.clone().unwrap_or_default(),
            purge.spec.topic_ref.name.clone(),
        );
        let status = purge.status.as_ref();
        named == key
            && status.is_some_and(|status| {
                status.completion_time.is_none()
                    && status.saved.is_some()
                    && status.step.is_some_and(|step| step > PurgeStep::Planned)
            })
    })
}
