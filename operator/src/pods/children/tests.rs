use serde_json::{from_value, json};

use super::*;

fn owned(kind: &str, name: &str, uid: &str) -> serde_json::Value {
    json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true}])
}

#[test]
fn a_namesake_of_another_owner_is_foreign() {
    let theirs: Job = from_value(json!({"metadata": {"name": "orders-producer", "uid": "j"}})).unwrap();
    assert_eq!(job(Some(&theirs), "ours"), Found::Foreign);
    assert_eq!(job(None, "ours"), Found::Absent);
    let theirs: Deployment =
        from_value(json!({"metadata": {"ownerReferences": owned("X", "x", "other")}})).unwrap();
    assert_eq!(deployment(Some(&theirs), "ours"), Found::Foreign);
}

#[test]
fn job_state_follows_its_conditions() {
    let read = |conditions: serde_json::Value| {
        let job: Job = from_value(json!({
            "metadata": {"ownerReferences": owned("KafkaProducer", "p", "ours")},
            "status": {"conditions": conditions}
        }))
        .unwrap();
        super::job(Some(&job), "ours").ours().unwrap().state.clone()
    };
    assert_eq!(read(json!([])), JobState::Active);
    assert_eq!(
        read(json!([{"type": "Suspended", "status": "True"}])),
        JobState::Active
    );
    assert_eq!(
        read(json!([{"type": "Complete", "status": "True"}])),
        JobState::Complete
    );
    // FailureTarget comes first, while pods still end; only Failed is final.
    assert_eq!(
        read(json!([{"type": "FailureTarget", "status": "True"}])),
        JobState::Active
    );
    let failed =
        json!([{"type": "Failed", "status": "True", "reason": "FailedIndexes", "message": "1 failed"}]);
    assert_eq!(
        read(failed),
        JobState::Failed("FailedIndexes: 1 failed".to_owned())
    );
}

#[test]
fn only_pods_of_the_child_count() {
    let job = JobFacts {
        uid: "job-uid".to_owned(),
        suspended: false,
        state: JobState::Active,
        ttl_seconds: None,
        replicas: 1,
        ready: 0,
        config_map: None,
        deleting: false,
    };
    let of = |owners| from_value::<Pod>(json!({"metadata": {"ownerReferences": owners}})).unwrap();
    assert!(is_pod_of(&of(owned("Job", "p", "job-uid")), Some(&job), None));
    assert!(!is_pod_of(&of(owned("Job", "p", "another")), Some(&job), None));
    assert!(!is_pod_of(
        &from_value::<Pod>(json!({"metadata": {}})).unwrap(),
        Some(&job),
        None
    ));

    let deployment = DeploymentFacts {
        uid: String::new(),
        name: "p-producer".to_owned(),
        run: 1,
        template_hash: String::new(),
        replicas: 1,
        ready: 0,
        settled: false,
        config_map: None,
        deleting: false,
    };
    assert!(is_pod_of(
        &of(owned("ReplicaSet", "p-producer-7d4f", "r")),
        None,
        Some(&deployment)
    ));
    assert!(!is_pod_of(
        &of(owned("ReplicaSet", "p-producer-2-7d4f", "r")),
        None,
        Some(&deployment)
    ));
}

#[test]
fn pod_state_is_the_containers() {
    let read =
        |status: serde_json::Value| pod(&from_value(json!({"metadata": {}, "status": status})).unwrap());
    let container = |state| {
        json!({"containerStatuses": [{
            "name": "workload", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state
        }]})
    };
    assert_eq!(read(container(json!({"running": {}}))).state, PodState::Running);
    let waits = |reason, message| {
        read(container(
            json!({"waiting": {"reason": reason, "message": message}}),
        ))
        .state
    };
    assert_eq!(
        waits("CreateContainerConfigError", "secret \"s\" not found"),
        PodState::Waiting("CreateContainerConfigError: secret \"s\" not found".to_owned())
    );
    // The two faces of one failing pull, with texts that change at each try, are one state.
    assert_eq!(
        waits("ErrImagePull", "failed to resolve"),
        PodState::Waiting("the image i cannot be pulled; the pod's events tell why".to_owned())
    );
    assert_eq!(
        waits("ErrImagePull", "failed to resolve"),
        waits("ImagePullBackOff", "Back-off pulling image, next try in 20s")
    );
    let ended = read(container(
        json!({"terminated": {"exitCode": 137, "reason": "Error", "message": "{}"}}),
    ));
    assert_eq!(
        ended.state,
        PodState::Ended(Ending {
            exit_code: 137,
            reason: "Error".to_owned(),
            message: "{}".to_owned()
        })
    );
    let unscheduled = json!({"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
    ]});
    assert_eq!(
        read(unscheduled).state,
        PodState::Waiting("Unschedulable: no node".to_owned())
    );
    assert_eq!(read(json!({})).state, PodState::Waiting("not started".to_owned()));
}
