//! One connection after another on the same pair of endpoints: what is of which.

use super::{Wire, class};
use crate::dtls::testing::{client_hello, fragment, message, record, server_hello};
use crate::net::FrameRef;
use crate::session::{Blindness, CloseClass, Connection, Outcome, Seen};
use crate::tls::names::HandshakeType;

#[test]
fn handshakes_that_fail_make_room_for_the_next_on_their_port() {
    let mut wire = Wire::new();
    let refused = record(21, 0, 0, &[2, 70]);
    for random in 1..=10 {
        wire.hello(1, random).server(1, &refused).wait(2);
    }
    wire.hello(1, 11).handshake(1, 11, false).close(1);
    let found = wire.finish();
    let failed = |connection: &&&Connection| connection.outcome == Outcome::Failed;
    assert_eq!((found.len(), found.iter().filter(failed).count()), (11, 10));
    assert_eq!(class(found[10]), Some(CloseClass::CleanBoth));
}

#[test]
fn clients_that_get_no_answer_are_told_however_often_they_try() {
    let mut wire = Wire::new();
    for random in 1..=10 {
        wire.hello(1, random).wait(2);
    }
    assert_eq!(wire.finish().len(), 10);
}

#[test]
fn a_close_after_long_silence_is_of_the_connection() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, false).wait(1800).close(1);
    let found = wire.finish();
    assert_eq!((found.len(), class(found[0])), (1, Some(CloseClass::CleanBoth)));
}

#[test]
fn what_the_next_connection_took_the_place_of_may_have_timed_out() {
    let told = |seconds| {
        let mut wire = Wire::new();
        wire.hello(1, 1).handshake(1, 1, false).wait(seconds);
        wire.hello(1, 2).handshake(1, 2, false);
        wire.finish()[0].close.class
    };
    assert_eq!(told(10), Seen::Blind(Blindness::NothingTellsApart));
    assert_eq!(told(400), Seen::Yes(CloseClass::TimeoutSilent));
}

#[test]
fn protected_records_are_of_the_handshake_that_began_to_protect_whichever_side_was_captured() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, false).wait(10).hello(1, 2);
    let hello = server_hello(2, &[2; 32], &[]);
    wire.server(1, &message(0, HandshakeType::SERVER_HELLO, 0, &hello));
    wire.server(1, &message(1, HandshakeType::SERVER_HELLO_DONE, 1, &[]));
    // The client's last flight was not captured.
    let finished = record(22, 1, 0, &[2; 48]);
    wire.server(1, &[record(20, 0, 2, &[1]), finished].concat());
    wire.cipher = 2;
    wire.client(1, &record(23, 1, 1, &[2; 40]))
        .client(1, &record(21, 1, 2, &[3; 26]));
    let frames = wire.frame;
    let found = wire.finish();
    let last = found[1].transport.spans.main.1;
    assert_eq!((found.len(), last), (2, FrameRef::new(0, frames)));
}

/// The two datagrams of a hello that offers a session: the latter is the same for every random.
fn hello_in_parts(random: u8, sequence: u64) -> [Vec<u8>; 2] {
    let hello = client_hello(random, &[7; 32], &[], &[]);
    let part = |number, range| fragment(sequence + number, HandshakeType::CLIENT_HELLO, 0, &hello, range);
    [part(0, 0..50), part(1, 50..hello.len())]
}

#[test]
fn the_latter_part_of_a_hello_is_the_same_in_the_next_one() {
    let mut wire = Wire::new();
    for random in 1..=3 {
        for part in hello_in_parts(random, 0) {
            wire.client(1, &part);
        }
        wire.handshake(1, random, false).wait(2);
    }
    let found = wire.finish();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|connection| connection.hello.yes().is_some()));
    assert!(found.iter().all(|connection| connection.transport.spans.more.is_none()));
}

#[test]
fn the_parts_of_a_hello_may_change_places() {
    let mut wire = Wire::new();
    for random in 1..=3 {
        let [beginning, rest] = hello_in_parts(random, 0);
        wire.client(1, &rest).client(1, &beginning);
        wire.handshake(1, random, false).close(1).wait(2);
    }
    let found = wire.finish();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|connection| connection.hello.yes().is_some()));
    assert!(found.iter().all(|connection| connection.transport.spans.more.is_none()));
    // One that is sent again while its own handshake goes on begins nothing.
    let mut wire = Wire::new();
    let [beginning, rest] = hello_in_parts(1, 0);
    let [_, again] = hello_in_parts(1, 2);
    wire.client(1, &beginning).client(1, &rest).client(1, &again);
    wire.handshake(1, 1, false);
    assert_eq!(wire.finish().len(), 1);
}

#[test]
fn a_hello_that_was_never_whole_is_not_put_together_with_the_next() {
    let mut wire = Wire::new();
    let [beginning, _] = hello_in_parts(1, 0);
    wire.client(1, &beginning).wait(80);
    let [beginning, rest] = hello_in_parts(2, 0);
    wire.client(1, &beginning).client(1, &rest).handshake(1, 2, false);
    let frames = wire.frame;
    let found = wire.finish();
    assert_eq!(found.len(), 1);
    let spans = &found[0].transport.spans;
    assert_eq!(spans.main, (FrameRef::new(0, 2), FrameRef::new(0, frames)));
}

#[test]
fn a_server_that_was_never_asked_in_the_capture_has_no_part_in_the_next_connection() {
    let mut wire = Wire::new();
    let answer = |random: u8, sequence| {
        let hello = server_hello(random, &[random; 32], &[]);
        message(sequence, HandshakeType::SERVER_HELLO, 1, &hello)
    };
    // The first says its answer again and again, and nobody hears it.
    wire.server(1, &answer(9, 1)).wait(2);
    wire.hello(1, 2).server(1, &answer(9, 4)).handshake(1, 2, false);
    let found = wire.finish();
    assert_eq!(found.len(), 2);
    assert!(found[0].hello.yes().is_none() && found[1].hello.yes().is_some());
    assert_eq!(found[1].outcome, Outcome::NotOffered);
}

#[test]
fn an_answer_that_is_said_again_is_of_the_handshake_whose_numbers_it_continues() {
    let mut wire = Wire::new();
    let answer = server_hello(1, &[1; 32], &[]);
    // Of the first, which ends with an alert, the ServerHello was not captured before the next hello.
    wire.hello(1, 1)
        .server(1, &message(0, HandshakeType::SERVER_HELLO_DONE, 3, &[]))
        .client(1, &record(21, 0, 1, &[2, 48]))
        .hello(1, 2)
        .server(1, &message(1, HandshakeType::SERVER_HELLO, 0, &answer));
    let found = wire.finish();
    assert_eq!(found.len(), 2);
    assert!(found[0].answer.yes().is_some() && found[1].answer.yes().is_none());
}

#[test]
fn a_verify_request_is_of_no_connection_that_is_long_established() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, false).wait(10);
    let cookie = [0xfe, 0xff, 2, 7, 7];
    wire.server(1, &message(0, HandshakeType::HELLO_VERIFY_REQUEST, 0, &cookie));
    let before = wire.frame - 1;
    assert_eq!(wire.finish()[0].transport.spans.main.1, FrameRef::new(0, before));
}

#[test]
fn a_finished_that_overtakes_change_cipher_spec_is_not_of_the_connection_that_was_closed() {
    let mut wire = Wire::new();
    wire.hello(1, 1).handshake(1, 1, false).close(1).wait(2).hello(1, 2);
    let hello = server_hello(2, &[2; 32], &[]);
    wire.server(1, &message(0, HandshakeType::SERVER_HELLO, 0, &hello));
    let before = wire.frame - 2;
    wire.server(1, &record(22, 1, 3, &[2; 48]));
    wire.server(1, &record(20, 0, 1, &[1]));
    let found = wire.finish();
    assert_eq!(found[0].transport.spans.main.1, FrameRef::new(0, before));
    assert_eq!(found[1].transport.spans.main.1, FrameRef::new(0, before + 4));
}
