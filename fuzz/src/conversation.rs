//! Conversations of real software, changed as networks and captures change them: packets dropped, doubled, moved, split,
//! sent again over other boundaries, cut short. Whatever is left, a fact may become invisible and never another fact.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

use crate::common::facts::told_otherwise;
use crate::common::packets::{self, RawPacket};
use crate::common::{Fixture, changes, fixture, report_of_bytes};

/// The conversations. The place in the list is part of an input: add at the end.
const FIXTURES: [&str; 30] = [
    "captures/false-start",
    "captures/tls11",
    "captures/ssl30",
    "captures/tls10-closes",
    "captures/tls10-openssl-server",
    "captures/tls13-hello-retry",
    "captures/tls13-early-data",
    "captures/external-psk-tls12",
    "captures/external-psk-beside-ticket",
    "captures/zero-length-ticket",
    "captures/port-reused",
    "captures/java-server-tls13",
    "captures/shared-tickets",
    "captures/mysql",
    "captures/smtp-starttls",
    "captures/http-connect",
    "captures/renegotiation",
    "captures/stek-not-shared-tls13",
    "captures/wrapped-pppoe",
    "findings/resumed-despite-must-not-near-miss",
    "findings/psk-without-dhe-near-miss",
    "findings/resumed-across-sni-near-miss",
    "reasons/psk-mode-missing-near-miss",
    "reasons/client-cert-policy",
    "reasons/single-use-spent-near-miss",
    "reasons/stek-changed-near-miss",
    "reasons/server-never-accepts-ids",
    "reasons/ech-rejected-or-grease-near-miss",
    "reasons/unclean-close-tls10-near-miss",
    "reasons/offer-of-unknown-origin",
];

/// Changes of one input at most.
const MAX_CHANGES: usize = 24;

/// A conversation, and the report on it unchanged.
struct Whole {
    fixture: Fixture,
    packets: Vec<RawPacket>,
    report: Value,
}

/// The conversations that were asked for so far.
fn whole(index: usize) -> &'static Whole {
    static KNOWN: OnceLock<Mutex<BTreeMap<usize, &'static Whole>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(index).or_insert_with(|| {
        let fixture = fixture(FIXTURES[index]);
        let packets = packets::read(fixture.path());
        let report = report_of_bytes(vec![packets::write(&packets)]);
        // Few, and needed until the end.
        Box::leak(Box::new(Whole {
            fixture,
            packets,
            report,
        }))
    })
}

/// One byte for the conversation, then four for each change: what, where (two), and how far.
pub fn conversation(data: &[u8]) {
    let Some((&which, steps)) = data.split_first() else {
        return;
    };
    let whole = whole(usize::from(which) % FIXTURES.len());
    let changed = changed(&whole.packets, steps);
    if changed.is_empty() {
        return;
    }
    let part = report_of_bytes(vec![packets::write(&changed)]);
    let found = told_otherwise(&whole.fixture, &whole.report, &part);
    assert!(found.is_empty(), "{}: {}", whole.fixture.name, found.join("; "));
}

fn changed(packets: &[RawPacket], steps: &[u8]) -> Vec<RawPacket> {
    let mut changed = packets.to_vec();
    // Copies come last: one whose original is gone would be an answer that stands before its question, which no network
    // does.
    for copies in [false, true] {
        let steps = steps.chunks_exact(4).take(MAX_CHANGES);
        for step in steps.filter(|step| matches!(step[0] % 9, 1 | 4) == copies) {
            let place = usize::from(u16::from_be_bytes([step[1], step[2]]));
            if changed.is_empty() {
                return changed;
            }
            change(&mut changed, step[0], place, usize::from(step[3]));
        }
    }
    changed
}

/// The input that drops a packet, doubles another, and splits a third of the conversation at this index.
#[must_use]
pub fn seed_of(index: u8) -> Vec<u8> {
    let place = index.wrapping_mul(3);
    vec![
        index,
        0,
        0,
        place,
        0,
        1,
        0,
        place,
        2,
        3,
        0,
        place.wrapping_add(4),
        60,
        4,
        0,
        5,
        30,
    ]
}

fn change(all: &mut Vec<RawPacket>, what: u8, place: usize, how: usize) {
    let at = place % all.len();
    match what % 9 {
        0 => {
            all.remove(at);
        }
        1 => again(all, at, all[at].clone(), how),
        2 => swap(all, place, how),
        3 => split(all, at, how),
        4 => overlap(all, at, how),
        5 => cut_short(&mut all[at], how),
        6 => all.truncate(at.max(1)),
        7 => drop(all.drain(..at)),
        _ => drop(all.drain(at..(at + how % 8).min(all.len()))),
    }
}

/// `copy` comes up to eight packets behind the packet at a place.
fn again(all: &mut Vec<RawPacket>, at: usize, copy: RawPacket, how: usize) {
    let later = (at + how % 8).min(all.len() - 1);
    let time = all[later].time.max(copy.time);
    all.insert(later + 1, RawPacket { time, ..copy });
}

/// Two segments of one direction change places; the times stay.
fn swap(all: &mut [RawPacket], place: usize, how: usize) {
    let runs = changes::runs(all);
    let Some(run) = runs.get(place % runs.len().max(1)) else {
        return;
    };
    let (a, b) = (run[how % run.len()], run[how / 8 % run.len()]);
    let (first, second) = (all[a].time, all[b].time);
    all.swap(a, b);
    (all[a].time, all[b].time) = (first, second);
}

fn halves(all: &[RawPacket], at: usize, how: usize) -> Option<[RawPacket; 2]> {
    let packet = &all[at];
    let parsed = packets::parse(std::slice::from_ref(packet)).pop().flatten()?;
    let length = parsed.payload.as_ref()?.len();
    packets::split(packet, &parsed, 1 + how * length / 256)
}

/// A segment becomes two.
fn split(all: &mut Vec<RawPacket>, at: usize, how: usize) {
    if let Some(halves) = halves(all, at, how) {
        all.splice(at..=at, halves);
    }
}

/// The second part of a segment comes again in a segment of its own.
fn overlap(all: &mut Vec<RawPacket>, at: usize, how: usize) {
    if let Some([_, second]) = halves(all, at, how) {
        again(all, at, second, how);
    }
}

/// The snap length cuts a packet.
fn cut_short(packet: &mut RawPacket, how: usize) {
    packet.data.truncate((packet.data.len() * how / 256).max(1));
}
