//! One open connection over QUIC: what its packets show becomes facts of TLS and of QUIC.

mod copies;
mod end;
mod reset;
mod zero_rtt;

use std::num::NonZeroU32;
use std::sync::Arc;

use super::super::DatagramEngine;
use super::lookup::{ConnectionIdKey, Pair, Reached};
use super::{Stranger, UnreadBeginning, is_reaction};
use crate::decrypt::{Scratch, Secrets, Speaker};
use crate::engine::connection::Context;
use crate::handshake::{HandshakeTracker, StreamPlace};
use crate::net::{At, Datagram, Endpoint, FrameRef, MacAddress, Timestamp, Wrapping};
use crate::quic::{self, Cid, Happened, Long, LongKind, QuicPacket, Space, reset_token};
use crate::session::{
    Blindness, ClientPath, CloseFrame, ConnectionId, DatagramFacts, PacketSpace, QuicFacts, RareFacts, Side, Transport,
};
use crate::tcp::Spans;
use crate::tls::{AlertDescription, Message, RecordEvent};

use copies::LatestDatagrams;
use reset::ResetWatch;
pub(super) use zero_rtt::EarlyPackets;

/// Bytes of a side, in which its handshake is over.
const HANDSHAKE: u64 = 64 * 1024;

/// What was seen of one side.
#[derive(Debug, Clone, Copy, Default)]
struct SideSeen {
    captured: bool,
    /// Bytes of its datagrams, of each once.
    bytes: u64,
    /// Its datagrams were cut when captured.
    cut: bool,
    mac: Option<MacAddress>,
    ttl: Option<u8>,
    /// An Initial of it did not open.
    unread: bool,
    closed: Option<CloseFrame>,
    /// Its last Handshake packet so far, and its bytes up to there.
    handshake: Option<(At, u64)>,
    /// Version of its latest Handshake packet.
    handshake_version: Option<u32>,
    /// When it sent its last datagram.
    last: Option<Timestamp>,
}

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct OpenConnection {
    /// Tells it from others that had its number before.
    pub(super) serial: u64,
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    /// What the client calls itself.
    pub(super) client_id: Cid,
    /// Bytes of the connection IDs of the server.
    server_id_length: u8,
    pub(super) connection: quic::QuicConnection,
    /// From its first whole hello on.
    open: Option<Box<HandshakeTracker>>,
    /// The client begins anew, and its hello was not read again.
    anew: bool,
    told: bool,
    pub(super) spans: Spans,
    started: Timestamp,
    /// From the Initial that a Retry answers to the one that answers the Retry.
    round_trip: Option<i64>,
    /// When the client sent what the first Retry answers.
    retried_after: Option<Timestamp>,
    pub(super) last: At,
    outer: Option<Arc<[Wrapping]>>,
    pub(super) facts: QuicFacts,
    sides: [SideSeen; 2],
    /// The latest datagrams of both.
    latest: LatestDatagrams,
    resets: ResetWatch,
    early: EarlyPackets,
    /// The client's first 1-RTT packet, where the answer was not read by then.
    went_on: Option<At>,
    /// When the server refused its version.
    pub(super) refused: Option<Timestamp>,
    /// Names under which the table knows it.
    pub(super) ids: Vec<ConnectionIdKey>,
    pub(super) pairs: Vec<Pair>,
    /// IDs that the table does not know yet, and whose they are.
    new_ids: Vec<(Cid, Speaker)>,
    /// Its share of what all connections hold back.
    pub(super) held: usize,
}

impl OpenConnection {
    /// Of a first Initial that opened.
    pub(super) fn new(
        serial: u64,
        connection: quic::QuicConnection,
        (pair, speaker): (Pair, Speaker),
        long: &Long<'_>,
        at: At,
    ) -> Self {
        let (client_id, server_id) = match speaker {
            Speaker::Client => (long.source, long.destination),
            Speaker::Server => (long.destination, long.source),
        };
        Self {
            serial,
            client: pair.from,
            server: pair.to,
            client_id,
            server_id_length: server_id.len(),
            connection,
            open: None,
            anew: false,
            told: false,
            spans: Spans::new(at),
            started: at.time,
            round_trip: None,
            retried_after: None,
            last: at,
            outer: None,
            facts: QuicFacts {
                version: long.version,
                paths: vec![ClientPath {
                    client: pair.from,
                    first: at.frame,
                }],
                ..QuicFacts::default()
            },
            sides: <[SideSeen; 2]>::default(),
            latest: LatestDatagrams::default(),
            resets: ResetWatch::default(),
            early: EarlyPackets::default(),
            went_on: None,
            refused: None,
            ids: Vec::new(),
            pairs: Vec::new(),
            new_ids: Vec::new(),
            held: 0,
        }
    }

    /// Takes over what came before the first Initial that could be opened.
    pub(super) fn know(&mut self, stranger: &mut Stranger, long: &Long<'_>) {
        // Nothing but a Version Negotiation makes a client go on in another version: where it was not captured, or stands
        // behind, the IDs tell that it is the same. One that takes others reacts at once, and goes on counting its packets.
        let started = self.started;
        let begun_before = self.connection.has_begun_before();
        let same = |unread: &mut UnreadBeginning| {
            let (server, client) = unread.ids;
            let named = client == long.source && (!client.is_empty() || server == long.destination);
            let reacts = unread.negotiated.is_some_and(|refused| is_reaction(refused, started));
            named || (reacts && begun_before)
        };
        if let Some(unread) = stranger.unread.take_if(same) {
            self.begin_otherwise(unread.first);
        }
        if let Some((destination, packets)) = stranger.zero_rtt
            && destination == long.destination
        {
            self.early = packets;
            self.facts.zero_rtt_packets = packets.get();
        }
    }

    /// It began with this packet, in another version.
    pub(super) fn begin_otherwise(&mut self, at: At) {
        self.facts.version_negotiation = true;
        self.started = self.started.min(at.time);
        self.spans.note(at.frame);
        if let Some(path) = self.facts.paths.first_mut() {
            path.first = path.first.min(at.frame);
        }
    }

    /// When its first packet was sent.
    pub(super) const fn started(&self) -> Timestamp {
        self.started
    }

    /// Whether a Version Negotiation mirrors both of its IDs; nobody else can know them (RFC 9000 §6.2).
    pub(super) fn is_mirrored(&self, destination: Cid, source: Cid) -> bool {
        destination == self.client_id && self.connection.began_with(source)
    }

    /// No ServerHello was read yet.
    pub(super) fn is_opening(&self) -> bool {
        let open = self.open.as_deref();
        open.is_none_or(|open| open.facts().answer.yes().is_none())
    }

    /// The client was seen to have its answer: it says what only that makes possible.
    pub(super) fn has_gone_on(&self) -> bool {
        let client = self.side(Side::Client);
        self.connection.is_taken() || self.went_on.is_some() || client.handshake.is_some()
    }

    /// It opened, and holds no hello.
    pub(super) fn is_void(&self) -> bool {
        self.open.is_none() && self.connection.is_no_hello()
    }

    /// IDs that the table is to know.
    pub(super) fn take_ids(&mut self) -> Vec<(Cid, Speaker)> {
        std::mem::take(&mut self.new_ids)
    }

    /// Bytes that it holds back.
    pub(super) fn memory(&self) -> usize {
        let open = self.open.as_deref().map_or(0, HandshakeTracker::memory);
        self.connection.memory() + open
    }

    /// A datagram of it, whatever is in it.
    pub(super) fn see(&mut self, reached: Reached, datagram: &Datagram<'_>, at: At, context: &mut Context) {
        self.spans.note(at.frame);
        if at.time > self.last.time {
            self.last = at;
        }
        self.started = self.started.min(at.time);
        if self.outer.is_none() {
            self.outer = context.interner.outer(datagram.path.outer);
        }
        let Some(side) = self.sides.get_mut(index(reached.speaker)) else {
            return;
        };
        // What a handshake takes is counted; behind it copies are of no interest.
        if side.bytes > HANDSHAKE || !self.latest.is_copy(datagram.payload) {
            side.bytes += datagram.payload.len() as u64 + u64::from(datagram.cut);
        }
        side.cut |= datagram.cut > 0;
        side.last = Some(at.time);
        if !side.captured {
            side.captured = true;
            side.mac = datagram.path.source_mac;
            side.ttl = Some(datagram.path.ttl);
        } else if side.ttl.is_some_and(|known| datagram.path.is_nearer_than(known)) {
            (side.mac, side.ttl) = (datagram.path.source_mac, Some(datagram.path.ttl));
        }
        self.resets.see(reached, datagram, at, self.client_id.len() >= 4);
    }

    /// One packet of a datagram.
    pub(super) fn packet(
        &mut self,
        speaker: Speaker,
        packet: &QuicPacket<'_>,
        at: At,
        secrets: &mut Secrets,
        scratch: &mut Scratch,
    ) {
        match packet {
            QuicPacket::Long(long) => self.long(speaker, long, at, secrets, scratch),
            QuicPacket::Short(bytes) => self.short(speaker, bytes, at, secrets, scratch),
            QuicPacket::VersionNegotiation { destination, source } => {
                if speaker == Speaker::Server && self.is_mirrored(*destination, *source) {
                    let refused = self.connection.version();
                    self.connection.negotiate_version(Some(refused));
                    self.refused = Some(at.time);
                }
            }
            QuicPacket::Unknown { .. } => {}
        }
    }

    fn long(&mut self, speaker: Speaker, long: &Long<'_>, at: At, secrets: &mut Secrets, scratch: &mut Scratch) {
        match long.kind {
            LongKind::Initial => {
                if self.connection.initial(speaker, long, at, scratch) {
                    self.learn_id(speaker, long);
                } else if let Some(side) = self.sides.get_mut(index(speaker)) {
                    side.unread = true;
                }
            }
            LongKind::ZeroRtt if speaker == Speaker::Client => {
                self.early.count(long.bytes);
                self.facts.zero_rtt_packets = self.early.get();
            }
            LongKind::Handshake => {
                if let Some(side) = self.sides.get_mut(index(speaker)) {
                    side.handshake = Some((at, side.bytes));
                    side.handshake_version = Some(long.version);
                }
                let place = (long.bytes, long.number_at);
                self.connection
                    .protected((speaker, Space::Handshake), place, at, secrets, scratch);
            }
            LongKind::Retry => {
                if speaker == Speaker::Server && self.connection.retry(long) {
                    let [client, _] = self.sides;
                    self.retried_after = self.retried_after.or(client.last);
                    self.new_ids.push((long.source, Speaker::Server));
                }
            }
            LongKind::ZeroRtt => {}
        }
    }

    /// Whoever sends a long header says what it calls itself.
    fn learn_id(&mut self, speaker: Speaker, long: &Long<'_>) {
        self.new_ids.push((long.source, speaker));
        match speaker {
            Speaker::Client => {
                self.client_id = long.source;
                // A client that begins anew may call the server otherwise.
                if !self.connection.is_answered() {
                    self.new_ids.push((long.destination, Speaker::Server));
                }
            }
            Speaker::Server => self.server_id_length = long.source.len(),
        }
    }

    fn short(&mut self, speaker: Speaker, bytes: &[u8], at: At, secrets: &mut Secrets, scratch: &mut Scratch) {
        match speaker {
            Speaker::Client => self.client_finished(at),
            Speaker::Server if self.resets.is_reset(bytes) => return,
            Speaker::Server => drop(self.facts.server_application.get_or_insert(at)),
        }
        let id = match speaker {
            Speaker::Client => self.server_id_length,
            Speaker::Server => self.client_id.len(),
        };
        self.connection.protected(
            (speaker, Space::Application),
            (bytes, 1 + usize::from(id)),
            at,
            secrets,
            scratch,
        );
    }

    /// A client sends 1-RTT packets only once it has the server's Finished and has sent its own (RFC 9001 §5.7): both
    /// stand in the Handshake packets before.
    fn client_finished(&mut self, at: At) {
        let sides = self.sides;
        let Some(open) = self.open.as_deref_mut() else { return };
        let facts = open.facts_mut();
        if facts.answer.yes().is_none() {
            // By a server's clock that is ahead, its answer stands behind.
            self.went_on.get_or_insert(at);
            return;
        }
        for (side, seen) in Side::BOTH.into_iter().zip(sides) {
            let facts = facts.side_mut(side);
            if facts.finished.is_none() {
                // Without a Handshake packet it was lost, or stands further on: then nothing tells how long the flight is.
                facts.finished = Some(seen.handshake.map_or(at, |(finished, _)| finished));
                let bytes = seen.handshake.and_then(|(_, bytes)| u32::try_from(bytes).ok());
                facts.handshake_bytes = bytes.and_then(NonZeroU32::new);
                // It may have been sent long before.
                if seen.handshake.is_none() {
                    facts.handshake_loss.get_or_insert(Blindness::Gap);
                }
            }
        }
    }

    /// Everything that a datagram showed becomes facts, and is told where it decides the handshake.
    pub(super) fn settle(&mut self, run: &mut DatagramEngine<'_>, scratch: &mut Scratch) {
        loop {
            let events = self.connection.take_events();
            if events.is_empty() {
                break;
            }
            for happened in events {
                self.event(&happened, run.context, scratch);
            }
        }
        if run.is_watched() {
            self.tell(run);
        }
    }

    fn event(&mut self, happened: &Happened, context: &mut Context, scratch: &mut Scratch) {
        let Happened { speaker, at, event } = happened;
        match event {
            quic::QuicEvent::Anew => {
                self.anew = true;
                // A Retry costs neither side any computation.
                if let Some(asked) = self.retried_after.take() {
                    self.round_trip = Some(at.time.since(asked));
                }
            }
            quic::QuicEvent::Message(Space::Initial, bytes) => self.hello(*speaker, *at, bytes, context, scratch),
            quic::QuicEvent::Message(_, bytes) => self.inner(*speaker, *at, bytes, context),
            quic::QuicEvent::Close {
                space,
                application,
                code,
            } => self.close_frame(
                CloseFrame {
                    at: *at,
                    by: side(*speaker),
                    space: space_of(*space),
                    application: *application,
                    code: *code,
                },
                context,
            ),
            quic::QuicEvent::NewId(id, token) => {
                self.new_ids.push((*id, *speaker));
                if *speaker == Speaker::Server {
                    self.resets.promise(*token);
                }
            }
        }
    }

    /// A message of an Initial packet.
    fn hello(&mut self, speaker: Speaker, at: At, bytes: &[u8], context: &mut Context, scratch: &mut Scratch) {
        let message = Message::parse(bytes);
        match (&message, speaker) {
            (Message::ClientHello(hello), Speaker::Client) => {
                // The hello that the client says last is the one that counts, and a beginning that was refused is void.
                if std::mem::take(&mut self.anew)
                    && let Some(before) = &self.open
                {
                    self.open = Some(Box::new(self.opened(before.id)));
                }
                self.connection.client_hello(bytes, hello.random, &mut context.secrets);
            }
            (Message::ServerHello(_), Speaker::Server) | (Message::Malformed(_), _) => {}
            _ => return,
        }
        let suite = match &message {
            Message::ServerHello(hello) if !hello.hello_retry_request => Some(hello.cipher_suite),
            _ => None,
        };
        let offset = self.bytes_of(speaker);
        if self.open.is_none() && !matches!(message, Message::Malformed(_)) {
            self.open = Some(Box::new(self.opened(context.connection_store.reserve())));
        }
        if let Some(open) = &mut self.open {
            let event = RecordEvent::Message(message);
            open.event(
                side(speaker),
                event,
                StreamPlace::new(at, offset),
                &mut context.credential_store,
                &mut context.interner,
            );
        }
        if let Some(suite) = suite {
            self.connection.server_hello(suite, &mut context.secrets, scratch);
            if let Some(at) = self.went_on.take() {
                self.client_finished(at);
            }
        }
    }

    /// A message of a Handshake or 1-RTT packet.
    fn inner(&mut self, speaker: Speaker, at: At, bytes: &[u8], context: &mut Context) {
        let offset = self.bytes_of(speaker);
        let Some(open) = &mut self.open else { return };
        let message = Message::parse_tls13(bytes);
        if matches!(message, Message::EncryptedExtensions(_))
            && speaker == Speaker::Server
            && let Some(token) = reset_token(bytes)
        {
            self.resets.promise(token);
        }
        open.inner(
            side(speaker),
            &message,
            (at, offset),
            &mut context.credential_store,
            &mut context.interner,
        );
    }

    fn close_frame(&mut self, frame: CloseFrame, context: &mut Context) {
        let speaker = speaker(frame.by);
        let offset = self.bytes_of(speaker);
        let side = self.sides.get_mut(index(speaker)).map(|side| &mut side.closed);
        for known in [Some(&mut self.facts.close_frame), side].into_iter().flatten() {
            let says_more =
                |known: CloseFrame| known.by == frame.by && frame.application && known.stands_for_application();
            if known.is_none_or(says_more) {
                *known = Some(frame);
            }
        }
        if let (Some(open), Some(alert)) = (&mut self.open, frame.alert()) {
            let event = RecordEvent::Alert {
                fatal: true,
                description: AlertDescription(alert),
            };
            open.event(
                frame.by,
                event,
                StreamPlace::new(frame.at, offset),
                &mut context.credential_store,
                &mut context.interner,
            );
        }
    }

    /// A side speaks, and not as if the server had taken what the client was seen to begin with: a Retry and the client's next
    /// beginning were not captured, or its first Initials. Handshake packets are the same whichever beginning was taken.
    fn has_another_beginning(&self) -> bool {
        let spoke = self
            .sides
            .iter()
            .any(|side| side.unread || side.handshake_version.is_some());
        spoke && !self.connection.is_taken() && !self.connection.is_retried()
    }

    /// Version of the Handshake packets: that of the handshake, whatever was said in another one before.
    fn handshake_version(&self) -> Option<u32> {
        self.sides.iter().find_map(|side| side.handshake_version)
    }

    fn bytes_of(&self, speaker: Speaker) -> u64 {
        self.sides.get(index(speaker)).map_or(0, |side| side.bytes)
    }

    /// Facts that know nothing but what carries them.
    fn opened(&self, id: ConnectionId) -> HandshakeTracker {
        HandshakeTracker::new(id, self.client, self.server, self.transport())
    }

    fn transport(&self) -> Transport {
        Transport {
            spans: self.spans.clone(),
            started: self.started,
            ended: self.last.time,
            round_trip: self.round_trip,
            client_isn: None,
            uncommon: Some(Box::new(RareFacts {
                outer: self.outer.clone(),
                datagram: Some(Box::new(DatagramFacts::Quic(self.quic_facts()))),
                ..RareFacts::default()
            })),
        }
    }

    fn quic_facts(&self) -> QuicFacts {
        let said_in = self.connection.version();
        let taken = self.connection.is_taken();
        // Only an answer that was read says more than the heads of packets that stay closed.
        let headed = self.handshake_version().filter(|_| !self.connection.is_answer_read());
        let version = headed.unwrap_or(said_in);
        QuicFacts {
            version,
            version_negotiation: self.facts.version_negotiation || self.connection.has_negotiated_version(),
            retry: self.connection.is_retried(),
            token: self.connection.has_token(),
            token_or_retry: self.connection.is_token_unclear() || self.has_another_beginning(),
            unsettled: !taken && self.handshake_version().is_none(),
            version_changed_unseen: !taken && version != said_in,
            version_open: self.handshake_version().is_none() && self.connection.is_version_open(),
            negotiation_unclear: !self.facts.version_negotiation && self.connection.may_have_been_refused(),
            stateless_reset: self.resets.found(),
            ..self.facts.clone()
        }
    }

    /// The first frame of it.
    pub(super) fn first(&self) -> FrameRef {
        self.spans.main.0
    }
}

const fn index(speaker: Speaker) -> usize {
    match speaker {
        Speaker::Client => 0,
        Speaker::Server => 1,
    }
}

const fn side(speaker: Speaker) -> Side {
    match speaker {
        Speaker::Client => Side::Client,
        Speaker::Server => Side::Server,
    }
}

const fn speaker(side: Side) -> Speaker {
    match side {
        Side::Client => Speaker::Client,
        Side::Server => Speaker::Server,
    }
}

const fn space_of(space: Space) -> PacketSpace {
    match space {
        Space::Initial => PacketSpace::Initial,
        Space::Handshake => PacketSpace::Handshake,
        Space::Application => PacketSpace::OneRtt,
    }
}
