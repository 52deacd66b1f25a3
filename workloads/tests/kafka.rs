//! The same scenes against a real Kafka, where one is named by `OTTLA_TEST_BOOTSTRAP` and `OTTLA_TEST_SASL`.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "this is test code")]

#[path = "support/scenes.rs"]
mod scenes;
mod support;

use std::path::{Path, PathBuf};

use ottla_contract::config::{Drill, Security};
use ottla_contract::report::ProducerState;
use ottla_workloads::client;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rstest::rstest;

use support::{PARTITIONS, Scene, file, kafka, producer, unique};

/// A topic that is deleted at the end.
struct Topic {
    scene: Scene,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Topic {
    fn new(test: &str) -> Option<Self> {
        let connection = kafka(test)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let admin: AdminClient<_> = client::connection(&connection).unwrap().create().unwrap();
        let name = unique(test);
        let topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1));
        let results = runtime
            .block_on(admin.create_topics(&[topic], &AdminOptions::new()))
            .unwrap();
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        Some(Self {
            scene: Scene::new(connection, name),
            admin,
            runtime,
        })
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let deleted = self
            .admin
            .delete_topics(&[&self.scene.topic], &AdminOptions::new());
        self.runtime.block_on(deleted).unwrap();
    }
}

#[rstest]
#[case::clean(scenes::clean)]
#[case::interrupted_producer(scenes::interrupted_producer)]
#[case::interrupted_consumer(scenes::interrupted_consumer)]
#[case::empty(scenes::empty)]
#[case::few(scenes::few)]
fn scene(#[case] act: fn(&Scene)) {
    if let Some(topic) = Topic::new("scene") {
        act(&topic.scene);
    }
}

#[rstest]
#[case::drop(0, 1)]
#[case::duplicate(5, 0)]
#[case::both(1, 1)]
fn drill(#[case] duplicate: u32, #[case] drop: u32) {
    if let Some(topic) = Topic::new("drill") {
        scenes::drill(&topic.scene, Drill { duplicate, drop });
    }
}

#[test]
fn early_group() {
    if let Some(topic) = Topic::new("group") {
        scenes::early_group(&topic.scene, 2);
    }
}

/// A line break more at the end changes a file and not what it says.
#[test]
fn rotated_credentials() {
    let Some(topic) = Topic::new("rotated") else {
        return;
    };
    let files: Vec<PathBuf> = topic
        .scene
        .connection
        .security
        .files()
        .into_iter()
        .map(Path::to_owned)
        .collect();
    if files.is_empty() {
        eprintln!("SKIPPED rotated_credentials: this Kafka asks for none");
        return;
    }
    scenes::rotated(&topic.scene, || {
        for file in &files {
            let text = std::fs::read_to_string(file).unwrap();
            std::fs::write(file, text + "\n").unwrap();
        }
    });
}

#[test]
fn another_ca_is_named() {
    let Some(mut topic) = Topic::new("ca") else {
        return;
    };
    let (Security::Ssl { tls } | Security::SaslSsl { tls, .. }) = &mut topic.scene.connection.security else {
        eprintln!("SKIPPED another_ca_is_named: this Kafka is without TLS");
        return;
    };
    tls.ca_file = None;
    let running = topic.scene.start_producer(&producer(1), 0);
    running.until("the cause", |report| {
        let error = report.last_error.as_deref().unwrap_or_default();
        error.contains("certificate verify failed")
    });
    assert_eq!(running.stop().state, ProducerState::Interrupted);
}

#[test]
fn a_wrong_password_is_named() {
    let Some(mut topic) = Topic::new("password") else {
        return;
    };
    let (Security::SaslPlaintext { password_file, .. } | Security::SaslSsl { password_file, .. }) =
        &mut topic.scene.connection.security
    else {
        eprintln!("SKIPPED a_wrong_password_is_named: this Kafka asks for none");
        return;
    };
    *password_file = file("password", "wrong");
    let running = topic.scene.start_producer(&producer(1), 0);
    running.until("the refusal", |report| {
        let error = report.last_error.as_deref().unwrap_or_default().to_lowercase();
        error.contains("authentication")
    });
    assert_eq!(running.stop().state, ProducerState::Interrupted);
}
