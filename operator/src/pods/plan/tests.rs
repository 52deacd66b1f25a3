use ottla_crds::pod::PodSettings;

use super::super::manifests::Owner;
use super::super::names::Role;
use super::*;

const CHILD: &str = "load-producer";

fn workload(run: u32) -> Workload {
    Workload {
        owner: Owner {
            api_version: "ottla.dev/v1alpha1".to_owned(),
            kind: "KafkaProducer".to_owned(),
            namespace: "kafka".to_owned(),
            name: "load".to_owned(),
            uid: "uid".to_owned(),
        },
        role: Role::Producer,
        replicas: 2,
        suspended: false,
        image: "image".to_owned(),
        config: format!("{{\"run\":{run}}}"),
        credentials: None,
        certificates: None,
        settings: PodSettings::default(),
    }
}

/// As the caller builds it: the run number is 0 for the hash.
fn at_run(run: u32) -> Workload {
    workload(run)
}

fn job(state: JobState) -> JobFacts {
    JobFacts {
        uid: "job".to_owned(),
        suspended: false,
        state,
        ttl_seconds: None,
        replicas: 2,
        ready: 0,
        config_map: None,
        deleting: false,
    }
}

fn deployment(run: u32, hash: &str) -> DeploymentFacts {
    DeploymentFacts {
        uid: "uid".to_owned(),
        name: CHILD.to_owned(),
        run,
        template_hash: hash.to_owned(),
        replicas: 2,
        ready: 2,
        settled: true,
        config_map: Some("current".to_owned()),
        deleting: false,
    }
}

fn words(plan: &Plan) -> Vec<String> {
    let word = |action: &Action| match action {
        Action::ApplyConfig(_) => "config".to_owned(),
        Action::CreateJob(_) => "job".to_owned(),
        Action::SuspendJob { suspend, .. } => format!("suspend={suspend}"),
        Action::ExpireJob { seconds, .. } => format!("ttl={seconds}"),
        Action::ApplyDeployment(d) => {
            format!(
                "deployment={}",
                d.metadata.annotations.as_ref().unwrap()["ottla.dev/run"]
            )
        }
        Action::PauseDeployment { .. } => "pause".to_owned(),
        Action::DeleteConfig { name } => format!("delete={name}"),
    };
    plan.actions.iter().map(word).collect()
}

#[rstest::rstest]
#[case::starts(true, false, None, false, Found::Absent, &["config", "job"])]
#[case::waits_for_its_topic(false, false, None, false, Found::Absent, &[])]
#[case::starts_suspended_as_nothing(true, true, None, false, Found::Absent, &[])]
#[case::never_runs_twice(true, false, Some(5), true, Found::Absent, &[])]
#[case::runs(true, false, None, false, Found::Ours(job(JobState::Active)), &[])]
#[case::suspends(true, true, None, false, Found::Ours(job(JobState::Active)), &["suspend=true"])]
#[case::goes_on_while_the_cluster_is_away(false, false, None, false, Found::Ours(job(JobState::Active)), &[])]
#[case::keeps_results_until_stored(true, false, Some(5), false, Found::Ours(job(JobState::Complete)), &[])]
#[case::expires_when_stored(true, false, Some(5), true, Found::Ours(job(JobState::Complete)), &["ttl=5"])]
#[case::expires_failures_too(true, false, Some(0), true, Found::Ours(job(JobState::Failed(String::new()))), &["ttl=0"])]
#[case::stays_without_ttl(true, false, None, true, Found::Ours(job(JobState::Complete)), &[])]
#[case::leaves_a_dying_job(true, true, None, false, Found::Ours(JobFacts { deleting: true, ..job(JobState::Active) }), &[])]
fn bounded_runs(
    #[case] ready: bool,
    #[case] suspend: bool,
    #[case] ttl_seconds: Option<i32>,
    #[case] recorded: bool,
    #[case] found: Found<JobFacts>,
    #[case] expected: &[&str],
) {
    let workload = workload(1);
    let desired = Bounded {
        workload: ready.then_some(&workload),
        suspend,
        ttl_seconds,
        recorded,
    };
    let plan = bounded(&desired, &found, CHILD);
    assert_eq!(words(&plan), expected);
    assert!(plan.refusals.is_empty());
}

#[test]
fn a_foreign_child_is_refused_and_left_alone() {
    let workload = workload(1);
    let desired = Bounded {
        workload: Some(&workload),
        suspend: false,
        ttl_seconds: None,
        recorded: false,
    };
    let plan = bounded(&desired, &Found::Foreign, CHILD);
    assert_eq!(
        plan.refusals,
        [Refusal::NameTaken {
            kind: "Job",
            name: CHILD.to_owned()
        }]
    );
    assert!(plan.actions.is_empty());
    let (plan, _) = endless(
        &Endless {
            workload: Some(&at_run),
            suspend: false,
            recorded_run: 0,
            configs: &[],
        },
        &Found::Foreign,
        CHILD,
    );
    assert_eq!(
        plan.refusals,
        [Refusal::NameTaken {
            kind: "Deployment",
            name: CHILD.to_owned()
        }]
    );
    assert!(plan.actions.is_empty());
}

#[test]
fn an_applied_job_with_its_ttl_needs_nothing_more() {
    let workload = workload(1);
    let desired = Bounded {
        workload: Some(&workload),
        suspend: false,
        ttl_seconds: Some(5),
        recorded: true,
    };
    let found = Found::Ours(JobFacts {
        ttl_seconds: Some(5),
        ..job(JobState::Complete)
    });
    assert_eq!(bounded(&desired, &found, CHILD), Plan::default());
}

#[test]
fn each_change_of_the_pods_is_a_run_of_its_own() {
    let hash = at_run(0).template_hash();
    let plan_for = |found: Found<DeploymentFacts>, recorded_run, configs: &[String]| {
        let (plan, run) = endless(
            &Endless {
                workload: Some(&at_run),
                suspend: false,
                recorded_run,
                configs,
            },
            &found,
            CHILD,
        );
        (words(&plan), run)
    };
    assert_eq!(
        plan_for(Found::Absent, 0, &[]),
        (vec!["config".into(), "deployment=1".into()], 1)
    );
    assert_eq!(plan_for(Found::Ours(deployment(1, &hash)), 1, &[]), (vec![], 1));
    assert_eq!(
        plan_for(Found::Ours(deployment(1, "old")), 1, &[]),
        (vec!["config".into(), "deployment=2".into()], 2)
    );
    // Deleted behind our back: the number goes on from what status remembers.
    assert_eq!(
        plan_for(Found::Absent, 4, &[]),
        (vec!["config".into(), "deployment=5".into()], 5)
    );
    // Scaled by hand: corrected, and the same run.
    let scaled = DeploymentFacts {
        replicas: 9,
        ..deployment(3, &hash)
    };
    assert_eq!(
        plan_for(Found::Ours(scaled), 3, &[]),
        (vec!["config".into(), "deployment=3".into()], 3)
    );
    // Old configurations go only when no pod reads them.
    let configs = ["old".to_owned(), "current".to_owned()];
    assert_eq!(
        plan_for(Found::Ours(deployment(2, &hash)), 2, &configs),
        (vec!["delete=old".into()], 2)
    );
    let rolling = DeploymentFacts {
        settled: false,
        ..deployment(2, &hash)
    };
    assert_eq!(plan_for(Found::Ours(rolling), 2, &configs), (vec![], 2));
}

#[test]
fn an_endless_workload_that_waits_is_left_as_it_is() {
    let waiting = Endless {
        workload: None,
        suspend: false,
        recorded_run: 2,
        configs: &[],
    };
    assert_eq!(
        endless(&waiting, &Found::Ours(deployment(2, "old")), CHILD),
        (Plan::default(), 2)
    );
    assert_eq!(endless(&waiting, &Found::Absent, CHILD), (Plan::default(), 2));
}

#[test]
fn suspend_is_obeyed_even_while_something_is_waited_for() {
    let waiting = Endless {
        workload: None,
        suspend: true,
        recorded_run: 2,
        configs: &[],
    };
    let (plan, run) = endless(&waiting, &Found::Ours(deployment(2, "old")), CHILD);
    assert_eq!((words(&plan), run), (vec!["pause".to_owned()], 2));
    let paused = DeploymentFacts {
        replicas: 0,
        ..deployment(2, "old")
    };
    assert_eq!(
        endless(&waiting, &Found::Ours(paused), CHILD),
        (Plan::default(), 2)
    );
}
