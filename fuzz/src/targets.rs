//! What the fuzz targets do with their input. The test suite replays the committed corpora through the same functions
//! (it includes this file), so that what the fuzzer once found stays found on any machine.
//!
//! `cargo fuzz run -s none TARGET -- -max_total_time=600 -timeout=10` runs one; without a timeout an input on which
//! reading never ends passes for a slow one.
//!
//! Beside "no panic" every target asserts what must hold for any input: progress, bounds, and that the same bytes in
//! other pieces mean the same.

#[path = "certificates.rs"]
mod certificates;
#[path = "conversation.rs"]
mod conversation;
#[path = "copies.rs"]
mod copies;
#[path = "datagrams.rs"]
mod datagrams;
#[path = "documents.rs"]
mod documents;
#[path = "dtls.rs"]
mod dtls;
#[path = "farm.rs"]
mod farm;
#[path = "wrappings.rs"]
mod wrappings;

use std::hint::black_box;
use std::io::Cursor;

use reshake::model::Report;
use reshake::redact::{Aliases, KEY_LENGTH, PacketRedactor, RedactionKey};
use reshake::render::json;
use reshake_core::decrypt::{ConnectionKeys, KeyLogReader, Readiness, Secrets, Speaker};
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::{At, FrameDecoder, FrameRef, LinkType, Packet, SeqNumber, Timestamp};
use reshake_core::tcp::{Assembler, Piece};
use reshake_core::tls::record::Start;
use reshake_core::tls::search::{Wanted, search};
use reshake_core::tls::{ClientHello, Message, RecordEvent, ServerHello};

/// Packets read of one input: a few bytes of gzip can make a gigabyte of packets.
const MAX_PACKETS: u64 = 20_000;
/// Connections may be kept in so many bytes.
const KEPT: usize = 16 << 10;

/// What takes the fuzzer's bytes.
pub type Target = fn(&[u8]);

pub use certificates::certificate;
pub use conversation::{conversation, seed_of as conversation_seed};
pub use copies::copies;
pub use datagrams::quic_datagrams;
pub use documents::{joined, rules};
pub use dtls::dtls_datagrams;
pub use farm::{report, verdicts};
pub use wrappings::wrappings;

/// Every target by name.
pub const TARGETS: [(&str, Target); 19] = [
    ("assembler", assembler),
    ("certificate", certificate),
    ("compressed", compressed),
    ("conversation", conversation),
    ("copies", copies),
    ("decode", decode),
    ("dtls_datagrams", dtls_datagrams),
    ("engine", engine),
    ("hello", hello),
    ("joined", joined),
    ("keys", keys),
    ("pcap", pcap),
    ("pcapng", pcapng),
    ("quic_datagrams", quic_datagrams),
    ("record", record),
    ("report", report),
    ("rules", rules),
    ("verdicts", verdicts),
    ("wrappings", wrappings),
];

/// A classic capture file.
pub fn pcap(data: &[u8]) {
    file(data);
}

/// A pcapng file.
pub fn pcapng(data: &[u8]) {
    file(data);
}

/// A compressed file.
pub fn compressed(data: &[u8]) {
    file(data);
}

fn file(data: &[u8]) {
    let reader = Box::new(Cursor::new(data.to_vec()));
    let Ok(mut source) = reshake::capture::from_reader("fuzz", reader, None, 0) else {
        return;
    };
    let mut last = 0;
    let mut count = 0;
    while count < MAX_PACKETS {
        let peeked = source.peek();
        let Some(packet) = source.next() else {
            assert!(peeked.is_none(), "a packet was announced and did not come");
            break;
        };
        assert_eq!(peeked, Some(packet.time), "another packet came than was announced");
        assert!(packet.frame.frame() > last, "frame numbers must grow");
        last = packet.frame.frame();
        count += 1;
        black_box(packet.data.iter().fold(0_u8, |sum, byte| sum ^ byte));
    }
    assert!(source.capture().packets >= last, "frames beyond the last were counted");
    redacted(data);
}

/// New packets instead of those of a file: whatever stands in it, they have the addresses of documentation or are empty.
fn redacted(data: &[u8]) {
    let open = || reshake::capture::from_reader("fuzz", Box::new(Cursor::new(data.to_vec())), None, 0);
    let Some(key) = RedactionKey::new(vec![1; KEY_LENGTH].into()) else {
        return;
    };
    let mut packets = PacketRedactor::new(&Aliases::new(&key));
    for first in [true, false] {
        let Ok(mut source) = open() else { return };
        for _ in 0..MAX_PACKETS {
            let Some(packet) = source.next() else { break };
            if first {
                packets.learn(&packet);
                continue;
            }
            let frame = packets.frame(&packet);
            let of_documentation = |at: usize| frame.bytes.get(at..at + 4) == Some(&[0x20, 0x01, 0x0d, 0xb8]);
            let is_empty = frame.bytes.len() == 14;
            assert!(is_empty || of_documentation(22) && of_documentation(38), "an address");
            assert!(frame.bytes.len() <= frame.length as usize, "more than was on the wire");
        }
        if first {
            packets.learned();
        }
    }
}

/// Link types of the frames, by the first byte of the input; any other byte is the type itself.
pub const LINKS: [LinkType; 9] = [
    LinkType::ETHERNET,
    LinkType::NULL,
    LinkType::PPP,
    LinkType::PPP_ETHER,
    LinkType::RAW,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType::IPV6,
];

/// Frames of any link type, fragments among them.
pub fn decode(data: &[u8]) {
    let mut decoder = FrameDecoder::new();
    let Some((&link, mut rest)) = data.split_first() else {
        return;
    };
    let link = LINKS
        .get(usize::from(link))
        .copied()
        .unwrap_or(LinkType(u16::from(link)));
    let mut frame = 0;
    // Two bytes of length before each frame.
    while let Some((length, more)) = rest.split_first_chunk::<2>() {
        frame += 1;
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (packet, after) = more.split_at(length);
        rest = after;
        black_box(decoder.decode(&at_frame(frame, link, packet)));
    }
    black_box(decoder.finish());
}

fn at_frame(frame: u64, link: LinkType, data: &[u8]) -> Packet<'_> {
    Packet {
        frame: FrameRef::new(0, frame),
        time: time(frame),
        link,
        interface: 0,
        data,
        original_len: u32::try_from(data.len()).unwrap_or(u32::MAX),
    }
}

/// A quarter of a second from one frame to the next: sixteen lie inside the linger of a closed connection.
fn time(frame: u64) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(frame).unwrap_or(i64::MAX).saturating_mul(250_000_000))
}

/// Segments of one stream in any order, with copies, cuts and losses: what comes out is the stream, in order.
pub fn assembler(data: &[u8]) {
    let Some((&[a, b, c, d], mut steps)) = data.split_first_chunk::<4>() else {
        return;
    };
    let base = u32::from_be_bytes([a, b, c, d]);
    let mut assembler = Assembler::default();
    assembler.start(SeqNumber(base));
    let mut position = 0;
    let mut frame = 0;
    while let Some((&[kind, high, low, length, cut], more)) = steps.split_first_chunk::<5>() {
        steps = more;
        frame += 1;
        let offset = u64::from(u16::from_be_bytes([high, low]));
        let seq = SeqNumber(base.wrapping_add(u32::from(u16::from_be_bytes([high, low]))));
        let at = At {
            frame: FrameRef::new(0, frame),
            time: time(frame),
        };
        match kind % 8 {
            0 => assembler.acknowledge(seq),
            1 => assembler.finish(seq),
            // Bytes follow from their place, so that it shows when one is delivered at another.
            _ => {
                let payload: Vec<u8> = (offset..offset + u64::from(length)).map(byte_at).collect();
                let cut = if kind % 8 == 2 { u32::from(cut) } else { 0 };
                if let Some(piece) = assembler.push(seq, &payload, cut, at) {
                    position = follow(position, &piece);
                }
            }
        }
        while let Some(piece) = assembler.pop() {
            position = follow(position, &piece);
        }
        assert!(assembler.held() <= 1 << 20, "more is held back than is allowed");
    }
    assembler.flush();
    while let Some(piece) = assembler.pop() {
        position = follow(position, &piece);
    }
    assert_eq!(assembler.conflicts(), 0, "every copy was the same");
    assert_eq!(assembler.held(), 0, "something was never delivered");
}

pub(crate) fn byte_at(offset: u64) -> u8 {
    let [.., high, low] = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    high ^ low
}

pub(crate) fn follow(position: u64, piece: &Piece<'_>) -> u64 {
    match piece {
        Piece::Gap(length, ..) => position + length,
        Piece::Data(bytes, _) => {
            for (offset, byte) in (position..).zip(bytes.iter()) {
                assert_eq!(*byte, byte_at(offset), "byte {offset} is not in its place");
            }
            position + bytes.len() as u64
        }
    }
}

/// TLS records: the same bytes in other pieces are the same events, as long as the framing holds. Once it is lost, where
/// a piece begins is one of the marks by which the next record is looked for.
pub fn record(data: &[u8]) {
    let Some((&[how, size], stream)) = data.split_first_chunk::<2>() else {
        return;
    };
    let start = match how % 3 {
        0 => Start::Record,
        1 => Start::Middle,
        _ => Start::V2Hello,
    };
    let whole = events(start, std::iter::once(stream), how);
    let pieces = events(start, stream.chunks(usize::from(size) + 1), how);
    let in_sync = |events: Vec<String>| {
        events
            .into_iter()
            .take_while(|event| event != "Desynchronised")
            .collect::<Vec<_>>()
    };
    if how % 3 != 1 {
        assert_eq!(in_sync(whole), in_sync(pieces), "other pieces, other events");
    }
}

fn events<'a>(start: Start, pieces: impl Iterator<Item = &'a [u8]>, how: u8) -> Vec<String> {
    let mut decoder = reshake_core::tls::RecordDecoder::new(start);
    let mut events = Vec::new();
    if how & 0x80 != 0 {
        decoder.ignore_change_cipher_spec();
    }
    for piece in pieces {
        let mut input = piece;
        while let Some(event) = decoder.next(&mut input) {
            events.push(format!("{event:?}"));
        }
        assert!(input.is_empty(), "bytes were left");
        // The largest handshake message that is kept, and the record it came in.
        assert!(
            decoder.buffered() <= (1 << 18),
            "{} bytes are buffered",
            decoder.buffered()
        );
    }
    events
}

/// A key log and the two streams of a connection: whatever the pieces, the log says the same; every record is tried,
/// opened or not, and every message in it is read.
pub fn keys(data: &[u8]) {
    let Some((&[size, log_high, log_low, client_high, client_low], rest)) = data.split_first_chunk::<5>() else {
        return;
    };
    let part = |rest: &[u8], length: [u8; 2]| usize::from(u16::from_be_bytes(length)).min(rest.len());
    let (text, rest) = rest.split_at(part(rest, [log_high, log_low]));
    let (client, server) = rest.split_at(part(rest, [client_high, client_low]));
    let size = usize::from(size) + 1;
    let (mut secrets, whole) = read_log(text, text.len().max(1));
    let (_, pieces) = read_log(text, size);
    assert_eq!(whole, pieces, "other pieces, other lines");
    let mut keys = ConnectionKeys::new();
    let mut decoders = [Start::Record, Start::Record].map(reshake_core::tls::RecordDecoder::new);
    let mut streams = [client.chunks(size), server.chunks(size)];
    let speakers = [Speaker::Client, Speaker::Server];
    loop {
        let mut more = false;
        for ((decoder, stream), speaker) in decoders.iter_mut().zip(&mut streams).zip(speakers) {
            if let Some(piece) = stream.next() {
                more = true;
                read_stream(&mut keys, &mut secrets, decoder, speaker, piece);
            }
        }
        if !more {
            break;
        }
    }
    black_box(format!("{keys:?} {secrets:?}"));
}

fn read_log(text: &[u8], size: usize) -> (Secrets, u64) {
    let (mut secrets, mut log) = (Secrets::default(), KeyLogReader::default());
    for piece in text.chunks(size) {
        log.push(piece, &mut secrets);
    }
    log.finish(&mut secrets);
    (secrets, log.malformed())
}

fn read_stream(
    keys: &mut ConnectionKeys,
    secrets: &mut Secrets,
    decoder: &mut reshake_core::tls::RecordDecoder,
    speaker: Speaker,
    mut input: &[u8],
) {
    decoder.keep(keys.keep(speaker));
    while let Some(event) = decoder.next(&mut input) {
        match event {
            RecordEvent::Message(message) => keys.message(speaker, &message, secrets),
            RecordEvent::ChangeCipherSpec => keys.change_cipher_spec(speaker),
            RecordEvent::Resynchronised => keys.lose(speaker, 1000),
            RecordEvent::Protected(record) => {
                if keys.prepare(secrets) == Readiness::Ready {
                    black_box(keys.open(speaker, &record, secrets));
                    while let Some(message) = keys.next_message(speaker, secrets) {
                        black_box(message);
                    }
                }
            }
            RecordEvent::Alert { .. } | RecordEvent::Desynchronised => {}
        }
        decoder.keep(keys.keep(speaker));
    }
}

/// Handshake messages, and the search for the first one.
pub fn hello(data: &[u8]) {
    black_box(ClientHello::parse(data));
    black_box(ClientHello::parse_v2(data));
    black_box(ServerHello::parse(data));
    black_box(Message::parse(data));
    for wanted in [Wanted::ClientHello, Wanted::ServerAnswer, Wanted::Either] {
        black_box(search(data, wanted, &mut 0));
    }
}

/// Packets in any order, between few endpoints: no panic, bounded memory, and a report that is JSON.
pub fn engine(data: &[u8]) {
    let mut engine = Engine::new(Limits {
        kept_bytes: KEPT,
        ..Limits::default()
    });
    let mut steps = data;
    let mut frame = 0;
    while let Some((head, more)) = steps.split_first_chunk::<8>() {
        frame += 1;
        let [ends, flags, seq_high, seq_low, ack_high, ack_low, length, cut] = *head;
        let length = (usize::from(length) * 4).min(more.len());
        let (payload, after) = more.split_at(length);
        steps = after;
        let packet = segment(ends, flags, [seq_high, seq_low], [ack_high, ack_low], payload);
        let captured = packet.len() - usize::from(cut % 16).min(payload.len());
        let mut packet_ref = at_frame(frame, LinkType::RAW, &packet[..captured]);
        packet_ref.original_len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        engine.push(&packet_ref);
    }
    engine.finish();
    let connection_store = engine.connection_store();
    assert!(
        connection_store.bytes() <= KEPT || connection_store.len() <= 1,
        "{} bytes are kept",
        connection_store.bytes()
    );
    let mut out = Vec::new();
    let report = Report::of(&engine, Vec::new());
    json::write_document(&report, &mut out).expect("written to memory");
    serde_json::from_slice::<serde_json::Value>(&out).expect("a report is JSON");
}

/// A raw IPv4 packet with TCP. Two clients, two servers, either direction.
fn segment(ends: u8, flags: u8, seq: [u8; 2], ack: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let client = ([10, 0, 0, 1 + (ends & 1)], [0xc3, 0x50 + (ends >> 4)]);
    let server = ([10, 0, 1, 1 + (ends >> 1 & 1)], [0x01, 0xbb]);
    let (from, to) = if ends & 4 == 0 {
        (client, server)
    } else {
        (server, client)
    };
    let total = u16::try_from(40 + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut packet = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 6, 0, 0];
    packet.extend(from.0);
    packet.extend(to.0);
    packet.extend(from.1);
    packet.extend(to.1);
    packet.extend([
        0, 0, seq[0], seq[1], 0, 0, ack[0], ack[1], 0x50, flags, 0xff, 0xff, 0, 0, 0, 0,
    ]);
    packet.extend(payload);
    packet
}
