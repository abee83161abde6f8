//! What a rule may look at: one service among all others.

use super::sharing::KeyUsage;
use crate::diagnosis::numbered::Numbered;
use crate::diagnosis::service::{KeyName, ServiceAnalyses, ServiceAnalysis};
use crate::net::{FrameRef, Timestamp};
use crate::session::{Connection, ConnectionId, Credential, CredentialId, Mechanism, Service};
use crate::store::{ConnectionStore, CredentialStore};

/// Read-only view of one service.
#[derive(Debug, Clone, Copy)]
pub struct SecurityContext<'a> {
    /// Endpoint and name.
    pub service: &'a Service,
    /// What service analysis says of it.
    pub analysis: &'a ServiceAnalysis,
    /// What service analysis says of all.
    pub analyses: &'a ServiceAnalyses,
    /// All connections.
    pub connection_store: &'a ConnectionStore,
    /// All credentials.
    pub credential_store: &'a CredentialStore,
    /// Where each ticket key is in use.
    pub(super) key_usage: &'a KeyUsage,
    /// Distinct tickets that were issued here in clear or offered here, external PSKs left out.
    pub(super) tickets: &'a [FirstShown<'a>],
    /// Its connections that resumed a session, in the order of their hellos.
    pub(super) resumed: &'a [(ConnectionId, &'a Connection)],
}

/// A ticket, or the identity of a resumption PSK, where the service first showed it.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstShown<'a> {
    pub(super) id: CredentialId,
    pub(super) credential: &'a Credential,
    /// The NewSessionTicket, or the ClientHello that offers it.
    pub(super) frame: FrameRef,
}

impl<'a> SecurityContext<'a> {
    /// Its connections in the order of their hellos.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + use<'a> {
        self.connection_store.in_turn(&self.analysis.members)
    }

    /// Distinct tickets that were issued here in clear or offered here, external PSKs left out. `met` holds for each credential
    /// the service that showed it last; this one has the number `here`.
    pub(super) fn find_tickets<'m>(
        &self,
        met: &'m mut Numbered<u32>,
        here: u32,
    ) -> impl Iterator<Item = FirstShown<'a>> + use<'a, 'm> {
        let credential_store = self.credential_store;
        let all = self.connections().flat_map(move |(id, connection)| {
            let issued = connection.issued.iter().filter_map(move |credential| {
                let issue = credential_store
                    .get(*credential)?
                    .issued
                    .filter(|issue| issue.connection == id)?;
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
            let credential = credential_store.get(id)?;
            let ticket = credential.mechanism != Mechanism::SessionId;
            if !ticket || met.get(id.0) == Some(here) {
                return None;
            }
            met.set(id.0, Some(here));
            Some(FirstShown { id, credential, frame })
        })
    }
}

impl SecurityContext<'_> {
    /// The frame in which a key was at work at that time at a service: a ticket, or the hello that offers one.
    pub(super) fn at_work(&self, analysis: &ServiceAnalysis, name: KeyName, time: Timestamp) -> Option<FrameRef> {
        let mut at_that_time = self
            .connection_store
            .in_turn(&analysis.members)
            .filter(|(_, connection)| connection.hello_time() == time);
        at_that_time.find_map(|(_, connection)| {
            let under = |id: &CredentialId| self.analyses.key_name(*id) == Some(name);
            let issued = connection.issued.iter().find(|id| under(id));
            let issue = issued.and_then(|id| self.credential_store.get(*id)?.issued);
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
