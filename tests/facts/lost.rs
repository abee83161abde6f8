//! What is not in a capture is told as not visible, and not as what did not happen.

use crate::common::packets::{self, Parsed, RawPacket};
use crate::common::{assert_none, fixture, items, report_of_bytes};
use serde_json::Value;

/// A connection of a fixture, whose packets a test can lose.
struct Seen {
    packets: Vec<RawPacket>,
    number: usize,
}

impl Seen {
    /// The packets of connection `number`, which has no others between its own.
    fn of(name: &str, number: usize) -> Self {
        let fixture = fixture(name);
        let report = fixture.report();
        let connection = &items(&report, "connections")[number - 1];
        let frame = |end: &str| usize::try_from(connection[end]["frame"].as_u64().expect("a frame")).expect("few");
        let all = packets::read(fixture.path());
        Self {
            packets: all[..frame("last")].to_vec(),
            number,
        }
    }

    /// The last packet with data that one side sent.
    fn last_data(&self, of_client: bool) -> (usize, Parsed) {
        let parsed = packets::parse(&self.packets).into_iter().enumerate();
        parsed
            .filter_map(|(at, parsed)| Some((at, parsed?)))
            .filter(|(_, parsed)| (parsed.client() == parsed.source) == of_client)
            .rfind(|(_, parsed)| parsed.payload.as_ref().is_some_and(|payload| !payload.is_empty()))
            .expect("data")
    }

    fn told(&self) -> Value {
        let report = report_of_bytes(vec![packets::write(&self.packets)]);
        items(&report, "connections")[self.number - 1].clone()
    }
}

/// A segment is cut in two on its way, and the second half is lost: the peer's reset says that there was more to come.
#[test]
fn an_alert_of_which_the_end_is_lost_is_not_said_to_be_absent() {
    let mut seen = Seen::of("captures/two-stacks-one-address", 2);
    let (at, parsed) = seen.last_data(true);
    assert_eq!(seen.told()["close"]["client"]["close_notify"], "inferred");
    for bytes in [3, 12] {
        let [first, _] = packets::split(&seen.packets[at], &parsed, bytes).expect("a plain segment");
        seen.packets[at] = first;
        let told = seen.told();
        assert_eq!(told["close"]["client"]["close_notify"], Value::Null);
        assert_eq!(told["not_visible"]["close.client.close_notify"], "gap");
        assert_eq!(told["close"]["class"], Value::Null);
        seen = Seen::of("captures/two-stacks-one-address", 2);
    }
}

/// A PROXY header may have stood in front of the hello, and then counts as what the client sent for the handshake.
#[test]
fn where_neither_syn_was_seen_the_bytes_of_a_handshake_are_not_counted() {
    let mut seen = Seen::of("captures/proxy-v1", 1);
    assert!(seen.told()["cost"]["handshake_bytes"]["client"].is_number());
    let at = |seen: &Seen| {
        let parsed = packets::parse(&seen.packets);
        let hello = |parsed: &Parsed| parsed.payload.as_ref().is_some_and(|payload| payload.len() > 100);
        parsed
            .iter()
            .position(|parsed| parsed.as_ref().is_some_and(hello))
            .expect("a hello")
    };
    let hello = at(&seen);
    seen.packets.drain(..hello);
    let told = seen.told();
    assert!(told["cost"]["handshake_ms"].is_number(), "the handshake was read");
    for path in ["client", "server"] {
        assert_eq!(told["cost"]["handshake_bytes"][path], Value::Null);
        let cause = &told["not_visible"][format!("cost.handshake_bytes.{path}")];
        assert_eq!(cause, "capture-started-late");
    }
}

/// The server's flight of TLS 1.3 is a row of closed records: those that are lost may be most of it.
#[test]
fn a_server_flight_that_is_torn_is_not_counted_by_what_is_left_of_it() {
    let whole = Seen::of("captures/tls13-closes", 1).told();
    let bytes = &whole["cost"]["handshake_bytes"]["server"];
    assert!(bytes.as_u64() > Some(600), "{bytes}");
    for kept in [170, 300, 600] {
        let mut seen = Seen::of("captures/tls13-closes", 1);
        let parsed = packets::parse(&seen.packets);
        let flight = |parsed: &Parsed| {
            let payload = parsed.payload.as_ref();
            parsed.client() != parsed.source && payload.is_some_and(|payload| payload.len() > kept)
        };
        let at = parsed
            .iter()
            .position(|parsed| parsed.as_ref().is_some_and(flight))
            .expect("the flight");
        let flight = parsed[at].as_ref().expect("a segment");
        let [first, _] = packets::split(&seen.packets[at], flight, kept).expect("a plain segment");
        seen.packets[at] = first;
        let told = seen.told();
        assert_eq!(told["outcome"], whole["outcome"]);
        assert_eq!(told["cost"]["handshake_bytes"]["server"], Value::Null);
        assert_eq!(told["not_visible"]["cost.handshake_bytes.server"], "gap");
        // The client finishes last.
        assert_eq!(told["cost"]["handshake_ms"], whole["cost"]["handshake_ms"]);
        // Where the capture ends there, more of the flight may follow.
        seen.packets.truncate(at + 1);
        assert_eq!(seen.told()["cost"]["handshake_bytes"]["server"], Value::Null);
    }
}

/// The rest of a text names nothing of what it was: here a PROXY header, and with it the client.
#[test]
fn what_is_left_of_a_text_before_tls_is_not_told_as_something_else() {
    let mut seen = Seen::of("captures/proxy-v1", 1);
    assert_eq!(seen.told()["preamble"]["kind"], "proxy-v1");
    let parsed = packets::parse(&seen.packets);
    let has_data = |parsed: &Parsed| parsed.payload.as_ref().is_some_and(|payload| !payload.is_empty());
    let at = parsed
        .iter()
        .position(|parsed| parsed.as_ref().is_some_and(has_data))
        .expect("a header");
    let header = parsed[at].as_ref().expect("a segment");
    let [_, rest] = packets::split(&seen.packets[at], header, 20).expect("a plain segment");
    seen.packets[at] = rest;
    let told = seen.told();
    assert_eq!(told["preamble"], Value::Null);
    assert_eq!(told["not_visible"]["preamble"], "gap");
}

/// The same bytes stand in both legs: what is lost of one of them the other one shows, and it is one connection all the same.
#[test]
fn of_two_legs_one_shows_what_is_lost_of_the_other() {
    let all = packets::read(fixture("captures/balancer-both-legs").path());
    let told = |packets: &[RawPacket]| -> Vec<String> {
        let report = report_of_bytes(vec![packets::write(packets)]);
        let one = |connection: &Value| format!("{} {}", connection["client"], connection["outcome"]);
        items(&report, "connections").iter().map(one).collect()
    };
    let whole = told(&all);
    assert_eq!(whole.len(), 8);
    let is_hello = |packet: &RawPacket, parsed: &Parsed| {
        let payload = parsed.payload.clone().and_then(|payload| packet.data.get(payload));
        matches!(payload, Some([22, 3, _, _, _, 1 | 2, ..]))
    };
    let parsed = packets::parse(&all);
    let places = (0..).zip(all.iter().zip(&parsed));
    let hellos: Vec<usize> = places
        .filter(|(_, (packet, parsed))| parsed.as_ref().is_some_and(|parsed| is_hello(packet, parsed)))
        .map(|(at, _)| at)
        .collect();
    assert_eq!(hellos.len(), 32, "both of two legs of eight connections");
    for lost in hellos {
        let mut rest = all.clone();
        rest.remove(lost);
        assert_eq!(told(&rest), whole, "without packet {}", lost + 1);
    }
}

/// Every packet and behind it the same on the other side of a machine that translates one address.
fn on_both_sides(all: &[RawPacket], from: [u8; 4], to: [u8; 4]) -> Vec<RawPacket> {
    let translated = |packet: &RawPacket| {
        let mut other = packet.clone();
        for place in [26, 30] {
            if other.data.get(place..place + 4) == Some(&from[..]) {
                other.data[place..place + 4].copy_from_slice(&to);
            }
        }
        other
    };
    all.iter()
        .flat_map(|packet| [packet.clone(), translated(packet)])
        .collect()
}

/// What a report says of every connection.
fn judged(packets: &[RawPacket]) -> Vec<String> {
    let report = report_of_bytes(vec![packets::write(packets)]);
    let one = |connection: &Value| {
        let reasons = items(connection, "reasons").iter().map(|reason| &reason["name"]);
        format!("{} {:?}", connection["outcome"], reasons.collect::<Vec<_>>())
    };
    items(&report, "connections").iter().map(one).collect()
}

/// A server whose clients alone are translated is the machine that answers, and another address is another one.
#[test]
fn behind_a_machine_that_translates_clients_a_server_s_address_is_its_own() {
    let all = packets::read(fixture("reasons/offered-to-wrong-backend").path());
    let told = judged(&all);
    assert!(told.iter().any(|told| told.contains("offered-to-wrong-backend")));
    assert_eq!(judged(&on_both_sides(&all, [10, 0, 0, 11], [192, 0, 2, 7])), told);
}

/// QUIC has no sequence numbers, and a hello that the server refuses at once no answer.
#[test]
fn two_legs_of_a_hello_over_quic_that_no_hello_answers_are_one_connection() {
    let all = packets::read(fixture("captures/quic-no-protocol").path());
    let told = judged(&all);
    assert_eq!(told.len(), 1);
    assert_eq!(judged(&on_both_sides(&all, [10, 0, 0, 21], [192, 0, 2, 7])), told);
}

/// The clients that are told something of what came before with confidence, and the first reason.
fn sure_of_before(packets: &[RawPacket]) -> Vec<String> {
    let report = report_of_bytes(vec![packets::write(packets)]);
    let rests_on_before = |reason: &Value| {
        let name = reason["name"].as_str().unwrap_or_default();
        let neutral = name == "offer-of-unknown-origin" || name == "first-in-capture";
        neutral && reason["confidence"] != "possible"
    };
    let told = items(&report, "connections")
        .iter()
        .flat_map(|connection| items(connection, "reasons").iter().map(move |it| (connection, it)));
    told.filter(|(_, reason)| rests_on_before(reason))
        .map(|(connection, reason)| format!("{} {}", connection["client"], reason["name"]))
        .collect()
}

/// Of a connection whose data was all lost nothing shows that it was TLS. It may have issued what is offered next, and been its
/// client's first.
#[test]
fn a_connection_of_which_no_data_is_left_may_have_been_the_first_handshake() {
    for name in [
        "each-reset-loses",
        "random-session-id",
        "parallel-tls13",
        "compat-session-id",
    ] {
        let all = packets::read(fixture(&format!("captures/{name}")).path());
        let parsed = packets::parse(&all);
        let first = parsed.iter().flatten().next().expect("a segment");
        let has_data = |parsed: &Parsed| parsed.payload.as_ref().is_some_and(|payload| !payload.is_empty());
        let is_lost = |parsed: &Parsed| parsed.client() == first.client() && has_data(parsed);
        let rest = (all.iter().zip(&parsed))
            .filter(|(_, parsed)| !parsed.as_ref().is_some_and(is_lost))
            .map(|(packet, _)| packet.clone());
        let ip = serde_json::to_value(first.client().ip).expect("an address");
        let told = sure_of_before(&rest.collect::<Vec<_>>());
        let of_client: Vec<&String> = told.iter().filter(|told| told.contains(&ip.to_string())).collect();
        assert!(of_client.is_empty(), "{name}: {of_client:?}");
        // Where it never spoke at all, there was no handshake.
        let spoke = |parsed: &Parsed| parsed.client() == first.client() && parsed.flags & 2 == 0;
        let silent = (all.iter().zip(&parsed))
            .filter(|(_, parsed)| !parsed.as_ref().is_some_and(spoke))
            .map(|(packet, _)| packet.clone());
        let told = sure_of_before(&silent.collect::<Vec<_>>());
        assert!(told.iter().any(|told| told.contains(&ip.to_string())), "{name}");
    }
}

/// Whoever knows the ports alone can send what looks like a fatal alert, but not into the window of its receiver.
#[test]
fn an_alert_far_ahead_of_all_that_was_acknowledged_is_not_believed() {
    let name = "captures/open-at-end";
    let all = packets::read(fixture(name).path());
    let told = judged(&all);
    let parsed = packets::parse(&all);
    let data = parsed
        .iter()
        .enumerate()
        .filter_map(|(at, parsed)| Some((at, parsed.as_ref()?)));
    let of_server = data
        .filter(|(_, parsed)| parsed.client() != parsed.source)
        .rfind(|(_, parsed)| parsed.payload.as_ref().is_some_and(|payload| payload.len() > 7));
    let (at, parsed) = of_server.expect("data of a server");
    let payload = parsed.payload.clone().expect("data");
    let tcp = parsed.tcp().expect("a header");
    let mut forged = all[at].clone();
    forged.data.truncate(payload.start);
    forged.data.extend([21, 3, 3, 0, 2, 2, 40]);
    // IPv4: its length.
    let length = u16::try_from(forged.data.len() - 14).expect("short");
    forged.data[16..18].copy_from_slice(&length.to_be_bytes());
    forged.original_len = u32::try_from(forged.data.len()).expect("short");
    let number = &mut forged.data[tcp + 4..tcp + 8];
    let seq = u32::from_be_bytes(number.try_into().expect("four bytes"));
    number.copy_from_slice(&seq.wrapping_add(50_000_000).to_be_bytes());
    forged.time = all.last().expect("packets").time;
    let mut with = all.clone();
    with.push(forged);
    assert_eq!(judged(&with), told);
    let report = report_of_bytes(vec![packets::write(&with)]);
    let failed = items(&report, "connections").iter();
    assert_none(
        "fatal alerts that nobody sent",
        &failed
            .filter(|connection| connection["close"]["class"] == "fatal-alert")
            .map(|connection| connection["client"].to_string())
            .collect::<Vec<_>>(),
    );
}

/// Where nothing of anything was captured for long, nobody saw that a connection was silent: a later capture may stand behind an
/// earlier one.
#[test]
fn a_pause_of_the_capture_is_no_silence_of_its_connections() {
    let all = packets::read(fixture("captures/open-at-end").path());
    let last = all.last().expect("packets").time;
    let parsed = packets::parse(&all);
    let syn = (all.iter().zip(&parsed)).find(|(_, parsed)| parsed.as_ref().is_some_and(|parsed| parsed.flags == 2));
    let (other, other_parsed) = syn.expect("a SYN");
    let tcp = other_parsed.as_ref().and_then(Parsed::tcp).expect("a header");
    let silent = |minutes: &[i64]| {
        let mut with = all.clone();
        for minute in minutes {
            // Of another client, that nobody answers.
            let mut syn = other.clone();
            syn.data[tcp..tcp + 2].copy_from_slice(&[0xff, 0xfe]);
            syn.time = last + minute * 60_000_000_000;
            with.push(syn);
        }
        let report = report_of_bytes(vec![packets::write(&with)]);
        let class = |connection: &Value| connection["close"]["class"].clone();
        let classes: Vec<Value> = items(&report, "connections").iter().map(class).collect();
        classes.iter().filter(|class| *class == "timeout-silent").count()
    };
    assert_eq!(silent(&[]), 0);
    let watched = silent(&[4, 8, 12]);
    assert!(watched > 0);
    assert_eq!(
        [silent(&[60]), silent(&[3, 60, 63, 66]), silent(&[3, 6, 60])],
        [0, 0, watched]
    );
}
