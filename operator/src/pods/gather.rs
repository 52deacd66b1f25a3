//! What the pods of a workload say: the live report of each that runs, the last words of each that ended, and the
//! last report of each that is gone.
//!
//! Needs a network, no Kubernetes client. It passes on what was said and judges nothing. Memory only: what must
//! outlive the operator is in statuses and, until a Job is deleted, in its pods.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use ottla_contract::ids::Incarnation;
use ottla_contract::report::{ConsumerReport, Process, ProducerReport};
use ottla_contract::summary::{Report, TerminationSummary};
use serde::de::DeserializeOwned;
use tracing::debug;

use super::children::{Ending, PodFacts, PodState};
use super::fetch::Fetcher;
use super::template::HTTP_PORT;
use crate::runtime::error::chain;

/// Reports fetched at once, of one object's pods.
const CONCURRENCY: usize = 16;
/// Processes of one object remembered.
const MAX_PROCESSES: usize = 4_000;

/// A report of either role.
pub trait Reported: DeserializeOwned + Clone + Send {
    /// The process that speaks.
    fn process(&self) -> &Process;
    /// Names the pod it speaks from; the report's own word does not count.
    fn set_pod(&mut self, pod: &str);
    /// The report within a termination message, if it is of this role.
    fn of_summary(report: Report) -> Option<Self>;
    /// What the process itself said it lacks room for in its last words is taken over from its last report.
    fn complete_from(&mut self, earlier: &Self);
}

impl Reported for ProducerReport {
    fn process(&self) -> &Process {
        &self.process
    }

    fn set_pod(&mut self, pod: &str) {
        pod.clone_into(&mut self.process.pod);
    }

    fn of_summary(report: Report) -> Option<Self> {
        match report {
            Report::Producer(report) => Some(report),
            Report::Consumer(_) => None,
        }
    }

    fn complete_from(&mut self, earlier: &Self) {
        for known in &earlier.incarnations {
            match self.incarnations.iter_mut().find(|i| i.id == known.id) {
                Some(ours) => ours.complete_from(known),
                None if self.truncated => self.incarnations.push(known.clone()),
                None => {}
            }
        }
    }
}

impl Reported for ConsumerReport {
    fn process(&self) -> &Process {
        &self.process
    }

    fn set_pod(&mut self, pod: &str) {
        pod.clone_into(&mut self.process.pod);
    }

    fn of_summary(report: Report) -> Option<Self> {
        match report {
            Report::Consumer(report) => Some(report),
            Report::Producer(_) => None,
        }
    }

    fn complete_from(&mut self, earlier: &Self) {
        if self.segments.is_empty() {
            self.segments.clone_from(&earlier.segments);
        }
    }
}

/// What one process said last.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<R> {
    /// Uid of its pod.
    pub pod_uid: String,
    /// Its newest report.
    pub report: R,
    /// It ended, or its pod is gone: it will say no more.
    pub ended: bool,
}

/// What the processes of one object said.
#[derive(Debug)]
struct Seen<R> {
    by_process: BTreeMap<Process, Said<R>>,
    /// Uids of pods whose words count no longer.
    former: HashSet<String>,
}

impl<R> Default for Seen<R> {
    fn default() -> Self {
        Self {
            by_process: BTreeMap::new(),
            former: HashSet::new(),
        }
    }
}

/// Remembers and fetches what processes say; one for each kind of report.
#[derive(Debug)]
pub struct Gatherer<R> {
    fetcher: Fetcher,
    /// By object uid.
    seen: Mutex<HashMap<String, Seen<R>>>,
}

impl<R> Default for Gatherer<R> {
    fn default() -> Self {
        Self::on_port(HTTP_PORT)
    }
}

impl<R> Gatherer<R> {
    /// A gatherer of reports served on `port`.
    #[must_use]
    pub fn on_port(port: u16) -> Self {
        Self {
            fetcher: Fetcher::new(port),
            seen: Mutex::default(),
        }
    }

    /// Drops what is remembered of an object that needs no more gathering.
    pub fn forget(&self, object_uid: &str) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(object_uid);
    }
}

impl<R: Reported> Gatherer<R> {
    /// What is remembered of an object, without asking anybody.
    #[must_use]
    pub fn remembered(&self, object_uid: &str) -> Vec<Said<R>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(object_uid)
            .map(|known| known.by_process.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Begins anew: what was said until now counts no longer, and of the pods that are known only those that run
    /// may still say anything. `pods` are all that there are.
    pub fn begin_anew(&self, object_uid: &str, pods: &[PodFacts]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(object_uid.to_owned()).or_default();
        let runs = |uid: &str| {
            pods.iter()
                .any(|pod| pod.uid == uid && pod.state == PodState::Running)
        };
        let spoke = std::mem::take(&mut known.by_process)
            .into_values()
            .map(|said| said.pod_uid);
        let ended = pods
            .iter()
            .filter(|pod| matches!(pod.state, PodState::Ended(_)))
            .map(|pod| pod.uid.clone());
        known.former.extend(spoke.chain(ended).filter(|uid| !runs(uid)));
    }

    /// Takes in the last words of one pod as soon as they are known: it may be gone before the next pass.
    pub fn hear(&self, object_uid: &str, pod: &PodFacts) {
        let words: Vec<Said<R>> = endings(pod)
            .filter_map(|ending| last_words(pod, ending))
            .collect();
        if words.is_empty() {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(object_uid.to_owned()).or_default();
        for said in words {
            take_in(known, pod, said);
        }
    }

    /// Asks every pod that runs for its report, reads the last words of those that ended, and tells what all
    /// processes of the object ever said.
    pub async fn gather(&self, object_uid: &str, pods: &[PodFacts]) -> Vec<Said<R>> {
        let asked: Vec<_> = pods
            .iter()
            .filter(|pod| pod.state == PodState::Running)
            .filter_map(|pod| Some((pod.uid.clone(), pod.name.clone(), pod.ip?)))
            .map(|(uid, name, ip)| ask(self.fetcher.clone(), uid, name, ip))
            .collect();
        let mut answers = futures::stream::iter(asked).buffer_unordered(CONCURRENCY);
        let mut live = Vec::new();
        while let Some(answer) = answers.next().await {
            live.extend(answer);
        }
        let last_words = pods
            .iter()
            .flat_map(|pod| endings(pod).filter_map(|ending| last_words(pod, ending)));
        self.remember(object_uid, pods, last_words.chain(live).collect())
    }

    fn remember(&self, object_uid: &str, pods: &[PodFacts], news: Vec<Said<R>>) -> Vec<Said<R>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(object_uid.to_owned()).or_default();
        let speaking: HashMap<String, Incarnation> = news
            .iter()
            .filter(|said| !said.ended)
            .map(|said| (said.pod_uid.clone(), said.report.process().start))
            .collect();
        for said in news {
            if let Some(pod) = pods.iter().find(|pod| pod.uid == said.pod_uid) {
                take_in(known, pod, said);
            }
        }
        for (process, said) in &mut known.by_process {
            let running = pods
                .iter()
                .any(|pod| pod.uid == said.pod_uid && pod.state == PodState::Running);
            let replaced = speaking
                .get(&said.pod_uid)
                .is_some_and(|start| *start != process.start);
            said.ended = said.ended || !running || replaced;
        }
        while known.by_process.len() > MAX_PROCESSES {
            known.by_process.pop_first();
        }
        known.by_process.values().cloned().collect()
    }
}

async fn ask<R: Reported>(fetcher: Fetcher, uid: String, name: String, ip: IpAddr) -> Option<Said<R>> {
    let body = match fetcher.report(ip).await {
        Ok(body) => body,
        Err(error) => {
            debug!(pod = name, error = chain(&error), "Pod gave no report");
            return None;
        }
    };
    let report = serde_json::from_slice(&body)
        .inspect_err(|error| debug!(pod = name, %error, "Pod gave a report that cannot be read"))
        .ok()?;
    Some(Said {
        pod_uid: uid,
        report,
        ended: false,
    })
}

fn endings(pod: &PodFacts) -> impl Iterator<Item = &Ending> {
    let now = match &pod.state {
        PodState::Ended(ending) => Some(ending),
        PodState::Waiting(_) | PodState::Running => None,
    };
    pod.previous.iter().chain(now)
}

fn last_words<R: Reported>(pod: &PodFacts, ending: &Ending) -> Option<Said<R>> {
    if ending.message.is_empty() {
        return None;
    }
    let summary = TerminationSummary::from_message(&ending.message)
        .inspect_err(|error| {
            debug!(
                pod = pod.name,
                error = chain(error),
                "Pod left words that cannot be read"
            );
        })
        .ok()?;
    let report = R::of_summary(summary.report)?;
    Some(Said {
        pod_uid: pod.uid.clone(),
        report,
        ended: true,
    })
}

/// The pod's name is Kubernetes' word, not the report's: no pod speaks for another.
fn take_in<R: Reported>(known: &mut Seen<R>, pod: &PodFacts, mut said: Said<R>) {
    if known.former.contains(&pod.uid) {
        return;
    }
    said.report.set_pod(&pod.name);
    let process = said.report.process().clone();
    if let Some(earlier) = known.by_process.get(&process) {
        said.report.complete_from(&earlier.report);
    }
    known.by_process.insert(process, said);
}

#[cfg(test)]
mod tests;
