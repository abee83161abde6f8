//! Captures of any size with known truth, for measuring. Nothing in them is encrypted for real: what would be is noise of
//! the right length. A plan and its seed always give the same bytes.

#![allow(dead_code)] // each program that has this module uses a part of it

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};

/// What is to be in a capture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Connections in all.
    pub(crate) connections: u32,
    /// Of them open at once.
    pub(crate) open: u32,
    /// Bytes that a server sends on each after the handshake.
    pub(crate) bytes: u32,
    /// Addresses of clients.
    pub(crate) clients: u32,
    /// Addresses of servers.
    pub(crate) servers: u32,
    /// Nanoseconds between two packets.
    pub(crate) pace: u64,
    /// Another number is another capture.
    pub(crate) seed: u64,
}

/// What is in a capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    /// Connections that came to an end.
    pub(crate) connections: u64,
    /// Packets.
    pub(crate) packets: u64,
    /// Connections on which an offer was accepted.
    pub(crate) resumed: u64,
    /// Refused.
    pub(crate) declined: u64,
    /// Connections on which nothing was offered.
    pub(crate) not_offered: u64,
}

/// Largest TCP payload: Ethernet's 1500 less the headers.
const SEGMENT: usize = 1460;
/// Content of a TLS record at most (RFC 8446 §5.1).
const RECORD: usize = 16_384;
/// Seconds since the epoch at which every capture begins.
const START: u64 = 1_750_000_000;

/// Writes a capture in pcap format with nanoseconds.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(plan: &Plan, out: &mut impl Write) -> io::Result<Truth> {
    let mut truth = Truth::default();
    let mut noise = Noise(plan.seed | 1);
    let mut sessions = HashMap::new();
    let mut open: VecDeque<Connection> = VecDeque::new();
    let (mut begun, mut time) = (0, START * 1_000_000_000);
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    loop {
        if begun < plan.connections && open.len() < plan.open as usize {
            open.push_back(Connection::new(plan, begun, &mut sessions, &mut noise, &mut truth));
            begun += 1;
        }
        let Some(mut connection) = open.pop_front() else {
            return Ok(truth);
        };
        if let Some(frame) = connection.next(&mut noise) {
            write_frame(&frame, time, out)?;
            truth.packets += 1;
            time += plan.pace;
            open.push_back(connection);
        } else {
            truth.connections += 1;
        }
    }
}

fn write_frame(frame: &[u8], time: u64, out: &mut impl Write) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    let seconds = u32::try_from(time / 1_000_000_000).map_err(io::Error::other)?;
    let nanos = u32::try_from(time % 1_000_000_000).map_err(io::Error::other)?;
    for word in [seconds, nanos, length, length] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(frame)
}

/// Numbers that look random (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit.max(1))).unwrap_or(0)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// How a session is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    SessionId,
    Ticket,
    Psk,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    NotOffered,
    Declined,
    Resumed,
}

/// What a client kept of its last connection to a server.
type Sessions = HashMap<(u32, u32), Vec<u8>>;

struct Connection {
    client: u32,
    server: u32,
    port: u16,
    mechanism: Mechanism,
    outcome: Outcome,
    /// What is offered, where something is.
    offered: Vec<u8>,
    /// What the server issues in clear.
    issued: Vec<u8>,
    bytes: usize,
    /// Next sequence numbers of client and server.
    sequence: [u32; 2],
    stage: u8,
    waiting: VecDeque<Vec<u8>>,
}

impl Connection {
    fn new(plan: &Plan, number: u32, sessions: &mut Sessions, noise: &mut Noise, truth: &mut Truth) -> Self {
        let client = noise.below(plan.clients);
        let server = noise.below(plan.servers);
        // A client stays with its way of resuming.
        let mechanism = match client % 4 {
            0 => Mechanism::SessionId,
            1 => Mechanism::Ticket,
            _ => Mechanism::Psk,
        };
        let known = sessions.get(&(client, server)).cloned();
        let outcome = match (&known, noise.below(4)) {
            (None, _) => Outcome::NotOffered,
            (Some(_), 0) => Outcome::Declined,
            (Some(_), _) => Outcome::Resumed,
        };
        *match outcome {
            Outcome::NotOffered => &mut truth.not_offered,
            Outcome::Declined => &mut truth.declined,
            Outcome::Resumed => &mut truth.resumed,
        } += 1;
        let fresh = noise.bytes(match mechanism {
            Mechanism::SessionId => 32,
            Mechanism::Ticket | Mechanism::Psk => 208,
        });
        // In TLS 1.3 every connection brings a ticket, before it only a full handshake does here.
        if outcome != Outcome::Resumed || mechanism == Mechanism::Psk {
            sessions.insert((client, server), fresh.clone());
        }
        Self {
            client,
            server,
            port: u16::try_from(20_000 + number % 40_000).unwrap_or(20_000),
            mechanism,
            outcome,
            offered: known.unwrap_or_default(),
            issued: fresh,
            bytes: plan.bytes as usize,
            sequence: [noise.below(u32::MAX), noise.below(u32::MAX)],
            stage: 0,
            waiting: VecDeque::new(),
        }
    }

    /// The next frame; `None` once the connection is over.
    fn next(&mut self, noise: &mut Noise) -> Option<Vec<u8>> {
        while self.waiting.is_empty() {
            self.stage += 1;
            match self.stage {
                1 => self.segment(CLIENT, SYN, &[]),
                2 => self.segment(SERVER, SYN | ACK, &[]),
                3 | 12 => self.segment(CLIENT, ACK, &[]),
                4 => self.flight(CLIENT, &self.client_hello(noise)),
                5 => self.flight(SERVER, &self.server_hello(noise)),
                6 => self.flight(CLIENT, &self.client_finished(noise)),
                7 => self.flight(SERVER, &self.server_finished(noise)),
                8 => self.flight(CLIENT, &record(DATA, &noise.bytes(220))),
                9 => self.flight(SERVER, &self.answer(noise)),
                10 => self.close(CLIENT, noise),
                11 => self.close(SERVER, noise),
                _ => return None,
            }
        }
        self.waiting.pop_front()
    }

    fn full(&self) -> bool {
        self.outcome != Outcome::Resumed
    }

    fn is_tls13(&self) -> bool {
        self.mechanism == Mechanism::Psk
    }

    fn client_hello(&self, noise: &mut Noise) -> Vec<u8> {
        let offers = self.outcome != Outcome::NotOffered;
        let session_id = match self.mechanism {
            Mechanism::SessionId if offers => self.offered.clone(),
            Mechanism::SessionId => Vec::new(),
            Mechanism::Ticket if !offers => Vec::new(),
            Mechanism::Ticket | Mechanism::Psk => noise.bytes(32),
        };
        let name = format!("host-{}.example", self.server);
        let mut extensions = extension(0, &vec16(&[&[0], vec16(name.as_bytes()).as_slice()].concat()));
        extensions.extend(extension(10, &vec16(&[0, 29, 0, 23])));
        extensions.extend(extension(23, &[]));
        extensions.extend(extension(13, &vec16(&[4, 3, 8, 4])));
        if self.is_tls13() {
            extensions.extend(extension(43, &[4, 3, 4, 3, 3]));
            let share = [&[0, 29], vec16(&noise.bytes(32)).as_slice()].concat();
            extensions.extend(extension(51, &vec16(&share)));
            extensions.extend(extension(45, &[1, 1]));
            if offers {
                let age = noise.bytes(4);
                let identities = vec16(&[vec16(&self.offered), age].concat());
                let binders = vec16(&[&[32], noise.bytes(32).as_slice()].concat());
                extensions.extend(extension(41, &[identities, binders].concat()));
            }
        } else {
            let ticket = if offers && self.mechanism == Mechanism::Ticket {
                self.offered.as_slice()
            } else {
                &[]
            };
            if self.mechanism == Mechanism::Ticket {
                extensions.extend(extension(35, ticket));
            }
        }
        let mut body = vec![3, 3];
        body.extend(noise.bytes(32));
        body.push(u8::try_from(session_id.len()).unwrap_or(0));
        body.extend(session_id);
        body.extend(if self.is_tls13() {
            vec16(&[0x13, 1, 0xc0, 0x2f])
        } else {
            vec16(&[0xc0, 0x2f, 0, 0x9c])
        });
        body.extend([1, 0]);
        body.extend(vec16(&extensions));
        record(HANDSHAKE, &message(1, &body))
    }

    fn server_hello(&self, noise: &mut Noise) -> Vec<u8> {
        let mut extensions = Vec::new();
        if self.is_tls13() {
            extensions.extend(extension(43, &[3, 4]));
            extensions.extend(extension(51, &[&[0, 29], vec16(&noise.bytes(32)).as_slice()].concat()));
            if !self.full() {
                extensions.extend(extension(41, &[0, 0]));
            }
        } else {
            extensions.extend(extension(23, &[]));
            if self.full() && self.mechanism == Mechanism::Ticket {
                extensions.extend(extension(35, &[]));
            }
        }
        let session_id = match (self.mechanism, self.full()) {
            (Mechanism::SessionId, true) => self.issued.clone(),
            (Mechanism::SessionId, false) => self.offered.clone(),
            _ => Vec::new(),
        };
        let mut body = vec![3, 3];
        body.extend(noise.bytes(32));
        body.push(u8::try_from(session_id.len()).unwrap_or(0));
        body.extend(session_id);
        body.extend(if self.is_tls13() { [0x13, 1] } else { [0xc0, 0x2f] });
        body.push(0);
        body.extend(vec16(&extensions));
        let mut flight = record(HANDSHAKE, &message(2, &body));
        if self.is_tls13() {
            flight.extend(record(CHANGE_CIPHER_SPEC, &[1]));
            let lengths: &[usize] = if self.full() { &[40, 1800, 285, 53] } else { &[40, 53] };
            for length in lengths {
                flight.extend(record(DATA, &noise.bytes(*length)));
            }
        } else if self.full() {
            // Certificates of one server are the same each time.
            let mut certificate = Noise(u64::from(self.server) + 1);
            let chain = vec24(&vec24(&certificate.bytes(1700)));
            flight.extend(record(HANDSHAKE, &message(11, &chain)));
            flight.extend(record(HANDSHAKE, &message(12, &noise.bytes(290))));
            flight.extend(record(HANDSHAKE, &message(14, &[])));
        } else {
            flight.extend(finished(noise));
        }
        flight
    }

    fn client_finished(&self, noise: &mut Noise) -> Vec<u8> {
        if self.is_tls13() {
            let ccs = record(CHANGE_CIPHER_SPEC, &[1]);
            return [ccs, record(DATA, &noise.bytes(53))].concat();
        }
        let exchange = record(HANDSHAKE, &message(16, &[&[65], noise.bytes(65).as_slice()].concat()));
        if self.full() {
            [exchange, finished(noise)].concat()
        } else {
            finished(noise)
        }
    }

    fn server_finished(&self, noise: &mut Noise) -> Vec<u8> {
        match self.mechanism {
            Mechanism::Psk => record(DATA, &noise.bytes(255)),
            _ if !self.full() => Vec::new(),
            Mechanism::Ticket => {
                let ticket = [&[0, 0, 1, 44], vec16(&self.issued).as_slice()].concat();
                [record(HANDSHAKE, &message(4, &ticket)), finished(noise)].concat()
            }
            Mechanism::SessionId => finished(noise),
        }
    }

    fn answer(&self, noise: &mut Noise) -> Vec<u8> {
        let mut left = self.bytes;
        let mut records = Vec::with_capacity(left + left / 500);
        while left > 0 {
            let length = left.min(RECORD);
            records.extend(record(DATA, &noise.bytes(length)));
            left -= length;
        }
        records
    }

    fn close(&mut self, from: usize, noise: &mut Noise) {
        let (kind, length) = if self.is_tls13() { (DATA, 19) } else { (ALERT, 26) };
        let notify = record(kind, &noise.bytes(length));
        self.segment(from, FIN | ACK, &notify);
    }

    /// Bytes of one side, with an acknowledgement for every second segment.
    fn flight(&mut self, from: usize, bytes: &[u8]) {
        for (number, part) in bytes.chunks(SEGMENT).enumerate() {
            self.segment(from, ACK, part);
            if number % 2 == 1 {
                self.segment(1 - from, ACK, &[]);
            }
        }
    }

    fn segment(&mut self, from: usize, flags: u8, payload: &[u8]) {
        let [ours, theirs] = [self.sequence[from], self.sequence[1 - from]];
        let ends = [
            (10 << 24 | self.client, self.port),
            (172 << 24 | 16 << 16 | self.server, 443),
        ];
        let (source, target) = (ends[from], ends[1 - from]);
        let length = u16::try_from(40 + payload.len()).unwrap_or(u16::MAX);
        let mut frame = Vec::with_capacity(54 + payload.len());
        for end in [1 - from, from] {
            frame.extend([2, 0, 0, 0, 0, u8::try_from(end).unwrap_or(0)]);
        }
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        frame.extend(source.0.to_be_bytes());
        frame.extend(target.0.to_be_bytes());
        frame.extend(source.1.to_be_bytes());
        frame.extend(target.1.to_be_bytes());
        frame.extend(ours.to_be_bytes());
        frame.extend(if flags & ACK == 0 { 0 } else { theirs }.to_be_bytes());
        frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(payload);
        let counted = u32::from(flags & (SYN | FIN) != 0) + u32::try_from(payload.len()).unwrap_or(0);
        self.sequence[from] = ours.wrapping_add(counted);
        self.waiting.push_back(frame);
    }
}

const CLIENT: usize = 0;
const SERVER: usize = 1;
const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// ChangeCipherSpec and a Finished under AES-GCM: 8 bytes of nonce, 16 of message, 16 of tag.
fn finished(noise: &mut Noise) -> Vec<u8> {
    [record(CHANGE_CIPHER_SPEC, &[1]), record(HANDSHAKE, &noise.bytes(40))].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], vec16(body).as_slice()].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], vec24(body).as_slice()].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().as_slice(), vec16(body).as_slice()].concat()
}

fn vec16(body: &[u8]) -> Vec<u8> {
    [
        u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes().as_slice(),
        body,
    ]
    .concat()
}

fn vec24(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], body].concat()
}
