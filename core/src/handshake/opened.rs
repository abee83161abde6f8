//! What protected records turn out to hold when there are keys for them: facts that are otherwise concluded from lengths
//! and order, or not visible at all.

use super::credentials::OfferedSessionId;
use super::{HandshakeTracker, StreamPlace};
use crate::net::At;
use crate::session::ProtectedRecord;
use crate::session::{Blindness, Seen};
use crate::session::{CredentialFingerprint, PskTerms};
use crate::session::{EarlyData, Mechanism, TicketsInferred};
use crate::session::{Side, TransportKind};
use crate::store::CredentialStore;
use crate::store::Interner;
use crate::tls::handshake::{EncryptedExtensions, PskTicket};
use crate::tls::hello::ServerHello;
use crate::tls::names::HandshakeType;
use crate::tls::{Content, Message, Sealed};

impl HandshakeTracker {
    /// Takes a protected record that was opened; its handshake messages follow by [`HandshakeTracker::inner`]. It ends at
    /// `place`.
    pub fn opened(&mut self, side: Side, record: &Sealed<'_>, content: Content, place: StreamPlace) {
        self.protected(side, ProtectedRecord::of(record, content, place.at), place);
    }

    /// Takes a handshake message that came under protection.
    pub fn inner(
        &mut self,
        side: Side,
        message: &Message<'_>,
        (at, offset): (At, u64),
        credential_store: &mut CredentialStore,
        interner: &mut Interner,
    ) {
        if self.facts.is_tls13() {
            match side {
                Side::Client => self.client_inner(message, at, offset),
                Side::Server => self.server_inner(message, (at, offset), credential_store, interner),
            }
        } else {
            self.renegotiated(side, message, at, credential_store);
        }
    }

    /// Something that the server sent under protection stayed closed: a ticket may have been in it.
    pub const fn server_stays_closed(&mut self) {
        self.opened.server_closed = true;
    }

    /// A record of TLS 1.3 that is no alert.
    pub(super) fn opened_tls13(&mut self, side: Side, record: ProtectedRecord) {
        let facts = self.facts.side_mut(side);
        // Before the client's Finished it is early data; before the server's there is none.
        if record.content == Content::Data && facts.finished.is_some() {
            facts.application_data.get_or_insert(record.at);
        }
        if record.content == Content::Handshake && side == Side::Server {
            self.server_flight = true;
        }
    }

    fn client_inner(&mut self, message: &Message<'_>, at: At, offset: u64) {
        if let Message::Certificate(certificate) = message {
            self.client_certificate(certificate, at);
        }
        if *message == Message::Other(HandshakeType::END_OF_EARLY_DATA) {
            self.rare.get_or_insert_default().end_of_early_data = Some(at);
            // RFC 8446 §4.5: it is sent only where the server takes early data.
            if self.facts.early_data == EarlyData::Unclear(Blindness::Encrypted) {
                self.facts.early_data = EarlyData::Accepted { at, inferred: false };
            }
        }
        if *message == Message::Other(HandshakeType::FINISHED) {
            self.facts.client_side.finished = Some(at);
            self.facts.client_side.handshake_bytes = StreamPlace::counted(offset);
            // DTLS and QUIC have no EndOfEarlyData (RFC 9147 §5.6, RFC 9001 §8.3).
            if self.facts.transport.kind() == TransportKind::Tcp {
                self.conclude_early_data(at);
            }
        }
    }

    fn server_inner(
        &mut self,
        message: &Message<'_>,
        (at, offset): (At, u64),
        credential_store: &mut CredentialStore,
        interner: &mut Interner,
    ) {
        match message {
            Message::EncryptedExtensions(extensions) => self.encrypted_extensions(extensions, at, interner),
            Message::Certificate(certificate) if !certificate.is_empty() => {
                let digest = interner.certificate(certificate);
                self.facts.certificate.get_or_insert((digest, at.frame));
            }
            Message::Other(HandshakeType::CERTIFICATE_REQUEST) => {
                self.facts.certificate_request.get_or_insert(at.frame);
            }
            Message::Other(HandshakeType::FINISHED) => {
                self.opened.server_finished = true;
                self.facts.server_side.finished = Some(at);
                self.facts.server_side.handshake_bytes = StreamPlace::counted(offset);
            }
            Message::PskTicket(ticket) => self.psk_ticket(*ticket, at, credential_store),
            Message::Certificate(_)
            | Message::ClientHello(_)
            | Message::ClientKeyExchange(_)
            | Message::Malformed(_)
            | Message::NewSessionTicket(_)
            | Message::Other(_)
            | Message::ServerHello(_) => {}
        }
    }

    /// RFC 8446 §4.2.10: the server says whether it takes the early data.
    fn encrypted_extensions(&mut self, extensions: &EncryptedExtensions<'_>, at: At, interner: &mut Interner) {
        self.facts.extensions_read = true;
        if let (Seen::Yes(answer), Some(alpn)) = (&mut self.facts.answer, extensions.alpn) {
            answer.alpn = Some(interner.text(alpn));
        }
        // What was concluded from the client's records stands back where packets changed places.
        let concluded = matches!(
            self.facts.early_data,
            EarlyData::Accepted { inferred: true, .. } | EarlyData::Rejected { inferred: true, .. }
        );
        if concluded || self.facts.early_data == EarlyData::Unclear(Blindness::Encrypted) {
            self.facts.early_data = if extensions.early_data {
                EarlyData::Accepted { at, inferred: false }
            } else {
                EarlyData::Rejected { at, inferred: false }
            };
        }
    }

    fn psk_ticket(&mut self, ticket: PskTicket<'_>, at: At, credential_store: &mut CredentialStore) {
        let terms = PskTerms {
            age_add: ticket.age_add,
            max_early_data: ticket.max_early_data,
        };
        self.opened.usable_ticket |= ticket.lifetime > 0;
        self.issue(
            Mechanism::Psk,
            CredentialFingerprint::of(ticket.ticket),
            (Some(ticket.lifetime), Some(terms)),
            at,
            credential_store,
        );
    }

    /// A message of a renegotiation: it may begin a session that later connections resume.
    fn renegotiated(&mut self, side: Side, message: &Message<'_>, at: At, credential_store: &mut CredentialStore) {
        match (side, message) {
            (Side::Client, Message::ClientHello(hello)) => {
                let id = OfferedSessionId::of(hello.session_id);
                self.rare.get_or_insert_default().renegotiated_id = Some(id);
            }
            (Side::Server, Message::ServerHello(hello)) => self.renegotiated_session(hello, at, credential_store),
            (Side::Server, Message::NewSessionTicket(ticket)) => self.new_session_ticket(*ticket, at, credential_store),
            _ => {}
        }
    }

    fn renegotiated_session(&mut self, hello: &ServerHello<'_>, at: At, credential_store: &mut CredentialStore) {
        let id = OfferedSessionId::of(hello.session_id);
        // The same ID again resumes a session that has it already.
        let offered = self.rare.as_deref_mut().and_then(|rare| rare.renegotiated_id.take());
        if hello.session_id.is_empty() || offered == Some(id) {
            return;
        }
        let entered = self.issue(Mechanism::SessionId, id.name(), (None, None), at, credential_store);
        if let Some(credential) = entered.and_then(|id| credential_store.get_mut(id)) {
            credential.suite = Some(hello.cipher_suite);
            credential.extended_master_secret = Some(hello.extended_master_secret);
            // Servers renegotiate to ask for a certificate, and that comes later.
            credential.client_certificate = None;
        }
    }

    /// Whether the server is known to have gone on behind the client's Finished, or to have ended: tickets come in between, and
    /// where the capture ends first they are not there to be read. That the client ended shows nothing: it may leave, or reset,
    /// before a server comes to issue any. Of QUIC its packets tell, which are looked at there.
    fn went_on(&self) -> bool {
        let [client, server] = [&self.facts.client_side, &self.facts.server_side];
        let spoke = || {
            let data = server.application_data.zip(client.finished);
            data.is_some_and(|(data, finished)| data.is_after(finished))
        };
        self.facts.transport.kind() == TransportKind::Quic || server.is_over() || spoke()
    }

    /// Says what is known of the server's tickets from reading its records. `false` when nothing is.
    pub(super) fn read_tickets(&mut self) -> bool {
        let server = &self.facts.server_side;
        let lost = server.tail_loss.or(server.handshake_loss).is_some();
        // Who answers the client's flight with a fatal alert may have refused it, and gives no tickets then.
        let refused = server.fatal_alert().is_some() && server.application_data.is_none();
        let complete = self.opened.server_finished && !self.opened.server_closed && !lost && !refused && self.went_on();
        let usable = self.opened.usable_ticket;
        if usable || complete {
            self.facts.tickets_inferred = TicketsInferred::Read { usable, complete };
        }
        usable || complete
    }
}
