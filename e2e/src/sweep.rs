//! The kill sweep: what an operator is to do is done once without a fault, which tells every point at which it writes;
//! then it is done anew for each of these points, with the operator killed there. Every time Kafka and the Kubernetes API
//! must end as they did without a fault, and must have been written to as often.

mod judge;
mod story;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use crate::Scene;
use crate::plane::{Caller, Plane};
use crate::process::{Process, Recipe};
use crate::spare::Spare;
use crate::wire::{self, Writer};

pub use judge::Metadata;
pub use story::Story;

/// Operators at the same time: the machine has few cores.
const CROWD: usize = 6;
/// How long an operator may take to come to its point, or to the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing may be written before a scene counts as at rest.
const REST: Duration = Duration::from_millis(400);
/// Old records of each partition, made so long ago.
const OLD: (i64, SignedDuration) = (100, SignedDuration::from_hours(2));

/// How thorough a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Each point once; one kill twice in a story.
    Each,
    /// Each point once, and again with a second kill at the next write after it.
    Twice,
}

/// The operator's deaths in one case, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kills(Vec<String>);

/// One telling of a story.
struct Case {
    scene: Scene,
    kills: Kills,
    /// Whether another operator stands by.
    standby: bool,
}

impl Case {
    fn told(&self, story: Story) -> String {
        let standby = if self.standby { ", another stands by" } else { "" };
        match self.kills.0.as_slice() {
            [] => format!("{story:?} without a fault"),
            kills => format!("{story:?}, killed {}{standby}", kills.join(", then ")),
        }
    }
}

/// What all sweeps share.
pub struct Sweeps<'a> {
    plane: &'a Plane,
    spare: &'a Spare,
    crowd: Semaphore,
}

/// What became of one story.
pub struct Swept {
    /// The story.
    pub story: Story,
    reference: judge::Ending,
    cases: Vec<(String, judge::Ending)>,
}

impl<'a> Sweeps<'a> {
    /// Sweeps on this Kubernetes API and this Kafka.
    #[must_use]
    pub fn new(plane: &'a Plane, spare: &'a Spare) -> Self {
        Self {
            plane,
            spare,
            crowd: Semaphore::new(CROWD),
        }
    }

    /// Tells one story without a fault, then killed at each of its points.
    pub async fn sweep(&self, story: Story, depth: Depth) -> Result<Swept> {
        let reference = self.case(story, Kills::default(), false).await?;
        self.prepare(story, std::slice::from_ref(&reference)).await?;
        let writer = self.writer(story, std::slice::from_ref(&reference));
        let points = self.tell(story, &reference).await?;
        let reference = self.ending(story, &reference, &writer).await?;
        drop(writer);
        ensure!(!points.is_empty(), "{story:?} passed no point at all");

        let mut cases = vec![];
        for (index, point) in points.iter().enumerate() {
            cases.push(
                self.case(story, Kills(vec![format!("{point}=abort")]), false)
                    .await?,
            );
            let twice = depth == Depth::Twice || index == points.len() / 2;
            if twice && index + 1 < points.len() {
                let kills = vec![format!("{point}=abort"), "after:*#1=abort".to_owned()];
                cases.push(self.case(story, Kills(kills), false).await?);
            }
        }
        if story.stands_by() {
            let point = points
                .iter()
                .find(|point| point.contains("kafka."))
                .with_context(|| format!("{story:?} changes nothing in Kafka"))?;
            cases.push(
                self.case(story, Kills(vec![format!("{point}=abort")]), true)
                    .await?,
            );
        }
        self.prepare(story, &cases).await?;
        let writer = self.writer(story, &cases);
        let told = stream::iter(&cases).map(|case| self.told(story, case, &writer).boxed_local());
        let cases = told.buffer_unordered(CROWD).try_collect().await?;
        Ok(Swept {
            story,
            reference,
            cases,
        })
    }

    /// Tells one case and looks how it ended.
    async fn told(&self, story: Story, case: &Case, writer: &Writer) -> Result<(String, judge::Ending)> {
        let what = case.told(story);
        self.tell(story, case).await.with_context(|| what.clone())?;
        let ending = self.ending(story, case, writer).await;
        Ok((what.clone(), ending.context(what)?))
    }

    async fn case(&self, story: Story, kills: Kills, standby: bool) -> Result<Case> {
        let name = format!("{story:?}").to_lowercase();
        Ok(Case {
            scene: Scene::apart(self.plane, self.spare, &name).await?,
            kills,
            standby,
        })
    }

    /// Brings scenes to where the story begins, with old records in their topics.
    async fn prepare(&self, story: Story, cases: &[Case]) -> Result<()> {
        let _turn = self.crowd.acquire().await?;
        for case in cases {
            story.prepare(&case.scene).await?;
        }
        let namespaces = cases.iter().map(|case| case.scene.namespace.clone());
        let operator = Process::start(Recipe {
            kubeconfig: self.plane.kubeconfig(Caller::Preparer, &self.plane.url())?,
            namespaces: namespaces.collect(),
            log: self.plane.file(&format!("prepare-{story:?}.log")),
            ..Recipe::default()
        })
        .await?;
        for case in cases {
            let prepared = story.prepared(&case.scene).await;
            prepared.with_context(|| format!("prepare {story:?}; {}", operator.last_words()))?;
        }
        operator.kill().await?;
        let topics = topics(story, cases);
        if !topics.is_empty() {
            let at = Timestamp::now().checked_sub(OLD.1)?;
            wire::write(self.spare, &topics, at, OLD.0).await?;
        }
        Ok(())
    }

    fn writer(&self, story: Story, cases: &[Case]) -> Writer {
        Writer::start(self.spare, topics(story, cases))
    }

    fn recipe(&self, case: &Case, life: usize) -> Result<Recipe> {
        let namespace = &case.scene.namespace;
        let mut arguments = vec![];
        if case.standby {
            arguments = vec![
                "--lease".to_owned(),
                format!("{namespace}/ottla"),
                "--pod-name".to_owned(),
                format!("operator-{life}"),
            ];
        }
        Ok(Recipe {
            kubeconfig: self.plane.kubeconfig(Caller::Operator, &self.plane.url())?,
            namespaces: vec![namespace.clone()],
            log: self.plane.file(&format!("{namespace}.log")),
            arguments,
            ..Recipe::default()
        })
    }

    /// Tells a story to its end; answers the points after a write that its last operator passed.
    async fn tell(&self, story: Story, case: &Case) -> Result<Vec<String>> {
        let _turn = self.crowd.acquire().await?;
        if case.standby {
            return self.tell_with_standby(story, case).await;
        }
        story.act(&case.scene).await?;
        for (life, kill) in case.kills.0.iter().enumerate() {
            let recipe = Recipe {
                failpoint: Some(kill.clone()),
                ..self.recipe(case, life)?
            };
            Process::start(recipe).await?.dies(PATIENCE).await?;
        }
        let life = case.kills.0.len();
        let trace = self.plane.file(&format!("{}-{life}.trace", case.scene.namespace));
        let recipe = Recipe {
            trace: Some(trace),
            ..self.recipe(case, life)?
        };
        let operator = Process::start(recipe).await?;
        self.end(story, case, &operator).await?;
        let passed = operator.trace()?;
        operator.kill().await?;
        Ok(passed
            .into_iter()
            .filter(|point| point.starts_with("after:"))
            .collect())
    }

    /// The same with another operator that takes over.
    async fn tell_with_standby(&self, story: Story, case: &Case) -> Result<Vec<String>> {
        let doomed = Process::start(Recipe {
            failpoint: case.kills.0.first().cloned(),
            ..self.recipe(case, 0)?
        })
        .await?;
        story::await_leader(&case.scene, "operator-0").await?;
        let other = Process::start(Recipe {
            trace: Some(self.plane.file(&format!("{}-1.trace", case.scene.namespace))),
            ..self.recipe(case, 1)?
        })
        .await?;
        story.act(&case.scene).await?;
        doomed.dies(PATIENCE).await?;
        self.end(story, case, &other).await?;
        other.stop(PATIENCE).await?;
        Ok(vec![])
    }

    /// Awaits the story's end, and that nothing is written any more.
    async fn end(&self, story: Story, case: &Case, operator: &Process) -> Result<()> {
        let settled = story.settled(&case.scene).await;
        settled.with_context(|| operator.last_words())?;
        let (mut last, mut since) = (operator.trace()?, Instant::now());
        while since.elapsed() < REST {
            tokio::time::sleep(REST / 8).await;
            let now = operator.trace()?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    async fn ending(&self, story: Story, case: &Case, writer: &Writer) -> Result<judge::Ending> {
        judge::look(self.plane, self.spare, story, &case.scene, writer).await
    }
}

/// The topics of these scenes in Kafka, where the story begins with one.
fn topics(story: Story, cases: &[Case]) -> BTreeSet<String> {
    let all = cases.iter().map(|case| case.scene.topic(story::TOPIC));
    all.filter(|_| story != Story::Create).collect()
}

impl Swept {
    /// How many tellings were compared with the one without a fault.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// Compares every ending with the one without a fault; answers what differs.
    #[must_use]
    pub fn differences(&self, metadata: &Metadata) -> Vec<String> {
        let told = format!("{:?} without a fault", self.story);
        let mut found = judge::check(self.story, &told, &self.reference, metadata);
        for (told, ending) in &self.cases {
            found.extend(judge::check(self.story, told, ending, metadata));
            found.extend(judge::compare(told, ending, &self.reference, metadata));
        }
        found
    }
}
