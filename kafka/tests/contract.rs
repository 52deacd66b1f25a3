//! One suite for whatever answers the admin port: the fake and a real broker must give the same answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod suite;

use std::sync::Arc;
use std::time::Duration;

use ottla_kafka::client::KafkaAdmin;
use ottla_kafka::fake::FakeKafka;

#[tokio::test]
async fn fake() {
    suite::run(Arc::new(FakeKafka::new())).await;
}

#[tokio::test]
async fn fake_of_three_brokers() {
    let kafka = Arc::new(FakeKafka::with_brokers(3));
    let follower = {
        let kafka = Arc::clone(&kafka);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                kafka.catch_up(1);
            }
        })
    };
    suite::run(kafka).await;
    follower.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_broker() {
    let Some(config) = suite::broker::configured("real_broker") else {
        return;
    };
    suite::run(Arc::new(KafkaAdmin::new(config))).await;
}
