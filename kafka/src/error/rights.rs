//! Which right Kafka wants for which call, as its own ACL tool spells it.

use super::ErrorCode;

/// Verb phrases of the calls, and the operation and resource of the ACL.
const RIGHTS: [(&str, &str); 16] = [
    ("list topics", "Describe on the topic"),
    ("describe topic", "Describe on the topic"),
    ("ask the controller for topic", "Create on the topic"),
    ("create topic", "Create on the topic"),
    ("add partitions", "Alter on the topic"),
    ("delete topic", "Delete on the topic"),
    (
        "describe the configuration of topic",
        "DescribeConfigs on the topic",
    ),
    (
        "describe the configuration of broker",
        "DescribeConfigs on the cluster",
    ),
    ("alter the configuration of topic", "AlterConfigs on the topic"),
    ("alter the configuration of broker", "AlterConfigs on the cluster"),
    (
        "read what topics take on the disks of broker",
        "Describe on the cluster",
    ),
    ("move the replicas of partition", "Alter on the cluster"),
    ("list the reassignment of partition", "Describe on the cluster"),
    ("list the offsets of partition", "Describe on the topic"),
    ("delete the records of partition", "Delete on the topic"),
    ("list consumer groups", "Describe on the cluster"),
];

/// The right that was missing when Kafka answered a call with this code; none for a code that is about something else.
pub(super) fn missing(operation: &str, code: ErrorCode) -> Option<&'static str> {
    let wanted = RIGHTS.iter().find(|(name, _)| *name == operation);
    match code {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            Some(wanted.map_or("Describe on the topic", |(_, right)| right))
        }
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            Some(wanted.map_or("Describe on the cluster", |(_, right)| right))
        }
        ErrorCode::GROUP_AUTHORIZATION_FAILED => Some("Describe on the consumer group"),
        _ => None,
    }
}

/// Whether a call's right is known.
#[cfg(test)]
pub(crate) fn is_known(operation: &str) -> bool {
    RIGHTS.iter().any(|(name, _)| *name == operation)
}
