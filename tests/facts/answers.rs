//! Everything that is said of every fixture, in short. A change that says something else anywhere, or rests on other
//! frames, shows in the review of one file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::common::joined::joined;
use crate::common::packets::{RawPacket, read, sent_back, write};
use crate::common::{
    Fixture, assert_committed, endpoint, fixtures, items, report_of, report_of_bytes, single_files, sources, text,
};
use reshake::capture::Timeline;
use reshake_core::decrypt::KeyLogReader;
use reshake_core::engine::{Engine, Limits};
use serde_json::Value;

/// A value in as few letters as tell it from another.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join("+"),
        Value::Object(members) if members.contains_key("frame") => match &value["capture"] {
            Value::Number(capture) if capture.as_u64() == Some(0) => format!("#{}", value["frame"]),
            capture => format!("#{capture}:{}", value["frame"]),
        },
        other => other.to_string(),
    }
}

/// Members of an object, one after the other.
fn members(value: &Value, names: &[&str]) -> String {
    let each = names.iter().map(|name| short(&value[*name]));
    each.collect::<Vec<_>>().join(" ")
}

/// An object as `name=value` in the order of the names.
fn pairs(value: &Value) -> String {
    let Some(object) = value.as_object() else {
        return short(value);
    };
    let each = object.iter().map(|(name, value)| format!("{name}={}", short(value)));
    each.collect::<Vec<_>>().join(", ")
}

/// What is claimed, with the frames that show it.
fn claim(out: &mut String, claim: &Value) {
    let frames: Vec<String> = items(claim, "evidence").iter().map(short).collect();
    let told = members(claim, &["name", "confidence", "summary"]);
    let _ = write!(out, "    {told} [{}]", frames.join(" "));
    for more in ["settled_by", "remaining", "severity"] {
        if claim.get(more).is_some_and(|value| short(value) != "-") {
            let _ = write!(out, "; {more} {}", short(&claim[more]));
        }
    }
    if let Some(contrast) = claim.get("contrast").filter(|contrast| !contrast.is_null()) {
        let chance = contrast["p_value"].as_f64().unwrap_or(f64::NAN);
        let _ = write!(out, "; {} {chance:.4}", contrast["counts"]);
    }
    out.push('\n');
}

fn connection(out: &mut String, connection: &Value) {
    let handshake = members(
        connection,
        &[
            "number",
            "tls_version",
            "outcome",
            "resumed_by",
            "offered",
            "early_data",
            "backend",
            "cache_domain",
        ],
    );
    let close = &connection["close"];
    let ends = ["client", "server"].map(|side| {
        let names = [
            "close_notify",
            "close_notify_frame",
            "fin_frame",
            "rst_frame",
            "rst_form",
        ];
        members(&close[side], &names)
    });
    let closed = members(close, &["class", "first_closer"]);
    let _ = writeln!(out, "  {handshake} | {closed} | {} | {}", ends[0], ends[1]);
    let hidden: Vec<String> = connection["not_visible"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, cause)| *cause != "nothing-tells-apart")
        .map(|(fact, cause)| format!("{fact} {}", short(cause)))
        .collect();
    if !connection["preamble"].is_null() {
        let _ = writeln!(out, "    begins with {}", pairs(&connection["preamble"]));
    }
    if !hidden.is_empty() {
        let _ = writeln!(out, "    not visible: {}", hidden.join(", "));
    }
    for reason in items(connection, "reasons") {
        claim(out, reason);
    }
}

fn service(out: &mut String, service: &Value) {
    let name = short(&service["server_name"]);
    let counts = pairs(&service["offers"]);
    let _ = writeln!(out, "  {name} {}: {counts}", endpoint(&service["server"]));
    for group in ["backends", "cache_domains"] {
        for label in items(service, group) {
            let _ = writeln!(out, "    {}", members(label, &["label", "connections", "because"]));
        }
    }
    for exchange in items(service, "issued_and_offered") {
        let told = members(exchange, &["issuer", "acceptor", "resumed", "declined"]);
        let _ = writeln!(out, "    exchange {told}");
    }
    for key in items(service, "ticket_keys") {
        let _ = writeln!(out, "    key {}", pairs(key));
    }
    for said in ["patterns", "findings"] {
        for each in items(service, said) {
            claim(out, each);
        }
    }
}

fn credential(out: &mut String, numbers: &BTreeMap<&str, &Value>, credential: &Value) {
    let number = |id: Option<&str>| {
        id.and_then(|id| numbers.get(id))
            .map_or("-".to_owned(), ToString::to_string)
    };
    let issuer = number(credential["issued"].get("connection").and_then(Value::as_str));
    let offers = items(credential, "offers");
    let offers: Vec<String> = offers
        .iter()
        .map(|offer| format!("{}:{}", number(text(offer, "connection")), short(&offer["outcome"])))
        .collect();
    let told = members(
        credential,
        &[
            "mechanism",
            "tls_version",
            "server_name",
            "lifetime_seconds",
            "state",
            "resumable",
        ],
    );
    let _ = writeln!(
        out,
        "  of {issuer} {} {told} {}",
        short(&credential["issued"]),
        offers.join(" ")
    );
}

fn report(name: &str, report: &Value) -> String {
    let mut out = format!("\n{name}: {}\n", pairs(&report["summary"]["outcomes"]));
    let connections = items(report, "connections");
    let numbers = connections
        .iter()
        .map(|connection| (text(connection, "id").expect("an id"), &connection["number"]))
        .collect();
    for each in connections {
        connection(&mut out, each);
    }
    for each in items(report, "services") {
        service(&mut out, each);
    }
    for each in items(report, "credentials") {
        credential(&mut out, &numbers, each);
    }
    out
}

/// As `Fixture::report`, with the key log beside it; `None` where there is none.
pub(super) fn report_with_keys(fixture: &Fixture) -> Option<Value> {
    let log = std::fs::read(fixture.paths.first()?.with_file_name("keylog.txt")).ok()?;
    let mut timeline = Timeline::new(sources(&fixture.paths));
    let mut engine = Engine::new(Limits::default());
    engine.read_keys(&mut KeyLogReader::default(), &log);
    while let Some(packet) = timeline.next() {
        engine.push(&packet);
    }
    engine.finish();
    Some(report_of((engine, timeline.captures().cloned().collect())))
}

#[test]
fn what_is_said_of_every_fixture_is_as_committed() {
    let mut told = String::from("# Every fixture: its connections with their reasons, its services, its credentials\n");
    for fixture in fixtures() {
        told.push_str(&report(&fixture.name, &fixture.report()));
        if let Some(with_keys) = report_with_keys(&fixture) {
            told.push_str(&report(&format!("{} with keys", fixture.name), &with_keys));
        }
    }
    assert_committed("fixtures/answers.snap", &told);
}

/// What each service is told in one sentence, and what to do: the words that people act on.
fn words(name: &str, report: &Value) -> String {
    let mut out = format!("\n{name}\n");
    for service in items(report, "services") {
        let name = short(&service["server_name"]);
        let [answer, action] = ["answer", "action"].map(|member| short(&service[member]));
        let _ = writeln!(
            out,
            "  {name} {}: {answer}\n    Do: {action}",
            endpoint(&service["server"])
        );
    }
    out
}

#[test]
fn what_every_service_is_told_is_as_committed() {
    let mut told = String::from("# Every fixture: what each service is told, and what to do\n");
    for fixture in fixtures() {
        told.push_str(&words(&fixture.name, &fixture.report()));
        if let Some(with_keys) = report_with_keys(&fixture) {
            told.push_str(&words(&format!("{} with keys", fixture.name), &with_keys));
        }
    }
    assert_committed("fixtures/words.snap", &told);
}

/// In how many connections which outcome, first reason and close are told, and what of their services.
fn sum(report: &Value) -> String {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut count = |what: String| *counts.entry(what).or_default() += 1;
    for connection in items(report, "connections") {
        let reason = items(connection, "reasons").first();
        let reason = reason.map_or("-".to_owned(), |reason| members(reason, &["name", "confidence"]));
        let told = members(connection, &["outcome", "offered", "early_data"]);
        let close = members(&connection["close"], &["class", "first_closer"]);
        count(format!("{told}, {reason}, {close}"));
    }
    for service in items(report, "services") {
        for claim in items(service, "patterns").iter().chain(items(service, "findings")) {
            count(members(claim, &["name", "confidence"]));
        }
    }
    let mut all: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("\n    {count} {what}"))
        .collect();
    let evicted = &report["summary"]["connections_omitted"];
    if evicted != 0 {
        all.push(format!("\n    {evicted} folded"));
    }
    all.concat()
}

/// The packets of which this holds, by their place.
fn only(all: &[RawPacket], keep: impl Fn(usize) -> bool) -> Vec<RawPacket> {
    let kept = all.iter().enumerate().filter(|(place, _)| keep(*place));
    kept.map(|(_, packet)| packet.clone()).collect()
}

/// What is left of a capture, by what was done to it, and what is told of that.
pub(super) fn remains(fixture: &Fixture) -> Vec<(&'static str, Value)> {
    let all = read(fixture.path());
    let (third, back) = (all.len() / 3, sent_back(&all));
    let of = |packets: Vec<RawPacket>| report_of_bytes(vec![write(&packets)]);
    // The last connection is always kept; how many more would fit depends on their size in memory.
    let few = Limits {
        kept_bytes: 1,
        ..Limits::default()
    };
    vec![
        ("begins late", of(all[third..].to_vec())),
        ("ends early", of(all[..2 * third].to_vec())),
        ("every fifth packet lost", of(only(&all, |place| place % 5 != 3))),
        ("one direction", of(only(&all, |place| back[place]))),
        ("the other direction", of(only(&all, |place| !back[place]))),
        ("room for one connection", report_of(fixture.run(few))),
        (
            "joined thirds",
            joined(&all.chunks(third.max(1)).map(<[RawPacket]>::to_vec).collect::<Vec<_>>()),
        ),
        (
            "joined directions",
            joined(&[only(&all, |place| back[place]), only(&all, |place| !back[place])]),
        ),
    ]
}

#[test]
fn what_is_said_of_what_remains_of_every_fixture_is_as_committed() {
    let mut told = String::from("# Fixtures of which packets are missing, or that were captured in parts\n");
    for fixture in single_files() {
        for (change, report) in remains(&fixture) {
            let _ = writeln!(told, "{}, {change}:{}", fixture.name, sum(&report));
        }
    }
    assert_committed("fixtures/remains.snap", &told);
}
