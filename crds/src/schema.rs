//! Schema pieces that attributes cannot say: the bounded condition list, and patterns used more than once.
//! Must not hold a type of the API.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

/// `host:port`, an IPv6 address in brackets, the port within 1-65535.
pub(crate) const HOST_PORT: &str = concat!(
    r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)",
    r":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
);
/// The name of a Kubernetes object.
pub(crate) const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$";
/// The name of a namespace.
pub(crate) const DNS_LABEL: &str = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
/// A key of a Secret.
pub(crate) const SECRET_KEY: &str = r"^[A-Za-z0-9._-]+$";
/// A topic name as Kafka takes it.
pub(crate) const TOPIC_NAME: &str = r"^[A-Za-z0-9._-]+$";
/// A span of time: a number and a unit.
pub(crate) const DURATION: &str = r"^[0-9]{1,15}(ms|s|m|h|d)$";
/// A span of time, or no limit.
pub(crate) const DURATION_OR_UNLIMITED: &str = r"^([0-9]{1,15}(ms|s|m|h|d)|Unlimited)$";
/// A number of bytes, at least one.
pub(crate) const SIZE_ABOVE_ZERO: &str = r"^[1-9][0-9]{0,17}(Ki|Mi|Gi|Ti)?$";
/// A number of bytes, or no limit.
pub(crate) const SIZE_OR_UNLIMITED: &str = r"^([0-9]{1,18}(Ki|Mi|Gi|Ti)?|Unlimited)$";
/// The key of a Kafka topic config.
pub(crate) const CONFIG_KEY: &str = r"^[a-z0-9]+([._-][a-z0-9]+)*$";

/// A bounded workload is one run: the fields named stay as they were while `stopAfter` is there.
pub(crate) fn frozen_when_bounded(fields: &[&str]) -> Rule {
    let same = |f: &&str| {
        format!("has(self.{f}) == has(oldSelf.{f}) && (!has(self.{f}) || self.{f} == oldSelf.{f})")
    };
    let rule = format!(
        "!has(oldSelf.stopAfter) || ({})",
        fields.iter().map(same).collect::<Vec<_>>().join(" && ")
    );
    Rule::new(rule)
        .message("with stopAfter the spec is immutable, but for suspend and ttlSecondsAfterFinished")
}

/// The fields named stay as they were at creation.
pub(crate) fn frozen(fields: &[&str]) -> Rule {
    let same = |f: &&str| {
        format!("has(self.{f}) == has(oldSelf.{f}) && (!has(self.{f}) || self.{f} == oldSelf.{f})")
    };
    let rule = fields.iter().map(same).collect::<Vec<_>>().join(" && ");
    Rule::new(rule)
        .message("the spec is immutable, but for suspend and ttlSecondsAfterFinished: make a new object")
}

/// `status.conditions`: metav1's shape and bounds, merged by `type`.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "What holds and what does not, one entry a type.",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One aspect of the object's state.",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "type": "string",
                    "description": "The aspect, in CamelCase.",
                    "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
                "status": {
                    "type": "string",
                    "description": "True, False or Unknown.",
                    "enum": ["True", "False", "Unknown"],
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "The metadata.generation that this entry was computed from.",
                    "minimum": 0,
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When status last changed from one value to another.",
                },
                "reason": {
                    "type": "string",
                    "description": "Why, in one CamelCase word; docs/reasons.md lists every reason with its remedy.",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {
                    "type": "string",
                    "description": "Why, in a sentence. May be empty.",
                    "maxLength": 32768,
                },
            },
        },
    })
}
