//! Who did what before: for each connection, the earlier ones of the same client stack to the same service.
//!
//! A client is an address and a client stack, not an address alone: behind one address there may be many programs
//! with caches of their own. A service is a server endpoint and a server name.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::net::Timestamp;
use crate::session::{Connection, ConnectionId, Kept};

/// For each connection the one before it of the same client stack at the same endpoint, and the one before it between
/// the same two addresses. Eight bytes a connection.
#[derive(Debug)]
pub struct History {
    by_stack: Links,
    by_address: Links,
}

impl History {
    /// Of all kept connections.
    #[must_use]
    pub fn of(kept: &Kept) -> Self {
        let hasher = DefaultHashBuilder::default();
        let stack = |connection: &Connection| {
            let stack = connection.hello.yes()?.stack;
            Some(hasher.hash_one((connection.client_address(), stack, connection.server)))
        };
        let address =
            |connection: &Connection| Some(hasher.hash_one((connection.client_address(), connection.server.ip)));
        Self {
            by_stack: Links::of(kept, stack),
            by_address: Links::of(kept, address),
        }
    }

    /// Earlier connections of the same client stack to the same endpoint under any server name, latest first.
    pub fn earlier<'a>(
        &'a self,
        kept: &'a Kept,
        connection: &'a Connection,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + 'a {
        self.by_stack
            .before(kept, id)
            // The group is a hash: make sure.
            .filter(move |(_, earlier)| same_client(earlier, connection) && earlier.server == connection.server)
    }

    /// Earlier connections between the same two addresses, whatever the ports and programs, latest first.
    pub fn earlier_between<'a>(
        &'a self,
        kept: &'a Kept,
        connection: &'a Connection,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + 'a {
        self.by_address.before(kept, id).filter(|(_, earlier)| {
            earlier.client_address() == connection.client_address() && earlier.server.ip == connection.server.ip
        })
    }
}

/// The predecessor of each connection within its group.
#[derive(Debug)]
struct Links {
    /// Number of the first connection.
    base: u32,
    previous: Vec<Option<ConnectionId>>,
}

impl Links {
    /// Packets may bear no time, or the same one: then the order in which connections were recognised decides.
    fn of(kept: &Kept, group: impl Fn(&Connection) -> Option<u64>) -> Self {
        let mut order: Vec<(u64, Timestamp, ConnectionId)> = kept
            .iter()
            .filter_map(|(id, connection)| Some((group(connection)?, connection.hello_time(), id)))
            .collect();
        order.sort_unstable();
        let numbers = || order.iter().map(|(_, _, id)| id.0);
        let base = numbers().min().unwrap_or(0);
        let length = numbers().max().map_or(0, |last| last - base + 1);
        let mut previous = vec![None; length as usize];
        for pair in order.windows(2) {
            if let [(group, _, before), (same, _, id)] = pair
                && group == same
                && let Some(slot) = previous.get_mut((id.0 - base) as usize)
            {
                *slot = Some(*before);
            }
        }
        Self { base, previous }
    }

    /// The connections before this one, latest first.
    fn before<'a>(
        &'a self,
        kept: &'a Kept,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + 'a {
        std::iter::successors(self.predecessor(id), |id| self.predecessor(*id))
            .filter_map(|id| Some((id, kept.get(id)?)))
    }

    fn predecessor(&self, id: ConnectionId) -> Option<ConnectionId> {
        *self.previous.get(id.0.checked_sub(self.base)? as usize)?
    }
}

fn same_client(a: &Connection, b: &Connection) -> bool {
    let stack = |connection: &Connection| connection.hello.yes().map(|hello| hello.stack);
    a.client_address() == b.client_address() && stack(a) == stack(b)
}
