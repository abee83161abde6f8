//! How connections begin when nothing is as usual: a hello in the SYN, no SYN at all, hours of clear text, two clocks, the same
//! packets twice.

use super::{MB, alone, count, peak, wire};
use crate::common::forge::{
    ACK, RST, SYN, Segment, Wire, client_hello, client_side, extensions, full_answer, records, resumed_answer,
    server_hello,
};
use crate::common::{items, report_of};
use reshake_core::engine::Engine;
use reshake_core::net::Notice;
use serde_json::Value;

const SECOND: i64 = 1_000_000_000;

fn hello(random: u32) -> Vec<u8> {
    client_hello(random, &[], &[0xc02f], &extensions(&[(35, &[])]))
}

/// Outcomes of all connections, and how many are without TLS.
fn outcomes(engine: Engine) -> (Vec<String>, u64) {
    let report = report_of((engine, Vec::new()));
    let told = items(&report, "connections").iter();
    let others = report["summary"]["other_connections"].as_u64();
    let outcome = |connection: &Value| connection["outcome"].as_str().unwrap_or_default().to_owned();
    (told.map(outcome).collect(), others.expect("a number"))
}

fn send(wire: &mut Wire, to_server: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) {
    wire.send(&Segment {
        number: 1,
        to_server,
        flags,
        seq,
        ack,
        payload,
    });
}

/// A client's and a server's side from the first byte behind the hello on, and their ends.
fn rest(wire: &mut Wire, hello: &[u8], random: u32) {
    let stream = client_side(hello, true);
    let said = records(22, hello).len();
    let client_end = wire.stream(
        1,
        true,
        1000 + u32::try_from(said).expect("short"),
        &stream[said..],
        1400,
    );
    let server_end = wire.stream(1, false, 2000, &full_answer(random, &[]), 1400);
    wire.close(1, client_end, server_end);
}

#[test]
fn a_capture_that_begins_inside_the_client_hello_shows_the_rest_of_the_connection() {
    let _alone = alone();
    let hello = hello(7);
    let stream = client_side(&hello, false);
    // The rest of the hello stands in a segment of its own, and nothing tells where the stream begins until all is read.
    let seen = records(22, &hello).len() / 2;
    let mut wire = wire();
    send(
        &mut wire,
        true,
        ACK,
        1000 + u32::try_from(seen).expect("short"),
        2000,
        &stream[seen..records(22, &hello).len()],
    );
    let server_end = wire.stream(1, false, 2000, &resumed_answer(8), 1400);
    let said = records(22, &hello).len();
    let from = 1000 + u32::try_from(said).expect("short");
    let client_end = wire.stream(1, true, from, &stream[said..], 1400);
    wire.close(1, client_end, server_end);
    let (told, others) = outcomes(wire.finish());
    assert_eq!((told, others), (vec!["resumed".to_owned()], 0));
}

#[test]
fn a_hello_in_the_syn_is_read_whatever_becomes_of_it() {
    let _alone = alone();
    let hello = hello(7);
    let record = records(22, &hello);
    let acknowledged = 1000 + u32::try_from(record.len()).expect("short");
    // What the SYN-ACK acknowledges, whether a SYN without data comes before it, and whether the hello is sent again.
    for (ack, plain, again) in [(acknowledged, false, false), (1000, false, true), (1000, true, true)] {
        let mut wire = wire();
        send(&mut wire, true, SYN, 999, 0, &record);
        if plain {
            wire.now += SECOND;
            send(&mut wire, true, SYN, 999, 0, b"");
        }
        send(&mut wire, false, SYN | ACK, 1999, ack, b"");
        send(&mut wire, true, ACK, ack, 2000, b"");
        if again {
            send(&mut wire, true, ACK, 1000, 2000, &record);
        }
        rest(&mut wire, &hello, 8);
        assert_eq!(
            outcomes(wire.finish()),
            (vec!["not-offered".to_owned()], 0),
            "{ack} {plain}"
        );
    }
}

#[test]
fn a_syn_resent_with_another_number_and_the_same_hello_is_one_connection() {
    let _alone = alone();
    let hello = hello(7);
    let mut wire = wire();
    send(&mut wire, true, SYN, 77_000_000, 0, &records(22, &hello));
    wire.now += SECOND;
    wire.exchange(1, &client_side(&hello, true), &full_answer(8, &[]));
    let engine = wire.finish();
    assert_eq!(count(&engine, Notice::ConnectionRepeated), 1);
    assert_eq!(outcomes(engine), (vec!["not-offered".to_owned()], 0));
}

#[test]
fn both_sides_may_open_at_once() {
    let _alone = alone();
    let mut wire = wire();
    for (to_server, flags, seq, ack) in [
        (true, SYN, 999, 0),
        (false, SYN, 1999, 0),
        (true, SYN | ACK, 999, 2000),
        (false, SYN | ACK, 1999, 1000),
    ] {
        send(&mut wire, to_server, flags, seq, ack, b"");
    }
    let client_end = wire.stream(1, true, 1000, &client_side(&hello(7), true), 1400);
    let server_end = wire.stream(1, false, 2000, &full_answer(8, &[]), 1400);
    wire.close(1, client_end, server_end);
    assert_eq!(outcomes(wire.finish()), (vec!["not-offered".to_owned()], 0));
}

#[test]
fn a_hello_may_fill_many_segments_and_more_than_one_record() {
    let _alone = alone();
    for (length, size) in [(1_500, 40), (20_000, 1_400)] {
        let padding = vec![0; length];
        let hello = client_hello(7, &[], &[0xc02f], &extensions(&[(21, &padding), (35, &[])]));
        let mut wire = wire();
        wire.connect(1);
        let client_end = wire.stream(1, true, 1000, &client_side(&hello, true), size);
        let server_end = wire.stream(1, false, 2000, &full_answer(8, &[]), 1400);
        wire.close(1, client_end, server_end);
        assert_eq!(outcomes(wire.finish()), (vec!["not-offered".to_owned()], 0), "{length}");
    }
}

#[test]
fn what_was_seen_of_one_side_alone_may_be_tls() {
    let _alone = alone();
    let lone = records(22, &hello(7));
    let answer = records(22, &server_hello(8, &[], 0xc02f, &[]));
    let flight = full_answer(8, &[]);
    let followed = [lone.as_slice(), b"and then the rest of a file"].concat();
    let cut = &lone[..lone.len() - 1];
    for (to_server, bytes, is_tls) in [
        (true, lone.as_slice(), true),
        (false, &answer, true),
        (false, &flight, true),
        // Content that begins like a hello.
        (true, &followed, false),
        (true, cut, false),
        (true, &[b"GET /", lone.as_slice()].concat(), false),
    ] {
        let mut wire = wire();
        wire.stream(1, to_server, 1000, bytes, 1400);
        let expected = if is_tls {
            (vec!["unclear".to_owned()], 0)
        } else {
            (vec![], 1)
        };
        assert_eq!(outcomes(wire.finish()), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_server_that_answers_a_hello_with_anything_but_tls_has_failed_the_handshake() {
    let _alone = alone();
    let end = |before: &[&[u8]; 3], answer: &[u8], closes: bool| {
        let mut wire = wire();
        wire.connect(1);
        let [greeting, asks, goes_on] = *before;
        let mut ends = [1000, 2000];
        for (to_server, said) in [
            (false, greeting),
            (true, asks),
            (false, goes_on),
            (true, &records(22, &hello(7))),
            (false, answer),
        ] {
            let end = &mut ends[usize::from(!to_server)];
            *end = wire.stream(1, to_server, *end, said, 1400);
        }
        if closes {
            wire.close(1, ends[0], ends[1]);
        }
        outcomes(wire.finish())
    };
    let (nothing, mail) = (
        [&b""[..]; 3],
        [&b"220 mail\r\n"[..], b"EHLO a\r\nSTARTTLS\r\n", b"220 go\r\n"],
    );
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    // The version of an experiment: that server may have gone on with the handshake.
    let experiment = [22, 3, 3, 0, 44, 2, 0, 0, 40, 0x7e, 2];
    for (before, answer, closes, told) in [
        (nothing, &http[..], true, "failed"),
        (mail, b"454 no\r\n", true, "failed"),
        (mail, b"", true, "failed"),
        (nothing, http, false, "unclear"),
        (mail, b"", false, "unclear"),
        (mail, &experiment, true, "unclear"),
    ] {
        let expected = (vec![told.to_owned()], 0);
        assert_eq!(end(&before, answer, closes), expected, "{}", answer.escape_ascii());
    }
}

#[test]
fn what_stood_before_a_hello_that_nobody_answered_is_named_by_both_sides() {
    let _alone = alone();
    let mut wire = wire();
    wire.connect(1);
    let greeting = wire.stream(1, false, 2000, b"* OK ready\r\n", 1400);
    let asked = wire.stream(1, true, 1000, b"a STARTTLS\r\n", 1400);
    let server_end = wire.stream(1, false, greeting, b"a OK\r\n", 1400);
    let client_end = wire.stream(1, true, asked, &records(22, &hello(7)), 1400);
    wire.close(1, client_end, server_end);
    let report = report_of((wire.finish(), Vec::new()));
    let kinds: Vec<&Value> = items(&report, "connections")
        .iter()
        .map(|it| &it["preamble"]["kind"])
        .collect();
    assert_eq!(kinds, ["imap-starttls"]);
}

/// A session of FTP kept open by NOOP for so many lines, and then TLS where it is asked for.
fn long_session(lines: usize, last: &[u8]) -> Wire {
    let mut wire = wire();
    wire.connect(1);
    let mut ends = [1000, 2000];
    for line in std::iter::repeat_n(&b"NOOP\r\n"[..], lines).chain([last]) {
        ends[0] = wire.stream(1, true, ends[0], line, 1400);
        ends[1] = wire.stream(1, false, ends[1], b"200 ok\r\n", 1400);
    }
    ends[0] = wire.stream(1, true, ends[0], &client_side(&hello(7), true), 1400);
    ends[1] = wire.stream(1, false, ends[1], &full_answer(8, &[]), 1400);
    wire.close(1, ends[0], ends[1]);
    wire
}

#[test]
fn tls_is_found_behind_clear_text_of_any_length() {
    let _alone = alone();
    for lines in [0, 1_000, 2_000, 50_000] {
        let report = report_of((long_session(lines, b"AUTH TLS\r\n").finish(), Vec::new()));
        let [connection] = items(&report, "connections") else {
            panic!("not one connection of {lines} lines")
        };
        assert_eq!(connection["outcome"], "not-offered", "{lines}");
        assert_eq!(connection["preamble"]["kind"], "ftp-auth-tls", "{lines}");
    }
}

#[test]
fn a_change_cipher_spec_behind_a_lost_first_hello_is_no_clear_text() {
    let _alone = alone();
    let second = [records(20, &[1]), records(22, &hello(7))].concat();
    for (first_lost, hidden) in [(false, Value::Null), (true, "gap".into())] {
        let mut wire = wire();
        wire.connect(1);
        let first = records(22, &hello(7));
        let length = u32::try_from(first.len()).expect("short");
        if !first_lost {
            wire.stream(1, true, 1000, &first, 1400);
        }
        let client_end = wire.stream(1, true, 1000 + length, &second, 1400);
        let server_end = wire.stream(1, false, 2000, &full_answer(8, &[]), 1400);
        wire.close(1, client_end, server_end);
        let report = report_of((wire.finish(), Vec::new()));
        let [connection] = items(&report, "connections") else {
            panic!("not one connection")
        };
        assert_eq!(connection["preamble"], Value::Null);
        assert_eq!(connection["not_visible"]["preamble"], hidden);
    }
}

#[test]
fn clear_text_without_end_holds_nothing_back() {
    let _alone = alone();
    let ((), held) = peak(|| {
        let mut wire = wire();
        wire.connect(1);
        let (mut client, mut server) = (1000, 2000);
        for _ in 0..20_000 {
            client = wire.stream(1, true, client, &[b'x'; 1400], 1400);
            server = wire.stream(1, false, server, b"CONNECT STARTTLS\r\n", 1400);
        }
        assert!(wire.engine.buffered() < 1 << 10, "{}", wire.engine.buffered());
    });
    assert!(held < MB, "{held}");
}

#[test]
fn a_hello_inside_long_content_is_content() {
    let _alone = alone();
    let mut wire = wire();
    wire.connect(1);
    let mut client = wire.stream(1, true, 1000, &b"DATA DATA\r\n".repeat(1_000), 1400);
    for _ in 0..3 {
        client = wire.stream(1, true, client, &records(22, &hello(7)), 1400);
        client = wire.stream(1, true, client, b"more of it\r\n", 1400);
    }
    wire.stream(1, false, 2000, b"250 ok\r\n", 1400);
    assert_eq!(outcomes(wire.finish()), (vec![], 1));
}

/// One connection, or the same packets again after so long, between these hosts.
fn again_after(pause: i64, number: u32, server: u8, random: u32) -> Engine {
    let mut wire = wire();
    let began = wire.now;
    wire.exchange(1, &client_side(&hello(7), true), &full_answer(8, &[]));
    (wire.now, wire.server) = (began + pause, server);
    wire.exchange(number, &client_side(&hello(7), true), &full_answer(random, &[]));
    wire.finish()
}

#[test]
fn the_same_randoms_are_one_handshake_where_nothing_speaks_against_it() {
    let _alone = alone();
    // Pause, client, server, the server's random: how many connections, copies and legs.
    for (pause, number, server, random, expected) in [
        (0, 1, 1, 8, (1, 0, 0)),
        (60 * SECOND, 1, 1, 8, (1, 1, 0)),
        (-60 * SECOND, 1, 1, 8, (1, 0, 0)),
        (3600 * SECOND, 1, 1, 8, (1, 1, 0)),
        (60 * SECOND, 1, 1, 9, (2, 0, 0)),
        (1_000_000, 2, 2, 8, (1, 0, 1)),
        (1_000_000, 2, 2, 9, (2, 0, 0)),
        (3600 * SECOND, 2, 2, 8, (2, 0, 0)),
    ] {
        let engine = again_after(pause, number, server, random);
        let told = (
            engine.connection_store().len(),
            count(&engine, Notice::ConnectionRepeated),
            count(&engine, Notice::LegJoined),
        );
        assert_eq!(told, expected, "{pause} {number} {server} {random}");
    }
}

/// A capture on a balancer is appended to itself, with other times.
#[test]
fn a_copy_of_both_legs_is_one_copy() {
    let _alone = alone();
    let mut wire = wire();
    let began = wire.now;
    for (pause, number, server) in [
        (0, 1, 1),
        (1_000_000, 2, 2),
        (3600 * SECOND, 1, 1),
        (3600 * SECOND + 1_000_000, 2, 2),
    ] {
        (wire.now, wire.server) = (began + pause, server);
        wire.exchange(number, &client_side(&hello(7), true), &full_answer(8, &[]));
    }
    let engine = wire.finish();
    let counts = [Notice::ConnectionRepeated, Notice::LegJoined].map(|notice| count(&engine, notice));
    assert_eq!((engine.connection_store().len(), counts), (1, [1, 2]));
}

/// A firewall that rewrites sequence numbers, and a tap behind it that shows one direction.
#[test]
fn a_second_leg_of_which_one_side_shows_is_none_of_its_own() {
    let _alone = alone();
    for (number, server) in [(1, 1), (2, 2)] {
        let mut wire = wire();
        wire.connect(1);
        let client = client_side(&hello(7), true);
        let leg = |wire: &mut Wire, flags, seq, payload: &[u8]| {
            (wire.server, wire.now) = (server, wire.now + 100_000);
            wire.send(&Segment {
                number,
                to_server: true,
                flags,
                seq,
                ack: 0,
                payload,
            });
            wire.server = 1;
        };
        leg(&mut wire, SYN, 5_000_000, b"");
        let client_end = wire.stream(1, true, 1000, &client, 1400);
        leg(&mut wire, 0, 5_000_001, &client);
        let server_end = wire.stream(1, false, 2000, &full_answer(8, &[]), 1400);
        wire.close(1, client_end, server_end);
        assert_eq!(outcomes(wire.finish()), (vec!["not-offered".to_owned()], 0), "{number}");
    }
}

/// Each side by its own tap: the server's clock is early, and both are merged by time.
#[test]
fn two_clocks_make_no_second_connection_and_are_told() {
    let _alone = alone();
    let mut tape = wire();
    tape.tape = Some(Vec::new());
    let hello = client_side(&hello(7), true);
    for (to_server, flags, seq, ack, payload) in [
        (true, SYN, 999, 0, &b""[..]),
        (false, SYN | ACK, 1999, 1000, b""),
        (true, ACK, 1000, 2000, b""),
        (true, ACK, 1000, 2000, &hello),
        (
            false,
            ACK,
            2000,
            1000 + u32::try_from(hello.len()).expect("short"),
            &full_answer(8, &[]),
        ),
        (
            false,
            RST,
            2000 + u32::try_from(full_answer(8, &[]).len()).expect("short"),
            0,
            b"",
        ),
    ] {
        tape.now += 100_000;
        send(&mut tape, to_server, flags, seq, ack, payload);
    }
    let packets = tape.tape.take().expect("a tape");
    for ahead in [-5 * SECOND, -1_000_000, 0, 1_000_000, 5 * SECOND] {
        let from_server = |data: &[u8]| data.get(12) == Some(&192);
        let mut skewed: Vec<(i64, &[u8])> = packets
            .iter()
            .map(|(time, data)| (time + if from_server(data) { ahead } else { 0 }, data.as_slice()))
            .collect();
        skewed.sort_by_key(|(time, _)| *time);
        let mut wire = wire();
        for ((time, data), frame) in skewed.into_iter().zip(1..) {
            crate::common::forge::push(&mut wire.engine, frame, time, data);
        }
        let engine = wire.finish();
        assert_eq!(count(&engine, Notice::ClocksDiffer), u64::from(ahead != 0), "{ahead}");
        assert_eq!(outcomes(engine), (vec!["not-offered".to_owned()], 0), "{ahead}");
    }
}
