//! One pass over a workload's children: observe, plan, execute. What the pods say and what it means is the kind's.
//!
//! No rule lives here.

use std::time::Duration;

use kube::Resource;
use ottla_contract::config;
use ottla_contract::ids::Uid;
use ottla_crds::pod::PodSettings;

use super::children::{DeploymentFacts, Found, JobState, PodFacts, PodState};
use super::manifests::{Owner, Workload};
use super::names::{self, Role};
use super::plan::{self, Bounded, Endless, Plan, Refusal};
use super::reason::Reason;
use super::standing::{Situation, Standing, stand};
use super::target::Target;
use super::{Memory, connect, execute, observe};
use crate::runtime::{Action, Context, Error};

/// How often the pods of a bounded run are asked.
const BOUNDED: Duration = Duration::from_secs(2);
/// How often the pods of an endless workload are asked.
const ENDLESS: Duration = Duration::from_secs(5);

/// A workload as declared.
pub struct Declared<'a> {
    /// The object.
    pub owner: Owner,
    /// Its uid, as the pods know it.
    pub uid: Uid,
    /// Produces or consumes.
    pub role: Role,
    /// Number of pods.
    pub replicas: i32,
    /// No pods for now.
    pub suspend: bool,
    /// It ends by itself.
    pub bounded: bool,
    /// When to delete a finished Job.
    pub ttl_seconds: Option<i32>,
    /// The user's settings for the pods.
    pub settings: &'a PodSettings,
    /// Where the pods connect, or why nothing may be started.
    pub target: Result<Target, Standing>,
    /// What the pods do in the run with this number.
    pub work: &'a (dyn Fn(u32) -> config::Workload + Sync),
    /// The results of a bounded run are stored.
    pub recorded: bool,
    /// The last run number that status tells of.
    pub recorded_run: u32,
    /// What is remembered between passes.
    pub memory: &'a Memory,
}

/// The children after a pass.
#[derive(Clone, Debug)]
pub struct Passed {
    /// State of the Job or Deployment, and the pods it wants.
    pub child: Option<(JobState, i32)>,
    /// The pods, as they were found.
    pub pods: Vec<PodFacts>,
    /// What was refused.
    pub refusals: Vec<Refusal>,
    /// Why nothing may be started.
    pub hold: Option<Standing>,
    /// The run number.
    pub run: u32,
    /// `spec.suspend`.
    pub suspend: bool,
}

impl Passed {
    /// How the workload stands, given what its pods last complained of.
    #[must_use]
    pub fn standing(&self, trouble: Option<&str>) -> Standing {
        stand(&Situation {
            suspend: self.suspend,
            hold: self.hold.as_ref(),
            refusals: &self.refusals,
            child: self.child.as_ref().map(|(state, wanted)| (state, *wanted)),
            pods: &self.pods,
            trouble,
        })
    }

    /// Number of pods that have not ended.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        let live = self
            .pods
            .iter()
            .filter(|pod| !matches!(pod.state, PodState::Ended(_)));
        i32::try_from(live.count()).unwrap_or(i32::MAX)
    }
}

/// Brings the children one step nearer to what is declared.
///
/// # Errors
///
/// When the API server refuses or does not answer.
pub async fn pass(ctx: &Context, mut declared: Declared<'_>) -> Result<Passed, Error> {
    if declared.bounded {
        bounded(ctx, &mut declared).await
    } else {
        endless(ctx, &mut declared).await
    }
}

async fn bounded(ctx: &Context, declared: &mut Declared<'_>) -> Result<Passed, Error> {
    let found = observe::bounded(ctx, declared.role, &declared.owner, declared.recorded).await?;
    check_credentials(ctx, declared, found.child == Found::Absent).await?;
    let workload = declared
        .target
        .as_ref()
        .ok()
        .map(|target| build(ctx, declared, target, 1));
    let desired = Bounded {
        workload: workload.as_ref(),
        suspend: declared.suspend,
        ttl_seconds: declared.ttl_seconds,
        recorded: declared.recorded,
    };
    let Plan { actions, refusals } = plan::bounded(
        &desired,
        &found.child,
        &names::child_name(declared.role, &declared.owner.name),
    );
    execute::perform(ctx, declared.role, &declared.owner, actions).await?;
    Ok(Passed {
        child: found.child.ours().map(|job| (job.state.clone(), job.replicas)),
        pods: found.pods,
        refusals,
        hold: declared.target.as_ref().err().cloned(),
        run: 1,
        suspend: declared.suspend,
    })
}

async fn endless(ctx: &Context, declared: &mut Declared<'_>) -> Result<Passed, Error> {
    let found = observe::endless(ctx, declared.role, &declared.owner).await?;
    check_credentials(ctx, declared, found.child == Found::Absent).await?;
    // Old configurations can only be there after a change of the pods, and are looked for once after each.
    let swept = |d: &DeploymentFacts| declared.memory.swept(&declared.owner.uid, d.run);
    let configs = match found.child.ours().filter(|d| d.settled && d.run > 1 && !swept(d)) {
        Some(_) => observe::configs(ctx, declared.role, &declared.owner).await?,
        None => vec![],
    };
    let (Plan { actions, refusals }, run) = plan_endless(ctx, declared, &found.child, &configs);
    execute::perform(ctx, declared.role, &declared.owner, actions).await?;
    if found.child.ours().is_some_and(|d| d.settled) {
        declared.memory.sweep(&declared.owner.uid, run);
    }
    Ok(Passed {
        child: found
            .child
            .ours()
            .map(|deployment| (JobState::Active, deployment.replicas)),
        pods: found.pods,
        refusals,
        hold: declared.target.as_ref().err().cloned(),
        run,
        suspend: declared.suspend,
    })
}

fn plan_endless(
    ctx: &Context,
    declared: &Declared<'_>,
    found: &Found<DeploymentFacts>,
    configs: &[String],
) -> (Plan, u32) {
    let child = names::child_name(declared.role, &declared.owner.name);
    let waiting = Endless {
        workload: None,
        suspend: declared.suspend,
        recorded_run: declared.recorded_run,
        configs,
    };
    match &declared.target {
        Ok(target) => {
            let workload = |run| build(ctx, declared, target, run);
            plan::endless(
                &Endless {
                    workload: Some(&workload),
                    ..waiting
                },
                found,
                &child,
            )
        }
        Err(_) => plan::endless(&waiting, found, &child),
    }
}

/// Before the first pod: a missing Secret would leave it waiting without a word in our status.
async fn check_credentials(ctx: &Context, declared: &mut Declared<'_>, first: bool) -> Result<(), Error> {
    if !first || declared.recorded || declared.suspend {
        return Ok(());
    }
    let Ok(target) = &declared.target else {
        return Ok(());
    };
    if let Some(problem) = observe::missing_credentials(ctx, &declared.owner.namespace, target).await? {
        declared.target = Err(Standing::new(Reason::from(&problem), problem.to_string()));
    }
    Ok(())
}

fn build(ctx: &Context, declared: &Declared<'_>, target: &Target, run: u32) -> Workload {
    Workload {
        owner: declared.owner.clone(),
        role: declared.role,
        replicas: declared.replicas,
        suspended: declared.suspend,
        image: ctx.config.workload_image.clone(),
        config: connect::pod_config(declared.uid, target, (declared.work)(run)),
        credentials: target.credentials.clone(),
        certificates: target.certificates.clone(),
        settings: declared.settings.clone(),
    }
}

/// When to look again.
#[must_use]
pub fn again(standing: &Standing, passed: &Passed, bounded: bool, figures: Option<Duration>) -> Action {
    match standing.reason {
        // Its end is stored now: the next pass lets the Job expire.
        Reason::Completed | Reason::Failed => Action::After(Duration::ZERO),
        Reason::Running | Reason::Pending if passed.child.is_some() => {
            let pace = if bounded { BOUNDED } else { ENDLESS };
            Action::After(figures.map_or(pace, |wait| wait.min(pace)))
        }
        // Secrets are not watched; the rest is, and this is only for a missed event.
        Reason::SecretNotFound
        | Reason::SecretKeyMissing
        | Reason::SecretInvalid
        | Reason::SecretForbidden => Action::After(Duration::from_secs(10)),
        Reason::Pending => Action::After(BOUNDED),
        Reason::InvalidSpec | Reason::Suspended | Reason::CredentialsRequired => Action::AwaitChange,
        _ => Action::After(Duration::from_secs(60)),
    }
}

/// The object as the owner of children.
#[must_use]
pub fn owner<K: Resource<DynamicType = ()>>(object: &K) -> Owner {
    let meta = object.meta();
    Owner {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
    }
}

/// The object's uid as the pods know it.
///
/// # Errors
///
/// When it is none; the API server gives every object one.
pub fn object_uid(owner: &Owner) -> Result<Uid, Error> {
    owner
        .uid
        .parse()
        .map_err(|error| Error::Internal(format!("the object's uid is no uid: {error}")))
}
