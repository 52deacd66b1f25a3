//! The start of a group: its pods read nothing until all of them are there, so that each receives records.
//!
//! Pure; the time is an argument. It never holds a group longer than [`LONGEST`], nor one that has read before.

use std::time::Duration;

/// Longest time a group is held.
const LONGEST: Duration = Duration::from_secs(60);

/// The group as its coordinator describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) members: u32,
    /// No rebalance is under way.
    pub(super) stable: bool,
}

/// Holds a group's start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Barrier {
    members: u32,
    lifted: bool,
}

impl Barrier {
    /// A barrier until the group has `members`; 0 and 1 hold nothing.
    pub(super) fn new(members: u32) -> Self {
        Self {
            members,
            lifted: members <= 1,
        }
    }

    pub(super) fn holds(self) -> bool {
        !self.lifted
    }

    /// The group has read before, so its members come and go as they like.
    pub(super) fn lift(&mut self) {
        self.lifted = true;
    }

    /// Looks at the group after `elapsed` since the process' start. True when the barrier was lifted just now.
    pub(super) fn look(&mut self, group: Group, assigned: u32, partitions: u32, elapsed: Duration) -> bool {
        // In a cooperative rebalance the old members give away first; a fair part tells that this is over.
        let fair = assigned <= partitions.div_ceil(self.members.max(1)).max(1);
        let gathered = group.stable && group.members >= self.members && fair;
        if self.lifted || !(gathered || elapsed >= LONGEST) {
            return false;
        }
        self.lifted = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_all_members_and_a_fair_part() {
        let mut barrier = Barrier::new(2);
        let group = |members, stable| Group { members, stable };
        let early = Duration::from_secs(1);
        assert!(!barrier.look(group(1, true), 3, 3, early));
        assert!(!barrier.look(group(2, false), 2, 3, early));
        assert!(!barrier.look(group(2, true), 3, 3, early), "one still owns all");
        assert!(barrier.holds());
        assert!(barrier.look(group(2, true), 2, 3, early));
        assert!(!barrier.holds());
        assert!(!barrier.look(group(2, true), 2, 3, early), "only once");
    }

    #[test]
    fn it_does_not_wait_for_ever_nor_without_need() {
        assert!(Barrier::new(5).look(Group::default(), 3, 3, LONGEST));
        assert!(!Barrier::new(1).holds());
    }
}
