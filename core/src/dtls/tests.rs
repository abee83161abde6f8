use super::testing::{client_hello, fragment, message, record, server_hello};
use super::*;
use crate::net::{At, FrameRef, Timestamp};
use crate::tcp::Direction::{self, ToClient, ToServer};
use crate::tls::names::HandshakeType;
use crate::tls::{Message, RecordEvent};

fn at(frame: u32) -> At {
    At {
        frame: FrameRef::new(0, frame.into()),
        time: Timestamp::from_nanos(i64::from(frame)),
    }
}

type Datagrams = Vec<(Direction, Vec<u8>)>;

/// What an association made of datagrams, in short words.
fn heard(datagrams: &[(Direction, Vec<u8>)]) -> (Association, Vec<&'static str>) {
    let mut association = Association::default();
    let mut words = Vec::new();
    let mut listen = |_: Direction, heard: Heard<'_>, _: At| {
        words.push(match heard {
            Heard::Protected(_) => "protected",
            Heard::Event(RecordEvent::ChangeCipherSpec) => "abbreviated",
            Heard::Event(RecordEvent::Alert { .. }) => "alert",
            Heard::Event(RecordEvent::Message(Message::ClientHello(_))) => "client hello",
            Heard::Event(RecordEvent::Message(Message::ServerHello(_))) => "server hello",
            Heard::Event(RecordEvent::Message(Message::NewSessionTicket(_))) => "ticket",
            Heard::Event(RecordEvent::Message(
                Message::Certificate(_) | Message::Malformed(HandshakeType::CERTIFICATE),
            )) => "certificate",
            Heard::Event(_) => "other",
        });
    };
    for ((from, datagram), frame) in datagrams.iter().zip(1..) {
        let mut news = None;
        for record in records(datagram, 0, None) {
            let new = association.take(*from, &record, at(frame), &mut listen);
            news = new.map(|new| news.unwrap_or(false) || new).or(news);
        }
        if news == Some(false) {
            association.count_retransmission();
        }
    }
    association.finish(&mut listen);
    (association, words)
}

fn abbreviated() -> Datagrams {
    let hello = |cookie: &[u8]| client_hello(1, &[9; 32], cookie, &[]);
    vec![
        (ToServer, message(0, HandshakeType::CLIENT_HELLO, 0, &hello(&[]))),
        (
            ToClient,
            message(0, HandshakeType::HELLO_VERIFY_REQUEST, 0, &[0xfe, 0xff, 1, 7]),
        ),
        (ToServer, message(1, HandshakeType::CLIENT_HELLO, 1, &hello(&[7]))),
        (
            ToClient,
            message(1, HandshakeType::SERVER_HELLO, 1, &server_hello(2, &[9; 32], &[])),
        ),
        (ToClient, record(20, 0, 2, &[1])),
        (ToClient, record(22, 1, 0, &[0; 48])),
        (ToServer, record(20, 0, 2, &[1])),
        (ToServer, record(22, 1, 0, &[0; 48])),
    ]
}

fn full() -> Datagrams {
    let mut certificate = vec![0, 0, 60, 0, 0, 57];
    certificate.resize(63, 5);
    let hello = client_hello(1, &[9; 32], &[], &[]);
    vec![
        (ToServer, message(0, HandshakeType::CLIENT_HELLO, 0, &hello)),
        (
            ToClient,
            message(0, HandshakeType::SERVER_HELLO, 0, &server_hello(2, &[8; 32], &[])),
        ),
        (
            ToClient,
            fragment(1, HandshakeType::CERTIFICATE, 1, &certificate, 0..40),
        ),
        (
            ToClient,
            fragment(2, HandshakeType::CERTIFICATE, 1, &certificate, 40..63),
        ),
        (ToClient, message(3, HandshakeType::SERVER_HELLO_DONE, 2, &[])),
        (ToServer, message(1, HandshakeType::CLIENT_KEY_EXCHANGE, 1, &[1, 2])),
        (ToServer, record(20, 0, 2, &[1])),
        (ToServer, record(22, 1, 0, &[0; 48])),
        (ToClient, record(20, 0, 4, &[1])),
        (ToClient, record(22, 1, 0, &[0; 48])),
    ]
}

/// Calls `check` with many orders of parts of a handshake, some of them with something twice.
fn in_any_order(all: &Datagrams, mut check: impl FnMut(&[(Direction, Vec<u8>)])) {
    // A generator of its own: the same orders in every run.
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    for round in 0..2000 {
        let mut some: Datagrams = all.clone();
        if round % 2 == 1 {
            some.retain(|_| next(4) > 0);
        }
        for at in 0..some.len() {
            let other = next(some.len());
            some.swap(at, other);
        }
        if let Some(twice) = some.first().cloned() {
            some.push(twice);
        }
        check(&some);
    }
}

#[test]
fn a_handshake_is_abbreviated_in_whatever_order_it_comes() {
    let told: Vec<_> = heard(&abbreviated()).1;
    assert_eq!(
        told,
        [
            "client hello",
            "client hello",
            "server hello",
            "abbreviated",
            "protected",
            "protected"
        ]
    );
    in_any_order(&abbreviated(), |datagrams| {
        let (association, words) = heard(datagrams);
        assert!(!words.contains(&"certificate"), "{words:?}");
        if datagrams.len() > abbreviated().len() {
            assert!(words.contains(&"abbreviated"), "{words:?}");
            assert!(association.is_finished(ToServer) && association.is_finished(ToClient));
            assert!(association.has_verify_request());
            assert_eq!(association.retransmissions(), 0, "the same packet twice is none");
        }
        // Protected records come behind both hellos.
        let protected = words.iter().position(|word| *word == "protected");
        let hello = words.iter().rposition(|word| *word == "server hello");
        assert!(protected.is_none() || hello.is_none() || protected > hello, "{words:?}");
    });
}

#[test]
fn no_part_of_a_full_handshake_looks_abbreviated() {
    in_any_order(&full(), |datagrams| {
        let (_, words) = heard(datagrams);
        assert!(!words.contains(&"abbreviated"), "{words:?}");
        let whole = datagrams.len() > full().len();
        assert!(!whole || words.contains(&"certificate"), "{words:?}");
    });
}

#[test]
fn a_ticket_right_behind_the_hello_stands_for_a_lost_change_cipher_spec() {
    let ticket = |number| {
        let mut datagrams = abbreviated();
        // ChangeCipherSpec of both sides is lost.
        datagrams.retain(|(_, datagram)| datagram[0] != 20);
        let message = message(2, HandshakeType::NEW_SESSION_TICKET, number, &[0, 0, 0, 9, 0, 1, 5]);
        datagrams.insert(4, (ToClient, message));
        heard(&datagrams).1
    };
    assert!(ticket(2).contains(&"abbreviated"));
    assert!(!ticket(3).contains(&"abbreviated"), "something stood between them");
}

#[test]
fn what_is_sent_again_has_another_number_and_the_same_random() {
    let mut datagrams = abbreviated();
    let hello = client_hello(1, &[9; 32], &[], &[]);
    datagrams.insert(1, (ToServer, message(7, HandshakeType::CLIENT_HELLO, 0, &hello)));
    let (association, words) = heard(&datagrams);
    assert_eq!(association.retransmissions(), 1);
    assert_eq!(words.iter().filter(|word| **word == "client hello").count(), 2);
    let fit = |from, datagram: &[u8]| {
        let record = records(datagram, 0, None).next().expect("a record");
        association.fit(from, &record, at(99))
    };
    assert_eq!(fit(ToServer, &datagrams[0].1), Fit::Sure);
    let other = message(0, HandshakeType::CLIENT_HELLO, 0, &client_hello(3, &[], &[], &[]));
    assert_eq!(fit(ToServer, &other), Fit::No);
    let other = message(0, HandshakeType::SERVER_HELLO, 0, &server_hello(3, &[], &[]));
    assert_eq!(fit(ToClient, &other), Fit::No);
    assert_eq!(fit(ToClient, &record(23, 1, 5, &[0; 20])), Fit::Likely);
    assert_eq!(fit(ToClient, &record(22, 1, 0, &[0; 48])), Fit::Perhaps, "it was there");
}

#[test]
fn a_forged_number_does_not_make_late_what_follows() {
    let mut datagrams = abbreviated();
    datagrams.push((ToServer, record(23, 1, 1 << 40, &[0; 20])));
    datagrams.push((ToServer, record(23, 9, 1, &[0; 20])));
    datagrams.push((ToServer, record(21, 1, 1, &[0; 26])));
    let (association, words) = heard(&datagrams);
    assert_eq!(words.iter().filter(|word| **word == "protected").count(), 3);
    assert!(association.is_alerted(ToServer) && !association.has_lost(ToServer));
    // An alert in clear is no longer believed.
    datagrams.push((ToClient, record(21, 0, 9, &[2, 40])));
    assert!(!heard(&datagrams).1.contains(&"alert"));
}

#[test]
fn what_waits_for_hellos_is_bounded() {
    let mut association = Association::default();
    for number in 0..10_000 {
        let bytes = record(23, 1, number, &[0; 1000]);
        for record in records(&bytes, 0, None) {
            association.take(ToClient, &record, at(1), &mut |_, _, _| {});
            assert!(association.buffered() <= 70 * 1024);
        }
    }
}

#[test]
fn protected_records_wait_for_keys_and_not_for_ever() {
    let mut association = Association::default();
    let told = std::cell::Cell::new(0);
    let mut listen = |_: Direction, heard: Heard<'_>, _: At| {
        told.set(told.get() + u32::from(matches!(heard, Heard::Protected(_))));
    };
    association.hold(true, &mut listen);
    for (from, datagram) in &abbreviated() {
        for record in records(datagram, 0, None) {
            association.take(*from, &record, at(1), &mut listen);
        }
    }
    assert_eq!(told.get(), 0);
    association.hold(false, &mut listen);
    assert_eq!(told.get(), 2);
    association.hold(true, &mut listen);
    for number in 1..200 {
        for record in records(&record(23, 1, number, &[0; 20]), 0, None) {
            association.take(ToClient, &record, at(1), &mut listen);
        }
    }
    assert_eq!(told.get(), 201, "they are waited for no longer");
}
