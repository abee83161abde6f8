//! Servers that are heard before their client, or alone.

use super::*;

#[test]
fn an_answer_in_front_of_what_it_answers_is_read_all_the_same() {
    let mut wire = Wire::new();
    let way = server(&FIRST, &CLIENT, &SERVER);
    wire.send(443, 5000, &reply(Some(0)))
        .send(443, 5000, &way.closed(2, 200))
        .send(5000, 443, &first_flight(true));
    let connection = one(rest(&mut wire).finish());
    assert!(
        matches!(connection.outcome, Outcome::Resumed(Some(_))),
        "{:?}",
        connection.outcome
    );
    assert_eq!((connection.client.port, connection.server.port), (5000, 443));
    assert_eq!(connection.transport.first(), FrameRef::new(0, 1));
    assert_eq!(wire.count(Notice::QuicInitialNotAuthentic), 0);
    assert_eq!(wire.engine.datagrams.early().1, 0, "bytes that wait");
}

#[test]
fn an_answer_to_another_client_waits_in_vain() {
    let mut wire = Wire::new();
    let answer = server(&FIRST, &CLIENT, &SERVER).initial(0, &crypto(0, &answer(None)), 1200);
    wire.send(443, 5000, &answer);
    let other = client(&FIRST, &[7; 4]).initial(0, &crypto(0, &hello(1, None, false)), 1200);
    wire.send(5000, 443, &other);
    let connection = one(wire.finish());
    assert!(
        matches!(connection.outcome, Outcome::Unclear(_)),
        "{:?}",
        connection.outcome
    );
    assert_eq!(wire.count(Notice::QuicInitialNotAuthentic), 1);
}

#[test]
fn of_a_server_alone_the_answer_is_read_where_a_retry_went_before() {
    let retry = Way {
        source: &[0xbb; 6],
        ..server(&FIRST, &CLIENT, &SERVER)
    };
    let way = server(&[0xbb; 6], &CLIENT, &SERVER);
    let answered = |selected| {
        let mut wire = Wire::new();
        let mut datagram = way.initial(0, &crypto(0, &answer(selected)), 1200);
        datagram.extend(way.closed(2, 60));
        wire.send(443, 5000, &retry.retry(&FIRST, b"token"))
            .send(443, 5000, &datagram)
            .send(443, 5000, &way.short(60));
        let connection = one(wire.finish());
        assert_eq!((connection.client.port, connection.server.port), (5000, 443));
        assert!(quic(&connection).retry);
        assert_eq!(wire.count(Notice::QuicInitialNotAuthentic), 0);
        // What was offered stands in what was not captured.
        assert_eq!(connection.outcome, Outcome::Unclear(Blindness::OneDirection));
        connection.answer.yes().expect("an answer").selected_psk
    };
    assert_eq!(answered(Some(0)), Some(0));
    assert_eq!(answered(None), None);
    // Without the Retry nothing is.
    let mut wire = Wire::new();
    wire.send(443, 5000, &way.initial(0, &crypto(0, &answer(None)), 1200));
    assert!(wire.finish().is_empty());
    assert_eq!(wire.count(Notice::QuicInitialNotAuthentic), 1);
}

#[test]
fn answers_that_nobody_asked_for_are_bounded() {
    let mut wire = Wire::new();
    let payload = server(&FIRST, &CLIENT, &SERVER).initial(0, &crypto(0, &answer(None)), 1200);
    for port in 2000..9000 {
        wire.send(443, port, &payload);
    }
    let (places, bytes) = wire.engine.datagrams.early();
    assert!(places <= 3 * 1024 && bytes <= 4 << 20, "{places} places, {bytes} bytes");
}

#[test]
fn a_retry_and_an_answer_in_front_of_both_hellos_are_one_connection() {
    let mut wire = Wire::new();
    let retried = [0xbb; 6];
    let retry = Way {
        source: &retried,
        ..server(&FIRST, &CLIENT, &SERVER)
    };
    let second = Way {
        token: b"token",
        ..client(&retried, &CLIENT)
    };
    let hello = hello(1, Some(&TICKET), false);
    wire.send(443, 5000, &retry.retry(&FIRST, b"token"))
        .send(
            443,
            5000,
            &server(&retried, &CLIENT, &SERVER).initial(0, &crypto(0, &answer(Some(0))), 1200),
        )
        .send(5000, 443, &first_flight(true))
        .send(5000, 443, &second.initial(1, &crypto(0, &hello), 1200));
    let connection = one(rest(&mut wire).finish());
    assert!(
        matches!(connection.outcome, Outcome::Resumed(Some(_))),
        "{:?}",
        connection.outcome
    );
    assert!(quic(&connection).retry);
}

#[test]
fn a_first_initial_behind_the_one_that_answers_a_retry_is_no_connection_of_its_own() {
    let retried = [0xbb; 6];
    let second = Way {
        token: b"token",
        ..client(&retried, &CLIENT)
    };
    let second = second.initial(1, &crypto(0, &hello(1, None, false)), 1200);
    let answer = server(&retried, &CLIENT, &SERVER).initial(0, &crypto(0, &answer(None)), 1200);
    let first = first_flight(false);
    for order in [[&second, &first, &answer], [&second, &answer, &first]] {
        let mut wire = Wire::new();
        for datagram in order {
            let (from, to) = if *datagram == answer { (443, 5000) } else { (5000, 443) };
            wire.send(from, to, datagram);
        }
        let connection = one(rest(&mut wire).finish());
        assert_eq!(connection.outcome, Outcome::NotOffered);
        assert!(quic(&connection).retry && !quic(&connection).token && !quic(&connection).token_or_retry);
    }
}

#[test]
fn a_hello_that_is_whole_only_behind_its_answer_begins_anew() {
    let retried = [0xbb; 6];
    let second = Way {
        token: b"token",
        ..client(&retried, &CLIENT)
    };
    let hello = hello(1, None, false);
    let (begin, rest_of_it) = hello.split_at(20);
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(false))
        .send(5000, 443, &second.initial(1, &crypto(0, begin), 1200))
        .send(
            443,
            5000,
            &server(&retried, &CLIENT, &SERVER).initial(0, &crypto(0, &answer(None)), 1200),
        )
        .send(5000, 443, &second.initial(2, &crypto(20, rest_of_it), 1200));
    let connection = one(rest(&mut wire).finish());
    assert!(
        matches!(connection.outcome, Outcome::Unclear(_)),
        "{:?}",
        connection.outcome
    );
}

#[test]
fn what_a_lost_retry_leaves_is_not_told_as_none() {
    let retried = [0xbb; 6];
    let retry = Way {
        source: &retried,
        ..server(&FIRST, &CLIENT, &SERVER)
    };
    let facts = |datagrams: &[Vec<u8>]| {
        let mut wire = Wire::new();
        wire.send(5000, 443, &first_flight(false));
        for datagram in datagrams {
            wire.send(443, 5000, datagram);
        }
        let connection = one(wire.finish());
        (quic(&connection).retry, quic(&connection).token_or_retry)
    };
    assert_eq!(facts(&[]), (false, false));
    assert_eq!(facts(&[retry.retry(&FIRST, b"token")]), (true, false));
    // The server answers something else than was seen.
    let answer = server(&retried, &CLIENT, &SERVER).initial(0, &crypto(0, &answer(None)), 1200);
    assert_eq!(facts(&[answer]), (false, true));
}

#[test]
fn an_answer_in_front_of_what_answers_its_retry_is_read_all_the_same() {
    let retried = [0xbb; 6];
    let retry = server(&FIRST, &CLIENT, &retried).retry(&FIRST, b"token");
    let way = server(&retried, &CLIENT, &SERVER);
    let mut answer = way.initial(0, &crypto(0, &answer(Some(0))), 1200);
    answer.extend(way.closed(2, 60));
    let second = Way {
        token: b"token",
        ..client(&retried, &CLIENT)
    };
    let second = second.initial(1, &crypto(0, &hello(2, Some(&TICKET), false)), 1200);
    let first = first_flight(true);
    let said = |datagrams: &[&[u8]]| {
        let mut wire = Wire::new();
        wire.send(5000, 443, &first)
            .send(443, 5000, &retry)
            .send(443, 5000, &answer);
        wire.send(443, 5000, &way.closed(2, 200));
        for datagram in datagrams {
            wire.send(5000, 443, datagram);
        }
        let connection = one(rest(&mut wire).finish());
        assert_eq!(wire.engine.datagrams.early().1, 0, "bytes that wait");
        assert!(quic(&connection).retry && connection.server_side.captured);
        (connection.outcome, connection.hello.yes().expect("a hello").random[0])
    };
    assert!(matches!(said(&[&second]), (Outcome::Resumed(Some(_)), 2)));
    // What the Retry answers is sent again before.
    assert!(matches!(said(&[&first, &second]), (Outcome::Resumed(Some(_)), 2)));
    // Without it nothing that was read asks for what the server says.
    assert!(matches!(said(&[]), (Outcome::Unclear(_), 1)));
}

#[test]
fn an_answer_to_the_next_client_without_a_name_waits_for_it() {
    let mut wire = Wire::new();
    let begin = |keyed_by: &[u8; 8]| {
        client(keyed_by, &[]).initial(0, &crypto(0, &hello(keyed_by[0], Some(&TICKET), false)), 1200)
    };
    let answer = |keyed_by: &[u8; 8]| server(keyed_by, &[], &SERVER).initial(0, &crypto(0, &answer(Some(0))), 1200);
    wire.send(5000, 443, &begin(&FIRST)).send(443, 5000, &answer(&FIRST));
    wire.send(443, 5000, &answer(&[3; 8])).send(5000, 443, &begin(&[3; 8]));
    let found = wire.finish();
    assert_eq!(found.len(), 2);
    for connection in found {
        assert!(
            matches!(connection.outcome, Outcome::Resumed(Some(_))),
            "{:?}",
            connection.outcome
        );
    }
}

#[test]
fn a_version_negotiation_in_front_of_what_it_answers_is_one() {
    let mut refusal = vec![0x80, 0, 0, 0, 0, 4];
    refusal.extend(CLIENT);
    refusal.push(8);
    refusal.extend(FIRST);
    refusal.extend(QUIC_V1.to_be_bytes());
    let begun = Way {
        version: QUIC_V2,
        ..client(&FIRST, &CLIENT)
    };
    let hello = hello(1, None, false);
    let mut wire = Wire::new();
    wire.send(443, 5000, &refusal)
        .send(5000, 443, &begun.initial(0, &crypto(0, &hello), 1200))
        .send(
            5000,
            443,
            &client(&[0xcc; 8], &[0xdd; 4]).initial(1, &crypto(0, &hello), 1200),
        );
    let connection = one(wire.finish());
    assert!(quic(&connection).version_negotiation);
}

#[test]
fn a_client_that_went_on_before_its_answer_was_captured_has_finished() {
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(true));
    let way = client(&SERVER, &CLIENT);
    wire.send(5000, 443, &way.closed(2, 60)).send(5000, 443, &way.short(60));
    wire.send(443, 5000, &reply(Some(0)));
    let connection = one(wire.finish());
    assert!(
        matches!(connection.outcome, Outcome::Resumed(Some(_))),
        "{:?}",
        connection.outcome
    );
    assert!(connection.client_side.finished.is_some());
}
