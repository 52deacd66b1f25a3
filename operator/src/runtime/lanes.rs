//! Whose turn it is: a bounded number of objects of each lane at once, in the order in which they came. Lanes never wait for
//! one another, so what hangs on a Kafka that does not answer keeps nobody from another.

use std::collections::{HashMap, VecDeque};

use super::key::Key;

/// How many objects of one lane have their turn at once.
const WIDTH: usize = 64;

/// What an object's turn may have to wait for; none is one lane too.
pub type Lane = Option<Key>;

#[derive(Debug, Default)]
struct Traffic {
    busy: usize,
    waiting: VecDeque<Key>,
}

/// The lanes of one kind.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: HashMap<Lane, Traffic>,
    waiting: usize,
}

impl Lanes {
    /// Takes an object in; gives it back if it may have its turn now.
    pub fn enter(&mut self, lane: &Lane, object: Key) -> Option<Key> {
        let traffic = self.lanes.entry(lane.clone()).or_default();
        if traffic.busy < WIDTH {
            traffic.busy += 1;
            return Some(object);
        }
        traffic.waiting.push_back(object);
        self.waiting += 1;
        None
    }

    /// Takes in that a turn is over; answers whose turn it is instead.
    pub fn leave(&mut self, lane: &Lane) -> Option<Key> {
        let traffic = self.lanes.get_mut(lane)?;
        if let Some(next) = traffic.waiting.pop_front() {
            self.waiting -= 1;
            return Some(next);
        }
        traffic.busy -= 1;
        if traffic.busy == 0 {
            self.lanes.remove(lane);
        }
        None
    }

    /// How many objects wait for their turn.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::new("ns", format!("{number:03}"))
    }

    #[test]
    fn a_full_lane_keeps_its_order_and_no_other_lane_from_its_turn() {
        let (mut lanes, silent, other) = (Lanes::default(), Some(key(1)), None);
        let began = (0..WIDTH + 3).filter_map(|number| lanes.enter(&silent, key(number)));
        assert_eq!(began.count(), WIDTH);
        assert_eq!(lanes.waiting(), 3);
        assert_eq!(lanes.enter(&other, key(7)), Some(key(7)));
        assert_eq!(lanes.leave(&other), None);
        for number in WIDTH..WIDTH + 3 {
            assert_eq!(lanes.leave(&silent), Some(key(number)));
        }
        for _ in 0..WIDTH {
            assert_eq!(lanes.leave(&silent), None);
        }
        assert!(lanes.lanes.is_empty(), "an empty lane is forgotten");
        assert_eq!(lanes.waiting(), 0);
    }
}
