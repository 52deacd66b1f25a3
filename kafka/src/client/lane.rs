//! Group commit for one operation: while a batch is in flight the next one fills, and it leaves at once.
//!
//! A lone call waits for nothing; concurrent ones share a request. Items whose caller has gone are never sent.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::operation::{Answers, Operation, settle};
use super::pool::Pool;
use crate::error::KafkaError;

/// How many partitions' worth of work goes in one request; Kafka refuses whole requests of 10,000.
const LARGEST_BATCH: usize = 2_000;

type Answer<O> = Result<<O as Operation>::Output, KafkaError>;

/// Who waits for each key's answer, and what they asked.
type Callers<O> = BTreeMap<<O as Operation>::Key, (<O as Operation>::Item, Vec<oneshot::Sender<Answer<O>>>)>;

#[derive(Debug)]
struct Waiting<O: Operation> {
    item: O::Item,
    deadline: Instant,
    reply: oneshot::Sender<Answer<O>>,
}

/// One operation's queue. Its task starts with the first call and ends with the lane.
#[derive(Debug)]
pub(super) struct Lane<O: Operation> {
    pool: Weak<Pool>,
    queue: Mutex<Option<mpsc::UnboundedSender<Waiting<O>>>>,
}

impl<O: Operation> Lane<O> {
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: Arc::downgrade(pool),
            queue: Mutex::default(),
        }
    }

    /// Has every item answered. The batches they travel in are the lane's business.
    pub(super) async fn submit(&self, items: impl IntoIterator<Item = O::Item> + Send) -> Answers<O> {
        let replies: Vec<_> = items
            .into_iter()
            .map(|item| (O::key(&item), self.enqueue(item)))
            .collect();
        let mut answers = Answers::<O>::new();
        for (key, reply) in replies {
            let answer = match reply {
                Some(reply) => reply
                    .await
                    .unwrap_or(Err(KafkaError::Abandoned { operation: O::NAME })),
                None => Err(KafkaError::Abandoned { operation: O::NAME }),
            };
            answers.entry(key).or_insert(answer);
        }
        answers
    }

    /// Has one item answered.
    pub(super) async fn submit_one(&self, item: O::Item) -> Answer<O> {
        let answer = self.submit([item]).await.pop_first();
        answer.map_or(
            Err(KafkaError::Abandoned { operation: O::NAME }),
            |(_, answer)| answer,
        )
    }

    fn enqueue(&self, item: O::Item) -> Option<oneshot::Receiver<Answer<O>>> {
        let pool = self.pool.upgrade()?;
        let deadline = Instant::now() + pool.config().timeouts.operation;
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = if let Some(sender) = queue.take().filter(|sender| !sender.is_closed()) {
            sender
        } else {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(run(pool, receiver));
            sender
        };
        let (reply, answer) = oneshot::channel();
        let sent = sender.send(Waiting {
            item,
            deadline,
            reply,
        });
        *queue = Some(sender);
        sent.is_ok().then_some(answer)
    }
}

async fn run<O: Operation>(pool: Arc<Pool>, mut queue: mpsc::UnboundedReceiver<Waiting<O>>) {
    let mut backlog = VecDeque::new();
    loop {
        if backlog.is_empty() {
            match queue.recv().await {
                Some(waiting) => backlog.push_back(waiting),
                None => return,
            }
        }
        while let Ok(waiting) = queue.try_recv() {
            backlog.push_back(waiting);
        }
        let batch = next_batch(&mut backlog, pool.config().timeouts.operation);
        let Some(deadline) = batch.deadline else { continue };
        pool.observer().batch(O::LABEL, &batch.waited);
        let answers = settle::<O>(Arc::clone(&pool), batch.items, deadline).await;
        deliver::<O>(batch.callers, answers);
    }
}

struct BatchOf<O: Operation> {
    items: Vec<O::Item>,
    callers: Callers<O>,
    deadline: Option<Instant>,
    /// How long each item has waited.
    waited: Vec<Duration>,
}

/// Takes from the backlog what may travel together. A key travels once: the same question shares its answer, any
/// other item of that key waits for the next batch, so that changes keep their order.
fn next_batch<O: Operation>(backlog: &mut VecDeque<Waiting<O>>, operation: Duration) -> BatchOf<O> {
    let mut batch = BatchOf::<O> {
        items: Vec::new(),
        callers: BTreeMap::new(),
        deadline: None,
        waited: Vec::new(),
    };
    let mut weight = 0;
    let mut later = VecDeque::new();
    let now = Instant::now();
    for waiting in std::mem::take(backlog) {
        if waiting.reply.is_closed() {
            continue;
        }
        if waiting.deadline <= now {
            let gave_up = KafkaError::DeadlinePassed {
                operation: O::NAME,
                after: operation,
            };
            let _caller_gone = waiting.reply.send(Err(gave_up));
            continue;
        }
        let room = batch.items.is_empty() || weight + O::weight(&waiting.item) <= LARGEST_BATCH;
        match batch.callers.entry(O::key(&waiting.item)) {
            Entry::Vacant(vacant) if room => {
                weight += O::weight(&waiting.item);
                batch.items.push(waiting.item.clone());
                // An item may stand in the queue for so long and no longer.
                let left = waiting.deadline.saturating_duration_since(now);
                batch.waited.push(operation.saturating_sub(left));
                batch.deadline = batch.deadline.max(Some(waiting.deadline));
                vacant.insert((waiting.item, vec![waiting.reply]));
            }
            Entry::Occupied(mut same) if !O::CHANGES && same.get().0 == waiting.item => {
                same.get_mut().1.push(waiting.reply);
            }
            _ => later.push_back(waiting),
        }
    }
    *backlog = later;
    batch
}

fn deliver<O: Operation>(callers: Callers<O>, mut answers: Answers<O>) {
    for (key, (_, replies)) in callers {
        let answer = answers
            .remove(&key)
            .unwrap_or(Err(KafkaError::Abandoned { operation: O::NAME }));
        for reply in replies {
            let _caller_gone = reply.send(answer.clone());
        }
    }
}

#[cfg(test)]
mod tests;
