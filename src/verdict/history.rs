//! Who did what before: for each connection, the earlier ones of the same client stack to the same service.
//!
//! A client is an address and a client stack, not an address alone: behind one address there may be many programs
//! with caches of their own. A service is a server endpoint and a server name.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::net::Timestamp;
use crate::session::{Connection, ConnectionId, Kept};

/// Connections by client stack and server endpoint, and by pair of addresses, in the order of their hellos.
/// 48 bytes a connection.
#[derive(Debug)]
pub struct History {
    hasher: DefaultHashBuilder,
    by_stack: Vec<Entry>,
    by_address: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    group: u64,
    hello: Timestamp,
    id: ConnectionId,
}

impl History {
    /// Of all kept connections.
    #[must_use]
    pub fn of(kept: &Kept) -> Self {
        let hasher = DefaultHashBuilder::default();
        let (mut by_stack, mut by_address) = (Vec::new(), Vec::new());
        for (id, connection) in kept.iter() {
            let hello = connection.hello_time();
            by_stack.extend(stack_group(&hasher, connection).map(|group| Entry { group, hello, id }));
            by_address.push(Entry {
                group: address_group(&hasher, connection),
                hello,
                id,
            });
        }
        by_stack.sort_unstable();
        by_address.sort_unstable();
        Self {
            hasher,
            by_stack,
            by_address,
        }
    }

    /// Earlier connections of the same client stack to the same endpoint under any server name, latest first.
    pub fn earlier<'a>(
        &'a self,
        kept: &'a Kept,
        connection: &'a Connection,
        id: ConnectionId,
    ) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + 'a {
        let group = stack_group(&self.hasher, connection);
        let range = group.map_or(&[][..], |group| {
            before(&self.by_stack, group, (connection.hello_time(), id))
        });
        found(kept, range)
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
        let group = address_group(&self.hasher, connection);
        found(kept, before(&self.by_address, group, (connection.hello_time(), id))).filter(move |(_, earlier)| {
            earlier.client_address() == connection.client_address() && earlier.server.ip == connection.server.ip
        })
    }
}

/// Entries of a group before a connection. Packets may bear no time or the same: then the order in which connections
/// were recognised decides.
fn before(entries: &[Entry], group: u64, place: (Timestamp, ConnectionId)) -> &[Entry] {
    let start = entries.partition_point(|entry| entry.group < group);
    let end = entries.partition_point(|entry| (entry.group, entry.hello, entry.id) < (group, place.0, place.1));
    entries.get(start..end).unwrap_or_default()
}

fn found<'a>(kept: &'a Kept, range: &'a [Entry]) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + 'a {
    range
        .iter()
        .rev()
        .filter_map(|entry| Some((entry.id, kept.get(entry.id)?)))
}

fn same_client(a: &Connection, b: &Connection) -> bool {
    let stack = |connection: &Connection| connection.hello.yes().map(|hello| hello.stack);
    a.client_address() == b.client_address() && stack(a) == stack(b)
}

fn stack_group(hasher: &DefaultHashBuilder, connection: &Connection) -> Option<u64> {
    let stack = connection.hello.yes()?.stack;
    Some(hasher.hash_one((connection.client_address(), stack, connection.server)))
}

fn address_group(hasher: &DefaultHashBuilder, connection: &Connection) -> u64 {
    hasher.hash_one((connection.client_address(), connection.server.ip))
}
