//! The target that reads datagrams of DTLS.

use reshake::model::Report;
use reshake::render::json;
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::{FrameRef, LinkType, Packet, Timestamp};

/// Datagrams between two ports of a client and one of a server, in any order: no panic, a report that is JSON, and the
/// same connections when every packet was captured twice.
pub fn dtls_datagrams(data: &[u8]) {
    let once = outcomes(data, 1);
    let twice = outcomes(data, 2);
    assert_eq!(once, twice, "the same packets twice are other connections");
}

/// What became of each connection, told once every datagram came so many times.
fn outcomes(data: &[u8], times: u64) -> Vec<String> {
    let mut engine = Engine::new(Limits::default());
    let mut frame = 0;
    let mut steps = data;
    while let Some((&[how, cut, high, low], more)) = steps.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(more.len());
        let (payload, after) = more.split_at(length);
        steps = after;
        let packet = datagram(how, payload);
        let captured = packet.len() - usize::from(cut % 64).min(payload.len());
        frame += 1;
        // Up to half a minute from one to the next, so that connections end by silence, too.
        let time = i64::try_from(frame).unwrap_or(i64::MAX) * (1_000_000 << (how >> 5) << (how >> 5));
        for copy in 0..times {
            engine.push(&Packet {
                frame: FrameRef::new(0, frame * times + copy),
                time: Timestamp::from_nanos(time),
                link: LinkType::RAW,
                interface: 0,
                data: packet.get(..captured).unwrap_or_default(),
                original_len: u32::try_from(packet.len()).unwrap_or(u32::MAX),
            });
        }
    }
    engine.finish();
    let mut out = Vec::new();
    json::write_document(&Report::of(&engine, Vec::new()), &mut out).expect("written to memory");
    serde_json::from_slice::<serde_json::Value>(&out).expect("a report is JSON");
    let connection_store = engine.connection_store().iter();
    connection_store
        .map(|(_, connection)| {
            format!(
                "{} {:?} {:?}",
                connection.client, connection.outcome, connection.close.class
            )
        })
        .collect()
}

/// A raw IPv4 packet with UDP; two bits of `how` say who sends.
fn datagram(how: u8, payload: &[u8]) -> Vec<u8> {
    let client = ([10, 0, 0, 1], [0xc3, 0x50 + (how >> 1 & 1)]);
    let server = ([10, 0, 1, 1], [0x11, 0x51]);
    let (from, to) = if how & 1 == 0 {
        (client, server)
    } else {
        (server, client)
    };
    let total = |header: usize| u16::try_from(header + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![0x45, 0, total(28)[0], total(28)[1], 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.0);
    packet.extend(to.0);
    packet.extend(from.1);
    packet.extend(to.1);
    packet.extend(total(8));
    packet.extend([0, 0]);
    packet.extend(payload);
    packet
}
