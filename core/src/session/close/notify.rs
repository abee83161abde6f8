//! Whether one side sent close_notify, told from the last record of its stream and from what follows it.
//!
//! Only a stream of which every byte was seen, up to where its side or a reset ended it, can be without one.

use crate::net::At;
use crate::net::span::MILLISECOND;
use crate::tcp::FinCovers;
use crate::tls::{Content, ContentType};

use super::{CloseNotify, ProtectedRecord, SideClose};
use crate::session::clocks::{clocks_differ, was_set_back};
use crate::session::connection::{Connection, JSSE_PADDING, Shape};
use crate::session::seen::{Blindness, Seen};
use crate::session::side::Side;

/// FIN or RST follows a TLS 1.3 close_notify at once; data of the same size that is followed later is no alert.
const CLOSE_FOLLOWS_NANOS: i64 = 50 * MILLISECOND;

/// Of two packets further apart the later one was sent with the earlier one before it, unless that was lost.
const LONGEST_ROUND_TRIP: i64 = 1_000_000_000;

/// Tag of nearly all suites of TLS 1.3, and a record with an alert in it.
const TLS13_TAG: u16 = 16;
const TLS13_ALERT: u16 = 2 + 1 + TLS13_TAG;
/// Applications pad to multiples of powers of two; smaller ones hide nothing.
const SMALLEST_BLOCK: u16 = 32;

/// The close_notify of one side. `open` says why a connection that goes on was not seen to its end.
pub(super) fn notify(connection: &Connection, side: Side, ends: [&SideClose; 2], open: Blindness) -> CloseNotify {
    let (facts, [end, peer_end]) = (connection.side(side), of(side, ends));
    if let Some(at) = end.plain {
        return CloseNotify::Observed(at);
    }
    if let Some(cause) = unread(connection, side, end) {
        return CloseNotify::Blind(cause);
    }
    let own_end = facts.is_over() || connection.side(side.other()).reset.is_some();
    let nothing = if own_end {
        CloseNotify::Absent
    } else {
        CloseNotify::Blind(open)
    };
    let Some(last) = end
        .last
        .filter(|last| !end.unfinished && last.content == Content::Closed)
    else {
        // It was read, and was something else.
        return nothing;
    };
    let Some(answer) = connection.answer.yes() else {
        return CloseNotify::Blind(Blindness::ServerHelloMissing);
    };
    if !answer.version.is_tls13() {
        return match last.content_type {
            ContentType::ALERT => visible_alert(connection, side, (last, peer_end), open),
            _ => nothing,
        };
    }
    let sized = alert_sized(connection, end, last);
    let refusal = side == Side::Server && may_refuse_client(connection, ends);
    let answered = end.answered && answered_before_end(connection, side, last, peer_end);
    if sized && own_end && !refusal && !answered && tls13_alert(connection, side, [end, peer_end], last) {
        CloseNotify::Inferred(last.at)
    } else if own_end && (sized || may_be_padded(end, last)) {
        // Two bytes of data look the same, and so may more where nothing showed how this side pads.
        CloseNotify::Blind(Blindness::Encrypted)
    } else {
        nothing
    }
}

/// This side's end, and the peer's.
const fn of<T: Copy>(side: Side, ends: [T; 2]) -> [T; 2] {
    let [client, server] = ends;
    match side {
        Side::Client => [client, server],
        Side::Server => [server, client],
    }
}

/// Why the last bytes of a side could not be read.
fn unread(connection: &Connection, side: Side, end: &SideClose) -> Option<Blindness> {
    let facts = connection.side(side);
    // Before a record is protected an alert is part of the handshake, and may be what is missing of it.
    let in_clear = facts.handshake_loss.filter(|_| end.last.is_none());
    let captured = (!facts.captured).then_some(Blindness::OneDirection);
    facts.tail_loss.or(captured).or(in_clear)
}

/// Up to TLS 1.2 the type of a record is visible. The last one of a side before the end is close_notify, however long
/// the end takes; only a refused renegotiation is a warning that other ends may follow (RFC 5246 §7.2.2).
fn visible_alert(
    connection: &Connection,
    side: Side,
    (last, peer_end): (ProtectedRecord, &SideClose),
    open: Blindness,
) -> CloseNotify {
    let over = Side::BOTH.into_iter().any(|side| connection.side(side).is_over());
    let fits = connection
        .answer
        .yes()
        .and_then(|answer| answer.protection().fits(last.length, 2));
    let renegotiation = peer_end.asked_again || connection.renegotiations > 0;
    match fits {
        _ if !over => CloseNotify::Blind(open),
        // No alert is longer; some stacks put several in a record.
        Some(false) => CloseNotify::Blind(Blindness::Encrypted),
        _ if renegotiation && !closes_within(connection, side, last) => CloseNotify::Blind(Blindness::Encrypted),
        Some(true) | None => CloseNotify::Inferred(last.at),
    }
}

/// Whether the last record of a side may be close_notify, whatever follows it.
#[must_use]
pub fn may_be_goodbye(connection: &Connection, end: &SideClose) -> bool {
    let tls13 = connection.is_tls13();
    let alert = |last: ProtectedRecord| {
        let visible = !tls13 && last.content_type == ContentType::ALERT;
        last.content == Content::Closed && (visible || (tls13 && alert_sized(connection, end, last)))
    };
    end.plain.is_some() || end.last.is_some_and(alert)
}

/// Whether either side ends the connection soon after a record.
fn closes_within(connection: &Connection, side: Side, last: ProtectedRecord) -> bool {
    let sides = [connection.side(side), connection.side(side.other())];
    let ends = sides
        .iter()
        .flat_map(|facts| [facts.fin, facts.reset.map(|reset| reset.at)]);
    ends.flatten()
        .any(|end| end.time.since(last.at.time).abs() <= CLOSE_FOLLOWS_NANOS)
}

fn alert_sized(connection: &Connection, end: &SideClose, record: ProtectedRecord) -> bool {
    record.content_type == ContentType::APPLICATION_DATA && is_alert_length(connection, end, record.length)
}

/// Whether a record of TLS 1.3 is as long as an alert of a side that pads as it was seen to.
pub(crate) fn is_alert_length(connection: &Connection, end: &SideClose, length: u16) -> bool {
    let unpadded = length.checked_sub(end.padding.unwrap_or(0));
    let answer = connection.answer.yes();
    answer.is_some_and(|answer| unpadded.is_some_and(|length| answer.protection().fits(length, 2) == Some(true)))
}

/// Whether a record of TLS 1.3 is as long as an alert is under padding: by the 16 bytes of JSSE, or up to a multiple of a
/// block (OpenSSL: SSL_CTX_set_block_padding). A side whose Finished was seen has shown whether it pads.
fn may_be_padded(end: &SideClose, record: ProtectedRecord) -> bool {
    let jsse = record.length == TLS13_ALERT + JSSE_PADDING;
    let inner = record.length.checked_sub(TLS13_TAG);
    let block = inner.is_some_and(|length| length.is_multiple_of(SMALLEST_BLOCK));
    let as_before = end.before_last.is_some_and(|before| before.length == record.length);
    end.padding.is_none() && (jsse || block || as_before)
}

/// Whether the peer had answered a record by data before its side ended the connection. Who closes has nothing more to ask; a
/// side that only shut down its own direction is seen to wait for longer.
fn answered_before_end(connection: &Connection, side: Side, record: ProtectedRecord, peer_end: &SideClose) -> bool {
    let ended = connection.side(side).ended();
    let answers = |answer: &ProtectedRecord| {
        let data = answer.content != Content::Closed || !alert_sized(connection, peer_end, *answer);
        data && answer.at.is_after(record.at) && ended.is_none_or(|end| end.is_after(answer.at))
    };
    let last = [peer_end.last, peer_end.before_last];
    last.iter().flatten().any(answers)
}

/// Whether all that the server of TLS 1.3 said behind the client's flight has the size of an alert, and more than Finished was
/// in that flight: where it was a certificate, or the lack of one, the server may have refused it.
pub(super) fn may_refuse_client(connection: &Connection, [client, server]: [&SideClose; 2]) -> bool {
    // Behind a hello that is not in the capture nothing is known for the client's Finished; its flight follows the server's.
    let unknown = connection.hello.blind().is_some() && connection.client_side.finished.is_none();
    let lost =
        connection.client_side.handshake_loss.is_some() || (unknown && connection.server_side.finished.is_some());
    // Among the bytes that are lost of its handshake may be a certificate; with a PSK none is asked for (RFC 8446 §4.3.2).
    let maybe = lost && !matches!(connection.shape, Seen::Yes(Shape::Abbreviated(_)));
    let alone = |last: &ProtectedRecord| {
        let (end, before) = (server, server.before_last.map(|before| before.at));
        let server = &connection.server_side;
        // Where a hello is lost, what is as long as an alert is not taken for data; nor is what acknowledges the client's
        // flight and yet stands before it in a file that is out of order.
        let early = end.after_peer_data == Some(true) && before.is_some() && before == server.finished;
        let behind_finished = || server.finished.filter(|_| maybe || early).map(|_| last.at);
        let first = server.application_data.or_else(behind_finished);
        first == Some(last.at) && server.finished != Some(last.at) && before != Some(last.at)
    };
    let closed = server.last.filter(|last| last.content == Content::Closed);
    let last = closed.filter(|last| alone(last) && alert_sized(connection, server, *last));
    // Where nothing but lost bytes stand for a certificate, what answers the client's goodbye is one too.
    let goodbye = client.last.is_some_and(|last| alert_sized(connection, client, last));
    if lost && goodbye && server.after_peer_data == Some(true) {
        return false;
    }
    let finished = (connection.client_side.finished.is_some() || maybe) && connection.is_tls13();
    finished && client.padding.is_none() && server.plain.is_none() && last.is_some()
}

/// A TLS 1.3 record of alert size counts as close_notify only as the last record, with the close right behind it, and
/// where no data was ever that short. user_canceled before it is of the same size (RFC 8446 §6.1).
fn tls13_alert(connection: &Connection, side: Side, [end, peer_end]: [&SideClose; 2], last: ProtectedRecord) -> bool {
    let short_data = |end: &SideClose, last: ProtectedRecord| {
        let canceled_first = end.before_last.is_some_and(|before| before.length == last.length);
        end.short_records > u32::from(canceled_first)
    };
    let (facts, peer) = (connection.side(side), connection.side(side.other()));
    // A side that only answers the peer's close is often reset before it can send its own.
    let answers_fin = end.after_peer_fin == Some(true) || peer.fin.is_some_and(|fin| !fin.is_after(last.at));
    let exchanged = peer_end.last.is_some_and(|theirs| {
        let data_before = end.before_last.is_some() && peer_end.before_last.is_some();
        data_before && alert_sized(connection, peer_end, theirs) && !short_data(peer_end, theirs)
    });
    let reset_by_peer = peer.reset.filter(|_| answers_fin || exchanged).map(|reset| reset.at);
    let ends = [facts.fin, facts.reset.map(|reset| reset.at), reset_by_peer];
    let closes = ends
        .iter()
        .flatten()
        .any(|end| end.time.since(last.at.time).abs() <= CLOSE_FOLLOWS_NANOS);
    !short_data(end, last) && closes
}

/// Whether the close_notify of a side only answers a FIN of the peer that came without one: the FIN stays bare.
pub(super) fn answers_bare_fin(
    connection: &Connection,
    side: Side,
    ends: [&SideClose; 2],
    notifies: [CloseNotify; 2],
) -> bool {
    let [own, peer] = of(side, notifies);
    match own {
        CloseNotify::AnswerToBareFin(_) => true,
        CloseNotify::Observed(at) | CloseNotify::Inferred(at) if peer == CloseNotify::Absent => {
            answers_fin(connection, side, ends, at)
        }
        CloseNotify::Observed(_) | CloseNotify::Inferred(_) | CloseNotify::Absent | CloseNotify::Blind(_) => false,
    }
}

/// Why it is not visible whether the close_notify of a side answers a FIN of the peer that came without one.
pub(super) fn may_answer_bare_fin(
    connection: &Connection,
    side: Side,
    ends: [&SideClose; 2],
    notifies: [CloseNotify; 2],
) -> Option<Blindness> {
    match of(side, notifies) {
        [CloseNotify::Inferred(at), CloseNotify::Blind(cause)] if answers_fin(connection, side, ends, at) => {
            Some(cause)
        }
        _ => None,
    }
}

/// Whether what a side said at this place came behind a FIN of the peer.
fn answers_fin(connection: &Connection, side: Side, ends: [&SideClose; 2], at: At) -> bool {
    let [end, _] = of(side, ends);
    let peer_facts = connection.side(side.other());
    // A FIN that acknowledges the alert was sent after it, whatever the clocks of two captures say.
    let had_all = peer_facts.fin_covers >= FinCovers::Data;
    let after = || !had_all && peer_facts.fin.is_some_and(|fin| at.is_after(fin));
    peer_facts.sent_fin() && !is_sent_again(connection, side, end, at) && end.after_peer_fin.unwrap_or_else(after)
}

/// Whether what a side said at this place and the FIN of the peer acknowledge each other, and the FIN stands first: the
/// other was sent before it, and is sent again with what that side had by then.
fn is_sent_again(connection: &Connection, side: Side, end: &SideClose, at: At) -> bool {
    let peer = connection.side(side.other());
    let knows = end.after_peer_fin == Some(true) && peer.fin_covers >= FinCovers::Data;
    knows && peer.fin.is_some_and(|fin| at.is_after(fin))
}

/// Which side sent the first FIN, RST or close_notify. A side that was not seen to its end may have been before the
/// other, unless the other's end acknowledges its own.
pub(super) fn first_closer(
    connection: &Connection,
    ends: [&SideClose; 2],
    notifies: [CloseNotify; 2],
    open: Blindness,
) -> Seen<Side> {
    let second = |side: Side| comes_second(connection, side, ends, notifies);
    match (second(Side::Client), second(Side::Server)) {
        (false, true) => return Seen::Yes(Side::Client),
        (true, false) => return Seen::Yes(Side::Server),
        (false, false) if crossed(connection, ends, notifies) => return Seen::Blind(Blindness::NothingTellsApart),
        _ => {}
    }
    for side in Side::BOTH {
        let [end, _] = of(side, ends);
        let lost = connection.side(side).fin_is_lost().then_some(Blindness::Gap);
        if let Some(cause) = unread(connection, side, end).or(lost) {
            return Seen::Blind(cause);
        }
    }
    let Some(told) = earliest(connection, notifies) else {
        return Seen::Blind(open);
    };
    let signs = Side::BOTH.map(|side| first_sign(connection, side, notifies));
    if is_out_of_order(connection, ends) || was_set_back(connection, signs) {
        return Seen::Blind(Blindness::NothingTellsApart);
    }
    // A last record that cannot be read may be close_notify.
    let [client, server] = notifies;
    let [maybe_client, maybe_server] = Side::BOTH.map(|side| match (of(side, notifies), of(side, ends)) {
        ([CloseNotify::Blind(_), _], [SideClose { last: Some(last), .. }, _]) => CloseNotify::Inferred(last.at),
        ([own, _], _) => own,
    });
    let possible = [
        [maybe_client, server],
        [client, maybe_server],
        [maybe_client, maybe_server],
    ];
    if possible
        .into_iter()
        .all(|possible| possible == notifies || earliest(connection, possible) == Some(told))
    {
        Seen::Yes(told)
    } else {
        Seen::Blind(Blindness::Encrypted)
    }
}

/// A side comes second that had what the other closed with when it closed or reset itself, as its acknowledgements say; so does one
/// that answers a bare FIN.
fn comes_second(connection: &Connection, side: Side, ends: [&SideClose; 2], notifies: [CloseNotify; 2]) -> bool {
    let [own, other] = of(side, notifies);
    let done = if other.at().is_some() {
        FinCovers::Data
    } else {
        FinCovers::End
    };
    let knew = knew(connection, side, ends, notifies);
    // Of a reset only that it came second is told: a host that resets need not have read what has come.
    let facts = connection.side(side);
    let reset = own == CloseNotify::Absent && facts.fin.is_none() && facts.reset.is_some() && facts.fin_covers >= done;
    knew.is_some_and(|knew| knew >= done) || reset || answers_bare_fin(connection, side, ends, notifies)
}

/// What a side had of the other when it sent its close_notify, or else its FIN; `None` where no acknowledgement tells, or
/// what it sent last may be either.
fn knew(connection: &Connection, side: Side, ends: [&SideClose; 2], notifies: [CloseNotify; 2]) -> Option<FinCovers> {
    let ([own, _], [end, _]) = (of(side, notifies), of(side, ends));
    let facts = connection.side(side);
    match own {
        CloseNotify::Observed(at) | CloseNotify::Inferred(at) if is_sent_again(connection, side, end, at) => {
            Some(FinCovers::Part)
        }
        CloseNotify::Observed(_) | CloseNotify::Inferred(_) => match (end.after_peer_fin, end.after_peer_data) {
            (Some(true), _) => Some(FinCovers::End),
            (_, Some(true)) => Some(FinCovers::Data),
            (_, Some(false)) => Some(FinCovers::Part),
            (_, None) => None,
        },
        CloseNotify::Absent if facts.fin.is_some() => Some(facts.fin_covers),
        CloseNotify::Absent | CloseNotify::AnswerToBareFin(_) | CloseNotify::Blind(_) => None,
    }
}

/// Whether each side closed before it had what the other closed with: their packets crossed, and which one stands first
/// depends on where it was captured. What was sent longer apart than any round trip did not cross: something was lost.
fn crossed(connection: &Connection, ends: [&SideClose; 2], notifies: [CloseNotify; 2]) -> bool {
    let met = Side::BOTH.map(|side| knew(connection, side, ends, notifies).is_some());
    let [client, server] = Side::BOTH.map(|side| first_sign(connection, side, notifies));
    let apart = client
        .zip(server)
        .map(|(client, server)| client.time.since(server.time).abs());
    met == [true; 2] && apart.is_some_and(|apart| apart <= LONGEST_ROUND_TRIP)
}

/// With what a side closed first: close_notify, FIN or reset.
fn first_sign(connection: &Connection, side: Side, notifies: [CloseNotify; 2]) -> Option<At> {
    let facts = connection.side(side);
    let [own, _] = of(side, notifies);
    let ends = [facts.fin, facts.reset.map(|reset| reset.at), own.at()];
    ends.into_iter().flatten().min_by_key(|at| (at.time, at.frame))
}

/// Whether the packets of one side do not stand where they were sent among those of the other: the handshake shows it, or what
/// a side ended with stands in front of what it acknowledges. Where the SYN exchange set two clocks right, these are but packets
/// that changed places.
fn is_out_of_order(connection: &Connection, ends: [&SideClose; 2]) -> bool {
    let in_front = |side: Side| {
        let (facts, peer) = (connection.side(side), connection.side(side.other()));
        let [_, peer_end] = of(side, ends);
        let end = facts.fin.or(facts.reset.map(|reset| reset.at));
        let known = match facts.fin_covers {
            FinCovers::Lost | FinCovers::Part => [None; 2],
            FinCovers::Data => [peer_end.last.map(|record| record.at), None],
            // Where both acknowledge the end of the other, one was sent again.
            FinCovers::End if peer.fin_covers == FinCovers::End => [None; 2],
            FinCovers::End => [peer_end.last.map(|record| record.at), peer.fin],
        };
        let behind = |known: At| end.is_some_and(|end| known.is_after(end));
        known.into_iter().flatten().any(behind)
    };
    let is_set_right = connection.transport.round_trip.is_some();
    !is_set_right && (clocks_differ(connection) || Side::BOTH.into_iter().any(in_front))
}

fn earliest(connection: &Connection, notifies: [CloseNotify; 2]) -> Option<Side> {
    let first = |side: Side| first_sign(connection, side, notifies).map(|at| (at.time, at.frame));
    match (first(Side::Client), first(Side::Server)) {
        (Some(client), Some(server)) if server < client => Some(Side::Server),
        (Some(_), _) => Some(Side::Client),
        (None, Some(_)) => Some(Side::Server),
        (None, None) => None,
    }
}
