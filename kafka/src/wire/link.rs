//! One byte stream to a broker, shared by many requests: pipelined, each with a deadline, replies matched by
//! correlation id. It closes on the first thing that is not as it must be; it never reconnects.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::rustls::AlertDescription;
use tokio_util::sync::CancellationToken;

use super::frame::{FrameError, read_frame};
use crate::permit::Permit;

/// How long after a failed write the other side's reason for it is read.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Why there is no reply. All but the last close the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkClosed {
    /// A reply did not come in time; were the stream kept, it could meet the next request.
    TimedOut(Duration),
    /// The other side closed, or the network failed.
    Ended(String),
    /// The other side ended TLS, and said why.
    Alert(AlertDescription),
    /// Bytes came that cannot be a reply's length.
    NotAFrame([u8; 4]),
    /// A reply came that is not the one due.
    Malformed(String),
    /// The request would have changed something, and the permit for that has ended. The stream stays open.
    Withheld,
}

/// A request without a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// Whether any of it may have reached the broker.
    pub(crate) sent: bool,
    /// Why there is no reply.
    pub(crate) cause: LinkClosed,
}

type Waiting = oneshot::Sender<Result<Bytes, LinkClosed>>;

#[derive(Debug, Default)]
struct State {
    next_correlation: i32,
    due: VecDeque<(i32, Waiting)>,
    closed: Option<LinkClosed>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stop: CancellationToken,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, cause: &LinkClosed) {
        let due = {
            let mut state = self.state();
            state.closed.get_or_insert_with(|| cause.clone());
            std::mem::take(&mut state.due)
        };
        for (_, waiting) in due {
            let _caller_gone = waiting.send(Err(cause.clone()));
        }
        self.stop.cancel();
    }

    /// Answers a request that was not sent.
    fn withhold(&self, correlation: i32) {
        let mut state = self.state();
        let place = state.due.iter().position(|(due, _)| *due == correlation);
        if let Some((_, waiting)) = place.and_then(|place| state.due.remove(place)) {
            let _caller_gone = waiting.send(Err(LinkClosed::Withheld));
        }
    }
}

/// A request on its way to the socket.
#[derive(Debug)]
struct Outgoing {
    frame: Bytes,
    correlation: i32,
    /// Asked right before the frame is written; none for what only reads.
    permit: Option<Permit>,
}

/// One byte stream to a broker. Dropped, it closes.
#[derive(Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    permit: Permit,
}

impl Link {
    /// Takes a connected stream over.
    pub(crate) fn start<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            stop: CancellationToken::new(),
        });
        let (outgoing, queue) = mpsc::unbounded_channel();
        let (reader, writer) = tokio::io::split(stream);
        tokio::spawn(write_requests(writer, queue, Arc::clone(&shared)));
        tokio::spawn(read_replies(reader, Arc::clone(&shared)));
        Self {
            shared,
            outgoing,
            permit: Permit::unlimited(),
        }
    }

    /// Sends changes only while this permit holds.
    pub(super) fn set_permit(&mut self, permit: Permit) {
        self.permit = permit;
    }

    /// Why it is closed, if it is.
    pub(crate) fn closed(&self) -> Option<LinkClosed> {
        self.shared.state().closed.clone()
    }

    /// Closes it; every request still without a reply gets the cause.
    pub(crate) fn close(&self, cause: &LinkClosed) {
        self.shared.close(cause);
    }

    /// Sends one request, encoded with the correlation id it is given, and waits for its reply's frame. `changes` says
    /// that it needs the permit.
    pub(crate) async fn exchange(
        &self,
        encode: impl FnOnce(i32) -> Bytes,
        changes: bool,
        deadline: Duration,
    ) -> Result<Bytes, Unanswered> {
        let reply = {
            // The queue and the list of due replies must have one order.
            let mut state = self.shared.state();
            if let Some(cause) = &state.closed {
                return Err(Unanswered {
                    sent: false,
                    cause: cause.clone(),
                });
            }
            let correlation = state.next_correlation;
            state.next_correlation = correlation.wrapping_add(1);
            let (waiting, reply) = oneshot::channel();
            state.due.push_back((correlation, waiting));
            let request = Outgoing {
                frame: encode(correlation),
                correlation,
                permit: changes.then(|| self.permit.clone()),
            };
            if self.outgoing.send(request).is_err() {
                state.due.pop_back();
                return Err(Unanswered {
                    sent: false,
                    cause: LinkClosed::Ended("already closed".to_owned()),
                });
            }
            reply
        };
        let sent = |cause| Unanswered { sent: true, cause };
        match tokio::time::timeout(deadline, reply).await {
            Ok(Ok(Ok(frame))) => Ok(frame),
            Ok(Ok(Err(cause @ LinkClosed::Withheld))) => Err(Unanswered { sent: false, cause }),
            Ok(Ok(Err(cause))) => Err(sent(cause)),
            Ok(Err(_)) => Err(sent(LinkClosed::Ended("already closed".to_owned()))),
            Err(_) => {
                let cause = LinkClosed::TimedOut(deadline);
                self.close(&cause);
                Err(sent(cause))
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close(&LinkClosed::Ended("no longer needed".to_owned()));
    }
}

async fn write_requests<W: AsyncWrite>(
    writer: W,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
    shared: Arc<Shared>,
) {
    let writing = async {
        let mut writer = std::pin::pin!(writer);
        while let Some(request) = queue.recv().await {
            if request.permit.is_some_and(|permit| !permit.holds()) {
                shared.withhold(request.correlation);
                continue;
            }
            let written = async {
                writer.write_all(&request.frame).await?;
                writer.flush().await
            };
            if let Err(error) = written.await {
                // The other side's last words, if any, lie in what was received.
                tokio::time::sleep(LAST_WORDS).await;
                return shared.close(&LinkClosed::Ended(error.to_string()));
            }
        }
    };
    shared.stop.run_until_cancelled(writing).await;
}

async fn read_replies<R: AsyncRead>(reader: R, shared: Arc<Shared>) {
    let reading = async {
        let mut reader = std::pin::pin!(reader);
        loop {
            match read_frame(&mut reader).await {
                Ok(frame) => {
                    if let Err(cause) = hand_over(&shared, frame) {
                        return cause;
                    }
                }
                Err(FrameError::Ended(how)) => return LinkClosed::Ended(how),
                Err(FrameError::Alert(alert)) => return LinkClosed::Alert(alert),
                Err(FrameError::NotAFrame(first)) => return LinkClosed::NotAFrame(first),
            }
        }
    };
    if let Some(cause) = shared.stop.run_until_cancelled(reading).await {
        shared.close(&cause);
    }
}

/// Gives a reply to the request that is due: a broker answers one connection's requests in their order.
fn hand_over(shared: &Shared, frame: Bytes) -> Result<(), LinkClosed> {
    let Some(&correlation) = frame.first_chunk::<4>() else {
        return Err(LinkClosed::Malformed("a reply of less than 4 bytes".to_owned()));
    };
    let correlation = i32::from_be_bytes(correlation);
    let mut state = shared.state();
    match state.due.pop_front() {
        Some((due, waiting)) if due == correlation => {
            let _caller_gone = waiting.send(Ok(frame));
            Ok(())
        }
        Some((due, waiting)) => {
            state.due.push_front((due, waiting));
            Err(LinkClosed::Malformed(format!(
                "a reply to request {correlation}, when {due} was due"
            )))
        }
        None => Err(LinkClosed::Malformed(format!(
            "a reply to request {correlation}, when none was due"
        ))),
    }
}
