//! Transfers of FTP find their control connections.

use crate::common::{Fixture, items, single_files};
use serde_json::Value;

fn fixture(name: &str) -> Fixture {
    let mut all = single_files().into_iter();
    all.find(|fixture| fixture.name == name).expect("a fixture")
}

/// For each connection the number of its control connection, and what it resumed.
fn transfers(report: &Value) -> Vec<Option<(usize, Option<&str>)>> {
    let all = items(report, "connections");
    let mut found = Vec::new();
    for connection in all {
        let transfer = &connection["ftp"];
        let control = all.iter().position(|control| control["id"] == transfer["control"]);
        found.push(control.map(|control| (control + 1, transfer["session"].as_str())));
    }
    found
}

#[test]
fn every_transfer_of_two_control_connections_resumes_the_session_of_its_own() {
    let own = Some("control");
    let expected = [
        None,
        Some((1, own)),
        Some((1, own)),
        None,
        Some((4, own)),
        Some((4, own)),
    ];
    for name in ["captures/ftp-passive", "captures/ftp-active"] {
        let report = fixture(name).report();
        assert_eq!(transfers(&report), expected, "{name}");
        let mut services = items(&report, "services").iter();
        let counts = services
            .find_map(|service| service.get("ftp_transfers"))
            .expect("counts");
        assert_eq!(
            (counts["control"].as_u64(), counts["none"].as_u64()),
            (Some(4), Some(0)),
            "{name}: {counts}"
        );
    }
}

#[test]
fn where_tickets_are_encrypted_the_first_session_alone_is_told() {
    let report = fixture("captures/ftp-passive-tls13").report();
    let own = Some("control");
    let expected = [
        None,
        Some((1, own)),
        Some((1, own)),
        None,
        Some((4, None)),
        Some((4, None)),
    ];
    assert_eq!(transfers(&report), expected);
    let connections = items(&report, "connections");
    assert_eq!(connections[4]["not_visible"]["ftp.session"], "encrypted");
    assert!(connections[1]["inferred"]["ftp.session"].is_string());
}

#[test]
fn connections_of_other_protocols_are_no_transfers() {
    for name in ["captures/imap-starttls", "captures/ipv6", "captures/http-beside-tls"] {
        let report = fixture(name).report();
        assert!(
            items(&report, "connections")
                .iter()
                .all(|connection| connection["ftp"].is_null()),
            "{name}"
        );
    }
}
