//! How an incarnation ends and the next begins: every record's fate awaited, every stream closed, and the client
//! replaced where it is of no more use.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::sender::{Sender, Tag};
use super::{Assignment, BACKOFF, TICK, Work, new_ledger};
use crate::client::ClientError;
use crate::clock::now_ns;
use crate::record::{self, Prefix};
use ottla_contract::report::ProducerState;

/// After being told to stop: how long confirmations are waited for, and then closing records. A pod has 45 s.
const SETTLE_TIME: Duration = Duration::from_secs(20);
const CLOSE_TIME: Duration = Duration::from_secs(15);
/// Incarnations a report keeps.
const MAX_INCARNATIONS: usize = 200;

impl Work<'_> {
    /// Waits until the fate of every record is known.
    pub(super) fn settle(&mut self) {
        let mut told: Option<Instant> = None;
        while self.outstanding > 0 {
            self.tick();
            self.poll(TICK);
            // The old credentials may be void already: what is not confirmed soon is then never confirmed.
            let pressed = self.board.stopping() || self.successor.is_some();
            if pressed && told.get_or_insert_with(Instant::now).elapsed() > SETTLE_TIME {
                warn!(
                    outstanding = self.outstanding,
                    "Gave up waiting for confirmations"
                );
                self.sender.purge();
                told = Some(Instant::now());
            }
        }
    }

    /// Sends closing records until each is confirmed. Told to stop, it gives up after a while.
    pub(super) fn close(&mut self, mut stopping: bool) -> Result<(), ClientError> {
        let mut since = Instant::now();
        loop {
            self.revive()?;
            for (partition, end, closing) in self.ledger.closings() {
                let mut value = Vec::new();
                let prefix = Prefix {
                    intended_ns: now_ns(),
                    ..self.prefix(end, end)
                };
                let key = record::closing_key(self.ledger.incarnation, partition);
                record::write_closing(&mut value, key.as_bytes(), &prefix, &closing);
                if let Err(error) = self.hand_over(partition, Some(&key), &value, Tag::Closing) {
                    self.note(format!(
                        "cannot close the stream of partition {partition}: {error}"
                    ));
                }
            }
            let sent = Instant::now();
            while self.outstanding > 0 {
                self.tick();
                self.poll(TICK);
                if self.successor.is_some() && sent.elapsed() > SETTLE_TIME {
                    self.sender.purge();
                }
                if self.board.stopping() && !stopping {
                    (stopping, since) = (true, Instant::now());
                }
                if stopping && since.elapsed() > CLOSE_TIME {
                    self.sender.purge();
                }
            }
            if self.ledger.is_closed() || (stopping && since.elapsed() > CLOSE_TIME) {
                return Ok(());
            }
            self.poll(BACKOFF);
        }
    }

    /// A new incarnation goes on where the old one broke off.
    pub(super) fn begin_anew(&mut self) -> Result<(), ClientError> {
        if !self.ledger.is_empty() {
            let old = self.ledger.report();
            info!(incarnation = %old.id, "Closed an incarnation after a failure");
            self.report.incarnations.push(old);
        }
        if self.report.incarnations.len() > MAX_INCARNATIONS {
            self.report.incarnations.remove(0);
            self.report.truncated = true;
        }
        self.ledger = new_ledger(&self.assignment.config);
        self.keys.restart();
        self.revive()?;
        self.poll(BACKOFF);
        self.set_state(ProducerState::Running);
        Ok(())
    }

    /// Replaces a client that met a fatal error, or whose credentials are outdated. Nothing may be outstanding: what
    /// the old one has not told is lost with it.
    pub(super) fn revive(&mut self) -> Result<(), ClientError> {
        if let Some(successor) = self.successor.take() {
            info!("Goes on with the new credentials");
            self.sender = successor;
        } else if self.sender.is_dead() {
            self.sender = self.new_sender()?;
        }
        Ok(())
    }

    /// Makes a successor when the credentials changed. While they are of no use, the present client goes on.
    pub(super) fn look_at_credentials(&mut self) {
        if self.successor.is_some() || !self.sender.is_outdated() {
            return;
        }
        match self.new_sender() {
            Ok(sender) => self.successor = Some(sender),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|source| format!(": {source}"));
                self.note(format!(
                    "the new credentials are of no use: {error}{}",
                    cause.unwrap_or_default()
                ));
            }
        }
    }

    fn new_sender(&self) -> Result<Sender, ClientError> {
        let Assignment {
            connection,
            topic,
            config,
        } = self.assignment;
        Sender::new(connection, topic, config)
    }
}
