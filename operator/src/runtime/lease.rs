//! The right to act where several operators run: a Lease in the Kubernetes API that one of them holds.
//!
//! ```text
//! candidate ──takes a free Lease──► holder ──stops──► released: the next takes it within a second
//!     ▲                               │
//!     └──renewed too late, or taken───┘ its permit has ended, nothing more is sent
//! ```
//!
//! No clock of another machine is believed. The holder's right ends by its own monotonic clock: the Lease's duration after it
//! *began* the last renewal that succeeded. A candidate counts the same duration from when it *saw* the Lease renewed, which
//! is later. So two never have the right at once, whatever `renewTime` says; that is for people to read.
//!
//! *Architecture Invariant:* whoever has lost the Lease gets a new permit with the next one; an old permit never holds again.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use ottla_kafka::permit::Permit;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::context::Clock;
use super::error::{Error, chain};
use super::health::Health;

/// Name of the loop in the health report.
const LOOP: &str = "lease";

/// Which Lease is contended for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl FromStr for LeaseName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err(format!("\"{text}\" is not namespace/name")),
        }
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// How time is cut. A killed holder's successor acts after at most `duration + poll` and what one call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long the right lasts after a renewal.
    pub duration: Duration,
    /// How often the holder renews.
    pub renew: Duration,
    /// How often a candidate looks, and how soon a failed renewal is tried again.
    pub poll: Duration,
    /// Longest wait for one answer of the API server.
    pub call: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(10),
            renew: Duration::from_secs(2),
            poll: Duration::from_secs(1),
            call: Duration::from_millis(2_500),
        }
    }
}

/// One operator that may come to hold the Lease.
pub struct Candidate {
    api: Api<Lease>,
    name: LeaseName,
    identity: String,
    timing: Timing,
    health: Arc<Health>,
    clock: Clock,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("name", &self.name)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Candidate {
    /// A candidate for that Lease. `identity` must be no other living process's: a Lease in its name is taken for its own,
    /// so that a container that was restarted in its pod need not wait for itself.
    #[must_use]
    pub fn new(client: Client, name: LeaseName, identity: String, health: Arc<Health>) -> Self {
        Self {
            api: Api::namespaced(client, &name.namespace),
            name,
            identity,
            timing: Timing::default(),
            health,
            clock: Box::new(jiff::Timestamp::now),
        }
    }

    /// Waits for the Lease, as long as it takes. The permit holds from then on.
    pub async fn acquire(&self, permit: &Permit) -> Held<'_> {
        let mut sighting = Sighting::default();
        let mut failing = false;
        info!(lease = %self.name, identity = self.identity, "Stands by");
        loop {
            self.health.beat(LOOP);
            match self.attempt(&mut sighting).await {
                Ok(Some((lease, deadline))) if permit.grant_until(deadline) => {
                    info!(lease = %self.name, identity = self.identity, "Became the leader");
                    return Held {
                        candidate: self,
                        lease,
                        permit: permit.clone(),
                        deadline,
                    };
                }
                Ok(_) => failing = false,
                Err(Error::Conflict { .. }) => debug!(lease = %self.name, "Another candidate was faster"),
                // Said once: while the API server is away this is normal.
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    warn!(lease = %self.name, error = chain(&error), "Could not look at the Lease, will try again");
                }
                Err(error) => {
                    debug!(lease = %self.name, error = chain(&error), "Could not look at the Lease");
                }
            }
            let free_in = sighting
                .free_at
                .map(|at| at.saturating_duration_since(Instant::now()));
            sleep(
                free_in
                    .filter(|wait| !wait.is_zero())
                    .map_or(self.timing.poll, |wait| wait.min(self.timing.poll)),
            )
            .await;
        }
    }

    /// Looks, and takes the Lease if it is free; answers it with the moment up to which it is ours.
    async fn attempt(&self, sighting: &mut Sighting) -> Result<Option<(Lease, Instant)>, Error> {
        let found = self
            .call("read the Lease", self.api.get_opt(&self.name.name))
            .await?;
        sighting.look(found.as_ref(), &self.identity, self.timing.duration);
        if !sighting.is_free() {
            return Ok(None);
        }
        let before = Instant::now();
        let taken = match found {
            Some(lease) => self.replace("take the Lease", self.taken(lease)).await?,
            None => self.create().await?,
        };
        Ok(Some((taken, before + self.timing.duration)))
    }

    async fn create(&self) -> Result<Lease, Error> {
        let lease = self.taken(Lease {
            metadata: ObjectMeta {
                name: Some(self.name.name.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        self.call(
            "create the Lease",
            self.api.create(&PostParams::default(), &lease),
        )
        .await
    }

    /// Writes the Lease as it was read, with another spec: refused with a conflict if anything changed since.
    async fn replace(&self, operation: &'static str, lease: Lease) -> Result<Lease, Error> {
        self.call(
            operation,
            self.api.replace(&self.name.name, &PostParams::default(), &lease),
        )
        .await
    }

    /// The Lease in our name from now on.
    fn taken(&self, mut lease: Lease) -> Lease {
        let now = MicroTime((self.clock)());
        let old = lease.spec.take().unwrap_or_default();
        let same = old.holder_identity.as_deref() == Some(&self.identity);
        let transitions = old.lease_transitions.unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timing.duration.as_secs()).ok(),
            acquire_time: old.acquire_time.filter(|_| same).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if same {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..old
        });
        lease
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        holder(lease) == Some(&self.identity)
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        future: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        match timeout(self.timing.call, future).await {
            Ok(answer) => answer.map_err(|error| Error::kube(operation, error)),
            Err(_) => Err(Error::Deadline(self.timing.call)),
        }
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    let holder = lease.spec.as_ref()?.holder_identity.as_ref()?;
    (!holder.is_empty()).then_some(holder)
}

/// What a candidate saw of the Lease, by its own clock.
#[derive(Debug, Default)]
struct Sighting {
    /// Who held it, and which renewal of theirs it was.
    renewal: Option<(String, Option<MicroTime>)>,
    /// When the holder's right is over at the latest; none while nobody holds it.
    free_at: Option<Instant>,
}

impl Sighting {
    /// Takes in the Lease as it was just read. One that is gone frees nobody's hands: its holder may not know yet.
    fn look(&mut self, lease: Option<&Lease>, own: &str, default: Duration) {
        let Some(lease) = lease else { return };
        let Some(holder) = holder(lease).filter(|holder| *holder != own) else {
            *self = Self::default();
            return;
        };
        let spec = lease.spec.as_ref();
        let renewal = (holder.clone(), spec.and_then(|spec| spec.renew_time.clone()));
        if self.renewal.as_ref() == Some(&renewal) {
            return;
        }
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
        let duration = seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0)
            .map_or(default, Duration::from_secs);
        *self = Self {
            renewal: Some(renewal),
            free_at: Some(Instant::now() + duration),
        };
    }

    fn is_free(&self) -> bool {
        self.free_at.is_none_or(|at| at <= Instant::now())
    }
}

/// The Lease while it is ours.
pub struct Held<'a> {
    candidate: &'a Candidate,
    /// As the API server last had it.
    lease: Lease,
    permit: Permit,
    deadline: Instant,
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("candidate", self.candidate)
            .finish_non_exhaustive()
    }
}

impl Held<'_> {
    /// Renews the Lease until it is lost. The permit has ended then.
    pub async fn keep(&mut self) {
        let timing = self.candidate.timing;
        let mut pause = timing.renew;
        while self.permit.holds() {
            self.candidate.health.beat(LOOP);
            pause = match timeout_at(self.deadline, self.renew(pause)).await {
                Ok(Ok(true)) => timing.renew,
                Ok(Ok(false)) | Err(_) => break,
                Ok(Err(error)) => {
                    warn!(lease = %self.candidate.name, error = chain(&error), "Could not renew the Lease, will try again");
                    timing.poll
                }
            };
        }
        self.permit.end();
        warn!(lease = %self.candidate.name, "Lost the Lease, nothing is changed any more");
    }

    /// Renews once, after a pause. Tells whether the Lease is still ours.
    async fn renew(&mut self, pause: Duration) -> Result<bool, Error> {
        sleep(pause).await;
        if !self.permit.holds() {
            return Ok(false);
        }
        let before = Instant::now();
        let lease = self.candidate.taken(self.lease.clone());
        match self.candidate.replace("renew the Lease", lease).await {
            Ok(lease) => Ok(self.renewed(lease, before)),
            // A renewal whose answer was lost looks like this too.
            Err(Error::Conflict { .. } | Error::Gone { .. }) => self.renew_changed().await,
            Err(error) => Err(error),
        }
    }

    /// Renews a Lease that is not as we left it, if it is still in our name.
    async fn renew_changed(&mut self) -> Result<bool, Error> {
        let candidate = self.candidate;
        let read = candidate.api.get_opt(&candidate.name.name);
        let found = candidate.call("read the Lease", read).await?;
        let before = Instant::now();
        let lease = match found {
            Some(lease) if candidate.is_ours(&lease) => {
                candidate
                    .replace("renew the Lease", candidate.taken(lease))
                    .await?
            }
            Some(lease) => {
                warn!(lease = %candidate.name, holder = holder(&lease), "Lease was taken");
                return Ok(false);
            }
            None => candidate.create().await?,
        };
        Ok(self.renewed(lease, before))
    }

    fn renewed(&mut self, lease: Lease, before: Instant) -> bool {
        self.lease = lease;
        self.deadline = before + self.candidate.timing.duration;
        self.permit.grant_until(self.deadline)
    }

    /// Ends our right, then gives the Lease back, so that nobody has to wait for its end.
    pub async fn release(mut self) {
        self.permit.end();
        let candidate = self.candidate;
        // Twice: a renewal that was cut off may have changed it.
        for _ in 0..2 {
            if !candidate.is_ours(&self.lease) {
                return;
            }
            match candidate.replace("release the Lease", self.released()).await {
                Ok(_) => {
                    info!(lease = %candidate.name, "Released the Lease");
                    return;
                }
                Err(Error::Conflict { .. }) => {
                    let read = candidate.api.get(&candidate.name.name);
                    match candidate.call("read the Lease", read).await {
                        Ok(lease) => self.lease = lease,
                        Err(error) => return not_released(candidate, &error),
                    }
                }
                Err(error) => return not_released(candidate, &error),
            }
        }
    }

    fn released(&self) -> Lease {
        let mut lease = self.lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.renew_time = Some(MicroTime((self.candidate.clock)()));
        lease
    }
}

fn not_released(candidate: &Candidate, error: &Error) {
    warn!(lease = %candidate.name, error = chain(error), "Could not release the Lease, it ends by itself");
}

#[cfg(test)]
mod tests;
