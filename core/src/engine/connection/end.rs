//! The end of a TCP connection: the facts of the TLS connection on it, or what other runs may join it by.

use super::{ConnectionState, Context, StreamState, side};
use crate::decrypt::ConnectionKeys;
use crate::diagnosis::outcome;
use crate::engine::coverage::Silence;
use crate::handshake::HandshakeTracker;
use crate::net::span::MINUTE;
use crate::net::{At, Segment};
use crate::session::preamble;
use crate::session::{
    Blindness, CloseClass, Connection, ConnectionId, CredentialFingerprint, HostFingerprint, KeyOrigin, MergeHints,
    RareFacts, Seen, Side, SideClose, SideFacts, Transport, classify_close, set_server_back,
};
use crate::store::{Interner, KeptConnection};
use crate::tcp::{Direction, FinCovers, Finished, Flow, Half, PerSide, Reset, Why};

/// Silence at the end of the capture after which an open connection is called idle rather than open.
pub(in crate::engine) const IDLE_NANOS: i64 = MINUTE;
/// Silence after which a connection without FIN or RST is called timed out.
pub(in crate::engine) const SILENT_NANOS: i64 = 5 * MINUTE;

/// Whether a connection that is not known for TLS may have been: it began in the capture, bytes are missing, and no side shows all
/// that it said. What is missing may be the hellos, behind clear text or in front of all that is there.
pub(in crate::engine) fn may_be_tls(flow: &Flow<ConnectionState>) -> bool {
    let lacks = |direction: Direction| flow.data.lost[direction].is_some() || flow.half(direction).incomplete_at_end();
    let said_nothing = |direction: Direction| flow.data.offsets[direction] == 0;
    let [client, server] = Direction::BOTH.map(lacks);
    flow.roles_known()
        && (client || server)
        && (client || said_nothing(Direction::ToServer))
        && (server || said_nothing(Direction::ToClient))
}

/// Whether the same is to be said of one that no other run knew better.
pub(in crate::engine) fn may_still_be_tls(unclassified: &Connection) -> bool {
    let lacks = |side: &SideFacts| matches!(side.tail_loss, Some(Blindness::Gap | Blindness::Snaplen));
    // Of what is no TLS, the end is not supported.
    let said_nothing = |side: &SideFacts| side.tail_loss.is_none();
    let sides = [&unclassified.client_side, &unclassified.server_side];
    let begun = unclassified.edges.as_deref().is_some_and(|edges| edges.begun);
    begun && sides.iter().any(|side| lacks(side)) && sides.iter().all(|side| lacks(side) || said_nothing(side))
}

/// Turns a finished TCP connection into the facts of its TLS connection, where it had one.
pub(in crate::engine) fn finish(
    finished: &mut Finished<ConnectionState>,
    silence: Silence,
    context: &mut Context,
) -> Option<(ConnectionId, KeptConnection)> {
    let Finished { flow, why } = finished;
    if let ConnectionState {
        sealed: Some(sealed),
        open: Some(open),
        ..
    } = &mut flow.data
    {
        sealed.finish(open, context);
    }
    if flow.data.confirmed() != Some(true) {
        if let Some(open) = flow.data.open.as_deref() {
            let offered = open.facts().offers.iter().map(|offer| offer.credential);
            let all = open.facts().issued.iter().copied().chain(offered);
            context.credential_store.disown(open.id, all);
        }
        return None;
    }
    let mut open = flow.data.open.take()?;
    open.facts_mut().transport = transport(flow, &mut context.interner);
    let lost = flow.data.clear_lost;
    // A client that began with its hello said nothing before, whatever is lost of its server.
    let torn = open.began_behind_gap() || lost.client || (lost.server && flow.data.clear.is_some());
    let preamble = flow.data.clear.take().map(|texts| {
        let PerSide { client, server } = *texts;
        // A server that never came to TLS has said all of it in clear.
        let server = match &flow.data.each.server {
            StreamState::Searching(said, _) if server.is_empty() => said,
            _ => &server,
        };
        preamble::classify(&client, server)
    });
    // What is left of a text may name nothing of what it was.
    if let Some(preamble) = preamble.filter(|preamble| preamble.is_named() || !torn) {
        let uncommon = open.facts_mut().transport.uncommon.get_or_insert_default();
        uncommon.preamble = Some(preamble);
    } else if torn {
        open.facts_mut()
            .transport
            .uncommon
            .get_or_insert_default()
            .beginning_lost = true;
    }
    open.facts_mut().marks = marks(flow.half(Direction::ToClient), flow.half(Direction::ToServer));
    let mut blind = [None; 2];
    for (direction, blind) in Direction::BOTH.into_iter().zip(&mut blind) {
        let unread = finish_side(&mut open, flow, direction);
        *blind = missing_hello(flow, direction, unread);
    }
    let (still_open, class) = open_cause(open.facts(), *why, silence);
    if let Some(cause) = still_open {
        for blind in &mut blind {
            *blind = blind.or(Some(cause));
        }
    }
    let id = open.id;
    let session_id = context.joinable.then(|| open.session_id()).flatten();
    open.finish(&mut context.credential_store, blind);
    let mut ends = *open.ends();
    for (end, direction) in ends.iter_mut().zip(Direction::BOTH) {
        end.after_peer_fin = flow.spoke_after_end(direction);
        end.after_peer_data = flow.spoke_after_data(direction);
    }
    // In place: facts that are moved are facts that are copied.
    let connection = open.facts_mut();
    if let Some(ahead) = flow.clock_difference() {
        let [_, server_end] = &mut ends;
        set_server_back(connection, server_end, ahead);
    }
    connection.keys = flow.data.keys().and_then(key_origin).or(flow.data.origin);
    let [client_end, server_end] = &ends;
    connection.complete(connection.judge_completed(still_open));
    connection.close = classify_close(connection, [client_end, server_end], class);
    connection.outcome = outcome::decide(connection);
    connection.edges = context.joinable.then(|| Box::new(edges(flow, ends, session_id)));
    Some((id, open.into_facts()))
}

/// What a connection without TLS looks like to other runs, which may know it for TLS: where it was seen from its
/// beginning to its end, there is nothing to join, unless its handshake may be missing.
pub(in crate::engine) fn unclassified(flow: &Flow<ConnectionState>, interner: &mut Interner) -> Option<Connection> {
    if flow.roles_known() && flow.closed() && !may_be_tls(flow) {
        return None;
    }
    // A few records alone make no TLS connection, but they may be the end of one.
    let said = flow.data.open.as_deref();
    let said = said.filter(|open| open.facts().hello.yes().is_none() && open.facts().answer.yes().is_none());
    let ends = said
        .map(HandshakeTracker::ends)
        .map(|[client, server]| [*client, *server]);
    let [client, server] = flow.ends;
    let mut open = HandshakeTracker::new(ConnectionId(u32::MAX), client, server, transport(flow, interner));
    for direction in Direction::BOTH {
        finish_side(&mut open, flow, direction);
    }
    let mut connection = open.facts().clone();
    let mut edges = edges(flow, ends.unwrap_or_default(), None);
    if ends.is_none() {
        edges.read = [false; 2];
    }
    connection.edges = Some(Box::new(edges));
    Some(connection)
}

/// The end of a connection of which nothing else was seen.
pub(in crate::engine) fn bare_end(segment: &Segment<'_>, at: At) -> Connection {
    let from_client = segment.source.port > segment.destination.port;
    let [mut client, mut server] = [segment.source, segment.destination];
    let mut numbers = [
        Some((segment.seq, segment.seq.plus(u32::from(segment.flags.fin())))),
        None,
    ];
    if !from_client {
        std::mem::swap(&mut client, &mut server);
        numbers.swap(0, 1);
    }
    let mut open = HandshakeTracker::new(ConnectionId(u32::MAX), client, server, Transport::at(at));
    let side = if from_client { Side::Client } else { Side::Server };
    let facts = open.facts_mut().side_mut(side);
    facts.captured = true;
    facts.fin = segment.flags.fin().then_some(at);
    facts.reset = segment.flags.rst().then(|| Reset::of(segment, at));
    let mut connection = open.facts().clone();
    connection.edges = Some(Box::new(MergeHints {
        begun: false,
        numbers,
        read: [false; 2],
        ends: <[SideClose; 2]>::default(),
        session_id: None,
    }));
    connection
}

pub(super) fn transport(flow: &Flow<ConnectionState>, interner: &mut Interner) -> Transport {
    let client = flow.half(Direction::ToServer);
    let uncommon = RareFacts {
        outer: interner.outer(&flow.outer),
        preamble: None,
        unreachable: flow.unreachable,
        behind: flow.answered_from.as_deref().copied(),
        datagram: None,
        server_clock_ahead: flow.clock_difference(),
        beginning_lost: false,
    };
    Transport {
        spans: flow.spans.clone(),
        started: flow.first.time,
        ended: flow.last.time,
        round_trip: flow.round_trip(),
        client_isn: client.isn,
        uncommon: uncommon.boxed(),
    }
}

fn marks(half: &Half, client: &Half) -> HostFingerprint {
    HostFingerprint {
        mac: half.mac,
        ttl: half.ttl,
        syn_options: half.syn_options,
        asked: client.syn_options.map(|options| options.order),
    }
}

/// Where a connection can be joined with what other runs saw of it.
fn edges(flow: &Flow<ConnectionState>, ends: [SideClose; 2], session_id: Option<CredentialFingerprint>) -> MergeHints {
    let read = |direction: Direction| match &flow.data.each[direction] {
        StreamState::Tls(decoder) => decoder.in_sync(),
        _ => false,
    };
    MergeHints {
        begun: flow.roles_known(),
        numbers: Direction::BOTH.map(|direction| flow.half(direction).numbers()),
        read: Direction::BOTH.map(read),
        ends,
        session_id,
    }
}

/// Where the secrets came from that opened records of a connection, if any did.
pub(in crate::engine) fn key_origin(keys: &ConnectionKeys) -> Option<KeyOrigin> {
    let (opened, _) = keys.counts();
    (opened > 0).then(|| {
        if keys.are_embedded() {
            KeyOrigin::Embedded
        } else {
            KeyOrigin::Given
        }
    })
}

/// Adds what TCP knows of one side. Gives why part of its handshake could not be read.
fn finish_side(open: &mut HandshakeTracker, flow: &Flow<ConnectionState>, direction: Direction) -> Option<Blindness> {
    let half: &Half = flow.half(direction);
    let lost = flow.data.lost[direction];
    let (read, inside, alert) = if let StreamState::Tls(decoder) = &flow.data.each[direction] {
        (decoder.has_read_all(), decoder.inside_record(), decoder.inside_alert())
    } else {
        // Where nothing was said, nothing is unread; nor where nothing of it was TLS.
        let nothing = flow.data.offsets[direction] == 0 || speaks_otherwise(open, flow, direction);
        (nothing, false, false)
    };
    if inside {
        open.ends_inside_record(side(direction));
    }
    // Inside a record the byte that is missing is one of the record.
    let torn = inside && flow.fin_is_lost(direction);
    let facts = open.facts_mut().side_mut(side(direction));
    facts.captured = half.first.is_some();
    facts.fin = flow.accepted_fin(direction);
    facts.fin_covers = if torn {
        FinCovers::Part
    } else {
        flow.fin_covers(direction)
    };
    facts.reset = half.reset;
    if half.syn.is_none() && flow.half(direction.opposite()).syn.is_none() {
        // Nothing shows how much stands in front of what was read.
        facts.handshake_bytes = None;
    }
    let late = (!flow.roles_known()).then_some(Blindness::CaptureStartedLate);
    // What the other side's reset cuts off may have been sent: of a long record that is data, a short one says goodbye.
    let cut_off =
        alert && half.fin.is_none() && half.reset.is_none() && flow.half(direction.opposite()).reset.is_some();
    if torn || cut_off || half.incomplete_at_end() || flow.provoked_reset_unseen(direction) {
        facts.tail_loss = Some(lost.unwrap_or(Blindness::Gap));
    } else if !read {
        facts.tail_loss = Some(lost.or(late).unwrap_or(Blindness::Unsupported));
    }
    facts.handshake_loss
}

/// Whether all that a side said was seen, and is no TLS, as where a server of plain HTTP answers a hello, or one hangs up after
/// STARTTLS. Nothing of it may be a record, not even of a version whose hello is not known, or of SSLv2.
fn speaks_otherwise(open: &HandshakeTracker, flow: &Flow<ConnectionState>, direction: Direction) -> bool {
    let StreamState::Searching(text, _) = &flow.data.each[direction] else {
        return false;
    };
    let whole = flow.half(direction).syn.is_some() && flow.data.lost[direction].is_none();
    let hello = open.facts().hello.yes();
    let asked = flow.data.certain && hello.is_some_and(|hello| !hello.v2_format);
    let may_be_tls = || text.windows(2).any(|two| matches!(two, [20..=23, 3]));
    whole && asked && !flow.data.clear_lost[direction] && !may_be_tls()
}

/// Why a hello of this side may exist although it was not seen.
fn missing_hello(flow: &Flow<ConnectionState>, direction: Direction, unread: Option<Blindness>) -> Option<Blindness> {
    let half = flow.half(direction);
    if half.first.is_none() {
        return Some(Blindness::OneDirection);
    }
    let lost = flow.data.lost[direction];
    let tail = half.incomplete_at_end().then_some(Blindness::Gap);
    let late = (!flow.roles_known()).then_some(Blindness::CaptureStartedLate);
    let begin = half.syn.is_none().then_some(Blindness::Gap);
    unread.or(lost).or(tail).or(late).or(begin)
}

/// For a connection without FIN or RST: why, and the class that makes.
fn open_cause(connection: &Connection, why: Why, silence: Silence) -> (Option<Blindness>, Seen<CloseClass>) {
    let ended = Side::BOTH.into_iter().any(|side| connection.side(side).is_over());
    let Silence { quiet, covered } = silence;
    let cause = match why {
        Why::Evicted => Blindness::Evicted,
        Why::Idle => Blindness::IdleAtCaptureEnd,
        Why::Closed | Why::InputEnded if quiet >= IDLE_NANOS => Blindness::IdleAtCaptureEnd,
        Why::Closed | Why::InputEnded => Blindness::OpenAtCaptureEnd,
    };
    let long = why == Why::Idle || (why == Why::InputEnded && quiet >= SILENT_NANOS);
    let silent = long && covered >= SILENT_NANOS;
    let class = if silent {
        Seen::Yes(CloseClass::TimeoutSilent)
    } else {
        Seen::Blind(cause)
    };
    ((!ended).then_some(cause), class)
}
