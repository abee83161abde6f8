//! Finished connections, bounded: beyond the limit the oldest fold into the counts of their service.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::net::Endpoint;

use super::connection::{Connection, ConnectionId, Outcome};
use super::credential::Credential;
use super::ledger::Ledger;

/// Counts of connections that were folded away, for one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Omitted {
    /// Resumed.
    pub resumed: u64,
    /// Declined.
    pub declined: u64,
    /// Not offered.
    pub not_offered: u64,
    /// Failed.
    pub failed: u64,
    /// External PSK.
    pub external_psk: u64,
    /// Unclear.
    pub unclear: u64,
}

impl Omitted {
    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Resumed(_) => &mut self.resumed,
            Outcome::Declined => &mut self.declined,
            Outcome::NotOffered => &mut self.not_offered,
            Outcome::Failed => &mut self.failed,
            Outcome::ExternalPsk => &mut self.external_psk,
            Outcome::Unclear(_) => &mut self.unclear,
        } += 1;
    }

    fn add(&mut self, others: &Self) {
        self.resumed += others.resumed;
        self.declined += others.declined;
        self.not_offered += others.not_offered;
        self.failed += others.failed;
        self.external_psk += others.external_psk;
        self.unclear += others.unclear;
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.resumed + self.declined + self.not_offered + self.failed + self.external_psk + self.unclear
    }
}

/// Server endpoint and server name.
pub type Service = (Endpoint, Option<Arc<str>>);

/// The finished connections of a run, by number.
#[derive(Debug)]
pub struct Kept {
    slots: VecDeque<Option<Box<Connection>>>,
    /// Number of the connection in the first slot.
    base: u32,
    bytes: usize,
    limit: usize,
    omitted: BTreeMap<Service, Omitted>,
    omitted_total: u64,
}

/// An allocation costs this much beside its content.
const ALLOCATION: usize = 16;
/// A credential with its place in the index.
const CREDENTIAL: usize = size_of::<Credential>() + 3 * ALLOCATION + 32;

impl Kept {
    /// Nothing kept yet; beyond `limit` bytes the oldest are folded.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            slots: VecDeque::new(),
            base: 0,
            bytes: 0,
            limit,
            omitted: BTreeMap::new(),
            omitted_total: 0,
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
    pub fn keep(&mut self, id: ConnectionId, mut connection: Box<Connection>, ledger: &mut Ledger) {
        connection.offers.shrink_to_fit();
        connection.issued.shrink_to_fit();
        self.bytes += cost(&connection);
        match id
            .0
            .checked_sub(self.base)
            .and_then(|index| self.slots.get_mut(index as usize))
        {
            Some(slot) => *slot = Some(connection),
            None => self.fold(&connection, ledger),
        }
        while self.bytes > self.limit && self.slots.len() > 1 {
            self.fold_oldest(ledger);
        }
    }

    /// A connection; `None` while it is open or once it was folded away.
    #[must_use]
    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.slots.get(id.0.checked_sub(self.base)? as usize)?.as_deref()
    }

    /// A connection, to change.
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.slots
            .get_mut(id.0.checked_sub(self.base)? as usize)?
            .as_deref_mut()
    }

    /// Takes a connection out: it is another leg of one that is kept.
    pub fn remove(&mut self, id: ConnectionId) -> Option<Box<Connection>> {
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
    pub fn omitted(&self) -> impl Iterator<Item = (&Service, &Omitted)> {
        self.omitted.iter()
    }

    /// Counts of what another run folded away.
    pub fn add_omitted(&mut self, service: Service, omitted: &Omitted) {
        self.omitted_total += omitted.total();
        self.omitted.entry(service).or_default().add(omitted);
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
        self.base += 1;
        if let Some(connection) = slot {
            self.fold(&connection, ledger);
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
        self.omitted.entry(service).or_default().count(connection.outcome);
        self.omitted_total += 1;
    }
}

/// Bytes that keeping this connection costs, its share of the ledger included.
fn cost(connection: &Connection) -> usize {
    size_of::<Connection>()
        + ALLOCATION
        + size_of_val(connection.offers.as_slice())
        + size_of_val(connection.issued.as_slice())
        + (connection.issued.len() + connection.offers.len()) * CREDENTIAL
}
