//! How a consumer comes into its group, leaves it, and comes back with other credentials.

use std::time::Instant;

use ottla_contract::config::Start;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tracing::{info, warn};

use super::session::{Session, TIMEOUT};
use super::{Assignment, POLL, Work};
use crate::client::{self, ClientError};
use crate::credentials::Watch;

/// A client that has not joined its group yet.
pub(super) fn open(assignment: &Assignment, session: Session) -> Result<BaseConsumer<Session>, ClientError> {
    let Assignment {
        connection, config, ..
    } = assignment;
    let mut settings = client::connection(connection)?;
    settings
        .set("group.id", &config.group_id)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "15000")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "65536")
        .set("check.crcs", "true")
        .set(
            "auto.offset.reset",
            if config.start == Start::Earliest {
                "earliest"
            } else {
                "latest"
            },
        );
    BaseConsumer::from_config_and_context(&settings, session).map_err(ClientError::Create)
}

/// Closes the client. librdkafka may wait long for brokers that are gone, so another thread does.
pub(super) fn close(consumer: BaseConsumer<Session>) {
    let (done, closed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(consumer);
        // Nobody listens any more if this took too long.
        let _ = done.send(());
    });
    if closed.recv_timeout(TIMEOUT).is_err() {
        warn!("The Kafka client did not close in time");
    }
}

impl Work<'_> {
    /// Leaves the group, so that others need not wait until it is missed.
    pub(super) fn leave(&self) {
        self.consumer.unsubscribe();
        let until = Instant::now() + TIMEOUT;
        while !self.state().owned.is_empty() && Instant::now() < until {
            self.board.beat();
            // Serves the callback that gives the partitions away; records are not looked at any more.
            drop(self.consumer.poll(POLL));
        }
    }

    /// Goes on with a client of the newer credentials: commits, leaves, and joins anew. Partitions are taken over from the
    /// commit as they would be from another pod. While the credentials are of no use, the present client goes on.
    pub(super) fn rejoin(&mut self) {
        let watch = Watch::new(&self.assignment.connection.security);
        let Assignment { topic, config, .. } = self.assignment;
        let consumer = match open(self.assignment, Session::new(topic, config.start, config.members)) {
            Ok(consumer) => consumer,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|source| format!(": {source}"));
                let text = format!(
                    "the new credentials are of no use: {error}{}",
                    cause.unwrap_or_default()
                );
                warn!(text, "Kept the present client");
                self.state().last_error = Some(text);
                return;
            }
        };
        self.commit();
        self.leave();
        consumer.context().inherit(self.consumer.context());
        if let Err(error) = consumer.subscribe(&[topic]) {
            self.state().fatal = Some(format!("cannot join the group again: {error}"));
            return;
        }
        info!("Goes on with the new credentials");
        close(std::mem::replace(&mut self.consumer, consumer));
        self.watch = watch;
        self.ends.clear();
        self.counted = None;
    }
}
