//! Producer and consumer against librdkafka's mock cluster: no Kafka needed.

#![allow(clippy::unwrap_used, reason = "this is test code")]

#[path = "support/scenes.rs"]
mod scenes;
mod support;

use ottla_contract::config::{Connection, Drill, Security};
use ottla_contract::report::ProducerState;
use ottla_contract::verdict::Reason;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rstest::rstest;

use support::{PARTITIONS, Scene, judge_bounded, producer, unique};

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn mock(name: &str) -> (Cluster, Scene) {
    let cluster = MockCluster::new(1).unwrap();
    let topic = unique(name);
    cluster.create_topic(&topic, PARTITIONS, 1).unwrap();
    let connection = Connection {
        bootstrap_servers: vec![cluster.bootstrap_servers()],
        security: Security::Plaintext,
    };
    (cluster, Scene::new(connection, topic))
}

#[rstest]
#[case::clean(scenes::clean)]
#[case::interrupted_producer(scenes::interrupted_producer)]
#[case::interrupted_consumer(scenes::interrupted_consumer)]
#[case::empty(scenes::empty)]
#[case::few(scenes::few)]
fn scene(#[case] act: fn(&Scene)) {
    let (_cluster, scene) = mock("scene");
    act(&scene);
}

#[rstest]
#[case::drop(0, 1)]
#[case::duplicate(5, 0)]
#[case::both(1, 1)]
#[case::many(40, 60)]
fn drill(#[case] duplicate: u32, #[case] drop: u32) {
    let (_cluster, scene) = mock("drill");
    scenes::drill(&scene, Drill { duplicate, drop });
}

#[test]
fn early_group() {
    let (_cluster, scene) = mock("group");
    // The mock cannot tell a group's members, so nothing is held.
    scenes::early_group(&scene, 0);
}

#[test]
fn a_refused_record_ends_its_incarnation_and_is_replaced() {
    let (cluster, scene) = mock("refused");
    let mut config = producer(2_000);
    config.records_per_second = Some(500);
    // The fourth request is refused, however slow this machine is at that moment.
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        ],
    );
    let running = scene.start_producer(&config, 0);
    let sent = running.end();
    assert_eq!(
        (sent.state, sent.acked),
        (ProducerState::Done, 2_000),
        "{sent:#?}"
    );
    assert!(
        sent.failed > 0 && sent.sent == sent.acked + sent.failed,
        "{sent:#?}"
    );
    assert_eq!(sent.incarnations.len(), 2);
    assert!(sent.incarnations.iter().all(|incarnation| incarnation.closed));
    assert!(sent.last_error.is_some());
    let consumer = scene.consume();
    let verdict = judge_bounded(&[sent], &[consumer]);
    assert_eq!(verdict.reason, Reason::Pass, "{}", verdict.message);
    assert_eq!((verdict.counts.received, verdict.counts.lost), (2_000, 0));
}
