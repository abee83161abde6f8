//! Reports under other names: nothing of the originals is left in any format, and nothing else changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::common::forms::{for_machines, for_people};
use crate::common::{Fixture, assert_none, fixture, fixtures, items, text};
use reshake::model::{Report, Selection, community_id, connection_id, credential_id, service_id, service_of};
use reshake::redact::{Aliases, KEY_LENGTH, RedactionKey};
use reshake::render::json;
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::{Capture, Neighbour, hex};
use serde_json::Value;
use zeroize::Zeroizing;

fn aliases(byte: u8) -> Aliases {
    Aliases::new(&RedactionKey::new(Zeroizing::new(vec![byte; KEY_LENGTH])).expect("long enough"))
}

fn redacted(fixture: &Fixture, byte: u8) -> (Engine, Vec<Capture>) {
    let (mut engine, mut captures) = fixture.run(Limits::default());
    aliases(byte).apply(&mut engine, &mut captures);
    (engine, captures)
}

/// Everything in the facts of a run that names a host or a credential, as text and as hex.
fn originals(engine: &Engine, captures: &[Capture]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let address = |all: &mut BTreeSet<String>, ip: IpAddr| {
        all.insert(ip.to_string());
        match ip {
            IpAddr::V4(ip) => all.insert(hex(&ip.octets())),
            IpAddr::V6(ip) => all.insert(hex(&ip.octets())),
        };
    };
    for (_, connection) in engine.connection_store().iter() {
        let preamble = connection.transport.preamble().and_then(|it| it.client);
        let behind = connection.transport.behind();
        let ends = [Some(connection.client), Some(connection.server), preamble, behind];
        ends.into_iter().flatten().for_each(|end| address(&mut all, end.ip));
        let outer = connection
            .transport
            .outer()
            .iter()
            .filter_map(|it| it.between)
            .flatten();
        outer.for_each(|ip| address(&mut all, ip));
        all.extend(connection.marks.mac.map(|mac| mac.to_string()));
        all.extend(connection.server_name().map(ToString::to_string));
        all.insert(connection_id(connection));
        all.insert(community_id(
            connection.transport.kind(),
            connection.client,
            connection.server,
        ));
        all.insert(service_id(&service_of(connection)));
    }
    for (_, credential) in engine.credential_store().iter() {
        all.insert(credential_id(credential));
        all.insert(hex(&credential.name.sha256)[..16].to_owned());
        // Names of keys are shown by their first four bytes.
        let head = hex(credential.name.head());
        all.extend(
            head.get(..8)
                .filter(|head| head.chars().any(|digit| digit != '0'))
                .map(ToOwned::to_owned),
        );
        all.extend(credential.server_name.as_deref().map(ToOwned::to_owned));
        address(&mut all, credential.server.ip);
    }
    for seen in engine.neighbours() {
        match seen.what {
            Neighbour::Claims { ip, mac, .. } => {
                address(&mut all, ip);
                all.insert(mac.to_string());
            }
            Neighbour::Unreachable {
                source, destination, ..
            } => {
                address(&mut all, source.ip);
                address(&mut all, destination.ip);
            }
        }
    }
    all.extend(captures.iter().map(|capture| capture.path.clone()));
    all
}

/// Every form of a report, by name.
fn outputs(report: &Report<'_>) -> Vec<(&'static str, String)> {
    let mut forms = for_people(report);
    forms.extend(for_machines(report));
    let mut rows = Vec::new();
    json::write_csv(report, &mut rows).expect("written to memory");
    forms.push(("csv", rows));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    forms.into_iter().map(|(name, bytes)| (name, text(bytes))).collect()
}

/// Whether `word` stands in `text` on its own: 10.0.0.1 does not in 10.0.0.12.
fn holds(text: &str, word: &str) -> bool {
    let joins = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let inside = |letter: Option<char>| letter.is_some_and(joins);
        let digits = word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits || !inside(before) && before != Some('.') && before != Some(':') && !inside(after)
    })
}

#[test]
fn nothing_that_names_a_host_or_a_credential_is_left_in_any_format() {
    let mut problems = Vec::new();
    let mut searched = 0;
    for fixture in fixtures() {
        let (engine, captures) = fixture.run(Limits::default());
        let originals = originals(&engine, &captures);
        searched += originals.len();
        let (engine, captures) = redacted(&fixture, 1);
        for (format, shown) in outputs(&Report::of(&engine, captures)) {
            let found = originals.iter().filter(|original| holds(&shown, original));
            problems.extend(found.map(|original| format!("{}: {original} is in the {format}", fixture.name)));
        }
    }
    assert!(searched > 2_000, "only {searched} originals to look for");
    assert_none("originals in a redacted output", &problems);
}

#[test]
fn the_search_finds_what_is_not_redacted() {
    let fixture = fixture("captures/quickstart");
    let (engine, captures) = fixture.run(Limits::default());
    let originals = originals(&engine, &captures);
    for (format, shown) in outputs(&Report::of(&engine, captures)) {
        if !format.starts_with("what-if") {
            assert!(originals.iter().any(|original| holds(&shown, original)), "{format}");
        }
    }
}

/// Walks two documents at once: same shape, same numbers, same words but for names, and one replacement for one name.
fn compare(
    path: &str,
    a: &Value,
    b: &Value,
    pairs: &mut BTreeMap<(String, String), String>,
    problems: &mut Vec<String>,
) {
    /// Members whose texts name hosts or credentials.
    const NAMES: [&str; 30] = [
        "id",
        "community_id",
        "ip",
        "client",
        "server",
        "service",
        "server_name",
        "filter",
        "credentials_offered",
        "credential_accepted",
        // Of an FTP transfer: its control connection.
        "control",
        "credentials_issued",
        "credential",
        "session_id",
        "prefix",
        "sha256",
        "connection",
        "control",
        "issuer_candidates",
        "key_name",
        "name",
        "path",
        "summary",
        "answer",
        "action",
        "text",
        "because",
        "header",
        "alpn",
        "issuer",
    ];
    /// Of those, sentences: a name is a part of them.
    const SENTENCES: [&str; 6] = ["filter", "summary", "answer", "action", "text", "because"];
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            if a.keys().ne(b.keys()) {
                problems.push(format!("{path}: other members"));
            }
            for (key, value) in a {
                if let Some(other) = b.get(key) {
                    compare(&format!("{path}.{key}"), value, other, pairs, problems);
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (value, other) in a.iter().zip(b) {
                compare(path, value, other, pairs, problems);
            }
        }
        (Value::String(a), Value::String(b)) if a != b => {
            let member = path.rsplit('.').next().unwrap_or_default();
            if !NAMES.contains(&member) {
                problems.push(format!("{path}: {a} became {b}"));
            } else if !SENTENCES.contains(&member) {
                let kind = member.trim_end_matches("_offered").to_owned();
                let known = pairs.entry((kind, a.clone())).or_insert_with(|| b.clone());
                if known != b {
                    problems.push(format!("{path}: {a} became {known} and {b}"));
                }
            }
        }
        (a, b) if a == b => {}
        (a, b) => problems.push(format!("{path}: {a} became {b}")),
    }
}

/// Services of equal size stand in the order of their addresses, which change: the order of their connections instead.
fn settle_order(mut report: Value) -> Value {
    let first = |service: &Value, report: &Value| {
        let id = text(service, "id").map(ToOwned::to_owned);
        items(report, "connections")
            .iter()
            .position(|it| text(it, "service").map(ToOwned::to_owned) == id)
    };
    let mut services: Vec<Value> = items(&report, "services").to_vec();
    services.sort_by_key(|service| first(service, &report));
    report["services"] = Value::Array(services);
    report
}

#[test]
fn redaction_changes_names_and_nothing_else() {
    let mut problems = Vec::new();
    for fixture in fixtures() {
        let before = settle_order(fixture.report());
        let mut after = settle_order(crate::common::report_of(redacted(&fixture, 1)));
        let told = after.as_object_mut().and_then(|report| report.remove("redacted"));
        assert_eq!(told, Some(true.into()), "{}", fixture.name);
        let mut found = Vec::new();
        let mut pairs = BTreeMap::new();
        compare("", &before, &after, &mut pairs, &mut found);
        let mut replacements: Vec<(&String, &String)> = pairs.iter().map(|((kind, _), to)| (kind, to)).collect();
        replacements.sort();
        let all = replacements.len();
        replacements.dedup();
        if replacements.len() < all {
            found.push("two names became one".to_owned());
        }
        problems.extend(
            found
                .into_iter()
                .take(4)
                .map(|problem| format!("{}: {problem}", fixture.name)),
        );
    }
    assert_none("differences", &problems);
}

#[test]
fn one_key_gives_one_set_of_names_and_another_key_another() {
    let fixture = fixture("captures/quickstart");
    let report = |byte| crate::common::report_of(redacted(&fixture, byte));
    assert_eq!(report(1), report(1));
    assert_ne!(report(1), report(2));
}

#[test]
fn a_selection_is_made_by_the_original_names_and_shown_without_them() {
    let fixture = fixture("captures/quickstart");
    let (mut engine, mut captures) = fixture.run(Limits::default());
    let selection = Selection::parse("client:10.0.0.11 outcome:declined").expect("a selection");
    let plain = Report::of_selected(&engine, captures.clone(), Some(selection.clone())).len();
    let settled = selection.settled(&Report::of(&engine, captures.clone()));
    aliases(1).apply(&mut engine, &mut captures);
    let report = Report::of_selected(&engine, captures, Some(settled));
    assert_eq!(report.len(), plain);
    assert!(plain > 0);
    assert_eq!(report.selection(), Some("client:(redacted) outcome:declined"));
}
