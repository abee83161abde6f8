//! When the ticket keys of a service were at work, issuing or accepting.

use hashbrown::{HashMap, HashSet};

use super::ServiceContext;
use crate::diagnosis::attempts::{Decision, Row};
use crate::net::Timestamp;

/// First and last sign of life of each key. Questions about all of them are answered by counting, for a farm may have
/// thousands.
pub(super) struct KeysAtWork {
    spans: HashMap<u32, (Timestamp, Timestamp)>,
    begins: Vec<Timestamp>,
    ends: Vec<Timestamp>,
}

impl KeysAtWork {
    pub(super) fn of(ground: &ServiceContext<'_>) -> Self {
        let mut spans = HashMap::new();
        let mut note = |key: u32, time: Timestamp| {
            if key != 0 {
                let span = spans.entry(key).or_insert((time, time));
                *span = (span.0.min(time), span.1.max(time));
            }
        };
        for row in ground.table.rows_at(&ground.part.rows) {
            note(row.issues, row.time);
        }
        for (_, entry) in ground
            .entries()
            .filter(|(_, entry)| entry.decision == Decision::Accepted)
        {
            if let Some(row) = ground.table.row_of(entry) {
                note(entry.key, row.time);
            }
        }
        let mut begins: Vec<Timestamp> = spans.values().map(|(from, _)| *from).collect();
        let mut ends: Vec<Timestamp> = spans.values().map(|(_, to)| *to).collect();
        begins.sort_unstable();
        ends.sort_unstable();
        Self { spans, begins, ends }
    }

    /// How many keys were at work.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// When one was.
    pub(super) fn span(&self, key: u32) -> Option<(Timestamp, Timestamp)> {
        self.spans.get(&key).copied()
    }

    /// Whether a key was at work for the first time after one moment and up to another.
    pub(super) fn begins_within(&self, after: Timestamp, until: Timestamp) -> bool {
        let up_to = |time: Timestamp| self.begins.partition_point(|begin| *begin <= time);
        up_to(until) > up_to(after)
    }

    /// Whether another key was at work side by side with this one.
    pub(super) fn has_company(&self, key: u32) -> bool {
        let Some((first, last)) = self.span(key) else {
            return false;
        };
        // All that begin before its end, without those that end before its beginning.
        let begun = self.begins.partition_point(|begin| *begin < last);
        let over = self.ends.partition_point(|end| *end <= first);
        let itself = usize::from(first < last);
        begun > over + itself
    }
}

/// Keys under which tickets are issued in clear, in turn: K1, K2, K1. Names one bit apart are one key of wolfSSL.
pub(super) fn in_turn(ground: &ServiceContext<'_>) -> HashSet<u32> {
    let in_clear = |row: &&Row| row.issues != 0 && !row.issues_concluded;
    let mut spans: HashMap<u32, (Timestamp, Timestamp)> = HashMap::new();
    for row in ground.table.rows_at(&ground.part.rows).filter(in_clear) {
        let span = spans.entry(row.issues).or_insert((row.time, row.time));
        span.1 = row.time;
    }
    // Sorted by their beginning, two keys issue in turn where one begins before another has ended.
    let mut sorted: Vec<(Timestamp, Timestamp, u32)> =
        spans.iter().map(|(key, (from, to))| (*from, *to, *key)).collect();
    sorted.sort_unstable();
    let mut turns = HashSet::new();
    let mut open: Option<(Timestamp, u32)> = None;
    for (from, to, key) in sorted {
        if let Some((end, other)) = open
            && from < end
            && !one_bit_apart(ground, key, other)
        {
            turns.extend([key, other]);
        }
        if open.is_none_or(|(end, _)| to > end) {
            open = Some((to, key));
        }
    }
    turns
}

fn one_bit_apart(ground: &ServiceContext<'_>, a: u32, b: u32) -> bool {
    let (Some(a), Some(b)) = (ground.table.key(a), ground.table.key(b)) else {
        return false;
    };
    let differing: u32 = a.bytes().iter().zip(b.bytes()).map(|(a, b)| (a ^ b).count_ones()).sum();
    differing <= 1
}

/// Pairs of keys that one server holds both of: it renews a ticket of the one under the other.
pub(super) fn held_together(ground: &ServiceContext<'_>) -> HashSet<(u32, u32)> {
    let accepted = ground
        .entries()
        .filter(|(_, entry)| entry.decision == Decision::Accepted && entry.key != 0);
    let renewed = accepted.filter_map(|(_, entry)| Some((entry, ground.table.row_of(entry)?)));
    renewed
        .filter(|(entry, row)| row.issues != 0 && row.issues != entry.key && !row.issues_concluded)
        .map(|(entry, row)| (entry.key, row.issues))
        .collect()
}
