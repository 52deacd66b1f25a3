//! Method `RetentionFlip`: lowers a topic's retention until the records have gone, or for as long as it takes the brokers to
//! look, then restores it.
//!
//! Retention slides: what is old enough to go grows with the clock. So the retention set reaches the cut only at the
//! saved end of the flip, and is restored by then; no record at or after the cut is old enough before. Should the
//! operator be down at that moment, retention slides on until it is back.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ottla_crds::purge::{PurgeStep, SavedTopic};

use super::clear::{Lowered, SPREADING, lower, restore, restoring, same_topic};
use super::reason::Reason;
use super::scene::{End, Scene};
use super::status::Outcome;
use super::{observe, pass, plan};
use crate::runtime::{Action, Error};

/// The brokers' setting that says how often they look at retention.
pub(super) const CHECK_INTERVAL: &str = "log.retention.check.interval.ms";
/// Kafka's default of it, for brokers that do not tell.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);
/// What a look takes, beyond its interval.
const ALLOWANCE: Duration = Duration::from_secs(5);
/// How soon to look again at the longest.
const LOOK: Duration = Duration::from_secs(5);

/// Goes on with a flip that has begun.
pub(super) async fn go_on(mut scene: Scene<'_>, saved: &SavedTopic) -> Result<End, Error> {
    if let Some(outcome) = same_topic(&scene).await {
        return Ok(scene.end(outcome));
    }
    let admin = scene.kafka.admin.clone();
    let now = scene.ctx.now();
    let until = match scene.status().clearing_until {
        Some(Time(until)) => until,
        None => announce(&mut scene, now).await?,
    };
    let scope = scene
        .status()
        .partitions
        .iter()
        .map(|one| one.partition.into())
        .collect();
    let starts = match observe::starts(&*admin, &scene.name, &scope).await {
        Ok(starts) => starts,
        Err(error) => return Ok(scene.failed(&error)),
    };
    let over = now >= until || pass::overdue(&scene, now).is_some();
    let left = plan::left(&scene.status().partitions, &starts);
    if over || left == 0 {
        scene
            .save(&restoring(), |status| status.step = Some(PurgeStep::Restoring))
            .await?;
        return restore(scene, saved).await;
    }
    let cut = scene.status().cut_time.map_or(now, |at| at.0);
    let lowered = plan::lowered(&scene.name, saved, cut, until);
    match lower(&scene, &lowered, saved).await? {
        Lowered::Stays => {}
        Lowered::PutBack => return Ok(End::Wait(Action::After(SPREADING))),
        Lowered::Failed(error) => return Ok(scene.failed(&error)),
    }
    let remaining = until.duration_since(now).unsigned_abs();
    let message = format!(
        "{left} records wait for the brokers to look at the lowered retention; it is restored at {until} at the latest"
    );
    let again = Action::After(remaining.min(LOOK).max(Duration::from_millis(200)));
    Ok(scene.end(Outcome::new(Reason::WaitingForRetention, message, again)))
}

/// Works out how long the flip may last, and writes it down before anything is lowered.
async fn announce(scene: &mut Scene<'_>, now: Timestamp) -> Result<Timestamp, Error> {
    let brokers = scene
        .kafka
        .admin
        .describe_broker_configs([CHECK_INTERVAL.to_owned()].into())
        .await;
    let told = brokers.unwrap_or_default();
    let intervals = told
        .values()
        .filter_map(|config| config.get(CHECK_INTERVAL)?.value.as_deref()?.parse().ok());
    let interval = intervals.max().map_or(DEFAULT_INTERVAL, Duration::from_millis);
    let lasts = SignedDuration::try_from(interval + interval / 4 + ALLOWANCE).unwrap_or(SignedDuration::MAX);
    let until = now.checked_add(lasts).unwrap_or(Timestamp::MAX);
    let message = format!("retention is lowered until {until} at the latest");
    let outcome = Outcome::new(Reason::WaitingForRetention, message, Action::AwaitChange);
    scene
        .save(&outcome, |status| status.clearing_until = Some(Time(until)))
        .await?;
    // As it is saved, to the second: the next pass is to ask for the very same retention.
    Ok(scene.status().clearing_until.map_or(until, |saved| saved.0))
}
