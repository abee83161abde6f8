//! Attacks on one stream: segments that overlap, that are tiny, that leave gaps, that come from the past.

use super::{MB, alone, count, peak, wire};
use crate::common::facts::{differences, frameless};
use crate::common::forge::{
    ACK, Segment, client_hello, client_side, extensions, finished, full_answer, records, resumed_answer, server_name,
};
use crate::common::packets::{self, RawPacket};
use crate::common::{items, report_of, text};
use reshake_core::engine::Engine;
use reshake_core::net::Notice;
use serde_json::Value;

/// A hello whose random follows from the name: hellos that are equal are legs of one handshake.
fn hello_to(name: &[u8]) -> Vec<u8> {
    let random = name
        .iter()
        .fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    client_hello(
        random,
        &[],
        &[0xc02f],
        &extensions(&[(0, &server_name(name)), (35, &[])]),
    )
}

fn report(engine: Engine) -> Value {
    report_of((engine, Vec::new()))
}

fn names(report: &Value) -> Vec<&str> {
    let connections = items(report, "connections").iter();
    connections
        .filter_map(|connection| text(connection, "server_name"))
        .collect()
}

/// Two copies of the hello with other names: one host takes the first copy, another the second. The first is told, and
/// that there was another.
#[test]
fn copies_of_a_hello_that_differ_are_named() {
    let _alone = alone();
    let stream = client_side(&hello_to(b"first.example"), true);
    let other = client_side(&hello_to(b"other.example"), true);
    for late in [false, true] {
        let mut wire = wire();
        wire.connect(1);
        let half = 40;
        // Behind a hole the copies wait, and only there do they meet.
        let second_half = |stream: &[u8], wire: &mut crate::common::forge::Wire| {
            wire.stream(1, true, 1000 + 40, &stream[half..], 1400);
            // Within ten milliseconds it would be the same packet, captured twice.
            wire.now += 20_000_000;
        };
        if late {
            second_half(&other, &mut wire);
            second_half(&stream, &mut wire);
        } else {
            second_half(&stream, &mut wire);
            second_half(&other, &mut wire);
        }
        wire.stream(1, true, 1000, &stream[..half], 1400);
        wire.stream(1, false, 2000, &full_answer(2, &[]), 1400);
        let engine = wire.finish();
        assert!(count(&engine, Notice::OverlapConflict) > 0, "late {late}");
        let expected = if late { "other.example" } else { "first.example" };
        assert_eq!(names(&report(engine)), [expected]);
    }
}

/// A retransmission of delivered bytes with other content changes nothing.
#[test]
fn what_was_delivered_is_not_replaced() {
    let _alone = alone();
    let (first, other) = (hello_to(b"first.example"), hello_to(b"other.example"));
    let mut wire = wire();
    wire.connect(1);
    wire.stream(1, true, 1000, &client_side(&first, true), 1400);
    for shift in 0..60 {
        wire.stream(1, true, 1000 - 30 + shift, &client_side(&other, true), 50);
    }
    wire.stream(1, false, 2000, &full_answer(2, &[]), 1400);
    let report = report(wire.finish());
    assert_eq!(names(&report), ["first.example"]);
    assert_eq!(report["connections"][0]["outcome"], "not-offered");
}

/// Every byte in a segment of its own, last byte first: what waits is bounded, and nothing is made up of the rest.
#[test]
fn bytes_one_by_one_and_backwards_cost_little() {
    let _alone = alone();
    let ((engine, waited), peak) = peak(|| {
        let mut wire = wire();
        for number in 0..200 {
            let hello = client_hello(
                number,
                &[],
                &[0xc02f],
                &extensions(&[(0, &server_name(b"tiny.example"))]),
            );
            let hello = client_side(&hello, true);
            wire.connect(number);
            for (place, byte) in (1000..).zip(&hello).collect::<Vec<_>>().into_iter().rev() {
                wire.stream(number, true, place, std::slice::from_ref(byte), 1);
            }
            wire.stream(number, false, 2000, &full_answer(number, &[]), 1);
        }
        let waited = wire.engine.buffered();
        (wire.finish(), waited)
    });
    assert!(peak < 8 * MB, "{peak} bytes at the peak");
    assert!(waited < MB, "{waited} bytes waited at the end");
    assert_eq!(engine.connection_store().len(), 200);
    assert!(names(&report(engine)).iter().all(|name| *name == "tiny.example"));
}

/// Real traffic in segments of one byte states what it states in those of its senders.
#[test]
fn a_capture_in_segments_of_one_byte_states_the_same() {
    let _alone = alone();
    for name in [
        "captures/tls13-hello-retry",
        "captures/port-reused",
        "captures/smtp-starttls",
    ] {
        let fixture = crate::common::fixture(name);
        let all = packets::read(fixture.path());
        let before = frameless(&crate::common::report_of_bytes(vec![packets::write(&all)]));
        let tiny: Vec<RawPacket> = all.iter().flat_map(byte_by_byte).collect();
        assert!(tiny.len() > 10 * all.len(), "{name}: only {} segments", tiny.len());
        let after = frameless(&crate::common::report_of_bytes(vec![packets::write(&tiny)]));
        let except = ["bytes", "cost", "avoidable", "time", "timeline"];
        crate::common::assert_none(name, &differences(&before, &after, &except));
    }
}

fn byte_by_byte(packet: &RawPacket) -> Vec<RawPacket> {
    let mut rest = packet.clone();
    let mut out = Vec::new();
    loop {
        let parsed = packets::parse(std::slice::from_ref(&rest)).pop().flatten();
        match parsed.and_then(|parsed| packets::split(&rest, &parsed, 1)) {
            Some([first, more]) => {
                out.push(first);
                rest = more;
            }
            None => break,
        }
    }
    out.push(rest);
    out
}

/// Sequence numbers that jump by nearly half their space, again and again: gaps of gigabytes are numbers, not memory.
#[test]
fn gaps_of_gigabytes_take_no_memory() {
    let _alone = alone();
    let (engine, peak) = peak(|| {
        let mut wire = wire();
        wire.exchange(1, &client_side(&hello_to(b"a.example"), true), &full_answer(2, &[]));
        wire.connect(2);
        let mut seq = wire.stream(2, true, 1000, &client_side(&hello_to(b"gap.example"), true), 1400);
        wire.stream(2, false, 2000, &full_answer(2, &[]), 1400);
        for _ in 0..200 {
            seq = seq.wrapping_add((1 << 31) - 5_000);
            wire.send(&Segment {
                number: 2,
                to_server: true,
                flags: ACK,
                seq,
                ack: 2000,
                payload: &records(23, &[5; 1000]),
            });
            wire.send(&Segment {
                number: 2,
                to_server: false,
                flags: ACK,
                seq: 2000,
                ack: seq.wrapping_add(1005),
                payload: &[],
            });
        }
        wire.finish()
    });
    assert!(peak < 4 * MB, "{peak} bytes at the peak");
    assert!(count(&engine, Notice::StreamGap) > 0);
    let report = report(engine);
    assert_eq!(names(&report), ["a.example", "gap.example"]);
    for connection in items(&report, "connections") {
        assert_eq!(connection["outcome"], "not-offered");
    }
}

/// Clocks that run backwards, jump and stand at the ends of time: the facts of each connection stay, and nothing overflows.
#[test]
fn time_that_runs_backwards_changes_no_outcome() {
    let _alone = alone();
    let ticket = vec![7; 180];
    let offer = client_hello(2, &[], &[0xc02f], &extensions(&[(35, &ticket)]));
    let clocks: [fn(i64) -> i64; 6] = [
        |n| n * 1_000_000,
        |n| 1_700_000_000_000_000_000 - n * 3_600_000_000_000,
        |n| if n % 2 == 0 { i64::MIN } else { i64::MAX },
        |n| i64::MAX - n,
        |n| i64::MIN + n,
        |n| (n % 3) * 1_700_000_000_000_000_000,
    ];
    for (which, clock) in clocks.into_iter().enumerate() {
        let mut wire = wire();
        let mut steps = 0;
        let mut tick = |wire: &mut crate::common::forge::Wire| {
            wire.now = clock(steps);
            steps += 1;
        };
        for (number, hello, answer, full) in [
            (
                1,
                hello_to(b"back.example"),
                full_answer(1, std::slice::from_ref(&ticket)),
                true,
            ),
            (2, offer.clone(), resumed_answer(2), false),
        ] {
            wire.connect(number);
            tick(&mut wire);
            let mut seq = 1000;
            for piece in [
                records(22, &hello),
                client_side(&hello, full)[records(22, &hello).len()..].to_vec(),
            ] {
                seq = wire.stream(number, true, seq, &piece, 1400);
                tick(&mut wire);
                if seq < 1000 + 300 {
                    wire.stream(number, false, 2000, &answer, 100);
                    tick(&mut wire);
                }
            }
            wire.stream(number, false, 2000, &[answer.clone(), finished()].concat(), 1400);
            tick(&mut wire);
        }
        let report = report(wire.finish());
        assert_eq!(items(&report, "connections").len(), 2, "clock {which}");
        for connection in items(&report, "connections") {
            let right = if text(connection, "server_name").is_some() {
                "not-offered"
            } else {
                "resumed"
            };
            let outcome = text(connection, "outcome").expect("an outcome");
            assert!(
                [right, "unclear"].contains(&outcome),
                "clock {which}: {outcome} is not {right}"
            );
        }
    }
}
