//! What the lanes have in common: one operation in batches, and what is repeated, split or given up.
//!
//! A change whose outcome is unknown is never repeated here.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::pool::{Pool, Purpose};
use crate::admin::Batch;
use crate::config::HostPort;
use crate::error::{ConnectCause, ErrorCode, KafkaError, NoReply};
use crate::wire::{Call, Connection};

/// How often an item is tried again, apart from throttling, which ends at the deadline.
const RETRIES: u32 = 5;

/// The first pause; each next is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// One operation of the admin port on a batch of items with distinct keys.
pub(super) trait Operation: std::fmt::Debug + Send + Sync + 'static {
    /// What is asked.
    type Item: Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static;
    /// What tells items apart; Kafka refuses a request that names one twice.
    type Key: Ord + Clone + std::fmt::Debug + Send + Sync + 'static;
    /// What is answered.
    type Output: Clone + std::fmt::Debug + Send + Sync + 'static;

    /// The operation as a verb phrase.
    const NAME: &'static str;
    /// The port's method, for figures.
    const LABEL: &'static str;
    /// Whether it changes anything.
    const CHANGES: bool;
    /// Whether Kafka may refuse a request as a whole for one item's sake.
    const REFUSED_WHOLE: bool = true;

    /// The item's key.
    fn key(item: &Self::Item) -> Self::Key;

    /// How many partitions' worth of work the item is.
    fn weight(_item: &Self::Item) -> usize {
        1
    }

    /// Sends one request (or one per broker) and reads the answers.
    fn send<'a>(pool: &'a Pool, items: &'a [Self::Item]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>>;
}

/// The answers of one sending.
pub(super) type Answers<O> = Batch<<O as Operation>::Key, <O as Operation>::Output>;

/// Asks any broker, the controller first.
pub(super) async fn ask<C: Call>(
    pool: &Pool,
    purpose: Purpose,
    operation: &'static str,
    request: impl FnOnce(&Connection) -> C,
) -> Result<(C::Reply, HostPort), KafkaError> {
    let connection = pool.any(purpose).await;
    let connection = connection.map_err(|failure| KafkaError::Unreachable { operation, failure })?;
    let reply = connection.call(operation, &request(&connection)).await?;
    Ok((reply, connection.address().clone()))
}

/// Kafka's answer to one item.
pub(super) fn answer<T>(
    operation: &'static str,
    code: i16,
    message: Option<&str>,
    value: T,
) -> Result<T, KafkaError> {
    match ErrorCode::from(code) {
        ErrorCode::NONE => Ok(value),
        code => Err(KafkaError::Refused {
            operation,
            code,
            message: message.map(str::to_owned),
        }),
    }
}

/// Adds a failure for every item that the broker left out of its reply.
pub(super) fn complete<O: Operation + ?Sized>(
    items: &[O::Item],
    mut answers: Batch<O::Key, O::Output>,
    address: &HostPort,
) -> Batch<O::Key, O::Output> {
    for item in items {
        answers
            .entry(O::key(item))
            .or_insert_with(|| Err(malformed(O::NAME, address, "it leaves this item out")));
    }
    answers
}

/// A reply that cannot be believed.
pub(super) fn malformed(operation: &'static str, address: &HostPort, what: &str) -> KafkaError {
    KafkaError::NoReply {
        operation,
        address: address.clone(),
        cause: NoReply::Malformed(what.to_owned()),
    }
}

/// Has a batch answered: repeats what may be repeated, until the deadline, and splits what is refused whole.
pub(super) fn settle<O: Operation>(
    pool: Arc<Pool>,
    items: Vec<O::Item>,
    deadline: Instant,
) -> BoxFuture<'static, Answers<O>> {
    async move {
        let mut left = items;
        let mut settled = Batch::new();
        let mut retries = 0;
        loop {
            let mut answers = match O::send(&pool, &left).await {
                Ok(answers) => answers,
                Err(error) => left
                    .iter()
                    .map(|item| (O::key(item), Err(error.clone())))
                    .collect(),
            };
            if O::REFUSED_WHOLE && left.len() > 1 && refused_whole::<O>(&answers) {
                let second_half = left.split_off(left.len() / 2);
                settled.append(&mut settle::<O>(Arc::clone(&pool), left, deadline).await);
                settled.append(&mut settle::<O>(pool, second_half, deadline).await);
                return settled;
            }
            let may_repeat = |retry| match retry {
                Retry::No => false,
                Retry::Throttled => true,
                Retry::Refresh | Retry::Same => retries < RETRIES,
            };
            let repeat: Vec<(O::Item, Retry)> = left
                .iter()
                .filter_map(|item| {
                    let retry = answers.get(&O::key(item)).map_or(Retry::No, retry::<O>);
                    may_repeat(retry).then(|| (item.clone(), retry))
                })
                .collect();
            let pause = FIRST_PAUSE * 2_u32.pow(retries.min(RETRIES));
            if repeat.is_empty() || Instant::now() + pause >= deadline {
                settled.append(&mut answers);
                return settled;
            }
            if repeat.iter().any(|(_, retry)| *retry == Retry::Refresh) {
                pool.forget_brokers().await;
            }
            for (item, _) in &repeat {
                answers.remove(&O::key(item));
            }
            settled.append(&mut answers);
            left = repeat.into_iter().map(|(item, _)| item).collect();
            retries += 1;
            tokio::time::sleep(pause).await;
        }
    }
    .boxed()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// The answer stands.
    No,
    /// Once more after the broker's own pause, which the connection keeps.
    Throttled,
    /// Once more, after asking anew who the brokers are.
    Refresh,
    /// Once more.
    Same,
}

/// Whether an answer is worth asking again at once. Nothing here was done by the broker, or it only reads.
fn retry<O: Operation>(answer: &Result<O::Output, KafkaError>) -> Retry {
    let Err(error) = answer else { return Retry::No };
    match error {
        KafkaError::Refused {
            code: ErrorCode::THROTTLING_QUOTA_EXCEEDED,
            ..
        } => Retry::Throttled,
        KafkaError::Refused {
            code: ErrorCode::NOT_CONTROLLER,
            ..
        } => Retry::Refresh,
        // A pooled connection that had broken before anything was sent on it.
        KafkaError::Unreachable { failure, .. } if matches!(failure.cause, ConnectCause::Network(_)) => {
            Retry::Refresh
        }
        // The broker asked is not the one to ask: it did nothing.
        KafkaError::Refused {
            code:
                ErrorCode::LEADER_NOT_AVAILABLE
                | ErrorCode::NOT_LEADER_OR_FOLLOWER
                | ErrorCode::FENCED_LEADER_EPOCH
                | ErrorCode::UNKNOWN_LEADER_EPOCH
                | ErrorCode::OFFSET_NOT_AVAILABLE
                | ErrorCode::REPLICA_NOT_AVAILABLE
                | ErrorCode::LISTENER_NOT_FOUND,
            ..
        } => Retry::Same,
        _ if O::CHANGES => Retry::No,
        KafkaError::NoReply {
            cause: NoReply::Closed(_),
            ..
        } => Retry::Refresh,
        _ => Retry::No,
    }
}

/// Whether a batch was refused as a whole, as Kafka does when it is too large or one item spoils it: nothing of it
/// was done, and in smaller parts it may be.
fn refused_whole<O: Operation>(answers: &Answers<O>) -> bool {
    let mut refusals = answers.values().map(|answer| match answer {
        Err(error @ KafkaError::Refused { code, .. }) => Some((*code, error)),
        _ => None,
    });
    let Some(Some((code, first))) = refusals.next() else {
        return false;
    };
    let of_the_whole = matches!(code, ErrorCode::POLICY_VIOLATION | ErrorCode::INVALID_REQUEST);
    of_the_whole && refusals.all(|refusal| refusal.is_some_and(|(_, error)| error == first))
}
