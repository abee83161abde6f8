//! What is remembered of a connection after it was taken off the table: enough to know its late packets.
//!
//! A copy that a slow tap delivers, or a retransmission, seconds after the close must not open a connection of its own.
//! A whole connection is too dear to keep for that; its sequence numbers are not.

use std::collections::VecDeque;
use std::hash::Hash;

use hashbrown::HashMap;

use crate::net::{Segment, SeqNumber, Timestamp};

use super::flow::{Flow, SAME_CONNECTION};

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
struct Gone {
    until: Timestamp,
    low: SequenceNumbers,
    high: SequenceNumbers,
}

/// Connections that were taken off a moment ago.
#[derive(Debug)]
pub(super) struct RecentlyClosed<K> {
    gone: HashMap<K, Gone>,
    order: VecDeque<(Timestamp, K)>,
}

impl<K: Copy + Eq + Hash> RecentlyClosed<K> {
    pub(super) fn new() -> Self {
        Self {
            gone: HashMap::new(),
            order: VecDeque::new(),
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
        self.gone.insert(key, Gone { until, low, high });
        self.order.push_back((until, key));
    }

    /// Whether a connection with this key ended a moment ago.
    pub(super) fn has(&self, key: &K, now: Timestamp) -> bool {
        self.gone.get(key).is_some_and(|gone| now < gone.until)
    }

    /// Whether a segment belongs to the connection with this key that is over.
    pub(super) fn knows(&self, key: &K, from_low: bool, segment: &Segment<'_>, now: Timestamp) -> bool {
        let seq = segment.seq;
        let gone = self.gone.get(key).filter(|gone| now < gone.until);
        gone.is_some_and(|gone| {
            let numbers = if from_low { gone.low } else { gone.high };
            // A SYN is the old one only if it is the very same: ports are used again with numbers close by.
            if segment.flags.syn() {
                return numbers.isn == Some(seq);
            }
            let last = numbers.highest.or(numbers.isn);
            last.is_some_and(|last| seq.distance(last).unsigned_abs() < SAME_CONNECTION.unsigned_abs())
        })
    }

    /// Forgets those whose time is over.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some(&(until, key)) = self.order.front()
            && (until <= now || self.order.len() > REMEMBERED)
        {
            self.order.pop_front();
            // The same endpoints may have been remembered again since.
            if self.gone.get(&key).is_some_and(|gone| gone.until == until) {
                self.gone.remove(&key);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.gone.clear();
        self.order.clear();
    }
}
