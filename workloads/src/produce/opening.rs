//! How a producer begins: it learns of the topic's partitions, and waits until each is served.
//!
//! A topic that was just created is known before its leaders serve it. A leader that does not yet refuses the first batch of an idempotent
//! producer and may take the second, because it knows no sequence of that producer (KIP-360); librdkafka takes the second's confirmation
//! for that of both, and the first is lost. So nothing is sent before every leader has answered.

use std::time::{Duration, Instant};

use super::{BACKOFF, Work};
use crate::client::ClientError;

/// How long leaders are waited for: one may be gone for good, and the others' partitions are worth sending to.
const SERVED_WITHIN: Duration = Duration::from_secs(30);

impl Work<'_> {
    /// Asks for the topic's partitions until it has some, and for their leaders until each has answered.
    pub(super) fn connect(&mut self) -> Result<(), ClientError> {
        while self.partitions == 0 && !self.board.stopping() {
            self.board.beat();
            self.look_at_credentials();
            self.revive()?;
            self.look_at_partitions();
            if self.partitions == 0 {
                self.poll(BACKOFF);
                self.publish();
            }
        }
        self.await_leaders();
        self.board.set_ready(self.partitions > 0);
        Ok(())
    }

    fn await_leaders(&mut self) {
        let since = Instant::now();
        let mut next = 0;
        let partitions = i32::try_from(self.partitions).unwrap_or(i32::MAX);
        while next < partitions && !self.board.stopping() && since.elapsed() < SERVED_WITHIN {
            self.board.beat();
            match self.sender.serves(next) {
                Ok(()) => next += 1,
                Err(error) => {
                    self.note(format!("partition {next} is not served yet: {error}"));
                    self.poll(BACKOFF);
                    self.publish();
                }
            }
        }
        if next == partitions {
            self.report.last_error = None;
        }
    }
}
