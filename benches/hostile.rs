//! What hostile traffic costs: nanoseconds for each captured byte, beside those of honest handshakes. Run by hand
//! (`cargo bench --bench hostile`); the figures stand in `docs/limits.md`.
#![allow(clippy::print_stdout, reason = "it prints a table")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Instant;

use common::forge::{
    ACK, SYN, Segment, Wire, client_hello, client_side, extensions, full_answer, new_session_ticket, prefixed, push,
    records, server_hello, server_name,
};
use reshake_core::engine::{Engine, Limits};

/// What is sent, and by what name it stands in the table.
type Attack = (&'static str, fn(&mut Wire));

const ATTACKS: [Attack; 10] = [
    ("honest handshakes", honest),
    ("SYNs", syns),
    ("text in segments of one byte", tiny_text),
    ("text of record types, in segments of one byte", tiny_marks),
    ("hellos in segments of one byte, backwards", backwards),
    ("copies that overlap", overlaps),
    ("gaps", gaps),
    ("hellos full of extensions", full_hellos),
    ("hellos full of PSK identities", identities),
    ("tickets without end", tickets),
];

fn main() {
    println!("{:46} {:>10} {:>8} {:>9}", "traffic", "bytes", "ns/byte", "ns/packet");
    for (name, attack) in ATTACKS {
        let mut wire = Wire::new(Engine::new(Limits::default()));
        wire.tape = Some(Vec::new());
        attack(&mut wire);
        let tape = wire.tape.take().unwrap_or_default();
        let bytes: usize = tape.iter().map(|(_, data)| data.len()).sum();
        let best = (0..3).map(|_| run(&tape)).min().unwrap_or(0);
        let float = |number: u128| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let per = |count: usize| 1_000.0 * float(best) / float(count as u128);
        println!("{name:46} {bytes:10} {:8.2} {:9.0}", per(bytes), per(tape.len()));
    }
}

/// Microseconds that the engine takes for all packets.
fn run(tape: &[(i64, Vec<u8>)]) -> u128 {
    let mut engine = Engine::new(Limits::default());
    let begin = Instant::now();
    for (frame, (time, data)) in (1..).zip(tape) {
        push(&mut engine, frame, *time, data);
    }
    engine.finish();
    let elapsed = begin.elapsed();
    black_box(engine);
    elapsed.as_micros()
}

fn honest(wire: &mut Wire) {
    for number in 0..4_000 {
        let block = extensions(&[(0, &server_name(b"www.example")), (35, &[])]);
        let hello = client_hello(number, &[], &[0xc02f, 0x1301], &block);
        wire.exchange(
            number,
            &client_side(&hello, true),
            &full_answer(number, &[number.to_be_bytes().repeat(45)]),
        );
    }
}

fn syns(wire: &mut Wire) {
    for number in 0..200_000 {
        wire.send(&Segment {
            number,
            to_server: true,
            flags: SYN,
            seq: 999,
            ack: 0,
            payload: &[],
        });
    }
}

fn tiny_text(wire: &mut Wire) {
    text(wire, &[b'x'; 8_000]);
}

fn tiny_marks(wire: &mut Wire) {
    text(wire, &[b'x', 22, 3, 1].repeat(2_000));
}

fn text(wire: &mut Wire, bytes: &[u8]) {
    for number in 0..5 {
        wire.connect(number);
        wire.stream(number, true, 1000, bytes, 1);
    }
}

fn backwards(wire: &mut Wire) {
    let hello = client_hello(1, &[], &[0xc02f; 100], &[]);
    let stream = records(22, &hello);
    for number in 0..200 {
        wire.connect(number);
        for (place, byte) in (1000..).zip(&stream).collect::<Vec<_>>().into_iter().rev() {
            wire.stream(number, true, place, std::slice::from_ref(byte), 1);
        }
    }
}

fn overlaps(wire: &mut Wire) {
    let stream = records(22, &[0; 8_000]);
    for number in 0..20 {
        wire.connect(number);
        for shift in 0..1_000 {
            wire.stream(number, true, 1_001 + shift * 7, &stream[..1_400], 1_400);
        }
    }
}

fn gaps(wire: &mut Wire) {
    wire.connect(1);
    let mut seq = 1000_u32;
    for _ in 0..20_000 {
        seq = seq.wrapping_add(1 << 20);
        wire.send(&Segment {
            number: 1,
            to_server: true,
            flags: ACK,
            seq,
            ack: 2000,
            payload: &[23; 200],
        });
    }
}

fn full_hellos(wire: &mut Wire) {
    let block: Vec<u8> = (0..16_000_u32).flat_map(|_| [0x7a, 0x7b, 0, 0]).collect();
    for number in 0..50 {
        let hello = client_hello(number, &[], &[0xc02f], &block);
        wire.exchange(number, &records(22, &hello), &full_answer(number, &[]));
    }
}

fn identities(wire: &mut Wire) {
    let list: Vec<u8> = (0..8_000_u16)
        .flat_map(|number| [&prefixed(&number.to_be_bytes())[..], &[1, 2, 3, 4]].concat())
        .collect();
    let offer = [prefixed(&list), prefixed(&[])].concat();
    let block = extensions(&[(43, &[2, 3, 4]), (41, &offer)]);
    for number in 0..50 {
        let hello = client_hello(number, &[], &[0x1301], &block);
        let answer = server_hello(number, &[], 0x1301, &extensions(&[(43, &[3, 4])]));
        wire.exchange(number, &records(22, &hello), &records(22, &answer));
    }
}

fn tickets(wire: &mut Wire) {
    wire.connect(1);
    let hello = client_hello(1, &[], &[0xc02f], &extensions(&[(35, &[])]));
    wire.stream(1, true, 1000, &client_side(&hello, true), 1400);
    let mut seq = wire.stream(
        1,
        false,
        2000,
        &records(22, &server_hello(1, &[], 0xc02f, &extensions(&[(35, &[])]))),
        1400,
    );
    for number in 0..50_000_u32 {
        seq = wire.stream(
            1,
            false,
            seq,
            &records(22, &new_session_ticket(&number.to_be_bytes())),
            1400,
        );
    }
}
