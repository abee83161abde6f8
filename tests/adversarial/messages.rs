//! Attacks with handshake messages: endless ones, ones with everything in them, and credentials without number.

use std::hash::BuildHasher;

use super::{MB, alone, count, peak, wire};
use crate::common::forge::{
    Wire, client_hello, client_side, extensions, full_answer, message, new_session_ticket, prefixed, records,
    resumed_answer, server_hello, server_name,
};
use crate::common::{items, report_of, text};
use reshake_core::engine::Engine;
use reshake_core::handshake::{MAX_ISSUED, MAX_OFFERED};
use reshake_core::net::Notice;
use serde_json::Value;

fn report(engine: Engine) -> Value {
    report_of((engine, Vec::new()))
}

fn outcomes(report: &Value) -> Vec<&str> {
    let connections = items(report, "connections").iter();
    connections
        .filter_map(|connection| text(connection, "outcome"))
        .collect()
}

/// A message that claims 16 MB and goes on for 64 MB: it is stepped over, not collected.
#[test]
fn a_handshake_message_that_never_ends_is_not_kept() {
    let _alone = alone();
    let piece = records(22, &[0; 16_000]);
    let (engine, peak) = peak(|| {
        let mut wire = wire();
        wire.connect(1);
        let begin = [&[1, 0xff, 0xff, 0xff, 3, 3][..], &[0; 2000]].concat();
        let mut seq = wire.stream(1, true, 1000, &records(22, &begin), 1400);
        for _ in 0..4_000 {
            seq = wire.stream(1, true, seq, &piece, 16_100);
        }
        wire.finish()
    });
    assert!(peak < MB, "{peak} bytes at the peak");
    assert!(outcomes(&report(engine)).iter().all(|outcome| *outcome == "unclear"));
}

/// One record whose length is never reached, and then no record at all.
#[test]
fn a_record_that_never_ends_is_not_kept() {
    let _alone = alone();
    let (_, peak) = peak(|| {
        let mut wire = wire();
        wire.connect(1);
        let hello = client_hello(1, &[], &[0xc02f], &[]);
        let mut seq = wire.stream(1, true, 1000, &records(22, &hello), 1400);
        for _ in 0..50_000 {
            seq = wire.stream(
                1,
                true,
                seq,
                &[[22, 3, 3, 0x40, 0].as_slice(), &[0; 1000]].concat(),
                1400,
            );
        }
        wire.finish()
    });
    assert!(peak < MB, "{peak} bytes at the peak");
}

/// As many extensions as a hello has room for: the last one counts like the first.
#[test]
fn a_hello_full_of_extensions_is_read_to_its_end() {
    let _alone = alone();
    let ticket = [9; 100];
    let mut block: Vec<u8> = (0..16_300_u32).flat_map(|_| [0x7a, 0x7b, 0, 0]).collect();
    block.extend(extensions(&[(35, &ticket), (0, &server_name(b"last.example"))]));
    assert!(block.len() > 65_000);
    let ((engine, hellos), peak) = peak(|| {
        let mut wire = wire();
        for number in 0..20 {
            let hello = client_hello(number, &[], &[0xc02f], &block);
            wire.exchange(number, &client_side(&hello, false), &resumed_answer(number));
        }
        (wire.finish(), 20)
    });
    assert!(peak < MB, "{peak} bytes at the peak");
    let report = report(engine);
    assert_eq!(outcomes(&report), vec!["resumed"; hellos]);
    assert_eq!(report["connections"][0]["server_name"], "last.example");
}

/// pre_shared_key with this many identities of two bytes, and as many binders as fit.
fn many_identities(count: u16) -> Vec<u8> {
    let identities: Vec<u8> = (0..count)
        .flat_map(|number| [&prefixed(&number.to_be_bytes())[..], &[1, 2, 3, 4]].concat())
        .collect();
    [prefixed(&identities), prefixed(&[32; 33])].concat()
}

/// Identities without number: so many are kept of one hello, and the report says how many were not.
#[test]
fn thousands_of_psk_identities_leave_few_traces() {
    let _alone = alone();
    let identities = 8_000;
    let offer = many_identities(identities);
    let block = extensions(&[(43, &[2, 3, 4]), (45, &[1, 1]), (41, &offer)]);
    let answer = server_hello(
        1,
        &[],
        0x1301,
        &extensions(&[(43, &[3, 4]), (51, &[0, 29, 0, 0]), (41, &[0x1f, 0])]),
    );
    let (engine, peak) = peak(|| {
        let mut wire = wire();
        for number in 0..50 {
            let hello = client_hello(number, &[], &[0x1301], &block);
            let server = [records(22, &answer), records(23, &[1; 600])].concat();
            wire.exchange(number, &[records(22, &hello), records(23, &[1; 53])].concat(), &server);
        }
        wire.finish()
    });
    assert!(peak < 2 * MB, "{peak} bytes at the peak");
    assert_eq!(engine.credential_store().entered(), MAX_OFFERED);
    let not_kept = u64::from(identities) - MAX_OFFERED as u64;
    assert_eq!(count(&engine, Notice::CredentialsNotKept), 50 * not_kept);
    // The server chose one that is not kept: whose session that was is not said.
    let report = report(engine);
    assert_eq!(outcomes(&report), vec!["unclear"; 50]);
    assert!(
        items(&report, "connections")
            .iter()
            .all(|connection| connection["credential_accepted"].is_null())
    );
}

/// Ten thousand empty identities, more than there is room for binders.
#[test]
fn ten_thousand_empty_identities_are_a_hello_too() {
    let _alone = alone();
    let identities: Vec<u8> = (0..10_000).flat_map(|_| [0, 0, 1, 2, 3, 4]).collect();
    let offer = [prefixed(&identities), prefixed(&[0; 5_000])].concat();
    let hello = client_hello(1, &[], &[0x1301], &extensions(&[(43, &[2, 3, 4]), (41, &offer)]));
    let mut wire = wire();
    wire.exchange(
        1,
        &records(22, &hello),
        &records(22, &server_hello(1, &[], 0x1301, &extensions(&[(43, &[3, 4])]))),
    );
    let engine = wire.finish();
    assert_eq!(engine.credential_store().entered(), 1);
    assert_eq!(count(&engine, Notice::CredentialsNotKept), 10_000 - MAX_OFFERED as u64);
}

/// Tickets of nearly 64 KB, issued and offered: they are told apart by all their bytes, and kept as a digest.
#[test]
fn tickets_of_64_kilobytes_are_kept_in_a_few_bytes() {
    let _alone = alone();
    let ticket = |number: u32| {
        let mut ticket = vec![5; 65_400];
        ticket.extend(number.to_be_bytes());
        ticket
    };
    let connections = 100;
    let (engine, peak) = peak(|| {
        let mut wire = wire();
        for number in 0..connections {
            let first = client_hello(number, &[], &[0xc02f], &extensions(&[(35, &[])]));
            wire.exchange(
                2 * number,
                &client_side(&first, true),
                &full_answer(number, &[ticket(number)]),
            );
            let second = client_hello(number + 1_000, &[], &[0xc02f], &extensions(&[(35, &ticket(number))]));
            wire.exchange(
                2 * number + 1,
                &client_side(&second, false),
                &resumed_answer(number + 1_000),
            );
            wire.now += 2_000_000_000;
        }
        wire.finish()
    });
    assert!(peak < 2 * MB, "{peak} bytes at the peak");
    assert_eq!(
        engine.credential_store().entered(),
        usize::try_from(connections).expect("few")
    );
    let report = report(engine);
    let resumed = outcomes(&report)
        .into_iter()
        .filter(|outcome| *outcome == "resumed")
        .count();
    assert_eq!(resumed, usize::try_from(connections).expect("few"));
}

/// A server that issues tickets without end on one connection.
#[test]
fn tickets_without_end_are_counted_and_not_kept() {
    let _alone = alone();
    let total = 50_000_u32;
    let (engine, peak) = peak(|| {
        let mut wire = wire();
        wire.connect(1);
        let hello = client_hello(1, &[], &[0xc02f], &extensions(&[(35, &[])]));
        wire.stream(1, true, 1000, &client_side(&hello, true), 1400);
        let mut answer = server_hello(1, &[], 0xc02f, &extensions(&[(35, &[])]));
        answer.extend(message(11, &[0, 0, 7, 0, 0, 4, 1, 2, 3, 4]));
        let mut seq = wire.stream(1, false, 2000, &records(22, &answer), 1400);
        for number in 0..total {
            seq = wire.stream(
                1,
                false,
                seq,
                &records(22, &new_session_ticket(&number.to_be_bytes())),
                1400,
            );
        }
        wire.finish()
    });
    assert!(peak < 2 * MB, "{peak} bytes at the peak");
    assert_eq!(engine.credential_store().entered(), MAX_ISSUED);
    assert_eq!(
        count(&engine, Notice::CredentialsNotKept),
        u64::from(total) - MAX_ISSUED as u64
    );
}

/// Tickets and IDs that begin alike, as someone would make them who wants a table to degrade: each stays itself. They are
/// found by the SHA-256 of all their bytes, in tables whose hash is seeded anew in every run.
#[test]
fn credentials_made_to_collide_stay_apart() {
    let _alone = alone();
    let total = 4_000_u32;
    let alike = |number: u32, length: usize| {
        let mut bytes = vec![0x41; length - 4];
        bytes.extend(number.to_be_bytes());
        bytes
    };
    let mut wire = wire();
    for number in 0..total {
        exchange_with(&mut wire, number, &alike(number, 192), &alike(number, 32));
    }
    let engine = wire.finish();
    // A ticket issued, and an ID offered.
    assert_eq!(
        engine.credential_store().entered(),
        2 * usize::try_from(total).expect("few")
    );
    let digests: std::collections::HashSet<[u8; 16]> = engine
        .credential_store()
        .iter()
        .map(|(_, credential)| credential.name.key())
        .collect();
    assert_eq!(digests.len(), engine.credential_store().entered());
}

fn exchange_with(wire: &mut Wire, number: u32, ticket: &[u8], id: &[u8]) {
    let hello = client_hello(number, id, &[0xc02f], &[]);
    wire.exchange(number, &client_side(&hello, true), &full_answer(1, &[ticket.to_vec()]));
    wire.now += 2_000_000_000;
}

/// The hash of the tables, with the endpoints of connections for keys: no two tables agree on where an entry stands, so
/// that endpoints which collide in one say nothing of another.
#[test]
fn tables_are_seeded_anew() {
    let _alone = alone();
    let keys: Vec<(u128, u128, u32)> = (0..64).map(|n| (n, n << 64, 443)).collect();
    let places = || {
        let hasher = hashbrown::DefaultHashBuilder::default();
        keys.iter().map(|key| hasher.hash_one(key) % 1024).collect::<Vec<_>>()
    };
    let (first, second) = (places(), places());
    let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    assert!(same < 8, "{same} of 64 keys stand in the same place");
}

/// Lists of suites and names as long as they can be, all different: what is shared is bounded.
#[test]
fn long_names_and_lists_are_not_remembered_for_ever() {
    let _alone = alone();
    let (engine, peak) = peak(|| {
        let mut wire = Wire::new(Engine::new(reshake_core::engine::Limits {
            kept_bytes: 4 * MB,
            ..reshake_core::engine::Limits::default()
        }));
        for number in 0..600_u32 {
            let mut name = vec![0xff; 16_000];
            name.extend(number.to_be_bytes());
            let [.., high, low] = number.to_be_bytes();
            let mut suites = vec![0x1234_u16; 20_000];
            suites.push(u16::from_be_bytes([high, low]));
            let hello = client_hello(number, &[], &suites, &extensions(&[(0, &server_name(&name))]));
            wire.exchange(number, &client_side(&hello, true), &full_answer(1, &[]));
            wire.now += 2_000_000_000;
        }
        wire.finish()
    });
    // 600 times 60 KB would be 36 MB, and four times that for names written with escapes.
    assert!(peak < 28 * MB, "{peak} bytes at the peak");
    assert!(engine.connection_store().evicted_total() > 300);
}
