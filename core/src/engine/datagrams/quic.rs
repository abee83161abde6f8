//! Connections over QUIC: which one a datagram is of, and when it is over.
//!
//! A connection is known by its connection IDs on any path, then by its pair of endpoints (RFC 9000 §5.2). It is told
//! only once a ClientHello was read; until then it is a few kilobytes that any forged Initial may cause, and bounded.

mod early;
mod limits;
mod lookup;
mod open;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::{DatagramEngine, DatagramLimits};
use crate::datagram::kind::SMALLEST_FIRST_DATAGRAM;
use crate::decrypt::{Scratch, Speaker};
use crate::net::{At, Datagram, FrameRef, Notice, Timestamp};
use crate::quic::{self, Cid, LongKind, QuicPacket, split};

use early::EarlyFlights;
use limits::{IDLE, MAX_FAILURES, MAX_OPENING, MAX_PACKETS, MAX_RETRIES, MAX_STRANGERS, REACTION};
use lookup::{ConnectionIndex, Pair, Reached};
use open::{EarlyPackets, OpenConnection};

/// Number of a connection in the table.
type Number = u32;

/// What came before a connection could be opened.
#[derive(Debug, Clone, Copy)]
struct Stranger {
    /// The client's latest beginning in an unknown version.
    unread: Option<UnreadBeginning>,
    /// The server's Version Negotiation for a packet that was not seen yet: the IDs of that, destination first.
    refused: Option<(Cid, Cid)>,
    /// 0-RTT packets that came before the Initial, by the destination they bear.
    zero_rtt: Option<(Cid, EarlyPackets)>,
    /// Initials that did not open, and the first of them.
    failures: u8,
    failed: Option<FrameRef>,
    /// The server's Retries, one of which the client obeys: how it calls the client, how it wants to be called, and its
    /// version.
    retries: [Option<(Cid, Cid, u32)>; MAX_RETRIES],
}

/// A client's beginning in a version that is not read here.
#[derive(Debug, Clone, Copy)]
struct UnreadBeginning {
    /// Its first datagram.
    first: At,
    version: u32,
    /// Its connection IDs, destination first.
    ids: (Cid, Cid),
    /// When the server answered it with Version Negotiation.
    negotiated: Option<Timestamp>,
}

impl Stranger {
    const NEW: Self = Self {
        unread: None,
        refused: None,
        zero_rtt: None,
        failures: 0,
        failed: None,
        retries: [None; MAX_RETRIES],
    };
}

/// The open connections over QUIC.
#[derive(Debug)]
pub(super) struct QuicTable {
    slots: Vec<Option<Box<OpenConnection>>>,
    free: Vec<Number>,
    /// Connections entered so far: tells a slot's tenants apart.
    entered: u64,
    live: usize,
    index: ConnectionIndex,
    /// When to look at a connection again, nearly in the order of time.
    looks: VecDeque<(Timestamp, Number, u64)>,
    /// Those being opened, oldest first; some of them are no longer.
    opening: VecDeque<(Number, u64)>,
    opening_count: usize,
    strangers: HashMap<Pair, Stranger>,
    stranger_order: VecDeque<Pair>,
    early: EarlyFlights,
    held: usize,
    scratch: Scratch,
    limits: DatagramLimits,
    most_opening: usize,
    most_strangers: usize,
}

impl Default for QuicTable {
    fn default() -> Self {
        Self::new(DatagramLimits::default())
    }
}

impl QuicTable {
    /// No connection yet.
    pub(super) fn new(limits: DatagramLimits) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            entered: 0,
            live: 0,
            index: ConnectionIndex::default(),
            looks: VecDeque::new(),
            opening: VecDeque::new(),
            opening_count: 0,
            strangers: HashMap::new(),
            stranger_order: VecDeque::new(),
            early: EarlyFlights::default(),
            held: 0,
            scratch: Scratch::default(),
            limits,
            most_opening: MAX_OPENING.min(limits.open),
            most_strangers: MAX_STRANGERS,
        }
    }
}

/// A copy to be ended, while the original goes on.
impl Clone for QuicTable {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
            free: self.free.clone(),
            entered: self.entered,
            live: self.live,
            index: self.index.clone(),
            looks: self.looks.clone(),
            opening: self.opening.clone(),
            opening_count: self.opening_count,
            strangers: self.strangers.clone(),
            stranger_order: self.stranger_order.clone(),
            early: self.early.clone(),
            held: self.held,
            scratch: Scratch::default(),
            limits: self.limits,
            most_opening: self.most_opening,
            most_strangers: self.most_strangers,
        }
    }
}

impl QuicTable {
    /// Takes one datagram.
    pub(super) fn push(&mut self, datagram: &Datagram<'_>, at: At, run: &mut DatagramEngine<'_>) {
        self.advance(run.last.unwrap_or(at.time), run);
        let Some((first, _)) = split(datagram.payload) else {
            return;
        };
        let reached = match self.index.find(datagram, &first) {
            // Its mirrored IDs tell whom it answers, whatever else there was between these endpoints.
            _ if self.refuses_unread(datagram, &first) => None,
            Some(reached) if self.refuses_another(reached, &first) => None,
            Some(reached) if self.waits_for_client(reached, datagram, &first) => {
                let pair = Pair::new(datagram.source, datagram.destination);
                return self.early.keep(pair, datagram, &first, at);
            }
            Some(reached) => Some(reached),
            None if self.is_refused_beginning(datagram, &first, at, run) => return,
            None => self
                .begin_anew(datagram, &first, at)
                .or_else(|| self.go_on(datagram, &first))
                .or_else(|| self.begin(datagram, &first, at, run)),
        };
        let Some(reached) = reached else {
            return self.stranger(datagram, &first, at, run);
        };
        self.take(reached, datagram, at, run);
        self.take_early(reached, datagram, &first, run);
        self.bound(run);
    }

    /// Takes a datagram of a known connection.
    fn take(&mut self, reached: Reached, datagram: &Datagram<'_>, at: At, run: &mut DatagramEngine<'_>) {
        let Reached { number, speaker, .. } = reached;
        let Some(Some(entry)) = self.slots.get_mut(number as usize) else {
            return;
        };
        let was_opening = entry.is_opening();
        entry.see(reached, datagram, at, run.context);
        let mut destination: Option<Cid> = None;
        let mut rest = datagram.payload;
        for _ in 0..MAX_PACKETS {
            let Some((packet, after)) = split(rest) else { break };
            // RFC 9000 §12.2: packets for another connection ID are to be ignored. So is what some stacks fill their
            // datagrams with.
            let same = match (&packet, destination) {
                (_, None) => true,
                (QuicPacket::Long(long), Some(first)) => long.destination == first,
                (QuicPacket::Short([byte, id @ ..]), Some(first)) => byte & 0x40 != 0 && id.starts_with(first.bytes()),
                _ => false,
            };
            if !same {
                break;
            }
            if let QuicPacket::Long(long) = &packet {
                destination = Some(long.destination);
            }
            entry.packet(speaker, &packet, at, &mut run.context.secrets, &mut self.scratch);
            rest = after;
        }
        entry.settle(run, &mut self.scratch);
        for (id, speaker) in entry.take_ids() {
            self.index.add_id(entry, number, speaker, id);
        }
        if reached.by_id {
            self.index.add_path(entry, reached, datagram, at);
        }
        let memory = entry.memory();
        self.held = (self.held + memory).saturating_sub(std::mem::replace(&mut entry.held, memory));
        match (was_opening, entry.is_opening()) {
            (true, false) => self.opening_count -= 1,
            // A hello that comes behind its answer begins anew.
            (false, true) => {
                self.opening_count += 1;
                self.opening.push_back((number, entry.serial));
            }
            (true, true) | (false, false) => {}
        }
        if entry.is_void() {
            self.drop_entry(number);
        }
    }

    /// Whether a Version Negotiation answers a beginning in a version that is not read here.
    fn refuses_unread(&self, datagram: &Datagram<'_>, first: &QuicPacket<'_>) -> bool {
        let QuicPacket::VersionNegotiation { destination, source } = first else {
            return false;
        };
        let stranger = self.strangers.get(&Pair::new(datagram.destination, datagram.source));
        let unread = stranger.and_then(|stranger| stranger.unread);
        unread.is_some_and(|unread| unread.ids == (*source, *destination))
    }

    /// Whether a Version Negotiation between the endpoints of a connection answers another one, which it may stand in front of.
    fn refuses_another(&self, reached: Reached, first: &QuicPacket<'_>) -> bool {
        let QuicPacket::VersionNegotiation { destination, source } = first else {
            return false;
        };
        let entry = self.slots.get(reached.number as usize).and_then(Option::as_deref);
        entry.is_some_and(|entry| !entry.is_mirrored(*destination, *source))
    }

    /// Whether a beginning in a version that is not read here comes late, behind the one with which its client went on.
    fn is_known_beginning(&mut self, pair: Pair, client: Cid, at: At) -> bool {
        let mut candidates = self.index.of_pair(pair).iter().rev();
        let same = |number: &&Number| {
            let entry = self.slots.get(**number as usize).and_then(Option::as_deref);
            entry.is_some_and(|entry| entry.client_id == client && !client.is_empty())
        };
        let number = candidates.find(same).copied();
        let entry = number.and_then(|number| self.slots.get_mut(number as usize)?.as_deref_mut());
        entry.is_some_and(|entry| {
            entry.begin_otherwise(at);
            true
        })
    }

    /// A client Initial for an unknown connection ID, of a connection that is known by its pair of endpoints: its last
    /// beginning was refused by a Retry or a Version Negotiation that may not be in the capture.
    fn begin_anew(&mut self, datagram: &Datagram<'_>, first: &QuicPacket<'_>, at: At) -> Option<Reached> {
        let QuicPacket::Long(long) = first else { return None };
        if long.kind != LongKind::Initial {
            return None;
        }
        let pair = Pair::new(datagram.source, datagram.destination);
        let unread = self.strangers.get(&pair).and_then(|stranger| stranger.unread);
        let of_unread = unread.is_some_and(|unread| unread.ids == (long.destination, long.source));
        let candidates = self.index.of_pair(pair);
        let number = candidates.iter().rev().copied().filter(|_| !of_unread).find(|number| {
            let entry = self.slots.get(*number as usize).and_then(Option::as_deref);
            entry.is_some_and(|entry| {
                let may_begin = entry.connection.may_begin_anew(long);
                if !long.source.is_empty() && entry.client_id == long.source {
                    return may_begin || entry.connection.is_known_by_answer();
                }
                // Clients without a name are all alike, and one that was refused a version may take another: that it is the
                // same shows in what it does at once, and in how it counts its packets.
                let other = long.version != entry.connection.version();
                let retried = !long.token.is_empty();
                let reacts = || {
                    entry
                        .refused
                        .is_some_and(|refused| other && !retried && is_reaction(refused, at.time))
                };
                let unanswered = other || !entry.connection.has_refused(long.version);
                let nameless = long.source.is_empty() && entry.client_id.is_empty();
                let alike = nameless && unanswered && !entry.has_gone_on();
                may_begin && (alike || reacts()) && entry.connection.goes_on_counting(long, &mut self.scratch)
            })
        });
        Some(Reached {
            number: number?,
            speaker: Speaker::Client,
            by_id: false,
        })
    }

    /// A client's first Initial that stands behind the one with which it answers a Retry: it is void, and shows that there was
    /// one.
    fn is_refused_beginning(
        &mut self,
        datagram: &Datagram<'_>,
        first: &QuicPacket<'_>,
        at: At,
        run: &mut DatagramEngine<'_>,
    ) -> bool {
        let QuicPacket::Long(long) = first else { return false };
        let pair = Pair::new(datagram.source, datagram.destination);
        let may_be = long.kind == LongKind::Initial && long.token.is_empty();
        let candidates = self.index.of_pair(pair).iter().rev().copied();
        for number in candidates.filter(|_| may_be) {
            let Some(entry) = self.slots.get_mut(number as usize).and_then(Option::as_deref_mut) else {
                continue;
            };
            // Clients without a name are all alike: of the one that answers the Retry this was sent shortly before.
            let just_before = at.time < entry.started() && is_reaction(at.time, entry.started());
            let same = entry.client_id == long.source && (just_before || !long.source.is_empty());
            if same && entry.connection.was_refused(long, &mut self.scratch) {
                let reached = Reached {
                    number,
                    speaker: Speaker::Client,
                    by_id: false,
                };
                entry.see(reached, datagram, at, run.context);
                return true;
            }
        }
        false
    }

    /// A client calls its server by an ID that only an answer can have brought, which is not in the capture: its own name tells
    /// the connection, and an Initial must open with the keys that there are; that alone tells a client without a name.
    fn go_on(&mut self, datagram: &Datagram<'_>, first: &QuicPacket<'_>) -> Option<Reached> {
        let QuicPacket::Long(long) = first else { return None };
        let known = long.kind == LongKind::Initial || (long.kind != LongKind::Retry && !long.source.is_empty());
        let candidates = self.index.of_pair(Pair::new(datagram.source, datagram.destination));
        let number = candidates.iter().rev().copied().filter(|_| known).find(|number| {
            let entry = self.slots.get_mut(*number as usize).and_then(Option::as_deref_mut);
            entry.is_some_and(|entry| {
                let unanswered = entry.client_id == long.source && !entry.connection.is_answered();
                unanswered && (long.kind != LongKind::Initial || entry.connection.goes_on(long, &mut self.scratch))
            })
        });
        Some(Reached {
            number: number?,
            speaker: Speaker::Client,
            by_id: false,
        })
    }

    /// A client Initial that opens with the keys of its own connection ID begins a connection.
    fn begin(
        &mut self,
        datagram: &Datagram<'_>,
        first: &QuicPacket<'_>,
        at: At,
        run: &mut DatagramEngine<'_>,
    ) -> Option<Reached> {
        let QuicPacket::Long(long) = first else { return None };
        let pair = Pair::new(datagram.source, datagram.destination);
        let failures = self.strangers.get(&pair).map_or(0, |stranger| stranger.failures);
        let small = datagram.payload.len() < SMALLEST_FIRST_DATAGRAM;
        if long.kind != LongKind::Initial || small || datagram.cut > 0 || failures >= MAX_FAILURES {
            return None;
        }
        // Authentication is the only proof: everything up to here is easily met by chance or malice.
        let opened = quic::QuicConnection::open(long, at, &mut self.scratch);
        let opened = opened.map(|connection| (connection, Speaker::Client));
        let opened = opened.or_else(|| Some((self.open_answer(pair, long, at)?, Speaker::Server)));
        let Some((connection, speaker)) = opened else {
            self.fail(pair, at, run);
            return None;
        };
        let failed = self.strangers.get(&pair).and_then(|stranger| stranger.failed);
        if let Some(frame) = failed {
            run.notices.add(Notice::QuicInitialNotAuthentic, Some(frame));
        }
        Some(self.enter(connection, speaker, (datagram, long), at))
    }

    /// Of a server alone nothing can be opened, as its keys come from an ID that the client chose; but after a Retry it is
    /// the server's own.
    fn open_answer(&mut self, pair: Pair, long: &quic::Long<'_>, at: At) -> Option<quic::QuicConnection> {
        let retries = self.strangers.get(&pair)?.retries.into_iter().flatten();
        let mut answered =
            retries.filter(|(client, _, version)| (*client, *version) == (long.destination, long.version));
        answered.find_map(|(_, server, _)| quic::QuicConnection::open_answer(server, long, at, &mut self.scratch))
    }

    /// A connection begins, with a packet of this side.
    fn enter(
        &mut self,
        mut connection: quic::QuicConnection,
        speaker: Speaker,
        (datagram, long): (&Datagram<'_>, &quic::Long<'_>),
        at: At,
    ) -> Reached {
        let sent = Pair::new(datagram.source, datagram.destination);
        let pair = if speaker == Speaker::Client {
            sent
        } else {
            sent.turned()
        };
        let mut stranger = self.strangers.remove(&sent).unwrap_or(Stranger::NEW);
        let refused = self.strangers.get(&sent.turned()).and_then(|server| server.refused);
        let refused = refused == Some((long.destination, long.source));
        if refused {
            connection.negotiate_version(None);
        }
        self.entered += 1;
        let mut entry = Box::new(OpenConnection::new(self.entered, connection, (pair, speaker), long, at));
        entry.refused = refused.then_some(at.time);
        entry.know(&mut stranger, long);
        if stranger.unread.is_some() {
            // Another client's of these endpoints, which may still begin anew.
            let unread = stranger.unread;
            self.strangers.insert(
                sent,
                Stranger {
                    unread,
                    ..Stranger::NEW
                },
            );
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.index.add_pair(&mut entry, number, pair);
        let other = if speaker == Speaker::Client {
            Speaker::Server
        } else {
            Speaker::Client
        };
        self.index.add_id(&mut entry, number, other, long.destination);
        self.index.add_id(&mut entry, number, speaker, long.source);
        if speaker == Speaker::Server {
            for (_, server, _) in stranger.retries.into_iter().flatten() {
                self.index.add_id(&mut entry, number, Speaker::Server, server);
            }
        }
        self.looks.push_back((at.time, number, self.entered));
        self.opening.push_back((number, self.entered));
        self.opening_count += 1;
        self.live += 1;
        if let Some(slot) = self.slots.get_mut(number as usize) {
            *slot = Some(entry);
        }
        Reached {
            number,
            speaker,
            by_id: false,
        }
    }

    fn fail(&mut self, pair: Pair, at: At, run: &mut DatagramEngine<'_>) {
        let stranger = self.stranger_of(pair, run);
        stranger.failures += 1;
        stranger.failed.get_or_insert(at.frame);
    }

    fn stranger_of(&mut self, pair: Pair, run: &mut DatagramEngine<'_>) -> &mut Stranger {
        if !self.strangers.contains_key(&pair) {
            self.stranger_order.push_back(pair);
            if self.stranger_order.len() > self.most_strangers
                && let Some(oldest) = self.stranger_order.pop_front()
            {
                let stranger = self.strangers.remove(&oldest);
                if let Some(frame) = stranger.and_then(|stranger| stranger.failed) {
                    run.notices.add(Notice::QuicInitialNotAuthentic, Some(frame));
                }
            }
        }
        self.strangers.entry(pair).or_insert(Stranger::NEW)
    }

    /// A datagram of no connection.
    fn stranger(&mut self, datagram: &Datagram<'_>, first: &QuicPacket<'_>, at: At, run: &mut DatagramEngine<'_>) {
        let pair = Pair::new(datagram.source, datagram.destination);
        match *first {
            QuicPacket::Long(long) if long.kind == LongKind::ZeroRtt => {
                let stranger = self.stranger_of(pair, run);
                let known = stranger
                    .zero_rtt
                    .get_or_insert((long.destination, EarlyPackets::default()));
                if known.0 == long.destination {
                    known.1.count(long.bytes);
                }
            }
            QuicPacket::Unknown {
                version,
                destination,
                source,
            } => {
                if is_named_version(version) {
                    run.notices.add(Notice::QuicVersionUnsupported, Some(at.frame));
                }
                if self.is_known_beginning(pair, source, at) {
                    return;
                }
                let ids = (destination, source);
                let unread = &mut self.stranger_of(pair, run).unread;
                if unread.is_none_or(|unread| unread.ids != ids) {
                    *unread = Some(UnreadBeginning {
                        first: at,
                        version,
                        ids,
                        negotiated: None,
                    });
                }
            }
            QuicPacket::VersionNegotiation { destination, source } => {
                let stranger = self.strangers.get_mut(&pair.turned());
                let unread = stranger.and_then(|stranger| stranger.unread.as_mut());
                if let Some(unread) = unread.filter(|unread| unread.ids == (source, destination)) {
                    unread.negotiated = Some(at.time);
                    if !is_named_version(unread.version) {
                        run.notices.add(Notice::QuicVersionUnsupported, Some(at.frame));
                    }
                } else {
                    self.stranger_of(pair, run).refused = Some((source, destination));
                }
            }
            QuicPacket::Long(long) if long.kind == LongKind::Retry => {
                let retries = &mut self.stranger_of(pair, run).retries;
                retries.rotate_right(1);
                let [newest, ..] = retries;
                *newest = Some((long.destination, long.source, long.version));
            }
            QuicPacket::Short(_) if self.index.serves(datagram) => {
                run.notices.add(Notice::QuicUnlinkedDatagrams, Some(at.frame));
            }
            QuicPacket::Long(_) => self.early.keep(pair, datagram, first, at),
            QuicPacket::Short(_) => {}
        }
    }

    /// Time passes: ends connections that have been silent for long.
    pub(super) fn advance(&mut self, now: Timestamp, run: &mut DatagramEngine<'_>) {
        while let Some(&(time, number, serial)) = self.looks.front() {
            if now.since(time) < IDLE {
                return;
            }
            self.looks.pop_front();
            match self.last_of(number, serial) {
                Some(last) if now.since(last) >= IDLE => self.end(number, run),
                Some(last) => self.looks.push_back((last, number, serial)),
                None => {}
            }
        }
    }

    /// The time of a connection's last packet, if it goes on.
    fn last_of(&self, number: Number, serial: u64) -> Option<Timestamp> {
        let entry = self.slots.get(number as usize)?.as_deref()?;
        (entry.serial == serial).then_some(entry.last.time)
    }

    /// Keeps the table within its bounds.
    fn bound(&mut self, run: &mut DatagramEngine<'_>) {
        while self.opening_count > self.most_opening || self.held > self.limits.held {
            let Some((number, serial)) = self.opening.pop_front() else {
                break;
            };
            let entry = self.slots.get(number as usize).and_then(Option::as_deref);
            if let Some(entry) = entry.filter(|entry| entry.serial == serial && entry.is_opening()) {
                let first = entry.first();
                run.notices.add(Notice::QuicConnectionEvicted, Some(first));
                self.end(number, run);
            }
        }
        // What was opened and is no longer leaves its place in the queue behind.
        if self.opening.len() > 2 * self.opening_count + 1024 {
            let slots = &self.slots;
            self.opening.retain(|(number, serial)| {
                let entry = slots.get(*number as usize).and_then(Option::as_deref);
                entry.is_some_and(|entry| entry.serial == *serial && entry.is_opening())
            });
        }
        while self.live > self.limits.open {
            let Some((_, number, serial)) = self.looks.pop_front() else {
                break;
            };
            if self.last_of(number, serial).is_some() {
                run.notices.add(Notice::FlowEvicted, None);
                self.end(number, run);
            }
        }
    }

    /// Takes a connection out of the table.
    fn remove(&mut self, number: Number) -> Option<Box<OpenConnection>> {
        let entry = self.slots.get_mut(number as usize)?.take()?;
        self.index.remove(&entry, number);
        self.opening_count -= usize::from(entry.is_opening());
        self.held = self.held.saturating_sub(entry.held);
        self.live -= 1;
        self.free.push(number);
        Some(entry)
    }

    /// Forgets what turned out to be no connection.
    fn drop_entry(&mut self, number: Number) {
        drop(self.remove(number));
    }

    /// A connection is over.
    fn end(&mut self, number: Number, run: &mut DatagramEngine<'_>) {
        self.take_in_vain(number, run);
        if let Some(entry) = self.remove(number) {
            entry.end(run);
        }
    }

    /// The input is over: ends every connection.
    pub(super) fn finish(&mut self, run: &mut DatagramEngine<'_>) {
        let mut failed: Vec<FrameRef> = self.strangers.values().filter_map(|stranger| stranger.failed).collect();
        failed.sort_unstable();
        for frame in failed {
            run.notices.add(Notice::QuicInitialNotAuthentic, Some(frame));
        }
        for number in 0..self.slots.len() {
            self.end(u32::try_from(number).unwrap_or(u32::MAX), run);
        }
    }

    /// Connections that go on.
    pub(super) const fn len(&self) -> usize {
        self.live
    }
}

/// Whether what a client does may be its reaction to a Version Negotiation.
fn is_reaction(refused: Timestamp, now: Timestamp) -> bool {
    now.since(refused).abs() <= REACTION
}

/// Whether a version that is not read is one that was assigned: IETF drafts (0xff0000..), and "Q" or "T" with three digits
/// as Google numbered its own. Others stand in any random datagram.
fn is_named_version(version: u32) -> bool {
    let [a, b, c, d] = version.to_be_bytes();
    let google = matches!(a, b'Q' | b'T') && [b, c, d].iter().all(u8::is_ascii_digit);
    let draft = [a, b, c] == [0xff, 0, 0];
    draft || google
}

#[cfg(test)]
impl QuicTable {
    /// What waits for clients: places and bytes.
    pub(super) fn early(&self) -> (usize, usize) {
        self.early.held()
    }

    /// Pairs of endpoints that are remembered without a connection.
    pub(super) fn strangers(&self) -> usize {
        self.strangers.len().max(self.stranger_order.len())
    }

    /// Smaller bounds: packets are made slowly where nothing is optimised.
    pub(super) const fn shrink(&mut self, most_opening: usize, most_strangers: usize) {
        (self.most_opening, self.most_strangers) = (most_opening, most_strangers);
    }
}
