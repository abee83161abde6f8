//! Who: is it another party than the one that holds the session?

use hashbrown::{HashMap, HashSet};

use super::when::KeysAtWork;
use super::{Claim, Kind, Look, ServiceContext, Trace, claim, refused};
use crate::diagnosis::attempts::{Decision, Entry};
use crate::net::Timestamp;

/// Another server, machine, key, context; or another store that nothing tells apart.
pub(super) fn claims(ground: &ServiceContext<'_>, all: &mut Vec<Claim>) {
    all.extend(other_server(ground));
    all.extend(other_machine(ground));
    all.extend(other_key(ground));
    all.extend(other_context(ground));
    all.extend(other_store(ground));
}

fn other_server(ground: &ServiceContext<'_>) -> Option<Claim> {
    let claim = claim(ground, Kind::OtherServer, |entry| {
        Some(Look {
            concluded: entry.foreign_concluded,
            ..Look::read(entry.foreign)
        })
    });
    claim.map(|claim| claim.with_trace(Trace::of("the session is of another server")))
}

/// Machines are told by marks that no decision made.
fn other_machine(ground: &ServiceContext<'_>) -> Option<Claim> {
    let claim = claim(ground, Kind::OtherMachine, |entry| {
        let row = ground.table.row_of(entry)?;
        let holder = ground.table.row(entry.previous).filter(|_| !entry.foreign)?;
        let both = row.machine != 0 && holder.machine != 0;
        both.then(|| Look {
            named: row.machine != holder.machine,
            value: u32::from(row.machine) << 16 | u32::from(holder.machine),
            concluded: entry.concluded,
        })
    });
    claim.map(|claim| claim.with_trace(Trace::of("two machines answer, by marks on their packets")))
}

/// When each key of the service was at work, issuing or accepting.
pub(super) fn keys_at_work(ground: &ServiceContext<'_>) -> KeysAtWork {
    let mut work = KeysAtWork::new();
    let mut note = |key: u32, time: Timestamp| {
        if key != 0 {
            let span = work.entry(key).or_insert((time, time));
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
    work
}

/// Keys during whose work another one is at work: of those that began before it ended, one ends after it began.
fn beside_others(work: &KeysAtWork) -> HashSet<u32> {
    let mut spans: Vec<(Timestamp, Timestamp, u32)> = work.iter().map(|(key, (from, to))| (*from, *to, *key)).collect();
    spans.sort_unstable();
    // For each beginning the two that end last by then: a key is not held against itself.
    let mut latest: [Option<(Timestamp, u32)>; 2] = [None; 2];
    let latest: Vec<_> = spans
        .iter()
        .map(|(_, to, key)| {
            let [last, second] = &mut latest;
            if last.is_none_or(|(end, _)| *to > end) {
                *second = last.replace((*to, *key));
            } else if second.is_none_or(|(end, _)| *to > end) {
                *second = Some((*to, *key));
            }
            latest
        })
        .collect();
    let is_beside = |key: u32, first: Timestamp, last: Timestamp| {
        let begun = spans.partition_point(|(from, ..)| *from < last);
        let ends = begun.checked_sub(1).and_then(|place| latest.get(place));
        let mut others = ends.into_iter().flatten().flatten().filter(|(_, other)| *other != key);
        others.any(|(to, _)| first < *to)
    };
    let each = work
        .iter()
        .filter(|(key, (first, last))| is_beside(**key, *first, *last));
    each.map(|(key, _)| *key).collect()
}

/// The key is in use elsewhere: it works on after the refusal, or the server that refused was at work with its own key
/// before.
fn other_key(ground: &ServiceContext<'_>) -> Option<Claim> {
    let work = keys_at_work(ground);
    if work.len() < 2 {
        return None;
    }
    let beside_others = beside_others(&work);
    // A server that renews a ticket of one key under another holds both.
    let held: HashSet<(u32, u32)> = ground
        .entries()
        .filter(|(_, entry)| entry.decision == Decision::Accepted && entry.key != 0)
        .filter_map(|(_, entry)| Some((entry, ground.table.row_of(entry)?)))
        .filter(|(entry, row)| row.issues != 0 && row.issues != entry.key && !row.issues_concluded)
        .map(|(entry, row)| (entry.key, row.issues))
        .collect();
    let names = |entry: &Entry| {
        let row = ground.table.row_of(entry).filter(|_| entry.key != 0)?;
        if !refused(entry) {
            return (row.issues != 0 && !row.issues_concluded).then_some(false);
        }
        let (first, last) = *work.get(&entry.key)?;
        let own = row.issues;
        let lives_on = last > row.time && first < row.time;
        let beside = work
            .get(&own)
            .is_some_and(|(own_first, own_last)| *own_first < last && first < *own_last);
        // The refuser's own key is not visible, and K is not the only one at work.
        let unseen = own == 0 && beside_others.contains(&entry.key);
        let known = held.contains(&(entry.key, own)) || entry.own_key || own == entry.key;
        Some(!known && (lives_on || unseen || (own != 0 && beside)))
    };
    let mut claim = claim(ground, Kind::OtherKey, |entry| {
        let named = names(entry)?;
        Some(Look {
            named,
            value: ground.table.row_of(entry).map_or(0, |row| row.issues),
            concluded: entry.mechanism == crate::session::Mechanism::Psk,
        })
    })?;
    claim.trace = Trace::of("several ticket keys are in use side by side");
    // Keys that issue in turn are live side by side; and each of them opens its own tickets.
    let turns = keys_in_turn(ground);
    let honoured: HashSet<u32> = ground
        .entries()
        .filter(|(_, entry)| entry.decision == Decision::Accepted)
        .map(|(_, entry)| entry.key)
        .collect();
    let proven = |number: &u32| {
        let entry = ground.table.entry(*number)?;
        let own = ground.table.row_of(entry).filter(|row| !row.issues_concluded)?.issues;
        Some(turns.contains(&entry.key) && turns.contains(&own) && honoured.contains(&entry.key))
    };
    claim.proven = claim
        .named
        .iter()
        .copied()
        .filter(|number| proven(number) == Some(true))
        .collect();
    Some(claim)
}

/// Keys under which tickets are issued in clear, in turn: K1, K2, K1. Names one bit apart are one key of wolfSSL.
fn keys_in_turn(ground: &ServiceContext<'_>) -> HashSet<u32> {
    let issuing = ground
        .table
        .rows_at(&ground.part.rows)
        .filter(|row| row.issues != 0 && !row.issues_concluded);
    let mut spans: HashMap<u32, (Timestamp, Timestamp)> = HashMap::new();
    for row in issuing {
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
            turns.insert(key);
            turns.insert(other);
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

/// Whether full handshakes of one client stack show certificates in turn: A, B, A.
pub(super) fn certificates_alternate(ground: &ServiceContext<'_>) -> bool {
    let mut latest: HashMap<u32, (u32, HashSet<u32>)> = HashMap::new();
    for row in ground
        .table
        .rows_at(&ground.part.rows)
        .filter(|row| row.certificate != 0)
    {
        let (last, left) = latest.entry(row.stack).or_default();
        if *last != row.certificate {
            if left.contains(&row.certificate) {
                return true;
            }
            left.insert(*last);
            *last = row.certificate;
        }
    }
    false
}

/// Certificates in turn on one key: the context of the session is another's.
fn other_context(ground: &ServiceContext<'_>) -> Option<Claim> {
    if !certificates_alternate(ground) {
        return None;
    }
    // In TLS 1.3 the certificate is encrypted: where the service has one key only, the key is not the cause.
    let one_key = keys_at_work(ground).len() == 1;
    let claim = claim(ground, Kind::OtherContext, |entry| {
        let row = ground
            .table
            .row_of(entry)
            .filter(|_| refused(entry) && !entry.foreign)?;
        let hidden = row.certificate == 0 && entry.key != 0 && one_key;
        Some(Look {
            concluded: hidden,
            ..Look::read(entry.other_certificate || hidden)
        })
    });
    claim.map(|claim| claim.with_trace(Trace::of("servers with another certificate answer in turn")))
}

/// Several stores behind one address that nothing tells apart: chance, as far as rows go. Only a session that was refused
/// and is accepted later proves it.
fn other_store(ground: &ServiceContext<'_>) -> Option<Claim> {
    let mut claim = claim(ground, Kind::OtherStore, |entry| {
        // The refuser issues under the ticket's own key: it is not the key.
        (refused(entry) && !entry.foreign).then_some(Look::read(true))
    })?;
    let proven = |number: &u32| ground.table.entry(*number).is_some_and(|entry| entry.accepted_later);
    claim.proven = claim.named.iter().copied().filter(proven).collect();
    // What is proven of a credential holds for all of its refusals.
    let credentials: HashSet<_> = claim
        .proven
        .iter()
        .filter_map(|number| Some(ground.table.entry(*number)?.credential))
        .collect();
    claim.proven = claim
        .named
        .iter()
        .copied()
        .filter(|number| {
            let entry = ground.table.entry(*number);
            entry.is_some_and(|entry| credentials.contains(&entry.credential))
        })
        .collect();
    if !claim.proven.is_empty() {
        claim.trace = Trace::of("a session was refused and accepted again later");
    }
    Some(claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_beside_others_while_another_one_is_at_work() {
        let beside = |spans: &[(u32, i64, i64)]| {
            let at = Timestamp::from_nanos;
            let work: KeysAtWork = spans
                .iter()
                .map(|(key, from, to)| (*key, (at(*from), at(*to))))
                .collect();
            let mut beside: Vec<u32> = beside_others(&work).into_iter().collect();
            beside.sort_unstable();
            beside
        };
        assert_eq!(beside(&[(1, 0, 9), (2, 3, 5), (3, 9, 12)]), [1, 2]);
        assert_eq!(beside(&[(1, 0, 9), (2, 3, 5), (3, 8, 12)]), [1, 2, 3]);
        assert_eq!(beside(&[(1, 0, 3), (2, 3, 5)]), [0; 0], "one after the other");
        assert_eq!(beside(&[(1, 0, 3)]), [0; 0], "a key is not beside itself");
    }
}
