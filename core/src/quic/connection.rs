//! One connection: which keys open its packets, and the TLS streams in them.
//!
//! A client may have to begin more than once: after a Retry, after Version Negotiation, or because the server answers in
//! another version. Each beginning has keys of its own, and all but the last are void.

mod versions;
mod whose;

use super::cid::Cid;
use super::crypto::CryptoStream;
use super::frames::{Allowed, Frames, QuicFrame};
use super::header::Long;
use crate::decrypt::{
    self, PacketKey, ProtectedPacket, QuicKeys, Readiness, Scratch, Secrets, Speaker, is_retry_authentic,
};
use crate::net::At;
use crate::tls::{CipherSuite, Reader};

use versions::OfferedVersions;

/// Key sets of Initial packets: the first, and one after each of Retry, Version Negotiation and compatible negotiation.
const MAX_SETS: usize = 4;
/// Retries remembered: each datagram of a first flight may draw one, and the client obeys one of them.
const MAX_RETRIES: usize = 4;
/// Packets, and bytes of them, that wait for their keys.
const MAX_WAITING: usize = 32;
const MAX_WAITING_BYTES: usize = 32 * 1024;

/// Where a packet belongs (RFC 9000 §12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Initial.
    Initial,
    /// Handshake.
    Handshake,
    /// 1-RTT.
    Application,
}

/// Something that the packets of a connection showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuicEvent {
    /// The client begins anew: what it said before does not count.
    Anew,
    /// A handshake message, header included.
    Message(Space, Box<[u8]>),
    /// CONNECTION_CLOSE.
    Close {
        /// Where.
        space: Space,
        /// By the application, else by QUIC.
        application: bool,
        /// Error code.
        code: u64,
    },
    /// The sender may be called so, and a stateless reset by it ends in these bytes.
    NewId(Cid, [u8; 16]),
}

/// An event of one side, in a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// Who sent it.
    pub speaker: Speaker,
    /// The packet.
    pub at: At,
    /// What.
    pub event: QuicEvent,
}

/// Keys of Initial packets under one connection ID and version.
#[derive(Debug, Clone)]
struct KeySet {
    version: u32,
    destination: Cid,
    client: PacketKey,
    /// Made when the server speaks.
    server: Option<PacketKey>,
    /// Largest packet number of each side.
    largest: [Option<u64>; 2],
    /// A bit for each packet number below 64 that was seen of it.
    numbers: [u64; 2],
    /// Which beginning of the client it is of.
    beginning: u8,
}

impl KeySet {
    fn new(version: u32, destination: Cid, beginning: u8) -> Option<Self> {
        Some(Self {
            version,
            destination,
            client: PacketKey::initial(version, destination.bytes(), Speaker::Client)?,
            server: None,
            largest: [None; 2],
            numbers: [0; 2],
            beginning,
        })
    }

    /// Of the version of an Initial, where that opens with the keys of this connection ID.
    fn opened_by(
        long: &Long<'_>,
        speaker: Speaker,
        destination: Cid,
        beginning: u8,
        scratch: &mut Scratch,
    ) -> Option<Self> {
        let mut set = Self::new(long.version, destination, beginning)?;
        set.open(speaker, long, scratch)?;
        Some(set)
    }

    fn open(&mut self, speaker: Speaker, long: &Long<'_>, scratch: &mut Scratch) -> Option<()> {
        let key = match speaker {
            Speaker::Client => &self.client,
            Speaker::Server => {
                if self.server.is_none() {
                    self.server = PacketKey::initial(self.version, self.destination.bytes(), speaker);
                }
                self.server.as_ref()?
            }
        };
        let largest = self.largest.get_mut(index(speaker))?;
        let packet = ProtectedPacket {
            bytes: long.bytes,
            number_at: long.number_at,
            largest: *largest,
        };
        let number = key.open(&packet, scratch)?;
        *largest = (*largest).max(Some(number));
        if let Some(seen) = self.numbers.get_mut(index(speaker)) {
            *seen |= u32::try_from(number)
                .ok()
                .and_then(|number| 1_u64.checked_shl(number))
                .unwrap_or(0);
        }
        Some(())
    }
}

/// A packet whose keys are not there yet.
#[derive(Debug, Clone)]
struct UndecryptedPacket {
    speaker: Speaker,
    space: decrypt::TrafficSpace,
    number_at: usize,
    bytes: Box<[u8]>,
    at: At,
}

/// One connection.
#[derive(Debug, Clone)]
pub struct QuicConnection {
    /// Newest last.
    sets: Vec<KeySet>,
    /// Number of the client's latest beginning.
    beginning: u8,
    /// The connection ID of the first Initial of all, which a Retry answers.
    original: Cid,
    /// Source connection IDs of Retries that answer it.
    retries: Vec<Cid>,
    /// The server has opened an Initial of its own: keys come from no other connection ID any more.
    answered: bool,
    /// The server's hello was read, and not only that it acknowledges.
    answer_read: bool,
    /// It is known by the server's answer, which stood in front of all that the client said.
    answer_first: bool,
    /// The client calls the server by an ID of its answer, under the keys that this answer was sent under.
    went_on: bool,
    /// The version in which the two go on, as their packets are headed: aioquic keeps the keys of the first one where its server
    /// changes it. Who has left that of the hello does not come back, whatever is acknowledged or sent again in it.
    headed: Option<u32>,
    version_negotiation: bool,
    /// The version of the beginning that a Version Negotiation was seen to answer.
    refused_version: Option<u32>,
    /// What the client's hello says of versions; nothing before that was read.
    versions: Option<OfferedVersions>,
    retried: bool,
    refusal_unseen: bool,
    token: bool,
    /// The first Initial that was seen is not the first of its client, by its number.
    begun_before: bool,
    /// The server was read to say that the handshake is done.
    done: bool,
    /// TLS streams of Initial, Handshake and 1-RTT packets, client and server.
    streams: [[CryptoStream; 2]; 3],
    keys: Option<Box<QuicKeys>>,
    waiting: Vec<UndecryptedPacket>,
    waiting_bytes: usize,
    /// Packets of each side that stayed closed, beside early data.
    closed: [u32; 2],
    events: Vec<Happened>,
}

impl QuicConnection {
    /// Opens the first Initial of a client. `None` where it is not authentic.
    pub fn open(long: &Long<'_>, at: At, scratch: &mut Scratch) -> Option<Self> {
        let first = KeySet::opened_by(long, Speaker::Client, long.destination, 0, scratch)?;
        let [number, _] = first.largest;
        let mut connection = Self {
            token: !long.token.is_empty(),
            begun_before: number != Some(0),
            ..Self::keyed(first)
        };
        connection.frames(Speaker::Client, Space::Initial, at, scratch.frames());
        Some(connection)
    }

    /// Opens an Initial of a server whose Retry told the client to call it `server`: its keys come from there. `None` where it
    /// is not authentic.
    pub fn open_answer(server: Cid, long: &Long<'_>, at: At, scratch: &mut Scratch) -> Option<Self> {
        let first = KeySet::opened_by(long, Speaker::Server, server, 0, scratch)?;
        let mut connection = Self {
            answered: true,
            retried: true,
            refusal_unseen: true,
            answer_first: true,
            ..Self::keyed(first)
        };
        connection.frames(Speaker::Server, Space::Initial, at, scratch.frames());
        Some(connection)
    }

    fn keyed(first: KeySet) -> Self {
        Self {
            original: first.destination,
            sets: vec![first],
            beginning: 0,
            retries: Vec::new(),
            answered: false,
            answer_read: false,
            answer_first: false,
            went_on: false,
            headed: None,
            version_negotiation: false,
            refused_version: None,
            versions: None,
            retried: false,
            refusal_unseen: false,
            token: false,
            begun_before: false,
            done: false,
            streams: Default::default(),
            keys: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            closed: [0; 2],
            events: Vec::new(),
        }
    }

    /// Takes an Initial of either side. `false` where it is not authentic.
    pub fn initial(&mut self, speaker: Speaker, long: &Long<'_>, at: At, scratch: &mut Scratch) -> bool {
        let found = self.sets.iter_mut().rev().find_map(|set| {
            set.open(speaker, long, scratch)
                .map(|()| (set.beginning, set.destination))
        });
        let Some((beginning, keyed_by)) = found.or_else(|| self.derive(speaker, long, at, scratch)) else {
            return false;
        };
        self.answered |= speaker == Speaker::Server;
        let goes_on = speaker == Speaker::Client && long.destination != keyed_by;
        self.went_on |= goes_on;
        if (goes_on || speaker == Speaker::Server) && (self.headed.is_none() || long.version != self.said_in()) {
            self.headed = Some(long.version);
        }
        // What the client said before a Retry may arrive late.
        if beginning == self.beginning {
            self.frames(speaker, Space::Initial, at, scratch.frames());
        }
        true
    }

    /// Tries keys that no packet was opened with before. Gives the beginning that they are of, and the ID that they come from.
    fn derive(&mut self, speaker: Speaker, long: &Long<'_>, at: At, scratch: &mut Scratch) -> Option<(u8, Cid)> {
        if self.sets.len() >= MAX_SETS {
            return None;
        }
        let newest = self.sets.last()?;
        let before = newest.version;
        let other_version = long.version != before;
        let other_id = long.destination != newest.destination;
        // RFC 9368 §2.3: a server that goes on in another version keys it by the same connection ID. The client goes on in the
        // version of its answer, which may not be in the capture; by the ID that it began with it begins anew.
        let goes_on = other_version && (speaker == Speaker::Server || self.answered || other_id);
        let goes_on = goes_on.then_some((newest.destination, self.beginning));
        let anew = speaker == Speaker::Client && !self.answered;
        let anew = anew.then_some((long.destination, self.beginning + 1));
        let opens = |(destination, beginning)| KeySet::opened_by(long, speaker, destination, beginning, scratch);
        let set = [goes_on, anew].into_iter().flatten().find_map(opens)?;
        let (beginning, keyed_by) = (set.beginning, set.destination);
        let [number, _] = set.largest;
        self.sets.push(set);
        if beginning != self.beginning {
            // Tokens are of one version (RFC 9369 §5): this one is of an earlier connection, or of a Retry that was not seen.
            let answers = self.retries.contains(&long.destination);
            if long.version != before && !answers && !long.token.is_empty() && number > Some(0) {
                (self.token, self.begun_before) = (true, true);
            }
            self.begin_anew(long, before, at);
        }
        Some((beginning, keyed_by))
    }

    /// The client says its hello again, from the start of a new stream.
    fn begin_anew(&mut self, long: &Long<'_>, version_before: u32, at: At) {
        self.beginning += 1;
        self.headed = None;
        self.streams = Default::default();
        let answers = self.retries.contains(&long.destination);
        let retried = version_before == long.version && !long.token.is_empty();
        let renegotiated = version_before != long.version;
        self.refusal_unseen |= (retried && !answers) || (renegotiated && !self.version_negotiation);
        self.retried |= answers || retried;
        self.version_negotiation |= renegotiated;
        self.happen(Speaker::Client, at, QuicEvent::Anew);
    }

    /// Takes a Retry. `true` where it answers the first Initial: then its source connection ID is what the client calls
    /// the server next.
    pub fn retry(&mut self, long: &Long<'_>) -> bool {
        let fits = !self.answered
            && self.retries.len() < MAX_RETRIES
            && is_retry_authentic(long.version, self.original.bytes(), long.bytes);
        if fits {
            self.retries.push(long.source);
        }
        fits
    }

    /// A Version Negotiation packet answers it, and with that this version, if it was seen in front.
    pub const fn negotiate_version(&mut self, refused: Option<u32>) {
        if !self.answered && !self.version_negotiation {
            (self.version_negotiation, self.refused_version) = (true, refused);
        }
    }

    /// The hello was read: from here on keys are looked for by its random.
    pub fn client_hello(&mut self, message: &[u8], random: [u8; 32], secrets: &mut Secrets) {
        self.versions = Some(OfferedVersions::of(message, self.said_in()));
        if self.keys.is_none() && secrets.is_idle() {
            return;
        }
        self.keys.get_or_insert_default().client_hello(random, secrets);
    }

    /// The answer was read: its suite protects what follows.
    pub fn server_hello(&mut self, suite: CipherSuite, secrets: &mut Secrets, scratch: &mut Scratch) {
        self.answer_read = true;
        let version = self.version();
        if let Some(keys) = &mut self.keys {
            keys.server_hello(version, suite);
        }
        self.release(secrets, scratch);
    }

    /// Takes a Handshake or 1-RTT packet.
    pub fn protected(
        &mut self,
        (speaker, space): (Speaker, Space),
        (bytes, number_at): (&[u8], usize),
        at: At,
        secrets: &mut Secrets,
        scratch: &mut Scratch,
    ) {
        let key_space = match space {
            Space::Initial => return,
            Space::Handshake => decrypt::TrafficSpace::Handshake,
            Space::Application => decrypt::TrafficSpace::Application,
        };
        let Some(keys) = &mut self.keys else {
            // Before the hello is whole nobody knows whether there are keys.
            if !secrets.is_idle() && self.beginning == 0 && !self.answered {
                self.hold((speaker, key_space), (bytes, number_at), at);
                return;
            }
            return self.stay_closed(speaker);
        };
        match keys.prepare(speaker, key_space, secrets) {
            Readiness::Never => self.stay_closed(speaker),
            Readiness::Waiting => self.hold((speaker, key_space), (bytes, number_at), at),
            Readiness::Ready => {
                if !self.waiting.is_empty() {
                    self.release(secrets, scratch);
                }
                self.open_protected((speaker, key_space), (bytes, number_at), at, scratch);
            }
        }
    }

    fn open_protected(
        &mut self,
        (speaker, space): (Speaker, decrypt::TrafficSpace),
        packet: (&[u8], usize),
        at: At,
        scratch: &mut Scratch,
    ) {
        let keys = self.keys.as_mut();
        let opened = keys.and_then(|keys| keys.open(speaker, space, packet, scratch));
        let space = match space {
            decrypt::TrafficSpace::Handshake => Space::Handshake,
            decrypt::TrafficSpace::Application => Space::Application,
        };
        if opened.is_some() {
            self.frames(speaker, space, at, scratch.frames());
        } else {
            self.stay_closed(speaker);
        }
    }

    const fn stay_closed(&mut self, speaker: Speaker) {
        let [client, server] = &mut self.closed;
        let count = match speaker {
            Speaker::Client => client,
            Speaker::Server => server,
        };
        *count = count.saturating_add(1);
    }

    fn hold(&mut self, (speaker, space): (Speaker, decrypt::TrafficSpace), (bytes, number_at): (&[u8], usize), at: At) {
        if self.waiting.len() >= MAX_WAITING || self.waiting_bytes + bytes.len() > MAX_WAITING_BYTES {
            return self.stay_closed(speaker);
        }
        self.waiting_bytes += bytes.len();
        self.waiting.push(UndecryptedPacket {
            speaker,
            space,
            number_at,
            bytes: bytes.into(),
            at,
        });
    }

    /// Opens what waited, as far as its keys are there.
    fn release(&mut self, secrets: &mut Secrets, scratch: &mut Scratch) {
        self.waiting_bytes = 0;
        for packet in std::mem::take(&mut self.waiting) {
            let (place, bytes) = ((packet.speaker, packet.space), (&*packet.bytes, packet.number_at));
            let keys = self.keys.as_mut();
            match keys.map(|keys| keys.prepare(packet.speaker, packet.space, secrets)) {
                Some(Readiness::Ready) => self.open_protected(place, bytes, packet.at, scratch),
                Some(Readiness::Waiting) => self.hold(place, bytes, packet.at),
                Some(Readiness::Never) | None => self.stay_closed(packet.speaker),
            }
        }
    }

    /// No more comes: what waits stays closed.
    pub fn finish(&mut self) {
        self.waiting_bytes = 0;
        for packet in std::mem::take(&mut self.waiting) {
            self.stay_closed(packet.speaker);
        }
    }

    fn frames(&mut self, speaker: Speaker, space: Space, at: At, payload: &[u8]) {
        let allowed = match space {
            Space::Initial | Space::Handshake => Allowed::Handshake,
            Space::Application => Allowed::All,
        };
        for frame in Frames::new(payload, allowed) {
            match frame {
                QuicFrame::Crypto { offset, data } => self.crypto(speaker, space, at, offset, data),
                QuicFrame::Close { application, code } => self.happen(
                    speaker,
                    at,
                    QuicEvent::Close {
                        space,
                        application,
                        code,
                    },
                ),
                QuicFrame::NewConnectionId { id, token } => self.happen(speaker, at, QuicEvent::NewId(id, token)),
                QuicFrame::HandshakeDone => self.done |= speaker == Speaker::Server,
            }
        }
    }

    fn crypto(&mut self, speaker: Speaker, space: Space, at: At, offset: u64, data: &[u8]) {
        let Some(stream) = self
            .streams
            .get_mut(space as usize)
            .and_then(|both| both.get_mut(index(speaker)))
        else {
            return;
        };
        stream.push(offset, data);
        while let Some(message) = stream.message() {
            self.events.push(Happened {
                speaker,
                at,
                event: QuicEvent::Message(space, message),
            });
        }
    }

    fn happen(&mut self, speaker: Speaker, at: At, event: QuicEvent) {
        self.events.push(Happened { speaker, at, event });
    }

    /// What happened since it was asked for.
    pub fn take_events(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.events)
    }

    /// Whether the client's first stream cannot be a hello: then this is no connection of TLS.
    #[must_use]
    pub fn is_no_hello(&self) -> bool {
        let [[client, _], ..] = &self.streams;
        self.beginning == 0 && client.next_kind().is_some_and(|kind| kind != 1)
    }

    /// Version of the handshake: that in which the two go on, or the newest in which a packet opened.
    #[must_use]
    pub fn version(&self) -> u32 {
        let newest = || self.sets.last().map_or(0, |set| set.version);
        self.headed.unwrap_or_else(newest)
    }

    /// The version of the client's latest beginning.
    fn said_in(&self) -> u32 {
        let mut sets = self.sets.iter();
        let said = sets.find(|set| set.beginning == self.beginning);
        said.map_or(0, |set| set.version)
    }

    /// Whether the server has spoken in Initial packets.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.answered
    }

    /// Whether the server took what the client was seen to begin with: it has spoken, or the client went on.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        self.answered || self.went_on
    }

    /// Whether the server's hello was read: in the version of the handshake.
    #[must_use]
    pub const fn is_answer_read(&self) -> bool {
        self.answer_read
    }

    /// A Retry was obeyed, or the last that was seen of the handshake is one.
    #[must_use]
    pub const fn is_retried(&self) -> bool {
        self.retried || (!self.answered && !self.retries.is_empty())
    }

    /// The first Initial bore a token.
    #[must_use]
    pub const fn has_token(&self) -> bool {
        self.token
    }

    /// The first Initial that was seen is not the first that its client numbered.
    #[must_use]
    pub const fn has_begun_before(&self) -> bool {
        self.begun_before
    }

    /// The token of the first Initial may answer a Retry that was not seen: a client goes on counting its packets after one
    /// (RFC 9000 §17.2.5.3), and this was not its first.
    #[must_use]
    pub const fn is_token_unclear(&self) -> bool {
        self.token && self.begun_before && !self.retried
    }

    /// The keys of a key log, where there are any.
    #[must_use]
    pub fn keys(&self) -> Option<&QuicKeys> {
        self.keys.as_deref()
    }

    /// Whether the server was read to have come to the end of the handshake: it says so at once (RFC 9001 §4.1.2), and sends its
    /// tickets then. Before, it may send 1-RTT packets that bring none.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether every 1-RTT packet of a side up to the last was opened, as far as their numbers tell.
    #[must_use]
    pub fn is_read(&self, speaker: Speaker) -> bool {
        let [.., [client, server]] = &self.streams;
        let (stream, closed) = match speaker {
            Speaker::Client => (client, self.closed[0]),
            Speaker::Server => (server, self.closed[1]),
        };
        let keys = self.keys();
        closed == 0
            && !stream.has_gap()
            && keys.is_some_and(|keys| keys.is_complete(speaker, decrypt::TrafficSpace::Application))
    }

    /// Whether bytes of this side's Initial stream are missing or could not be kept, and which.
    #[must_use]
    pub fn hello_stream(&self, speaker: Speaker) -> &CryptoStream {
        let [[client, server], ..] = &self.streams;
        match speaker {
            Speaker::Client => client,
            Speaker::Server => server,
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn memory(&self) -> usize {
        let streams = self.streams.iter().flatten().map(CryptoStream::memory);
        streams.sum::<usize>() + self.waiting_bytes + self.sets.len() * size_of::<KeySet>()
    }
}

/// The stateless reset token among the transport parameters of an EncryptedExtensions message (RFC 9000 §18.2).
#[must_use]
pub fn reset_token(message: &[u8]) -> Option<[u8; 16]> {
    const STATELESS_RESET_TOKEN: u64 = 2;
    let extensions = Reader::new(message.get(4..)?).vec16()?;
    transport_parameter(extensions, STATELESS_RESET_TOKEN)?.try_into().ok()
}

/// The value of a transport parameter, among the extensions of a message.
fn transport_parameter(extensions: &[u8], wanted: u64) -> Option<&[u8]> {
    /// quic_transport_parameters (RFC 9001 §8.2).
    const PARAMETERS: u16 = 57;
    let mut extensions = Reader::new(extensions);
    while let (Some(kind), Some(body)) = (extensions.u16(), extensions.vec16()) {
        if kind != PARAMETERS {
            continue;
        }
        let mut parameters = Reader::new(body);
        while let Some(id) = super::header::varint(&mut parameters) {
            let length = usize::try_from(super::header::varint(&mut parameters)?).ok()?;
            let value = parameters.take(length)?;
            if id == wanted {
                return Some(value);
            }
        }
    }
    None
}

const fn index(speaker: Speaker) -> usize {
    match speaker {
        Speaker::Client => 0,
        Speaker::Server => 1,
    }
}

#[cfg(test)]
mod tests;
