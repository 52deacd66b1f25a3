//! What befalls the way to the API server: it is too busy, it answers with what was, its link dies without a word. Each
//! operator is a process of its own, with a Kubernetes API of its own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{DeleteParams, DynamicObject, PostParams};
use ottla_e2e::api_proxy::{ApiProxy, Fault, Which};
use ottla_e2e::object::{API, Kind, Look};
use ottla_e2e::plane::{Caller, Plane};
use ottla_e2e::spare::{self, Spare};
use ottla_e2e::sweep::Metadata;
use ottla_e2e::wait::throughout;
use serde_json::{Value, json};

use crate::own::{HEALED, READY, grow, grows, in_kafka, rig, stage, start};

/// How long the API server is too busy, and how long it asks for to be left alone each time.
const BUSY: (Duration, u8) = (Duration::from_secs(10), 2);
/// Topics that are asked for meanwhile.
const STORM: usize = 100;
/// Objects with notes, and how many bytes each has of them.
const NOTES: (usize, usize) = (400, 255 * 1024);
/// Three quarters of what the chart lets the operator have, in KiB.
const LIMIT: u64 = 192 * 1024;
/// How long a link is dead: longer than a watch on it is believed in, so that its successors die as well.
const DEAD: Duration = Duration::from_secs(150);
/// Within this a change is seen on a link that lives again: the longest that an answer is waited for, and a margin.
const SEEN: Duration = Duration::from_secs(160);

/// The API server is too busy for any write while many topics are asked for: it is left alone for as long as it asks for, and
/// in the end each topic is there, created once.
async fn too_busy(plane: &Plane, spare: &Spare) -> Result<()> {
    let proxy = ApiProxy::start(plane.client_of(Caller::Operator).await?).await?;
    let (scene, operator) = stage(plane, spare, "busy", &proxy.url()).await?;
    let before = proxy.harmed();
    proxy.next(Which::Writes, Fault::Refuse(429, Some(BUSY.1)), usize::MAX);
    let names: Vec<String> = (0..STORM).map(|number| format!("t{number:03}")).collect();
    try_join_all(names.iter().map(|name| grow(&scene, name, 1))).await?;
    tokio::time::sleep(BUSY.0).await;
    proxy.spare();
    let refused = proxy.harmed() - before;
    // Each object writes one thing at a time: at once, and whenever the time that it was asked to wait has passed.
    let tries = usize::try_from(BUSY.0.as_secs())? / usize::from(BUSY.1) + 2;
    ensure!(refused > 0, "nothing was refused");
    ensure!(
        refused <= (STORM + 2) * tries,
        "{refused} writes of {STORM} objects were sent to an API server that asks for {} s of peace",
        BUSY.1
    );
    for name in &names {
        let ready = scene.await_says(Kind::Topic, name, READY, HEALED).await;
        ready.with_context(|| operator.last_words())?;
    }
    let metadata = Metadata::read(&spare.broker).await?;
    for name in &names {
        let created = metadata.created(&scene.topic(name));
        ensure!(created == 1, "{name} was created {created} times");
    }
    operator.kill().await?;
    spare.broker.clear(&scene.prefix).await
}

/// An operator starts on a list from before its object was deleted and created anew: what the old one left to do does not
/// touch the new one's topic.
async fn yesterdays_list(plane: &Plane, spare: &Spare) -> Result<()> {
    let proxy = ApiProxy::start(plane.client_of(Caller::Operator).await?).await?;
    let (scene, operator) = stage(plane, spare, "stale", &proxy.url()).await?;
    let path = format!(
        "/apis/ottla.dev/v1alpha1/namespaces/{}/kafkatopics",
        scene.namespace
    );
    operator.signal("STOP").await?;
    let api = scene.api(Kind::Topic);
    let old = api.delete("steady", &DeleteParams::default()).await?;
    ensure!(old.is_left(), "the object waits for its operator");
    let list = plane
        .client
        .request_text(http::Request::get(&path).body(vec![])?)
        .await?;
    let shown: Value = serde_json::from_str(&list)?;
    ensure!(
        shown["items"][0]["metadata"]["deletionTimestamp"].is_string(),
        "{shown}"
    );
    let first = shown["items"][0]["status"]["topicId"].clone();
    operator.signal("CONT").await?;
    scene.delete(Kind::Topic, "steady", HEALED).await?;
    grow(&scene, "steady", 1).await?;
    let second = scene.await_says(Kind::Topic, "steady", READY, HEALED).await;
    let second = second.with_context(|| operator.last_words())?;
    ensure!(second.data["status"]["topicId"] != first, "another topic");
    let before = in_kafka(&scene).await?;
    operator.kill().await?;

    proxy.answer_list(&path, list);
    let mut operator = start(plane, &scene, &proxy.url()).await?;
    operator.is_ready().await?;
    ensure!(proxy.has_answered_list(), "the old list was not asked for");
    throughout("the topic stays", Duration::from_secs(5), async || {
        let now = in_kafka(&scene).await?;
        ensure!(now == before && operator.lives()?, "{now:?}, before {before:?}");
        Ok(())
    })
    .await?;
    grows(&scene, &operator, 2, "an old list").await?;
    let now = scene.get(Kind::Topic, "steady").await?;
    ensure!(now.metadata.uid == second.metadata.uid, "the object stays");
    operator.kill().await?;
    spare.broker.clear(&scene.prefix).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_too_busy_or_behind_changes_nothing_in_the_end() -> Result<()> {
    let test = "an_api_server_that_is_too_busy_or_behind_changes_nothing_in_the_end";
    let Some((_live, plane, spare)) = rig(test).await? else {
        return Ok(());
    };
    let _shared = spare::shared().await;
    let stories = [
        too_busy(&plane, &spare).boxed_local(),
        yesterdays_list(&plane, &spare).boxed_local(),
    ];
    try_join_all(stories).await.map(drop)
}

/// Objects that somebody filled with notes up to the API server's limit, far more of them than the operator has memory for, do
/// not fill its memory.
#[tokio::test(flavor = "multi_thread")]
async fn objects_full_of_notes_do_not_fill_the_memory() -> Result<()> {
    let test = "objects_full_of_notes_do_not_fill_the_memory";
    let Some((_live, plane, spare)) = rig(test).await? else {
        return Ok(());
    };
    let _shared = spare::shared().await;
    let (scene, operator) = stage(&plane, &spare, "notes", &plane.url()).await?;
    operator.kill().await?;
    let api = scene.api(Kind::Topic);
    let written = stream::iter(0..NOTES.0).map(async |number| {
        let topic: DynamicObject = serde_json::from_value(json!({
            "apiVersion": API, "kind": Kind::Topic.name(),
            "metadata": {"name": format!("t{number:03}"), "annotations": {"e2e/note": "x".repeat(NOTES.1)}},
            "spec": {"clusterRef": {"name": "nowhere"}},
        }))?;
        api.create(&PostParams::default(), &topic).await?;
        anyhow::Ok(())
    });
    written.buffer_unordered(8).try_collect::<Vec<_>>().await?;
    let operator = start(&plane, &scene, &plane.url()).await?;
    let last = format!("t{:03}", NOTES.0 - 1);
    for name in ["t000", &last] {
        let told = ("Ready", "False", "ClusterNotFound");
        // The API server takes seconds for each read while it writes all of them.
        let seen = scene.await_says(Kind::Topic, name, told, 3 * HEALED).await;
        seen.with_context(|| operator.last_words())?;
    }
    grows(&scene, &operator, 2, "notes").await?;
    let (peak, notes) = (operator.peak_memory()?, NOTES.0 * NOTES.1 / 1024);
    eprintln!("{peak} KiB at most, beside {notes} KiB of notes");
    ensure!(peak < LIMIT, "{peak} KiB, beside {notes} KiB of notes");
    operator.kill().await?;
    spare.broker.clear(&scene.prefix).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes five minutes: cargo xtask test --soak"]
async fn a_link_that_dies_without_a_word_is_given_up_and_what_changed_is_done() -> Result<()> {
    let test = "a_link_that_dies_without_a_word_is_given_up_and_what_changed_is_done";
    let Some((_live, plane, spare)) = rig(test).await? else {
        return Ok(());
    };
    let _shared = spare::shared().await;
    let proxy = ApiProxy::start(plane.client_of(Caller::Operator).await?).await?;
    let (scene, mut operator) = stage(&plane, &spare, "dead", &proxy.url()).await?;
    proxy.kill_links(true);
    grow(&scene, "steady", 2).await?;
    tokio::time::sleep(DEAD).await;
    ensure!(operator.lives()?, "it ended");
    proxy.kill_links(false);
    let began = Instant::now();
    let seen = scene
        .await_says(Kind::Topic, "steady", READY, SEEN.as_secs())
        .await;
    let topic = seen.with_context(|| operator.last_words())?;
    eprintln!(
        "a change was done {:?} after the link lived again",
        began.elapsed()
    );
    ensure!(
        topic.number("/status/partitions") == Some(2),
        "{}",
        topic.data["status"]
    );
    operator.kill().await?;
    spare.broker.clear(&scene.prefix).await
}
