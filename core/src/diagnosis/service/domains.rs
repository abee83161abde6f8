//! Session cache domains: who honours whose credentials.
//!
//! Told by acceptance and by key names alone. An accepted stateful ID puts two connections into one domain; a ticket
//! issued under one of several keys that live side by side shows the domain of its issuer. Machines may share a domain,
//! and one machine may hold several (workers with keys of their own).

use std::collections::BTreeMap;

use crate::session::{Connection, ConnectionId};

use super::keys::KeyName;
use super::{ServiceAnalyses, ServiceAnalysis};
use crate::net::hex;

/// A domain.
#[derive(Debug, Clone)]
pub(super) struct Domain {
    pub(super) connections: Vec<ConnectionId>,
    pub(super) because: Vec<String>,
}

/// The domains of a service, in the order of their first appearance. Empty when nothing tells them apart.
///
/// Key names do, if at least two keys issue side by side and no domain that issues under one ever accepts the other:
/// then the key a connection issues under, or accepts, names its domain.
pub(super) fn tell_apart(
    members: &[(ConnectionId, &Connection)],
    analysis: &ServiceAnalysis,
    analyses: &ServiceAnalyses,
) -> Vec<Domain> {
    let issuing = analysis.keys.iter().filter(|timeline| timeline.issues > 0);
    let side_by_side = all_overlap(issuing.filter_map(|timeline| timeline.issued));
    // A ticket that is renewed where nobody saw which one was offered may have been under any key.
    if !side_by_side || accepts_foreign_key(members, analyses) || analysis.renews_unnamed {
        return Vec::new();
    }
    let mut domains: BTreeMap<KeyName, Domain> = BTreeMap::new();
    for (id, connection) in members {
        let accepted = connection.accepted.and_then(|credential| analyses.key_name(credential));
        let Some(name) = analyses.issued_under(connection).or(accepted) else {
            continue;
        };
        domains
            .entry(name)
            .or_insert_with(|| Domain {
                connections: Vec::new(),
                because: vec![format!(
                    "ticket key {}…",
                    hex(name.bytes().get(..4).unwrap_or_default())
                )],
            })
            .connections
            .push(*id);
    }
    let mut domains: Vec<Domain> = domains.into_values().collect();
    // Members come in the order of their hellos, and so do the connections of each.
    let place: hashbrown::HashMap<ConnectionId, usize> =
        (0..).zip(members).map(|(place, (id, _))| (*id, place)).collect();
    domains.sort_by_key(|domain| domain.connections.first().and_then(|id| place.get(id).copied()));
    domains
}

/// Whether there are at least two spans, and each overlaps every other one: each begins before any other ends.
fn all_overlap<T: PartialOrd + Copy>(spans: impl Iterator<Item = (T, T)> + Clone) -> bool {
    // The two that end first: whichever ends first itself is held against the next.
    let mut ends: [Option<(usize, T)>; 2] = [None; 2];
    for (place, (_, last)) in spans.clone().enumerate() {
        let [earliest, second] = &mut ends;
        if earliest.is_none_or(|(_, end)| last < end) {
            *second = earliest.replace((place, last));
        } else if second.is_none_or(|(_, end)| last < end) {
            *second = Some((place, last));
        }
    }
    let [Some((earliest, end)), Some((_, next))] = ends else {
        return false;
    };
    let mut each = spans.enumerate();
    each.all(|(place, (first, _))| first < if place == earliest { next } else { end })
}

/// A renewal under another key than the accepted one: this domain holds both.
fn accepts_foreign_key(members: &[(ConnectionId, &Connection)], analyses: &ServiceAnalyses) -> bool {
    members.iter().any(|(_, connection)| {
        let accepted = connection.accepted.and_then(|credential| analyses.key_name(credential));
        let issued = analyses.issued_under(connection);
        accepted.is_some() && issued.is_some() && accepted != issued
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_overlap_when_each_begins_before_any_other_ends() {
        let overlap = |spans: &[(u32, u32)]| all_overlap(spans.iter().copied());
        assert!(overlap(&[(0, 9), (3, 5)]) && overlap(&[(3, 5), (0, 9)]));
        assert!(overlap(&[(0, 6), (1, 8), (5, 9)]));
        assert!(
            !overlap(&[(0, 6), (1, 8), (6, 9)]),
            "the last begins where the first ends"
        );
        assert!(!overlap(&[(0, 2), (3, 4)]));
        // One that is no span at all ends before itself begins, and is not held against that.
        assert!(overlap(&[(3, 3), (0, 9)]));
        assert!(!overlap(&[(0, 9)]) && !overlap(&[]), "one alone overlaps nothing");
    }

    #[test]
    fn spans_are_held_against_each_other_one_by_one() {
        let all: Vec<(u8, u8)> = (0..4)
            .flat_map(|first| (first..4).map(move |last| (first, last)))
            .collect();
        for a in &all {
            for b in &all {
                for c in &all {
                    let spans = [*a, *b, *c];
                    let begins = |at: usize, of: usize| at == of || spans[at].0 < spans[of].1;
                    let expected = (0..3).all(|at| (0..3).all(|of| begins(at, of)));
                    assert_eq!(all_overlap(spans.into_iter()), expected, "{spans:?}");
                }
            }
        }
    }
}
