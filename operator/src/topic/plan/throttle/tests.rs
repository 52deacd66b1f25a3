//! Moves under a throttle, scene by scene: what is set, what is held, what is taken off.

use ottla_kafka::types::ReplicationFactor;

use super::super::replication::tests::{changed, live, moves, planned, reasons, recorded, rests, wants};
use super::super::replication::{Replicas, managed};
use super::*;

fn throttled(desired: i32, throttle: Throttle) -> Desired {
    Desired {
        throttle,
        ..wants(desired)
    }
}

fn list(leaders: &str, followers: &str) -> ThrottledReplicas {
    ThrottledReplicas {
        leaders: leaders.to_owned(),
        followers: followers.to_owned(),
    }
}

fn on_topic(mut live: Live, throttle: Option<ThrottledReplicas>) -> Live {
    if let Replicas::Seen(layout) = &mut live.replicas {
        layout.throttled = throttle;
    }
    live
}

fn knows(throttle: Option<ThrottledReplicas>) -> Recorded {
    Recorded {
        throttle,
        ..recorded(Some(2))
    }
}

fn verbs(plan: &Plan) -> Vec<&'static str> {
    plan.actions.iter().map(crate::topic::notes::verb).collect()
}

#[test]
fn replicas_are_throttled_first_and_moved_once_brokers_know_the_rate() {
    let still = live(3, &[rests(&[0]), rests(&[1]), rests(&[0, 1])]);
    let first = planned(&throttled(2, Throttle::Wanted), &still, &recorded(None));
    let ours = list("0:0,1:1", "0:2,1:2");
    assert_eq!(
        (verbs(&first), first.throttle.as_ref()),
        (vec!["Throttle"], Some(&ours))
    );
    assert!(
        first.begins(&recorded(None)).is_some(),
        "what is set is saved before"
    );

    let set = on_topic(still.clone(), Some(ours.clone()));
    let second = planned(&throttled(2, Throttle::Wanted), &set, &knows(Some(ours.clone())));
    assert_eq!((verbs(&second), second.throttle.as_ref()), (vec![], Some(&ours)));
    assert!(second.progress.is_some(), "it is under way all the same");

    let third = planned(&throttled(2, Throttle::InPlace), &set, &knows(Some(ours.clone())));
    assert_eq!(
        (verbs(&third), third.throttle),
        (vec!["Reassign"], Some(ours.clone()))
    );
    // It died between the record and the act.
    let again = planned(
        &throttled(2, Throttle::InPlace),
        &still,
        &knows(Some(ours.clone())),
    );
    assert_eq!((verbs(&again), again.throttle), (vec!["Throttle"], Some(ours)));
}

#[test]
fn fewer_replicas_need_no_throttle() {
    let plan = planned(
        &throttled(1, Throttle::Wanted),
        &live(3, &[rests(&[0, 1])]),
        &recorded(None),
    );
    assert_eq!((verbs(&plan), plan.throttle), (vec!["Reassign"], None));
}

#[test]
fn the_throttle_stays_while_anything_moves_and_goes_with_the_last() {
    let ours = list("0:0", "0:1");
    let under_way = on_topic(live(3, &[moves(&[0, 1], &[1], &[])]), Some(ours.clone()));
    for desired in [
        throttled(2, Throttle::InPlace),
        // Not asked for any more, or not to be had: what was begun goes on under the throttle.
        Desired {
            replication_factor: None,
            ..throttled(2, Throttle::Wanted)
        },
        throttled(9, Throttle::InPlace),
    ] {
        let plan = planned(&desired, &under_way, &knows(Some(ours.clone())));
        assert_eq!(
            (verbs(&plan), plan.throttle.as_ref()),
            (vec![], Some(&ours)),
            "{desired:?}"
        );
        assert!(plan.waits || plan.progress.is_some(), "it is looked at again");
    }
    let done = on_topic(live(3, &[rests(&[0, 1])]), Some(ours.clone()));
    for desired in [
        throttled(2, Throttle::InPlace),
        throttled(9, Throttle::InPlace),
        wants(2),
    ] {
        let plan = planned(&desired, &done, &knows(Some(ours.clone())));
        assert_eq!(
            (verbs(&plan), &plan.throttle),
            (vec!["Unthrottle"], &None),
            "{desired:?}"
        );
    }
    let lifted = planned(&wants(2), &under_way, &knows(Some(ours)));
    assert_eq!(
        verbs(&lifted),
        ["Unthrottle"],
        "the KafkaCluster throttles no more"
    );
    assert!(lifted.progress.is_some());
}

#[test]
fn other_moves_get_a_throttle_of_their_own() {
    let ours = list("0:0", "0:1");
    let more = on_topic(live(3, &[rests(&[0]), rests(&[0])]), Some(ours.clone()));
    let plan = planned(&throttled(2, Throttle::InPlace), &more, &knows(Some(ours)));
    assert_eq!((verbs(&plan), &plan.throttle), (vec!["Unthrottle"], &None));
    let all = list("*", "*");
    let many: Vec<_> = (0..1_000).map(|_| rests(&[0])).collect();
    let plan = planned(&throttled(2, Throttle::Wanted), &live(3, &many), &recorded(None));
    assert_eq!(
        plan.throttle.as_ref(),
        Some(&all),
        "no list is longer than what can be recorded"
    );
    let plan = planned(
        &throttled(2, Throttle::InPlace),
        &on_topic(live(3, &many), Some(all.clone())),
        &knows(Some(all)),
    );
    assert_eq!(verbs(&plan), ["Reassign"]);
}

#[test]
fn a_throttle_of_somebody_else_is_neither_changed_nor_taken_off() {
    let theirs = Some(list("0:0,0:1", ""));
    let still = on_topic(live(3, &[rests(&[0])]), theirs.clone());
    for known in [None, Some(list("0:0", "0:1"))] {
        let plan = planned(&throttled(2, Throttle::InPlace), &still, &knows(known.clone()));
        assert_eq!((verbs(&plan), changed(&plan)), (vec![], vec![]), "{known:?}");
        assert_eq!(reasons(&plan), [Reason::ReplicationThrottledByOther]);
        assert!(plan.waits && plan.throttle.is_none());
        let done = on_topic(live(3, &[rests(&[0, 1])]), theirs.clone());
        let plan = planned(&throttled(2, Throttle::InPlace), &done, &knows(known));
        assert_eq!((verbs(&plan), reasons(&plan)), (vec![], vec![]));
    }
    let plan = planned(&wants(2), &still, &recorded(None));
    assert_eq!(
        verbs(&plan),
        ["Reassign"],
        "who asks for no throttle is not kept from moving"
    );
}

#[test]
fn what_came_to_be_as_asked_is_known_until_it_is_asked_otherwise() {
    let rests_at = |replicas: &[i32]| live(3, &[rests(replicas)]);
    let known = |before: Option<i64>| Recorded {
        managed_factor: before.and_then(|number| number.try_into().ok()),
        ..recorded(None)
    };
    let number = |desired: &Desired, live: &Live, before| {
        managed(desired, &known(before), live).map(ReplicationFactor::get)
    };
    assert_eq!(number(&wants(2), &rests_at(&[0, 1]), None), Some(2));
    assert_eq!(
        number(&wants(2), &rests_at(&[0]), Some(2)),
        Some(2),
        "somebody else took one"
    );
    assert_eq!(
        number(&wants(2), &live(3, &[moves(&[0, 1], &[1], &[])]), None),
        None
    );
    assert_eq!(number(&wants(3), &rests_at(&[0, 1]), Some(2)), Some(2));
    let silent = Desired {
        replication_factor: None,
        ..wants(2)
    };
    assert_eq!(number(&silent, &rests_at(&[0, 1]), Some(2)), None);
}
