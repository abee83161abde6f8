//! Datagrams of QUIC in any order, lost, repeated and changed: nothing may panic, memory stays bounded, and what an
//! authentic packet says is never told otherwise.

use reshake::model::Report;
use reshake::render::json;
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::{FrameRef, LinkType, Packet, Timestamp};

/// Bytes of finished connections that are kept.
const KEPT: usize = 64 << 10;

/// The input is a list of datagrams: a byte that says who sends, two bytes of length, then the payload. Bit 0 is the
/// direction, bits 1 and 2 choose a port of the client, bit 3 repeats the datagram, bit 4 lets six minutes pass before it.
pub fn quic_datagrams(data: &[u8]) {
    let mut engine = Engine::new(Limits {
        kept_bytes: KEPT,
        ..Limits::default()
    });
    let (mut frame, mut now) = (0, 0_i64);
    let mut rest = data;
    while let Some((&[how, high, low], more)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(more.len());
        let (payload, after) = more.split_at(length);
        rest = after;
        now += if how & 16 == 0 { 1_000_000 } else { 360_000_000_000 };
        for _ in 0..=(how >> 3 & 1) {
            frame += 1;
            let packet = udp(how, payload);
            engine.push(&Packet {
                frame: FrameRef::new(0, frame),
                time: Timestamp::from_nanos(now),
                link: LinkType::RAW,
                interface: 0,
                data: &packet,
                original_len: u32::try_from(packet.len()).unwrap_or(u32::MAX),
            });
        }
    }
    // A copy that ends here says what the run itself says.
    let copy = engine.snapshot();
    engine.finish();
    let connection_store = engine.connection_store();
    if copy.connection_store().evicted_total() == 0 && connection_store.evicted_total() == 0 {
        let outcomes = |engine: &Engine| -> Vec<_> {
            let all = engine.connection_store().iter();
            all.map(|(id, connection)| (id, connection.outcome)).collect()
        };
        assert_eq!(outcomes(&copy), outcomes(&engine), "a copy tells something else");
    }
    assert!(
        connection_store.bytes() <= KEPT || connection_store.len() <= 1,
        "{} bytes are kept",
        connection_store.bytes()
    );
    for (_, connection) in connection_store.iter() {
        let facts = connection.transport.quic().expect("nothing but QUIC was sent");
        assert!(facts.paths.len() <= 16, "{} paths", facts.paths.len());
        assert!(!facts.paths.is_empty(), "it began nowhere");
    }
    let mut out = Vec::new();
    let report = Report::of(&engine, Vec::new());
    json::write_document(&report, &mut out).expect("written to memory");
    serde_json::from_slice::<serde_json::Value>(&out).expect("a report is JSON");
}

/// A raw IPv4 packet with UDP, between one of four ports of a client and a server.
fn udp(how: u8, payload: &[u8]) -> Vec<u8> {
    let client = ([10, 0, 0, 1], [0xc3, 0x50 + (how >> 1 & 3)]);
    let server = ([10, 0, 1, 1], [0x01, 0xbb]);
    let (from, to) = if how & 1 == 0 {
        (client, server)
    } else {
        (server, client)
    };
    let length = |headers: usize| u16::try_from(headers + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![0x45, 0];
    packet.extend(length(28));
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(from.0);
    packet.extend(to.0);
    packet.extend(from.1);
    packet.extend(to.1);
    packet.extend(length(8));
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}
