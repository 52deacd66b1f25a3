//! How a workload stands: the one reason of its `Ready` condition, drawn from its children.
//!
//! Pure. It says nothing about records; that is the verdict's.

use super::children::{JobState, PodFacts, PodState};
use super::plan::Refusal;
use super::reason::Reason;
use super::target::Hold;

/// Why a workload is Ready or not, in a word and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// In one word.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
}

impl Standing {
    /// A standing.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// The bounded run is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.reason, Reason::Completed | Reason::Failed)
    }
}

impl From<Hold> for Standing {
    fn from(hold: Hold) -> Self {
        Self {
            reason: hold.reason.into(),
            message: hold.message,
        }
    }
}

/// What a standing is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// `spec.suspend`.
    pub suspend: bool,
    /// Why nothing may be started, if so.
    pub hold: Option<&'a Standing>,
    /// What was refused.
    pub refusals: &'a [Refusal],
    /// Pods wanted by the Job or Deployment and its state; none when there is none. A Deployment is always active.
    pub child: Option<(&'a JobState, i32)>,
    /// The pods.
    pub pods: &'a [PodFacts],
    /// What pods last complained of.
    pub trouble: Option<&'a str>,
}

/// Draws the standing.
#[must_use]
pub fn stand(situation: &Situation<'_>) -> Standing {
    match situation.child {
        Some((JobState::Complete, _)) => return Standing::new(Reason::Completed, ""),
        Some((JobState::Failed(why), _)) => return Standing::new(Reason::Failed, failure(why, situation)),
        Some((JobState::Active, _)) | None => {}
    }
    if let Some(Refusal::NameTaken { kind, name }) = situation.refusals.first() {
        let message =
            format!("a {kind} named {name} belongs to somebody else: delete it, or rename this object");
        return Standing::new(Reason::NameTaken, message);
    }
    if situation.suspend {
        return Standing::new(
            Reason::Suspended,
            "suspend is true, or a purge of the topic wants the pods away",
        );
    }
    let Some((_, wanted)) = situation.child else {
        let starting = || Standing::new(Reason::Pending, "pods are about to be started");
        return situation.hold.cloned().unwrap_or_else(starting);
    };
    active(situation, wanted)
}

fn active(situation: &Situation<'_>, wanted: i32) -> Standing {
    let running = situation
        .pods
        .iter()
        .filter(|pod| pod.state == PodState::Running)
        .count();
    let done = situation
        .pods
        .iter()
        .filter(|pod| matches!(&pod.state, PodState::Ended(e) if e.exit_code == 0))
        .count();
    let mut message = match (running, done) {
        (0, 0) => String::new(),
        (_, 0) => format!("{running} of {wanted} pods run"),
        _ => format!("{running} of {wanted} pods run, {done} are done"),
    };
    if running + done > 0 || wanted == 0 {
        if let Some(trouble) = situation.trouble {
            message.push_str("; last trouble: ");
            message.push_str(trouble);
        }
        return Standing::new(Reason::Running, message);
    }
    let waiting = situation.pods.iter().find_map(|pod| match &pod.state {
        PodState::Waiting(why) => Some(format!("pod {} waits: {why}", pod.name)),
        PodState::Running | PodState::Ended(_) => None,
    });
    let ended = || {
        situation.pods.iter().rev().find_map(|pod| match &pod.state {
            PodState::Ended(ending) => Some(format!(
                "pod {} ended with exit code {}",
                pod.name, ending.exit_code
            )),
            PodState::Waiting(_) | PodState::Running => None,
        })
    };
    Standing::new(
        Reason::Pending,
        waiting
            .or_else(ended)
            .unwrap_or_else(|| "no pod has started yet".to_owned()),
    )
}

/// A failure in the words of the pod that failed, where it left any.
fn failure(why: &str, situation: &Situation<'_>) -> String {
    let failed = situation.pods.iter().find_map(|pod| match &pod.state {
        PodState::Ended(ending) if ending.exit_code != 0 => Some((pod, ending)),
        PodState::Ended(_) | PodState::Waiting(_) | PodState::Running => None,
    });
    let trouble = situation
        .trouble
        .map(|trouble| format!(": {trouble}"))
        .unwrap_or_default();
    match failed {
        Some((pod, ending)) => format!(
            "pod {} ended with exit code {}{trouble}; {why}",
            pod.name, ending.exit_code
        ),
        None => format!("{why}{trouble}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::children::Ending;
    use super::super::target::HoldReason;
    use super::*;

    fn pod(state: PodState) -> PodFacts {
        PodFacts {
            uid: String::new(),
            name: "p".to_owned(),
            index: None,
            ip: None,
            state,
            previous: None,
        }
    }

    fn ended(exit_code: i32) -> PodState {
        PodState::Ended(Ending {
            exit_code,
            reason: String::new(),
            message: String::new(),
        })
    }

    const NOTHING: Situation<'_> = Situation {
        suspend: false,
        hold: None,
        refusals: &[],
        child: None,
        pods: &[],
        trouble: None,
    };
    const ACTIVE: JobState = JobState::Active;

    #[test]
    fn what_is_waited_for_is_told_while_nothing_runs() {
        let hold = Hold {
            reason: HoldReason::TopicNotReady,
            message: "KafkaTopic t is not Ready".to_owned(),
        };
        let hold = Standing::from(hold);
        let waiting = Situation {
            hold: Some(&hold),
            ..NOTHING
        };
        assert_eq!(stand(&waiting), hold);
        let pods = [pod(PodState::Running)];
        let running = Situation {
            child: Some((&ACTIVE, 1)),
            pods: &pods,
            ..waiting
        };
        assert_eq!(stand(&running).reason, Reason::Running);
        assert_eq!(
            stand(&Situation {
                suspend: true,
                ..waiting
            })
            .reason,
            Reason::Suspended
        );
    }

    #[test]
    fn a_pod_that_cannot_start_is_named() {
        let pods = [pod(PodState::Waiting(
            "ImagePullBackOff: no such image".to_owned(),
        ))];
        let standing = stand(&Situation {
            child: Some((&ACTIVE, 1)),
            pods: &pods,
            ..NOTHING
        });
        assert_eq!(standing.reason, Reason::Pending);
        assert_eq!(standing.message, "pod p waits: ImagePullBackOff: no such image");
    }

    #[test]
    fn a_failure_has_the_pods_words() {
        let (failed, pods) = (
            JobState::Failed("FailedIndexes: 1".to_owned()),
            [pod(ended(0)), pod(ended(1))],
        );
        let trouble = Some("the deadline passed");
        let standing = stand(&Situation {
            child: Some((&failed, 2)),
            pods: &pods,
            trouble,
            ..NOTHING
        });
        assert_eq!(standing.reason, Reason::Failed);
        assert_eq!(
            standing.message,
            "pod p ended with exit code 1: the deadline passed; FailedIndexes: 1"
        );
    }

    #[test]
    fn the_end_outranks_everything() {
        let complete = JobState::Complete;
        let over = Situation {
            suspend: true,
            child: Some((&complete, 1)),
            ..NOTHING
        };
        assert!(stand(&over).is_over());
    }

    #[test]
    fn some_done_and_none_running_is_running_still() {
        let pods = [
            pod(ended(0)),
            pod(PodState::Waiting("ContainerCreating".to_owned())),
        ];
        let standing = stand(&Situation {
            child: Some((&ACTIVE, 2)),
            pods: &pods,
            ..NOTHING
        });
        assert_eq!(
            (standing.reason, standing.message.as_str()),
            (Reason::Running, "0 of 2 pods run, 1 are done")
        );
    }
}
