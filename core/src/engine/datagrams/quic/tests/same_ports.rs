//! Several connections of the same two ports, one of which was refused a version, never answered, or of a client without a name:
//! what is said of one is not true of another.

use super::*;

const OTHER: [u8; 4] = [0xdd; 4];
const SECOND: [u8; 8] = [0xcc; 8];
const UNKNOWN: u32 = 0x1a2a_3a4a;

/// A first Initial in a version that is not read here.
fn unknown(destination: &[u8], source: &[u8]) -> Vec<u8> {
    let way = Way {
        version: UNKNOWN,
        ..client(destination, source)
    };
    let mut datagram = way.closed(0, 60);
    datagram.resize(1200, 7);
    datagram
}

/// The server's refusal of a version, which names this one.
fn refusal(destination: &[u8], source: &[u8], version: u32) -> Vec<u8> {
    let mut datagram = vec![0x80, 0, 0, 0, 0];
    for id in [source, destination] {
        datagram.push(u8::try_from(id.len()).expect("short"));
        datagram.extend(id);
    }
    datagram.extend(version.to_be_bytes());
    datagram
}

/// A first flight of the client, with its packets numbered from here on: each says another hello.
fn begins(way: Way<'_>, number: u8) -> Vec<u8> {
    let random = way.destination.first().copied().unwrap_or_default();
    way.initial(number, &crypto(0, &hello(random, None, false)), 1200)
}

/// Frame at which each connection began, and whether a version was refused.
fn told(wire: &mut Wire) -> Vec<(u64, bool)> {
    let connections = wire.finish();
    let fact = |connection: &Connection| {
        let facts = quic(connection);
        (connection.transport.first().frame(), facts.version_negotiation)
    };
    connections.iter().map(fact).collect()
}

#[test]
fn a_refusal_is_of_the_beginning_whose_ids_it_mirrors() {
    // A connection without a name was before between these ports.
    let mut wire = Wire::new();
    wire.send(5000, 443, &begins(client(&SECOND, &[]), 0))
        .send(
            443,
            5000,
            &server(&SECOND, &[], &SERVER).initial(0, &crypto(0, &answer(None)), 1200),
        )
        .wait(1)
        .send(5000, 443, &unknown(&FIRST, &CLIENT))
        .send(443, 5000, &refusal(&FIRST, &CLIENT, QUIC_V1))
        .send(5000, 443, &begins(client(&FIRST, &CLIENT), 0));
    assert_eq!(told(&mut wire), [(1, false), (3, true)]);
}

#[test]
fn a_refusal_in_front_of_what_it_answers_is_not_of_who_was_there_before() {
    let refused = Way {
        version: QUIC_V2,
        ..client(&FIRST, &CLIENT)
    };
    let mut wire = Wire::new();
    wire.send(5000, 443, &begins(client(&SECOND, &OTHER), 0))
        .send(
            443,
            5000,
            &server(&SECOND, &OTHER, &SERVER).initial(0, &crypto(0, &answer(None)), 1200),
        )
        .send(443, 5000, &refusal(&FIRST, &CLIENT, QUIC_V1))
        .send(5000, 443, &begins(refused, 0));
    assert_eq!(told(&mut wire), [(1, false), (4, true)]);
}

#[test]
fn who_begins_behind_a_refusal_need_not_be_who_was_refused() {
    let begun = |number: u8, seconds: i64| {
        let mut wire = Wire::new();
        wire.send(5000, 443, &unknown(&FIRST, &CLIENT))
            .send(443, 5000, &refusal(&FIRST, &CLIENT, QUIC_V1))
            .wait(seconds)
            .send(5000, 443, &begins(client(&SECOND, &OTHER), number));
        told(&mut wire)
    };
    // One that goes on counting its packets has begun before; but nobody waits with that.
    assert_eq!(begun(1, 0), [(1, true)]);
    assert_eq!(begun(0, 0), [(3, false)]);
    assert_eq!(begun(1, 5), [(3, false)]);
}

#[test]
fn who_was_refused_is_remembered_behind_another_connection() {
    let mut wire = Wire::new();
    wire.send(5000, 443, &unknown(&FIRST, &CLIENT))
        .send(5000, 443, &unknown(&FIRST, &CLIENT))
        .send(443, 5000, &refusal(&FIRST, &CLIENT, QUIC_V1))
        .send(5000, 443, &begins(client(&SECOND, &OTHER), 0))
        .send(5000, 443, &begins(client(&FIRST, &CLIENT), 0));
    assert_eq!(told(&mut wire), [(4, false), (1, true)]);
}

#[test]
fn a_refused_hello_that_can_be_read_is_of_no_later_client_of_its_port() {
    let refused = Way {
        version: QUIC_V2,
        ..client(&FIRST, &CLIENT)
    };
    let begun = |way: Way<'_>, number: u8, seconds: i64| {
        let mut wire = Wire::new();
        wire.send(5000, 443, &begins(refused, 0))
            .send(443, 5000, &refusal(&FIRST, &CLIENT, QUIC_V1))
            .wait(seconds)
            .send(5000, 443, &begins(way, number));
        told(&mut wire).len()
    };
    assert_eq!(begun(client(&SECOND, &OTHER), 1, 0), 1);
    assert_eq!(begun(client(&SECOND, &OTHER), 0, 0), 2);
    assert_eq!(begun(client(&SECOND, &OTHER), 1, 5), 2);
    // Nobody tries again what was refused.
    let again = Way {
        destination: &SECOND,
        keyed_by: &SECOND,
        source: &OTHER,
        ..refused
    };
    assert_eq!(begun(again, 1, 0), 2);
    // With a token it has an answer of its own behind it.
    let with_token = Way {
        token: b"token",
        ..client(&SECOND, &OTHER)
    };
    assert_eq!(begun(with_token, 1, 0), 2);
    // What the IDs tell comes first.
    let mut wire = Wire::new();
    wire.send(5000, 443, &begins(refused, 0))
        .send(443, 5000, &refusal(&FIRST, &CLIENT, QUIC_V1))
        .send(5000, 443, &unknown(&SECOND, &OTHER))
        .send(443, 5000, &refusal(&SECOND, &OTHER, QUIC_V1))
        .send(5000, 443, &begins(client(&SECOND, &OTHER), 1));
    assert_eq!(told(&mut wire), [(1, true), (3, true)]);
}

#[test]
fn clients_without_a_name_are_told_apart_by_what_they_have_behind_them() {
    let begun = |went_on: bool, way: Way<'_>, number: u8| {
        let mut wire = Wire::new();
        wire.send(5000, 443, &begins(client(&FIRST, &[]), 0));
        if went_on {
            wire.send(5000, 443, &client(&SERVER, &[]).short(60));
        }
        wire.wait(1).send(5000, 443, &begins(way, number));
        let connections = wire.finish();
        (connections.len(), quic(&connections[0]).retry)
    };
    let token = Way {
        token: b"token",
        ..client(&SECOND, &[])
    };
    // RFC 9000 §17.2.5.3: behind a Retry a client goes on counting.
    assert_eq!(begun(false, token, 1), (1, true));
    assert_eq!(begun(false, token, 0), (2, false));
    // Who has its answer does not begin anew.
    assert_eq!(begun(true, token, 1), (2, false));
    // Nor does who was refused this very version.
    let mut wire = Wire::new();
    wire.send(5000, 443, &begins(client(&FIRST, &[]), 0))
        .send(443, 5000, &refusal(&FIRST, &[], QUIC_V2))
        .send(5000, 443, &begins(token, 1));
    assert_eq!(told(&mut wire), [(1, true), (3, false)]);
    let other = Way {
        version: QUIC_V2,
        ..client(&SECOND, &[])
    };
    assert_eq!(begun(false, other, 0), (2, false));
    // In the version of an answer that was not captured it goes on with the keys that it has.
    let goes_on = Way {
        version: QUIC_V2,
        keyed_by: &FIRST,
        ..client(&SERVER, &[])
    };
    assert_eq!(begun(false, goes_on, 1), (1, false));
}

#[test]
fn what_waits_for_a_client_without_a_name_is_for_the_one_whose_keys_open_it() {
    let begun = |destination: &[u8]| {
        let mut wire = Wire::new();
        let way = server(&FIRST, &[], &SERVER);
        wire.send(443, 5000, &way.initial(0, &crypto(0, &answer(None)), 1200))
            .wait(40)
            .send(5000, 443, &begins(client(destination, &[]), 0));
        let connection = one(wire.finish());
        (connection.transport.first().frame(), connection.answer.yes().is_some())
    };
    assert_eq!(begun(&FIRST), (1, true));
    assert_eq!(begun(&SECOND), (2, false));
}

#[test]
fn a_server_that_acknowledged_in_the_first_version_may_answer_in_another() {
    let hello = hello(1, None, false);
    let (first, second) = hello.split_at(20);
    let way = server(&FIRST, &CLIENT, &SERVER);
    let other = Way {
        version: QUIC_V2,
        ..way
    };
    let more = Way {
        keyed_by: &FIRST,
        ..client(&SERVER, &CLIENT)
    };
    let shown = |packets: &[Vec<u8>]| {
        let mut wire = Wire::new();
        wire.send(5000, 443, &client(&FIRST, &CLIENT).initial(0, &crypto(0, first), 1200))
            .send(443, 5000, &way.initial(0, &[2, 0, 0, 0, 0], 0))
            .send(5000, 443, &more.initial(1, &crypto(20, second), 1200));
        for packet in packets {
            wire.send(443, 5000, packet);
        }
        quic(&one(wire.finish())).version
    };
    let answer = answer(None);
    let answered = other.initial(0, &crypto(0, &answer), 1200);
    assert_eq!(shown(std::slice::from_ref(&answered)), QUIC_V2);
    // What comes late in the first one changes nothing.
    assert_eq!(shown(&[answered, way.initial(1, &[2, 0, 0, 0, 0], 0)]), QUIC_V2);
    // Where the answer was not captured, what follows it shows its version.
    assert_eq!(shown(&[other.closed(2, 60)]), QUIC_V2);
}
