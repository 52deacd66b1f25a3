//! Every reason of a KafkaTopic's Ready condition. `docs/reasons.md` has cause and remedy of each.

use crate::runtime::conditions::Progress;

/// Why a KafkaTopic is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The topic is as declared.
    Ready,
    /// The topic is about to be created; saved first, so that it is known as ours afterwards.
    Creating,
    /// The spec asks for nothing to be done.
    Suspended,
    /// The KafkaCluster does not exist or may not be used from this namespace.
    ClusterNotFound,
    /// The KafkaCluster cannot be used at present.
    ClusterNotReady,
    /// The spec is no valid one.
    InvalidSpec,
    /// A config key or value is refused.
    InvalidConfig,
    /// Kafka refuses the name, or the name is Kafka's own.
    InvalidTopicName,
    /// The KafkaCluster gives the name to other namespaces.
    NameNotAllowed,
    /// Fewer partitions are asked for than there are.
    PartitionDecreaseRefused,
    /// Another replication factor is asked for than there is.
    ReplicationFactorChangeRefused,
    /// Kafka has too few brokers for the replication factor.
    InvalidReplicationFactor,
    /// Replicas are being moved, so that partitions have the number of them that is asked for.
    Reassigning,
    /// Somebody else is moving replicas; ours are moved afterwards.
    ReplicasMovedByOther,
    /// Somebody else throttles the topic's replicas; ours are moved afterwards.
    ReplicationThrottledByOther,
    /// The topic exists already and is not taken over as it is.
    AdoptionRequired,
    /// Another object owns the topic.
    TopicOwnedByOther,
    /// Another topic stands in the place of ours.
    TopicReplaced,
    /// The topic is not seen any more; that is believed after a second look.
    TopicMissing,
    /// The topic was deleted by somebody else and is not created again.
    TopicGone,
    /// Somebody else changed the topic, and it is left so.
    Drifted,
    /// Kafka does not allow it to these credentials.
    NotAuthorized,
    /// A policy of Kafka forbids it.
    PolicyViolation,
    /// Kafka has topic deletion switched off.
    DeletionDisabled,
    /// The topic may not be deleted from this namespace.
    DeletionNotAllowed,
    /// Too many topics of the cluster await their deletion at once.
    DestructionHold,
    /// Kafka did not do it, and may do it later.
    KafkaError,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 27] = [
        Self::Ready,
        Self::Creating,
        Self::Suspended,
        Self::ClusterNotFound,
        Self::ClusterNotReady,
        Self::InvalidSpec,
        Self::InvalidConfig,
        Self::InvalidTopicName,
        Self::NameNotAllowed,
        Self::PartitionDecreaseRefused,
        Self::ReplicationFactorChangeRefused,
        Self::InvalidReplicationFactor,
        Self::Reassigning,
        Self::ReplicasMovedByOther,
        Self::ReplicationThrottledByOther,
        Self::AdoptionRequired,
        Self::TopicOwnedByOther,
        Self::TopicReplaced,
        Self::TopicMissing,
        Self::TopicGone,
        Self::Drifted,
        Self::NotAuthorized,
        Self::PolicyViolation,
        Self::DeletionDisabled,
        Self::DeletionNotAllowed,
        Self::DestructionHold,
        Self::KafkaError,
    ];

    /// As conditions, events and metrics spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Creating => "Creating",
            Self::Suspended => "Suspended",
            Self::ClusterNotFound => "ClusterNotFound",
            Self::ClusterNotReady => "ClusterNotReady",
            Self::InvalidSpec => "InvalidSpec",
            Self::InvalidConfig => "InvalidConfig",
            Self::InvalidTopicName => "InvalidTopicName",
            Self::NameNotAllowed => "NameNotAllowed",
            Self::PartitionDecreaseRefused => "PartitionDecreaseRefused",
            Self::ReplicationFactorChangeRefused => "ReplicationFactorChangeRefused",
            Self::InvalidReplicationFactor => "InvalidReplicationFactor",
            Self::Reassigning => "Reassigning",
            Self::ReplicasMovedByOther => "ReplicasMovedByOther",
            Self::ReplicationThrottledByOther => "ReplicationThrottledByOther",
            Self::AdoptionRequired => "AdoptionRequired",
            Self::TopicOwnedByOther => "TopicOwnedByOther",
            Self::TopicReplaced => "TopicReplaced",
            Self::TopicMissing => "TopicMissing",
            Self::TopicGone => "TopicGone",
            Self::Drifted => "Drifted",
            Self::NotAuthorized => "NotAuthorized",
            Self::PolicyViolation => "PolicyViolation",
            Self::DeletionDisabled => "DeletionDisabled",
            Self::DeletionNotAllowed => "DeletionNotAllowed",
            Self::DestructionHold => "DestructionHold",
            Self::KafkaError => "KafkaError",
        }
    }

    /// Whether the operator is on its way, or somebody must act first.
    #[must_use]
    pub const fn progress(self) -> Progress {
        match self {
            Self::Ready => Progress::Done,
            Self::Suspended => Progress::Halted,
            Self::Creating
            | Self::ClusterNotFound
            | Self::ClusterNotReady
            | Self::InvalidReplicationFactor
            | Self::Reassigning
            | Self::ReplicasMovedByOther
            | Self::ReplicationThrottledByOther
            | Self::TopicMissing
            | Self::KafkaError => Progress::Working,
            Self::InvalidSpec
            | Self::InvalidConfig
            | Self::InvalidTopicName
            | Self::NameNotAllowed
            | Self::PartitionDecreaseRefused
            | Self::ReplicationFactorChangeRefused
            | Self::AdoptionRequired
            | Self::TopicOwnedByOther
            | Self::TopicReplaced
            | Self::TopicGone
            | Self::Drifted
            | Self::NotAuthorized
            | Self::PolicyViolation
            | Self::DeletionDisabled
            | Self::DeletionNotAllowed
            | Self::DestructionHold => Progress::Stalled,
        }
    }
}
