//! When the ticket keys of a service were at work, issuing or accepting.

use hashbrown::{HashMap, HashSet};

use super::ServiceContext;
use crate::diagnosis::attempts::{Decision, Row};
use crate::net::Timestamp;
use crate::net::span::SECOND;

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

/// While a server is reloaded, the processes of before and after accept connections side by side for so long: nginx waits a
/// tenth of a second before it tells the old ones to stop.
pub(super) const RELOAD: i64 = 2 * SECOND;
/// How many times longer the two keys of a reload are at work than they are both: connections that a farm gives to its servers
/// in turn alternate all the time.
const LONGER: i64 = 3;
/// Times that keys come back, at least, where servers with a key each take turns. One that is rolled out and taken back comes
/// back once, and once more when it is rolled out again.
const RETURNS: usize = 3;

/// From the first to the last sign of life.
type Life = (Timestamp, Timestamp);

/// Whether a key took the place of another one, with no more in common than a reload explains.
pub(super) fn takes_over(before: Life, after: Life) -> bool {
    if after.0 > before.1 {
        return true;
    }
    let both = before.1.since(after.0);
    let all = after.1.since(before.0);
    before.0 < after.0 && before.1 < after.1 && both <= RELOAD && both.saturating_mul(LONGER) < all
}

/// Keys under which tickets are issued in clear, in turn: K1, K2, K1, K2, K1; each with the number of those that it takes turns
/// with. Names one bit apart are one key of wolfSSL.
pub(super) fn in_turn(ground: &ServiceContext<'_>) -> HashMap<u32, usize> {
    let clear = |row: &Row| !row.issues_concluded;
    let spans = issuing(ground, clear);
    // Sorted by their beginning, two keys are at work side by side where one begins before another has ended.
    let mut sorted: Vec<(Timestamp, Timestamp, u32)> =
        spans.iter().map(|(key, (from, to))| (*from, *to, *key)).collect();
    sorted.sort_unstable();
    let mut groups: Vec<Vec<u32>> = Vec::new();
    // The one that ends last so far, and its group.
    let mut open: Option<(Life, u32, usize)> = None;
    for (from, to, key) in sorted {
        let life = (from, to);
        let beside = open.filter(|(other, name, _)| !takes_over(*other, life) && !one_bit_apart(ground, key, *name));
        let place = beside.map_or(groups.len(), |(.., place)| place);
        match groups.get_mut(place) {
            Some(group) => group.push(key),
            None => groups.push(vec![key]),
        }
        if open.is_none_or(|((_, end), ..)| to > end) {
            open = Some((life, key, place));
        }
    }
    let group_of: HashMap<u32, usize> = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| group.len() > 1)
        .flat_map(|(place, group)| group.iter().map(move |key| (*key, place)))
        .collect();
    let mut turns = vec![(0, 0_usize); groups.len()];
    for row in ground.table.rows_at(&ground.part.rows).filter(|row| clear(row)) {
        let group = group_of.get(&row.issues).and_then(|place| turns.get_mut(*place));
        if let Some((latest, count)) = group.filter(|(latest, _)| *latest != row.issues) {
            *latest = row.issues;
            *count += 1;
        }
    }
    // Each key has a first turn; all others are returns.
    let returns = |(group, (_, turns)): &(Vec<u32>, (u32, usize))| *turns >= group.len() + RETURNS;
    let in_turn = groups.into_iter().zip(turns).enumerate();
    let in_turn = in_turn.filter(|(_, group)| returns(group));
    in_turn
        .flat_map(|(place, (group, _))| group.into_iter().map(move |key| (key, place)))
        .collect()
}

/// For how long each key was not issued under at most, until it was again.
pub(super) fn longest_away(ground: &ServiceContext<'_>) -> HashMap<u32, i64> {
    let mut seen: HashMap<u32, (Timestamp, i64)> = HashMap::new();
    let rows = ground.table.rows_at(&ground.part.rows);
    for row in rows.filter(|row| row.issues != 0 && !row.issues_concluded) {
        let (latest, longest) = seen.entry(row.issues).or_insert((row.time, 0));
        *longest = (*longest).max(row.time.since(*latest));
        *latest = row.time;
    }
    seen.into_iter().map(|(key, (_, longest))| (key, longest)).collect()
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
        // What only overlaps while a server is reloaded is no company either.
        let beside = spans.iter().filter(|(_, (first, last))| {
            *first < to
                && from < *last
                && !takes_over((from, to), (*first, *last))
                && !takes_over((*first, *last), (from, to))
        });
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
    fn keys_issue_in_turn_where_they_come_back_again_and_again() {
        let turns = |rows: &[(u32, u32)]| {
            let mut turns: Vec<u32> = with(issuing(rows), in_turn).into_keys().collect();
            turns.sort_unstable();
            turns
        };
        assert_eq!(turns(&[(10, 1), (15, 2), (20, 1), (25, 2), (30, 1)]), [1, 2]);
        assert_eq!(
            turns(&[(10, 1), (20, 2), (30, 3), (40, 1), (50, 2), (60, 3)]),
            [1, 2, 3]
        );
        assert!(turns(&[(10, 1), (20, 1), (20, 2), (30, 2)]).is_empty());
        assert!(turns(&[(10, 0), (20, 2), (30, 0)]).is_empty());
        // Rolled out, taken back, and rolled out again.
        assert!(turns(&[(10, 1), (15, 2), (20, 1)]).is_empty());
        assert!(turns(&[(10, 1), (12, 1), (15, 2), (18, 2), (20, 1), (24, 1), (30, 2)]).is_empty());
        let mut concluded = issuing(&[(10, 1), (20, 1), (30, 1), (40, 1)]);
        for second in [15, 25, 35] {
            concluded.silent(second, 1, |row| (row.issues, row.issues_concluded) = (2, true));
        }
        assert!(with(concluded, in_turn).is_empty());
        // What takes the place of one of them later is not in turn with them.
        let later = [(10, 1), (15, 2), (20, 1), (25, 2), (30, 1), (60, 3), (70, 3)];
        assert_eq!(turns(&later), [1, 2]);
    }

    #[test]
    fn a_reload_has_two_keys_at_work_for_a_moment() {
        let second = |second| at(second).time;
        let over = |before: [u32; 2], after: [u32; 2]| {
            takes_over(
                (second(before[0]), second(before[1])),
                (second(after[0]), second(after[1])),
            )
        };
        assert!(over([10, 20], [21, 30]) && over([10, 20], [20, 30]) && over([10, 20], [18, 30]));
        assert!(!over([10, 30], [15, 40]), "too long for a reload");
        assert!(
            !over([10, 12], [10, 13]) && !over([10, 12], [11, 13]),
            "as long as all the rest"
        );
        assert!(!over([10, 40], [20, 21]) && !over([20, 21], [10, 40]), "it comes back");
        // In the moment of a reload they take turns.
        let rows = [
            (10, 1),
            (20, 1),
            (21, 2),
            (22, 1),
            (22, 2),
            (22, 1),
            (23, 2),
            (23, 1),
            (40, 2),
        ];
        assert!(with(issuing(&rows), in_turn).is_empty());
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
