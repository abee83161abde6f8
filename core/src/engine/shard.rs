//! What a run found, in a form that can be joined with what other runs found.

use super::{Engine, NeighbourSeen};
use crate::net::{Capture, Notices, Timestamp};
use crate::session::{Connection, Outcomes, Service};
use crate::store::PartialConnection;

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
    /// TLS connections in the order of their hellos.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub connections: Vec<PartialConnection>,
    /// Those of the other connections that another run may know better, in the same order.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub strays: Vec<Connection>,
    /// What was folded into counts, by service where these were told apart.
    pub evicted: Vec<(Option<Service>, Outcomes)>,
}

impl Shard {
    /// Of a finished run that was told to keep what this takes ([`Engine::keep_joinable`]).
    #[must_use]
    pub fn of(engine: &Engine, captures: Vec<Capture>) -> Self {
        Self {
            connections: engine.sightings().collect(),
            strays: engine.strays().cloned().collect(),
            ..Self::head(engine, captures)
        }
    }

    /// The same without its connections.
    #[must_use]
    pub fn head(engine: &Engine, captures: Vec<Capture>) -> Self {
        let connections = &engine.context.connection_store;
        let told_apart = connections
            .evicted()
            .map(|(service, evicted)| (Some(service.clone()), *evicted));
        let elsewhere = Some((None, *connections.evicted_elsewhere())).filter(|(_, counts)| counts.total() > 0);
        Self {
            captures,
            notices: engine.notices.clone(),
            neighbours: engine.neighbours.clone(),
            other_connections: engine.other_connections,
            last: engine.last,
            covered: engine.coverage.stretches().to_vec(),
            connections: Vec::new(),
            strays: Vec::new(),
            evicted: told_apart.chain(elsewhere).collect(),
        }
    }
}

impl Engine {
    /// The TLS connections of a finished run, as others can take them, in the order of their hellos: some are recognised long
    /// after they began.
    pub fn sightings(&self) -> impl Iterator<Item = PartialConnection> {
        let (connections, credentials) = (&self.context.connection_store, &self.context.credential_store);
        let order = self.in_order(Connection::hello_time).into_iter();
        order.filter_map(move |id| Some(PartialConnection::of(id, connections.get(id)?, credentials)))
    }

    /// Those of its other connections that another run may know better, in the same order.
    pub fn strays(&self) -> impl Iterator<Item = &Connection> {
        let mut order: Vec<_> = self.strays.iter().collect();
        order.sort_by_key(|connection| connection.hello_time());
        order.into_iter()
    }
}
