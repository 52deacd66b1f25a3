//! Which children a workload needs changed: the one place where Jobs and Deployments of ours are decided on.
//!
//! Pure and total. What may not be done comes back as a refusal, never as an error.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;

use super::children::{DeploymentFacts, Found, JobFacts, JobState};
use super::manifests::{self, Workload};

/// One change to Kubernetes. Every change the operator makes for a workload is one of these.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Writes the configuration the pods read.
    ApplyConfig(Box<ConfigMap>),
    /// Starts a bounded run.
    CreateJob(Box<Job>),
    /// Stops or goes on with a bounded run.
    SuspendJob {
        /// Name of the Job.
        name: String,
        /// Uid of the Job this was decided for.
        uid: String,
        /// New value.
        suspend: bool,
    },
    /// Lets Kubernetes delete a finished Job whose results are stored.
    ExpireJob {
        /// Name of the Job.
        name: String,
        /// Uid of the Job this was decided for.
        uid: String,
        /// Seconds after its end.
        seconds: i32,
    },
    /// Starts or changes an endless workload.
    ApplyDeployment(Box<Deployment>),
    /// Takes the pods of an endless workload away, and leaves all else as it is.
    PauseDeployment {
        /// Name of the Deployment.
        name: String,
        /// Uid of the Deployment this was decided for.
        uid: String,
    },
    /// Removes a configuration no pod reads any more.
    DeleteConfig {
        /// Name of the `ConfigMap`.
        name: String,
    },
}

/// What may not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A Job or Deployment of that name belongs to somebody else.
    NameTaken {
        /// Kind of the object in the way.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

/// Actions in order, and what was refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// To be performed one after the other.
    pub actions: Vec<Action>,
    /// Told in status.
    pub refusals: Vec<Refusal>,
}

/// A bounded run as declared.
#[derive(Clone, Debug)]
pub struct Bounded<'a> {
    /// What its pods are to be; none while something is waited for.
    pub workload: Option<&'a Workload>,
    /// No pods for now.
    pub suspend: bool,
    /// When to delete a finished Job; `None` keeps it.
    pub ttl_seconds: Option<i32>,
    /// Status holds the results: the run is never started again.
    pub recorded: bool,
}

/// Plans a bounded run. A Job once started keeps its template, whatever the operator would make today.
#[must_use]
pub fn bounded(desired: &Bounded<'_>, found: &Found<JobFacts>, child: &str) -> Plan {
    let mut plan = Plan::default();
    match found {
        Found::Foreign => {
            if !desired.recorded {
                plan.refusals.push(Refusal::NameTaken {
                    kind: "Job",
                    name: child.to_owned(),
                });
            }
        }
        Found::Absent => {
            if let Some(workload) = desired.workload.filter(|_| !desired.recorded && !desired.suspend) {
                plan.actions
                    .push(Action::ApplyConfig(Box::new(manifests::config_map(workload))));
                plan.actions
                    .push(Action::CreateJob(Box::new(manifests::job(workload))));
            }
        }
        Found::Ours(job) if job.deleting => {}
        Found::Ours(job) => plan.actions.extend(existing_job(desired, job, child)),
    }
    plan
}

fn existing_job(desired: &Bounded<'_>, job: &JobFacts, child: &str) -> Option<Action> {
    let (name, uid) = (child.to_owned(), job.uid.clone());
    if job.state == JobState::Active {
        let differs = job.suspended != desired.suspend;
        return differs.then_some(Action::SuspendJob {
            name,
            uid,
            suspend: desired.suspend,
        });
    }
    let seconds = desired.ttl_seconds.filter(|_| desired.recorded)?;
    (job.ttl_seconds != Some(seconds)).then_some(Action::ExpireJob { name, uid, seconds })
}

/// An endless workload as declared.
pub struct Endless<'a> {
    /// What the pods of the run with that number are to be; none while something is waited for.
    pub workload: Option<&'a (dyn Fn(u32) -> Workload + Sync)>,
    /// No pods for now; obeyed even while something is waited for.
    pub suspend: bool,
    /// The last run number that status tells of, 0 for none: a run number is never used twice.
    pub recorded_run: u32,
    /// Configurations of ours that exist.
    pub configs: &'a [String],
}

/// Plans an endless workload, and tells the run number that holds after it.
#[must_use]
pub fn endless(desired: &Endless<'_>, found: &Found<DeploymentFacts>, child: &str) -> (Plan, u32) {
    let mut plan = Plan::default();
    let current = found.ours().map_or(0, |d| d.run).max(desired.recorded_run);
    if *found == Found::Foreign {
        plan.refusals.push(Refusal::NameTaken {
            kind: "Deployment",
            name: child.to_owned(),
        });
        return (plan, current);
    }
    let deployment = found.ours();
    let Some(workload_of) = desired
        .workload
        .filter(|_| !deployment.is_some_and(|d| d.deleting))
    else {
        plan.actions.extend(pause(desired, deployment, child));
        return (plan, current);
    };
    // The hash leaves the run number out, or each run would be the cause of the next.
    let hash = workload_of(0).template_hash();
    let same = deployment.is_some_and(|d| d.template_hash == hash && d.run > 0);
    let run = if same {
        deployment.map_or(current, |d| d.run)
    } else {
        current + 1
    };
    let workload = workload_of(run);
    let manifest = manifests::deployment(&workload, run, &hash);
    let replicas = manifest.spec.replicas;
    if !same || deployment.map(|d| d.replicas) != replicas {
        plan.actions
            .push(Action::ApplyConfig(Box::new(manifests::config_map(&workload))));
        plan.actions.push(Action::ApplyDeployment(Box::new(manifest)));
    } else if let Some(in_use) = deployment
        .filter(|d| d.settled)
        .and_then(|d| d.config_map.as_ref())
    {
        let stale = desired.configs.iter().filter(|name| *name != in_use);
        plan.actions
            .extend(stale.map(|name| Action::DeleteConfig { name: name.clone() }));
    }
    (plan, run)
}

fn pause(desired: &Endless<'_>, deployment: Option<&DeploymentFacts>, child: &str) -> Option<Action> {
    let running = deployment.filter(|d| desired.suspend && !d.deleting && d.replicas != 0)?;
    Some(Action::PauseDeployment {
        name: child.to_owned(),
        uid: running.uid.clone(),
    })
}

#[cfg(test)]
mod tests;
