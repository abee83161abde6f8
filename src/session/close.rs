//! How each side ended the connection, and which class that makes.
//!
//! With keys alerts are read. Without, the content of an alert is hidden: TLS 1.2 and older still show the record type, TLS 1.3 only a
//! length, so a close_notify is `inferred` at best, and only where length, order and what follows agree.

use crate::net::At;
use crate::stream::FinCovers;
use crate::tls::{Content, ContentType, Sealed};

use super::connection::{Completed, Connection, Side};
use super::seen::{Blindness, Seen};

/// FIN or RST follows a TLS 1.3 close_notify at once; data of the same size that is followed later is no alert.
const CLOSE_FOLLOWS_NANOS: i64 = 50_000_000;
/// In TLS 1.2 and older the type is visible, so the close may take its time.
const CLOSE_FOLLOWS_VISIBLE_ALERT_NANOS: i64 = 2_000_000_000;

/// Close class; the names are fixed in the report contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseClass {
    /// close_notify each way.
    CleanBoth,
    /// Only the client sent one.
    CleanClient,
    /// Only the server sent one.
    CleanServer,
    /// TLS 1.3: one side sent close_notify and the other went on sending data, as it may (RFC 8446 §6.1).
    HalfClose,
    /// FIN without close_notify from any side.
    FinNoNotify,
    /// RST by a side that had not sent close_notify.
    RstBeforeNotify,
    /// RST by a side after its own close_notify.
    RstAfterNotify,
    /// A fatal alert ended it.
    FatalAlert,
    /// No FIN or RST, long silence, while the capture goes on.
    TimeoutSilent,
    /// Ended before both Finished.
    HandshakeIncomplete,
}

impl CloseClass {
    /// Every class.
    pub const ALL: [Self; 10] = [
        Self::CleanBoth,
        Self::CleanClient,
        Self::CleanServer,
        Self::HalfClose,
        Self::FinNoNotify,
        Self::RstBeforeNotify,
        Self::RstAfterNotify,
        Self::FatalAlert,
        Self::TimeoutSilent,
        Self::HandshakeIncomplete,
    ];

    /// Name in reports.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CleanBoth => "clean-both",
            Self::CleanClient => "clean-client",
            Self::CleanServer => "clean-server",
            Self::HalfClose => "half-close",
            Self::FinNoNotify => "fin-no-notify",
            Self::RstBeforeNotify => "rst-before-notify",
            Self::RstAfterNotify => "rst-after-notify",
            Self::FatalAlert => "fatal-alert",
            Self::TimeoutSilent => "timeout-silent",
            Self::HandshakeIncomplete => "handshake-incomplete",
        }
    }

    /// Whether a side ended without the close_notify that it owed.
    #[must_use]
    pub const fn is_unclean(self) -> bool {
        matches!(self, Self::FinNoNotify | Self::RstBeforeNotify)
    }
}

/// Whether one side sent close_notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseNotify {
    /// In clear, or read with keys.
    Observed(At),
    /// Concluded from type, length and what follows.
    Inferred(At),
    /// Looked for, and not there.
    Absent,
    /// An alert that may be close_notify or an error: the peer had closed first without one (OpenSSL and newer Java
    /// answer close_notify there, older Java a fatal internal_error).
    AnswerToBareFin(At),
    /// Not visible.
    Blind(Blindness),
}

impl CloseNotify {
    /// The frame that carried it.
    #[must_use]
    pub const fn at(&self) -> Option<At> {
        match self {
            Self::Observed(at) | Self::Inferred(at) => Some(*at),
            Self::Absent | Self::AnswerToBareFin(_) | Self::Blind(_) => None,
        }
    }
}

/// How the connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// Class.
    pub class: Seen<CloseClass>,
    /// Who sent the first FIN, RST or close_notify.
    pub first_closer: Option<Side>,
    /// The client's close_notify.
    pub client: CloseNotify,
    /// The server's close_notify.
    pub server: CloseNotify,
}

impl Close {
    /// A connection that is still open.
    #[must_use]
    pub const fn open(cause: Blindness) -> Self {
        Self {
            class: Seen::Blind(cause),
            first_closer: None,
            client: CloseNotify::Blind(cause),
            server: CloseNotify::Blind(cause),
        }
    }

    /// One side's close_notify.
    #[must_use]
    pub const fn side(&self, side: Side) -> &CloseNotify {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

/// A protected record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Type, as the record layer says it.
    pub content_type: ContentType,
    /// Length in bytes.
    pub length: u16,
    /// What it holds, where it was opened.
    pub content: Content,
    /// Where and when.
    pub at: At,
}

impl Record {
    pub(super) const fn of(record: &Sealed<'_>, content: Content, at: At) -> Self {
        Self {
            content_type: record.content_type,
            length: record.length,
            content,
            at,
        }
    }
}

/// The end of one side's stream, as far as it matters for the close.
#[derive(Debug, Clone, Copy, Default)]
pub struct SideClose {
    /// Its last protected record.
    pub last: Option<Record>,
    /// The one before.
    pub before_last: Option<Record>,
    /// Bytes of an unfinished record follow the last one.
    pub unfinished: bool,
    /// Records of alert size with other records after them: data may be that short here.
    pub short_records: u32,
    /// Bytes of padding this side adds to every TLS 1.3 record, where its Finished showed it.
    pub padding: Option<u16>,
    /// A close_notify in clear or read with keys.
    pub plain: Option<At>,
}

/// Classifies the close of a connection. `open` says why no FIN or RST was seen, in case none was.
#[must_use]
pub fn classify(connection: &Connection, ends: [&SideClose; 2], open: Seen<CloseClass>) -> Close {
    let [client_end, server_end] = ends;
    let mut client = notify(connection, Side::Client, client_end);
    let mut server = notify(connection, Side::Server, server_end);
    answers_to_bare_fin(connection, &mut client, &mut server);
    let class = class(connection, client, server, open);
    Close {
        class,
        first_closer: first_closer(connection, client, server),
        client,
        server,
    }
}

fn notify(connection: &Connection, side: Side, end: &SideClose) -> CloseNotify {
    let facts = connection.side(side);
    if let Some(at) = end.plain {
        return CloseNotify::Observed(at);
    }
    if let Some(cause) = facts.tail_loss {
        return CloseNotify::Blind(cause);
    }
    if !facts.captured {
        return CloseNotify::Blind(Blindness::OneDirection);
    }
    let Some(answer) = connection.answer.yes() else {
        return CloseNotify::Blind(Blindness::ServerHelloMissing);
    };
    let Some(last) = end.last.filter(|_| !end.unfinished) else {
        return CloseNotify::Absent;
    };
    if last.content != Content::Closed {
        // It was read, and was something else.
        return CloseNotify::Absent;
    }
    let alert = if answer.version.is_tls13() {
        last.content_type == ContentType::APPLICATION_DATA && tls13_alert(connection, side, end, last)
    } else {
        last.content_type == ContentType::ALERT
            && answer.protection().fits(last.length, 2) != Some(false)
            && closes_after(connection, side, last)
    };
    if alert {
        CloseNotify::Inferred(last.at)
    } else if answer.version.is_tls13() && alert_sized(connection, end, last) {
        // Two bytes of data look the same.
        CloseNotify::Blind(Blindness::Encrypted)
    } else {
        CloseNotify::Absent
    }
}

fn alert_sized(connection: &Connection, end: &SideClose, record: Record) -> bool {
    let padding = end.padding.unwrap_or(0);
    let unpadded = record.length.checked_sub(padding);
    connection
        .answer
        .yes()
        .is_some_and(|answer| unpadded.is_some_and(|length| answer.protection().fits(length, 2) == Some(true)))
}

/// A TLS 1.3 record of alert size counts as close_notify only as the last record, with the close right behind it, and
/// where no data was ever that short. user_canceled before it is of the same size (RFC 8446 §6.1).
fn tls13_alert(connection: &Connection, side: Side, end: &SideClose, last: Record) -> bool {
    let canceled_first = end.before_last.is_some_and(|before| before.length == last.length);
    let short_data = end.short_records > u32::from(canceled_first);
    let (facts, peer) = (connection.side(side), connection.side(side.other()));
    // A side that only answers the peer's FIN is often reset before it can send its own.
    let answers_fin = peer.fin.is_some_and(|fin| fin.time <= last.at.time);
    let reset_by_peer = peer.reset.filter(|_| answers_fin).map(|reset| reset.at);
    let ends = [facts.fin, facts.reset.map(|reset| reset.at), reset_by_peer];
    let closes = ends
        .iter()
        .flatten()
        .any(|end| end.time.since(last.at.time).abs() <= CLOSE_FOLLOWS_NANOS);
    alert_sized(connection, end, last) && !short_data && closes
}

fn closes_after(connection: &Connection, side: Side, last: Record) -> bool {
    [side, side.other()]
        .into_iter()
        .flat_map(|side| {
            let facts = connection.side(side);
            [facts.fin, facts.reset.map(|reset| reset.at)]
        })
        .flatten()
        .any(|end| end.time.since(last.at.time).abs() <= CLOSE_FOLLOWS_VISIBLE_ALERT_NANOS)
}

/// An alert that only answers the peer's FIN without close_notify says nothing about a clean close.
fn answers_to_bare_fin(connection: &Connection, client: &mut CloseNotify, server: &mut CloseNotify) {
    let bare_fin = |side: Side, own: &CloseNotify| connection.side(side).fin.filter(|_| *own == CloseNotify::Absent);
    let (client_fin, server_fin) = (bare_fin(Side::Client, client), bare_fin(Side::Server, server));
    // A FIN that acknowledges the alert was sent after it, whatever the clocks of two captures say.
    let had_all = |side: Side| connection.side(side).fin_covers >= FinCovers::Data;
    let (client_had_all, server_had_all) = (had_all(Side::Client), had_all(Side::Server));
    for (notify, peer_fin, had_all) in [
        (server, client_fin, client_had_all),
        (client, server_fin, server_had_all),
    ] {
        if let (CloseNotify::Inferred(at), Some(fin), false) = (*notify, peer_fin, had_all)
            && at.time > fin.time
        {
            *notify = CloseNotify::AnswerToBareFin(at);
        }
    }
}

fn class(
    connection: &Connection,
    client: CloseNotify,
    server: CloseNotify,
    open: Seen<CloseClass>,
) -> Seen<CloseClass> {
    let sides = [&connection.client_side, &connection.server_side];
    let ended = sides.iter().any(|side| side.ended().is_some());
    let fatal = sides.iter().any(|side| side.fatal_alert().is_some());
    match connection.completed {
        _ if fatal => return Seen::Yes(CloseClass::FatalAlert),
        Completed::No if ended => return Seen::Yes(CloseClass::HandshakeIncomplete),
        Completed::Blind(cause) if connection.answer.yes().is_none() => return Seen::Blind(cause),
        _ if !ended => return open,
        Completed::Yes | Completed::No | Completed::Blind(_) => {}
    }
    for notify in [client, server] {
        match notify {
            CloseNotify::Blind(cause) => return Seen::Blind(cause),
            CloseNotify::AnswerToBareFin(_) => return Seen::Blind(Blindness::Encrypted),
            CloseNotify::Observed(_) | CloseNotify::Inferred(_) | CloseNotify::Absent => {}
        }
    }
    Seen::Yes(match (client.at().is_some(), server.at().is_some()) {
        (true, true) => CloseClass::CleanBoth,
        (true, false) => one_sided(connection, Side::Client, CloseClass::CleanClient),
        (false, true) => one_sided(connection, Side::Server, CloseClass::CleanServer),
        (false, false) => unclean(connection),
    })
}

/// Only `side` sent close_notify.
fn one_sided(connection: &Connection, side: Side, clean: CloseClass) -> CloseClass {
    let (own, peer) = (connection.side(side), connection.side(side.other()));
    if peer.reset.is_some() && peer.fin.is_none() {
        // The peer reset instead of closing. Late data that meets a socket already closed is reset too, and harms
        // nothing; but then the peer had sent FIN.
        CloseClass::RstBeforeNotify
    } else if own.reset.is_some() && own.fin.is_none() {
        CloseClass::RstAfterNotify
    } else {
        clean
    }
}

fn unclean(connection: &Connection) -> CloseClass {
    let reset_first = Side::BOTH.into_iter().any(|side| {
        let facts = connection.side(side);
        facts.reset.is_some() && facts.fin.is_none()
    });
    if reset_first {
        CloseClass::RstBeforeNotify
    } else {
        CloseClass::FinNoNotify
    }
}

fn first_closer(connection: &Connection, client: CloseNotify, server: CloseNotify) -> Option<Side> {
    let first = |side: Side, notify: CloseNotify| {
        let facts = connection.side(side);
        [facts.fin, facts.reset.map(|reset| reset.at), notify.at()]
            .into_iter()
            .flatten()
            .map(|at| (at.time, at.frame))
            .min()
    };
    // A side that only sends FIN, and acknowledges with it that the other is done, comes second.
    let answers = |side: Side, own: CloseNotify, other: CloseNotify| {
        let done = if other.at().is_some() {
            FinCovers::Data
        } else {
            FinCovers::End
        };
        own.at().is_none() && connection.side(side).fin_covers >= done
    };
    let client_second = answers(Side::Client, client, server);
    let server_second = answers(Side::Server, server, client);
    match (first(Side::Client, client), first(Side::Server, server)) {
        (Some(_), Some(_)) if server_second && !client_second => Some(Side::Client),
        (Some(_), Some(_)) if client_second && !server_second => Some(Side::Server),
        (Some(client), Some(server)) => Some(if client <= server { Side::Client } else { Side::Server }),
        (Some(_), None) => Some(Side::Client),
        (None, Some(_)) => Some(Side::Server),
        (None, None) => None,
    }
}
