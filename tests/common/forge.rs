//! Packets and TLS messages made by hand, for what no real software sends.

use reshake_core::engine::Engine;
use reshake_core::net::{FrameRef, LinkType, Packet, Timestamp};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// One TCP segment over IPv4, from the client of connection `number` to its server or back.
pub(crate) struct Segment<'a> {
    /// Which connection: its client's address and port follow from it.
    pub(crate) number: u32,
    pub(crate) to_server: bool,
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) payload: &'a [u8],
}

/// The address and port of the client of a connection.
pub(crate) fn client(number: u32) -> ([u8; 4], u16) {
    let [_, a, b, c] = (number / 50_000).to_be_bytes();
    ([10, a, b, c], u16::try_from(10_000 + number % 50_000).expect("a port"))
}

const PORT: u16 = 443;

impl Segment<'_> {
    /// The IP packet, with this last byte in the server's address.
    pub(crate) fn bytes(&self, server: u8) -> Vec<u8> {
        let server = ([192, 0, 2, server], PORT);
        let (from, to) = if self.to_server {
            (client(self.number), server)
        } else {
            (server, client(self.number))
        };
        let total = u16::try_from(40 + self.payload.len()).expect("a packet");
        let mut out = vec![0x45, 0];
        out.extend(total.to_be_bytes());
        out.extend([0, 0, 0, 0, 64, 6, 0, 0]);
        out.extend(from.0);
        out.extend(to.0);
        out.extend(from.1.to_be_bytes());
        out.extend(to.1.to_be_bytes());
        out.extend(self.seq.to_be_bytes());
        out.extend(self.ack.to_be_bytes());
        out.extend([0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        out.extend(self.payload);
        out
    }
}

/// An engine with a clock: packets go in one after the other, a microsecond apart unless told otherwise.
pub(crate) struct Wire {
    pub(crate) engine: Engine,
    pub(crate) now: i64,
    /// Last byte of the server's address.
    pub(crate) server: u8,
    /// Where packets are kept instead of going into the engine.
    pub(crate) tape: Option<Vec<(i64, Vec<u8>)>>,
    frames: u64,
}

impl Wire {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            now: 1_700_000_000_000_000_000,
            server: 1,
            tape: None,
            frames: 0,
        }
    }

    pub(crate) fn send(&mut self, segment: &Segment<'_>) {
        self.frames += 1;
        let data = segment.bytes(self.server);
        match &mut self.tape {
            Some(tape) => tape.push((self.now, data)),
            None => push(&mut self.engine, self.frames, self.now, &data),
        }
        self.now = self.now.wrapping_add(1_000);
    }

    /// Packets sent so far.
    pub(crate) const fn frames(&self) -> u64 {
        self.frames
    }

    /// SYN, SYN-ACK and ACK of a connection whose sequence numbers begin at 1000 and 2000.
    pub(crate) fn connect(&mut self, number: u32) {
        for (to_server, flags, seq, ack) in [
            (true, SYN, 999, 0),
            (false, SYN | ACK, 1999, 1000),
            (true, ACK, 1000, 2000),
        ] {
            self.send(&Segment {
                number,
                to_server,
                flags,
                seq,
                ack,
                payload: &[],
            });
        }
    }

    /// A stream of one side in segments of at most `size` bytes, from `seq` on. Gives the sequence number after it.
    pub(crate) fn stream(&mut self, number: u32, to_server: bool, seq: u32, bytes: &[u8], size: usize) -> u32 {
        let mut next = seq;
        for payload in bytes.chunks(size) {
            self.send(&Segment {
                number,
                to_server,
                flags: ACK,
                seq: next,
                ack: if to_server { 2000 } else { 1000 },
                payload,
            });
            next = next.wrapping_add(u32::try_from(payload.len()).expect("short"));
        }
        next
    }

    /// FIN both ways.
    pub(crate) fn close(&mut self, number: u32, client_seq: u32, server_seq: u32) {
        for (to_server, seq, ack) in [
            (true, client_seq, server_seq),
            (false, server_seq, client_seq.wrapping_add(1)),
        ] {
            self.send(&Segment {
                number,
                to_server,
                flags: FIN | ACK,
                seq,
                ack,
                payload: &[],
            });
        }
    }

    /// A whole connection that is closed.
    pub(crate) fn exchange(&mut self, number: u32, client: &[u8], server: &[u8]) {
        self.connect(number);
        let client_end = self.stream(number, true, 1000, client, 1400);
        let server_end = self.stream(number, false, 2000, server, 1400);
        self.close(number, client_end, server_end);
    }

    pub(crate) fn finish(mut self) -> Engine {
        self.engine.finish();
        self.engine
    }
}

/// Hands an IP packet to an engine.
pub(crate) fn push(engine: &mut Engine, frame: u64, time: i64, data: &[u8]) {
    engine.push(&Packet {
        frame: FrameRef::new(0, frame),
        time: Timestamp::from_nanos(time),
        link: LinkType::RAW,
        interface: 0,
        data,
        original_len: u32::try_from(data.len()).expect("a small packet"),
    });
}

/// A handshake message with its header.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[kind, length[1], length[2], length[3]][..], body].concat()
}

/// Bytes as records of a content type, each with at most 2^14.
pub(crate) fn records(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let record = |body: &[u8]| [&[kind, 3, 3][..], &prefixed(body)].concat();
    bytes.chunks(1 << 14).flat_map(record).collect()
}

/// Bytes with their length in two bytes in front.
pub(crate) fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("fits").to_be_bytes();
    [&length[..], bytes].concat()
}

/// The extensions, each with its type and length.
pub(crate) fn extensions(list: &[(u16, &[u8])]) -> Vec<u8> {
    let one = |(kind, body): &(u16, &[u8])| [&kind.to_be_bytes()[..], &prefixed(body)].concat();
    list.iter().flat_map(one).collect()
}

/// A ClientHello message with this session ID, these suites and this block of extensions. `random` tells it from others.
pub(crate) fn client_hello(random: u32, session_id: &[u8], suites: &[u16], block: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([random.to_be_bytes(); 8].concat());
    body.push(u8::try_from(session_id.len()).expect("short"));
    body.extend(session_id);
    body.extend(prefixed(
        &suites.iter().flat_map(|suite| suite.to_be_bytes()).collect::<Vec<u8>>(),
    ));
    body.extend([1, 0]);
    body.extend(prefixed(block));
    message(1, &body)
}

/// A ServerHello message.
pub(crate) fn server_hello(random: u32, session_id: &[u8], suite: u16, block: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([random.to_be_bytes(); 8].concat());
    body.push(u8::try_from(session_id.len()).expect("short"));
    body.extend(session_id);
    body.extend(suite.to_be_bytes());
    body.push(0);
    body.extend(prefixed(block));
    message(2, &body)
}

/// server_name with one host name (RFC 6066 §3).
pub(crate) fn server_name(name: &[u8]) -> Vec<u8> {
    prefixed(&[&[0][..], &prefixed(name)].concat())
}

/// NewSessionTicket of TLS 1.2 (RFC 5077 §3.3).
pub(crate) fn new_session_ticket(ticket: &[u8]) -> Vec<u8> {
    message(4, &[&300_u32.to_be_bytes()[..], &prefixed(ticket)].concat())
}

/// What a server of TLS 1.2 says in a full handshake, with these tickets before its ChangeCipherSpec.
pub(crate) fn full_answer(random: u32, tickets: &[Vec<u8>]) -> Vec<u8> {
    let mut messages = server_hello(random, &[], 0xc02f, &extensions(&[(35, &[])]));
    messages.extend(message(11, &[0, 0, 7, 0, 0, 4, 1, 2, 3, 4]));
    messages.extend(message(14, &[]));
    messages.extend(tickets.iter().flat_map(|ticket| new_session_ticket(ticket)));
    [records(22, &messages), finished()].concat()
}

/// What a server of TLS 1.2 says when it resumes.
pub(crate) fn resumed_answer(random: u32) -> Vec<u8> {
    [records(22, &server_hello(random, &[], 0xc02f, &[])), finished()].concat()
}

/// ChangeCipherSpec and a protected Finished.
pub(crate) fn finished() -> Vec<u8> {
    [records(20, &[1]), records(22, &[0xaa; 40])].concat()
}

/// What a client of TLS 1.2 sends, from hello to Finished.
pub(crate) fn client_side(hello: &[u8], full: bool) -> Vec<u8> {
    let key_exchange = if full {
        records(22, &message(16, &[1, 2, 3]))
    } else {
        Vec::new()
    };
    [records(22, hello), key_exchange, finished()].concat()
}
