//! Folds what TLS says on one connection, message by message, into its facts.
//!
//! Nothing here depends on which direction the capture shows first: what one direction proves alone is taken from it
//! alone, and what needs both hellos is settled when both are there.

mod opened;

use std::num::NonZeroU32;

use sha2::{Digest, Sha256};

use crate::net::{At, Endpoint};
use crate::tls::handshake::NewSessionTicket;
use crate::tls::hello::{ClientHello, ServerHello};
use crate::tls::names::HandshakeType;
use crate::tls::{AlertDescription, Content, ContentType, Event, Message};

use super::Close;
use super::close::{Record, SideClose};
use super::connection::{
    Answer, Completed, Connection, ConnectionId, EarlyData, Hello, Marks, Mechanism, Offer, OfferKind, Outcome,
    PlainAlert, PskModes, Retry, Shape, Side, SideFacts, TicketExtension, TicketsInferred, Transport,
};
use super::credential::{Credential, CredentialId, Issue, Name, PskTerms, imported_identity};
use super::intern::Interner;
use super::ledger::Ledger;
use super::seen::{Blindness, Seen};

/// A PSK identity below this is no ticket: the shortest ones in use are 32-byte session IDs of stateful servers.
const SHORTEST_TICKET: u32 = 32;
/// Record length of a TLS 1.3 EndOfEarlyData: 4 bytes of message and the inner type, beside the tag.
const END_OF_EARLY_DATA: u16 = 5;
/// JSSE pads every TLS 1.3 record by this much; no other stack pads by default.
const JSSE_PADDING: u16 = 16;
/// A NewSessionTicket of TLS 1.3 is never smaller: 13 bytes of fields, 32 of ticket, inner type and tag.
const SMALLEST_TICKET_RECORD: u16 = 60;

/// Credentials of one ClientHello that are kept. Clients offer one or two; a hello has room for thousands.
pub const MOST_OFFERED: usize = 64;
/// Credentials issued on one connection that are kept. Servers issue one or two; a stream has room for any number.
pub const MOST_ISSUED: usize = 256;

/// What the decoders must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// Nothing.
    None,
    /// TLS 1.3: ChangeCipherSpec protects nothing.
    ChangeCipherSpecIsDummy,
}

/// A session ID as it stood in a hello; digested only when it turns out to matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SessionId {
    length: u8,
    bytes: [u8; 32],
}

impl SessionId {
    fn of(id: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
        Self {
            length: u8::try_from(id.len().min(32)).unwrap_or(32),
            bytes,
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    fn name(&self) -> Name {
        Name::of(self.bytes())
    }
}

/// Credentials of a ClientHello until it is known what they are.
#[derive(Debug, Clone)]
struct Proposed {
    session_id: Option<SessionId>,
    ticket: Option<Name>,
    psks: Vec<ProposedPsk>,
}

#[derive(Debug, Clone)]
struct ProposedPsk {
    name: Name,
    obfuscated_age: u32,
    binder: u8,
    looks_external: bool,
}

#[derive(Debug, Clone, Default)]
struct Track {
    end: SideClose,
    key_exchange: bool,
    protected_ccs: u16,
}

/// What was read of a connection with keys.
#[derive(Debug, Clone, Default)]
struct Opened {
    /// The server's Finished of TLS 1.3.
    server_finished: bool,
    /// A ticket of TLS 1.3 whose lifetime is not 0.
    usable_ticket: bool,
    /// A record of the server stayed closed.
    server_closed: bool,
    /// The session ID that the client offered in a renegotiation.
    renegotiated_id: Option<SessionId>,
}

/// A TLS connection that is still open.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its number.
    pub id: ConnectionId,
    facts: Connection,
    proposed: Option<Box<Proposed>>,
    client_session_id: Option<SessionId>,
    server_session_id: Option<SessionId>,
    client: Track,
    server: Track,
    end_of_early_data: Option<At>,
    server_flight: bool,
    /// A hello of another handshake came: what follows is of the next connection on these ports.
    superseded: bool,
    opened: Opened,
    /// Lengths of the server's first records after the client's Finished, and whether the client had sent data by then.
    after_finished: [Option<(u16, bool)>; 2],
}

impl Open {
    /// A connection on which TLS was just recognised.
    #[must_use]
    pub fn new(id: ConnectionId, client: Endpoint, server: Endpoint, transport: Transport) -> Self {
        let facts = Connection {
            client,
            server,
            transport,
            hello: Seen::No,
            retry: None,
            answer: Seen::No,
            shape: Seen::No,
            certificate: None,
            certificate_request: None,
            ticket_withdrawn: None,
            keys: None,
            extensions_read: false,
            tickets_inferred: TicketsInferred::Unclear,
            early_data: EarlyData::NotOffered,
            offers: Vec::new(),
            accepted: None,
            issued: Vec::new(),
            not_kept: 0,
            renegotiations: 0,
            client_side: SideFacts::new(),
            server_side: SideFacts::new(),
            marks: Marks {
                mac: None,
                ttl: None,
                syn_options: None,
                asked: None,
            },
            completed: Completed::Blind(Blindness::OpenAtCaptureEnd),
            outcome: Outcome::Unclear(Blindness::OpenAtCaptureEnd),
            close: Close::open(Blindness::OpenAtCaptureEnd),
            edges: None,
        };
        Self {
            id,
            facts,
            proposed: None,
            client_session_id: None,
            server_session_id: None,
            client: Track::default(),
            server: Track::default(),
            end_of_early_data: None,
            server_flight: false,
            superseded: false,
            opened: Opened::default(),
            after_finished: [None; 2],
        }
    }

    /// The facts so far.
    #[must_use]
    pub const fn facts(&self) -> &Connection {
        &self.facts
    }

    /// The facts so far, for what TCP adds at the end.
    pub const fn facts_mut(&mut self) -> &mut Connection {
        &mut self.facts
    }

    /// Whether the end of the connection will make an offer of what its ClientHello proposes: without an answer that is not
    /// done before.
    #[must_use]
    pub fn will_offer(&self, ledger: &Ledger) -> bool {
        let Some(proposed) = self.proposed.as_deref() else {
            return false;
        };
        let known = |id: &SessionId| ledger.find_session_id(id.bytes()).is_some();
        let tls13 = self.facts.hello.yes().is_some_and(|hello| hello.offers_tls13);
        let id = proposed.session_id.as_ref().is_some_and(|id| !tls13 || known(id));
        id || proposed.ticket.is_some() || !proposed.psks.is_empty()
    }

    /// How much TLS one side has said: nothing that could be read, a message or record, or more than one.
    #[must_use]
    pub fn said(&self, side: Side) -> usize {
        let (hello, track) = match side {
            Side::Client => (self.facts.hello.yes().is_some(), &self.client),
            Side::Server => (
                self.facts.answer.yes().is_some() || self.facts.retry.is_some(),
                &self.server,
            ),
        };
        let full = side == Side::Server && self.server_flight;
        let alert = self.facts.side(side).alert.is_some() || track.end.plain.is_some();
        let records = [track.end.last, track.end.before_last];
        let told = [hello, full, track.key_exchange, alert]
            .into_iter()
            .filter(|told| *told);
        (told.count() + records.iter().flatten().count()).min(2)
    }

    /// The session ID of the ClientHello.
    #[must_use]
    pub fn session_id(&self) -> Option<Name> {
        let proposed = self.proposed.as_deref().and_then(|proposed| proposed.session_id);
        proposed.or(self.client_session_id).as_ref().map(SessionId::name)
    }

    /// Bytes that its credentials take, here and in the ledger, until it is over and counted as finished.
    #[must_use]
    pub fn memory(&self) -> usize {
        let proposed = self.proposed.as_ref().map_or(0, |proposed| proposed.psks.len());
        let credentials = self.facts.offers.len() + self.facts.issued.len();
        let hello = self.facts.hello.yes();
        let name = hello.and_then(|hello| hello.server_name.as_deref()).map_or(0, str::len);
        let suites = hello.map_or(0, |hello| size_of_val(&*hello.suites));
        proposed * size_of::<ProposedPsk>()
            + credentials * (size_of::<Offer>() + size_of::<Credential>())
            + name
            + suites
    }

    /// What the ends of both streams looked like, client first.
    #[must_use]
    pub const fn ends(&self) -> [&SideClose; 2] {
        [&self.client.end, &self.server.end]
    }

    /// Takes one event of one side. `offset` counts the bytes of that side's stream up to the end of the event.
    pub fn event(
        &mut self,
        side: Side,
        event: Event<'_>,
        at: At,
        offset: u64,
        ledger: &mut Ledger,
        interner: &mut Interner,
    ) -> Feedback {
        let mut feedback = Feedback::None;
        if self.superseded {
            return feedback;
        }
        match event {
            Event::Message(Message::ClientHello(hello)) if side == Side::Client => {
                self.client_hello(&hello, at, interner);
            }
            Event::Message(Message::ServerHello(hello)) if side == Side::Server => {
                self.server_hello(&hello, at, interner);
                if hello.version.is_tls13() {
                    feedback = Feedback::ChangeCipherSpecIsDummy;
                }
            }
            Event::Message(message) => self.message(side, &message, at, ledger),
            Event::ChangeCipherSpec => self.change_cipher_spec(side, at),
            Event::Alert { fatal, description } => self.alert(side, PlainAlert { at, fatal, description }),
            Event::Protected(record) => {
                self.protected(side, Record::of(&record, Content::Closed, at), offset);
                // Nothing that decides an offer comes under protection.
                return feedback;
            }
            Event::Desynchronised | Event::Resynchronised => {}
        }
        self.settle(ledger);
        feedback
    }

    /// Bytes of one side's handshake are missing.
    pub fn handshake_lost(&mut self, side: Side, cause: Blindness) {
        let facts = self.facts.side_mut(side);
        if facts.finished.is_none() {
            facts.handshake_loss.get_or_insert(cause);
        }
    }

    /// The stream of one side ends inside a record.
    pub const fn ends_inside_record(&mut self, side: Side) {
        self.track(side).end.unfinished = true;
    }

    /// No more events: what was proposed is settled with what is known. `blind` says why a hello that was not seen
    /// may have been there all the same.
    pub fn finish(mut self, ledger: &mut Ledger, blind: [Option<Blindness>; 2]) -> (Connection, [SideClose; 2]) {
        let [client_blind, server_blind] = blind;
        self.resolve_offers(ledger, true);
        self.settle(ledger);
        if self.facts.hello.yes().is_none() {
            self.facts.hello = Seen::Blind(client_blind.unwrap_or(Blindness::ClientHelloMissing));
        }
        if self.facts.answer.yes().is_none()
            && let Some(cause) = server_blind
        {
            self.facts.answer = Seen::Blind(cause);
        }
        if self.facts.shape.yes().is_none()
            && let Some(cause) = self.facts.server_side.handshake_loss.or(server_blind)
        {
            self.facts.shape = Seen::Blind(cause);
        }
        if let (
            EarlyData::NotOffered,
            true,
            Some(cause @ (Blindness::CaptureStartedLate | Blindness::Gap | Blindness::Snaplen)),
        ) = (self.facts.early_data, self.facts.is_tls13(), client_blind)
        {
            // An earlier ClientHello with early data, and the HelloRetryRequest that refused it, may not be in the capture.
            self.facts.early_data = EarlyData::Unclear(cause);
        }
        self.hide_early_data();
        self.infer_tickets();
        (self.facts, [self.client.end, self.server.end])
    }

    /// Early data is known not to be there only where the first ClientHello was seen, and known to be refused only
    /// where the answer was.
    fn hide_early_data(&mut self) {
        if self.facts.early_data != EarlyData::NotOffered {
            return;
        }
        let first_unseen = self
            .facts
            .retry
            .as_ref()
            .is_some_and(|retry| retry.first_hello == retry.request);
        let cause = match &self.facts.hello {
            Seen::Yes(hello) if hello.early_data => {
                Some(self.facts.answer.blind().unwrap_or(Blindness::ServerHelloMissing))
            }
            Seen::Yes(_) if first_unseen => Some(
                self.facts
                    .client_side
                    .handshake_loss
                    .unwrap_or(Blindness::ClientHelloMissing),
            ),
            Seen::Blind(cause) => Some(*cause),
            Seen::Yes(_) | Seen::No => None,
        };
        if let Some(cause) = cause {
            self.facts.early_data = EarlyData::Unclear(cause);
        }
    }

    const fn track(&mut self, side: Side) -> &mut Track {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn client_hello(&mut self, hello: &ClientHello<'_>, at: At, interner: &mut Interner) {
        let first = self.facts.hello.yes().map(|seen| (seen.at, seen.early_data));
        // A second ClientHello counts after a HelloRetryRequest only. The request itself may come later in the file.
        let early_data = hello.early_data || first.is_some_and(|(_, early)| early);
        // No hello is sent in clear after protected records, but for the second one after early data (RFC 8446 §4.2.10):
        // it is of the next connection on these ports, whose beginning was lost.
        if self.client.end.last.is_some() && !early_data {
            return;
        }
        if first.is_some() && self.facts.answer.yes().is_some() && self.facts.retry.is_none() {
            return;
        }
        // The second ClientHello of a handshake has the random of the first (RFC 8446 §4.1.2).
        if self.facts.hello.yes().is_some_and(|first| first.random != hello.random) {
            self.superseded = true;
            for side in Side::BOTH {
                self.handshake_lost(side, Blindness::Gap);
            }
            return;
        }
        if let (Some((first_hello, _)), Some(retry)) = (first, &mut self.facts.retry) {
            retry.first_hello = first_hello;
        }
        // What the first ClientHello offered, the second offers again, or no more.
        self.facts.offers.clear();
        let identities = hello.psk_identities.as_ref().map_or(0, Vec::len);
        self.note_not_kept(identities.saturating_sub(MOST_OFFERED));
        self.proposed = Some(Box::new(Proposed {
            // RFC 5246 E.2: a session cannot be resumed with a v2 hello, whatever stands in it.
            session_id: (!hello.session_id.is_empty() && !hello.v2_format).then(|| SessionId::of(hello.session_id)),
            ticket: hello.session_ticket.filter(|ticket| !ticket.is_empty()).map(Name::of),
            psks: hello
                .psk_identities
                .iter()
                .flatten()
                .take(MOST_OFFERED)
                .map(|psk| ProposedPsk {
                    name: Name::of(psk.identity),
                    obfuscated_age: psk.obfuscated_age,
                    binder: psk.binder_length,
                    looks_external: looks_external(psk.identity),
                })
                .collect(),
        }));
        self.facts.hello = Seen::Yes(Hello {
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
            suites: interner.suites(hello.stack, &hello.cipher_suites),
            stack: hello.stack,
            shape: hello.shape,
        });
    }

    fn server_hello(&mut self, hello: &ServerHello<'_>, at: At, interner: &mut Interner) {
        if self.server.end.last.is_some() {
            return;
        }
        if hello.hello_retry_request {
            let first_hello = self.facts.hello.yes().map_or(at, |seen| seen.at);
            self.facts.retry.get_or_insert_with(|| {
                Box::new(Retry {
                    first_hello,
                    request: at,
                })
            });
            return;
        }
        if self.facts.answer.yes().is_some() {
            return;
        }
        self.server_session_id = (!hello.session_id.is_empty()).then(|| SessionId::of(hello.session_id));
        self.facts.answer = Seen::Yes(Answer {
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
    }

    fn message(&mut self, side: Side, message: &Message<'_>, at: At, ledger: &mut Ledger) {
        match (side, message) {
            (Side::Server, Message::Certificate(certificate)) => {
                let digest: [u8; 32] = Sha256::digest(certificate).into();
                self.facts
                    .certificate
                    .get_or_insert((*digest.first_chunk().unwrap_or(&[0; 16]), at.frame));
                self.full(at);
            }
            (Side::Server, Message::NewSessionTicket(ticket)) => self.new_session_ticket(*ticket, at, ledger),
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
                if *kind == HandshakeType::CERTIFICATE_REQUEST {
                    self.facts.certificate_request.get_or_insert(at.frame);
                }
                self.full(at);
            }
            (Side::Client, Message::ClientKeyExchange(_)) => {
                self.client.key_exchange = true;
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

    /// The first proof counts: later messages of the same kind only repeat it.
    fn full(&mut self, at: At) {
        if self.facts.shape.yes().is_none() {
            self.facts.shape = Seen::Yes(Shape::Full(at));
        }
    }

    fn change_cipher_spec(&mut self, side: Side, at: At) {
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
                !self.client.key_exchange && tls12_only && tls13 != Some(true)
            }
        };
        if abbreviated {
            self.facts.shape = Seen::Yes(Shape::Abbreviated(at));
        }
    }

    fn alert(&mut self, side: Side, mut alert: PlainAlert) {
        if alert.description == AlertDescription::CLOSE_NOTIFY {
            self.track(side).end.plain.get_or_insert(alert.at);
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

    fn protected(&mut self, side: Side, record: Record, offset: u64) {
        let tls13 = self.facts.is_tls13();
        // Before the ServerHello is there, records of a client that speaks TLS 1.3 may be early data.
        let tls12 = match (self.facts.answer.yes(), self.facts.hello.yes()) {
            (Some(_), _) => !tls13,
            (None, hello) => hello.is_some_and(|hello| !hello.offers_tls13),
        };
        let facts = self.facts.side_mut(side);
        let handshake_over = facts.finished.is_some();
        let closed = record.content == Content::Closed;
        if let Content::Alert { fatal, description } = record.content {
            self.alert(
                side,
                PlainAlert {
                    at: record.at,
                    fatal,
                    description,
                },
            );
        } else if tls13 && !closed {
            self.opened_tls13(side, record);
        } else if tls13 {
            self.protected_tls13(side, record, offset);
        } else if tls12 {
            match record.content_type {
                ContentType::HANDSHAKE | ContentType::APPLICATION_DATA if !handshake_over => {
                    facts.finished = Some(record.at);
                    facts.handshake_bytes = handshake_bytes(offset);
                }
                ContentType::APPLICATION_DATA => {
                    facts.application_data.get_or_insert(record.at);
                }
                // Encrypted, so longer than one byte: a second handshake on this connection.
                ContentType::CHANGE_CIPHER_SPEC => {
                    self.track(side).protected_ccs += 1;
                    self.facts.renegotiations = self.client.protected_ccs.max(self.server.protected_ccs);
                }
                ContentType::ALERT if self.facts.side(side.other()).finished.is_none() => {
                    self.facts.side_mut(side).handshake_alert.get_or_insert(record.at.frame);
                }
                _ => {}
            }
        }
        let end = &mut self.track(side).end;
        if let Some(last) = end.last.replace(record)
            && handshake_over
            && last.content == Content::Closed
        {
            // Application data of two bytes has the size of an alert; an alert in the middle is a warning.
            let sized_like_alert = last.length == 19 + end.padding.unwrap_or(0);
            end.short_records += u32::from(sized_like_alert && last.content_type == ContentType::APPLICATION_DATA);
            end.before_last = Some(last);
        }
    }

    fn protected_tls13(&mut self, side: Side, record: Record, offset: u64) {
        let Some(answer) = self.facts.answer.yes() else { return };
        self.opened.server_closed |= side == Side::Server;
        let tag = answer.suite.tls13_tag();
        let finished = answer.suite.kdf_hash().map(|hash| 4 + hash.length() + 1 + tag);
        let padding = finished.and_then(|finished| {
            [0, JSSE_PADDING]
                .into_iter()
                .find(|padding| record.length == finished + padding)
        });
        match side {
            Side::Server if self.facts.client_side.finished.is_none() => {
                self.server_flight = true;
                self.facts.server_side.finished.get_or_insert(record.at);
                self.facts.server_side.handshake_bytes = handshake_bytes(offset);
                if padding.is_some() {
                    self.server.end.padding = padding;
                }
            }
            Side::Server => {
                let asked = self.facts.client_side.application_data.is_some();
                if let Some(slot) = self.after_finished.iter_mut().find(|slot| slot.is_none()) {
                    *slot = Some((record.length, asked));
                }
                self.facts.server_side.application_data.get_or_insert(record.at);
            }
            Side::Client if self.facts.client_side.finished.is_some() => {
                self.facts.client_side.application_data.get_or_insert(record.at);
            }
            Side::Client => self.client_flight_tls13(record, offset, tag, padding),
        }
    }

    /// The client's records up to its Finished: early data, EndOfEarlyData, certificate, Finished, or an alert.
    fn client_flight_tls13(&mut self, record: Record, offset: u64, tag: u16, padding: Option<u16>) {
        let early = self.facts.hello.yes().is_some_and(|hello| hello.early_data);
        let sized = |content: u16| {
            [0, JSSE_PADDING]
                .into_iter()
                .any(|padding| record.length == content + tag + padding)
        };
        if early && !self.server_flight {
            return;
        }
        if early && sized(END_OF_EARLY_DATA) {
            self.end_of_early_data = Some(record.at);
            return;
        }
        if sized(3) {
            self.facts.client_side.handshake_alert.get_or_insert(record.at.frame);
            return;
        }
        // With early data in flight only the size tells the Finished; otherwise the first record begins the flight.
        if early && padding.is_none() {
            return;
        }
        self.client.end.padding = padding;
        self.facts.client_side.finished = Some(record.at);
        self.facts.client_side.handshake_bytes = handshake_bytes(offset);
        if early && self.facts.early_data == EarlyData::Unclear(Blindness::Encrypted) {
            self.facts.early_data = match self.end_of_early_data {
                Some(at) => EarlyData::Accepted { at, inferred: true },
                None => EarlyData::Rejected {
                    at: record.at,
                    inferred: true,
                },
            };
        }
    }

    fn new_session_ticket(&mut self, ticket: NewSessionTicket<'_>, at: At, ledger: &mut Ledger) {
        if ticket.ticket.is_empty() {
            self.facts.ticket_withdrawn.get_or_insert(at.frame);
            return;
        }
        let name = Name::of(ticket.ticket);
        let lifetime = (ticket.lifetime_hint > 0).then_some(ticket.lifetime_hint);
        self.issue(Mechanism::Ticket, name, (lifetime, None), at, ledger);
    }

    fn issue(
        &mut self,
        mechanism: Mechanism,
        name: Name,
        (lifetime, psk): (Option<u32>, Option<PskTerms>),
        at: At,
        ledger: &mut Ledger,
    ) -> Option<CredentialId> {
        let known = ledger
            .find(mechanism, &name)
            .filter(|id| self.facts.issued.contains(id));
        if known.is_none() && self.facts.issued.len() >= MOST_ISSUED {
            self.note_not_kept(1);
            return None;
        }
        let issue = Issue {
            connection: self.id,
            at,
        };
        let mut fresh = self.credential(mechanism, name, ledger);
        fresh.issued = Some(issue);
        fresh.lifetime = lifetime;
        fresh.psk = psk;
        let id = ledger.enter(mechanism, &name, || fresh.clone());
        if let Some(known) = ledger.get_mut(id)
            && known.issued.is_none()
        {
            // It was offered before its issue was seen: two captures, or packets out of order.
            known.issued = Some(issue);
            known.lifetime = lifetime;
            known.psk = psk;
        }
        if !self.facts.issued.contains(&id) {
            self.facts.issued.reserve_exact(1);
            self.facts.issued.push(id);
        }
        Some(id)
    }

    fn note_not_kept(&mut self, credentials: usize) {
        let credentials = u32::try_from(credentials).unwrap_or(u32::MAX);
        self.facts.not_kept = self.facts.not_kept.saturating_add(credentials);
    }

    /// A credential that names the session of this handshake.
    fn credential(&self, mechanism: Mechanism, name: Name, ledger: &Ledger) -> Credential {
        // A renewed ticket names the session that was resumed, with that session's properties.
        let resumed = self.facts.accepted.and_then(|id| ledger.get(id));
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
                (None, Seen::Yes(Shape::Full(_))) => Some(self.facts.certificate_request.is_some()),
                _ => None,
            },
            ..Credential::unseen(mechanism, name, self.facts.server)
        }
    }

    /// Settles what the hellos of both sides decide together, as soon as both are there.
    fn settle(&mut self, ledger: &mut Ledger) {
        self.resolve_offers(ledger, false);
        if self.facts.is_tls13() {
            self.settle_tls13();
        } else {
            self.settle_tls12(ledger);
        }
    }

    fn settle_tls13(&mut self) {
        if self.proposed.is_some() {
            return;
        }
        let (Some(hello), Some(answer)) = (self.facts.hello.yes(), self.facts.answer.yes()) else {
            return;
        };
        let psk_offers = || {
            self.facts.offers.iter().filter(|offer| {
                !matches!(
                    offer.kind,
                    OfferKind::Resumption(Mechanism::SessionId | Mechanism::Ticket)
                )
            })
        };
        if let Some(index) = answer.selected_psk {
            self.facts.accepted = psk_offers().nth(usize::from(index)).map(|offer| offer.credential);
        }
        if hello.early_data && self.facts.early_data == EarlyData::NotOffered {
            self.facts.early_data = match (&self.facts.retry, answer.selected_psk) {
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

    fn settle_tls12(&mut self, ledger: &mut Ledger) {
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
            Shape::Abbreviated(_) => self.accept_tls12(ledger),
            Shape::Full(_) => {
                let echoed = self.facts.answer.yes().is_some_and(|answer| answer.session_id_echoed);
                if let (false, Some(answer)) = (echoed, self.facts.answer.yes()) {
                    let at = answer.at;
                    if let Some(name) = self.server_session_id.take() {
                        self.issue(Mechanism::SessionId, name.name(), (None, None), at, ledger);
                    }
                }
            }
        }
    }

    /// RFC 5077 §3.4: with a ticket in the hello the session ID is not what the server resumes.
    fn accept_tls12(&mut self, ledger: &mut Ledger) {
        if self.facts.accepted.is_some() {
            return;
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
                ledger,
            );
            self.facts.accepted = Some(id);
        }
    }

    /// Turns what the ClientHello carried into offers, once the version says what counts as one.
    fn resolve_offers(&mut self, ledger: &mut Ledger, at_end: bool) {
        let Some(hello) = self.facts.hello.yes() else { return };
        let answered = self.facts.answer.yes().is_some();
        if !answered && !at_end {
            return;
        }
        let (offers_tls13, hello_time) = (hello.offers_tls13, hello.at.time);
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
                ledger,
            );
        }
        if let Some(id) = &proposed.session_id
            && proposed.ticket.is_none()
        {
            let issued_before = ledger
                .find_session_id(id.bytes())
                .and_then(|known| ledger.get(known)?.issued)
                .is_some_and(|issue| issue.at.time <= hello_time && issue.connection != self.id);
            // RFC 8446 §4.1.2: a client that speaks TLS 1.3 fills the field with a random value of 32 bytes.
            if issued_before || !offers_tls13 {
                self.offer(
                    Mechanism::SessionId,
                    &id.name(),
                    OfferKind::Resumption(Mechanism::SessionId),
                    (0, 0),
                    ledger,
                );
            }
        }
        for psk in &proposed.psks {
            let kind = psk_kind(psk, ledger);
            let id = self.offer(
                Mechanism::Psk,
                &psk.name,
                kind,
                (psk.obfuscated_age, psk.binder),
                ledger,
            );
            if let Some(known) = ledger.get_mut(id) {
                known.offered_with_age_zero |= psk.obfuscated_age == 0;
            }
        }
    }

    fn offer(
        &mut self,
        mechanism: Mechanism,
        name: &Name,
        kind: OfferKind,
        (obfuscated_age, binder): (u32, u8),
        ledger: &mut Ledger,
    ) -> CredentialId {
        let server = self.facts.server;
        let id = ledger.enter(mechanism, name, || Credential::unseen(mechanism, *name, server));
        if let Some(credential) = ledger.get_mut(id)
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

    /// Tickets of TLS 1.3 are encrypted; their place and size are not. Most servers send them right after the client's
    /// Finished, before they answer anything; OpenSSL sends two of equal size.
    fn infer_tickets(&mut self) {
        if self.read_tickets() {
            return;
        }
        if !self.facts.is_tls13() || self.facts.client_side.finished.is_none() {
            return;
        }
        let plausible = |length: u16| length >= SMALLEST_TICKET_RECORD;
        self.facts.tickets_inferred = match self.after_finished {
            [Some((first, _)), Some((second, _))] if first == second && plausible(first) => TicketsInferred::Like(2),
            [Some((first, false)), _] if plausible(first) => TicketsInferred::Like(1),
            [Some((first, _)), _] if !plausible(first) => TicketsInferred::None,
            _ => TicketsInferred::Unclear,
        };
    }
}

fn handshake_bytes(offset: u64) -> Option<NonZeroU32> {
    u32::try_from(offset).ok().and_then(NonZeroU32::new)
}

fn first_bytes(id: &[u8]) -> [u8; 4] {
    let mut first = [0; 4];
    first.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    first
}

fn looks_external(identity: &[u8]) -> bool {
    let printable = !identity.is_empty() && identity.iter().all(|byte| (0x20..0x7f).contains(byte));
    let length = u32::try_from(identity.len()).unwrap_or(u32::MAX);
    printable || length < SHORTEST_TICKET || imported_identity(identity)
}

/// External or issued by a server (RFC 8446 §4.2.11: external PSKs SHOULD have age 0)?
fn psk_kind(psk: &ProposedPsk, ledger: &Ledger) -> OfferKind {
    let known = ledger.find(Mechanism::Psk, &psk.name).and_then(|id| ledger.get(id));
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
