//! The facts of one TLS connection, kept after it is over: at most one kilobyte.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::net::{At, Endpoint, FrameRef, Timestamp};
use crate::tls::{AlertDescription, ProtocolVersion};

use super::close::Close;
use super::credential::CredentialId;
use super::hellos::{ClientHelloFacts, HelloRetry, ServerHelloFacts};
use super::offer::{Mechanism, Offer, OfferKind};
use super::seen::{Blindness, Seen};
use super::side::{Side, SideFacts};
use super::transport::{HostFingerprint, MergeHints, Transport, TransportKind};

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// What clients resume at: server endpoint, server name, and the protocol that carries TLS. One name over two transports
/// is two services, because no session of one is of use in the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Service {
    /// Server endpoint.
    pub server: Endpoint,
    /// Server name.
    pub name: Option<Arc<str>>,
    /// What carries TLS.
    pub transport: TransportKind,
}

impl Service {
    /// The service of a connection.
    #[must_use]
    pub fn of(connection: &Connection) -> Self {
        Self {
            server: connection.server,
            name: connection.server_name().cloned(),
            transport: connection.transport.kind(),
        }
    }
}

/// Number of a TLS connection, from 0 in the order in which they were recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// Where the secrets came from that opened protected records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum KeyOrigin {
    /// A key log that was given.
    Given,
    /// A secrets block in a capture.
    Embedded,
}

/// What happened in one handshake: fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The server accepted an offered credential, and no failure is visible. The mechanism is not visible without the
    /// ClientHello.
    Resumed(Option<Mechanism>),
    /// A credential was offered and the server chose a full handshake.
    Declined,
    /// A full handshake without any credential offered.
    NotOffered,
    /// An alert, FIN or RST before both Finished: without an offer, before a decision, or after acceptance.
    Failed,
    /// A PSK was accepted that no server ticket issued.
    ExternalPsk,
    /// The packets that decide are not visible.
    Unclear(Blindness),
}

impl Outcome {
    /// Of a connection that was read from a document: it is decided once all facts are together.
    #[cfg(feature = "serde")]
    const fn undecided() -> Self {
        Self::NotOffered
    }

    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Resumed(_) => "resumed",
            Self::Declined => "declined",
            Self::NotOffered => "not-offered",
            Self::Failed => "failed",
            Self::ExternalPsk => "external-psk",
            Self::Unclear(_) => "unclear",
        }
    }
}

/// Whether the handshake came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Completed {
    /// Both Finished messages went through.
    Yes,
    /// The connection ended first.
    No,
    /// Not visible.
    #[cfg_attr(feature = "serde", serde(rename = "not-visible"))]
    Blind(Blindness),
}

/// JSSE pads every TLS 1.3 record by this much; no other stack pads by default.
pub(crate) const JSSE_PADDING: u16 = 16;

/// Form of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Shape {
    /// With key exchange and, as a rule, certificate; the frame that shows it.
    Full(At),
    /// Straight to ChangeCipherSpec, or with an accepted PSK; the frame that shows it.
    Abbreviated(At),
}

/// What became of early data (RFC 8446 §4.2.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum EarlyData {
    /// No early_data extension.
    NotOffered,
    /// Accepted.
    Accepted {
        /// EncryptedExtensions, or the record of the size of EndOfEarlyData.
        at: At,
        /// Concluded from record lengths.
        inferred: bool,
    },
    /// Rejected; whether the protocol says so (HelloRetryRequest, no PSK accepted, EncryptedExtensions) or record
    /// lengths do.
    Rejected {
        /// The frame that shows it.
        at: At,
        /// Concluded from record lengths.
        inferred: bool,
    },
    /// Not visible.
    Unclear(Blindness),
}

/// NewSessionTicket messages of TLS 1.3: read with keys, or concluded from server records after the client's Finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum TicketsInferred {
    /// The server's records were opened.
    Read {
        /// A ticket was there whose lifetime is not 0.
        usable: bool,
        /// Every record was opened: no ticket was missed.
        complete: bool,
    },
    /// So many records of the look of a ticket came before any answer could.
    Like(u8),
    /// The server's first record after the handshake does not look like one.
    None,
    /// Nothing to go by.
    Unclear,
}

/// A certificate that a client showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct ClientCertificate {
    /// Its Certificate message.
    pub frame: FrameRef,
    /// Until when it is valid; `None` where that cannot be read.
    pub not_after: Option<Timestamp>,
}

/// The facts of one TLS connection.
///
/// Stands in memory as written: service analysis looks at every connection again and again, and what it looks at most are the
/// first 192 bytes.
#[derive(Debug, Clone)]
#[repr(C)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Connection {
    /// ClientHello.
    pub hello: Seen<ClientHelloFacts>,
    /// Credentials in the ClientHello.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub offers: SmallVec<[Offer; 1]>,
    /// The offered credential that was accepted.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub accepted: Option<CredentialId>,
    /// HelloRetryRequest. Boxed because few connections have one.
    pub retry: Option<Box<HelloRetry>>,
    /// Why there may have been one although none was seen.
    pub retry_hidden: Option<Blindness>,
    /// Whether the client sent data before it had the server's Finished (RFC 7918), where acknowledgements tell.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub false_start: Option<bool>,
    /// Who sent the ClientHello.
    pub client: Endpoint,
    /// Who answers.
    pub server: Endpoint,
    /// What happened.
    #[cfg_attr(feature = "serde", serde(skip, default = "Outcome::undecided"))]
    pub outcome: Outcome,
    /// Whether the handshake came to its end.
    pub completed: Completed,
    /// Secrets that opened its protected records, where there were any.
    pub keys: Option<KeyOrigin>,
    /// EncryptedExtensions of TLS 1.3 was read, with keys.
    pub extensions_read: bool,
    /// The capture ends behind the ServerHello of TLS 1.2 or older, whose session ID alone tells its form.
    pub shape_concluded: bool,
    /// Tickets of TLS 1.3, as far as keys or lengths tell.
    pub tickets_inferred: TicketsInferred,
    /// Handshakes after the first on this connection (RFC 5246 §7.4.1.1); their content is protected.
    pub renegotiations: u16,
    /// Credentials beyond those that are kept of one connection: nothing more is known of them.
    pub not_kept: u32,
    /// Below TLS.
    pub transport: Transport,
    /// ServerHello.
    pub answer: Seen<ServerHelloFacts>,
    /// Full or abbreviated.
    pub shape: Seen<Shape>,
    /// Marks of the server.
    pub marks: HostFingerprint,
    /// Credentials that the server issued, in clear or read with keys.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub issued: SmallVec<[CredentialId; 4]>,
    /// The client.
    pub client_side: SideFacts,
    /// The server.
    pub server_side: SideFacts,
    /// How it was closed.
    pub close: Close,
    /// Early data.
    pub early_data: EarlyData,
    /// First bytes of the SHA-256 of the server's end-entity certificate, and its frame. In TLS 1.3 it takes keys.
    pub certificate: Option<([u8; 16], FrameRef)>,
    /// The server asked for a client certificate. In TLS 1.3 it takes keys.
    pub certificate_request: Option<FrameRef>,
    /// The client's certificate. In TLS 1.3 it takes keys. Boxed because few clients have one.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub client_certificate: Option<Box<ClientCertificate>>,
    /// The server withdrew a promised ticket (RFC 5077 §3.3).
    pub ticket_withdrawn: Option<FrameRef>,
    /// Where it is torn off, for a run whose connections are to be joined with those of other runs.
    pub edges: Option<Box<MergeHints>>,
}

/// What service analysis looks at most stands in front of what it seldom needs; and kept, a connection fits a block of 768 bytes,
/// reference counts included: one byte more takes 896.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(std::mem::offset_of!(Connection, transport) <= 192);
    assert!(size_of::<Connection>() + 2 * size_of::<usize>() <= 768);
};

impl Connection {
    /// One of which nothing was seen but who its ends are.
    #[must_use]
    pub fn unseen(client: Endpoint, server: Endpoint, transport: Transport) -> Self {
        Self {
            client,
            server,
            transport,
            hello: Seen::No,
            retry: None,
            retry_hidden: None,
            false_start: None,
            answer: Seen::No,
            shape: Seen::No,
            certificate: None,
            certificate_request: None,
            client_certificate: None,
            ticket_withdrawn: None,
            keys: None,
            extensions_read: false,
            shape_concluded: false,
            tickets_inferred: TicketsInferred::Unclear,
            early_data: EarlyData::NotOffered,
            offers: SmallVec::new(),
            accepted: None,
            issued: SmallVec::new(),
            not_kept: 0,
            renegotiations: 0,
            client_side: SideFacts::new(),
            server_side: SideFacts::new(),
            marks: HostFingerprint {
                mac: None,
                ttl: None,
                syn_options: None,
                asked: None,
            },
            completed: Completed::Blind(Blindness::OpenAtCaptureEnd),
            outcome: Outcome::Unclear(Blindness::OpenAtCaptureEnd),
            close: Close::open(Blindness::OpenAtCaptureEnd),
            edges: None,
        }
    }

    /// One side.
    #[must_use]
    pub const fn side(&self, side: Side) -> &SideFacts {
        match side {
            Side::Client => &self.client_side,
            Side::Server => &self.server_side,
        }
    }

    /// Gives back the room that its lists do not need.
    pub fn shrink(&mut self) {
        self.offers.shrink_to_fit();
        self.issued.shrink_to_fit();
    }

    /// One side, to change.
    pub const fn side_mut(&mut self, side: Side) -> &mut SideFacts {
        match side {
            Side::Client => &mut self.client_side,
            Side::Server => &mut self.server_side,
        }
    }

    /// Negotiated version.
    #[must_use]
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.answer.yes().map(|answer| answer.version)
    }

    /// Whether TLS 1.3 was negotiated.
    #[must_use]
    pub fn is_tls13(&self) -> bool {
        self.version().is_some_and(ProtocolVersion::is_tls13)
    }

    /// Whether a second ClientHello alone shows that there was a HelloRetryRequest: its place is that hello's.
    #[must_use]
    pub fn retry_is_concluded(&self) -> bool {
        let latest = self.hello.yes().map(|hello| hello.at);
        self.retry.as_deref().is_some_and(|retry| Some(retry.request) == latest)
    }

    /// Why the first ClientHello was not read although the HelloRetryRequest that answered it was, or may not have been where
    /// neither side is seen from its beginning. What it offered, the second may have had to leave out (RFC 8446 §4.1.4).
    #[must_use]
    pub fn first_hello_hidden(&self) -> Option<Blindness> {
        let hello = self.hello.yes()?;
        let Some(retry) = self.retry.as_deref() else {
            return self.retry_hidden.filter(|_| self.answer.yes().is_some());
        };
        let loss = self.client_side.handshake_loss;
        // The only hello that was read answers the request: where the roles showed late, it was read before the request.
        let second_alone = hello.at == retry.first_hello && retry.request.time < hello.at.time;
        (retry.first_hello == retry.request || second_alone).then(|| loss.unwrap_or(Blindness::ClientHelloMissing))
    }

    /// Server name of the ClientHello.
    #[must_use]
    pub fn server_name(&self) -> Option<&Arc<str>> {
        self.hello.yes()?.server_name.as_ref()
    }

    /// Why something may have stood before TLS although nothing was seen of it: neither SYN shows where the bytes begin, the
    /// hello itself was not seen, or it stands behind lost bytes.
    #[must_use]
    pub fn preamble_hidden(&self) -> Option<Blindness> {
        let transport = &self.transport;
        let unseen = transport.kind() == TransportKind::Tcp && transport.preamble().is_none();
        let begun = transport.client_isn.is_some() || self.marks.syn_options.is_some();
        let late = (!begun).then_some(Blindness::CaptureStartedLate);
        let lost = transport.uncommon.as_deref().is_some_and(|rare| rare.beginning_lost);
        let hidden = late.or(self.hello.blind()).or(lost.then_some(Blindness::Gap));
        hidden.filter(|_| unseen)
    }

    /// Whether nothing was seen of it but how it ended: no SYN, and not a byte.
    #[must_use]
    pub fn is_bare_end(&self) -> bool {
        let bytes = |side: Side| {
            let (first, next) = self.edges.as_deref()?.of(side)?;
            Some(next.distance(first) - i32::from(self.side(side).fin.is_some()))
        };
        let begun = self.edges.as_deref().is_none_or(|edges| edges.begun);
        !begun && Side::BOTH.into_iter().filter_map(bytes).all(|bytes| bytes <= 0)
    }

    /// The client's address, as the PROXY header states it where there is one.
    #[must_use]
    pub fn client_address(&self) -> IpAddr {
        let proxied = self.transport.preamble().and_then(|preamble| preamble.client);
        proxied.unwrap_or(self.client).ip
    }

    /// When the handshake began, as far as visible. A hello that stands behind the client's Finished was sent before: it is
    /// sent again there, or the file is out of order.
    #[must_use]
    pub fn hello_time(&self) -> Timestamp {
        let began = match (&self.retry, self.hello.yes(), self.answer.yes()) {
            (Some(retry), ..) => retry.first_hello.time,
            // The hello that counts is the one with the cookie, a round trip later.
            (None, Some(_), _) if self.transport.dtls().is_some() => self.transport.started,
            (None, Some(hello), _) => hello.at.time,
            (None, None, Some(answer)) => answer.at.time,
            (None, None, None) => self.transport.started,
        };
        // Of its own side: the other's clock may be another.
        let finished = self.client_side.finished.map(|at| at.time);
        finished.map_or(began, |finished| finished.min(began))
    }

    /// Which side sends its Finished first, and which last: the client answers that of the server in TLS 1.3 and in an abbreviated
    /// handshake before it (RFC 8446 §2, RFC 5246 §7.3). `None` where too little was seen of an older handshake.
    pub(super) fn finish_order(&self) -> Option<[Side; 2]> {
        match self.shape {
            _ if self.is_tls13() => Some([Side::Server, Side::Client]),
            Seen::Yes(Shape::Abbreviated(_)) => Some([Side::Server, Side::Client]),
            Seen::Yes(Shape::Full(_)) => Some([Side::Client, Side::Server]),
            Seen::No | Seen::Blind(_) => None,
        }
    }

    /// Decides whether the handshake came to its end. `open` says why the connection is not known to be over.
    #[must_use]
    pub fn judge_completed(&self, open: Option<Blindness>) -> Completed {
        let [client, server] = [&self.client_side, &self.server_side];
        let order = self.finish_order();
        // Who finishes last has read the other's Finished.
        let last_finished = order.is_some_and(|[_, last]| self.side(last).finished.is_some());
        let both_finished = last_finished || (client.finished.is_some() && server.finished.is_some());
        // What the server sends after the handshake shows that it took the client's Finished; a client with False
        // Start (RFC 7918) sends before it has the server's.
        let server_went_on = server.application_data.is_some() && self.answer.yes().is_some();
        if server_went_on || (both_finished && !self.client_was_refused()) {
            return Completed::Yes;
        }
        // Behind its own Finished an alert of either side may be of any time: the Finished of the other may be what is missing.
        // Which side finishes first is not known of an older handshake of which too little was seen.
        let orders: &[[&SideFacts; 2]] = match order {
            Some([first, second]) => &[[self.side(first), self.side(second)]],
            None => &[[client, server], [server, client]],
        };
        for [first, second] in orders {
            let missing = second.handshake_loss.or(second.tail_loss);
            let after_finished = first.finished.is_some() && first.fatal_alert().is_some();
            if let (Some(cause), true) = (missing, after_finished) {
                return Completed::Blind(cause);
            }
        }
        if [client, server].iter().any(|side| side.fatal_alert().is_some()) {
            return Completed::No;
        }
        // With early data in flight only its size tells the client's Finished, and applications may pad.
        let hidden = self.hello.yes().is_some_and(|hello| hello.early_data) && self.is_tls13();
        if hidden && client.finished.is_none() {
            return Completed::Blind(open.unwrap_or(Blindness::Encrypted));
        }
        let lost = [client, server].iter().find_map(|side| {
            let captured = if side.captured {
                None
            } else {
                Some(Blindness::OneDirection)
            };
            captured.or(side.handshake_loss).or(side.tail_loss)
        });
        let hello = self.hello.blind().or(self.answer.blind());
        // Protected, but of the size of an alert where none but a fatal one belongs.
        let alert = [client, server].iter().any(|side| side.handshake_alert.is_some());
        match (lost.or(hello), open) {
            (None, Some(_)) if alert => Completed::No,
            (Some(cause), _) | (None, Some(cause)) => Completed::Blind(cause),
            // A server that is done may close at once; the client's Finished was still to come.
            (None, None) if self.awaits_client() => Completed::Blind(Blindness::OpenAtCaptureEnd),
            (None, None) => Completed::No,
        }
    }

    /// Whether the server's answer to the client's flight of TLS 1.3 was an alert that only a handshake brings, as keys show.
    /// It aborts what seems complete: the client's Finished came with the certificate that was refused, or without the one
    /// that was asked for (RFC 8446 §4.4.2.4).
    fn client_was_refused(&self) -> bool {
        const OF_HANDSHAKES: [AlertDescription; 10] = [
            AlertDescription::HANDSHAKE_FAILURE,
            AlertDescription::BAD_CERTIFICATE,
            AlertDescription::UNSUPPORTED_CERTIFICATE,
            AlertDescription::CERTIFICATE_REVOKED,
            AlertDescription::CERTIFICATE_EXPIRED,
            AlertDescription::CERTIFICATE_UNKNOWN,
            AlertDescription::UNKNOWN_CA,
            AlertDescription::ACCESS_DENIED,
            AlertDescription::DECRYPT_ERROR,
            AlertDescription::CERTIFICATE_REQUIRED,
        ];
        let alert = self.server_side.fatal_alert();
        let refusal = alert.is_some_and(|alert| OF_HANDSHAKES.contains(&alert.description));
        refusal && self.is_tls13() && self.issued.is_empty() && self.server_side.application_data.is_none()
    }

    /// Whether the server has said all it has to say, FIN included, and the client was not seen to its end.
    fn awaits_client(&self) -> bool {
        let [client, server] = [&self.client_side, &self.server_side];
        let server_done = self.is_tls13() && server.finished.is_some() && server.reset.is_none();
        server_done && !client.is_over() && client.handshake_alert.is_none()
    }

    /// The handshake came out like this. Where its end is not visible, an answer that was not seen may have been there.
    pub fn complete(&mut self, completed: Completed) {
        self.completed = completed;
        if let (Completed::Blind(cause), Seen::No) = (completed, &self.answer) {
            self.answer = Seen::Blind(cause);
        }
    }

    /// Why it is not visible what was offered, if it is not: the ClientHello was not seen, or what tells a session ID from
    /// the random value in its place: the ServerHello where the client speaks TLS 1.3 (RFC 8446 §4.1.2), else what that
    /// client does later.
    #[must_use]
    pub fn offers_hidden(&self) -> Option<Blindness> {
        let Some(hello) = self.hello.yes() else {
            return self.hello.blind();
        };
        if self
            .offers
            .iter()
            .any(|offer| offer.kind == OfferKind::UnclearSessionId)
        {
            return Some(Blindness::NothingTellsApart);
        }
        let either = hello.offers_tls13 && hello.session_id.is_some() && self.offers.is_empty();
        self.answer.blind().filter(|_| either)
    }

    /// Why the server may have issued a session that is not visible: bytes of its handshake are missing, or a ticket that it
    /// promised, or it was issued under encryption.
    #[must_use]
    pub fn issues_hidden(&self) -> Option<Blindness> {
        if self.is_tls13() {
            let read = matches!(self.tickets_inferred, TicketsInferred::Read { complete: true, .. });
            return (!read).then_some(Blindness::Encrypted);
        }
        let server = &self.server_side;
        // In an abbreviated handshake the client goes on, although the end of the server's flight is lost.
        let end_lost = server.tail_loss.filter(|_| server.finished.is_none());
        let missing = self.answer.blind().or(server.handshake_loss).or(end_lost);
        let promise_lost = || self.lost_promised_ticket().then_some(Blindness::Gap);
        // The ticket stands right in front of the server's Finished.
        let end_unseen = || match self.completed {
            Completed::Blind(cause) if server.finished.is_none() => Some(cause),
            Completed::Yes | Completed::No | Completed::Blind(_) => None,
        };
        let renegotiated = || (self.renegotiations > 0).then_some(Blindness::Encrypted);
        missing.or_else(promise_lost).or_else(end_unseen).or_else(renegotiated)
    }

    /// Whether the server promised a ticket (RFC 5077 §3.2: then it sends one) that is not there. Over TCP the bytes say whether
    /// any are missing; a lost datagram leaves no gap when the handshake goes on.
    #[must_use]
    pub fn lost_promised_ticket(&self) -> bool {
        let promised = self.answer.yes().is_some_and(|answer| answer.ticket_promised);
        let dtls = self.transport.kind() == TransportKind::Dtls;
        dtls && promised && self.issued.is_empty() && !self.is_tls13()
    }

    /// The endpoints that its client's packets go to and come from: where addresses are rewritten, answers may come from
    /// another one than was called.
    pub fn servers(&self) -> impl Iterator<Item = Endpoint> + use<> {
        let behind = self.transport.behind().filter(|behind| *behind != self.server);
        [Some(self.server), behind].into_iter().flatten()
    }

    /// Every endpoint of the client, the first one in front: over UDP a connection may go on from another.
    #[must_use]
    pub fn clients(&self) -> Vec<Endpoint> {
        let quic = self.transport.quic().map(|facts| facts.paths.as_slice());
        let paths = quic.or_else(|| self.transport.dtls().map(|facts| facts.paths.as_slice()));
        let mut clients = vec![self.client];
        for path in paths.unwrap_or_default() {
            if !clients.contains(&path.client) {
                clients.push(path.client);
            }
        }
        clients
    }

    /// Whether it offered external PSKs and nothing else: no session could have come of them.
    #[must_use]
    pub fn offers_external_psks_only(&self) -> bool {
        let external = |offer: &Offer| offer.kind == OfferKind::ExternalPsk;
        !self.offers.is_empty() && self.offers.iter().all(external)
    }

    /// Mechanisms that were offered, without those that may be external PSKs.
    pub fn offered(&self) -> impl Iterator<Item = Mechanism> + '_ {
        self.offers.iter().filter_map(|offer| match offer.kind {
            OfferKind::Resumption(mechanism) => Some(mechanism),
            OfferKind::ExternalPsk | OfferKind::UnclearPsk | OfferKind::UnclearSessionId => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::side::PlainAlert;
    use super::super::tests::{answered, at};
    use super::*;
    use crate::tls::AlertDescription;

    #[test]
    fn a_hello_that_stands_behind_the_finished_of_its_side_was_sent_before() {
        let told = |hello, answer, finished| {
            let mut connection = answered(1, "a.test", ProtocolVersion::TLS_1_2);
            if let (Seen::Yes(first), Seen::Yes(second)) = (&mut connection.hello, &mut connection.answer) {
                (first.at, second.at) = (at(hello), at(answer));
            }
            connection.client_side.finished = Some(at(finished));
            connection.hello_time()
        };
        assert_eq!(told(3, 4, 5), at(3).time);
        assert_eq!(told(6, 4, 5), at(5).time);
        // The server's clock may be another.
        assert_eq!(told(6, 4, 7), at(6).time);
    }

    #[test]
    fn what_a_server_issued_is_hidden_where_packets_are_missing_that_could_show_it() {
        let hidden = |change: fn(&mut Connection)| {
            let mut connection = answered(1, "a.test", ProtocolVersion::TLS_1_2);
            connection.completed = Completed::Yes;
            connection.server_side.finished = Some(at(4));
            change(&mut connection);
            connection.issues_hidden()
        };
        assert_eq!(hidden(|_| ()), None);
        assert_eq!(
            hidden(|it| it.answer = Seen::Blind(Blindness::Gap)),
            Some(Blindness::Gap)
        );
        assert_eq!(
            hidden(|it| it.server_side.handshake_loss = Some(Blindness::Snaplen)),
            Some(Blindness::Snaplen)
        );
        assert_eq!(hidden(|it| it.renegotiations = 1), Some(Blindness::Encrypted));
        // What came after its Finished issues nothing.
        assert_eq!(hidden(|it| it.server_side.tail_loss = Some(Blindness::Gap)), None);
        let torn: fn(&mut Connection) =
            |it| (it.server_side.finished, it.server_side.tail_loss) = (None, Some(Blindness::Gap));
        assert_eq!(hidden(torn), Some(Blindness::Gap));
        let open: fn(&mut Connection) = |it| {
            it.completed = Completed::Blind(Blindness::OpenAtCaptureEnd);
            it.server_side.finished = None;
        };
        assert_eq!(hidden(open), Some(Blindness::OpenAtCaptureEnd));
        // A handshake that broke issues nothing more.
        assert_eq!(
            hidden(|it| (it.completed, it.server_side.finished) = (Completed::No, None)),
            None
        );
        let tls13 = |tickets| {
            let mut connection = answered(1, "a.test", ProtocolVersion::TLS_1_3);
            connection.tickets_inferred = tickets;
            connection.issues_hidden()
        };
        let read = |complete| TicketsInferred::Read { usable: true, complete };
        assert_eq!(tls13(read(true)), None);
        assert_eq!(
            [tls13(read(false)), tls13(TicketsInferred::None)],
            [Some(Blindness::Encrypted); 2]
        );
    }

    #[test]
    fn an_alert_behind_a_gap_where_the_client_finishes_may_be_of_any_time() {
        let alerted = |version, loss| {
            let mut connection = answered(1, "a.test", version);
            connection.server_side.finished = Some(at(2));
            connection.client_side.handshake_loss = loss;
            connection.server_side.alert = Some(Box::new(PlainAlert {
                at: at(9),
                fatal: true,
                description: AlertDescription::DECODE_ERROR,
            }));
            connection.judge_completed(None)
        };
        let (tls13, gap) = (ProtocolVersion::TLS_1_3, Some(Blindness::Gap));
        assert_eq!(alerted(tls13, gap), Completed::Blind(Blindness::Gap));
        assert_eq!(alerted(tls13, None), Completed::No);
        // An older server may have finished first or last, as long as not enough was seen to tell.
        assert_eq!(alerted(ProtocolVersion::TLS_1_2, gap), Completed::Blind(Blindness::Gap));
        assert_eq!(alerted(ProtocolVersion::TLS_1_2, None), Completed::No);
    }

    /// RFC 5246 §7.3: in a full handshake the server finishes last.
    #[test]
    fn an_older_server_that_finished_a_full_handshake_had_read_what_is_lost_of_the_client() {
        let alerted = |version, shape| {
            let mut connection = answered(1, "a.test", version);
            connection.shape = Seen::Yes(shape);
            connection.server_side.finished = Some(at(2));
            connection.client_side.handshake_loss = Some(Blindness::Gap);
            connection.server_side.alert = Some(Box::new(PlainAlert {
                at: at(9),
                fatal: true,
                description: AlertDescription::UNEXPECTED_MESSAGE,
            }));
            connection.judge_completed(None)
        };
        let full = Shape::Full(at(1));
        assert_eq!(alerted(ProtocolVersion::TLS_1_2, full), Completed::Yes);
        assert_eq!(
            alerted(ProtocolVersion::TLS_1_3, full),
            Completed::Blind(Blindness::Gap),
            "it finishes first"
        );
        let abbreviated = Shape::Abbreviated(at(1));
        assert_eq!(
            alerted(ProtocolVersion::TLS_1_2, abbreviated),
            Completed::Blind(Blindness::Gap)
        );
    }

    /// RFC 5246 §7.3: in a full handshake the server finishes last.
    #[test]
    fn an_alert_of_a_client_behind_a_gap_where_an_older_server_finishes_may_be_of_any_time() {
        let alerted = |client_finished, tail_loss| {
            let mut connection = answered(1, "a.test", ProtocolVersion::TLS_1_2);
            connection.client_side.finished = client_finished;
            connection.server_side.tail_loss = tail_loss;
            connection.client_side.alert = Some(Box::new(PlainAlert {
                at: at(9),
                fatal: true,
                description: AlertDescription::DECODE_ERROR,
            }));
            connection.judge_completed(None)
        };
        let gap = Some(Blindness::Gap);
        assert_eq!(alerted(Some(at(3)), gap), Completed::Blind(Blindness::Gap));
        // Every byte of the server was seen, or the client itself had not finished.
        assert_eq!(alerted(Some(at(3)), None), Completed::No);
        assert_eq!(alerted(None, gap), Completed::No);
    }
}
