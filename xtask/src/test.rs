//! `cargo xtask test`: every check and every test, those on the live cluster included.
//!
//! A test that cannot run says `SKIPPED`; with a cluster at hand only the names in `e2e/skips.txt` may. The last line
//! is always `N passed, N failed, N skipped`.

mod binaries;
mod brokers;
mod failing;
mod lifecycle;
mod live;
mod tally;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cmd::Cmd;
use crate::{crds, paths, ui};
use tally::Tally;

/// The committed list of tests that may skip.
const SKIPS: &str = "e2e/skips.txt";
/// What a suite may take, a cold build included.
const DEADLINE: Duration = Duration::from_secs(75 * 60);

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only what needs no cluster
    #[arg(long)]
    pub(crate) fast: bool,
    /// Run only the live tests whose name contains this (leaves out everything else)
    #[arg(long, conflicts_with = "fast")]
    pub(crate) only: Option<String>,
    /// Run only the tests that take long, or with `--only` those of them: kill sweeps, and ten minutes in which nothing
    /// may be written (leaves out everything else)
    #[arg(long, conflicts_with_all = ["fast", "lifecycle"])]
    pub(crate) soak: bool,
    /// Run only what interrupts `demo` and removes the cluster (leaves out everything else; ends with `down`)
    #[arg(long, conflicts_with_all = ["fast", "only"])]
    pub(crate) lifecycle: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut tally = Tally::default();
    let outcome = if args.soak {
        live::run(&mut tally, live::Which::Soak(args.only.as_deref()))
    } else if let Some(filter) = &args.only {
        live::run(&mut tally, live::Which::Named(filter))
    } else if args.lifecycle {
        lifecycle::run(&mut tally)
    } else if args.fast {
        fast(&mut tally)
    } else {
        checks(&mut tally);
        live::run(&mut tally, live::Which::All)
    };
    let verdict = outcome.and_then(|()| judge(&tally, args.fast));
    tally
        .names_failed()
        .for_each(|name| ui::warn(&format!("FAILED {name}")));
    tally
        .names_skipped()
        .for_each(|name| ui::note(&format!("skipped: {name}")));
    ui::result(&tally.summary());
    verdict
}

/// What needs no cluster.
fn fast(tally: &mut Tally) -> Result<()> {
    checks(tally);
    suite("tests that need no cluster", tally, cargo_test(&["--workspace"]))
}

/// Formatting, lints, generated files.
fn checks(tally: &mut Tally) {
    let cargo = |args: &[&str], log: &str| {
        Cmd::new("cargo")
            .args(args)
            .dir(paths::repo())
            .log(log)
            .deadline(DEADLINE)
    };
    tally.check(
        "formatting",
        ui::step("formatting", |_| cargo(&["fmt", "--all", "--check"], "fmt").run()),
    );
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--test",
        "*",
        "--features",
        failing::FEATURE,
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    tally.check("lints", ui::step("lints", |_| cargo(&clippy, "clippy").run()));
    tally.check("generated CRDs", ui::step("generated CRDs", |_| crds::check()));
}

/// A `cargo test` whose output of passing tests is shown too, for that is where skips are told.
fn cargo_test(selection: &[&str]) -> Cmd {
    Cmd::new("cargo")
        .args(["test", "--no-fail-fast", "--features", failing::FEATURE])
        .args(selection)
        .dir(paths::repo())
        .deadline(DEADLINE)
}

/// Runs one suite and counts what it says.
fn suite(name: &str, tally: &mut Tally, command: Cmd) -> Result<()> {
    suite_with(name, tally, command, &[])
}

/// Runs one suite with further arguments for the test binaries.
fn suite_with(name: &str, tally: &mut Tally, command: Cmd, binary_args: &[&str]) -> Result<()> {
    let log = binaries::log(name);
    let outcome = ui::step(name, |step| {
        step.say(&format!(
            "its output goes to {}",
            paths::logs().join(format!("{log}.log")).display()
        ));
        let finished = command
            .args(["--", "--show-output"])
            .args(binary_args)
            .log(&log)
            .finish()?;
        let counted = tally.add(name, &finished.stdout, &finished.stderr);
        step.say(&counted);
        if !finished.success {
            show_failures(&finished.stdout);
            tally.broken(name, &finished.stderr);
            bail!(
                "{counted}; all of it: {}",
                paths::logs().join(format!("{log}.log")).display()
            );
        }
        Ok(())
    });
    // A failing suite is counted and the next still runs: one run tells all there is to tell.
    outcome.or_else(|error| if tally.failed() > 0 { Ok(()) } else { Err(error) })
}

/// Shows what the failing tests said.
fn show_failures(stdout: &str) {
    for line in failures(stdout) {
        ui::heading(&format!("    | {line}"));
    }
}

/// What the failing tests said; what the others said stays in the log.
fn failures(stdout: &str) -> Vec<&str> {
    let mut inside = false;
    let told = stdout.lines().filter(|line| {
        inside = (inside || *line == "failures:") && !line.starts_with("test result");
        inside
    });
    told.collect()
}

/// The verdict: nothing failed, and nothing skipped that the committed list does not name.
fn judge(tally: &Tally, fast: bool) -> Result<()> {
    let file = paths::repo().join(SKIPS);
    let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let unlisted: Vec<&str> = if fast {
        Vec::new()
    } else {
        unlisted(tally.names_skipped(), &text)
    };
    if !unlisted.is_empty() {
        bail!("skipped but not listed in {SKIPS}: {}", unlisted.join(", "));
    }
    if tally.failed() > 0 {
        bail!("{} failed", tally.failed());
    }
    ensure!(
        tally.passed() > 0,
        "no test ran: --only takes a part of the name of a live test of e2e/tests"
    );
    Ok(())
}

/// The skipped names that the list does not hold. A line of the list is a name without its modules; `#` begins a comment.
fn unlisted<'a>(skipped: impl Iterator<Item = &'a str>, list: &str) -> Vec<&'a str> {
    let listed: BTreeSet<&str> = list
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .collect();
    let short = |name: &'a str| name.rsplit("::").next().unwrap_or(name);
    skipped.filter(|name| !listed.contains(short(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::{failures, unlisted};

    #[test]
    fn only_what_failing_tests_said_is_shown() {
        let text =
            "test a ... ok\nsuccesses:\nhello\nfailures:\n\n---- b ----\nno\ntest result: FAILED\nmore\n";
        assert_eq!(failures(text), ["failures:", "", "---- b ----", "no"]);
    }

    #[test]
    fn only_listed_names_may_skip() {
        let list = "# why\nnetwork-policy  # not enforced here\n";
        let skipped = ["network-policy", "module::network-policy", "module::other"];
        assert_eq!(unlisted(skipped.into_iter(), list), ["module::other"]);
    }
}
