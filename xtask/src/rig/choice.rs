//! Which way to a cluster: what registries offer where they can be reached, else what the rig builds itself.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use super::cluster::{self, State};
use crate::host::engine::docker;
use crate::paths;

/// Overrides the choice: `rig` or `registry`.
const VARIABLE: &str = "OTTLA_RIG";
/// What has to be pullable for the registries' way, besides kind's own node image.
const NEEDED: [&str; 2] = ["kindest/node:v1.34.0", "bitnamilegacy/kafka:4.0.0-debian-12-r10"];

/// A way to a cluster with Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// kindest/node and the Bitnami chart, pulled.
    Registry,
    /// Node and Kafka images built here from packages.
    Rig,
}

impl Path {
    /// The word for it in markers and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Rig => "rig",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Registry, Self::Rig]
            .into_iter()
            .find(|path| path.word() == word)
    }
}

/// A choice and the reason for it.
pub struct Choice {
    /// What was chosen.
    pub path: Path,
    /// Why, in a sentence's end.
    pub why: String,
}

/// Chooses: what the variable says, else what the running cluster was made by, else what can be reached.
pub fn choose() -> Result<Choice> {
    if let Ok(word) = env::var(VARIABLE) {
        let Some(path) = Path::parse(&word) else {
            bail!("{VARIABLE} is {word:?}; it can be \"rig\" or \"registry\"")
        };
        return Ok(Choice {
            path,
            why: format!("{VARIABLE} says so"),
        });
    }
    if let State::Running(marker) = cluster::state()?
        && let Some(path) = marker.split(' ').next().and_then(Path::parse)
    {
        return Ok(Choice {
            path,
            why: "the running cluster was made that way".to_owned(),
        });
    }
    for image in NEEDED {
        let asked = docker()
            .args(["manifest", "inspect", image])
            .deadline(Duration::from_secs(8))
            .finish();
        if !asked.is_ok_and(|finished| finished.success) {
            return Ok(Choice {
                path: Path::Rig,
                why: format!("{image} cannot be pulled from here"),
            });
        }
    }
    Ok(Choice {
        path: Path::Registry,
        why: "the images needed can be pulled".to_owned(),
    })
}

/// Remembers the last choice for `rig status`.
pub fn remember(choice: &Choice) -> Result<()> {
    fs::create_dir_all(paths::run())?;
    fs::write(record(), format!("{}: {}\n", choice.path.word(), choice.why))?;
    Ok(())
}

/// Where the last choice is written down.
pub fn record() -> PathBuf {
    paths::run().join("choice")
}

/// The last choice that was made, as text.
pub fn remembered() -> Option<String> {
    Some(fs::read_to_string(record()).ok()?.trim().to_owned())
}
