//! How a connection of a session ended, for whoever offers the session later.

use crate::net::Timestamp;
use crate::session::{CloseClass, CloseNotify, Connection, Seen, Side};

/// How the latest connection of a session before an offer was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClosedBy {
    /// With close_notify by whoever closed.
    Cleanly,
    /// The client reset it without close_notify.
    ClientReset,
    /// The client closed it by FIN without close_notify.
    ClientFin,
    /// The server closed or reset it without close_notify.
    Server,
    /// A fatal alert.
    Alert,
    /// Not visible, or still open at the time of the offer.
    Unknown,
}

/// How a connection was closed, as far as it was over by `time`.
#[must_use]
pub fn closed_by(connection: &Connection, time: Timestamp) -> ClosedBy {
    let ended = Side::BOTH
        .into_iter()
        .filter_map(|side| connection.side(side).ended())
        .map(|at| at.time)
        .min();
    if ended.is_none_or(|ended| ended >= time) {
        return ClosedBy::Unknown;
    }
    match connection.close.class.yes() {
        Some(
            CloseClass::CleanBoth
            | CloseClass::CleanClient
            | CloseClass::CleanServer
            | CloseClass::RstAfterNotify
            | CloseClass::HalfClose,
        ) => ClosedBy::Cleanly,
        Some(CloseClass::FatalAlert) => alerted(connection),
        Some(CloseClass::FinNoNotify | CloseClass::RstBeforeNotify) => unclean(connection),
        // The answer to a bare FIN is ambiguous, but that the FIN was bare is not.
        None if bare_fin_answered(&connection.close.server) => ClosedBy::ClientFin,
        None if bare_fin_answered(&connection.close.client) => ClosedBy::Server,
        Some(CloseClass::TimeoutSilent | CloseClass::HandshakeIncomplete | CloseClass::StatelessReset) | None => {
            ClosedBy::Unknown
        }
    }
}

/// An alert that answers a bare FIN leaves the FIN bare: it is the close that came first.
fn alerted(connection: &Connection) -> ClosedBy {
    let bare = |closer: Side| {
        let fin = connection
            .side(closer)
            .fin
            .filter(|_| connection.side(closer).fatal_alert().is_none());
        let alert = connection.side(closer.other()).fatal_alert();
        fin.zip(alert).is_some_and(|(fin, alert)| fin.time <= alert.at.time)
    };
    if bare(Side::Client) {
        ClosedBy::ClientFin
    } else if bare(Side::Server) {
        ClosedBy::Server
    } else {
        ClosedBy::Alert
    }
}

fn bare_fin_answered(notify: &CloseNotify) -> bool {
    matches!(notify, CloseNotify::AnswerToBareFin(_))
}

fn unclean(connection: &Connection) -> ClosedBy {
    // The side that sent close_notify did its part; the other one ended it uncleanly.
    match (connection.close.client.at(), connection.close.server.at()) {
        (Some(_), None) => return ClosedBy::Server,
        (None, Some(_)) => return client_close(connection),
        _ => {}
    }
    match connection.close.first_closer {
        Seen::Yes(Side::Client) => client_close(connection),
        Seen::Yes(Side::Server) => ClosedBy::Server,
        Seen::No | Seen::Blind(_) => ClosedBy::Unknown,
    }
}

fn client_close(connection: &Connection) -> ClosedBy {
    if connection.client_side.reset.is_some() && connection.client_side.fin.is_none() {
        ClosedBy::ClientReset
    } else {
        ClosedBy::ClientFin
    }
}

#[cfg(test)]
mod tests {
    use crate::session::tests::{at, with_hello};
    use crate::session::{Blindness, Close, ResetForm, Seen};
    use crate::tcp::Reset;

    use super::*;

    /// A connection that ended at second 5: its class, the close_notify of each side, and who closed first.
    fn closed(class: Option<CloseClass>, [client, server]: [CloseNotify; 2], first: Option<Side>) -> Connection {
        let mut connection = with_hello(1, "a.test", 1);
        connection.client_side.fin = Some(at(5));
        connection.close = Close {
            class: class.map_or(Seen::No, Seen::Yes),
            first_closer: first.map_or(Seen::Blind(Blindness::Gap), Seen::Yes),
            client,
            server,
        };
        connection
    }

    #[test]
    fn a_close_is_blamed_on_the_side_that_owed_close_notify() {
        use CloseNotify::{Absent, AnswerToBareFin};
        let notify = CloseNotify::Inferred(at(5));
        let (client, server) = (Some(Side::Client), Some(Side::Server));
        let bare = Some(CloseClass::FinNoNotify);
        let by = |class, notifies, first| closed_by(&closed(class, notifies, first), at(6).time);
        assert_eq!(by(bare, [Absent; 2], client), ClosedBy::ClientFin);
        assert_eq!(by(bare, [Absent; 2], server), ClosedBy::Server);
        assert_eq!(by(bare, [Absent; 2], None), ClosedBy::Unknown);
        // Who sent it did its part, whoever closed first.
        assert_eq!(by(bare, [notify, Absent], client), ClosedBy::Server);
        assert_eq!(by(bare, [Absent, notify], server), ClosedBy::ClientFin);
        let answer = AnswerToBareFin(at(5));
        assert_eq!(by(None, [Absent, answer], client), ClosedBy::ClientFin);
        assert_eq!(by(None, [answer, Absent], server), ClosedBy::Server);
        assert_eq!(by(None, [Absent; 2], client), ClosedBy::Unknown);
        for (class, expected) in CloseClass::ALL.into_iter().zip([
            ClosedBy::Cleanly,
            ClosedBy::Cleanly,
            ClosedBy::Cleanly,
            ClosedBy::Cleanly,
            ClosedBy::ClientFin,
            ClosedBy::ClientFin,
            ClosedBy::Cleanly,
            ClosedBy::Alert,
            ClosedBy::Unknown,
            ClosedBy::Unknown,
        ]) {
            assert_eq!(by(Some(class), [Absent; 2], client), expected, "{class:?}");
        }
    }

    #[test]
    fn a_reset_by_the_client_is_told_from_its_fin() {
        let mut connection = closed(
            Some(CloseClass::RstBeforeNotify),
            [CloseNotify::Absent; 2],
            Some(Side::Client),
        );
        connection.client_side.reset = Some(Reset {
            at: at(5),
            form: ResetForm::Active,
            doubtful: false,
        });
        // Behind a FIN it harms nothing.
        assert_eq!(closed_by(&connection, at(6).time), ClosedBy::ClientFin);
        connection.client_side.fin = None;
        assert_eq!(closed_by(&connection, at(6).time), ClosedBy::ClientReset);
    }

    #[test]
    fn what_ends_later_had_not_ended() {
        let connection = closed(
            Some(CloseClass::CleanBoth),
            [CloseNotify::Inferred(at(5)); 2],
            Some(Side::Client),
        );
        assert_eq!(closed_by(&connection, at(5).time), ClosedBy::Unknown);
        assert_eq!(closed_by(&connection, at(6).time), ClosedBy::Cleanly);
    }
}
