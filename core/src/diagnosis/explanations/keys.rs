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
        // Among the former it counts itself; with a single sign of life, among the latter.
        let [among_begun, among_over] = [first < last, first == last].map(usize::from);
        begun - among_begun > over - among_over
    }
}

/// Keys under which tickets are issued in clear, in turn: K1, K2, K1. Names one bit apart are one key of wolfSSL.
pub(super) fn in_turn(ground: &ServiceContext<'_>) -> HashSet<u32> {
    let spans = issuing(ground, |row| !row.issues_concluded);
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

/// When each key was the one to issue under.
fn issuing(ground: &ServiceContext<'_>, counts: impl Fn(&Row) -> bool) -> HashMap<u32, (Timestamp, Timestamp)> {
    let mut spans: HashMap<u32, (Timestamp, Timestamp)> = HashMap::new();
    let rows = ground.table.rows_at(&ground.part.rows);
    for row in rows.filter(|row| row.issues != 0 && counts(row)) {
        let span = spans.entry(row.issues).or_insert((row.time, row.time));
        span.1 = row.time;
    }
    spans
}

/// For each key under which a refused ticket is sealed, until when another one was at work that issued side by side with it.
/// One that is only kept to open older tickets is no company, nor are those that went with it.
pub(super) fn company(ground: &ServiceContext<'_>, work: &KeysAtWork) -> HashMap<u32, Timestamp> {
    let spans = issuing(ground, |_| true);
    let refused: HashSet<u32> = ground
        .entries()
        .filter(|(_, entry)| entry.failed())
        .map(|(_, entry)| entry.key)
        .collect();
    let company = |key: u32| {
        let (from, to) = *spans.get(&key)?;
        let beside = spans.iter().filter(|(_, (first, last))| *first < to && from < *last);
        let others = beside.filter(|(other, _)| **other != key && !one_bit_apart(ground, key, **other));
        others
            .filter_map(|(other, _)| work.span(*other))
            .map(|(_, last)| last)
            .max()
    };
    refused
        .into_iter()
        .filter_map(|key| Some((key, company(key)?)))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::attempts::tests::Sketch;
    use crate::session::tests::at;

    /// A service that issues tickets in clear at these seconds, under these keys.
    fn issuing(rows: &[(u32, u32)]) -> Sketch {
        let mut sketch = Sketch::default();
        for (second, key) in rows {
            sketch.silent(*second, 1, |row| row.issues = *key);
        }
        sketch
    }

    fn with<T>(sketch: Sketch, of: impl FnOnce(&ServiceContext<'_>) -> T) -> T {
        let (table, part) = sketch.done();
        of(&ServiceContext::of(&table, &part, &[]))
    }

    #[test]
    fn a_key_is_at_work_where_it_issues_or_accepts() {
        let mut sketch = issuing(&[(10, 1), (15, 2), (20, 1), (25, 0)]);
        for (second, accepted) in [(30, true), (40, false)] {
            sketch.offer(second, 1, (second, 2), accepted, |_, entry| entry.key = 2);
        }
        let work = with(sketch, KeysAtWork::of);
        assert_eq!(work.len(), 2);
        assert_eq!(work.span(1), Some((at(10).time, at(20).time)));
        assert_eq!(work.span(2), Some((at(15).time, at(30).time)));
        assert_eq!(work.span(0), None);
    }

    #[test]
    fn a_key_begins_after_one_moment_and_up_to_another() {
        let work = with(issuing(&[(10, 1), (20, 1), (30, 3)]), KeysAtWork::of);
        let begins = |after, until| work.begins_within(at(after).time, at(until).time);
        assert!(begins(20, 30) && begins(9, 10) && begins(9, 40));
        assert!(!begins(10, 29) && !begins(30, 40) && !begins(15, 15));
    }

    #[test]
    fn keys_have_company_while_they_are_at_work_at_once() {
        let company = |rows: &[(u32, u32)], key| with(issuing(rows), KeysAtWork::of).has_company(key);
        assert!(company(&[(10, 1), (15, 2), (20, 1), (25, 2)], 1));
        assert!(company(&[(10, 1), (15, 2), (20, 1), (25, 2)], 2));
        assert!(company(&[(10, 1), (15, 2), (20, 1)], 1));
        // A single sign of life is one as well.
        assert!(company(&[(10, 1), (15, 2), (20, 1)], 2));
        // One after the other, or alone.
        assert!(!company(&[(10, 1), (20, 1), (20, 2), (30, 2)], 1));
        assert!(!company(&[(10, 1), (20, 1), (20, 2), (30, 2)], 2));
        assert!(!company(&[(10, 1), (20, 2)], 2) && !company(&[(10, 1), (20, 2)], 1));
        assert!(!company(&[(10, 1)], 1) && !company(&[(10, 1), (20, 1)], 1) && !company(&[(10, 1)], 2));
    }

    #[test]
    fn keys_issue_in_turn_where_one_comes_back() {
        let turns = |rows: &[(u32, u32)]| {
            let mut turns: Vec<u32> = with(issuing(rows), in_turn).into_iter().collect();
            turns.sort_unstable();
            turns
        };
        assert_eq!(turns(&[(10, 1), (15, 2), (20, 1)]), [1, 2]);
        assert!(turns(&[(10, 1), (20, 1), (20, 2), (30, 2)]).is_empty());
        assert_eq!(turns(&[(10, 1), (20, 2), (30, 3), (40, 1)]), [1, 2, 3]);
        assert!(turns(&[(10, 0), (20, 2), (30, 0)]).is_empty());
        let mut concluded = issuing(&[(10, 1), (20, 1)]);
        concluded.silent(15, 1, |row| (row.issues, row.issues_concluded) = (2, true));
        assert!(with(concluded, in_turn).is_empty());
    }

    #[test]
    fn a_server_that_renews_a_ticket_holds_both_keys() {
        let held = |accepted, key, issues, concluded| {
            let mut sketch = Sketch::default();
            sketch.offer(10, 1, (1, 2), accepted, |row, entry| {
                (entry.key, row.issues, row.issues_concluded) = (key, issues, concluded);
            });
            with(sketch, held_together).into_iter().next()
        };
        assert_eq!(held(true, 1, 2, false), Some((1, 2)));
        for none in [
            held(false, 1, 2, false),
            held(true, 0, 2, false),
            held(true, 1, 0, false),
        ] {
            assert_eq!(none, None);
        }
        assert_eq!(held(true, 1, 1, false), None);
        assert_eq!(held(true, 1, 2, true), None);
    }
}
