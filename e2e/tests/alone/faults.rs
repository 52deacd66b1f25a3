//! An operator as a process of its own, with a Kubernetes API of its own: the API server and its store die and hang, the
//! operator is stopped and told to end, a Kafka falls silent. What was done is read from Kafka and from the audit log.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use futures::future::try_join_all;
use kube::api::DynamicObject;
use ottla_e2e::api_proxy::ApiProxy;
use ottla_e2e::kafka_proxy::KafkaProxy;
use ottla_e2e::live::Live;
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::plane::{Caller, Part, Plane};
use ottla_e2e::spare::{self, Spare};
use ottla_e2e::sweep::Metadata;
use ottla_e2e::wait::throughout;
use ottla_e2e::{fixtures, node};
use serde_json::json;

use crate::own::{HEALED, READY, grow, grows, in_kafka, rig, stage, start, start_doomed};

/// How long something hangs: longer than the longest wait for one answer of the API server would be too long for a test.
const HANGS: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_and_its_store_die_and_hang_and_the_operator_goes_on() -> Result<()> {
    let test = "the_api_server_and_its_store_die_and_hang_and_the_operator_goes_on";
    let Some((_live, mut plane, spare)) = rig(test).await? else {
        return Ok(());
    };
    let _shared = spare::shared().await;
    let url = plane.url();
    let (scene, mut operator) = stage(&plane, &spare, "control-plane", &url).await?;
    let before = (in_kafka(&scene).await?, operator.trace()?);

    // Dead, then back: nothing was to be done, and nothing is done.
    plane.kill(Part::Server).await?;
    throughout(
        "the operator lives without an API server",
        Duration::from_secs(3),
        async || {
            ensure!(operator.lives()?, "it ended");
            Ok(())
        },
    )
    .await?;
    plane.revive(Part::Server).await?;
    grow(&scene, "second", 1).await?;
    let ready = scene.await_says(Kind::Topic, "second", READY, HEALED).await;
    ready.with_context(|| operator.last_words())?;
    let since: Vec<String> = operator.trace()?.split_off(before.1.len());
    let creates = since
        .iter()
        .filter(|point| point.starts_with("after:kafka."))
        .count();
    ensure!(creates == 1, "one topic was asked for, and done was: {since:?}");
    let mut left = in_kafka(&scene).await?;
    left.retain(|(name, ..)| *name != scene.topic("second"));
    ensure!(left == before.0, "{left:?}, before {:?}", before.0);

    // Hanging while something is to be done.
    for (partitions, part) in [(2, Part::Server), (3, Part::Etcd)] {
        grow(&scene, "steady", partitions).await?;
        plane.signal(part, "STOP").await?;
        tokio::time::sleep(HANGS).await;
        ensure!(operator.lives()?, "it ended while {part:?} hung");
        plane.signal(part, "CONT").await?;
        plane.answers().await?;
        grows(&scene, &operator, partitions, &format!("{part:?} hung")).await?;
    }
    let grown: usize = operator
        .trace()?
        .iter()
        .filter(|point| point.starts_with("after:kafka.create_partitions"))
        .count();
    ensure!(grown == 2, "two growths were asked for, and {grown} done");
    operator.stop(Duration::from_secs(25)).await?;
    spare.broker.clear(&scene.prefix).await
}

/// Everything a watch would have told while nothing was seen counts by its last state, and a purge runs once.
async fn stopped_and_continued(plane: &Plane, spare: &Spare) -> Result<()> {
    let url = plane.url();
    let (scene, operator) = stage(plane, spare, "stopped", &url).await?;
    let before = operator.trace()?.len();
    operator.signal("STOP").await?;
    for flush in [60_000, 70_000] {
        let mut spec = fixtures::topic(&scene.topic("steady"), 1);
        spec["deletionPolicy"] = json!("Delete");
        spec["config"] = json!({"flush.ms": flush});
        scene.apply(Kind::Topic, "steady", spec).await?;
    }
    grow(&scene, "steady", 1).await?;
    let purge = json!({
        "topicRef": {"name": "steady"}, "cut": {"type": "All"}, "guards": {"consumerGroups": "Ignore"},
    });
    scene.apply(Kind::Purge, "once", purge).await?;
    operator.signal("CONT").await?;
    let complete = ("Complete", "True", "Complete");
    let done = scene.await_says(Kind::Purge, "once", complete, HEALED).await;
    done.with_context(|| operator.last_words())?;
    let ready = scene.await_says(Kind::Topic, "steady", READY, HEALED).await;
    ready.with_context(|| operator.last_words())?;
    let since = operator.trace()?.split_off(before);
    let altered = since
        .iter()
        .filter(|point| point.contains("kafka.alter_configs"))
        .count();
    ensure!(altered == 0, "what nobody saw was done: {since:?}");
    operator.kill().await?;
    spare.broker.clear(&scene.prefix).await
}

/// Told to stop with much under way it ends well and in time, and a successor finishes the rest, each topic once.
async fn told_to_stop(plane: &Plane, spare: &Spare) -> Result<()> {
    let url = plane.url();
    let (scene, operator) = stage(plane, spare, "told-to-stop", &url).await?;
    let names: Vec<String> = (0..60).map(|number| format!("t{number:02}")).collect();
    try_join_all(names.iter().map(|name| grow(&scene, name, 1))).await?;
    operator.stop(Duration::from_secs(25)).await?;
    let successor = start(plane, &scene, &url).await?;
    for name in &names {
        let ready = scene.await_says(Kind::Topic, name, READY, HEALED).await;
        ready.with_context(|| successor.last_words())?;
    }
    successor.kill().await?;
    let found = in_kafka(&scene).await?;
    ensure!(found.len() == names.len() + 1, "{} topics in Kafka", found.len());
    for (name, id, _) in found {
        let object = scene
            .get(Kind::Topic, name.trim_start_matches(&scene.prefix))
            .await?;
        ensure!(
            object.text("/status/topicId") == id,
            "{name} is {id} in Kafka: {}",
            object.data["status"]
        );
    }
    spare.broker.clear(&scene.prefix).await
}

/// Every watch ends at once while objects change: the changes are seen all the same.
async fn watches_cut(plane: &Plane, spare: &Spare) -> Result<()> {
    let proxy = ApiProxy::start(plane.client_of(Caller::Operator).await?).await?;
    let (scene, operator) = stage(plane, spare, "cut", &proxy.url()).await?;
    proxy.delay_watches(true);
    grow(&scene, "steady", 2).await?;
    proxy.cut_watches();
    proxy.delay_watches(false);
    grows(&scene, &operator, 2, "every watch was cut").await?;
    operator.kill().await?;
    spare.broker.clear(&scene.prefix).await
}

/// One of two Kafka clusters falls silent: objects of the other are as quick as before.
async fn one_of_two_is_silent(plane: &Plane, spare: &Spare) -> Result<()> {
    let url = plane.url();
    let (scene, operator) = stage(plane, spare, "silent", &url).await?;
    let proxy = KafkaProxy::start().await?;
    scene
        .apply(Kind::Cluster, "other", fixtures::cluster_at(&proxy.address()))
        .await?;
    scene
        .await_says(Kind::Cluster, "other", ("Ready", "True", ""), HEALED)
        .await?;
    let on_the_other = async |name: String| {
        let mut spec = fixtures::topic(&scene.topic(&name), 1);
        spec["clusterRef"]["name"] = json!("other");
        scene.apply(Kind::Topic, &name, spec).await
    };
    on_the_other("proxied".to_owned()).await?;
    scene.await_says(Kind::Topic, "proxied", READY, HEALED).await?;
    let timed = async |prefix: &str| {
        let mut took = vec![];
        for number in 0..5 {
            let (name, began) = (format!("{prefix}-{number}"), Instant::now());
            grow(&scene, &name, 1).await?;
            let ready = scene.await_says(Kind::Topic, &name, READY, HEALED).await;
            ready.with_context(|| operator.last_words())?;
            took.push(began.elapsed());
        }
        took.sort_unstable();
        anyhow::Ok(took[took.len() / 2])
    };
    let before = timed("before").await?;
    proxy.silence(true);
    // As many as would fill every place, were they not held back.
    try_join_all((0..40).map(|number| on_the_other(format!("held-{number}")))).await?;
    let during = timed("during").await?;
    eprintln!("a topic takes {before:?}, and {during:?} beside a cluster that is silent");
    // Generous: this machine runs everything at once.
    ensure!(
        during < before * 4 + Duration::from_secs(1),
        "{before:?} before, {during:?} beside silence"
    );
    proxy.silence(false);
    for number in 0..40 {
        let name = format!("held-{number}");
        let ready = scene.await_says(Kind::Topic, &name, READY, HEALED).await;
        ready.with_context(|| operator.last_words())?;
    }
    operator.kill().await?;
    spare.broker.clear(&scene.prefix).await
}

/// Kafka's controller stands still while a topic is to be created: it is created once it goes on, and once.
async fn the_controller_stands_still(live: &Live, plane: &Plane, spare: &Spare) -> Result<()> {
    let url = plane.url();
    let (scene, operator) = stage(plane, spare, "controller", &url).await?;
    let kafka = spare::namespace()?;
    // The first broker of the throw-away Kafka is also its one controller.
    node::signal(live, &kafka, "kafka-controller-0", "SIGSTOP").await?;
    let asked = grow(&scene, "late", 1).await;
    tokio::time::sleep(HANGS).await;
    node::signal(live, &kafka, "kafka-controller-0", "SIGCONT").await?;
    asked?;
    let ready = scene.await_says(Kind::Topic, "late", READY, HEALED).await;
    let topic = ready.with_context(|| operator.last_words())?;
    let metadata = Metadata::read(&spare.broker).await?;
    let created = metadata.created(&scene.topic("late"));
    ensure!(created == 1, "created {created} times");
    let found = in_kafka(&scene).await?;
    let id = topic.text("/status/topicId");
    ensure!(
        found.iter().any(|(_, live, _)| *live == id),
        "{id} is not in Kafka: {found:?}"
    );
    operator.kill().await?;
    spare.broker.clear(&scene.prefix).await
}

/// Between the two acts of a Recreate a client writes, and the broker creates the topic for it: that topic is brought to the
/// saved shape, and neither it nor its record goes.
async fn created_by_a_client(plane: &Plane, spare: &Spare) -> Result<()> {
    let url = plane.url();
    let (scene, operator) = stage(plane, spare, "auto-create", &url).await?;
    let name = scene.topic("steady");
    let mut spec = fixtures::topic(&name, 3);
    spec["config"] = json!({"flush.ms": 60_000});
    scene.apply(Kind::Topic, "steady", spec).await?;
    let ready = scene.await_says(Kind::Topic, "steady", READY, HEALED).await;
    ready.with_context(|| operator.last_words())?;
    let spare_broker = &spare.broker;
    spare_broker.fill(&name, 30, 100, jiff::Timestamp::now()).await?;
    let before = spare_broker.topic(&name).await?.context("the topic")?;
    operator.kill().await?;

    let purge = json!({
        "topicRef": {"name": "steady"}, "method": "Recreate", "confirm": name, "cut": {"type": "All"},
    });
    scene.apply(Kind::Purge, "anew", purge).await?;
    let doomed = start_doomed(plane, &scene, &url, "before:kafka.create_topics#1=abort").await?;
    doomed.dies(Duration::from_secs(HEALED)).await?;
    spare_broker.create_by_writing(&name).await?;
    let theirs = spare_broker.topic(&name).await?.context("the client's topic")?;
    ensure!(
        theirs.id != before.id && theirs.partitions == 1,
        "{theirs:?}, before {before:?}"
    );

    let operator = start(plane, &scene, &url).await?;
    let complete = ("Complete", "True", "Complete");
    let done = scene.await_says(Kind::Purge, "anew", complete, HEALED).await;
    done.with_context(|| operator.last_words())?;
    let what = "Ready with the client's topic";
    let theirs_and_ready =
        |topic: &DynamicObject| topic.text("/status/topicId") == theirs.id && topic.says("Ready", "True", "");
    let ready = scene.await_object(Kind::Topic, "steady", what, HEALED, theirs_and_ready);
    ready.await.with_context(|| operator.last_words())?;
    let after = spare_broker.topic(&name).await?.context("the topic")?;
    ensure!(after.id == theirs.id, "{after:?} in the place of {theirs:?}");
    ensure!(
        (after.partitions, &after.config) == (before.partitions, &before.config),
        "{after:?}, before {before:?}"
    );
    let readable = spare_broker.readable(&name).await?;
    ensure!(
        readable == 1,
        "{readable} records, where the client had one acknowledged"
    );
    operator.kill().await?;
    spare.broker.clear(&scene.prefix).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_ended_cut_off_and_beside_silence_it_does_what_was_asked_once() -> Result<()> {
    let test = "stopped_ended_cut_off_and_beside_silence_it_does_what_was_asked_once";
    let Some((live, plane, spare)) = rig(test).await? else {
        return Ok(());
    };
    let shared = spare::shared().await;
    let stories = [
        stopped_and_continued(&plane, &spare).boxed_local(),
        told_to_stop(&plane, &spare).boxed_local(),
        watches_cut(&plane, &spare).boxed_local(),
        created_by_a_client(&plane, &spare).boxed_local(),
    ];
    try_join_all(stories).await?;
    // What is timed has the plane for itself, and what harms Kafka has that.
    one_of_two_is_silent(&plane, &spare).await?;
    drop(shared);
    let _alone = spare::alone().await;
    the_controller_stands_still(&live, &plane, &spare).await
}
