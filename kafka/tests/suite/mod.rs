//! What the admin port promises, asked of any implementation. Topics get fresh names and are deleted at the end.

pub(crate) mod broker;
mod deletions;
mod records;
mod replicas;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_kafka::admin::{
    Admin, ConfigChange, ConfigKeys, ConfigQuery, ConfigSource, CreatedTopic, GrowTopic, NewTopic,
    OffsetSpec, Topic, TopicPartition,
};
use ottla_kafka::error::{Class, ErrorCode, KafkaError};
use ottla_kafka::probe::ListenerResult;
use ottla_kafka::types::{Offset, PartitionCount, PartitionId, TopicId, TopicName};

type Port = Arc<dyn Admin>;

/// Runs every promise in turn.
pub(crate) async fn run(port: Port) {
    let run = Run {
        port,
        prefix: format!("contract-{}", uuid::Uuid::new_v4().simple()),
    };
    run.cluster_is_described().await;
    run.created_topics_are_described().await;
    run.describing_never_creates().await;
    run.defaults_are_the_brokers().await;
    run.bad_creates_are_refused_one_by_one().await;
    run.configuration_is_set_and_unset_by_key().await;
    run.values_are_told_back_as_kafka_reads_them().await;
    run.bad_configuration_is_refused().await;
    run.partitions_only_grow().await;
    run.the_controller_knows_what_there_is().await;
    run.deletes_go_by_id().await;
    run.what_was_deleted_is_not_shown_again().await;
    run.offsets_of_an_empty_topic_are_zero().await;
    run.empty_logs_have_no_record_of_any_time().await;
    run.records_are_deleted_up_to_the_high_watermark_and_by_policy()
        .await;
    run.a_topic_without_consumers_has_no_groups().await;
    run.senseless_moves_are_refused().await;
    run.replicas_move_to_where_they_are_sent().await;
    run.throttles_are_set_and_unset_broker_by_broker().await;
    run.sizes_are_told_of_every_topic().await;
    run.concurrent_calls_get_their_own_answers().await;
    run.listeners_are_probed().await;
    run.clean_up().await;
}

struct Run {
    port: Port,
    prefix: String,
}

fn partitions(count: i32) -> PartitionCount {
    count.try_into().unwrap()
}

fn code<T: std::fmt::Debug>(answer: &Result<T, KafkaError>) -> ErrorCode {
    answer
        .as_ref()
        .unwrap_err()
        .code()
        .unwrap_or_else(|| panic!("not refused by Kafka: {answer:?}"))
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

impl Run {
    fn name(&self, suffix: &str) -> TopicName {
        format!("{}.{suffix}", self.prefix).parse().unwrap()
    }

    fn new_topic(&self, suffix: &str, count: i32) -> NewTopic {
        NewTopic {
            name: self.name(suffix),
            partitions: Some(partitions(count)),
            replication_factor: Some(1_i32.try_into().unwrap()),
            config: BTreeMap::new(),
        }
    }

    async fn create(&self, topic: NewTopic) -> Result<CreatedTopic, KafkaError> {
        let name = topic.name.clone();
        self.port.create_topics(vec![topic]).await.remove(&name).unwrap()
    }

    async fn describe(&self, name: &TopicName) -> Option<Topic> {
        self.port
            .describe_topics([name.clone()].into())
            .await
            .remove(name)
            .unwrap()
            .unwrap()
    }

    /// Metadata follows a change within moments, not at once.
    async fn eventually(&self, name: &TopicName, wanted: impl Fn(Option<&Topic>) -> bool) {
        let seen = async {
            while !wanted(self.describe(name).await.as_ref()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), seen)
            .await
            .expect("metadata follows within 30 s");
    }

    async fn made(&self, suffix: &str, count: i32) -> (TopicName, TopicId) {
        let name = self.name(suffix);
        let created = self.create(self.new_topic(suffix, count)).await.unwrap();
        self.eventually(&name, |topic| topic.is_some()).await;
        self.led(&name, count).await;
        (name, created.id)
    }

    /// Each partition's leader learns of it in its own time, later than the broker that described the topic.
    async fn led(&self, name: &TopicName, count: i32) {
        let all = || {
            (0..count).map(|partition| TopicPartition {
                topic: name.clone(),
                partition: PartitionId::from(partition),
            })
        };
        let led = async {
            while !self
                .port
                .list_offsets(all().collect(), OffsetSpec::Latest)
                .await
                .values()
                .all(Result::is_ok)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), led)
            .await
            .expect("every leader knows its partition within 30 s");
    }

    async fn delete(&self, id: TopicId) -> Result<(), KafkaError> {
        self.port.delete_topics([id].into()).await.remove(&id).unwrap()
    }

    async fn configs(
        &self,
        name: &TopicName,
        keys: ConfigKeys,
    ) -> BTreeMap<String, (Option<String>, ConfigSource)> {
        let query = ConfigQuery {
            topic: name.clone(),
            keys,
        };
        let entries = self
            .port
            .describe_configs(vec![query])
            .await
            .remove(name)
            .unwrap()
            .unwrap();
        entries
            .into_iter()
            .map(|(key, entry)| (key, (entry.value, entry.source)))
            .collect()
    }

    async fn alter(
        &self,
        name: &TopicName,
        set: BTreeMap<String, String>,
        unset: &[&str],
    ) -> Result<(), KafkaError> {
        let unset = unset.iter().map(|&key| key.to_owned()).collect();
        let change = ConfigChange {
            topic: name.clone(),
            set,
            unset,
        };
        self.port.alter_configs(vec![change]).await.remove(name).unwrap()
    }

    async fn grow(&self, name: &TopicName, count: i32) -> Result<(), KafkaError> {
        let growth = GrowTopic {
            topic: name.clone(),
            partitions: count.try_into().unwrap(),
        };
        self.port
            .create_partitions(vec![growth])
            .await
            .remove(name)
            .unwrap()
    }

    async fn cluster_is_described(&self) {
        let cluster = self.port.describe_cluster().await.unwrap();
        assert!(!cluster.id.as_str().is_empty());
        assert!(!cluster.brokers.is_empty());
        assert!(cluster.controller.is_some());
    }

    async fn created_topics_are_described(&self) {
        let mut topic = self.new_topic("described", 3);
        topic.config = map([("retention.ms", "1000000")]);
        let created = self.create(topic).await.unwrap();
        assert_eq!(created.partitions, Some(partitions(3)));
        let name = self.name("described");
        self.eventually(&name, |topic| topic.is_some()).await;
        let topic = self.describe(&name).await.unwrap();
        assert_eq!(
            (topic.id, topic.partition_count()),
            (created.id, Some(partitions(3)))
        );
        assert_eq!(topic.replication_factor(), created.replication_factor);
        assert!(!topic.internal);
        let ids: Vec<i32> = topic
            .partitions
            .iter()
            .map(|partition| partition.id.get())
            .collect();
        assert_eq!(ids, [0, 1, 2]);
        let listed = self.port.list_topics().await.unwrap();
        assert!(
            listed
                .iter()
                .any(|listed| listed.id == created.id && listed.name == name)
        );
    }

    async fn describing_never_creates(&self) {
        let name = self.name("never-created");
        assert_eq!(self.describe(&name).await, None);
        assert_eq!(self.describe(&name).await, None);
        let listed = self.port.list_topics().await.unwrap();
        assert!(listed.iter().all(|listed| listed.name != name));
    }

    async fn defaults_are_the_brokers(&self) {
        let topic = NewTopic {
            partitions: None,
            replication_factor: None,
            ..self.new_topic("defaults", 1)
        };
        let created = self.create(topic).await.unwrap();
        assert!(created.partitions.is_some() && created.replication_factor.is_some());
    }

    async fn bad_creates_are_refused_one_by_one(&self) {
        let (existing, _) = self.made("existing", 1).await;
        self.made("metric.name", 1).await;
        let factor = NewTopic {
            replication_factor: Some(1_000_i32.try_into().unwrap()),
            ..self.new_topic("too-many-replicas", 1)
        };
        let config = NewTopic {
            config: map([("no.such.key", "1")]),
            ..self.new_topic("unknown-key", 1)
        };
        let value = NewTopic {
            config: map([("retention.ms", "7d")]),
            ..self.new_topic("bad-value", 1)
        };
        let (same_metric, good) = (self.new_topic("metric_name", 1), self.new_topic("good", 1));
        let batch = vec![
            self.new_topic("existing", 1),
            factor,
            config,
            value,
            same_metric,
            good,
        ];
        let answers = self.port.create_topics(batch).await;
        assert_eq!(code(&answers[&existing]), ErrorCode::TOPIC_ALREADY_EXISTS);
        assert_eq!(
            code(&answers[&self.name("too-many-replicas")]),
            ErrorCode::INVALID_REPLICATION_FACTOR
        );
        assert_eq!(
            code(&answers[&self.name("unknown-key")]),
            ErrorCode::INVALID_CONFIG
        );
        assert_eq!(code(&answers[&self.name("bad-value")]), ErrorCode::INVALID_CONFIG);
        assert_eq!(
            code(&answers[&self.name("metric_name")]),
            ErrorCode::INVALID_TOPIC_EXCEPTION
        );
        assert!(answers[&self.name("good")].is_ok(), "{answers:?}");
        assert_eq!(answers[&existing].as_ref().unwrap_err().class(), Class::Decide);
    }

    async fn configuration_is_set_and_unset_by_key(&self) {
        let (name, _) = self.made("configured", 1).await;
        self.alter(
            &name,
            map([("retention.ms", "1000"), ("cleanup.policy", "compact")]),
            &[],
        )
        .await
        .unwrap();
        let two: BTreeSet<String> = ["retention.ms", "max.message.bytes", "no.such.key"]
            .map(str::to_owned)
            .into();
        let named = ConfigKeys::Named(two);
        self.configured(&name, "retention.ms", Some(("1000", ConfigSource::Topic)))
            .await;
        let entries = self.configs(&name, named.clone()).await;
        assert_eq!(
            entries.keys().collect::<Vec<_>>(),
            ["max.message.bytes", "retention.ms"]
        );
        assert_ne!(entries["max.message.bytes"].1, ConfigSource::Topic);
        let all = self.configs(&name, ConfigKeys::All).await;
        assert_eq!(
            all["cleanup.policy"],
            (Some("compact".to_owned()), ConfigSource::Topic)
        );
        assert!(all.len() > 20);
        self.alter(&name, map([("max.message.bytes", "2000000")]), &["retention.ms"])
            .await
            .unwrap();
        self.configured(&name, "max.message.bytes", Some(("2000000", ConfigSource::Topic)))
            .await;
        let entries = self.configs(&name, named).await;
        assert_ne!(
            entries["retention.ms"].1,
            ConfigSource::Topic,
            "an unset key shows the broker's value"
        );
        // Unset once more: nothing to do is no error.
        self.alter(&name, map([]), &["retention.ms"]).await.unwrap();
        assert_eq!(
            self.configs(&name, ConfigKeys::Named(BTreeSet::new())).await,
            BTreeMap::new()
        );
    }

    async fn configured(&self, name: &TopicName, key: &str, wanted: Option<(&str, ConfigSource)>) {
        let seen = async {
            loop {
                let all = self.configs(name, ConfigKeys::All).await;
                let found = all
                    .get(key)
                    .and_then(|(value, source)| Some((value.as_deref()?, *source)));
                if found == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), seen)
            .await
            .unwrap_or_else(|_| panic!("{key} is not {wanted:?} within 30 s"));
    }

    async fn values_are_told_back_as_kafka_reads_them(&self) {
        let (name, _) = self.made("values", 1).await;
        let written = map([
            ("retention.ms", " 05000 "),
            ("preallocate", "TRUE"),
            ("cleanup.policy", "compact, delete"),
        ]);
        self.alter(&name, written, &[]).await.unwrap();
        self.configured(&name, "retention.ms", Some(("5000", ConfigSource::Topic)))
            .await;
        self.configured(&name, "preallocate", Some(("true", ConfigSource::Topic)))
            .await;
        self.configured(
            &name,
            "cleanup.policy",
            Some(("compact,delete", ConfigSource::Topic)),
        )
        .await;
    }

    async fn bad_configuration_is_refused(&self) {
        let (name, _) = self.made("misconfigured", 1).await;
        assert_eq!(
            code(&self.alter(&name, map([("no.such.key", "1")]), &[]).await),
            ErrorCode::INVALID_CONFIG
        );
        assert_eq!(
            code(&self.alter(&name, map([("retention.ms", "7d")]), &[]).await),
            ErrorCode::INVALID_CONFIG
        );
        let twice = self
            .alter(&name, map([("retention.ms", "1")]), &["retention.ms"])
            .await;
        assert_eq!(code(&twice), ErrorCode::INVALID_REQUEST);
        let absent = self.name("absent");
        let refused = self.alter(&absent, map([("retention.ms", "1")]), &[]).await;
        assert_eq!(code(&refused), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let query = ConfigQuery {
            topic: absent.clone(),
            keys: ConfigKeys::All,
        };
        let refused = self
            .port
            .describe_configs(vec![query])
            .await
            .remove(&absent)
            .unwrap();
        assert_eq!(code(&refused), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }

    async fn partitions_only_grow(&self) {
        let (name, id) = self.made("grown", 2).await;
        self.grow(&name, 5).await.unwrap();
        self.eventually(&name, |topic| {
            topic.and_then(Topic::partition_count) == Some(partitions(5))
        })
        .await;
        assert_eq!(self.describe(&name).await.unwrap().id, id);
        for count in [5, 3] {
            let refused = self.grow(&name, count).await;
            assert_eq!(code(&refused), ErrorCode::INVALID_PARTITIONS);
            assert_eq!(refused.unwrap_err().class(), Class::Decide);
        }
        assert_eq!(
            code(&self.grow(&self.name("absent"), 3).await),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        );
    }

    async fn offsets_of_an_empty_topic_are_zero(&self) {
        let (name, _) = self.made("offsets", 2).await;
        let at = |index: i32| TopicPartition {
            topic: name.clone(),
            partition: PartitionId::from(index),
        };
        for spec in [OffsetSpec::Earliest, OffsetSpec::Latest] {
            let answers = self.port.list_offsets([at(0), at(1), at(7)].into(), spec).await;
            assert_eq!(answers[&at(0)], Ok(Offset::from(0)));
            assert_eq!(answers[&at(1)], Ok(Offset::from(0)));
            assert_eq!(code(&answers[&at(7)]), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let absent = TopicPartition {
            topic: self.name("absent"),
            partition: PartitionId::from(0),
        };
        let answers = self
            .port
            .list_offsets([absent.clone()].into(), OffsetSpec::Latest)
            .await;
        assert_eq!(code(&answers[&absent]), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }

    async fn concurrent_calls_get_their_own_answers(&self) {
        let singles = (0..100).map(|i| self.create(self.new_topic(&format!("many-{i}"), 1)));
        let created = futures::future::join_all(singles).await;
        let ids: BTreeSet<TopicId> = created.into_iter().map(|created| created.unwrap().id).collect();
        assert_eq!(ids.len(), 100);
        let same = (0..10).map(|_| self.create(self.new_topic("raced", 1)));
        let (won, lost): (Vec<_>, Vec<_>) = futures::future::join_all(same)
            .await
            .into_iter()
            .partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 9));
        assert!(
            lost.iter()
                .all(|answer| code(answer) == ErrorCode::TOPIC_ALREADY_EXISTS)
        );
    }

    async fn listeners_are_probed(&self) {
        let reports = self.port.probe_listeners().await.unwrap();
        let cluster = self.port.describe_cluster().await.unwrap();
        assert_eq!(reports.len(), cluster.brokers.len());
        for report in reports {
            assert_eq!(report.result, ListenerResult::Reachable, "{}", report.detail);
            assert!(report.detail.contains(&report.advertised.to_string()));
        }
    }

    async fn clean_up(&self) {
        let listed = self.port.list_topics().await.unwrap();
        let ours = |topic: &&Topic| topic.name.as_str().starts_with(&self.prefix);
        let ids: BTreeSet<TopicId> = listed.iter().filter(ours).map(|topic| topic.id).collect();
        assert!(self.port.delete_topics(ids).await.values().all(Result::is_ok));
    }
}
