//! The fixtures read with their key logs: more is known, nothing is contradicted, and no secret shows anywhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::common::{Fixture, TrueConnection, assert_none, endpoint, fixtures, items, root, text, texts};
use crate::common::{facts, packets};
use reshake::capture::{Source, Timeline};
use reshake::model::Report;
use reshake::model::session::{Life, NameMeaning};
use reshake::render::json;
use reshake::render::session;
use reshake::render::text::{self as plain};
use reshake_core::decrypt::KeyLogReader;
use reshake_core::engine::{Engine, Limits};
use reshake_core::net::Capture;
use serde_json::{Value, json};

fn keylog(fixture: &Fixture) -> Option<PathBuf> {
    let path = root().join("fixtures").join(&fixture.name).join("keylog.txt");
    path.exists().then_some(path)
}

fn keyed() -> Vec<(Fixture, String)> {
    let read = |fixture: Fixture| {
        Some((
            keylog(&fixture).map(|path| fs::read_to_string(path).expect("text"))?,
            fixture,
        ))
    };
    let all: Vec<_> = fixtures()
        .into_iter()
        .filter_map(read)
        .map(|(log, fixture)| (fixture, log))
        .collect();
    assert!(all.len() >= 20, "only {} fixtures with a key log", all.len());
    all
}

/// Everything pushed through an engine that has these keys.
fn run(fixture: &Fixture, log: &str) -> (Engine, Vec<Capture>) {
    run_sources(crate::common::sources(&fixture.paths), log)
}

fn run_sources(sources: Vec<Box<dyn Source>>, log: &str) -> (Engine, Vec<Capture>) {
    let mut timeline = Timeline::new(sources);
    let mut engine = Engine::new(Limits::default());
    let mut keys = KeyLogReader::default();
    engine.read_keys(&mut keys, log.as_bytes());
    assert_eq!(engine.end_keys(&mut keys), 0, "malformed lines");
    while let Some(packet) = timeline.next() {
        engine.push(&packet);
    }
    engine.finish();
    (engine, timeline.captures().cloned().collect())
}

fn report(fixture: &Fixture, log: &str) -> Value {
    crate::common::report_of(run(fixture, log))
}

/// The connections of a report with the truth of each.
fn matched<'a>(fixture: &'a Fixture, report: &'a Value) -> Vec<(&'a TrueConnection, &'a Value)> {
    let mut by_ends: BTreeMap<(String, String), Vec<&Value>> = BTreeMap::new();
    for connection in items(report, "connections") {
        let ends = (endpoint(&connection["client"]), endpoint(&connection["server"]));
        by_ends.entry(ends).or_default().push(connection);
    }
    let truths = fixture.truth.connections.iter();
    truths
        .filter_map(|truth| {
            let list = by_ends.get_mut(&(truth.client.clone(), truth.server.clone()))?;
            (!list.is_empty()).then(|| (truth, list.remove(0)))
        })
        .collect()
}

#[test]
fn what_the_end_of_a_capture_over_udp_cuts_off_is_not_told_as_none() {
    let mut problems = Vec::new();
    let over_udp = |fixture: &Fixture| fixture.name.contains("/quic") || fixture.name.contains("/dtls");
    for (fixture, log) in keyed().iter().filter(|(fixture, _)| over_udp(fixture)) {
        let whole = report(fixture, log);
        let all = packets::read(fixture.path());
        for count in 1..all.len() {
            let source = crate::common::source_of_bytes("part", packets::write(&all[..count]), 0);
            let part = crate::common::report_of(run_sources(vec![source.expect("a capture")], log));
            for connection in items(&part, "connections") {
                let same = |other: &&Value| other["id"] == connection["id"];
                let Some(before) = items(&whole, "connections").iter().find(same) else {
                    continue;
                };
                for path in ["credentials_issued", "quic.close_frame"] {
                    let member = format!("/{}", path.replace('.', "/"));
                    let missing = |of: &Value| of.pointer(&member).is_none_or(|it| it.is_null() || *it == json!([]));
                    if missing(connection) && !missing(before) && connection["not_visible"].get(path).is_none() {
                        problems.push(format!("{} {count} packets: {} {path}", fixture.name, connection["id"]));
                    }
                }
            }
        }
    }
    assert_none("what was cut off", &problems);
}

/// What differs from what happened, with keys.
fn wrong(fixture: &Fixture, report: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let credentials: BTreeMap<&str, &Value> = items(report, "credentials")
        .iter()
        .map(|credential| (text(credential, "id").expect("an id"), credential))
        .collect();
    let matched = matched(fixture, report);
    for (truth, stated) in &matched {
        if fixture.truth.blind || truth.hidden.is_some() {
            continue;
        }
        let mut expect = |field: &str, expected: &[&str], told: Option<&str>| {
            if !told.is_some_and(|told| expected.contains(&told)) {
                wrong.push(format!(
                    "{} #{} {field}: expected {expected:?}, stated {told:?}",
                    fixture.name, truth.n
                ));
            }
        };
        expect("outcome", &[&truth.outcome], text(stated, "outcome"));
        let accepted: Vec<&str> = truth
            .close
            .iter()
            .chain(&truth.close_keys)
            .map(String::as_str)
            .collect();
        if !accepted.is_empty() {
            expect("close", &accepted, text(&stated["close"], "class"));
        }
        if let Some(early) = &truth.early_data {
            expect("early_data", &[early], text(stated, "early_data"));
        }
        let Some(issuer) = truth.issuer.or(truth.issuer_keys) else {
            continue;
        };
        let issuer = matched.iter().find(|(truth, _)| truth.n == issuer);
        let expected = issuer.and_then(|(_, stated)| text(stated, "id")).expect("the issuer");
        let linked: Vec<&str> = texts(stated, "credentials_offered")
            .into_iter()
            .filter_map(|id| text(credentials[id].get("issued")?, "connection"))
            .collect();
        if !linked.contains(&expected) {
            wrong.push(format!(
                "{} #{} issuer: expected {expected}, linked to {linked:?}",
                fixture.name, truth.n
            ));
        }
    }
    wrong
}

#[test]
fn with_keys_every_fixture_is_told_as_it_happened() {
    let all: Vec<String> = keyed()
        .iter()
        .flat_map(|(fixture, log)| wrong(fixture, &report(fixture, log)))
        .collect();
    assert_none("differences from what happened", &all);
}

#[test]
fn secrets_inside_a_capture_are_used_without_asking() {
    for name in ["captures/keys-in-front", "captures/keys-in-between"] {
        let fixture = crate::common::fixture(name);
        let path = fixture.path().to_str().expect("a UTF-8 path").to_owned();
        let run = reshake::run::analyze(&[path], &reshake::run::RunOptions::default(), &mut |_| {
            std::ops::ControlFlow::Continue(())
        });
        assert_eq!((run.errors.len(), run.warnings.len()), (0, 0), "{:?}", run.warnings);
        let report = crate::common::report_of((run.engine, run.captures));
        assert_none(name, &wrong(&fixture, &report));
        for connection in items(&report, "connections") {
            let inferred = text(&connection["inferred"], "close.client.close_notify");
            assert_eq!(inferred, Some("read with the secrets that the capture itself brings"));
        }
    }
}

/// Every connection whose secrets are in the log is opened: all records of it.
#[test]
fn no_record_of_a_fixture_with_keys_stays_closed() {
    let mut opened = 0;
    let mut problems = Vec::new();
    for (fixture, log) in keyed() {
        let report = report(&fixture, &log);
        for capture in items(&report, "captures") {
            for notice in items(capture, "notices") {
                let code = text(notice, "code").expect("a code");
                if [
                    "keys-do-not-fit",
                    "record-not-opened",
                    "suite-not-opened",
                    "keys-too-late",
                ]
                .contains(&code)
                {
                    problems.push(format!("{}: {notice}", fixture.name));
                }
            }
        }
        opened += report.to_string().matches("\"close_notify\":\"observed\"").count();
    }
    assert_none("records that stay closed", &problems);
    assert!(opened > 50, "only {opened} alerts were read");
}

/// Facts that are known without keys stay what they are, or become what was concluded wrongly from sizes: never the
/// outcome, and never less.
#[test]
fn keys_take_nothing_away() {
    let mut problems = Vec::new();
    for (fixture, log) in keyed() {
        let (without, with) = (fixture.report(), report(&fixture, &log));
        for (before, after) in items(&without, "connections").iter().zip(items(&with, "connections")) {
            for fact in [
                "id",
                "outcome",
                "offered",
                "tls_version",
                "credentials_offered",
                "credential_accepted",
            ] {
                if before[fact] != after[fact] {
                    problems.push(format!(
                        "{} {fact}: {} became {}",
                        fixture.name, before[fact], after[fact]
                    ));
                }
            }
            let hidden = |value: &Value| value["not_visible"].as_object().map_or(0, serde_json::Map::len);
            if hidden(after) > hidden(before) {
                problems.push(format!(
                    "{}: {} became {}",
                    fixture.name, before["not_visible"], after["not_visible"]
                ));
            }
        }
    }
    assert_none("facts that keys took away", &problems);
}

/// A lost packet hides something, or nothing; it changes no fact into another, and alerts behind it are still read.
#[test]
fn a_lost_packet_makes_no_key_open_anything_else() {
    let names = [
        "captures/tls13-closes",
        "captures/keys-tls10-tls11",
        "captures/keys-key-update",
        "captures/renegotiation",
    ];
    let (mut problems, mut read) = (Vec::new(), 0);
    for (fixture, log) in keyed()
        .into_iter()
        .filter(|(fixture, _)| names.contains(&fixture.name.as_str()))
    {
        let whole = report(&fixture, &log);
        let all = packets::read(fixture.path());
        for lost in (0..all.len()).step_by(5) {
            let mut fewer = all.clone();
            fewer.remove(lost);
            let source = crate::common::source_of_bytes("fewer", packets::write(&fewer), 0).expect("a capture");
            let part = crate::common::report_of(run_sources(vec![source], &log));
            let wholes = facts::stated(&whole);
            for stated in facts::stated(&part) {
                let Some(origin) = facts::origin(&wholes, &stated) else {
                    continue;
                };
                for problem in facts::contradictions(origin.value, stated.value) {
                    problems.push(format!("{} without packet {lost}: {problem}", fixture.name));
                }
            }
            read += part.to_string().matches("\"close_notify\":\"observed\"").count();
        }
    }
    assert_none("facts that a lost packet changed", &problems);
    assert!(read > 500, "only {read} alerts were read");
}

/// A CONNECTION_CLOSE may still come where the capture ends first.
#[test]
fn what_a_capture_ends_before_is_not_said_to_be_absent_of_a_quic_connection() {
    let (mut problems, mut compared) = (Vec::new(), 0);
    for (fixture, log) in keyed().into_iter().filter(|(it, _)| it.name.contains("/quic")) {
        let whole = report(&fixture, &log);
        let packets = packets::read(fixture.path());
        for count in 1..packets.len() {
            let source =
                crate::common::source_of_bytes("cut", packets::write(&packets[..count]), 0).expect("a capture");
            let part = crate::common::report_of(run_sources(vec![source], &log));
            let wholes = facts::stated(&whole);
            for stated in facts::stated(&part) {
                let Some(origin) = facts::origin(&wholes, &stated) else {
                    continue;
                };
                for side in ["client", "server"] {
                    let [said, says] = [origin.value, stated.value].map(|it| &it["close"][side]["close_notify"]);
                    let path = format!("close.{side}.close_notify");
                    compared += 1;
                    if says.is_null() && !said.is_null() && stated.value["not_visible"][&path].is_null() {
                        problems.push(format!("{}, first {count} packets: no {path}", fixture.name));
                    }
                }
            }
        }
    }
    assert_none("closes of QUIC that are said to be absent too early", &problems);
    assert!(compared > 100, "only {compared} were compared");
}

/// Where neither SYN was captured the answer of the server may be read last: what the client sealed before waits for it.
#[test]
fn without_syns_a_handshake_that_keys_open_takes_no_other_time() {
    let (mut problems, mut compared) = (Vec::new(), 0);
    for (fixture, log) in keyed() {
        let whole = report(&fixture, &log);
        let mut packets = packets::read(fixture.path());
        let parsed = packets::parse(&packets);
        let mut syns = parsed
            .iter()
            .map(|parsed| parsed.as_ref().is_some_and(|parsed| parsed.flags & 2 != 0));
        packets.retain(|_| syns.next() != Some(true));
        let source = crate::common::source_of_bytes("no SYN", packets::write(&packets), 0).expect("a capture");
        let part = crate::common::report_of(run_sources(vec![source], &log));
        let wholes = facts::stated(&whole);
        for stated in facts::stated(&part) {
            let Some(origin) = facts::origin(&wholes, &stated) else {
                continue;
            };
            let [took, takes] = [origin.value, stated.value].map(|connection| &connection["cost"]["handshake_ms"]);
            compared += usize::from(takes.is_number());
            if takes.is_number() && took != takes {
                problems.push(format!("{}: {took} is told as {takes}", fixture.name));
            }
        }
    }
    assert_none("handshakes that take another time without SYNs", &problems);
    assert!(compared > 100, "only {compared} were compared");
}

/// With the secrets of one connection under the random of another nothing opens, and the report is that without keys.
#[test]
fn wrong_keys_change_nothing_but_the_notice() {
    let mut noticed = 0;
    for (fixture, log) in keyed() {
        let mut wrong = String::new();
        for line in log.lines() {
            let (rest, secret) = line.rsplit_once(' ').expect("three words");
            wrong.extend([rest, " "]);
            wrong.extend(secret.chars().rev());
            wrong.push('\n');
        }
        let without = fixture.report();
        let with = report(&fixture, &wrong);
        for list in ["connections", "credentials", "services"] {
            assert_eq!(without[list], with[list], "{}: {list}", fixture.name);
        }
        noticed += with["captures"].to_string().matches("keys-do-not-fit").count();
    }
    assert!(noticed > 20, "only {noticed} captures say that keys do not fit");
}

/// All that a run can print, and all that a panic could.
fn everything(engine: &Engine, captures: Vec<Capture>) -> String {
    let report = Report::of(engine, captures);
    let mut out = Vec::new();
    json::write_document(&report, &mut out).expect("written to memory");
    json::write_lines(&report, &mut out).expect("written to memory");
    for all in [false, true] {
        plain::write(
            &report,
            plain::TextOptions {
                coloured: true,
                all,
                ..plain::TextOptions::default()
            },
            &mut out,
        )
        .expect("written to memory");
    }
    let credentials = engine
        .credential_store()
        .iter()
        .map(|(id, _)| NameMeaning::Credential(id));
    for found in credentials.chain(
        engine
            .connection_store()
            .iter()
            .map(|(id, _)| NameMeaning::Connection(id)),
    ) {
        let life = Life::of(&report, found);
        session::text(&report, &life, &mut out).expect("written to memory");
        session::json(&report, &life, &mut out).expect("written to memory");
    }
    let mut shown = String::from_utf8(out).expect("UTF-8");
    write!(shown, "{engine:?}\n{engine:#?}\n{report:?}").expect("written to memory");
    shown.to_ascii_lowercase()
}

/// A secret as hex, and as a list of numbers as Debug would write it.
fn forms(secret: &str) -> [String; 2] {
    let bytes: Vec<u8> = (0..12)
        .map(|at| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).expect("hex"))
        .collect();
    let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    [secret[..24].to_ascii_lowercase(), numbers.join(", ")]
}

#[test]
fn no_secret_and_no_content_shows_anywhere() {
    let mut looked_for = 0;
    for (fixture, log) in keyed() {
        let (engine, captures) = run(&fixture, &log);
        let shown = everything(&engine, captures);
        for line in log.lines() {
            let secret = line.split(' ').next_back().expect("a word");
            for form in forms(secret) {
                looked_for += 1;
                assert!(!shown.contains(&form), "{}: a secret shows", fixture.name);
            }
        }
        // What the lab's clients and servers say to each other under protection.
        for content in ["get / http", "olleh", "1.1 200 ok"] {
            assert!(!shown.contains(content), "{}: content shows", fixture.name);
        }
    }
    assert!(looked_for > 500, "only {looked_for} secrets were looked for");
    // The search can find something.
    assert!("Secret [1, 2, 3]".contains("1, 2, 3") && forms(&"0102".repeat(12))[1].starts_with("1, 2, 1"));
}

fn reshake(arguments: &[&str], environment: Option<&str>) -> (i32, String, String) {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_reshake"));
    command.args(arguments).env_remove("SSLKEYLOGFILE");
    if let Some(log) = environment {
        command.env("SSLKEYLOGFILE", log);
    }
    let output = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().expect("an exit status"),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_command_names_a_malformed_line_and_never_repeats_it() {
    let fixture = crate::common::fixture("captures/tls13-closes");
    let capture = fixture.path().to_str().expect("UTF-8").to_owned();
    let good = fs::read_to_string(fixture.path().with_file_name("keylog.txt")).expect("a key log");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("keys.txt");
    fs::write(&path, format!("CLIENT_RANDOM 5ec2e7 5ec2e7\n{good}5ec2e7 5ec2e7\n")).expect("written");
    let log = path.to_str().expect("UTF-8");
    let (status, out, said) = reshake(&["-q", "--format", "json", "--keylog", log, &capture], None);
    assert_eq!(status, 0, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("keys.txt: line 1 has no client random"), "{said}");
    assert!(
        lines[1].contains("is not a label, a client random and a secret"),
        "{said}"
    );
    assert!(!said.contains("5ec2e7") && !out.contains("5ec2e7"));
    assert!(out.contains("\"close_notify\":\"observed\""));
    assert!(out.contains("key-log-line-malformed"));
}

#[test]
fn the_environment_is_asked_only_when_told_to() {
    let fixture = crate::common::fixture("captures/tls13-closes");
    let capture = fixture.path().to_str().expect("UTF-8").to_owned();
    let log = fixture.path().with_file_name("keylog.txt");
    let log = log.to_str().expect("UTF-8");
    let observed = |out: &str| out.contains("\"close_notify\":\"observed\"");
    let (status, out, _) = reshake(&["-q", "--format", "json", &capture], Some(log));
    assert_eq!((status, observed(&out)), (0, false));
    let (status, out, _) = reshake(&["-q", "--format", "json", "--keylog-env", &capture], Some(log));
    assert_eq!((status, observed(&out)), (0, true));
    let (status, _, said) = reshake(&["-q", "--keylog-env", &capture], None);
    assert_eq!(status, 2);
    assert!(
        said.contains("SSLKEYLOGFILE is not set; give the file as --keylog FILE"),
        "{said}"
    );
    let (status, out, said) = reshake(&["-q", "--keylog", "/nonexistent/keys", &capture], None);
    assert_eq!(status, 3, "the capture is reported all the same");
    assert!(said.contains("/nonexistent/keys: cannot be opened: "), "{said}");
    assert!(out.contains("TLS connections"), "{out}");
}
