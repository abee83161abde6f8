//! What happened in one handshake. Fact alone: no reason may change it.

use crate::session::{Blindness, ClientHelloFacts, Completed, Connection, OfferKind, Outcome, Seen, Shape, Side};

/// Decides the outcome from message order. The echo of a session ID counts only where the capture ends before anything
/// else could tell ([`Connection::shape_concluded`]).
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
            OfferKind::ExternalPsk | OfferKind::UnclearPsk | OfferKind::UnclearSessionId => None,
        })
}

/// No ServerHello, or nothing after it that tells full from abbreviated.
fn undecided(connection: &Connection, blind: Option<Blindness>) -> Outcome {
    match (connection.completed, blind) {
        (Completed::No, None) => Outcome::Failed,
        // What the server did with an offer is another matter than that the handshake broke; but where nothing is missing
        // before the alert, it did nothing. What a hello offers that was not read may have been refused.
        (Completed::No, Some(_))
            if fatal_alert(connection) && (is_without_offer(connection) || server_is_whole(connection)) =>
        {
            Outcome::Failed
        }
        // Who has nothing to offer cannot be refused, whatever follows the ServerHello.
        (Completed::Yes | Completed::Blind(_), _) if offers_nothing(connection) => full(connection),
        (Completed::Blind(cause), None) | (_, Some(cause)) => Outcome::Unclear(cause),
        (Completed::Yes, None) => Outcome::Unclear(Blindness::ServerHelloMissing),
    }
}

/// Whether the ClientHello has nothing in it by which a session could be resumed, not even a session ID that may be made
/// up: what a server does with that shows only later.
fn offers_nothing(connection: &Connection) -> bool {
    let bare = |hello: &ClientHelloFacts| hello.session_id.is_none() || hello.v2_format;
    connection.answer.yes().is_some() && connection.offers.is_empty() && connection.hello.yes().is_some_and(bare)
}

/// Whether the ClientHello was read, and offers nothing.
fn is_without_offer(connection: &Connection) -> bool {
    connection.offers.is_empty() && connection.hello.yes().is_some()
}

/// Whether nothing is missing of what the server said in the handshake.
const fn server_is_whole(connection: &Connection) -> bool {
    let server = &connection.server_side;
    server.captured && server.handshake_loss.is_none() && server.tail_loss.is_none()
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
            .is_some_and(|hello| hello.stack.suites.iter().any(|suite| suite.has_external_psk()))
    {
        return Outcome::Unclear(connection.answer.blind().unwrap_or(Blindness::ServerHelloMissing));
    }
    if psk_suite(connection) {
        return went_on(connection, Outcome::ExternalPsk);
    }
    // What may be no offer was refused: whether a resumption was refused cannot be told.
    if let Some(cause) = connection.offers.iter().find_map(|offer| offer.kind.doubt()) {
        return Outcome::Unclear(cause);
    }
    match connection.first_hello_hidden().filter(|_| connection.offers.is_empty()) {
        Some(cause) => Outcome::Unclear(cause),
        None => went_on(connection, Outcome::NotOffered),
    }
}

/// Whether the suite that was chosen says so itself.
fn psk_suite(connection: &Connection) -> bool {
    let answer = connection.answer.yes().filter(|_| !connection.is_tls13());
    answer.is_some_and(|answer| answer.suite.has_external_psk())
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
        Some(kind @ (OfferKind::UnclearPsk | OfferKind::UnclearSessionId)) => {
            Outcome::Unclear(kind.doubt().unwrap_or(Blindness::Encrypted))
        }
        // The server chose an identity that stands too far back in the hello to be kept.
        None if connection.not_kept > 0 => Outcome::Unclear(Blindness::Unsupported),
        None => Outcome::Unclear(connection.hello.blind().unwrap_or(Blindness::ClientHelloMissing)),
    }
}

/// What the server decided stands unless the handshake is seen to fail: an alert, FIN or RST before both Finished. Whether
/// it went on may not be visible, as at the end of a capture, and would change nothing; but where its end is visible and
/// what came before is not, it may have failed.
fn went_on(connection: &Connection, outcome: Outcome) -> Outcome {
    let ended = |side| connection.side(side).ended().is_some();
    match connection.completed {
        Completed::Blind(cause) if Side::BOTH.into_iter().any(ended) => Outcome::Unclear(cause),
        Completed::Yes | Completed::Blind(_) => outcome,
        Completed::No => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use crate::session::tests::{answered, at, offer, stack, unseen, with_hello};
    use crate::session::{CredentialId, HelloRetry, Mechanism, PlainAlert};
    use crate::tls::{AlertDescription, CipherSuite, ProtocolVersion};

    use super::*;

    const TICKET: OfferKind = OfferKind::Resumption(Mechanism::Ticket);
    const PSK: OfferKind = OfferKind::Resumption(Mechanism::Psk);

    fn handshake(version: ProtocolVersion, shape: Shape, kinds: &[OfferKind]) -> Connection {
        Connection {
            shape: Seen::Yes(shape),
            offers: kinds
                .iter()
                .zip(0..)
                .map(|(kind, number)| offer(number, *kind))
                .collect(),
            completed: Completed::Yes,
            ..answered(1, "a.test", version)
        }
    }

    fn full(kinds: &[OfferKind]) -> Connection {
        handshake(ProtocolVersion::TLS_1_2, Shape::Full(at(1)), kinds)
    }

    fn short(version: ProtocolVersion, kinds: &[OfferKind], accepted: Option<u32>) -> Connection {
        Connection {
            accepted: accepted.map(CredentialId),
            ..handshake(version, Shape::Abbreviated(at(1)), kinds)
        }
    }

    fn with_suite(suite: u16, connection: Connection) -> Connection {
        let mut connection = connection;
        if let Some(answer) = connection.answer.yes_mut() {
            answer.suite = CipherSuite(suite);
        }
        connection
    }

    #[test]
    fn a_full_handshake_is_a_decline_when_something_was_offered() {
        assert_eq!(decide(&full(&[])), Outcome::NotOffered);
        assert_eq!(decide(&full(&[TICKET])), Outcome::Declined);
        assert_eq!(decide(&full(&[OfferKind::ExternalPsk])), Outcome::Declined);
        // Whether a session was offered cannot be told.
        assert_eq!(
            decide(&full(&[OfferKind::UnclearPsk])),
            Outcome::Unclear(Blindness::Encrypted)
        );
        assert_eq!(decide(&full(&[OfferKind::UnclearPsk, PSK])), Outcome::Declined);
        let hidden = Connection {
            hello: Seen::Blind(Blindness::Ech),
            ..full(&[])
        };
        assert_eq!(decide(&hidden), Outcome::Unclear(Blindness::Ech));
    }

    /// RFC 8446 §4.1.4: a HelloRetryRequest of another hash forces the PSK out of the second hello.
    #[test]
    fn after_a_retry_the_second_hello_alone_does_not_show_that_nothing_was_offered() {
        let retried = |first_hello, kinds: &[OfferKind]| {
            let retry = HelloRetry {
                first_hello: at(first_hello),
                request: at(2),
            };
            let connection = handshake(ProtocolVersion::TLS_1_3, Shape::Full(at(3)), kinds);
            decide(&Connection {
                retry: Some(Box::new(retry)),
                ..connection
            })
        };
        assert_eq!(retried(1, &[]), Outcome::NotOffered);
        assert_eq!(retried(1, &[PSK]), Outcome::Declined);
        // The request stands where the first hello would: that was not read.
        assert_eq!(retried(2, &[]), Outcome::Unclear(Blindness::ClientHelloMissing));
        assert_eq!(retried(2, &[PSK]), Outcome::Declined);
    }

    /// RFC 4279: the suite says that a key agreed beforehand authenticates.
    #[test]
    fn a_suite_with_a_key_agreed_beforehand_is_no_resumption() {
        assert_eq!(decide(&with_suite(0x00ae, full(&[]))), Outcome::ExternalPsk);
        let failed = Connection {
            completed: Completed::No,
            ..full(&[])
        };
        assert_eq!(decide(&with_suite(0x00ae, failed)), Outcome::Failed);
        // No suite of TLS 1.3 says so.
        let tls13 = handshake(ProtocolVersion::TLS_1_3, Shape::Full(at(1)), &[]);
        assert_eq!(decide(&with_suite(0x00ae, tls13)), Outcome::NotOffered);
        let unanswered = |suite: u16| {
            let mut connection = Connection {
                answer: Seen::Blind(Blindness::OneDirection),
                ..full(&[])
            };
            if let Some(hello) = connection.hello.yes_mut() {
                hello.stack = stack(1, vec![CipherSuite(0xc02f), CipherSuite(suite)]);
            }
            decide(&connection)
        };
        assert_eq!(unanswered(0x00ae), Outcome::Unclear(Blindness::OneDirection));
        assert_eq!(unanswered(0xc030), Outcome::NotOffered);
    }

    #[test]
    fn an_abbreviated_handshake_resumes_what_was_accepted() {
        let tls12 = ProtocolVersion::TLS_1_2;
        let resumed = |mechanism| Outcome::Resumed(Some(mechanism));
        assert_eq!(decide(&short(tls12, &[TICKET], Some(0))), resumed(Mechanism::Ticket));
        assert_eq!(decide(&short(tls12, &[TICKET], None)), Outcome::Resumed(None));
        assert_eq!(
            decide(&short(tls12, &[OfferKind::ExternalPsk], Some(0))),
            Outcome::Resumed(None)
        );
        let by = |completed| {
            decide(&Connection {
                completed,
                ..short(tls12, &[TICKET], Some(0))
            })
        };
        assert_eq!(by(Completed::No), Outcome::Failed);
        // Nobody saw it fail.
        assert_eq!(by(Completed::Blind(Blindness::Gap)), resumed(Mechanism::Ticket));
        // It ended, and whether the handshake was over by then is not visible.
        let mut ended = Connection {
            completed: Completed::Blind(Blindness::Gap),
            ..short(tls12, &[TICKET], Some(0))
        };
        ended.server_side.fin = Some(at(3));
        assert_eq!(decide(&ended), Outcome::Unclear(Blindness::Gap));
    }

    #[test]
    fn in_tls13_the_kind_of_the_accepted_psk_decides() {
        let tls13 = ProtocolVersion::TLS_1_3;
        let kinds = [OfferKind::UnclearPsk, PSK, OfferKind::ExternalPsk];
        let accepted = |number| decide(&short(tls13, &kinds, number));
        assert_eq!(accepted(Some(0)), Outcome::Unclear(Blindness::Encrypted));
        assert_eq!(accepted(Some(1)), Outcome::Resumed(Some(Mechanism::Psk)));
        assert_eq!(accepted(Some(2)), Outcome::ExternalPsk);
        assert_eq!(accepted(None), Outcome::Unclear(Blindness::ClientHelloMissing));
        let too_many = Connection {
            not_kept: 1,
            ..short(tls13, &kinds, None)
        };
        assert_eq!(decide(&too_many), Outcome::Unclear(Blindness::Unsupported));
    }

    /// TLS 1.2, and the capture ends behind the ServerHello.
    #[test]
    fn who_has_nothing_to_offer_is_told_by_both_hellos_alone() {
        let cut = |session_id: Option<[u8; 4]>| {
            let mut connection = Connection {
                completed: Completed::Blind(Blindness::OpenAtCaptureEnd),
                shape: Seen::Blind(Blindness::OpenAtCaptureEnd),
                ..answered(1, "a.test", ProtocolVersion::TLS_1_2)
            };
            if let Some(hello) = connection.hello.yes_mut() {
                hello.session_id = session_id;
            }
            connection
        };
        assert_eq!(decide(&cut(None)), Outcome::NotOffered);
        // A server may accept what was not taken for an offer, or a ticket beside an empty ID.
        let open = Outcome::Unclear(Blindness::OpenAtCaptureEnd);
        assert_eq!(decide(&cut(Some([1; 4]))), open);
        let with_ticket = Connection {
            offers: smallvec![offer(0, TICKET)],
            ..cut(None)
        };
        assert_eq!(decide(&with_ticket), open);
        assert_eq!(
            decide(&full(&[OfferKind::UnclearSessionId])),
            Outcome::Unclear(Blindness::NothingTellsApart)
        );
    }

    #[test]
    fn without_an_answer_only_an_end_in_sight_is_a_failure() {
        let fatal = || {
            Some(Box::new(PlainAlert {
                at: at(2),
                fatal: true,
                description: AlertDescription(40),
            }))
        };
        let unanswered = |completed, answer: Option<Blindness>, alert: bool| {
            let mut connection = Connection {
                completed,
                answer: answer.map_or(Seen::No, Seen::Blind),
                ..with_hello(1, "a.test", 1)
            };
            if alert {
                connection.server_side.alert = fatal();
            }
            decide(&connection)
        };
        let gap = Outcome::Unclear(Blindness::Gap);
        assert_eq!(unanswered(Completed::No, None, false), Outcome::Failed);
        assert_eq!(unanswered(Completed::No, Some(Blindness::Gap), false), gap);
        assert_eq!(unanswered(Completed::No, Some(Blindness::Gap), true), Outcome::Failed);
        assert_eq!(unanswered(Completed::Blind(Blindness::Gap), None, true), gap);
        // What became of an offer is as hidden as before: the server may have refused it, and the client the certificate.
        let offered = |loss, end_lost| {
            let mut offered = Connection {
                completed: Completed::No,
                answer: Seen::Blind(Blindness::Gap),
                offers: smallvec![offer(0, TICKET)],
                ..with_hello(1, "a.test", 1)
            };
            offered.client_side.alert = fatal();
            offered.server_side.captured = true;
            offered.server_side.handshake_loss = loss;
            offered.server_side.tail_loss = end_lost;
            decide(&offered)
        };
        assert_eq!(offered(Some(Blindness::Gap), None), gap);
        assert_eq!(offered(None, Some(Blindness::Gap)), gap);
        assert_eq!(offered(None, None), Outcome::Failed);
        assert_eq!(
            unanswered(Completed::Yes, None, false),
            Outcome::Unclear(Blindness::ServerHelloMissing)
        );
        // What it offered was not read, and may have been refused.
        let unread = |captured| {
            let mut unread = Connection {
                completed: Completed::No,
                hello: Seen::Blind(Blindness::Snaplen),
                answer: Seen::Blind(Blindness::Gap),
                ..with_hello(1, "a.test", 1)
            };
            unread.client_side.alert = fatal();
            unread.server_side.captured = captured;
            decide(&unread)
        };
        assert_eq!(unread(false), gap);
        assert_eq!(unread(true), Outcome::Failed, "the server said nothing");
        // Answered, and nothing behind it was seen.
        let cut = Connection {
            completed: Completed::No,
            shape: Seen::Blind(Blindness::Gap),
            ..answered(1, "a.test", ProtocolVersion::TLS_1_2)
        };
        assert_eq!(decide(&cut), gap);
        assert_eq!(decide(&Connection { shape: Seen::No, ..cut }), Outcome::Failed);
        assert_eq!(
            decide(&Connection {
                completed: Completed::No,
                ..unseen(1)
            }),
            Outcome::Failed
        );
    }
}
