//! Every reason of a KafkaTopicPurge's Ready condition, and which of them end it. `docs/reasons.md` has cause and
//! remedy of each.

use crate::runtime::conditions::Progress;

/// Why a KafkaTopicPurge is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// What was planned has gone.
    Complete,
    /// The same purge was carried out before; nothing was done.
    AlreadyDone,
    /// The plan is in the status; nothing was changed.
    DryRun,
    /// The plan stands and is about to be carried out.
    Planned,
    /// The plan stands, and the spec asks to hold.
    Suspended,
    /// The KafkaTopic does not exist.
    TopicNotFound,
    /// The KafkaTopic has no topic yet, or its topic is not seen.
    TopicNotReady,
    /// The KafkaCluster does not exist or may not be used from this namespace.
    ClusterNotFound,
    /// The KafkaCluster cannot be used at present.
    ClusterNotReady,
    /// Another purge of the topic is under way.
    PurgeInProgress,
    /// Consumer groups have not read what is to go, or have members.
    WaitingForConsumers,
    /// Pods of producers, or of consumers of a topic to create again, are on their way out.
    WaitingForPods,
    /// Too many topics await their deletion at once.
    DestructionHold,
    /// Records are being cleared.
    Purging,
    /// The lowered retention has not done its work yet.
    WaitingForRetention,
    /// What was lowered is being restored.
    Restoring,
    /// The topic is being created again.
    Recreating,
    /// Some partitions are done, others are refused; they are tried again.
    PartlyDone,
    /// Kafka does not allow it to these credentials.
    NotAuthorized,
    /// A policy of Kafka forbids it.
    PolicyViolation,
    /// Kafka did not do it, and may do it later.
    KafkaError,
    /// The spec is no valid one.
    InvalidSpec,
    /// A purge of this topic is not allowed from this namespace.
    NotAllowed,
    /// Another object owns the topic.
    TopicOwnedByOther,
    /// Another topic stands under the name.
    TopicReplaced,
    /// The topic's id is not the one the guard names.
    TopicIdMismatch,
    /// Kafka keeps the topic for itself.
    InternalTopic,
    /// More partitions than one purge takes.
    TooManyPartitions,
    /// The topic has no such partition.
    PartitionNotFound,
    /// An offset lies beyond the log's end.
    OffsetOutOfRange,
    /// More records would go than the guard allows.
    MaxRecordsExceeded,
    /// The time has passed after which the purge may not begin.
    NotAfterPassed,
    /// It took longer than it may.
    DeadlineExceeded,
    /// The topic is only compacted.
    CompactOnly,
    /// The name given to confirm is not the topic's.
    NotConfirmed,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 35] = [
        Self::Complete,
        Self::AlreadyDone,
        Self::DryRun,
        Self::Planned,
        Self::Suspended,
        Self::TopicNotFound,
        Self::TopicNotReady,
        Self::ClusterNotFound,
        Self::ClusterNotReady,
        Self::PurgeInProgress,
        Self::WaitingForConsumers,
        Self::WaitingForPods,
        Self::DestructionHold,
        Self::Purging,
        Self::WaitingForRetention,
        Self::Restoring,
        Self::Recreating,
        Self::PartlyDone,
        Self::NotAuthorized,
        Self::PolicyViolation,
        Self::KafkaError,
        Self::InvalidSpec,
        Self::NotAllowed,
        Self::TopicOwnedByOther,
        Self::TopicReplaced,
        Self::TopicIdMismatch,
        Self::InternalTopic,
        Self::TooManyPartitions,
        Self::PartitionNotFound,
        Self::OffsetOutOfRange,
        Self::MaxRecordsExceeded,
        Self::NotAfterPassed,
        Self::DeadlineExceeded,
        Self::CompactOnly,
        Self::NotConfirmed,
    ];

    /// As conditions and events spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "Complete",
            Self::AlreadyDone => "AlreadyDone",
            Self::DryRun => "DryRun",
            Self::Planned => "Planned",
            Self::Suspended => "Suspended",
            Self::TopicNotFound => "TopicNotFound",
            Self::TopicNotReady => "TopicNotReady",
            Self::ClusterNotFound => "ClusterNotFound",
            Self::ClusterNotReady => "ClusterNotReady",
            Self::PurgeInProgress => "PurgeInProgress",
            Self::WaitingForConsumers => "WaitingForConsumers",
            Self::WaitingForPods => "WaitingForPods",
            Self::DestructionHold => "DestructionHold",
            Self::Purging => "Purging",
            Self::WaitingForRetention => "WaitingForRetention",
            Self::Restoring => "Restoring",
            Self::Recreating => "Recreating",
            Self::PartlyDone => "PartlyDone",
            Self::NotAuthorized => "NotAuthorized",
            Self::PolicyViolation => "PolicyViolation",
            Self::KafkaError => "KafkaError",
            Self::InvalidSpec => "InvalidSpec",
            Self::NotAllowed => "NotAllowed",
            Self::TopicOwnedByOther => "TopicOwnedByOther",
            Self::TopicReplaced => "TopicReplaced",
            Self::TopicIdMismatch => "TopicIdMismatch",
            Self::InternalTopic => "InternalTopic",
            Self::TooManyPartitions => "TooManyPartitions",
            Self::PartitionNotFound => "PartitionNotFound",
            Self::OffsetOutOfRange => "OffsetOutOfRange",
            Self::MaxRecordsExceeded => "MaxRecordsExceeded",
            Self::NotAfterPassed => "NotAfterPassed",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::CompactOnly => "CompactOnly",
            Self::NotConfirmed => "NotConfirmed",
        }
    }

    /// Whether the operator is on its way, or somebody must act first.
    #[must_use]
    pub const fn progress(self) -> Progress {
        match self {
            Self::Complete | Self::AlreadyDone | Self::DryRun => Progress::Done,
            Self::Suspended => Progress::Halted,
            Self::Planned
            | Self::TopicNotFound
            | Self::TopicNotReady
            | Self::ClusterNotFound
            | Self::ClusterNotReady
            | Self::WaitingForConsumers
            | Self::WaitingForPods
            | Self::Purging
            | Self::WaitingForRetention
            | Self::Restoring
            | Self::Recreating
            | Self::KafkaError => Progress::Working,
            _ => Progress::Stalled,
        }
    }

    /// Whether the purge is over with it. What a person can put right without another purge ends none.
    #[must_use]
    pub const fn ends(self) -> bool {
        match self.progress() {
            Progress::Done => true,
            Progress::Working | Progress::Halted => false,
            Progress::Stalled => !matches!(
                self,
                Self::PartlyDone | Self::NotAuthorized | Self::PolicyViolation | Self::DestructionHold
            ),
        }
    }
}
