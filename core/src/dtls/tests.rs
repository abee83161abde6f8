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

fn first_fit(association: &Association, from: Direction, datagram: &[u8], when: At) -> Fit {
    let record = records(datagram, 0, None).next().expect("a record");
    association.fit(from, &record, when)
}

/// A ServerHello of DTLS 1.3, or a HelloRetryRequest.
fn server_hello13(number: u16, random: Option<u8>) -> (Direction, Vec<u8>) {
    let mut body = server_hello(random.unwrap_or(0), &[], &[0, 43, 0, 2, 0xfe, 0xfc]);
    if random.is_none() {
        body[2..34].copy_from_slice(&crate::tls::hello::HELLO_RETRY_REQUEST);
    }
    (
        ToClient,
        message(u64::from(number), HandshakeType::SERVER_HELLO, number, &body),
    )
}

#[test]
fn records_under_encrypted_numbers_are_of_dtls13_alone() {
    let unified = [&[0b0010_1110, 1, 2, 0, 20][..], &[0; 20]].concat();
    let hello = (
        ToServer,
        message(0, HandshakeType::CLIENT_HELLO, 0, &client_hello(1, &[], &[], &[])),
    );
    let of13 = heard(&[hello, server_hello13(0, Some(2))]).0;
    assert_eq!(first_fit(&of13, ToClient, &unified, at(9)), Fit::Likely);
    assert_eq!(first_fit(&heard(&abbreviated()).0, ToClient, &unified, at(9)), Fit::No);
}

#[test]
fn a_retry_request_shows_in_the_number_of_the_hello_behind_it_and_a_cookie_in_the_hello_before() {
    let hello = |number, extensions: &[u8]| {
        let body = client_hello(1, &[], &[], extensions);
        (
            ToServer,
            message(u64::from(number), HandshakeType::CLIENT_HELLO, number, &body),
        )
    };
    let facts = |datagrams: &[(Direction, Vec<u8>)]| {
        let association = heard(datagrams).0;
        (
            association.has_verify_request(),
            association.has_retry_request(),
            association.has_retry_cookie(),
        )
    };
    assert_eq!(
        facts(&[hello(0, &[]), server_hello13(0, Some(2))]),
        (false, false, false)
    );
    assert_eq!(
        facts(&[hello(0, &[]), server_hello13(1, Some(2))]),
        (false, true, false)
    );
    let cookie = [0, 44, 0, 3, 0, 1, 7];
    let all = [
        hello(0, &[]),
        server_hello13(0, None),
        hello(1, &cookie),
        server_hello13(1, Some(2)),
    ];
    assert_eq!(facts(&all), (false, true, true));
    // A HelloRetryRequest that was told before is of the same handshake.
    let association = heard(&all).0;
    assert_eq!(
        first_fit(&association, ToClient, &server_hello13(0, None).1, at(9)),
        Fit::Perhaps
    );
    assert_eq!(
        first_fit(&association, ToClient, &server_hello13(1, Some(3)).1, at(9)),
        Fit::No
    );
}

#[test]
fn a_verify_request_shows_by_itself_by_its_cookie_and_by_the_number_behind_it() {
    let without = |lost: &[usize]| {
        let mut datagrams = abbreviated();
        let mut at = 0..;
        datagrams.retain(|_| !lost.contains(&at.next().unwrap_or_default()));
        heard(&datagrams).0.has_verify_request()
    };
    assert!(without(&[]) && without(&[1]) && without(&[2, 3]));
    assert!(without(&[0, 1, 2]), "the ServerHello is the second message");
    assert!(!heard(&full()).0.has_verify_request());
}

#[test]
fn what_each_side_has_sent_is_known_by_numbers() {
    let association = heard(&full()).0;
    for side in [ToServer, ToClient] {
        assert!(association.is_finished(side) && association.has_finished(side) && !association.has_lost(side));
        assert!(!association.is_alerted(side) && !association.is_alerted_in_clear(side));
        assert!(!association.leaves_out_messages(side) && !association.is_incomplete(side));
    }
    assert_eq!([ToServer, ToClient].map(|side| association.next_in_clear(side)), [3, 5]);

    // Without Finished and a message of the server, and with something behind its Finished.
    let mut datagrams = full();
    datagrams.retain(|(from, datagram)| {
        !(*from == ToClient && (datagram[4] == 1 || datagram[10] == 1 || datagram[10] == 2))
    });
    datagrams.push((ToClient, record(23, 1, 1, &[0; 20])));
    let association = heard(&datagrams).0;
    assert!(association.is_finished(ToClient) && !association.has_finished(ToClient) && association.has_lost(ToClient));
    assert!(association.leaves_out_messages(ToClient) && !association.leaves_out_messages(ToServer));
    let begun = heard(&full()[..1]).0;
    assert!(!begun.is_finished(ToServer) && !begun.has_finished(ToServer) && !begun.has_lost(ToServer));
}

#[test]
fn an_alert_in_clear_ends_a_handshake_and_no_association_under_protection() {
    let alert = (ToClient, record(21, 0, 1, &[2, 40]));
    let mut datagrams = full()[..2].to_vec();
    datagrams.push(alert.clone());
    let (association, words) = heard(&datagrams);
    assert!(words.contains(&"alert"));
    assert_eq!(
        [ToServer, ToClient].map(|side| association.is_alerted_in_clear(side)),
        [false, true]
    );
    assert!(association.is_alerted(ToClient));
    // What changes the cipher then is of an elder one, sent again.
    let change = record(20, 0, 4, &[1]);
    assert_eq!(first_fit(&association, ToServer, &change, at(9)), Fit::Perhaps);
    assert_eq!(first_fit(&heard(&full()[..2]).0, ToServer, &change, at(9)), Fit::Likely);
    assert_eq!(
        first_fit(&heard(&full()[..1]).0, ToServer, &change, at(9)),
        Fit::Perhaps
    );

    let mut datagrams = full();
    datagrams.push(alert);
    let (association, words) = heard(&datagrams);
    assert!(!words.contains(&"alert") && !association.is_alerted(ToClient));
}

#[test]
fn a_hello_of_an_association_whose_own_is_lost_comes_within_a_second() {
    let datagrams: Datagrams = full().split_off(1);
    let association = heard(&datagrams).0;
    let last = i64::try_from(datagrams.len()).expect("few");
    let hello = &full()[0].1;
    let later = |nanos| At {
        time: Timestamp::from_nanos(last + nanos),
        ..at(99)
    };
    assert_eq!(
        first_fit(&association, ToServer, hello, later(1_000_000_000)),
        Fit::Likely
    );
    assert_eq!(first_fit(&association, ToServer, hello, later(1_000_000_001)), Fit::No);
    let mut over = datagrams.clone();
    over.push((ToClient, record(21, 1, 1, &[0; 26])));
    assert_eq!(
        first_fit(&heard(&over).0, ToServer, hello, later(1)),
        Fit::No,
        "it was over"
    );
}

#[test]
fn a_part_of_a_certificate_proves_a_full_handshake_as_the_whole_does() {
    let told = |from, kind| {
        let mut datagrams = full()[..2].to_vec();
        datagrams.push((from, fragment(1, kind, 1, &[5; 60], 0..20)));
        datagrams.push((from, fragment(2, kind, 1, &[5; 60], 20..40)));
        heard(&datagrams).1[2..].to_vec()
    };
    for kind in [
        HandshakeType::CERTIFICATE,
        HandshakeType::SERVER_KEY_EXCHANGE,
        HandshakeType::CERTIFICATE_REQUEST,
    ] {
        assert_eq!(told(ToClient, kind), ["certificate"]);
    }
    assert!(told(ToServer, HandshakeType::CERTIFICATE).is_empty());
    assert!(told(ToClient, HandshakeType::NEW_SESSION_TICKET).is_empty());
}

#[test]
fn of_two_hellos_of_a_client_the_second_is_told_last_and_one_of_another_client_not_at_all() {
    let mut datagrams = abbreviated();
    datagrams.swap(0, 2);
    let hellos = |datagrams: &[_]| {
        heard(datagrams)
            .1
            .iter()
            .filter(|word| **word == "client hello")
            .count()
    };
    assert_eq!(hellos(&datagrams), 1);
    let mut datagrams = abbreviated();
    let other = client_hello(3, &[9; 32], &[7], &[]);
    datagrams[2].1 = message(1, HandshakeType::CLIENT_HELLO, 1, &other);
    assert_eq!(hellos(&datagrams), 1);
}

#[test]
fn messages_wait_for_the_hello_in_front_of_them() {
    let mut datagrams = full();
    datagrams.swap(1, 4);
    assert_eq!(
        heard(&datagrams[..3]).1,
        ["client hello", "certificate", "other"],
        "told at the end"
    );
    assert_eq!(heard(&datagrams[..5]).1[..2], ["client hello", "certificate"]);
}

#[test]
fn a_ticket_alone_abbreviates_nothing_until_the_server_protects_its_records() {
    let mut datagrams = abbreviated();
    datagrams.truncate(4);
    let ticket = message(2, HandshakeType::NEW_SESSION_TICKET, 2, &[0, 0, 0, 9, 0, 1, 5]);
    datagrams.push((ToClient, ticket));
    assert!(!heard(&datagrams).1.contains(&"abbreviated"));
    datagrams.push((ToClient, record(22, 1, 0, &[0; 48])));
    assert!(heard(&datagrams).1.contains(&"abbreviated"));
}

/// How many protected records with bodies of this length wait before they are told without the hellos.
fn waiting(body: usize) -> u64 {
    let mut association = Association::default();
    let told = std::cell::Cell::new(0);
    for number in 0.. {
        for record in records(&record(23, 1, number, &vec![0; body]), 0, None) {
            association.take(ToClient, &record, at(1), &mut |_, _, _| told.set(told.get() + 1));
        }
        if told.get() > 0 {
            assert_eq!((told.get(), association.buffered()), (number + 1, 0));
            return number;
        }
        assert!(association.buffered() > usize::try_from(number).expect("few") * body);
    }
    0
}

#[test]
fn so_many_records_wait_for_hellos_and_so_many_bytes() {
    assert_eq!(waiting(20), 64);
    let each = waiting(8000);
    assert!((7..=8).contains(&each), "{each}");
}

#[test]
fn a_record_under_protection_comes_next_once_something_announced_it() {
    let protected = record(22, 1, 0, &[0; 48]);
    let fit = |datagrams: &[(Direction, Vec<u8>)]| first_fit(&heard(datagrams).0, ToClient, &protected, at(9));
    assert_eq!(fit(&abbreviated()[..4]), Fit::Perhaps);
    assert_eq!(fit(&abbreviated()[..5]), Fit::Likely, "ChangeCipherSpec");
    assert_eq!(fit(&abbreviated()[..6]), Fit::Perhaps, "it was there");
    // Its ChangeCipherSpec was lost: another of its epoch is the next.
    let mut lost = abbreviated();
    lost.remove(4);
    let next = record(22, 1, 1, &[0; 48]);
    assert_eq!(first_fit(&heard(&lost[..5]).0, ToClient, &next, at(9)), Fit::Likely);
    let only_server = heard(&abbreviated()[..6]).0;
    assert!(!only_server.is_established() && heard(&abbreviated()).0.is_established());
}

#[test]
fn an_alert_is_fatal_by_its_level() {
    for (level, expected) in [(2, true), (1, false)] {
        let mut association = Association::default();
        let mut told = None;
        let alert = record(21, 0, 1, &[level, 40]);
        for record in records(&alert, 0, None) {
            association.take(ToClient, &record, at(1), &mut |_, heard, _| {
                if let Heard::Event(RecordEvent::Alert { fatal, .. }) = heard {
                    told = Some(fatal);
                }
            });
        }
        assert_eq!(told, Some(expected));
    }
}

#[test]
fn parts_of_messages_are_held_for_either_side() {
    let mut association = Association::default();
    for (from, length) in [(ToServer, 20), (ToClient, 30)] {
        let part = fragment(1, HandshakeType::CERTIFICATE, 1, &[5; 60], 0..length);
        for record in records(&part, 0, None) {
            association.take(from, &record, at(1), &mut |_, _, _| {});
        }
    }
    assert_eq!(association.buffered(), 50);
    assert!(association.is_incomplete(ToServer) && association.is_incomplete(ToClient));
}

#[test]
fn what_the_snap_length_took_of_a_message_may_be_missing_and_no_more() {
    let news = |datagram: &[u8], cut| {
        let mut association = Association::default();
        let mut news = None;
        for record in records(datagram, cut, None) {
            news = association.take(ToServer, &record, at(1), &mut |_, _, _| {});
        }
        news
    };
    let whole = message(1, HandshakeType::CERTIFICATE, 1, &[5; 60]);
    assert_eq!(news(&whole[..whole.len() - 20], 20), Some(true));
    // A fragment that says it is longer than its record.
    let mut longer = fragment(1, HandshakeType::CERTIFICATE, 1, &[5; 60], 0..40);
    longer[24] = 50;
    assert_eq!(news(&longer, 0), Some(false));
}

#[test]
fn a_verify_request_that_does_not_add_up_is_none() {
    let hello = (
        ToServer,
        message(0, HandshakeType::CLIENT_HELLO, 0, &client_hello(1, &[], &[], &[])),
    );
    let with = |body: &[u8]| {
        let request = (ToClient, message(0, HandshakeType::HELLO_VERIFY_REQUEST, 0, body));
        heard(&[hello.clone(), request]).0.has_verify_request()
    };
    assert!(with(&[0xfe, 0xff, 1, 7]));
    assert!(!with(&[0xfe, 0xff, 2, 7]));
    let part = fragment(0, HandshakeType::HELLO_VERIFY_REQUEST, 0, &[0xfe, 0xff, 1, 7, 9], 0..4);
    assert!(!heard(&[hello.clone(), (ToClient, part)]).0.has_verify_request());
}

#[test]
fn behind_its_hello_a_message_is_told_at_once() {
    let mut association = Association::default();
    let told = std::cell::Cell::new(0);
    let mut take = |from, datagram: &[u8]| {
        for record in records(datagram, 0, None) {
            association.take(from, &record, at(1), &mut |_, _, _| told.set(told.get() + 1));
        }
        told.get()
    };
    let all = full();
    assert_eq!(take(ToClient, &all[4].1), 0, "its hello is to come");
    assert_eq!(take(ToClient, &all[1].1), 1);
    assert_eq!(take(ToServer, &all[0].1), 3, "with what waited");
    assert_eq!(take(ToServer, &all[5].1), 4);
    // Also where the other side's hello is still to come.
    let mut association = Association::default();
    let mut told = 0;
    for datagram in [&all[1].1, &all[4].1] {
        for record in records(datagram, 0, None) {
            association.take(ToClient, &record, at(1), &mut |_, _, _| told += 1);
        }
    }
    assert_eq!(told, 2);
}
