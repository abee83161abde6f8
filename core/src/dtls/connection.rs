//! One association (RFC 6347 §4.1): what two endpoints say to each other from a ClientHello on, until another begins.
//!
//! Records go in as they come; out come the events of TLS, hellos first. Nothing here depends on the order in which
//! records were captured: what a record is follows from its epoch, its number and its message_seq.

mod fit;

use std::collections::VecDeque;

use super::half::DtlsHalf;
use super::hello::{Hello, Opening, is_verify_request};
use super::message::{Fragment, Progress};
use super::record::{DtlsRecord, Number};
use crate::net::{At, Timestamp};
use crate::tcp::Direction;
use crate::tls::names::HandshakeType;
use crate::tls::{AlertDescription, ContentType, Message, ProtocolVersion, RecordEvent};

pub use fit::{Fit, OUT_OF_ORDER};

/// What waits for the hellos at most: a handshake has less, and whoever sends more has no hello in the capture.
const MAX_WAITING: usize = 64;
/// Bytes of it.
const MAX_WAITING_BYTES: usize = 64 * 1024;

/// What an association says.
#[derive(Debug)]
pub enum Heard<'a> {
    /// As over TCP.
    Event(RecordEvent<'a>),
    /// A protected record.
    Protected(DtlsRecord<'a>),
}

/// Takes what is heard.
pub type Listener<'l> = dyn FnMut(Direction, Heard<'_>, At) + 'l;

/// An association.
#[derive(Debug, Clone, Default)]
pub struct Association {
    random: Option<[u8; 32]>,
    server_random: Option<[u8; 32]>,
    version: Option<ProtocolVersion>,
    halves: [DtlsHalf; 2],
    waiting: VecDeque<EarlyRecord>,
    waiting_bytes: usize,
    /// Protected records wait for something else, too.
    held: bool,
    /// Nothing waits any longer.
    impatient: bool,
    /// It was told that the handshake is abbreviated.
    abbreviated: bool,
    verify_request: bool,
    /// A cookie came back, with or without a HelloVerifyRequest that was captured.
    cookie: bool,
    retry_cookie: bool,
    retransmissions: u32,
    /// The latest record.
    last: Option<At>,
    /// Time of the record that was sent last.
    newest: Option<Timestamp>,
}

/// Something that came before the hellos.
#[derive(Debug, Clone)]
enum EarlyRecord {
    Message {
        from: Direction,
        bytes: Box<[u8]>,
        at: At,
    },
    Protected {
        from: Direction,
        content_type: ContentType,
        version: ProtocolVersion,
        number: Number,
        connection_id: Option<Box<[u8]>>,
        header: Box<[u8]>,
        length: u16,
        body: Box<[u8]>,
        at: At,
    },
}

impl Association {
    /// Takes a record. Gives whether it brought a part of a message that was not there before; `None` where it is no
    /// handshake record in clear.
    pub fn take(
        &mut self,
        from: Direction,
        record: &DtlsRecord<'_>,
        at: At,
        listener: &mut Listener<'_>,
    ) -> Option<bool> {
        let news = match record.number {
            Number::Clear { epoch: 0, sequence } => self.take_clear(from, record, sequence, at, listener),
            Number::Clear { epoch, sequence } => {
                if self.half_mut(from).goes_on(record.content_type, epoch, sequence) {
                    self.half_mut(from).alerted |= record.content_type == ContentType::ALERT;
                    self.hear_protected(from, record, at, listener);
                }
                None
            }
            Number::Encrypted { .. } => {
                self.hear_protected(from, record, at, listener);
                None
            }
        };
        self.last = Some(at);
        self.newest = self.newest.max(Some(at.time));
        self.tell_abbreviated(listener);
        news
    }

    /// Has protected records wait until they are released, beside what they wait for by themselves; within the same bounds.
    pub fn hold(&mut self, held: bool, listener: &mut Listener<'_>) {
        self.held = held;
        self.release(listener);
    }

    /// No more records come: what waits is told.
    pub fn finish(&mut self, listener: &mut Listener<'_>) {
        self.impatient = true;
        self.release(listener);
        self.tell_abbreviated(listener);
    }

    /// Counts a datagram that only repeats what was there.
    pub const fn count_retransmission(&mut self) {
        self.retransmissions = self.retransmissions.saturating_add(1);
    }

    /// Datagrams that only repeat handshake messages.
    #[must_use]
    pub const fn retransmissions(&self) -> u32 {
        self.retransmissions
    }

    /// Whether the server asked for a cookie by HelloVerifyRequest, captured or not: up to DTLS 1.2 nothing else stands
    /// before its ServerHello (RFC 6347 §4.2.2).
    #[must_use]
    pub fn has_verify_request(&self) -> bool {
        let second = self.half(Direction::ToClient).hello.is_some_and(|number| number > 0);
        self.verify_request || self.cookie || (second && !self.is_tls13())
    }

    /// Whether a HelloVerifyRequest is only known by what follows it: its bytes are not among the server's.
    #[must_use]
    pub fn is_verify_request_unseen(&self) -> bool {
        self.has_verify_request() && !self.verify_request
    }

    /// Whether a HelloRetryRequest stands in front of the ServerHello of DTLS 1.3, captured or not: the first message of a
    /// server has the number 0 (RFC 9147 §5.2).
    #[must_use]
    pub fn has_retry_request(&self) -> bool {
        let second = self.half(Direction::ToClient).hello.is_some_and(|number| number > 0);
        second && self.is_tls13()
    }

    /// Whether a protected record of this direction may be the next one of this association, rather than one of another that is
    /// called by the same connection ID: its number is none that was there, nor one before those. The numbers of DTLS 1.3
    /// are encrypted and tell nothing.
    #[must_use]
    pub fn may_be_next(&self, from: Direction, number: Number) -> bool {
        let half = self.half(from);
        match number {
            Number::Clear { epoch, sequence } => epoch == half.epoch && sequence >= half.sealed.next,
            Number::Encrypted { .. } => true,
        }
    }

    /// Whether the server asked for a cookie by HelloRetryRequest.
    #[must_use]
    pub const fn has_retry_cookie(&self) -> bool {
        self.retry_cookie
    }

    /// Whether this side has sent a record in clear with this number. No side gives a number twice.
    #[must_use]
    pub fn has_in_clear(&self, from: Direction, sequence: u64) -> bool {
        self.half(from).clear.has(sequence)
    }

    /// Whether the server has said what it chose.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.version.is_some()
    }

    /// Whether both sides protect their records.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        let [client, server] = &self.halves;
        client.protected && server.protected
    }

    /// Whether this side has sent an alert.
    #[must_use]
    pub const fn is_alerted(&self, from: Direction) -> bool {
        self.half(from).alerted
    }

    /// Whether its handshake ended with an alert.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        let alerted = |from| self.is_alerted_in_clear(from);
        !self.is_established() && Direction::BOTH.into_iter().any(alerted)
    }

    /// Whether this side has sent an alert in clear: the handshake is over.
    #[must_use]
    pub const fn is_alerted_in_clear(&self, from: Direction) -> bool {
        self.half(from).alerted_in_clear
    }

    /// Whether this side has sent its Finished: it need not have been captured, as what follows bears a number. Up to
    /// DTLS 1.2.
    #[must_use]
    pub const fn is_finished(&self, from: Direction) -> bool {
        self.half(from).finished
    }

    /// Whether the Finished of this side was captured. Up to DTLS 1.2.
    #[must_use]
    pub const fn has_finished(&self, from: Direction) -> bool {
        self.half(from).finished_captured
    }

    /// Whether the numbers of its protected records show that some were not captured. Up to DTLS 1.2.
    #[must_use]
    pub const fn has_lost(&self, from: Direction) -> bool {
        self.half(from).received < self.half(from).sealed.next
    }

    /// Whether parts of a message are missing of this side.
    #[must_use]
    pub const fn is_incomplete(&self, from: Direction) -> bool {
        self.half(from).messages.are_incomplete()
    }

    /// Whether messages of this side are missing in front of others.
    #[must_use]
    pub const fn leaves_out_messages(&self, from: Direction) -> bool {
        self.half(from).messages.leave_out_some()
    }

    /// Whether the hello of one side brings a connection ID.
    #[must_use]
    pub const fn has_connection_id(&self, from: Direction) -> bool {
        self.half(from).connection_id.is_some()
    }

    /// The connection ID in the records of this direction: that which the receiver asked for, where both agreed on IDs.
    #[must_use]
    pub fn connection_id(&self, from: Direction) -> Option<&[u8]> {
        self.half(from).connection_id.as_deref()?;
        self.half(from.opposite()).connection_id.as_deref()
    }

    /// The number of the record in clear that this side sends next.
    #[must_use]
    pub const fn next_in_clear(&self, from: Direction) -> u64 {
        self.half(from).clear.next
    }

    /// Bytes that are held back.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let [client, server] = &self.halves;
        self.waiting_bytes + client.messages.buffered() + server.messages.buffered()
    }

    fn is_tls13(&self) -> bool {
        self.version.is_some_and(ProtocolVersion::is_tls13)
    }

    /// Whether both hellos were told, and nothing else is waited for.
    const fn is_ready(&self) -> bool {
        let [client, server] = &self.halves;
        self.impatient || (!self.held && client.hello.is_some() && server.hello.is_some())
    }

    fn take_clear(
        &mut self,
        from: Direction,
        record: &DtlsRecord<'_>,
        sequence: u64,
        at: At,
        listener: &mut Listener<'_>,
    ) -> Option<bool> {
        let new = self.half_mut(from).clear.insert(sequence);
        match (record.content_type, record.body) {
            (ContentType::HANDSHAKE, _) => {
                let news = self.fragments(from, record, sequence, at, listener);
                // The same packet twice in a capture is no retransmission: that has a new number.
                return Some(news || !new);
            }
            (ContentType::CHANGE_CIPHER_SPEC, [1]) => {
                self.half_mut(from).note_change(sequence, at);
            }
            // After ChangeCipherSpec alerts come under protection, and one in clear is forged.
            (ContentType::ALERT, &[level, description]) if self.half(from).epoch == 0 => {
                let event = RecordEvent::Alert {
                    fatal: level == 2,
                    description: AlertDescription(description),
                };
                let half = self.half_mut(from);
                (half.alerted, half.alerted_in_clear) = (true, true);
                listener(from, Heard::Event(event), at);
            }
            _ => {}
        }
        None
    }

    fn fragments(
        &mut self,
        from: Direction,
        record: &DtlsRecord<'_>,
        sequence: u64,
        at: At,
        listener: &mut Listener<'_>,
    ) -> bool {
        let missing = usize::from(record.length) - record.body.len();
        let (mut news, mut last) = (false, None);
        for fragment in Fragment::all(record.body, missing) {
            last = Some(fragment);
            // Its message_seq may be that of the ServerHello: a server that keeps no state counts anew.
            if (fragment.kind, from) == (HandshakeType::HELLO_VERIFY_REQUEST, Direction::ToClient) {
                if fragment.is_whole() && is_verify_request(fragment.bytes) {
                    news |= !std::mem::replace(&mut self.verify_request, true);
                }
                continue;
            }
            self.note_random(from, &fragment);
            match self.half_mut(from).messages.push(&fragment) {
                Progress::Whole => {
                    news = true;
                    self.hear_message(from, &fragment, at, listener);
                }
                Progress::Partial => {
                    news = true;
                    self.hint_full(from, fragment.kind, at, listener);
                }
                Progress::Again | Progress::Unusable => {}
            }
        }
        if let Some(last) = last {
            self.half_mut(from).note_end(&last, sequence);
        }
        news
    }

    /// The random stands at the beginning of a hello, the rest of which may never come: it tells the next one, which must not
    /// be put together with this.
    fn note_random(&mut self, from: Direction, fragment: &Fragment<'_>) {
        let random = match (fragment.kind, from) {
            (HandshakeType::CLIENT_HELLO, Direction::ToServer) => &mut self.random,
            (HandshakeType::SERVER_HELLO, Direction::ToClient) => &mut self.server_random,
            _ => return,
        };
        let opening = Opening::read(fragment.bytes).filter(|_| fragment.offset == 0);
        if let Some(opening) = opening.filter(|opening| !opening.is_retry()) {
            random.get_or_insert(opening.random);
        }
    }

    /// Only a full handshake has a Certificate, or what else stands between ServerHello and ServerHelloDone: a part of it
    /// proves that as well as the whole.
    fn hint_full(&mut self, from: Direction, kind: HandshakeType, at: At, listener: &mut Listener<'_>) {
        let tells = matches!(
            kind,
            HandshakeType::CERTIFICATE | HandshakeType::SERVER_KEY_EXCHANGE | HandshakeType::CERTIFICATE_REQUEST
        );
        let half = self.half_mut(from);
        if from == Direction::ToClient && tells && !std::mem::replace(&mut half.hinted, true) {
            let event = RecordEvent::Message(Message::Malformed(HandshakeType::CERTIFICATE));
            listener(from, Heard::Event(event), at);
        }
    }

    /// A message is whole.
    fn hear_message(&mut self, from: Direction, fragment: &Fragment<'_>, at: At, listener: &mut Listener<'_>) {
        let bytes = self.half_mut(from).messages.take_whole();
        match (from, fragment.kind) {
            (Direction::ToServer, HandshakeType::CLIENT_HELLO) | (Direction::ToClient, HandshakeType::SERVER_HELLO) => {
                self.hear_hello(from, &bytes, fragment.number, at, listener);
            }
            _ if self.half(from).hello.is_some() || self.impatient => {
                listener(from, Heard::Event(RecordEvent::Message(Message::parse(&bytes))), at);
            }
            _ => {
                let bytes = bytes.as_slice().into();
                self.wait(EarlyRecord::Message { from, bytes, at }, listener);
            }
        }
        self.half_mut(from).messages.give_back(bytes);
    }

    fn hear_hello(&mut self, from: Direction, bytes: &[u8], number: u16, at: At, listener: &mut Listener<'_>) {
        let kind = HandshakeType(bytes.first().copied().unwrap_or_default());
        let Some(hello) = Hello::read(bytes) else {
            listener(from, Heard::Event(RecordEvent::Message(Message::Malformed(kind))), at);
            return;
        };
        let message = Message::parse(&hello.message);
        if from == Direction::ToServer {
            // The hello without the cookie may be captured behind the one with it.
            let late = self.half(from).hello.is_some_and(|told| number < told);
            if late || self.random.is_some_and(|random| random != hello.random) {
                return;
            }
            self.random = Some(hello.random);
            self.cookie |= hello.cookie;
            self.half_mut(from).hello = Some(number);
        } else if !hello.retry {
            if self.half(from).hello.is_some() {
                return;
            }
            self.server_random = Some(hello.random);
            if let Message::ServerHello(parsed) = &message {
                self.version = Some(parsed.version);
            }
            self.half_mut(from).hello = Some(number);
        }
        self.retry_cookie |= hello.retry_cookie;
        if !hello.retry {
            self.half_mut(from).connection_id = hello.connection_id.map(Vec::into_boxed_slice);
        }
        listener(from, Heard::Event(RecordEvent::Message(message)), at);
        self.release(listener);
    }

    fn hear_protected(&mut self, from: Direction, record: &DtlsRecord<'_>, at: At, listener: &mut Listener<'_>) {
        self.half_mut(from).protected = true;
        if self.is_ready() {
            listener(from, Heard::Protected(*record), at);
            return;
        }
        let waiting = EarlyRecord::Protected {
            from,
            content_type: record.content_type,
            version: record.version,
            number: record.number,
            connection_id: record.connection_id.map(Into::into),
            header: record.header.into(),
            length: record.length,
            body: record.body.into(),
            at,
        };
        self.wait(waiting, listener);
    }

    fn wait(&mut self, waiting: EarlyRecord, listener: &mut Listener<'_>) {
        self.waiting_bytes += waiting.bytes();
        self.waiting.push_back(waiting);
        self.impatient |= self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES;
        self.release(listener);
    }

    /// Tells what waited, in the order in which it came, once both hellos were told.
    fn release(&mut self, listener: &mut Listener<'_>) {
        if !self.is_ready() {
            return;
        }
        self.waiting_bytes = 0;
        for waiting in std::mem::take(&mut self.waiting) {
            match &waiting {
                EarlyRecord::Message { from, bytes, at } => {
                    listener(*from, Heard::Event(RecordEvent::Message(Message::parse(bytes))), *at);
                }
                EarlyRecord::Protected {
                    from,
                    content_type,
                    version,
                    number,
                    connection_id,
                    header,
                    length,
                    body,
                    at,
                } => {
                    let record = DtlsRecord {
                        content_type: *content_type,
                        version: *version,
                        number: *number,
                        connection_id: connection_id.as_deref(),
                        header,
                        length: *length,
                        body,
                    };
                    listener(*from, Heard::Protected(record), *at);
                }
            }
        }
    }

    /// An abbreviated handshake goes straight from a hello, or from the NewSessionTicket behind it, to ChangeCipherSpec.
    /// That nothing stands between is proven by numbers, not by what was captured: by those of two records in a row, or by
    /// the message_seq of hello and ticket. ChangeCipherSpec itself bears no message_seq and may be lost.
    fn tell_abbreviated(&mut self, listener: &mut Listener<'_>) {
        let Some(now) = self.last else { return };
        if self.abbreviated || !self.is_ready() || self.version.is_none() || self.is_tls13() {
            return;
        }
        let proof = [Direction::ToClient, Direction::ToServer]
            .into_iter()
            .find_map(|from| Some((from, self.abbreviated_by(from, now)?)));
        if let Some((from, at)) = proof {
            self.abbreviated = true;
            listener(from, Heard::Event(RecordEvent::ChangeCipherSpec), at);
        }
    }

    fn abbreviated_by(&self, from: Direction, now: At) -> Option<At> {
        let half = self.half(from);
        let hello = half.hello?;
        // A ticket right behind the ServerHello leaves no room for a Certificate.
        let follows = |kind: HandshakeType, number: u16| match kind {
            HandshakeType::NEW_SESSION_TICKET => number == hello.wrapping_add(1),
            _ => number == hello,
        };
        let mut ends = half.ends.iter().filter(|(_, kind, number)| follows(*kind, *number));
        let next_to = |end: u64| half.changes.iter().find(|(change, _)| *change == end + 1);
        let by_record = ends.clone().find_map(|(end, ..)| next_to(*end)).map(|(_, at)| *at);
        let ticket = ends.any(|(_, kind, _)| *kind == HandshakeType::NEW_SESSION_TICKET);
        by_record.or_else(|| (ticket && half.epoch > 0).then_some(now))
    }

    const fn half(&self, from: Direction) -> &DtlsHalf {
        let [client, server] = &self.halves;
        match from {
            Direction::ToServer => client,
            Direction::ToClient => server,
        }
    }

    const fn half_mut(&mut self, from: Direction) -> &mut DtlsHalf {
        let [client, server] = &mut self.halves;
        match from {
            Direction::ToServer => client,
            Direction::ToClient => server,
        }
    }
}

impl EarlyRecord {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Message { bytes, .. } => bytes.len(),
                Self::Protected { body, header, .. } => body.len() + header.len(),
            }
    }
}
