//! The attempt table: one row for each handshake, in it one entry for each credential that was offered.
//!
//! Built once, in one pass over the connections in the order of their hellos (`shown.rs`, `build.rs`); explanations read nothing
//! else.
//! Two decisions stand in it: what the client offered of all that it held, and what the server did with it. A column may
//! be unknown, and a value may be concluded rather than read: then it says so, and never refutes anything. Rows and
//! entries are plain numbers of some 70 bytes each, so that a million attempts are a pass over some memory.

mod build;
mod chains;
mod decided;
pub mod ending;
mod foreign;
mod necessity;
mod shown;
mod slow;

use crate::net::Timestamp;
use crate::session::{ConnectionId, CredentialId, Mechanism, ProtocolVersion, Service};
use crate::store::ConnectionStore;

use super::numbered::Numbered;
use super::parties::Parties;
use super::service::KeyName;

pub(super) use build::BURST;
pub use build::{Sources, is_stateful};
pub use ending::{ClosedBy, closed_by};
pub use necessity::Necessity;
pub use shown::Shown;

/// Number of a row, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowNumber(u32);

impl RowNumber {
    /// No row.
    pub const NONE: Self = Self(u32::MAX);

    fn of(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The row's number.
    #[must_use]
    pub fn index(self) -> Option<usize> {
        (self != Self::NONE).then_some(self.0 as usize)
    }
}

/// What became of an offered credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The server resumed it.
    Accepted,
    /// The server chose a full handshake.
    Refused,
    /// The handshake broke visibly: an alert, or the server ended it.
    Broken,
    /// Left unread: another one was accepted, the outcome is not visible, the client went away, the server chose another
    /// suite than the session's, or `encrypted_client_hello` may make the visible PSK a decoy (RFC 9849 §6.1.2).
    NotJudged,
}

/// What ended a handshake that broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenBy {
    /// The alert protocol_version: the two have no version in common, whatever was offered to resume.
    Version,
    /// Anything else.
    Other,
}

/// A duration in nanoseconds that is not known.
pub const UNKNOWN: i64 = i64::MIN;

/// What a client had been given before a hello of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenBefore {
    /// Nothing, as far as can be told.
    Nothing,
    /// Something, of which some may have come to it behind the hello.
    PerhapsLate,
    /// Something, and all of it had surely come to it.
    InTime,
}

/// One handshake.
#[derive(Debug, Clone)]
pub struct Row {
    /// When its hello was sent.
    pub time: Timestamp,
    /// When the first side ended it; far in the future where none did.
    ended: Timestamp,
    /// Its connection.
    pub connection: ConnectionId,
    /// Its service: server endpoint and name.
    pub service: u32,
    /// The client's address (that of a PROXY header where there is one).
    pub address: u32,
    /// The client stack: its hello without what varies.
    pub stack: u32,
    /// Address, stack and service: whoever that is, at least one store of sessions.
    pub client: u32,
    /// Its place among the rows of that client.
    pub turn: u32,
    /// First of its entries.
    first_entry: u32,
    /// The key under which it issues a ticket: in clear, or concluded from the client's next new identity; 0 is unknown.
    pub issues: u32,
    /// The certificate that it shows; 0 is unknown.
    pub certificate: u32,
    /// The machine that answers, by marks; 0 where nothing tells machines apart.
    pub machine: u16,
    /// How many entries it has.
    entries: u16,
    /// Microseconds from its hello to its answer: a server decides in the order of its answers, and a hello may have been lost
    /// before it was heard, or have waited for a cookie.
    answered_after: u32,
    /// How it ended: for those who come later.
    pub closed: ClosedBy,
    /// Tickets of TLS 1.3 that its client was given, and has not offered yet, by the time of its hello. Only a guess where
    /// tickets are concluded from sizes; `None` where not even that.
    pub held: Option<u8>,
    /// Answered after HelloRetryRequest.
    pub retried: bool,
    /// Negotiated version as on the wire, 0 where it was not seen.
    pub version: u16,
    /// What it holds was read with keys, not concluded from sizes, and none came in the very moment of its hello.
    pub held_read: bool,
    /// A later hello offers what this handshake issued, as far as can be told.
    pub spent: bool,
    /// Its client had been given something before, as far as can be told.
    pub given: GivenBefore,
    /// It begins a chain of credentials of its own while every other chain of its address goes on.
    pub newcomer: bool,
    /// By what the handshake visibly broke, if it did.
    pub broken: Option<BrokenBy>,
    /// A session came of it.
    pub completed: bool,
    /// The key under [`Row::issues`] was concluded.
    pub issues_concluded: bool,
    /// A ClientHello was seen.
    pub hello: bool,
    /// Nothing was offered for certain.
    pub silent: bool,
    /// Its address is not that of the machine which answers.
    behind: bool,
}

/// One credential offered in one handshake.
#[derive(Debug, Clone)]
pub struct OfferedCredential {
    /// Nanoseconds since it was issued, or [`UNKNOWN`].
    pub age: i64,
    /// Nanoseconds since the hello of its latest use before this one, or [`UNKNOWN`].
    pub idle: i64,
    /// The row.
    pub row: u32,
    /// The credential.
    pub credential: CredentialId,
    /// The handshake that issued it.
    pub issue: RowNumber,
    /// The latest handshake before this one that issued or resumed it.
    pub previous: RowNumber,
    /// Sessions that the service made since it was issued.
    pub newer: u32,
    /// Name of its ticket key; 0 is none.
    pub key: u32,
    /// Its lifetime in seconds; 0 is unknown.
    pub lifetime: u32,
    /// Explanations that name it and stand, as bits.
    pub causes: u32,
    /// What became of it.
    pub decision: Decision,
    /// What kind it is.
    pub mechanism: Mechanism,
    /// How the latest connection of its session ended.
    pub closed: ClosedBy,
    /// Hello and credential left the server no choice.
    pub necessity: Option<Necessity>,
    /// The server would have to keep it: a session ID, or an identity of that size.
    pub stateful: bool,
    /// Issue and previous use are concluded from the order of connections, not read.
    pub concluded: bool,
    /// It is of another server address or port.
    pub foreign: bool,
    /// That was concluded.
    pub foreign_concluded: bool,
    /// It was accepted before, and how often, up to 255.
    pub accepted_before: u8,
    /// It was refused before under an equal hello.
    pub refused_before: bool,
    /// It is accepted later under an equal hello.
    pub accepted_later: bool,
    /// Whether its refusal took far longer than acceptances and first visits: its store may not have answered. `None` where
    /// the capture does not show how long it took.
    pub slow: Option<bool>,
    /// The server issues under the ticket's own key in this very handshake: as was read, or as the client's next identity tells
    /// where the service shows no other key.
    pub own_key: bool,
    /// It is offered under another server name than its own.
    pub other_name: bool,
    /// The server negotiated another version than that of the session.
    pub other_version: bool,
    /// The server chose a suite with another hash than that of the PSK.
    pub other_hash: bool,
    /// The certificate shown is not that of its issue, under the same name.
    pub other_certificate: bool,
    /// A newer one of the same client had been issued in clear.
    pub outdated: bool,
    /// A client certificate is asked for now and was not at its issue.
    pub asks_certificate: bool,
}

/// Rows are what memory is spent on.
const _: () = assert!(size_of::<Row>() <= 80 && size_of::<OfferedCredential>() <= 80);

impl Row {
    /// When the server had decided.
    fn decided(&self) -> i64 {
        self.time.nanos().saturating_add(i64::from(self.answered_after) * 1_000)
    }

    /// When the first side ended it; far in the future where none did.
    #[must_use]
    pub const fn ended(&self) -> Timestamp {
        self.ended
    }
}

impl OfferedCredential {
    /// Whether it was refused or broken.
    #[must_use]
    pub const fn failed(&self) -> bool {
        matches!(self.decision, Decision::Refused | Decision::Broken)
    }

    /// Whether the server decided it and nothing but the hello did.
    #[must_use]
    pub const fn counts(&self) -> bool {
        !matches!(self.decision, Decision::NotJudged) && self.necessity.is_none()
    }
}

/// One service's part of the table.
#[derive(Debug, Default, Clone)]
pub struct ServicePart {
    /// Its rows in the order of their hellos.
    pub rows: Vec<u32>,
    /// Its entries in that order.
    pub entries: Vec<u32>,
}

/// All rows and entries.
#[derive(Debug, Default)]
pub struct Attempts {
    rows: Vec<Row>,
    entries: Vec<OfferedCredential>,
    parts: Vec<ServicePart>,
    services: Vec<Service>,
    /// Rows by client, in the order of their hellos: where each client begins, and the rows.
    client_starts: Vec<u32>,
    client_rows: Vec<u32>,
    /// Clients that are at least two stores of sessions, or may be for all that was read, in the order of their numbers.
    several_stores: Vec<u32>,
    /// Clients of which chains of sessions are used in turn, in order.
    several_chains: Vec<u32>,
    keys: Vec<KeyName>,
    /// When each key was last seen at work, whatever the service.
    last_at_work: Vec<Option<Timestamp>>,
    /// The row of each connection.
    by_connection: Numbered<u32>,
    /// A client showed a certificate.
    client_certificates: bool,
}

impl Attempts {
    /// Of the connections of these parties, with what they show, in the order of the parties.
    #[must_use]
    pub fn of(
        connection_store: &ConnectionStore,
        parties: &Parties,
        sources: &Sources<'_>,
        shown: impl Iterator<Item = Shown>,
    ) -> Self {
        build::table(connection_store, parties, sources, shown)
    }

    /// Notes when each key last issued a ticket in clear, or opened one.
    pub(super) fn note_keys_at_work(&mut self) {
        let issued = self.rows.iter().filter(|row| !row.issues_concluded);
        let issued = issued.map(|row| (row.issues, row.time));
        let opened = self.entries.iter().filter(|entry| entry.decision == Decision::Accepted);
        let opened = opened.filter_map(|entry| Some((entry.key, self.rows.get(entry.row as usize)?.time)));
        let mut last: Vec<Option<Timestamp>> = Vec::new();
        for (key, time) in issued.chain(opened).filter(|(key, _)| *key != 0) {
            let place = key as usize;
            if last.len() <= place {
                last.resize(place + 1, None);
            }
            if let Some(latest) = last.get_mut(place) {
                *latest = (*latest).max(Some(time));
            }
        }
        self.last_at_work = last;
    }

    /// When a key was last seen at work, at any service, as far as that was read: servers have one for all their names.
    #[must_use]
    pub fn last_at_work(&self, key: u32) -> Option<Timestamp> {
        self.last_at_work.get(key as usize).copied().flatten()
    }

    /// Enters the machine that answers in each row.
    pub fn tell_machines(&mut self, machine: impl Fn(ConnectionId) -> Option<u16>) {
        for row in &mut self.rows {
            row.machine = machine(row.connection).unwrap_or(0);
        }
    }

    /// A row.
    #[must_use]
    pub fn row(&self, place: RowNumber) -> Option<&Row> {
        self.rows.get(place.index()?)
    }

    /// All rows in the order of their hellos.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whether an offer of TLS 1.2 or older was refused by a server that negotiated TLS 1.3, which has no place for one: that the
    /// version is another one may be all that there is to say.
    #[must_use]
    pub fn is_of_other_era(&self, entry: &OfferedCredential) -> bool {
        let older = entry.decision == Decision::Refused && entry.mechanism != Mechanism::Psk && entry.other_version;
        older
            && self
                .row_of(entry)
                .is_some_and(|row| ProtocolVersion(row.version).is_tls13())
    }

    /// The row of an entry.
    #[must_use]
    pub fn row_of(&self, entry: &OfferedCredential) -> Option<&Row> {
        self.rows.get(entry.row as usize)
    }

    /// Entries by number.
    pub fn entries<'a>(
        &'a self,
        numbers: &'a [u32],
    ) -> impl Iterator<Item = (u32, &'a OfferedCredential)> + Clone + 'a {
        let each = numbers.iter();
        each.filter_map(|number| Some((*number, self.entries.get(*number as usize)?)))
    }

    /// Rows by number.
    #[must_use]
    pub fn rows_at<'a>(&'a self, numbers: &'a [u32]) -> impl DoubleEndedIterator<Item = &'a Row> + Clone + 'a {
        numbers.iter().filter_map(|number| self.rows.get(*number as usize))
    }

    /// One entry.
    #[must_use]
    pub fn entry(&self, number: u32) -> Option<&OfferedCredential> {
        self.entries.get(number as usize)
    }

    /// One entry, to mark.
    pub(super) fn entry_mut(&mut self, number: u32) -> Option<&mut OfferedCredential> {
        self.entries.get_mut(number as usize)
    }

    /// The entries of a row, with their numbers.
    pub fn of_row<'a>(&'a self, row: &Row) -> impl Iterator<Item = (u32, &'a OfferedCredential)> + use<'a> {
        let first = row.first_entry;
        let range = first as usize..first as usize + usize::from(row.entries);
        (first..).zip(self.entries.get(range).unwrap_or_default())
    }

    /// Sessions that the service made since the latest use of this one, or since its issue where it was not used.
    #[must_use]
    pub fn newer_unused(&self, entry: &OfferedCredential) -> u32 {
        let previous = self.row(entry.previous).into_iter().flat_map(|row| self.of_row(row));
        let mut used = previous.filter(|(_, used)| used.credential == entry.credential);
        entry
            .newer
            .saturating_sub(used.next().map_or(0, |(_, used)| used.newer))
    }

    /// The row of a connection.
    #[must_use]
    pub fn of_connection(&self, id: ConnectionId) -> Option<&Row> {
        self.rows.get(self.by_connection.get(id.0)? as usize)
    }

    /// Whether any client showed a certificate that was read.
    #[must_use]
    pub const fn shows_client_certificates(&self) -> bool {
        self.client_certificates
    }

    /// The services with their parts.
    pub fn services(&self) -> impl Iterator<Item = (&Service, &ServicePart)> {
        self.services.iter().zip(&self.parts)
    }

    /// The service of a number.
    #[must_use]
    pub fn service(&self, number: u32) -> Option<&Service> {
        self.services.get(number as usize)
    }

    /// The part of a service.
    #[must_use]
    pub fn part(&self, number: u32) -> Option<&ServicePart> {
        self.parts.get(number as usize)
    }

    /// The rows of the client of a row, in the order of their hellos, and which of them it is.
    #[must_use]
    pub fn of_client(&self, row: &Row) -> (&[u32], usize) {
        let start = |client: u32| self.client_starts.get(client as usize).map(|start| *start as usize);
        let range = start(row.client).zip(start(row.client + 1));
        let rows = range.and_then(|(from, to)| self.client_rows.get(from..to));
        (rows.unwrap_or_default(), row.turn as usize)
    }

    /// Whether the client of a row offers a session from before one of its silences after it: what is silent then is another
    /// store than the one that holds the session. Also where a session is offered after a silence whose issue was not read.
    #[must_use]
    pub fn may_be_several_stores(&self, row: &Row) -> bool {
        self.several_stores.binary_search(&row.client).is_ok()
    }

    /// Whether chains of sessions are used in turn by the client of a row: more than one store for a service would keep.
    #[must_use]
    pub fn uses_chains_in_turn(&self, row: &Row) -> bool {
        self.several_chains.binary_search(&row.client).is_ok()
    }

    /// The name of a key by its number.
    #[must_use]
    pub fn key(&self, number: u32) -> Option<KeyName> {
        self.keys.get((number as usize).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
pub(super) mod tests;
