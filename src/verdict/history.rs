//! Who did what before: for each connection, the earlier ones of the same client stack to the same service.
//!
//! A client is an address and a client stack, not an address alone: behind one address there may be many programs
//! with caches of their own. A service is a server endpoint and a server name.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::session::{Connection, ConnectionId, Kept};

use super::habits::{Before, Habit, Habits};
use super::numbered::Numbered;

/// A client may turn to so many names of one server in turn and still be recognised as coming back.
const MOST_NAMES: usize = 64;

/// For each connection the one before it of the same client stack at the same endpoint, and the one before it between
/// the same two addresses: eight bytes a connection. And what each client does when it comes back.
#[derive(Debug)]
pub struct History {
    by_stack: Links,
    by_address: Links,
    habits: Habits,
}

impl History {
    /// Of these connections; `order` is that of their hellos.
    #[must_use]
    pub fn of(kept: &Kept, order: &[ConnectionId]) -> Self {
        let hasher = DefaultHashBuilder::default();
        let stack = |connection: &Connection| {
            let stack = connection.hello.yes()?.stack.digest;
            Some(hasher.hash_one((connection.client_address(), stack, connection.server)))
        };
        let address =
            |connection: &Connection| Some(hasher.hash_one((connection.client_address(), connection.server.ip)));
        let [by_stack, by_address] = Links::of(kept, order, |connection| [stack(connection), address(connection)]);
        let habits = Habits::of(kept, order, |id, connection| {
            let at_endpoint = |earlier: &&Connection| earlier.server == connection.server;
            let same_name = |earlier: &&Connection| earlier.server_name() == connection.server_name();
            let of_stack = || by_stack.before(kept, id).map(|(_, earlier)| earlier).take(MOST_NAMES);
            let of_address = || by_address.before(kept, id).map(|(_, earlier)| earlier).take(MOST_NAMES);
            Before {
                same: of_stack()
                    .filter(same_name)
                    .find(|earlier| same_client(earlier, connection)),
                akin: [
                    of_stack().find(|earlier| !same_name(earlier)),
                    of_address()
                        .filter(|earlier| at_endpoint(earlier) && same_name(earlier))
                        .find(|earlier| !same_client(earlier, connection)),
                ],
            }
        });
        Self {
            by_stack,
            by_address,
            habits,
        }
    }

    /// What the client of a connection does at its service, over the whole capture.
    #[must_use]
    pub fn habit(&self, connection: &Connection) -> Habit {
        self.habits.get(connection)
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
struct Links(Numbered<ConnectionId>);

impl Links {
    /// Several at once, each by a group of its own: one look at every connection.
    fn of<const N: usize>(
        kept: &Kept,
        order: &[ConnectionId],
        groups: impl Fn(&Connection) -> [Option<u64>; N],
    ) -> [Self; N] {
        let mut previous = [(); N].map(|()| Numbered::over(order.iter().map(|id| id.0)));
        let mut latest = [(); N].map(|()| HashMap::<u64, ConnectionId>::new());
        for (id, connection) in kept.in_turn(order) {
            let each = groups(connection).into_iter().zip(&mut latest).zip(&mut previous);
            for ((group, latest), previous) in each {
                if let Some(group) = group {
                    previous.set(id.0, latest.insert(group, id));
                }
            }
        }
        previous.map(Self)
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
        self.0.get(id.0)
    }
}

fn same_client(a: &Connection, b: &Connection) -> bool {
    let stack = |connection: &Connection| connection.hello.yes().map(|hello| hello.stack.digest);
    a.client_address() == b.client_address() && stack(a) == stack(b)
}
