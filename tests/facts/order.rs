//! A file whose packets stand in no order at all: every byte is there, so nothing is told that did not happen.

use std::collections::BTreeMap;

use crate::common::{Random, assert_none, packets, report_of_bytes, single_files};
use serde_json::Value;

/// What is compared.
const FACTS: [&str; 5] = [
    "/outcome",
    "/resumed_by",
    "/tls_version",
    "/close/class",
    "/close/first_closer",
];

/// The connections by their ends, those left out of which there are several.
fn connections(report: &Value) -> BTreeMap<String, &Value> {
    let mut found: BTreeMap<String, Option<&Value>> = BTreeMap::new();
    for connection in report["connections"].as_array().expect("connections") {
        let ends = format!("{} {}", connection["client"], connection["server"]);
        found
            .entry(ends)
            .and_modify(|known| *known = None)
            .or_insert(Some(connection));
    }
    let single = |(ends, connection): (String, Option<_>)| Some((ends, connection?));
    found.into_iter().filter_map(single).collect()
}

/// What the order of the file alone tells: whether a reset came before the other side's FIN, and, where the end of a handshake
/// that broke stands before its SYN and so belongs to no connection, that it did not go on.
fn by_order_alone(fact: &str, original: &Value, shuffled: &Value) -> bool {
    let frame = |side: &str, end: &str| !original["close"][side][end].is_null();
    let reset_and_fin = frame("client", "rst_frame") && frame("server", "fin_frame")
        || frame("server", "rst_frame") && frame("client", "fin_frame");
    let end_lost = value(original, "/outcome") == Some("failed") && value(shuffled, "/close/class").is_none();
    match fact {
        "/close/first_closer" => reset_and_fin,
        "/outcome" => end_lost,
        _ => false,
    }
}

fn value<'a>(connection: &'a Value, fact: &str) -> Option<&'a str> {
    let value = connection.pointer(fact).and_then(Value::as_str);
    value.filter(|value| *value != "unclear")
}

#[test]
fn in_a_file_without_order_nothing_is_told_otherwise() {
    let mut problems = Vec::new();
    for fixture in single_files() {
        let all = packets::read(fixture.path());
        let before = report_of_bytes(vec![packets::write(&all)]);
        let mut shuffled = all;
        Random::seeded(&fixture.name, 11).shuffle(&mut shuffled);
        let after = report_of_bytes(vec![packets::write(&shuffled)]);
        let (before, after) = (connections(&before), connections(&after));
        for (ends, connection) in &after {
            let Some(original) = before.get(ends) else { continue };
            let datagrams = value(connection, "/transport") != Some("tcp");
            for fact in FACTS {
                // No number tells that an alert of DTLS is missing which stands in the file before its handshake.
                if datagrams && fact.starts_with("/close") {
                    continue;
                }
                if by_order_alone(fact, original, connection) {
                    continue;
                }
                let (was, is) = (value(original, fact), value(connection, fact));
                if is.is_some() && was.is_some() && is != was {
                    problems.push(format!("{}: {ends} {fact}: {was:?} became {is:?}", fixture.name));
                }
            }
        }
    }
    assert_none("without order", &problems);
}
