//! Chains of credentials: several stores of sessions behind one address, and who begins a new one.
//!
//! A chain is a full handshake and all that was resumed from it. One client has one store for a service, as a rule: where an
//! older chain goes on after a newer one was used, there are two. In TLS 1.3 chains show only with keys, and a store keeps
//! several.

use hashbrown::{HashMap, HashSet};

use super::{Attempts, GivenBefore, OfferedCredential, Row, RowNumber};
use crate::session::ProtocolVersion;

/// Marks rows that offer what an earlier row issued, and rows that begin a chain while every other one goes on.
pub(super) fn settle(table: &mut Attempts) {
    let issuers: Vec<RowNumber> = table.entries.iter().map(|entry| entry.issue).collect();
    for issuer in issuers {
        if let Some(row) = issuer.index().and_then(|index| table.rows.get_mut(index)) {
            row.spent = true;
        }
    }
    let roots = roots(table);
    for (client, range) in (0..).zip(table.client_starts.windows(2)) {
        let (Some(from), Some(to)) = (range.first(), range.last()) else {
            continue;
        };
        let rows = table.client_rows.get(*from as usize..*to as usize).unwrap_or_default();
        if may_outlive_a_silence(table, rows) {
            table.several_stores.push(client);
        }
        if may_be_used_in_turn(table, rows, &roots) {
            table.several_chains.push(client);
        }
        for newcomer in newcomers(table, rows, &roots) {
            if let Some(row) = table.rows.get_mut(newcomer as usize) {
                row.newcomer = true;
            }
        }
    }
}

/// The first row of the chain of each row; `None` where that is not visible.
fn roots(table: &Attempts) -> Vec<Option<u32>> {
    let mut roots: Vec<Option<u32>> = Vec::with_capacity(table.rows.len());
    for (number, row) in (0..).zip(&table.rows) {
        let mut offers = table.of_row(row).map(|(_, entry)| entry);
        let root = match offers.next() {
            None if row.silent => Some(number),
            Some(entry) if !entry.concluded => entry
                .issue
                .index()
                .and_then(|issue| roots.get(issue).copied().flatten()),
            _ => None,
        };
        roots.push(root);
    }
    roots
}

/// Rows of one client that begin a chain, with every chain before them going on behind them. Only where an older chain is used
/// after a newer one, so that there are several stores, and nothing is hidden.
///
/// One store may look the same if it keeps several sessions and skips some now and then. Up to TLS 1.2 clients keep one for a
/// service, as a rule, and one that skips is silent at other times as well. In TLS 1.3 they keep several tickets, which are used
/// up, dropped, or spoken for by other connections of a burst.
fn newcomers(table: &Attempts, rows: &[u32], roots: &[Option<u32>]) -> Vec<u32> {
    let root = |row: &u32| roots.get(*row as usize).copied().flatten();
    let keeps_several = |row: &Row| row.version == ProtocolVersion::TLS_1_3.0;
    if rows.len() < 4
        || table.rows_at(rows).any(keeps_several)
        || rows.iter().any(|row| root(row).is_none())
        || !interleaved(table, rows, root)
    {
        return Vec::new();
    }
    // The first and the last use of each chain.
    let mut uses: HashMap<u32, (u32, u32)> = HashMap::new();
    for number in rows.iter().filter(|row| resumes(table, **row)) {
        if let Some(root) = root(number) {
            uses.entry(root).or_insert((*number, *number)).1 = *number;
        }
    }
    let mut found = Vec::new();
    let mut earliest_end = u32::MAX;
    for (turn, number) in rows.iter().enumerate() {
        let Some(row) = table
            .rows
            .get(*number as usize)
            .filter(|_| root(number) == Some(*number))
        else {
            continue;
        };
        let used = uses.get(number).copied();
        // Connections that are opened at once have nothing yet; and what goes on is used when what begins here is.
        if turn > 0 && row.given == GivenBefore::InTime {
            if !row.completed || used.is_none_or(|(first, _)| earliest_end < first) {
                return Vec::new();
            }
            found.push(*number);
        }
        if row.completed {
            earliest_end = earliest_end.min(used.map_or(*number, |(_, last)| last));
        }
    }
    found
}

/// Whether a session is offered after a hello of the same client that came later than the session and offered nothing
/// although the client had been given something. A session whose issue was only concluded may be such a one: two programs of
/// one address in turn, one of which never offers, look like one that drops what it has.
fn may_outlive_a_silence(table: &Attempts, rows: &[u32]) -> bool {
    let mut silence = None;
    rows.iter().any(|number| {
        let Some(row) = table.rows.get(*number as usize) else {
            return false;
        };
        let own = |issue: RowNumber| table.row(issue).is_some_and(|issue| issue.client == row.client);
        let older = |issue: RowNumber| issue.index() < silence && own(issue);
        let may_be_older = |entry: &OfferedCredential| entry.concluded && silence.is_some() || older(entry.issue);
        let may_outlive = table.of_row(row).any(|(_, entry)| may_be_older(entry));
        if row.silent && row.given != GivenBefore::Nothing {
            silence = Some(*number as usize);
        }
        may_outlive
    })
}

/// Whether chains are used in turn as one store for a service does not, which keeps one session up to TLS 1.2. In TLS 1.3 a store
/// keeps several tickets.
fn may_be_used_in_turn(table: &Attempts, rows: &[u32], roots: &[Option<u32>]) -> bool {
    let of_tls13 = |row: &Row| row.version == ProtocolVersion::TLS_1_3.0;
    let root = |row: &u32| roots.get(*row as usize).copied().flatten();
    !table.rows_at(rows).any(of_tls13) && interleaved(table, rows, root)
}

fn resumes(table: &Attempts, row: u32) -> bool {
    let row = table.rows.get(row as usize);
    let mut entries = row.into_iter().flat_map(|row| table.of_row(row));
    entries.any(|(_, entry)| entry.decision == super::Decision::Accepted)
}

/// Whether a chain is used, then another, then the first again: A, B, A.
fn interleaved(table: &Attempts, rows: &[u32], root: impl Fn(&u32) -> Option<u32>) -> bool {
    let (mut left, mut latest) = (HashSet::new(), None);
    // A chain is left when another is used, not when another begins; and a refused offer is no use.
    let used = rows.iter().filter(|row| resumes(table, **row));
    for chain in used.filter_map(root) {
        if latest == Some(chain) {
            continue;
        }
        if left.contains(&chain) {
            return true;
        }
        left.extend(latest.replace(chain));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Sketch, place};
    use super::*;

    /// One client: a session is issued, a hello offers nothing, and then a session is offered.
    fn outlives(given: bool, change: fn(&mut super::super::OfferedCredential)) -> bool {
        let mut sketch = Sketch::default();
        sketch.silent(1, 1, |_| ());
        sketch.silent(2, 1, |row| {
            row.given = if given {
                GivenBefore::InTime
            } else {
                GivenBefore::Nothing
            }
        });
        sketch.offer(3, 1, (1, 2), true, |_, entry| {
            entry.issue = place(0);
            change(entry);
        });
        let (table, part) = sketch.done();
        may_outlive_a_silence(&table, &part.rows)
    }

    #[test]
    fn a_session_that_is_offered_after_a_later_silence_is_of_another_store() {
        assert!(outlives(true, |_| ()));
        // The silent one had nothing by then: connections that were opened at once.
        assert!(!outlives(false, |_| ()));
        // It is the session that was made in place of what was dropped, or from before the capture.
        assert!(!outlives(true, |entry| entry.issue = place(1)));
        assert!(!outlives(true, |entry| entry.issue = RowNumber::NONE));
        // Whether it is, cannot be told where the issue is only concluded, and need not be where nobody was silent before.
        assert!(outlives(true, |entry| (entry.issue, entry.concluded) = (place(1), true)));
        assert!(!outlives(false, |entry| entry.concluded = true));
    }

    #[test]
    fn a_session_of_another_client_says_nothing_of_this_one() {
        let mut sketch = Sketch::default();
        sketch.silent(1, 2, |_| ());
        let silent = sketch.silent(2, 1, |row| row.given = GivenBefore::InTime);
        sketch.offer(3, 1, (1, 2), true, |_, entry| entry.issue = place(0));
        let (table, _) = sketch.done();
        assert!(!may_outlive_a_silence(&table, &[silent, 2]));
    }

    #[test]
    fn a_chain_begins_where_nothing_was_offered_for_certain() {
        let mut sketch = Sketch::default();
        sketch.silent(1, 1, |_| ());
        // What it offered is not visible.
        sketch.silent(2, 1, |row| row.silent = false);
        for (second, issue, concluded) in [(3, 0, false), (4, 0, true), (5, 1, false), (6, 2, false)] {
            sketch.offer(second, 1, (second, 1), true, |_, entry| {
                (entry.issue, entry.concluded) = (place(issue), concluded);
            });
        }
        let (table, _) = sketch.done();
        assert_eq!(roots(&table), [Some(0), None, Some(0), None, None, Some(0)]);
    }

    /// A client whose sessions were issued at seconds 1 and 2, which are used in turn from second 3 on; at these seconds it is silent
    /// once more.
    fn begins_at(silent: &[u32], change: fn(&mut Row)) -> Vec<u32> {
        let mut sketch = Sketch::default();
        for second in 1..=2 {
            sketch.silent(second, 1, |row| {
                if second > 1 {
                    row.given = GivenBefore::InTime;
                }
                change(row);
            });
        }
        let mut rows = vec![0, 1];
        for second in 3..20 {
            if silent.contains(&second) {
                rows.push(sketch.silent(second, 1, |row| row.given = GivenBefore::InTime));
                continue;
            }
            let session = second % 2;
            sketch.offer(second, 1, (session, 1), true, |row, entry| {
                entry.issue = place(session);
                change(row);
                rows.push(entry.row);
            });
        }
        let (table, _) = sketch.done();
        newcomers(&table, &rows, &roots(&table))
    }

    #[test]
    fn a_store_that_is_silent_once_begins_what_goes_on_beside_another() {
        assert_eq!(begins_at(&[], |_| ()), [1]);
        // What was opened at once had nothing yet, or it was on its way.
        assert!(begins_at(&[], |row| row.given = GivenBefore::Nothing).is_empty());
        assert!(begins_at(&[], |row| row.given = GivenBefore::PerhapsLate).is_empty());
        // One that skips what it has does so again; and in TLS 1.3 a store has several tickets.
        assert!(begins_at(&[9], |_| ()).is_empty());
        assert!(begins_at(&[], |row| row.version = ProtocolVersion::TLS_1_3.0).is_empty());
    }
}
