//! How each side ended the connection, and which class that makes.
//!
//! With keys alerts are read. Without, the content of an alert is hidden: TLS 1.2 and older still show the record type, TLS 1.3 only a
//! length, so a close_notify is `inferred` at best, and only where length, order and what follows agree.

mod notify;

use crate::net::At;
use crate::tls::{Content, ContentType, Sealed};

use super::connection::{Completed, Connection};
use super::seen::{Blindness, Seen};
use super::side::Side;
pub(crate) use notify::is_alert_length;
pub use notify::may_be_goodbye;
use notify::{answers_bare_fin, first_closer, may_answer_bare_fin, may_refuse_client, notify};

#[cfg(feature = "serde")]
use {
    schemars::JsonSchema,
    serde::{Deserialize, Serialize},
};

/// Close class; the names are fixed in the report contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
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
    /// QUIC: the server had forgotten the connection (RFC 9000 §10.3).
    StatelessReset,
}

impl CloseClass {
    /// Every class.
    pub const ALL: [Self; 11] = [
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
        Self::StatelessReset,
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
            Self::StatelessReset => "stateless-reset",
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
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum CloseNotify {
    /// In clear, or read with keys.
    Observed(At),
    /// Concluded from type, length and what follows.
    Inferred(At),
    /// Every byte of the side was seen up to its end, and none was sent.
    Absent,
    /// An alert that may be close_notify or an error: the peer had closed first without one (OpenSSL and newer Java
    /// answer close_notify there, older Java a fatal internal_error).
    AnswerToBareFin(At),
    /// Not visible.
    #[cfg_attr(feature = "serde", serde(rename = "not-visible"))]
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

    /// Why it could not be seen.
    #[must_use]
    pub const fn blind(&self) -> Option<Blindness> {
        match self {
            Self::Blind(cause) => Some(*cause),
            Self::Observed(_) | Self::Inferred(_) | Self::Absent | Self::AnswerToBareFin(_) => None,
        }
    }
}

/// How the connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct Close {
    /// Class.
    pub class: Seen<CloseClass>,
    /// Who sent the first FIN, RST or close_notify.
    pub first_closer: Seen<Side>,
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
            first_closer: Seen::Blind(cause),
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
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct ProtectedRecord {
    /// Type, as the record layer says it.
    pub content_type: ContentType,
    /// Length in bytes.
    pub length: u16,
    /// What it holds, where it was opened.
    pub content: Content,
    /// Where and when.
    pub at: At,
}

impl ProtectedRecord {
    pub(crate) const fn of(record: &Sealed<'_>, content: Content, at: At) -> Self {
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
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize, JsonSchema))]
pub struct SideClose {
    /// Its last protected record.
    pub last: Option<ProtectedRecord>,
    /// The one before.
    pub before_last: Option<ProtectedRecord>,
    /// Bytes of an unfinished record follow the last one.
    pub unfinished: bool,
    /// Records of alert size with other records after them: data may be that short here.
    pub short_records: u32,
    /// Bytes of padding this side adds to every TLS 1.3 record, where its Finished showed it.
    pub padding: Option<u16>,
    /// A close_notify in clear or read with keys.
    pub plain: Option<At>,
    /// TLS 1.2 and older: a handshake message came under protection, which asks for a renegotiation.
    pub asked_again: bool,
    /// TLS 1.3: the other side sent data when it had the last record.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub answered: bool,
    /// Whether the FIN of the other side had arrived before its last bytes, where acknowledgements tell.
    pub after_peer_fin: Option<bool>,
    /// Whether all data of the other side had arrived before its last bytes, where acknowledgements tell.
    pub after_peer_data: Option<bool>,
}

/// Classifies the close of a connection. `open` says why no FIN or RST was seen, in case none was.
#[must_use]
pub fn classify(connection: &Connection, ends: [&SideClose; 2], open: Seen<CloseClass>) -> Close {
    let unended = idle_or(open);
    let notifies = Side::BOTH.map(|side| notify(connection, side, ends, unended));
    let answers = [
        answers_bare_fin(connection, Side::Client, ends, notifies),
        answers_bare_fin(connection, Side::Server, ends, notifies),
    ];
    let mut told = notifies;
    for (told, answers) in told.iter_mut().zip(answers) {
        if let (CloseNotify::Inferred(at), true) = (*told, answers) {
            *told = CloseNotify::AnswerToBareFin(at);
        }
    }
    // Where the FIN may be bare, whether it was sent to answer one is not visible either.
    let hidden = |side: Side, told: CloseNotify| {
        let cause = may_answer_bare_fin(connection, side, ends, notifies);
        cause.map_or(told, CloseNotify::Blind)
    };
    let [client, server] = told;
    Close {
        class: class(connection, ends, told, answers, open),
        first_closer: first_closer(connection, ends, told, unended),
        client: hidden(Side::Client, client),
        server: hidden(Side::Server, server),
    }
}

/// Why the end of a connection that goes on was not seen: what is told for silent was idle when the capture ended.
fn idle_or(open: Seen<CloseClass>) -> Blindness {
    open.blind().unwrap_or(Blindness::IdleAtCaptureEnd)
}

fn class(
    connection: &Connection,
    ends: [&SideClose; 2],
    notifies: [CloseNotify; 2],
    answers: [bool; 2],
    open: Seen<CloseClass>,
) -> Seen<CloseClass> {
    let unended = idle_or(open);
    let sides = [&connection.client_side, &connection.server_side];
    let ended = sides.iter().any(|side| side.is_over());
    let said_goodbye = ends.iter().any(|end| may_be_goodbye(connection, end));
    let fatal = sides.iter().any(|side| side.fatal_alert().is_some());
    match connection.completed {
        _ if fatal => return Seen::Yes(CloseClass::FatalAlert),
        Completed::No if ended => return Seen::Yes(CloseClass::HandshakeIncomplete),
        Completed::Blind(cause) if connection.answer.yes().is_none() => return Seen::Blind(cause),
        // After what may be close_notify the silence is that of a connection whose end was not captured.
        _ if !ended && said_goodbye => return Seen::Blind(unended),
        // The end may be among the packets of the side that was not captured.
        _ if !ended && open.yes().is_some() && sides.iter().any(|side| !side.captured) => {
            return Seen::Blind(Blindness::OneDirection);
        }
        // Or among the last bytes of a side, which were lost.
        _ if !ended && open.yes().is_some() => {
            return sides.iter().find_map(|side| side.tail_loss).map_or(open, Seen::Blind);
        }
        _ if !ended => return open,
        // It may be a fatal alert, whatever else ended the connection.
        _ if may_refuse_client(connection, ends) => return Seen::Blind(Blindness::Encrypted),
        Completed::Yes | Completed::No | Completed::Blind(_) => {}
    }
    let mut possible = [[false; 2]; 2];
    for ((possible, (side, notify)), (answers, end)) in possible
        .iter_mut()
        .zip(Side::BOTH.into_iter().zip(notifies))
        .zip(answers.into_iter().zip(ends))
    {
        *possible = match notify {
            // What only answers a FIN leaves it bare, be it close_notify or an error.
            _ if answers => [false; 2],
            CloseNotify::Observed(_) | CloseNotify::Inferred(_) => [true; 2],
            CloseNotify::Absent | CloseNotify::AnswerToBareFin(_) => [false; 2],
            // Where only its FIN was lost, its last record is its goodbye.
            CloseNotify::Blind(cause) if cause == unended && is_silent(connection, side, open) => {
                [false, may_be_goodbye(connection, end)]
            }
            CloseNotify::Blind(Blindness::Encrypted) => [false, true],
            CloseNotify::Blind(cause) => return Seen::Blind(cause),
        };
    }
    let [client, server] = possible;
    let mut classes = client
        .into_iter()
        .flat_map(|client| server.map(|server| class_of(connection, [client, server])));
    let first = classes.next().unwrap_or(CloseClass::FinNoNotify);
    if !classes.all(|class| class == first) {
        return Seen::Blind(Blindness::Encrypted);
    }
    // Without a Finished or data of the client, an end without close_notify may be that of a handshake.
    let [client, server] = sides;
    let went_on = client.finished.is_some() || client.application_data.is_some() || server.application_data.is_some();
    let unclean = matches!(first, CloseClass::FinNoNotify | CloseClass::RstBeforeNotify);
    match connection.completed {
        Completed::Blind(cause) if unclean && !went_on => Seen::Blind(cause),
        Completed::Yes | Completed::No | Completed::Blind(_) => Seen::Yes(first),
    }
}

/// Whether a side that did not end had nothing more to say: the capture went on long enough to know.
fn is_silent(connection: &Connection, side: Side, open: Seen<CloseClass>) -> bool {
    let over = connection.side(side).is_over() || connection.side(side.other()).reset.is_some();
    !over && open.yes().is_some()
}

/// The class of a connection that ended, where it is known who sent close_notify before the other had closed without.
fn class_of(connection: &Connection, notified: [bool; 2]) -> CloseClass {
    match notified {
        [true, true] => CloseClass::CleanBoth,
        [true, false] => one_sided(connection, Side::Client, CloseClass::CleanClient),
        [false, true] => one_sided(connection, Side::Server, CloseClass::CleanServer),
        [false, false] => unclean(connection),
    }
}

/// Only `side` sent close_notify.
fn one_sided(connection: &Connection, side: Side, clean: CloseClass) -> CloseClass {
    let (own, peer) = (connection.side(side), connection.side(side.other()));
    if peer.reset.is_some() && !peer.sent_fin() {
        // The peer reset instead of closing. Late data that meets a socket already closed is reset too, and harms
        // nothing; but then the peer had sent FIN.
        CloseClass::RstBeforeNotify
    } else if own.reset.is_some() && !own.sent_fin() {
        CloseClass::RstAfterNotify
    } else {
        clean
    }
}

fn unclean(connection: &Connection) -> CloseClass {
    let reset_first = Side::BOTH.into_iter().any(|side| {
        let facts = connection.side(side);
        facts.reset.is_some() && !facts.sent_fin()
    });
    if reset_first {
        CloseClass::RstBeforeNotify
    } else {
        CloseClass::FinNoNotify
    }
}

#[cfg(test)]
mod tests;
