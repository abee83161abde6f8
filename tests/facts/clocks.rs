//! Two taps with clocks of their own: by how much these differ is told.

use reshake_core::net::{Decoded, FrameDecoder};
use serde_json::Value;

use crate::common::packets::{self, RawPacket};
use crate::common::{assert_none, fixture, items, report_of_bytes, single_files, text};

#[test]
fn a_tap_that_is_ahead_or_behind_is_told_by_how_much() {
    let mut fixtures = single_files().into_iter();
    let fixture = fixtures
        .find(|fixture| fixture.name == "captures/tls12-suites")
        .expect("a fixture");
    let all = packets::read(fixture.path());
    let back = packets::sent_back(&all);
    for milliseconds in [-5_000_i32, -5, 0, 5, 250] {
        let mut moved: Vec<RawPacket> = all.clone();
        for (packet, back) in moved.iter_mut().zip(&back) {
            packet.time += i64::from(*back) * i64::from(milliseconds) * 1_000_000;
        }
        moved.sort_by_key(|packet| packet.time);
        let report = report_of_bytes(vec![packets::write(&moved)]);
        let connections = items(&report, "connections");
        assert!(!connections.is_empty());
        for connection in connections {
            let told = connection["server_clock_ahead_ms"].as_f64();
            assert_eq!(told.is_some(), milliseconds != 0, "{milliseconds}: {connection}");
            // The middle of the SYN exchange, which took less than a millisecond.
            let off = told.unwrap_or_default() - f64::from(milliseconds);
            assert!(off.abs() < 1.0, "{milliseconds} ms told as {told:?}");
            assert_eq!(
                connection["inferred"]["server_clock_ahead_ms"].is_string(),
                told.is_some()
            );
        }
    }
}

/// What rests on the order of the packets of both sides.
const ORDERED: [&str; 6] = [
    "/close/first_closer",
    "/cost/extra_round_trips",
    "/cost/handshake_bytes/client",
    "/cost/handshake_bytes/server",
    "/quic/retry",
    "/quic/zero_rtt_packets",
];

/// Which packets have the lower port as their source, as servers do.
fn from_servers(all: &[RawPacket]) -> Vec<bool> {
    let mut decoder = FrameDecoder::new();
    (1..)
        .zip(all)
        .map(|(frame, packet)| match decoder.decode(&packet.packet(frame)) {
            Decoded::Datagram(datagram) => datagram.source.port < datagram.destination.port,
            Decoded::Segment(segment) => segment.source.port < segment.destination.port,
            _ => false,
        })
        .collect()
}

/// What the clock of one tap changes in what is told of the connections of these packets: values that are there and others
/// than by one clock.
fn changed(all: &[RawPacket], milliseconds: i64) -> Vec<String> {
    let told = |report: &Value| -> Vec<(String, Value)> {
        let connections = items(report, "connections").iter();
        let name = |connection: &Value| format!("{}", connection["client"]);
        connections.map(|one| (name(one), one.clone())).collect()
    };
    let one_clock = told(&report_of_bytes(vec![packets::write(all)]));
    let mut moved = all.to_vec();
    for (packet, server) in moved.iter_mut().zip(from_servers(all)) {
        packet.time += i64::from(server) * milliseconds * 1_000_000;
    }
    moved.sort_by_key(|packet| packet.time);
    let two_clocks = told(&report_of_bytes(vec![packets::write(&moved)]));
    assert!(!one_clock.is_empty());
    let mut problems = Vec::new();
    for (client, before) in one_clock {
        let after = two_clocks.iter().find(|(name, _)| *name == client);
        let Some((_, after)) = after else {
            problems.push(format!("{client} is missing"));
            continue;
        };
        for member in ORDERED {
            let [before, after] = [&before, after].map(|connection| connection.pointer(member));
            if after.is_some_and(|after| !after.is_null()) && after != before {
                problems.push(format!("{client} {member}: {before:?} becomes {after:?}"));
            }
        }
        let [before, after] = [&before, after].map(|connection| text(connection, "outcome"));
        if after != before && after != Some("unclear") {
            problems.push(format!("{client} outcome: {before:?} becomes {after:?}"));
        }
    }
    problems
}

/// Datagrams do not say what their sender had received, so that nothing but the times of two taps puts both sides in order.
#[test]
fn what_two_clocks_hide_of_datagrams_is_not_told() {
    let names = [
        "dtls12",
        "dtls10",
        "dtls-gnutls",
        "quic",
        "quic-ngtcp2-retry",
        "quic-restart",
        "quic-retry",
        "quic-v2",
    ];
    for name in names {
        let all = packets::read(fixture(&format!("captures/{name}")).path());
        for milliseconds in [-200, 200, 50] {
            assert_none(
                &format!("{name}, {milliseconds} ms: not told by one clock"),
                &changed(&all, milliseconds),
            );
        }
    }
}

/// Without the SYN exchange the difference of the clocks is not known, and acknowledgements are of bytes that nobody counts.
#[test]
fn without_a_syn_two_clocks_show_no_false_start() {
    let mut all = packets::read(fixture("captures/tls12-suites").path());
    let begins = |parsed: &Option<packets::Parsed>| parsed.as_ref().is_some_and(|parsed| parsed.flags & 2 > 0);
    let mut opening = packets::parse(&all).iter().map(begins).collect::<Vec<_>>().into_iter();
    all.retain(|_| opening.next() == Some(false));
    for milliseconds in [-200, 200] {
        assert_none(
            &format!("{milliseconds} ms: not told by one clock"),
            &changed(&all, milliseconds),
        );
    }
}

/// What is told with confidence of the connections in these packets, by client: reasons, outcome and close.
fn told_surely(all: &[RawPacket]) -> Vec<(String, Vec<String>)> {
    let report = report_of_bytes(vec![packets::write(all)]);
    let connections = items(&report, "connections").iter().map(|connection| {
        let sure = |reason: &&Value| text(reason, "confidence") != Some("possible");
        let reasons = items(connection, "reasons").iter().filter(sure);
        let mut told: Vec<String> = reasons
            .filter_map(|reason| text(reason, "name"))
            .map(str::to_owned)
            .collect();
        told.extend(text(connection, "outcome").map(str::to_owned));
        told.extend(text(&connection["close"], "class").map(str::to_owned));
        (connection["client"].to_string(), told)
    });
    connections.collect()
}

/// A clock that is set back while a capture runs puts what follows in front of what came before. Then a session may be offered
/// before it is issued, a client has its first visit after its second, and a connection that was open at the end of the file
/// was silent for an hour.
#[test]
fn a_clock_that_was_set_back_makes_nothing_certain_that_was_not() {
    let names = [
        "restart-same-host",
        "stek-not-shared-tls13",
        "ids-and-tickets-in-vain",
        "keys-rolled-out-late",
        "resumption-switched-off",
        "tickets-before-finished",
        "open-at-end",
        "dtls-restarted",
    ];
    let mut problems = Vec::new();
    for name in names {
        let all = packets::read(fixture(&format!("captures/{name}")).path());
        let by_one_clock = told_surely(&all);
        for (part, seconds) in [(1, 3_600), (2, 3_600), (2, 1), (3, 60)] {
            let mut moved = all.clone();
            for packet in moved.iter_mut().skip(all.len() * part / 4) {
                packet.time -= seconds * 1_000_000_000;
            }
            for (client, told) in told_surely(&moved) {
                let before = by_one_clock.iter().find(|(name, _)| *name == client);
                let known = |one: &String| before.is_some_and(|(_, before)| before.contains(one));
                let neutral = ["rejected-unexplained", "capture-incomplete", "unclear"];
                let new = told
                    .iter()
                    .filter(|one| !known(one) && !neutral.contains(&one.as_str()));
                problems.extend(new.map(|one| format!("{name}, {part}/4, {seconds} s: {client} {one}")));
            }
        }
    }
    assert_none("told because a clock was set back", &problems);
}

/// By a server's clock that is ahead a session is issued after it was offered.
#[test]
fn what_a_server_issued_by_a_clock_that_is_ahead_was_issued_before_it_was_offered() {
    let all = packets::read(fixture("captures/restart-same-host").path());
    let issued = |report: &Value| -> Vec<(String, String)> {
        let credentials = items(report, "credentials").iter();
        credentials
            .map(|credential| (credential["id"].to_string(), credential["issued"]["time"].to_string()))
            .collect()
    };
    let by_one_clock = report_of_bytes(vec![packets::write(&all)]);
    let mut moved = all.clone();
    for (packet, server) in moved.iter_mut().zip(from_servers(&all)) {
        packet.time += i64::from(server) * 60_000_000_000;
    }
    moved.sort_by_key(|packet| packet.time);
    let by_two = report_of_bytes(vec![packets::write(&moved)]);
    let (before, after) = (issued(&by_one_clock), issued(&by_two));
    assert!(!before.is_empty());
    for (id, time) in before {
        let moved = after.iter().find(|(other, _)| *other == id).map(|(_, time)| time);
        // Down to the tenth of a second: in the middle of the SYN exchange is the best guess.
        assert_eq!(moved.map(|moved| &moved[..22]), Some(&time[..22]), "{id}");
    }
}
