//! Both legs of one handshake: a capture on a balancer, or several captures together, show a connection twice.
//!
//! The same ClientHello random and ServerHello random in two TCP connections is the same TLS connection, passed on. It
//! is counted once, by the leg that the client sees, and the far end of the other leg is the machine that answered.

use crate::net::Timestamp;
use crate::session::{Connection, ConnectionId};
use crate::store::{ConnectionStore, CredentialStore};

/// Joins the legs of every handshake that is kept more than once. Gives how many were joined.
pub(super) fn join(kept: &mut ConnectionStore, ledger: &mut CredentialStore) -> u64 {
    let mut hellos: Vec<(u64, Timestamp, ConnectionId)> = kept
        .iter()
        .filter_map(|(id, connection)| Some((key(connection)?, begun(connection), id)))
        .collect();
    hellos.sort_unstable();
    let mut joined = 0;
    for group in hellos.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        // What reaches the balancer reaches it before it leaves it.
        let Some(&(_, _, outer)) = group.first() else { continue };
        for &(_, _, leg) in group.iter().skip(1) {
            if same_handshake(kept.get(outer), kept.get(leg)) {
                joined += u64::from(join_two(outer, leg, kept, ledger));
            }
        }
    }
    joined
}

fn key(connection: &Connection) -> Option<u64> {
    let (hello, answer) = (connection.hello.yes()?, connection.answer.yes()?);
    Some(u64::from_be_bytes(*hello.random.first_chunk()?) ^ u64::from_be_bytes(answer.random))
}

/// When a leg began: by its SYN, which stands first whatever became of the order of packets, else by its hello.
fn begun(connection: &Connection) -> Timestamp {
    match connection.transport.client_isn {
        Some(_) => connection.transport.started,
        None => connection.hello_time(),
    }
}

fn same_handshake(a: Option<&Connection>, b: Option<&Connection>) -> bool {
    let randoms = |connection: &Connection| Some((connection.hello.yes()?.random, connection.answer.yes()?.random));
    let (Some(a), Some(b)) = (a, b) else { return false };
    let same_ends = (a.client, a.server) == (b.client, b.server);
    !same_ends && randoms(a).is_some() && randoms(a) == randoms(b)
}

fn join_two(outer: ConnectionId, leg: ConnectionId, kept: &mut ConnectionStore, ledger: &mut CredentialStore) -> bool {
    let Some(server) = kept.get(outer).map(|connection| connection.server) else {
        return false;
    };
    let Some(inner) = kept.remove(leg) else { return false };
    ledger.join(
        (leg, inner.server),
        (outer, server),
        inner
            .issued
            .iter()
            .copied()
            .chain(inner.offers.iter().map(|offer| offer.credential)),
    );
    if let Some(connection) = kept.get_mut(outer) {
        let behind = inner.transport.behind().unwrap_or(inner.server);
        let uncommon = connection.transport.uncommon.get_or_insert_default();
        uncommon.behind.get_or_insert(behind);
    }
    true
}
