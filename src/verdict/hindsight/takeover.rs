//! Another machine took over an address: what the packets show of it.

use std::collections::BTreeMap;

use crate::net::{At, MacAddress, Neighbour, Timestamp};
use crate::session::ResetForm;
use crate::session::{Completed, Connection, ConnectionId};

/// A moment at which another machine, or the same one after a restart, answers for the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takeover {
    /// When it showed first.
    pub time: Timestamp,
    /// What showed it.
    pub at: At,
    /// Another machine for certain: its MAC address claims the address, or the hop count of its packets differs.
    pub other_machine: bool,
}

/// Resets within this time of each other belong to one event: clients notice when they next send.
const SAME_EVENT: i64 = 60_000_000_000;

/// Finds takeovers of one service: connections that were working and are answered by a host that does not know them,
/// and announcements of the address by another MAC address.
#[must_use]
pub(super) fn find(members: &[(ConnectionId, &Connection)], neighbours: &[(At, Neighbour)]) -> Vec<Takeover> {
    let mut found: Vec<Takeover> = members
        .iter()
        .filter_map(|(_, connection)| unknown_to_the_host(connection))
        .collect();
    if let Some((_, connection)) = members.first() {
        found.extend(announced(connection, neighbours));
    }
    found.sort_by_key(|takeover| takeover.time);
    let mut events: Vec<Takeover> = Vec::new();
    for takeover in found {
        match events.last_mut() {
            Some(last) if takeover.time.since(last.time) <= SAME_EVENT && same_direction(members, last, &takeover) => {
                last.other_machine |= takeover.other_machine;
            }
            _ => events.push(takeover),
        }
    }
    for event in &mut events {
        event.other_machine |= hops_changed(members, event.time);
    }
    events
}

/// Two resets with successful connections between them are two events (there and back).
fn same_direction(members: &[(ConnectionId, &Connection)], last: &Takeover, next: &Takeover) -> bool {
    !members
        .iter()
        .any(|(_, connection)| connection.transport.started > last.time && connection.transport.started < next.time)
}

/// An established connection reset without ACK, as a host does that does not have it (RFC 9293 §3.5.2), although the
/// server had not closed it.
fn unknown_to_the_host(connection: &Connection) -> Option<Takeover> {
    let server = &connection.server_side;
    let reset = server.reset.filter(|reset| reset.form == ResetForm::NoSocket)?;
    let was_working =
        connection.completed == Completed::Yes && server.fin.is_none() && connection.close.server.at().is_none();
    // A client that had closed may be answered so by the host it was talking to.
    let client_open = connection.client_side.fin.is_none_or(|fin| fin.time >= reset.at.time)
        && connection.close.client.at().is_none();
    (was_working && client_open).then_some(Takeover {
        time: reset.at.time,
        at: reset.at,
        other_machine: false,
    })
}

/// Unsolicited announcements of the server's address by a MAC address that did not have it before.
fn announced<'a>(
    connection: &Connection,
    neighbours: &'a [(At, Neighbour)],
) -> impl Iterator<Item = Takeover> + use<'a> {
    let address = connection.server.ip;
    let mut holder: Option<MacAddress> = None;
    neighbours.iter().filter_map(move |(at, neighbour)| {
        let Neighbour::Claims { ip, mac, .. } = *neighbour else {
            return None;
        };
        if ip != address {
            return None;
        }
        let before = holder.replace(mac);
        before.is_some_and(|before| before != mac).then_some(Takeover {
            time: at.time,
            at: *at,
            other_machine: true,
        })
    })
}

/// Whether every hop count before the event differs from every one after it, until the next change.
fn hops_changed(members: &[(ConnectionId, &Connection)], time: Timestamp) -> bool {
    let mut hops: BTreeMap<bool, Vec<u8>> = BTreeMap::new();
    for (_, connection) in members {
        if let Some(ttl) = connection.marks.ttl {
            hops.entry(connection.transport.started > time).or_default().push(ttl);
        }
    }
    match (
        hops.get(&false).and_then(|before| before.last()),
        hops.get(&true).and_then(|after| after.first()),
    ) {
        (Some(before), Some(after)) => before != after,
        _ => false,
    }
}
