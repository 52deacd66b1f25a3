//! Kafka's error codes by Kafka's own names, and what each means for a caller. A table; no I/O.

use std::fmt;

use super::Class;

/// An error code of Kafka's protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(i16);

impl ErrorCode {
    /// `UNKNOWN_SERVER_ERROR`
    pub const UNKNOWN_SERVER_ERROR: Self = Self(-1);
    /// `NONE`
    pub const NONE: Self = Self(0);
    /// `OFFSET_OUT_OF_RANGE`
    pub const OFFSET_OUT_OF_RANGE: Self = Self(1);
    /// `UNKNOWN_TOPIC_OR_PARTITION`
    pub const UNKNOWN_TOPIC_OR_PARTITION: Self = Self(3);
    /// `LEADER_NOT_AVAILABLE`
    pub const LEADER_NOT_AVAILABLE: Self = Self(5);
    /// `NOT_LEADER_OR_FOLLOWER`
    pub const NOT_LEADER_OR_FOLLOWER: Self = Self(6);
    /// `REQUEST_TIMED_OUT`
    pub const REQUEST_TIMED_OUT: Self = Self(7);
    /// `BROKER_NOT_AVAILABLE`
    pub const BROKER_NOT_AVAILABLE: Self = Self(8);
    /// `REPLICA_NOT_AVAILABLE`
    pub const REPLICA_NOT_AVAILABLE: Self = Self(9);
    /// `NETWORK_EXCEPTION`
    pub const NETWORK_EXCEPTION: Self = Self(13);
    /// `COORDINATOR_LOAD_IN_PROGRESS`
    pub const COORDINATOR_LOAD_IN_PROGRESS: Self = Self(14);
    /// `COORDINATOR_NOT_AVAILABLE`
    pub const COORDINATOR_NOT_AVAILABLE: Self = Self(15);
    /// `NOT_COORDINATOR`
    pub const NOT_COORDINATOR: Self = Self(16);
    /// `INVALID_TOPIC_EXCEPTION`
    pub const INVALID_TOPIC_EXCEPTION: Self = Self(17);
    /// `NOT_ENOUGH_REPLICAS`
    pub const NOT_ENOUGH_REPLICAS: Self = Self(19);
    /// `NOT_ENOUGH_REPLICAS_AFTER_APPEND`
    pub const NOT_ENOUGH_REPLICAS_AFTER_APPEND: Self = Self(20);
    /// `TOPIC_AUTHORIZATION_FAILED`
    pub const TOPIC_AUTHORIZATION_FAILED: Self = Self(29);
    /// `GROUP_AUTHORIZATION_FAILED`
    pub const GROUP_AUTHORIZATION_FAILED: Self = Self(30);
    /// `CLUSTER_AUTHORIZATION_FAILED`
    pub const CLUSTER_AUTHORIZATION_FAILED: Self = Self(31);
    /// `UNSUPPORTED_SASL_MECHANISM`
    pub const UNSUPPORTED_SASL_MECHANISM: Self = Self(33);
    /// `ILLEGAL_SASL_STATE`
    pub const ILLEGAL_SASL_STATE: Self = Self(34);
    /// `UNSUPPORTED_VERSION`
    pub const UNSUPPORTED_VERSION: Self = Self(35);
    /// `TOPIC_ALREADY_EXISTS`
    pub const TOPIC_ALREADY_EXISTS: Self = Self(36);
    /// `INVALID_PARTITIONS`
    pub const INVALID_PARTITIONS: Self = Self(37);
    /// `INVALID_REPLICATION_FACTOR`
    pub const INVALID_REPLICATION_FACTOR: Self = Self(38);
    /// `INVALID_REPLICA_ASSIGNMENT`
    pub const INVALID_REPLICA_ASSIGNMENT: Self = Self(39);
    /// `INVALID_CONFIG`
    pub const INVALID_CONFIG: Self = Self(40);
    /// `NOT_CONTROLLER`
    pub const NOT_CONTROLLER: Self = Self(41);
    /// `INVALID_REQUEST`
    pub const INVALID_REQUEST: Self = Self(42);
    /// `POLICY_VIOLATION`
    pub const POLICY_VIOLATION: Self = Self(44);
    /// `TRANSACTIONAL_ID_AUTHORIZATION_FAILED`
    pub const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Self = Self(53);
    /// `KAFKA_STORAGE_ERROR`
    pub const KAFKA_STORAGE_ERROR: Self = Self(56);
    /// `SASL_AUTHENTICATION_FAILED`
    pub const SASL_AUTHENTICATION_FAILED: Self = Self(58);
    /// `REASSIGNMENT_IN_PROGRESS`
    pub const REASSIGNMENT_IN_PROGRESS: Self = Self(60);
    /// `NON_EMPTY_GROUP`
    pub const NON_EMPTY_GROUP: Self = Self(68);
    /// `LISTENER_NOT_FOUND`
    pub const LISTENER_NOT_FOUND: Self = Self(72);
    /// `TOPIC_DELETION_DISABLED`
    pub const TOPIC_DELETION_DISABLED: Self = Self(73);
    /// `FENCED_LEADER_EPOCH`
    pub const FENCED_LEADER_EPOCH: Self = Self(74);
    /// `UNKNOWN_LEADER_EPOCH`
    pub const UNKNOWN_LEADER_EPOCH: Self = Self(75);
    /// `OFFSET_NOT_AVAILABLE`
    pub const OFFSET_NOT_AVAILABLE: Self = Self(78);
    /// `NO_REASSIGNMENT_IN_PROGRESS`
    pub const NO_REASSIGNMENT_IN_PROGRESS: Self = Self(85);
    /// `GROUP_SUBSCRIBED_TO_TOPIC`
    pub const GROUP_SUBSCRIBED_TO_TOPIC: Self = Self(86);
    /// `THROTTLING_QUOTA_EXCEEDED`
    pub const THROTTLING_QUOTA_EXCEEDED: Self = Self(89);
    /// `UNKNOWN_TOPIC_ID`
    pub const UNKNOWN_TOPIC_ID: Self = Self(100);
    /// `INCONSISTENT_TOPIC_ID`
    pub const INCONSISTENT_TOPIC_ID: Self = Self(103);

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> i16 {
        self.0
    }

    /// Kafka's name for the code, or `None` for a code newer than this table.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match usize::try_from(self.0) {
            Ok(index) => NAMES.get(index).copied(),
            Err(_) if self == Self::UNKNOWN_SERVER_ERROR => Some("UNKNOWN_SERVER_ERROR"),
            Err(_) => None,
        }
    }

    /// What a caller may do about it.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::UNKNOWN_SERVER_ERROR | Self::REQUEST_TIMED_OUT | Self::NETWORK_EXCEPTION => {
                Class::Ambiguous
            }
            Self::UNKNOWN_TOPIC_OR_PARTITION
            | Self::LEADER_NOT_AVAILABLE
            | Self::NOT_LEADER_OR_FOLLOWER
            | Self::BROKER_NOT_AVAILABLE
            | Self::REPLICA_NOT_AVAILABLE
            | Self::COORDINATOR_LOAD_IN_PROGRESS
            | Self::COORDINATOR_NOT_AVAILABLE
            | Self::NOT_COORDINATOR
            | Self::NOT_ENOUGH_REPLICAS
            | Self::NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | Self::NOT_CONTROLLER
            | Self::KAFKA_STORAGE_ERROR
            | Self::LISTENER_NOT_FOUND
            | Self::OFFSET_NOT_AVAILABLE
            | Self::FENCED_LEADER_EPOCH
            | Self::UNKNOWN_LEADER_EPOCH
            | Self::THROTTLING_QUOTA_EXCEEDED => Class::Retriable,
            Self::INVALID_REPLICATION_FACTOR
            | Self::TOPIC_AUTHORIZATION_FAILED
            | Self::GROUP_AUTHORIZATION_FAILED
            | Self::CLUSTER_AUTHORIZATION_FAILED
            | Self::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | Self::UNSUPPORTED_SASL_MECHANISM
            | Self::ILLEGAL_SASL_STATE
            | Self::SASL_AUTHENTICATION_FAILED
            | Self::REASSIGNMENT_IN_PROGRESS
            | Self::NON_EMPTY_GROUP
            | Self::GROUP_SUBSCRIBED_TO_TOPIC
            | Self::POLICY_VIOLATION
            | Self::TOPIC_DELETION_DISABLED => Class::SlowRetry,
            Self::TOPIC_ALREADY_EXISTS
            | Self::INVALID_PARTITIONS
            // A broker has gone since the replicas were chosen, or the move is done: look, and choose anew.
            | Self::INVALID_REPLICA_ASSIGNMENT
            | Self::NO_REASSIGNMENT_IN_PROGRESS
            | Self::UNKNOWN_TOPIC_ID
            | Self::INCONSISTENT_TOPIC_ID => Class::Decide,
            _ => Class::Terminal,
        }
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "UNNAMED_ERROR_{}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}({})", self.0)
    }
}

#[rustfmt::skip] // Five names a line, so that a code is found by its line.
const NAMES: [&str; 134] = [
    /*   0 */ "NONE", "OFFSET_OUT_OF_RANGE", "CORRUPT_MESSAGE", "UNKNOWN_TOPIC_OR_PARTITION", "INVALID_FETCH_SIZE",
    /*   5 */ "LEADER_NOT_AVAILABLE", "NOT_LEADER_OR_FOLLOWER", "REQUEST_TIMED_OUT", "BROKER_NOT_AVAILABLE", "REPLICA_NOT_AVAILABLE",
    /*  10 */ "MESSAGE_TOO_LARGE", "STALE_CONTROLLER_EPOCH", "OFFSET_METADATA_TOO_LARGE", "NETWORK_EXCEPTION", "COORDINATOR_LOAD_IN_PROGRESS",
    /*  15 */ "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR", "INVALID_TOPIC_EXCEPTION", "RECORD_LIST_TOO_LARGE", "NOT_ENOUGH_REPLICAS",
    /*  20 */ "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "INVALID_REQUIRED_ACKS", "ILLEGAL_GENERATION", "INCONSISTENT_GROUP_PROTOCOL", "INVALID_GROUP_ID",
    /*  25 */ "UNKNOWN_MEMBER_ID", "INVALID_SESSION_TIMEOUT", "REBALANCE_IN_PROGRESS", "INVALID_COMMIT_OFFSET_SIZE", "TOPIC_AUTHORIZATION_FAILED",
    /*  30 */ "GROUP_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "INVALID_TIMESTAMP", "UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE",
    /*  35 */ "UNSUPPORTED_VERSION", "TOPIC_ALREADY_EXISTS", "INVALID_PARTITIONS", "INVALID_REPLICATION_FACTOR", "INVALID_REPLICA_ASSIGNMENT",
    /*  40 */ "INVALID_CONFIG", "NOT_CONTROLLER", "INVALID_REQUEST", "UNSUPPORTED_FOR_MESSAGE_FORMAT", "POLICY_VIOLATION",
    /*  45 */ "OUT_OF_ORDER_SEQUENCE_NUMBER", "DUPLICATE_SEQUENCE_NUMBER", "INVALID_PRODUCER_EPOCH", "INVALID_TXN_STATE", "INVALID_PRODUCER_ID_MAPPING",
    /*  50 */ "INVALID_TRANSACTION_TIMEOUT", "CONCURRENT_TRANSACTIONS", "TRANSACTION_COORDINATOR_FENCED", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "SECURITY_DISABLED",
    /*  55 */ "OPERATION_NOT_ATTEMPTED", "KAFKA_STORAGE_ERROR", "LOG_DIR_NOT_FOUND", "SASL_AUTHENTICATION_FAILED", "UNKNOWN_PRODUCER_ID",
    /*  60 */ "REASSIGNMENT_IN_PROGRESS", "DELEGATION_TOKEN_AUTH_DISABLED", "DELEGATION_TOKEN_NOT_FOUND", "DELEGATION_TOKEN_OWNER_MISMATCH", "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
    /*  65 */ "DELEGATION_TOKEN_AUTHORIZATION_FAILED", "DELEGATION_TOKEN_EXPIRED", "INVALID_PRINCIPAL_TYPE", "NON_EMPTY_GROUP", "GROUP_ID_NOT_FOUND",
    /*  70 */ "FETCH_SESSION_ID_NOT_FOUND", "INVALID_FETCH_SESSION_EPOCH", "LISTENER_NOT_FOUND", "TOPIC_DELETION_DISABLED", "FENCED_LEADER_EPOCH",
    /*  75 */ "UNKNOWN_LEADER_EPOCH", "UNSUPPORTED_COMPRESSION_TYPE", "STALE_BROKER_EPOCH", "OFFSET_NOT_AVAILABLE", "MEMBER_ID_REQUIRED",
    /*  80 */ "PREFERRED_LEADER_NOT_AVAILABLE", "GROUP_MAX_SIZE_REACHED", "FENCED_INSTANCE_ID", "ELIGIBLE_LEADERS_NOT_AVAILABLE", "ELECTION_NOT_NEEDED",
    /*  85 */ "NO_REASSIGNMENT_IN_PROGRESS", "GROUP_SUBSCRIBED_TO_TOPIC", "INVALID_RECORD", "UNSTABLE_OFFSET_COMMIT", "THROTTLING_QUOTA_EXCEEDED",
    /*  90 */ "PRODUCER_FENCED", "RESOURCE_NOT_FOUND", "DUPLICATE_RESOURCE", "UNACCEPTABLE_CREDENTIAL", "INCONSISTENT_VOTER_SET",
    /*  95 */ "INVALID_UPDATE_VERSION", "FEATURE_UPDATE_FAILED", "PRINCIPAL_DESERIALIZATION_FAILURE", "SNAPSHOT_NOT_FOUND", "POSITION_OUT_OF_RANGE",
    /* 100 */ "UNKNOWN_TOPIC_ID", "DUPLICATE_BROKER_REGISTRATION", "BROKER_ID_NOT_REGISTERED", "INCONSISTENT_TOPIC_ID", "INCONSISTENT_CLUSTER_ID",
    /* 105 */ "TRANSACTIONAL_ID_NOT_FOUND", "FETCH_SESSION_TOPIC_ID_ERROR", "INELIGIBLE_REPLICA", "NEW_LEADER_ELECTED", "OFFSET_MOVED_TO_TIERED_STORAGE",
    /* 110 */ "FENCED_MEMBER_EPOCH", "UNRELEASED_INSTANCE_ID", "UNSUPPORTED_ASSIGNOR", "STALE_MEMBER_EPOCH", "MISMATCHED_ENDPOINT_TYPE",
    /* 115 */ "UNSUPPORTED_ENDPOINT_TYPE", "UNKNOWN_CONTROLLER_ID", "UNKNOWN_SUBSCRIPTION_ID", "TELEMETRY_TOO_LARGE", "INVALID_REGISTRATION",
    /* 120 */ "TRANSACTION_ABORTABLE", "INVALID_RECORD_STATE", "SHARE_SESSION_NOT_FOUND", "INVALID_SHARE_SESSION_EPOCH", "FENCED_STATE_EPOCH",
    /* 125 */ "INVALID_VOTER_KEY", "DUPLICATE_VOTER", "VOTER_NOT_FOUND", "INVALID_REGULAR_EXPRESSION", "REBOOTSTRAP_REQUIRED",
    /* 130 */ "STREAMS_INVALID_TOPOLOGY", "STREAMS_INVALID_TOPOLOGY_EPOCH", "STREAMS_TOPOLOGY_FENCED", "SHARE_SESSION_LIMIT_REACHED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sit_at_their_codes() {
        assert_eq!(ErrorCode::from(-1).to_string(), "UNKNOWN_SERVER_ERROR");
        assert_eq!(ErrorCode::from(3).to_string(), "UNKNOWN_TOPIC_OR_PARTITION");
        assert_eq!(
            ErrorCode::THROTTLING_QUOTA_EXCEEDED.name(),
            Some("THROTTLING_QUOTA_EXCEEDED")
        );
        assert_eq!(ErrorCode::UNKNOWN_TOPIC_ID.to_string(), "UNKNOWN_TOPIC_ID");
        assert_eq!(ErrorCode::from(9_999).to_string(), "UNNAMED_ERROR_9999");
    }

    #[test]
    fn an_unclear_outcome_is_never_called_retriable() {
        for code in [
            ErrorCode::REQUEST_TIMED_OUT,
            ErrorCode::NETWORK_EXCEPTION,
            ErrorCode::UNKNOWN_SERVER_ERROR,
        ] {
            assert_eq!(code.class(), Class::Ambiguous);
        }
    }
}
