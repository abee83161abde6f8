//! What handshakes show by themselves, whatever came before them. It is gathered from some connections at a time, by whichever
//! thread has the time; the table is filled from it without a look at any connection.

use super::decided::{broke, decision, other_hash, other_name, other_suite, other_version};
use super::ending::{ClosedBy, closed_by};
use super::necessity::Necessity;
use super::{Decision, GivenBefore, Row, is_stateful};
use crate::diagnosis::context::{Gave, gave};
use crate::net::Timestamp;
use crate::session::{
    Completed, Connection, ConnectionId, CredentialId, Mechanism, OfferKind, Outcome, Side, TicketsInferred,
};
use crate::store::{ConnectionStore, CredentialStore};

/// What some handshakes show, in their order.
#[derive(Debug, Default)]
pub struct Shown {
    pub(super) handshakes: Vec<ShownHandshake>,
    /// Their offers, side by side.
    pub(super) offers: Vec<ShownOffer>,
    /// What their servers issued, side by side.
    pub(super) issues: Vec<ShownIssue>,
}

/// One handshake.
#[derive(Debug)]
pub(super) struct ShownHandshake {
    /// Without what only others tell: who its parties are, and what its client holds.
    pub(super) row: Row,
    pub(super) certificate: Option<[u8; 16]>,
    /// How many of [`Shown::offers`] are its own.
    pub(super) offers: usize,
    /// How many of [`Shown::issues`] are its own.
    pub(super) issues: usize,
    /// Sessions that the server made, as far as their credentials show: what was issued may have been forgotten since.
    pub(super) made: u32,
    /// The server asks for a client certificate.
    pub(super) asks_certificate: bool,
    /// The client showed one.
    pub(super) client_certificate: bool,
    pub(super) given: Option<Given>,
}

/// What a handshake left its client with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) gave: Gave,
    /// From when on it could be used.
    pub(super) over: Timestamp,
    /// From when on a hello of its client surely comes after it: where the capture is not made at the client, one that was sent
    /// without it is seen up to a round trip later, and the handshake took no less.
    pub(super) had: Timestamp,
    pub(super) tickets: Option<GivenTickets>,
}

/// Tickets of TLS 1.3 that a handshake gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenTickets {
    /// From when on the client holds them.
    pub(super) at_hand: Timestamp,
    pub(super) count: Option<u8>,
    /// The count was concluded from sizes.
    pub(super) guessed: bool,
}

/// A credential that was offered.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownOffer {
    pub(super) credential: CredentialId,
    pub(super) mechanism: Mechanism,
    pub(super) decision: Decision,
    pub(super) necessity: Option<Necessity>,
    pub(super) lifetime: u32,
    pub(super) stateful: bool,
    pub(super) other_name: bool,
    pub(super) other_version: bool,
    pub(super) other_hash: bool,
    /// Its issue was seen.
    pub(super) issued: bool,
}

/// A credential that was issued.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownIssue {
    pub(super) credential: CredentialId,
    pub(super) at: Option<Timestamp>,
    pub(super) ticket: bool,
    /// The server keeps its session.
    pub(super) stateful: bool,
}

impl Shown {
    /// Handshakes that are best looked at together: what they show stays in the cache until the table takes it.
    pub const PIECE: usize = 1024;

    /// Of these connections, as far as they are kept.
    #[must_use]
    pub fn of(connection_store: &ConnectionStore, credential_store: &CredentialStore, ids: &[ConnectionId]) -> Self {
        let mut shown = Self {
            handshakes: Vec::with_capacity(ids.len()),
            ..Self::default()
        };
        for (id, connection) in connection_store.in_turn(ids) {
            shown.add(id, connection, credential_store);
        }
        shown
    }

    /// Of all of them, some at a time.
    pub fn in_pieces<'a>(
        connection_store: &'a ConnectionStore,
        credential_store: &'a CredentialStore,
        ids: &'a [ConnectionId],
    ) -> impl Iterator<Item = Self> + use<'a> {
        let pieces = ids.chunks(Self::PIECE);
        pieces.map(|piece| Self::of(connection_store, credential_store, piece))
    }

    fn add(&mut self, id: ConnectionId, connection: &Connection, credential_store: &CredentialStore) {
        let (offers, issues) = (self.offers.len(), self.issues.len());
        if connection.hello.yes().is_some() {
            self.offers.extend(offers_of(connection, credential_store));
        }
        self.issues.extend(connection.issued.iter().filter_map(|id| {
            let credential = credential_store.get(*id)?;
            Some(ShownIssue {
                credential: *id,
                at: credential.issued.map(|issue| issue.at.time),
                ticket: credential.mechanism == Mechanism::Ticket,
                stateful: is_stateful(credential),
            })
        }));
        // A session ID and a ticket of one handshake are of one session; what several tickets of TLS 1.3 stand for is kept for each.
        let kept = self.issues.iter().skip(issues).filter(|issue| issue.stateful).count();
        let made = kept.max(usize::from(!connection.issued.is_empty()));
        self.handshakes.push(ShownHandshake {
            row: row(id, connection),
            certificate: connection.certificate.map(|(digest, _)| digest),
            offers: self.offers.len() - offers,
            issues: self.issues.len() - issues,
            made: u32::try_from(made).unwrap_or(u32::MAX),
            asks_certificate: connection.certificate_request.is_some(),
            client_certificate: connection.client_certificate.is_some(),
            given: given(connection),
        });
    }
}

fn row(id: ConnectionId, connection: &Connection) -> Row {
    let ended = Side::BOTH.into_iter().filter_map(|side| connection.side(side).ended());
    let hello = connection.hello.yes().is_some();
    let never = Timestamp::from_nanos(i64::MAX);
    let time = connection.hello_time();
    let answered = connection
        .answer
        .yes()
        .map_or(0, |answer| answer.at.time.since(time) / 1_000);
    Row {
        time,
        answered_after: u32::try_from(answered.max(0)).unwrap_or(u32::MAX),
        ended: ended.map(|at| at.time).min().unwrap_or(never),
        connection: id,
        service: 0,
        address: 0,
        stack: 0,
        client: 0,
        turn: 0,
        first_entry: 0,
        issues: 0,
        certificate: 0,
        machine: 0,
        entries: 0,
        closed: closed_by(connection, never),
        held: None,
        held_read: false,
        spent: false,
        given: GivenBefore::Nothing,
        newcomer: false,
        version: connection.version().map_or(0, |version| version.0),
        retried: connection.retry.is_some(),
        broken: broke(connection),
        completed: connection.completed == Completed::Yes,
        issues_concluded: false,
        hello,
        silent: connection.outcome == Outcome::NotOffered
            || (connection.outcome == Outcome::Failed && connection.offers.is_empty() && hello),
        behind: connection
            .transport
            .behind()
            .is_some_and(|behind| behind != connection.server),
    }
}

impl Row {
    /// How it ended, as far as it was over by `time`: see [`closed_by`].
    pub(super) fn closed_by(&self, time: Timestamp) -> ClosedBy {
        if self.ended < time {
            self.closed
        } else {
            ClosedBy::Unknown
        }
    }
}

fn offers_of<'a>(
    connection: &'a Connection,
    credential_store: &'a CredentialStore,
) -> impl Iterator<Item = ShownOffer> + use<'a> {
    connection.offers.iter().filter_map(|offer| {
        let OfferKind::Resumption(mechanism) = offer.kind else {
            return None;
        };
        let credential = credential_store.get(offer.credential)?;
        let necessity = Necessity::of(connection, offer, credential, mechanism);
        let unforced = necessity.is_none();
        Some(ShownOffer {
            credential: offer.credential,
            mechanism,
            decision: match decision(connection, offer.credential, mechanism) {
                Decision::Refused if unforced && other_suite(connection, credential, mechanism) => Decision::NotJudged,
                decision => decision,
            },
            necessity,
            lifetime: credential.lifetime.unwrap_or(0),
            stateful: is_stateful(credential),
            other_name: other_name(connection, credential, mechanism),
            other_version: other_version(connection, credential, mechanism),
            other_hash: mechanism == Mechanism::Psk && other_hash(connection, offer),
            issued: credential.issued.is_some(),
        })
    })
}

fn had(connection: &Connection, over: Timestamp) -> Timestamp {
    let handshake = over.since(connection.hello_time()).max(0);
    Timestamp::from_nanos(over.nanos().saturating_add(handshake))
}

/// Tickets of TLS 1.3 are given under encryption: what a handshake may have given, as far as sizes or keys tell.
fn given(connection: &Connection) -> Option<Given> {
    let (gave, over) = gave(connection)?;
    let tickets = connection.is_tls13().then(|| GivenTickets {
        // Tickets come with the first data of the server: they are at hand once the client has gone on.
        at_hand: connection
            .client_side
            .application_data
            .map_or(over.time, |at| at.time.max(over.time)),
        count: match connection.tickets_inferred {
            TicketsInferred::Like(count) => Some(count),
            TicketsInferred::None => Some(0),
            TicketsInferred::Read { complete: true, .. } => u8::try_from(connection.issued.len()).ok(),
            TicketsInferred::Read { complete: false, .. } | TicketsInferred::Unclear => None,
        },
        guessed: !matches!(connection.tickets_inferred, TicketsInferred::Read { .. }),
    });
    Some(Given {
        gave,
        over: over.time,
        had: had(connection, over.time),
        tickets,
    })
}
