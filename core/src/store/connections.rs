//! Finished connections, bounded: beyond the limit the oldest fold into the counts of their service.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;

use hashbrown::{HashMap, HashSet};
use smallvec::{Array, SmallVec};
use triomphe::Arc;

use crate::net::{Endpoint, Timestamp};

use crate::session::Credential;
use crate::session::DatagramFacts;
use crate::session::Outcomes;
use crate::session::{Connection, ConnectionId, Outcome, RareFacts, Service, Transport};
use crate::store::credentials::CredentialStore;
use crate::store::open::OpenFacts;
use crate::store::possible_handshakes::PossibleHandshakes;

/// A finished connection, which snapshots of a run share.
pub type KeptConnection = Arc<Connection>;

/// The finished connections of a run, by number. A clone shares them.
#[derive(Debug, Clone)]
pub struct ConnectionStore {
    slots: VecDeque<Option<KeptConnection>>,
    /// Of each slot, whether nothing more will come into it: its connection is over, or turned out to be none.
    over: VecDeque<bool>,
    /// Number of the connection in the first slot.
    base: u32,
    /// Slots at the front that [`ConnectionStore::evict_before`] has passed: what they held is folded, or was still open.
    passed: usize,
    /// Connections that ended after their slot was passed, in the order of their ends.
    stragglers: VecDeque<ConnectionId>,
    bytes: usize,
    limit: usize,
    /// Services of what is kept; `None` where they are not counted.
    services: Option<KeptServices>,
    /// Connections that go on and are kept as far as they have come.
    open: HashSet<ConnectionId>,
    evicted: BTreeMap<Service, Outcomes>,
    /// What the services of these take, and the most that they may.
    evicted_bytes: usize,
    evicted_limit: usize,
    evicted_total: u64,
    /// Of services beyond those that are told apart.
    elsewhere: Outcomes,
    /// What may be missing among the connections.
    possible_handshakes: PossibleHandshakes,
    /// Memory for connections to come.
    rooms: VecDeque<OpenFacts>,
}

/// Services of folded connections that are told apart.
pub const MAX_EVICTED_SERVICES: usize = 1 << 16;
/// Longest server name by which they are.
pub const MAX_EVICTED_NAME: usize = 1024;

/// What a service of kept connections takes beside them, nearly all of it in the report: what is known of it as a whole.
const KEPT_SERVICE: usize = 3072;
/// What a service of folded connections takes beside its name: its counts, here and in the report.
const EVICTED_SERVICE: usize = 640;

/// Connections to come that there is memory for, at most.
const MAX_ROOMS: usize = 1024;
/// An allocation costs this much beside its content.
const ALLOCATION: usize = 16;
/// The count of those who share a connection.
const SHARED: usize = size_of::<usize>();
/// A credential with its two counts and its place in the index.
const CREDENTIAL: usize = size_of::<Credential>() + 2 * SHARED + 3 * ALLOCATION + 32;

/// The services of kept connections, by a number of each: two that have one in common are counted as one.
#[derive(Debug, Clone, Default)]
struct KeptServices {
    connections: HashMap<u64, u32>,
    bytes: usize,
}

impl KeptServices {
    fn number(&self, connection: &Connection) -> u64 {
        let service = (connection.server, connection.server_name(), connection.transport.kind());
        self.connections.hasher().hash_one(service)
    }

    fn cost(connection: &Connection) -> usize {
        KEPT_SERVICE + connection.server_name().map_or(0, |name| name.len())
    }

    fn add(&mut self, connection: &Connection) {
        let count = self.connections.entry(self.number(connection)).or_default();
        *count += 1;
        if *count == 1 {
            self.bytes += Self::cost(connection);
        }
    }

    fn subtract(&mut self, connection: &Connection) {
        let number = self.number(connection);
        if let Some(count) = self.connections.get_mut(&number) {
            *count -= 1;
            if *count == 0 {
                self.connections.remove(&number);
                self.bytes = self.bytes.saturating_sub(Self::cost(connection));
            }
        }
    }
}

impl ConnectionStore {
    /// Nothing kept yet; beyond `limit` bytes, in which services count as well, the oldest are folded. Of what is folded, as
    /// many services are told apart as a quarter of that has room for.
    #[must_use]
    pub fn counting_services(limit: usize) -> Self {
        Self {
            services: Some(KeptServices::default()),
            evicted_limit: limit / 4,
            ..Self::new(limit)
        }
    }

    /// Nothing kept yet; beyond `limit` bytes the oldest are folded.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            over: VecDeque::new(),
            base: 0,
            passed: 0,
            stragglers: VecDeque::new(),
            bytes: 0,
            limit,
            services: None,
            open: HashSet::new(),
            evicted: BTreeMap::new(),
            evicted_bytes: 0,
            evicted_limit: usize::MAX,
            evicted_total: 0,
            elsewhere: Outcomes::default(),
            possible_handshakes: PossibleHandshakes::default(),
            rooms: VecDeque::new(),
        }
    }

    /// Facts of a connection that begins.
    pub fn begin(&mut self, client: Endpoint, server: Endpoint, transport: Transport) -> OpenFacts {
        match self.rooms.pop_front() {
            Some(mut room) => {
                *room = Connection::unseen(client, server, transport);
                room
            }
            None => OpenFacts::new(client, server, transport),
        }
    }

    /// Takes memory that another thread has made ready: to touch it for the first time costs as much as to read a hello.
    pub fn stock(&mut self, rooms: impl Iterator<Item = OpenFacts>) {
        let left = MAX_ROOMS.saturating_sub(self.rooms.len());
        self.rooms.extend(rooms.take(left));
    }

    /// The number of the next connection. Once the numbers are used up, all that follow have the last one and no slot: they
    /// are counted when they end, for a number that came round would name two connections.
    pub fn reserve(&mut self) -> ConnectionId {
        let next = u32::try_from(self.slots.len())
            .ok()
            .and_then(|slots| self.base.checked_add(slots));
        let Some(next) = next.filter(|next| *next < u32::MAX) else {
            return ConnectionId(u32::MAX);
        };
        self.slots.push_back(None);
        self.over.push_back(false);
        ConnectionId(next)
    }

    /// Keeps a connection that is over.
    pub fn keep(
        &mut self,
        id: ConnectionId,
        connection: impl Into<KeptConnection>,
        credential_store: &mut CredentialStore,
    ) {
        self.note_over(id, true);
        if let Some(connection) = self.put(id, connection.into()) {
            self.open.remove(&id);
            self.fold(&connection, credential_store);
        } else if !self.open.is_empty() {
            self.open.remove(&id);
        }
        // Connections that turned out to be none leave empty places behind.
        while self.taken() > self.limit && self.slots.len() > 1 {
            self.fold_oldest(credential_store);
        }
    }

    /// What counts towards the limit.
    fn taken(&self) -> usize {
        let slots = self.slots.len() * size_of::<Option<Box<Connection>>>();
        let services = self.services.as_ref();
        self.bytes + slots + services.map_or(0, |services| services.bytes + self.evicted_bytes)
    }

    /// A connection counts from now on.
    fn charge(&mut self, connection: &Connection) {
        self.bytes += cost(connection);
        if let Some(services) = &mut self.services {
            services.add(connection);
        }
    }

    /// It does not any more.
    fn discharge(&mut self, connection: &Connection) {
        self.bytes = self.bytes.saturating_sub(cost(connection));
        if let Some(services) = &mut self.services {
            services.subtract(connection);
        }
    }

    /// Keeps what is known so far of a connection that goes on; [`ConnectionStore::keep`] takes its place.
    pub fn keep_open(&mut self, id: ConnectionId, connection: impl Into<KeptConnection>) {
        match self.put(id, connection.into()) {
            None => drop(self.open.insert(id)),
            Some(connection) => self.discharge(&connection),
        }
    }

    /// Nothing comes into the slot of a connection any more.
    fn note_over(&mut self, id: ConnectionId, kept: bool) {
        let Some(index) = id.0.checked_sub(self.base).map(|index| index as usize) else {
            return;
        };
        if let Some(over) = self.over.get_mut(index) {
            *over = true;
            if kept && index < self.passed {
                self.stragglers.push_back(id);
            }
        }
    }

    /// A connection turned out to be none: what was kept of it while it went on is void.
    pub fn void(&mut self, id: ConnectionId) {
        self.note_over(id, false);
        if self.open.remove(&id) {
            self.remove(id);
        }
    }

    /// Fills the slot of a connection. Gives it back, counted, where it has none any more.
    fn put(&mut self, id: ConnectionId, connection: KeptConnection) -> Option<KeptConnection> {
        self.charge(&connection);
        let index = id.0.checked_sub(self.base);
        let Some(slot) = index.and_then(|index| self.slots.get_mut(index as usize)) else {
            return Some(connection);
        };
        if let Some(before) = slot.replace(connection) {
            self.discharge(&before);
        }
        None
    }

    /// Folds connections that ended before `time`, oldest first, at most `most` of them. One that is still open holds up
    /// none of those that began after it.
    pub fn evict_before(&mut self, time: Timestamp, most: usize, credential_store: &mut CredentialStore) {
        let mut left = most;
        while left > 0
            && let Some(&id) = self.stragglers.front()
            && self.get(id).is_none_or(|connection| connection.transport.ended < time)
        {
            self.stragglers.pop_front();
            left -= usize::from(self.fold_one(id, credential_store));
        }
        while left > 0
            && let Some(slot) = self.slots.get(self.passed)
        {
            let id = self.number(self.passed);
            let is_due = match slot {
                Some(_) if self.open.contains(&id) => false,
                Some(connection) if connection.transport.ended >= time => break,
                slot => slot.is_some(),
            };
            self.passed += 1;
            if is_due {
                left -= usize::from(self.fold_one(id, credential_store));
            }
        }
        while let (Some(None), Some(true)) = (self.slots.front(), self.over.front()) {
            self.drop_front();
        }
    }

    /// Number of the connection in a slot.
    fn number(&self, slot: usize) -> ConnectionId {
        ConnectionId(self.base.saturating_add(u32::try_from(slot).unwrap_or(u32::MAX)))
    }

    /// Folds this connection; `false` where it is not there any more.
    fn fold_one(&mut self, id: ConnectionId, credential_store: &mut CredentialStore) -> bool {
        let index = id.0.checked_sub(self.base).map(|index| index as usize);
        let connection = index.and_then(|index| self.slots.get_mut(index)?.take());
        if let Some(connection) = &connection {
            self.fold(connection, credential_store);
        }
        connection.is_some()
    }

    /// A connection; `None` while it is open or once it was folded away.
    #[must_use]
    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.slots.get(id.0.checked_sub(self.base)? as usize)?.as_deref()
    }

    /// A connection, to change.
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.0.checked_sub(self.base)? as usize)?;
        slot.as_mut().map(Arc::make_mut)
    }

    /// Changes what names hosts in every kept connection.
    pub fn rename(&mut self, mut change: impl FnMut(&mut Connection)) {
        let kept = self.slots.iter_mut().flatten();
        kept.for_each(|connection| change(Arc::make_mut(connection)));
    }

    /// Changes the services of what was folded away. Two that become one are counted together.
    pub fn rename_evicted(&mut self, mut change: impl FnMut(Service) -> Service) {
        for (service, evicted) in std::mem::take(&mut self.evicted) {
            self.evicted.entry(change(service)).or_default().merge(&evicted);
        }
    }

    /// TCP connections that may have been TLS.
    #[must_use]
    pub const fn possible_handshakes(&self) -> &PossibleHandshakes {
        &self.possible_handshakes
    }

    /// The same, to note one.
    pub const fn possible_handshakes_mut(&mut self) -> &mut PossibleHandshakes {
        &mut self.possible_handshakes
    }

    /// Takes a connection out: it is another leg of one that is kept.
    pub fn remove(&mut self, id: ConnectionId) -> Option<KeptConnection> {
        let connection = self.slots.get_mut(id.0.checked_sub(self.base)? as usize)?.take()?;
        self.discharge(&connection);
        Some(connection)
    }

    /// All kept connections in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        (self.base..)
            .map(ConnectionId)
            .zip(&self.slots)
            .filter_map(|(id, slot)| Some((id, slot.as_deref()?)))
    }

    /// These connections in this order, for a pass over many: see [`InTurn`].
    #[must_use]
    pub const fn in_turn<'k, 'o>(&'k self, order: &'o [ConnectionId]) -> InTurn<'k, 'o> {
        InTurn {
            connection_store: self,
            order,
            place: 0,
        }
    }

    /// Number of kept connections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.iter().flatten().next().is_none()
    }

    /// Counts of what was folded away, by service.
    pub fn evicted(&self) -> impl Iterator<Item = (&Service, &Outcomes)> {
        self.evicted.iter()
    }

    /// Counts of what was folded away of one service; `None` where nothing was, or where it is among [`Self::evicted_elsewhere`].
    #[must_use]
    pub fn evicted_of(&self, service: &Service) -> Option<&Outcomes> {
        self.evicted.get(service)
    }

    /// Counts of what another run folded away; those of services that it did not tell apart have no service.
    pub fn add_evicted(&mut self, service: Option<Service>, evicted: &Outcomes) {
        self.evicted_total += evicted.total();
        self.counts_of(service).merge(evicted);
    }

    fn counts_of(&mut self, service: Option<Service>) -> &mut Outcomes {
        let Some(service) = service else {
            return &mut self.elsewhere;
        };
        let name = service.name.as_deref().map_or(0, str::len);
        let bytes = self.evicted_bytes + EVICTED_SERVICE + name;
        let room = self.evicted.len() < MAX_EVICTED_SERVICES && name <= MAX_EVICTED_NAME && bytes <= self.evicted_limit;
        match self.evicted.entry(service) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) if room => {
                self.evicted_bytes = bytes;
                place.insert(Outcomes::default())
            }
            Entry::Vacant(_) => &mut self.elsewhere,
        }
    }

    /// Counts of what was folded away of services that are not told apart.
    #[must_use]
    pub const fn evicted_elsewhere(&self) -> &Outcomes {
        &self.elsewhere
    }

    /// How many were folded away.
    #[must_use]
    pub const fn evicted_total(&self) -> u64 {
        self.evicted_total
    }

    /// Bytes held for finished connections and the credentials they issued or offered.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn fold_oldest(&mut self, credential_store: &mut CredentialStore) {
        // One that is still open loses its place; it is folded when it ends.
        let id = ConnectionId(self.base);
        match self.drop_front() {
            Some(connection) if self.open.remove(&id) => self.discharge(&connection),
            Some(connection) => self.fold(&connection, credential_store),
            None => {}
        }
    }

    /// Takes off the first slot. Gives what it held.
    fn drop_front(&mut self) -> Option<KeptConnection> {
        let slot = self.slots.pop_front()?;
        self.over.pop_front();
        self.base += 1;
        self.passed = self.passed.saturating_sub(1);
        slot
    }

    fn fold(&mut self, connection: &Connection, credential_store: &mut CredentialStore) {
        self.discharge(connection);
        // Whatever stands before it is folded, or has been open all the while.
        let oldest = self.number(self.passed);
        for id in connection
            .issued
            .iter()
            .copied()
            .chain(connection.offers.iter().map(|offer| offer.credential))
        {
            credential_store.forget(id, oldest);
        }
        self.counts_of(Some(Service::of(connection))).count(connection.outcome);
        self.evicted_total += 1;
    }
}

/// Connections in an order of their own. They lie all over memory: a few at a time are loaded at once before the first of
/// them is looked at.
#[derive(Debug, Clone)]
pub struct InTurn<'k, 'o> {
    connection_store: &'k ConnectionStore,
    order: &'o [ConnectionId],
    place: usize,
}

impl InTurn<'_, '_> {
    /// Connections that are loaded at once: as many as a processor has loads under way.
    const AT_ONCE: usize = 16;
    /// So many lie in a cache after the first pass.
    const NEAR: usize = 256;

    fn load(&self) {
        let next = self.order.iter().skip(self.place).take(Self::AT_ONCE);
        let load = |sum: u64, connection: &Connection| {
            let outcome = u64::from(matches!(connection.outcome, Outcome::Declined));
            let hello = u64::from(connection.hello.yes().is_some());
            sum ^ u64::from(connection.server.port) ^ outcome ^ hello
        };
        // Loads that depend on one another in nothing: the processor waits for all of them together.
        std::hint::black_box(next.filter_map(|id| self.connection_store.get(*id)).fold(0, load));
    }
}

impl<'k> Iterator for InTurn<'k, '_> {
    type Item = (ConnectionId, &'k Connection);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let id = *self.order.get(self.place)?;
            if self.place.is_multiple_of(Self::AT_ONCE) && self.order.len() > Self::NEAR {
                self.load();
            }
            self.place += 1;
            if let Some(connection) = self.connection_store.get(id) {
                return Some((id, connection));
            }
        }
    }
}

/// Bytes that keeping this connection costs, its share of the credential store included.
pub(super) fn cost(connection: &Connection) -> usize {
    size_of::<Connection>()
        + SHARED
        + ALLOCATION
        + elsewhere(&connection.offers)
        + elsewhere(&connection.issued)
        + (connection.issued.len() + connection.offers.len()) * CREDENTIAL
        + long_values(connection)
        + connection.transport.uncommon.as_deref().map_or(0, uncommon_bytes)
}

/// Bytes of a list that does not stand in the connection itself.
fn elsewhere<A: Array>(list: &SmallVec<A>) -> usize {
    if list.spilled() {
        size_of_val(list.as_slice()) + ALLOCATION
    } else {
        0
    }
}

fn uncommon_bytes(uncommon: &RareFacts) -> usize {
    let paths = match uncommon.datagram.as_deref() {
        None => return size_of::<RareFacts>() + ALLOCATION,
        Some(DatagramFacts::Quic(facts)) => &facts.paths,
        Some(DatagramFacts::Dtls(facts)) => &facts.paths,
    };
    size_of::<RareFacts>() + size_of::<DatagramFacts>() + size_of_val(paths.as_slice()) + 3 * ALLOCATION
}

/// Bytes of its name and of its list of suites where they are longer than honest ones. Connections share such values, but
/// nothing makes hostile ones do so.
fn long_values(connection: &Connection) -> usize {
    const USUAL: usize = 1024;
    let Some(hello) = connection.hello.yes() else { return 0 };
    let name = hello.server_name.as_deref().map_or(0, str::len);
    name.saturating_sub(USUAL) + size_of_val(&*hello.stack.suites).saturating_sub(USUAL)
}

#[cfg(test)]
mod tests {
    use crate::session::tests::{endpoint, unseen, with_hello};
    use crate::session::{Blindness, CredentialFingerprint, Issue, Mechanism, Seen};

    use std::sync::Arc;

    use smallvec::smallvec;

    use crate::session::TransportKind;

    use super::*;

    /// A service over TCP.
    fn at(name: Option<Arc<str>>) -> Service {
        Service {
            server: endpoint(2),
            name,
            transport: TransportKind::Tcp,
        }
    }

    /// Kept under a limit: connections of the seconds from 0, each with what it is counted as.
    fn connection_store(limit: usize, connections: impl IntoIterator<Item = Connection>) -> ConnectionStore {
        let mut connection_store = ConnectionStore::new(limit);
        let mut credential_store = CredentialStore::default();
        for connection in connections {
            let id = connection_store.reserve();
            connection_store.keep(id, connection, &mut credential_store);
        }
        connection_store
    }

    fn all_kept(connection_store: &ConnectionStore) -> Vec<u32> {
        connection_store.iter().map(|(id, _)| id.0).collect()
    }

    /// What one connection counts, without hello and credentials.
    const PLAIN: usize = size_of::<Connection>() + 24;
    const SLOT: usize = size_of::<Option<Box<Connection>>>();

    #[test]
    fn what_is_kept_is_counted_to_the_byte() {
        let mut long = with_hello(1, &"a".repeat(2000), 1000);
        assert_eq!(cost(&unseen(0)), PLAIN);
        assert_eq!(cost(&with_hello(1, "a.test", 20)), PLAIN);
        assert_eq!(cost(&long), PLAIN + (2000 - 1024) + (2000 - 1024));
        long.issued = smallvec![crate::session::CredentialId(1); 3];
        assert_eq!(cost(&long), PLAIN + 2 * (2000 - 1024) + 3 * CREDENTIAL);
        let mut generous = unseen(0);
        generous.issued = smallvec![crate::session::CredentialId(1); 5];
        assert_eq!(cost(&generous), PLAIN + 5 * (CREDENTIAL + 4) + ALLOCATION);
        let connection_store = connection_store(usize::MAX, [long.clone(), unseen(1)]);
        assert_eq!(connection_store.bytes(), cost(&long) + PLAIN);
        let mut behind_a_balancer = unseen(2);
        behind_a_balancer.transport.uncommon = Some(Box::default());
        assert_eq!(cost(&behind_a_balancer), PLAIN + size_of::<RareFacts>() + 16);
        // Two counters, three allocations, an entry of the index.
        assert_eq!(CREDENTIAL, size_of::<Credential>() + 16 + 48 + 32);
    }

    #[test]
    fn exactly_the_limit_is_kept_and_beyond_it_the_oldest_goes() {
        let limit = 3 * (PLAIN + SLOT);
        assert_eq!(all_kept(&connection_store(limit, (0..3).map(unseen))), [0, 1, 2]);
        let after = connection_store(limit, (0..4).map(unseen));
        assert_eq!(all_kept(&after), [1, 2, 3]);
        assert_eq!((after.bytes(), after.len(), after.is_empty()), (3 * PLAIN, 3, false));
        // One is always kept.
        assert_eq!(all_kept(&connection_store(0, (0..4).map(unseen))), [3]);
        assert_eq!(
            (connection_store(0, []).len(), connection_store(0, []).is_empty()),
            (0, true)
        );
    }

    #[test]
    fn what_is_folded_is_counted_by_service_and_outcome() {
        let outcomes = [
            Outcome::Resumed(None),
            Outcome::Declined,
            Outcome::Declined,
            Outcome::NotOffered,
            Outcome::Failed,
            Outcome::ExternalPsk,
            Outcome::Unclear(Blindness::Gap),
        ];
        let connections = outcomes.iter().zip(0..).map(|(outcome, second)| Connection {
            outcome: *outcome,
            ..with_hello(second, "a.test", 1)
        });
        let mut connection_store = connection_store(1, connections.chain([with_hello(9, "b.test", 1)]));
        let counts = Outcomes {
            resumed: 1,
            declined: 2,
            not_offered: 1,
            failed: 1,
            external_psk: 1,
            unclear: 1,
        };
        let service = at(Some("a.test".into()));
        assert_eq!(connection_store.evicted().collect::<Vec<_>>(), [(&service, &counts)]);
        assert_eq!((connection_store.evicted_total(), counts.total()), (7, 7));
        connection_store.add_evicted(Some(service.clone()), &counts);
        connection_store.add_evicted(None, &counts);
        let twice = Outcomes {
            resumed: 2,
            declined: 4,
            not_offered: 2,
            failed: 2,
            external_psk: 2,
            unclear: 2,
        };
        assert_eq!(connection_store.evicted().collect::<Vec<_>>(), [(&service, &twice)]);
        assert_eq!(
            (connection_store.evicted_elsewhere(), connection_store.evicted_total()),
            (&counts, 21)
        );
        // Names that become one are counted together.
        connection_store.add_evicted(Some(at(None)), &counts);
        connection_store.rename_evicted(|service| Service { name: None, ..service });
        let [(service, counts)] = connection_store.evicted().collect::<Vec<_>>()[..] else {
            panic!("one service")
        };
        assert_eq!((service.name.as_ref(), counts.total()), (None, 21));
    }

    #[test]
    fn services_beyond_the_limit_and_names_too_long_are_counted_together() {
        let one = Outcomes {
            failed: 1,
            ..Outcomes::default()
        };
        let name = |length: usize| Some(at(Some("a".repeat(length).into())));
        let mut connection_store = ConnectionStore::new(0);
        connection_store.add_evicted(name(MAX_EVICTED_NAME), &one);
        assert_eq!(
            (
                connection_store.evicted().count(),
                connection_store.evicted_elsewhere().total()
            ),
            (1, 0)
        );
        connection_store.add_evicted(name(MAX_EVICTED_NAME + 1), &one);
        assert_eq!(
            (
                connection_store.evicted().count(),
                connection_store.evicted_elsewhere().total()
            ),
            (1, 1)
        );
        for number in 1..MAX_EVICTED_SERVICES {
            connection_store.add_evicted(Some(at(Some(number.to_string().into()))), &one);
        }
        assert_eq!(
            (
                connection_store.evicted().count(),
                connection_store.evicted_elsewhere().total()
            ),
            (MAX_EVICTED_SERVICES, 1)
        );
        connection_store.add_evicted(name(3), &one);
        assert_eq!(
            (
                connection_store.evicted().count(),
                connection_store.evicted_elsewhere().total()
            ),
            (MAX_EVICTED_SERVICES, 2)
        );
        // One that is known goes on being told apart.
        connection_store.add_evicted(name(MAX_EVICTED_NAME), &one);
        assert_eq!(
            (
                connection_store.evicted().count(),
                connection_store.evicted_elsewhere().total()
            ),
            (MAX_EVICTED_SERVICES, 2)
        );
    }

    #[test]
    fn where_services_count_those_of_kept_connections_leave_room_for_fewer() {
        let limit = 100 * PLAIN;
        let of = |mut connection_store: ConnectionStore, services: u32| {
            for number in 0..200 {
                let id = connection_store.reserve();
                let connection = with_hello(number, &format!("{}.test", number % services), 1);
                connection_store.keep(id, connection, &mut CredentialStore::default());
            }
            (connection_store.len(), connection_store.taken(), connection_store)
        };
        let (all, ..) = of(ConnectionStore::new(limit), 200);
        let (of_one, ..) = of(ConnectionStore::counting_services(limit), 1);
        let (of_many, taken, connection_store) = of(ConnectionStore::counting_services(limit), 200);
        assert!(all > 80 && of_one > 80, "{all}, {of_one}");
        assert!(of_many > 5 && of_many < all / 4, "{of_many}");
        assert!(taken <= limit && taken > of_many * KEPT_SERVICE, "{taken}");
        // What comes again is told apart, and what was taken out leaves nothing behind.
        let (of_few, _, mut few) = of(ConnectionStore::counting_services(limit), 4);
        assert!(of_few > 60 && of_few < of_one, "{of_few}");
        for id in all_kept(&few) {
            few.remove(ConnectionId(id));
        }
        let services = few.services.as_ref().expect("counted");
        assert_eq!((services.bytes, services.connections.len(), few.bytes()), (0, 0, 0));
        let folded = connection_store.evicted_total();
        let told: u64 = connection_store.evicted().map(|(_, outcomes)| outcomes.total()).sum();
        assert_eq!(told + connection_store.evicted_elsewhere().total(), folded);
        assert_eq!(folded + of_many as u64, 200);
    }

    #[test]
    fn of_folded_services_as_many_are_told_apart_as_a_quarter_of_the_limit_has_room_for() {
        let one = Outcomes {
            failed: 1,
            ..Outcomes::default()
        };
        let told = |limit, name: usize| {
            let mut connection_store = ConnectionStore::counting_services(limit);
            for number in 0..100 {
                let name = format!("{number:0>name$}");
                connection_store.add_evicted(Some(at(Some(name.into()))), &one);
            }
            let told = connection_store.evicted().count();
            assert_eq!(told as u64 + connection_store.evicted_elsewhere().total(), 100);
            told
        };
        assert_eq!([told(0, 3), told(4 * EVICTED_SERVICE, 3)], [0, 0]);
        assert_eq!(told(4 * 10 * (EVICTED_SERVICE + 3), 3), 10);
        assert_eq!(told(4 * 10 * (EVICTED_SERVICE + 3), 900), 4);
        assert_eq!(told(1 << 20, 3), 100);
    }

    #[test]
    fn a_folded_connection_takes_its_credentials_with_it() {
        let mut credential_store = CredentialStore::default();
        let mut connection_store = ConnectionStore::new(1);
        for second in 0..3 {
            let id = connection_store.reserve();
            let name = CredentialFingerprint::of(&[u8::try_from(second).expect("a small number"); 32]);
            let issued = credential_store.enter(TransportKind::Tcp, Mechanism::Ticket, &name, || Credential {
                issued: Some(Issue {
                    connection: id,
                    at: crate::session::tests::at(second),
                }),
                ..Credential::unseen(TransportKind::Tcp, Mechanism::Ticket, name, endpoint(2))
            });
            let connection = Connection {
                issued: smallvec![issued],
                ..unseen(second)
            };
            connection_store.keep(id, connection, &mut credential_store);
        }
        assert_eq!(all_kept(&connection_store), [2]);
        assert_eq!((credential_store.forgotten(), credential_store.iter().count()), (2, 1));
    }

    #[test]
    fn a_connection_that_goes_on_is_replaced_and_counted_once() {
        let mut credential_store = CredentialStore::default();
        let mut connection_store = ConnectionStore::new(usize::MAX);
        let ids = [connection_store.reserve(), connection_store.reserve()];
        connection_store.keep_open(ids[0], with_hello(0, &"a".repeat(3000), 1));
        connection_store.keep_open(ids[1], unseen(1));
        assert_eq!(connection_store.len(), 2);
        connection_store.keep(ids[0], unseen(0), &mut credential_store);
        assert_eq!((connection_store.len(), connection_store.bytes()), (2, 2 * PLAIN));
        // It is over now, and nothing of it is void.
        connection_store.void(ids[0]);
        assert_eq!(connection_store.len(), 2);
        connection_store.void(ids[1]);
        assert_eq!(
            (all_kept(&connection_store), connection_store.bytes()),
            (vec![0], PLAIN)
        );
        assert!(connection_store.get(ids[0]).is_some() && connection_store.get(ids[1]).is_none());
    }

    #[test]
    fn one_that_goes_on_and_loses_its_place_is_counted_when_it_ends() {
        let mut credential_store = CredentialStore::default();
        let mut connection_store = ConnectionStore::new(1);
        let open = connection_store.reserve();
        connection_store.keep_open(open, unseen(0));
        for second in 1..3 {
            let id = connection_store.reserve();
            connection_store.keep(id, unseen(second), &mut credential_store);
        }
        assert_eq!(
            (
                all_kept(&connection_store),
                connection_store.evicted_total(),
                connection_store.bytes()
            ),
            (vec![2], 1, PLAIN)
        );
        connection_store.keep_open(open, unseen(0));
        assert_eq!((connection_store.evicted_total(), connection_store.bytes()), (1, PLAIN));
        connection_store.keep(open, unseen(0), &mut credential_store);
        assert_eq!(
            (
                all_kept(&connection_store),
                connection_store.evicted_total(),
                connection_store.bytes()
            ),
            (vec![2], 2, PLAIN)
        );
    }

    #[test]
    fn connections_that_ended_before_a_time_are_folded_from_the_front() {
        let mut connection_store = connection_store(usize::MAX, (0..6).map(unseen));
        let mut credential_store = CredentialStore::default();
        let time = crate::session::tests::at(4).time;
        connection_store.evict_before(time, 3, &mut credential_store);
        assert_eq!(all_kept(&connection_store), [3, 4, 5]);
        connection_store.evict_before(time, 3, &mut credential_store);
        assert_eq!(all_kept(&connection_store), [4, 5]);
        assert_eq!(connection_store.reserve(), ConnectionId(6));
        let taken = connection_store.remove(ConnectionId(4)).expect("kept");
        assert_eq!(taken.transport.started, time);
        assert_eq!(
            (all_kept(&connection_store), connection_store.bytes()),
            (vec![5], PLAIN)
        );
        assert!(
            connection_store.get_mut(ConnectionId(5)).is_some() && connection_store.get_mut(ConnectionId(3)).is_none()
        );
    }

    #[test]
    fn one_old_open_connection_does_not_hold_up_those_behind_it() {
        for shown in [false, true] {
            let (mut connection_store, mut credential_store) =
                (ConnectionStore::new(usize::MAX), CredentialStore::default());
            let open = connection_store.reserve();
            if shown {
                connection_store.keep_open(open, unseen(0));
            }
            let time = |second| crate::session::tests::at(second).time;
            for second in 1..6 {
                let id = connection_store.reserve();
                connection_store.keep(id, unseen(second), &mut credential_store);
            }
            connection_store.evict_before(time(4), 2, &mut credential_store);
            assert_eq!(connection_store.evicted_total(), 2, "at most so many at once");
            connection_store.evict_before(time(4), 2, &mut credential_store);
            assert_eq!((connection_store.evicted_total(), connection_store.slots.len()), (3, 6));
            assert_eq!(connection_store.get(open).is_some(), shown, "it keeps its place");
            // Its end comes late; it goes when its own time has come.
            connection_store.keep(open, unseen(7), &mut credential_store);
            connection_store.evict_before(time(6), 9, &mut credential_store);
            assert_eq!(
                (all_kept(&connection_store), connection_store.evicted_total()),
                (vec![0], 5)
            );
            connection_store.evict_before(time(8), 9, &mut credential_store);
            assert_eq!(
                (
                    all_kept(&connection_store),
                    connection_store.evicted_total(),
                    connection_store.slots.len()
                ),
                (vec![], 6, 0)
            );
            assert_eq!(connection_store.bytes(), 0);
        }
    }

    #[test]
    fn a_connection_that_turned_out_to_be_none_leaves_no_place_behind() {
        let (mut connection_store, mut credential_store) =
            (ConnectionStore::new(usize::MAX), CredentialStore::default());
        let (none, _open) = (connection_store.reserve(), connection_store.reserve());
        connection_store.void(none);
        connection_store.evict_before(crate::session::tests::at(9).time, 9, &mut credential_store);
        assert_eq!((connection_store.slots.len(), connection_store.over.len()), (1, 1));
    }

    #[test]
    fn a_credential_goes_with_the_last_connection_behind_an_old_open_one() {
        let (mut connection_store, mut credential_store) =
            (ConnectionStore::new(usize::MAX), CredentialStore::default());
        let _open = connection_store.reserve();
        let id = connection_store.reserve();
        let name = CredentialFingerprint::of(b"ticket");
        let issued = credential_store.enter(TransportKind::Tcp, Mechanism::Ticket, &name, || Credential {
            issued: Some(Issue {
                connection: id,
                at: crate::session::tests::at(1),
            }),
            ..Credential::unseen(TransportKind::Tcp, Mechanism::Ticket, name, endpoint(2))
        });
        let mut connection = unseen(1);
        connection.issued = smallvec![issued];
        connection_store.keep(id, connection, &mut credential_store);
        connection_store.evict_before(crate::session::tests::at(9).time, 9, &mut credential_store);
        assert!(credential_store.get(issued).is_none());
    }

    #[test]
    fn numbers_that_are_used_up_are_not_given_twice() {
        let (mut connection_store, mut credential_store) =
            (ConnectionStore::new(usize::MAX), CredentialStore::default());
        connection_store.base = u32::MAX - 2;
        assert_eq!(connection_store.reserve(), ConnectionId(u32::MAX - 2));
        assert_eq!(connection_store.reserve(), ConnectionId(u32::MAX - 1));
        for _ in 0..2 {
            let id = connection_store.reserve();
            assert_eq!(id, ConnectionId(u32::MAX));
            connection_store.keep(id, unseen(1), &mut credential_store);
        }
        assert_eq!((connection_store.len(), connection_store.evicted_total()), (0, 2));
    }

    #[test]
    fn memory_that_was_made_ready_is_taken_first_and_holds_nothing_of_before() {
        let mut connection_store = ConnectionStore::new(usize::MAX);
        let transport = || unseen(1).transport;
        let room = || {
            let mut room = OpenFacts::new(endpoint(8), endpoint(9), transport());
            *room = with_hello(5, "old.test", 1);
            room
        };
        connection_store.stock((0..=MAX_ROOMS).map(|_| room()));
        assert_eq!(connection_store.rooms.len(), MAX_ROOMS);
        let begun = connection_store.begin(endpoint(1), endpoint(2), transport());
        assert_eq!(connection_store.rooms.len(), MAX_ROOMS - 1);
        assert_eq!((begun.client, begun.server), (endpoint(1), endpoint(2)));
        assert!(matches!(begun.hello, Seen::No) && begun.server_name().is_none());
        connection_store.rooms.clear();
        assert_eq!(
            connection_store.begin(endpoint(3), endpoint(2), transport()).client,
            endpoint(3)
        );
    }
}
