//! Judges what was found of a cluster and writes it down. Pure.

use jiff::Timestamp;
use ottla_crds::KafkaClusterStatus;
use ottla_crds::cluster::{BrokerStatus, ProbeResult};
use ottla_kafka::error::{ConnectCause, KafkaError, TlsFault};
use ottla_kafka::probe::{ListenerReport, ListenerResult};
use ottla_kafka::types::ClusterId;

use super::observe::Observed;
use super::reason::Reason;
use crate::connections::Standing;
use crate::connections::secret::SecretProblem;
use crate::runtime::conditions::{self, Fact, Progress, Truth};

/// `Reachable`: a bootstrap address answers as Kafka.
pub const REACHABLE: &str = "Reachable";
/// `Authenticated`: Kafka takes the credentials.
pub const AUTHENTICATED: &str = "Authenticated";
/// `ListenersReachable`: each broker's advertised address works.
pub const LISTENERS_REACHABLE: &str = "ListenersReachable";

/// The judgement of one look at a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is Ready or not.
    pub reason: Reason,
    /// The same in a sentence.
    pub message: String,
    /// Whether it may be used.
    pub standing: Standing,
    /// Whether another cluster was found.
    pub foreign: bool,
    facts: Vec<Fact>,
    brokers: Option<Vec<BrokerStatus>>,
}

impl Verdict {
    fn unusable(reason: Reason, message: String, reachable: Truth, authenticated: Truth) -> Self {
        let facts = vec![
            Fact::new(
                REACHABLE,
                reachable,
                step_reason(reachable, reason),
                step_message(reachable, &message),
            ),
            Fact::new(
                AUTHENTICATED,
                authenticated,
                step_reason(authenticated, reason),
                step_message(authenticated, &message),
            ),
            Fact::new(
                LISTENERS_REACHABLE,
                Truth::Unknown,
                Reason::NotChecked.as_str(),
                "",
            ),
        ];
        Self {
            reason,
            message,
            standing: Standing::Unusable,
            foreign: false,
            facts,
            brokers: None,
        }
    }

    /// Whether it may be used.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reason == Reason::Ready
    }

    /// Whether every step worked, the listeners of every single broker included.
    #[must_use]
    pub fn is_flawless(&self) -> bool {
        self.is_ready() && self.facts.iter().all(|fact| fact.truth == Truth::True)
    }
}

/// What is said of a cluster beside how it can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// The condition that deletions are held, while they are.
    pub hold: Option<Fact>,
    /// How many topics its defaults are still to change.
    pub defaults_pending: Option<i32>,
}

impl Aside {
    /// Whether it will change by itself.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.hold.is_some() || self.defaults_pending.is_some_and(|pending| pending > 0)
    }
}

fn step_reason(truth: Truth, reason: Reason) -> &'static str {
    match truth {
        Truth::True => "Succeeded",
        Truth::False => reason.as_str(),
        Truth::Unknown => Reason::NotChecked.as_str(),
    }
}

fn step_message(truth: Truth, message: &str) -> String {
    if truth == Truth::False {
        message.to_owned()
    } else {
        String::new()
    }
}

/// The verdict on a spec that cannot be read.
#[must_use]
pub fn invalid(problem: String) -> Verdict {
    Verdict::unusable(Reason::InvalidSpec, problem, Truth::Unknown, Truth::Unknown)
}

/// The verdict on a cluster whose rule about namespaces this operator cannot follow.
#[must_use]
pub fn selector_refused() -> Verdict {
    let message = "allowedNamespaces selects namespaces by their labels, which an operator restricted to some namespaces \
                   (rbac.namespaces) may not read; use from: Same or All";
    Verdict::unusable(
        Reason::SelectorNotSupported,
        message.to_owned(),
        Truth::Unknown,
        Truth::Unknown,
    )
}

/// Judges what was found. `known` is the id recorded before, `expected` the one the spec names.
#[must_use]
pub fn judge(observed: Observed, known: Option<&ClusterId>, expected: Option<&ClusterId>) -> Verdict {
    match observed {
        Observed::NoCredentials(problem) => {
            let reason = match problem {
                SecretProblem::NotFound(_) => Reason::SecretNotFound,
                SecretProblem::KeyMissing { .. } => Reason::SecretKeyMissing,
                SecretProblem::Forbidden(_) => Reason::SecretForbidden,
                SecretProblem::Unusable { .. } | SecretProblem::BadCertificate { .. } => {
                    Reason::SecretInvalid
                }
            };
            Verdict::unusable(reason, problem.to_string(), Truth::Unknown, Truth::Unknown)
        }
        Observed::NoBootstrap(error) => no_bootstrap(&error),
        Observed::Brokers { listeners, id } => brokers(&listeners, id, known, expected),
    }
}

fn no_bootstrap(error: &KafkaError) -> Verdict {
    let (reason, reachable, authenticated) = match error {
        KafkaError::Unreachable { failure, .. } => match &failure.cause {
            ConnectCause::DnsFailed(_) => (Reason::BootstrapDnsFailed, Truth::False, Truth::Unknown),
            ConnectCause::Refused => (Reason::BootstrapRefused, Truth::False, Truth::Unknown),
            ConnectCause::TimedOut { .. } => (Reason::BootstrapTimedOut, Truth::False, Truth::Unknown),
            ConnectCause::WrongProtocol(_) => (Reason::BootstrapWrongProtocol, Truth::False, Truth::Unknown),
            ConnectCause::Tls(fault) => tls(fault),
            ConnectCause::AuthenticationFailed { .. } => {
                (Reason::AuthenticationFailed, Truth::True, Truth::False)
            }
            _ => (Reason::BootstrapUnreachable, Truth::False, Truth::Unknown),
        },
        KafkaError::Unsupported { .. } => (Reason::UnsupportedKafka, Truth::False, Truth::Unknown),
        KafkaError::NoReply { .. } => (Reason::BootstrapTimedOut, Truth::False, Truth::Unknown),
        _ => (Reason::BootstrapUnreachable, Truth::False, Truth::Unknown),
    };
    Verdict::unusable(reason, error.to_string(), reachable, authenticated)
}

/// The reason of a failed TLS, and whether Kafka was reached and took us for who we are.
fn tls(fault: &TlsFault) -> (Reason, Truth, Truth) {
    let (reason, reached) = match fault {
        TlsFault::Untrusted { .. } => (Reason::CertificateUntrusted, false),
        TlsFault::Expired(_) | TlsFault::NotYetValid => (Reason::CertificateExpired, false),
        TlsFault::WrongName { .. } => (Reason::CertificateWrongHost, false),
        TlsFault::ClientCertificateRequired => (Reason::ClientCertificateRequired, true),
        TlsFault::ClientCertificateRefused(_) => (Reason::ClientCertificateRefused, true),
        _ => (Reason::TlsFailed, false),
    };
    if reached {
        (reason, Truth::True, Truth::False)
    } else {
        (reason, Truth::False, Truth::Unknown)
    }
}

fn brokers(
    listeners: &[ListenerReport],
    id: Result<ClusterId, KafkaError>,
    known: Option<&ClusterId>,
    expected: Option<&ClusterId>,
) -> Verdict {
    let failing: Vec<&ListenerReport> = listeners
        .iter()
        .filter(|listener| listener.result != ListenerResult::Reachable)
        .collect();
    let causes = failing
        .iter()
        .map(|listener| listener.detail.as_str())
        .collect::<Vec<_>>()
        .join("; ");
    let none_works = failing.len() == listeners.len();
    let listeners_fact = if failing.is_empty() {
        Fact::new(LISTENERS_REACHABLE, Truth::True, "Succeeded", "")
    } else {
        let reason = if none_works {
            Reason::ListenersUnreachable
        } else {
            Reason::SomeListenersUnreachable
        };
        Fact::new(LISTENERS_REACHABLE, Truth::False, reason.as_str(), causes.clone())
    };
    let facts = vec![
        Fact::new(REACHABLE, Truth::True, "Succeeded", ""),
        Fact::new(AUTHENTICATED, Truth::True, "Succeeded", ""),
        listeners_fact,
    ];
    let verdict = |reason, message, standing, foreign| Verdict {
        reason,
        message,
        standing,
        foreign,
        facts: facts.clone(),
        brokers: Some(listeners.iter().map(broker).collect()),
    };
    if none_works {
        let message = if causes.is_empty() {
            "Kafka names no broker".to_owned()
        } else {
            causes
        };
        return verdict(Reason::ListenersUnreachable, message, Standing::Unusable, false);
    }
    let id = match id {
        Ok(id) => id,
        Err(error) => {
            return verdict(
                Reason::BootstrapUnreachable,
                error.to_string(),
                Standing::Unusable,
                false,
            );
        }
    };
    let awaited = expected.or(known);
    if let Some(awaited) = awaited.filter(|awaited| **awaited != id) {
        let message = format!(
            "the Kafka there has the cluster id {id}, not {awaited}; nothing is done on it until \
             spec.expectedClusterId names {id}"
        );
        return verdict(Reason::ClusterIdChanged, message, Standing::Unusable, true);
    }
    verdict(Reason::Ready, causes, Standing::Usable(id), false)
}

fn broker(listener: &ListenerReport) -> BrokerStatus {
    let works = listener.result == ListenerResult::Reachable;
    BrokerStatus {
        id: listener.broker.get(),
        advertised: listener.advertised.to_string(),
        rack: listener.rack.clone(),
        result: match listener.result {
            ListenerResult::Reachable => ProbeResult::Reachable,
            ListenerResult::DnsFailed => ProbeResult::DnsFailed,
            ListenerResult::Refused => ProbeResult::Refused,
            ListenerResult::TimedOut => ProbeResult::TimedOut,
            ListenerResult::WrongProtocol => ProbeResult::WrongProtocol,
            ListenerResult::TlsFailed => ProbeResult::TlsFailed,
            ListenerResult::AuthenticationFailed => ProbeResult::AuthenticationFailed,
            ListenerResult::WrongBroker => ProbeResult::WrongBroker,
            ListenerResult::SelfAddress => ProbeResult::SelfAddress,
        },
        message: if works {
            String::new()
        } else {
            listener.detail.chars().take(1_024).collect()
        },
    }
}

/// The new status, or none if it says what the previous one said.
#[must_use]
pub fn next(
    previous: &KafkaClusterStatus,
    verdict: &Verdict,
    aside: &Aside,
    generation: i64,
    now: Timestamp,
) -> Option<KafkaClusterStatus> {
    let progress = match verdict.reason {
        Reason::Ready => Progress::Done,
        Reason::InvalidSpec | Reason::SelectorNotSupported | Reason::ClusterIdChanged => Progress::Stalled,
        _ => Progress::Working,
    };
    let mut facts = conditions::summary(progress, verdict.reason.as_str(), &verdict.message);
    facts.extend(verdict.facts.iter().cloned());
    facts.extend(aside.hold.clone());
    let cluster_id = match &verdict.standing {
        Standing::Usable(id) => Some(id.as_str().to_owned()),
        _ => previous.cluster_id.clone(),
    };
    let status = KafkaClusterStatus {
        observed_generation: Some(generation),
        cluster_id,
        defaults_pending: aside.defaults_pending,
        replication_throttle: previous.replication_throttle.clone(),
        brokers: verdict
            .brokers
            .clone()
            .unwrap_or_else(|| previous.brokers.clone()),
        conditions: conditions::build(&previous.conditions, facts, generation, now),
    };
    (status != *previous).then_some(status)
}

#[cfg(test)]
mod tests;
