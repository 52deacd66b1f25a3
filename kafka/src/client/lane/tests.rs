use futures::future::BoxFuture;

use super::*;

/// An item is its key, its weight and what is asked of it.
type Item = (&'static str, usize, &'static str);

#[derive(Debug)]
struct Read;

#[derive(Debug)]
struct Change;

macro_rules! operation {
    ($name:ident, $changes:literal) => {
        impl Operation for $name {
            type Item = Item;
            type Key = &'static str;
            type Output = ();
            const NAME: &'static str = "test";
            const LABEL: &'static str = "test";
            const CHANGES: bool = $changes;

            fn key(item: &Item) -> &'static str {
                item.0
            }

            fn weight(item: &Item) -> usize {
                item.1
            }

            fn send<'a>(_: &'a Pool, _: &'a [Item]) -> BoxFuture<'a, Result<Answers<Self>, KafkaError>> {
                Box::pin(async { Ok(Answers::<Self>::new()) })
            }
        }
    };
}

operation!(Read, false);
operation!(Change, true);

struct Backlog<O: Operation> {
    waiting: VecDeque<Waiting<O>>,
    answers: Vec<oneshot::Receiver<Answer<O>>>,
}

fn backlog<O: Operation<Item = Item>>(items: &[Item]) -> Backlog<O> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let (waiting, answers) = items
        .iter()
        .map(|item| {
            let (reply, answer) = oneshot::channel();
            (
                Waiting {
                    item: *item,
                    deadline,
                    reply,
                },
                answer,
            )
        })
        .unzip();
    Backlog { waiting, answers }
}

fn batches<O: Operation<Item = Item>>(backlog: &mut Backlog<O>) -> Vec<Vec<Item>> {
    let mut batches = Vec::new();
    while !backlog.waiting.is_empty() {
        let batch = next_batch(&mut backlog.waiting, Duration::from_secs(60));
        if !batch.items.is_empty() {
            batches.push(batch.items);
        }
    }
    batches
}

#[test]
fn a_batch_holds_two_thousand_partitions_and_a_larger_item_travels_alone() {
    let items = [("a", 1_500, ""), ("b", 600, ""), ("c", 400, ""), ("d", 5_000, "")];
    let batches = batches(&mut backlog::<Change>(&items));
    let keys: Vec<Vec<&str>> = batches
        .iter()
        .map(|batch| batch.iter().map(|item| item.0).collect())
        .collect();
    assert_eq!(keys, [vec!["a", "c"], vec!["b"], vec!["d"]]);
}

#[test]
fn the_same_question_is_asked_once_and_another_of_its_key_waits() {
    let items = [("a", 1, "x"), ("a", 1, "x"), ("a", 1, "y")];
    assert_eq!(
        batches(&mut backlog::<Read>(&items)),
        [vec![("a", 1, "x")], vec![("a", 1, "y")]]
    );
}

#[test]
fn changes_of_one_key_are_made_in_turn_even_when_equal() {
    let items = [("a", 1, "x"), ("a", 1, "x"), ("b", 1, "x")];
    assert_eq!(
        batches(&mut backlog::<Change>(&items)),
        [vec![("a", 1, "x"), ("b", 1, "x")], vec![("a", 1, "x")]]
    );
}

#[test]
fn an_item_whose_caller_has_gone_is_not_sent() {
    let mut backlog = backlog::<Change>(&[("a", 1, ""), ("b", 1, "")]);
    backlog.answers.remove(0);
    assert_eq!(batches(&mut backlog), [vec![("b", 1, "")]]);
}

#[test]
fn an_item_past_its_deadline_is_answered_and_not_sent() {
    let mut backlog = backlog::<Change>(&[("a", 1, "")]);
    backlog.waiting[0].deadline = Instant::now();
    assert_eq!(batches(&mut backlog), Vec::<Vec<Item>>::new());
    let answer = backlog.answers[0].try_recv().unwrap();
    assert!(
        matches!(answer, Err(KafkaError::DeadlinePassed { .. })),
        "{answer:?}"
    );
}
