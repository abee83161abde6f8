//! What both sides say in clear: hellos, the messages that tell a full handshake from an abbreviated one, and alerts.

use super::credentials::{OfferedSessionId, Proposed, ProposedPsk, looks_external};
use super::{HandshakeTracker, MAX_OFFERED};
use crate::net::{At, Timestamp};
use crate::session::{Blindness, Seen};
use crate::session::{ClientCertificate, CredentialFingerprint};
use crate::session::{ClientHelloFacts, HelloRetry, PskModes, ServerHelloFacts, TicketExtension};
use crate::session::{PlainAlert, Side};
use crate::session::{Shape, StackExtensions};
use crate::store::CredentialStore;
use crate::store::Interner;
use crate::tls::certificate;
use crate::tls::hello::{ClientHello, ServerHello};
use crate::tls::names::HandshakeType;
use crate::tls::{AlertDescription, Message};

impl HandshakeTracker {
    /// The first hello of a side stands behind lost bytes, in the packet at `at`. Where the other side had said by then
    /// what only answers a hello, the one it answered is among them, and this one is of the next connection on these
    /// ports.
    pub fn hello_behind_gap(&mut self, side: Side, at: At) {
        let [client, server] = &mut self.hellos.behind_gap;
        *if side == Side::Client { client } else { server } = true;
        // Bytes behind a gap are read late: what counts is when they came.
        let earlier = |other: At| other.time < at.time;
        let protected = self.end(side.other()).last.is_some_and(|record| earlier(record.at));
        let answered = match side {
            Side::Client => protected || self.facts.answer.yes().is_some_and(|answer| earlier(answer.at)),
            // A client protects early data before it has an answer (RFC 8446 §4.2.10).
            Side::Server => protected && self.facts.hello.yes().is_some_and(|hello| !hello.early_data),
        };
        if answered {
            self.supersede();
        }
    }

    /// Whether the first hello of a side stands behind lost bytes.
    #[must_use]
    pub const fn began_behind_gap(&self) -> bool {
        let [client, server] = self.hellos.behind_gap;
        client || server
    }

    /// What follows is of another connection.
    fn supersede(&mut self) {
        self.superseded = true;
        for side in Side::BOTH {
            self.handshake_lost(side, Blindness::Gap);
        }
    }

    pub(super) fn client_hello(&mut self, hello: &ClientHello<'_>, at: At, interner: &mut Interner) {
        let first = self.facts.hello.yes().map(|seen| (seen.at, seen.early_data));
        // A second ClientHello counts after a HelloRetryRequest only. The request itself may come later in the file.
        let early_data = hello.early_data || first.is_some_and(|(_, early)| early);
        // No hello is sent in clear after protected records, but for the second one after early data (RFC 8446 §4.2.10):
        // it is of the next connection on these ports, whose beginning was lost.
        if self.end(Side::Client).last.is_some() && !early_data {
            return;
        }
        if first.is_some() && self.facts.answer.yes().is_some() && self.facts.retry.is_none() {
            return;
        }
        // The second ClientHello of a handshake has the random of the first (RFC 8446 §4.1.2).
        if self.facts.hello.yes().is_some_and(|first| first.random != hello.random) {
            return self.supersede();
        }
        if let Some((first_hello, _)) = first {
            self.hellos.repeated = true;
            // Nothing but a HelloRetryRequest makes a client say hello again; where it is lost, this hello stands for it.
            let request = HelloRetry {
                first_hello,
                request: at,
            };
            self.facts.retry.get_or_insert_with(|| Box::new(request)).first_hello = first_hello;
        }
        self.facts.offers.clear();
        let identities = hello.psk_identities.as_ref().map_or(0, Vec::len);
        self.note_not_kept(identities.saturating_sub(MAX_OFFERED));
        let psks = proposed_psks(hello);
        // What the first ClientHello offered, the second offers again, or no more: offered it was.
        let earlier = self.proposed.take().into_iter().flat_map(|proposed| {
            let Proposed { psks, left_out, .. } = *proposed;
            psks.into_iter().chain(left_out)
        });
        let again = |psk: &ProposedPsk| psks.iter().any(|known| known.name.key() == psk.name.key());
        let left_out = earlier.filter(|psk| !again(psk)).take(MAX_OFFERED).collect();
        self.proposed = Some(Box::new(Proposed {
            // RFC 5246 E.2: a session cannot be resumed with a v2 hello, whatever stands in it.
            session_id: (!hello.session_id.is_empty() && !hello.v2_format)
                .then(|| OfferedSessionId::of(hello.session_id)),
            ticket: hello
                .session_ticket
                .filter(|ticket| !ticket.is_empty())
                .map(CredentialFingerprint::of),
            psks,
            left_out,
        }));
        self.facts.hello = Seen::Yes(ClientHelloFacts {
            at,
            random: hello.random,
            version: hello.version,
            offers_tls13: hello.offers_tls13(),
            v2_format: hello.v2_format,
            session_id: (!hello.session_id.is_empty()).then(|| first_bytes(hello.session_id)),
            ticket: match hello.session_ticket {
                None => TicketExtension::Absent,
                Some([]) => TicketExtension::Empty,
                Some(_) => TicketExtension::Offered,
            },
            pre_shared_key: hello.psk_identities.is_some(),
            psk_modes: hello.psk_modes.map(|modes| PskModes {
                ke: modes.contains(&0),
                dhe_ke: modes.contains(&1),
            }),
            early_data,
            extended_master_secret: hello.extended_master_secret,
            encrypted_client_hello: hello.encrypted_client_hello,
            server_name: hello.server_name.map(|name| interner.text(name)),
            stack: interner.stack(
                hello.stack,
                &hello.cipher_suites,
                StackExtensions {
                    encrypt_then_mac: hello.encrypt_then_mac,
                    certificate_timestamps: hello.certificate_timestamps,
                    supported_versions: hello.supported_versions.is_some(),
                },
            ),
            shape: hello.shape,
        });
    }

    pub(super) fn server_hello(&mut self, hello: &ServerHello<'_>, at: At, interner: &mut Interner) {
        if self.end(Side::Server).last.is_some() {
            return;
        }
        if hello.hello_retry_request {
            self.retry_read = true;
            let concluded = self.facts.retry_is_concluded();
            let first_hello = self.facts.hello.yes().map_or(at, |seen| seen.at);
            let request = HelloRetry {
                first_hello,
                request: at,
            };
            let known = self.facts.retry.get_or_insert_with(|| Box::new(request));
            if concluded {
                known.request = at;
            }
            return;
        }
        if self.facts.answer.yes().is_some() {
            return;
        }
        // RFC 8446 §4.2.1: the client must abort; which rules the server follows from here on, nothing tells.
        if hello.illegal_version {
            self.facts.answer = Seen::Blind(Blindness::Unsupported);
            return;
        }
        self.hellos.answer_behind_loss = self.facts.server_side.handshake_loss.is_some();
        self.server_session_id = (!hello.session_id.is_empty()).then(|| OfferedSessionId::of(hello.session_id));
        self.facts.answer = Seen::Yes(ServerHelloFacts {
            at,
            random: *hello.random.first_chunk().unwrap_or(&[0; 8]),
            version: hello.version,
            suite: hello.cipher_suite,
            session_id_length: u8::try_from(hello.session_id.len()).unwrap_or(u8::MAX),
            session_id_echoed: false,
            ticket_promised: hello.session_ticket,
            extended_master_secret: hello.extended_master_secret,
            encrypt_then_mac: hello.encrypt_then_mac,
            selected_psk: hello.selected_psk,
            key_share: hello.key_share,
            alpn: hello.alpn.map(|alpn| interner.text(alpn)),
            shape: hello.shape,
        });
        if hello.version.is_tls13() {
            let shape = if hello.selected_psk.is_some() {
                Shape::Abbreviated(at)
            } else {
                Shape::Full(at)
            };
            self.facts.shape = Seen::Yes(shape);
        }
        self.client_came_first();
    }

    /// Whoever says nothing early protects records only after the ServerHello: where the capture holds them before it, it
    /// has the two directions out of order, or the ServerHello is a retransmission. The client's Finished is among them.
    fn client_came_first(&mut self) {
        let Some(hello) = self.facts.hello.yes().filter(|hello| !hello.early_data) else {
            return;
        };
        let [client, _] = &self.ends;
        if let Some(last) = client.last.filter(|last| last.at.frame > hello.at.frame) {
            self.facts.client_side.finished.get_or_insert(last.at);
        }
    }

    pub(super) fn message(
        &mut self,
        side: Side,
        message: &Message<'_>,
        at: At,
        credential_store: &mut CredentialStore,
        interner: &mut Interner,
    ) {
        match (side, message) {
            (Side::Server, Message::Certificate(certificate)) => {
                let digest = interner.certificate(certificate);
                self.facts.certificate.get_or_insert((digest, at.frame));
                self.full(at);
            }
            (Side::Client, Message::Certificate(certificate)) => self.client_certificate(certificate, at),
            (Side::Server, Message::NewSessionTicket(ticket)) => self.new_session_ticket(*ticket, at, credential_store),
            (
                Side::Server,
                Message::Other(
                    kind @ (HandshakeType::SERVER_KEY_EXCHANGE
                    | HandshakeType::CERTIFICATE_REQUEST
                    | HandshakeType::SERVER_HELLO_DONE
                    | HandshakeType::CERTIFICATE_STATUS
                    | HandshakeType::SUPPLEMENTAL_DATA
                    | HandshakeType::COMPRESSED_CERTIFICATE),
                )
                | Message::Malformed(kind @ HandshakeType::CERTIFICATE),
            ) => {
                self.full(at);
                if *kind == HandshakeType::CERTIFICATE_REQUEST {
                    self.facts.certificate_request.get_or_insert(at.frame);
                    self.note_certificate_request(credential_store);
                }
                if *kind == HandshakeType::SERVER_HELLO_DONE {
                    self.hellos.flight_over = true;
                    self.note_certificate_request(credential_store);
                }
            }
            (Side::Client, Message::ClientKeyExchange(_)) => {
                self.key_exchange = true;
                self.full(at);
            }
            (_, Message::Malformed(HandshakeType::CLIENT_HELLO | HandshakeType::SERVER_HELLO)) => {
                self.facts
                    .side_mut(side)
                    .handshake_loss
                    .get_or_insert(Blindness::Unsupported);
            }
            _ => {}
        }
    }

    /// A client without a certificate sends an empty list (RFC 5246 §7.4.6).
    pub(super) fn client_certificate(&mut self, certificate: &[u8], at: At) {
        if !certificate.is_empty() {
            let until = certificate::not_after(certificate);
            let nanos = until.map(|until| i64::try_from(until.as_nanos()).unwrap_or(i64::MAX));
            let shown = ClientCertificate {
                frame: at.frame,
                not_after: nanos.map(Timestamp::from_nanos),
            };
            self.facts.client_certificate.get_or_insert_with(|| Box::new(shown));
        }
    }

    /// The first proof counts: later messages of the same kind only repeat it.
    fn full(&mut self, at: At) {
        if self.facts.shape.yes().is_none() {
            self.facts.shape = Seen::Yes(Shape::Full(at));
        }
    }

    pub(super) fn change_cipher_spec(&mut self, side: Side, at: At) {
        let tls13 = self.facts.answer.yes().map(|answer| answer.version.is_tls13());
        if self.facts.shape.yes().is_some() || self.facts.side(side).handshake_loss.is_some() {
            return;
        }
        let abbreviated = match side {
            // Straight from ServerHello to ChangeCipherSpec.
            Side::Server => tls13 == Some(false),
            // Straight from ClientHello to ChangeCipherSpec, without ClientKeyExchange. In TLS 1.3 that is the
            // ChangeCipherSpec for middleboxes, so it proves nothing unless TLS 1.3 is out of the question.
            Side::Client => {
                let tls12_only = self.facts.hello.yes().is_some_and(|hello| !hello.offers_tls13);
                !self.key_exchange && tls12_only && tls13 != Some(true)
            }
        };
        if abbreviated {
            self.facts.shape = Seen::Yes(Shape::Abbreviated(at));
        }
    }

    pub(super) fn alert(&mut self, side: Side, mut alert: PlainAlert) {
        if alert.description == AlertDescription::CLOSE_NOTIFY {
            self.end(side).plain.get_or_insert(alert.at);
        }
        // In TLS 1.3 the level means nothing (RFC 8446 §6).
        if self.facts.is_tls13() {
            alert.fatal = !matches!(
                alert.description,
                AlertDescription::CLOSE_NOTIFY | AlertDescription::USER_CANCELED
            );
        }
        let slot = &mut self.facts.side_mut(side).alert;
        if slot.as_ref().is_none_or(|known| alert.fatal && !known.fatal) {
            *slot = Some(Box::new(alert));
        }
    }
}

fn proposed_psks(hello: &ClientHello<'_>) -> Vec<ProposedPsk> {
    let identities = hello.psk_identities.iter().flatten().take(MAX_OFFERED);
    let proposed = identities.map(|psk| ProposedPsk {
        name: CredentialFingerprint::of(psk.identity),
        obfuscated_age: psk.obfuscated_age,
        binder: psk.binder_length,
        looks_external: looks_external(psk.identity),
    });
    proposed.collect()
}

fn first_bytes(id: &[u8]) -> [u8; 4] {
    let mut first = [0; 4];
    first.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    first
}
