//! What a rule may look at.

use std::cell::OnceCell;

use crate::net::{At, FrameRef, Timestamp};
use crate::session::{
    Completed, Connection, ConnectionId, Credential, CredentialId, Drops, Mechanism, Offer, OfferKind, Seen, Service,
    Shape, TicketsInferred,
};
use crate::store::{ConnectionStore, CredentialStore};

use super::behaviour::ClientBehaviour;
use super::history::History;
use super::service::{ServiceAnalyses, ServiceAnalysis};

/// Earlier connections of a client that are looked at for one that gave it something.
const MAX_SEARCHED: usize = 256;
/// The same between two addresses: clients change more often than that.
const MAX_SEARCHED_BETWEEN: usize = 64;

/// Read-only view of one connection among all others.
#[derive(Debug, Clone)]
pub struct RuleContext<'a> {
    /// Its number.
    pub id: ConnectionId,
    /// The connection.
    pub connection: &'a Connection,
    /// All connections.
    pub connection_store: &'a ConnectionStore,
    /// All credentials.
    pub credential_store: &'a CredentialStore,
    /// Who did what before.
    pub history: &'a History,
    /// What service analysis shows.
    pub analyses: &'a ServiceAnalyses,
    /// What was lost while capturing.
    pub drops: &'a Drops,
    /// What many rules ask for, looked up once.
    pub asked: Asked<'a>,
}

/// What was looked up for a rule, for those that ask after it.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// See [`RuleContext::latest_gift`].
    latest_gift: OnceCell<Option<Issuance<'a>>>,
    /// See [`RuleContext::gift_to_any_stack`].
    gift_to_any_stack: OnceCell<Option<Issuance<'a>>>,
}

/// A credential that was offered on the connection at hand.
#[derive(Debug, Clone, Copy)]
pub struct OfferAtHand<'a> {
    /// The offer.
    pub offer: &'a Offer,
    /// What it is.
    pub mechanism: Mechanism,
    /// What is known of it.
    pub credential: &'a Credential,
}

impl<'a> RuleContext<'a> {
    /// Whether something that came before is not known: connections were folded away at the memory limit, packets lost
    /// while capturing, or a handshake of this address at this server has no visible ClientHello.
    #[must_use]
    pub fn lacks_the_past(&self) -> bool {
        self.lacks_connections() || self.history.may_hide_a_handshake(self.id, self.connection)
    }

    /// Whether whole connections before this one may not be known.
    #[must_use]
    pub fn lacks_connections(&self) -> bool {
        self.connection_store.evicted_total() > 0 || self.drops.before(self.hello_time()) > 0
    }

    /// Credentials offered for resumption.
    pub fn offered(&self) -> impl Iterator<Item = OfferAtHand<'a>> + use<'a> {
        let credential_store = self.credential_store;
        self.connection.offers.iter().filter_map(move |offer| match offer.kind {
            OfferKind::Resumption(mechanism) => Some(OfferAtHand {
                offer,
                mechanism,
                credential: credential_store.get(offer.credential)?,
            }),
            OfferKind::ExternalPsk | OfferKind::UnclearPsk | OfferKind::UnclearSessionId => None,
        })
    }

    /// The connection that issued a credential, where that was visible.
    #[must_use]
    pub fn issuer(&self, credential: &Credential) -> Option<&'a Connection> {
        self.connection_store.get(credential.issued?.connection)
    }

    /// Earlier connections of this client stack to this service, latest first. A connection without server name
    /// belongs with those without one.
    pub fn earlier(&self) -> impl Iterator<Item = &'a Connection> + use<'a> {
        self.earlier_numbered().map(|(_, earlier)| earlier)
    }

    fn earlier_numbered(&self) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + use<'a> {
        self.history.earlier_at_service(self.connection_store, self.id)
    }

    /// What this client does at this service, over the whole capture.
    #[must_use]
    pub fn behaviour(&self) -> ClientBehaviour {
        self.history.behaviour(self.id)
    }

    /// The latest handshake of this client stack with this service that gave it something to offer in time, as far as
    /// can be told.
    #[must_use]
    pub fn latest_gift(&self) -> Option<Issuance<'a>> {
        let search = || {
            let mut earlier = self.earlier_numbered().take(MAX_SEARCHED);
            earlier.find_map(|earlier| self.issuance(earlier))
        };
        *self.asked.latest_gift.get_or_init(search)
    }

    /// The latest handshake between this client address and service that surely gave something in time, whatever the client
    /// stack.
    #[must_use]
    pub fn gift_to_any_stack(&self) -> Option<Issuance<'a>> {
        let connection = self.connection;
        let search = || {
            self.history
                .earlier_between(self.connection_store, self.id)
                .take(MAX_SEARCHED_BETWEEN)
                .filter(|(_, earlier)| earlier.server == connection.server)
                .filter(|(_, earlier)| earlier.server_name() == connection.server_name())
                .find_map(|earlier| self.issuance(earlier).filter(Issuance::is_sure))
        };
        *self.asked.gift_to_any_stack.get_or_init(search)
    }

    /// What an earlier connection gave its client before this ClientHello.
    #[must_use]
    pub fn issuance(&self, (id, earlier): (ConnectionId, &'a Connection)) -> Option<Issuance<'a>> {
        let (given, over) = gave(earlier)?;
        let something = matches!(given, Gave::Seen | Gave::Inferred | Gave::Unclear);
        (something && self.before_hello(over)).then_some(Issuance {
            id,
            from: earlier,
            given,
            over,
        })
    }

    /// The credentials that a connection of TLS 1.2 or older left its client with: those it issued, or the one that it
    /// resumed. A client given a ticket forgets the session ID beside it (RFC 5077 §3.4).
    pub fn left_with<'c>(
        &self,
        connection: &'c Connection,
    ) -> impl Iterator<Item = (CredentialId, &'a Credential)> + use<'a, 'c> {
        let credential_store = self.credential_store;
        let ids = if connection.issued.is_empty() {
            connection.accepted.as_slice()
        } else {
            connection.issued.as_slice()
        };
        let all = move || ids.iter().filter_map(move |id| Some((*id, credential_store.get(*id)?)));
        let ticket = all().any(|(_, credential)| credential.mechanism == Mechanism::Ticket);
        all().filter(move |(_, credential)| !ticket || credential.mechanism == Mechanism::Ticket)
    }

    /// What service analysis shows of the service.
    #[must_use]
    pub fn analysis(&self) -> Option<&'a ServiceAnalysis> {
        self.analyses.service(&Service::of(self.connection))
    }

    /// Whether a packet came before the ClientHello. Packets may bear no time or the same: then the frame decides.
    #[must_use]
    pub fn before_hello(&self, at: At) -> bool {
        let hello = self.connection.hello.yes().map(|hello| hello.at);
        let first = self.connection.retry.as_ref().map(|retry| retry.first_hello).or(hello);
        first.is_some_and(|first| order(&at) < order(&first))
    }

    /// When the ClientHello was sent.
    #[must_use]
    pub fn hello_time(&self) -> Timestamp {
        self.connection.hello_time()
    }
}

/// How certain it is that a connection gave its client something to resume with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gave {
    /// A credential was seen.
    Seen,
    /// Records of the look of tickets were seen (TLS 1.3).
    Inferred,
    /// It cannot be told (TLS 1.3).
    Unclear,
    /// Nothing, as far as lengths tell (TLS 1.3).
    NothingInferred,
    /// Nothing: all that could be issued was visible, or read with keys.
    Nothing,
}

/// A handshake that left its client with something to offer.
#[derive(Debug, Clone, Copy)]
pub struct Issuance<'a> {
    /// Number of the connection.
    pub id: ConnectionId,
    /// The connection.
    pub from: &'a Connection,
    /// How certain it is.
    pub given: Gave,
    /// From when on it could be used.
    pub over: At,
}

impl Issuance<'_> {
    /// Whether what was given is known and not merely possible.
    #[must_use]
    pub const fn is_sure(&self) -> bool {
        matches!(self.given, Gave::Seen | Gave::Inferred)
    }
}

/// What a completed connection gave its client, and when that could be used at the earliest.
#[must_use]
pub fn gave(connection: &Connection) -> Option<(Gave, At)> {
    if connection.completed != Completed::Yes {
        return None;
    }
    let finished = [connection.server_side.finished, connection.client_side.finished];
    let from = finished.into_iter().flatten().max_by_key(order)?;
    let gave = if let TicketsInferred::Read { usable, .. } = connection.tickets_inferred {
        if usable { Gave::Seen } else { Gave::Nothing }
    } else if !connection.issued.is_empty() || (connection.accepted.is_some() && !connection.is_tls13()) {
        Gave::Seen
    } else if !connection.is_tls13() {
        // Sessions made by renegotiation are issued under encryption, what was lost may have issued one, and a server
        // that resumes what nobody saw offered leaves its client with that.
        let full = matches!(connection.shape, Seen::Yes(Shape::Full(_)));
        let unseen = connection.answer.yes().is_none() || connection.server_side.finished.is_none() || !full;
        let lost = connection.server_side.handshake_loss.is_some() || connection.lost_promised_ticket();
        if connection.renegotiations > 0 || lost || unseen {
            Gave::Unclear
        } else {
            Gave::Nothing
        }
    } else {
        match connection.tickets_inferred {
            TicketsInferred::Like(_) => Gave::Inferred,
            TicketsInferred::None => Gave::NothingInferred,
            TicketsInferred::Unclear | TicketsInferred::Read { .. } => Gave::Unclear,
        }
    };
    Some((gave, from))
}

/// Orders packets by time, and by frame where times are equal.
pub(super) fn order(at: &At) -> (Timestamp, FrameRef) {
    (at.time, at.frame)
}

#[cfg(test)]
mod tests {
    use crate::session::Blindness;
    use crate::session::tests::{answered, at};
    use crate::tls::ProtocolVersion;

    use super::*;

    fn completed(version: ProtocolVersion, change: impl FnOnce(&mut Connection)) -> Option<(Gave, At)> {
        let mut connection = answered(1, "a.test", version);
        connection.completed = Completed::Yes;
        connection.client_side.finished = Some(at(3));
        connection.server_side.finished = Some(at(4));
        connection.shape = Seen::Yes(Shape::Full(at(2)));
        change(&mut connection);
        gave(&connection)
    }

    fn tls12(change: impl FnOnce(&mut Connection)) -> Option<Gave> {
        completed(ProtocolVersion::TLS_1_2, change).map(|(gave, _)| gave)
    }

    #[test]
    fn a_promised_ticket_that_is_not_there_was_lost_where_losses_leave_no_gap() {
        use crate::session::{DatagramFacts, DtlsFacts, RareFacts};
        let promising = |change: fn(&mut Connection)| {
            tls12(|connection| {
                if let Seen::Yes(answer) = &mut connection.answer {
                    answer.ticket_promised = true;
                }
                change(connection);
            })
        };
        assert_eq!(
            promising(|_| ()),
            Some(Gave::Nothing),
            "over TCP an empty ticket is all that was issued"
        );
        let over_dtls = |connection: &mut Connection| {
            connection.transport.uncommon = Some(Box::new(RareFacts {
                datagram: Some(Box::new(DatagramFacts::Dtls(DtlsFacts::default()))),
                ..RareFacts::default()
            }));
        };
        assert_eq!(promising(over_dtls), Some(Gave::Unclear));
    }

    fn tls13(tickets: TicketsInferred) -> Option<Gave> {
        let change = |connection: &mut Connection| connection.tickets_inferred = tickets;
        completed(ProtocolVersion::TLS_1_3, change).map(|(gave, _)| gave)
    }

    #[test]
    fn what_a_handshake_before_tls13_gave_is_visible_unless_it_was_lost_or_protected() {
        assert_eq!(tls12(|_| ()), Some(Gave::Nothing));
        assert_eq!(
            tls12(|connection| connection.issued.push(CredentialId(0))),
            Some(Gave::Seen)
        );
        assert_eq!(
            tls12(|connection| connection.accepted = Some(CredentialId(0))),
            Some(Gave::Seen)
        );
        assert_eq!(tls12(|connection| connection.renegotiations = 1), Some(Gave::Unclear));
        let lost = |connection: &mut Connection| connection.server_side.handshake_loss = Some(Blindness::Gap);
        assert_eq!(tls12(lost), Some(Gave::Unclear));
        // A ticket stands in front of the server's Finished.
        let end_lost = |connection: &mut Connection| connection.server_side.finished = None;
        assert_eq!(tls12(end_lost), Some(Gave::Unclear));
        let unanswered = |connection: &mut Connection| connection.answer = Seen::Blind(Blindness::Snaplen);
        assert_eq!(tls12(unanswered), Some(Gave::Unclear));
        let resumed = |connection: &mut Connection| connection.shape = Seen::Yes(Shape::Abbreviated(at(2)));
        assert_eq!(tls12(resumed), Some(Gave::Unclear));
    }

    #[test]
    fn what_a_handshake_of_tls13_gave_is_read_or_concluded() {
        assert_eq!(tls13(TicketsInferred::Like(2)), Some(Gave::Inferred));
        assert_eq!(tls13(TicketsInferred::None), Some(Gave::NothingInferred));
        assert_eq!(tls13(TicketsInferred::Unclear), Some(Gave::Unclear));
        let read = |usable| TicketsInferred::Read { usable, complete: true };
        assert_eq!(tls13(read(true)), Some(Gave::Seen));
        assert_eq!(tls13(read(false)), Some(Gave::Nothing));
        // The PSK that was accepted is spent.
        let resumed = completed(ProtocolVersion::TLS_1_3, |connection| {
            connection.accepted = Some(CredentialId(0));
            connection.tickets_inferred = TicketsInferred::None;
        });
        assert_eq!(resumed.map(|(gave, _)| gave), Some(Gave::NothingInferred));
    }

    #[test]
    fn what_a_connection_gave_is_sure_only_where_something_of_it_shows() {
        let connection = crate::diagnosis::tests::full(1);
        let sure = |given| {
            let issuance = Issuance {
                id: ConnectionId(0),
                from: &connection,
                given,
                over: at(1),
            };
            issuance.is_sure()
        };
        assert!(sure(Gave::Seen) && sure(Gave::Inferred));
        assert!(!sure(Gave::Unclear) && !sure(Gave::NothingInferred) && !sure(Gave::Nothing));
    }

    #[test]
    fn a_handshake_gives_from_its_last_finished_on_and_only_when_complete() {
        let over = |change: fn(&mut Connection)| completed(ProtocolVersion::TLS_1_2, change).map(|(_, over)| over);
        assert_eq!(over(|_| ()), Some(at(4)));
        assert_eq!(
            over(|connection| connection.client_side.finished = Some(at(5))),
            Some(at(5))
        );
        assert_eq!(over(|connection| connection.server_side.finished = None), Some(at(3)));
        assert_eq!(over(|connection| connection.completed = Completed::No), None);
        assert_eq!(
            over(|connection| connection.completed = Completed::Blind(Blindness::Gap)),
            None
        );
    }
}
