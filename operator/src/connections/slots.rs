//! How many passes may wait for one cluster at once, and who comes next. A cluster that does not answer so holds up its
//! own objects only: whoever finds no place ends its pass, and is called when a place is free.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::runtime::Key;
use crate::runtime::queue::Queue;

/// The kind of an object, and its key.
type Name = (&'static str, Key);

#[derive(Debug)]
struct State {
    free: usize,
    line: VecDeque<(Name, Queue)>,
    waiting: HashSet<Name>,
}

/// The places at one cluster.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Mutex<State>>);

/// One place; free again with the end of this value.
#[derive(Debug)]
pub struct Slot(Slots);

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: count,
            line: VecDeque::new(),
            waiting: HashSet::new(),
        })))
    }

    /// Takes a place, or gets in line: the object is added to `queue` when it is its turn.
    pub(super) fn take(&self, kind: &'static str, key: &Key, queue: &Queue) -> Option<Slot> {
        let name = (kind, key.clone());
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            // Its entry in the line counts no more.
            state.waiting.remove(&name);
            return Some(Slot(self.clone()));
        }
        if state.waiting.insert(name.clone()) {
            state.line.push_back((name, queue.clone()));
        }
        None
    }

    fn give_back(&self) {
        let next = {
            let mut state = self.state();
            state.free += 1;
            loop {
                match state.line.pop_front() {
                    Some((name, queue)) if state.waiting.remove(&name) => break Some((name.1, queue)),
                    Some(_) => {}
                    None => break None,
                }
            }
        };
        if let Some((key, queue)) = next {
            queue.add(key);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("ns", name)
    }

    fn scene() -> (Slots, Queue) {
        let queue = Queue::default();
        queue.start([]);
        (Slots::new(1), queue)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_place_is_called_in_turn() {
        let (slots, queue) = scene();
        let first = slots.take("KafkaTopic", &key("a"), &queue).unwrap();
        assert!(slots.take("KafkaTopic", &key("b"), &queue).is_none());
        assert!(slots.take("KafkaTopic", &key("c"), &queue).is_none());
        assert!(
            slots.take("KafkaTopic", &key("b"), &queue).is_none(),
            "once in line is enough"
        );
        assert_eq!(queue.depth(), 0);
        drop(first);
        assert_eq!(queue.next().await, key("b"));
        assert_eq!(queue.depth(), 0, "one place calls one");
        let second = slots.take("KafkaTopic", &key("b"), &queue).unwrap();
        drop(second);
        assert_eq!(queue.next().await, key("c"));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_came_earlier_by_itself_is_not_called_again() {
        let (slots, queue) = scene();
        let first = slots.take("KafkaTopic", &key("a"), &queue).unwrap();
        assert!(slots.take("KafkaTopic", &key("b"), &queue).is_none());
        assert!(slots.take("KafkaTopic", &key("c"), &queue).is_none());
        drop(first);
        assert_eq!(queue.next().await, key("b"));
        // c's own time has come before b took the free place.
        let taken = slots.take("KafkaTopic", &key("c"), &queue).unwrap();
        assert!(slots.take("KafkaTopic", &key("b"), &queue).is_none());
        drop(taken);
        queue.done(&key("b"));
        assert_eq!(queue.next().await, key("b"));
    }
}
