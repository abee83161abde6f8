//! A capture beside a client that visits the servers of others: what is wrong with these is one line.

use crate::common::packets::{self, RawPacket};
use crate::common::{analyse, report_of_bytes, single_files, source_of_bytes};
use reshake::model::Report;
use reshake::render::text;
use reshake_core::engine::Limits;

const FIRST: usize = 14;

/// The packets of a fixture with its server at another address, and other randoms in its hellos.
fn at(all: &[RawPacket], server: [u8; 4]) -> Vec<RawPacket> {
    let mut moved = all.to_vec();
    for packet in &mut moved {
        for place in [FIRST + 12, FIRST + 16] {
            if packet.data.get(place..place + 4) == Some(&[10, 0, 0, 21][..]) {
                packet.data[place..place + 4].copy_from_slice(&server);
            }
        }
        let tcp = FIRST + 20 + 12;
        let payload = packet
            .data
            .get(tcp)
            .map_or(0, |byte| FIRST + 20 + usize::from(byte >> 4) * 4);
        if matches!(packet.data.get(payload..payload + 6), Some([22, 3, _, _, _, 1 | 2])) {
            packet.data[payload + 11] ^= server[3];
            packet.data[payload + 30] ^= server[3];
        }
    }
    moved
}

fn told(packets: &[RawPacket]) -> String {
    let source = source_of_bytes("moved", packets::write(packets), 0).expect("a capture");
    let (engine, captures) = analyse(vec![source], Limits::default());
    let report = Report::of(&engine, captures);
    let mut out = Vec::new();
    let options = text::TextOptions {
        coloured: false,
        all: false,
        ..text::TextOptions::default()
    };
    text::write(&report, options, &mut out).expect("written to memory");
    String::from_utf8(out).expect("a report is UTF-8")
}

#[test]
fn what_is_wrong_with_the_servers_of_others_is_one_line() {
    let mut fixtures = single_files().into_iter();
    let fixture = fixtures
        .find(|fixture| fixture.name == "findings/psk-without-dhe")
        .expect("a fixture");
    let all = packets::read(fixture.path());
    let many = |network: [u8; 3]| -> Vec<RawPacket> {
        let [a, b, c] = network;
        (1..=9).flat_map(|host| at(&all, [a, b, c, host])).collect()
    };
    let alone = report_of_bytes(vec![packets::write(&many([93, 184, 216]))]);
    assert_eq!(alone["services"].as_array().map(Vec::len), Some(9));
    let outward = told(&many([93, 184, 216]));
    assert_eq!(outward.matches("security").count(), 1, "{outward}");
    let line = "9 services that these clients visit, for their operators: psk-without-dhe (9)";
    let unwrapped = outward.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains(line), "{outward}");
    // One's own servers behind a proxy.
    let inward = told(&many([10, 0, 7]));
    assert_eq!(inward.matches("security   warning").count(), 9, "{inward}");
}
