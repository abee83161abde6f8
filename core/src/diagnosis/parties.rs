//! Who meets whom: client, server and service of every connection as small numbers.
//!
//! Whether two connections have the same client or service is asked all the time. Names and addresses are looked up once,
//! here; whoever asks compares numbers that lie side by side, and touches no connection.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::numbered::{Numbered, Numbering};
use crate::net::Endpoint;
use crate::session::{Connection, ConnectionId, Service, TransportKind};
use crate::store::ConnectionStore;

/// An endpoint under one transport: what answers TCP at an address and port may be another machine than what answers QUIC, and
/// no session crosses from one transport to another.
pub type Place = (Endpoint, TransportKind);

/// The parties of one connection. Two of one kind are equal exactly where their numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// Server endpoint, server name and transport.
    pub service: u32,
    /// Server endpoint and transport.
    pub place: u32,
    /// The server name; one without is a name as well.
    pub name: u32,
    /// The client's address, as a PROXY header states it where there is one, and the transport.
    pub address: u32,
    /// The client's address on the wire, and the transport.
    pub wire: u32,
    /// The client stack; hellos that were not seen have one in common.
    pub stack: u32,
    /// Address, stack and service: whoever that is, at least one store of sessions.
    pub client: u32,
    /// Address, stack and place.
    pub client_at_place: u32,
    /// The two addresses, without ports, and the transport.
    pub hosts: u32,
    /// A ClientHello was seen.
    pub hello: bool,
}

/// Connections by the number of what they have in common, each group in the order of the hellos.
#[derive(Debug)]
pub struct Groups {
    starts: Vec<u32>,
    members: Vec<ConnectionId>,
}

impl Groups {
    /// Every group, in the order of the numbers.
    pub fn iter(&self) -> impl Iterator<Item = &[ConnectionId]> {
        let bounds = self
            .starts
            .windows(2)
            .filter_map(|pair| Some((pair.first()?, pair.last()?)));
        bounds.map(|(from, to)| self.members.get(*from as usize..*to as usize).unwrap_or_default())
    }
}

/// The parties of every connection, in the order of the hellos.
#[derive(Debug, Default)]
pub struct Parties {
    order: Vec<ConnectionId>,
    of: Numbered<Party>,
    services: Vec<Service>,
    places: Vec<Place>,
    addresses: usize,
    clients: usize,
    clients_at_places: usize,
    hosts: usize,
}

impl Parties {
    /// Of these connections; `order` is that of their hellos. Those that are not kept any more are left out.
    #[must_use]
    pub fn of(connection_store: &ConnectionStore, order: &[ConnectionId]) -> Self {
        let mut parties = Self {
            order: Vec::with_capacity(order.len()),
            of: Numbered::over(order.iter().map(|id| id.0)),
            ..Self::default()
        };
        let mut numberings = Numberings::default();
        for (id, connection) in connection_store.in_turn(order) {
            let party = numberings.party(connection);
            if party.place as usize == parties.places.len() {
                parties.places.push((connection.server, connection.transport.kind()));
            }
            if party.service as usize == parties.services.len() {
                parties.services.push(Service::of(connection));
            }
            parties.order.push(id);
            parties.of.set(id.0, Some(party));
        }
        parties.addresses = numberings.addresses.len();
        parties.clients = numberings.clients.len();
        parties.clients_at_places = numberings.clients_at_places.len();
        parties.hosts = numberings.hosts.len();
        parties
    }

    /// The connections, in the order of the hellos.
    #[must_use]
    pub fn order(&self) -> &[ConnectionId] {
        &self.order
    }

    /// The parties of a connection.
    #[must_use]
    pub fn get(&self, id: ConnectionId) -> Option<Party> {
        self.of.get(id.0)
    }

    /// Every connection with its parties, in the order of the hellos.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, Party)> {
        self.order.iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// The services, by number.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The places, by number.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// How many client addresses there are.
    #[must_use]
    pub const fn addresses(&self) -> usize {
        self.addresses
    }

    /// How many clients there are.
    #[must_use]
    pub const fn clients(&self) -> usize {
        self.clients
    }

    /// How many clients there are, whatever the server names.
    #[must_use]
    pub const fn clients_at_places(&self) -> usize {
        self.clients_at_places
    }

    /// How many pairs of addresses there are.
    #[must_use]
    pub const fn hosts(&self) -> usize {
        self.hosts
    }

    /// The connections of each service.
    #[must_use]
    pub fn by_service(&self) -> Groups {
        self.grouped(self.services.len(), |party| party.service)
    }

    /// The connections of each place.
    #[must_use]
    pub fn by_place(&self) -> Groups {
        self.grouped(self.places.len(), |party| party.place)
    }

    /// A counting sort: linear, and every group keeps the order.
    fn grouped(&self, groups: usize, number: impl Fn(Party) -> u32) -> Groups {
        let mut starts = vec![0_u32; groups + 1];
        for (_, party) in self.iter() {
            if let Some(count) = starts.get_mut(number(party) as usize + 1) {
                *count += 1;
            }
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut next = starts.clone();
        let mut members = vec![ConnectionId(0); self.order.len()];
        for (id, party) in self.iter() {
            let place = next.get_mut(number(party) as usize);
            let place = place.map(|place| std::mem::replace(place, *place + 1));
            if let Some(member) = place.and_then(|place| members.get_mut(place as usize)) {
                *member = id;
            }
        }
        Groups { starts, members }
    }
}

/// What is numbered.
#[derive(Default)]
struct Numberings<'a> {
    places: Numbering<Place>,
    names: Numbering<Option<&'a str>>,
    services: Numbering<(u32, u32)>,
    addresses: Numbering<(TransportKind, IpAddr)>,
    stacks: Numbering<u64>,
    clients: HashMap<(u32, u32, u32), Decided>,
    clients_at_places: Numbering<(u32, u32, u32)>,
    hosts: Numbering<(u32, IpAddr)>,
}

/// The numbers that those of address, stack and service decide.
#[derive(Clone, Copy)]
struct Decided {
    client: u32,
    client_at_place: u32,
    hosts: u32,
}

impl<'a> Numberings<'a> {
    fn party(&mut self, connection: &'a Connection) -> Party {
        let kind = connection.transport.kind();
        let hello = connection.hello.yes();
        let place = self.places.of((connection.server, kind));
        let name = self.names.of(hello.and_then(|hello| hello.server_name.as_deref()));
        let service = self.services.of((place, name));
        let stated = connection.client_address();
        let address = self.addresses.of((kind, stated));
        let wire = if stated == connection.client.ip {
            address
        } else {
            self.addresses.of((kind, connection.client.ip))
        };
        let stack = self.stacks.of(hello.map_or(0, |hello| hello.stack.digest));
        let next = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
        // Nearly every connection is of a client that was here before: one look-up among many clients instead of three.
        let known = self.clients.entry((address, stack, service));
        let Decided {
            client,
            client_at_place,
            hosts,
        } = *known.or_insert_with(|| Decided {
            client: next,
            client_at_place: self.clients_at_places.of((address, stack, place)),
            hosts: self.hosts.of((address, connection.server.ip)),
        });
        Party {
            service,
            place,
            name,
            address,
            wire,
            stack,
            client,
            client_at_place,
            hosts,
            hello: hello.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::{answered, endpoint};
    use crate::session::{Blindness, ProtocolVersion, Seen};
    use crate::store::CredentialStore;

    fn store(connections: Vec<Connection>) -> ConnectionStore {
        let mut store = ConnectionStore::new(usize::MAX);
        for connection in connections {
            let id = store.reserve();
            store.keep(id, connection, &mut CredentialStore::default());
        }
        store
    }

    fn named(name: &str) -> Connection {
        answered(1, name, ProtocolVersion::TLS_1_2)
    }

    #[test]
    fn parties_are_equal_where_addresses_and_names_are() {
        let mut elsewhere = named("a.test");
        elsewhere.server = endpoint(9);
        let mut unseen = named("a.test");
        unseen.hello = Seen::Blind(Blindness::Gap);
        let store = store(vec![
            named("a.test"),
            named("b.test"),
            elsewhere,
            unseen,
            named("a.test"),
        ]);
        let order: Vec<ConnectionId> = store.iter().map(|(id, _)| id).collect();
        let parties = Parties::of(&store, &order);
        let party = |number: u32| parties.get(ConnectionId(number)).expect("is kept");
        assert_eq!(party(0), party(4));
        assert_eq!(party(0).place, party(1).place);
        assert_eq!(party(0).client_at_place, party(1).client_at_place);
        assert!(party(0).service != party(1).service && party(0).client != party(1).client);
        assert!(party(0).place != party(2).place && party(0).name == party(2).name);
        assert!(!party(3).hello && party(3).stack != party(0).stack && party(3).place == party(0).place);
        assert_eq!((parties.services().len(), parties.places().len()), (4, 2));
        let at_places: std::collections::BTreeSet<u32> = (0..5).map(|number| party(number).client_at_place).collect();
        assert_eq!(at_places, (0..3).collect());
        assert_eq!(parties.clients_at_places(), 3);
    }

    #[test]
    fn groups_keep_the_order_of_the_hellos() {
        let store = store(vec![named("a.test"), named("b.test"), named("a.test")]);
        let order = [2, 1, 0, 7].map(ConnectionId);
        let parties = Parties::of(&store, &order);
        let groups = parties.by_service();
        let groups: Vec<&[ConnectionId]> = groups.iter().collect();
        assert_eq!(groups, [&[ConnectionId(2), ConnectionId(0)][..], &[ConnectionId(1)]]);
        assert_eq!(parties.by_place().iter().map(<[_]>::len).collect::<Vec<_>>(), [3]);
        assert_eq!(
            parties.order(),
            [2, 1, 0].map(ConnectionId),
            "what is not kept is left out"
        );
        assert_eq!(Parties::of(&store, &[]).by_service().iter().count(), 0);
    }
}
