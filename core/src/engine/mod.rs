//! Wires the layers: packets go in, finished connections with their outcome are kept.
//!
//! Opens nothing, prints nothing and reads no clock. [`Engine::push`] never fails: what cannot be used is counted and
//! named. Hostile input is ordinary input here.

mod connection;
mod coverage;
mod datagrams;
mod decrypting;
mod found;
mod joining;
mod limits;
mod pipeline;
mod proxied;
mod shard;

use std::collections::VecDeque;

use crate::datagram::Gate;
use crate::decrypt::KeyLogReader;
use crate::diagnosis::outcome;
use crate::net::{At, Decoded, FrameDecoder, Neighbour, Notice, Notices, Packet, Segment, Timestamp, unanalysed};
use crate::session::{Completed, Connection, ConnectionId, Drops};
use crate::store::{ConnectionStore, CredentialStore, settle_session_ids};
use crate::tcp::{Direction, Finished, Flow, FlowId, FlowTable, Piece, Why};

use crate::tls::search::opens;

pub use crate::tcp::FlowLimits;
use connection::{ConnectionState, Context};
use coverage::{Coverage, Silence};
pub use datagrams::DatagramLimits;
use datagrams::{Arrival, DatagramEngine, Datagrams};
pub use joining::Joining;
pub use limits::Limits;
pub use pipeline::{Order, StepBatch, TcpStage, TlsStage};
pub use shard::Shard;

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// An address that changed hands or could not be reached, as ARP, neighbour discovery and ICMP tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct NeighbourSeen {
    /// Where and when.
    pub at: At,
    /// What.
    pub what: Neighbour,
}

/// Something that happened to a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsEvent {
    /// Its handshake is decided; it is kept as far as it has come.
    Handshake(ConnectionId),
    /// It is over, and kept.
    Closed(ConnectionId),
}

/// Finished connections folded at most each time that time passes: so few that no packet waits for it.
const EVICTED_AT_ONCE: usize = 4096;
/// Looks at open connections each time that time passes.
const LOOKS_AT_ONCE: usize = 1024;
/// Neighbour facts kept: enough for every takeover in a capture, bounded for a network full of ARP.
const MAX_NEIGHBOURS: usize = 4096;

/// Connections without TLS kept for other runs; beyond that they are only counted.
const MAX_STRAYS: usize = 1 << 16;

/// The analysis of one run.
#[derive(Debug)]
pub struct Engine {
    decoder: FrameDecoder,
    table: FlowTable<ConnectionState>,
    context: Context,
    buffered_limit: usize,
    notices: Notices,
    neighbours: Vec<NeighbourSeen>,
    gate: Gate,
    datagrams: Datagrams,
    other_connections: u64,
    /// The time of the packet that came last. Where the clock was set back, or an earlier capture stands behind a later one, there
    /// were later times; what came last was followed by no silence all the same.
    last: Option<Timestamp>,
    coverage: Coverage,
    /// Connections without TLS that other runs may know better.
    strays: Vec<Connection>,
    limits: Limits,
    /// What happened since it was asked for, where anybody asks.
    events: Option<VecDeque<TlsEvent>>,
    drops: Drops,
    redacted: bool,
    /// Connections whose outcome later ones decided, in order.
    settled: Vec<ConnectionId>,
}

/// What a run found, to be told under other names.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Finished connections.
    pub connection_store: &'a mut ConnectionStore,
    /// Every credential.
    pub credential_store: &'a mut CredentialStore,
    /// Address facts.
    pub neighbours: &'a mut [NeighbourSeen],
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            decoder: FrameDecoder::new(),
            table: FlowTable::new(limits.flows, opens),
            context: Context::new(&limits),
            buffered_limit: limits.buffered_bytes,
            notices: Notices::default(),
            neighbours: Vec::new(),
            gate: Gate::default(),
            datagrams: Datagrams::new(limits.datagrams),
            other_connections: 0,
            last: None,
            coverage: Coverage::default(),
            strays: Vec::new(),
            limits,
            events: None,
            drops: Drops::default(),
            redacted: false,
            settled: Vec::new(),
        }
    }

    /// What is found will be joined with what other runs found, as a [`Shard`]: more is kept of connections, and nothing
    /// is joined here.
    pub const fn keep_joinable(&mut self) {
        self.context.joinable = true;
    }

    /// From now on [`Engine::poll`] tells what happens.
    pub fn watch(&mut self) {
        self.events.get_or_insert_default();
    }

    /// What happened to connections, one at a time; call until `None` after each packet.
    pub fn poll(&mut self) -> Option<TlsEvent> {
        self.events.as_mut()?.pop_front()
    }

    /// Takes one packet.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let at = packet.at();
        self.last = Some(at.time);
        self.coverage.note(at.time);
        // What is over by now is over before this packet, whether or not somebody asked in between.
        self.table.advance(at.time);
        self.expire();
        // By reference: a segment that is moved is a segment that is copied.
        match &self.decoder.decode(packet) {
            Decoded::Segment(segment) => {
                if segment.cut > 0 {
                    self.notices.add(Notice::PacketCutBySnaplen, Some(at.frame));
                }
                let taken = take(&mut self.table, segment, at, &mut self.context);
                if self.context.joinable && taken.is_none() {
                    keep_end(&mut self.strays, &mut self.table, segment, at);
                }
                if self.events.is_some()
                    && let Some(id) = taken
                {
                    self.tell_handshake(id);
                }
            }
            Decoded::Datagram(datagram) => {
                if let Some(protocol) = self.gate.admit(datagram) {
                    let mut run = DatagramEngine {
                        context: &mut self.context,
                        notices: &mut self.notices,
                        events: self.events.as_mut(),
                        last: self.last,
                    };
                    self.datagrams.push(protocol, datagram, at, &mut run);
                } else if let Some(notice) = unanalysed::datagram(datagram.payload) {
                    self.notices.add(notice, Some(at.frame));
                }
            }
            &Decoded::Neighbour(what) => self.neighbour(NeighbourSeen { at, what }),
            &Decoded::Skipped(notice) => self.notices.add(notice, Some(at.frame)),
            &Decoded::Unsupported(notice, number) => self.notices.add_unsupported(notice, number, Some(at.frame)),
            Decoded::Other => {}
        }
        while self.context.buffered > self.buffered_limit && self.free_buffers() {}
    }

    /// Time passes without packets (live use): `now` is a time up to which every packet has been pushed.
    pub fn advance(&mut self, now: Timestamp) {
        // Whoever waits for packets is watching, though none may come.
        self.coverage.note(now);
        self.table.advance(now);
        // Idle connections are looked for one at a time.
        for _ in 0..LOOKS_AT_ONCE.min(self.table.len()) {
            self.expire();
        }
        self.expire();
        self.with_datagrams(|datagrams, run| datagrams.advance(now, run));
        let oldest = Timestamp::from_nanos(now.nanos().saturating_sub(self.limits.kept_for));
        self.context
            .connection_store
            .evict_before(oldest, EVICTED_AT_ONCE, &mut self.context.credential_store);
    }

    /// The capturing side says that it lost so many packets in all by now.
    pub fn packets_dropped(&mut self, count: u64) {
        self.drops.count(count, self.last);
    }

    /// What the capturing side lost.
    #[must_use]
    pub const fn drops(&self) -> &Drops {
        &self.drops
    }

    #[inline]
    fn expire(&mut self) {
        while let Some(finished) = self.table.expire() {
            self.finish_flow(finished);
        }
    }

    /// Ends one connection that holds back more than half of what would be its even share. `false` when there is none.
    fn free_buffers(&mut self) -> bool {
        let share = self.buffered_limit / self.table.len().max(1) / 2;
        let hoards = |flow: &mut Flow<ConnectionState>| flow.data.buffered as usize > share;
        let Some(finished) = self.table.evict_where(hoards) else {
            return false;
        };
        self.finish_flow(finished);
        true
    }

    /// The run as if it had ended here. What is over is shared with this one; what is open is copied and ended.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let mut snapshot = Self {
            context: Context {
                connection_store: self.context.connection_store.clone(),
                credential_store: self.context.credential_store.clone(),
                ..Context::new(&self.limits)
            },
            notices: self.notices.clone(),
            neighbours: self.neighbours.clone(),
            other_connections: self.other_connections,
            last: self.last,
            coverage: self.coverage.clone(),
            drops: self.drops.clone(),
            ..Self::new(self.limits)
        };
        snapshot.other_connections += self.table.len() as u64;
        for flow in self.table.flows() {
            // Of a flow without a beginning only its end tells whether it is TLS.
            if flow.data.is_tls() || flow.data.may_begin_late() || connection::may_be_tls(flow) {
                snapshot.other_connections -= 1;
                snapshot.finish_flow(ended_here(flow));
            }
        }
        snapshot.datagrams = self.datagrams.clone();
        snapshot.with_datagrams(Datagrams::finish);
        snapshot.join_legs();
        snapshot.settle_session_ids();
        snapshot.sort_offers();
        snapshot
    }

    /// Whether a handshake is decided by what just came: then it is kept as far as it has come, and told.
    fn tell_handshake(&mut self, flow_id: FlowId) {
        let Some(flow) = self.table.flow_mut(flow_id) else {
            return;
        };
        if !flow.data.is_untold() || !flow.data.is_decided(flow.is_closing(), &self.context.credential_store) {
            return;
        }
        let mut copy = ended_here(flow);
        let silence = self.silence_since(copy.flow.last.time);
        let told = connection::finish(&mut copy, silence, &mut self.context);
        let decided = |completed| matches!(completed, Completed::Yes | Completed::No);
        // A connection that ended in the middle of what is still to come in order has its say when it is buried.
        let Some((id, connection)) = told.filter(|(_, connection)| decided(connection.completed)) else {
            return;
        };
        if let Some(flow) = self.table.flow_mut(flow_id) {
            flow.data.tell();
        }
        self.context.connection_store.keep_open(id, connection);
        if let Some(events) = &mut self.events {
            events.push_back(TlsEvent::Handshake(id));
        }
    }

    /// Takes the next bytes of a key log.
    pub fn read_keys(&mut self, log: &mut KeyLogReader, bytes: &[u8]) {
        log.push(bytes, &mut self.context.secrets);
    }

    /// A key log is over; gives how many of its lines were malformed, which are then counted.
    pub fn end_keys(&mut self, log: &mut KeyLogReader) -> u64 {
        log.finish(&mut self.context.secrets);
        let malformed = log.malformed();
        if malformed > 0 {
            self.notices.add_many(Notice::KeyLogLineMalformed, malformed, None);
        }
        malformed
    }

    /// More secrets may come while packets do: records of connections without keys are then held back for a while, and
    /// connections are not over sooner than a program may take to write their secrets down.
    pub const fn expect_keys(&mut self) {
        self.table.linger_alike();
        self.context.secrets.grow();
    }

    /// Ends every open connection: the input is over.
    pub fn finish(&mut self) {
        for finished in self.table.drain() {
            self.finish_flow(finished);
        }
        self.with_datagrams(Datagrams::finish);
        // Another run may have the other leg, or the client's next hello: then that is done when all runs are joined.
        if !self.context.joinable {
            self.join_legs();
            self.settle_session_ids();
            self.sort_offers();
        }
        self.count_keys();
        let notices = self.decoder.finish();
        self.notices.merge(&notices);
    }

    /// Decides anew what was unclear until later hellos of the same client showed what it does with session IDs.
    fn settle_session_ids(&mut self) {
        let changed = settle_session_ids(&mut self.context.connection_store, &mut self.context.credential_store);
        for id in &changed {
            if let Some(connection) = self.context.connection_store.get_mut(*id) {
                connection.outcome = outcome::decide(connection);
            }
        }
        self.settled = changed;
    }

    fn sort_offers(&mut self) {
        let connections = &self.context.connection_store;
        let moment = |id| {
            let connection = connections.get(id)?;
            Some((connection.hello_time(), connection.transport.first()))
        };
        self.context.credential_store.sort_offers(moment);
    }

    /// Whether a connection that was unclear when it was over has become clear since.
    #[must_use]
    pub fn was_settled(&self, id: ConnectionId) -> bool {
        self.settled.binary_search(&id).is_ok()
    }

    fn join_legs(&mut self) {
        let joined = proxied::join(&mut self.context.connection_store, &mut self.context.credential_store);
        for (notice, count, first) in [
            (Notice::LegJoined, joined.legs, None),
            (Notice::ConnectionRepeated, joined.copies, joined.first_copy),
        ] {
            if count > 0 {
                self.notices.add_many(notice, count, first);
            }
        }
    }

    /// Keys that opened nothing, by why.
    fn count_keys(&mut self) {
        let (unclaimed, dropped) = self.context.secrets.unclaimed();
        let hellos = || {
            self.context
                .connection_store
                .iter()
                .filter_map(|(_, connection)| connection.hello.yes())
        };
        let late = if unclaimed > 0 {
            hellos()
                .filter(|hello| self.context.secrets.came_too_late(&hello.random))
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

    /// Hands the connections over UDP what they need of the rest.
    fn with_datagrams<R>(&mut self, act: impl FnOnce(&mut Datagrams, &mut DatagramEngine<'_>) -> R) -> R {
        let mut datagrams = std::mem::take(&mut self.datagrams);
        let last = self.last;
        let mut run = DatagramEngine {
            context: &mut self.context,
            notices: &mut self.notices,
            events: self.events.as_mut(),
            last,
        };
        let result = act(&mut datagrams, &mut run);
        self.datagrams = datagrams;
        result
    }

    /// Takes a datagram that came from the front. A function of its own: inlined, it would weigh on the steps of TCP.
    #[inline(never)]
    fn arrive(&mut self, arrival: &Arrival, payload: &[u8]) {
        let (protocol, datagram, at) = arrival.with(payload);
        self.last = Some(at.time);
        self.with_datagrams(|datagrams, run| datagrams.push(protocol, &datagram, at, run));
    }

    /// A connection is over: what it still holds back comes, and then it is kept.
    #[inline(never)]
    fn finish_flow(&mut self, mut finished: Finished<ConnectionState>) {
        let flow = &mut finished.flow;
        let mut direction = Direction::ToServer;
        flow.settle_beginnings();
        for _ in Direction::BOTH {
            flow.half_mut(direction).assembler.flush();
            direction = deliver_waiting(flow, direction, &mut self.context).opposite();
        }
        let silence = self.silence_since(finished.flow.last.time);
        self.bury(finished, silence);
    }

    /// The silence after a packet.
    fn silence_since(&self, time: Timestamp) -> Silence {
        self.coverage.silence(time, self.last)
    }

    /// Keeps a connection that is over, of which every piece was delivered.
    fn bury(&mut self, mut finished: Finished<ConnectionState>, silence: Silence) {
        self.context.buffered = self
            .context
            .buffered
            .saturating_sub(finished.flow.data.buffered as usize);
        let (confirmed, id) = (finished.flow.data.confirmed(), finished.flow.data.id());
        let connection = connection::finish(&mut finished, silence, &mut self.context);
        if connection.is_none() {
            self.keep_unclassified(&finished.flow);
        }
        self.note_flow(&finished, confirmed);
        if let Some((id, connection)) = connection {
            // Once, when it is over: what is told of it before is told of a copy.
            if let Some(ahead) = connection.transport.server_clock_ahead() {
                for issued in &connection.issued {
                    self.context.credential_store.set_issue_back(*issued, id, ahead);
                }
            }
            if connection.not_kept > 0 {
                let first = Some(connection.transport.first());
                self.notices
                    .add_many(Notice::CredentialsNotKept, u64::from(connection.not_kept), first);
            }
            self.context
                .connection_store
                .keep(id, connection, &mut self.context.credential_store);
            if let Some(events) = &mut self.events {
                events.push_back(TlsEvent::Closed(id));
            }
        } else {
            self.other_connections += 1;
            if let Some(id) = id {
                self.context.connection_store.void(id);
            }
        }
        self.table.recycle(finished);
    }

    /// Keeps of a connection without TLS what other runs may know better, or that it may have been TLS.
    fn keep_unclassified(&mut self, flow: &Flow<ConnectionState>) {
        if self.context.joinable {
            if self.strays.len() < MAX_STRAYS {
                self.strays
                    .extend(connection::unclassified(flow, &mut self.context.interner));
            }
        } else if connection::may_be_tls(flow) {
            let [client, server] = flow.ends;
            let began = (flow.first.time, flow.first.frame);
            self.context
                .connection_store
                .possible_handshakes_mut()
                .note(client.ip, server, began);
        }
    }

    fn note_flow(&mut self, finished: &Finished<ConnectionState>, confirmed: Option<bool>) {
        let flow = &finished.flow;
        let first = Some(flow.first.frame);
        let mut note = |notice, count: u32| {
            if count > 0 {
                self.notices.add_many(notice, u64::from(count), first);
            }
        };
        note(Notice::DuplicatePacket, flow.copies);
        note(Notice::ResetIgnored, flow.resets_ignored.into());
        note(Notice::FlowEvicted, u32::from(finished.why == crate::tcp::Why::Evicted));
        note(Notice::StreamGap, flow.data.gaps());
        for half in &flow.halves {
            note(Notice::OverlapConflict, half.assembler.conflicts());
            note(Notice::StreamBufferLimit, u32::from(half.assembler.limited()));
        }
        note(
            Notice::ClocksDiffer,
            u32::from(confirmed == Some(true) && flow.clock_difference().is_some()),
        );
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
        self.note_neighbour(seen);
    }

    fn note_neighbour(&mut self, seen: NeighbourSeen) {
        if self.neighbours.len() < MAX_NEIGHBOURS {
            self.neighbours.push(seen);
        } else {
            self.notices.add(Notice::NeighboursNotKept, Some(seen.at.frame));
        }
    }
}

/// Takes one TCP segment; `None` when it is of no connection. A function of its own: inlined, the segment would be
/// copied about on the stack.
#[inline(never)]
fn take(
    table: &mut FlowTable<ConnectionState>,
    segment: &Segment<'_>,
    at: At,
    context: &mut Context,
) -> Option<FlowId> {
    let routed = table.route(segment, at)?;
    let flow = table.flow_mut(routed.flow)?;
    let mut direction = routed.direction;
    match flow.put_in_order(routed, segment, at) {
        // Most bytes of most connections need no more.
        Some(Piece::Data(bytes, _)) if flow.data.step_over(direction, bytes.len()) => {}
        Some(piece) => {
            context.acknowledged = flow.acknowledges(direction, segment);
            direction = connection::read(flow, direction, &piece, context);
            context.acknowledged = None;
        }
        None if segment.payload.is_empty() => {}
        None => connection::account(flow, &mut context.buffered),
    }
    // An acknowledgement may release what the other direction holds back.
    if flow.halves.iter().any(|half| half.assembler.is_waiting()) {
        for _ in Direction::BOTH {
            direction = deliver_waiting(flow, direction, context).opposite();
        }
    }
    Some(routed.flow)
}

/// The end of a connection of which nothing else was seen may be that of one that another run saw.
fn keep_end(strays: &mut Vec<Connection>, table: &mut FlowTable<ConnectionState>, segment: &Segment<'_>, at: At) {
    let ends = segment.flags.fin() || segment.flags.rst();
    let known = ends && table.find_mut(segment.source, segment.destination).is_some();
    if ends && !known && strays.len() < MAX_STRAYS {
        strays.push(connection::bare_end(segment, at));
    }
}

/// A connection as if the input had ended here.
fn ended_here(flow: &Flow<ConnectionState>) -> Finished<ConnectionState> {
    Finished {
        flow: Box::new(flow.clone()),
        why: if flow.closed() { Why::Closed } else { Why::InputEnded },
    }
}

/// Delivers what one direction has released. Gives that direction as it is called afterwards.
fn deliver_waiting(flow: &mut Flow<ConnectionState>, mut direction: Direction, context: &mut Context) -> Direction {
    let mut released = false;
    while let Some(piece) = flow.half_mut(direction).assembler.pop() {
        direction = connection::deliver(flow, direction, &piece, context);
        released = true;
    }
    if released {
        connection::account(flow, &mut context.buffered);
    }
    direction
}
