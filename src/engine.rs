//! Wires the layers: packets go in, finished connections with their outcome are kept.
//!
//! Opens nothing, prints nothing and reads no clock. [`Engine::push`] never fails: what cannot be used is counted and
//! named. Hostile input is ordinary input here.

mod legs;
mod sealed;
mod shard;
mod tracks;

use hashbrown::HashSet;

use crate::keys::{Log, Secrets};
use crate::net::{At, Decoded, Decoder, Endpoint, Neighbour, Notice, Notices, Packet, Segment, Timestamp};
use crate::session::{Connection, Interner, Kept, Ledger};
use crate::stream::{Direction, Finished, FlowTable};

pub use shard::{Shard, join};
pub use crate::stream::Limits as FlowLimits;
use tracks::{Context, Tracks};

/// Bounds of one run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections.
    pub flows: FlowLimits,
    /// Bytes kept for finished connections and credentials; beyond that the oldest are folded into counts.
    pub kept_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: FlowLimits::default(),
            kept_bytes: 2 << 30,
        }
    }
}

/// An address that changed hands or could not be reached, as ARP, neighbour discovery and ICMP tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourSeen {
    /// Where and when.
    pub at: At,
    /// What.
    pub what: Neighbour,
}

/// Neighbour facts kept: enough for every takeover in a capture, bounded for a network full of ARP.
const MAX_NEIGHBOURS: usize = 4096;
/// Distinct QUIC or DTLS endpoints that are told apart when counting.
const MAX_DATAGRAM_PAIRS: usize = 1 << 16;

/// Connections without TLS kept for other runs; beyond that they are only counted.
const MAX_STRAYS: usize = 1 << 16;

/// The analysis of one run.
#[derive(Debug)]
pub struct Engine {
    decoder: Decoder,
    table: FlowTable<Tracks>,
    ledger: Ledger,
    interner: Interner,
    kept: Kept,
    secrets: Secrets,
    /// Bytes held back for secrets that may come.
    held: usize,
    notices: Notices,
    neighbours: Vec<NeighbourSeen>,
    datagram_pairs: HashSet<(Endpoint, Endpoint)>,
    other_connections: u64,
    last: Option<Timestamp>,
    /// What is found here will be joined with what other runs found.
    joinable: bool,
    /// Connections without TLS that other runs may know better.
    strays: Vec<Box<Connection>>,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            decoder: Decoder::new(),
            table: FlowTable::new(limits.flows),
            ledger: Ledger::default(),
            interner: Interner::default(),
            kept: Kept::new(limits.kept_bytes),
            secrets: Secrets::default(),
            held: 0,
            notices: Notices::default(),
            neighbours: Vec::new(),
            datagram_pairs: HashSet::new(),
            other_connections: 0,
            last: None,
            joinable: false,
            strays: Vec::new(),
        }
    }

    /// What is found will be joined with what other runs found, as a [`Shard`]: more is kept of connections, and nothing
    /// is joined here.
    pub const fn keep_joinable(&mut self) {
        self.joinable = true;
    }

    /// Takes one packet.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let at = packet.at();
        self.last = Some(self.last.map_or(at.time, |last| last.max(at.time)));
        match self.decoder.decode(packet) {
            Decoded::Segment(segment) => {
                if segment.cut > 0 {
                    self.notices.add(Notice::PacketCutBySnaplen, Some(at.frame));
                }
                let mut context = Context {
                    ledger: &mut self.ledger,
                    interner: &mut self.interner,
                    kept: &mut self.kept,
                    secrets: &mut self.secrets,
                    held: &mut self.held,
                    joinable: self.joinable,
                };
                if !take(&mut self.table, &segment, at, &mut context) && self.joinable {
                    keep_end(&mut self.strays, &mut self.table, &segment, at);
                }
            }
            Decoded::Datagram(datagram) => {
                if let Some(notice) = datagram_kind(datagram.payload) {
                    let pair = (
                        datagram.source.min(datagram.destination),
                        datagram.source.max(datagram.destination),
                    );
                    self.count_datagram(notice, pair, at);
                }
            }
            Decoded::Neighbour(what) => self.neighbour(NeighbourSeen { at, what }),
            Decoded::Skipped(notice) => self.notices.add(notice, Some(at.frame)),
            Decoded::Other => {}
        }
        while let Some(finished) = self.table.expire() {
            self.finish_flow(finished);
        }
    }

    /// Takes the next bytes of a key log.
    pub fn read_keys(&mut self, log: &mut Log, bytes: &[u8]) {
        log.push(bytes, &mut self.secrets);
    }

    /// A key log is over; gives how many of its lines were malformed, which are then counted.
    pub fn end_keys(&mut self, log: &mut Log) -> u64 {
        log.finish(&mut self.secrets);
        let malformed = log.malformed();
        if malformed > 0 {
            self.notices.add_many(Notice::KeyLogLineMalformed, malformed, None);
        }
        malformed
    }

    /// More secrets may come while packets do: records of connections without keys are then held back for a while.
    pub const fn expect_keys(&mut self) {
        self.secrets.grow();
    }

    /// Ends every open connection: the input is over.
    pub fn finish(&mut self) {
        for finished in self.table.drain() {
            self.finish_flow(finished);
        }
        // Another run may have the other leg: then they are joined when all runs are.
        if !self.joinable {
            self.join_legs();
        }
        self.count_keys();
        let notices = self.decoder.finish();
        self.notices.merge(&notices);
    }

    fn join_legs(&mut self) {
        let legs = legs::join(&mut self.kept, &mut self.ledger);
        if legs > 0 {
            self.notices.add_many(Notice::LegJoined, legs, None);
        }
    }

    /// Keys that opened nothing, by why.
    fn count_keys(&mut self) {
        let (unclaimed, dropped) = self.secrets.unclaimed();
        let hellos = || self.kept.iter().filter_map(|(_, connection)| connection.hello.yes());
        let late = if unclaimed > 0 {
            hellos()
                .filter(|hello| self.secrets.came_too_late(&hello.random))
                .count() as u64
        } else {
            0
        };
        for (notice, count) in [
            (Notice::KeysTooLate, late),
            (Notice::KeysUnused, unclaimed.saturating_sub(late)),
            (Notice::KeysDropped, dropped),
        ] {
            if count > 0 {
                self.notices.add_many(notice, count, None);
            }
        }
    }

    /// Finished TLS connections.
    #[must_use]
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Every credential.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What was skipped.
    #[must_use]
    pub const fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Address facts.
    #[must_use]
    pub fn neighbours(&self) -> &[NeighbourSeen] {
        &self.neighbours
    }

    /// TCP connections that carried no TLS.
    #[must_use]
    pub const fn other_connections(&self) -> u64 {
        self.other_connections
    }

    fn finish_flow(&mut self, mut finished: Finished<Tracks>) {
        let mut context = Context {
            ledger: &mut self.ledger,
            interner: &mut self.interner,
            kept: &mut self.kept,
            secrets: &mut self.secrets,
            held: &mut self.held,
            joinable: self.joinable,
        };
        let flow = &mut finished.flow;
        for direction in Direction::BOTH {
            flow.half_mut(direction).assembler.flush();
            deliver_waiting(flow, direction, &mut context);
        }
        let confirmed = flow.data.confirmed();
        let connection = tracks::finish(&mut finished, self.last, &mut context);
        if connection.is_none() && self.joinable && self.strays.len() < MAX_STRAYS {
            self.strays.extend(tracks::stray(&finished.flow, &mut context));
        }
        self.note_flow(&finished, confirmed);
        if let Some((id, connection)) = connection {
            self.kept.keep(id, connection, &mut self.ledger);
        } else {
            self.other_connections += 1;
        }
        self.table.recycle(finished);
    }

    fn note_flow(&mut self, finished: &Finished<Tracks>, confirmed: Option<bool>) {
        let flow = &finished.flow;
        let first = Some(flow.first.frame);
        let mut note = |notice, count: u32| {
            if count > 0 {
                self.notices.add_many(notice, u64::from(count), first);
            }
        };
        note(Notice::DuplicatePacket, flow.copies);
        note(Notice::ResetIgnored, flow.resets_ignored);
        note(
            Notice::FlowEvicted,
            u32::from(finished.why == crate::stream::Why::Evicted),
        );
        note(Notice::StreamGap, flow.data.gaps());
        for half in &flow.halves {
            note(Notice::OverlapConflict, half.assembler.conflicts());
            note(Notice::StreamBufferLimit, u32::from(half.assembler.limited()));
        }
        note(Notice::HelloNotConfirmed, u32::from(confirmed == Some(false)));
        note(
            Notice::OneDirection,
            u32::from(confirmed == Some(true) && !flow.two_way()),
        );
        if let Some(keys) = flow.data.keys() {
            let (opened, failed) = keys.counts();
            note(Notice::KeysDoNotFit, u32::from(opened == 0 && failed > 0));
            note(Notice::RecordNotOpened, if opened > 0 { failed } else { 0 });
            note(Notice::SuiteNotOpened, u32::from(keys.is_unsupported()));
        }
    }

    fn neighbour(&mut self, seen: NeighbourSeen) {
        if let Neighbour::Unreachable {
            source, destination, ..
        } = seen.what
            && let Some(flow) = self.table.find_mut(source, destination)
        {
            flow.unreachable = true;
        }
        if self.neighbours.len() < MAX_NEIGHBOURS {
            self.neighbours.push(seen);
        }
    }

    /// QUIC and DTLS are counted, one for each pair of endpoints.
    fn count_datagram(&mut self, notice: Notice, pair: (Endpoint, Endpoint), at: At) {
        if self.datagram_pairs.len() < MAX_DATAGRAM_PAIRS && self.datagram_pairs.insert(pair) {
            self.notices.add(notice, Some(at.frame));
        }
    }
}

/// Takes one TCP segment; `false` when it is of no connection. A function of its own: inlined, the segment would be
/// copied about on the stack.
#[inline(never)]
fn take(table: &mut FlowTable<Tracks>, segment: &Segment<'_>, at: At, context: &mut Context<'_>) -> bool {
    let Some((id, mut direction)) = table.route(segment, at, Tracks::default) else {
        return false;
    };
    let Some(flow) = table.flow_mut(id) else { return false };
    let assembler = &mut flow.half_mut(direction).assembler;
    if let Some(piece) = assembler.push(segment.seq, segment.payload, segment.cut, at) {
        direction = tracks::deliver(flow, direction, &piece, context);
    }
    // An acknowledgement may release what the other direction holds back.
    for direction in [direction, direction.opposite()] {
        deliver_waiting(flow, direction, context);
    }
    true
}

/// The end of a connection of which nothing else was seen may be that of one that another run saw.
fn keep_end(strays: &mut Vec<Box<Connection>>, table: &mut FlowTable<Tracks>, segment: &Segment<'_>, at: At) {
    let ends = segment.flags.fin() || segment.flags.rst();
    let known = ends && table.find_mut(segment.source, segment.destination).is_some();
    if ends && !known && strays.len() < MAX_STRAYS {
        strays.push(tracks::bare_end(segment, at));
    }
}

fn deliver_waiting(flow: &mut crate::stream::Flow<Tracks>, direction: Direction, context: &mut Context<'_>) {
    let mut direction = direction;
    while let Some(piece) = flow.half_mut(direction).assembler.pop() {
        direction = tracks::deliver(flow, direction, &piece, context);
    }
}

/// A QUIC v1 or v2 Initial (RFC 9000 §17.2.2, RFC 9369 §3.2) or a DTLS ClientHello (RFC 6347 §4.2.2).
fn datagram_kind(payload: &[u8]) -> Option<Notice> {
    match *payload {
        // Clients fill their first datagram to 1200 bytes (RFC 9000 §14.1), which keeps look-alikes out.
        [first, 0, 0, 0, 1, ..] if first & 0xf0 == 0xc0 && payload.len() >= 1200 => Some(Notice::QuicNotAnalysed),
        [first, 0x6b, 0x33, 0x43, 0xcf, ..] if first & 0xf0 == 0xd0 && payload.len() >= 1200 => {
            Some(Notice::QuicNotAnalysed)
        }
        [22, 0xfe, 0xff | 0xfd, 0, 0, _, _, _, _, _, _, _, _, 1, ..] => Some(Notice::DtlsNotAnalysed),
        _ => None,
    }
}
