//! What the port promises about moving replicas. On one broker only refusals can be shown.

use ottla_kafka::admin::{BrokerConfigChange, ConfigEntry, ConfigSource, Move, Moving, TopicPartition};
use ottla_kafka::error::{Class, ErrorCode, KafkaError};
use ottla_kafka::types::{BrokerId, PartitionId, TopicName};

use super::{Run, code};

const THROTTLE: &str = "follower.replication.throttled.rate";

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

    async fn throttle(&self, broker: BrokerId, value: Option<&str>) -> Result<(), KafkaError> {
        let key = THROTTLE.to_owned();
        let change = BrokerConfigChange {
            broker,
            set: value
                .map(|value| (key.clone(), value.to_owned()))
                .into_iter()
                .collect(),
            unset: if value.is_none() { [key].into() } else { [].into() },
        };
        let answers = self.port.alter_broker_configs(vec![change]).await;
        answers.into_iter().next().expect("one answer").1
    }

    async fn throttled(&self, broker: BrokerId) -> Option<ConfigEntry> {
        let all = self
            .port
            .describe_broker_configs([THROTTLE.to_owned()].into())
            .await
            .unwrap();
        let entry = all[&broker].get(THROTTLE).cloned();
        entry.filter(|entry| entry.source == ConfigSource::DynamicBroker)
    }

    async fn until_throttled(&self, broker: BrokerId, value: Option<&str>) {
        let seen = async {
            // A broker tells of its own change once it has taken it in.
            while self
                .throttled(broker)
                .await
                .and_then(|entry| entry.value)
                .as_deref()
                != value
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), seen)
            .await
            .unwrap();
    }

    pub(super) async fn throttles_are_set_and_unset_broker_by_broker(&self) {
        let cluster = self.port.describe_cluster().await.unwrap();
        let broker = cluster.brokers[0].id;
        assert_eq!(
            self.throttled(broker).await,
            None,
            "nobody else runs this suite here"
        );
        self.throttle(broker, Some("1234567")).await.unwrap();
        self.until_throttled(broker, Some("1234567")).await;
        for other in &cluster.brokers[1..] {
            assert_eq!(self.throttled(other.id).await, None);
        }
        self.throttle(broker, None).await.unwrap();
        self.until_throttled(broker, None).await;
        self.throttle(broker, None)
            .await
            .expect("what is not set can be unset");
        let refused = self.throttle(broker, Some("much")).await.unwrap_err();
        assert_eq!(refused.class(), Class::Terminal, "{refused}");
        let nobody = self.throttle(BrokerId::from(9_999), None).await.unwrap_err();
        assert_ne!(
            nobody.class(),
            Class::Terminal,
            "a broker may come back: {nobody}"
        );
    }

    pub(super) async fn sizes_are_told_of_every_topic(&self) {
        let (name, _) = self.made("sized", 2).await;
        let sizes = self.port.log_sizes().await.unwrap();
        assert_eq!(sizes.get(&name), Some(&0), "an empty topic takes nothing");
        assert_eq!(sizes.get(&self.name("absent")), None);
    }
}
