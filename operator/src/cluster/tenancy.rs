//! Who may do what with a KafkaCluster from which namespace. Pure.
//!
//! "Not allowed" and "not found" must read the same to whoever asks: this file says which, its callers say neither.

use std::collections::BTreeMap;

use ottla_crds::KafkaClusterSpec;
use ottla_crds::cluster::TopicNamePolicy;
use ottla_crds::namespaces::{LabelOperator, LabelRequirement, NamespaceSelector, NamespacesFrom};

/// What stands for the object's namespace in a prefix.
const NAMESPACE: &str = "{namespace}";

/// Whether a namespace may refer to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
    /// Its labels are not known yet.
    Unknown,
}

/// What is known of a namespace's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels<'a> {
    /// They are these.
    Known(&'a BTreeMap<String, String>),
    /// There is no such namespace, or its labels may not be read.
    Absent,
    /// The namespaces are not listed yet.
    Unknown,
}

/// Whether objects of the namespace `from` may refer to a cluster that lives in `home`.
#[must_use]
pub fn access(spec: &KafkaClusterSpec, home: &str, from: &str, labels: Labels<'_>) -> Access {
    if home == from {
        return Access::Allowed;
    }
    let allowed = &spec.allowed_namespaces;
    match (allowed.from, &allowed.selector, labels) {
        (NamespacesFrom::All, ..) => Access::Allowed,
        (NamespacesFrom::Selector, Some(_), Labels::Unknown) => Access::Unknown,
        (NamespacesFrom::Selector, Some(selector), Labels::Known(labels)) if matches(selector, labels) => {
            Access::Allowed
        }
        _ => Access::Denied,
    }
}

fn matches(selector: &NamespaceSelector, labels: &BTreeMap<String, String>) -> bool {
    let all_labels = selector
        .match_labels
        .iter()
        .all(|(key, value)| labels.get(key) == Some(&value.0));
    all_labels && selector.match_expressions.iter().all(|one| holds(one, labels))
}

fn holds(requirement: &LabelRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let listed = value.is_some_and(|value| requirement.values.contains(value));
    match requirement.operator {
        LabelOperator::In => listed,
        LabelOperator::NotIn => !listed,
        LabelOperator::Exists => value.is_some(),
        LabelOperator::DoesNotExist => value.is_none(),
    }
}

/// What an object may do with topics of a name, by where it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// It lives beside its KafkaCluster, and may do everything.
    Home,
    /// The name is its namespace's own: it may do everything.
    Own,
    /// It may create topics that do not exist yet, and look after those.
    Guest,
    /// The name is not for its namespace.
    Outside,
}

impl Tenure {
    /// Whether a topic that does not exist may be created.
    #[must_use]
    pub fn may_create(self) -> bool {
        self != Self::Outside
    }

    /// Whether an existing topic may be taken over, and a topic deleted.
    #[must_use]
    pub fn may_take_and_delete(self) -> bool {
        matches!(self, Self::Home | Self::Own)
    }
}

/// What an object of the namespace `from` may do with a topic of that name on a cluster that lives in `home`.
#[must_use]
pub fn tenure(policy: Option<&TopicNamePolicy>, home: &str, from: &str, topic: &str) -> Tenure {
    if home == from {
        return Tenure::Home;
    }
    let Some(prefix) = policy.and_then(|policy| policy.prefix.as_deref()) else {
        return Tenure::Guest;
    };
    if !topic.starts_with(&prefix.replace(NAMESPACE, from)) {
        return Tenure::Outside;
    }
    if prefix.contains(NAMESPACE) {
        Tenure::Own
    } else {
        Tenure::Guest
    }
}

/// What the prefix reads for a namespace.
#[must_use]
pub fn prefix_for(policy: &TopicNamePolicy, namespace: &str) -> String {
    let prefix = policy.prefix.as_deref().unwrap_or_default();
    prefix.replace(NAMESPACE, namespace)
}

/// What is wrong with the rules of a spec, the CRD's rules taken away.
pub fn check(spec: &KafkaClusterSpec) -> Result<(), String> {
    let allowed = &spec.allowed_namespaces;
    if allowed.selector.is_some() != (allowed.from == NamespacesFrom::Selector) {
        return Err("allowedNamespaces: selector goes with from: Selector".to_owned());
    }
    let Some(prefix) = spec
        .topic_name_policy
        .as_ref()
        .and_then(|policy| policy.prefix.as_deref())
    else {
        return Ok(());
    };
    // Without such an end, namespace a would own what begins with a-b, which is b's.
    let mut after = prefix.split(NAMESPACE).skip(1);
    if after.any(|rest| !rest.starts_with(['.', '_'])) {
        return Err(format!(
            "topicNamePolicy.prefix is {prefix:?}: {NAMESPACE} must be followed by . or _, which no namespace's name contains"
        ));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if prefix.is_empty() || prefix.len() > 200 || !prefix.replace(NAMESPACE, "").chars().all(fits) {
        return Err(format!(
            "topicNamePolicy.prefix is {prefix:?}: it takes 1 to 200 characters that a topic's name may have, and {NAMESPACE}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
