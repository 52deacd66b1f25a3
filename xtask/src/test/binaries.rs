//! Test binaries as cargo built them, run without it: several at a time, where cargo runs one after the other.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::tally::Tally;
use super::{DEADLINE, show_failures};
use crate::cmd::{Cmd, Finished};
use crate::{paths, ui};

/// Binaries at the same time: many of their tests wait more than they work.
const AT_ONCE: usize = 3;

/// A test binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binary {
    /// The package and the target, for instance `ottla-kafka contract`.
    pub(super) name: String,
    /// The target: what `--test` calls it.
    pub(super) target: String,
    folder: PathBuf,
    file: PathBuf,
}

impl Binary {
    /// How to run it, with the output of passing tests shown too: that is where skips are told.
    pub(super) fn command(&self) -> Cmd {
        Cmd::new(&self.file)
            .arg("--show-output")
            .dir(&self.folder)
            .deadline(DEADLINE)
    }
}

/// The test binaries that cargo's messages name.
pub(super) fn built(messages: &str) -> Result<Vec<Binary>> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let tests =
        messages.filter(|message| message["profile"]["test"] == true && message["executable"].is_string());
    tests
        .map(|message| {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let manifest = text(&message["manifest_path"]).map(PathBuf::from);
            let folder = manifest.and_then(|file| file.parent().map(PathBuf::from));
            let folder = folder.context("cargo names a test's package")?;
            let package = folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let target = text(&message["target"]["name"]).context("cargo names a test's target")?;
            Ok(Binary {
                name: format!("{package} {target}"),
                target,
                folder,
                file: text(&message["executable"]).unwrap_or_default().into(),
            })
        })
        .collect()
}

/// What is run beside others.
pub(super) struct Job {
    /// Its name in the log's.
    pub(super) name: String,
    /// The work.
    pub(super) work: Box<dyn FnOnce() -> Result<Finished> + Send>,
}

impl Job {
    /// Runs a command, whose output also goes to a log.
    pub(super) fn of(name: &str, command: Cmd) -> Self {
        let command = command.log(&log(name));
        Self {
            name: name.to_owned(),
            work: Box::new(|| command.finish()),
        }
    }
}

/// The log of a job.
pub(super) fn log(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Runs all of them, and counts what they say as one suite.
pub(super) fn run(suite: &str, jobs: Vec<Job>) -> Result<Tally> {
    let mut tally = Tally::default();
    let outcome = ui::step(suite, |step| {
        let count = jobs.len();
        step.say(&format!(
            "output of {count} binaries goes to {}",
            paths::logs().display()
        ));
        let waiting = Mutex::new(jobs.into_iter());
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut done = vec![];
            while let Some(job) = next() {
                done.push((job.name, (job.work)()));
            }
            done
        };
        let done = thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
            let done: Result<Vec<_>, _> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            done.map_err(|_| anyhow::anyhow!("a thread that ran tests panicked"))
        })?;
        let mut failed = vec![];
        for (name, finished) in done.into_iter().flatten() {
            let finished = finished.with_context(|| format!("run {name}"))?;
            tally.add(suite, &finished.stdout, &finished.stderr);
            if !finished.success {
                show_failures(&finished.stdout);
                tally.broken(suite, &finished.stderr);
                failed.push(name);
            }
        }
        step.say(&tally.summary());
        if !failed.is_empty() {
            bail!("{}; failed: {}", tally.summary(), failed.join(", "));
        }
        Ok(())
    });
    // What failed is counted, and the next suite still runs: one run tells all there is to tell.
    match outcome {
        Err(error) if tally.failed() == 0 => Err(error),
        _ => Ok(tally),
    }
}

#[cfg(test)]
mod tests {
    use super::built;

    #[test]
    fn of_what_cargo_built_the_tests_are_taken() {
        let messages = r#"
            {"reason":"compiler-artifact","profile":{"test":false},"executable":"/t/ottla-operator"}
            {"reason":"compiler-artifact","profile":{"test":true},"executable":null}
            {"reason":"compiler-artifact","manifest_path":"/r/kafka/Cargo.toml","profile":{"test":true},"executable":"/t/contract-1","target":{"name":"contract"}}
            {"reason":"build-finished"}"#;
        let found = built(messages).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].name.as_str(), found[0].target.as_str()),
            ("kafka contract", "contract")
        );
        assert_eq!(found[0].folder.to_str(), Some("/r/kafka"));
    }
}
