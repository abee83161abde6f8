//! The least work that any analysis of TLS resumption has to do, as a yardstick: a standard library and nothing else.
//!
//! ```text
//! rustc --edition 2024 -C opt-level=3 benches/floor.rs -o floor
//! floor read|link FILE.pcap
//! ```
//!
//! `read` reads the file in pieces of 256 KB and looks at nothing. `link` walks the records of the capture, decodes Ethernet,
//! IPv4 and TCP, finds the connection of each packet in a table under a keyed hash, steps over TLS content by its length, reads
//! the hellos and tickets that stand whole in a segment, enters credentials by a keyed 128-bit hash, leaves 192 bytes of facts a
//! connection, and passes over them once by server and time.
//!
//! It repairs no order, judges nothing, bounds nothing and prints counts alone, so no honest tool comes down to it. The
//! processor time of a tool beyond `read`, beside that of `link` beyond `read`, is W: it hardly moves from day to day, while
//! that of a bare read does.

#![allow(clippy::cast_possible_truncation)] // a yardstick for captures that were made, not for hostile ones

use std::cmp::Ordering;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};

const PIECE: usize = 256 << 10;
/// Nanoseconds that a closed connection keeps its place.
const LINGER: u64 = 1_000_000_000;

/// A keyed hash: nobody can choose addresses or tickets that collide.
#[derive(Clone, Copy)]
struct Key([u64; 2]);

impl Key {
    fn new() -> Self {
        let word = || RandomState::new().build_hasher().finish();
        Self([word(), word() | 1])
    }

    fn mix(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    }

    fn of(self, bytes: &[u8]) -> u64 {
        let mut hash = self.0[0] ^ bytes.len() as u64;
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            hash = Self::mix(hash ^ u64::from_le_bytes(word), self.0[1]);
        }
        hash
    }
}

/// Numbers by hash, with open addressing: `0` is an empty place.
struct Table {
    places: Vec<(u64, u32)>,
    used: usize,
}

impl Table {
    fn new() -> Self {
        Self {
            places: vec![(0, 0); 4096],
            used: 0,
        }
    }

    /// The place of what has this hash and is meant, or an empty one.
    fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> usize {
        let mask = self.places.len() - 1;
        let mut place = hash as usize & mask;
        while self.places[place].1 != 0 && !(self.places[place].0 == hash && is_it(self.places[place].1)) {
            place = (place + 1) & mask;
        }
        place
    }

    fn put(&mut self, hash: u64, number: u32) {
        self.used += 1;
        if 2 * self.used > self.places.len() {
            let larger = vec![(0, 0); 2 * self.places.len()];
            for (hash, number) in std::mem::replace(&mut self.places, larger) {
                if number != 0 {
                    let place = self.find(hash, |_| false);
                    self.places[place] = (hash, number);
                }
            }
        }
        let place = self.find(hash, |_| false);
        self.places[place] = (hash, number);
    }

    /// Those behind it move up, so that no marks are left.
    fn remove(&mut self, hash: u64, number: u32) {
        let mask = self.places.len() - 1;
        let mut empty = self.find(hash, |known| known == number);
        if self.places[empty].1 == 0 {
            return;
        }
        let mut next = empty;
        loop {
            next = (next + 1) & mask;
            let (hash, number) = self.places[next];
            if number == 0 {
                break;
            }
            if next.wrapping_sub(hash as usize) & mask >= next.wrapping_sub(empty) & mask {
                self.places[empty] = self.places[next];
                empty = next;
            }
        }
        self.places[empty] = (0, 0);
        self.used -= 1;
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    #[default]
    Header,
    Messages,
    Content,
    NotTls,
}

/// What every packet of a connection touches.
#[derive(Clone, Copy, Default)]
struct Flow {
    /// Both ends, the lower first.
    ends: [[u8; 6]; 2],
    next: [u32; 2],
    left: [u16; 2],
    phase: [Phase; 2],
    seen: [bool; 2],
    fin: [bool; 2],
    closing: bool,
    client: u8,
    facts: u32,
    hash: u64,
}

/// What is left of a connection.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Facts {
    server: [u8; 6],
    begun: u64,
    ended: u64,
    hellos: [u64; 2],
    name: u64,
    stack: u64,
    offered: [u32; 2],
    issued: [u32; 2],
    frames: [u64; 8],
    version: u16,
    suite: u16,
    message_left: u32,
    answered: bool,
    accepted_psk: bool,
    full: bool,
    echoed: bool,
    resumed: bool,
    encrypted: [bool; 2],
    id: u64,
}

const _: () = assert!(size_of::<Facts>() == 192);

struct Segment<'a> {
    time: u64,
    frame: u64,
    ends: [[u8; 6]; 2],
    /// Index of the sender among the ends.
    from: usize,
    seq: u32,
    flags: u8,
    payload: &'a [u8],
}

fn be16(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn decode(data: &[u8], time: u64, frame: u64) -> Option<Segment<'_>> {
    let ip = data.get(14..).filter(|_| data[12..14] == [8, 0])?;
    if ip.len() < 20 || ip[0] >> 4 != 4 || ip[9] != 6 || be16(&ip[6..]) & 0x3fff != 0 {
        return None;
    }
    let ip = &ip[..be16(&ip[2..]).clamp(20, ip.len())];
    let tcp = ip.get(usize::from(ip[0] & 15) * 4..).filter(|tcp| tcp.len() >= 20)?;
    let payload = tcp.get(usize::from(tcp[12] >> 4) * 4..)?;
    let end = |address: &[u8], port: &[u8]| [address[0], address[1], address[2], address[3], port[0], port[1]];
    let (source, destination) = (end(&ip[12..], tcp), end(&ip[16..], &tcp[2..]));
    let from_high = source > destination;
    Some(Segment {
        time,
        frame,
        ends: if from_high {
            [destination, source]
        } else {
            [source, destination]
        },
        from: usize::from(from_high),
        seq: be32(&tcp[4..]),
        flags: tcp[13],
        payload,
    })
}

struct Credential {
    hash: [u64; 2],
    issuer: u32,
}

struct Run {
    keys: [Key; 2],
    flows: Vec<Flow>,
    free: Vec<u32>,
    by_ends: Table,
    waiting: std::collections::VecDeque<(u64, u32)>,
    facts: Vec<Facts>,
    credentials: Vec<Credential>,
    by_credential: Table,
}

impl Run {
    fn take(&mut self, segment: &Segment<'_>) {
        while self.waiting.front().is_some_and(|(due, _)| *due <= segment.time) {
            let Some((_, number)) = self.waiting.pop_front() else {
                break;
            };
            self.by_ends.remove(self.flows[number as usize].hash, number);
            self.free.push(number);
        }
        let hash = self.keys[0].of(segment.ends.as_flattened());
        let place = self
            .by_ends
            .find(hash, |number| self.flows[number as usize].ends == segment.ends);
        let (syn, ack) = (segment.flags & 2 != 0, segment.flags & 16 != 0);
        let mut number = self.by_ends.places[place].1;
        if number != 0 && syn && !ack && self.flows[number as usize].closing {
            self.by_ends.remove(hash, number);
            number = 0;
        }
        if number == 0 {
            if segment.flags & 4 != 0 || (!syn && segment.payload.is_empty()) {
                return;
            }
            number = self.enter(segment, hash, syn && !ack);
        }
        let from = segment.from;
        let flow = &mut self.flows[number as usize];
        if syn || !flow.seen[from] {
            flow.next[from] = segment.seq.wrapping_add(u32::from(syn));
            flow.seen[from] = true;
        }
        let (in_order, length) = (
            segment.seq.wrapping_add(u32::from(syn)) == flow.next[from],
            segment.payload.len(),
        );
        if length > 0 && in_order {
            flow.next[from] = flow.next[from].wrapping_add(length as u32);
            if flow.phase[from] == Phase::Content && length < usize::from(flow.left[from]) {
                flow.left[from] -= length as u16;
            } else if flow.phase[from] != Phase::NotTls {
                self.bytes(number, from, segment.payload, segment.frame);
            }
        }
        let flow = &mut self.flows[number as usize];
        let facts = match segment.flags & 5 {
            0 => return,
            _ => &mut self.facts[flow.facts as usize],
        };
        facts.frames[4 + from] = segment.frame;
        flow.fin[from] |= segment.flags & 1 != 0;
        if (segment.flags & 4 != 0 || flow.fin == [true; 2]) && !flow.closing {
            flow.closing = true;
            facts.ended = segment.time;
            self.waiting.push_back((segment.time + LINGER, number));
        }
    }

    fn enter(&mut self, segment: &Segment<'_>, hash: u64, syn: bool) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.flows.push(Flow::default());
            self.flows.len() as u32 - 1
        });
        let lower_port = |end: usize| segment.ends[end][4..] > segment.ends[1 - end][4..];
        let client = if syn { segment.from } else { usize::from(!lower_port(0)) };
        self.flows[number as usize] = Flow {
            ends: segment.ends,
            client: client as u8,
            facts: self.facts.len() as u32,
            hash,
            ..Flow::default()
        };
        self.facts.push(Facts {
            server: segment.ends[1 - client],
            begun: segment.time,
            ..Facts::default()
        });
        self.by_ends.put(hash, number);
        number
    }

    /// The number of a credential, from 1.
    fn credential(&mut self, bytes: &[u8], issuer: u32) -> u32 {
        let hash = self.keys.map(|key| key.of(bytes));
        let place = self
            .by_credential
            .find(hash[0], |number| self.credentials[number as usize].hash == hash);
        let known = self.by_credential.places[place].1;
        if known != 0 {
            return known;
        }
        self.credentials.push(Credential { hash, issuer });
        let number = self.credentials.len() as u32 - 1;
        self.by_credential.put(hash[0], number);
        number
    }

    /// Bytes of one direction. Content is stepped over; in handshake records messages are read.
    fn bytes(&mut self, number: u32, from: usize, mut bytes: &[u8], frame: u64) {
        let mut flow = self.flows[number as usize];
        let at = flow.facts as usize;
        let by_client = from == usize::from(flow.client);
        while !bytes.is_empty() && flow.phase[from] != Phase::NotTls {
            if flow.phase[from] == Phase::Header {
                let facts = &mut self.facts[at];
                if bytes.len() < 5 || !(20..=24).contains(&bytes[0]) || bytes[1] != 3 {
                    flow.phase[from] = Phase::NotTls;
                    break;
                }
                flow.left[from] = be16(&bytes[3..]) as u16;
                if bytes[0] == 20 && facts.answered && facts.version < 0x0304 {
                    facts.resumed |= !by_client && !facts.full && (facts.offered[0] != 0 || facts.echoed);
                    facts.encrypted[from] = true;
                    facts.frames[2 + from] = frame;
                }
                let clear = !(facts.encrypted[from] || facts.answered && facts.version == 0x0304);
                let messages = bytes[0] == 22 && clear;
                flow.phase[from] = if messages { Phase::Messages } else { Phase::Content };
                bytes = &bytes[5..];
                continue;
            }
            let here = bytes.len().min(usize::from(flow.left[from]));
            let (part, rest) = bytes.split_at(here);
            if flow.phase[from] == Phase::Messages {
                self.messages(at, by_client, part, frame);
            }
            flow.left[from] -= here as u16;
            bytes = rest;
            if flow.left[from] == 0 {
                flow.phase[from] = Phase::Header;
            }
        }
        self.flows[number as usize] = flow;
    }

    fn messages(&mut self, at: usize, by_client: bool, mut part: &[u8], frame: u64) {
        while !part.is_empty() {
            let left = self.facts[at].message_left as usize;
            if left > 0 || part.len() < 4 {
                let step = left.clamp(1, part.len());
                self.facts[at].message_left = left.saturating_sub(step) as u32;
                part = &part[step..];
                continue;
            }
            let (kind, length) = (part[0], be32(part) as usize & 0xff_ffff);
            self.facts[at].full |= kind == 11 && !by_client;
            let Some(body) = part.get(4..4 + length) else {
                self.facts[at].message_left = (length - (part.len() - 4)) as u32;
                return;
            };
            match (kind, by_client) {
                (1, true) => drop(self.client_hello(at, body, frame)),
                (2, false) => drop(self.server_hello(at, body, frame)),
                (4, false) if length > 6 => {
                    let issuer = at as u32 + 1;
                    self.facts[at].issued[1] = self.credential(&body[6..], issuer);
                }
                _ => {}
            }
            part = &part[4 + length..];
        }
    }

    fn client_hello(&mut self, at: usize, body: &[u8], frame: u64) -> Option<()> {
        let id_end = 35 + usize::from(*body.get(34)?);
        let id = body.get(35..id_end)?;
        let suites_end = id_end + 2 + be16(body.get(id_end..id_end + 2)?);
        let stack = self.keys[0].of(body.get(id_end..suites_end)?);
        let mut rest = body.get(suites_end + 1 + usize::from(*body.get(suites_end)?) + 2..)?;
        let (mut tls13, mut kinds, mut offered, mut name) = (false, stack, [0; 2], 0);
        while rest.len() >= 4 {
            let (kind, length) = (be16(rest), be16(&rest[2..]));
            let value = rest.get(4..4 + length)?;
            kinds = Key::mix(kinds ^ kind as u64, self.keys[0].0[1]);
            match kind {
                0 => name = self.keys[0].of(value),
                35 if length > 0 => offered[0] = self.credential(value, 0),
                43 => tls13 = value.get(1..)?.chunks_exact(2).any(|version| version == [3, 4]),
                41 if length > 4 => {
                    let identity = value.get(4..4 + be16(&value[2..]))?;
                    offered[0] = self.credential(identity, 0);
                }
                _ => {}
            }
            rest = &rest[4 + length..];
        }
        if !id.is_empty() && !tls13 {
            offered[1] = self.credential(id, 0);
        }
        let id = self.keys[1].of(id);
        let facts = &mut self.facts[at];
        (facts.stack, facts.name, facts.id, facts.offered) = (kinds, name, id, offered);
        (facts.frames[0], facts.hellos[0]) = (frame, facts.hellos[0] + 1);
        Some(())
    }

    fn server_hello(&mut self, at: usize, body: &[u8], frame: u64) -> Option<()> {
        const RETRY: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];
        let id_end = 35 + usize::from(*body.get(34)?);
        if body.get(2..10)? == RETRY {
            return None;
        }
        let id = body.get(35..id_end)?;
        let mut version = be16(body);
        let mut psk = false;
        let mut rest = body.get(id_end + 5..).unwrap_or_default();
        while rest.len() >= 4 {
            let (kind, length) = (be16(rest), be16(&rest[2..]));
            let value = rest.get(4..4 + length)?;
            if kind == 43 && length == 2 {
                version = be16(value);
            }
            psk |= kind == 41;
            rest = &rest[4 + length..];
        }
        let echoed = !id.is_empty() && self.keys[1].of(id) == self.facts[at].id;
        let issuer = at as u32 + 1;
        let issued = if version < 0x0304 && !id.is_empty() && !echoed {
            self.credential(id, issuer)
        } else {
            0
        };
        let facts = &mut self.facts[at];
        (facts.version, facts.suite) = (version as u16, be16(body.get(id_end..)?) as u16);
        (facts.answered, facts.accepted_psk, facts.echoed) = (true, psk, echoed && version < 0x0304);
        (facts.issued[0], facts.frames[1]) = (issued, frame);
        Some(())
    }

    /// One pass over all facts by server and time, as any verdict over more than one connection needs.
    fn link(&self) -> String {
        let mut order: Vec<u32> = (0..self.facts.len() as u32).collect();
        let facts = |number: u32| &self.facts[number as usize];
        order.sort_unstable_by(|a, b| match facts(*a).server.cmp(&facts(*b).server) {
            Ordering::Equal => facts(*a).begun.cmp(&facts(*b).begun),
            other => other,
        });
        let (mut resumed, mut linked, mut servers) = (0_u64, 0_u64, 0_u64);
        let mut before = None;
        for this in order.into_iter().map(facts) {
            resumed += u64::from(this.resumed || this.accepted_psk);
            servers += u64::from(before.replace(this.server) != Some(this.server));
            for offered in this.offered {
                let issuer = self.credentials[offered as usize].issuer.checked_sub(1);
                linked += u64::from(issuer.is_some_and(|issuer| facts(issuer).server == this.server));
            }
        }
        let connections = self.facts.len();
        format!("connections {connections} resumed {resumed} linked {linked} servers {servers}")
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [step, path] = arguments.as_slice() else {
        return Err(io::Error::other("usage: floor read|link FILE.pcap"));
    };
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 2 * PIECE];
    if step == "read" {
        while std::hint::black_box(file.read(&mut buffer[..PIECE])?) > 0 {}
        return Ok(());
    }
    let mut run = Run {
        keys: [Key::new(), Key::new()],
        // Number 0 is nobody's.
        flows: vec![Flow::default()],
        free: Vec::new(),
        by_ends: Table::new(),
        waiting: std::collections::VecDeque::new(),
        facts: Vec::new(),
        credentials: vec![Credential {
            hash: [0; 2],
            issuer: 0,
        }],
        by_credential: Table::new(),
    };
    let (mut have, mut at, mut frame, mut scale) = (0, 24, 0_u64, 1_000);
    loop {
        let more = file.read(&mut buffer[have..have + PIECE])?;
        if more == 0 {
            break;
        }
        have += more;
        if frame == 0 {
            scale = if buffer[..4] == [0x4d, 0x3c, 0xb2, 0xa1] {
                1
            } else {
                1_000
            };
        }
        let le = |at: usize| u32::from_le_bytes([buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]]);
        while at + 16 <= have {
            let length = le(at + 8) as usize;
            if length > PIECE - 16 {
                return Err(io::Error::other("only pcap, little endian, Ethernet"));
            }
            let Some(data) = buffer[..have].get(at + 16..at + 16 + length) else {
                break;
            };
            frame += 1;
            let time = u64::from(le(at)) * 1_000_000_000 + u64::from(le(at + 4)) * scale;
            if let Some(segment) = decode(data, time, frame) {
                run.take(&segment);
            }
            at += 16 + length;
        }
        buffer.copy_within(at.min(have)..have, 0);
        have = have.saturating_sub(at);
        at = 0;
    }
    writeln!(io::stdout(), "packets {frame} {}", run.link())
}
