//! Which connection a datagram is of: by connection ID, then by its pair of endpoints.

use hashbrown::HashMap;

use super::Number;
use super::open::OpenConnection;
use crate::decrypt::Speaker;
use crate::net::{At, Datagram, Endpoint};
use crate::quic::{Cid, QuicPacket};
use crate::session::{ClientPath, MAX_PATHS};

/// Connection IDs of one side that are known at once: as many as anybody has in use.
const MAX_IDS: usize = 16;

/// Connections of a pair of endpoints that are found by it; older ones only by their IDs. Every one is looked at when a
/// client begins anew, so that forged Initials must not make them many.
const MAX_ON_PAIR: usize = 16;

/// Two endpoints in an order: client and server, or who sends and who receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    pub(super) from: Endpoint,
    pub(super) to: Endpoint,
}

impl Pair {
    pub(super) const fn new(from: Endpoint, to: Endpoint) -> Self {
        Self { from, to }
    }

    /// The other way round.
    pub(super) const fn turned(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
        }
    }
}

/// A connection ID where it is in use: IDs are unique only among those of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ConnectionIdKey {
    server: Endpoint,
    /// Of packets to the server, else to the client.
    to_server: bool,
    id: Cid,
}

/// The connection that a datagram is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    pub(super) number: Number,
    /// Who sent the datagram.
    pub(super) speaker: Speaker,
    /// By a connection ID, whatever the endpoints.
    pub(super) by_id: bool,
}

/// What is known of a server endpoint.
#[derive(Debug, Clone, Copy, Default)]
struct Server {
    connections: u32,
    /// Lengths of connection IDs in packets to it, and in packets from it: one bit each.
    lengths_to: u32,
    lengths_from: u32,
}

/// Finds connections.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionIndex {
    ids: HashMap<ConnectionIdKey, Number>,
    /// By client and server, the oldest connection first.
    pairs: HashMap<Pair, Vec<Number>>,
    servers: HashMap<Endpoint, Server>,
}

impl ConnectionIndex {
    /// The connection of a datagram that begins with this packet.
    pub(super) fn find(&self, datagram: &Datagram<'_>, first: &QuicPacket<'_>) -> Option<Reached> {
        match first {
            QuicPacket::Long(long) => self.find_id(datagram, long.destination).or_else(|| {
                // To a client without an ID of its own.
                let to_client = long.destination.is_empty();
                to_client.then(|| self.find_pair(datagram, Speaker::Server)).flatten()
            }),
            QuicPacket::VersionNegotiation { destination, .. } => self
                .find_id(datagram, *destination)
                .or_else(|| self.find_pair(datagram, Speaker::Server)),
            QuicPacket::Unknown { .. } => None,
            QuicPacket::Short(bytes) => self.find_short(datagram, bytes),
        }
    }

    fn find_id(&self, datagram: &Datagram<'_>, id: Cid) -> Option<Reached> {
        if id.is_empty() {
            return None;
        }
        let ends = [
            (datagram.destination, true, Speaker::Client),
            (datagram.source, false, Speaker::Server),
        ];
        ends.into_iter().find_map(|(server, to_server, speaker)| {
            let number = *self.ids.get(&ConnectionIdKey { server, to_server, id })?;
            Some(Reached {
                number,
                speaker,
                by_id: true,
            })
        })
    }

    /// A short header does not say how long its connection ID is: those lengths are tried that the server's connections
    /// use, the longest first.
    fn find_short(&self, datagram: &Datagram<'_>, bytes: &[u8]) -> Option<Reached> {
        let ends = [
            (datagram.destination, true, Speaker::Client),
            (datagram.source, false, Speaker::Server),
        ];
        for (server, to_server, speaker) in ends {
            let Some(known) = self.servers.get(&server) else {
                continue;
            };
            let lengths = if to_server {
                known.lengths_to
            } else {
                known.lengths_from
            };
            let used = |length: &usize| lengths >> length & 1 == 1;
            let by_id = (1..=Cid::LONGEST).rev().filter(used).find_map(|length| {
                let id = Cid::new(bytes.get(1..=length)?)?;
                let number = *self.ids.get(&ConnectionIdKey { server, to_server, id })?;
                Some(Reached {
                    number,
                    speaker,
                    by_id: true,
                })
            });
            if let Some(reached) = by_id.or_else(|| self.find_pair(datagram, speaker)) {
                return Some(reached);
            }
        }
        None
    }

    /// The youngest connection of a pair of endpoints.
    fn find_pair(&self, datagram: &Datagram<'_>, speaker: Speaker) -> Option<Reached> {
        let sent = Pair::new(datagram.source, datagram.destination);
        let pair = if speaker == Speaker::Client {
            sent
        } else {
            sent.turned()
        };
        let number = *self.pairs.get(&pair)?.last()?;
        Some(Reached {
            number,
            speaker,
            by_id: false,
        })
    }

    /// Connections of a client and a server, the oldest first.
    pub(super) fn of_pair(&self, pair: Pair) -> &[Number] {
        self.pairs.get(&pair).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether one end of a datagram is a server with connections.
    pub(super) fn serves(&self, datagram: &Datagram<'_>) -> bool {
        let ends = [datagram.destination, datagram.source];
        ends.iter().any(|end| self.servers.contains_key(end))
    }

    /// A connection is between these endpoints, from here on or at times.
    pub(super) fn add_pair(&mut self, entry: &mut OpenConnection, number: Number, pair: Pair) {
        if entry.pairs.contains(&pair) || entry.pairs.len() >= MAX_PATHS {
            return;
        }
        if entry.pairs.is_empty() {
            self.servers.entry(pair.to).or_default().connections += 1;
        }
        entry.pairs.push(pair);
        let numbers = self.pairs.entry(pair).or_default();
        if numbers.len() >= MAX_ON_PAIR {
            numbers.remove(0);
        }
        numbers.push(number);
    }

    /// One side is called so: packets to it bear this ID.
    pub(super) fn add_id(&mut self, entry: &mut OpenConnection, number: Number, of: Speaker, id: Cid) {
        let key = ConnectionIdKey {
            server: entry.server,
            to_server: of == Speaker::Server,
            id,
        };
        if id.is_empty() || entry.ids.contains(&key) {
            return;
        }
        let side = |known: &&ConnectionIdKey| known.to_server == key.to_server;
        if entry.ids.iter().filter(side).count() >= MAX_IDS
            && let Some(oldest) = entry.ids.iter().position(|known| side(&known))
        {
            let gone = entry.ids.remove(oldest);
            self.forget(&gone, number);
        }
        entry.ids.push(key);
        // An ID that another connection has stays with that one: nobody may take another's packets.
        self.ids.entry(key).or_insert(number);
        if let Some(server) = self.servers.get_mut(&entry.server) {
            let lengths = if key.to_server {
                &mut server.lengths_to
            } else {
                &mut server.lengths_from
            };
            *lengths |= 1 << id.len();
        }
    }

    /// A connection that was found by its ID may come from another address of the client.
    pub(super) fn add_path(&mut self, entry: &mut OpenConnection, reached: Reached, datagram: &Datagram<'_>, at: At) {
        let sent = Pair::new(datagram.source, datagram.destination);
        let pair = if reached.speaker == Speaker::Client {
            sent
        } else {
            sent.turned()
        };
        if entry.pairs.contains(&pair) || pair.to != entry.server || entry.pairs.len() >= MAX_PATHS {
            return;
        }
        entry.facts.paths.push(ClientPath {
            client: pair.from,
            first: at.frame,
        });
        self.add_pair(entry, reached.number, pair);
    }

    fn forget(&mut self, key: &ConnectionIdKey, number: Number) {
        if self.ids.get(key) == Some(&number) {
            self.ids.remove(key);
        }
    }

    /// A connection is over.
    pub(super) fn remove(&mut self, entry: &OpenConnection, number: Number) {
        for key in &entry.ids {
            self.forget(key, number);
        }
        for pair in &entry.pairs {
            if let Some(numbers) = self.pairs.get_mut(pair) {
                numbers.retain(|known| *known != number);
                if numbers.is_empty() {
                    self.pairs.remove(pair);
                }
            }
        }
        if let Some(server) = self.servers.get_mut(&entry.server) {
            server.connections = server.connections.saturating_sub(1);
            if server.connections == 0 {
                self.servers.remove(&entry.server);
            }
        }
    }
}
