//! Which key a record carries, and its place among the records of that key.
//!
//! Pure; a random number is an argument.

use std::collections::HashMap;
use std::fmt::Write as _;

use ottla_contract::config::Keys;

/// Chooses keys.
#[derive(Debug)]
pub(super) struct KeyChooser {
    keys: Keys,
    /// Records so far, by key, of the current incarnation.
    sequences: HashMap<u32, u64>,
}

impl KeyChooser {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            keys,
            sequences: HashMap::new(),
        }
    }

    /// A new incarnation counts anew.
    pub(super) fn restart(&mut self) {
        self.sequences.clear();
    }

    /// Writes the key of the record of this number into `key`, and answers its place among the records of that key.
    /// `None` when records have no key.
    pub(super) fn choose(&mut self, number: u64, random: u64, key: &mut String) -> Option<u64> {
        let which = match self.keys {
            Keys::None => return None,
            Keys::Fixed => 0,
            Keys::Sequential { cardinality } => number % u64::from(cardinality.max(1)),
            Keys::Random { cardinality } => random % u64::from(cardinality.max(1)),
        };
        key.clear();
        // Writing to a String does not fail.
        let _ = write!(key, "key-{which}");
        let sequence = self
            .sequences
            .entry(u32::try_from(which).unwrap_or(u32::MAX))
            .or_default();
        *sequence += 1;
        Some(*sequence - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(keys: Keys, numbers: &[u64]) -> Vec<(Option<u64>, String)> {
        let mut chooser = KeyChooser::new(keys);
        let choose = |number: &u64| {
            let mut key = String::new();
            (chooser.choose(*number, *number, &mut key), key)
        };
        numbers.iter().map(choose).collect()
    }

    #[test]
    fn each_key_counts_for_itself() {
        let sequential = chosen(Keys::Sequential { cardinality: 2 }, &[0, 1, 2]);
        let expected = [(Some(0), "key-0"), (Some(0), "key-1"), (Some(1), "key-0")];
        assert_eq!(
            sequential,
            expected.map(|(sequence, key)| (sequence, key.to_owned()))
        );
        assert_eq!(chosen(Keys::Fixed, &[5, 6])[1], (Some(1), "key-0".to_owned()));
        assert_eq!(chosen(Keys::None, &[0])[0].0, None);
        assert_eq!(chosen(Keys::Random { cardinality: 10 }, &[37])[0].1, "key-7");
    }
}
