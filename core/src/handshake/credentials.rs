//! Credentials of a connection: what the ClientHello proposed becomes offers, one of them is accepted, and new ones are
//! issued.

use super::{HandshakeTracker, MAX_ISSUED};
use crate::net::At;
use crate::session::TransportKind;
use crate::session::{Blindness, Seen};
use crate::session::{Credential, CredentialFingerprint, CredentialId, Issue, PskTerms, imported_identity};
use crate::session::{EarlyData, Mechanism, Offer, OfferKind, Shape};
use crate::store::CredentialStore;
use crate::tls::handshake::NewSessionTicket;

/// A PSK identity below this is no ticket: the shortest ones in use are 32-byte session IDs of stateful servers.
const SHORTEST_TICKET: u32 = 32;

/// A session ID as it stood in a hello; digested only when it turns out to matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OfferedSessionId {
    length: u8,
    bytes: [u8; 32],
}

impl OfferedSessionId {
    pub(super) fn of(id: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
        Self {
            length: u8::try_from(id.len().min(32)).unwrap_or(32),
            bytes,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    pub(super) fn name(&self) -> CredentialFingerprint {
        CredentialFingerprint::of(self.bytes())
    }
}

/// Credentials of a ClientHello until it is known what they are.
#[derive(Debug, Clone)]
pub(super) struct Proposed {
    pub(super) session_id: Option<OfferedSessionId>,
    pub(super) ticket: Option<CredentialFingerprint>,
    pub(super) psks: Vec<ProposedPsk>,
    /// Identities of the first ClientHello that the second, after a HelloRetryRequest, leaves out: their hash is not that
    /// of the suite that the server chose (RFC 8446 §4.1.4), or the client does not try again.
    pub(super) left_out: Vec<ProposedPsk>,
}

#[derive(Debug, Clone)]
pub(super) struct ProposedPsk {
    pub(super) name: CredentialFingerprint,
    pub(super) obfuscated_age: u32,
    pub(super) binder: u8,
    pub(super) looks_external: bool,
}

impl HandshakeTracker {
    /// Settles what the hellos of both sides decide together, as soon as both are there.
    pub(super) fn settle(&mut self, credential_store: &mut CredentialStore) {
        self.resolve_offers(credential_store, false);
        if self.facts.is_tls13() {
            self.settle_tls13();
        } else {
            self.settle_tls12(credential_store);
        }
    }

    fn settle_tls13(&mut self) {
        if self.proposed.is_some() {
            return;
        }
        let facts = &mut *self.facts;
        let (Some(hello), Some(answer)) = (facts.hello.yes(), facts.answer.yes()) else {
            return;
        };
        let psk_offers = || {
            facts.offers.iter().filter(|offer| {
                !matches!(
                    offer.kind,
                    OfferKind::Resumption(Mechanism::SessionId | Mechanism::Ticket) | OfferKind::UnclearSessionId
                )
            })
        };
        // The index counts the identities of the latest hello; what only the first one had stands behind them.
        if let Some(index) = answer.selected_psk.filter(|index| *index < u16::from(self.hellos.psks)) {
            facts.accepted = psk_offers().nth(usize::from(index)).map(|offer| offer.credential);
        }
        if hello.early_data && facts.early_data == EarlyData::NotOffered {
            facts.early_data = match (&facts.retry, answer.selected_psk) {
                (Some(retry), _) => EarlyData::Rejected {
                    at: retry.request,
                    inferred: false,
                },
                (None, Some(0)) => EarlyData::Unclear(Blindness::Encrypted),
                (None, _) => EarlyData::Rejected {
                    at: answer.at,
                    inferred: false,
                },
            };
        }
    }

    fn settle_tls12(&mut self, credential_store: &mut CredentialStore) {
        let (Some(&shape), true) = (self.facts.shape.yes(), self.proposed.is_none()) else {
            return;
        };
        let early_data = self.facts.hello.yes().is_some_and(|hello| hello.early_data);
        if let (true, Some(answer)) = (
            early_data && self.facts.early_data == EarlyData::NotOffered,
            self.facts.answer.yes(),
        ) {
            self.facts.early_data = EarlyData::Rejected {
                at: answer.at,
                inferred: false,
            };
        }
        match shape {
            Shape::Abbreviated(_) => self.accept_tls12(credential_store),
            Shape::Full(_) => {
                let echoed = self.facts.answer.yes().is_some_and(|answer| answer.session_id_echoed);
                if let (false, Some(answer)) = (echoed, self.facts.answer.yes()) {
                    let at = answer.at;
                    if let Some(name) = self.server_session_id.take() {
                        self.issue(Mechanism::SessionId, name.name(), (None, None), at, credential_store);
                    }
                }
            }
        }
    }

    /// TLS 1.2 and older, and the capture ends behind the ServerHello: another session ID than the one in the hello is a
    /// refusal, the same one an acceptance (RFC 5246 §7.4.1.3). An empty one in the hello, beside a ticket, tells nothing.
    pub(super) fn conclude_shape(&mut self, cause: Blindness, credential_store: &mut CredentialStore) {
        let Some(answer) = self.facts.answer.yes() else { return };
        if !cause.is_end_of_capture() || answer.version.is_tls13() || self.client_session_id.is_none() {
            return;
        }
        let shape = if answer.session_id_echoed {
            Shape::Abbreviated(answer.at)
        } else {
            Shape::Full(answer.at)
        };
        self.facts.shape = Seen::Yes(shape);
        self.facts.shape_concluded = true;
        self.settle_tls12(credential_store);
    }

    /// RFC 5077 §3.4: with a ticket in the hello the session ID is not what the server resumes.
    fn accept_tls12(&mut self, credential_store: &mut CredentialStore) {
        if self.facts.accepted.is_some() {
            return;
        }
        // What is accepted was an offer, whatever it was taken for.
        for offer in &mut self.facts.offers {
            if offer.kind == OfferKind::UnclearSessionId {
                offer.kind = OfferKind::Resumption(Mechanism::SessionId);
            }
        }
        let of = |mechanism: Mechanism| {
            self.facts
                .offers
                .iter()
                .find(|offer| offer.kind == OfferKind::Resumption(mechanism))
                .map(|offer| offer.credential)
        };
        self.facts.accepted = of(Mechanism::Ticket).or_else(|| of(Mechanism::SessionId));
        let echoed = self.facts.answer.yes().is_some_and(|answer| answer.session_id_echoed);
        if let (None, true, Some(name)) = (self.facts.accepted, echoed, self.server_session_id) {
            // A client that also speaks TLS 1.3 offered an ID nobody saw issued, and the server honours it.
            let id = self.offer(
                Mechanism::SessionId,
                &name.name(),
                OfferKind::Resumption(Mechanism::SessionId),
                (0, 0),
                credential_store,
            );
            self.facts.accepted = Some(id);
        }
    }

    /// Turns what the ClientHello carried into offers, once the version says what counts as one.
    pub(super) fn resolve_offers(&mut self, credential_store: &mut CredentialStore, at_end: bool) {
        let Some(hello) = self.facts.hello.yes() else { return };
        let answered = self.facts.answer.yes().is_some();
        // By a server's clock that is behind, both its hellos stand in front of the client's: the second one is still to come.
        let one_to_come = self.retry_read && !self.hellos.repeated;
        if (!answered || one_to_come) && !at_end {
            return;
        }
        let fills_field = hello.offers_tls13 || hello.stack.extensions.fill_session_id();
        let Some(proposed) = self.proposed.take() else { return };
        self.client_session_id = proposed.session_id;
        if let Some(answer) = match &mut self.facts.answer {
            Seen::Yes(answer) => Some(answer),
            Seen::No | Seen::Blind(_) => None,
        } {
            answer.session_id_echoed = proposed.session_id.is_some() && proposed.session_id == self.server_session_id;
        }
        if let Some(ticket) = &proposed.ticket {
            self.offer(
                Mechanism::Ticket,
                ticket,
                OfferKind::Resumption(Mechanism::Ticket),
                (0, 0),
                credential_store,
            );
        }
        if let Some(id) = &proposed.session_id
            && proposed.ticket.is_none()
        {
            let kind = self.session_id_kind(id, fills_field, credential_store);
            if let Some(kind) = kind {
                self.offer(Mechanism::SessionId, &id.name(), kind, (0, 0), credential_store);
            }
        }
        self.hellos.psks = u8::try_from(proposed.psks.len()).unwrap_or(u8::MAX);
        for psk in proposed.psks.iter().chain(&proposed.left_out) {
            let kind = psk_kind(self.facts.transport.kind(), psk, credential_store);
            let id = self.offer(
                Mechanism::Psk,
                &psk.name,
                kind,
                (psk.obfuscated_age, psk.binder),
                credential_store,
            );
            if let Some(known) = credential_store.get_mut(id) {
                known.offered_with_age_zero |= psk.obfuscated_age == 0;
            }
        }
    }

    /// What a session ID without a ticket beside it is taken for; `None` when it is made up.
    fn session_id_kind(
        &self,
        id: &OfferedSessionId,
        fills_field: bool,
        credential_store: &CredentialStore,
    ) -> Option<OfferKind> {
        let known = credential_store.find_session_id(self.facts.transport.kind(), id.bytes());
        let known = known.and_then(|known| credential_store.get(known));
        // What an older hello brings is settled by the client's other hellos.
        let told_now = known.filter(|known| known.issued.is_some() || fills_field);
        if told_now.is_some_and(|known| known.is_known_beside(self.id)) {
            return Some(OfferKind::Resumption(Mechanism::SessionId));
        }
        // Nobody makes up the same one twice.
        if fills_field && credential_store.has_forgotten_session_id(self.facts.transport.kind(), id.bytes()) {
            return Some(OfferKind::Resumption(Mechanism::SessionId));
        }
        // RFC 8446 §4.1.2: a client that speaks TLS 1.3 fills the field with a random value of 32 bytes, and so does Go. Others
        // may, too: the server's answer and the client's other hellos tell.
        let made_up = (fills_field && id.bytes().len() == 32)
            || credential_store.is_digest_of_ticket(self.facts.transport.kind(), id.bytes());
        (!made_up).then_some(OfferKind::UnclearSessionId)
    }

    fn offer(
        &mut self,
        mechanism: Mechanism,
        name: &CredentialFingerprint,
        kind: OfferKind,
        (obfuscated_age, binder): (u32, u8),
        credential_store: &mut CredentialStore,
    ) -> CredentialId {
        let (server, transport) = (self.facts.server, self.facts.transport.kind());
        let id = credential_store.enter(transport, mechanism, name, || {
            Credential::unseen(transport, mechanism, *name, server)
        });
        if let Some(credential) = credential_store.get_mut(id)
            && credential.offers.last() != Some(&self.id)
        {
            credential.offers.push(self.id);
        }
        // Nearly always it stays at one: growing in larger steps would be given back at the end.
        self.facts.offers.reserve_exact(1);
        self.facts.offers.push(Offer {
            credential: id,
            kind,
            obfuscated_age,
            binder,
        });
        id
    }

    pub(super) fn new_session_ticket(
        &mut self,
        ticket: NewSessionTicket<'_>,
        at: At,
        credential_store: &mut CredentialStore,
    ) {
        if ticket.ticket.is_empty() {
            self.facts.ticket_withdrawn.get_or_insert(at.frame);
            return;
        }
        let name = CredentialFingerprint::of(ticket.ticket);
        let lifetime = (ticket.lifetime_hint > 0).then_some(ticket.lifetime_hint);
        self.issue(Mechanism::Ticket, name, (lifetime, None), at, credential_store);
    }

    pub(super) fn issue(
        &mut self,
        mechanism: Mechanism,
        name: CredentialFingerprint,
        (lifetime, psk): (Option<u32>, Option<PskTerms>),
        at: At,
        credential_store: &mut CredentialStore,
    ) -> Option<CredentialId> {
        let known = credential_store
            .find(self.facts.transport.kind(), mechanism, &name)
            .filter(|id| self.facts.issued.contains(id));
        if known.is_none() && self.facts.issued.len() >= MAX_ISSUED {
            self.note_not_kept(1);
            return None;
        }
        let mut fresh = self.credential(mechanism, name, credential_store);
        fresh.issued = Some(Issue {
            connection: self.id,
            at,
        });
        fresh.lifetime = lifetime;
        fresh.psk = psk;
        let id = credential_store.enter(fresh.transport, mechanism, &name, || fresh.clone());
        if let Some(known) = credential_store.get_mut(id)
            && known.issued.is_none()
        {
            known.issue_late(fresh);
        }
        if !self.facts.issued.contains(&id) {
            self.facts.issued.reserve_exact(1);
            self.facts.issued.push(id);
        }
        Some(id)
    }

    /// A credential that names the session of this handshake.
    fn credential(
        &self,
        mechanism: Mechanism,
        name: CredentialFingerprint,
        credential_store: &CredentialStore,
    ) -> Credential {
        // A renewed ticket names the session that was resumed, with that session's properties.
        let resumed = self.facts.accepted.and_then(|id| credential_store.get(id));
        let answer = self.facts.answer.yes();
        Credential {
            server_name: resumed
                .and_then(|known| known.server_name.clone())
                .or_else(|| self.facts.server_name().cloned()),
            version: answer.map(|answer| answer.version),
            suite: answer.map(|answer| answer.suite),
            extended_master_secret: answer.map(|answer| answer.extended_master_secret),
            client_certificate: match (resumed, &self.facts.shape) {
                (Some(known), _) => known.client_certificate,
                (None, Seen::Yes(Shape::Full(_))) => self.asked_for_certificate(),
                _ => None,
            },
            ..Credential::unseen(self.facts.transport.kind(), mechanism, name, self.facts.server)
        }
    }

    /// Whether the server asks for a client certificate; `None` while the rest of its flight may still do so, or is lost.
    /// A session ID is issued at the flight's beginning (RFC 5246 §7.3).
    fn asked_for_certificate(&self) -> Option<bool> {
        if self.facts.certificate_request.is_some() {
            return Some(true);
        }
        let read = if self.facts.is_tls13() {
            self.opened.server_finished
        } else {
            self.hellos.flight_over && self.facts.server_side.handshake_loss.is_none()
        };
        read.then_some(false)
    }

    /// The server's flight is over, or has asked for a certificate: what it issued before that is now known in full.
    pub(super) fn note_certificate_request(&self, credential_store: &mut CredentialStore) {
        let asked = self.asked_for_certificate();
        for id in &self.facts.issued {
            if let Some(credential) = credential_store.get_mut(*id)
                && credential.issued.is_some_and(|issue| issue.connection == self.id)
            {
                credential.client_certificate = credential.client_certificate.or(asked);
            }
        }
    }

    /// What the server issued in packets that stand in front of the hello that they answer is of that hello's name.
    pub(super) fn name_issued(&self, credential_store: &mut CredentialStore) {
        let Some(name) = self.facts.server_name() else { return };
        for id in &self.facts.issued {
            if let Some(credential) = credential_store.get_mut(*id)
                && credential.issued.is_some_and(|issue| issue.connection == self.id)
            {
                credential.server_name.get_or_insert_with(|| name.clone());
            }
        }
    }

    pub(super) fn note_not_kept(&mut self, credentials: usize) {
        let credentials = u32::try_from(credentials).unwrap_or(u32::MAX);
        self.facts.not_kept = self.facts.not_kept.saturating_add(credentials);
    }
}

pub(super) fn looks_external(identity: &[u8]) -> bool {
    let printable = !identity.is_empty() && identity.iter().all(|byte| (0x20..0x7f).contains(byte));
    let length = u32::try_from(identity.len()).unwrap_or(u32::MAX);
    printable || length < SHORTEST_TICKET || imported_identity(identity)
}

/// External or issued by a server (RFC 8446 §4.2.11: external PSKs SHOULD have age 0)?
fn psk_kind(transport: TransportKind, psk: &ProposedPsk, credential_store: &CredentialStore) -> OfferKind {
    let known = credential_store
        .find(transport, Mechanism::Psk, &psk.name)
        .and_then(|id| credential_store.get(id));
    let issued = known.is_some_and(|credential| credential.issued.is_some());
    let age_zero_before = known.is_some_and(|credential| credential.offered_with_age_zero);
    match (psk.obfuscated_age == 0, psk.looks_external) {
        _ if issued => OfferKind::Resumption(Mechanism::Psk),
        (true, true) => OfferKind::ExternalPsk,
        // No ticket keeps the masked age 0 from one connection to the next.
        (true, false) if age_zero_before => OfferKind::ExternalPsk,
        (true, false) | (false, true) => OfferKind::UnclearPsk,
        (false, false) => OfferKind::Resumption(Mechanism::Psk),
    }
}
