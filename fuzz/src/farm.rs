//! A farm that does as it is told: handshakes with few clients, servers and credentials, in any order and with any end. The
//! credential store and the verdicts see every combination, and the report writes it in all of its forms.

use std::collections::BTreeSet;

use reshake::model::Report;
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::Capture;
use reshake_core::net::capture::{CaptureFormat, Ended};
use reshake_core::session::Outcome;

use crate::common::forge::{
    FIN, RST, Segment, Wire, client_hello, extensions, finished, message, new_session_ticket, prefixed, records,
    server_hello, server_name,
};
use crate::common::forms;

/// Handshakes of one input at most.
const MOST: usize = 64;

/// Six bytes for each handshake.
struct Step {
    /// Version, what is offered, what is accepted.
    kind: u8,
    /// Client (three bits), server (two), server name (three).
    ends: u8,
    /// Which credential is offered (four bits), which one is issued (four).
    credential: u8,
    /// How it ends, and on which side.
    close: u8,
    /// Time until the next one, in powers of two of milliseconds.
    pause: u8,
    /// Extensions of the hello, one a bit.
    extensions: u8,
}

/// Verdicts over any history: they come to an end, name frames that are there, and contradict no outcome.
pub fn verdicts(data: &[u8]) {
    let (engine, frames) = run(data);
    let report = Report::of(&engine, vec![capture(frames)]);
    for (_, id, connection) in report.connections() {
        let reasons = report.reasons(id, connection);
        let names: BTreeSet<&str> = reasons.iter().map(|judged| judged.reason.name).collect();
        assert_eq!(names.len(), reasons.len(), "a reason is given twice");
        for frame in reasons.iter().flat_map(|judged| judged.evidence.iter()) {
            assert!(frame.frame.frame() <= frames, "a frame that is not there");
        }
        if matches!(connection.outcome, Outcome::Resumed(_)) {
            let accepted = connection
                .accepted
                .is_none_or(|id| connection.offers.iter().any(|offer| offer.credential == id));
            assert!(accepted, "a credential was accepted that was not offered");
        }
    }
    let outcomes = &report.summary.counts.outcomes;
    assert_eq!(
        outcomes.total(),
        engine.connection_store().len() as u64 + engine.connection_store().evicted_total()
    );
}

/// Every form of the report: what people read is text without control characters, what machines read is JSON.
pub fn report(data: &[u8]) {
    let (engine, frames) = run(data);
    let report = Report::of(&engine, vec![capture(frames)]);
    for (form, bytes) in forms::for_people(&report) {
        let text = String::from_utf8(bytes).unwrap_or_else(|_| panic!("{form} is not UTF-8"));
        let colours = text.contains("\u{1b}[");
        let strange = |letter: char| letter.is_control() && letter != '\n' && !(colours && letter == '\u{1b}');
        assert!(!text.contains(strange), "{form}: a control character");
    }
    for (form, bytes) in forms::for_machines(&report) {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let parsed = serde_json::from_slice::<serde_json::Value>(line);
            assert!(parsed.is_ok(), "{form}: {parsed:?}");
        }
    }
}

fn capture(packets: u64) -> Capture {
    Capture {
        path: "farm".to_owned(),
        format: CaptureFormat::Pcap,
        compression: None,
        packets,
        bytes: 0,
        first_time: None,
        last_time: None,
        dropped: None,
        ended: Ended::EndOfFile,
        notices: reshake_core::net::Notices::default(),
    }
}

/// What the engine made of it, and how many frames there were.
fn run(data: &[u8]) -> (Engine, u64) {
    let mut wire = Wire::new(Engine::new(Limits {
        kept_bytes: 48 << 10,
        ..Limits::default()
    }));
    for (number, step) in (0..).zip(data.chunks_exact(6).take(MOST)) {
        let &[kind, ends, credential, close, pause, extensions] = step else {
            break;
        };
        let step = Step {
            kind,
            ends,
            credential,
            close,
            pause,
            extensions,
        };
        wire.server = 1 + (step.ends >> 3 & 3);
        handshake(&mut wire, number, &step);
        wire.now += 1_000_000 << (step.pause & 31);
    }
    let frames = wire.frames();
    (wire.finish(), frames)
}

/// A ticket or ID: which key sealed it shows at its beginning.
fn secret(which: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![which >> 2; 16];
    bytes
        .extend((0..length.saturating_sub(16)).map(|at| which.wrapping_mul(31) ^ u8::try_from(at & 0xff).unwrap_or(0)));
    bytes.truncate(length);
    bytes
}

fn handshake(wire: &mut Wire, number: u32, step: &Step) {
    // Clients keep their addresses and take another port each time.
    let number = u32::from(step.ends & 7) * 50_000 + number;
    let tls13 = step.kind & 1 != 0;
    let (offered, issued) = (step.credential & 15, step.credential >> 4);
    let how = step.kind >> 1 & 3;
    let accepted = step.kind & 8 != 0 && how > 0;
    let hello = hello(number, step, tls13, how, offered);
    let name = step.kind >> 4;
    let answer = if tls13 {
        answer13(number, accepted, name)
    } else {
        answer12(number, accepted, how, offered, issued, name)
    };
    let after = if tls13 {
        [records(20, &[1]), records(23, &[1; 53])].concat()
    } else if accepted {
        finished()
    } else {
        [records(22, &message(16, &[1, 2])), finished()].concat()
    };
    wire.connect(number);
    let mut client = wire.stream(number, true, 1000, &records(22, &hello), 1400);
    let mut server = wire.stream(number, false, 2000, &answer, 1400);
    if step.close & 1 == 0 {
        client = wire.stream(number, true, client, &after, 1400);
        client = wire.stream(number, true, client, &records(23, &[2; 100]), 1400);
        server = wire.stream(
            number,
            false,
            server,
            &records(23, &vec![3; 40 + usize::from(step.pause)]),
            1400,
        );
    }
    end(wire, number, step.close, [client, server]);
}

fn hello(number: u32, step: &Step, tls13: bool, how: u8, offered: u8) -> Vec<u8> {
    let name = step.ends >> 5;
    let host = server_name(format!("{name}.example").as_bytes());
    let (ticket, id) = (secret(offered, 180), secret(offered, 32));
    let mut list: Vec<(u16, Vec<u8>)> = Vec::new();
    let bit = |bit: u8| step.extensions >> bit & 1 != 0;
    if bit(0) {
        list.push((0, host));
    }
    if bit(1) {
        list.push((23, Vec::new()));
    }
    if bit(2) {
        list.push((0xfe0d, vec![0; 8]));
    }
    if bit(3) || tls13 {
        list.push((43, vec![4, 3, 4, 3, 3]));
    }
    match (tls13, how) {
        (false, 1) => list.push((35, ticket)),
        (false, _) if bit(4) => list.push((35, Vec::new())),
        (true, 0) | (false, _) => {}
        (true, _) => {
            if bit(5) {
                list.push((45, vec![1, 1]));
            }
            if bit(6) {
                list.push((42, Vec::new()));
            }
            let age = if bit(7) { 0 } else { number };
            let identity = [
                prefixed(&secret(offered, if how == 3 { 12 } else { 180 })),
                age.to_be_bytes().to_vec(),
            ]
            .concat();
            list.push((
                41,
                [prefixed(&identity), prefixed(&[&[32][..], &[7; 32]].concat())].concat(),
            ));
        }
    }
    let session = if !tls13 && how >= 2 { id } else { Vec::new() };
    let list: Vec<(u16, &[u8])> = list.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
    client_hello(number, &session, &[0x1301, 0x1302, 0xc02f], &extensions(&list))
}

fn answer13(number: u32, accepted: bool, how: u8) -> Vec<u8> {
    let mut list: Vec<(u16, &[u8])> = vec![(43, &[3, 4])];
    if how & 1 == 0 {
        list.push((51, &[0, 29, 0, 0]));
    }
    if accepted {
        list.push((41, &[0, 0]));
    }
    let suite = if how & 2 == 0 { 0x1301 } else { 0x1302 };
    let hello = records(22, &server_hello(number, &[], suite, &extensions(&list)));
    [hello, records(23, &[4; 400]), records(23, &[5; 250])].concat()
}

fn answer12(number: u32, accepted: bool, how: u8, offered: u8, issued: u8, variant: u8) -> Vec<u8> {
    let id = match (accepted, how, variant & 1) {
        (true, 2 | 3, _) => secret(offered, 32),
        (false, _, 1) => secret(issued, 32),
        _ => Vec::new(),
    };
    let ticket = variant & 2 != 0;
    let mut list: Vec<(u16, &[u8])> = Vec::new();
    if ticket {
        list.push((35, &[]));
    }
    if variant & 4 != 0 {
        list.push((23, &[]));
    }
    let mut messages = server_hello(number, &id, 0xc02f, &extensions(&list));
    if !accepted {
        messages.extend(message(11, &[0, 0, 7, 0, 0, 4, 1, 2, 3, variant]));
        messages.extend(message(14, &[]));
    }
    if ticket {
        messages.extend(new_session_ticket(&secret(issued, 180)));
    }
    [records(22, &messages), finished()].concat()
}

/// close_notify or not, then FIN, RST or nothing.
fn end(wire: &mut Wire, number: u32, how: u8, [client, server]: [u32; 2]) {
    let to_server = how & 2 == 0;
    let (mut seq, ack) = if to_server { (client, server) } else { (server, client) };
    if how & 4 != 0 {
        let alert = if how & 8 == 0 {
            records(21, &[0xaa; 26])
        } else {
            records(21, &[2, 40])
        };
        seq = wire.stream(number, to_server, seq, &alert, 1400);
    }
    let flags = match how >> 4 & 3 {
        0 => FIN | 16,
        1 => RST,
        2 => RST | 16,
        _ => return,
    };
    wire.send(&Segment {
        number,
        to_server,
        flags,
        seq,
        ack,
        payload: &[],
    });
}
