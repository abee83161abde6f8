use crate::net::{FrameRef, Timestamp};
use crate::session::side::PlainAlert;
use crate::session::tests::{answered, at};
use crate::tcp::{FinCovers, Reset, ResetForm};
use crate::tls::{AlertDescription, ProtocolVersion};

use super::*;

mod answers;
mod first_closer;

/// Milliseconds of packet time; the frame has the same number.
fn ms(time: u32) -> At {
    At {
        time: Timestamp::from_nanos(i64::from(time) * 1_000_000),
        frame: FrameRef::new(0, time.into()),
    }
}

const OPEN: Seen<CloseClass> = Seen::Blind(Blindness::OpenAtCaptureEnd);
const NOT_YET: CloseNotify = CloseNotify::Blind(Blindness::OpenAtCaptureEnd);
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
        connection.hello.yes_mut().expect("a hello").at = ms(1);
        connection.answer.yes_mut().expect("an answer").at = ms(1);
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
        self.end(side).last = Some(ProtectedRecord {
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
        self.end(side).last = Some(ProtectedRecord {
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
    assert_eq!(tls12(10 + 50), CloseNotify::Inferred(ms(10)));
    // Its type is visible: the end may take its time.
    assert_eq!(tls12(10 + 3_600_000), CloseNotify::Inferred(ms(10)));
    let tls13 = |close| Ending::tls13().alert(Client, 10).fin(Client, close, Part).client();
    assert_eq!(tls13(10 + 50), CloseNotify::Inferred(ms(10)));
    // Two bytes of data look the same.
    assert_eq!(tls13(10 + 51), CloseNotify::Blind(Blindness::Encrypted));
    // In TLS 1.2 the close of the peer will do as well.
    let by_peer = Ending::tls12().alert(Client, 10).fin(Server, 500, Part);
    assert_eq!(by_peer.client(), CloseNotify::Inferred(ms(10)));
    let by_peer = Ending::tls13().alert(Client, 10).fin(Server, 20, Part);
    assert_eq!(by_peer.client(), NOT_YET);
}

#[test]
fn an_alert_where_a_renegotiation_was_asked_for_may_be_its_refusal() {
    let asked = |close| {
        let ending = Ending::tls12().alert(Client, 10).fin(Client, close, Part);
        ending.with(|ending| ending.ends[1].asked_again = true).client()
    };
    assert_eq!(asked(10 + 50), CloseNotify::Inferred(ms(10)));
    assert_eq!(asked(10 + 51), CloseNotify::Blind(Blindness::Encrypted));
}

#[test]
fn a_side_that_has_not_ended_may_still_send_close_notify() {
    assert_eq!(Ending::tls12().client(), NOT_YET);
    assert_eq!(Ending::tls12().fin(Server, 9, Part).client(), NOT_YET);
    assert_eq!(Ending::tls12().alert(Client, 10).client(), NOT_YET);
    assert_eq!(Ending::tls13().alert(Client, 10).client(), NOT_YET);
    assert_eq!(Ending::tls12().fin(Client, 9, Part).client(), CloseNotify::Absent);
    // Nothing can come from a side that was reset.
    assert_eq!(Ending::tls12().reset(Server, 9).client(), CloseNotify::Absent);
    let cut_off = Ending::tls12().alert(Client, 10).fin(Server, 12, Part);
    let cut_off = cut_off.with(|ending| ending.ends[0].unfinished = true);
    assert_eq!(cut_off.client(), NOT_YET, "an alert seen in part");
}

#[test]
fn two_close_notifies_in_a_row_are_an_exchange_although_a_reset_follows() {
    let exchange = |before: Option<u16>| {
        let ending = Ending::tls13().alert(Client, 10).alert(Server, 11).reset(Server, 12);
        ending.with(|ending| {
            for end in &mut ending.ends {
                end.before_last = before.map(|length| ProtectedRecord {
                    length,
                    ..end.last.expect("a record")
                });
            }
        })
    };
    assert_eq!(exchange(Some(300)).client(), CloseNotify::Inferred(ms(10)));
    assert_eq!(exchange(Some(300)).class(), Some(CloseClass::CleanBoth));
    // Without anything longer before them they may be all the data there was.
    assert_eq!(exchange(None).client(), CloseNotify::Blind(Blindness::Encrypted));
}

#[test]
fn a_class_is_told_where_no_answer_could_change_it() {
    // The server resets without close_notify, whatever the client's last record is.
    let reset = Ending::tls13()
        .alert(Client, 10)
        .data(Server, 11, 179)
        .reset(Server, 12);
    assert_eq!(reset.client(), CloseNotify::Blind(Blindness::Encrypted));
    assert_eq!(reset.class(), Some(CloseClass::RstBeforeNotify));
    let late = Ending::tls13()
        .alert(Client, 10)
        .fin(Client, 100, Part)
        .fin(Server, 101, Part);
    assert_eq!(late.close().class, Seen::Blind(Blindness::Encrypted));
}

#[test]
fn what_has_not_the_size_or_type_of_an_alert_is_none() {
    let data = |ending: Ending, length| ending.data(Client, 10, length).fin(Client, 11, Part).client();
    assert_eq!(data(Ending::tls12(), ALERT_TLS12), CloseNotify::Absent);
    assert_eq!(data(Ending::tls13(), 20), CloseNotify::Absent);
    let long = Ending::tls12().alert(Client, 10).fin(Client, 11, Part).with(|ending| {
        ending.ends[0].last.as_mut().expect("a record").length = 40;
    });
    assert_eq!(
        long.client(),
        CloseNotify::Blind(Blindness::Encrypted),
        "several alerts"
    );
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
            ending.ends[0].before_last = before.map(|length| ProtectedRecord { length, ..last });
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
    let unanswered = Ending::tls12().alert(Client, 10).fin(Client, 11, Part);
    let unanswered = unanswered.with(|ending| ending.connection.answer = Seen::No).client();
    assert_eq!(unanswered, CloseNotify::Blind(Blindness::ServerHelloMissing));
    let in_clear = blind(|ending| ending.connection.client_side.handshake_loss = Some(Blindness::Gap));
    assert_eq!(in_clear, CloseNotify::Blind(Blindness::Gap));
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
    // Be it close_notify or an error: the FIN stays bare.
    assert_eq!(ambiguous.class(), Some(CloseClass::FinNoNotify));
    assert_eq!(ambiguous.close().first_closer, Seen::Yes(Server));
    assert_eq!(ambiguous.client().at(), None);
    // It acknowledges the alert, so it was sent after it, whatever the clocks say.
    assert_eq!(answered(9, Data).client(), CloseNotify::Inferred(ms(10)));
    assert_eq!(answered(10, Part).client(), CloseNotify::Inferred(ms(10)));
    // At the same coarse time the frames tell.
    let coarse = answered(9, Part).with(|ending| {
        ending.connection.server_side.fin = Some(At {
            time: ms(10).time,
            ..ms(9)
        });
    });
    assert_eq!(coarse.client(), CloseNotify::AnswerToBareFin(ms(10)));
    // What it acknowledged comes before any clock.
    let told = |fin, after| answered(fin, Part).with(|ending| ending.ends[0].after_peer_fin = Some(after));
    assert_eq!(told(11, true).client(), CloseNotify::AnswerToBareFin(ms(10)));
    assert_eq!(told(11, true).class(), Some(CloseClass::FinNoNotify));
    assert_eq!(told(9, false).client(), CloseNotify::Inferred(ms(10)));
    assert_eq!(told(9, false).class(), Some(CloseClass::CleanClient));
    // Read with keys it is close_notify, and still only an answer.
    let read = told(9, true).with(|ending| ending.ends[0].plain = Some(ms(10)));
    assert_eq!(read.client(), CloseNotify::Observed(ms(10)));
    assert_eq!(read.class(), Some(CloseClass::FinNoNotify));
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
fn an_alert_that_stands_behind_the_fin_which_acknowledges_it_was_sent_before() {
    // The first copy was lost before the capture, and the second acknowledges the FIN that the first had brought about.
    let told = |fin, covers| {
        let ending = Ending::tls12().alert(Client, 10).fin(Client, 9, Part);
        let ending = ending.fin(Server, fin, covers);
        ending.with(|ending| ending.ends[0].after_peer_fin = Some(true))
    };
    for covers in [Data, End] {
        assert_eq!(told(9, covers).client(), CloseNotify::Inferred(ms(10)));
        assert_eq!(told(9, covers).class(), Some(CloseClass::CleanClient));
        assert_eq!(told(9, covers).close().first_closer, Seen::Yes(Client));
    }
    assert_eq!(told(9, Part).client(), CloseNotify::AnswerToBareFin(ms(10)));
    // It is the FIN that is sent again where that stands behind.
    assert_eq!(told(11, Data).client(), CloseNotify::AnswerToBareFin(ms(10)));
}

#[test]
fn an_alert_behind_a_fin_that_may_be_bare_may_be_an_error_too() {
    let answered = |fin: u32, change: fn(&mut Ending)| {
        let ending = Ending::tls12().alert(Client, 10).fin(Client, 12, Part);
        ending.fin(Server, fin, Part).with(change)
    };
    let lost: fn(&mut Ending) = |ending| ending.connection.server_side.tail_loss = Some(Blindness::Gap);
    let behind = answered(9, lost);
    assert_eq!(behind.client(), CloseNotify::Blind(Blindness::Gap));
    assert_eq!(
        (behind.class(), behind.close().first_closer.blind()),
        (None, Some(Blindness::Gap))
    );
    assert_eq!(answered(11, lost).client(), CloseNotify::Inferred(ms(10)));
    // Read with keys it is what it is.
    let read = behind.with(|ending| ending.ends[0].plain = Some(ms(10)));
    assert_eq!(read.client(), CloseNotify::Observed(ms(10)));
    // Of TLS 1.3 the record in front of the FIN may be data or close_notify.
    let unknown = |before: fn(Ending) -> Ending| {
        let ending = Ending::tls13()
            .alert(Client, 10)
            .fin(Client, 12, Part)
            .fin(Server, 9, Part);
        before(ending).client()
    };
    assert_eq!(
        unknown(|ending| ending.alert(Server, 1).with(|ending| ending.ends[1].short_records = 1)),
        CloseNotify::Blind(Blindness::Encrypted)
    );
    assert_eq!(unknown(|ending| ending.alert(Server, 8)), CloseNotify::Inferred(ms(10)));
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
fn a_lost_fin_that_was_acknowledged_counts_as_one() {
    let lost =
        |ending: Ending, side| ending.with(|ending| ending.connection.side_mut(side).fin_covers = FinCovers::Lost);
    let both = lost(lost(Ending::tls12().alert(Client, 10), Client), Server);
    assert_eq!(both.client(), CloseNotify::Inferred(ms(10)));
    assert_eq!(both.class(), Some(CloseClass::CleanClient));
    // Nothing tells when it was sent.
    assert_eq!(both.close().first_closer, Seen::Blind(Blindness::Gap));
    let reset = lost(Ending::tls12().alert(Client, 10), Client)
        .fin(Server, 12, Part)
        .reset(Client, 13);
    assert_eq!(reset.class(), Some(CloseClass::CleanClient));
}

#[test]
fn silence_after_what_may_be_close_notify_is_no_timeout() {
    let silent = |ending: &Ending| {
        let [client, server] = &ending.ends;
        classify(
            &ending.connection,
            [client, server],
            Seen::Yes(CloseClass::TimeoutSilent),
        )
        .class
    };
    assert_eq!(silent(&Ending::tls12()), Seen::Yes(CloseClass::TimeoutSilent));
    let data = Ending::tls12().data(Client, 10, 300);
    assert_eq!(silent(&data), Seen::Yes(CloseClass::TimeoutSilent));
    for alert in [Ending::tls12().alert(Client, 10), Ending::tls13().alert(Server, 10)] {
        assert_eq!(silent(&alert), Seen::Blind(Blindness::IdleAtCaptureEnd));
    }
    // The bytes that were lost at the end may have said goodbye.
    let lost = data.with(|ending| ending.connection.server_side.tail_loss = Some(Blindness::Gap));
    assert_eq!(silent(&lost), Seen::Blind(Blindness::Gap));
}

#[test]
fn who_closed_first_is_not_told_while_the_other_end_is_a_gap() {
    let gap = |side: Side, ending: Ending| {
        ending
            .with(|ending| ending.connection.side_mut(side).tail_loss = Some(Blindness::Gap))
            .close()
            .first_closer
    };
    let fins = |covers| Ending::tls12().fin(Client, 10, Part).fin(Server, 11, covers);
    assert_eq!(gap(Server, fins(Part)), Seen::Blind(Blindness::Gap));
    assert_eq!(gap(Client, fins(Part)), Seen::Blind(Blindness::Gap));
    // A FIN that acknowledges the other side's comes second, whatever that side sent before.
    assert_eq!(gap(Client, fins(End)), Seen::Yes(Client));
    // This one may have sent close_notify long before.
    assert_eq!(gap(Server, fins(End)), Seen::Blind(Blindness::Gap));
    let half = Ending::tls12()
        .fin(Client, 10, Part)
        .with(|ending| ending.connection.server_side.captured = false);
    assert_eq!(half.close().first_closer, Seen::Blind(Blindness::OneDirection));
    // What may be the client's close_notify came before the server's FIN.
    let hidden = Ending::tls13()
        .alert(Client, 10)
        .fin(Server, 20, Part)
        .fin(Client, 90, Part);
    assert_eq!(hidden.close().first_closer, Seen::Blind(Blindness::Encrypted));
    let after = Ending::tls13()
        .alert(Client, 10)
        .fin(Server, 5, Part)
        .fin(Client, 90, Part);
    assert_eq!(after.close().first_closer, Seen::Yes(Server));
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
    // It may have been the handshake that ended, unless data of the application was seen.
    let both = || {
        Ending::tls12()
            .fin(Client, 10, Part)
            .fin(Server, 11, Part)
            .with(cut(gap))
    };
    assert_eq!(both().close().class, Seen::Blind(Blindness::Gap));
    let spoke = both().with(|ending| ending.connection.client_side.application_data = Some(ms(5)));
    assert_eq!(spoke.class(), Some(CloseClass::FinNoNotify));
    let hidden = Ending::tls12().fin(Client, 10, Part).with(cut(gap));
    let unanswered = hidden.with(|ending| ending.connection.answer = Seen::No);
    assert_eq!(unanswered.close().class, Seen::Blind(Blindness::Gap));
    let lost = Ending::tls12().fin(Client, 10, Part);
    let lost = lost.with(|ending| ending.connection.server_side.tail_loss = Some(Blindness::Gap));
    assert_eq!(lost.close().class, Seen::Blind(Blindness::Gap));
}

#[test]
fn an_open_connection_has_no_close_yet() {
    let close = Close::open(Blindness::IdleAtCaptureEnd);
    let blind = CloseNotify::Blind(Blindness::IdleAtCaptureEnd);
    assert_eq!([close.side(Client), close.side(Server)], [&blind; 2]);
    assert_eq!(
        (close.class, close.first_closer),
        (
            Seen::Blind(Blindness::IdleAtCaptureEnd),
            Seen::Blind(Blindness::IdleAtCaptureEnd)
        )
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

#[test]
fn a_side_whose_fin_alone_was_lost_may_have_said_goodbye() {
    let silent = Seen::Yes(CloseClass::TimeoutSilent);
    let class = |ending: Ending| {
        let [client, server] = &ending.ends;
        classify(&ending.connection, [client, server], silent).class
    };
    // Up to TLS 1.2 the record says that it is an alert; in TLS 1.3 it is only as long as one.
    let both = Seen::Yes(CloseClass::CleanBoth);
    let told: [(fn() -> Ending, _); 2] = [
        (Ending::tls12, both),
        (Ending::tls13, Seen::Blind(Blindness::Encrypted)),
    ];
    for (of, answered) in told {
        let closed = || of().alert(Client, 5).fin(Client, 5, Part);
        assert_eq!(class(closed().alert(Server, 6)), answered);
        let went_silent = closed().data(Server, 4, 700);
        assert_eq!(class(went_silent), Seen::Yes(CloseClass::CleanClient));
    }
}
