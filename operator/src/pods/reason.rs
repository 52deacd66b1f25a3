//! Every reason of a workload's `Ready` condition. `docs/reasons.md` has cause and remedy of each.

use super::target::HoldReason;
use crate::connections::secret::SecretProblem;
use crate::runtime::conditions::Progress;

/// Why a workload is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Pods run.
    Running,
    /// A bounded run has ended well.
    Completed,
    /// A bounded run gave up.
    Failed,
    /// Pods are to run and do not yet.
    Pending,
    /// `suspend` is true.
    Suspended,
    /// The spec is no valid one.
    InvalidSpec,
    /// There is no such KafkaTopic.
    TopicNotFound,
    /// The KafkaTopic is not Ready.
    TopicNotReady,
    /// There is no such KafkaCluster, or it may not be used from here.
    ClusterNotFound,
    /// The KafkaCluster is not Ready.
    ClusterNotReady,
    /// Credentials of the own namespace are needed.
    CredentialsRequired,
    /// A Secret does not exist.
    SecretNotFound,
    /// A Secret lacks the key.
    SecretKeyMissing,
    /// A Secret's value is nothing to log in with, or its type is refused.
    SecretInvalid,
    /// The operator may not read the Secret.
    SecretForbidden,
    /// A KafkaProducer that the verdict is to rest on does not exist.
    ProducerNotFound,
    /// Another KafkaConsumer has the consumer group.
    GroupTaken,
    /// A Job or Deployment of somebody else has the name.
    NameTaken,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 18] = [
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Pending,
        Self::Suspended,
        Self::InvalidSpec,
        Self::TopicNotFound,
        Self::TopicNotReady,
        Self::ClusterNotFound,
        Self::ClusterNotReady,
        Self::CredentialsRequired,
        Self::SecretNotFound,
        Self::SecretKeyMissing,
        Self::SecretInvalid,
        Self::SecretForbidden,
        Self::ProducerNotFound,
        Self::GroupTaken,
        Self::NameTaken,
    ];

    /// As conditions and metrics spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Pending => "Pending",
            Self::Suspended => "Suspended",
            Self::InvalidSpec => "InvalidSpec",
            Self::TopicNotFound => "TopicNotFound",
            Self::TopicNotReady => "TopicNotReady",
            Self::ClusterNotFound => "ClusterNotFound",
            Self::ClusterNotReady => "ClusterNotReady",
            Self::CredentialsRequired => "CredentialsRequired",
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretKeyMissing => "SecretKeyMissing",
            Self::SecretInvalid => "SecretInvalid",
            Self::SecretForbidden => "SecretForbidden",
            Self::ProducerNotFound => "ProducerNotFound",
            Self::GroupTaken => "GroupTaken",
            Self::NameTaken => "NameTaken",
        }
    }

    /// Who must act next.
    #[must_use]
    pub const fn progress(self) -> Progress {
        match self {
            Self::Running | Self::Completed => Progress::Done,
            Self::Failed
            | Self::InvalidSpec
            | Self::CredentialsRequired
            | Self::GroupTaken
            | Self::NameTaken => Progress::Stalled,
            Self::Suspended => Progress::Halted,
            Self::Pending
            | Self::TopicNotFound
            | Self::TopicNotReady
            | Self::ClusterNotFound
            | Self::ClusterNotReady
            | Self::SecretNotFound
            | Self::SecretKeyMissing
            | Self::SecretInvalid
            | Self::SecretForbidden
            | Self::ProducerNotFound => Progress::Working,
        }
    }
}

impl From<HoldReason> for Reason {
    fn from(hold: HoldReason) -> Self {
        match hold {
            HoldReason::InvalidSpec => Self::InvalidSpec,
            HoldReason::TopicNotFound => Self::TopicNotFound,
            HoldReason::TopicNotReady => Self::TopicNotReady,
            HoldReason::ClusterNotFound => Self::ClusterNotFound,
            HoldReason::ClusterNotReady => Self::ClusterNotReady,
            HoldReason::CredentialsRequired => Self::CredentialsRequired,
        }
    }
}

impl From<&SecretProblem> for Reason {
    fn from(problem: &SecretProblem) -> Self {
        match problem {
            SecretProblem::NotFound(_) => Self::SecretNotFound,
            SecretProblem::KeyMissing { .. } => Self::SecretKeyMissing,
            SecretProblem::Forbidden(_) => Self::SecretForbidden,
            SecretProblem::Unusable { .. } | SecretProblem::BadCertificate { .. } => Self::SecretInvalid,
        }
    }
}
