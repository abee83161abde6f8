//! Connections of hand-made packets: what real software sends in the wrong order, what it will not send, and what others
//! send to harm.

mod early;
mod same_ports;
mod unanswered;

use crate::datagram::kind::{QUIC_V1, QUIC_V2};
use crate::engine::{Engine, Limits};
use crate::net::{FrameRef, LinkType, Notice, Packet, Timestamp};
use crate::quic::testing::{Way, answer, client, crypto, hello, server};
use crate::session::{Blindness, CloseClass, Completed, Connection, EarlyData, Outcome, QuicFacts, Seen};

const CLIENT: [u8; 4] = [1, 2, 3, 4];
const SERVER: [u8; 5] = [9, 8, 7, 6, 5];
const FIRST: [u8; 8] = [0xaa; 8];
/// Not printable: a printable identity may be an external PSK.
const TICKET: [u8; 40] = [0xd5; 40];

/// A network with one client and one server.
struct Wire {
    engine: Engine,
    frame: u64,
    /// Milliseconds.
    now: i64,
}

impl Wire {
    fn new() -> Self {
        Self {
            engine: Engine::new(Limits::default()),
            frame: 0,
            now: 0,
        }
    }

    /// Sends a datagram from one port to another: above 1000 are the client's.
    fn send(&mut self, from: u16, to: u16, payload: &[u8]) -> &mut Self {
        let address = |port: u16| if port > 1000 { [192, 0, 2, 1] } else { [192, 0, 2, 2] };
        let length = u16::try_from(payload.len() + 28).expect("short");
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        packet.extend(address(from));
        packet.extend(address(to));
        packet.extend([from, to, length - 20, 0].iter().flat_map(|field| field.to_be_bytes()));
        packet.extend_from_slice(payload);
        self.frame += 1;
        self.now += 1;
        self.engine.push(&Packet {
            frame: FrameRef::new(0, self.frame),
            time: Timestamp::from_nanos(self.now * 1_000_000),
            link: LinkType::RAW,
            interface: 0,
            data: &packet,
            original_len: u32::try_from(packet.len()).expect("short"),
        });
        self
    }

    fn wait(&mut self, seconds: i64) -> &mut Self {
        self.now += seconds * 1000;
        self
    }

    fn finish(&mut self) -> Vec<Connection> {
        self.engine.finish();
        self.engine
            .connection_store()
            .iter()
            .map(|(_, connection)| connection.clone())
            .collect()
    }

    fn count(&self, notice: Notice) -> u64 {
        self.engine.notices().count(notice)
    }
}

fn one(connections: Vec<Connection>) -> Connection {
    let [connection] = <[Connection; 1]>::try_from(connections).expect("one connection");
    connection
}

fn quic(connection: &Connection) -> &QuicFacts {
    connection.transport.quic().expect("QUIC")
}

/// The client's first flight: one datagram.
fn first_flight(psk: bool) -> Vec<u8> {
    let hello = hello(1, psk.then_some(&TICKET[..]), psk);
    client(&FIRST, &CLIENT).initial(0, &crypto(0, &hello), 1200)
}

/// The server's answer, with Handshake packets behind it.
fn reply(selected: Option<u16>) -> Vec<u8> {
    let way = server(&FIRST, &CLIENT, &SERVER);
    let mut datagram = way.initial(0, &crypto(0, &answer(selected)), 0);
    datagram.extend(way.closed(2, 60));
    datagram
}

/// The client's last flight, and a packet of each side after it.
fn rest(wire: &mut Wire) -> &mut Wire {
    let way = client(&SERVER, &CLIENT);
    wire.send(5000, 443, &way.closed(2, 60))
        .send(5000, 443, &way.short(60))
        .send(443, 5000, &server(&FIRST, &CLIENT, &SERVER).short(60))
}

#[test]
fn an_accepted_psk_is_a_resumption_and_its_early_data_is_not_visible() {
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(true))
        .send(443, 5000, &reply(Some(0)));
    let connection = one(rest(&mut wire).finish());
    assert!(
        matches!(connection.outcome, Outcome::Resumed(Some(_))),
        "{:?}",
        connection.outcome
    );
    assert_eq!(connection.early_data, EarlyData::Unclear(Blindness::Encrypted));
    assert_eq!(connection.close.class, Seen::Blind(Blindness::Encrypted));
    assert_eq!((connection.client.port, connection.server.port), (5000, 443));
    assert_eq!(quic(&connection).version, QUIC_V1);
}

#[test]
fn datagrams_that_were_captured_twice_make_a_handshake_no_longer() {
    let sent = |copies: usize| {
        let mut wire = Wire::new();
        for _ in 0..copies {
            wire.send(5000, 443, &first_flight(true));
        }
        for _ in 0..copies {
            wire.send(443, 5000, &reply(Some(0)));
        }
        let connection = one(rest(&mut wire).finish());
        [&connection.client_side, &connection.server_side].map(|side| side.handshake_bytes)
    };
    assert!(sent(1).iter().all(Option::is_some));
    assert_eq!(sent(2), sent(1));
}

#[test]
fn a_refused_psk_is_a_decline_and_its_early_data_is_refused_with_it() {
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(true)).send(443, 5000, &reply(None));
    let connection = one(rest(&mut wire).finish());
    assert_eq!(connection.outcome, Outcome::Declined);
    assert!(matches!(
        connection.early_data,
        EarlyData::Rejected { inferred: false, .. }
    ));
}

#[test]
fn a_hello_in_two_datagrams_is_whole_in_either_order() {
    let hello = hello(1, Some(&TICKET), false);
    let way = client(&FIRST, &CLIENT);
    let (front, back) = hello.split_at(60);
    let datagrams = [
        way.initial(0, &crypto(0, front), 1200),
        way.initial(1, &crypto(60, back), 1200),
    ];
    for order in [[0, 1], [1, 0]] {
        let mut wire = Wire::new();
        for place in order {
            wire.send(5000, 443, &datagrams[place]);
        }
        wire.send(443, 5000, &reply(Some(0)));
        let connection = one(rest(&mut wire).finish());
        assert!(matches!(connection.outcome, Outcome::Resumed(Some(_))));
    }
    // Without its second half nothing is known of an offer.
    let mut wire = Wire::new();
    wire.send(5000, 443, &datagrams[0]).send(443, 5000, &reply(Some(0)));
    let connection = one(rest(&mut wire).finish());
    assert_eq!(connection.hello.blind(), Some(Blindness::Gap));
    assert!(matches!(connection.outcome, Outcome::Unclear(_)));
}

#[test]
fn what_opens_and_holds_no_hello_is_no_connection() {
    let way = client(&FIRST, &CLIENT);
    let mut wire = Wire::new();
    // A ServerHello from a client, a PING alone, and half a hello.
    wire.send(5000, 443, &way.initial(0, &crypto(0, &answer(None)), 1200))
        .send(5001, 443, &way.initial(0, &[1], 1200))
        .send(
            5002,
            443,
            &way.initial(0, &crypto(0, &hello(1, None, false)[..50]), 1200),
        );
    assert!(wire.finish().is_empty());
}

#[test]
fn what_does_not_open_is_told_once_and_tried_no_more() {
    let mut forged = first_flight(false);
    *forged.last_mut().expect("bytes") ^= 1;
    let mut wire = Wire::new();
    for _ in 0..15 {
        wire.send(5000, 443, &forged);
    }
    // Below the limit an honest one still opens.
    assert_eq!(wire.send(5000, 443, &first_flight(false)).finish().len(), 1);
    assert_eq!(wire.count(Notice::QuicInitialNotAuthentic), 1);
    let mut wire = Wire::new();
    for _ in 0..16 {
        wire.send(5000, 443, &forged);
    }
    wire.send(5000, 443, &first_flight(false))
        .send(5001, 443, &first_flight(false));
    let told: Vec<u16> = wire.finish().iter().map(|connection| connection.client.port).collect();
    assert_eq!(told, [5001]);
}

#[test]
fn a_datagram_smaller_than_a_first_one_begins_nothing() {
    let hello = hello(1, None, false);
    let small = client(&FIRST, &CLIENT).initial(0, &crypto(0, &hello), 1199);
    assert_eq!(small.len(), 1199);
    let mut wire = Wire::new();
    assert!(wire.send(5000, 443, &small).finish().is_empty());
}

#[test]
fn the_hello_after_a_retry_is_the_one_that_counts() {
    let retried = [0xbb; 6];
    let retry = server(&FIRST, &CLIENT, &retried).retry(&FIRST, b"token");
    let second = Way {
        token: b"token",
        ..client(&retried, &CLIENT)
    };
    // aioquic draws another random after a Retry.
    let second = second.initial(1, &crypto(0, &hello(2, Some(&TICKET), false)), 1200);
    let way = server(&retried, &CLIENT, &SERVER);
    let mut reply = way.initial(0, &crypto(0, &answer(Some(0))), 0);
    reply.extend(way.closed(2, 60));
    // With the Retry, without it, and with one whose tag is wrong: that one is nothing.
    let genuine = retry;
    let mut forged = genuine.clone();
    *forged.last_mut().expect("a tag") ^= 1;
    for retry in [Some(&genuine), None, Some(&forged)] {
        let is_there = retry == Some(&genuine);
        let mut wire = Wire::new();
        wire.send(5000, 443, &first_flight(false));
        if let Some(retry) = retry {
            wire.send(443, 5000, retry);
        }
        wire.send(5000, 443, &second);
        // What was sent before arrives late: it is void.
        wire.send(5000, 443, &first_flight(false)).send(443, 5000, &reply);
        let connection = one(rest(&mut wire).finish());
        assert!(
            matches!(connection.outcome, Outcome::Resumed(Some(_))),
            "{:?}",
            connection.outcome
        );
        assert_eq!(connection.hello.yes().expect("a hello").random, [2; 32]);
        assert!(quic(&connection).retry && !quic(&connection).token);
        let counted = connection.server_side.handshake_bytes.is_some();
        assert_eq!(counted, is_there, "a Retry that is not there is not counted");
        assert_eq!(connection.transport.first().frame(), 1);
    }
}

#[test]
fn a_token_of_an_earlier_connection_is_no_retry() {
    let way = Way {
        token: b"token",
        ..client(&FIRST, &CLIENT)
    };
    let mut wire = Wire::new();
    wire.send(5000, 443, &way.initial(0, &crypto(0, &hello(1, None, false)), 1200))
        .send(443, 5000, &reply(None));
    let connection = one(rest(&mut wire).finish());
    assert!(quic(&connection).token && !quic(&connection).retry && !quic(&connection).token_or_retry);
}

#[test]
fn a_token_that_is_not_in_the_first_packet_may_answer_a_retry_that_was_not_seen() {
    let way = Way {
        token: b"token",
        ..client(&FIRST, &CLIENT)
    };
    let mut wire = Wire::new();
    wire.send(5000, 443, &way.initial(1, &crypto(0, &hello(1, None, false)), 1200))
        .send(443, 5000, &reply(None));
    assert!(quic(&one(rest(&mut wire).finish())).token_or_retry);
}

#[test]
fn a_version_that_the_server_refuses_is_the_beginning_of_the_connection() {
    let mut unknown = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8];
    unknown.extend(FIRST);
    unknown.push(4);
    unknown.extend(CLIENT);
    unknown.resize(1200, 7);
    let mut refusal = vec![0x80, 0, 0, 0, 0, 4];
    refusal.extend(CLIENT);
    refusal.push(8);
    refusal.extend(FIRST);
    refusal.extend(QUIC_V1.to_be_bytes());
    let mut wire = Wire::new();
    wire.send(5000, 443, &unknown)
        .send(443, 5000, &refusal)
        .send(5000, 443, &first_flight(false))
        .send(443, 5000, &reply(None));
    let connection = one(rest(&mut wire).finish());
    assert!(quic(&connection).version_negotiation);
    assert_eq!(connection.transport.first().frame(), 1);
    assert_eq!(wire.count(Notice::QuicVersionUnsupported), 1);
    let sides = [&connection.client_side, &connection.server_side];
    assert_eq!(
        sides.map(|side| side.handshake_bytes),
        [None; 2],
        "not all were counted"
    );
    // Without the refusal it is the same client's by its name for itself, else another one's, or nothing.
    for (name, same) in [(CLIENT, true), ([0x77; 4], false)] {
        let mut wire = Wire::new();
        let hello = client(&FIRST, &name).initial(0, &crypto(0, &hello(1, None, false)), 1200);
        wire.send(5000, 443, &unknown).send(5000, 443, &hello);
        let connection = one(wire.finish());
        assert_eq!(quic(&connection).version_negotiation, same);
        assert_eq!(connection.transport.first().frame(), if same { 1 } else { 2 });
    }
}

#[test]
fn a_server_may_go_on_in_version_2() {
    let way = Way {
        version: QUIC_V2,
        ..server(&FIRST, &CLIENT, &SERVER)
    };
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(true))
        .send(443, 5000, &way.initial(0, &crypto(0, &answer(Some(0))), 0));
    let connection = one(rest(&mut wire).finish());
    assert_eq!(quic(&connection).version, QUIC_V2);
    assert!(matches!(connection.outcome, Outcome::Resumed(Some(_))));
}

#[test]
fn connections_on_the_same_ports_are_told_apart_by_their_ids() {
    let other: [u8; 8] = [0xcc; 8];
    let second = client(&other, &[5, 5, 5, 5]).initial(0, &crypto(0, &hello(2, Some(&TICKET), false)), 1200);
    let refused = server(&other, &[5, 5, 5, 5], &[4, 4, 4, 4, 4]);
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(true))
        .send(5000, 443, &second)
        .send(443, 5000, &refused.initial(0, &crypto(0, &answer(None)), 0))
        .send(443, 5000, &reply(Some(0)));
    rest(&mut wire);
    wire.send(5000, 443, &client(&[4, 4, 4, 4, 4], &[]).short(60));
    let outcomes: Vec<Outcome> = wire.finish().iter().map(|connection| connection.outcome).collect();
    assert!(
        matches!(outcomes[..], [Outcome::Resumed(Some(_)), Outcome::Declined]),
        "{outcomes:?}"
    );
}

#[test]
fn the_same_id_from_another_port_is_another_path() {
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(false)).send(443, 5000, &reply(None));
    rest(&mut wire).send(5001, 443, &client(&SERVER, &CLIENT).short(40));
    let connection = one(wire.finish());
    let ports: Vec<u16> = quic(&connection).paths.iter().map(|path| path.client.port).collect();
    assert_eq!(ports, [5000, 5001]);
    assert_eq!(connection.client.port, 5000);
}

#[test]
fn an_unknown_id_from_another_port_is_counted_and_nothing_more() {
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(false)).send(443, 5000, &reply(None));
    rest(&mut wire).send(5001, 443, &client(&[3; 5], &CLIENT).short(40));
    let connection = one(wire.finish());
    assert_eq!(quic(&connection).paths.len(), 1);
    assert_eq!(wire.count(Notice::QuicUnlinkedDatagrams), 1);
}

#[test]
fn early_data_is_counted_though_it_overtakes_the_hello() {
    let early = |length| client(&FIRST, &CLIENT).closed(1, length);
    let mut wire = Wire::new();
    wire.send(5000, 443, &early(60))
        .send(5000, 443, &first_flight(true))
        .send(5000, 443, &early(61))
        // A copy.
        .send(5000, 443, &early(60))
        .send(443, 5000, &reply(Some(0)));
    let connection = one(rest(&mut wire).finish());
    assert_eq!(quic(&connection).zero_rtt_packets, 2);
}

#[test]
fn early_data_behind_an_answer_that_was_not_seen_is_counted() {
    let mut wire = Wire::new();
    // By the clock of another tap the answer, which brought the server's name for itself, stands further on.
    wire.send(5000, 443, &first_flight(true))
        .send(5000, 443, &client(&FIRST, &CLIENT).closed(1, 60))
        .send(5000, 443, &client(&SERVER, &CLIENT).closed(1, 61))
        .send(443, 5000, &reply(Some(0)));
    let connection = one(rest(&mut wire).finish());
    assert_eq!(quic(&connection).zero_rtt_packets, 2);
}

#[test]
fn how_long_a_flight_is_that_was_not_seen_is_not_told() {
    let way = server(&FIRST, &CLIENT, &SERVER);
    let flight = [reply(None), way.closed(2, 60), way.closed(2, 61)];
    let acknowledges = [way.closed(2, 30)];
    let hello_alone = [way.initial(0, &crypto(0, &answer(None)), 0)];
    // Datagrams of the server in front of the client's first 1-RTT packet, and behind it; whether its bytes are told.
    let cases = [
        (&flight[..], &[][..], true),
        (&flight[..], &acknowledges[..], true),
        (&hello_alone[..], &[][..], false),
    ];
    for (before, behind, told) in cases {
        let mut wire = Wire::new();
        wire.send(5000, 443, &first_flight(false));
        for datagram in before {
            wire.send(443, 5000, datagram);
        }
        rest(&mut wire);
        for datagram in behind {
            wire.send(443, 5000, datagram);
        }
        let connection = one(wire.finish());
        assert!(connection.client_side.handshake_bytes.is_some());
        assert_eq!(connection.server_side.handshake_bytes.is_some(), told);
        assert_eq!(connection.completed, Completed::Yes);
    }
}

#[test]
fn packets_for_another_id_in_one_datagram_are_ignored() {
    let mut datagram = first_flight(true);
    datagram.extend(client(&[7; 8], &CLIENT).closed(1, 60));
    let mut wire = Wire::new();
    let connection = one(wire.send(5000, 443, &datagram).finish());
    assert_eq!(quic(&connection).zero_rtt_packets, 0);
}

#[test]
fn what_fills_a_datagram_behind_its_packets_is_no_packet() {
    // aioquic fills its datagrams with zeros, which would be a short header but for the fixed bit: the client's Finished
    // would be taken for sent.
    let mut filled = client(&SERVER, &CLIENT).closed(2, 60);
    filled.extend([0; 100]);
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(false))
        .send(443, 5000, &reply(None))
        .send(5000, 443, &filled);
    let connection = one(wire.finish());
    assert!(connection.client_side.finished.is_none());
    assert_eq!(connection.outcome, Outcome::NotOffered);
}

#[test]
fn an_alert_in_an_initial_is_a_failure_that_anyone_can_read() {
    let way = server(&FIRST, &CLIENT, &SERVER);
    // 0x178: no_application_protocol.
    let close = way.initial(0, &[0x1c, 0x41, 0x78, 6, 0], 0);
    let mut wire = Wire::new();
    let connection = one(wire
        .send(5000, 443, &first_flight(true))
        .send(443, 5000, &close)
        .finish());
    assert_eq!(connection.outcome, Outcome::Failed);
    assert_eq!(connection.close.class, Seen::Yes(CloseClass::FatalAlert));
    let frame = quic(&connection).close_frame.expect("read");
    assert_eq!(
        (frame.code, frame.alert(), frame.at.frame.frame()),
        (0x178, Some(120), 2)
    );
}

#[test]
fn a_refusal_in_an_initial_leaves_the_handshake_incomplete() {
    let close = server(&FIRST, &CLIENT, &SERVER).initial(0, &[0x1c, 2, 0, 0], 0);
    let mut wire = Wire::new();
    let connection = one(wire
        .send(5000, 443, &first_flight(false))
        .send(443, 5000, &close)
        .finish());
    assert_eq!(connection.close.class, Seen::Yes(CloseClass::HandshakeIncomplete));
    assert_eq!(connection.outcome, Outcome::Failed);
}

/// A small packet that bears no ID of the client and ends in a token.
fn reset(first: u8) -> Vec<u8> {
    [&[0x40, first, 0x77, 0x78, 0x79, 0x7a][..], &[0xee; 16]].concat()
}

#[test]
fn two_small_packets_that_end_alike_are_stateless_resets() {
    let class = |resets: &[Vec<u8>]| {
        let mut wire = Wire::new();
        wire.send(5000, 443, &first_flight(false)).send(443, 5000, &reply(None));
        rest(&mut wire);
        for reset in resets {
            wire.send(5000, 443, &client(&SERVER, &CLIENT).short(60))
                .send(443, 5000, reset);
        }
        let connection = one(wire.finish());
        (connection.close.class, quic(&connection).stateless_reset.is_some())
    };
    let blind = Seen::Blind(Blindness::Encrypted);
    assert_eq!(
        class(&[reset(1), reset(9)]),
        (Seen::Yes(CloseClass::StatelessReset), true)
    );
    // One alone, and one that was captured twice, may be one.
    assert_eq!(class(&[reset(1)]), (blind, true));
    assert_eq!(class(&[reset(1), reset(1)]), (blind, true));
    // An ordinary packet after it says that the server knows the connection,
    let alive = server(&FIRST, &CLIENT, &SERVER).short(20);
    assert_eq!(class(&[reset(1), alive]), (blind, false));
    // also by an ID that it was given under encryption.
    let other = |last: u8| [&[0x41, 0xa1, 0xa2, 0xa3, 0xa4][..], &[last; 25]].concat();
    assert_eq!(class(&[other(1), other(2)]), (blind, false));
    assert_eq!(class(&[other(1), other(2), reset(1)]), (blind, true));
}

#[test]
fn silence_ends_a_connection_and_tells_nothing_of_its_close() {
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(false)).send(443, 5000, &reply(None));
    rest(&mut wire).wait(301).send(5001, 443, &first_flight(false));
    assert_eq!(wire.engine.open_connections(), 1);
    let connections = wire.finish();
    assert_eq!(connections.len(), 2);
    assert_eq!(connections[0].close.class, Seen::Blind(Blindness::Encrypted));
}

#[test]
fn forged_initials_cannot_fill_the_table() {
    let frames = crypto(1, &[0; 8]);
    let mut wire = Wire::new();
    wire.engine.datagrams.shrink_quic(256, 64);
    for number in 0..266 {
        let [a, b, c, _] = u32::to_le_bytes(number);
        let initial = client(&[a, b, c, 0, 0, 0, 0, 1], &[a, b, c]).initial(0, &frames, 1200);
        wire.send(5000, 443, &initial);
        // A pair of endpoints may have many connections: they are found by their IDs.
    }
    assert_eq!(wire.engine.open_connections(), 256);
    assert_eq!(wire.count(Notice::QuicConnectionEvicted), 10);
    assert!(wire.finish().is_empty());
}

#[test]
fn strangers_are_forgotten_when_there_are_too_many() {
    let mut wire = Wire::new();
    let mut forged = first_flight(false);
    *forged.last_mut().expect("bytes") ^= 1;
    wire.engine.datagrams.shrink_quic(256, 64);
    for port in 0..70 {
        wire.send(2000 + port, 443, &forged);
    }
    let strangers = wire.engine.datagrams.strangers();
    assert_eq!(strangers, 64);
}
