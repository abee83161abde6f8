//! Connections whose server is not in the capture: what the client goes on with shows what it was answered, and else nothing
//! does.

use super::*;
use crate::tls::hello::HELLO_RETRY_REQUEST;
use crate::tls::hello::tests::{client_hello, server_hello};

/// The client's packets behind an answer that was not captured, in this version.
fn goes_on(version: u32) -> Way<'static> {
    Way {
        version,
        keyed_by: &FIRST,
        ..client(&SERVER, &CLIENT)
    }
}

/// What the client's datagrams behind its first flight show.
fn shown(datagrams: &[Vec<u8>]) -> (QuicFacts, u64) {
    let mut wire = Wire::new();
    wire.send(5000, 443, &first_flight(false));
    for datagram in datagrams {
        wire.send(5000, 443, datagram);
    }
    let connection = one(wire.finish());
    (quic(&connection).clone(), wire.count(Notice::QuicInitialNotAuthentic))
}

#[test]
fn a_first_flight_alone_does_not_show_in_which_version_the_server_took_it() {
    assert!(shown(&[]).0.unsettled);
    assert!(shown(&[first_flight(false)]).0.unsettled, "it says the same again");
    let answered = |reply: &[u8]| {
        let mut wire = Wire::new();
        wire.send(5000, 443, &first_flight(false)).send(443, 5000, reply);
        quic(&one(wire.finish())).unsettled
    };
    assert!(!answered(&reply(None)));
    // What of the server cannot be read may be of another beginning.
    assert!(answered(&server(&[3; 8], &CLIENT, &SERVER).initial(0, &[1], 1200)));
}

#[test]
fn a_client_that_goes_on_shows_that_the_server_took_what_it_began_with() {
    for (datagram, unclear) in [
        (goes_on(QUIC_V1).initial(1, &[1], 0), false),
        // Of Handshake packets alone it cannot be told whether a Retry made the client begin anew before.
        (goes_on(QUIC_V1).closed(2, 60), true),
    ] {
        let (facts, not_authentic) = shown(&[datagram]);
        assert!(!facts.unsettled && !facts.version_changed_unseen);
        assert_eq!(facts.token_or_retry, unclear);
        assert_eq!((facts.version, not_authentic), (QUIC_V1, 0));
    }
}

#[test]
fn a_client_that_goes_on_in_another_version_shows_that_its_server_did() {
    // RFC 9368 §2.3: the keys come from the ID that the client began with.
    let (facts, not_authentic) = shown(&[goes_on(QUIC_V2).initial(1, &[1], 0)]);
    assert!(!facts.unsettled && !facts.version_changed_unseen && !facts.version_negotiation);
    assert_eq!((facts.version, not_authentic), (QUIC_V2, 0));
    // aioquic goes on with the keys of version 1.
    let kept = Way {
        keys_of: Some(QUIC_V1),
        ..goes_on(QUIC_V2)
    };
    let (facts, not_authentic) = shown(&[kept.initial(1, &[1], 0)]);
    assert!(!facts.unsettled && !facts.version_changed_unseen && !facts.version_negotiation);
    assert_eq!((facts.version, not_authentic), (QUIC_V2, 0));
    // Of Handshake packets alone it cannot be told whether the client began anew before.
    let (facts, _) = shown(&[goes_on(QUIC_V2).closed(2, 60)]);
    assert!(!facts.unsettled && facts.version_changed_unseen && !facts.version_negotiation);
    assert_eq!(facts.version, QUIC_V2);
}

#[test]
fn what_a_client_says_under_other_keys_or_another_name_is_not_what_it_goes_on_with() {
    let other_keys = Way {
        keyed_by: &[3; 8],
        ..goes_on(QUIC_V1)
    };
    let (facts, not_authentic) = shown(&[other_keys.initial(1, &[1], 1200)]);
    assert_eq!((facts.unsettled, not_authentic), (true, 1));
    let other_name = Way {
        source: &[7; 4],
        ..goes_on(QUIC_V2)
    };
    assert!(shown(&[other_name.closed(2, 60)]).0.unsettled);
}

/// A hello whose client speaks these versions, and likes the first best (RFC 9368 §3).
fn hello_of(versions: &[u32]) -> Vec<u8> {
    let chosen_and_available = [&[QUIC_V1], versions].concat();
    let value: Vec<u8> = chosen_and_available
        .iter()
        .flat_map(|version| version.to_be_bytes())
        .collect();
    let length = u8::try_from(value.len()).expect("short");
    let information = [&[0x11, length], value.as_slice()].concat();
    client_hello(&[], &[(43, vec![2, 3, 4]), (57, information)])
}

#[test]
fn the_version_is_open_until_the_server_said_its_hello_in_one() {
    let open = |versions: &[u32], answer: &[u8]| {
        let mut wire = Wire::new();
        let begin = client(&FIRST, &CLIENT).initial(0, &crypto(0, &hello_of(versions)), 1200);
        wire.send(5000, 443, &begin).send(443, 5000, answer);
        let facts = quic(&one(wire.finish())).clone();
        assert!(!facts.unsettled);
        facts.version_open
    };
    let way = server(&FIRST, &CLIENT, &SERVER);
    let acknowledged = way.initial(0, &[1], 1200);
    assert!(open(&[QUIC_V1, QUIC_V2], &acknowledged));
    // aioquic asks for another hello in the version of the first, and says its own in the one that it likes better.
    let mut asks = server_hello(0x0303, &[], 0x1301, &[(43, vec![3, 4])]);
    asks[6..38].copy_from_slice(&HELLO_RETRY_REQUEST);
    let mut retry = way.initial(0, &crypto(0, &asks), 1200);
    assert!(open(&[QUIC_V1, QUIC_V2], &retry));
    // Handshake packets are of the version that was decided on.
    retry.extend(way.closed(2, 60));
    assert!(!open(&[QUIC_V1, QUIC_V2], &retry));
    assert!(!open(&[QUIC_V1, QUIC_V2], &reply(None)));
    let changed = Way {
        version: QUIC_V2,
        ..way
    };
    assert!(!open(&[QUIC_V1, QUIC_V2], &changed.initial(0, &[1], 1200)));
    // A client that speaks no other version is answered in its own; nobody speaks those that are reserved.
    for versions in [&[][..], &[QUIC_V1], &[0x1a2a_3a4a, QUIC_V1]] {
        assert!(!open(versions, &acknowledged));
    }
}

#[test]
fn a_client_whose_first_packet_was_not_captured_may_have_been_refused_before() {
    let unclear = |number: u8, versions: &[u32]| {
        let mut wire = Wire::new();
        wire.send(
            5000,
            443,
            &client(&FIRST, &CLIENT).initial(number, &crypto(0, &hello_of(versions)), 1200),
        )
        .send(443, 5000, &reply(None));
        quic(&one(wire.finish())).negotiation_unclear
    };
    assert!(!unclear(0, &[]) && !unclear(0, &[QUIC_V1, QUIC_V2]));
    // Many begin with the version that most servers know.
    assert!(!unclear(0, &[QUIC_V2, QUIC_V1]));
    // Chromium's numbers begin with 1.
    assert!(!unclear(1, &[]) && unclear(2, &[]));
}

#[test]
fn a_server_that_closes_behind_what_is_missing_may_have_answered() {
    let way = server(&FIRST, &CLIENT, &SERVER);
    let hidden = |number: u8| {
        let mut wire = Wire::new();
        wire.send(5000, 443, &first_flight(false))
            .send(443, 5000, &way.initial(number, &[0x1c, 0x41, 0x78, 6, 0], 0));
        let connection = one(wire.finish());
        assert_eq!(connection.completed, Completed::No);
        connection.retry_hidden
    };
    assert_eq!((hidden(0), hidden(1)), (None, Some(Blindness::Gap)));
}
