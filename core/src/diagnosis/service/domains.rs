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
    insight: &ServiceAnalysis,
    hindsight: &ServiceAnalyses,
) -> Vec<Domain> {
    let issuing: Vec<_> = insight.keys.iter().filter(|timeline| timeline.issues > 0).collect();
    let side_by_side = issuing.len() >= 2
        && issuing.iter().enumerate().all(|(index, timeline)| {
            issuing
                .iter()
                .skip(index + 1)
                .all(|other| overlap(timeline.issued, other.issued))
        });
    // A ticket that is renewed where nobody saw which one was offered may have been under any key.
    if !side_by_side || accepts_foreign_key(members, hindsight) || insight.renews_unnamed {
        return Vec::new();
    }
    let mut domains: BTreeMap<KeyName, Domain> = BTreeMap::new();
    for (id, connection) in members {
        let accepted = connection
            .accepted
            .and_then(|credential| hindsight.key_name(credential));
        let Some(name) = hindsight.issued_under(connection).or(accepted) else {
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

fn overlap<T: PartialOrd>(a: Option<(T, T)>, b: Option<(T, T)>) -> bool {
    match (a, b) {
        (Some((a_first, a_last)), Some((b_first, b_last))) => a_first < b_last && b_first < a_last,
        _ => false,
    }
}

/// A renewal under another key than the accepted one: this domain holds both.
fn accepts_foreign_key(members: &[(ConnectionId, &Connection)], hindsight: &ServiceAnalyses) -> bool {
    members.iter().any(|(_, connection)| {
        let accepted = connection
            .accepted
            .and_then(|credential| hindsight.key_name(credential));
        let issued = hindsight.issued_under(connection);
        accepted.is_some() && issued.is_some() && accepted != issued
    })
}
