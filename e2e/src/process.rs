//! The operator as a process of this machine, built so that it can be told where to die.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// The signal of a process that aborts itself.
const ABORTED: i32 = 6;

/// How to start an operator.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// Its kubeconfig.
    pub kubeconfig: PathBuf,
    /// The namespaces it watches.
    pub namespaces: Vec<String>,
    /// Where its log goes.
    pub log: PathBuf,
    /// Arguments beside those.
    pub arguments: Vec<String>,
    /// The point at which something happens, and what: `after:kafka.create_topics#1=abort`.
    pub failpoint: Option<String>,
    /// Where the points it passes are written down.
    pub trace: Option<PathBuf>,
}

/// A running operator; it is killed with this value.
pub struct Process {
    child: Child,
    port: u16,
    recipe: Recipe,
}

impl Process {
    /// Starts one.
    pub async fn start(recipe: Recipe) -> Result<Self> {
        let binary = std::env::var_os("OTTLA_TEST_FAILPOINT_OPERATOR")
            .context("OTTLA_TEST_FAILPOINT_OPERATOR names the operator that can be told where to die")?;
        // Free now; nobody else on this machine is given it in the next moment.
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let log = File::options().create(true).append(true).open(&recipe.log)?;
        let mut command = Command::new(&binary);
        command
            .args(["run", "--log-format", "text", "--watch-namespaces"])
            .arg(recipe.namespaces.join(","))
            .args(["--http-address", &format!("127.0.0.1:{port}")])
            .args(&recipe.arguments)
            .env("KUBECONFIG", &recipe.kubeconfig)
            .env("RUST_LOG", "info,ottla=debug")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        if let Some(point) = &recipe.failpoint {
            command.env("OTTLA_FAILPOINT", point);
        }
        if let Some(trace) = &recipe.trace {
            command.env("OTTLA_FAILPOINT_TRACE", trace);
        }
        let child = command.spawn().context("start the operator")?;
        Ok(Self { child, port, recipe })
    }

    /// Awaits that it dies by its own hand.
    pub async fn dies(mut self, patience: Duration) -> Result<()> {
        let point = self.recipe.failpoint.clone().unwrap_or_default();
        let Ok(ended) = tokio::time::timeout(patience, self.child.wait()).await else {
            bail!(
                "after {patience:?} the operator has not come to {point}; {}",
                self.last_words()
            );
        };
        let ended = ended?;
        ensure!(
            ended.signal() == Some(ABORTED),
            "the operator was to die at {point} and ended with {ended}; {}",
            self.last_words()
        );
        Ok(())
    }

    /// Awaits that it says it is ready.
    pub async fn is_ready(&self) -> Result<()> {
        let ready = crate::wait::until("the operator to be ready", Duration::from_secs(60), async || {
            let answer = self.get("/readyz").await?;
            ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            Ok(())
        });
        ready.await.with_context(|| self.last_words())
    }

    /// Whether it still runs.
    pub fn lives(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Kills it without letting it finish anything.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("kill the operator")
    }

    /// Tells it to stop, and awaits that it ends as it should.
    pub async fn stop(mut self, patience: Duration) -> Result<()> {
        self.signal("TERM").await?;
        let Ok(ended) = tokio::time::timeout(patience, self.child.wait()).await else {
            bail!("told to stop, the operator still runs after {patience:?}");
        };
        let ended = ended?;
        ensure!(ended.success(), "told to stop, the operator ended with {ended}");
        Ok(())
    }

    /// The most memory it ever had, in KiB.
    pub fn peak_memory(&self) -> Result<u64> {
        let pid = self.child.id().context("the operator has ended")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak
            .context("Linux tells no VmHWM")?
            .trim()
            .trim_end_matches(" kB");
        peak.parse().with_context(|| format!("VmHWM is {peak}"))
    }

    /// Sends it a signal.
    pub async fn signal(&self, name: &str) -> Result<()> {
        signal(self.child.id().context("the operator has ended")?, name).await
    }

    /// The answer to a GET of its own server.
    pub async fn get(&self, path: &str) -> Result<String> {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            anyhow::Ok(text)
        };
        tokio::time::timeout(Duration::from_secs(5), ask).await?
    }

    /// The points it passed so far, in order.
    pub fn trace(&self) -> Result<Vec<String>> {
        let trace = self.recipe.trace.as_ref().context("no trace was asked for")?;
        let text = fs::read_to_string(trace).unwrap_or_default();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The end of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        last_words(&self.recipe.log)
    }
}

/// The end of a log.
#[must_use]
pub fn last_words(log: &std::path::Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(40);
    format!("the end of its log:\n{}", lines[from..].join("\n"))
}

/// Sends a signal to a process of ours.
pub async fn signal(pid: u32, name: &str) -> Result<()> {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .await?;
    ensure!(sent.success(), "cannot send {name} to process {pid}");
    Ok(())
}
