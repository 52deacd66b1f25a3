//! Reconciles purges between a fake Kubernetes and a fake Kafka, and looks at what becomes of both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends by panicking"
)]
#![allow(clippy::needless_pass_by_value, reason = "scenes are written as literals")]

#[path = "../topics/api.rs"]
#[allow(dead_code, reason = "shared with the tests of topics, which use all of it")]
mod api;
mod crashes;
mod guards;
mod methods;
mod world;

use serde_json::json;

use world::{PURGES, World};

#[tokio::test(start_paused = true)]
async fn what_was_planned_goes_and_nothing_else() {
    let world = World::with_orders(3, &[10, 0, 5]).await;
    world.purge("now", json!({"cut": {"type": "All"}}));
    world.settle().await;
    assert_eq!(world.state("now"), "Complete");
    assert_eq!(world.spans("orders"), [(10, 10), (0, 0), (5, 5)]);
    let status = world.api.get(PURGES, "now").unwrap()["status"].clone();
    assert_eq!(status["records"], 15);
    assert_eq!(
        status["partitions"][0],
        json!({"partition": 0, "start": 0, "cut": 10, "end": 10})
    );
    assert_eq!(world.condition("now", "Complete"), "True");
    assert_eq!(world.condition("now", "Failed"), "False");
    let events = world.api.events();
    assert!(events.contains(&"Planned".to_owned()) && events.contains(&"Complete".to_owned()));
    let topic = world.api.get("kafkatopics", "orders").unwrap();
    assert_eq!(topic["status"]["lastPurge"]["name"], "now");
    assert_eq!(topic["status"]["lastPurge"]["records"], 15);

    world.append("orders", 0, 4, 100);
    let rest = (world.api.writes().len(), world.kafka.changes());
    world.settle().await;
    assert_eq!(world.spans("orders")[0], (10, 14), "once is once");
    assert_eq!(rest, (world.api.writes().len(), world.kafka.changes()));
}

#[tokio::test(start_paused = true)]
async fn each_cut_is_the_offset_it_says() {
    for (cut, starts) in [
        (json!({"type": "All"}), [30, 30]),
        (json!({"type": "KeepLast", "keepLast": {"records": 4}}), [26, 26]),
        (
            json!({"type": "BeforeOffsets", "beforeOffsets": [{"partition": 1, "offset": 7}]}),
            [0, 7],
        ),
        // Records 0-9 are of second 100, 10-19 of second 200, 20-29 of second 300.
        (
            json!({"type": "BeforeTime", "beforeTime": "1970-01-01T00:03:20Z"}),
            [10, 10],
        ),
        (
            json!({"type": "BeforeTime", "beforeTime": "1970-01-01T00:10:00Z"}),
            [30, 30],
        ),
        (json!({"type": "OlderThan", "olderThan": "1d"}), [30, 30]),
    ] {
        let world = World::with_orders(2, &[0, 0]).await;
        for partition in 0..2 {
            for second in [100, 200, 300] {
                world.append("orders", partition, 10, second * 1_000);
            }
        }
        world.purge("cut", json!({"cut": cut}));
        world.settle().await;
        assert_eq!(world.state("cut"), "Complete", "{cut}");
        let found: Vec<i64> = world.spans("orders").iter().map(|(start, _)| *start).collect();
        assert_eq!(found, starts, "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn chosen_partitions_alone_are_cleared() {
    let world = World::with_orders(3, &[10, 10, 10]).await;
    world.purge("some", json!({"cut": {"type": "All"}, "partitions": [2, 0]}));
    world.settle().await;
    assert_eq!(world.spans("orders"), [(10, 10), (0, 10), (10, 10)]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_and_changes_nothing() {
    let world = World::with_orders(2, &[10, 10]).await;
    let before = (world.kafka.topics(), world.kafka.changes());
    world.purge("dry", json!({"cut": {"type": "All"}, "dryRun": true}));
    world.settle().await;
    assert_eq!(world.state("dry"), "DryRun");
    assert_eq!(before, (world.kafka.topics(), world.kafka.changes()));
    let status = world.api.get(PURGES, "dry").unwrap()["status"].clone();
    assert_eq!(status["records"], 20);
    let topic = world.api.get("kafkatopics", "orders").unwrap();
    assert_eq!(topic["metadata"]["annotations"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn suspend_holds_after_planning_and_what_came_since_stays() {
    let world = World::with_orders(1, &[10]).await;
    let mut spec = json!({"cut": {"type": "All"}, "suspend": true});
    world.purge("held", spec.clone());
    world.settle().await;
    assert_eq!(world.state("held"), "Suspended");
    assert_eq!(world.api.get(PURGES, "held").unwrap()["status"]["records"], 10);
    world.append("orders", 0, 5, 100);
    spec["suspend"] = json!(false);
    world.purge("held", spec);
    world.settle().await;
    assert_eq!(world.state("held"), "Complete");
    assert_eq!(world.spans("orders"), [(10, 15)]);
}

#[tokio::test(start_paused = true)]
async fn a_purge_applied_again_does_nothing_and_another_name_goes_through() {
    let world = World::with_orders(1, &[10]).await;
    let spec = json!({"cut": {"type": "All"}});
    world.purge("nightly", spec.clone());
    world.settle().await;
    world.append("orders", 0, 5, 100);
    world.api.delete(PURGES, "nightly");
    world.settle().await;
    world.purge("nightly", spec.clone());
    world.settle().await;
    assert_eq!(world.state("nightly"), "AlreadyDone");
    assert_eq!(world.spans("orders"), [(10, 15)]);
    world.purge("nightly-2", spec.clone());
    world.settle().await;
    assert_eq!(world.state("nightly-2"), "Complete");
    assert_eq!(world.spans("orders"), [(15, 15)]);

    // The status of a finished purge is lost, as in a restore from a backup.
    world.append("orders", 0, 5, 100);
    let mut object = world.api.get(PURGES, "nightly-2").unwrap();
    object["status"] = json!({});
    world.api.put(PURGES, object);
    let world = world.restarted();
    world.settle().await;
    assert_eq!(world.state("nightly-2"), "AlreadyDone");
    assert_eq!(world.spans("orders"), [(15, 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_finished_purge_goes_when_its_time_has_come() {
    let world = World::with_orders(1, &[10]).await;
    world.purge(
        "short",
        json!({"cut": {"type": "All"}, "ttlSecondsAfterFinished": 60}),
    );
    world.settle().await;
    assert_eq!(world.state("short"), "Complete");
    world.advance(30);
    world.settle().await;
    assert!(world.api.get(PURGES, "short").is_some());
    world.advance(31);
    world.settle().await;
    assert_eq!(world.api.get(PURGES, "short"), None);
}

#[tokio::test(start_paused = true)]
async fn a_purge_of_a_topic_that_is_being_purged_is_refused() {
    let world = World::with_orders(1, &[10]).await;
    let all = json!({"cut": {"type": "All"}});
    world.purge("a-first", json!({"cut": {"type": "All"}, "suspend": true}));
    world.settle().await;
    world.purge("b-second", all.clone());
    world.purge("c-look", json!({"cut": {"type": "All"}, "dryRun": true}));
    world.settle().await;
    assert_eq!(world.state("b-second"), "PurgeInProgress");
    assert_eq!(world.condition("b-second", "Failed"), "True");
    assert_eq!(world.state("c-look"), "DryRun");
    assert_eq!(world.spans("orders"), [(0, 10)]);
    world.api.delete(PURGES, "a-first");
    world.settle().await;
    assert_eq!(world.state("b-second"), "PurgeInProgress", "it is over");
    assert_eq!(world.spans("orders"), [(0, 10)]);
    world.purge("d-again", all);
    world.settle().await;
    assert_eq!(world.state("d-again"), "Complete");
}

#[tokio::test(start_paused = true)]
async fn of_two_purges_of_a_topic_at_once_only_one_finds_the_records() {
    let world = World::with_orders(1, &[10]).await;
    let all = json!({"cut": {"type": "All"}});
    world.purge("one", all.clone());
    world.purge("two", all);
    world.settle().await;
    assert_eq!(world.spans("orders"), [(10, 10)]);
    let end = |name: &str| {
        let records = world.api.get(PURGES, name).unwrap()["status"]["records"].as_i64();
        (world.state(name), records)
    };
    let mut ends = [end("one"), end("two")];
    ends.sort_unstable();
    let second = [("Complete", Some(0)), ("PurgeInProgress", None)]
        .map(|(state, records)| (state.to_owned(), records));
    assert!(ends.contains(&("Complete".to_owned(), Some(10))), "{ends:?}");
    assert!(second.iter().any(|end| ends.contains(end)), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_lost_its_status_after_its_end_removes_nothing() {
    let world = World::with_orders(1, &[10]).await;
    world.purge("nightly", json!({"cut": {"type": "All"}}));
    world.settle().await;
    assert_eq!(world.state("nightly"), "Complete");
    world.append("orders", 0, 5, 100);
    // As a backup brings it back: the same object, and nothing of what became of it.
    let mut object = world.api.get(PURGES, "nightly").unwrap();
    object["status"] = json!({});
    world.api.put(PURGES, object);
    let world = world.restarted();
    world.settle().await;
    assert_eq!(world.state("nightly"), "AlreadyDone");
    assert_eq!(world.spans("orders"), [(10, 15)]);
}
