//! The operator as one process: started, killed, and what it costs read from `/proc` and from its metrics.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ottla_e2e::metrics;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::figures::Figures;

/// How to start the operator.
pub struct Recipe {
    /// Its binary.
    pub binary: PathBuf,
    /// Arguments beside those given here.
    pub arguments: Vec<String>,
    /// The namespace it watches.
    pub namespace: String,
    /// Where its log goes.
    pub log: Option<PathBuf>,
}

/// A running operator; it is killed with this value.
pub struct Operator {
    child: Child,
    pid: u32,
    port: u16,
    /// When it was started.
    pub started: Instant,
}

impl Operator {
    /// Starts one.
    pub async fn start(recipe: &Recipe) -> Result<Self> {
        // Free now; nobody else on this machine is given it in the next moment.
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let log = match &recipe.log {
            Some(path) => Stdio::from(File::options().create(true).append(true).open(path)?),
            None => Stdio::null(),
        };
        let started = Instant::now();
        let child = Command::new(&recipe.binary)
            .args(["run", "--log-format", "text", "--watch-namespaces"])
            .arg(&recipe.namespace)
            .args(["--http-address", &format!("127.0.0.1:{port}")])
            .args(&recipe.arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", recipe.binary.display()))?;
        let pid = child.id().context("the operator ended at once")?;
        Ok(Self {
            child,
            pid,
            port,
            started,
        })
    }

    /// Kills it without letting it finish anything.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("kill the operator")
    }

    /// Its metrics as Prometheus text.
    pub async fn metrics(&self) -> Result<String> {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            anyhow::Ok(text)
        };
        tokio::time::timeout(Duration::from_secs(5), ask).await?
    }

    /// Waits until a counter of its metrics has reached a value; answers when.
    pub async fn counted(
        &self,
        name: &str,
        labels: &[&str],
        least: f64,
        patience: Duration,
    ) -> Result<Instant> {
        let end = Instant::now() + patience;
        loop {
            let text = self.metrics().await.unwrap_or_default();
            let count = metrics::sum(&text, name, labels);
            if count >= least {
                return Ok(Instant::now());
            }
            ensure!(
                Instant::now() < end,
                "{name} is {count} after {patience:?}, not {least}"
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Resident memory in MiB.
    pub fn resident(&self) -> Result<f64> {
        self.memory("VmRSS:")
    }

    /// How much of it are pages of the program's own file.
    pub fn resident_file(&self) -> Result<f64> {
        self.memory("RssFile:")
    }

    fn memory(&self, what: &str) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = text.lines().find_map(|line| line.strip_prefix(what));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next());
        let kibibytes: f64 = kibibytes
            .with_context(|| format!("/proc tells no {what}"))?
            .parse()?;
        Ok(kibibytes / 1024.0)
    }

    /// Seconds of CPU that its threads have used.
    pub fn cpu(&self) -> Result<f64> {
        let mut nanoseconds = 0.0;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            // A thread that has just ended has no figures any more.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            let own: f64 = text.split_whitespace().next().unwrap_or("0").parse()?;
            nanoseconds += own;
        }
        Ok(nanoseconds / 1e9)
    }
}

/// What the operator says it spent on average since an earlier look, in milliseconds; none if nothing happened.
fn mean(before: &str, after: &str, name: &str, label: &str) -> Option<f64> {
    let grown = |suffix: &str| {
        let name = format!("{name}_{suffix}");
        metrics::sum(after, &name, &[label]) - metrics::sum(before, &name, &[label])
    };
    let count = grown("count");
    (count > 0.0).then(|| grown("sum") / count * 1e3)
}

/// A stage of the operator's work: its name, the histogram that times it, and a label of that.
pub type Stage = (&'static str, &'static str, &'static str);

/// Adds where the operator's share of the time went between two looks at its metrics.
pub fn stages(
    figures: &mut Figures,
    scale: usize,
    what: &str,
    stages: &[Stage],
    (before, after): (&str, &str),
) -> Result<()> {
    for (stage, name, label) in stages {
        if let Some(mean) = mean(before, after, name, label) {
            figures.add(scale, &format!("{what}: {stage}, mean"), "ms", mean)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::mean;

    #[test]
    fn a_mean_counts_only_what_happened_between_two_looks() {
        let before = "x_sum{op=\"a\"} 1\nx_count{op=\"a\"} 10\n";
        let after = "x_sum{op=\"a\"} 3\nx_count{op=\"a\"} 20\n";
        let found = mean(before, after, "x", "op=\"a\"").unwrap();
        assert!((found - 200.0).abs() < 1e-9);
        assert!(mean(after, after, "x", "op=\"a\"").is_none());
    }
}
