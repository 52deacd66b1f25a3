//! Sweeps: what an operator is to do is done once without a fault, which tells every point at which it writes; then it is
//! done anew for each of these points, with the operator killed there or something else amiss. Every time Kafka and the
//! Kubernetes API must end as they did without a fault, and must have been written to as often.

mod case;
mod judge;
mod story;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use crate::plane::{Caller, Plane};
use crate::process::{Process, Recipe};
use crate::spare::Spare;
use crate::wire::{self, Writer};

use case::Case;
pub use case::{Trouble, killed, killed_twice, on_the_wire};
pub use judge::Metadata;
pub use story::Story;

/// Operators at the same time: the machine has few cores.
const CROWD: usize = 3;
/// How long an operator may take to come to its point, or to the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing may be written before a scene counts as at rest.
const REST: Duration = Duration::from_millis(400);
/// How long an operator may take from its start to what is left to do when all is settled.
const LEFT: Duration = Duration::from_secs(4);
/// How late an operator hears of what it wrote.
const LATE: Duration = Duration::from_secs(5);
/// Old records of each partition, made so long ago.
const OLD: (i64, SignedDuration) = (100, SignedDuration::from_hours(2));

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
    cases: Vec<(String, Trouble, judge::Ending)>,
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

    /// Tells one story without a fault, then with each of the troubles that its points give.
    pub async fn sweep(
        &self,
        story: Story,
        troubles: impl Fn(Story, &[String]) -> Vec<Trouble>,
    ) -> Result<Swept> {
        let reference = Case::new(self.plane, self.spare, story, Trouble::Nothing).await?;
        let reference = std::slice::from_ref(&reference);
        self.prepare(story, reference).await?;
        let writer = self.writer(story, reference);
        let points = self.tell(story, &reference[0]).boxed_local().await?;
        let reference = self.ending(story, &reference[0], &writer).await?;
        drop(writer);
        ensure!(!points.is_empty(), "{story:?} passed no point at all");

        let mut cases = vec![];
        for trouble in troubles(story, &points) {
            cases.push(Case::new(self.plane, self.spare, story, trouble).await?);
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
    async fn told(
        &self,
        story: Story,
        case: &Case,
        writer: &Writer,
    ) -> Result<(String, Trouble, judge::Ending)> {
        let what = case.told(story);
        self.tell(story, case).await.with_context(|| what.clone())?;
        let ending = self.ending(story, case, writer).await;
        Ok((what.clone(), case.trouble.clone(), ending.context(what)?))
    }

    /// Brings scenes to where the story begins, with old records in their topics.
    async fn prepare(&self, story: Story, cases: &[Case]) -> Result<()> {
        let _turn = self.crowd.acquire().await?;
        for case in cases {
            story.prepare(&case.scene, &case.bootstrap()).await?;
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

    /// An operator in one of its lives, which writes down what points it passes.
    fn recipe(&self, case: &Case, life: usize, failpoint: Option<&String>) -> Result<Recipe> {
        let namespace = &case.scene.namespace;
        let mut arguments = vec![];
        if let Trouble::Succeeded(_) = case.trouble {
            let (lease, name) = (format!("{namespace}/ottla"), format!("operator-{life}"));
            arguments = ["--lease".to_owned(), lease, "--pod-name".to_owned(), name].into();
        }
        let server = case.api_server(self.plane);
        Ok(Recipe {
            kubeconfig: self.plane.kubeconfig(Caller::Operator, &server)?,
            namespaces: vec![namespace.clone()],
            log: self.plane.file(&format!("{namespace}.log")),
            arguments,
            failpoint: failpoint.cloned(),
            trace: Some(self.plane.file(&format!("{namespace}-{life}.trace"))),
        })
    }

    /// Tells a story to its end; answers the points after a write that its last operator passed.
    async fn tell(&self, story: Story, case: &Case) -> Result<Vec<String>> {
        let _turn = self.crowd.acquire().await?;
        case.begin();
        let operator = match &case.trouble {
            Trouble::Nothing | Trouble::Kafka(..) | Trouble::Api(..) => {
                story.act(&case.scene).await?;
                Process::start(self.recipe(case, 0, None)?).await?
            }
            Trouble::Killed(points) => {
                story.act(&case.scene).await?;
                for (life, point) in points.iter().enumerate() {
                    let doomed = Process::start(self.recipe(case, life, Some(point))?).await?;
                    if life == 0 && story.is_told_alike() {
                        doomed.dies(PATIENCE).await?;
                    } else {
                        // The point may not come: the life before may have done all there was, or do it in another order.
                        let over = async {
                            story.settled(&case.scene).await?;
                            tokio::time::sleep(LEFT).await;
                            anyhow::Ok(())
                        };
                        tokio::select! {
                            died = doomed.dies(PATIENCE) => died?,
                            over = over => over?,
                        }
                    }
                }
                Process::start(self.recipe(case, points.len(), None)?).await?
            }
            Trouble::Succeeded(point) => {
                let doomed = Process::start(self.recipe(case, 0, Some(point))?).await?;
                story::await_leader(&case.scene, "operator-0").await?;
                let other = Process::start(self.recipe(case, 1, None)?).await?;
                story.act(&case.scene).await?;
                doomed.dies(PATIENCE).await?;
                other
            }
            Trouble::Doubled => {
                let other = Process::start(self.recipe(case, 0, None)?).await?;
                let operator = Process::start(self.recipe(case, 1, None)?).await?;
                other.is_ready().await?;
                operator.is_ready().await?;
                story.act(&case.scene).await?;
                self.end(story, case, &other).await?;
                self.end(story, case, &operator).await?;
                other.kill().await?;
                operator
            }
            Trouble::Late => {
                story.act(&case.scene).await?;
                let operator = Process::start(self.recipe(case, 0, None)?).await?;
                tokio::time::sleep(LATE).await;
                if let Some(proxy) = &case.api {
                    proxy.delay_watches(false);
                }
                operator
            }
        };
        self.end(story, case, &operator).await?;
        case.ensure_befallen()?;
        let passed = operator.trace()?;
        if let Trouble::Succeeded(_) = case.trouble {
            operator.stop(PATIENCE).await?;
        } else {
            operator.kill().await?;
        }
        Ok(passed
            .into_iter()
            .filter(|point| point.starts_with("after:"))
            .collect())
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
        for (told, trouble, ending) in &self.cases {
            found.extend(judge::check(self.story, told, ending, metadata));
            let wanted = &self.reference;
            found.extend(judge::compare(
                self.story, told, trouble, ending, wanted, metadata,
            ));
        }
        found
    }
}
