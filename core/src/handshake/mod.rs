//! Folds what TLS says on one connection, message by message, into its facts.
//!
//! Nothing here depends on which direction the capture shows first: what one direction proves alone is taken from it
//! alone, and what needs both hellos is settled when both are there.

mod credentials;
mod dtls;
mod hellos;
mod opened;
mod protected;
#[cfg(test)]
mod tests;

use crate::net::{At, Endpoint};
use crate::tls::{Content, Message, ProtocolVersion, RecordEvent};
use std::num::NonZeroU32;

use crate::session::{Blindness, Seen};
use crate::session::{Connection, ConnectionId, EarlyData, Offer, Shape};
use crate::session::{Credential, CredentialFingerprint};
use crate::session::{DtlsFacts, Transport};
use crate::session::{PlainAlert, Side};
use crate::session::{ProtectedRecord, SideClose};
use crate::store::Interner;
use crate::store::{CredentialStore, KeptConnection, OpenFacts};
use credentials::{OfferedSessionId, Proposed, ProposedPsk};

/// Credentials of one ClientHello that are kept. Clients offer one or two; a hello has room for thousands.
pub const MAX_OFFERED: usize = 64;
/// Credentials issued on one connection that are kept. Servers issue one or two; a stream has room for any number.
pub const MAX_ISSUED: usize = 256;

/// What the decoders must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// Nothing.
    None,
    /// TLS 1.3: ChangeCipherSpec protects nothing.
    ChangeCipherSpecIsDummy,
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
}

/// What is kept of few connections only.
#[derive(Debug, Clone, Default)]
struct Rare {
    /// The session ID that the client offered in a renegotiation.
    renegotiated_id: Option<OfferedSessionId>,
    /// EndOfEarlyData, or the record of its size.
    end_of_early_data: Option<At>,
    /// Records of the client that came before the ServerHello tells what they are, with the places of their ends.
    waiting: Vec<(ProtectedRecord, StreamPlace)>,
}

/// Where in its stream something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPlace {
    /// The packet.
    pub at: At,
    /// Bytes of the stream of that side up to there.
    pub offset: u64,
    /// Bytes of the other side's stream that the packet acknowledges, where that is known: whoever sent it had so much. It
    /// holds whatever the order of the packets in the file.
    pub acknowledged: Option<u64>,
}

impl StreamPlace {
    /// Where no acknowledgement tells what the sender had.
    #[must_use]
    pub const fn new(at: At, offset: u64) -> Self {
        Self {
            at,
            offset,
            acknowledged: None,
        }
    }

    /// So many bytes as are counted of a handshake.
    fn counted(offset: u64) -> Option<NonZeroU32> {
        u32::try_from(offset).ok().and_then(NonZeroU32::new)
    }
}

/// What is remembered of the hellos until both are there.
#[derive(Debug, Clone, Copy, Default)]
struct Hellos {
    /// Identities in the latest ClientHello.
    psks: u8,
    /// The first hello of a side stands behind lost bytes, client first.
    behind_gap: [bool; 2],
    /// Bytes of the server are lost in front of its ServerHello.
    answer_behind_loss: bool,
    /// ServerHelloDone came.
    flight_over: bool,
    /// The client said hello again.
    repeated: bool,
}

/// The server's flight of TLS 1.3, of which lengths are all that is visible.
#[derive(Debug, Clone, Copy, Default)]
struct ServerFlight {
    /// Bytes of its records.
    bytes: u32,
    records: u8,
    /// The last one has the size of Finished, and what must stand in front of that is there.
    ended: bool,
    /// One that seemed to be Finished came before it.
    ended_twice: bool,
    /// Bytes of it are missing.
    torn: bool,
}

/// A record that the server sent behind its flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LaterRecord {
    length: u16,
    /// The client had sent data by then.
    asked: bool,
    /// The client had not sent Finished by then.
    early: bool,
    /// Where in the server's stream it ends.
    end: Option<NonZeroU32>,
}

/// A TLS connection that is still open.
#[derive(Debug, Clone)]
pub struct HandshakeTracker {
    /// Its number.
    pub id: ConnectionId,
    facts: OpenFacts,
    proposed: Option<Box<Proposed>>,
    client_session_id: Option<OfferedSessionId>,
    server_session_id: Option<OfferedSessionId>,
    /// What the ends of both streams look like, client first.
    ends: [SideClose; 2],
    /// Where in its stream the last record of each side of TLS 1.3 ends, client first.
    stands: [Option<NonZeroU32>; 2],
    /// The client's key exchange of TLS 1.2 or before came.
    key_exchange: bool,
    /// A HelloRetryRequest was read, not only concluded from a second ClientHello.
    retry_read: bool,
    /// ChangeCipherSpec under protection, of each side.
    protected_ccs: [u16; 2],
    server_flight: bool,
    /// A hello of another handshake came: what follows is of the next connection on these ports.
    superseded: bool,
    opened: Opened,
    /// Boxed because few connections need it.
    rare: Option<Box<Rare>>,
    hellos: Hellos,
    /// Bytes of the server's stream that the client had: in TLS 1.3 when it sent Finished, before when it sent its first
    /// data. Tells what came after what where packets are out of order.
    client_had: Option<NonZeroU32>,
    /// What the server sent of TLS 1.3 up to its Finished.
    flight: ServerFlight,
    /// Its first records behind that, or behind the client's Finished where it is not known which record is its own.
    after_finished: [Option<LaterRecord>; 2],
    /// Bytes between the server's flight and the first of those are missing.
    lost_after_flight: bool,
}

impl HandshakeTracker {
    /// A connection on which TLS was just recognised.
    #[must_use]
    pub fn new(id: ConnectionId, client: Endpoint, server: Endpoint, transport: Transport) -> Self {
        Self::with(id, OpenFacts::new(client, server, transport))
    }

    /// The same, with what is known of it so far.
    #[must_use]
    pub fn with(id: ConnectionId, facts: OpenFacts) -> Self {
        Self {
            id,
            facts,
            proposed: None,
            client_session_id: None,
            server_session_id: None,
            ends: <[SideClose; 2]>::default(),
            stands: [None; 2],
            key_exchange: false,
            retry_read: false,
            protected_ccs: [0; 2],
            server_flight: false,
            superseded: false,
            opened: Opened::default(),
            rare: None,
            client_had: None,
            hellos: Hellos::default(),
            flight: ServerFlight::default(),
            after_finished: [None; 2],
            lost_after_flight: false,
        }
    }

    /// The facts so far.
    #[must_use]
    pub fn facts(&self) -> &Connection {
        &self.facts
    }

    /// The facts so far, for what TCP adds at the end.
    pub fn facts_mut(&mut self) -> &mut Connection {
        &mut self.facts
    }

    /// Whether the end of the connection will make an offer of what its ClientHello proposes: without an answer that is not
    /// done before.
    #[must_use]
    pub fn will_offer(&self, credential_store: &CredentialStore) -> bool {
        let Some(proposed) = self.proposed.as_deref() else {
            return false;
        };
        let known = |id: &OfferedSessionId| {
            let transport = self.facts.transport.kind();
            let is_there = credential_store.find_session_id(transport, id.bytes()).is_some();
            is_there || credential_store.has_forgotten_session_id(transport, id.bytes())
        };
        let tls13 = self.facts.hello.yes().is_some_and(|hello| hello.offers_tls13);
        let id = proposed.session_id.as_ref().is_some_and(|id| !tls13 || known(id));
        id || proposed.ticket.is_some() || !(proposed.psks.is_empty() && proposed.left_out.is_empty())
    }

    /// How much TLS one side has said: nothing that could be read, a message or record, or more than one.
    #[must_use]
    pub fn said(&self, side: Side) -> usize {
        let [client, server] = &self.ends;
        let (hello, end, key_exchange) = match side {
            Side::Client => (self.facts.hello.yes().is_some(), client, self.key_exchange),
            Side::Server => (self.facts.answer.yes().is_some() || self.retry_read, server, false),
        };
        // A certificate or key exchange of the server in clear stands behind its hello.
        let in_clear =
            !self.facts.is_tls13() && !self.key_exchange && matches!(self.facts.shape, Seen::Yes(Shape::Full(_)));
        let full = side == Side::Server && (self.server_flight || in_clear);
        let alert = self.facts.side(side).alert.is_some() || end.plain.is_some();
        let records = [end.last, end.before_last];
        let told = [hello, full, key_exchange, alert].into_iter().filter(|told| *told);
        let waiting = self.rare.as_deref().filter(|_| side == Side::Client);
        let waiting = waiting.map_or(0, |rare| rare.waiting.len());
        (told.count() + records.iter().flatten().count() + waiting).min(2)
    }

    /// The session ID of the ClientHello.
    #[must_use]
    pub fn session_id(&self) -> Option<CredentialFingerprint> {
        let proposed = self.proposed.as_deref().and_then(|proposed| proposed.session_id);
        proposed.or(self.client_session_id).as_ref().map(OfferedSessionId::name)
    }

    /// Bytes that its credentials take, here and in the credential store, until it is over and counted as finished.
    #[must_use]
    pub fn memory(&self) -> usize {
        let psks = |proposed: &Proposed| proposed.psks.len() + proposed.left_out.len();
        let proposed = self.proposed.as_deref().map_or(0, psks);
        let credentials = self.facts.offers.len() + self.facts.issued.len();
        let hello = self.facts.hello.yes();
        let name = hello.and_then(|hello| hello.server_name.as_deref()).map_or(0, str::len);
        let suites = hello.map_or(0, |hello| size_of_val(&*hello.stack.suites));
        proposed * size_of::<ProposedPsk>()
            + credentials * (size_of::<Offer>() + size_of::<Credential>())
            + name
            + suites
    }

    /// What the ends of both streams looked like, client first.
    #[must_use]
    pub const fn ends(&self) -> &[SideClose; 2] {
        &self.ends
    }

    /// Takes one event of one side, which ends at `place`.
    pub fn event(
        &mut self,
        side: Side,
        event: RecordEvent<'_>,
        place: StreamPlace,
        credential_store: &mut CredentialStore,
        interner: &mut Interner,
    ) -> Feedback {
        let at = place.at;
        let mut feedback = Feedback::None;
        if self.superseded {
            return feedback;
        }
        match event {
            RecordEvent::Message(Message::ClientHello(hello)) if side == Side::Client => {
                self.client_hello(&hello, at, interner);
            }
            RecordEvent::Message(Message::ServerHello(hello)) if side == Side::Server => {
                self.server_hello(&hello, at, interner);
                if hello.version.is_tls13() {
                    feedback = Feedback::ChangeCipherSpecIsDummy;
                }
            }
            RecordEvent::Message(message) => self.message(side, &message, at, credential_store, interner),
            RecordEvent::ChangeCipherSpec => self.change_cipher_spec(side, at),
            RecordEvent::Alert { fatal, description } => self.alert(side, PlainAlert { at, fatal, description }),
            RecordEvent::Protected(record) => {
                self.protected(side, ProtectedRecord::of(&record, Content::Closed, at), place);
                // Nothing that decides an offer comes under protection.
                return feedback;
            }
            RecordEvent::Desynchronised | RecordEvent::Resynchronised => {}
        }
        self.settle(credential_store);
        feedback
    }

    /// Bytes of one side's handshake are missing.
    pub fn handshake_lost(&mut self, side: Side, cause: Blindness) {
        let goes_on = side == Side::Server && self.server_flight_goes_on();
        let facts = self.facts.side_mut(side);
        if facts.finished.is_none() || goes_on {
            facts.handshake_loss.get_or_insert(cause);
        }
    }

    /// A record of this side came late: its end stays what is known of it.
    pub const fn keep_end(&mut self, side: Side, known: &SideClose) {
        let end = self.end(side);
        end.last = known.last;
        end.before_last = known.before_last;
    }

    /// The stream of one side ends inside a record.
    pub const fn ends_inside_record(&mut self, side: Side) {
        self.end(side).unfinished = true;
    }

    /// No more events: what was proposed is settled with what is known. `blind` says why a hello that was not seen
    /// may have been there all the same.
    pub fn finish(&mut self, credential_store: &mut CredentialStore, blind: [Option<Blindness>; 2]) {
        let [client_blind, server_blind] = blind;
        self.release_waiting();
        self.resolve_offers(credential_store, true);
        self.settle(credential_store);
        if self.facts.hello.yes().is_none() {
            self.facts.hello = Seen::Blind(client_blind.unwrap_or(Blindness::ClientHelloMissing));
        }
        // An answer that is there and means nothing is not missing.
        if matches!(self.facts.answer, Seen::No)
            && let Some(cause) = server_blind
        {
            self.facts.answer = Seen::Blind(cause);
        }
        if self.facts.shape.yes().is_none()
            && let Some(cause) = self.facts.server_side.handshake_loss.or(server_blind)
        {
            self.facts.shape = Seen::Blind(cause);
            self.conclude_shape(cause, credential_store);
        }
        let offers_tls13 = self.facts.hello.yes().is_some_and(|hello| hello.offers_tls13);
        let tls13 = self.facts.version().map_or(offers_tls13, ProtocolVersion::is_tls13);
        if let (
            EarlyData::NotOffered,
            true,
            Some(cause @ (Blindness::CaptureStartedLate | Blindness::Gap | Blindness::Snaplen)),
        ) = (self.facts.early_data, tls13, client_blind)
        {
            // An earlier ClientHello with early data, and the HelloRetryRequest that refused it, may not be in the capture.
            self.facts.early_data = EarlyData::Unclear(cause);
        }
        self.name_issued(credential_store);
        self.tell_false_start();
        self.hide_retry(blind);
        self.hide_early_data();
        self.infer_tickets();
        if self.facts.client_side.finished.is_none() && self.server_flight_goes_on() {
            // Only the client's Finished would tell where the flight ends.
            self.facts.server_side.handshake_bytes = None;
        }
    }

    /// A HelloRetryRequest stands in front of the ServerHello, and a second ClientHello follows it: that there was none
    /// is known where one of the two sides is seen without a gap from its beginning to its latest hello. `blind` says of
    /// each side why a hello of it may not have been seen.
    fn hide_retry(&mut self, blind: [Option<Blindness>; 2]) {
        let facts = &mut self.facts;
        if facts.version().is_some_and(|version| !version.is_tls13()) {
            // A second hello of the same random in front of an older ServerHello is no retry.
            facts.retry = None;
            return;
        }
        if facts.retry_is_concluded() && facts.transport.dtls().is_some_and(DtlsFacts::is_verified) {
            // The second hello answers a HelloVerifyRequest (RFC 6347 §4.2.1), as its cookie shows.
            facts.retry = None;
        }
        if facts.retry.is_some() {
            return;
        }
        let [client, server] = blind;
        let [client_late, server_late] = self.hellos.behind_gap;
        let torn = |late: bool, blind: Option<Blindness>| match blind {
            Some(Blindness::CaptureStartedLate | Blindness::OneDirection) => blind,
            _ => late.then_some(blind.unwrap_or(Blindness::Gap)),
        };
        let client = match &facts.hello {
            Seen::Yes(_) => torn(client_late, client).or(facts.client_side.handshake_loss),
            Seen::No => None,
            Seen::Blind(cause) => Some(*cause),
        };
        let server = match &facts.answer {
            Seen::Yes(_) => torn(server_late || self.hellos.answer_behind_loss, server),
            Seen::No => None,
            // Where the capture ends or bytes are missing, the answer may as well have been a request to try again.
            Seen::Blind(cause) => {
                facts.retry_hidden = Some(*cause);
                return;
            }
        };
        facts.retry_hidden = client.and(server);
    }

    /// The facts, to keep.
    #[must_use]
    pub fn into_facts(self: Box<Self>) -> KeptConnection {
        self.facts.over()
    }

    /// Early data is known not to be there only where the first ClientHello was seen, and known to be refused only
    /// where the answer was.
    fn hide_early_data(&mut self) {
        if self.facts.early_data != EarlyData::NotOffered {
            return;
        }
        let cause = match &self.facts.hello {
            Seen::Yes(hello) if hello.early_data => {
                Some(self.facts.answer.blind().unwrap_or(Blindness::ServerHelloMissing))
            }
            Seen::Blind(cause) => Some(*cause),
            Seen::Yes(_) => self.facts.first_hello_hidden(),
            Seen::No => None,
        };
        if let Some(cause) = cause {
            self.facts.early_data = EarlyData::Unclear(cause);
        }
    }

    const fn end(&mut self, side: Side) -> &mut SideClose {
        let [client, server] = &mut self.ends;
        match side {
            Side::Client => client,
            Side::Server => server,
        }
    }
}
