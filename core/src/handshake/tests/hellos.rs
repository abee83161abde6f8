//! Which hello belongs to which handshake.

use super::*;

#[test]
fn a_hello_of_another_handshake_ends_what_is_read() {
    let mut talk = Talk::new();
    talk.client(client_hello()).client(ClientHello {
        random: [9; 32],
        session_id: &[7; 32],
        ..client_hello()
    });
    talk.server(server_hello());
    let facts = talk.open.facts();
    assert_eq!(
        facts.hello.yes().map(|hello| (hello.random, hello.session_id)),
        Some(([1; 32], None))
    );
    assert!(facts.answer.yes().is_none());
    assert_eq!(
        [facts.client_side.handshake_loss, facts.server_side.handshake_loss],
        [Some(Blindness::Gap); 2]
    );
}

#[test]
fn a_hello_behind_lost_bytes_is_of_the_next_connection_when_its_handshake_went_on_before() {
    type Say = fn(&mut Talk) -> &mut Talk;
    let taken = |before: Say, side: Side, later: u32| {
        let mut talk = Talk::new();
        before(&mut talk);
        talk.open.hello_behind_gap(side, at(talk.now + later));
        match side {
            Side::Client => talk.client(client_hello()).open.facts().hello.yes().is_some(),
            Side::Server => talk.server(server_hello()).open.facts().answer.yes().is_some(),
        }
    };
    let cases: [(Say, Side); 3] = [
        (|talk| talk.server(server_hello()), Side::Client),
        // Nothing of the answer was seen but what came after it.
        (|talk| talk.sealed(Side::Server, DATA, 300), Side::Client),
        (
            |talk| talk.client(client_hello()).sealed(Side::Client, DATA, 300),
            Side::Server,
        ),
    ];
    for (number, (before, side)) in cases.into_iter().enumerate() {
        assert!(taken(before, side, 0), "case {number}: read late, and not sent late");
        assert!(!taken(before, side, 1000), "case {number}");
    }
    // What is early data may stand before the answer.
    let mut talk = Talk::new();
    talk.client(ClientHello {
        early_data: true,
        ..of_tls13()
    });
    talk.sealed(Side::Client, DATA, 300);
    talk.open.hello_behind_gap(Side::Server, at(talk.now + 1));
    talk.server(server_of_tls13());
    assert!(talk.open.facts().answer.yes().is_some());
}

#[test]
fn hellos_behind_what_is_protected_belong_to_another_handshake() {
    let mut talk = Talk::new();
    talk.sealed(Side::Client, DATA, 300).client(client_hello());
    talk.sealed(Side::Server, DATA, 300).server(server_hello());
    assert!(talk.open.facts().hello.yes().is_none());
    assert!(talk.open.facts().answer.yes().is_none());
}

#[test]
fn a_second_answer_and_what_follows_it_change_nothing() {
    let mut talk = Talk::new();
    talk.client(client_hello()).server(server_hello());
    talk.server(ServerHello {
        random: [8; 32],
        ..server_hello()
    });
    talk.client(ClientHello {
        session_id: &[7; 32],
        ..client_hello()
    });
    let facts = talk.open.facts();
    assert_eq!(facts.answer.yes().map(|answer| answer.random), Some([2; 8]));
    assert_eq!(facts.hello.yes().map(|hello| hello.session_id), Some(None));
}

#[test]
fn a_hello_that_cannot_be_read_leaves_its_side_unknown() {
    for (side, kind) in [
        (Side::Client, HandshakeType::CLIENT_HELLO),
        (Side::Server, HandshakeType::SERVER_HELLO),
    ] {
        let mut talk = Talk::new();
        talk.say(side, RecordEvent::Message(Message::Malformed(kind)));
        let loss = |side| talk.open.facts().side(side).handshake_loss;
        assert_eq!((loss(side), loss(side.other())), (Some(Blindness::Unsupported), None));
        // A later cause does not take its place.
        talk.open.handshake_lost(side, Blindness::Gap);
        assert_eq!(
            talk.open.facts().side(side).handshake_loss,
            Some(Blindness::Unsupported)
        );
    }
}

#[test]
fn a_hello_seen_last_is_still_the_hello() {
    let mut talk = Talk::new();
    talk.server(server_hello()).client(client_hello());
    assert!(matches!(talk.open.facts().hello, Seen::Yes(_)));
    assert_eq!(
        talk.say(Side::Server, RecordEvent::Message(Message::Certificate(b""))),
        Feedback::None
    );
    let mut talk = Talk::new();
    let hello = Message::ServerHello(Box::new(server_of_tls13()));
    assert_eq!(
        talk.say(Side::Server, RecordEvent::Message(hello)),
        Feedback::ChangeCipherSpecIsDummy
    );
}

#[test]
fn a_version_that_supported_versions_must_not_name_is_none() {
    let mut talk = Talk::new();
    talk.client(of_tls13()).server(ServerHello {
        illegal_version: true,
        ..server_hello()
    });
    let (connection, _) = talk.finish_blind([None, Some(Blindness::Gap)]);
    assert_eq!(connection.version(), None);
    assert_eq!(connection.answer.blind(), Some(Blindness::Unsupported));
}

#[test]
fn a_second_hello_shows_the_request_that_was_lost() {
    let mut talk = Talk::new();
    talk.client(of_tls13()).client(of_tls13()).server(server_of_tls13());
    let (connection, _) = talk.finish();
    let [first, second] = [at(101), at(102)];
    let retry = connection
        .retry
        .as_deref()
        .map(|retry| (retry.first_hello, retry.request));
    assert_eq!(retry, Some((first, second)));
    assert!(connection.retry_is_concluded());
    // The request itself may be read late.
    let mut talk = Talk::new();
    talk.client(of_tls13()).client(of_tls13()).server(ServerHello {
        hello_retry_request: true,
        ..server_of_tls13()
    });
    assert!(!talk.open.facts().retry_is_concluded());
}

/// A second hello may have had to leave out what the first offered.
#[test]
fn a_hello_that_may_be_the_second_hides_what_was_offered() {
    let request = || ServerHello {
        hello_retry_request: true,
        ..server_of_tls13()
    };
    let hidden = |talk: Talk, blind: Option<Blindness>| talk.finish_blind([blind; 2]).0.first_hello_hidden();
    let mut whole = Talk::new();
    whole
        .client(of_tls13())
        .server(request())
        .client(of_tls13())
        .server(server_of_tls13());
    assert_eq!(hidden(whole, None), None);
    // Before the roles are known the request is read behind the hello that answers it.
    let mut second = Talk::new();
    second.now += 2;
    second.client(of_tls13());
    second.now -= 2;
    second.server(request());
    second.now += 2;
    second.server(server_of_tls13());
    assert_eq!(hidden(second, None), Some(Blindness::ClientHelloMissing));
    let mut alone = Talk::new();
    alone.client(of_tls13()).server(server_of_tls13());
    let late = Some(Blindness::CaptureStartedLate);
    assert_eq!(hidden(alone, late), late, "neither side from its beginning");
    let mut unanswered = Talk::new();
    unanswered.client(of_tls13());
    assert_eq!(hidden(unanswered, None), None);
}

/// Whether there was a HelloRetryRequest is known where one of the two sides is seen from its beginning.
#[test]
fn that_there_was_no_request_to_try_again_takes_a_side_without_a_gap() {
    let hidden = |gaps: &[Side], blind: [Option<Blindness>; 2], answer: Option<ServerHello<'static>>| {
        let mut talk = Talk::new();
        for side in gaps {
            talk.open.hello_behind_gap(*side, at(100));
            talk.open.handshake_lost(*side, Blindness::Gap);
        }
        talk.client(of_tls13());
        if let Some(answer) = answer {
            talk.server(answer);
        }
        talk.finish_blind(blind).0.retry_hidden
    };
    let both = [Side::Client, Side::Server];
    let gap = [Some(Blindness::Gap); 2];
    let tls13 = || Some(server_of_tls13());
    assert_eq!(hidden(&[], [None; 2], tls13()), None);
    assert_eq!(hidden(&[Side::Client], gap, tls13()), None);
    assert_eq!(hidden(&[Side::Server], gap, tls13()), None);
    assert_eq!(hidden(&both, gap, tls13()), Some(Blindness::Gap));
    assert_eq!(hidden(&both, gap, Some(server_hello())), None, "TLS 1.2 has none");
    // The request may be what is lost behind the beginning of the server's stream, and the client's second hello as well.
    let lost = |sides: &[Side]| {
        let mut talk = Talk::new();
        talk.client(of_tls13());
        for side in sides {
            talk.open.handshake_lost(*side, Blindness::Gap);
        }
        talk.server(server_of_tls13());
        talk.finish_blind(gap).0.retry_hidden
    };
    assert_eq!(lost(&both), Some(Blindness::Gap));
    assert_eq!((lost(&[Side::Client]), lost(&[Side::Server])), (None, None));
    let late = [Some(Blindness::CaptureStartedLate); 2];
    assert_eq!(hidden(&[], late, tls13()), Some(Blindness::CaptureStartedLate));
    assert_eq!(
        hidden(&[], [None, Some(Blindness::OneDirection)], None),
        Some(Blindness::OneDirection)
    );
    assert_eq!(hidden(&[], [None; 2], None), None, "it ended without an answer");
}
