//! How each side ended a connection over DTLS. There is no FIN: an alert that nothing follows is the end, or silence. Under
//! DTLS 1.3, and where a connection ID hides the content type (RFC 9146 §4), alerts take keys.

use crate::tls::{Content, ContentType};

use super::clocks::{clocks_differ, was_set_back};
use super::close::{Close, CloseClass, CloseNotify, SideClose};
use super::connection::{Completed, Connection};
use super::seen::{Blindness, Seen};
use super::side::Side;

/// Nanoseconds in which a peer answers an alert, if it does; more where the handshake, for which it answered as well, took
/// longer.
const ANSWER_TO_ALERT: i64 = 500_000_000;

/// Nanoseconds of silence after which an alert of one side is taken to have no answer.
#[must_use]
pub fn answer_time(connection: &Connection) -> i64 {
    let finished = Side::BOTH.map(|side| connection.side(side).finished.map(|at| at.time));
    let handshake = finished.into_iter().flatten().max();
    let handshake = handshake.map_or(0, |last| last.since(connection.transport.started));
    handshake.max(ANSWER_TO_ALERT)
}

/// What followed the last packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// More may come: why it is not known.
    Short(Blindness),
    /// Whatever would have followed has followed: another connection, or nothing for longer than an answer takes.
    Settled,
    /// Nothing for so long that the connection is taken to have timed out.
    Long,
}

/// Classifies the close of a connection over DTLS.
#[must_use]
pub fn classify_dtls(connection: &Connection, [client, server]: [&SideClose; 2], silence: Silence) -> Close {
    let client = notify(connection, Side::Client, client, silence);
    let server = notify(connection, Side::Server, server, silence);
    let open = match silence {
        Silence::Short(cause) => cause,
        Silence::Settled | Silence::Long => Blindness::NothingTellsApart,
    };
    Close {
        class: class(connection, [client, server], silence),
        first_closer: first_to_say_goodbye(connection, [client, server], open),
        client,
        server,
    }
}

/// Who closed first where a message alone can close: a side of which not all was read may have done so before the message
/// that was. `open` says why there may be none. Without acknowledgements only the times of two messages tell which came first.
pub(crate) fn first_to_say_goodbye(connection: &Connection, notifies: [CloseNotify; 2], open: Blindness) -> Seen<Side> {
    let sealed = notifies.into_iter().find_map(|notify| match notify {
        CloseNotify::Blind(cause) => Some(cause),
        CloseNotify::Observed(_) | CloseNotify::Inferred(_) | CloseNotify::Absent | CloseNotify::AnswerToBareFin(_) => {
            None
        }
    });
    let told = notifies.into_iter().zip(Side::BOTH).filter_map(|(notify, side)| {
        let at = notify.at()?;
        Some((at.time, at.frame, side))
    });
    let both = notifies.iter().all(|notify| notify.at().is_some());
    if both && (clocks_differ(connection) || was_set_back(connection, notifies.each_ref().map(CloseNotify::at))) {
        return Seen::Blind(Blindness::NothingTellsApart);
    }
    // Where even the Finished of a side was not read, its goodbye may stand unread behind it.
    let unread = |side: Side| connection.completed == Completed::Yes && connection.side(side).finished.is_none();
    match (told.min_by_key(|(time, frame, _)| (*time, *frame)), sealed) {
        (Some((.., side)), Some(_)) if unread(side.other()) => Seen::Blind(Blindness::NothingTellsApart),
        // What is still to come comes later.
        (Some((.., side)), None | Some(Blindness::OpenAtCaptureEnd | Blindness::IdleAtCaptureEnd)) => Seen::Yes(side),
        (_, cause) => Seen::Blind(cause.unwrap_or(open)),
    }
}

fn notify(connection: &Connection, side: Side, end: &SideClose, silence: Silence) -> CloseNotify {
    let facts = connection.side(side);
    if let Some(at) = end.plain {
        return CloseNotify::Observed(at);
    }
    if !facts.captured {
        return CloseNotify::Blind(Blindness::OneDirection);
    }
    let Some(answer) = connection.answer.yes() else {
        return CloseNotify::Blind(Blindness::ServerHelloMissing);
    };
    // Nothing says what a side sent last: where some of it was lost, that may have been, too.
    let absent = match (silence, facts.tail_loss) {
        (Silence::Short(cause), _) | (_, Some(cause)) => CloseNotify::Blind(cause),
        (Silence::Settled | Silence::Long, None) => CloseNotify::Absent,
    };
    let Some(last) = end.last.filter(|last| last.content == Content::Closed) else {
        return absent;
    };
    if answer.version.is_tls13() || last.content_type == ContentType::TLS12_CID {
        return CloseNotify::Blind(Blindness::Encrypted);
    }
    // Behind a handshake message that is not the first Finished it may be what a renegotiation failed with.
    let message = end.before_last.map(|before| before.content_type) == Some(ContentType::HANDSHAKE);
    if last.content_type == ContentType::ALERT && message && end.asked_again {
        return CloseNotify::Blind(Blindness::Encrypted);
    }
    // The type is in clear, and after close_notify nothing is sent (RFC 5246 §7.2.1).
    if last.content_type == ContentType::ALERT && answer.protection().fits(last.length, 2) != Some(false) {
        return CloseNotify::Inferred(last.at);
    }
    absent
}

fn class(connection: &Connection, notifies: [CloseNotify; 2], silence: Silence) -> Seen<CloseClass> {
    let fatal = Side::BOTH
        .into_iter()
        .any(|side| connection.side(side).fatal_alert().is_some());
    match connection.completed {
        _ if fatal => return Seen::Yes(CloseClass::FatalAlert),
        Completed::No => return Seen::Yes(CloseClass::HandshakeIncomplete),
        Completed::Blind(cause) if connection.answer.yes().is_none() => return Seen::Blind(cause),
        Completed::Yes | Completed::Blind(_) => {}
    }
    let blind = notifies.iter().find_map(|notify| match notify {
        CloseNotify::Blind(cause) => Some(*cause),
        CloseNotify::Observed(_) | CloseNotify::Inferred(_) | CloseNotify::Absent | CloseNotify::AnswerToBareFin(_) => {
            None
        }
    });
    if let Some(cause) = blind {
        return Seen::Blind(cause);
    }
    match (notifies.map(|notify| notify.at().is_some()), silence) {
        ([true, true], _) => Seen::Yes(CloseClass::CleanBoth),
        ([true, false], _) => Seen::Yes(CloseClass::CleanClient),
        ([false, true], _) => Seen::Yes(CloseClass::CleanServer),
        ([false, false], Silence::Long) => Seen::Yes(CloseClass::TimeoutSilent),
        // It was left for another one: with an alert that was lost, or without any.
        ([false, false], Silence::Settled) => Seen::Blind(Blindness::NothingTellsApart),
        ([false, false], Silence::Short(cause)) => Seen::Blind(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::At;
    use crate::session::close::ProtectedRecord;
    use crate::session::side::PlainAlert;
    use crate::session::tests::{answered, at};
    use crate::tls::{AlertDescription, CipherSuite, ProtocolVersion};

    const OPEN: Silence = Silence::Short(Blindness::OpenAtCaptureEnd);
    /// Explicit nonce, alert and tag of AES-GCM.
    const ALERT: u16 = 26;

    fn connection(version: ProtocolVersion) -> Connection {
        let mut connection = answered(1, "a.test", version);
        connection.answer.yes_mut().expect("an answer").suite = CipherSuite(0xc02f);
        connection.completed = Completed::Yes;
        for side in Side::BOTH {
            let facts = connection.side_mut(side);
            (facts.captured, facts.finished) = (true, Some(at(1)));
        }
        connection
    }

    fn last(content_type: ContentType, length: u16, at: At) -> SideClose {
        SideClose {
            last: Some(ProtectedRecord {
                content_type,
                length,
                content: Content::Closed,
                at,
            }),
            ..SideClose::default()
        }
    }

    fn alert(second: u32) -> SideClose {
        last(ContentType::ALERT, ALERT, at(second))
    }

    fn data() -> SideClose {
        last(ContentType::APPLICATION_DATA, ALERT, at(9))
    }

    #[test]
    fn an_alert_that_nothing_follows_is_a_close_notify() {
        let dtls12 = connection(ProtocolVersion::DTLS_1_2);
        let class = |client: SideClose, server: SideClose, silence| {
            let close = classify_dtls(&dtls12, [&client, &server], silence);
            (close.class, close.first_closer)
        };
        let both = Seen::Yes(CloseClass::CleanBoth);
        assert_eq!(class(alert(3), alert(4), OPEN), (both, Seen::Yes(Side::Client)));
        assert_eq!(class(alert(4), alert(3), OPEN), (both, Seen::Yes(Side::Server)));
        // An answer may still come.
        let open = Seen::Blind(Blindness::OpenAtCaptureEnd);
        assert_eq!(class(alert(3), data(), OPEN), (open, Seen::Yes(Side::Client)));
        let client = Seen::Yes(CloseClass::CleanClient);
        assert_eq!(
            class(alert(3), data(), Silence::Settled),
            (client, Seen::Yes(Side::Client))
        );
        let server = Seen::Yes(CloseClass::CleanServer);
        assert_eq!(
            class(data(), alert(3), Silence::Settled),
            (server, Seen::Yes(Side::Server))
        );
        // Of another length it is no alert of two bytes.
        let long = last(ContentType::ALERT, ALERT + 1, at(3));
        assert_eq!(
            class(long, data(), OPEN),
            (open, Seen::Blind(Blindness::OpenAtCaptureEnd))
        );
    }

    #[test]
    fn where_two_clocks_show_nothing_tells_which_of_two_alerts_came_first() {
        let mut two_clocks = connection(ProtocolVersion::DTLS_1_2);
        two_clocks.client_side.finished = Some(at(0));
        let first = |server: SideClose| {
            let close = classify_dtls(&two_clocks, [&alert(3), &server], Silence::Settled);
            close.first_closer
        };
        assert_eq!(first(alert(4)), Seen::Blind(Blindness::NothingTellsApart));
        assert_eq!(first(data()), Seen::Yes(Side::Client));
    }

    #[test]
    fn where_the_clock_was_set_back_between_two_alerts_nothing_tells_which_came_first() {
        let dtls12 = connection(ProtocolVersion::DTLS_1_2);
        let set_back = At {
            time: crate::net::Timestamp::from_nanos(0),
            ..at(4)
        };
        let back = last(ContentType::ALERT, ALERT, set_back);
        for (client, server) in [(alert(3), back), (back, alert(3))] {
            let close = classify_dtls(&dtls12, [&client, &server], Silence::Settled);
            assert_eq!(close.first_closer, Seen::Blind(Blindness::NothingTellsApart));
        }
    }

    #[test]
    fn behind_a_renegotiation_an_alert_may_say_anything() {
        let dtls12 = connection(ProtocolVersion::DTLS_1_2);
        let before = |content_type, asked_again| {
            let end = SideClose {
                before_last: last(content_type, 48, at(2)).last,
                asked_again,
                ..alert(3)
            };
            classify_dtls(&dtls12, [&end, &data()], Silence::Settled).client
        };
        let closed = CloseNotify::Inferred(at(3));
        // Behind its first Finished, or behind data that show that the second handshake succeeded.
        assert_eq!(before(ContentType::HANDSHAKE, false), closed);
        assert_eq!(before(ContentType::APPLICATION_DATA, true), closed);
        assert_eq!(
            before(ContentType::HANDSHAKE, true),
            CloseNotify::Blind(Blindness::Encrypted)
        );
    }

    #[test]
    fn a_side_whose_finished_was_not_read_may_have_said_goodbye_unread() {
        let first = |finished: bool| {
            let mut connection = connection(ProtocolVersion::DTLS_1_2);
            connection.client_side.finished = finished.then_some(at(1));
            classify_dtls(&connection, [&SideClose::default(), &alert(3)], OPEN).first_closer
        };
        assert_eq!(first(true), Seen::Yes(Side::Server));
        assert_eq!(first(false), Seen::Blind(Blindness::NothingTellsApart));
    }

    #[test]
    fn without_an_alert_only_long_silence_says_something() {
        let dtls12 = connection(ProtocolVersion::DTLS_1_2);
        let class = |silence| classify_dtls(&dtls12, [&data(), &data()], silence).class;
        assert_eq!(class(OPEN), Seen::Blind(Blindness::OpenAtCaptureEnd));
        assert_eq!(class(Silence::Long), Seen::Yes(CloseClass::TimeoutSilent));
        assert_eq!(class(Silence::Settled), Seen::Blind(Blindness::NothingTellsApart));
    }

    #[test]
    fn where_numbers_show_a_loss_the_alert_may_have_been_lost() {
        let mut lossy = connection(ProtocolVersion::DTLS_1_2);
        lossy.server_side.tail_loss = Some(Blindness::Gap);
        let close = classify_dtls(&lossy, [&alert(3), &data()], Silence::Settled);
        assert_eq!(close.class, Seen::Blind(Blindness::Gap));
        let close = classify_dtls(&lossy, [&alert(3), &alert(4)], Silence::Settled);
        assert_eq!(close.class, Seen::Yes(CloseClass::CleanBoth));
    }

    #[test]
    fn where_the_type_is_hidden_nothing_is_concluded_from_lengths() {
        let hidden = last(ContentType::TLS12_CID, ALERT + 1, at(3));
        let encrypted = Seen::Blind(Blindness::Encrypted);
        let with_ids = connection(ProtocolVersion::DTLS_1_2);
        let dtls13 = connection(ProtocolVersion::DTLS_1_3);
        for (connection, end) in [(&with_ids, &hidden), (&dtls13, &data())] {
            let close = classify_dtls(connection, [end, end], Silence::Long);
            assert_eq!(close.class, encrypted);
            assert_eq!(close.client, CloseNotify::Blind(Blindness::Encrypted));
        }
        // Read with keys it is known.
        let mut read = hidden;
        (read.plain, read.last) = (Some(at(3)), None);
        let close = classify_dtls(&with_ids, [&read, &read], OPEN);
        assert_eq!(close.class, Seen::Yes(CloseClass::CleanBoth));
    }

    #[test]
    fn a_fatal_alert_and_an_unfinished_handshake_come_first() {
        let mut failed = connection(ProtocolVersion::DTLS_1_2);
        failed.completed = Completed::No;
        let class = |connection: &Connection| classify_dtls(connection, [&data(), &data()], Silence::Settled).class;
        assert_eq!(class(&failed), Seen::Yes(CloseClass::HandshakeIncomplete));
        failed.server_side.alert = Some(Box::new(PlainAlert {
            at: at(2),
            fatal: true,
            description: AlertDescription(40),
        }));
        assert_eq!(class(&failed), Seen::Yes(CloseClass::FatalAlert));
    }
}
