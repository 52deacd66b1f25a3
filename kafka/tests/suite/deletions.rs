//! What the port promises about topics that come and go.

use ottla_kafka::error::{Class, ErrorCode};
use ottla_kafka::types::{TopicId, TopicName};

use super::{Run, code};

/// Topics that are created and deleted around the one that is looked at: a broker has work with them.
const BESIDE: usize = 30;

impl Run {
    pub(super) async fn the_controller_knows_what_there_is(&self) {
        let (name, id) = self.made("known", 1).await;
        let unknown = self.name("unknown");
        let asked = async || {
            let names = [name.clone(), unknown.clone()].into();
            let answers = self.port.known_topics(names).await;
            (
                *answers[&name].as_ref().unwrap(),
                *answers[&unknown].as_ref().unwrap(),
            )
        };
        assert_eq!(asked().await, (true, false));
        assert_eq!(self.describe(&unknown).await, None, "asking creates nothing");
        self.delete(id).await.unwrap();
        assert_eq!(asked().await, (false, false));
    }

    pub(super) async fn deletes_go_by_id(&self) {
        let (name, first) = self.made("recreated", 1).await;
        self.delete(first).await.unwrap();
        self.eventually(&name, |topic| topic.is_none()).await;
        assert_eq!(code(&self.delete(first).await), ErrorCode::UNKNOWN_TOPIC_ID);
        let (_, second) = self.made("recreated", 1).await;
        assert_ne!(first, second);
        let refused = self.delete(first).await;
        assert_eq!(
            code(&refused),
            ErrorCode::UNKNOWN_TOPIC_ID,
            "an old id never hits the new topic"
        );
        assert_eq!(refused.unwrap_err().class(), Class::Decide);
        assert_eq!(self.describe(&name).await.unwrap().id, second);
    }

    /// Whoever deletes a topic and looks sees that it is gone, and may create another in its place.
    pub(super) async fn what_was_deleted_is_not_shown_again(&self) {
        for round in 0..5 {
            let names: Vec<TopicName> = (0..BESIDE).map(|n| self.name(&format!("again-{n}"))).collect();
            let topics = (0..BESIDE).map(|n| self.new_topic(&format!("again-{n}"), 3));
            let created = self.port.create_topics(topics.collect()).await;
            let ids: Vec<TopicId> = names
                .iter()
                .map(|name| created[name].as_ref().unwrap().id)
                .collect();
            let deleted = self.port.delete_topics(ids.iter().copied().collect()).await;
            assert!(deleted.values().all(Result::is_ok), "{deleted:?}");
            let shown = self.port.describe_topics(names.iter().cloned().collect()).await;
            for (name, topic) in shown {
                assert_eq!(topic.unwrap(), None, "{name} is still shown in round {round}");
            }
            let listed = self.port.list_topics().await.unwrap();
            let left = listed.into_iter().find(|topic| ids.contains(&topic.id));
            assert_eq!(left, None, "still listed in round {round}");
        }
    }
}
