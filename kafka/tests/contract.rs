//! One suite for whatever answers the admin port: the fake and a real broker must give the same answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod suite;

use std::sync::Arc;

use ottla_kafka::client::KafkaAdmin;
use ottla_kafka::fake::FakeKafka;

#[tokio::test]
async fn fake() {
    suite::run(Arc::new(FakeKafka::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_broker() {
    let Some(config) = suite::broker::configured("real_broker") else {
        return;
    };
    suite::run(Arc::new(KafkaAdmin::new(config))).await;
}
