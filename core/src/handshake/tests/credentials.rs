//! What a hello offers, and what of it is kept.

use super::*;

#[test]
fn credentials_beyond_the_limits_are_counted() {
    let identities: Vec<[u8; 40]> = (0..MAX_OFFERED + 3)
        .map(|number| [u8::try_from(number).expect("few"); 40])
        .collect();
    let mut talk = Talk::new();
    talk.client(with_psks(identities.iter().map(|identity| psk(identity, 1))));
    talk.server(server_of_tls13());
    assert_eq!(talk.open.facts().offers.len(), MAX_OFFERED);
    assert_eq!(talk.open.facts().not_kept, 3);

    let mut talk = Talk::new();
    talk.client(client_hello()).server(server_hello());
    for number in (0..MAX_ISSUED + 2).chain([0, 1]) {
        let ticket = [&number.to_be_bytes()[..], &[3; 60]].concat();
        let ticket = NewSessionTicket {
            lifetime_hint: 0,
            ticket: &ticket,
        };
        talk.say(Side::Server, RecordEvent::Message(Message::NewSessionTicket(ticket)));
    }
    assert_eq!(talk.open.facts().issued.len(), MAX_ISSUED);
    // The two that came again were known.
    assert_eq!(talk.open.facts().not_kept, 2);
}

/// RFC 8446 §4.2.11: external PSKs SHOULD have age 0, and a ticket has none.
#[test]
fn the_age_and_the_look_of_a_psk_tell_tickets_from_external_ones() {
    let ticket = [0xee; 48];
    let kind = |identity: &[u8], age: u32, again: bool, issued: bool| {
        let mut credential_store = CredentialStore::default();
        let name = CredentialFingerprint::of(identity);
        if issued {
            let id = credential_store.enter(TransportKind::Tcp, Mechanism::Psk, &name, || {
                Credential::unseen(TransportKind::Tcp, Mechanism::Psk, name, endpoint(2))
            });
            credential_store.get_mut(id).expect("entered").issued = Some(Issue {
                connection: ConnectionId(0),
                at: at(1),
            });
        }
        for number in 1..=1 + u32::from(again) {
            let mut talk = Talk::with(credential_store, number);
            talk.client(with_psks([psk(identity, age)])).server(server_of_tls13());
            let (connection, after) = talk.finish();
            credential_store = after;
            if number == 1 + u32::from(again) {
                return connection.offers.first().map(|offer| offer.kind);
            }
        }
        None
    };
    let resumption = OfferKind::Resumption(Mechanism::Psk);
    assert_eq!(kind(&ticket, 5, false, false), Some(resumption));
    assert_eq!(kind(b"client-7", 5, false, false), Some(OfferKind::UnclearPsk));
    assert_eq!(kind(b"client-7", 0, false, false), Some(OfferKind::ExternalPsk));
    assert_eq!(kind(b"client-7", 0, false, true), Some(resumption));
    assert_eq!(kind(&ticket, 0, false, false), Some(OfferKind::UnclearPsk));
    assert_eq!(kind(&ticket, 0, true, false), Some(OfferKind::ExternalPsk));
    assert_eq!(kind(&ticket, 5, true, false), Some(resumption));
    // As long as a stateful ticket, and one byte less.
    assert_eq!(kind(&ticket[..32], 5, false, false), Some(resumption));
    assert_eq!(kind(&ticket[..31], 5, false, false), Some(OfferKind::UnclearPsk));
    // Printable throughout, whatever its length.
    assert_eq!(kind(&[b'a'; 48], 5, false, false), Some(OfferKind::UnclearPsk));
    assert_eq!(kind(&[0x7f; 48], 5, false, false), Some(resumption));
}

/// A full handshake in which the server issues a session ID.
fn issue_session_id(mut talk: Talk, hello: ClientHello<'static>) -> (crate::session::Connection, CredentialStore) {
    talk.client(hello).server(ServerHello {
        session_id: &[5; 32],
        ..server_hello()
    });
    talk.say(
        Side::Server,
        RecordEvent::Message(Message::Certificate(b"a certificate")),
    );
    talk.finish()
}

/// RFC 8446 §4.1.2: the field of a client that speaks TLS 1.3 may hold a session or 32 bytes at random.
#[test]
fn a_session_id_of_a_client_of_tls13_is_an_offer_only_when_it_was_issued_before() {
    let offers = |shown: &[u8], version: ServerHello<'static>| {
        let (first, credential_store) = issue_session_id(Talk::new(), of_tls13());
        assert_eq!((first.offers.len(), first.issued.len()), (0, 1));
        let mut talk = Talk::with(credential_store, 2);
        talk.client(ClientHello {
            session_id: shown,
            ..of_tls13()
        });
        talk.server(version);
        let (second, _) = talk.finish();
        second.offers.iter().map(|offer| offer.kind).collect::<Vec<_>>()
    };
    let by_id = [OfferKind::Resumption(Mechanism::SessionId)];
    assert_eq!(offers(&[5; 32], server_hello()), by_id);
    assert_eq!(offers(&[5; 32], server_of_tls13()), by_id);
    assert_eq!(offers(&[6; 32], server_hello()), []);
}

#[test]
fn a_session_id_that_was_forgotten_is_an_offer_all_the_same() {
    let offers = |shown: &[u8], hello: ClientHello<'static>| {
        let (first, mut credential_store) = issue_session_id(Talk::new(), of_tls13());
        credential_store.forget(first.issued[0], ConnectionId(9));
        assert_eq!(credential_store.forgotten(), 1);
        let mut talk = Talk::with(credential_store, 2);
        talk.client(ClientHello {
            session_id: shown,
            ..hello
        });
        talk.server(server_hello());
        let (second, _) = talk.finish();
        second.offers.iter().map(|offer| offer.kind).collect::<Vec<_>>()
    };
    assert_eq!(
        offers(&[5; 32], of_tls13()),
        [OfferKind::Resumption(Mechanism::SessionId)]
    );
    assert_eq!(offers(&[6; 32], of_tls13()), []);
    // What an older hello brings is settled by the client's other hellos.
    assert_eq!(offers(&[5; 32], client_hello()), [OfferKind::UnclearSessionId]);
}

/// A session from before the capture: nobody saw it issued, and a server resumed it.
#[test]
fn a_session_id_that_a_server_accepted_is_an_offer_when_it_is_brought_again() {
    let offers = |again: &[u8]| {
        let mut talk = Talk::new();
        talk.client(ClientHello {
            session_id: &[5; 32],
            ..of_tls13()
        });
        talk.server(ServerHello {
            session_id: &[5; 32],
            ..server_hello()
        });
        talk.say(Side::Server, RecordEvent::ChangeCipherSpec);
        let (first, credential_store) = talk.finish();
        assert!(first.accepted.is_some());
        let mut talk = Talk::with(credential_store, 2);
        talk.client(ClientHello {
            session_id: again,
            ..of_tls13()
        });
        talk.server(server_hello());
        let (second, _) = talk.finish();
        second.offers.iter().map(|offer| offer.kind).collect::<Vec<_>>()
    };
    assert_eq!(offers(&[5; 32]), [OfferKind::Resumption(Mechanism::SessionId)]);
    assert_eq!(offers(&[6; 32]), []);
}

#[test]
fn a_session_id_that_another_connection_issued_is_an_offer_whatever_its_clock_said() {
    let mut credential_store = CredentialStore::default();
    let name = CredentialFingerprint::of(&[5; 32]);
    let id = credential_store.enter(TransportKind::Tcp, Mechanism::SessionId, &name, || {
        Credential::unseen(TransportKind::Tcp, Mechanism::SessionId, name, endpoint(2))
    });
    for (connection, second, offered) in [(0, 100, 1), (0, 201, 1), (0, 202, 1), (2, 100, 0)] {
        let mut credential_store = credential_store.clone();
        credential_store.get_mut(id).expect("entered").issued = Some(Issue {
            connection: ConnectionId(connection),
            at: at(second),
        });
        let mut talk = Talk::with(credential_store, 2);
        talk.client(ClientHello {
            session_id: &[5; 32],
            ..of_tls13()
        });
        talk.server(server_hello());
        assert_eq!(talk.open.facts().offers.len(), offered, "{connection} at {second}");
    }
}

#[test]
fn a_session_whose_issue_is_seen_behind_its_offer_is_known_like_any_other() {
    let mut talk = Talk::with(CredentialStore::default(), 2);
    talk.client(ClientHello {
        session_id: &[5; 32],
        ..client_hello()
    });
    talk.server(server_hello());
    let (offering, credential_store) = talk.finish();
    let offered = offering.offers.first().expect("an offer").credential;
    let (issuing, credential_store) = issue_session_id(Talk::with(credential_store, 1), client_hello());
    let credential = credential_store.get(offered).expect("a credential");
    assert_eq!(issuing.issued.as_slice(), [offered]);
    assert_eq!(credential.offers.as_slice(), [ConnectionId(2)]);
    assert_eq!(credential.issued.map(|issue| issue.connection), Some(ConnectionId(1)));
    assert_eq!(credential.version, issuing.version());
    assert!(credential.suite.is_some());
}

#[test]
fn what_is_issued_in_front_of_the_hello_that_it_answers_has_its_name() {
    let mut talk = Talk::new();
    talk.server(ServerHello {
        session_id: &[5; 32],
        ..server_hello()
    });
    talk.say(
        Side::Server,
        RecordEvent::Message(Message::Certificate(b"a certificate")),
    );
    talk.client(client_hello());
    let (connection, credential_store) = talk.finish();
    let issued = connection.issued.first().and_then(|id| credential_store.get(*id));
    assert!(connection.server_name().is_some());
    assert_eq!(
        issued.expect("a credential").server_name.as_ref(),
        connection.server_name()
    );
}

/// RFC 8446 §4.1.4: where the server asks for a suite of another hash, the second hello leaves the PSK out.
#[test]
fn a_psk_that_the_second_hello_leaves_out_was_offered() {
    let (first, second) = ([0xee; 48], [0xdd; 48]);
    let offers = |again: &[&[u8]], selected_psk: Option<u16>| {
        let mut talk = Talk::new();
        talk.client(with_psks([psk(&first, 1), psk(&second, 2)]));
        talk.server(ServerHello {
            hello_retry_request: true,
            ..server_of_tls13()
        });
        talk.client(ClientHello {
            psk_identities: (!again.is_empty()).then(|| again.iter().map(|identity| psk(identity, 3)).collect()),
            ..of_tls13()
        });
        talk.server(ServerHello {
            selected_psk,
            ..server_of_tls13()
        });
        let (connection, credential_store) = talk.finish();
        let place = |id| connection.offers.iter().position(|offer| offer.credential == id);
        let known = |offer: &Offer| credential_store.get(offer.credential).map(|known| known.name.head[0]);
        let offers: Vec<_> = connection.offers.iter().filter_map(known).collect();
        (offers, connection.accepted.and_then(place))
    };
    assert_eq!(offers(&[], None), (vec![0xee, 0xdd], None));
    assert_eq!(offers(&[&second], Some(0)), (vec![0xdd, 0xee], Some(0)));
    // An index counts what is in the second hello.
    assert_eq!(offers(&[&second], Some(1)), (vec![0xdd, 0xee], None));
    assert_eq!(offers(&[&first, &second], Some(1)), (vec![0xee, 0xdd], Some(1)));
}

/// A server whose clock is behind: both its hellos stand in front of both of the client's.
#[test]
fn a_psk_that_was_left_out_was_offered_though_the_answers_come_first() {
    let mut talk = Talk::new();
    talk.server(ServerHello {
        hello_retry_request: true,
        ..server_of_tls13()
    });
    talk.server(server_of_tls13());
    talk.client(with_psks([psk(&[0xee; 48], 1)]));
    talk.client(of_tls13());
    let (connection, _) = talk.finish();
    assert_eq!(connection.offers.len(), 1);
    assert_eq!(connection.accepted, None);
    assert!(connection.retry.is_some());
}

/// RFC 8446 §4.2.10: early data goes with the first PSK, and with no other.
#[test]
fn of_several_psks_the_one_of_the_index_is_accepted_and_early_data_with_the_first_alone() {
    let answered = |selected_psk| {
        let mut talk = Talk::new();
        talk.client(ClientHello {
            early_data: true,
            ..with_psks([psk(&[0xee; 48], 1), psk(&[0xdd; 48], 2), psk(&[0xcc; 48], 3)])
        });
        talk.server(ServerHello {
            selected_psk,
            ..server_of_tls13()
        });
        let (connection, credential_store) = talk.finish();
        let accepted = connection.accepted.and_then(|id| credential_store.get(id));
        let refused = matches!(connection.early_data, EarlyData::Rejected { inferred: false, .. });
        (
            connection.offers.len(),
            accepted.map(|known| known.name.head[0]),
            refused,
        )
    };
    assert_eq!(answered(Some(0)), (3, Some(0xee), false));
    assert_eq!(answered(Some(1)), (3, Some(0xdd), true));
    assert_eq!(answered(Some(2)), (3, Some(0xcc), true));
    // An index of nothing: the client must abort (RFC 8446 §4.2.11).
    assert_eq!(answered(Some(3)), (3, None, true));
    assert_eq!(answered(None), (3, None, true));
}

/// TLS 1.2: Go fills the field at random, and never resumes by it.
#[test]
fn an_unknown_session_id_is_an_offer_once_it_is_accepted() {
    let kind = |answer: &[u8], full: bool| {
        let mut talk = Talk::new();
        talk.client(ClientHello {
            session_id: &[6; 32],
            ..client_hello()
        });
        talk.server(ServerHello {
            session_id: answer,
            ..server_hello()
        });
        if full {
            talk.say(
                Side::Server,
                RecordEvent::Message(Message::Certificate(b"a certificate")),
            );
        } else {
            talk.say(Side::Server, RecordEvent::ChangeCipherSpec);
        }
        let (connection, _) = talk.finish();
        connection
            .offers
            .first()
            .map(|offer| (offer.kind, connection.accepted.is_some()))
    };
    let offered = OfferKind::Resumption(Mechanism::SessionId);
    assert_eq!(kind(&[5; 32], true), Some((OfferKind::UnclearSessionId, false)));
    assert_eq!(kind(&[6; 32], false), Some((offered, true)));
}

#[test]
fn the_digest_of_a_ticket_is_no_session_id_that_a_server_issued() {
    let mut credential_store = CredentialStore::default();
    let ticket = CredentialFingerprint::of(&[5; 192]);
    credential_store.enter(TransportKind::Tcp, Mechanism::Ticket, &ticket, || {
        Credential::unseen(TransportKind::Tcp, Mechanism::Ticket, ticket, endpoint(2))
    });
    let mut talk = Talk::with(credential_store, 1);
    talk.client(ClientHello {
        session_id: &ticket.sha256,
        ..client_hello()
    });
    talk.server(server_hello());
    assert!(talk.open.facts().offers.is_empty());
}

/// RFC 5246 §7.3: CertificateRequest follows the ServerHello that issues the session ID.
#[test]
fn whether_a_client_certificate_is_asked_for_is_known_when_the_flight_is_over() {
    let asked = |rest: &[HandshakeType], lost: bool| {
        let mut talk = Talk::new();
        talk.client(client_hello()).server(ServerHello {
            session_id: &[5; 32],
            ..server_hello()
        });
        talk.say(
            Side::Server,
            RecordEvent::Message(Message::Certificate(b"a certificate")),
        );
        if lost {
            talk.open.handshake_lost(Side::Server, Blindness::Gap);
        }
        for kind in rest {
            talk.say(Side::Server, RecordEvent::Message(Message::Other(*kind)));
        }
        let (connection, credential_store) = talk.finish();
        let issued = connection.issued.first().and_then(|id| credential_store.get(*id));
        issued.expect("an ID is issued").client_certificate
    };
    let (request, done) = (HandshakeType::CERTIFICATE_REQUEST, HandshakeType::SERVER_HELLO_DONE);
    assert_eq!(asked(&[], false), None);
    assert_eq!(asked(&[done], false), Some(false));
    assert_eq!(asked(&[request, done], false), Some(true));
    assert_eq!(asked(&[request], true), Some(true));
    assert_eq!(asked(&[done], true), None, "it may be among what is lost");
}

/// RFC 5246 §7.4.1.3.
#[test]
fn at_the_end_of_a_capture_the_session_id_of_the_server_hello_tells_its_decision() {
    let concluded = |offered: &'static [u8], answer: &'static [u8], cause: Blindness| {
        let mut talk = Talk::new();
        talk.client(ClientHello {
            session_id: offered,
            ..client_hello()
        });
        talk.server(ServerHello {
            session_id: answer,
            ..server_hello()
        });
        let (connection, _) = talk.finish_blind([Some(cause); 2]);
        let abbreviated = matches!(connection.shape, Seen::Yes(Shape::Abbreviated(_)));
        (connection.shape_concluded, abbreviated && connection.accepted.is_some())
    };
    let end = Blindness::OpenAtCaptureEnd;
    assert_eq!(concluded(&[6; 32], &[6; 32], end), (true, true));
    assert_eq!(concluded(&[6; 32], &[5; 32], end), (true, false));
    assert_eq!(concluded(&[6; 32], &[], end), (true, false));
    assert_eq!(concluded(&[], &[5; 32], end), (false, false));
    // What is lost may have told more.
    assert_eq!(concluded(&[6; 32], &[6; 32], Blindness::Gap), (false, false));
}
