//! Sightings are entered into one credential store in the order of time, as if one run had seen them all.
//!
//! What a hello offers may depend on what was issued before it, somewhere else: whether a session ID of a client that
//! speaks TLS 1.3 names a session, and whether a PSK came from a server. That is decided here once more.

use crate::net::span::SECOND;
use crate::net::{FrameRef, Timestamp};
use crate::session::TransportKind;
use crate::session::{Connection, ConnectionId, Mechanism, Offer, OfferKind};
use crate::session::{Credential, CredentialId, Issue};
use crate::store::credentials::CredentialStore;

use super::{Issued, Offered, PartialConnection};

/// One thing that a connection does to the credential store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum StoreStep {
    /// What its hello offers is known.
    Offer,
    /// The server issues the credential of this number.
    Issue(usize),
}

/// Enters sightings into a credential store, the first one as connection `first`. Gives the connections in the same order.
#[must_use]
pub fn replay(
    sightings: Vec<PartialConnection>,
    first: ConnectionId,
    credential_store: &mut CredentialStore,
) -> Vec<Box<Connection>> {
    let mut steps: Vec<((Timestamp, FrameRef), usize, StoreStep)> = Vec::new();
    for (place, sighting) in sightings.iter().enumerate() {
        if sighting.connection.hello.yes().is_some() {
            steps.push((offered_at(sighting), place, StoreStep::Offer));
        }
        let issues = sighting.issued.iter().enumerate();
        steps.extend(issues.map(|(number, issued)| (issued_at(sighting, issued), place, StoreStep::Issue(number))));
    }
    steps.sort_unstable();
    let mut sightings = sightings;
    for (_, place, step) in steps {
        let Some(sighting) = sightings.get_mut(place) else {
            continue;
        };
        let id = ConnectionId(first.0.saturating_add(u32::try_from(place).unwrap_or(u32::MAX)));
        match step {
            StoreStep::Offer => offer(sighting, id, credential_store),
            StoreStep::Issue(number) => issue(sighting, id, number, credential_store),
        }
    }
    sightings.into_iter().map(|sighting| sighting.connection).collect()
}

/// Nanoseconds after its end in which a connection may still be heard of: offers that nobody answered are settled then.
const LINGER: i64 = SECOND;

/// Offers are settled when both hellos are there, else when the connection is over.
fn offered_at(sighting: &PartialConnection) -> (Timestamp, FrameRef) {
    let connection = &sighting.connection;
    let hello = connection.hello.yes().map(|hello| hello.at);
    if let (Some(hello), Some(answer)) = (hello, connection.answer.yes()) {
        return (hello.time, hello.frame).max((answer.at.time, answer.at.frame));
    }
    let transport = &connection.transport;
    let over = transport.ended.nanos().saturating_add(LINGER);
    (Timestamp::from_nanos(over), transport.last())
}

fn issued_at(sighting: &PartialConnection, issued: &Issued) -> (Timestamp, FrameRef) {
    match issued.at {
        Some(at) => (at.time, at.frame),
        // Another connection had issued it before: nothing depends on when this one did.
        None => (
            sighting.connection.transport.ended,
            sighting.connection.transport.last(),
        ),
    }
}

fn offer(sighting: &mut PartialConnection, id: ConnectionId, credential_store: &mut CredentialStore) {
    let mut accepted = sighting.accepted;
    if let Some(known) = known_session_id(sighting, id, credential_store) {
        sighting.offered.insert(0, known);
        accepted = accepted.map(|place| place + 1);
    }
    let connection = &mut sighting.connection;
    for offered in &sighting.offered {
        let mechanism = offered.mechanism();
        let kind = kind(connection.transport.kind(), offered, credential_store);
        let credential = enter(mechanism, offered, connection, credential_store);
        if let Some(known) = credential_store.get_mut(credential) {
            if known.offers.last() != Some(&id) {
                known.offers.push(id);
            }
            known.offered_with_age_zero |= mechanism == Mechanism::Psk && offered.obfuscated_age == 0;
        }
        connection.offers.push(Offer {
            credential,
            kind,
            obfuscated_age: offered.obfuscated_age,
            binder: offered.binder,
        });
    }
    connection.accepted = accepted.and_then(|place| Some(connection.offers.get(place)?.credential));
}

/// The session ID of a hello that was taken for a random one, where it was issued or brought before after all.
fn known_session_id(
    sighting: &PartialConnection,
    id: ConnectionId,
    credential_store: &CredentialStore,
) -> Option<Offered> {
    let of_tls12 = |offered: &Offered| matches!(offered.mechanism(), Mechanism::SessionId | Mechanism::Ticket);
    let name = sighting.connection.edges.as_deref()?.session_id?;
    if sighting.offered.iter().any(of_tls12) {
        return None;
    }
    sighting.connection.hello.yes()?;
    let known = credential_store.get(credential_store.find(
        sighting.connection.transport.kind(),
        Mechanism::SessionId,
        &name,
    )?)?;
    known.is_known_beside(id).then_some(Offered {
        name,
        kind: OfferKind::Resumption(Mechanism::SessionId),
        obfuscated_age: 0,
        binder: 0,
    })
}

/// What an offer is taken for, now that more is known (RFC 8446 §4.2.11: external PSKs SHOULD have age 0, and no ticket
/// keeps a masked age of 0 from one connection to the next).
fn kind(transport: TransportKind, offered: &Offered, credential_store: &CredentialStore) -> OfferKind {
    if offered.mechanism() != Mechanism::Psk {
        return offered.kind;
    }
    let known = credential_store
        .find(transport, Mechanism::Psk, &offered.name)
        .and_then(|id| credential_store.get(id));
    match known {
        Some(known) if known.issued.is_some() => OfferKind::Resumption(Mechanism::Psk),
        Some(known)
            if offered.kind == OfferKind::UnclearPsk && offered.obfuscated_age == 0 && known.offered_with_age_zero =>
        {
            OfferKind::ExternalPsk
        }
        _ => offered.kind,
    }
}

fn enter(
    mechanism: Mechanism,
    offered: &Offered,
    connection: &Connection,
    credential_store: &mut CredentialStore,
) -> CredentialId {
    let transport = connection.transport.kind();
    credential_store.enter(transport, mechanism, &offered.name, || {
        Credential::unseen(transport, mechanism, offered.name, connection.server)
    })
}

fn issue(sighting: &mut PartialConnection, id: ConnectionId, number: usize, credential_store: &mut CredentialStore) {
    let connection = &mut sighting.connection;
    let Some(issued) = sighting.issued.get(number) else {
        return;
    };
    let Some(at) = issued.at.or_else(|| connection.answer.yes().map(|answer| answer.at)) else {
        return;
    };
    // A renewed ticket names the session that was resumed, with that session's properties.
    let resumed = connection.accepted.and_then(|id| credential_store.get(id));
    let fresh = Credential {
        issued: Some(Issue { connection: id, at }),
        server_name: resumed
            .and_then(|known| known.server_name.clone())
            .or_else(|| issued.server_name.clone()),
        version: issued.version,
        suite: issued.suite,
        extended_master_secret: issued.extended_master_secret,
        lifetime: issued.lifetime,
        psk: issued.psk,
        client_certificate: resumed.map_or(issued.client_certificate, |known| known.client_certificate),
        ..Credential::unseen(
            connection.transport.kind(),
            issued.mechanism,
            issued.name,
            connection.server,
        )
    };
    let entered = credential_store.enter(connection.transport.kind(), issued.mechanism, &issued.name, || {
        fresh.clone()
    });
    if let Some(known) = credential_store.get_mut(entered)
        && known.issued.is_none()
    {
        known.issue_late(fresh);
    }
    if !connection.issued.contains(&entered) {
        connection.issued.push(entered);
    }
}
