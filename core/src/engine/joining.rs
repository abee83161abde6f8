//! Runs on their way together, judged as if one run had seen it all.
//!
//! Connections of several runs are put together by their flow, credentials are entered anew in the order of time, and
//! what depended on when a run ended is decided by when the last one did. What was seen of a connection waits for what others
//! saw of it as long as there is memory; then the older half is entered as it is.

use hashbrown::HashMap;

use super::connection::{IDLE_NANOS, SILENT_NANOS, may_still_be_tls};
use super::coverage::{Coverage, Silence};
use super::{Engine, Limits, MAX_NEIGHBOURS, Shard};
use crate::diagnosis::outcome;
use crate::net::{Capture, Endpoint, FrameRef, Notice, Timestamp};
use crate::session::{
    Blindness, CloseClass, Completed, Connection, ConnectionId, Outcomes, Seen, Service, Side, TransportKind,
    may_be_goodbye,
};
use crate::store::{CredentialStore, PartialConnection, replay};

/// Stretches of time that runs cover, at most.
const MAX_COVERED: usize = 1 << 15;

/// A connection on its way together.
struct Part {
    /// The shards that saw it.
    shards: Vec<usize>,
    sighting: PartialConnection,
    /// TLS was seen on it.
    tls: bool,
}

impl Part {
    /// Whether it is a connection, and none on which TLS was seen.
    fn is_other(&self) -> bool {
        !self.tls && !self.sighting.connection.is_bare_end()
    }

    fn time(&self) -> Timestamp {
        self.sighting.connection.hello_time()
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + size_of::<usize>() + self.sighting.memory()
    }
}

/// What several runs found, as it comes in.
pub struct Joining {
    engine: Engine,
    captures: Vec<Capture>,
    shards: usize,
    /// What the runs cover.
    covered: Vec<[Timestamp; 2]>,
    /// What waits for other sightings of the same connections.
    parts: Vec<Part>,
    /// Bytes that these take, and the most that they may.
    waiting: usize,
    most: usize,
    /// First frames of those that wait, with the times of their hellos: a connection that comes twice counts once.
    begun: HashMap<FrameRef, Timestamp>,
    /// All that came of before that time is entered; what comes of it now is too late.
    entered_before: Option<Timestamp>,
}

impl Joining {
    /// Nothing yet. Half as much as is kept of finished connections may wait.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            engine: Engine::new(limits),
            captures: Vec::new(),
            shards: 0,
            covered: Vec::new(),
            parts: Vec::new(),
            waiting: 0,
            most: limits.kept_bytes / 2,
            begun: HashMap::new(),
            entered_before: None,
        }
    }

    /// Takes what a run says of itself, and the connections it brings along. Gives its number, by which more of its connections
    /// are added. Frames must count captures through all runs, in the order in which they come here.
    pub fn begin(&mut self, shard: Shard) -> usize {
        let (engine, number) = (&mut self.engine, self.shards);
        self.shards += 1;
        self.captures.extend(shard.captures);
        engine.notices.merge(&shard.notices);
        let room = MAX_NEIGHBOURS.saturating_sub(engine.neighbours.len());
        engine.neighbours.extend(shard.neighbours.into_iter().take(room));
        engine.other_connections = engine.other_connections.saturating_add(shard.other_connections);
        engine.last = engine.last.max(shard.last);
        self.covered.extend(shard.covered);
        if self.covered.len() > 2 * MAX_COVERED {
            self.covered = Coverage::merged(std::mem::take(&mut self.covered), MAX_COVERED);
        }
        for (service, evicted) in shard.evicted {
            engine.context.connection_store.add_evicted(service, &evicted);
        }
        for sighting in shard.connections {
            self.add(number, sighting);
        }
        for unclassified in shard.strays {
            self.add_stray(number, Box::new(unclassified));
        }
        number
    }

    /// Takes a TLS connection as the run of this number saw it.
    pub fn add(&mut self, shard: usize, sighting: PartialConnection) {
        self.take(Part {
            shards: vec![shard],
            sighting,
            tls: true,
        });
    }

    /// Takes a connection of which that run does not know whether it is TLS.
    pub fn add_stray(&mut self, shard: usize, connection: Box<Connection>) {
        self.take(Part {
            shards: vec![shard],
            sighting: PartialConnection::bare(connection),
            tls: false,
        });
    }

    fn take(&mut self, part: Part) {
        if self.entered_before.is_some_and(|time| part.time() < time) {
            return self.count(part);
        }
        // A frame begins one connection.
        if self
            .begun
            .insert(part.sighting.connection.transport.first(), part.time())
            .is_some()
        {
            return;
        }
        self.waiting += part.memory() + size_of::<(FrameRef, Timestamp)>();
        self.parts.push(part);
        while self.waiting > self.most && self.parts.len() > 1 {
            self.enter(self.parts.len() / 2);
        }
    }

    /// All is there: the engine as if one run had seen it, with the captures.
    #[must_use]
    pub fn finish(mut self) -> (Engine, Vec<Capture>) {
        self.enter(usize::MAX);
        if self.shards > 1 {
            self.engine.neighbours.sort_by_key(|seen| seen.at.time);
        }
        self.engine.join_legs();
        self.engine.settle_session_ids();
        self.engine.sort_offers();
        (self.engine, self.captures)
    }

    /// Enters the oldest of what waits, so many at most.
    fn enter(&mut self, most: usize) {
        let mut parts = std::mem::take(&mut self.parts);
        let in_parts = most < parts.len() || self.entered_before.is_some();
        if self.shards > 1 {
            let others = |parts: &[Part]| parts.iter().filter(|part| part.is_other()).count();
            let before = others(&parts);
            parts = put_together(parts);
            let left = others(&parts);
            let other_connections = &mut self.engine.other_connections;
            *other_connections = other_connections.saturating_sub((before - left) as u64);
        }
        if self.shards > 1 || in_parts {
            // As one run would have met them, which leaves connections of one shard in their order.
            parts.sort_by_key(Part::time);
        }
        self.parts = parts.split_off(most.min(parts.len()));
        let entered_before = parts.iter().map(Part::time).max().max(self.entered_before);
        self.entered_before = entered_before;
        self.begun.retain(|_, time| Some(*time) >= entered_before);
        self.waiting =
            self.parts.iter().map(Part::memory).sum::<usize>() + self.begun.len() * size_of::<(FrameRef, Timestamp)>();
        for part in parts.iter().filter(|part| !part.tls) {
            self.engine.note_possible_handshake(&part.sighting.connection);
        }
        parts.retain(|part| part.tls);
        if self.shards > 1 && most < usize::MAX {
            let first = parts.first().map(|part| part.sighting.connection.transport.first());
            self.engine
                .notices
                .add_many(Notice::FactsJoinedInParts, parts.len() as u64, first);
        }
        self.engine.coverage = Coverage::joined(self.covered.clone());
        self.engine.take(parts.into_iter().map(|part| part.sighting).collect());
    }

    /// What others saw of it may have been entered long ago: it is only counted.
    fn count(&mut self, part: Part) {
        if !part.tls {
            return self.engine.note_possible_handshake(&part.sighting.connection);
        }
        let first = part.sighting.connection.transport.first();
        self.engine.notices.add(Notice::FactsJoinedInParts, Some(first));
        // By what it shows itself.
        let mut own = CredentialStore::default();
        for connection in replay(vec![part.sighting], ConnectionId(0), &mut own) {
            let mut outcomes = Outcomes::default();
            outcomes.count(outcome::decide(&connection));
            let store = &mut self.engine.context.connection_store;
            store.add_evicted(Some(Service::of(&connection)), &outcomes);
        }
    }
}

/// Makes one of all sightings of each connection.
fn put_together(parts: Vec<Part>) -> Vec<Part> {
    let mut flows: HashMap<(TransportKind, [Endpoint; 2]), Vec<Part>> = HashMap::new();
    for part in parts {
        let connection = &part.sighting.connection;
        let mut ends = [connection.client, connection.server];
        ends.sort_unstable();
        flows.entry((connection.transport.kind(), ends)).or_default().push(part);
    }
    let mut all = Vec::new();
    for mut parts in flows.into_values() {
        parts.sort_by_key(|part| (part.sighting.connection.transport.started, part.shards.first().copied()));
        let mut wholes: Vec<Part> = Vec::new();
        for part in in_turn(parts) {
            add(&mut wholes, part);
        }
        all.extend(wholes);
    }
    // The order that a hash table gives is no order.
    all.sort_by_key(|part| {
        let connection = &part.sighting.connection;
        (connection.transport.first(), connection.client, connection.server)
    });
    all
}

/// Joins sightings on the same ports that nothing but their order ties: a handshake over UDP whose hello is in one run and its
/// answer in another, or its first beginning and its next. Where several hellos and answers do not come in turn, clocks differ
/// too much to tell which are of one.
fn in_turn(parts: Vec<Part>) -> Vec<Part> {
    let halves = parts
        .iter()
        .filter(|part| part.sighting.is_hello() || part.sighting.is_answer());
    let turns = halves.clone().count() % 2 == 0
        && halves
            .zip([true, false].into_iter().cycle())
            .all(|(part, hello)| part.sighting.is_hello() == hello);
    let mut joined: Vec<Part> = Vec::new();
    for mut part in parts {
        let turn = turns || !part.sighting.is_answer();
        match joined.last_mut() {
            Some(last)
                if turn
                    && !part.shards.iter().any(|shard| last.shards.contains(shard))
                    && last.sighting.may_go_on(&part.sighting) =>
            {
                last.sighting.go_on(part.sighting);
                last.shards.append(&mut part.shards);
            }
            _ => joined.push(part),
        }
    }
    joined
}

/// Connections on the same ports that a sighting is compared with: they are in the order of their beginnings, and that which
/// it is of is near. A client that uses one port over and over would else be compared with all that it ever opened.
const COMPARED: usize = 256;

/// Joins a sighting with the latest connection on the same ports that it can be of. Two sightings of one shard are two
/// connections: that was told apart where the packets were.
fn add(wholes: &mut Vec<Part>, mut part: Part) {
    // An end alone is no connection.
    let bare = part.sighting.connection.is_bare_end();
    for whole in wholes.iter_mut().rev().take(COMPARED) {
        if whole.sighting.connection.is_bare_end() {
            continue;
        }
        if !bare && part.shards.iter().any(|shard| whole.shards.contains(shard)) {
            continue;
        }
        match whole.sighting.join(part.sighting) {
            Ok(()) => {
                if !bare {
                    whole.shards.append(&mut part.shards);
                }
                whole.tls |= part.tls;
                return;
            }
            Err(sighting) => part.sighting = sighting,
        }
    }
    wholes.push(part);
}

impl Engine {
    fn note_possible_handshake(&mut self, connection: &Connection) {
        if may_still_be_tls(connection) {
            let began = (connection.transport.started, connection.transport.first());
            let possible = self.context.connection_store.possible_handshakes_mut();
            possible.note(connection.client.ip, connection.server, began);
        }
    }

    /// Takes connections that are over, with their credentials.
    fn take(&mut self, mut sightings: Vec<PartialConnection>) {
        for sighting in &mut sightings {
            let connection = &mut sighting.connection;
            grow_quiet(connection, self.silence_since(connection.transport.ended));
        }
        let ids: Vec<ConnectionId> = sightings
            .iter()
            .map(|_| self.context.connection_store.reserve())
            .collect();
        let Some(first) = ids.first() else { return };
        let connections = replay(sightings, *first, &mut self.context.credential_store);
        for (id, mut connection) in ids.into_iter().zip(connections) {
            connection.outcome = outcome::decide(&connection);
            connection.edges = None;
            connection.shrink();
            self.context
                .connection_store
                .keep(id, *connection, &mut self.context.credential_store);
        }
    }
}

/// The input went on after the end of the run that saw the connection: one that was open then has been silent since.
fn grow_quiet(connection: &mut Connection, Silence { quiet, covered }: Silence) {
    let ended = Side::BOTH.iter().any(|side| connection.side(*side).is_over());
    let by_silence = connection.close.class.blind().is_some_and(Blindness::is_end_of_capture)
        && !(matches!(connection.completed, Completed::Blind(_)) && connection.answer.yes().is_none());
    if ended {
        return;
    }
    let ends = connection.edges.as_deref().map(|edges| edges.ends).unwrap_or_default();
    let said_goodbye = ends.iter().any(|end| may_be_goodbye(connection, end));
    // Over UDP nothing joins what goes on in another run with what began in this one: it may not have been silent at all.
    let joined = connection.transport.kind() == TransportKind::Tcp;
    if by_silence && joined && !said_goodbye && quiet.min(covered) >= SILENT_NANOS {
        connection.close.class = Seen::Yes(CloseClass::TimeoutSilent);
    }
    if quiet >= IDLE_NANOS {
        connection.map_blindness(|cause| {
            if cause.is_end_of_capture() {
                Blindness::IdleAtCaptureEnd
            } else {
                cause
            }
        });
    }
}
