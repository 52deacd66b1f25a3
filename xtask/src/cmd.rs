//! Running external commands: captured output, a deadline, an error that shows the tail of what was said.
//!
//! Every child gets a process group of its own, so that it ends with us: on Ctrl-C or SIGTERM the groups are ended
//! first. A command is never given to a shell.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{paths, ui};

/// Lines of output an error shows.
const TAIL: usize = 25;
/// What a command may take when nothing else is said.
const DEADLINE: Duration = Duration::from_secs(120);

/// Set when we were told to end: what children report from then on is of no interest.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Process groups under way, to be ended when we are told to end.
static CHILDREN: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A command to run: a builder over [`Command`].
#[derive(Clone, Debug)]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    log: Option<String>,
    deadline: Duration,
    inherit: bool,
    stands_back: bool,
}

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    /// Whether it exited with 0.
    pub success: bool,
    /// Its standard output, lossily decoded.
    pub stdout: String,
    /// Its standard error, lossily decoded.
    pub stderr: String,
}

impl Cmd {
    /// A command with no arguments yet.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            stdin: None,
            log: None,
            deadline: DEADLINE,
            inherit: false,
            stands_back: false,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it in that directory instead of ours.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Feeds it that standard input.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(input.into());
        self
    }

    /// Ends it (and its children) after that long; two minutes when not said.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Also writes its output, as it comes, to `<cache>/logs/<name>.log`.
    pub fn log(mut self, name: &str) -> Self {
        self.log = Some(name.to_owned());
        self
    }

    /// Lets it run where others leave the processor free.
    pub fn stands_back(mut self) -> Self {
        self.stands_back = true;
        self
    }

    /// Lets it write straight to our terminal; nothing is captured then.
    pub fn inherit(mut self) -> Self {
        self.inherit = true;
        self
    }

    /// Runs it; an exit code other than 0 is an error that shows the tail of its output.
    pub fn run(self) -> Result<()> {
        self.checked().map(drop)
    }

    /// Runs it and returns its standard output, trimmed.
    pub fn output(self) -> Result<String> {
        Ok(self.checked()?.stdout.trim().to_owned())
    }

    /// Runs it; only being unable to start it, or its deadline, is an error.
    pub fn finish(self) -> Result<Finished> {
        let shown = self.shown();
        let mut child = self.spawn().with_context(|| format!("cannot start `{shown}`"))?;
        let group = Group::enter(&child);
        let stdout = child.stdout.take().map(|pipe| self.collect(pipe));
        let stderr = child.stderr.take().map(|pipe| self.collect(pipe));
        let feeder = self
            .stdin
            .clone()
            .zip(child.stdin.take())
            .map(|(input, mut pipe)| {
                // A command that does not read all of its input says so by its exit code.
                thread::spawn(move || drop(pipe.write_all(&input)))
            });
        let status = self.await_exit(&mut child, &group)?;
        if let Some(feeder) = feeder {
            drop(feeder.join());
        }
        let text = |reader: Option<thread::JoinHandle<String>>| {
            reader.and_then(|handle| handle.join().ok()).unwrap_or_default()
        };
        let (stdout, stderr) = (text(stdout), text(stderr));
        match status {
            Some(status) => Ok(Finished {
                success: status.success(),
                stdout,
                stderr,
            }),
            None => bail!(
                "`{shown}` did not end within {} and was stopped{}",
                ui::seconds(self.deadline),
                tail(&stdout, &stderr)
            ),
        }
    }

    fn checked(self) -> Result<Finished> {
        let shown = self.shown();
        let log = self.log.as_ref().map(|name| log_file(name));
        let finished = self.finish()?;
        if !finished.success {
            let log = log
                .map(|file| format!("\n    all of it: {}", file.display()))
                .unwrap_or_default();
            bail!(
                "`{shown}` failed{}{log}",
                tail(&finished.stdout, &finished.stderr)
            );
        }
        Ok(finished)
    }

    fn spawn(&self) -> Result<Child> {
        let mut command = if self.stands_back {
            let mut nice = Command::new("nice");
            nice.args(["-n", "10"]).arg(&self.program);
            nice
        } else {
            Command::new(&self.program)
        };
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .process_group(0);
        if self.program == "cargo" {
            without_our_package(&mut command);
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.stdin(if self.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        if !self.inherit {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        if let Some(name) = &self.log {
            fs::create_dir_all(paths::logs())?;
            File::create(log_file(name))?;
        }
        Ok(command.spawn()?)
    }

    /// Reads a pipe to its end on a thread of its own, copying to the log as it comes.
    fn collect(&self, mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
        let log = self
            .log
            .as_ref()
            .and_then(|name| File::options().append(true).open(log_file(name)).ok());
        thread::spawn(move || {
            let (mut all, mut chunk) = (Vec::new(), [0; 16 * 1024]);
            while let Ok(length @ 1..) = pipe.read(&mut chunk) {
                all.extend_from_slice(&chunk[..length]);
                if let Some(mut log) = log.as_ref() {
                    // The log is a convenience; the captured text is what errors are made of.
                    let _ = log.write_all(&chunk[..length]);
                }
            }
            String::from_utf8_lossy(&all).into_owned()
        })
    }

    fn await_exit(&self, child: &mut Child, group: &Group) -> Result<Option<std::process::ExitStatus>> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(status) = child.try_wait()? {
                while INTERRUPTED.load(Ordering::SeqCst) {
                    // The one who was told to end ends the process; this child's failure is only a consequence.
                    ui::pause(Duration::from_millis(100));
                }
                return Ok(Some(status));
            }
            if started.elapsed() >= self.deadline {
                group.end();
                child.wait()?;
                return Ok(None);
            }
            ui::pause(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn shown(&self) -> String {
        let words = std::iter::once(&self.program)
            .chain(&self.args)
            .map(|word| word.to_string_lossy());
        let text = words.collect::<Vec<_>>().join(" ");
        if text.chars().count() > 200 {
            text.chars().take(200).chain("…".chars()).collect()
        } else {
            text
        }
    }
}

/// Takes away what cargo told us of this package: build scripts that look at it (ring's does) would build anew whenever a
/// checkout elsewhere, or cargo without us, comes next.
fn without_our_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_MANIFEST_") || text.starts_with("CARGO_PKG_") {
            command.env_remove(&name);
        }
    }
}

/// A child's process group while the child lives.
struct Group(Option<Pid>);

impl Group {
    fn enter(child: &Child) -> Self {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let (Some(pid), Ok(mut children)) = (pid, CHILDREN.lock()) {
            children.push(pid);
        }
        Self(pid)
    }

    fn end(&self) {
        if let Some(pid) = self.0 {
            end_groups(&[pid]);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Ok(mut children) = CHILDREN.lock() {
            children.retain(|pid| Some(*pid) != self.0);
        }
    }
}

/// Asks the groups to end, and ends those that have not after three seconds.
fn end_groups(groups: &[Pid]) {
    let signal = |signal| {
        groups
            .iter()
            .filter(|pid| kill_process_group(**pid, signal).is_ok())
            .count()
    };
    let _ = signal(Signal::TERM);
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(3) {
        if groups
            .iter()
            .all(|pid| rustix::process::test_kill_process_group(*pid).is_err())
        {
            return;
        }
        ui::pause(Duration::from_millis(50));
    }
    let _ = signal(Signal::KILL);
}

/// From now on Ctrl-C, SIGTERM and SIGHUP end the commands under way, then us, with exit code 130.
pub fn stop_children_on_signal() -> Result<()> {
    ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::SeqCst);
        let groups = CHILDREN
            .lock()
            .map(|children| children.clone())
            .unwrap_or_default();
        ui::warn("interrupted; stopping what is under way (run the same command again to continue)");
        end_groups(&groups);
        std::process::exit(130);
    })
    .context("cannot listen for Ctrl-C")
}

/// Where [`Cmd::log`] writes.
fn log_file(name: &str) -> PathBuf {
    paths::logs().join(format!("{name}.log"))
}

/// The last lines of a command's output, indented, or nothing.
fn tail(stdout: &str, stderr: &str) -> String {
    let text = if stderr.trim().is_empty() { stdout } else { stderr };
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    let shown: Vec<String> = lines[from..].iter().map(|line| format!("    | {line}")).collect();
    if shown.is_empty() {
        String::new()
    } else {
        format!(":\n{}", shown.join("\n"))
    }
}

#[cfg(test)]
mod tests;
