//! What full handshakes cost that need not have been: the sums of a service are those of its connections.

use crate::common::{assert_none, fixture, fixtures, items, packets, report_of_bytes, text};
use serde_json::Value;

/// First handshakes, and those opened beside them, could not have been resumptions.
const NEWCOMERS: [&str; 2] = ["first-in-capture", "no-credential-yet-parallel"];

fn is_avoidable(connection: &Value) -> bool {
    let full = ["declined", "not-offered"].contains(&text(connection, "outcome").unwrap_or_default());
    let newcomer = items(connection, "reasons")
        .iter()
        .any(|reason| text(reason, "name").is_some_and(|name| NEWCOMERS.contains(&name)));
    let offered = crate::common::offered(connection);
    let external = !offered.is_empty() && offered.iter().all(|kind| *kind == "external-psk");
    full && !newcomer && !external
}

/// Handshakes, extra round trips, milliseconds of the handshakes and bytes of some connections.
fn sum<'a>(connections: impl Iterator<Item = &'a Value>) -> (u64, u64, f64, u64) {
    connections.fold((0, 0, 0.0, 0), |(handshakes, trips, time, bytes), connection| {
        let cost = &connection["cost"];
        let both = cost["handshake_bytes"]["client"]
            .as_u64()
            .zip(cost["handshake_bytes"]["server"].as_u64());
        (
            handshakes + 1,
            trips + cost["extra_round_trips"].as_u64().unwrap_or(0),
            time + cost["handshake_ms"].as_f64().unwrap_or(0.0),
            bytes + both.map_or(0, |(client, server)| client + server),
        )
    })
}

fn stated(cost: &Value) -> (u64, u64, f64, u64) {
    let number = |member: &str| cost[member].as_u64().unwrap_or(0);
    (
        number("handshakes"),
        number("extra_round_trips"),
        cost["handshake_ms"].as_f64().unwrap_or(0.0),
        number("handshake_bytes"),
    )
}

/// Times are rounded to a microsecond on the way out.
fn same(a: (u64, u64, f64, u64), b: (u64, u64, f64, u64)) -> bool {
    let rounding = 0.001 * f64::from(u32::try_from(a.0).expect("few handshakes") + 1);
    (a.0, a.1, a.3) == (b.0, b.1, b.3) && (a.2 - b.2).abs() <= rounding
}

#[test]
fn the_cost_of_a_service_is_that_of_its_connections() {
    let mut problems = Vec::new();
    let mut handshakes = 0;
    for fixture in fixtures() {
        let report = fixture.report();
        for service in items(&report, "services") {
            let id = &service["id"];
            let avoidable: Vec<&Value> = items(&report, "connections")
                .iter()
                .filter(|connection| connection["service"] == *id && is_avoidable(connection))
                .collect();
            let all = &service["avoidable"];
            let (expected, told) = (sum(avoidable.iter().copied()), stated(all));
            handshakes += expected.0;
            if !same(expected, told) {
                problems.push(format!("{} {id}: {told:?}, its connections {expected:?}", fixture.name));
            }
            let by_reason = all["by_reason"].as_object().expect("an object");
            for (reason, cost) in by_reason {
                let primary = |connection: &&&Value| connection["reasons"][0]["name"] == **reason;
                let (expected, told) = (sum(avoidable.iter().filter(primary).copied()), stated(cost));
                if !same(expected, told) {
                    problems.push(format!(
                        "{} {id} {reason}: {told:?}, its connections {expected:?}",
                        fixture.name
                    ));
                }
            }
            let operations = |cost: &Value| -> u64 {
                let counts = cost["certificate_operations"].as_object().expect("an object");
                counts.values().filter_map(Value::as_u64).sum()
            };
            let paid = avoidable
                .iter()
                .filter(|connection| connection["cost"]["certificate_operation"].is_string());
            if operations(all) != paid.count() as u64 {
                problems.push(format!("{} {id}: {}", fixture.name, all["certificate_operations"]));
            }
        }
    }
    assert!(
        handshakes > 100,
        "only {handshakes} handshakes that need not have been full"
    );
    assert_none("costs that are not those of the connections", &problems);
}

/// The extra round trips and the operation of the last full handshake of a fixture.
fn last_full(name: &str) -> (Option<u64>, Option<String>) {
    let report = fixture(name).report();
    let full = items(&report, "connections")
        .iter()
        .rfind(|connection| connection["outcome"] != "resumed")
        .expect("a full handshake");
    let cost = &full["cost"];
    let operation = cost["certificate_operation"].as_str().map(ToOwned::to_owned);
    (cost["extra_round_trips"].as_u64(), operation)
}

#[test]
fn a_full_handshake_costs_what_its_version_really_costs() {
    for (name, trips, operation) in [
        ("reasons/other-backend-cache", 1, "ec-signature"),
        ("captures/tls10-openssl-server", 1, "rsa-signature"),
        ("captures/false-start", 0, "ec-signature"),
        ("captures/stek-not-shared-tls13", 0, "signature"),
        ("captures/tls13-early-data", 1, "signature"),
    ] {
        let expected = (Some(trips), Some(operation.to_owned()));
        assert_eq!(last_full(name), expected, "{name}");
    }
}

#[test]
fn a_resumption_costs_no_operation_with_the_certificate() {
    let mut resumed = 0;
    for fixture in fixtures() {
        for connection in items(&fixture.report(), "connections") {
            if connection["outcome"] == "resumed" {
                resumed += 1;
                assert_eq!(connection["cost"]["extra_round_trips"], 0, "{}", fixture.name);
                assert!(
                    connection["cost"]["certificate_operation"].is_null(),
                    "{}",
                    fixture.name
                );
            }
        }
    }
    assert!(resumed > 100);
}

/// What was held back until TLS was recognised counts once.
#[test]
fn segments_cut_in_two_make_a_handshake_no_longer() {
    let (mut problems, mut compared) = (Vec::new(), 0);
    for name in ["captures/quickstart", "captures/proxy-v1", "captures/tls13-closes"] {
        let fixture = fixture(name);
        let bytes = |report: &Value| -> Vec<Value> {
            let connections = items(report, "connections").iter();
            connections
                .map(|connection| connection["cost"]["handshake_bytes"].clone())
                .collect()
        };
        let whole = bytes(&fixture.report());
        let all = packets::read(fixture.path());
        let parsed = packets::parse(&all);
        for at in [1, 4, 7] {
            let cut = |(packet, parsed): (&packets::RawPacket, &Option<packets::Parsed>)| {
                let halves = parsed.as_ref().and_then(|parsed| packets::split(packet, parsed, at));
                halves.map_or_else(|| vec![packet.clone()], Vec::from)
            };
            let halves: Vec<_> = all.iter().zip(&parsed).flat_map(cut).collect();
            assert!(halves.len() > all.len());
            let cut = bytes(&report_of_bytes(vec![packets::write(&halves)]));
            compared += cut.len();
            if cut != whole {
                problems.push(format!("{name}, cut behind {at} bytes: {whole:?} are told as {cut:?}"));
            }
        }
    }
    assert_none("handshakes that cut segments make longer", &problems);
    assert!(compared > 20, "only {compared} were compared");
}

/// A handshake that came to no end has no duration; of one whose end is lost it is not visible.
#[test]
fn what_a_broken_handshake_would_have_cost_is_absent_and_not_hidden() {
    let paths = ["cost.handshake_ms", "cost.handshake_bytes.client"];
    let report = fixture("captures/client-leaves").report();
    let failed: Vec<_> = items(&report, "connections")
        .iter()
        .filter(|connection| connection["outcome"] == "failed")
        .collect();
    assert_eq!(failed.len(), 6);
    for connection in failed {
        assert!(connection["cost"]["handshake_ms"].is_null(), "{connection}");
        let hidden = &connection["not_visible"];
        assert!(paths.iter().all(|path| hidden[*path].is_null()), "{hidden}");
    }
    // The capture ends inside the handshake of the first connection.
    let path = fixture("captures/client-leaves");
    let all = packets::read(path.path());
    let cut = report_of_bytes(vec![packets::write(all.get(..5).expect("a ClientHello"))]);
    let connection = &items(&cut, "connections")[0];
    let hidden = &connection["not_visible"];
    assert!(connection["cost"]["handshake_ms"].is_null() && hidden["cost.handshake_ms"].is_string());
}
