//! Which records a drill spoils: spread evenly, each another one, the same on every run.
//!
//! Pure.

/// Distance between spoiled records when nobody knows how many there will be.
const ENDLESS_STRIDE: u64 = 1_000;

/// What to do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Send it.
    Send,
    /// Send it twice.
    Duplicate,
    /// Count it as confirmed, and do not send it.
    Drop,
}

/// The records that are spoiled, by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drill {
    records: Option<u64>,
    duplicate: u64,
    drop: u64,
}

impl Drill {
    /// A drill over `records` records, or endlessly many.
    pub(super) fn new(records: Option<u64>, duplicate: u64, drop: u64) -> Self {
        let most = records.unwrap_or(u64::MAX);
        let drop = drop.min(most);
        Self {
            records,
            duplicate: duplicate.min(most - drop),
            drop,
        }
    }

    /// What to do with the record of this number, counted from 0.
    pub(super) fn treatment(&self, number: u64) -> Treatment {
        let Some(slot) = self.slot(number) else {
            return Treatment::Send;
        };
        // Of all slots, the drops are spread evenly in turn.
        let slots = u128::from(self.duplicate + self.drop);
        let drops_before = |slot: u64| u128::from(slot) * u128::from(self.drop) / slots;
        if drops_before(slot + 1) > drops_before(slot) {
            Treatment::Drop
        } else {
            Treatment::Duplicate
        }
    }

    /// Which of the spoiled records this is, if it is one.
    fn slot(&self, number: u64) -> Option<u64> {
        let slots = self.duplicate + self.drop;
        if slots == 0 {
            return None;
        }
        let Some(records) = self.records else {
            let slot = number / ENDLESS_STRIDE;
            return (number % ENDLESS_STRIDE == ENDLESS_STRIDE / 2 && slot < slots).then_some(slot);
        };
        // Slot j is record (2j + 1) * records / (2 * slots); the candidate is the inverse.
        let (records, slots) = (u128::from(records), u128::from(slots));
        let place = |slot: u128| (2 * slot + 1) * records / (2 * slots);
        let guess = u128::from(number) * slots / records;
        let slot = (guess.saturating_sub(1)..=guess + 1)
            .find(|slot| *slot < slots && place(*slot) == number.into())?;
        u64::try_from(slot).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(drill: Drill, records: u64) -> (u64, u64) {
        let of = |wanted| (0..records).filter(|n| drill.treatment(*n) == wanted).count() as u64;
        (of(Treatment::Duplicate), of(Treatment::Drop))
    }

    proptest! {
        #[test]
        fn exactly_as_many_as_asked_for(records in 1..500_u64, duplicate in 0..100_u64, drop in 0..100_u64) {
            prop_assume!(duplicate + drop <= records);
            prop_assert_eq!(counts(Drill::new(Some(records), duplicate, drop), records), (duplicate, drop));
        }
    }

    #[test]
    fn more_than_there_are_records_spoils_all() {
        assert_eq!(counts(Drill::new(Some(3), 9, 2), 3), (1, 2));
    }

    #[test]
    fn an_endless_run_is_spoiled_early() {
        assert_eq!(counts(Drill::new(None, 5, 1), 10_000), (5, 1));
    }

    #[test]
    fn a_single_one_is_in_the_middle() {
        assert_eq!(Drill::new(Some(100_000), 0, 1).treatment(50_000), Treatment::Drop);
    }
}
