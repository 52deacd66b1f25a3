//! What `plan` tells: for each manifest what would change, as text for people or JSON for programs. Pure.

use std::fmt::Write as _;

use ottla_crds::KafkaTopic;
use ottla_crds::topic::Difference;
use serde::Serialize;

use crate::cli::manifest::{Document, Source};
use crate::cluster::cluster_key;
use crate::runtime::Key;
use crate::topic::desired;
use crate::topic::plan::{Action, Claim, Live, Plan};
use crate::topic::preview::Preview;
use crate::topic::reason::Reason;

/// How the plan is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// What would become of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Effect {
    /// It would be created.
    Create,
    /// It would be created again, without its records.
    Recreate,
    /// It would be changed.
    Change,
    /// It would be taken over as it is.
    TakeOver,
    /// Nothing.
    Nothing,
    /// Something is asked for that would not be done.
    Refuse,
    /// It cannot be told.
    Fault,
}

/// One thing that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `partitions`, `replicationFactor`, or the key of a config.
    pub key: String,
    /// What the topic has. Absent: nothing set on the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// What it would get. Absent: the broker's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
}

/// Something told, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The reason, as in `docs/reasons.md`.
    pub reason: &'static str,
    /// The same in a sentence.
    pub message: String,
}

/// What would become of one manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    #[serde(skip)]
    source: Source,
    /// Where the manifest stands.
    #[serde(rename = "source")]
    pub place: String,
    /// The object: `namespace/name`, as far as it can be told.
    pub object: String,
    /// The topic's name in Kafka.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// The KafkaCluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// What would become of the topic.
    pub effect: Effect,
    /// What would change.
    pub changes: Vec<Change>,
    /// What differs and would stay so.
    pub drift: Vec<Difference>,
    /// What would not be done.
    pub refusals: Vec<Told>,
    /// What to think of before applying.
    pub warnings: Vec<String>,
    /// Why it cannot be told.
    pub problems: Vec<String>,
}

impl Planned {
    /// A manifest about which nothing can be told.
    pub(super) fn faulty(document: &Document, problems: Vec<String>) -> Self {
        Self {
            place: document.source.to_string(),
            source: document.source.clone(),
            object: document.text("/metadata/name").to_owned(),
            topic: String::new(),
            cluster: String::new(),
            effect: Effect::Fault,
            changes: vec![],
            drift: vec![],
            refusals: vec![],
            warnings: vec![],
            problems,
        }
    }

    pub(super) fn of(document: &Document, key: &Key, object: &KafkaTopic, preview: &Preview) -> Self {
        let mut planned = Self {
            object: key.to_string(),
            topic: desired::name(&key.name, &object.spec).to_owned(),
            cluster: cluster_key(key, &object.spec.cluster_ref).to_string(),
            ..Self::faulty(document, vec![])
        };
        match preview {
            Preview::Held { reason, message } => {
                // What Kafka did not answer cannot be told; all else is a refusal.
                let unanswered = [Reason::ClusterNotReady, Reason::KafkaError].contains(reason);
                planned.effect = if unanswered { Effect::Fault } else { Effect::Refuse };
                planned.refusals.push(Told {
                    reason: reason.as_str(),
                    message: message.clone(),
                });
            }
            Preview::Planned {
                live,
                plan,
                waits,
                grows_over_records,
            } => {
                planned.changes = changes(plan, live.as_ref());
                planned.drift.clone_from(&plan.difference);
                planned.refusals = plan
                    .refusals
                    .iter()
                    .map(|refusal| Told {
                        reason: refusal.reason.as_str(),
                        message: refusal.message.clone(),
                    })
                    .collect();
                planned.warnings = warnings(plan, *waits, *grows_over_records);
                planned.effect = effect(plan, waits.is_some());
            }
        }
        planned
    }

    pub(super) fn source(&self) -> (&str, usize, Option<usize>) {
        (&self.source.file, self.source.document, self.source.item)
    }
}

fn effect(plan: &Plan, waits: bool) -> Effect {
    match plan.claim {
        _ if waits => Effect::Nothing,
        Claim::Create if !plan.actions.is_empty() => Effect::Create,
        Claim::Recreate if !plan.actions.is_empty() => Effect::Recreate,
        _ if !plan.actions.is_empty() => Effect::Change,
        _ if !plan.refusals.is_empty() => Effect::Refuse,
        Claim::Adopt | Claim::Accept => Effect::TakeOver,
        _ => Effect::Nothing,
    }
}

fn warnings(plan: &Plan, waits: Option<&str>, grows_over_records: bool) -> Vec<String> {
    let mut warnings: Vec<String> = waits.into_iter().map(str::to_owned).collect();
    if plan.claim == Claim::Recreate {
        warnings
            .push("Kafka does not show the topic: it would be created again, without its records".to_owned());
    }
    if grows_over_records {
        warnings.push(
            "the topic holds records: with more partitions a key's new records may go to another partition than its \
             old ones"
                .to_owned(),
        );
    }
    if !plan.drifted.is_empty() {
        let keys: Vec<&str> = plan.drifted.iter().map(String::as_str).collect();
        warnings.push(format!(
            "somebody else changed {}; it would be set back",
            keys.join(", ")
        ));
    }
    warnings
}

fn changes(plan: &Plan, live: Option<&Live>) -> Vec<Change> {
    let on_topic = |key: &str| live.and_then(|live| live.config.get(key)?.value.clone());
    let mut all = vec![];
    let mut push = |key: &str, live: Option<String>, desired: Option<String>| {
        all.push(Change {
            key: key.to_owned(),
            live,
            desired,
        });
    };
    for action in &plan.actions {
        match action {
            Action::Create(topic) => {
                push(
                    "partitions",
                    None,
                    topic.partitions.map(|count| count.to_string()),
                );
                push(
                    "replicationFactor",
                    None,
                    topic.replication_factor.map(|factor| factor.to_string()),
                );
                for (key, value) in &topic.config {
                    push(key, None, Some(value.clone()));
                }
            }
            Action::Alter { set, unset, .. } => {
                for (key, value) in set {
                    push(key, on_topic(key), Some(value.clone()));
                }
                for key in unset {
                    push(key, on_topic(key), None);
                }
            }
            Action::Grow { from, to, .. } => {
                push("partitions", Some(from.to_string()), Some(to.to_string()));
            }
            Action::Unthrottle { keys, .. } => {
                for key in keys {
                    push(key, on_topic(key), None);
                }
            }
            // A throttle is the first step of such a move.
            Action::Throttle { from, to, .. } | Action::Reassign { from, to, .. } => {
                push("replicationFactor", Some(from.to_string()), Some(to.to_string()));
            }
            Action::Delete(id) => push("topicId", Some(id.to_string()), None),
        }
    }
    all
}

/// What would become of all manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One for each manifest, in their order.
    pub topics: Vec<Planned>,
    /// What was passed over or could not be looked at.
    pub notes: Vec<String>,
}

impl Report {
    /// 0 where nothing would be done and nothing refused, 2 where something would, 1 where something cannot be told.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let any = |effects: &[Effect]| {
            self.topics
                .iter()
                .any(|planned| effects.contains(&planned.effect))
        };
        if any(&[Effect::Fault]) {
            1
        } else if any(&[Effect::Create, Effect::Recreate, Effect::Change, Effect::Refuse]) {
            2
        } else {
            0
        }
    }

    /// The report in that format.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn told(&self, format: Format) -> Result<String, serde_json::Error> {
        match format {
            Format::Text => Ok(self.text()),
            Format::Json => serde_json::to_string_pretty(self).map(|text| text + "\n"),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for planned in &self.topics {
            planned.write(&mut text);
        }
        let count = |effect: Effect| {
            self.topics
                .iter()
                .filter(|planned| planned.effect == effect)
                .count()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} to create, {} to change, {} refused, {} that cannot be told, {} as declared",
            count(Effect::Create) + count(Effect::Recreate),
            count(Effect::Change),
            count(Effect::Refuse),
            count(Effect::Fault),
            count(Effect::Nothing) + count(Effect::TakeOver),
        );
        text
    }
}

impl Planned {
    fn write(&self, text: &mut String) {
        let what = match self.effect {
            Effect::Create => "would be created",
            Effect::Recreate => "would be created again",
            Effect::Change => "would be changed",
            Effect::TakeOver => "would be taken over as it is",
            Effect::Nothing if self.changes.is_empty() => "is as declared",
            Effect::Nothing | Effect::Refuse => "would stay as it is",
            Effect::Fault => "cannot be told",
        };
        let topic = if self.topic.is_empty() {
            String::new()
        } else {
            format!(": topic {} of {}", self.topic, self.cluster)
        };
        let mut say = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        say(&format!(
            "KafkaTopic {} ({}){topic} {what}",
            self.object, self.place
        ));
        for Change { key, live, desired } in &self.changes {
            say(&match (live, desired) {
                (None, None) => format!("  + {key}: the broker's default"),
                (None, Some(desired)) => format!("  + {key}: {desired}"),
                (Some(live), Some(desired)) => format!("  ~ {key}: {live} -> {desired}"),
                (Some(live), None) => format!("  - {key}: {live} -> the broker's default"),
            });
        }
        for Difference { key, desired, live } in &self.drift {
            let live = live.as_deref().unwrap_or("nothing");
            say(&format!("  = {key}: stays {live}, the spec says {desired}"));
        }
        for Told { reason, message } in &self.refusals {
            say(&format!("  ! {reason}: {message}"));
        }
        for warning in &self.warnings {
            say(&format!("  ? {warning}"));
        }
        for problem in &self.problems {
            say(&format!("  ! {problem}"));
        }
    }
}
