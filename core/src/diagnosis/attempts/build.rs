//! The one pass that fills the attempt table from what the handshakes show ([`Shown`]): linear in connections and offers, by
//! hash maps and counting sorts.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::decided::void_contradicted;
use super::ending::ClosedBy;
use super::shown::{Given, GivenTickets, Shown, ShownHandshake, ShownIssue, ShownOffer};
use super::{Attempts, Decision, GivenBefore, OfferedCredential, Row, RowNumber, ServicePart, UNKNOWN};
use crate::diagnosis::context::Gave;
use crate::diagnosis::numbered::{Numbered, Numbering};
use crate::diagnosis::parties::{Parties, Party};
use crate::diagnosis::service::{KeyName, KeyNames};
use crate::net::Timestamp;
use crate::session::{Credential, CredentialId, Mechanism, Shape};
use crate::store::ConnectionStore;

/// Stateful TLS 1.3 identities have the length of a session ID; a self-contained ticket is longer.
const STATEFUL_IDENTITY: u32 = 32;
/// Earlier handshakes of one client that are kept in mind as possible issuers: more are not open at a time.
const MAX_OPEN: usize = 8;

/// Connections of a burst begin within this time of each other, in nanoseconds.
pub(in crate::diagnosis) const BURST: i64 = 100_000_000;

/// What the table takes from elsewhere.
#[derive(Clone)]
pub struct Sources<'a> {
    /// Names of ticket keys.
    pub keys: &'a KeyNames,
    /// Numbers of credentials: the first and the last that may be met, and how many.
    pub credentials: (RangeInclusive<u32>, u32),
}

/// Whether a server must keep state to honour a credential.
#[must_use]
pub fn is_stateful(credential: &Credential) -> bool {
    match credential.mechanism {
        Mechanism::SessionId => true,
        Mechanism::Ticket => false,
        Mechanism::Psk => credential.name.length == STATEFUL_IDENTITY,
    }
}

/// What became of a credential so far.
#[derive(Clone, Copy)]
struct CredentialHistory {
    issue: RowNumber,
    /// The issue is concluded.
    concluded: bool,
    previous: RowNumber,
    accepted: u8,
    /// Sessions that the service had made when it was issued.
    made: u32,
    issued: Option<Timestamp>,
    /// When the client held the newer ticket that a connection with this one gave it.
    superseded: Option<Timestamp>,
    /// When it was offered last.
    offered: Option<Timestamp>,
    /// It was offered more than once.
    again: bool,
}

impl CredentialHistory {
    const NEW: Self = Self {
        issue: RowNumber::NONE,
        concluded: false,
        previous: RowNumber::NONE,
        accepted: 0,
        made: 0,
        issued: None,
        superseded: None,
        offered: None,
        again: false,
    };
}

/// What a client did so far at one service.
#[derive(Default)]
struct ClientState {
    /// Its latest handshakes of TLS 1.3 that may have given it something, with when they did and how many tickets.
    gave: SmallVec<[(RowNumber, Timestamp); 1]>,
    /// Tickets that reached it from then on, not counted yet.
    coming: VecDeque<GivenTickets>,
    /// Some of the counts were concluded from sizes.
    guessed: bool,
    held: u32,
    /// How many it holds cannot be told.
    lost_count: bool,
    given_any: bool,
    /// When it was given something to offer for the first time.
    first_given: Option<Timestamp>,
    /// From when on it surely had all that it was given.
    settled: Option<Timestamp>,
    /// It offered a ticket of TLS 1.3 more than once: none is ever used up.
    reuses: bool,
}

struct Builder<'a> {
    connection_store: &'a ConnectionStore,
    sources: &'a Sources<'a>,
    table: Attempts,
    certificates: Numbering<[u8; 16]>,
    key_numbers: Numbering<KeyName>,
    known: Numbered<CredentialHistory>,
    /// Of each client.
    states: Vec<ClientState>,
    turns: Vec<u32>,
    /// Of each service.
    made: Vec<u32>,
    /// Latest handshake of a client address and stack under a name at any endpoint of one transport.
    by_name: HashMap<(u32, u32, u32), RowNumber>,
    /// And at an endpoint under any name.
    by_endpoint: Vec<RowNumber>,
}

pub(super) fn table(
    connection_store: &ConnectionStore,
    parties: &Parties,
    sources: &Sources<'_>,
    shown: impl Iterator<Item = Shown>,
) -> Attempts {
    let order = parties.order();
    let (credentials, count) = sources.credentials.clone();
    let mut builder = Builder {
        connection_store,
        sources,
        table: Attempts {
            rows: Vec::with_capacity(order.len()),
            parts: vec![ServicePart::default(); parties.services().len()],
            services: parties.services().to_vec(),
            by_connection: Numbered::over(order.iter().map(|id| id.0)),
            ..Attempts::default()
        },
        certificates: Numbering::default(),
        key_numbers: Numbering::default(),
        known: Numbered::within(credentials, count),
        states: std::iter::repeat_with(ClientState::default)
            .take(parties.clients())
            .collect(),
        turns: vec![0; parties.clients()],
        made: vec![0; parties.services().len()],
        by_name: HashMap::new(),
        by_endpoint: vec![RowNumber::NONE; parties.clients_at_places()],
    };
    for Shown {
        handshakes,
        offers,
        issues,
    } in shown
    {
        let (mut offers, mut issues) = (offers.as_slice(), issues.as_slice());
        for shown in &handshakes {
            let own = (take(&mut offers, shown.offers), take(&mut issues, shown.issues));
            if let Some(party) = parties.get(shown.row.connection) {
                builder.add(party, shown, own);
            }
        }
    }
    builder.finish()
}

/// So many from the front.
fn take<'a, T>(all: &mut &'a [T], count: usize) -> &'a [T] {
    let (first, rest) = all.split_at_checked(count).unwrap_or_default();
    *all = rest;
    first
}

impl Builder<'_> {
    fn add(&mut self, party: Party, shown: &ShownHandshake, (offers, issues): (&[ShownOffer], &[ShownIssue])) {
        let place = RowNumber::of(self.table.rows.len());
        let mut row = self.row(party, shown);
        let first = self.table.entries.len();
        row.held = self.held(&mut row);
        for offer in offers {
            let entry = self.entry(&row, (place, party), shown, offer);
            self.table.entries.push(entry);
        }
        row.entries = u16::try_from(self.table.entries.len() - first).unwrap_or(u16::MAX);
        // A resumption shows no certificate: its session has that of the full handshake before it.
        if row.certificate == 0 {
            row.certificate = self.certificate_of_session(first).unwrap_or(0);
        }
        self.issues(&mut row, place, shown.made, issues);
        if let Some(given) = shown.given {
            if issues.iter().any(|issue| issue.ticket) {
                self.supersede(&row, given.over);
            }
            self.gives(&row, place, party, given);
        }
        if let Some(part) = self.table.parts.get_mut(row.service as usize) {
            part.rows.push(place.0);
            part.entries
                .extend((first..self.table.entries.len()).filter_map(|entry| u32::try_from(entry).ok()));
        }
        self.table.client_certificates |= shown.client_certificate;
        self.table.by_connection.set(row.connection.0, Some(place.0));
        self.table.rows.push(row);
    }

    fn row(&mut self, party: Party, shown: &ShownHandshake) -> Row {
        let turn = self.turns.get_mut(party.client as usize);
        let turn = turn.map_or(0, |turn| std::mem::replace(turn, *turn + 1));
        let certificate = shown.certificate.map(|digest| self.certificates.of(digest) + 1);
        Row {
            service: party.service,
            address: party.address,
            stack: party.stack,
            client: party.client,
            turn,
            first_entry: u32::try_from(self.table.entries.len()).unwrap_or(u32::MAX),
            certificate: certificate.unwrap_or(0),
            ..shown.row.clone()
        }
    }

    /// Tickets of TLS 1.3 that the client holds by the time of this hello.
    fn held(&mut self, row: &mut Row) -> Option<u8> {
        let state = self.states.get_mut(row.client as usize)?;
        row.held_read = !state.guessed;
        let before = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment < row.time);
        row.given = match (before(state.first_given), before(state.settled)) {
            (false, _) => GivenBefore::Nothing,
            (true, false) => GivenBefore::PerhapsLate,
            (true, true) => GivenBefore::InTime,
        };
        while let Some(tickets) = state.coming.pop_front_if(|tickets| tickets.at_hand < row.time) {
            match tickets.count {
                Some(count) => {
                    state.guessed |= tickets.guessed;
                    state.held = state.held.saturating_add(u32::from(count));
                    state.given_any |= count > 0;
                }
                None => state.lost_count = true,
            }
        }
        // Times that are coarse do not tell which was there first.
        let at_once = state.coming.front().is_some_and(|tickets| tickets.at_hand == row.time);
        row.held_read &= !state.guessed && !at_once;
        let known = state.given_any && !state.lost_count;
        known.then(|| u8::try_from(state.held).unwrap_or(u8::MAX))
    }

    fn entry(
        &mut self,
        row: &Row,
        (place, party): (RowNumber, Party),
        shown: &ShownHandshake,
        offer: &ShownOffer,
    ) -> OfferedCredential {
        let known = self.known_at(row, party, offer);
        let key = self.sources.keys.of(offer.credential).map(|name| self.key(name));
        let issue_row = self.table.row(known.issue).cloned();
        let previous = self.table.row(known.previous);
        let idle = previous.map_or(UNKNOWN, |previous| row.time.since(previous.time));
        let closed = previous.map_or(ClosedBy::Unknown, |previous| previous.closed_by(row.time));
        let own = issue_row.as_ref();
        let foreign = own.is_some_and(|own| self.is_elsewhere(own, row));
        let entry = OfferedCredential {
            age: known.issued.map_or(UNKNOWN, |issued| row.time.since(issued)),
            idle,
            row: place.0,
            credential: offer.credential,
            issue: known.issue,
            previous: known.previous,
            newer: self
                .made
                .get(row.service as usize)
                .map_or(0, |made| made.saturating_sub(known.made)),
            key: key.unwrap_or(0),
            lifetime: offer.lifetime,
            causes: 0,
            decision: offer.decision,
            mechanism: offer.mechanism,
            closed,
            necessity: offer.necessity,
            stateful: offer.stateful,
            concluded: known.concluded,
            foreign,
            foreign_concluded: foreign && known.concluded,
            accepted_before: known.accepted,
            refused_before: false,
            accepted_later: false,
            slow: Some(false),
            own_key: false,
            other_name: offer.other_name
                || known.concluded && own.is_some_and(|own| own.service != row.service && !foreign),
            other_version: offer.other_version,
            other_hash: offer.other_hash,
            other_certificate: own.is_some_and(|own| {
                own.certificate != 0
                    && row.certificate != 0
                    && own.certificate != row.certificate
                    && own.stack == row.stack
                    && own.service == row.service
            }),
            outdated: known.superseded.is_some_and(|at| self.begins_after(row, at)),
            asks_certificate: shown.asks_certificate && own.is_some_and(|own| self.did_not_ask(own)),
        };
        // Several connections of a burst may share one; later ones that do show that it is never used up.
        let again = known.offered.is_some_and(|last| row.time.since(last) > BURST);
        self.note_use(row, place, &entry, again);
        entry
    }

    /// The certificate of the session that the entries from `first` on resumed.
    fn certificate_of_session(&self, first: usize) -> Option<u32> {
        let mut entries = self.table.entries.iter().skip(first);
        let accepted = entries.find(|entry| entry.decision == Decision::Accepted && !entry.concluded)?;
        Some(self.table.row(accepted.issue)?.certificate)
    }

    /// What is known of a credential by now. A PSK whose issue was not read is of the latest handshake of its client that
    /// may have given one: concluded.
    fn known_at(&mut self, row: &Row, party: Party, offer: &ShownOffer) -> CredentialHistory {
        let id = offer.credential;
        if let Some(known) = self.known.get(id.0) {
            return known;
        }
        let mut known = CredentialHistory::NEW;
        if offer.mechanism == Mechanism::Psk && !offer.issued {
            let here = self.candidate(row);
            let elsewhere = || self.by_name.get(&(row.address, row.stack, party.name)).copied();
            let any_name = || {
                let latest = self.by_endpoint.get(party.client_at_place as usize).copied();
                latest.filter(|latest| *latest != RowNumber::NONE)
            };
            if let Some(candidate) = here.or_else(elsewhere).or_else(any_name) {
                let from = self.table.row(candidate);
                known.issue = candidate;
                known.previous = candidate;
                known.issued = from.map(|from| from.time);
                known.concluded = true;
                let made = from.and_then(|from| self.made.get(from.service as usize));
                known.made = made.copied().unwrap_or(0);
                self.conclude_key(candidate, id);
            }
        }
        self.known.set(id.0, Some(known));
        known
    }

    /// The latest handshake of this client that was over before this hello and may have given it a ticket.
    fn candidate(&self, row: &Row) -> Option<RowNumber> {
        let state = self.states.get(row.client as usize)?;
        let mut latest = state.gave.iter().rev();
        latest.find(|(_, over)| *over < row.time).map(|(place, _)| *place)
    }

    /// The key of the client's next new identity is that of the server which issued it.
    fn conclude_key(&mut self, issuer: RowNumber, id: CredentialId) {
        let Some(name) = self.sources.keys.of(id) else { return };
        let key = self.key(name);
        if let Some(row) = issuer.index().and_then(|index| self.table.rows.get_mut(index))
            && row.issues == 0
        {
            row.issues = key;
            row.issues_concluded = true;
        }
    }

    fn key(&mut self, name: KeyName) -> u32 {
        let number = self.key_numbers.of(name);
        if number as usize == self.table.keys.len() {
            self.table.keys.push(name);
        }
        number + 1
    }

    fn note_use(&mut self, row: &Row, place: RowNumber, entry: &OfferedCredential, again: bool) {
        let mut shared = false;
        if let Some(known) = self.known.get_mut(entry.credential.0) {
            shared = known.offered.replace(row.time).is_some();
            known.again = shared;
            // A handshake that broke over the session ended a connection of it, too.
            if matches!(entry.decision, Decision::Accepted | Decision::Broken) {
                known.previous = place;
            }
            known.accepted = known
                .accepted
                .saturating_add(u8::from(entry.decision == Decision::Accepted));
        }
        // A client may hold several tickets of TLS 1.3 and uses each once, as a rule.
        if let Some(state) = self
            .states
            .get_mut(row.client as usize)
            .filter(|_| entry.mechanism == Mechanism::Psk)
        {
            // One that nobody was seen to give this client may not be among those that were counted, and one that several
            // connections of a burst share is one.
            let own = self.table.row(entry.issue).is_some_and(|own| own.client == row.client);
            state.guessed |= state.held > 0 && (shared || entry.concluded || !own);
            state.held = state.held.saturating_sub(1);
            state.reuses |= again;
        }
    }

    fn is_elsewhere(&self, own: &Row, row: &Row) -> bool {
        let server = |row: &Row| {
            self.table
                .services
                .get(row.service as usize)
                .map(|service| service.server)
        };
        // Where the address is not that of the machine, it says nothing about the machine. Two legs of one connection have two
        // servers as well, and as a rule two clients.
        server(own) != server(row) && own.address == row.address && !own.behind && !row.behind
    }

    /// Whether the server did not ask for a client certificate in the full handshake that made the session.
    fn did_not_ask(&self, own: &Row) -> bool {
        let made = self.connection_store.get(own.connection);
        made.is_some_and(|made| {
            let full = matches!(made.shape.yes(), Some(Shape::Full(_))) && made.server_side.handshake_loss.is_none();
            full && !made.is_tls13() && made.certificate_request.is_none()
        })
    }

    /// What a server issues, for those who come later.
    fn issues(&mut self, row: &mut Row, place: RowNumber, made: u32, issues: &[ShownIssue]) {
        let count = self.made.get_mut(row.service as usize);
        let (before, after) = count.map_or((0, 0), |count| {
            let before = *count;
            *count = before.saturating_add(made);
            (before, *count)
        });
        let mut kept = before;
        for issue in issues {
            kept += u32::from(issue.stateful);
            if let Some(name) = self.sources.keys.of(issue.credential) {
                row.issues = self.key(name);
            }
            // A second leg shows the issue once more: the first stands.
            let known = self.known.get(issue.credential.0).unwrap_or(CredentialHistory::NEW);
            if known.issue == RowNumber::NONE {
                let issued = CredentialHistory {
                    issue: place,
                    previous: place,
                    made: if issue.stateful { kept } else { after },
                    issued: issue.at,
                    ..known
                };
                self.known.set(issue.credential.0, Some(issued));
            }
        }
    }

    /// Whether a connection began only then: a client may choose what it offers as soon as it connects.
    fn begins_after(&self, row: &Row, at: Timestamp) -> bool {
        let connection = self.connection_store.get(row.connection);
        connection.is_some_and(|connection| connection.transport.started > at)
    }

    /// A client that is given a ticket has a newer one than it offered (RFC 5077 §3.3), from then on.
    fn supersede(&mut self, row: &Row, at: Timestamp) {
        for entry in self.table.entries.iter().skip(row.first_entry as usize) {
            // After a refusal the new ticket is of another session: two stores behind one address may hold the two.
            let renewed = entry.mechanism == Mechanism::Ticket && entry.decision == Decision::Accepted;
            if let Some(known) = self.known.get_mut(entry.credential.0).filter(|_| renewed) {
                known.superseded.get_or_insert(at);
            }
        }
    }

    /// What a handshake gives its client, for those who come later.
    fn gives(&mut self, row: &Row, place: RowNumber, party: Party, given: Given) {
        let Some(state) = self.states.get_mut(row.client as usize) else {
            return;
        };
        if matches!(given.gave, Gave::Seen | Gave::Inferred) {
            state.first_given = Some(state.first_given.map_or(given.over, |first| first.min(given.over)));
            state.settled = state.settled.max(Some(given.had));
        }
        let Some(tickets) = given.tickets else { return };
        // Most clients come once.
        if state.coming.capacity() == 0 {
            state.coming.reserve_exact(1);
        }
        state.coming.push_back(tickets);
        if matches!(given.gave, Gave::Seen | Gave::Inferred | Gave::Unclear) {
            if state.gave.len() == MAX_OPEN {
                state.gave.remove(0);
            }
            state.gave.push((place, given.over));
            self.by_name.insert((row.address, row.stack, party.name), place);
            if let Some(latest) = self.by_endpoint.get_mut(party.client_at_place as usize) {
                *latest = place;
            }
        }
    }

    fn finish(mut self) -> Attempts {
        self.look_back();
        super::slow::settle(&mut self.table, self.connection_store);
        self.sort_clients();
        for row in &mut self.table.rows {
            let reuses = self.states.get(row.client as usize).is_some_and(|state| state.reuses);
            row.held = row.held.filter(|_| !reuses);
        }
        let only_keys = self.only_keys();
        let rows = &self.table.rows;
        for entry in &mut self.table.entries {
            let Some(row) = rows.get(entry.row as usize) else {
                continue;
            };
            // The next identity of an address may be another client's, of another server: not where all are of one key.
            let sure = |key| !row.issues_concluded || only_keys.get(&row.service) == Some(&key);
            entry.own_key =
                entry.key != 0 && row.issues == entry.key && entry.decision == Decision::Refused && sure(entry.key);
        }
        super::foreign::settle(&mut self.table);
        super::chains::settle(&mut self.table);
        void_contradicted(&mut self.table);
        self.table.note_keys_at_work();
        self.table
    }

    /// The ticket key of each service at which no other one shows.
    fn only_keys(&self) -> HashMap<u32, u32> {
        let issuing = self.table.rows.iter().map(|row| (row.service, row.issues));
        let offered = self.table.entries.iter().filter_map(|entry| {
            let row = self.table.rows.get(entry.row as usize)?;
            Some((row.service, entry.key))
        });
        let mut only: HashMap<u32, u32> = HashMap::new();
        for (service, key) in issuing.chain(offered).filter(|(_, key)| *key != 0) {
            let known = only.entry(service).or_insert(key);
            if *known != key {
                *known = 0;
            }
        }
        only
    }

    /// From the last entry back: whether a credential that was refused is accepted later under an equal hello, and from
    /// the first on whether it was refused before.
    fn look_back(&mut self) {
        let (rows, known) = (&self.table.rows, &self.known);
        let alike = |entry: &OfferedCredential| {
            // Most credentials are offered once.
            known.get(entry.credential.0).filter(|known| known.again)?;
            let row = rows.get(entry.row as usize)?;
            let key = (entry.credential, row.service, row.stack, row.retried, row.version);
            Some((key, row.decided()))
        };
        let mut later: HashMap<_, i64> = HashMap::new();
        for entry in self.table.entries.iter_mut().rev() {
            let Some((key, decided)) = alike(entry) else { continue };
            entry.accepted_later = later.get(&key).is_some_and(|latest| *latest > decided);
            if entry.decision == Decision::Accepted {
                let latest = later.entry(key).or_insert(decided);
                *latest = decided.max(*latest);
            }
        }
        let mut before: HashMap<_, i64> = HashMap::new();
        for entry in &mut self.table.entries {
            let Some((key, decided)) = alike(entry) else { continue };
            entry.refused_before = before.get(&key).is_some_and(|earliest| *earliest < decided);
            if entry.decision == Decision::Refused {
                let earliest = before.entry(key).or_insert(decided);
                *earliest = decided.min(*earliest);
            }
        }
    }

    /// Counting sort of the rows by client.
    fn sort_clients(&mut self) {
        let table = &mut self.table;
        let mut starts = vec![0_u32; self.turns.len() + 1];
        let mut total = 0;
        for (start, count) in starts.iter_mut().skip(1).zip(&self.turns) {
            total += count;
            *start = total;
        }
        let mut sorted = vec![0_u32; table.rows.len()];
        for (number, row) in (0_u32..).zip(&table.rows) {
            let start = starts.get(row.client as usize).copied().unwrap_or(0);
            if let Some(slot) = sorted.get_mut((start + row.turn) as usize) {
                *slot = number;
            }
        }
        table.client_starts = starts;
        table.client_rows = sorted;
    }
}
