//! What happened in one handshake. Fact alone: no reason may change it.

use crate::session::{Blindness, Completed, Connection, OfferKind, Outcome, Seen, Shape};
use crate::tls::CipherSuite;

/// Decides the outcome from message order, never from the echo of a session ID.
#[must_use]
pub fn decide(connection: &Connection) -> Outcome {
    let shape = match (&connection.shape, &connection.answer) {
        (Seen::Yes(shape), _) => *shape,
        (_, Seen::Yes(_)) => return undecided(connection, connection.shape.blind()),
        (_, answer) => return undecided(connection, answer.blind()),
    };
    match shape {
        Shape::Full(_) => full(connection),
        Shape::Abbreviated(_) if connection.is_tls13() => accepted_psk(connection),
        Shape::Abbreviated(_) => went_on(
            connection,
            Outcome::Resumed(connection.accepted.and_then(|id| mechanism_of(connection, id))),
        ),
    }
}

fn mechanism_of(connection: &Connection, id: crate::session::CredentialId) -> Option<crate::session::Mechanism> {
    connection
        .offers
        .iter()
        .find(|offer| offer.credential == id)
        .and_then(|offer| match offer.kind {
            OfferKind::Resumption(mechanism) => Some(mechanism),
            OfferKind::ExternalPsk | OfferKind::UnclearPsk => None,
        })
}

/// No ServerHello, or nothing after it that tells full from abbreviated.
fn undecided(connection: &Connection, blind: Option<Blindness>) -> Outcome {
    match (connection.completed, blind) {
        (Completed::No, None) => Outcome::Failed,
        (Completed::No, Some(_)) if fatal_alert(connection) => Outcome::Failed,
        (Completed::Blind(cause), None) | (_, Some(cause)) => Outcome::Unclear(cause),
        (Completed::Yes, None) => Outcome::Unclear(Blindness::ServerHelloMissing),
    }
}

fn fatal_alert(connection: &Connection) -> bool {
    [&connection.client_side, &connection.server_side]
        .iter()
        .any(|side| side.fatal_alert().is_some())
}

/// A full handshake: what the ClientHello offered decides between declined and not offered.
fn full(connection: &Connection) -> Outcome {
    if connection.hello.yes().is_none() {
        return Outcome::Unclear(connection.hello.blind().unwrap_or(Blindness::ClientHelloMissing));
    }
    let external = connection
        .offers
        .iter()
        .any(|offer| offer.kind == OfferKind::ExternalPsk);
    if connection.offered().next().is_some() || external {
        return Outcome::Declined;
    }
    // Which suite was chosen is not visible, and one with a key agreed beforehand may have been.
    if connection.answer.yes().is_none()
        && connection
            .hello
            .yes()
            .is_some_and(|hello| hello.stack.suites.iter().copied().any(is_psk_suite))
    {
        return Outcome::Unclear(connection.answer.blind().unwrap_or(Blindness::ServerHelloMissing));
    }
    if psk_suite(connection) {
        return went_on(connection, Outcome::ExternalPsk);
    }
    // A PSK that may be external or a ticket was refused: whether a resumption was refused cannot be told.
    if connection
        .offers
        .iter()
        .any(|offer| offer.kind == OfferKind::UnclearPsk)
    {
        return Outcome::Unclear(Blindness::Encrypted);
    }
    went_on(connection, Outcome::NotOffered)
}

/// Whether the suite itself says that a key agreed beforehand authenticates the handshake (RFC 4279, RFC 5489).
fn psk_suite(connection: &Connection) -> bool {
    let answer = connection.answer.yes().filter(|_| !connection.is_tls13());
    answer.is_some_and(|answer| is_psk_suite(answer.suite))
}

fn is_psk_suite(suite: CipherSuite) -> bool {
    let name = suite.registered().map(|suite| suite.name);
    name.is_some_and(|name| name.split('_').take(4).any(|word| word == "PSK"))
}

/// TLS 1.3 with an accepted PSK.
fn accepted_psk(connection: &Connection) -> Outcome {
    let kind = connection
        .accepted
        .and_then(|id| connection.offers.iter().find(|offer| offer.credential == id))
        .map(|offer| offer.kind);
    match kind {
        Some(OfferKind::ExternalPsk) => went_on(connection, Outcome::ExternalPsk),
        Some(OfferKind::Resumption(mechanism)) => went_on(connection, Outcome::Resumed(Some(mechanism))),
        Some(OfferKind::UnclearPsk) => Outcome::Unclear(Blindness::Encrypted),
        // The server chose an identity that stands too far back in the hello to be kept.
        None if connection.not_kept > 0 => Outcome::Unclear(Blindness::Unsupported),
        None => Outcome::Unclear(connection.hello.blind().unwrap_or(Blindness::ClientHelloMissing)),
    }
}

/// The outcome stands only if both sides went on.
fn went_on(connection: &Connection, outcome: Outcome) -> Outcome {
    match connection.completed {
        Completed::Yes => outcome,
        Completed::No => Outcome::Failed,
        Completed::Blind(cause) => Outcome::Unclear(cause),
    }
}
