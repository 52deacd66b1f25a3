//! The driver: an object that cannot be read, or whose pass panics or hangs, harms only itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use ottla_crds::KafkaTopic;
use ottla_operator::runtime::controller::{drive, trigger_on_change};
use ottla_operator::runtime::{Action, Context, Error, Reconciler, Stop};
use ottla_operator::topic::Topics;
use serde_json::json;

use crate::world::{TOPICS, World, ready_of};

/// Fails in the way the object's name says.
#[derive(Default)]
struct Moody {
    good: AtomicUsize,
    panicked: AtomicUsize,
}

impl Reconciler for Moody {
    type Object = KafkaTopic;
    const KIND: &'static str = "KafkaTopic";
    const MANAGER: &'static str = "topic";
    const DEADLINE: Duration = Duration::from_secs(5);

    fn reconcile<'a>(
        &'a self,
        _: &'a Context,
        object: Arc<KafkaTopic>,
    ) -> BoxFuture<'a, Result<Action, Error>> {
        async move {
            match object.name_any().as_str() {
                "panics" => {
                    self.panicked.fetch_add(1, Ordering::SeqCst);
                    panic!("on purpose");
                }
                "hangs" => std::future::pending::<()>().await,
                _ => {
                    self.good.fetch_add(1, Ordering::SeqCst);
                }
            }
            Ok(Action::After(Duration::from_secs(10)))
        }
        .boxed()
    }

    fn conditions(object: &KafkaTopic) -> &[Condition] {
        Topics::conditions(object)
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_object_harms_only_itself() {
    let world = World::new();
    trigger_on_change::<Moody>(&world.ctx, &world.ctx.stores.topics, &world.ctx.queues.topics);
    for name in ["panics", "hangs", "good"] {
        world.topic(name, json!({}));
    }
    world.topic("unreadable", json!({"partitions": "three"}));
    world.sync();
    let (moody, stop) = (Arc::new(Moody::default()), Stop::default());
    let driver = tokio::spawn(drive(
        moody.clone(),
        world.ctx.clone(),
        world.ctx.stores.topics.clone(),
        world.ctx.queues.topics.clone(),
        stop.clone(),
    ));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(
        moody.good.load(Ordering::SeqCst) >= 29,
        "the good one has its turn every ten seconds"
    );
    let panicked = moody.panicked.load(Ordering::SeqCst);
    assert!(
        (2..=10).contains(&panicked),
        "the panicking one is tried again, ever more seldom: {panicked}"
    );
    let unreadable = world.api.get(TOPICS, "unreadable").unwrap();
    assert_eq!(ready_of(&unreadable), ("False".into(), "InvalidSpec".into()));
    assert!(unreadable["status"].to_string().contains("three"));
    assert!(world.ctx.health.dead().is_empty());

    let mut finalized = unreadable;
    finalized["metadata"]["finalizers"] = json!(["ottla.dev/topic"]);
    world.api.delete(TOPICS, "unreadable");
    world.api.put(TOPICS, finalized);
    world.api.delete(TOPICS, "unreadable");
    world.sync();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        world.api.get(TOPICS, "unreadable"),
        None,
        "it can be deleted all the same"
    );
    stop.drop_all();
    tokio::time::timeout(Duration::from_secs(1), driver)
        .await
        .unwrap()
        .unwrap();
}
