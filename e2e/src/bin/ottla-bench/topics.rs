//! One round: an operator, that many topics, every row that was asked for, and all of it removed again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use ottla_e2e::object::Kind;
use serde_json::json;

use crate::figures::Figures;
use crate::place::{GOOD, HOLE, Place};
use crate::process::{Operator, Recipe, Stage, stages};
use crate::witness::Witness;
use crate::{Common, floor, load};

/// Partitions of each topic.
const PARTITIONS: u32 = 3;
/// The same where three would be more files than one broker may have open.
const PARTITIONS_OF_MANY: u32 = 1;
/// From this many topics on.
const MANY: usize = 5_000;
/// Longest wait for one topic of a burst: what the slowest rate worth waiting for needs.
const PER_TOPIC: Duration = Duration::from_millis(100);
/// Longest wait for anything small.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the operator spends its time on, by its own metrics.
const STAGES: [Stage; 3] = [
    (
        "describe",
        "ottla_admin_call_duration_seconds",
        "operation=\"describe_topics\"",
    ),
    (
        "create in Kafka",
        "ottla_admin_call_duration_seconds",
        "operation=\"create_topics\"",
    ),
    (
        "whole pass",
        "ottla_reconcile_duration_seconds",
        "kind=\"KafkaTopic\"",
    ),
];

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// A burst of creates
    Create,
    /// A burst of deletes with `deletionPolicy: Delete`, after the creates that it needs
    Delete,
    /// A burst of config changes
    Change,
    /// Creates and partition growths one at a time
    Lone,
    /// Memory, CPU, writes and requests while nothing changes
    Rest,
    /// A start with all topics existing
    Start,
    /// The same beside a second cluster that swallows everything
    BlackHole,
    /// The writes of bursts and of lone creates and growths without any operator: what the machine gives
    Floor,
}

/// What to measure of topics.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these rows
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Row>,
    /// Numbers of topics
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    scale: Vec<usize>,
    /// How often everything is done
    #[arg(long, default_value_t = 3)]
    repeat: u32,
    /// Calls of each kind that are made one at a time
    #[arg(long, default_value_t = 100)]
    lone: usize,
    /// Seconds of rest that are watched: at least two sweeps
    #[arg(long, default_value_t = 100)]
    rest: u64,
}

impl Args {
    fn wants(&self, row: Row) -> bool {
        self.only.is_empty() || self.only.contains(&row)
    }
}

/// All rounds.
pub async fn all(common: &Common, args: &Args, place: &Place, figures: &mut Figures) -> Result<()> {
    let recipe = common.recipe(place);
    for repeat in 0..args.repeat {
        for scale in &args.scale {
            eprintln!("round {} of {}, {scale} topics", repeat + 1, args.repeat);
            let witness = Witness::start(place.api(Kind::Topic)).await?;
            let operator = Operator::start(&recipe).await?;
            place.cluster_ready().await?;
            let mut round = Round {
                args,
                place,
                figures: &mut *figures,
                witness,
                scale: *scale,
                status: json!({}),
            };
            round.play(operator, &recipe).await?;
            if args.wants(Row::Floor) {
                round.floor(common).await?;
            }
        }
    }
    Ok(())
}

struct Round<'a> {
    args: &'a Args,
    place: &'a Place,
    figures: &'a mut Figures,
    witness: Witness,
    scale: usize,
    /// What the operator said of one topic.
    status: serde_json::Value,
}

impl Round<'_> {
    async fn play(&mut self, mut operator: Operator, recipe: &Recipe) -> Result<()> {
        let args = self.args;
        let names = names("t", self.scale);
        if args.wants(Row::Delete) {
            self.deletes().await?;
        }
        self.creates(&operator, &names).await?;
        if args.wants(Row::Change) {
            self.changes(&operator, &names).await?;
        }
        if args.wants(Row::Lone) {
            self.lone(&operator, "lone", true).await?;
        }
        if args.wants(Row::Rest) {
            self.rest(&operator).await?;
        }
        if args.wants(Row::Start) {
            operator = self.restart(operator, recipe).await?;
        }
        if args.wants(Row::BlackHole) {
            self.beside_a_black_hole(&operator).await?;
        }
        self.clean(&names).await?;
        operator.kill().await
    }

    fn partitions(&self) -> u32 {
        if self.scale < MANY {
            PARTITIONS
        } else {
            PARTITIONS_OF_MANY
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE + PER_TOPIC * u32::try_from(self.scale).unwrap_or(u32::MAX)
    }

    fn add(&mut self, what: &str, unit: &'static str, value: f64) -> Result<()> {
        self.figures.add(self.scale, what, unit, value)
    }

    #[allow(clippy::cast_precision_loss, reason = "a count of topics")]
    fn add_burst(&mut self, what: &str, topics: usize, span: Duration, writes: f64) -> Result<()> {
        let topics = topics as f64;
        self.add(&format!("{what}: rate"), "topics/s", topics / span.as_secs_f64())?;
        self.add(
            &format!("{what}: API writes of the operator"),
            "a topic",
            (writes - topics) / topics,
        )
    }

    /// A burst of creates under the default policies.
    async fn creates(&mut self, operator: &Operator, names: &[String]) -> Result<()> {
        let objects = self.objects(names, GOOD, "Retain")?;
        let (before, spent) = (self.place.requests().await?, operator.metrics().await?);
        let asked = load::create(self.place, Kind::Topic, objects).await?;
        let done = self.witness.ready(names, 1, self.patience()).await?;
        let (after, spent_after) = (self.place.requests().await?, operator.metrics().await?);
        if self.args.wants(Row::Create) {
            let span = load::span(&asked, &done);
            self.add_burst("burst create", names.len(), span, after.writes - before.writes)?;
            self.figures
                .add_latencies(self.scale, "burst create", &load::latencies(&asked, &done))?;
            self.stages("burst create", &spent, &spent_after)?;
        }
        let first = names.first().context("no topic was asked for")?;
        self.status = self.place.api(Kind::Topic).get(first).await?.data["status"].clone();
        Ok(())
    }

    /// A burst of creates with `deletionPolicy: Delete`, and the burst of deletes that this is for.
    async fn deletes(&mut self) -> Result<()> {
        let names = names("d", self.scale);
        let objects = self.objects(&names, GOOD, "Delete")?;
        let before = self.place.requests().await?;
        let asked = load::create(self.place, Kind::Topic, objects).await?;
        let done = self.witness.ready(&names, 1, self.patience()).await?;
        let created = self.place.requests().await?;
        let writes = created.writes - before.writes;
        self.add_burst(
            "burst create, Delete policy",
            names.len(),
            load::span(&asked, &done),
            writes,
        )?;
        let (asked, done) = self.delete_all(&names).await?;
        let writes = self.place.requests().await?.writes - created.writes;
        self.add_burst("burst delete", names.len(), load::span(&asked, &done), writes)
    }

    /// A burst of config changes.
    async fn changes(&mut self, operator: &Operator, names: &[String]) -> Result<()> {
        let (before, spent) = (self.place.requests().await?, operator.metrics().await?);
        let patch = json!({"spec": {"config": {"retention.ms": 86_400_000}}});
        let asked = load::patch(self.place, names, &patch).await?;
        let done = self.witness.ready(names, 2, self.patience()).await?;
        let (after, spent_after) = (self.place.requests().await?, operator.metrics().await?);
        let span = load::span(&asked, &done);
        self.add_burst(
            "burst config change",
            names.len(),
            span,
            after.writes - before.writes,
        )?;
        self.stages("burst config change", &spent, &spent_after)
    }

    /// Creates one topic after the other, then lets each grow; they are removed again.
    async fn lone(&mut self, operator: &Operator, what: &str, grow: bool) -> Result<()> {
        let names = names("l", self.args.lone);
        let topics = self.objects(&names, GOOD, "Retain")?;
        let api = self.place.api(Kind::Topic);
        let spent = operator.metrics().await?;
        let (mut times, mut calls) = (vec![], vec![]);
        for object in topics {
            let (name, asked) = load::create_one(&api, object).await?;
            calls.push(asked.elapsed());
            let done = self.witness.ready([&name], 1, PATIENCE).await?;
            times.extend(done.values().map(|at| at.saturating_duration_since(asked)));
        }
        let spent_after = operator.metrics().await?;
        self.figures
            .add_latencies(self.scale, &format!("{what} create"), &times)?;
        self.add(
            &format!("{what} create: the create call itself, mean"),
            "ms",
            average(&calls),
        )?;
        self.stages(&format!("{what} create"), &spent, &spent_after)?;
        if grow {
            let mut times = vec![];
            let patch = json!({"spec": {"partitions": PARTITIONS + 1}});
            for name in &names {
                let asked = load::patch(self.place, std::slice::from_ref(name), &patch).await?;
                let done = self.witness.ready([name], 2, PATIENCE).await?;
                times.append(&mut load::latencies(&asked, &done));
            }
            self.figures
                .add_latencies(self.scale, &format!("{what} partition growth"), &times)?;
        }
        self.clean(&names).await
    }

    /// What it costs to do nothing.
    async fn rest(&mut self, operator: &Operator) -> Result<()> {
        let (requests, spent) = (self.place.requests().await?, operator.metrics().await?);
        let (cpu, began) = (operator.cpu()?, Instant::now());
        tokio::time::sleep(Duration::from_secs(self.args.rest)).await;
        let share = (operator.cpu()? - cpu) / began.elapsed().as_secs_f64() * 100.0;
        let (after, spent_after) = (self.place.requests().await?, operator.metrics().await?);
        let calls = |text: &str| ottla_e2e::metrics::sum(text, "ottla_admin_calls_total", &[]);
        self.add("at rest: resident memory", "MiB", operator.resident()?)?;
        self.add(
            "at rest: of these the program's own file",
            "MiB",
            operator.resident_file()?,
        )?;
        self.add("at rest: share of a core", "%", share)?;
        self.add(
            "at rest: API writes",
            "in the span",
            after.writes - requests.writes,
        )?;
        self.add("at rest: API reads", "in the span", after.reads - requests.reads)?;
        self.add(
            "at rest: calls to Kafka",
            "in the span",
            calls(&spent_after) - calls(&spent),
        )
    }

    /// A start with every topic existing, and one object that nobody has seen yet.
    async fn restart(&mut self, operator: Operator, recipe: &Recipe) -> Result<Operator> {
        operator.kill().await?;
        let late = names("late", 1);
        load::create(self.place, Kind::Topic, self.objects(&late, GOOD, "Delete")?).await?;
        let before = self.place.requests().await?;
        let operator = Operator::start(recipe).await?;
        let started = operator.started;
        let ready = self.witness.ready(&late, 1, self.patience()).await?;
        let first = ready.values().max().context("no topic is Ready")?;
        #[allow(clippy::cast_precision_loss, reason = "a count of topics")]
        let asked_for = self.scale as f64;
        let labels = ["operation=\"describe_topics\"", "outcome=\"ok\""];
        let confirmed = operator
            .counted("ottla_admin_items_total", &labels, asked_for, self.patience())
            .await?;
        let span = |at: Instant| at.saturating_duration_since(started).as_secs_f64();
        self.add("start: to the first Ready", "s", span(*first))?;
        self.add("start: to all topics confirmed", "s", span(confirmed))?;
        let writes = self.place.requests().await?.writes - before.writes;
        self.add(
            "start: API writes of the operator beside the new topic's",
            "in all",
            writes - 2.0,
        )?;
        self.add("start: resident memory", "MiB", operator.resident()?)?;
        self.delete_all(&late).await?;
        Ok(operator)
    }

    /// The lone creates again, with as many topics waiting for a Kafka that takes connections and never answers.
    async fn beside_a_black_hole(&mut self, operator: &Operator) -> Result<()> {
        let stuck = names("s", self.scale.min(MANY));
        let hole = self.place.black_hole().await?;
        load::create(self.place, Kind::Topic, self.objects(&stuck, HOLE, "Retain")?).await?;
        // Else the first creates would be held against an API server that is busy with what is said of these.
        self.witness
            .all("waiting", &stuck, self.patience(), |seen| seen.waits)
            .await?;
        let outcome = self.lone(operator, "beside a black hole: lone", false).await;
        load::delete(self.place, &stuck).await?;
        self.place.delete(Kind::Cluster, HOLE).await?;
        hole.abort();
        outcome
    }

    /// The rates and latencies that no operator on this machine can better.
    async fn floor(&mut self, common: &Common) -> Result<()> {
        let many = self.objects(&names("f", self.scale), GOOD, "Retain")?;
        let lone = self.objects(&names("g", self.args.lone), GOOD, "Retain")?;
        let floor = floor::measure(common, self.place, self.partitions(), many, lone, &self.status).await?;
        #[allow(clippy::cast_precision_loss, reason = "a count of topics")]
        let topics = self.scale as f64;
        for burst in floor.bursts {
            let what = format!("without an operator: {}", burst.what);
            let rate = topics / burst.took.as_secs_f64();
            self.add(&format!("{what}: rate"), "topics/s", rate)?;
            if let Some(spent) = burst.api_server {
                let each = spent * 1e3 / topics;
                self.add(&format!("{what}: the API server's processor"), "ms a topic", each)?;
            }
        }
        let lone = [("create", floor.creates), ("partition growth", floor.growths)];
        for (what, times) in lone {
            let what = format!("without an operator: lone {what}");
            self.figures.add_latencies(self.scale, &what, &times)?;
        }
        Ok(())
    }

    /// Removes the objects and, by the product's own means, the topics.
    async fn clean(&self, names: &[String]) -> Result<()> {
        load::patch(self.place, names, &json!({"spec": {"deletionPolicy": "Delete"}})).await?;
        let guarded = |seen: &crate::witness::Seen| seen.guarded.then(Instant::now);
        self.witness
            .all("guarded by a finalizer", names, self.patience(), guarded)
            .await?;
        self.delete_all(names).await.map(drop)
    }

    async fn delete_all(
        &self,
        names: &[String],
    ) -> Result<(
        std::collections::HashMap<String, Instant>,
        std::collections::HashMap<String, Instant>,
    )> {
        let asked = load::delete(self.place, names).await?;
        let gone = self
            .witness
            .all("gone", names, self.patience(), |seen| seen.gone)
            .await?;
        Ok((asked, gone))
    }

    fn objects(
        &self,
        names: &[String],
        cluster: &str,
        deletion: &str,
    ) -> Result<Vec<kube::api::DynamicObject>> {
        let one = |name: &String| self.place.topic(name, cluster, self.partitions(), deletion);
        names.iter().map(one).collect()
    }

    /// Where the operator's share of the time went.
    fn stages(&mut self, what: &str, before: &str, after: &str) -> Result<()> {
        stages(self.figures, self.scale, what, &STAGES, (before, after))
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number:05}")).collect()
}

fn average(times: &[Duration]) -> f64 {
    let sum: f64 = times.iter().map(Duration::as_secs_f64).sum();
    let count = u32::try_from(times.len().max(1)).unwrap_or(u32::MAX);
    sum / f64::from(count) * 1e3
}
