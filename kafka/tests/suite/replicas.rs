//! What the port promises about moving replicas. On one broker only refusals can be shown.

use ottla_kafka::admin::{Move, Moving, TopicPartition};
use ottla_kafka::error::{Class, ErrorCode, KafkaError};
use ottla_kafka::types::{BrokerId, PartitionId, TopicName};

use super::{Run, code};

fn at(topic: &TopicName, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.clone(),
        partition: PartitionId::from(partition),
    }
}

impl Run {
    async fn move_to(&self, partition: TopicPartition, to: Option<&[BrokerId]>) -> Result<(), KafkaError> {
        let item = Move {
            partition: partition.clone(),
            replicas: to.map(<[BrokerId]>::to_vec),
        };
        self.port
            .alter_reassignments(vec![item])
            .await
            .remove(&partition)
            .unwrap()
    }

    async fn moving(&self, partition: TopicPartition) -> Option<Moving> {
        self.port
            .list_reassignments([partition.clone()].into())
            .await
            .remove(&partition)
            .unwrap()
            .unwrap()
    }

    pub(super) async fn senseless_moves_are_refused(&self) {
        let (name, _) = self.made("unmoved", 2).await;
        let nobody = BrokerId::from(9_999);
        let held = self.describe(&name).await.unwrap().partitions[0].replicas.clone();
        for bad in [vec![nobody], vec![held[0], held[0]], vec![]] {
            let refused = self.move_to(at(&name, 0), Some(&bad)).await;
            assert_eq!(code(&refused), ErrorCode::INVALID_REPLICA_ASSIGNMENT, "{bad:?}");
            assert_eq!(refused.unwrap_err().class(), Class::Decide);
        }
        let refused = self.move_to(at(&name, 0), None).await;
        assert_eq!(code(&refused), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
        for absent in [at(&name, 7), at(&self.name("absent"), 0)] {
            assert_eq!(self.moving(absent.clone()).await, None);
            let refused = self.move_to(absent, Some(&held)).await;
            assert_eq!(code(&refused), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        // Where it is already: nothing to do is no error.
        self.move_to(at(&name, 0), Some(&held)).await.unwrap();
        assert_eq!(self.moving(at(&name, 0)).await, None);
    }

    pub(super) async fn replicas_move_to_where_they_are_sent(&self) {
        let cluster = self.port.describe_cluster().await.unwrap();
        let brokers: Vec<BrokerId> = cluster.brokers.iter().map(|broker| broker.id).collect();
        // The suite is run on Kafkas of several brokers too.
        if brokers.len() < 2 {
            return;
        }
        let (name, id) = self.made("moved", 2).await;
        let held = self.describe(&name).await.unwrap().partitions[0].replicas.clone();
        let mut all = held.clone();
        all.extend(brokers.iter().filter(|id| !held.contains(id)));
        for target in [&all[..], &all[..1], &all[1..2]] {
            self.move_to(at(&name, 0), Some(target)).await.unwrap();
            self.eventually(&name, |topic| {
                let partition = topic.and_then(|topic| topic.partitions.first());
                partition.is_some_and(|partition| {
                    partition.replicas == target && partition.in_sync.len() == target.len()
                })
            })
            .await;
            let done = async {
                while self.moving(at(&name, 0)).await.is_some() {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(30), done)
                .await
                .unwrap();
        }
        let topic = self.describe(&name).await.unwrap();
        assert_eq!(topic.id, id, "a moved topic is the same topic");
        assert_eq!(topic.partitions[1].replicas.len(), 1, "the other partition stays");
    }
}
