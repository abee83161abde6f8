//! Which connection a segment belongs to.

mod ending;

use hashbrown::HashMap;

use crate::net::{At, Endpoint, Segment, Timestamp};

use super::direction::Direction;
use super::flow::Flow;
use super::half_open::{HalfOpen, Held};
use super::index::Index;
use super::key::{Alias, FlowKey, pack};
use super::limits::FlowLimits;
use super::lingering::{Lingering, NEVER};
use super::recently_closed::RecentlyClosed;
use super::routed::{FlowId, Routed};

/// Why a connection was taken off the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// FIN both ways, or RST.
    Closed,
    /// No packet for the idle limit.
    Idle,
    /// Too many open connections.
    Evicted,
    /// The input ended.
    InputEnded,
}

/// Connections whose memory is kept for reuse.
const SPARE: usize = 64;

/// A connection taken off the table.
#[derive(Debug)]
pub struct Finished<T> {
    /// The connection.
    pub flow: Box<Flow<T>>,
    /// Why.
    pub why: Why,
}

/// Whether bytes can only be the first that one side of a connection says.
pub type Opening = fn(&[u8]) -> bool;

/// Unanswered SYNs remembered at most; beyond that the list starts anew.
const UNANSWERED: usize = 1 << 16;

#[derive(Debug)]
struct Slot<T> {
    held: Held<T>,
    key: FlowKey,
    /// The connection that had the same endpoints before and may still have packets out of order.
    previous: Option<u32>,
    /// There was one before it, open or remembered as late.
    reused: bool,
    /// It is the one in the index; `false` once another connection uses its ports.
    current: bool,
    /// When it may go, where it is closed: an entry of [`Lingering`] with another time is void.
    due: Timestamp,
}

impl<T> Slot<T> {
    const fn flow(&self) -> Option<&Flow<T>> {
        match &self.held {
            Held::Grown(flow) => Some(flow),
            Held::HalfOpen(..) => None,
        }
    }

    const fn flow_mut(&mut self) -> Option<&mut Flow<T>> {
        match &mut self.held {
            Held::Grown(flow) => Some(flow),
            Held::HalfOpen(..) => None,
        }
    }
}

/// All open connections.
#[derive(Debug)]
pub struct FlowTable<T> {
    limits: FlowLimits,
    opening: Opening,
    index: Index,
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    /// Memory of connections that are over, for those to come: cheaper than asking for it anew each time.
    spare: Vec<Box<Flow<T>>>,
    open: usize,
    /// SYNs that were not answered on their own addresses yet, by client and acknowledgement expected.
    unanswered: HashMap<(u128, u16, u32), u32>,
    /// Connections whose answers come from another address (NAT between the two directions of the capture).
    aliases: HashMap<FlowKey, Alias>,
    /// Closed connections that may still have something to come.
    lingering: Lingering,
    /// Connections that do not even linger any more.
    late: RecentlyClosed<FlowKey>,
    /// The latest time so far.
    now: Timestamp,
    hand: usize,
    since_sweep: u8,
}

impl<T: Default> FlowTable<T> {
    /// An empty table. By `opening` it knows a new connection on old ports whose SYN was lost.
    #[must_use]
    pub fn new(limits: FlowLimits, opening: Opening) -> Self {
        Self {
            limits,
            opening,
            index: Index::new(),
            slots: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            unanswered: HashMap::new(),
            aliases: HashMap::new(),
            open: 0,
            lingering: Lingering::new(limits.disorder),
            late: RecentlyClosed::new(),
            now: Timestamp::from_nanos(i64::MIN),
            hand: 0,
            since_sweep: 0,
        }
    }

    /// From now on every closed connection lingers as long: what it is waited for need not be a packet.
    pub const fn linger_alike(&mut self) {
        self.limits.linger_settled = self.limits.linger;
    }

    /// Finds or opens the connection of a segment and lets it take the headers. `None` for a segment that opens
    /// nothing (an acknowledgement, FIN or RST of an unknown connection), for copies of a packet, and for a bare SYN that
    /// opens a connection: nothing of it is to be delivered. [`FlowTable::advance`] to its time comes first.
    pub fn route(&mut self, segment: &Segment<'_>, at: At) -> Option<Routed> {
        let (key, from_low) = FlowKey::of(segment.source, segment.destination);
        let known = self.lookup_again(&key);
        if let Some(id) = known
            && let Some((direction, is_new)) = self.follow(id, from_low, segment, at)
        {
            return is_new.then_some(Routed {
                flow: FlowId(id),
                direction,
                in_order: true,
            });
        }
        if let Some((id, direction)) = self.answered_elsewhere(&key, known, from_low, segment) {
            return self.take(id, direction, segment, at);
        }
        let id = match known {
            Some(id) => {
                self.grow(id);
                self.choose(id, segment, at, (key, from_low))?
            }
            None if self.is_late(&key, from_low, segment, at) => return None,
            None => self.open(segment, at, (key, from_low), None)?,
        };
        let direction = self.slots.get(id as usize)?.as_ref()?.flow()?.direction(from_low);
        self.take(id, direction, segment, at)
    }

    /// The short way of nearly every segment: see [`Flow::follow`]. Says whether it is no copy of one before; `None` where
    /// the long way must be taken.
    #[inline]
    fn follow(&mut self, id: u32, from_low: bool, segment: &Segment<'_>, at: At) -> Option<(Direction, bool)> {
        if !self.aliases.is_empty() {
            return None;
        }
        let slot = self.slots.get_mut(id as usize)?.as_mut()?;
        let reused = slot.reused;
        let flow = slot.flow_mut()?;
        let direction = flow.direction(from_low);
        if reused && !flow.fits(direction, segment) {
            return None;
        }
        let is_new = flow.follow(direction, segment, at)?;
        Some((direction, is_new))
    }

    /// Lets a connection take the headers of one of its segments.
    fn take(&mut self, id: u32, direction: Direction, segment: &Segment<'_>, at: At) -> Option<Routed> {
        let slot = self.slots.get_mut(id as usize)?.as_mut()?;
        let (held, due) = (&mut slot.held, &mut slot.due);
        let Held::Grown(flow) = held else { return None };
        if segment.flags.syn() && segment.flags.ack() {
            let client = (pack(segment.destination.ip), segment.destination.port, segment.ack.0);
            self.unanswered.remove(&client);
        }
        if !flow.observe(direction, segment, at) {
            return None;
        }
        if flow.closed() && !flow.closing {
            flow.closing = true;
            *due = self.lingering.push(at.time, self.limits.linger, id, flow.two_way());
        }
        if flow.closing && flow.is_settled() {
            let soon = Timestamp::from_nanos(at.time.nanos().saturating_add(self.limits.linger_settled));
            if soon < *due {
                *due = soon;
                self.lingering.hasten(soon, id);
            }
        }
        Some(Routed {
            flow: FlowId(id),
            direction,
            in_order: false,
        })
    }

    /// A segment that answers a connection from another address than the one its client calls: a SYN-ACK that
    /// acknowledges exactly the client's SYN proves it, and what follows from there belongs with it. Address translation
    /// does not touch sequence numbers (RFC 9293 §3.4).
    fn answered_elsewhere(
        &mut self,
        key: &FlowKey,
        known: Option<u32>,
        from_low: bool,
        segment: &Segment<'_>,
    ) -> Option<(u32, Direction)> {
        let syn_ack = segment.flags.syn() && segment.flags.ack();
        if self.aliases.is_empty() && !syn_ack {
            return None;
        }
        if let Some(alias) = self.aliases.get(key) {
            let direction = if from_low == alias.client_is_low {
                Direction::ToServer
            } else {
                Direction::ToClient
            };
            return Some((alias.id, direction));
        }
        if !syn_ack || known.is_some() {
            return None;
        }
        let client = (pack(segment.destination.ip), segment.destination.port, segment.ack.0);
        let id = self.unanswered.remove(&client)?;
        self.grow(id);
        let flow = self.slots.get_mut(id as usize)?.as_mut()?.flow_mut()?;
        if flow.ends[0] != segment.destination || flow.half(Direction::ToClient).first.is_some() {
            return None;
        }
        flow.answered_from = Some(Box::new(segment.source));
        self.aliases.insert(
            *key,
            Alias {
                id,
                client_is_low: !from_low,
            },
        );
        Some((id, Direction::ToClient))
    }

    /// What was only a SYN takes room for more.
    fn grow(&mut self, id: u32) {
        let Some(Some(slot)) = self.slots.get_mut(id as usize) else {
            return;
        };
        let Held::HalfOpen(half_open, touched) = &slot.held else {
            return;
        };
        let mut flow = renewed(&mut self.spare, half_open.new_flow(T::default()));
        half_open.replay(&mut flow);
        flow.touched = *touched;
        slot.held = Held::Grown(flow);
    }

    /// The connection with this id.
    pub fn flow_mut(&mut self, id: FlowId) -> Option<&mut Flow<T>> {
        self.slots.get_mut(id.0 as usize)?.as_mut()?.flow_mut()
    }

    /// The open connection between two endpoints, in either order.
    pub fn find_mut(&mut self, a: Endpoint, b: Endpoint) -> Option<&mut Flow<T>> {
        let id = self.lookup(&FlowKey::of(a, b).0)?;
        self.grow(id);
        self.flow_mut(FlowId(id))
    }

    /// The same connections with something else attached to each.
    #[must_use]
    pub fn map<U>(self, mut change: impl FnMut(Box<Flow<T>>) -> Box<Flow<U>>) -> FlowTable<U> {
        let slots = self.slots.into_iter().map(|slot| {
            slot.map(|slot| Slot {
                held: match slot.held {
                    Held::HalfOpen(half_open, touched) => Held::HalfOpen(half_open, touched),
                    Held::Grown(flow) => Held::Grown(change(flow)),
                },
                key: slot.key,
                previous: slot.previous,
                reused: slot.reused,
                current: slot.current,
                due: slot.due,
            })
        });
        FlowTable {
            limits: self.limits,
            opening: self.opening,
            index: self.index,
            slots: slots.collect(),
            free: self.free,
            spare: Vec::new(),
            open: self.open,
            unanswered: self.unanswered,
            aliases: self.aliases,
            lingering: self.lingering,
            late: self.late,
            now: self.now,
            hand: self.hand,
            since_sweep: self.since_sweep,
        }
    }

    /// Puts a connection into memory that was taken back.
    pub fn boxed(&mut self, fresh: Flow<T>) -> Box<Flow<T>> {
        renewed(&mut self.spare, fresh)
    }

    /// Takes back the memory of a connection that was taken off.
    pub fn recycle(&mut self, finished: Finished<T>) {
        if self.spare.len() < SPARE {
            self.spare.push(finished.flow);
        }
    }

    /// The connections on the table of which more than a SYN was seen, in the order of their first packets.
    #[must_use]
    pub fn flows(&self) -> Vec<&Flow<T>> {
        let mut all: Vec<&Flow<T>> = self.slots.iter().flatten().filter_map(Slot::flow).collect();
        all.sort_by_key(|flow| (flow.first.time, flow.first.frame));
        all
    }

    /// Number of connections on the table.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Time passes, to that of a packet or without any (live use).
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// The connection a segment belongs to when its endpoints are known. `None` when that one is over and gone.
    fn choose(&mut self, id: u32, segment: &Segment<'_>, at: At, (key, from_low): (FlowKey, bool)) -> Option<u32> {
        let slot = self.slots.get(id as usize)?.as_ref()?;
        let flow = slot.flow()?;
        let direction = flow.direction(from_low);
        let previous = slot.previous.and_then(|id| Some((id, self.flow(id)?)));
        let of_previous = |test: fn(&Flow<T>, Direction, &Segment<'_>) -> bool| {
            previous.is_some_and(|(_, flow)| test(flow, flow.direction(from_low), segment))
        };
        let opens = segment.flags.syn() && !segment.flags.rst();
        if opens {
            // A SYN with another initial sequence number is a new connection on old ports; so is a first SYN on a
            // connection that is over.
            let reuse = match flow.half(direction).isn {
                Some(isn) => isn != segment.seq,
                // What was sent before all that is known of a connection does not come after it.
                None => at.time > flow.first.time && !flow.may_open(direction, segment),
            };
            if reuse && !of_previous(|flow, direction, syn| flow.half(direction).isn == Some(syn.seq)) {
                if slot.reused && self.is_late(&key, from_low, segment, at) {
                    return None;
                }
                return self.open(segment, at, (key, from_low), Some(id)).or(Some(id));
            }
        }
        let copied = of_previous(Flow::said) && !flow.said(direction, segment);
        if slot.reused && (copied || !flow.fits(direction, segment)) {
            match previous {
                Some((previous, _)) if of_previous(Flow::fits) => return Some(previous),
                None if self.is_late(&key, from_low, segment, at) => return None,
                _ => {}
            }
        }
        if flow.leaps(direction, segment) && (self.opening)(segment.payload) {
            return self.open(segment, at, (key, from_low), Some(id)).or(Some(id));
        }
        Some(id)
    }

    /// Whether a segment is of a connection with these endpoints that is over and gone.
    fn is_late(&self, key: &FlowKey, from_low: bool, segment: &Segment<'_>, at: At) -> bool {
        let opens = || (self.opening)(segment.payload);
        self.late.knows(key, from_low, segment, at.time, opens)
    }

    fn flow(&self, id: u32) -> Option<&Flow<T>> {
        self.slots.get(id as usize)?.as_ref()?.flow()
    }

    fn open(
        &mut self,
        segment: &Segment<'_>,
        at: At,
        (key, from_low): (FlowKey, bool),
        previous: Option<u32>,
    ) -> Option<u32> {
        let flags = segment.flags;
        if flags.rst() || (!flags.syn() && segment.payload.is_empty() && segment.cut == 0) {
            return None;
        }
        if let Some(old) = previous {
            self.retire(old, at);
        }
        let held = match HalfOpen::of(segment, at, from_low) {
            Some(half_open) => Held::HalfOpen(Box::new(half_open), true),
            None => Held::Grown(self.open_flow(segment, at, from_low)),
        };
        let reused = previous.is_some() || self.late.has(&key, at.time);
        let slot = Slot {
            held,
            key,
            previous,
            reused,
            current: true,
            due: NEVER,
        };
        let id = if let Some(id) = self.free.pop() {
            if let Some(place) = self.slots.get_mut(id as usize) {
                *place = Some(slot);
            }
            id
        } else {
            self.slots.push(Some(slot));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        let slots = &self.slots;
        let key_of = |id: u32| Some(slots.get(id as usize)?.as_ref()?.key);
        self.index.insert(&key, id, key_of);
        if flags.syn() && !flags.ack() {
            if self.unanswered.len() >= UNANSWERED {
                self.unanswered.clear();
            }
            let expected = (pack(segment.source.ip), segment.source.port, segment.seq.plus(1).0);
            self.unanswered.insert(expected, id);
        }
        self.open += 1;
        Some(id)
    }

    fn open_flow(&mut self, segment: &Segment<'_>, at: At, from_low: bool) -> Box<Flow<T>> {
        let from_client = guess_client(segment);
        let (client, server) = if from_client {
            (segment.source, segment.destination)
        } else {
            (segment.destination, segment.source)
        };
        let mut fresh = Flow::new(client, server, at, T::default());
        fresh.client_is_low = from_client == from_low;
        self.boxed(fresh)
    }

    /// The connection that has these endpoints now.
    fn lookup(&self, key: &FlowKey) -> Option<u32> {
        self.index.find(key, |id| has_key(&self.slots, id, key))
    }

    /// The same, remembered for the next segment.
    fn lookup_again(&mut self, key: &FlowKey) -> Option<u32> {
        let slots = &self.slots;
        let is_current = |id| matches!(slots.get(id as usize), Some(Some(slot)) if slot.current && slot.key == *key);
        self.index.find_again(key, is_current, |id| has_key(slots, id, key))
    }
}

/// Whether the connection with this number has this key.
fn has_key<T>(slots: &[Option<Slot<T>>], id: u32, key: &FlowKey) -> bool {
    matches!(slots.get(id as usize), Some(Some(slot)) if slot.key == *key)
}

/// Memory of a connection that is over, if there is any, made that of another one.
fn renewed<T>(spare: &mut Vec<Box<Flow<T>>>, fresh: Flow<T>) -> Box<Flow<T>> {
    match spare.pop() {
        Some(mut used) => {
            *used = fresh;
            used
        }
        None => Box::new(fresh),
    }
}

/// Whether the sender is the client: SYN tells; otherwise the lower port is taken for the server until TLS tells better.
fn guess_client(segment: &Segment<'_>) -> bool {
    match (segment.flags.syn(), segment.flags.ack()) {
        (true, ack) => !ack,
        _ => segment.source.port > segment.destination.port,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::net::{FrameRef, Path, SeqNumber, TcpFlags, TcpOptions};

    const CLIENT: u16 = 50_000;
    const SERVER: u16 = 443;

    fn segment(from: u16, flags: u8, seq: u32, payload: &'static [u8]) -> Segment<'static> {
        let end = |port| Endpoint {
            ip: IpAddr::from([10, 0, 0, if port == SERVER { 2 } else { 1 }]),
            port,
        };
        Segment {
            path: Path {
                source_mac: None,
                ttl: 64,
                ip_id: None,
                outer: &[],
            },
            source: end(from),
            destination: end(if from == SERVER { CLIENT } else { SERVER }),
            seq: SeqNumber(seq),
            ack: SeqNumber(0),
            flags: TcpFlags(flags),
            window: 1000,
            options: TcpOptions(&[]),
            payload,
            cut: 0,
        }
    }

    /// The server's FIN.
    fn last(seq: u32, ack: u32) -> Segment<'static> {
        Segment {
            ack: SeqNumber(ack),
            ..segment(SERVER, 0x11, seq, b"")
        }
    }

    fn at(frame: u64) -> At {
        At {
            frame: FrameRef::new(0, frame),
            time: Timestamp::from_nanos(i64::try_from(frame).expect("small") * 1_000_000_000),
        }
    }

    fn table() -> FlowTable<()> {
        FlowTable::new(
            FlowLimits {
                open_flows: 4,
                linger: 3_000_000_000,
                linger_settled: 2_000_000_000,
                disorder: 0,
                late: 3_000_000_000,
                idle: 60_000_000_000,
            },
            |payload| payload == b"hello",
        )
    }

    /// Routes a segment and gives the connection that has its ports now: of a bare SYN nothing is to be delivered.
    fn routed(table: &mut FlowTable<()>, segment: &Segment<'_>, at: At) -> Option<(FlowId, Direction)> {
        table.advance(at.time);
        let routed = table.route(segment, at)?;
        Some((routed.flow, routed.direction))
    }

    fn route(table: &mut FlowTable<()>, segment: &Segment<'_>, at: At) -> FlowId {
        let routed = routed(table, segment, at).map(|(id, _)| id);
        let key = FlowKey::of(segment.source, segment.destination).0;
        routed.or_else(|| table.lookup(&key).map(FlowId)).expect("a connection")
    }

    #[test]
    fn a_syn_with_another_sequence_number_is_a_new_connection() {
        let mut table = table();
        let first = route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
        let again = route(&mut table, &segment(CLIENT, 2, 100, b""), at(2));
        let second = route(&mut table, &segment(CLIENT, 2, 90_000_000, b""), at(3));
        assert_eq!(first, again);
        assert_ne!(first, second);
    }

    #[test]
    fn an_answer_to_another_syn_is_of_a_connection_whose_syn_was_lost() {
        // Two bytes come with the SYN (RFC 7413): they may be acknowledged, or not.
        for (data, acknowledged, same) in [
            (&b""[..], 101, true),
            (b"", 100, false),
            (b"", 102, false),
            (b"ab", 101, true),
            (b"ab", 103, true),
            (b"ab", 50_000, false),
        ] {
            let mut table = table();
            let asked = route(&mut table, &segment(CLIENT, 2, 100, data), at(1));
            let answer = Segment {
                ack: SeqNumber(acknowledged),
                ..segment(SERVER, 18, 700, b"")
            };
            let answered = route(&mut table, &answer, at(2));
            assert_eq!(answered == asked, same, "{data:?} {acknowledged}");
        }
    }

    #[test]
    fn what_acknowledges_far_less_than_a_connection_began_with_is_of_one_before() {
        for (acknowledged, same) in [(40_100, true), (20_000, true), (101, false)] {
            let mut table = table();
            route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
            // The second connection shows its hello alone, the third one is the latest.
            let hello = route(&mut table, &segment(CLIENT, 24, 40_000, b"hello"), at(2));
            route(&mut table, &segment(CLIENT, 2, 300_000, b""), at(3));
            let late = Segment {
                ack: SeqNumber(acknowledged),
                ..segment(SERVER, 24, 700, b"late")
            };
            let routed = routed(&mut table, &late, at(4)).map(|(id, _)| id);
            assert_eq!(routed == Some(hello), same, "{acknowledged}");
        }
    }

    #[test]
    fn the_first_of_a_side_that_acknowledges_what_stands_before_the_syn_is_of_none() {
        for (acknowledged, taken) in [(101, true), (100, true), (99, false)] {
            let mut table = table();
            route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
            let late = Segment {
                ack: SeqNumber(acknowledged),
                ..segment(SERVER, 24, 700, b"late")
            };
            assert_eq!(routed(&mut table, &late, at(2)).is_some(), taken, "{acknowledged}");
        }
    }

    #[test]
    fn an_opening_far_beyond_what_was_sent_is_a_new_connection() {
        let mut table = table();
        let old = route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
        let mut route = |seq, payload| routed(&mut table, &segment(CLIENT, 0x10, seq, payload), at(2));
        for (seq, payload) in [(101, &b"hello"[..]), (100_000, b"world"), (20_000, b"hello")] {
            assert_eq!(route(seq, payload).map(|(id, _)| id), Some(old), "{seq}");
        }
        let (new, _) = route(150_000, b"hello").expect("opened");
        assert_ne!(new, old);
        assert_eq!(route(150_005, b"world").map(|(id, _)| id), Some(new));
        let mut answer = segment(SERVER, 0x18, 7_000_000, b"hello");
        answer.ack = SeqNumber(250_000);
        let (next, _) = routed(&mut table, &answer, at(3)).expect("opened");
        assert!(![old, new].contains(&next));
    }

    #[test]
    fn a_copy_of_what_the_connection_before_said_is_not_the_next_one_s() {
        let mut table = table();
        let old = route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
        let mut route = |seq, payload| routed(&mut table, &segment(CLIENT, 0x10, seq, payload), at(2));
        route(100_000, &b"world"[..]).expect("of the old one");
        let (new, _) = route(150_000, b"hello").expect("opened");
        assert_eq!(route(150_005, b"world").map(|(id, _)| id), Some(new));
        assert_eq!(route(100_001, b"copy").map(|(id, _)| id), Some(old));
    }

    #[test]
    fn late_packets_of_the_old_connection_do_not_touch_the_new_one() {
        let mut table = table();
        let old = route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
        let new = route(&mut table, &segment(CLIENT, 2, 90_000_000, b""), at(2));
        let (reset, _) = routed(&mut table, &segment(CLIENT, 0x14, 101, b""), at(3)).expect("routed");
        assert_eq!(reset, old);
        assert!(
            table
                .flow_mut(new)
                .expect("open")
                .half(Direction::ToServer)
                .reset
                .is_none()
        );
        assert!(
            table
                .flow_mut(old)
                .expect("lingering")
                .half(Direction::ToServer)
                .reset
                .is_some()
        );
    }

    #[test]
    fn a_syn_of_before_the_first_packet_is_of_the_connection_that_has_closed() {
        let closed = || {
            let mut table = table();
            let id = route(&mut table, &segment(CLIENT, 0x18, 101, b"hello"), at(5));
            routed(&mut table, &segment(CLIENT, 0x11, 106, b""), at(6)).expect("fin");
            routed(&mut table, &last(501, 107), at(7)).expect("fin");
            (table, id)
        };
        let (mut table, id) = closed();
        let routed = routed(&mut table, &segment(CLIENT, 2, 90, b""), at(4)).map(|(id, _)| id);
        assert_eq!(routed, Some(id));
        // After it the ports are in use again.
        let (mut table, id) = closed();
        assert_ne!(route(&mut table, &segment(CLIENT, 2, 90, b""), at(8)), id);
    }

    #[test]
    fn a_connection_whose_doubtful_reset_was_none_goes_on() {
        let mut table = table();
        let id = route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
        routed(&mut table, &segment(CLIENT, 0x14, 5000, b""), at(2)).expect("in the window");
        assert!(table.flow_mut(id).expect("open").closed());
        let data = Segment {
            ack: SeqNumber(101),
            ..segment(SERVER, 0x18, 501, b"data")
        };
        routed(&mut table, &data, at(3)).expect("goes on");
        // The server was not seen before the reset: it waits for another clock, too.
        table.advance(at(13).time);
        assert!(table.expire().is_none());
        assert!(!table.flow_mut(id).expect("open").is_closing());
    }

    #[test]
    fn an_answer_from_another_address_joins_the_connection_whose_syn_it_acknowledges() {
        let mut table = table();
        let id = route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
        let mut answer = segment(SERVER, 0x12, 500, b"");
        answer.source.ip = IpAddr::from([10, 0, 0, 99]);
        answer.ack = SeqNumber(101);
        assert_eq!(routed(&mut table, &answer, at(2)), Some((id, Direction::ToClient)));
        let mut stranger = answer;
        stranger.source.ip = IpAddr::from([10, 0, 0, 98]);
        stranger.ack = SeqNumber(7);
        let (other, _) = routed(&mut table, &stranger, at(3)).expect("opened");
        assert_ne!(other, id, "it acknowledges another SYN");
    }

    #[test]
    fn acknowledgements_and_resets_of_unknown_connections_open_nothing() {
        let mut table = table();
        assert!(routed(&mut table, &segment(CLIENT, 0x10, 5, b""), at(1)).is_none());
        assert!(routed(&mut table, &segment(CLIENT, 0x04, 5, b""), at(1)).is_none());
        assert!(routed(&mut table, &segment(CLIENT, 0x10, 5, b"data"), at(1)).is_some());
    }

    #[test]
    fn closed_connections_linger_and_then_go() {
        let mut table = table();
        route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
        routed(&mut table, &segment(CLIENT, 0x11, 101, b""), at(2)).expect("fin");
        routed(&mut table, &last(500, 102), at(3)).expect("fin");
        assert!(table.expire().is_none());
        table.advance(at(9).time);
        let finished = table.expire().expect("its time has come");
        assert_eq!(finished.why, Why::Closed);
        assert!(table.is_empty());
    }

    /// Closed both ways at second 3, by `port`, and acknowledged to the end or not.
    fn close_both_ways(table: &mut FlowTable<()>, port: u16, acknowledged: bool) {
        let with = |segment: Segment<'static>, ack| {
            let mut segment = Segment {
                ack: SeqNumber(ack),
                ..segment
            };
            let ends = [&mut segment.source, &mut segment.destination];
            ends.into_iter()
                .filter(|end| end.port == CLIENT)
                .for_each(|end| end.port = port);
            segment
        };
        for (segment, time) in [
            (with(segment(CLIENT, 2, 100, b""), 0), at(1)),
            (with(segment(SERVER, 0x12, 500, b""), 101), at(1)),
            (with(segment(CLIENT, 0x11, 101, b""), 501), at(2)),
            (with(last(501, 102), 102), at(3)),
        ] {
            routed(table, &segment, time);
        }
        if acknowledged {
            routed(table, &with(segment(CLIENT, 0x10, 102, b""), 502), at(3));
        }
    }

    #[test]
    fn what_is_acknowledged_to_the_end_goes_sooner_than_what_may_still_be_reset() {
        for (acknowledged, gone) in [(true, 5), (false, 6)] {
            let mut table = table();
            close_both_ways(&mut table, CLIENT, acknowledged);
            table.advance(at(gone - 1).time);
            assert!(table.expire().is_none(), "{acknowledged}");
            table.advance(at(gone).time);
            assert_eq!(table.expire().map(|finished| finished.why), Some(Why::Closed));
            // Its first entry in the queue is void.
            table.advance(at(gone + 9).time);
            assert!(table.expire().is_none() && table.lingering.len() == 0);
        }
    }

    #[test]
    fn where_something_else_may_come_every_connection_lingers_as_long() {
        let mut table = table();
        table.linger_alike();
        close_both_ways(&mut table, CLIENT, true);
        table.advance(at(5).time);
        assert!(table.expire().is_none());
        table.advance(at(6).time);
        assert!(table.expire().is_some());
    }

    #[test]
    fn a_reset_behind_the_last_acknowledgement_is_taken_while_the_connection_lingers() {
        let mut table = table();
        close_both_ways(&mut table, CLIENT, true);
        let (id, direction) = routed(&mut table, &segment(CLIENT, 0x04, 102, b""), at(4)).expect("lingers");
        let flow = table.flow_mut(id).expect("lingers");
        assert!(flow.half(direction).reset.is_some() && !flow.is_settled());
    }

    #[test]
    fn a_void_entry_ends_no_connection_that_has_the_place_now() {
        let mut table = table();
        close_both_ways(&mut table, CLIENT, true);
        table.advance(at(5).time);
        assert!(table.expire().is_some());
        // In the same place; the entry of the one before would have been due at second 6.
        let other = routed(&mut table, &segment(CLIENT + 1, 0x18, 900, b"hello"), at(5)).expect("opened");
        let closing = routed(&mut table, &segment(CLIENT + 1, 0x14, 905, b""), at(5)).expect("reset");
        assert_eq!((other.0, closing.0), (FlowId(0), FlowId(0)));
        table.advance(at(7).time);
        assert!(table.expire().is_none() && table.len() == 1);
    }

    #[test]
    fn room_is_made_by_connections_that_have_nothing_more_to_come() {
        let mut table = table();
        for (port, acknowledged) in [(1000, false), (1001, true), (1002, false)] {
            close_both_ways(&mut table, port, acknowledged);
        }
        let mut gone = || {
            let finished = table.evict_where(|_| false).expect("closed");
            let [client, _] = finished.flow.ends;
            client.port
        };
        assert_eq!([gone(), gone(), gone()], [1001, 1000, 1002]);
        assert!(table.is_empty() && table.lingering.len() == 0 && table.evict_where(|_| false).is_none());
    }

    #[test]
    fn late_packets_of_a_connection_that_is_gone_open_nothing() {
        let mut table = table();
        let fin = segment(CLIENT, 0x11, 101, b"");
        route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
        routed(&mut table, &fin, at(2)).expect("fin");
        routed(&mut table, &last(500, 102), at(2)).expect("fin");
        table.advance(at(5).time);
        assert!(table.expire().is_some(), "it lingered long enough");
        assert!(routed(&mut table, &segment(CLIENT, 2, 100, b""), at(6)).is_none());
        assert!(routed(&mut table, &segment(CLIENT, 0x10, 101, b"late"), at(6)).is_none());
        let next = route(&mut table, &segment(CLIENT, 2, 90_000_000, b""), at(6));
        assert!(routed(&mut table, &segment(CLIENT, 0x10, 101, b"late"), at(7)).is_none());
        let mine = routed(&mut table, &segment(CLIENT, 0x10, 90_000_001, b"mine"), at(7));
        assert_eq!(mine, Some((next, Direction::ToServer)));
        table.advance(at(20).time);
        assert!(table.expire().is_none());
        assert!(
            !table.late.has(&FlowKey::of(fin.source, fin.destination).0, at(20).time),
            "forgotten"
        );
    }

    #[test]
    fn an_opening_far_beyond_what_one_that_is_gone_said_is_of_the_next_one() {
        for (seq, payload, opens) in [
            (150_000, &b"hello"[..], true),
            (150_000, b"world", false),
            (20_000, b"hello", false),
        ] {
            let mut table = table();
            close_both_ways(&mut table, CLIENT, true);
            table.advance(at(5).time);
            assert!(table.expire().is_some());
            let routed = routed(&mut table, &segment(CLIENT, 0x18, seq, payload), at(6));
            assert_eq!(routed.is_some(), opens, "{seq} {payload:?}");
        }
    }

    #[test]
    fn beyond_the_limit_the_least_recently_used_connection_goes() {
        let mut table = table();
        for port in 0..6 {
            let mut syn = segment(CLIENT, 2, 100, b"");
            syn.source.port = 1000 + port;
            route(&mut table, &syn, at(u64::from(port) + 1));
            while table.expire().is_some() {}
        }
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn a_reset_outside_the_window_is_ignored_and_counted() {
        let mut table = table();
        let id = route(&mut table, &segment(CLIENT, 2, 100, b""), at(1));
        routed(&mut table, &segment(CLIENT, 0x04, 5_000_000, b""), at(2));
        let flow = table.flow_mut(id).expect("open");
        assert!(flow.half(Direction::ToServer).reset.is_none());
        assert_eq!(flow.resets_ignored, 1);
    }
}
