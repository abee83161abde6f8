//! What a run found, in a form that can be joined with what other runs found, and judged as if one run had seen it all.
//!
//! Connections of several runs are put together by their flow, credentials are entered anew in the order of time, and
//! what depended on when a run ended is decided by when the last one did.

use hashbrown::HashMap;

use super::connection::{IDLE_NANOS, SILENT_NANOS, may_still_be_tls};
use super::coverage::{Coverage, Silence};
use super::{Engine, Limits, MAX_NEIGHBOURS, NeighbourSeen};
use crate::diagnosis::outcome;
use crate::net::{Capture, Endpoint, Notices, Timestamp};
use crate::session::{
    Blindness, CloseClass, Completed, Connection, ConnectionId, Outcomes, Seen, Service, Side, TransportKind,
    may_be_goodbye,
};
use crate::store::{PartialConnection, replay};

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// What one run found.
#[derive(Debug, Default)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Shard {
    /// The captures it read. Frames say which, counted from the first of this shard.
    pub captures: Vec<Capture>,
    /// What the engine skipped.
    pub notices: Notices,
    /// Address facts.
    pub neighbours: Vec<NeighbourSeen>,
    /// TCP connections that carried no TLS.
    pub other_connections: u64,
    /// Time of the last packet.
    pub last: Option<Timestamp>,
    /// First and last packet of each stretch of time that it covers without a long pause.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub covered: Vec<[Timestamp; 2]>,
    /// TLS connections in the order of their numbers.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub connections: Vec<PartialConnection>,
    /// Those of the other connections that another run may know better.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub strays: Vec<Connection>,
    /// What was folded into counts, by service where these were told apart.
    pub evicted: Vec<(Option<Service>, Outcomes)>,
}

impl Shard {
    /// Of a finished run that was told to keep what this takes ([`Engine::keep_joinable`]).
    #[must_use]
    pub fn of(engine: &Engine, captures: Vec<Capture>) -> Self {
        let connections = engine.context.connection_store.iter();
        Self {
            captures,
            notices: engine.notices.clone(),
            neighbours: engine.neighbours.clone(),
            other_connections: engine.other_connections,
            last: engine.last,
            covered: engine.coverage.stretches().to_vec(),
            connections: connections
                .map(|(id, connection)| PartialConnection::of(id, connection, &engine.context.credential_store))
                .collect(),
            strays: engine.strays.clone(),
            evicted: engine
                .context
                .connection_store
                .evicted()
                .map(|(service, evicted)| (Some(service.clone()), *evicted))
                .chain(
                    Some((None, *engine.context.connection_store.evicted_elsewhere()))
                        .filter(|(_, counts)| counts.total() > 0),
                )
                .collect(),
        }
    }
}

/// A connection on its way together.
struct Part {
    /// The shards that saw it.
    shards: Vec<usize>,
    sighting: PartialConnection,
    /// TLS was seen on it.
    tls: bool,
}

/// Joins what several runs found. Frames must count captures through all of them, in the order of the shards.
#[must_use]
pub fn join(shards: Vec<Shard>, limits: Limits) -> (Engine, Vec<Capture>) {
    let mut engine = Engine::new(limits);
    let mut captures = Vec::new();
    let mut parts = Vec::new();
    let several = shards.len() > 1;
    let mut covered = Vec::new();
    for (number, shard) in shards.into_iter().enumerate() {
        captures.extend(shard.captures);
        engine.notices.merge(&shard.notices);
        let room = MAX_NEIGHBOURS.saturating_sub(engine.neighbours.len());
        engine.neighbours.extend(shard.neighbours.into_iter().take(room));
        engine.other_connections = engine.other_connections.saturating_add(shard.other_connections);
        engine.last = engine.last.max(shard.last);
        covered.extend(shard.covered);
        for (service, evicted) in shard.evicted {
            engine.context.connection_store.add_evicted(service, &evicted);
        }
        let part = |sighting, tls| Part {
            shards: vec![number],
            sighting,
            tls,
        };
        parts.extend(shard.connections.into_iter().map(|sighting| part(sighting, true)));
        parts.extend(
            shard
                .strays
                .into_iter()
                .map(|unclassified| part(PartialConnection::bare(Box::new(unclassified)), false)),
        );
    }
    if several {
        let others = |parts: &[Part]| {
            let counted = |part: &&Part| !part.tls && !part.sighting.connection.is_bare_end();
            parts.iter().filter(counted).count()
        };
        let before = others(&parts);
        parts = put_together(parts);
        let left = others(&parts);
        engine.other_connections = engine.other_connections.saturating_sub((before - left) as u64);
        // As one run would have met them, which leaves connections of one shard in their order.
        parts.sort_by_key(|part| part.sighting.connection.hello_time());
        engine.neighbours.sort_by_key(|seen| seen.at.time);
    }
    for part in parts.iter().filter(|part| !part.tls) {
        let connection = &part.sighting.connection;
        if may_still_be_tls(connection) {
            let began = (connection.transport.started, connection.transport.first());
            let possible = engine.context.connection_store.possible_handshakes_mut();
            possible.note(connection.client.ip, connection.server, began);
        }
    }
    engine.coverage = Coverage::joined(covered);
    parts.retain(|part| part.tls);
    engine.take(parts.into_iter().map(|part| part.sighting).collect());
    (engine, captures)
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
        self.join_legs();
        self.settle_session_ids();
        self.sort_offers();
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
