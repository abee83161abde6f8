//! What is remembered of a connection after it was taken off the table: enough to know its late packets.
//!
//! A copy that a slow tap delivers, or a retransmission, seconds after the close must not open a connection of its own.
//! A whole connection is too dear to keep for that; its sequence numbers are not.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::net::{Segment, SeqNumber, Timestamp};

use super::flow::{Flow, LEAP, SAME_CONNECTION};

/// Connections remembered at most; beyond that the oldest are forgotten.
const REMEMBERED: usize = 1 << 16;

/// Sequence numbers of one side.
#[derive(Debug, Clone, Copy)]
struct SequenceNumbers {
    isn: Option<SeqNumber>,
    highest: Option<SeqNumber>,
}

/// A connection that is over: the numbers of the lower and of the higher end of its key.
#[derive(Debug, Clone, Copy)]
struct Gone<K> {
    key: K,
    until: Timestamp,
    low: SequenceNumbers,
    high: SequenceNumbers,
}

/// Connections that were taken off a moment ago.
///
/// They stand in the order in which they went, and the index holds nothing but their numbers: whether one is known is mostly
/// answered by memory that is at hand.
#[derive(Debug)]
pub(super) struct RecentlyClosed<K> {
    gone: VecDeque<Gone<K>>,
    /// Number of the first of them; each has the next one, and after 2^32 they come round.
    first: u32,
    /// The number of the latest connection with each key.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<K: Copy + Eq + Hash> RecentlyClosed<K> {
    pub(super) fn new() -> Self {
        Self {
            gone: VecDeque::new(),
            first: 0,
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Remembers a connection.
    pub(super) fn remember<T>(&mut self, key: K, client_is_low: bool, flow: &Flow<T>, until: Timestamp) {
        let [client, server] = flow.halves.each_ref().map(|half| SequenceNumbers {
            isn: half.isn,
            highest: half.highest(),
        });
        let (low, high) = if client_is_low {
            (client, server)
        } else {
            (server, client)
        };
        let number = self
            .first
            .wrapping_add(u32::try_from(self.gone.len()).unwrap_or(u32::MAX));
        self.gone.push_back(Gone { key, until, low, high });
        let (gone, first, hasher) = (&self.gone, self.first, &self.hasher);
        let key_of = |number: &u32| numbered(gone, first, *number).map(|gone| gone.key);
        let place = self.index.entry(
            hasher.hash_one(key),
            |number| key_of(number) == Some(key),
            |number| key_of(number).map_or(0, |key| hasher.hash_one(key)),
        );
        match place {
            Entry::Occupied(mut earlier) => *earlier.get_mut() = number,
            Entry::Vacant(free) => drop(free.insert(number)),
        }
    }

    /// The latest connection with this key, as long as it is remembered.
    fn get(&self, key: &K, now: Timestamp) -> Option<&Gone<K>> {
        let of_number = |number: &u32| numbered(&self.gone, self.first, *number);
        let is_it = |number: &u32| of_number(number).is_some_and(|gone| gone.key == *key);
        let number = self.index.find(self.hasher.hash_one(key), is_it)?;
        of_number(number).filter(|gone| now < gone.until)
    }

    /// Whether a connection with this key ended a moment ago.
    pub(super) fn has(&self, key: &K, now: Timestamp) -> bool {
        self.get(key, now).is_some()
    }

    /// Whether a segment belongs to the connection with this key that is over; `opens` says that its bytes can only be the
    /// first of one.
    pub(super) fn knows(
        &self,
        key: &K,
        from_low: bool,
        segment: &Segment<'_>,
        now: Timestamp,
        opens: impl FnOnce() -> bool,
    ) -> bool {
        let seq = segment.seq;
        self.get(key, now).is_some_and(|gone| {
            let numbers = if from_low { gone.low } else { gone.high };
            // A SYN is the old one only if it is the very same: ports are used again with numbers close by.
            if segment.flags.syn() {
                return numbers.isn == Some(seq);
            }
            let last = numbers.highest.or(numbers.isn);
            last.is_some_and(|last| {
                let beyond = seq.distance(last);
                // Ports that are used again within a second have numbers this close (RFC 6528 §3): its own SYN was lost.
                let is_of_next = beyond >= LEAP && opens();
                beyond.unsigned_abs() < SAME_CONNECTION.unsigned_abs() && !is_of_next
            })
        })
    }

    /// Forgets those whose time is over, and leaves room for one more.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some(oldest) = self.gone.front()
            && (oldest.until <= now || self.gone.len() >= REMEMBERED)
        {
            // The same endpoints may have been remembered again since, under another number.
            let (hash, first) = (self.hasher.hash_one(oldest.key), self.first);
            if let Ok(place) = self.index.find_entry(hash, |number| *number == first) {
                place.remove();
            }
            self.gone.pop_front();
            self.first = first.wrapping_add(1);
        }
    }
}

/// The connection with this number.
fn numbered<K>(gone: &VecDeque<Gone<K>>, first: u32, number: u32) -> Option<&Gone<K>> {
    gone.get(number.wrapping_sub(first) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Endpoint;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_nanos(second * 1_000_000_000)
    }

    fn flow() -> Flow<()> {
        let end = Endpoint {
            ip: [10, 0, 0, 1].into(),
            port: 443,
        };
        let at = crate::net::At {
            frame: crate::net::FrameRef::new(0, 1),
            time: at(0),
        };
        Flow::new(end, end, at, ())
    }

    #[test]
    fn a_key_that_is_remembered_again_is_known_until_the_later_time() {
        let mut late = RecentlyClosed::new();
        for (key, until) in [(1, 10), (2, 11), (1, 12)] {
            late.remember(key, true, &flow(), at(until));
        }
        let known = |late: &RecentlyClosed<i32>, now| [1, 2].map(|key| late.has(&key, at(now)));
        assert_eq!(known(&late, 9), [true, true]);
        late.forget(at(10));
        assert_eq!(known(&late, 10), [true, true]);
        late.forget(at(11));
        assert_eq!(known(&late, 11), [true, false]);
        late.forget(at(12));
        assert_eq!(known(&late, 11), [false, false]);
        assert!(late.gone.is_empty() && late.index.is_empty());
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for_even_where_numbers_come_round() {
        let mut late = RecentlyClosed::new();
        late.first = u32::MAX - 5;
        for key in 0..REMEMBERED + 10 {
            late.forget(at(0));
            late.remember(key, true, &flow(), at(1));
        }
        assert_eq!((late.gone.len(), late.index.len()), (REMEMBERED, REMEMBERED));
        let known = [9, 10, 11, REMEMBERED, REMEMBERED + 9].map(|key| late.has(&key, at(0)));
        assert_eq!(known, [false, true, true, true, true]);
    }
}
