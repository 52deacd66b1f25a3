//! Named points before and after every write, at which a test has this process die. Only with the feature `failpoints`:
//! nothing of it is in what is shipped.
//!
//! A point is named by what is written: `kafka.create_topics`, `api.patch.kafkatopics.status`. The points are where all
//! writes pass anyway, [`crate::connections::metered`] and [`super::guard`], so a new write needs no new point. Events are
//! left out, for they are a courtesy, and the Lease, which has tests of its own.
//!
//! `OTTLA_FAILPOINT` says where and what: `after:kafka.delete_records#1=abort` is the first time that this is done, and
//! `after:*#3=abort` the third write of any kind. `OTTLA_FAILPOINT_TRACE` names a file to which every point passed is
//! appended, so that a run without a fault tells which there are.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use http::Method;

/// Where to fail, and how.
const WHERE: &str = "OTTLA_FAILPOINT";
/// Where the points passed are written down.
const TRACE: &str = "OTTLA_FAILPOINT_TRACE";

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is given to the caller.
    Unharmed,
    /// The caller gets an error in its place.
    Lost,
}

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// The process dies as by a signal.
    Abort,
    /// The pass panics.
    Panic,
    /// The pass waits.
    Delay(Duration),
    /// The answer is lost on its way to the caller.
    Lose,
}

/// At which time which point does what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Armed {
    point: String,
    occurrence: u32,
    deed: Deed,
}

impl Armed {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let (place, deed) = text
            .split_once('=')
            .context("it has no =, as in after:kafka.create_topics#1=abort")?;
        let (point, occurrence) = place
            .split_once('#')
            .context("it has no #, as in after:kafka.create_topics#1=abort")?;
        let after = point.starts_with("after:");
        if !after && !point.starts_with("before:") {
            bail!("{point} begins neither with before: nor with after:");
        }
        let deed = match deed.split_once(':') {
            None if deed == "abort" => Deed::Abort,
            None if deed == "panic" => Deed::Panic,
            None if deed == "lose" && after => Deed::Lose,
            Some(("delay", millis)) => Deed::Delay(Duration::from_millis(
                millis.parse().context("a delay is a number of milliseconds")?,
            )),
            _ => bail!("{deed} is none of abort, panic, delay:MILLISECONDS, and lose (after a write)"),
        };
        Ok(Self {
            point: point.to_owned(),
            occurrence: occurrence.parse().context("what stands behind # is no number")?,
            deed,
        })
    }
}

/// The points of this process.
#[derive(Debug)]
struct Points {
    armed: Option<Armed>,
    passed: Mutex<Passed>,
}

#[derive(Debug, Default)]
struct Passed {
    counts: HashMap<String, u32>,
    trace: Option<File>,
}

impl Points {
    /// Counts a point; answers what is to happen there.
    fn pass(&self, moment: &str, name: &str) -> anyhow::Result<Option<Deed>> {
        let (point, any) = (format!("{moment}:{name}"), format!("{moment}:*"));
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = |point: &str| {
            let count = passed.counts.entry(point.to_owned()).or_default();
            *count += 1;
            *count
        };
        let (this, all) = (count(&point), count(&any));
        if let Some(trace) = &mut passed.trace {
            writeln!(trace, "{point}#{this}")?;
        }
        drop(passed);
        let armed = self.armed.as_ref().filter(|armed| {
            (armed.point == point && armed.occurrence == this)
                || (armed.point == any && armed.occurrence == all)
        });
        Ok(armed.map(|armed| armed.deed))
    }
}

static POINTS: OnceLock<Points> = OnceLock::new();

/// Reads the environment. To be called once, before anything is written.
pub fn init() -> anyhow::Result<()> {
    let armed = match std::env::var(WHERE) {
        Ok(text) => Some(Armed::parse(&text).with_context(|| format!("{WHERE} is {text:?}"))?),
        Err(_) => None,
    };
    let trace = match std::env::var_os(TRACE) {
        Some(path) => {
            let file = File::options().create(true).append(true).open(path);
            Some(file.with_context(|| format!("cannot open the file that {TRACE} names"))?)
        }
        None => None,
    };
    let passed = Mutex::new(Passed {
        trace,
        ..Passed::default()
    });
    POINTS
        .set(Points { armed, passed })
        .map_err(|_| anyhow!("the points were set before"))
}

/// Passes the point before a write.
pub async fn before(name: &str) {
    pass("before", name).await;
}

/// Passes the point after a write; answers what becomes of its answer.
pub async fn after(name: &str) -> Fate {
    pass("after", name).await
}

#[allow(clippy::panic, reason = "to panic is what the point was told")]
async fn pass(moment: &str, name: &str) -> Fate {
    let Some(points) = POINTS.get() else {
        return Fate::Unharmed;
    };
    match points.pass(moment, name) {
        Ok(None) => {}
        Ok(Some(Deed::Abort)) => std::process::abort(),
        Ok(Some(Deed::Panic)) => panic!("told to panic {moment} {name}"),
        Ok(Some(Deed::Delay(pause))) => tokio::time::sleep(pause).await,
        Ok(Some(Deed::Lose)) => return Fate::Lost,
        // A trace with a hole would hide points from whoever reads it.
        Err(error) => {
            tracing::error!(%error, "Could not write down a point passed");
            std::process::abort();
        }
    }
    Fate::Unharmed
}

/// The name of the point at a request to the Kubernetes API; none where it writes nothing that matters.
#[must_use]
pub fn of_request(method: &Method, path: &str) -> Option<String> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let mut parts = path.split('/').skip_while(|part| *part != "namespaces").skip(2);
    let resource = parts.next().filter(|resource| *resource != "events")?;
    let below = parts.nth(1).map(|part| format!(".{part}"));
    Some(format!(
        "api.{}.{resource}{}",
        method.as_str().to_lowercase(),
        below.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(armed: &str) -> Points {
        Points {
            armed: Some(Armed::parse(armed).unwrap()),
            passed: Mutex::default(),
        }
    }

    #[test]
    fn a_point_fires_the_time_it_was_told_to_and_no_other() {
        let points = points("after:kafka.create_topics#2=abort");
        let mut fired = vec![];
        for (moment, name) in [
            ("after", "kafka.create_topics"),
            ("before", "kafka.create_topics"),
            ("after", "kafka.delete_topics"),
            ("after", "kafka.create_topics"),
            ("after", "kafka.create_topics"),
        ] {
            fired.push(points.pass(moment, name).unwrap());
        }
        assert_eq!(fired, [None, None, None, Some(Deed::Abort), None]);
    }

    #[test]
    fn a_star_counts_every_write() {
        let points = points("after:*#2=delay:5");
        assert_eq!(points.pass("after", "kafka.create_topics").unwrap(), None);
        assert_eq!(points.pass("before", "kafka.delete_topics").unwrap(), None);
        let due = Some(Deed::Delay(Duration::from_millis(5)));
        assert_eq!(points.pass("after", "kafka.delete_topics").unwrap(), due);
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        for text in [
            "",
            "after:a=abort",
            "after:a#x=abort",
            "a#1=abort",
            "after:a#1=die",
            "after:a#1=delay:x",
            "before:a#1=lose",
        ] {
            assert!(Armed::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_is_named_by_what_it_writes() {
        let name = |method: Method, path: &str| of_request(&method, path);
        let topics = "/apis/ottla.dev/v1alpha1/namespaces/a/kafkatopics";
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(
            name(Method::PATCH, &format!("{topics}/b")),
            told("api.patch.kafkatopics")
        );
        assert_eq!(
            name(Method::PATCH, &format!("{topics}/b/status")),
            told("api.patch.kafkatopics.status")
        );
        assert_eq!(name(Method::POST, topics), told("api.post.kafkatopics"));
        assert_eq!(name(Method::GET, topics), None);
        assert_eq!(
            name(Method::POST, "/apis/events.k8s.io/v1/namespaces/a/events"),
            None
        );
    }
}
