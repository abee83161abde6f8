//! Two runs side by side.

use reshake::diff::{self, Diff, DiffSide};
use reshake::model::Report;
use reshake::render::json;
use reshake_core::engine::Limits;
use serde_json::Value;

use super::{QUICKSTART, SHARED, err, out, run, schema_text};
use crate::common::{assert_committed, assert_none, fixtures, items, text};

fn document(diff: &Diff<'_>) -> Value {
    let mut out = Vec::new();
    diff::write_json(diff, &mut out).expect("written to memory");
    serde_json::from_slice(&out).expect("JSON")
}

#[test]
fn a_capture_and_its_report_are_the_same() {
    let strict = jsonschema::validator_for(&diff::schema(true)).expect("a schema");
    let mut problems = Vec::new();
    for fixture in fixtures() {
        let (engine, captures) = fixture.run(Limits::default());
        let report = Report::of(&engine, captures);
        let mut written = Vec::new();
        json::write_document(&report, &mut written).expect("written to memory");
        let capture = DiffSide::of(&report, "a");
        let read = DiffSide::parse("a", &written).expect("a report");
        let document = document(&Diff::between(&capture, &read));
        let errors = strict.iter_errors(&document).take(3);
        problems.extend(errors.map(|error| format!("{} {}: {error}", fixture.name, error.instance_path())));
        for change in items(&document, "services").iter().chain([&document["all"]]) {
            let same = |value: &Value| value["before"] == value["after"];
            let rates = [
                &change["resumption_rate"],
                &change["returning_share"],
                &change["connections"],
            ];
            let names = ["reasons", "patterns", "findings"]
                .into_iter()
                .flat_map(|list| items(change, list));
            let kept = names
                .clone()
                .all(|entry| same(entry) && text(entry, "change") == Some("kept"));
            let services = change["before"] == change["after"];
            if !rates.into_iter().all(same) || !kept || !services {
                problems.push(format!("{}: {change}", fixture.name));
            }
        }
    }
    assert_none("reports that are not what they were made of", &problems);
}

#[test]
fn the_committed_schema_is_the_one_the_code_makes() {
    assert_committed("docs/diff-v1.schema.json", &schema_text(&diff::schema(false)));
}

#[test]
fn only_a_change_may_be_chance() {
    let other = |name: &str| format!("fixtures/reasons/{name}/capture.pcapng");
    let told = |before: &str, after: &str| out(&run(&["diff", "-q", before, after]));
    let (refused, never) = (other("stek-not-shared"), other("server-never-accepts-ids"));
    let equal = told(&refused, &refused);
    assert!(
        equal.contains(" +0.0 points (95 %:") && !equal.contains("chance"),
        "{equal}"
    );
    let small = told(&refused, &never);
    assert!(small.contains(", may be chance"), "{small}");
}

#[test]
fn a_change_is_told_with_its_doubt() {
    let output = run(&["diff", "-q", QUICKSTART, SHARED]);
    assert!(output.status.success(), "{}", err(&output));
    insta::assert_snapshot!("gate_diff", out(&output));
    let output = run(&["diff", "-q", "--format", "json", QUICKSTART, SHARED]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["schema"], "reshake-diff/1");
    let rate = &document["all"]["resumption_rate"];
    assert_eq!(rate["before"]["part"], 12);
    assert_eq!(rate["difference"]["shown"], true);
    let lost: Vec<Option<&str>> = items(&document["all"], "patterns")
        .iter()
        .map(|one| text(one, "change"))
        .collect();
    assert_eq!(lost, [Some("lost")]);
}

#[test]
fn connections_that_were_only_counted_lost_no_reason() {
    let report = |memory: &str| run(&["analyze", "--max-memory", memory, "--format", "json", QUICKSTART]).stdout;
    let sides = ["1G", "16K"].map(|memory| DiffSide::parse(memory, &report(memory)).expect("a report"));
    let compared = document(&Diff::between(&sides[0], &sides[1]));
    assert_eq!(compared["before"]["connections_omitted"], 0);
    let omitted = compared["after"]["connections_omitted"].as_u64();
    assert!(
        omitted > Some(0) && compared["after"]["connections"] == 32,
        "{compared}"
    );
    for part in [&compared["all"], &compared["services"][0]] {
        assert!(
            part["reasons"].is_null() && part["patterns"].is_null() && part["findings"].is_null(),
            "{part}"
        );
        assert_eq!(
            part["resumption_rate"]["before"], part["resumption_rate"]["after"],
            "{part}"
        );
    }
    // Of a service that was not told apart, any service may have been.
    let mut elsewhere: Value = serde_json::from_slice(&report("1G")).expect("JSON");
    let unclear = &mut elsewhere["summary"]["outcomes"]["unclear"];
    *unclear = (unclear.as_u64().expect("a count") + 1).into();
    let elsewhere = DiffSide::parse("c", elsewhere.to_string().as_bytes()).expect("a report");
    let compared = document(&Diff::between(&sides[0], &elsewhere));
    assert!(compared["services"][0]["reasons"].is_null(), "{compared}");
    let output = run(&["diff", "-q", "--max-memory", "16K", QUICKSTART, QUICKSTART]);
    let told = out(&output);
    assert!(
        told.contains("only counted, at the memory limit (--max-memory)"),
        "{told}"
    );
    assert!(
        told.contains("not compared") && !told.contains("reasons lost"),
        "{told}"
    );
}

#[test]
fn a_service_that_moved_is_found_by_its_name() {
    let report = run(&["analyze", "--format", "json", SHARED]).stdout;
    let moved = String::from_utf8(report.clone())
        .expect("UTF-8")
        .replace("10.0.0.100", "10.9.9.9");
    let (before, after) = (
        DiffSide::parse("a", &report).expect("a report"),
        DiffSide::parse("b", moved.as_bytes()).expect("a report"),
    );
    let document = document(&Diff::between(&before, &after));
    let services = items(&document, "services");
    assert_eq!(services.len(), 1, "{services:?}");
    assert_eq!(services[0]["before"]["server"]["ip"], "10.0.0.100");
    assert_eq!(services[0]["after"]["server"]["ip"], "10.9.9.9");
    let unnamed = moved.replace("\"server_name\":\"www.a.test\"", "\"server_name\":\"www.b.test\"");
    let other = DiffSide::parse("c", unnamed.as_bytes()).expect("a report");
    let services = super::diff::document(&Diff::between(&before, &other));
    let sides: Vec<(bool, bool)> = items(&services, "services")
        .iter()
        .map(|service| (service["before"].is_null(), service["after"].is_null()))
        .collect();
    assert_eq!(sides, [(false, true), (true, false)]);
}

#[test]
fn what_is_no_report_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.json");
    let name = path.to_str().expect("a UTF-8 path");
    for content in [
        "{",
        "{\"schema\": \"reshake-diff/1\"}",
        " \n{\"schema\":\"reshake-report/1\",\"summary\":3}",
    ] {
        std::fs::write(&path, content).expect("written");
        let output = run(&["diff", "-q", name, SHARED]);
        assert_eq!(
            (output.status.code(), out(&output).as_str()),
            (Some(3), ""),
            "{content}"
        );
        assert!(
            err(&output).starts_with(&format!("reshake: {name}: is ")),
            "{}",
            err(&output)
        );
    }
    let summary = run(&["analyze", "--summary", "--format", "json", SHARED]).stdout;
    std::fs::write(&path, summary).expect("written");
    let told = err(&run(&["diff", "-q", name, SHARED]));
    assert!(told.contains("make it without --summary"), "{told}");
    let output = run(&["diff", "-q", SHARED, "missing.pcap"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(run(&["diff", SHARED]).status.code(), Some(2));
}

#[test]
fn a_report_that_anyone_wrote_does_no_harm() {
    let report = run(&["analyze", "--format", "json", QUICKSTART]).stdout;
    let mut hostile: Value = serde_json::from_slice(&report).expect("JSON");
    let most = Value::from(u64::MAX);
    for pointer in [
        "/summary/offers/accepted",
        "/summary/offers/declined",
        "/summary/outcomes/resumed",
        "/summary/outcomes/declined",
        "/services/0/outcomes/not-offered",
    ] {
        *hostile.pointer_mut(pointer).expect("a value") = most.clone();
    }
    *hostile.pointer_mut("/services/0/server/ip").expect("a value") = Value::from("\u{1b}[2J\n");
    *hostile.pointer_mut("/services/0/patterns/0/name").expect("a value") = Value::from("\u{202e}x");
    *hostile.pointer_mut("/connections/0/reasons/0/name").expect("a value") = Value::from("a\r\nb");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.json");
    std::fs::write(&path, hostile.to_string()).expect("written");
    let name = path.to_str().expect("a UTF-8 path");
    let output = run(&["diff", "-q", name, SHARED]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let control = |letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}';
    assert!(!out(&output).contains(control), "{}", out(&output));
}
