mod ports;

use super::{MAX_OF_A_PAIR, MAX_SHADOWS};
use crate::datagram::Protocol;
use crate::dtls::testing::{client_hello, connection_id, message, record, server_hello};
use crate::engine::{Engine, Limits};
use crate::net::{At, Datagram, Endpoint, FrameRef, Notice, Path, Timestamp};
use crate::session::{Blindness, CloseClass, Connection, Cookie, Outcome, Seen};
use crate::tls::names::HandshakeType;

const SERVER: u16 = 4433;

/// An engine that takes datagrams, one a millisecond.
struct Wire {
    engine: Engine,
    frame: u64,
    time: i64,
    /// What ciphertexts are made of: the same in no two associations.
    cipher: u8,
}

fn endpoint(port: u16) -> Endpoint {
    let last = if port == SERVER { 2 } else { 1 };
    Endpoint {
        ip: [192, 0, 2, last].into(),
        port,
    }
}

impl Wire {
    fn new() -> Self {
        Self {
            engine: Engine::new(Limits::default()),
            frame: 0,
            time: 0,
            cipher: 0,
        }
    }

    fn send(&mut self, from: u16, to: u16, payload: &[u8]) -> &mut Self {
        self.frame += 1;
        self.time += 1_000_000;
        let at = At {
            frame: FrameRef::new(0, self.frame),
            time: Timestamp::from_nanos(self.time),
        };
        let datagram = Datagram {
            path: Path {
                source_mac: None,
                ttl: 64,
                ip_id: None,
                outer: &[],
            },
            source: endpoint(from),
            destination: endpoint(to),
            payload,
            cut: 0,
        };
        self.engine.last = Some(at.time);
        self.engine
            .with_datagrams(|datagrams, run| datagrams.push(Protocol::Dtls, &datagram, at, run));
        self
    }

    fn client(&mut self, port: u16, payload: &[u8]) -> &mut Self {
        self.send(port, SERVER, payload)
    }

    fn server(&mut self, port: u16, payload: &[u8]) -> &mut Self {
        self.send(SERVER, port, payload)
    }

    fn hello(&mut self, port: u16, random: u8) -> &mut Self {
        let hello = client_hello(random, &[], &[], &connection_id(&[random, 1]));
        self.client(port, &message(0, HandshakeType::CLIENT_HELLO, 0, &hello))
    }

    /// A full handshake whose hello was sent.
    fn handshake(&mut self, port: u16, random: u8, ids: bool) -> &mut Self {
        let extensions = if ids { connection_id(&[1, 2, 3]) } else { Vec::new() };
        let hello = server_hello(random, &[random; 32], &extensions);
        self.server(port, &message(0, HandshakeType::SERVER_HELLO, 0, &hello));
        self.server(port, &message(1, HandshakeType::SERVER_HELLO_DONE, 1, &[]));
        let exchange = message(1, HandshakeType::CLIENT_KEY_EXCHANGE, 1, &[1, 2]);
        self.cipher = random;
        let finished = record(22, 1, 0, &[random; 48]);
        let client = [exchange, record(20, 0, 2, &[1]), finished.clone()].concat();
        self.client(port, &client);
        self.server(port, &[record(20, 0, 2, &[1]), finished].concat())
    }

    fn close(&mut self, port: u16) -> &mut Self {
        let alert = record(21, 1, 1, &[self.cipher; 26]);
        self.client(port, &alert).server(port, &alert)
    }

    fn wait(&mut self, seconds: i64) -> &mut Self {
        self.time += seconds * 1_000_000_000;
        self
    }

    fn finish(&mut self) -> Vec<&Connection> {
        self.engine.last = Some(Timestamp::from_nanos(self.time));
        self.engine.finish();
        self.engine
            .connection_store()
            .iter()
            .map(|(_, connection)| connection)
            .collect()
    }
}

fn class(connection: &Connection) -> Option<CloseClass> {
    connection.close.class.yes().copied()
}

#[test]
fn a_forged_hello_ends_no_connection() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, false).hello(1, 9).close(1);
    let found = wire.finish();
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].outcome, class(found[0])),
        (Outcome::NotOffered, Some(CloseClass::CleanBoth))
    );
    assert!(
        matches!(found[1].outcome, Outcome::Unclear(_)),
        "{:?}",
        found[1].outcome
    );
}

#[test]
fn a_hello_with_a_cookie_answers_no_hello_retry_request() {
    let mut wire = Wire::new();
    wire.hello(1, 1);
    let again = client_hello(1, &[], &[7; 20], &connection_id(&[1, 1]));
    wire.client(1, &message(1, HandshakeType::CLIENT_HELLO, 1, &again));
    let found = wire.finish();
    let dtls = found[0].transport.dtls().expect("DTLS");
    assert_eq!(dtls.cookie, Some(Cookie::HelloVerify));
    assert!(found[0].retry.is_none() && found[0].retry_hidden.is_some());
}

#[test]
fn a_verify_request_that_was_not_captured_is_not_counted() {
    let sent = |asked: bool| {
        let mut wire = Wire::new();
        wire.hello(1, 1);
        if asked {
            let request = [&[0xfe, 0xff, 20][..], &[7; 20]].concat();
            wire.server(1, &message(0, HandshakeType::HELLO_VERIFY_REQUEST, 0, &request));
        }
        let again = client_hello(1, &[], &[7; 20], &connection_id(&[1, 1]));
        wire.client(1, &message(1, HandshakeType::CLIENT_HELLO, 1, &again));
        wire.handshake(1, 1, false);
        let found = wire.finish();
        let dtls = found[0].transport.dtls().expect("DTLS");
        assert_eq!(dtls.cookie, Some(Cookie::HelloVerify));
        found[0].server_side.handshake_bytes
    };
    assert!(sent(true).is_some());
    assert_eq!(sent(false), None);
}

#[test]
fn a_protected_alert_is_no_failure_where_a_finished_may_be_lost() {
    let mut wire = Wire::new();
    wire.hello(1, 1);
    let hello = server_hello(1, &[1; 32], &[]);
    wire.server(1, &message(0, HandshakeType::SERVER_HELLO, 0, &hello));
    wire.server(1, &message(1, HandshakeType::SERVER_HELLO_DONE, 1, &[]));
    let exchange = message(1, HandshakeType::CLIENT_KEY_EXCHANGE, 1, &[1, 2]);
    let finished = record(22, 1, 0, &[0; 48]);
    wire.client(1, &[exchange, record(20, 0, 2, &[1]), finished].concat());
    wire.server(1, &record(20, 0, 2, &[1]));
    wire.client(1, &record(21, 1, 1, &[0; 26]));
    wire.hello(1, 2).handshake(1, 2, false);
    let found = wire.finish();
    assert_eq!(found[0].outcome, Outcome::NotOffered);
    assert_ne!(class(found[0]), Some(CloseClass::HandshakeIncomplete));
}

#[test]
fn several_connections_follow_each_other_on_one_pair() {
    let mut wire = Wire::new();
    for random in 1..=4 {
        wire.hello(1, random).handshake(1, random, false).close(1);
    }
    // Without a word of farewell.
    wire.hello(1, 5).handshake(1, 5, false);
    wire.hello(1, 6).handshake(1, 6, false);
    let found = wire.finish();
    let classes: Vec<_> = found.iter().map(|connection| connection.close.class).collect();
    let clean = Seen::Yes(CloseClass::CleanBoth);
    let left = Seen::Blind(Blindness::NothingTellsApart);
    let open = Seen::Blind(Blindness::OpenAtCaptureEnd);
    assert_eq!(classes, [clean, clean, clean, clean, left, open]);
    assert!(found.iter().all(|connection| connection.outcome == Outcome::NotOffered));
}

#[test]
fn a_copy_is_of_the_association_that_had_the_original() {
    let mut wire = Wire::new();
    wire.hello(1, 1)
        .server(1, &message(2, HandshakeType::SERVER_HELLO_DONE, 2, &[]))
        .handshake(1, 1, false)
        .close(1);
    let resumed = server_hello(2, &[2; 32], &[]);
    wire.hello(1, 2)
        .server(1, &message(0, HandshakeType::SERVER_HELLO, 0, &resumed))
        // Of the first connection once more: what came before its ChangeCipherSpec, its last flight, its end, its hello.
        .server(1, &message(2, HandshakeType::SERVER_HELLO_DONE, 2, &[]))
        .server(1, &[record(20, 0, 2, &[1]), record(22, 1, 0, &[1; 48])].concat())
        .client(1, &record(21, 1, 1, &[1; 26]))
        .hello(1, 1);
    let found = wire.finish();
    assert_eq!(found.len(), 2, "the old hello began nothing");
    assert_eq!(found[0].outcome, Outcome::NotOffered);
    let open = Seen::Blind(Blindness::OpenAtCaptureEnd);
    assert_eq!(found[1].close.class, open, "an alert of the first ended it");
    let frames = (FrameRef::new(0, 9), FrameRef::new(0, 10));
    assert_eq!(found[1].transport.spans.main, frames);
}

#[test]
fn all_records_of_a_datagram_are_of_the_association_that_one_of_them_names() {
    let mut wire = Wire::new();
    let hello = server_hello(1, &[1; 32], &[]);
    let flight = |sequence| {
        let certificate = message(sequence + 1, HandshakeType::CERTIFICATE, 1, &[0, 0, 0]);
        let done = message(sequence + 2, HandshakeType::SERVER_HELLO_DONE, 2, &[]);
        let hello = message(sequence, HandshakeType::SERVER_HELLO, 0, &hello);
        [hello, certificate, done].concat()
    };
    wire.hello(1, 1).server(1, &flight(0)).hello(1, 2);
    // The first server sends again what the second hello has no part in; a mirror port makes two of it.
    wire.server(1, &flight(3)).server(1, &flight(3));
    let found = wire.finish();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].transport.spans.main.1, FrameRef::new(0, 5));
    assert_eq!(
        found[1].transport.spans.main,
        (FrameRef::new(0, 3), FrameRef::new(0, 3))
    );
    assert_eq!(found[1].outcome, Outcome::Unclear(Blindness::OneDirection));
}

#[test]
fn the_bytes_of_one_side_from_the_other_are_no_copy() {
    let mut wire = Wire::new();
    let request = message(0, HandshakeType::HELLO_VERIFY_REQUEST, 0, &[0xfe, 0xff, 2, 7, 7]);
    // Only a forger has the client ask for a cookie.
    wire.hello(1, 1).client(1, &request).hello(1, 2);
    wire.server(1, &request).server(1, &request);
    let cookie = |connection: &Connection| connection.transport.dtls().expect("DTLS").cookie;
    let cookies: Vec<_> = wire.finish().into_iter().map(cookie).collect();
    assert_eq!(cookies, [None, Some(Cookie::HelloVerify)]);
}

#[test]
fn a_copy_tells_nothing_that_the_original_did_not_tell() {
    let ends = |copies: usize| {
        let mut wire = Wire::new();
        let hello = server_hello(1, &[1; 32], &[]);
        wire.hello(1, 1)
            .server(1, &message(0, HandshakeType::SERVER_HELLO, 0, &hello));
        // An alert of an epoch that is two ahead, and a record of the one between: now the alert would be of the next.
        let forged = [record(21, 2, 5, &[4; 26]), record(22, 1, 0, &[1; 48])].concat();
        for _ in 0..copies {
            wire.server(1, &forged);
        }
        wire.wait(30);
        wire.finish()[0].close.class
    };
    assert_eq!(ends(1), Seen::Blind(Blindness::OpenAtCaptureEnd));
    assert_eq!(ends(2), ends(1));
}

#[test]
fn a_copy_makes_a_handshake_no_longer() {
    let sent = |copies: usize| {
        let mut wire = Wire::new();
        let finished = record(22, 1, 0, &[3; 48]);
        for _ in 0..copies {
            wire.hello(1, 1);
        }
        wire.server(
            1,
            &message(0, HandshakeType::SERVER_HELLO, 0, &server_hello(1, &[1; 32], &[])),
        )
        .server(1, &message(1, HandshakeType::SERVER_HELLO_DONE, 1, &[]))
        .client(1, &message(1, HandshakeType::CLIENT_KEY_EXCHANGE, 1, &[1, 2]))
        .client(1, &record(20, 0, 2, &[1]));
        for _ in 0..copies {
            wire.client(1, &finished);
        }
        wire.server(1, &record(20, 0, 2, &[1])).server(1, &finished);
        wire.finish()[0].client_side.handshake_bytes
    };
    assert!(sent(1).is_some());
    assert_eq!(sent(2), sent(1));
}

#[test]
fn what_handshakes_have_in_common_is_no_copy() {
    let mut wire = Wire::new();
    // ServerHelloDone and ChangeCipherSpec, in datagrams of their own, are those of the handshake before.
    for random in 1..=3 {
        let hello = server_hello(random, &[random; 32], &[]);
        let finished = record(22, 1, 0, &[random; 48]);
        wire.hello(1, random)
            .server(1, &message(0, HandshakeType::SERVER_HELLO, 0, &hello))
            .server(1, &message(1, HandshakeType::SERVER_HELLO_DONE, 1, &[]))
            .client(1, &message(1, HandshakeType::CLIENT_KEY_EXCHANGE, 1, &[1, 2]))
            .client(1, &record(20, 0, 2, &[1]))
            .client(1, &finished)
            .server(1, &record(20, 0, 2, &[1]))
            .server(1, &finished);
    }
    let found = wire.finish();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|connection| connection.outcome == Outcome::NotOffered));
    assert!(found.iter().all(|connection| connection.transport.spans.more.is_none()));
}

#[test]
fn the_hello_of_the_next_connection_is_not_taken_for_one_that_was_lost() {
    let mut wire = Wire::new();
    // The ClientHello of the first was not captured.
    wire.handshake(1, 1, false)
        .close(1)
        .hello(1, 2)
        .handshake(1, 2, false)
        .close(1);
    let found = wire.finish();
    let outcomes: Vec<_> = found.iter().map(|connection| connection.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unclear(Blindness::Gap), Outcome::NotOffered]);
}

#[test]
fn a_server_hello_that_stands_behind_the_close_in_a_file_without_order_begins_no_connection() {
    let hello = message(0, HandshakeType::SERVER_HELLO, 0, &server_hello(1, &[1; 32], &[]));
    let connections = |seconds: i64| {
        let mut wire = Wire::new();
        wire.hello(1, 1);
        let finished = [record(20, 0, 2, &[1]), record(22, 1, 0, &[1; 48])].concat();
        wire.client(1, &finished).server(1, &finished).close(1);
        wire.wait(seconds).server(1, &hello);
        wire.finish().len()
    };
    // By its time it was sent before the alerts.
    assert_eq!(connections(-1), 1);
    assert_eq!(connections(0), 2);
}

#[test]
fn a_connection_id_links_a_new_address_and_nothing_else_does() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, true);
    let protected = |id: &[u8]| {
        let mut bytes = record(25, 1, 1, &[0; 40]);
        bytes.splice(11..11, id.iter().copied());
        bytes
    };
    wire.client(7, &protected(&[9, 9, 9]))
        .client(8, &record(23, 1, 1, &[0; 40]));
    wire.client(2, &protected(&[1, 2, 3])).client(2, &protected(&[1, 2, 3]));
    let found = wire.finish();
    assert_eq!(found.len(), 1);
    let facts = found[0].transport.dtls().expect("DTLS");
    let clients: Vec<u16> = facts.paths.iter().map(|path| path.client.port).collect();
    assert_eq!((clients, facts.connection_id), (vec![1, 2], true));
    // Under an ID the type of a record is hidden, and with it every alert.
    assert_eq!(found[0].close.class, Seen::Blind(Blindness::Encrypted));
}

#[test]
fn an_earlier_record_number_shows_no_new_address() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, true);
    // Some servers have one ID for all: this is of a connection whose handshake was lost.
    let mut protected = record(25, 1, 0, &[0; 40]);
    protected.splice(11..11, [1, 2, 3]);
    wire.client(9, &protected);
    let found = wire.finish();
    assert_eq!(found[0].transport.dtls().map(|facts| facts.paths.len()), Some(1));
}

#[test]
fn a_server_hello_of_dtls13_that_is_not_its_first_message_hides_a_retry() {
    let told = |number: u16| {
        let mut wire = Wire::new();
        let versions = [0, 43, 0, 2, 0xfe, 0xfc];
        let mut hello = server_hello(1, &[], &versions);
        // TLS_AES_128_GCM_SHA256.
        hello[35..37].copy_from_slice(&[0x13, 1]);
        wire.hello(1, 1)
            .server(1, &message(number.into(), HandshakeType::SERVER_HELLO, number, &hello));
        let found = wire.finish();
        assert!(found[0].is_tls13(), "{:?}", found[0].answer);
        (found[0].retry.is_some(), found[0].retry_hidden.is_some())
    };
    assert_eq!(told(0), (false, false));
    assert_eq!(told(1), (false, true));
}

#[test]
fn an_id_that_a_server_gives_to_every_connection_is_of_the_latest() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, true);
    wire.hello(2, 2).handshake(2, 2, true);
    let mut protected = record(25, 1, 1, &[0; 40]);
    protected.splice(11..11, [1, 2, 3]);
    wire.client(9, &protected);
    let found = wire.finish();
    let paths = |connection: &Connection| connection.transport.dtls().map(|facts| facts.paths.len());
    assert_eq!([paths(found[0]), paths(found[1])], [Some(1), Some(2)]);
}

#[test]
fn a_handshake_that_moved_before_it_was_answered_is_one_connection() {
    let mut wire = Wire::new();
    wire.hello(1, 1).hello(2, 1).handshake(2, 1, false).close(2).hello(3, 3);
    let found = wire.finish();
    let clients: Vec<u16> = found.iter().map(|connection| connection.client.port).collect();
    assert_eq!(clients, [2, 3]);
}

#[test]
fn silence_is_told_as_what_it_is() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, false);
    wire.hello(2, 2)
        .handshake(2, 2, false)
        .client(2, &record(21, 1, 1, &[0; 26]));
    wire.wait(400).hello(3, 3);
    let found = wire.finish();
    let told = [CloseClass::TimeoutSilent, CloseClass::CleanClient].map(Some);
    assert_eq!([class(found[0]), class(found[1])], told);
    assert_eq!(found[2].close.class, Seen::Blind(Blindness::OneDirection));
}

#[test]
fn a_hello_of_which_a_part_is_missing_makes_no_connection() {
    let mut wire = Wire::new();
    let hello = client_hello(1, &[7; 32], &[], &[]);
    wire.client(
        1,
        &crate::dtls::testing::fragment(0, HandshakeType::CLIENT_HELLO, 0, &hello, 0..60),
    );
    assert!(wire.finish().is_empty());
    assert_eq!(wire.engine.notices().count(Notice::DtlsFragmentsIncomplete), 1);
}

#[test]
fn hellos_beside_a_connection_are_bounded() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, false);
    for random in 2..=100 {
        wire.hello(1, random);
    }
    assert_eq!(wire.engine.datagrams.len(), MAX_OF_A_PAIR);
    for port in 100..300 {
        for random in 1..=3 {
            wire.hello(port, random);
        }
    }
    assert_eq!(wire.engine.datagrams.len(), 201 + MAX_SHADOWS);
    // Room comes back with the silence after which they are over: of hellos that nobody answered soon.
    wire.wait(200).hello(1, 250);
    assert_eq!(wire.engine.datagrams.len(), 2);
    wire.wait(4000).hello(1, 1);
    assert_eq!(wire.engine.datagrams.len(), 1);
    wire.hello(1, 2);
    assert_eq!(wire.engine.datagrams.len(), 2);
}

#[test]
fn a_flood_of_hellos_evicts_what_nobody_answered() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, false);
    for number in 0..super::MAX_PAIRS + 10 {
        let [.., a, b, c] = number.to_be_bytes();
        let hello = client_hello(7, &[], &[], &[]);
        let bytes = message(0, HandshakeType::CLIENT_HELLO, 0, &hello);
        let datagram = Datagram {
            path: Path {
                source_mac: None,
                ttl: 64,
                ip_id: None,
                outer: &[],
            },
            source: Endpoint {
                ip: [10, a, b, c].into(),
                port: 5,
            },
            destination: endpoint(SERVER),
            payload: &bytes,
            cut: 0,
        };
        let at = At {
            frame: FrameRef::new(0, 100 + number as u64),
            time: Timestamp::from_nanos(wire.time + 1),
        };
        wire.engine
            .with_datagrams(|datagrams, run| datagrams.push(Protocol::Dtls, &datagram, at, run));
        assert!(wire.engine.datagrams.len() <= super::MAX_PAIRS);
    }
    assert!(wire.engine.notices().count(Notice::FlowEvicted) >= 10);
    wire.close(1);
    let found = wire.finish();
    let first = found
        .iter()
        .find(|connection| connection.client == endpoint(1))
        .expect("kept");
    assert_eq!(class(first), Some(CloseClass::CleanBoth));
}
