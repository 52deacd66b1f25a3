//! What the user sees: steps with a spinner on a terminal, plain lines elsewhere, and waits that end.
//!
//! Every wait has a deadline and says what it waits for; nothing else in xtask sleeps or prints.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(300);

/// A piece of work under way, with a line of its own.
pub struct Step {
    name: String,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    fn start(name: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_message(name.to_owned());
            let style = ProgressStyle::with_template("  {spinner} {wide_msg} {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            line(&format!("  … {name}"));
        }
        Self {
            name: name.to_owned(),
            started: Instant::now(),
            bar,
        }
    }

    /// Says what the step is doing now.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {text}", self.name)),
            None => line(&format!("    {}: {text}", self.name)),
        }
    }

    fn end(self, mark: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        line(&format!(
            "  {mark} {} ({})",
            self.name,
            seconds(self.started.elapsed())
        ));
    }
}

/// Runs a piece of work under a name; its error carries that name.
pub fn step<T>(name: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
    let step = Step::start(name);
    let outcome = work(&step);
    step.end(if outcome.is_ok() { "✔" } else { "✘" });
    outcome.with_context(|| format!("{name} failed"))
}

/// What one look of [`wait`] found.
pub enum Look<T> {
    /// It is there.
    Ready(T),
    /// Not yet; the text says what was seen instead and ends up in the error when time runs out.
    NotYet(String),
}

/// Looks until the thing is ready or the deadline has passed. An error of `look` ends the wait at once.
pub fn wait<T>(
    step: &Step,
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<Look<T>>,
) -> Result<T> {
    step.say(&format!("waiting for {what} (at most {})", seconds(deadline)));
    let started = Instant::now();
    loop {
        let seen = match look().with_context(|| format!("while waiting for {what}"))? {
            Look::Ready(found) => return Ok(found),
            Look::NotYet(seen) => seen,
        };
        if started.elapsed() >= deadline {
            bail!("waited {} for {what}; last seen: {seen}", seconds(deadline));
        }
        pause(POLL);
    }
}

/// Blocks for about that long: the one place where xtask passes time.
pub fn pause(length: Duration) {
    std::thread::park_timeout(length);
}

/// Prints a line about what was decided or found.
pub fn note(text: &str) {
    line(&format!("  · {text}"));
}

/// Prints a line the user should not overlook.
pub fn warn(text: &str) {
    line(&format!("  ! {text}"));
}

/// Starts a group of steps.
pub fn heading(text: &str) {
    line(text);
}

/// Prints a result (a table, a path) to standard output; everything else goes to standard error.
pub fn result(text: &str) {
    // A closed standard output (`| head`) is the reader's choice, not our failure.
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints an error with its causes, outermost first.
pub fn failure(error: &anyhow::Error) {
    line(&format!("error: {error}"));
    for cause in error.chain().skip(1) {
        line(&format!("  because: {cause}"));
    }
}

fn line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A duration as a person reads it: `0.4 s`, `12 s`, `3 min 5 s`.
pub fn seconds(length: Duration) -> String {
    match length.as_secs() {
        0..10 => format!("{:.1} s", length.as_secs_f64()),
        whole @ 10..120 => format!("{whole} s"),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        assert_eq!(seconds(Duration::from_millis(400)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(12)), "12 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 5 s");
    }

    #[test]
    fn a_wait_that_runs_out_names_what_it_waited_for_and_what_it_saw() {
        let error = step("test", |step| {
            wait(step, "the moon", Duration::ZERO, || {
                Ok(Look::<()>::NotYet("clouds".to_owned()))
            })
        })
        .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("the moon") && text.contains("clouds"), "{text}");
    }
}
