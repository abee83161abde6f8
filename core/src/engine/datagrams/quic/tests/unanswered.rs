//! Connections whose server is not in the capture: what the client goes on with shows what it was answered, and else nothing
//! does.

use super::*;

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
