//! What a rule may look at: one service among all others.

use hashbrown::HashSet;

use super::sharing::KeyUsage;
use crate::diagnosis::service::{KeyName, ServiceAnalyses, ServiceAnalysis};
use crate::net::{FrameRef, Timestamp};
use crate::session::{Connection, ConnectionId, Credential, CredentialId, Mechanism, Service};
use crate::store::{ConnectionStore, CredentialStore};

/// Read-only view of one service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceContext<'a> {
    /// Endpoint and name.
    pub service: &'a Service,
    /// What hindsight says of it.
    pub insight: &'a ServiceAnalysis,
    /// What hindsight says of all.
    pub hindsight: &'a ServiceAnalyses,
    /// All connections.
    pub kept: &'a ConnectionStore,
    /// All credentials.
    pub ledger: &'a CredentialStore,
    /// Where each ticket key is in use.
    pub(super) seats: &'a KeyUsage,
    /// Distinct tickets that were issued here in clear or offered here, external PSKs left out.
    pub(super) tickets: &'a [Shown<'a>],
}

/// A ticket, or the identity of a resumption PSK, where the service first showed it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) id: CredentialId,
    pub(super) credential: &'a Credential,
    /// The NewSessionTicket, or the ClientHello that offers it.
    pub(super) frame: FrameRef,
}

impl<'a> ServiceContext<'a> {
    /// Its connections in the order of their hellos.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + use<'a> {
        self.kept.in_turn(&self.insight.members)
    }

    /// Distinct tickets that were issued here in clear or offered here, external PSKs left out.
    pub(super) fn find_tickets(&self) -> impl Iterator<Item = Shown<'a>> + use<'a> {
        let ledger = self.ledger;
        let mut met: HashSet<CredentialId> = HashSet::new();
        let all = self.connections().flat_map(move |(id, connection)| {
            let issued = connection.issued.iter().filter_map(move |credential| {
                let issue = ledger.get(*credential)?.issued.filter(|issue| issue.connection == id)?;
                Some((*credential, issue.at.frame))
            });
            let hello = connection.hello.yes().map(|hello| hello.at.frame);
            let offered = connection
                .offers
                .iter()
                .filter(|offer| matches!(offer.kind, crate::session::OfferKind::Resumption(_)))
                .filter_map(move |offer| Some((offer.credential, hello?)));
            issued.chain(offered)
        });
        all.filter_map(move |(id, frame)| {
            let credential = ledger.get(id)?;
            let ticket = credential.mechanism != Mechanism::SessionId;
            (ticket && met.insert(id)).then_some(Shown { id, credential, frame })
        })
    }
}

impl ServiceContext<'_> {
    /// The frame in which a key was at work at that time at a service: a ticket, or the hello that offers one.
    pub(super) fn at_work(&self, insight: &ServiceAnalysis, name: KeyName, time: Timestamp) -> Option<FrameRef> {
        let mut at_that_time = self
            .kept
            .in_turn(&insight.members)
            .filter(|(_, connection)| connection.hello_time() == time);
        at_that_time.find_map(|(_, connection)| {
            let under = |id: &CredentialId| self.hindsight.key_name(*id) == Some(name);
            let issued = connection.issued.iter().find(|id| under(id));
            let issue = issued.and_then(|id| self.ledger.get(*id)?.issued);
            let accepted = || connection.accepted.filter(under).and(connection.hello.yes());
            issue
                .map(|issue| issue.at.frame)
                .or_else(|| accepted().map(|hello| hello.at.frame))
        })
    }
}

/// Whether all bytes are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
