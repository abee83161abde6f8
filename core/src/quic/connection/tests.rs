use super::super::header::{QuicPacket, split};
use super::super::testing::{Way, answer, client, crypto, hello, server};
use super::*;
use crate::datagram::kind::{QUIC_V1, QUIC_V2};
use crate::net::{FrameRef, Timestamp};

const ORIGINAL: &[u8] = b"original";
const CLIENT: &[u8] = b"client";
const SERVER: &[u8] = b"server";
const RETRY: &[u8] = b"by retry";
const TOKEN: &[u8] = b"token";

fn at(frame: u32) -> At {
    At {
        frame: FrameRef::new(0, frame.into()),
        time: Timestamp::from_nanos(i64::from(frame)),
    }
}

fn long(bytes: &[u8]) -> Long<'_> {
    match split(bytes) {
        Some((QuicPacket::Long(long), _)) => long,
        other => panic!("{other:?}"),
    }
}

/// The client's first hello, in a packet of this number.
fn first(number: u8) -> Vec<u8> {
    client(ORIGINAL, CLIENT).initial(number, &crypto(0, &hello(1, None, false)), 1200)
}

fn opened(packet: &[u8]) -> QuicConnection {
    QuicConnection::open(&long(packet), at(1), &mut Scratch::default()).expect("authentic")
}

/// Gives a connection an Initial with these frames.
fn initial(connection: &mut QuicConnection, way: Way<'_>, frames: &[u8]) -> bool {
    let packet = way.initial(1, frames, 200);
    connection.initial(way.speaker, &long(&packet), at(2), &mut Scratch::default())
}

/// What happened, in short words.
fn words(connection: &mut QuicConnection) -> Vec<(Speaker, &'static str)> {
    let word = |event: &QuicEvent| match event {
        QuicEvent::Anew => "anew",
        QuicEvent::Message(Space::Initial, _) => "message",
        QuicEvent::Close { .. } => "close",
        _ => "other",
    };
    let events = connection.take_events();
    events.iter().map(|it| (it.speaker, word(&it.event))).collect()
}

fn retry(original: &[u8], source: &[u8]) -> Vec<u8> {
    server(ORIGINAL, CLIENT, source).retry(original, TOKEN)
}

#[test]
fn a_retry_that_the_client_obeys_makes_its_hello_come_anew() {
    let mut connection = opened(&first(0));
    assert_eq!(words(&mut connection), [(Speaker::Client, "message")]);
    assert!(!connection.is_retried() && !connection.has_token() && !connection.is_answered());
    assert!(
        !connection.retry(&long(&retry(b"another", RETRY))),
        "of another connection"
    );
    assert!(!connection.is_retried());
    assert!(connection.retry(&long(&retry(ORIGINAL, RETRY))));
    assert!(connection.is_retried(), "it is the last that was seen");
    let again = client(RETRY, CLIENT);
    assert!(initial(&mut connection, again, &crypto(0, &hello(1, None, false))));
    assert_eq!(
        words(&mut connection),
        [(Speaker::Client, "anew"), (Speaker::Client, "message")]
    );
    assert!(connection.is_retried() && !connection.has_negotiated_version());
    // What it said before, captured late, is of a beginning that is void.
    assert!(initial(&mut connection, client(ORIGINAL, CLIENT), &[0x1c, 0, 0, 0]));
    assert!(words(&mut connection).is_empty());
    let answers = server(RETRY, CLIENT, SERVER);
    assert!(initial(&mut connection, answers, &crypto(0, &answer(None))));
    assert_eq!(words(&mut connection), [(Speaker::Server, "message")]);
    assert!(connection.is_answered() && connection.is_retried());
    assert!(!connection.is_known_by_answer());
}

#[test]
fn a_retry_that_nobody_obeyed_counts_until_the_server_answers() {
    let mut connection = opened(&first(0));
    for _ in 0..MAX_RETRIES {
        assert!(connection.retry(&long(&retry(ORIGINAL, RETRY))));
    }
    assert!(
        !connection.retry(&long(&retry(ORIGINAL, RETRY))),
        "there is room for no more"
    );
    let answers = server(ORIGINAL, CLIENT, SERVER);
    assert!(initial(&mut connection, answers, &crypto(0, &answer(None))));
    assert!(!connection.is_retried());
    let mut answered = opened(&first(0));
    assert!(initial(&mut answered, answers, &crypto(0, &answer(None))));
    assert!(
        !answered.retry(&long(&retry(ORIGINAL, RETRY))),
        "a server that answers asks for nothing"
    );
    // And it has answered, whoever speaks next.
    assert!(initial(&mut answered, client(ORIGINAL, CLIENT), &[1]));
    assert!(answered.is_answered());
}

#[test]
fn a_client_that_comes_back_with_a_token_was_told_to() {
    let with = |version, token| Way {
        version,
        token,
        ..client(RETRY, CLIENT)
    };
    let facts = |way| {
        let mut connection = opened(&first(0));
        assert!(initial(&mut connection, way, &crypto(0, &hello(1, None, false))));
        (
            connection.is_retried(),
            connection.has_negotiated_version(),
            connection.version(),
        )
    };
    assert_eq!(facts(with(QUIC_V1, TOKEN)), (true, false, QUIC_V1));
    assert_eq!(facts(with(QUIC_V1, &[])), (false, false, QUIC_V1));
    // In another version the token is one of an earlier connection.
    assert_eq!(facts(with(QUIC_V2, TOKEN)), (false, true, QUIC_V2));
    // Of one that goes on counting nobody knows.
    let unclear = |number| {
        let mut connection = opened(&first(0));
        let frames = crypto(0, &hello(1, None, false));
        let again = with(QUIC_V2, TOKEN).initial(number, &frames, 1200);
        assert!(connection.initial(Speaker::Client, &long(&again), at(2), &mut Scratch::default()));
        connection.is_token_unclear()
    };
    assert!(!unclear(0) && unclear(1));
}

#[test]
fn something_must_have_made_a_client_begin_anew() {
    let connection = opened(&first(0));
    let may = |connection: &QuicConnection, version, token| {
        let way = Way {
            version,
            token,
            ..client(RETRY, CLIENT)
        };
        connection.may_begin_anew(&long(&way.initial(1, &[1], 1200)))
    };
    assert!(!may(&connection, QUIC_V1, &[]));
    assert!(may(&connection, QUIC_V1, TOKEN) && may(&connection, QUIC_V2, &[]));
    let mut negotiated = connection.clone();
    negotiated.negotiate_version(None);
    assert!(negotiated.has_negotiated_version() && may(&negotiated, QUIC_V1, &[]));
    let mut answered = connection;
    let answers = server(ORIGINAL, CLIENT, SERVER);
    assert!(initial(&mut answered, answers, &crypto(0, &answer(None))));
    answered.negotiate_version(None);
    assert!(!answered.has_negotiated_version() && !may(&answered, QUIC_V2, TOKEN));
}

#[test]
fn a_server_may_go_on_in_another_version_and_its_client_with_it() {
    let v2 = |way: Way<'static>| Way {
        version: QUIC_V2,
        ..way
    };
    let mut connection = opened(&first(0));
    assert!(initial(
        &mut connection,
        v2(server(ORIGINAL, CLIENT, SERVER)),
        &crypto(0, &answer(None))
    ));
    assert_eq!((connection.version(), connection.is_answered()), (QUIC_V2, true));
    assert!(
        !initial(&mut connection, client(RETRY, CLIENT), &[1]),
        "keys come from no other ID"
    );

    // That the server went on in it is not in the capture.
    let mut connection = opened(&first(0));
    assert!(initial(&mut connection, server(ORIGINAL, CLIENT, SERVER), &[1]));
    let follows = Way {
        keyed_by: ORIGINAL,
        ..v2(client(SERVER, CLIENT))
    };
    assert!(initial(&mut connection, follows, &[1]));
    assert_eq!(connection.version(), QUIC_V2);
    let same = Way {
        keyed_by: RETRY,
        ..client(SERVER, CLIENT)
    };
    assert!(!initial(&mut connection, same, &[1]));
    // A server has no keys of its own in the version that it was asked in.
    assert!(!initial(&mut opened(&first(0)), server(RETRY, CLIENT, SERVER), &[1]));
}

#[test]
fn keys_are_tried_for_so_many_beginnings_and_no_more() {
    let mut connection = opened(&first(0));
    let ids: [&[u8]; MAX_SETS] = [b"second00", b"third000", b"fourth00", b"fifth000"];
    let taken = ids.map(|id| initial(&mut connection, client(id, CLIENT), &[1]));
    assert_eq!(taken, [true, true, true, false]);
}

#[test]
fn a_token_is_unclear_where_the_first_packet_is_not_the_client_s_first() {
    let with = |number, token| {
        let way = Way {
            token,
            ..client(ORIGINAL, CLIENT)
        };
        let connection = opened(&way.initial(number, &crypto(0, &hello(1, None, false)), 1200));
        (connection.has_token(), connection.is_token_unclear())
    };
    assert_eq!(with(0, TOKEN), (true, false));
    assert_eq!(with(2, TOKEN), (true, true));
    assert_eq!(with(2, &[]), (false, false));
}

#[test]
fn a_server_that_a_retry_named_is_known_by_its_answer() {
    let packet = server(RETRY, CLIENT, SERVER).initial(0, &crypto(0, &answer(None)), 200);
    let mut scratch = Scratch::default();
    let cid = |id| Cid::new(id).expect("short");
    assert!(QuicConnection::open_answer(cid(ORIGINAL), &long(&packet), at(1), &mut scratch).is_none());
    let mut connection =
        QuicConnection::open_answer(cid(RETRY), &long(&packet), at(1), &mut scratch).expect("authentic");
    assert!(connection.is_known_by_answer() && connection.is_answered() && connection.is_retried());
    assert_eq!(words(&mut connection), [(Speaker::Server, "message")]);
}

#[test]
fn a_stream_that_begins_with_no_hello_is_of_no_tls() {
    let with = |frames: &[u8]| opened(&client(ORIGINAL, CLIENT).initial(0, frames, 1200)).is_no_hello();
    assert!(with(&crypto(0, &[2, 0, 0, 9])));
    assert!(!with(&crypto(0, &[1, 0, 0, 9])));
    // What stands first was not captured.
    assert!(!with(&crypto(1, &[2, 0, 0, 9])) && !with(&[1]));
    // One that began as a hello is one, whatever a later beginning holds.
    let mut connection = opened(&first(0));
    assert!(initial(
        &mut connection,
        client(RETRY, CLIENT),
        &crypto(0, &[2, 0, 0, 9])
    ));
    assert!(!connection.is_no_hello());
}

#[test]
fn what_is_held_is_counted() {
    let mut connection = opened(&first(0));
    let before = connection.memory();
    assert!(before >= size_of::<KeySet>());
    assert!(initial(
        &mut connection,
        client(ORIGINAL, CLIENT),
        &crypto(5000, &[7; 100])
    ));
    let with_piece = connection.memory();
    assert!(
        (before + 100..before + 200).contains(&with_piece),
        "{before} {with_piece}"
    );
    let mut secrets = Secrets::default();
    secrets.grow();
    let mut scratch = Scratch::default();
    connection.protected(
        (Speaker::Client, Space::Handshake),
        (&[7; 50], 9),
        at(3),
        &mut secrets,
        &mut scratch,
    );
    assert_eq!(connection.memory(), with_piece + 50);
    assert!(initial(&mut connection, client(RETRY, CLIENT), &[1]));
    assert!(connection.memory() >= 2 * size_of::<KeySet>() + 50);
}

/// A connection whose hellos were read while secrets may still come, and how many packets of each side stayed closed.
fn waiting(packets: usize, length: usize) -> (QuicConnection, Secrets) {
    let (mut connection, mut secrets, mut scratch) = (opened(&first(0)), Secrets::default(), Scratch::default());
    secrets.grow();
    for _ in 0..packets {
        let place = (Speaker::Server, Space::Application);
        connection.protected(place, (&vec![7; length], 9), at(3), &mut secrets, &mut scratch);
    }
    (connection, secrets)
}

#[test]
fn so_many_packets_wait_for_their_keys_and_so_many_bytes() {
    let state = |packets, length| {
        let connection = waiting(packets, length).0;
        (connection.waiting.len(), connection.waiting_bytes, connection.closed)
    };
    assert_eq!(state(MAX_WAITING, 10), (MAX_WAITING, 320, [0, 0]));
    assert_eq!(state(MAX_WAITING + 2, 10), (MAX_WAITING, 320, [0, 2]));
    assert_eq!(state(8, MAX_WAITING_BYTES / 8), (8, MAX_WAITING_BYTES, [0, 0]));
    assert_eq!(state(9, MAX_WAITING_BYTES / 8), (8, MAX_WAITING_BYTES, [0, 1]));
    let (mut connection, _) = waiting(3, 10);
    connection.finish();
    assert_eq!((connection.waiting_bytes, connection.closed), (0, [0, 3]));
    assert!(connection.waiting.is_empty());
}

#[test]
fn what_waits_goes_on_waiting_while_its_secret_may_come() {
    let (mut connection, mut secrets) = waiting(3, 10);
    let mut scratch = Scratch::default();
    connection.client_hello(&[], [1; 32], &mut secrets);
    connection.server_hello(CipherSuite(0x1301), &mut secrets, &mut scratch);
    assert_eq!(
        (connection.waiting.len(), connection.waiting_bytes, connection.closed),
        (3, 30, [0, 0])
    );
    // A log that is complete has none: nothing is waited for.
    let mut complete = Secrets::default();
    connection.server_hello(CipherSuite(0x1301), &mut complete, &mut scratch);
    assert_eq!(
        (connection.waiting.len(), connection.waiting_bytes, connection.closed),
        (0, 0, [0, 3])
    );
    // The client sent nothing that would have stayed closed.
    assert!(!connection.is_read(Speaker::Server) && connection.is_read(Speaker::Client));
}

#[test]
fn without_secrets_nothing_waits() {
    let (mut connection, mut secrets, mut scratch) = (opened(&first(0)), Secrets::default(), Scratch::default());
    let place = (Speaker::Client, Space::Application);
    connection.protected(place, (&[7; 50], 9), at(3), &mut secrets, &mut scratch);
    connection.client_hello(&[], [1; 32], &mut secrets);
    assert!(connection.keys().is_none());
    assert_eq!((connection.waiting.len(), connection.closed), (0, [1, 0]));
    // Nor once the client began anew or the server answered: then the hello was whole, and no keys were looked for.
    secrets.grow();
    let mut anew = connection.clone();
    assert!(initial(&mut anew, client(RETRY, CLIENT), &[1]));
    assert!(initial(&mut connection, server(ORIGINAL, CLIENT, SERVER), &[1]));
    for mut connection in [anew, connection] {
        connection.protected(place, (&[7; 50], 9), at(3), &mut secrets, &mut scratch);
        assert_eq!((connection.waiting.len(), connection.closed), (0, [2, 0]));
    }
}

#[test]
fn the_reset_token_stands_among_the_transport_parameters() {
    let extension = |kind: u8, body: &[u8]| {
        let length = u8::try_from(body.len()).expect("short");
        [&[0, kind, 0, length][..], body].concat()
    };
    let message = |extensions: &[u8]| {
        let length = u8::try_from(extensions.len()).expect("short");
        [&[8, 0, 0, length + 2, 0, length][..], extensions].concat()
    };
    let parameters = [&[1, 2, 0x40, 0x64, 2, 16][..], &[5; 16], &[3, 1, 9]].concat();
    let alpn = extension(16, &[0, 3, 2, b'h', b'3']);
    let both = [alpn.clone(), extension(57, &parameters)].concat();
    assert_eq!(reset_token(&message(&both)), Some([5; 16]));
    assert_eq!(reset_token(&message(&alpn)), None);
    assert_eq!(reset_token(&message(&extension(57, &[1, 2, 0x40, 0x64]))), None);
    assert_eq!(
        reset_token(&message(&extension(57, &[2, 3, 5, 5, 5]))),
        None,
        "not of its length"
    );
    assert_eq!(reset_token(&message(&extension(57, &parameters[..10]))), None);
}
