//! Handshakes that no fixture has: said twice, said out of order, or by nobody in earnest.

mod credentials;
mod hellos;
mod opened;
mod order;

use crate::handshake::{Feedback, HandshakeTracker, MAX_ISSUED, MAX_OFFERED, StreamPlace};
use crate::net::At;
use crate::session::{
    Blindness, Completed, ConnectionId, Credential, CredentialFingerprint, EarlyData, Issue, Mechanism, Offer,
    OfferKind, Seen, Shape, Side, TicketsInferred,
};
use crate::store::{CredentialStore, Interner};
use crate::tls::handshake::{NewSessionTicket, PskTicket};
use crate::tls::hello::{ClientHello, PskIdentity, ServerHello};
use crate::tls::names::HandshakeType;
use crate::tls::{AlertDescription, CipherSuite, Content, ContentType, Message, ProtocolVersion, RecordEvent, Sealed};

use crate::session::TransportKind;
use crate::session::tests::{at, endpoint, unseen};

/// A connection that is told message by message, a second apart.
struct Talk {
    open: HandshakeTracker,
    credential_store: CredentialStore,
    interner: Interner,
    now: u32,
}

impl Talk {
    fn new() -> Self {
        Self::with(CredentialStore::default(), 1)
    }

    fn with(credential_store: CredentialStore, number: u32) -> Self {
        let transport = unseen(number).transport;
        Self {
            open: HandshakeTracker::new(ConnectionId(number), endpoint(1), endpoint(2), transport),
            credential_store,
            interner: Interner::default(),
            now: 100 * number,
        }
    }

    fn next(&mut self) -> At {
        self.now += 1;
        at(self.now)
    }

    fn say(&mut self, side: Side, event: RecordEvent<'_>) -> Feedback {
        let at = self.next();
        self.open.event(
            side,
            event,
            StreamPlace::new(at, 100),
            &mut self.credential_store,
            &mut self.interner,
        )
    }

    fn client(&mut self, hello: ClientHello<'_>) -> &mut Self {
        self.say(
            Side::Client,
            RecordEvent::Message(Message::ClientHello(Box::new(hello))),
        );
        self
    }

    fn server(&mut self, hello: ServerHello<'_>) -> &mut Self {
        self.say(
            Side::Server,
            RecordEvent::Message(Message::ServerHello(Box::new(hello))),
        );
        self
    }

    /// A record of application data that stays closed.
    fn sealed(&mut self, side: Side, content_type: ContentType, length: u16) -> &mut Self {
        self.say(side, RecordEvent::Protected(record(content_type, length)));
        self
    }

    /// A message that came under protection and was read.
    fn inner(&mut self, side: Side, message: &Message<'_>) {
        let place = (self.next(), 1000);
        self.open
            .inner(side, message, place, &mut self.credential_store, &mut self.interner);
    }

    fn finish(self) -> (crate::session::Connection, CredentialStore) {
        self.finish_blind([None; 2])
    }

    fn finish_blind(mut self, blind: [Option<Blindness>; 2]) -> (crate::session::Connection, CredentialStore) {
        self.open.finish(&mut self.credential_store, blind);
        (self.open.facts().clone(), self.credential_store)
    }
}

fn record(content_type: ContentType, length: u16) -> Sealed<'static> {
    Sealed {
        content_type,
        version: ProtocolVersion::TLS_1_2,
        length,
        body: &[],
    }
}

fn client_hello() -> ClientHello<'static> {
    ClientHello {
        v2_format: false,
        version: ProtocolVersion::TLS_1_2,
        random: [1; 32],
        session_id: &[],
        cipher_suites: smallvec::smallvec![CipherSuite(0xc02f); 3],
        supported_versions: None,
        server_name: Some(b"a.test"),
        session_ticket: None,
        psk_identities: None,
        psk_modes: None,
        early_data: false,
        extended_master_secret: true,
        encrypt_then_mac: false,
        certificate_timestamps: false,
        encrypted_client_hello: false,
        alpn: None,
        stack: 1,
        shape: 1,
    }
}

fn of_tls13() -> ClientHello<'static> {
    ClientHello {
        supported_versions: Some(&[3, 4, 3, 3]),
        ..client_hello()
    }
}

fn server_hello() -> ServerHello<'static> {
    ServerHello {
        hello_retry_request: false,
        illegal_version: false,
        version: ProtocolVersion::TLS_1_2,
        random: [2; 32],
        session_id: &[],
        cipher_suite: CipherSuite(0xc02f),
        selected_psk: None,
        key_share: false,
        session_ticket: false,
        extended_master_secret: true,
        encrypt_then_mac: false,
        alpn: None,
        shape: 1,
    }
}

fn server_of_tls13() -> ServerHello<'static> {
    ServerHello {
        version: ProtocolVersion::TLS_1_3,
        cipher_suite: CipherSuite(0x1301),
        key_share: true,
        ..server_hello()
    }
}

const fn psk(identity: &[u8], obfuscated_age: u32) -> PskIdentity<'_> {
    PskIdentity {
        identity,
        obfuscated_age,
        binder_length: 32,
    }
}

fn with_psks<'a>(psks: impl IntoIterator<Item = PskIdentity<'a>>) -> ClientHello<'a> {
    ClientHello {
        psk_identities: Some(psks.into_iter().collect()),
        ..of_tls13()
    }
}

const ALERT_RECORD: u16 = 26;
const DATA: ContentType = ContentType::APPLICATION_DATA;

#[test]
fn an_unanswered_hello_will_offer_what_names_a_session() {
    let will_offer = |hello: ClientHello<'_>, known: Option<&[u8]>| {
        let mut talk = Talk::new();
        if let Some(id) = known {
            let name = CredentialFingerprint::of(id);
            talk.credential_store
                .enter(TransportKind::Tcp, Mechanism::SessionId, &name, || {
                    Credential::unseen(TransportKind::Tcp, Mechanism::SessionId, name, endpoint(2))
                });
        }
        talk.client(hello);
        talk.open.will_offer(&talk.credential_store)
    };
    let id = [7; 32];
    let with_id = |hello| ClientHello {
        session_id: &id,
        ..hello
    };
    assert!(!Talk::new().open.will_offer(&CredentialStore::default()));
    assert!(!will_offer(client_hello(), None));
    assert!(will_offer(with_id(client_hello()), None));
    // RFC 8446 §4.1.2: it may be 32 bytes at random.
    assert!(!will_offer(with_id(of_tls13()), None));
    assert!(will_offer(with_id(of_tls13()), Some(&id)));
    let ticket = ClientHello {
        session_ticket: Some(b"a ticket"),
        ..client_hello()
    };
    assert!(will_offer(ticket, None));
    let empty = ClientHello {
        session_ticket: Some(b""),
        ..client_hello()
    };
    assert!(!will_offer(empty, None));
    assert!(will_offer(with_psks([psk(&id, 1)]), None));
}

#[test]
fn what_an_open_connection_holds_is_counted() {
    let held = |psks: usize, answered: bool| {
        let identities: Vec<Vec<u8>> = (0..psks)
            .map(|number| vec![u8::try_from(number).expect("few"); 40])
            .collect();
        let mut talk = Talk::new();
        talk.client(with_psks(identities.iter().map(|identity| psk(identity, 1))));
        if answered {
            talk.server(server_of_tls13());
        }
        talk.open.memory()
    };
    assert_eq!(Talk::new().open.memory(), 0);
    // The name, and three suites.
    assert_eq!(held(0, false), "a.test".len() + 3 * 2);
    let one = held(1, false) - held(0, false);
    assert!(
        (size_of::<CredentialFingerprint>()..=size_of::<CredentialFingerprint>() + 16).contains(&one),
        "{one}"
    );
    assert_eq!(held(5, false) - held(0, false), 5 * one);
    let offered = size_of::<Offer>() + size_of::<Credential>();
    assert_eq!(held(5, true) - held(0, true), 5 * offered);
}

#[test]
fn of_several_alerts_the_first_fatal_one_counts() {
    let alert = |talk: &mut Talk, fatal, description| {
        talk.say(Side::Server, RecordEvent::Alert { fatal, description });
    };
    let mut talk = Talk::new();
    alert(&mut talk, false, AlertDescription(90));
    alert(&mut talk, false, AlertDescription(100));
    let counted = |talk: &Talk| talk.open.facts().side(Side::Server).alert.as_deref().copied();
    assert_eq!(counted(&talk).map(|alert| alert.description.0), Some(90));
    alert(&mut talk, true, AlertDescription(40));
    alert(&mut talk, true, AlertDescription(50));
    alert(&mut talk, false, AlertDescription(90));
    assert_eq!(
        counted(&talk).map(|alert| (alert.description.0, alert.fatal)),
        Some((40, true))
    );
    assert!(talk.open.facts().side(Side::Client).alert.is_none());
}

/// RFC 8446 §6: the level says nothing.
#[test]
fn in_tls13_the_description_makes_an_alert_fatal() {
    for (level, description, fatal) in [
        (false, AlertDescription(40), true),
        (true, AlertDescription::CLOSE_NOTIFY, false),
        (true, AlertDescription::USER_CANCELED, false),
    ] {
        let mut talk = Talk::new();
        talk.client(of_tls13()).server(server_of_tls13());
        let event = RecordEvent::Alert {
            fatal: level,
            description,
        };
        talk.say(Side::Client, event);
        let alert = talk.open.facts().client_side.alert.as_deref().expect("an alert");
        assert_eq!(alert.fatal, fatal, "{description:?}");
    }
}

#[test]
fn whatever_belongs_to_a_key_exchange_makes_the_handshake_full() {
    let kinds = [
        HandshakeType::SERVER_KEY_EXCHANGE,
        HandshakeType::CERTIFICATE_REQUEST,
        HandshakeType::SERVER_HELLO_DONE,
        HandshakeType::CERTIFICATE_STATUS,
        HandshakeType::SUPPLEMENTAL_DATA,
        HandshakeType::COMPRESSED_CERTIFICATE,
    ];
    let messages = kinds.map(Message::Other).into_iter().chain([
        Message::Malformed(HandshakeType::CERTIFICATE),
        Message::Certificate(b"a certificate"),
    ]);
    for message in messages {
        let mut talk = Talk::new();
        talk.client(client_hello()).server(server_hello());
        assert_eq!(talk.open.facts().shape.yes(), None);
        talk.say(Side::Server, RecordEvent::Message(message.clone()));
        let facts = talk.open.facts();
        assert_eq!(facts.shape.yes(), Some(&Shape::Full(at(103))), "{message:?}");
        let asked = message == Message::Other(HandshakeType::CERTIFICATE_REQUEST);
        assert_eq!(facts.certificate_request, asked.then(|| at(103).frame), "{message:?}");
    }
    // Nobody asks a server for its key exchange.
    let mut talk = Talk::new();
    talk.client(client_hello());
    talk.say(
        Side::Client,
        RecordEvent::Message(Message::Other(HandshakeType::SERVER_HELLO_DONE)),
    );
    assert_eq!(talk.open.facts().shape.yes(), None);
    talk.say(Side::Client, RecordEvent::Message(Message::ClientKeyExchange(b"")));
    assert_eq!(talk.open.facts().shape.yes(), Some(&Shape::Full(at(103))));
}

#[test]
fn only_a_cipher_change_that_proves_it_makes_the_handshake_abbreviated() {
    let shape = |client: Option<ClientHello<'_>>, server: Option<ServerHello<'_>>, side, lost: bool| {
        let mut talk = Talk::new();
        if let Some(hello) = client {
            talk.client(hello);
        }
        if let Some(hello) = server {
            talk.server(hello);
        }
        if lost {
            talk.open.handshake_lost(side, Blindness::Gap);
        }
        talk.say(side, RecordEvent::ChangeCipherSpec);
        matches!(talk.open.facts().shape.yes(), Some(Shape::Abbreviated(_)))
    };
    assert!(shape(None, Some(server_hello()), Side::Server, false));
    assert!(!shape(None, Some(server_hello()), Side::Server, true));
    assert!(!shape(None, None, Side::Server, false));
    assert!(!shape(None, Some(server_of_tls13()), Side::Server, false));
    assert!(shape(Some(client_hello()), None, Side::Client, false));
    assert!(!shape(Some(client_hello()), None, Side::Client, true));
    // RFC 8446 appendix D.4: TLS 1.3 has one that means nothing.
    assert!(!shape(Some(of_tls13()), None, Side::Client, false));
    assert!(!shape(None, None, Side::Client, false));
}

#[test]
fn a_finished_captured_in_front_of_the_answer_is_one_all_the_same() {
    let (client, server) = (Side::Client, Side::Server);
    let mut talk = Talk::new();
    talk.client(of_tls13())
        .sealed(client, ContentType::APPLICATION_DATA, 53);
    talk.server(server_of_tls13());
    for length in [27, 53] {
        talk.sealed(server, ContentType::APPLICATION_DATA, length);
    }
    // Not an alert in place of a Finished, but the end of the connection.
    talk.sealed(client, ContentType::APPLICATION_DATA, 19);
    let mut connection = talk.finish().0;
    assert_eq!(connection.client_side.finished, Some(at(102)));
    assert_eq!(connection.client_side.handshake_alert, None);
    // The server's flight stands where tickets would.
    assert_eq!(connection.tickets_inferred, TicketsInferred::Unclear);
    connection.client_side.captured = true;
    connection.server_side.captured = true;
    assert_eq!(connection.judge_completed(None), Completed::Yes);
}

#[test]
fn early_data_in_front_of_the_answer_is_no_finished() {
    let hello = ClientHello {
        early_data: true,
        ..with_psks([psk(&[0xee; 48], 5)])
    };
    let mut talk = Talk::new();
    talk.client(hello)
        .sealed(Side::Client, ContentType::APPLICATION_DATA, 53);
    talk.server(ServerHello {
        selected_psk: Some(0),
        ..server_of_tls13()
    });
    let mut connection = talk.finish().0;
    assert_eq!(connection.client_side.finished, None);
    // Only the size of the Finished would tell it from data.
    connection.client_side.captured = true;
    connection.server_side.captured = true;
    assert_eq!(connection.judge_completed(None), Completed::Blind(Blindness::Encrypted));
}

#[test]
fn early_data_is_not_refused_because_its_end_was_lost() {
    let told = |lost: bool| {
        let hello = ClientHello {
            early_data: true,
            ..with_psks([psk(&[0xee; 48], 5)])
        };
        let mut talk = Talk::new();
        talk.client(hello).server(ServerHello {
            selected_psk: Some(0),
            ..server_of_tls13()
        });
        talk.sealed(Side::Server, ContentType::APPLICATION_DATA, 53);
        if lost {
            talk.open.handshake_lost(Side::Client, Blindness::Gap);
        }
        talk.sealed(Side::Client, ContentType::APPLICATION_DATA, 53);
        talk.finish().0.early_data
    };
    assert_eq!(told(true), EarlyData::Unclear(Blindness::Gap));
    let refused = EarlyData::Rejected {
        at: at(104),
        inferred: true,
    };
    assert_eq!(told(false), refused);
}

#[test]
fn early_data_without_an_answer_is_not_known_to_be_refused() {
    let hello = ClientHello {
        early_data: true,
        ..with_psks([psk(&[0xee; 48], 5)])
    };
    let mut talk = Talk::new();
    talk.client(hello.clone());
    assert_eq!(
        talk.finish().0.early_data,
        EarlyData::Unclear(Blindness::ServerHelloMissing)
    );
    for (answer, expected) in [
        (server_hello(), EarlyData::NotOffered),
        (
            server_of_tls13(),
            EarlyData::Rejected {
                at: at(102),
                inferred: false,
            },
        ),
        (
            ServerHello {
                selected_psk: Some(0),
                ..server_of_tls13()
            },
            EarlyData::Unclear(Blindness::Encrypted),
        ),
        // RFC 8446 §4.2.10: only with the first identity.
        (
            ServerHello {
                selected_psk: Some(1),
                ..server_of_tls13()
            },
            EarlyData::Rejected {
                at: at(102),
                inferred: false,
            },
        ),
    ] {
        let mut talk = Talk::new();
        talk.client(hello.clone()).server(answer);
        assert_eq!(talk.open.facts().early_data, expected);
    }
    // A server of TLS 1.2 has read none of it, once it is clear which handshake it is.
    let mut talk = Talk::new();
    talk.client(hello).server(server_hello());
    talk.say(
        Side::Server,
        RecordEvent::Message(Message::Certificate(b"a certificate")),
    );
    assert_eq!(
        talk.open.facts().early_data,
        EarlyData::Rejected {
            at: at(102),
            inferred: false
        }
    );
    // Nobody offered any.
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(server_of_tls13());
    assert_eq!(talk.finish().0.early_data, EarlyData::NotOffered);
}

#[test]
fn what_a_beginning_out_of_sight_may_have_held_is_not_known() {
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(server_of_tls13());
    let (connection, _) = talk.finish_blind([Some(Blindness::Gap), None]);
    assert_eq!(connection.early_data, EarlyData::Unclear(Blindness::Gap));

    // Without an answer, what the hello offers decides.
    for (hello, expected) in [
        (of_tls13(), EarlyData::Unclear(Blindness::Gap)),
        (client_hello(), EarlyData::NotOffered),
    ] {
        let mut talk = Talk::new();
        talk.client(hello);
        let (connection, _) = talk.finish_blind([Some(Blindness::Gap), None]);
        assert_eq!(connection.early_data, expected);
    }

    let (connection, _) = Talk::new().finish_blind([None, Some(Blindness::Snaplen)]);
    assert_eq!(connection.hello.blind(), Some(Blindness::ClientHelloMissing));
    assert_eq!(connection.answer.blind(), Some(Blindness::Snaplen));
    assert_eq!(connection.shape.blind(), Some(Blindness::Snaplen));
    assert_eq!(connection.early_data, EarlyData::Unclear(Blindness::ClientHelloMissing));

    // The request for another hello came first: the hello before it, and what it offered, was not seen.
    let mut talk = Talk::new();
    talk.server(ServerHello {
        hello_retry_request: true,
        ..server_of_tls13()
    });
    talk.client(of_tls13()).server(server_of_tls13());
    let (connection, _) = talk.finish();
    assert_eq!(connection.early_data, EarlyData::Unclear(Blindness::ClientHelloMissing));
}

#[test]
fn what_was_said_is_counted_up_to_two() {
    let said = |talk: &Talk| [talk.open.said(Side::Client), talk.open.said(Side::Server)];
    let mut talk = Talk::new();
    assert_eq!(said(&talk), [0, 0]);
    talk.client(client_hello());
    assert_eq!(said(&talk), [1, 0]);
    talk.server(server_hello());
    assert_eq!(said(&talk), [1, 1]);
    talk.say(Side::Client, RecordEvent::Message(Message::ClientKeyExchange(b"")));
    talk.say(
        Side::Server,
        RecordEvent::Alert {
            fatal: true,
            description: AlertDescription(40),
        },
    );
    assert_eq!(said(&talk), [2, 2]);
    talk.sealed(Side::Client, ContentType::HANDSHAKE, 40);
    assert_eq!(said(&talk), [2, 2]);
    let mut talk = Talk::new();
    talk.sealed(Side::Client, DATA, 40).sealed(Side::Client, DATA, 40);
    assert_eq!(said(&talk)[0], 1);
}

#[test]
fn a_session_begun_in_a_renegotiation_is_known_when_it_is_read() {
    let renegotiated = |asked: &'static [u8], given: &'static [u8]| {
        let mut talk = Talk::new();
        talk.client(client_hello()).server(server_hello());
        talk.say(
            Side::Server,
            RecordEvent::Message(Message::Certificate(b"a certificate")),
        );
        let hello = Message::ClientHello(Box::new(ClientHello {
            session_id: asked,
            ..client_hello()
        }));
        let answer = Message::ServerHello(Box::new(ServerHello {
            session_id: given,
            cipher_suite: CipherSuite(0xc030),
            extended_master_secret: false,
            ..server_hello()
        }));
        for (side, message) in [(Side::Client, hello), (Side::Server, answer)] {
            let place = (talk.next(), 1000);
            talk.open
                .inner(side, &message, place, &mut talk.credential_store, &mut talk.interner);
        }
        let (connection, credential_store) = talk.finish();
        connection.issued.first().map(|id| {
            let known = credential_store.get(*id).expect("issued");
            (known.mechanism, known.suite, known.extended_master_secret)
        })
    };
    let fresh = Some((Mechanism::SessionId, Some(CipherSuite(0xc030)), Some(false)));
    assert_eq!(renegotiated(&[], &[5; 32]), fresh);
    assert_eq!(renegotiated(&[6; 32], &[5; 32]), fresh);
    // The same ID again resumes, and none stands for no session.
    assert_eq!(renegotiated(&[5; 32], &[5; 32]), None);
    assert_eq!(renegotiated(&[5; 32], &[]), None);
}

#[test]
fn records_of_the_size_of_an_alert_before_others_are_counted() {
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(server_of_tls13());
    // The server's flight ends in a Finished of 32 bytes: header, type and tag beside it.
    talk.sealed(Side::Server, DATA, 53).sealed(Side::Client, DATA, 53);
    for length in [19, 400, 19, 401] {
        talk.sealed(Side::Server, DATA, length);
    }
    let [_, server] = talk.open.ends();
    assert_eq!(server.short_records, 2);
    let lengths = [server.last, server.before_last].map(|record| record.map(|record| record.length));
    assert_eq!(lengths, [Some(401), Some(19)]);
    assert_eq!(server.last.map(|record| record.content), Some(Content::Closed));
    // It looks like an alert, and came while the handshake was under way.
    let mut talk = Talk::new();
    talk.client(client_hello()).server(server_hello());
    talk.sealed(Side::Client, ContentType::ALERT, ALERT_RECORD);
    assert_eq!(talk.open.facts().client_side.handshake_alert, Some(at(103).frame));
}
