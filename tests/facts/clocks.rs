//! Two taps with clocks of their own: by how much these differ is told.

use crate::common::packets::{self, RawPacket};
use crate::common::{items, report_of_bytes, single_files};

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
