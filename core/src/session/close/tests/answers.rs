//! Records of TLS 1.3 that are as long as an alert and may be something else: what answers what tells.

use super::*;

#[test]
fn what_may_refuse_a_client_certificate_is_no_close_notify() {
    let refusing = |change: fn(&mut Ending)| {
        let ending = Ending::tls13()
            .alert(Server, 10)
            .fin(Server, 11, Part)
            .fin(Client, 12, End);
        let ending = ending.with(|ending| {
            ending.connection.client_side.finished = Some(ms(5));
            ending.connection.server_side.application_data = Some(ms(10));
        });
        let ending = ending.with(change);
        (ending.close().server, ending.class())
    };
    let hidden = (CloseNotify::Blind(Blindness::Encrypted), None);
    assert_eq!(refusing(|_| ()), hidden);
    // It is a fatal alert or a close_notify, whoever else resets.
    let (told, class) = refusing(|ending| {
        ending.connection.client_side.fin = None;
        ending.connection.client_side.reset = Some(Reset {
            at: ms(12),
            form: ResetForm::Active,
            doubtful: false,
        });
    });
    assert_eq!((told, class), hidden);
    let clean = (CloseNotify::Inferred(ms(10)), Some(CloseClass::CleanServer));
    // The client's flight began with Finished: there was no certificate.
    assert_eq!(refusing(|ending| ending.ends[0].padding = Some(0)), clean);
    // The server had said something before.
    let earlier = |ending: &mut Ending| ending.connection.server_side.application_data = Some(ms(9));
    assert_eq!(refusing(earlier), clean);
    let with_it = |ending: &mut Ending| {
        ending.ends[1].before_last = ending.ends[1].last.map(|last| ProtectedRecord { length: 300, ..last });
    };
    assert_eq!(refusing(with_it), clean);
    // In a file that is out of order the server's answer may stand before what it acknowledges.
    let early = |ending: &mut Ending| {
        let at = ms(3);
        ending.connection.client_side.finished = Some(ms(13));
        ending.connection.server_side.finished = Some(at);
        ending.connection.server_side.application_data = None;
        let finished = |last| ProtectedRecord { at, length: 69, ..last };
        ending.ends[1].before_last = ending.ends[1].last.map(finished);
        ending.ends[1].after_peer_data = Some(true);
    };
    assert_eq!(refusing(early), hidden);
    // Where the client's flight is lost, an answer to its goodbye is none to a certificate.
    let answering = refusing(|ending| {
        let at = ms(8);
        ending.ends[0].last = ending.ends[1].last.map(|last| ProtectedRecord { at, ..last });
        ending.ends[1].after_peer_data = Some(true);
    });
    assert_eq!(answering.0, CloseNotify::Blind(Blindness::Encrypted));
    let lost = |ending: &mut Ending| ending.connection.client_side.handshake_loss = Some(Blindness::Gap);
    assert_eq!(refusing(lost), hidden);
    let goodbye = refusing(|ending| {
        let at = ms(8);
        ending.connection.client_side.handshake_loss = Some(Blindness::Gap);
        ending.ends[0].last = ending.ends[1].last.map(|last| ProtectedRecord { at, ..last });
        ending.ends[1].after_peer_data = Some(true);
    });
    assert_eq!(goodbye, (CloseNotify::Inferred(ms(10)), Some(CloseClass::CleanBoth)));
    // Nor can the client's Finished be told from its certificate behind a hello that is lost.
    let without_finished = refusing(|ending| {
        ending.connection.client_side.handshake_loss = Some(Blindness::Gap);
        ending.connection.client_side.finished = None;
        ending.connection.server_side.application_data = None;
        ending.connection.server_side.finished = Some(ms(3));
    });
    assert_eq!(without_finished, hidden);
    // Nor where the capture begins with the server's flight.
    let late = |ending: &mut Ending| {
        ending.connection.hello = Seen::Blind(Blindness::CaptureStartedLate);
        ending.connection.client_side.finished = None;
        ending.connection.server_side.application_data = None;
        ending.connection.server_side.finished = Some(ms(3));
    };
    assert_eq!(refusing(late), hidden);
    // With a PSK no certificate is asked for.
    let resumed = refusing(|ending| {
        ending.connection.client_side.handshake_loss = Some(Blindness::Gap);
        ending.connection.client_side.finished = None;
        ending.connection.shape = Seen::Yes(crate::session::Shape::Abbreviated(at(2)));
    });
    assert_eq!(resumed.0, clean.0);
    // The capture begins behind the handshake.
    assert_eq!(refusing(|ending| ending.connection.client_side.finished = None), clean);
}

#[test]
fn what_the_peer_answers_before_the_end_may_be_two_bytes_of_data() {
    let told = |answered: bool, at: u32, length: u16| {
        let ending = Ending::tls13()
            .alert(Client, 10)
            .fin(Client, 20, Data)
            .data(Server, at, length);
        let ending = ending.with(|ending| ending.ends[0].answered = answered);
        ending.client()
    };
    assert_eq!(told(true, 12, 20), CloseNotify::Blind(Blindness::Encrypted));
    let goodbye = CloseNotify::Inferred(ms(10));
    assert_eq!(told(false, 12, 20), goodbye, "a ticket, or sent before it was there");
    assert_eq!(told(true, 9, 20), goodbye, "the answer is not among the last records");
    assert_eq!(told(true, 25, 20), goodbye, "behind FIN");
    assert_eq!(told(true, 12, ALERT_TLS13), goodbye, "an alert");
    // The peer's alert stands behind its answer.
    let ending = Ending::tls13().data(Server, 12, 20).with(|ending| {
        ending.ends[0].answered = true;
        ending.ends[1].before_last = ending.ends[1].last;
    });
    let ending = ending.alert(Client, 10).fin(Client, 20, Data).alert(Server, 25);
    assert_eq!(ending.client(), CloseNotify::Blind(Blindness::Encrypted));
}
