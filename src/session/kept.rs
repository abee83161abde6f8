//! Finished connections, bounded: beyond the limit the oldest fold into the counts of their service.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashSet;

use crate::net::{Endpoint, Timestamp};

use super::connection::{Connection, ConnectionId, Outcome, Uncommon};
use super::credential::Credential;
use super::ledger::Ledger;
use super::outcomes::Outcomes;

/// Server endpoint and server name.
pub type Service = (Endpoint, Option<Arc<str>>);

/// The finished connections of a run, by number. A clone shares them.
#[derive(Debug, Clone)]
pub struct Kept {
    slots: VecDeque<Option<Arc<Connection>>>,
    /// Number of the connection in the first slot.
    base: u32,
    bytes: usize,
    limit: usize,
    /// Connections that go on and are kept as far as they have come.
    open: HashSet<ConnectionId>,
    omitted: BTreeMap<Service, Outcomes>,
    omitted_total: u64,
    /// Of services beyond those that are told apart.
    elsewhere: Outcomes,
}

/// Services of folded connections that are told apart.
pub const MOST_FOLDED_SERVICES: usize = 1 << 16;
/// Longest server name by which they are.
pub const LONGEST_FOLDED_NAME: usize = 1024;

/// An allocation costs this much beside its content.
const ALLOCATION: usize = 16;
/// What is shared is counted beside it.
const SHARED: usize = 2 * size_of::<usize>();
/// A credential with its place in the index.
const CREDENTIAL: usize = size_of::<Credential>() + SHARED + 3 * ALLOCATION + 32;

impl Kept {
    /// Nothing kept yet; beyond `limit` bytes the oldest are folded.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            base: 0,
            bytes: 0,
            limit,
            open: HashSet::new(),
            omitted: BTreeMap::new(),
            omitted_total: 0,
            elsewhere: Outcomes::default(),
        }
    }

    /// The number of the next connection.
    pub fn reserve(&mut self) -> ConnectionId {
        let id = ConnectionId(
            self.base
                .wrapping_add(u32::try_from(self.slots.len()).unwrap_or(u32::MAX)),
        );
        self.slots.push_back(None);
        id
    }

    /// Keeps a connection that is over.
    pub fn keep(&mut self, id: ConnectionId, connection: Connection, ledger: &mut Ledger) {
        if let Some(connection) = self.put(id, connection) {
            self.open.remove(&id);
            self.fold(&connection, ledger);
        } else if !self.open.is_empty() {
            self.open.remove(&id);
        }
        // Connections that turned out to be none leave empty places behind.
        while self.bytes + self.slots.len() * size_of::<Option<Box<Connection>>>() > self.limit && self.slots.len() > 1
        {
            self.fold_oldest(ledger);
        }
    }

    /// Keeps what is known so far of a connection that goes on; [`Kept::keep`] takes its place.
    pub fn keep_open(&mut self, id: ConnectionId, connection: Connection) {
        match self.put(id, connection) {
            None => drop(self.open.insert(id)),
            Some(connection) => self.bytes = self.bytes.saturating_sub(cost(&connection)),
        }
    }

    /// What was kept of a connection that goes on is void.
    pub fn void(&mut self, id: ConnectionId) {
        if self.open.remove(&id) {
            self.remove(id);
        }
    }

    /// Fills the slot of a connection. Gives it back, counted, where it has none any more.
    fn put(&mut self, id: ConnectionId, mut connection: Connection) -> Option<Connection> {
        connection.offers.shrink_to_fit();
        connection.issued.shrink_to_fit();
        self.bytes += cost(&connection);
        let index = id.0.checked_sub(self.base);
        let Some(slot) = index.and_then(|index| self.slots.get_mut(index as usize)) else {
            return Some(connection);
        };
        if let Some(before) = slot.replace(Arc::new(connection)) {
            self.bytes = self.bytes.saturating_sub(cost(&before));
        }
        None
    }

    /// Folds connections that ended before `time`, oldest first, at most `most` of them.
    pub fn fold_before(&mut self, time: Timestamp, most: usize, ledger: &mut Ledger) {
        for _ in 0..most {
            match self.slots.front() {
                Some(Some(connection)) if connection.transport.ended < time => self.fold_oldest(ledger),
                _ => return,
            }
        }
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
    pub fn rename_omitted(&mut self, mut change: impl FnMut(Service) -> Service) {
        for (service, omitted) in std::mem::take(&mut self.omitted) {
            self.omitted.entry(change(service)).or_default().merge(&omitted);
        }
    }

    /// Takes a connection out: it is another leg of one that is kept.
    pub fn remove(&mut self, id: ConnectionId) -> Option<Arc<Connection>> {
        let connection = self.slots.get_mut(id.0.checked_sub(self.base)? as usize)?.take()?;
        self.bytes = self.bytes.saturating_sub(cost(&connection));
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
            kept: self,
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
    pub fn omitted(&self) -> impl Iterator<Item = (&Service, &Outcomes)> {
        self.omitted.iter()
    }

    /// Counts of what another run folded away; those of services that it did not tell apart have no service.
    pub fn add_omitted(&mut self, service: Option<Service>, omitted: &Outcomes) {
        self.omitted_total += omitted.total();
        self.counts_of(service).merge(omitted);
    }

    fn counts_of(&mut self, service: Option<Service>) -> &mut Outcomes {
        let known = |service: &Service| {
            let name = service.1.as_deref().map_or(0, str::len);
            let room = self.omitted.len() < MOST_FOLDED_SERVICES && name <= LONGEST_FOLDED_NAME;
            room || self.omitted.contains_key(service)
        };
        match service.filter(known) {
            Some(service) => self.omitted.entry(service).or_default(),
            None => &mut self.elsewhere,
        }
    }

    /// Counts of what was folded away of services that are not told apart.
    #[must_use]
    pub const fn omitted_elsewhere(&self) -> &Outcomes {
        &self.elsewhere
    }

    /// How many were folded away.
    #[must_use]
    pub const fn omitted_total(&self) -> u64 {
        self.omitted_total
    }

    /// Bytes held for finished connections and the credentials they issued or offered.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn fold_oldest(&mut self, ledger: &mut Ledger) {
        // One that is still open loses its place; it is folded when it ends.
        let Some(slot) = self.slots.pop_front() else { return };
        let id = ConnectionId(self.base);
        self.base += 1;
        match slot {
            Some(connection) if self.open.remove(&id) => self.bytes = self.bytes.saturating_sub(cost(&connection)),
            Some(connection) => self.fold(&connection, ledger),
            None => {}
        }
    }

    fn fold(&mut self, connection: &Connection, ledger: &mut Ledger) {
        self.bytes = self.bytes.saturating_sub(cost(connection));
        let oldest = ConnectionId(self.base);
        for id in connection
            .issued
            .iter()
            .copied()
            .chain(connection.offers.iter().map(|offer| offer.credential))
        {
            ledger.forget(id, oldest);
        }
        let service = (connection.server, connection.server_name().cloned());
        self.counts_of(Some(service)).count(connection.outcome);
        self.omitted_total += 1;
    }
}

/// Connections in an order of their own. They lie all over memory: a few at a time are loaded at once before the first of
/// them is looked at.
#[derive(Debug, Clone)]
pub struct InTurn<'k, 'o> {
    kept: &'k Kept,
    order: &'o [ConnectionId],
    place: usize,
}

impl InTurn<'_, '_> {
    /// Connections that are loaded at once: as many as a processor has loads under way.
    const AT_ONCE: usize = 16;

    fn load(&self) {
        let next = self.order.iter().skip(self.place).take(Self::AT_ONCE);
        let load = |sum: u64, connection: &Connection| {
            let outcome = u64::from(matches!(connection.outcome, Outcome::Declined));
            let hello = u64::from(connection.hello.yes().is_some());
            sum ^ u64::from(connection.server.port) ^ outcome ^ hello
        };
        // Loads that depend on one another in nothing: the processor waits for all of them together.
        std::hint::black_box(next.filter_map(|id| self.kept.get(*id)).fold(0, load));
    }
}

impl<'k> Iterator for InTurn<'k, '_> {
    type Item = (ConnectionId, &'k Connection);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let id = *self.order.get(self.place)?;
            if self.place.is_multiple_of(Self::AT_ONCE) {
                self.load();
            }
            self.place += 1;
            if let Some(connection) = self.kept.get(id) {
                return Some((id, connection));
            }
        }
    }
}

/// Bytes that keeping this connection costs, its share of the ledger included.
fn cost(connection: &Connection) -> usize {
    size_of::<Connection>()
        + SHARED
        + ALLOCATION
        + size_of_val(connection.offers.as_slice())
        + size_of_val(connection.issued.as_slice())
        + (connection.issued.len() + connection.offers.len()) * CREDENTIAL
        + long_values(connection)
        + if connection.transport.uncommon.is_some() {
            size_of::<Uncommon>() + ALLOCATION
        } else {
            0
        }
}

/// Bytes of its name and of its list of suites where they are longer than honest ones. Connections share such values, but
/// nothing makes hostile ones do so.
fn long_values(connection: &Connection) -> usize {
    const USUAL: usize = 1024;
    let Some(hello) = connection.hello.yes() else { return 0 };
    let name = hello.server_name.as_deref().map_or(0, str::len);
    name.saturating_sub(USUAL) + size_of_val(&*hello.stack.suites).saturating_sub(USUAL)
}
