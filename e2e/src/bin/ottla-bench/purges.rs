//! Purges of real records: one after the other, one of very many partitions, and many at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use ottla_e2e::object::{Kind, Look as _};

use crate::figures::Figures;
use crate::fill::{self, Filled};
use crate::place::{GOOD, Place};
use crate::process::{Operator, Stage, stages};
use crate::witness::Witness;
use crate::{Common, load};

/// Partitions of an ordinary topic.
const PARTITIONS: u32 = 3;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// What the operator spends its time on, by its own metrics.
const STAGES: [Stage; 6] = [
    ("describe", CALLS, "operation=\"describe_topics\""),
    ("offsets", CALLS, "operation=\"list_offsets\""),
    ("consumer groups", CALLS, "operation=\"consumer_groups\""),
    ("configuration", CALLS, "operation=\"describe_configs\""),
    ("delete records", CALLS, "operation=\"delete_records\""),
    (
        "one pass",
        "ottla_reconcile_duration_seconds",
        "kind=\"KafkaTopicPurge\"",
    ),
];
const CALLS: &str = "ottla_admin_call_duration_seconds";

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// One purge after the other of a topic with three partitions
    Lone,
    /// One purge of a topic with very many partitions
    Wide,
    /// Many purges at once, each of a topic with three partitions
    Burst,
}

/// What to measure of purges.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these rows
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Row>,
    /// Records that a lone purge removes
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Lone purges
    #[arg(long, default_value_t = 11)]
    lone: usize,
    /// Partitions of the wide purge
    #[arg(long, default_value_t = 1_000)]
    wide: u32,
    /// Purges at once
    #[arg(long, default_value_t = 100)]
    burst: usize,
    /// How often the wide purge and the burst are done
    #[arg(long, default_value_t = 3)]
    repeat: usize,
}

/// All rows, by one operator process.
pub async fn all(common: &Common, args: &Args, place: &Place, figures: &mut Figures) -> Result<()> {
    let operator = Operator::start(&common.recipe(place)).await?;
    place.cluster_ready().await?;
    let mut bench = Bench {
        common,
        place,
        operator: &operator,
        figures,
        topics: Witness::start(place.api(Kind::Topic)).await?,
        purges: Witness::start(place.api(Kind::Purge)).await?,
    };
    let wants = |row| args.only.is_empty() || args.only.contains(&row);
    if wants(Row::Lone) {
        let of = Load {
            what: "lone purge",
            topics: 1,
            partitions: PARTITIONS,
            records: args.records,
        };
        bench.row(&of, args.lone).await?;
    }
    if wants(Row::Wide) {
        let of = Load {
            what: "wide purge",
            topics: 1,
            partitions: args.wide,
            records: u64::from(args.wide) * 10,
        };
        bench.row(&of, args.repeat).await?;
    }
    if wants(Row::Burst) {
        let of = Load {
            what: "purges at once",
            topics: args.burst,
            partitions: PARTITIONS,
            records: 300,
        };
        bench.row(&of, args.repeat).await?;
    }
    operator.kill().await
}

/// What is purged at once.
struct Load {
    what: &'static str,
    topics: usize,
    partitions: u32,
    /// Of each topic.
    records: u64,
}

impl Load {
    fn scale(&self) -> usize {
        self.topics * usize::try_from(self.partitions).unwrap_or(usize::MAX)
    }
}

struct Bench<'a> {
    common: &'a Common,
    place: &'a Place,
    operator: &'a Operator,
    figures: &'a mut Figures,
    topics: Witness,
    purges: Witness,
}

impl Bench<'_> {
    /// Makes the topics, then fills and purges them so many times.
    async fn row(&mut self, of: &Load, repeat: usize) -> Result<()> {
        let word = of.what.replace(' ', "-");
        let names: Vec<String> = (0..of.topics).map(|n| format!("{word}-{n:03}")).collect();
        let one = |name: &String| self.place.topic(name, GOOD, of.partitions, "Delete");
        let objects = names.iter().map(one).collect::<Result<Vec<_>>>()?;
        load::create(self.place, Kind::Topic, objects).await?;
        self.topics.ready(&names, 1, PATIENCE).await?;
        let mut latencies = vec![];
        for round in 0..repeat {
            eprintln!("{}: round {} of {repeat}", of.what, round + 1);
            let filled = names
                .iter()
                .map(|name| (self.place.topic_name(name), of.partitions));
            fill::fill(self.common, filled.collect::<Vec<Filled>>(), of.records).await?;
            latencies.append(&mut self.purge(of, round, &names).await?);
        }
        self.figures.add_latencies(of.scale(), of.what, &latencies)?;
        load::delete(self.place, &names).await?;
        self.topics
            .all("gone", &names, PATIENCE, |seen| seen.gone)
            .await?;
        Ok(())
    }

    /// Purges every topic at once; answers how long each purge took.
    async fn purge(&mut self, of: &Load, round: usize, topics: &[String]) -> Result<Vec<Duration>> {
        let names: Vec<String> = topics.iter().map(|topic| format!("{topic}-{round}")).collect();
        let pairs = names.iter().zip(topics);
        let objects = pairs
            .map(|(name, topic)| Place::purge(name, topic))
            .collect::<Result<Vec<_>>>()?;
        let (writes, spent) = (
            self.place.requests().await?.writes,
            self.operator.metrics().await?,
        );
        let asked = load::create(self.place, Kind::Purge, objects).await?;
        let done = self.purges.ready(&names, 1, PATIENCE).await?;
        let (after, spent_after) = (
            self.place.requests().await?.writes,
            self.operator.metrics().await?,
        );
        self.check(of, &names).await?;
        self.tell(of, &asked, &done, after - writes)?;
        stages(self.figures, of.scale(), of.what, &STAGES, (&spent, &spent_after))?;
        Ok(load::latencies(&asked, &done))
    }

    #[allow(clippy::cast_precision_loss, reason = "a count of purges")]
    fn tell(
        &mut self,
        of: &Load,
        asked: &HashMap<String, Instant>,
        done: &HashMap<String, Instant>,
        writes: f64,
    ) -> Result<()> {
        let (scale, purges) = (of.scale(), of.topics as f64);
        let span = load::span(asked, done).as_secs_f64() * 1e3;
        self.figures
            .add(scale, &format!("{}: to the last Complete", of.what), "ms", span)?;
        let own = (writes - purges) / purges;
        let what = format!("{}: API writes of the operator", of.what);
        self.figures.add(scale, &what, "a purge", own)
    }

    /// A figure counts only if the records it stands for are gone.
    async fn check(&self, of: &Load, names: &[String]) -> Result<()> {
        let api = self.place.api(Kind::Purge);
        for name in names {
            let purge = api.get(name).await.with_context(|| format!("get {name}"))?;
            let records = purge.number("/status/records").unwrap_or_default();
            ensure!(
                u64::try_from(records) == Ok(of.records) && purge.says("Complete", "True", "Complete"),
                "purge {name} removed {records} of {} records: {}",
                of.records,
                purge.at("/status/conditions")
            );
        }
        Ok(())
    }
}
