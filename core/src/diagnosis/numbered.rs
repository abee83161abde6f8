//! Numbers for things, and something for each of many numbers: a row where they stand close together, a table where a few lie far apart.

use std::hash::Hash;
use std::ops::RangeInclusive;

use hashbrown::HashMap;

/// Things that there is room for at once.
const FEW: usize = 14;
/// Numbers of a row for each one that is used, at most.
const SPARSE: u32 = 8;

/// What belongs to numbers.
#[derive(Debug)]
pub(super) enum Numbered<T> {
    /// From the first number on.
    Row(u32, Vec<Option<T>>),
    /// Few of a wide range.
    Table(HashMap<u32, T>),
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self::Row(0, Vec::new())
    }
}

impl<T: Copy> Numbered<T> {
    /// Room for these numbers.
    pub(super) fn over(numbers: impl Iterator<Item = u32> + Clone) -> Self {
        let (Some(first), Some(last)) = (numbers.clone().min(), numbers.clone().max()) else {
            return Self::default();
        };
        let count = u32::try_from(numbers.count()).unwrap_or(u32::MAX);
        Self::within(first..=last, count)
    }

    /// Room for so many numbers of this range.
    pub(super) fn within(range: RangeInclusive<u32>, count: u32) -> Self {
        let (first, last) = range.into_inner();
        let width = last.saturating_sub(first);
        if width / SPARSE > count {
            Self::Table(HashMap::with_capacity(count as usize))
        } else {
            Self::Row(first, vec![None; width as usize + 1])
        }
    }

    /// The value of a number, to change.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match self {
            Self::Row(first, row) => row.get_mut(number.checked_sub(*first)? as usize)?.as_mut(),
            Self::Table(table) => table.get_mut(&number),
        }
    }

    /// Gives a number its value; `None` takes it away.
    pub(super) fn set(&mut self, number: u32, value: Option<T>) {
        match (self, value) {
            (Self::Row(first, row), value) => {
                let place = number.checked_sub(*first).and_then(|place| row.get_mut(place as usize));
                if let Some(place) = place {
                    *place = value;
                }
            }
            (Self::Table(table), Some(value)) => drop(table.insert(number, value)),
            (Self::Table(table), None) => drop(table.remove(&number)),
        }
    }

    /// The value of a number.
    pub(super) fn get(&self, number: u32) -> Option<T> {
        match self {
            Self::Row(first, row) => *row.get(number.checked_sub(*first)? as usize)?,
            Self::Table(table) => table.get(&number).copied(),
        }
    }
}

/// Numbers for things, from 0 in the order in which they come.
#[derive(Debug)]
pub(super) struct Numbering<K>(HashMap<K, u32>);

impl<K> Default for Numbering<K> {
    fn default() -> Self {
        // Mostly there are few, and a live run numbers them anew for every line.
        Self(HashMap::with_capacity(FEW))
    }
}

impl<K: Hash + Eq> Numbering<K> {
    /// The number of a thing; that of a new one is how many there were.
    pub(super) fn of(&mut self, key: K) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(key).or_insert(next)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_numbers_keep_their_values() {
        for numbers in [vec![3, 5, 4], vec![7, 1_000_000, 2]] {
            let mut all = Numbered::over(numbers.iter().copied());
            for number in &numbers {
                all.set(*number, Some(number * 2));
            }
            for number in &numbers {
                assert_eq!(all.get(*number), Some(number * 2));
            }
            assert_eq!((all.get(6), all.get_mut(6)), (None, None));
            for number in &numbers {
                *all.get_mut(*number).expect("has a value") += 1;
                assert_eq!(all.get(*number), Some(number * 2 + 1));
            }
            all.set(numbers[0], None);
            assert_eq!(all.get(numbers[0]), None);
        }
        assert_eq!(Numbered::<u32>::over(std::iter::empty()).get(0), None);
    }

    #[test]
    fn a_row_is_made_where_one_number_in_eight_is_used() {
        let is_row = |last, count| matches!(Numbered::<u32>::within(3..=last, count), Numbered::Row(3, _));
        assert!(is_row(3, 0) && is_row(3 + 16, 2) && is_row(3 + 23, 2));
        assert!(!is_row(3 + 24, 2) && !is_row(3 + 8, 0));
    }
}
