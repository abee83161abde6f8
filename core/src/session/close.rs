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
pub use notify::may_be_goodbye;
use notify::{answers_bare_fin, first_closer, notify};

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
    /// Every byte of the side was seen up to its end, and none was sent.
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
    /// TLS 1.2 and older: a handshake message came under protection, which asks for a renegotiation.
    pub asked_again: bool,
    /// Whether the FIN of the other side had arrived before its last bytes, where acknowledgements tell.
    pub after_peer_fin: Option<bool>,
}

/// Classifies the close of a connection. `open` says why no FIN or RST was seen, in case none was.
#[must_use]
pub fn classify(connection: &Connection, ends: [&SideClose; 2], open: Seen<CloseClass>) -> Close {
    let unended = idle_or(&open);
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
    let [client, server] = told;
    Close {
        class: class(connection, ends, told, answers, open),
        first_closer: first_closer(connection, ends, told, unended),
        client,
        server,
    }
}

/// Why the end of a connection that goes on was not seen: what is told for silent was idle when the capture ended.
fn idle_or(open: &Seen<CloseClass>) -> Blindness {
    open.blind().unwrap_or(Blindness::IdleAtCaptureEnd)
}

fn class(
    connection: &Connection,
    ends: [&SideClose; 2],
    notifies: [CloseNotify; 2],
    answers: [bool; 2],
    open: Seen<CloseClass>,
) -> Seen<CloseClass> {
    let unended = idle_or(&open);
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
        _ if !ended => return open,
        Completed::Yes | Completed::No | Completed::Blind(_) => {}
    }
    let mut possible = [[false; 2]; 2];
    for ((possible, (side, notify)), answers) in possible
        .iter_mut()
        .zip(Side::BOTH.into_iter().zip(notifies))
        .zip(answers)
    {
        *possible = match notify {
            // What only answers a FIN leaves it bare, be it close_notify or an error.
            _ if answers => [false; 2],
            CloseNotify::Observed(_) | CloseNotify::Inferred(_) => [true; 2],
            CloseNotify::Absent | CloseNotify::AnswerToBareFin(_) => [false; 2],
            CloseNotify::Blind(cause) if cause == unended && is_silent(connection, side, &open) => [false; 2],
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
    Seen::Yes(first)
}

/// Whether a side that did not end had nothing more to say: the capture went on long enough to know.
fn is_silent(connection: &Connection, side: Side, open: &Seen<CloseClass>) -> bool {
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
mod tests {
    use crate::net::{FrameRef, Timestamp};
    use crate::session::side::PlainAlert;
    use crate::session::tests::{answered, at};
    use crate::tcp::{Reset, ResetForm};
    use crate::tls::{AlertDescription, ProtocolVersion};

    use super::*;

    /// Milliseconds of packet time; the frame has the same number.
    fn ms(time: u32) -> At {
        At {
            time: Timestamp::from_nanos(i64::from(time) * 1_000_000),
            frame: FrameRef::new(0, time.into()),
        }
    }

    const OPEN: Seen<CloseClass> = Seen::Blind(Blindness::OpenAtCaptureEnd);
    /// An alert under AES-GCM: of TLS 1.2 with its explicit nonce, of TLS 1.3 with its type.
    const ALERT_TLS12: u16 = 26;
    const ALERT_TLS13: u16 = 19;

    struct Ending {
        connection: Connection,
        ends: [SideClose; 2],
    }

    impl Ending {
        /// A complete handshake of which both sides were captured.
        fn of(version: ProtocolVersion) -> Self {
            let mut connection = answered(1, "a.test", version);
            connection.completed = Completed::Yes;
            connection.client_side.captured = true;
            connection.server_side.captured = true;
            Self {
                connection,
                ends: [SideClose::default(); 2],
            }
        }

        fn tls12() -> Self {
            Self::of(ProtocolVersion::TLS_1_2)
        }

        fn tls13() -> Self {
            Self::of(ProtocolVersion::TLS_1_3)
        }

        fn end(&mut self, side: Side) -> &mut SideClose {
            let [client, server] = &mut self.ends;
            if side == Side::Client { client } else { server }
        }

        /// The last record of a side, of the size of an alert.
        fn alert(mut self, side: Side, time: u32) -> Self {
            let tls13 = self.connection.is_tls13();
            self.end(side).last = Some(Record {
                content_type: if tls13 {
                    ContentType::APPLICATION_DATA
                } else {
                    ContentType::ALERT
                },
                length: if tls13 { ALERT_TLS13 } else { ALERT_TLS12 },
                content: Content::Closed,
                at: ms(time),
            });
            self
        }

        /// The last record of a side, of this size.
        fn data(mut self, side: Side, time: u32, length: u16) -> Self {
            self.end(side).last = Some(Record {
                content_type: ContentType::APPLICATION_DATA,
                length,
                content: Content::Closed,
                at: ms(time),
            });
            self
        }

        fn fin(mut self, side: Side, time: u32, covers: FinCovers) -> Self {
            let facts = self.connection.side_mut(side);
            (facts.fin, facts.fin_covers) = (Some(ms(time)), covers);
            self
        }

        fn reset(mut self, side: Side, time: u32) -> Self {
            self.connection.side_mut(side).reset = Some(Reset {
                at: ms(time),
                form: ResetForm::Active,
                doubtful: false,
            });
            self
        }

        fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
            change(&mut self);
            self
        }

        fn close(&self) -> Close {
            let [client, server] = &self.ends;
            classify(&self.connection, [client, server], OPEN)
        }

        fn class(&self) -> Option<CloseClass> {
            self.close().class.yes().copied()
        }

        fn client(&self) -> CloseNotify {
            self.close().client
        }
    }

    use FinCovers::{Data, End, Part};
    use Side::{Client, Server};

    #[test]
    fn an_alert_counts_as_close_notify_when_the_close_follows_in_time() {
        let tls12 = |close| Ending::tls12().alert(Client, 10).fin(Client, close, Part).client();
        assert_eq!(tls12(10 + 2000), CloseNotify::Inferred(ms(10)));
        assert_eq!(tls12(10 + 2001), CloseNotify::Absent);
        let tls13 = |close| Ending::tls13().alert(Client, 10).fin(Client, close, Part).client();
        assert_eq!(tls13(10 + 50), CloseNotify::Inferred(ms(10)));
        // Two bytes of data look the same.
        assert_eq!(tls13(10 + 51), CloseNotify::Blind(Blindness::Encrypted));
        // In TLS 1.2 the close of the peer will do as well.
        let by_peer = Ending::tls12().alert(Client, 10).fin(Server, 500, Part);
        assert_eq!(by_peer.client(), CloseNotify::Inferred(ms(10)));
        let by_peer = Ending::tls13().alert(Client, 10).fin(Server, 20, Part);
        assert_eq!(by_peer.client(), CloseNotify::Blind(Blindness::Encrypted));
    }

    #[test]
    fn what_has_not_the_size_or_type_of_an_alert_is_none() {
        let data = |ending: Ending, length| ending.data(Client, 10, length).fin(Client, 11, Part).client();
        assert_eq!(data(Ending::tls12(), ALERT_TLS12), CloseNotify::Absent);
        assert_eq!(data(Ending::tls13(), 20), CloseNotify::Absent);
        let long = Ending::tls12().alert(Client, 10).fin(Client, 11, Part).with(|ending| {
            ending.ends[0].last.as_mut().expect("a record").length = 40;
        });
        assert_eq!(long.client(), CloseNotify::Absent);
        let unfinished = Ending::tls12().alert(Client, 10).fin(Client, 11, Part);
        let unfinished = unfinished.with(|ending| ending.ends[0].unfinished = true);
        assert_eq!(unfinished.client(), CloseNotify::Absent);
        let read = Ending::tls13().alert(Client, 10).fin(Client, 11, Part);
        let read = read.with(|ending| ending.ends[0].last.as_mut().expect("a record").content = Content::Data);
        assert_eq!(read.client(), CloseNotify::Absent);
        assert_eq!(Ending::tls12().fin(Client, 11, Part).client(), CloseNotify::Absent);
    }

    #[test]
    fn where_data_was_that_short_before_a_record_of_that_size_is_no_alert() {
        let short = |records, before: Option<u16>| {
            let ending = Ending::tls13().alert(Client, 10).fin(Client, 11, Part);
            ending.with(|ending| {
                ending.ends[0].short_records = records;
                let last = ending.ends[0].last.expect("a record");
                ending.ends[0].before_last = before.map(|length| Record { length, ..last });
            })
        };
        assert_eq!(short(0, None).client(), CloseNotify::Inferred(ms(10)));
        assert_eq!(short(1, Some(300)).client(), CloseNotify::Blind(Blindness::Encrypted));
        // RFC 8446 §6.1: user_canceled may come right before it.
        assert_eq!(short(1, Some(ALERT_TLS13)).client(), CloseNotify::Inferred(ms(10)));
        assert_eq!(
            short(2, Some(ALERT_TLS13)).client(),
            CloseNotify::Blind(Blindness::Encrypted)
        );
    }

    #[test]
    fn padding_that_the_finished_showed_belongs_to_the_alert() {
        let padded = |padding, length| {
            let ending = Ending::tls13().data(Client, 10, length).fin(Client, 11, Part);
            ending.with(|ending| ending.ends[0].padding = padding).client()
        };
        assert_eq!(padded(Some(16), ALERT_TLS13 + 16), CloseNotify::Inferred(ms(10)));
        assert_eq!(padded(Some(16), ALERT_TLS13), CloseNotify::Absent);
        assert_eq!(padded(Some(100), ALERT_TLS13), CloseNotify::Absent);
        // Without the Finished any padding may be there.
        assert_eq!(padded(None, ALERT_TLS13), CloseNotify::Inferred(ms(10)));
        let unknown = CloseNotify::Blind(Blindness::Encrypted);
        assert_eq!(padded(None, ALERT_TLS13 + 16), unknown);
        assert_eq!(padded(None, 512 + 16), unknown);
        assert_eq!(padded(Some(0), 512 + 16), CloseNotify::Absent);
        assert_eq!(padded(None, 512), CloseNotify::Absent);
        let all_alike = Ending::tls13().data(Client, 10, 1016).fin(Client, 11, Part);
        let all_alike = all_alike.with(|ending| ending.ends[0].before_last = ending.ends[0].last);
        assert_eq!(all_alike.client(), unknown);
    }

    #[test]
    fn a_side_that_only_answers_is_often_reset_first() {
        let answer = |fin: u32| {
            let ending = Ending::tls13().alert(Client, 10).fin(Server, fin, Part);
            ending.reset(Server, 12).client()
        };
        assert_eq!(answer(9), CloseNotify::AnswerToBareFin(ms(10)));
        assert_eq!(answer(10), CloseNotify::Inferred(ms(10)));
        assert_eq!(answer(11), CloseNotify::Blind(Blindness::Encrypted));
    }

    #[test]
    fn what_was_not_seen_is_not_absent() {
        let blind = |change: fn(&mut Ending)| Ending::tls12().fin(Client, 11, Part).with(change).client();
        let loss = blind(|ending| ending.connection.client_side.tail_loss = Some(Blindness::Snaplen));
        assert_eq!(loss, CloseNotify::Blind(Blindness::Snaplen));
        let half = blind(|ending| ending.connection.client_side.captured = false);
        assert_eq!(half, CloseNotify::Blind(Blindness::OneDirection));
        let unanswered = blind(|ending| ending.connection.answer = Seen::No);
        assert_eq!(unanswered, CloseNotify::Blind(Blindness::ServerHelloMissing));
        // What stands in clear is seen all the same.
        let plain = blind(|ending| {
            ending.ends[0].plain = Some(at(3));
            ending.connection.client_side.tail_loss = Some(Blindness::Gap);
        });
        assert_eq!((plain, plain.at()), (CloseNotify::Observed(at(3)), Some(at(3))));
    }

    #[test]
    fn an_alert_behind_a_bare_fin_may_be_an_error() {
        let answered = |fin: u32, covers| {
            let ending = Ending::tls12().alert(Client, 10).fin(Client, 12, Part);
            ending.fin(Server, fin, covers)
        };
        let ambiguous = answered(9, Part);
        assert_eq!(ambiguous.client(), CloseNotify::AnswerToBareFin(ms(10)));
        assert_eq!(ambiguous.close().class, Seen::Blind(Blindness::Encrypted));
        assert_eq!(ambiguous.client().at(), None);
        // It acknowledges the alert, so it was sent after it, whatever the clocks say.
        assert_eq!(answered(9, Data).client(), CloseNotify::Inferred(ms(10)));
        assert_eq!(answered(10, Part).client(), CloseNotify::Inferred(ms(10)));
        // The FIN was not bare.
        let both = answered(9, Part).alert(Server, 8);
        assert_eq!(both.client(), CloseNotify::Inferred(ms(10)));
        // The same the other way round.
        let server = Ending::tls12()
            .alert(Server, 10)
            .fin(Server, 12, Part)
            .fin(Client, 9, Part);
        assert_eq!(server.close().server, CloseNotify::AnswerToBareFin(ms(10)));
        assert_eq!(server.client(), CloseNotify::Absent);
    }

    #[test]
    fn who_sent_close_notify_makes_the_class() {
        let ending = |client: bool, server: bool| {
            let mut ending = Ending::tls12().fin(Client, 20, Part).fin(Server, 21, Part);
            for (side, sent) in [(Client, client), (Server, server)] {
                if sent {
                    ending = ending.alert(side, 19);
                }
            }
            ending
        };
        assert_eq!(ending(true, true).class(), Some(CloseClass::CleanBoth));
        assert_eq!(ending(true, false).class(), Some(CloseClass::CleanClient));
        assert_eq!(ending(false, true).class(), Some(CloseClass::CleanServer));
        assert_eq!(ending(false, false).class(), Some(CloseClass::FinNoNotify));
        // Late data that meets a closed socket is reset too, and harms nothing.
        assert_eq!(
            ending(true, false).reset(Server, 22).class(),
            Some(CloseClass::CleanClient)
        );
        assert_eq!(
            ending(false, false).reset(Server, 22).class(),
            Some(CloseClass::FinNoNotify)
        );
    }

    #[test]
    fn a_close_is_told_when_both_sides_have_ended() {
        let notified = || Ending::tls12().alert(Client, 10).fin(Client, 11, Part);
        assert_eq!(notified().close().class, OPEN);
        assert_eq!(notified().fin(Server, 12, Part).class(), Some(CloseClass::CleanClient));
        let answered = notified().alert(Server, 12);
        assert_eq!(answered.class(), Some(CloseClass::CleanBoth));
        // The capture went on, and the server had nothing more to say.
        let [client, server] = &notified().ends;
        let silent = Seen::Yes(CloseClass::TimeoutSilent);
        let class = classify(&notified().connection, [client, server], silent).class;
        assert_eq!(class, Seen::Yes(CloseClass::CleanClient));
    }

    #[test]
    fn a_reset_instead_of_a_fin_makes_the_class() {
        let notified = || Ending::tls12().alert(Client, 10);
        assert_eq!(notified().reset(Client, 11).class(), Some(CloseClass::RstAfterNotify));
        let own_fin = notified().fin(Client, 11, Part);
        assert_eq!(own_fin.reset(Client, 12).class(), Some(CloseClass::CleanClient));
        let by_peer = notified().fin(Client, 11, Part).reset(Server, 12);
        assert_eq!(by_peer.class(), Some(CloseClass::RstBeforeNotify));
        assert_eq!(
            Ending::tls12().reset(Client, 11).class(),
            Some(CloseClass::RstBeforeNotify)
        );
        assert_eq!(
            Ending::tls12().reset(Server, 11).class(),
            Some(CloseClass::RstBeforeNotify)
        );
        let server = Ending::tls12().alert(Server, 10).reset(Server, 11);
        assert_eq!(server.class(), Some(CloseClass::RstAfterNotify));
    }

    #[test]
    fn what_came_before_the_close_decides_first() {
        let fatal = |ending: &mut Ending| {
            ending.connection.server_side.alert = Some(Box::new(PlainAlert {
                at: ms(5),
                fatal: true,
                description: AlertDescription(40),
            }));
        };
        assert_eq!(Ending::tls12().with(fatal).class(), Some(CloseClass::FatalAlert));
        let cut = |completed| move |ending: &mut Ending| ending.connection.completed = completed;
        assert_eq!(Ending::tls12().close().class, OPEN);
        assert_eq!(Ending::tls12().with(cut(Completed::No)).close().class, OPEN);
        let ended = Ending::tls12().fin(Client, 10, Part).with(cut(Completed::No));
        assert_eq!(ended.class(), Some(CloseClass::HandshakeIncomplete));
        let gap = Completed::Blind(Blindness::Gap);
        let both = Ending::tls12().fin(Client, 10, Part).fin(Server, 11, Part);
        assert_eq!(both.with(cut(gap)).class(), Some(CloseClass::FinNoNotify));
        let hidden = Ending::tls12().fin(Client, 10, Part).with(cut(gap));
        let unanswered = hidden.with(|ending| ending.connection.answer = Seen::No);
        assert_eq!(unanswered.close().class, Seen::Blind(Blindness::Gap));
        let lost = Ending::tls12().fin(Client, 10, Part);
        let lost = lost.with(|ending| ending.connection.server_side.tail_loss = Some(Blindness::Gap));
        assert_eq!(lost.close().class, Seen::Blind(Blindness::Gap));
    }

    #[test]
    fn the_first_to_close_is_told_by_what_a_fin_acknowledges_before_any_clock() {
        let first = |client: (u32, FinCovers), server: (u32, FinCovers)| {
            let ending = Ending::tls12()
                .fin(Client, client.0, client.1)
                .fin(Server, server.0, server.1);
            ending.close().first_closer
        };
        assert_eq!(first((10, Part), (11, Part)), Some(Client));
        assert_eq!(first((11, Part), (10, Part)), Some(Server));
        assert_eq!(first((11, Part), (10, End)), Some(Client));
        assert_eq!(first((10, End), (11, Part)), Some(Server));
        // Both acknowledge the end of the other: the clocks decide.
        assert_eq!(first((10, End), (11, End)), Some(Client));
        assert_eq!(first((11, End), (10, End)), Some(Server));
        // All data is not the end, unless close_notify was among it.
        assert_eq!(first((11, Part), (10, Data)), Some(Server));
        let notified = Ending::tls12()
            .alert(Client, 11)
            .fin(Client, 12, Part)
            .fin(Server, 10, Data);
        assert_eq!(notified.close().first_closer, Some(Client));
        let one = |ending: Ending| ending.close().first_closer;
        assert_eq!(one(Ending::tls12().fin(Client, 10, Part)), Some(Client));
        assert_eq!(one(Ending::tls12().reset(Server, 10)), Some(Server));
        assert_eq!(one(Ending::tls12()), None);
    }

    #[test]
    fn an_open_connection_has_no_close_yet() {
        let close = Close::open(Blindness::IdleAtCaptureEnd);
        let blind = CloseNotify::Blind(Blindness::IdleAtCaptureEnd);
        assert_eq!([close.side(Client), close.side(Server)], [&blind; 2]);
        assert_eq!(
            (close.class, close.first_closer),
            (Seen::Blind(Blindness::IdleAtCaptureEnd), None)
        );
        let uneven = Close {
            client: CloseNotify::Absent,
            ..close
        };
        assert_eq!(
            [uneven.side(Client), uneven.side(Server)],
            [&CloseNotify::Absent, &blind]
        );
        let unclean = CloseClass::ALL.into_iter().filter(|class| class.is_unclean());
        let expected = [CloseClass::FinNoNotify, CloseClass::RstBeforeNotify];
        assert!(unclean.eq(expected));
    }
}
