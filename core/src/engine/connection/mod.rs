//! What the engine attaches to a TCP connection: where TLS begins on it, one decoder a direction, and the fold.

mod clear;
mod confirmed;
mod end;

use std::borrow::Cow;

use super::Limits;
use super::decrypting::Unsealer;
use crate::decrypt::{ConnectionKeys, Secrets, Speaker};
use crate::handshake::{Feedback, HandshakeTracker, StreamPlace};
use crate::net::At;
use crate::session::preamble;
use crate::session::{Blindness, Completed, ConnectionId, KeyOrigin, Side};
use crate::store::{ConnectionStore, CredentialStore, Interner};
use crate::tcp::{Direction, Flow, GapCause, PerSide, Piece};
use crate::tls::record::{Loss, Start, plausible};
use crate::tls::search::{StreamStart, Wanted, search};
use crate::tls::{RecordDecoder, RecordEvent};

use clear::{LongText, go_on};
pub(super) use end::key_origin;
use end::transport;
pub(super) use end::{IDLE_NANOS, SILENT_NANOS, bare_end, finish, may_be_tls, may_still_be_tls, unclassified};

/// Places from which records are followed in what one side said.
const MAX_TRIES: usize = 64;

/// What the connections of a run share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) credential_store: CredentialStore,
    pub(super) interner: Interner,
    pub(super) connection_store: ConnectionStore,
    pub(super) secrets: Secrets,
    /// What is found here will be joined with what other runs found.
    pub(super) joinable: bool,
    /// Bytes held back for secrets that may come.
    pub(super) held: usize,
    /// The most of them.
    pub(super) held_most: usize,
    /// Bytes that open connections hold back in all: see [`account`].
    pub(super) buffered: usize,
    /// While bytes of a segment come: by how many bytes it acknowledges more (or less) of the other side than was delivered,
    /// where that is known.
    pub(super) acknowledged: Option<i32>,
}

impl Context {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            credential_store: CredentialStore::default(),
            interner: Interner::within(limits.shared_bytes),
            connection_store: if limits.services_count {
                ConnectionStore::counting_services(limits.kept_bytes)
            } else {
                ConnectionStore::new(limits.kept_bytes)
            },
            secrets: Secrets::of(limits.key_randoms),
            joinable: false,
            held: 0,
            held_most: limits.held_for_keys,
            buffered: 0,
            acknowledged: None,
        }
    }
}

/// One direction.
#[derive(Debug, Clone)]
enum StreamState {
    /// Looking for the beginning of TLS in the bytes so far, of which so many need no second look.
    Searching(Vec<u8>, usize),
    /// More was said in clear than is searched; TLS may still come.
    Clear(Box<LongText>),
    /// Decoding.
    Tls(RecordDecoder),
}

/// Both directions of a connection, and the TLS connection on it once there is one.
#[derive(Debug)]
pub(super) struct ConnectionState {
    each: PerSide<StreamState>,
    /// Stream bytes delivered so far, gaps included.
    offsets: PerSide<u64>,
    /// Why bytes are missing in each direction, in case some are.
    lost: PerSide<Option<Blindness>>,
    gaps: u32,
    /// Clear text before TLS, client's and server's, cut to what tells its kind.
    clear: Option<Box<PerSide<Vec<u8>>>>,
    /// Clear text that was forgotten when bytes after it were lost, or bytes that were lost where TLS had not begun.
    clear_lost: PerSide<bool>,
    /// Where the hello stands leaves no doubt that TLS begins there: at the first byte of a connection, or behind the
    /// request for it. A hello elsewhere may be mere content until more of the connection is TLS.
    certain: bool,
    /// What became of the handshake was told to whoever watches.
    told: bool,
    /// Where keys came from, in a copy.
    origin: Option<KeyOrigin>,
    open: Option<Box<HandshakeTracker>>,
    /// There are keys for it, or may be.
    sealed: Option<Box<Unsealer>>,
    /// Its share of the bytes that open connections hold back in all.
    pub(super) buffered: u32,
}

/// An open TLS connection takes a block of 1,024 bytes and one of 320, beside its facts: one byte more takes 1,280 or 384.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Flow<ConnectionState>>() <= 1024 && size_of::<HandshakeTracker>() <= 320);

/// What is known so far, to be looked at. Keys stay with the original: a copy reads nothing more.
impl Clone for ConnectionState {
    fn clone(&self) -> Self {
        Self {
            each: self.each.clone(),
            offsets: self.offsets,
            lost: self.lost,
            gaps: self.gaps,
            clear: self.clear.clone(),
            clear_lost: self.clear_lost,
            certain: self.certain,
            told: self.told,
            origin: self.keys().and_then(key_origin).or(self.origin),
            open: self.open.clone(),
            sealed: self.sealed.as_deref().and_then(Unsealer::without_keys),
            // What it holds is counted once.
            buffered: 0,
        }
    }
}

impl Default for ConnectionState {
    fn default() -> Self {
        Self {
            each: PerSide {
                client: StreamState::Searching(Vec::new(), 0),
                server: StreamState::Searching(Vec::new(), 0),
            },
            offsets: PerSide::default(),
            lost: PerSide::default(),
            gaps: 0,
            clear: None,
            clear_lost: PerSide::default(),
            certain: false,
            told: false,
            origin: None,
            open: None,
            sealed: None,
            buffered: 0,
        }
    }
}

impl ConnectionState {
    pub(super) const fn is_tls(&self) -> bool {
        self.open.is_some()
    }

    /// Whether bytes are held back that may turn out to be TLS when no more come.
    pub(super) fn may_begin_late(&self) -> bool {
        self.open.is_none() && self.buffered > 0
    }

    /// Whether what became of the handshake was not told yet, and can be: while records wait for keys, the end of the
    /// handshake may be among them.
    pub(super) fn is_untold(&self) -> bool {
        !self.told && self.open.is_some() && !self.sealed.as_deref().is_some_and(Unsealer::is_waiting)
    }

    /// It is told now.
    pub(super) const fn tell(&mut self) {
        self.told = true;
    }

    /// Whether what became of the handshake is settled: both hellos were seen and both sides finished, or the server went
    /// on; or the connection is over (`closing`) and has offered nothing that is still to be looked up.
    pub(super) fn is_decided(&self, closing: bool, credential_store: &CredentialStore) -> bool {
        let Some(open) = self.open.as_deref() else { return false };
        let facts = open.facts();
        let done = || facts.judge_completed(Some(Blindness::OpenAtCaptureEnd)) == Completed::Yes;
        facts.hello.yes().is_some()
            && (facts.answer.yes().is_some() || closing)
            && (closing || done())
            && !open.will_offer(credential_store)
    }

    /// The number of the TLS connection.
    pub(super) fn id(&self) -> Option<ConnectionId> {
        self.open.as_deref().map(|open| open.id)
    }

    pub(super) const fn gaps(&self) -> u32 {
        self.gaps
    }

    /// The keys of the connection, where there were any.
    pub(super) fn keys(&self) -> Option<&ConnectionKeys> {
        self.sealed.as_deref().map(Unsealer::keys)
    }

    /// Bytes that wait for the rest of a search, of a message, or of a handshake.
    fn memory(&self) -> usize {
        let of_track = |track: &StreamState| match track {
            StreamState::Searching(bytes, _) => bytes.capacity(),
            StreamState::Clear(text) => text.memory(),
            StreamState::Tls(decoder) => decoder.buffered(),
        };
        let open = self.open.as_deref().map_or(0, HandshakeTracker::memory);
        self.each.iter().map(of_track).sum::<usize>() + open
    }

    /// Steps over bytes of a direction that lie inside the body of a protected record: see [`RecordDecoder::skip`].
    #[inline]
    pub(super) fn step_over(&mut self, direction: Direction, bytes: usize) -> bool {
        let StreamState::Tls(decoder) = &mut self.each[direction] else {
            return false;
        };
        let inside = decoder.skip(bytes);
        if inside {
            self.offsets[direction] += bytes as u64;
        }
        inside
    }

    fn swap(&mut self) {
        self.each.swap();
        self.offsets.swap();
        self.lost.swap();
        self.clear_lost.swap();
        if let Some(texts) = &mut self.clear {
            texts.swap();
        }
    }
}

pub(super) const fn side(direction: Direction) -> Side {
    match direction {
        Direction::ToServer => Side::Client,
        Direction::ToClient => Side::Server,
    }
}

pub(super) const fn speaker(direction: Direction) -> Speaker {
    match direction {
        Direction::ToServer => Speaker::Client,
        Direction::ToClient => Speaker::Server,
    }
}

/// Brings the connection's share of what is held back in all up to date.
pub(super) fn account(flow: &mut Flow<ConnectionState>, buffered: &mut usize) {
    let [client, server] = &flow.halves;
    let now = client.assembler.memory() + server.assembler.memory() + flow.data.memory();
    let now = u32::try_from(now).unwrap_or(u32::MAX);
    *buffered = buffered
        .saturating_sub(flow.data.buffered as usize)
        .saturating_add(now as usize);
    flow.data.buffered = now;
}

/// Takes the next piece of one direction. Gives the direction as it is called afterwards: the first hello may show
/// that client and server were guessed the wrong way round.
pub(super) fn deliver(
    flow: &mut Flow<ConnectionState>,
    direction: Direction,
    piece: &Piece<'_>,
    context: &mut Context,
) -> Direction {
    match piece {
        Piece::Data(bytes, _) if flow.data.step_over(direction, bytes.len()) => direction,
        Piece::Data(..) | Piece::Gap(..) => read(flow, direction, piece, context),
    }
}

/// The same of a piece that was not stepped over.
pub(super) fn read(
    flow: &mut Flow<ConnectionState>,
    direction: Direction,
    piece: &Piece<'_>,
    context: &mut Context,
) -> Direction {
    match piece {
        Piece::Gap(length, cause, at) => {
            gap(flow, direction, *length, *cause);
            pass(flow, direction, *length);
            // A record that ends with the gap is told at once: nothing may come after it.
            feed(flow, direction, &[], *at, context);
            direction
        }
        Piece::Data(bytes, at) => {
            pass(flow, direction, bytes.len() as u64);
            match &mut flow.data.each[direction] {
                StreamState::Tls(_) => {
                    feed(flow, direction, bytes, *at, context);
                    account(flow, &mut context.buffered);
                    direction
                }
                StreamState::Searching(..) => {
                    let after = look(flow, direction, bytes, *at, true, context);
                    account(flow, &mut context.buffered);
                    after
                }
                StreamState::Clear(text) => {
                    if text.ends_before(bytes) {
                        let text = text.text();
                        note_clear(flow, direction, &text);
                        set(flow, direction, StreamState::Searching(Vec::new(), 0));
                        let after = look(flow, direction, bytes, *at, true, context);
                        account(flow, &mut context.buffered);
                        after
                    } else {
                        text.add(bytes);
                        direction
                    }
                }
            }
        }
    }
}

/// So many more bytes of a direction are behind.
fn pass(flow: &mut Flow<ConnectionState>, direction: Direction, length: u64) {
    flow.data.offsets[direction] += length;
}

fn gap(flow: &mut Flow<ConnectionState>, direction: Direction, length: u64, cause: GapCause) {
    let blindness = match cause {
        GapCause::Snaplen => Blindness::Snaplen,
        GapCause::Loss | GapCause::Limit => Blindness::Gap,
    };
    let data = &mut flow.data;
    data.gaps += u32::from(cause != GapCause::Snaplen);
    data.lost[direction].get_or_insert(blindness);
    let offset = data.offsets[direction];
    let costs_handshake = match &mut data.each[direction] {
        StreamState::Tls(decoder) => {
            let loss = decoder.gap(length);
            if let (Loss::Framing, Some(sealed)) = (loss, &mut data.sealed) {
                sealed.lose(direction, offset);
            }
            // A whole record may be among what is missing, and a ticket in it.
            if let (Loss::Framing, Direction::ToClient, Some(open)) = (loss, direction, &mut data.open) {
                open.server_stays_closed();
            }
            loss >= Loss::Handshake
        }
        // What was searched so far does not join what comes after the gap.
        StreamState::Searching(bytes, searched) => {
            data.clear_lost[direction] |= !bytes.is_empty();
            bytes.clear();
            *searched = 0;
            true
        }
        StreamState::Clear(text) => {
            text.lose();
            true
        }
    };
    if costs_handshake && let Some(open) = &mut data.open {
        open.handshake_lost(side(direction), blindness);
    }
}

/// Decodes the latest bytes of a direction on which TLS has begun: with those that were held back until it had, more than came
/// last.
fn feed(flow: &mut Flow<ConnectionState>, direction: Direction, bytes: &[u8], at: At, context: &mut Context) {
    let ConnectionState {
        each,
        offsets,
        open,
        sealed,
        ..
    } = &mut flow.data;
    let Some(open) = open else { return };
    let base = offsets[direction].saturating_sub(bytes.len() as u64);
    let delivered = offsets[direction.opposite()];
    let acknowledged = context
        .acknowledged
        .and_then(|more| delivered.checked_add_signed(more.into()));
    let mut feedback = Feedback::None;
    if let StreamState::Tls(decoder) = &mut each[direction] {
        let mut input = bytes;
        while let Some(event) = decoder.next(&mut input) {
            let lost = event == RecordEvent::Desynchronised;
            let place = StreamPlace {
                at,
                offset: base + (bytes.len() - input.len()) as u64,
                acknowledged,
            };
            if let Some(sealed) = sealed
                && sealed.event(direction, &event, place, open, context)
            {
                decoder.keep(sealed.keep(direction));
                continue;
            }
            let decides_keys = Unsealer::decides_keys(&event);
            let said = open.event(
                side(direction),
                event,
                place,
                &mut context.credential_store,
                &mut context.interner,
            );
            if let (true, Some(sealed)) = (decides_keys, &mut *sealed) {
                sealed.prepare(open, context);
            }
            if lost {
                open.handshake_lost(side(direction), Blindness::Unsupported);
            }
            if said != Feedback::None {
                feedback = said;
                decoder.ignore_change_cipher_spec();
            }
        }
    }
    if feedback == Feedback::ChangeCipherSpecIsDummy {
        for track in [&mut each.client, &mut each.server] {
            if let StreamState::Tls(decoder) = track {
                decoder.ignore_change_cipher_spec();
            }
        }
    }
    keep_what_keys_need(&mut flow.data);
}

/// Tells the decoders what to keep for the keys there are. Once there are none, the connection goes on without.
fn keep_what_keys_need(data: &mut ConnectionState) {
    let Some(sealed) = &data.sealed else { return };
    for direction in Direction::BOTH {
        if let StreamState::Tls(decoder) = &mut data.each[direction] {
            decoder.keep(sealed.keep(direction));
        }
    }
}

/// Looks for the beginning of TLS. `is_news` says that the piece came only now, and was not held back.
fn look(
    flow: &mut Flow<ConnectionState>,
    direction: Direction,
    piece: &[u8],
    at: At,
    is_news: bool,
    context: &mut Context,
) -> Direction {
    let StreamState::Searching(held, searched) = &mut flow.data.each[direction] else {
        return direction;
    };
    let (mut held, mut searched) = (std::mem::take(held), std::mem::take(searched));
    // Nearly always the first piece has it all, and is not copied.
    let bytes = if held.is_empty() {
        Cow::Borrowed(piece)
    } else {
        held.extend_from_slice(piece);
        Cow::Owned(held)
    };
    let found = search(&bytes, wanted(flow, direction), &mut searched);
    if let StreamStart::At(offset, start) = found
        && (flow.data.is_tls() || is_hello(&bytes, offset, start))
    {
        return begin(flow, direction, &bytes, offset, start, at, context);
    }
    let in_the_middle = !flow.roles_known() || flow.data.lost.iter().any(Option::is_some) || flow.data.is_tls();
    if in_the_middle && records(&bytes) {
        return begin(flow, direction, &bytes, 0, Start::Middle, at, context);
    }
    // The hello of this side is lost, and the other side's says that this is TLS: records begin somewhere behind the rest
    // of a message. What came before the other side's hello may be clear text.
    let hello_lost = flow.data.lost[direction].is_some();
    if is_news && flow.data.is_tls() && (hello_lost || (!flow.roles_known() && records(piece))) {
        return begin(flow, direction, piece, 0, Start::Middle, at, context);
    }
    // The same where all of this side was held back before the other side's hello was known.
    if !is_news
        && flow.data.is_tls()
        && !flow.roles_known()
        && let Some(rest) = records_at_end(&bytes)
    {
        return begin(flow, direction, rest, 0, Start::Middle, at, context);
    }
    let track = match found {
        StreamStart::Nothing => give_up(flow, direction, &bytes),
        _ => StreamState::Searching(bytes.into_owned(), searched),
    };
    set(flow, direction, track);
    direction
}

/// No TLS within what is searched. It may still come.
fn give_up(flow: &Flow<ConnectionState>, direction: Direction, text: &[u8]) -> StreamState {
    let asks = direction == Direction::ToServer || !flow.roles_known();
    StreamState::Clear(Box::new(LongText::of(text, asks)))
}

/// An alert alone does not make a TLS connection.
fn is_hello(bytes: &[u8], offset: usize, start: Start) -> bool {
    start == Start::V2Hello || bytes.get(offset) == Some(&22)
}

fn set(flow: &mut Flow<ConnectionState>, direction: Direction, track: StreamState) {
    flow.data.each[direction] = track;
}

fn wanted(flow: &Flow<ConnectionState>, direction: Direction) -> Wanted {
    match (&flow.data.open, direction) {
        (Some(_), Direction::ToServer) => Wanted::ClientHello,
        (Some(_), Direction::ToClient) => Wanted::ServerAnswer,
        // Until a hello was seen the ends may be guessed the wrong way round; FTP in active mode even has the TCP
        // server speak first as TLS client.
        (None, _) => Wanted::Either,
    }
}

/// Whether a piece of a connection that was joined in the middle is nothing but whole TLS records.
fn records(piece: &[u8]) -> bool {
    let mut rest = piece;
    while !rest.is_empty() {
        let known_version = matches!(rest, [20..=23, 3, 0..=3, ..]);
        let [_, _, _, high, low, ..] = *rest else { return false };
        let length = usize::from(u16::from_be_bytes([high, low]));
        match rest.get(5 + length..) {
            // Nothing follows a fatal alert (RFC 5246 §7.2.2, RFC 8446 §6.2).
            Some(next) if !next.is_empty() && matches!(rest, [21, _, _, 0, 2, 2, ..]) => return false,
            Some(next) if known_version && plausible(rest) => rest = next,
            _ => return false,
        }
    }
    !piece.is_empty()
}

/// The whole TLS records with which these bytes end.
fn records_at_end(bytes: &[u8]) -> Option<&[u8]> {
    let at_a_header = |rest: &&[u8]| matches!(rest, [20..=23, 3, 0..=3, ..]);
    let rests = (0..bytes.len()).filter_map(|at| bytes.get(at..));
    // Bytes that look like headers everywhere are no reason to follow them from each.
    rests.filter(at_a_header).take(MAX_TRIES).find(|rest| records(rest))
}

/// TLS begins at `offset` of `bytes`, which end with the packet at `at`.
fn begin(
    flow: &mut Flow<ConnectionState>,
    mut direction: Direction,
    bytes: &[u8],
    offset: usize,
    start: Start,
    at: At,
    context: &mut Context,
) -> Direction {
    if flow.data.open.is_none() {
        let from_client = match (start, bytes.get(offset + 5)) {
            (Start::Record, Some(kind)) => *kind == 1,
            (Start::V2Hello, _) => true,
            (Start::Middle | Start::Record, _) => direction == Direction::ToServer,
        };
        if from_client != (direction == Direction::ToServer) {
            flow.swap();
            flow.data.swap();
            direction = direction.opposite();
        }
        let [client, server] = flow.ends;
        let id = context.connection_store.reserve();
        let transport = transport(flow, &mut context.interner);
        let open = HandshakeTracker::with(id, context.connection_store.begin(client, server, transport));
        flow.data.open = Some(Box::new(open));
        flow.data.sealed = (!context.secrets.is_idle()).then(|| Box::new(Unsealer::new()));
    }
    if let (Some(open), Some(cause)) = (&mut flow.data.open, flow.data.lost[direction]) {
        if start == Start::Middle {
            open.handshake_lost(side(direction), cause);
            // They may belong to what stood before TLS.
            flow.data.clear_lost[direction] = true;
        } else if is_hello(bytes, offset, start) {
            open.hello_behind_gap(side(direction), at);
        }
    }
    let (clear, rest) = bytes.split_at(offset.min(bytes.len()));
    let before = flow.data.clear.as_deref().map(|texts| &texts[direction]);
    let in_place = match clear {
        [] if before.is_some_and(|text| !text.is_empty()) => before.is_some_and(|text| preamble::asks_for_tls(text)),
        [] => start != Start::Middle && flow.roles_known() && flow.data.lost.iter().all(Option::is_none),
        text => preamble::announces_tls(text),
    };
    flow.data.certain |= direction == Direction::ToServer && in_place;
    // A ChangeCipherSpec in front of a second hello (RFC 8446 §D.4), whose first one is lost, is TLS already.
    if !clear.is_empty() && !records(clear) {
        note_clear(flow, direction, clear);
    }
    set(flow, direction, StreamState::Tls(RecordDecoder::new(start)));
    keep_what_keys_need(&mut flow.data);
    feed(flow, direction, rest, at, context);
    look_again(flow, direction.opposite(), at, context);
    direction
}

/// The other direction may have held back what only now is known to be TLS: an alert, or the rest after a gap.
fn look_again(flow: &mut Flow<ConnectionState>, direction: Direction, at: At, context: &mut Context) {
    // They came with another segment.
    context.acknowledged = None;
    match &mut flow.data.each[direction] {
        StreamState::Searching(held, searched) if !held.is_empty() => {
            let bytes = std::mem::take(held);
            *searched = 0;
            look(flow, direction, &bytes, at, false, context);
        }
        track @ StreamState::Clear(_) => {
            if let StreamState::Clear(text) = std::mem::replace(track, StreamState::Searching(Vec::new(), 0)) {
                note_clear(flow, direction, &text.text());
            }
        }
        StreamState::Searching(..) | StreamState::Tls(_) => {}
    }
}

/// What is kept of the clear text of a side, of which this is the next stretch.
fn note_clear(flow: &mut Flow<ConnectionState>, direction: Direction, text: &[u8]) {
    let texts = flow.data.clear.get_or_insert_default();
    let known = &mut texts[direction];
    *known = go_on(known, text);
}
