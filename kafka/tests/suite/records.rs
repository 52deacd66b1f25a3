//! What the admin port promises about clearing records. Logs are empty here: what becomes of records is shown where
//! records are written.

use std::collections::BTreeMap;

use ottla_kafka::admin::{OffsetSpec, TopicPartition};
use ottla_kafka::error::{Class, ErrorCode, KafkaError};
use ottla_kafka::types::{Offset, PartitionId, TopicName};

use super::{Run, code, map};

fn at(topic: &TopicName, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.clone(),
        partition: PartitionId::from(partition),
    }
}

impl Run {
    async fn cut<const N: usize>(
        &self,
        cuts: [(TopicPartition, i64); N],
    ) -> BTreeMap<TopicPartition, Result<Offset, KafkaError>> {
        let before = cuts.map(|(at, offset)| (at, Offset::from(offset)));
        self.port.delete_records(before.into()).await
    }

    pub(super) async fn empty_logs_have_no_record_of_any_time(&self) {
        let (name, _) = self.made("untimed", 2).await;
        let answers = self
            .port
            .offsets_at([at(&name, 0), at(&name, 1), at(&name, 7)].into(), 1_000)
            .await;
        assert_eq!(answers[&at(&name, 0)], Ok(None));
        assert_eq!(answers[&at(&name, 1)], Ok(None));
        assert_eq!(
            code(&answers[&at(&name, 7)]),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        );
    }

    pub(super) async fn records_are_deleted_up_to_the_high_watermark_and_by_policy(&self) {
        let (name, _) = self.made("cleared", 3).await;
        let answers = self
            .cut([
                (at(&name, 0), 0),
                (at(&name, 1), 5),
                (at(&name, 2), -1),
                (at(&name, 7), 0),
            ])
            .await;
        assert_eq!(answers[&at(&name, 0)], Ok(Offset::from(0)));
        assert_eq!(code(&answers[&at(&name, 1)]), ErrorCode::OFFSET_OUT_OF_RANGE);
        assert_eq!(
            code(&answers[&at(&name, 7)]),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        );
        // The wire's -1 would mean "whatever is there by then": it is never passed on.
        let refused = answers[&at(&name, 2)].as_ref().unwrap_err();
        assert_eq!(refused.class(), Class::Terminal);
        let starts = self
            .port
            .list_offsets([at(&name, 1)].into(), OffsetSpec::Earliest)
            .await;
        assert_eq!(starts[&at(&name, 1)], Ok(Offset::from(0)));

        self.alter(&name, map([("cleanup.policy", "compact")]), &[])
            .await
            .unwrap();
        let refused = async {
            loop {
                let answers = self.cut([(at(&name, 0), 0), (at(&name, 1), 0)]).await;
                if answers.values().all(Result::is_err) {
                    return answers;
                }
            }
        };
        let refused = tokio::time::timeout(std::time::Duration::from_secs(30), refused).await;
        for answer in refused.expect("the policy takes hold within 30 s").values() {
            assert_eq!(code(answer), ErrorCode::POLICY_VIOLATION);
        }
    }

    pub(super) async fn a_topic_without_consumers_has_no_groups(&self) {
        let (name, _) = self.made("unread", 2).await;
        let partitions = [0, 1].map(PartitionId::from).into();
        assert_eq!(
            self.port.consumer_groups(name.clone(), partitions).await,
            Ok(vec![])
        );
    }
}
